#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two viaductds on one host, each in a network namespace of its own. One that would share the folder
# of the socket, the state folder or the namespace of a running one is refused in one line that names
# it, and the running one goes on as if nothing had been: its calls, its drains, its socket. What
# shares nothing runs beside it; and a killed one is no obstacle.
. "$(dirname "$0")/prelude.sh"

second_down() {
    local pid
    for pid in $(ip netns pids "$LAB_ID-lb2" 2>/dev/null); do kill -KILL "$pid"; done
    ip netns delete "$LAB_ID-lb2" 2>/dev/null
    lab_down
}
trap second_down EXIT

# The balancers may be in each other's way in files only: lb2 is a namespace with one dummy interface.
lab_up dsr-l2
ip netns add "$LAB_ID-lb2"
ip netns exec "$LAB_ID-lb2" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip -n "$LAB_ID-lb2" link set lo up
ip -n "$LAB_ID-lb2" link add lb9 type veth peer name lb9peer
ip -n "$LAB_ID-lb2" link set lb9 up
ip -n "$LAB_ID-lb2" link set lb9peer up
mkdir "$LAB_DIR/own"
ln -s "$LAB_DIR" "$LAB_DIR/alias"

# second CHANGE...: the configuration of the second one, with these changes of sed.
second() {
    sed -e 's/iface=lb0/iface=lb9/' "${@/#/-e}" "$LAB_DIR/viaduct.toml" >"$LAB_DIR/second.toml"
}
own_socket="s#$LAB_SOCKET#$LAB_DIR/own/b.sock#"
own_state="s#$LAB_DIR/state#$LAB_DIR/own/state#"
# refused WHAT PATTERN [NAMESPACE]: exit 1, one line that names the pid of the first; nothing changed.
refused() {
    local code
    files >"$LAB_DIR/before"
    ip netns exec "$LAB_ID-${3:-lb2}" timeout 10 "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/second.toml" \
        >"$LAB_DIR/out" 2>"$LAB_DIR/err"
    code=$?
    expect "$1: exit 1, not $code" is "$code == 1"
    expect "$1: one line: $(<"$LAB_DIR/err")" is "$(grep -c . "$LAB_DIR/err") == 1"
    expect "$1: it says \"$2\": $(<"$LAB_DIR/err")" grep -qE -- "$2" "$LAB_DIR/err"
    expect "$1: the first lives" lab_alive "$(lab_pid viaductd)"
    files >"$LAB_DIR/after"
    diff "$LAB_DIR/before" "$LAB_DIR/after" >&2 || fail "$1: nobody's file is touched"
    expect "$1: the first answers" lab_backend_is 1 up
}
# What a second one could spoil: the same files, as long as they were.
files() {
    stat -c '%n %i %s' "$LAB_SOCKET" "$LAB_DIR/calls" "$LAB_DIR/state/steering.secret"
    ls "$LAB_DIR/state"
}

sed -i '/^secret = /d' "$LAB_DIR/viaduct.toml" # so that a secret lies in the state folder
lab_start_backends
lab_start_viaductd || fail "the first becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
lab_ctl drain proxies b3 --now >"$LAB_DIR/reply" || fail "drain is obeyed"
pid=$(lab_pid viaductd)
state_says_drain() { grep -q '"drain"' "$LAB_DIR/state/state.json"; }
lab_wait 10 state_says_drain || fail "the drain is in the state file"

held="in use by a running viaductd \(pid $pid\)"
lab_call sipp 100 20 -d 2000 &
caller=$!
lab_wait 20 lab_has_placed sipp 10 || fail "SIPp places calls"
second
refused "the same everything" "call table $LAB_DIR/calls is $held; .*control.socket"
second "s#$LAB_SOCKET#$LAB_DIR/b.sock#" "$own_state"
refused "another socket in the same folder" "call table $LAB_DIR/calls is $held; .*control.socket"
second "s#$LAB_SOCKET#$LAB_DIR/alias/b.sock#" "$own_state"
refused "the same folder by another name" "call table $LAB_DIR/alias/calls is $held"
second "$own_socket"
refused "the same state folder" "state folder $LAB_DIR/state is $held; .*control.state"
second "$own_state" "s#$LAB_SOCKET#$LAB_DIR/b.sock#" 's/^secret = .*//' \
    's/^\[steering\]/&\ncalls = 100000/' 's/iface=lb9/iface=absent/'
refused "a table of another size, and no such device" "call table $LAB_DIR/calls is $held"
second "$own_socket" "$own_state" 's/iface=lb9/iface=lb1/'
refused "the same network namespace" "another viaductd \(pid $pid\) is running in this network namespace" lb
expect "--check needs no lock" "$VIADUCT_BUILD/viaductd" --check "$LAB_DIR/viaduct.toml"
wait "$caller"
audit sipp 100

# With folders of its own it runs; nobody minds.
second "$own_socket" "$own_state"
ip netns exec "$LAB_ID-lb2" "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/second.toml" >"$LAB_DIR/second.log" 2>&1 &
other=$!
lab_wait 15 grep -qs ready: "$LAB_DIR/second.log" || fail "the second runs: $(<"$LAB_DIR/second.log")"
expect "the first lives beside it" lab_backend_is 1 up

# kill -9 of the first: the second is refused the namespace's files no more, and the first starts again.
lab_kill_viaductd
lab_start_viaductd || fail "the first starts after kill -9"
expect "its drain is known" [ "$(lab_states | grep b3)" = "b3 up draining" ]
pid=$(lab_pid viaductd)
held="in use by a running viaductd \(pid $pid\)"
second "s#$LAB_SOCKET#$LAB_DIR/b.sock#" "$own_state"
refused "the new holder is named" "call table $LAB_DIR/calls is $held"
kill -KILL "$other"
lab_wait 10 lab_gone "$other" || fail "kill -9 ends the second"
expect "the first has its drain, whoever died" [ "$(lab_states | grep b3)" = "b3 up draining" ]
lab_stop_viaductd 5 || fail "SIGTERM ends the first"

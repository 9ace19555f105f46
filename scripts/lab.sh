#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lab: a network of namespaces in which viaductd handles real SIP.
#
#   scripts/lab.sh up dsr-l2|nat [ID]     make the lab ID (default: lab); it stays until `down`
#   scripts/lab.sh down [ID]              remove it, however much of it was made
#   scripts/lab.sh exec ID ROLE COMMAND...   run a command in cli, lb, be1, be2, be3 or net
#
# scripts/demo and the smoke tests source this file and use its functions. Needs root. Several labs can exist at the
# same time: all names contain the ID, and the host's own network is not touched.
#
#     ID-cli 198.51.100.100 --+                    +-- eth0 ID-be1..3: 198.51.100.21..23 (dsr-l2)
#                             +-- bridge 0 (net) --+   eth1 ID-be1..3: 203.0.113.21..23  (nat)
#     ID-lb  lb0 -------------+                              |
#            lb1 ---------------------------- bridge 1 (net)-+
#
# lb0 and lb1 have no address: the TAP twins of viaductd have them (198.51.100.2, 203.0.113.2, the VIP). In dsr-l2 the
# backends have the VIP on lo and do not answer ARP for it. In nat their eth0 is down and their route to the client is
# through 203.0.113.2.

export LC_ALL=C.UTF-8 # EPOCHREALTIME has a decimal point then
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VIADUCT_BUILD=${VIADUCT_BUILD:-$LAB_ROOT/build}
LAB_SIPP=$LAB_ROOT/tests/support/sipp

LAB_VIP=198.51.100.10
LAB_CLIENT=198.51.100.100
LAB_LB=198.51.100.2
# Health of the lab's pool, in ms: detection may take fall x interval + timeout.
LAB_INTERVAL=500 LAB_TIMEOUT=300 LAB_FALL=2 LAB_RISE=2
# Time from announcement to switch, in s: at least 64 times T1, which is short here because nothing is lost between
# namespaces.
LAB_SETTLE=4 LAB_T1=50
# Seconds that the start of viaductd may take.
LAB_READY=15

lab_die() {
    echo "lab: $*" >&2
    exit 1
}

# lab_wait SECONDS COMMAND...: waits until the command succeeds; false when the time is up.
lab_wait() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        sleep 0.02
    done
}

# lab_use ID: selects the lab for the functions below.
lab_use() {
    [[ $1 =~ ^[A-Za-z0-9_-]+$ ]] || lab_die "\"$1\" is no ID of a lab: letters, digits, - and _"
    LAB_ID=$1
    LAB_DIR=${TMPDIR:-/tmp}/viaduct-lab-$LAB_ID
    LAB_SOCKET=$LAB_DIR/viaduct.sock
    [[ -f $LAB_DIR/mode ]] && LAB_MODE=$(<"$LAB_DIR/mode")
    return 0
}

# lab_namespaces: prints the existing namespaces of this lab only.
lab_namespaces() {
    local role
    for role in net lb lb2 cli be1 be2 be3; do
        [[ ! -e /var/run/netns/$LAB_ID-$role ]] || echo "$LAB_ID-$role"
    done
}

lab_in() { ip netns exec "$LAB_ID-$1" "${@:2}"; } # ROLE COMMAND...: in that namespace

# lab_spawn NAME ROLE COMMAND...: as lab_in, but in the background; its pid goes to $LAB_DIR/NAME.pid.
lab_spawn() {
    ip netns exec "$LAB_ID-$2" "${@:3}" &
    echo $! >"$LAB_DIR/$1.pid"
    disown # keeps bash from reporting that it was killed
}

lab_address() { # of backend N, where its SIP server listens
    if [[ $LAB_MODE == nat ]]; then echo "203.0.113.2$1"; else echo "$LAB_VIP"; fi
}

# lab_link ROLE INTERFACE BRIDGE MAC: adds a veth from the namespace to a bridge of ID-net.
lab_link() {
    local far=$1-$2
    ip link add "$2" netns "$LAB_ID-$1" address "$4" type veth peer name "$far" netns "$LAB_ID-net"
    # Makes the receiver's worker see frames as on the wire: no unfinished checksums.
    lab_in "$1" ethtool -K "$2" tx off >"$LAB_DIR/ethtool" 2>&1
    lab_in net ethtool -K "$far" tx off >"$LAB_DIR/ethtool" 2>&1
    ip -n "$LAB_ID-net" link set "$far" master "$3" up
    ip -n "$LAB_ID-$1" link set "$2" up
}

lab_make_network() {
    local role n
    for role in net lb cli be1 be2 be3; do
        ip netns add "$LAB_ID-$role"
        lab_in "$role" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        ip -n "$LAB_ID-$role" link set lo up
    done
    for n in 0 1; do
        ip -n "$LAB_ID-net" link add "br$n" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
        ip -n "$LAB_ID-net" link set "br$n" up
    done
    lab_link lb lb0 br0 02:00:00:00:00:02
    lab_link lb lb1 br1 02:00:00:00:01:02
    lab_link cli eth0 br0 02:00:00:00:00:64
    ip -n "$LAB_ID-cli" address add "$LAB_CLIENT/24" dev eth0
    for n in 1 2 3; do
        lab_link "be$n" eth0 br0 "02:00:00:00:00:2$n"
        lab_link "be$n" eth1 br1 "02:00:00:00:01:2$n"
        if [[ $LAB_MODE == nat ]]; then
            ip -n "$LAB_ID-be$n" link set eth0 down
            ip -n "$LAB_ID-be$n" address add "203.0.113.2$n/24" dev eth1
            ip -n "$LAB_ID-be$n" route add default via 203.0.113.2
        else
            ip -n "$LAB_ID-be$n" link set eth1 down
            # The backend must neither answer ARP for the VIP nor announce it: docs/operations.md.
            lab_in "be$n" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
            ip -n "$LAB_ID-be$n" address add "198.51.100.2$n/24" dev eth0
            ip -n "$LAB_ID-be$n" address add "$LAB_VIP/32" dev lo
        fi
    done
}

# lab_write_config: writes $LAB_DIR/viaduct.toml for the mode; tests may change it before the start.
lab_write_config() {
    local n network=198.51.100
    {
        cat <<EOF
[dataplane]
workers = 1

[[port]]
name = "p0"
device = "net_af_packet0,iface=lb0,framecnt=4096"
addresses = ["$LAB_LB/24"]

EOF
        [[ $LAB_MODE == nat ]] && network=203.0.113 && cat <<EOF
[[port]]
name = "p1"
device = "net_af_packet1,iface=lb1,framecnt=4096"
addresses = ["203.0.113.2/24"]

EOF
        cat <<EOF
[[vip]]
name = "sip"
address = "$LAB_VIP"
port = 5060
pool = "proxies"

[[pool]]
name = "proxies"
mode = "$LAB_MODE"
t_settle = "${LAB_SETTLE}s"

[pool.health]
method = "OPTIONS"
interval = "${LAB_INTERVAL}ms"
timeout = "${LAB_TIMEOUT}ms"
fall = $LAB_FALL
rise = $LAB_RISE

EOF
        for n in 1 2 3; do
            cat <<EOF
[[pool.backend]]
name = "b$n"
address = "$network.2$n"
port = 5060

EOF
        done
        cat <<EOF
[steering]
secret = "000102030405060708090a0b0c0d0e0f"

[timers]
t1 = "${LAB_T1}ms"

[control]
socket = "$LAB_SOCKET"
state = "$LAB_DIR/state"
EOF
    } >"$LAB_DIR/viaduct.toml"
}

# lab_up MODE [ID]: makes the network and the configuration; nothing runs in it yet. The default is a new ID that starts
# with LAB_PREFIX, by which scripts/test finds the leftovers of killed tests.
lab_up() {
    ((EUID == 0)) || lab_die "network namespaces need root: run it with sudo"
    [[ $1 == dsr-l2 || $1 == nat ]] || lab_die "mode \"$1\" is not dsr-l2 or nat"
    set -- "$1" "${2:-${LAB_PREFIX:-vd}$$}"
    lab_use "$2"
    if [[ -n $(lab_namespaces) ]]; then
        LAB_ID="" # not ours: the trap must not remove it
        lab_die "lab $2 exists: scripts/lab.sh down $2"
    fi
    rm -rf "$LAB_DIR"
    mkdir -m 700 "$LAB_DIR" || lab_die "cannot make $LAB_DIR"
    LAB_MODE=$1
    echo "$LAB_MODE" >"$LAB_DIR/mode"
    (set -e; lab_make_network) || lab_die "cannot make the network of lab $LAB_ID (see above)"
    lab_write_config
}

# lab_down: removes everything that lab_up and the functions below made, even after an incomplete lab_up.
lab_down() {
    local name pids traps
    [[ -n ${LAB_ID:-} ]] || return 0
    traps=$(trap -p INT TERM HUP)
    trap '' INT TERM HUP # an incomplete removal must not happen
    lab_stop_viaductd 3 2>/dev/null
    for name in $(lab_namespaces); do
        pids=$(ip netns pids "$name")
        [[ -z $pids ]] || kill -KILL $pids 2>/dev/null
        ip netns delete "$name"
    done
    rm -rf "$LAB_DIR"
    trap - INT TERM HUP
    eval "$traps"
}

# lab_trap: removes the lab whenever the script ends.
lab_trap() {
    trap lab_down EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

lab_alive() { # PID. Its last thread counts: until that ends, sockets and TAPs stay
    local tasks
    [[ -n ${1:-} && -d /proc/$1 ]] || return 1
    tasks=(/proc/"$1"/task/*)
    [[ ${#tasks[@]} != 1 || $(cat "/proc/$1/stat" 2>/dev/null) == *") "[!Z]* ]]
}
lab_gone() { ! lab_alive "$1"; }
lab_pid() { # NAME: the pid in NAME.pid, unless something outside this lab has it by now
    local pid
    pid=$(cat "$LAB_DIR/$1.pid" 2>/dev/null) || return 0
    [[ $(ip netns identify "$pid" 2>/dev/null) != "$LAB_ID"-@(net|lb|lb2|cli|be1|be2|be3) ]] || echo "$pid"
}

# lab_start_viaductd [ARGUMENT...]: waits for READY; sets LAB_READY_MS. False when it ended or took LAB_READY s.
lab_start_viaductd() {
    local notify=$LAB_DIR/notify began
    rm -f "$notify.sock" "$notify"
    lab_spawn notify lb socat -u "UNIX-RECV:$notify.sock" "CREATE:$notify" 2>/dev/null
    lab_wait 15 test -S "$notify.sock" || lab_die "socat does not listen"
    began=${EPOCHREALTIME/./}
    NOTIFY_SOCKET=$notify.sock lab_spawn viaductd lb "$VIADUCT_BUILD/viaductd" \
        --config "$LAB_DIR/viaduct.toml" "$@" >>"$LAB_DIR/viaductd.log" 2>&1
    lab_wait "$LAB_READY" lab_ready_or_gone
    LAB_READY_MS=$(((${EPOCHREALTIME/./} - began) / 1000))
    lab_kill notify
    grep -qs READY=1 "$notify" && return 0
    echo "lab: viaductd is not ready: $(tail -n 3 "$LAB_DIR/viaductd.log")" >&2
    return 1
}
lab_ready_or_gone() { grep -qs READY=1 "$LAB_DIR/notify" || lab_gone "$(<"$LAB_DIR/viaductd.pid")"; }

# lab_stop_viaductd [SECONDS]: sends SIGTERM; sets LAB_STOP_MS. False when it had to be killed.
lab_stop_viaductd() {
    local pid began=${EPOCHREALTIME/./}
    LAB_STOP_MS=""
    pid=$(lab_pid viaductd)
    lab_alive "$pid" || return 0
    kill -TERM "$pid"
    if ! lab_wait "${1:-3}" lab_gone "$pid"; then
        kill -KILL "$pid"
        lab_wait 3 lab_gone "$pid"
        return 1
    fi
    LAB_STOP_MS=$(((${EPOCHREALTIME/./} - began) / 1000))
}

lab_kill() { # NAME: kill -9 the process of NAME.pid and wait until it is gone
    local pid
    pid=$(lab_pid "$1")
    lab_alive "$pid" || lab_die "$1 does not run"
    kill -KILL "$pid"
    lab_wait 3 lab_gone "$pid"
}
lab_kill_viaductd() { lab_kill viaductd; }
lab_kill_backend() { lab_kill "be$1"; }

# lab_start_backend N [OPTIONS-ANSWER]: starts a SIPp server; its trace is $LAB_DIR/beN.RUN.trace.
lab_start_backend() {
    local name=be$1 run=1 address
    address=$(lab_address "$1")
    while [[ -e $LAB_DIR/$name.$run.trace ]]; do ((run++)); done
    : >"$LAB_DIR/$name.$run.trace"
    sed "s/OPTIONS_ANSWER/${2:-200 OK}/" "$LAB_SIPP/uas.xml" >"$LAB_DIR/$name.xml"
    TERM=dumb lab_spawn "$name" "$name" sipp -sf "$LAB_DIR/$name.xml" -i "$address" -p 5060 -nostdin \
        -key contact "$LAB_VIP:5060" \
        -trace_shortmsg -shortmessage_file "$LAB_DIR/$name.$run.trace" \
        -trace_err -error_file "$LAB_DIR/$name.$run.errors" >/dev/null 2>"$LAB_DIR/$name.$run.stderr"
    lab_wait 15 lab_listens "$name" || lab_die "backend $1 does not listen: $(<"$LAB_DIR/$name.$run.stderr")"
}
lab_listens() { [[ -n $(lab_in "$1" ss -Hlun "sport = :5060") ]]; }

lab_start_backends() { local n; for n in 1 2 3; do lab_start_backend "$n"; done; }

lab_ctl() { "$VIADUCT_BUILD/viaductctl" --socket "$LAB_SOCKET" "$@"; }

# lab_states: prints e.g. "b1 up enabled", one line per backend.
lab_states() {
    lab_ctl --json show backends | jq -r '.backends[] | "\(.backend) \(.health) \(.admin)"'
}
lab_backend_is() { [[ $(lab_states 2>/dev/null | awk -v b="b$1" '$1 == b { print $2 }') == "$2" ]]; }
lab_wait_backend() { lab_wait "${3:-10}" lab_backend_is "$1" "$2"; } # N STATE [SECONDS]

# lab_wait_settled: waits until every announced change has been made.
lab_wait_settled() { lab_wait $((3 * LAB_SETTLE + 10)) lab_is_settled; }
lab_is_settled() { lab_ctl --json show pools | jq -e 'all(.pools[]; .announced | not)' >/dev/null 2>&1; }

lab_wait_backends_up() {
    local n
    for n in 1 2 3; do
        lab_wait_backend "$n" up || { echo "lab: backend b$n is not up after 10 s" >&2; return 1; }
    done
}

# lab_call NAME CALLS RATE [SIPP-ARGUMENT...]: places SIPp calls to the VIP; true when none failed. Leaves
# $LAB_DIR/NAME.trace (every message) and NAME.done (the Call-IDs of successful calls).
lab_call() {
    local name=$1 calls=$2 rate=$3
    shift 3
    # SIPp's own -timeout waits for calls that never end.
    TERM=dumb lab_in cli timeout -s KILL "$((calls / rate + 75))" sipp -sf "$LAB_SIPP/uac.xml" "$LAB_VIP:5060" -i "$LAB_CLIENT" \
        -s callee -nostdin -m "$calls" -r "$rate" -l "$calls" -d 2000 \
        -trace_shortmsg -shortmessage_file "$LAB_DIR/$name.trace" \
        -trace_logs -log_file "$LAB_DIR/$name.done" \
        -trace_err -error_file "$LAB_DIR/$name.errors" "$@" >/dev/null 2>"$LAB_DIR/$name.stderr"
}

# lab_placed NAME: prints how many calls of lab_call NAME have started so far (SIPp numbers its calls).
lab_placed() {
    [[ -f $LAB_DIR/$1.trace ]] || { echo 0; return; }
    awk -F'\t' '$4 == "S" && $5 + 0 > n { n = $5 + 0 } END { print n + 0 }' "$LAB_DIR/$1.trace"
}
lab_has_placed() { (($(lab_placed "$1") >= $2)); }

# lab_audit NAME [KILLED-TRACE]: stores the results of lab_call NAME in the array AUDIT:
# placed, succeeded, failed; killed (calls with a message in KILLED-TRACE, e.g. be1.1), failed_killed;
# split (other calls whose messages did not all reach one backend); be1, be2, be3 (calls started there);
# example (a Call-ID that failed or split without an excuse, if there is one).
# A line of SIPp's short trace: date, time, seconds, S|R, Call-ID, CSeq, first line.
lab_audit() {
    local key value
    declare -gA AUDIT=()
    while read -r key value; do AUDIT[$key]=$value; done < <(
        awk -F'\t' -v killed_trace="${2:-}" '
            FNR == 1 { file = FILENAME; sub(".*/", "", file); split(file, part, ".") }
            file ~ /\.done$/ { split($0, word, " "); done[word[2]]; next }
            file !~ /^be/ { if ($4 == "S" && $7 ~ /^INVITE /) placed[$5]; next }
            $4 != "R" || !($5 in placed) { next }
            {
                if (file == killed_trace ".trace") killed[$5]
                if (!(($5, part[1]) in at)) { at[$5, part[1]]; ++backends[$5] }
                if ($7 ~ /^INVITE / && !(($5, part[1]) in begun)) { begun[$5, part[1]]; ++calls[part[1]] }
            }
            END {
                for (id in placed) {
                    ++n
                    if (id in killed) ++k
                    else if (backends[id] != 1) { ++split_calls; example = id }
                    if (id in done) continue
                    ++failed
                    if (id in killed) ++failed_killed
                    else example = id
                }
                print "placed", n + 0; print "succeeded", n - failed; print "failed", failed + 0
                print "killed", k + 0; print "failed_killed", failed_killed + 0
                print "split", split_calls + 0
                if (example != "") print "example", example
                for (i = 1; i <= 3; ++i) print "be" i, calls["be" i] + 0
            }' "$LAB_DIR/$1.trace" "$LAB_DIR/$1.done" "$LAB_DIR"/be?.*.trace
    )
}

# lab_story CALL-ID: prints every message of a call as seen by all ends, in order.
lab_story() {
    grep -F "$1" "$LAB_DIR"/*.trace | sed "s|^$LAB_DIR/||" | sort -t$'\t' -k3,3n | cut -f1,2,4-
}

# lab_unseen: prints how many frames lb0 (nat: and lb1) received and viaductd did not. Its growth since READY is what
# the driver dropped. Asks until two results agree without a new frame in between, so that none is in flight; false when
# this does not happen in 30 s.
lab_unseen() {
    # In one shell inside the namespace, because the time between two probes must be short.
    # shellcheck disable=SC2016
    lab_in lb bash -c '
        rx() { local file sum=0; for file in $3; do ((sum += $(<"$file"))); done; echo "$sum"; }
        end=$((SECONDS + 30)) seen=""
        while ((SECONDS < end)); do
            before=$(rx "$@")
            reply=$("$1" --socket "$2" --json show outcomes)
            [[ $before == "$(rx "$@")" && $reply =~ \"received\":\ ?([0-9]+) ]] || continue
            [[ $((before - BASH_REMATCH[1])) == "$seen" ]] && echo "$seen" && exit
            seen=$((before - BASH_REMATCH[1]))
        done
        exit 1' _ "$VIADUCT_BUILD/viaductctl" "$LAB_SOCKET" \
        "$(printf '/sys/class/net/%s/statistics/rx_packets ' lb0 $([[ $LAB_MODE == nat ]] && echo lb1))"
}
# lab_conserved: whether received = sum of outcomes (no frame is held in this version).
lab_conserved() { lab_ctl --json show outcomes | jq -e '.received == ([.outcomes[]] | add)' >/dev/null; }

# lab_detection_ms N KILLED-AT: prints the time from the kill (microseconds of EPOCHREALTIME) to the event `down`.
lab_detection_ms() {
    lab_ctl --json show events | jq --arg backend "b$1" --argjson killed "$2" '
        [.events[] | select(.backend == $backend and .to == "down")
         | ((.at[0:19] + "Z" | fromdate) * 1000 + (.at[20:23] | tonumber))
         | select(. * 1000 >= $killed - 1000)] | first - ($killed / 1000) | floor'
}

lab_main() {
    local verb=${1:-}
    shift
    case $verb in
    up)
        trap 'lab_down' EXIT
        trap 'exit 130' INT TERM HUP
        lab_up "${1:-}" "${2:-lab}"
        trap - EXIT INT TERM HUP
        echo "lab $LAB_ID is up ($LAB_MODE); files in $LAB_DIR"
        ;;
    down)
        ((EUID == 0)) || lab_die "network namespaces need root: run it with sudo"
        lab_use "${1:-lab}"
        lab_down
        ;;
    exec)
        (($# >= 3)) || lab_die "usage: scripts/lab.sh exec ID ROLE COMMAND..."
        ((EUID == 0)) || lab_die "network namespaces need root: run it with sudo"
        lab_use "$1"
        [[ -e /var/run/netns/$1-$2 ]] || lab_die "no namespace $1-$2: is lab $1 up? roles are cli, lb, be1, be2, be3, net"
        shift
        lab_in "$@"
        ;;
    *)
        lab_die "usage: scripts/lab.sh up dsr-l2|nat [ID] | down [ID] | exec ID ROLE COMMAND..."
        ;;
    esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then lab_main "$@"; fi

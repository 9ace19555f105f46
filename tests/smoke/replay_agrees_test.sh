#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A capture of what came to a fresh viaductd, given to `viaductd replay`, names for every message the backend that got it:
# calls dealt out in turn, then users registered and called by their address, where the Call-ID alone says nothing.
. "$(dirname "$0")/prelude.sh"

# begin NAME SED: viaductd anew, with nothing remembered; what comes in is captured from its first message on.
begin() {
    lab_stop_viaductd || fail "viaductd stops"
    rm -rf "$LAB_DIR/state" "$LAB_DIR/calls"
    sed -e "$2" "$LAB_DIR/plain.toml" >"$LAB_DIR/viaduct.toml"
    lab_start_viaductd || fail "viaductd becomes READY ($1)"
    lab_wait_backends_up || fail "the backends come up"
    lab_wait_settled || fail "all three take calls"
    lab_spawn tcpdump lb tcpdump -i lb0 -Q in --immediate-mode -U -w "$LAB_DIR/$1.pcap" udp port 5060 2>"$LAB_DIR/tcpdump"
    lab_wait 10 grep -q "listening on" "$LAB_DIR/tcpdump" || fail "tcpdump listens"
}
# agree NAME: every message of these calls, as it arrived, and as replay says; sorted "CALL-ID bN" lines.
agree() {
    local pid lines
    pid=$(lab_pid tcpdump)
    kill -INT "$pid"
    lab_wait 10 lab_gone "$pid" || fail "tcpdump ends"
    awk -F'\t' -v name="-$1@" 'index($5, name) && $4 == "R" {
        sub(".*/be", "b", FILENAME); sub("[.].*", "", FILENAME); print $5, FILENAME }' "$LAB_DIR"/be?.1.trace |
        sort >"$LAB_DIR/$1.arrived"
    "$VIADUCT_BUILD/viaductd" replay --config "$LAB_DIR/viaduct.toml" --in "$LAB_DIR/$1.pcap" --out "$LAB_DIR/out.pcap" \
        --json --frames >"$LAB_DIR/$1.json" || fail "replay reads the capture of $1"
    jq -r --arg name "-$1@" '.frames[] | select((.call_id // "") | contains($name)) |
        "\(.call_id) \(.backend // .outcome)"' "$LAB_DIR/$1.json" | sort >"$LAB_DIR/$1.replayed"
    diff "$LAB_DIR/$1.arrived" "$LAB_DIR/$1.replayed" >&2 || fail "replay names the backend of every message ($1)"
    lines=$(wc -l <"$LAB_DIR/$1.arrived")
    expect "there were enough messages ($1: $lines)" is "$lines >= $2"
    for n in 1 2 3; do expect "b$n got some ($1)" grep -q " b$n$" "$LAB_DIR/$1.arrived"; done
}

lab_up dsr-l2
cp "$LAB_DIR/viaduct.toml" "$LAB_DIR/plain.toml"
lab_start_backends

begin turns 's/^t_settle/steering = "round-robin"\n&/'
call turns 60 60 -d 300 -cid_str %u-turns@lab
agree turns 180
hashed=$(sed 's/^/json explain sip /' <<<"1-turns@lab" | socat -t 5 - "UNIX-CONNECT:$LAB_SOCKET" | head -n 1)
expect "explain still knows the first call: $hashed" [ "$(jq -r .backend <<<"$hashed")" = \
    "$(awk '$1 == "1-turns@lab" { print $2; exit }' "$LAB_DIR/turns.arrived")" ]

begin users 's/^t_settle/key = "aor"\n&/'
users_register users 40 "r%u-users@lab" '<sip:user' '@example.com>'
mkdir "$LAB_DIR/called"
sed '/To: /s/<sip:[^>]*>/<sip:user[call_number]@example.com>/' \
    "$LAB_SIPP/uac.xml" >"$LAB_DIR/called/uac.xml"
LAB_SIPP=$LAB_DIR/called call calls 40 40 -d 300 -cid_str %u-users@lab
agree users 160
expect "received is the sum of outcomes" lab_conserved

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# on_dead_owner = "reject": who is in a call whose backend is dead hears 481 from the VIP.
. "$(dirname "$0")/prelude.sh"

message() { # METHOD CALL-ID
    printf '%s\r\n' "$1 sip:callee@$LAB_VIP SIP/2.0" \
        "Via: SIP/2.0/UDP $LAB_CLIENT:5099;rport;branch=z9hG4bK$2$1" "Max-Forwards: 70" \
        "From: <sip:caller@$LAB_CLIENT:5099>;tag=1" "To: <sip:callee@$LAB_VIP>;tag=2" "Call-ID: $2" \
        "CSeq: 2 $1" "Contact: <sip:caller@$LAB_CLIENT:5099>" "User-Agent: rejects_test" "Content-Length: 0" ""
}
# ask METHOD CALL-ID: what comes back within a second.
ask() { message "$@" | lab_in cli timeout 5 socat -t 1 - "UDP:$LAB_VIP:5060,bind=$LAB_CLIENT:5099" 2>"$LAB_DIR/socat"; }
explained() { lab_ctl --json explain sip --message-base64 "$(message "$1" "$2" | base64 -w 0)" | jq -r ".$3"; }
would_be_rejected() { [[ $(explained BYE "$1" outcome) == rejected ]]; }

LAB_FALL=2
lab_up dsr-l2
sed -i 's/^t_settle/on_dead_owner = "reject"\n&/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"

owner=$(explained BYE reject-me backend)
kill -KILL "$(lab_pid "be${owner#b}")"
lab_wait_backend "${owner#b}" down || fail "$owner goes down"
lab_wait 10 would_be_rejected reject-me || fail "$owner counts as dead after 64 times T1"

ask BYE reject-me >"$LAB_DIR/answer"
expect "a BYE is answered with 481: $(head -n 1 "$LAB_DIR/answer")" grep -q '^SIP/2.0 481 ' "$LAB_DIR/answer"
expect "its Via says where it came from" grep -q "^Via: .*;rport=5099;branch=z9hG4bKreject-meBYE;received=$LAB_CLIENT" "$LAB_DIR/answer"
expect "it is counted" is "$(outcome rejected) >= 1"
ask ACK reject-me >"$LAB_DIR/answer"
expect "an ACK is not" is "$(wc -c <"$LAB_DIR/answer") == 0"
expect "but counted as dead_owner" is "$(outcome dead_owner) >= 1"
send_invite reject-me
expect "what begins goes to another backend" [ "$(explained INVITE another outcome)" = forwarded ]
expect "received is the sum of outcomes" lab_conserved

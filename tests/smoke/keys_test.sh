#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# keys = { REGISTER = "aor" }: a user registers at one backend whatever the Call-ID, and calls go by theirs. An INVITE with
# Replaces, Join or Target-Dialog goes to the backend of the call that it names, and all of the new call stays there.
. "$(dirname "$0")/prelude.sh"

# reached NAME METHOD: "CALL-ID bN", where that method of the calls NAME arrived.
reached() {
    awk -F'\t' -v name="-$1@" -v method="$2 " 'index($5, name) && $4 == "R" && index($7, method) == 1 {
        sub(".*/be", "b", FILENAME); sub("[.].*", "", FILENAME); print $5, FILENAME }' "$LAB_DIR"/be?.1.trace | sort -u
}
# explained: the same as explain foretells it of every line of stdin, a Call-ID or a message.
explained() {
    sed 's/^/json explain sip /' | socat -t 5 - "UNIX-CONNECT:$LAB_SOCKET" | grep -vx OK |
        jq -r '"\(.call_id) \(.backend)"' | sort -u
}
call_ids() { printf "%s-$1@lab\n" {1..60}; } # NAME
# message METHOD CALL-ID TO [HEADER]: as a line for explained.
message() {
    printf -- '--message-base64 %s\n' "$(printf '%s\r\n' "$1 sip:example.com SIP/2.0" \
        "Via: SIP/2.0/UDP $LAB_CLIENT:5060;branch=z9hG4bK$2" "Max-Forwards: 70" ${4:+"$4"} \
        "From: <sip:somebody@$LAB_CLIENT>;tag=1" "To: $3" "Call-ID: $2" "CSeq: 1 $1" "Content-Length: 0" "" | base64 -w 0)"
}
# spread FILE: each backend has a good part of its lines.
spread() {
    local n
    for n in 1 2 3; do expect "b$n gets its part ($1)" is "$(grep -c " b$n$" "$1") > 10"; done
}

lab_up nat
sed -i 's/^t_settle/keys = { REGISTER = "aor" }\n&/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
# register NAME BEFORE AFTER: 60 users whose address is written BEFORE, number, AFTER.
register() {
    users_register "$1" 60 "%u-$1@lab" "$2" "$3"
    reached "$1" REGISTER >"$LAB_DIR/$1"
    diff <(sed "s/first/$1/" "$LAB_DIR/users") "$LAB_DIR/$1" >&2 || fail "all are registered where explain says ($1)"
}
for n in {1..60}; do message REGISTER "$n-first@lab" "<sip:user$n@example.com>"; done | explained >"$LAB_DIR/users"
spread "$LAB_DIR/users"
register first '<sip:user' '@example.com>'
register again '<sip:user' '@example.com>'
# Equal as RFC 3261 19.1.4 has it.
register spelt '"U. Ser" <sip:%75ser' '@EXAMPLE.com:5099;transport=udp>;x=1'

# Everybody calls user1.
call_ids any | explained >"$LAB_DIR/any"
spread "$LAB_DIR/any"
mkdir "$LAB_DIR/user" "$LAB_DIR/transfer"
sed '/To: /s/@.*>/@example.com>/' "$LAB_SIPP/uac.xml" >"$LAB_DIR/user/uac.xml"
LAB_SIPP=$LAB_DIR/user call any 60 60 -d 50 -s user1 -cid_str %u-any@lab
diff "$LAB_DIR/any" <(reached any INVITE) >&2 || fail "calls go by their Call-ID, as explain says"

# From now on the wire repeats all that the caller sends. INVITEs name another call.
lab_in net tc qdisc add dev cli-eth0 ingress
lab_in net tc filter add dev cli-eth0 ingress protocol ip u32 match ip protocol 17 0xff action mirred egress mirror dev lb-lb0
sed '/INVITE sip:/,/Max-Forwards/s/Max-Forwards.*/&\n      [field0]: [field1];[field2]=1;[field3]=2/' "$LAB_SIPP/uac.xml" >"$LAB_DIR/transfer/uac.xml"
# transfer NAME: 60 calls, each of which names a standing call whose backend is not what its own Call-ID says.
transfer() {
    local number header other backend tags
    call_ids "$1" | explained | sort -V >"$LAB_DIR/$1.own"
    echo SEQUENTIAL >"$LAB_DIR/$1.csv"
    : >"$LAB_DIR/$1.messages"
    while read -r number header other backend tags; do
        echo "$header;$other;$tags" >>"$LAB_DIR/$1.csv"
        message INVITE "$number-$1@lab" "<sip:callee@$LAB_VIP>" "$header: $other;${tags/;/=1;}=2" >>"$LAB_DIR/$1.messages"
        echo "$number-$1@lab $backend"
    done < <(awk 'FNR == NR { id[NR] = $1; at[NR] = $2; n = NR; next }
        { do i = i % n + 1; while (at[i] == $2)
          print FNR, substr("Replaces     Join         Target-Dialog", FNR % 3 * 13 + 1, 13), id[i], at[i],
                FNR % 3 == 2 ? "local-tag;remote-tag" : "to-tag;from-tag" }' "$LAB_DIR/standing" "$LAB_DIR/$1.own") |
        sort >"$LAB_DIR/$1"
    for n in 1 2 3; do expect "calls on b$n are named" grep -q " b$n$" "$LAB_DIR/$1"; done
    diff "$LAB_DIR/$1" <(explained <"$LAB_DIR/$1.messages") >&2 || fail "explain sends it to the call that it names ($1)"
    LAB_SIPP=$LAB_DIR/transfer call "$1" 60 60 -d 1000 -cid_str "%u-$1@lab" -inf "$LAB_DIR/$1.csv"
    for n in INVITE ACK BYE; do
        diff "$LAB_DIR/$1" <(reached "$1" "$n") >&2 || fail "every $n arrives at the call that was named ($1)"
        expect "each $n twice, at least" is "$(awk -F'\t' -v name="-$1@" -v method="$n " \
            'index($5, name) && $4 == "R" && index($7, method) == 1' "$LAB_DIR"/be?.1.trace | wc -l) >= 120"
    done
}
lab_call standing 60 60 -d 20000 -cid_str %u-standing@lab &
caller=$!
lab_wait 20 lab_has_placed standing 60 || fail "SIPp places calls"
call_ids standing | explained >"$LAB_DIR/standing"
transfer fresh
lab_ctl drain proxies b1 >"$LAB_DIR/reply" || fail "drain is obeyed: $(<"$LAB_DIR/reply")"
lab_wait_settled || fail "the drain is announced, and then done"
transfer drained # b1 takes only what names its calls
wait "$caller"
audit standing 60
diff "$LAB_DIR/standing" <(reached standing BYE) >&2 || fail "the standing calls end where they began"
expect "received is the sum of outcomes" lab_conserved

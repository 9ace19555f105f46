#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nat backends begin calls: b1 calls a phone outside, and it calls the VIP, where b2 and b3 answer. Strict
# phones at both ends, either side hangs up: every message arrives at the one end that it is for, and what is for nobody is refused.
. "$(dirname "$0")/prelude.sh"

# strict NAMESPACE NAME ARGUMENT...: a strict phone that serves.
strict() {
    lab_spawn "$2" "$1" "$VIADUCT_BUILD/tests/strict_phone" server --name "$2" "${@:3}" \
        >"$LAB_DIR/$2.json" 2>"$LAB_DIR/$2.wrong"
}
# content NAME: it ends, and nothing was wrong; sets begun.
content() {
    local pid
    pid=$(lab_pid "$1")
    kill "$pid"
    lab_wait 10 lab_gone "$pid" # it waits for its calls
    expect "strict phone $1 is content: $(<"$LAB_DIR/$1.wrong")" \
        jq -e '.violations == 0 and .ended == .begun' "$LAB_DIR/$1.json" >"$LAB_DIR/jq"
    begun=$(jq .begun "$LAB_DIR/$1.json")
}
# b1_calls ADDRESS caller|callee: b1 places 100 calls there; that side hangs up.
b1_calls() {
    lab_in be1 "$VIADUCT_BUILD/tests/strict_phone" client --calls 100 --rate 50 --hangup "$2" \
        --bind "$(lab_address 1):5060" --contact "$LAB_VIP:5060" --vip "$1" ||
        fail "b1 is content with its calls to $1 ($2 hangs up)"
}

lab_up nat
# b1 is busy calling: it serves no one, not even probes.
sed -i 's/^method = .*/method = "none"/; /^interval = /d; /^timeout = /d; /^fall = /d; /^rise = /d
        s/^name = "b1"/&\nweight = 0/' "$LAB_DIR/viaduct.toml"
lab_start_viaductd || fail "viaductd becomes READY"

for side in caller callee; do
    strict cli outside --hangup "$side" --bind "$LAB_CLIENT:5060" --contact "$LAB_CLIENT:5060"
    lab_wait 15 lab_listens cli || fail "the phone outside listens"
    b1_calls "$LAB_CLIENT:5060" "$side"
    content outside
    expect "a hundred calls arrived outside ($begun)" is "$begun == 100"

    for n in 2 3; do
        strict "be$n" "be$n" --hangup "$side" --bind "$(lab_address "$n"):5060" --contact "$LAB_VIP:5060"
        lab_wait 15 lab_listens "be$n" || fail "strict phone b$n listens"
    done
    b1_calls "$LAB_VIP:5060" "$side"
    total=0
    for n in 2 3; do
        content "be$n"
        expect "b$n is called" is "$begun > 0"
        ((total += begun))
    done
    expect "a hundred calls arrived at one backend each ($total)" is "$total == 100"
done
expect "no message was for nobody" is "$(outcome backend_to_vip) + $(outcome no_backend) + $(outcome health_unknown) == 0"
expect "received is the sum of outcomes" lab_conserved

# Inside a client's call the VIP is no way to the client: its owner is told so, whatever it asks; from another backend it
# arrives at the owner.
send_invite astray
owner_is() { owner=$(lab_ctl --json explain sip astray | jq -r '.backend // empty'); [[ -n $owner ]]; }
lab_wait 5 owner_is || fail "the call is at a backend"
owner=${owner#b} other=$((5 - owner))
# in_call METHOD N: what backend N sends to the VIP inside that call.
in_call() {
    printf '%s\r\n' "$1 sip:caller@$LAB_VIP SIP/2.0" "Via: SIP/2.0/UDP $LAB_VIP:5060;branch=z9hG4bK$1" "Max-Forwards: 70" \
        "From: <sip:callee@$LAB_VIP>;tag=2" "To: <sip:caller@$LAB_CLIENT>;tag=1" "Call-ID: astray" "CSeq: 2 $1" "Content-Length: 0" "" |
        lab_in "be$2" socat -t 1 - "UDP4:$LAB_VIP:5060,bind=$(lab_address "$2"):5060"
}
for method in INVITE UPDATE INFO NOTIFY REFER MESSAGE BYE; do
    answer=$(in_call "$method" "$owner")
    expect "$method is answered with 481, not ${answer%%$'\r'*}" grep -q '^SIP/2.0 481' <<<"$answer"
done
expect "they are counted as rejected" is "$(outcome rejected) == 7"
in_call ACK "$owner" >"$LAB_DIR/none"
expect "an ACK has no answer, and nobody to go to" is "$(outcome backend_to_vip) == 1 && $(stat -c %s "$LAB_DIR/none") == 0"
lab_spawn "owner" "be$owner" socat -u "UDP4-RECV:5060,bind=$(lab_address "$owner")" "CREATE:$LAB_DIR/arrived"
lab_wait 5 lab_listens "be$owner" || fail "the owner listens"
in_call INFO "$other" >"$LAB_DIR/none"
lab_wait 5 grep -q '^INFO' "$LAB_DIR/arrived" || fail "from b$other it arrives at b$owner"
expect "received is the sum of outcomes" lab_conserved

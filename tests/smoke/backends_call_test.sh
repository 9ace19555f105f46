#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nat backends begin calls: b1 calls a phone outside, and it calls the VIP, where b2 and b3 answer. Strict
# phones at both ends, either side hangs up: every message arrives at the one end that it is for.
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
expect "no message was for nobody" is "$(outcome backend_to_vip) + $(outcome no_backend) + $(outcome no_verdict) == 0"
expect "received is the sum of outcomes" lab_conserved

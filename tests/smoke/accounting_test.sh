#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every frame is accounted for: received = sum of outcomes, and the wire saw no more than viaductd.
. "$(dirname "$0")/prelude.sh"

send() { lab_in cli socat -u - "UDP-SENDTO:$LAB_VIP:5060,bind=$LAB_CLIENT:5098"; }

for mode in dsr-l2 nat; do
    lab_up "$mode"
    lab_start_backends
    lab_start_viaductd || fail "viaductd becomes READY"
    baseline=$(lab_unseen)
    expect "the counters come to rest" [ -n "$baseline" ]
    lab_wait_backends_up || fail "the backends come up"

    call sipp 200 100 -d 100
    lab_in cli ping -c 3 -i 0.1 "$LAB_VIP" >"$LAB_DIR/ping" || fail "the VIP answers ping"
    printf 'GET / HTTP/1.1\r\n\r\n' | send
    printf '\r\n\r\n' | send
    printf 'OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n' | send
    for name in forwarded probe_answer punted not_sip keepalive no_call_id; do
        lab_wait 5 outcome_over "$name" 0 || fail "$mode: outcome $name is counted"
    done
    [[ $mode == dsr-l2 ]] || expect "answers on their way back are counted" outcome_over returned 0

    now=$(lab_unseen)
    expect "the counters come to rest again" [ -n "$now" ]
    expect "$mode: the wire saw what viaductd received ($((now - baseline)) more)" is "$now == $baseline"
    lab_wait 5 lab_conserved || fail "$mode: received = sum of outcomes: $(lab_ctl show outcomes)"
    expect "$mode: what backends got is what was forwarded" is \
        "$(lab_ctl --json show backends | jq '[.backends[].forwarded] | add') == $(outcome forwarded)"
    lab_down
done

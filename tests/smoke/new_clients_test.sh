#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nat: clients on the balancer's own segment get the first answer, ten of them at once that it has never met, after each
# start again, and when ARP finds no way to them.
. "$(dirname "$0")/prelude.sh"

CLIENTS=({111..120})
# ask LAST-BYTE: one request from that address, once; its answer to $LAB_DIR/answer.LAST-BYTE.
ask() {
    printf '%s\r\n' "OPTIONS sip:ping@$LAB_VIP SIP/2.0" "Via: SIP/2.0/UDP 198.51.100.$1:5060;branch=z9hG4bK$1" \
        "Max-Forwards: 70" "From: <sip:c$1@198.51.100.$1>;tag=1" "To: <sip:ping@$LAB_VIP>" \
        "Call-ID: $RANDOM-$1@lab" "CSeq: 1 OPTIONS" "Content-Length: 0" "" |
        lab_in cli socat -t 2 - "UDP4:$LAB_VIP:5060,bind=198.51.100.$1:5060" >"$LAB_DIR/answer.$1"
}
# first_answers WHEN: everybody asks at once, and everybody has an answer.
first_answers() {
    local n asking=()
    rm -f "$LAB_DIR"/answer.*
    for n in "${CLIENTS[@]}"; do
        ask "$n" &
        asking+=($!)
    done
    wait "${asking[@]}"
    for n in "${CLIENTS[@]}"; do
        grep -q '^SIP/2.0 200' "$LAB_DIR/answer.$n" || fail "$1 the client 198.51.100.$n gets its answer"
    done
    expect "$1 no next hop is unresolved" is "$(outcome next_hop_unresolved) == 0"
}
restart() {
    "$1" || fail "viaductd ends"
    lab_start_viaductd || fail "viaductd becomes READY again"
    lab_wait_backends_up || fail "the backends are up"
}

lab_up nat
for n in "${CLIENTS[@]}"; do ip -n "$LAB_ID-cli" address add "198.51.100.$n/24" dev eth0; done
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
first_answers "at first"
restart lab_stop_viaductd
first_answers "after a restart"
restart lab_kill_viaductd
first_answers "after a kill"

# The kernel gets to know them, and from then on they are kept like all neighbours.
knows() { [[ $(ip -n "$LAB_ID-lb" neigh show dev vd-p0 | grep -c "198\.51\.100\.11[1-9] .*02:00:00:00:00:64") == 9 ]]; }
lab_wait 5 knows || fail "the kernel has their MACs: $(ip -n "$LAB_ID-lb" neigh)"

# In a flood ARP may not get through for long. Here it never does: clients answer none.
ip -n "$LAB_ID-cli" neigh replace "$LAB_VIP" lladdr 02:00:00:00:00:02 dev eth0 nud permanent
lab_in cli sysctl -qw net.ipv4.conf.all.arp_ignore=8
restart lab_kill_viaductd
first_answers "without ARP"
call sipp 50 50 -d 500
expect "without ARP no next hop is unresolved" is "$(outcome next_hop_unresolved) == 0"
unknown() { [[ $(ip -n "$LAB_ID-lb" neigh show dev vd-p0 "$LAB_CLIENT") == *@(FAILED|INCOMPLETE)* ]]; }
lab_wait 10 unknown || fail "ARP finds no way to the client: $(ip -n "$LAB_ID-lb" neigh)"
call failed 50 50 -d 500
expect "nor when ARP has given up" is "$(outcome next_hop_unresolved) == 0"
expect "received is the sum of outcomes" lab_conserved

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The kernel answers ping and ARP for the VIP once, and never complains about SIP.
. "$(dirname "$0")/prelude.sh"

start dsr-l2
# All frames on all legs of the bridges: a frame shows once where it enters and once where it leaves.
lab_spawn capture net tcpdump -i any -n -e -l "arp or icmp" >"$LAB_DIR/capture" 2>"$LAB_DIR/capture.log"
lab_wait 5 grep -q "listening on" "$LAB_DIR/capture.log" || fail "tcpdump listens"

for address in "$LAB_VIP" "$LAB_LB"; do
    ip -n "$LAB_ID-cli" neigh flush all
    lab_in cli ping -c 5 -i 0.2 -W 2 "$address" >"$LAB_DIR/ping" || fail "$address answers ping: $(<"$LAB_DIR/ping")"
    expect "$address answers five requests with five replies: $(grep packets "$LAB_DIR/ping")" \
        grep -q "5 packets transmitted, 5 received, 0% packet loss" "$LAB_DIR/ping"
    lab_in cli ip neigh show "$address" | grep -qi "lladdr 02:00:00:00:00:02" ||
        fail "$address has the MAC of lb0: $(lab_in cli ip neigh show "$address")"
done
call sipp 50 50 -d 100
# A port that is nobody's: the kernel says so, once, and by that we know that the capture is alive.
echo | lab_in cli socat -u - "UDP-SENDTO:$LAB_VIP:9"
lab_wait 5 grep -q "udp port 9 unreachable" "$LAB_DIR/capture" || fail "the capture sees ICMP"
pid=$(lab_pid capture)
kill "$pid" # SIGTERM: tcpdump writes out what it has
lab_wait 5 lab_gone "$pid"

# Asked by broadcast, seen coming in from the client: one answer each, entering from lb0's leg.
count() { grep -c -E "$1" "$LAB_DIR/capture" || true; }
asked=$(count "cli-eth0 +B .*who-has $LAB_VIP tell $LAB_CLIENT")
answered=$(count "[a-z0-9]+-(lb0|eth0) +(In|P) .*Reply $LAB_VIP is-at")
expect "the client asked for the VIP" is "$asked > 0"
expect "each of $asked ARP requests for the VIP is answered once ($answered)" is "$answered == $asked"
expect "no ICMP port unreachable for SIP" is "$(count 'udp port 50[0-9]+ unreachable') == 0"

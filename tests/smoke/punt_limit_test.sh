#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A flood for the kernel is cut to what the kernel is given; calls go on, ping and ARP come through.
. "$(dirname "$0")/prelude.sh"

start dsr-l2
before=$(lab_ctl --json show outcomes)
# An ARP request that the limit ate is soon repeated.
lab_in cli sysctl -qw net.ipv4.neigh.eth0.retrans_time_ms=100
# Nobody listens there. Half as much again as a worker gives the kernel, for some ten seconds.
lab_spawn flood cli "$VIADUCT_BUILD/tests/flood" "$LAB_LB" 9 300000 30000 >"$LAB_DIR/flood" 2>&1
lab_wait 10 outcome_over punt_limited 0 || fail "frames over the rate end as punt_limited: $(<"$LAB_DIR/flood")"

# Both have only their share of what the kernel is given, but they have it.
ip -n "$LAB_ID-cli" neigh flush to "$LAB_VIP"
pinged() { lab_in cli ping -c 1 -W 1 "$LAB_VIP" >"$LAB_DIR/ping"; }
lab_wait 8 pinged || fail "the VIP answers ARP and ping under the flood: $(grep packets "$LAB_DIR/ping")"
limited=$(outcome punt_limited)
call sipp 100 50 -d 100
expect "the flood goes on during the calls" outcome_over punt_limited "$limited"

lab_wait 60 grep -qs . "$LAB_DIR/flood" || fail "the flood ends"
expect "all of it was sent: $(<"$LAB_DIR/flood")" grep -qx 300000 "$LAB_DIR/flood"
lab_wait 5 lab_conserved || fail "received = sum of outcomes: $(lab_ctl show outcomes)"
punted=$(($(outcome punted) - $(jq .outcomes.punted <<<"$before")))
expect "the kernel still gets its share ($punted frames)" is "$punted > 1024"
lab_in cli ping -c 5 -i 0.2 -W 2 "$LAB_VIP" >"$LAB_DIR/ping" || fail "after the flood the VIP answers ping"
expect "after the flood no ping is lost: $(grep packets "$LAB_DIR/ping")" grep -q " 0% packet loss" "$LAB_DIR/ping"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A VIP that reloads add and take away under its traffic: the kernel never tells a client that nobody
# listens there. The workers know it before the kernel has the address, and after it has lost it.
. "$(dirname "$0")/prelude.sh"

complaints() { lab_in lb awk '/^Icmp: [0-9]/ { print $column } /^Icmp: In/ { for (i = 1; i <= NF; ++i) if ($i == "OutDestUnreachs") column = i }' /proc/net/snmp; }
has_complaint() { (($(complaints) > $1)); }

start dsr-l2
lab_in lb sysctl -qw net.ipv4.icmp_ratelimit=0 # each would be told
config=$LAB_DIR/viaduct.toml
cp "$config" "$LAB_DIR/without.toml"
sed 's/^\[\[pool\]\]/[[vip]]\nname = "second"\naddress = "198.51.100.11"\npool = "proxies"\n\n&/' "$config" >"$LAB_DIR/with.toml"
# Clients that never ask, as behind a router that had the address before.
lab_in cli ip neigh replace 198.51.100.11 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
before=$(complaints)
lab_spawn flood cli "$VIADUCT_BUILD/tests/flood" 198.51.100.11 5060 600000 5000 >"$LAB_DIR/flood" 2>&1
lab_wait 10 outcome_over punted 500 || fail "the flood reaches the kernel"
for ((n = 1; n <= 10; ++n)); do
    for file in with without; do
        cp "$LAB_DIR/$file.toml" "$config"
        lab_ctl reload >"$LAB_DIR/reply" || fail "reload $n $file the VIP is obeyed"
        expect "no complaint after reload $n $file the VIP ($(($(complaints) - before)))" is "$(complaints) == $before"
    done
done
expect "the workers took some of the flood ($(outcome not_sip))" is "$(outcome not_sip) > 0"
lab_alive "$(lab_pid flood)" || fail "the flood lasted longer than the reloads"
expect "a last look: no complaint" is "$(complaints) == $before"
echo | lab_in cli socat -u - "UDP-SENDTO:$LAB_VIP:9"
lab_wait 5 has_complaint "$before" || fail "the kernel would have complained"

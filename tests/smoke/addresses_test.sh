#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A client that has the address of another machine for the VIP learns ours at the start, at a reload and
# when the link is back; a backend that answers ARP for the VIP is named until it is silent.
. "$(dirname "$0")/prelude.sh"

# mislead ADDRESS: the client believes that another machine has it, and has just been confirmed in that.
mislead() { lab_in cli ip neigh replace "$1" lladdr 02:00:00:00:00:99 dev eth0 nud reachable; }
knows() { lab_in cli ip neigh show "$1" dev eth0 | grep -q "lladdr 02:00:00:00:00:02"; }
# learns ADDRESS WHEN. Well before the kernel itself would ask again (15 to 45 s).
learns() { lab_wait 4 knows "$1" || fail "the client learns where $1 is $2: $(lab_in cli ip neigh)"; }
also_at() { [[ $(lab_ctl --json show vips | jq -r '.vips[0].also_at') == "$1" ]]; }
disputed() { lab_ctl --json show events | jq -r --arg to "$1" '.events[] | select(.address == "'"$LAB_VIP"'" and .to == $to).evidence'; }

lab_up dsr-l2
lab_start_backends
# The interface keeps the address that is the twin's, as before viaductd came.
ip -n "$LAB_ID-lb" address add "$LAB_LB/24" dev lb0
lab_start_viaductd 2>"$LAB_DIR/refusal" && fail "an interface with the port's own address is refused"
expect "with the command that helps: $(<"$LAB_DIR/refusal")" grep -q "; ip address del $LAB_LB/24 dev lb0$" "$LAB_DIR/refusal"
ip -n "$LAB_ID-lb" address del "$LAB_LB/24" dev lb0
mislead "$LAB_VIP"
mislead "$LAB_LB"
lab_start_viaductd || fail "viaductd becomes READY"
learns "$LAB_VIP" "at the start"
learns "$LAB_LB" "at the start"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
call first 20 50 -d 100
expect "the VIP is on the twin, and nowhere else" jq -e \
    '.vips[0] | .announce and .on_twin and .also_at == null' <(lab_ctl --json show vips) >"$LAB_DIR/jq"

mislead 198.51.100.11
sed 's/^\[\[pool\]\]/[[vip]]\nname = "second"\naddress = "198.51.100.11"\npool = "proxies"\n\n&/' \
    "$LAB_DIR/viaduct.toml" >"$LAB_DIR/two.toml"
cp "$LAB_DIR/two.toml" "$LAB_DIR/viaduct.toml"
lab_ctl reload >"$LAB_DIR/reply" || fail "reload is obeyed"
learns 198.51.100.11 "when it is new"

ip -n "$LAB_ID-net" link set lb-lb0 down
link_is_down() { lab_ctl --json show ports | jq -e '.ports[0].link == "down"' >"$LAB_DIR/jq"; }
lab_wait 5 link_is_down || fail "the link is down"
mislead "$LAB_VIP"
ip -n "$LAB_ID-net" link set lb-lb0 up
learns "$LAB_VIP" "when the cable is in again"

# b1 forgets arp_ignore.
lab_in be1 sysctl -qw net.ipv4.conf.all.arp_ignore=0
lab_wait 15 also_at "02:00:00:00:00:21 (backend b1 of pool proxies)" || fail "show vips names b1: $(lab_ctl show vips)"
expect "an event says what to do" grep -q "backend b1 of pool proxies.*set net.ipv4.conf.all.arp_ignore=1" <<<"$(disputed disputed)"
expect "so does the log" grep -q "port p0: $LAB_VIP is disputed: 02:00:00:00:00:21 (backend b1 of pool proxies)" "$LAB_DIR/viaductd.log"
lab_in be1 sysctl -qw net.ipv4.conf.all.arp_ignore=1
lab_wait 10 also_at null || fail "that ends: $(lab_ctl show vips)"
expect "an event says that it has ended" grep -q "no longer answers" <<<"$(disputed ours)"

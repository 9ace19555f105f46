#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two balancers and a real keepalived on each, by the file of docs/operations.md: only the active one
# answers ARP for the VIP; when it is killed, its calls go on through the other one, and again when it
# returns.
. "$(dirname "$0")/prelude.sh"
command -v keepalived >/dev/null || { echo "skipped: keepalived is not installed (scripts/packages)" >&2; exit 77; }

# keepalived ROLE PRIORITY: the file of docs/operations.md with that priority and quicker, in ROLE.
keepalived() {
    awk '/^### Two balancers/ { here = 1 } here && /^```$/ { exit } wanted { print } here && /^```conf$/ { wanted = 1 }' \
        "$LAB_ROOT/docs/operations.md" |
        sed "s/priority .*/priority $2/; s/advert_int .*/advert_int 0.2/" >"$LAB_DIR/keepalived-$1.conf"
    lab_spawn "keepalived-$1" "$1" keepalived --dont-fork --log-console --vrrp --use-file "$LAB_DIR/keepalived-$1.conf" \
        --pid "$LAB_DIR/keepalived-$1.main" --vrrp_pid "$LAB_DIR/keepalived-$1.vrrp" >"$LAB_DIR/keepalived-$1.log" 2>&1
}
has_vip() { ip -n "$LAB_ID-$1" -o -4 address show dev vd-p0 2>/dev/null | grep -qF " $LAB_VIP/32 "; } # ROLE
# active_is ROLE OTHER
active_is() { has_vip "$1" && ! has_vip "$2"; }
second_ctl() { "$VIADUCT_BUILD/viaductctl" --socket "$LAB_DIR/second/viaduct.sock" "$@"; }
second_is_up() { second_ctl --json show backends 2>/dev/null | jq -e 'all(.backends[]; .health == "up")' >"$LAB_DIR/jq"; }
second_is_settled() { second_ctl --json show pools | jq -e 'all(.pools[]; .announced | not)' >"$LAB_DIR/jq"; }

lab_up dsr-l2
ip netns add "$LAB_ID-lb2"
ip -n "$LAB_ID-lb2" link set lo up
lab_in lb2 sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
lab_link lb2 lb0 br0 02:00:00:00:00:03
sed -i 's/^address = "'"$LAB_VIP"'"$/&\nannounce = false/' "$LAB_DIR/viaduct.toml"
mkdir "$LAB_DIR/second"
sed "s#$LAB_LB/24#198.51.100.3/24#; s#$LAB_SOCKET#$LAB_DIR/second/viaduct.sock#; s#$LAB_DIR/state#$LAB_DIR/second/state#" \
    "$LAB_DIR/viaduct.toml" >"$LAB_DIR/second/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_spawn second lb2 "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/second/viaduct.toml" >"$LAB_DIR/second/log" 2>&1
lab_wait_backends_up || fail "the backends come up"
lab_wait 15 second_is_up || fail "the backends come up at the second one, which has no VIP: $(<"$LAB_DIR/second/log")"
lab_wait_settled || fail "all three take calls"
lab_wait 20 second_is_settled || fail "all three take calls of the second one"

lab_spawn capture net tcpdump -i br0 -n -e -l "arp and arp[6:2] == 2 and arp[14:4] == 0xc633640a" \
    >"$LAB_DIR/capture" 2>"$LAB_DIR/capture.log"
lab_wait 5 grep -q "listening on" "$LAB_DIR/capture.log" || fail "tcpdump listens"
lab_in cli ping -c 1 -W 1 "$LAB_VIP" >"$LAB_DIR/ping" && fail "nobody answers for the VIP without keepalived"
expect "not even by ARP" is "$(grep -c . "$LAB_DIR/capture") == 0"

keepalived lb 150
keepalived lb2 100
lab_wait 10 active_is lb lb2 || fail "the first one is active: $(<"$LAB_DIR/keepalived-lb.log")"
answers() { lab_in cli ping -c 1 -W 1 "$LAB_VIP" >"$LAB_DIR/ping"; }
lab_wait 5 answers || fail "the VIP answers: $(<"$LAB_DIR/ping")"
call sipp 20 50 -d 100

lab_call failover 200 50 -d 7000 &
caller=$!
lab_wait 20 lab_has_placed failover 100 || fail "SIPp places calls"
expect "the standby answers no ARP for the VIP: $(<"$LAB_DIR/capture")" is "$(grep -c "is-at 02:00:00:00:00:03" "$LAB_DIR/capture") == 0"
lab_kill_viaductd
lab_wait 10 active_is lb2 lb || fail "the second one takes over: $(<"$LAB_DIR/keepalived-lb2.log")"
lab_wait 20 lab_has_placed failover 200 || fail "SIPp goes on placing calls"
lab_start_viaductd || fail "viaductd becomes READY again"
lab_wait 15 active_is lb lb2 || fail "keepalived finds the new twin and takes the VIP back: $(<"$LAB_DIR/keepalived-lb.log")"
wait "$caller"
audit failover 200
expect "both balancers carried calls" is "$(second_ctl --json show outcomes | jq '.outcomes.forwarded') > 100"

kill -TERM "$(lab_pid keepalived-lb)"
lab_wait 10 active_is lb2 lb || fail "the second one takes over when keepalived stops"
call after 20 50 -d 100

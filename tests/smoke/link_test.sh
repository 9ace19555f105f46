#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The link of a port's interface: down at the start, without carrier, down, gone. Each time show ports, an
# event, the log and the twin's carrier say so, and a real keepalived that has the VIP on the twin leaves
# MASTER; with the link everything returns.
. "$(dirname "$0")/prelude.sh"
command -v keepalived >/dev/null || { echo "skipped: keepalived is not installed (scripts/packages)" >&2; exit 77; }

carrier() { lab_in lb cat /sys/class/net/vd-p0/carrier; }
# link_is STATE REASON CARRIER: as show ports, the last event of the port and the twin have it.
link_is() {
    lab_ctl --json show ports | jq -e --arg state "$1" --arg reason "$2" \
        '.ports[0] | .link == $state and (.down_because // "") == $reason' >"$LAB_DIR/jq" &&
        lab_ctl --json show events | jq -e --arg state "$1" --arg reason "${2:-link detected}" \
            '[.events[] | select(.port == "p0")] | last | .to == $state and .evidence == $reason' >"$LAB_DIR/jq" &&
        [[ $(carrier) == "$3" ]]
}
# becomes STATE REASON CARRIER WHEN
becomes() {
    lab_wait 5 link_is "$1" "$2" "$3" ||
        fail "$4: p0 is $1 ($2), the twin's carrier $3; not $(carrier), $(lab_ctl show ports; lab_ctl show events 3)"
    grep -qF "port p0: link is $1: ${2:-link detected}" "$LAB_DIR/viaductd.log" || fail "$4: the log says so"
}
has_vip() { ip -n "$LAB_ID-lb" -o -4 address show dev vd-p0 2>/dev/null | grep -qF " $LAB_VIP/32 "; }
lost_vip() { ! has_vip; }
keepalived_is() { [[ $(grep -oi "entering [A-Z]* state" "$LAB_DIR/keepalived.log" | tail -n 1) == *" $1 "* ]]; }
# follows WHEN: keepalived and the calls, when the link is there.
follows() {
    lab_wait 10 keepalived_is MASTER || fail "$1: keepalived is MASTER: $(<"$LAB_DIR/keepalived.log")"
    lab_wait 5 has_vip || fail "$1: keepalived puts the VIP on the twin"
    lab_wait_backends_up || fail "$1: the backends come up"
}
leaves() {
    lab_wait 5 keepalived_is FAULT || fail "$1: keepalived leaves MASTER: $(<"$LAB_DIR/keepalived.log")"
    lab_wait 5 lost_vip || fail "$1: keepalived takes the VIP away"
}

lab_up dsr-l2
sed -i 's/^address = "'"$LAB_VIP"'"$/&\nannounce = false/' "$LAB_DIR/viaduct.toml"
cat >"$LAB_DIR/keepalived.conf" <<'EOF2'
global_defs {
    vrrp_version 3
}
vrrp_instance sip {
    interface vd-p0
    state BACKUP
    virtual_router_id 51
    priority 150
    advert_int 0.2
    virtual_ipaddress {
        198.51.100.10/32 dev vd-p0
    }
}
EOF2
ip -n "$LAB_ID-lb" link set lb0 down
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY on an interface that is down"
becomes down "lb0 is down; ip link set lb0 up" 0 "started on a down interface"
lab_spawn keepalived lb keepalived --dont-fork --log-console --vrrp --use-file "$LAB_DIR/keepalived.conf" \
    --pid "$LAB_DIR/keepalived.main" --vrrp_pid "$LAB_DIR/keepalived.vrrp" >"$LAB_DIR/keepalived.log" 2>&1
lab_wait 5 keepalived_is FAULT || fail "keepalived sees no carrier: $(<"$LAB_DIR/keepalived.log")"
ip -n "$LAB_ID-lb" link set lb0 up
becomes up "" 1 "the interface is brought up"
follows "the interface is brought up"
lab_wait_settled || fail "all three take calls"
call first 20 50 -d 100

ip -n "$LAB_ID-net" link set lb-lb0 down
becomes down "lb0 has no carrier" 0 "the cable is out"
leaves "the cable is out"
ip -n "$LAB_ID-net" link set lb-lb0 up
becomes up "" 1 "the cable is in"
follows "the cable is in"
call second 20 50 -d 100

ip -n "$LAB_ID-lb" link set lb0 down
becomes down "lb0 is down; ip link set lb0 up" 0 "the interface is taken down"
leaves "the interface is taken down"
ip -n "$LAB_ID-lb" link set lb0 up
becomes up "" 1 "the interface is brought up again"
follows "the interface is brought up again"
lab_wait_settled || fail "all three take calls again"
call third 20 50 -d 100

# Another interface of that name is not the one that the port reads.
ip -n "$LAB_ID-lb" link delete lb0
becomes down "lb0 is gone; restart viaductd when it is back" 0 "the interface is deleted"
ip -n "$LAB_ID-lb" link add lb0 type veth peer name far
ip -n "$LAB_ID-lb" link set lb0 up
expect "it stays gone" link_is down "lb0 is gone; restart viaductd when it is back" 0
lab_stop_viaductd || fail "viaductd ends in time"

# A driver that knows its link itself: DPDK's own TAP, as a NIC would say.
sed -i 's/^device = .*/device = "net_tap0,iface=wire0"/' "$LAB_DIR/viaduct.toml"
: >"$LAB_DIR/viaductd.log"
lab_start_viaductd || fail "viaductd becomes READY on net_tap: $(<"$LAB_DIR/viaductd.log")"
ip -n "$LAB_ID-lb" link set wire0 down
becomes down "the device has no link" 0 "a device loses its link"
ip -n "$LAB_ID-lb" link set wire0 up
becomes up "" 1 "a device has its link again"

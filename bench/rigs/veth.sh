# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# veth: rig 3, two namespaces joined by two veth pairs. Sourced by `rig3` after lib.sh and kamailio.sh.
#
#     ID-gen gen0 ---- lb0 ID-mid    the generator on CPU 0: out by gen0, back by gen1
#            gen1 ---- lb1           viaductd, testpmd or Kamailio on CPU 1: in by lb0, out by lb1
#
# Nobody answers ARP in ID-gen: whom the middle sends to is entered by hand.

VETH_MAC=02:00:00:00:00:02 # of lb0, and destination of the frames
VETH_VIP=198.51.100.10
VETH_SERVERS=(21 22 23 24) # 203.0.113.N, behind lb1
VETH_MTU=1700              # Kamailio makes messages longer
VETH_RING=framecnt=4096,qdisc_bypass=1

# veth_make: the network. lb0 and lb1 have no addresses: each thing in the middle brings its own.
veth_make() {
    local role n
    for role in gen mid; do
        ip netns add "$RIG_ID-$role" || return 1
        ip netns exec "$RIG_ID-$role" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        ip -n "$RIG_ID-$role" link set lo up
    done
    for n in 0 1; do
        ip link add "gen$n" netns "$RIG_ID-gen" mtu "$VETH_MTU" address "02:00:00:00:0$n:fe" \
            type veth peer name "lb$n" netns "$RIG_ID-mid" mtu "$VETH_MTU" address "02:00:00:00:0$n:02" || return 1
        # Checksums are finished when a frame is sent, as on a wire.
        ip netns exec "$RIG_ID-gen" ethtool -K "gen$n" tx off gro off >/dev/null 2>&1 || return 1
        ip netns exec "$RIG_ID-mid" ethtool -K "lb$n" tx off gro off >/dev/null 2>&1 || return 1
        ip -n "$RIG_ID-gen" link set "gen$n" up
        ip -n "$RIG_ID-mid" link set "lb$n" up
    done
}

veth_remove() {
    local role pids
    for role in gen mid; do
        [[ -e /var/run/netns/$RIG_ID-$role ]] || continue
        pids=$(ip netns pids "$RIG_ID-$role")
        # shellcheck disable=SC2086
        [[ -z $pids ]] || kill -KILL $pids 2>/dev/null
        ip netns delete "$RIG_ID-$role"
    done
}

# veth_prepare CAPTURE: configurations, and an input for testpmd that never ends.
veth_prepare() {
    local n
    VETH_CAPTURE=$1
    mkfifo "$RIG_DIR/never"
    {
        cat <<CONFIG
[dataplane]
cpus = [1]

[[port]]
name = "p0"
device = "net_af_packet0,iface=lb0,$VETH_RING"
addresses = ["198.51.100.2/24"]

[[port]]
name = "p1"
device = "net_af_packet1,iface=lb1,$VETH_RING"
addresses = ["203.0.113.2/24"]

[[vip]]
name = "sip"
address = "$VETH_VIP"
pool = "proxies"

[[pool]]
name = "proxies"
mode = "dsr-l2"

[pool.health]
method = "none"

CONFIG
        for n in "${VETH_SERVERS[@]}"; do
            printf '[[pool.backend]]\nname = "b%s"\naddress = "203.0.113.%s"\nmac = "02:00:00:00:01:%s"\n\n' "$n" "$n" "$n"
        done
        cat <<CONFIG
[steering]
secret = "000102030405060708090a0b0c0d0e0f"

[control]
socket = "$RIG_DIR/viaduct.sock"
state = "$RIG_DIR/state"
log_level = "warning"
CONFIG
    } >"$RIG_DIR/viaduct.toml"
    kamailio_prepare "$RIG_DIR" "$VETH_VIP" "${VETH_SERVERS[@]/#/203.0.113.}"
}

veth_generator() { # RATE SECONDS: the command, in VETH_COMMAND
    VETH_COMMAND=(taskset -c 0 "$RIG_BUILD/bench/generator" --lcores "0@0" --no-pci --in-memory
        --no-telemetry --file-prefix "$RIG_ID-generator" "--log-level=*:error"
        "--vdev=net_af_packet0,iface=gen0,$VETH_RING" "--vdev=net_af_packet1,iface=gen1,$VETH_RING" --
        --capture "$VETH_CAPTURE" --rate "$1" --seconds "$2" --warmup 0.3 --tx-port 0 --rx-port 1 --json)
}

veth_middle() { # viaduct|testpmd|kamailio: the command, in VETH_COMMAND
    case $1 in
    viaduct) VETH_COMMAND=(taskset -c 0,1 "$RIG_BUILD/viaductd" --config "$RIG_DIR/viaduct.toml") ;;
    testpmd) VETH_COMMAND=(dpdk-testpmd "--lcores=0@0,1@1" --no-pci --in-memory
        --no-telemetry "--file-prefix=$RIG_ID-testpmd" "--log-level=*:error"
        "--vdev=net_af_packet0,iface=lb0,$VETH_RING" "--vdev=net_af_packet1,iface=lb1,$VETH_RING" --
        --forward-mode=macswap --nb-cores=1 --auto-start) ;;
    kamailio) VETH_COMMAND=("${KAMAILIO_COMMAND[@]}") ;;
    esac
}

# veth_addresses WHO: what the kernel must know for it.
veth_addresses() {
    local n mid=(ip -n "$RIG_ID-mid")
    "${mid[@]}" address flush dev lb0
    "${mid[@]}" address flush dev lb1
    "${mid[@]}" link set lb0 address "$VETH_MAC"
    case $1 in
    testpmd) # the kernel sees the frames, too: it shall not take them for its own
        "${mid[@]}" link set lb0 address 02:00:00:00:00:f2
        ;;
    kamailio)
        "${mid[@]}" address add "$VETH_VIP/24" dev lb0
        "${mid[@]}" address add 203.0.113.2/24 dev lb1
        for n in "${VETH_SERVERS[@]}"; do
            "${mid[@]}" neigh replace "203.0.113.$n" lladdr "02:00:00:00:01:$n" dev lb1 nud permanent
        done
        ;;
    esac
}

# veth_start WHO: the thing in the middle; whether it works shows when the first frame comes back.
veth_start() {
    veth_addresses "$1" || rig_die "cannot set up the addresses for $1"
    veth_middle "$1"
    # testpmd ends when its standard input does.
    ip netns exec "$RIG_ID-mid" "${VETH_COMMAND[@]}" >"$RIG_DIR/middle.log" 2>&1 0<>"$RIG_DIR/never" &
    VETH_MIDDLE=$!
}
veth_stop() {
    local pid=${VETH_MIDDLE:-}
    VETH_MIDDLE=""
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null
    rig_wait 5 veth_gone "$pid" || kill -KILL "$pid"
    rig_wait 5 veth_gone "$pid"
}
veth_gone() { ! kill -0 "$1" 2>/dev/null; }

# veth_trial RATE SECONDS: frames at that rate; what became of them is then read by veth_value.
veth_trial() {
    veth_generator "$1" "$2"
    ip netns exec "$RIG_ID-gen" "${VETH_COMMAND[@]}" >"$RIG_DIR/generator.json" 2>"$RIG_DIR/generator.log" </dev/null && return
    tail -n 3 "$RIG_DIR/generator.log" "$RIG_DIR/middle.log" >&2
    return 1
}
veth_value() { jq ".$1" "$RIG_DIR/generator.json"; } # NAME

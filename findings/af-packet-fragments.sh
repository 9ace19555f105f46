#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: DPDK's net_af_packet takes IP fragments for one frame longer than the MTU, and cannot send it again.
#
# Package: dpdk-dev 22.11.11-0+deb12u1 (dpdk-testpmd, librte-net-af-packet23) of Debian 12.
# Input:   four UDP datagrams of 100, 1700, 4000 and 100 bytes over IPv4, from a veth with an MTU of 1500: seven
#          frames. dpdk-testpmd forwards from one interface to another ("io": every frame as it came).
# Expected: seven frames in, seven out. That is what the same testpmd does over the same interfaces with net_pcap.
# Seen:    four frames in, two out. The datagram of 1700 bytes arrives as one frame of 1742, and of the one of 4000 bytes
#          the first 1982 arrive, as much as a slot of the ring holds. Both are counted as sent, and neither leaves. No
#          counter of the port tells of the cut or of the loss. strace shows why: the driver joins a PACKET_FANOUT group
#          with PACKET_FANOUT_FLAG_DEFRAG, even for its only queue, so the kernel puts fragments together first; and it
#          sets PACKET_LOSS, so the kernel passes over a frame that is too long for the interface without an error.
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C

version=22.11.11-0+deb12u1
inside=fragments-in-$$ outside=fragments-out-$$ # namespaces: with testpmd, and with the far ends of its cables
work=$(mktemp -dt findings.XXXXXX)
testpmd='' # its process

clean() {
    exec 9>&-
    [[ -z $testpmd ]] || { kill -KILL "$testpmd" && wait "$testpmd"; } 2>>"$work/clean" || true
    ip netns del "$inside" 2>>"$work/clean" || true
    ip netns del "$outside" 2>>"$work/clean" || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 2' INT TERM HUP

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

within() { # SECONDS WHAT COMMAND...: until the command succeeds
    local end=$((SECONDS + $1)) what=$2
    until "${@:3}" 2>>"$work/log"; do
        ((SECONDS < end)) || { tail -n 5 "$work/testpmd" >&2; broken "$what: not within $1 s"; }
        sleep 0.05
    done
}

# Packages: these versions of DPDK, whatever is installed; of the libraries below it those that are missing.
known() { apt-cache show "dpdk-dev=$version"; }
needs() { # NAME...: they and all that they depend on
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@"
}
missing() {
    local name
    while read -r name; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>>"$work/log") == installed ]] || echo "$name"
    done
}
get() {
    local package all
    mkdir -p "$work/packages" "$work/root"
    printf 'APT::Sandbox::User "root";\n' >"$work/apt.conf"
    export APT_CONFIG=$work/apt.conf
    if ! known >>"$work/log" 2>&1; then # no lists here: into the temporary folder
        mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
        printf 'Dir::State::lists "%s/lists";\nDir::Cache "%s/cache";\n' "$work" "$work" >>"$work/apt.conf"
        apt-get -qq update >>"$work/log" 2>&1 || broken "apt-get update"
        known >>"$work/log" 2>&1 || broken "dpdk-dev $version is not to be had any more"
    fi
    mapfile -t all < <(apt-cache depends dpdk-dev | awk '$1 == "Depends:" && $2 ~ /^librte-/ { print $2 }')
    mapfile -t all < <(needs "${all[@]}" librte-net-{af-packet,pcap}23 librte-mempool-ring23 iproute2 mount |
        grep -E '^(lib|iproute2$|mount$|ibverbs-providers$)[^:]*$' | sort -u)
    (
        cd "$work/packages"
        # shellcheck disable=SC2046 # one name a word
        apt-get -qq download "dpdk-dev=$version" \
            $(printf '%s\n' "${all[@]}" | awk -v "v=$version" '/^librte-/ { print $1 "=" v }') \
            $(printf '%s\n' "${all[@]}" | grep -v '^librte-' | missing)
    ) >>"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; broken "apt-get download"; }
    for package in "$work"/packages/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    libraries=$(echo "$work"/root/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$libraries:$work/root/lib/${libraries##*/}
    PATH=$work/root/sbin:$work/root/bin:$work/root/usr/bin:$PATH
}

in_ns() { ip netns exec "$@"; }

# cable A B: two interfaces, A in the inner namespace and B in the outer one, where nobody speaks unasked.
cable() {
    ip link add "$1" netns "$inside" address 02:00:00:00:00:02 mtu 1500 type veth \
        peer name "$2" netns "$outside" address 02:00:00:00:00:01 mtu 1500
    in_ns "$inside" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$1/disable_ipv6"
    in_ns "$outside" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$2/disable_ipv6"
    ip -n "$inside" link set "$1" up
    ip -n "$outside" link set "$2" up
}

send() { # BYTES: one datagram
    head -c "$1" /dev/zero | in_ns "$outside" bash -c 'cat >/dev/udp/192.0.2.2/5060'
}

left() { in_ns "$inside" cat /sys/class/net/out0/statistics/tx_packets; }
has_left() { (($(left) >= $1)); }
says() { grep -q "$1" "$work/testpmd"; }
count() { # PORT COUNTER
    awk -v port="$1" -v name="$2:" '/NIC statistics for port/ { here = $6 }
        here == port { for (i = 1; i < NF; i++) if ($i == name) { print $(i + 1); exit } }' "$work/testpmd"
}

# forward DRIVER FRAMES: waits until so many left, and writes down "frames in, bytes in, counted as sent, send errors, left".
forward() {
    local cpu before
    cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
    before=$(left)
    rm -f "$work/keys"
    mkfifo "$work/keys"
    exec 9<>"$work/keys"
    # For this process alone: drivers of an installed DPDK are hidden, and those of this one have a path that EAL
    # takes (it refuses folders below /tmp).
    # shellcheck disable=SC2016 # for the inner shell
    ip netns exec "$inside" sh -c 'for d in /usr/lib/*-linux-gnu/dpdk; do [ ! -d "$d" ] || mount -t tmpfs none "$d"; done
        mount --bind "$1" /mnt; shift; exec "$@"' sh "$libraries/dpdk/pmds-23.0" \
        dpdk-testpmd -v -d /mnt --lcores "0@$cpu,1@$cpu" --no-huge -m 200 --no-pci --no-shconf \
        --no-telemetry --vdev "net_$1""0,iface=in0" --vdev "net_$1""1,iface=out0" -- \
        -i --forward-mode=io --no-flush-rx --no-lsc-interrupt --total-num-mbufs=4096 <&9 >"$work/testpmd" 2>&1 &
    testpmd=$!
    within 30 "testpmd starts" says 'testpmd>'
    echo start >&9
    within 10 "testpmd forwards" says 'io packet forwarding'
    send 100
    send 1700
    send 4000
    send 100
    within 10 "frames leave" has_left $((before + $2))
    printf 'stop\nshow port stats all\nquit\n' >&9
    within 20 "testpmd ends" says '^Bye'
    wait "$testpmd" || true
    testpmd=
    exec 9>&-
    echo "$(count 0 RX-packets) $(count 0 RX-bytes) $(count 1 TX-packets) $(count 1 TX-errors)" \
        "$(($(left) - before))" >"$work/$1"
}

((EUID == 0)) || broken "run this as root"
get
ip netns add "$inside"
ip netns add "$outside"
cable in0 from0
cable out0 to0
ip -n "$outside" address add 192.0.2.1/24 dev from0
ip -n "$outside" neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev from0 nud permanent

forward pcap 7
forward af_packet 2
echo "dpdk-testpmd of dpdk-dev $version: $(grep -o 'RTE Version: .*' "$work/testpmd")"
read -r frames bytes sent errors departed <"$work/pcap"
echo "net_pcap:      in $frames frames ($bytes bytes); counted as sent $sent, errors $errors; left the interface $departed"
pcap="$frames $bytes $sent $errors $departed"
read -r frames bytes sent errors departed <"$work/af_packet"
echo "net_af_packet: in $frames frames ($bytes bytes); counted as sent $sent, errors $errors; left the interface $departed"
echo "expected of both: in 7 frames (6170 bytes); counted as sent 7, errors 0; left the interface 7"

# 142 + 1742 + 1982 + 142 bytes
if [[ $pcap == "7 6170 7 0 7" && "$frames $bytes $sent $errors $departed" == "4 4008 4 0 2" ]]; then
    echo "seen: net_af_packet received the fragments joined, one of them cut, and lost both behind its counters"
else
    echo "CHANGED: this is not what was found with $version"
    exit 1
fi

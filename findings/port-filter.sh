#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: the capture filter "udp port 5060" takes the first fragment of a datagram over IPv4 and none over IPv6.
#
# Package: tcpdump 4.99.3-1 with libpcap0.8 1.10.3-1 of Debian 12.
# Input:   a datagram of 2500 bytes to port 5060 (a SIP request with a long body), once over IPv4 and once over IPv6,
#          through a veth with an MTU of 1500: two fragments each. Then one of 100 bytes over IPv6, for comparison.
# Expected: the same of both families: the first fragment has the ports and is captured, the second has none and is
#          not. And "udp" takes more than "udp port 5060" only where packets have no ports.
# Seen:    "udp" takes both fragments of both families, and tcpdump prints the first one of IPv6 with its port, 5060.
#          "udp port 5060" takes the first fragment of IPv4, but of IPv6 nothing: the filter for "udp" looks behind a
#          fragment header, the one for "port" wants UDP right behind the fixed header. The request leaves no trace,
#          while short ones over IPv6 are captured. ("ip6 proto 44" or "ip6 protochain 17" takes fragments, too.)
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C

work=$(mktemp -dt findings.XXXXXX)
near=port-filter-a-$$ far=port-filter-b-$$
captures=() # processes

clean() {
    local name
    for name in "${captures[@]}"; do
        { kill -TERM "$name" && wait "$name"; } 2>>"$work/log" || true
    done
    for name in "$near" "$far"; do
        ip netns del "$name" 2>>"$work/log" || true
    done
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 2' INT TERM HUP

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

until_seen() { # SECONDS TEXT FILE
    local end=$((SECONDS + $1))
    until grep -qF "$2" "$3" 2>>"$work/log"; do
        ((SECONDS < end)) || { cat "$3" >&2; broken "no '$2' within $1 s"; }
        sleep 0.05
    done
}

# fetch NAME=VERSION...: into a temporary folder, and the libraries below them that are not installed.
fetch() {
    local names=("$@") deb
    export APT_CONFIG=$work/apt.conf
    mkdir -p "$work"/{debs,tree,state/partial,store/archives/partial}
    echo 'APT::Sandbox::User "root";' >"$APT_CONFIG"
    apt-cache show "$@" >>"$work/log" 2>&1 || {
        printf 'Dir::State::lists "%s";\nDir::Cache "%s";\n' "$work/state" "$work/store" >>"$APT_CONFIG"
        apt-get -qq update >>"$work/log" 2>&1 || broken "apt has no lists and cannot get any"
    }
    for deb in $(apt-cache depends --recurse --important "${@%%=*}" | grep '^lib[^:]*$' | sort -u); do
        [[ " ${names[*]} " == *" $deb="* ]] || dpkg -s "$deb" >>"$work/log" 2>&1 || names+=("$deb")
    done
    (cd "$work/debs" && apt-get -qq download "${names[@]}") >>"$work/log" 2>&1 || broken "apt cannot get ${names[*]}"
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/tree"
    done
    deb=$(echo "$work"/tree/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$deb:$work/tree/lib/${deb##*/}
    PATH=$work/tree/usr/bin:$work/tree/usr/sbin:$work/tree/sbin:$work/tree/bin:$PATH
}

# capture NAME FILTER: what tcpdump prints goes to a file of that name.
capture() {
    ip netns exec "$far" tcpdump -Z root -i cable --immediate-mode -l -n -t "$2" >"$work/$1" 2>"$work/$1.log" &
    captures+=($!)
    until_seen 10 'listening on' "$work/$1.log"
}

send() { # BYTES ADDRESS
    head -c "$1" /dev/zero | ip netns exec "$near" bash -c "cat >/dev/udp/$2/5060"
}

((EUID == 0)) || broken "run this as root"
fetch tcpdump=4.99.3-1 libpcap0.8=1.10.3-1 iproute2=6.1.0-3
ip netns add "$near"
ip netns add "$far"
ip link add cable netns "$near" address 02:00:00:00:00:01 type veth peer name cable netns "$far" address 02:00:00:00:00:02
for n in 1 2; do
    here=$near there=2
    ((n == 1)) || { here=$far there=1; }
    ip -n "$here" address add 192.0.2.$n/24 dev cable
    ip -n "$here" address add 2001:db8::$n/64 dev cable nodad
    ip -n "$here" link set cable up
    ip -n "$here" neighbour add 192.0.2.$there lladdr 02:00:00:00:00:0$there dev cable nud permanent
    ip -n "$here" neighbour add 2001:db8::$there lladdr 02:00:00:00:00:0$there dev cable nud permanent
done

capture any 'udp'
capture port 'udp port 5060'
send 2500 192.0.2.2
send 2500 2001:db8::2
send 100 2001:db8::2
for name in any port; do
    until_seen 10 '2001:db8::2.5060' "$work/$name" # the short one, which came last
done

tcpdump --version 2>&1 | head -n 2 | paste -sd ' '
for name in any port; do
    printf 'filter "%s":\n' "$(sed 's/any/udp/; s/port/udp port 5060/' <<<"$name")"
    sed 's/^/    /' "$work/$name"
done
# lines NAME: packets of IPv4; fragments of IPv6, those among them with the port; whole ones of IPv6
lines() {
    echo "$(grep -c '^IP ' "$work/$1") $(grep -c '^IP6 .*frag' "$work/$1")" \
        "$(grep -c '^IP6 .*frag.* > 5060:' "$work/$1") $(grep -c '^IP6 .*\.5060:' "$work/$1")"
}
echo 'expected: of IPv6, too, "udp port 5060" takes the first fragment'
if [[ $(lines any) == "2 2 1 1" && $(lines port) == "1 0 0 1" ]]; then
    echo 'seen: of IPv4 it takes the first fragment, of IPv6 none'
else
    echo "CHANGED: this is not what was found: $(lines any), $(lines port)"
    exit 1
fi

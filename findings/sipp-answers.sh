#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: answers of SIPp's built-in server lack header fields that the request spells in two ways, or with a blank.
#
# Package: sip-tester 1:3.6.1-1+b2 of Debian 12 (sipp -sn uas).
# Input:   four INVITEs that say the same, as a proxy (192.0.2.7) passes them on for a phone (192.0.2.8):
#            plain    both values of Via in fields named "Via", and "Call-ID: 1"
#            mixed    the proxy writes "Via", the phone its compact name "v" (RFC 3261 section 7.3.3)
#            swapped  the proxy writes "v", the phone "Via"
#            blank    "Call-ID : 1", where the grammar has HCOLON = *( SP / HTAB ) ":" SWS (section 25.1)
# Expected: each is answered with both values of Via in their order and with the Call-ID (section 8.2.6.2).
# Seen:    the answer to "mixed" has the proxy's Via only, so that the proxy cannot bring it to the phone; the one to
#          "swapped" has the phone's only, so that the proxy drops it (section 18.1.2); the one to "blank" has no
#          Call-ID. [last_Via:] and [last_Call-ID:], which scenarios are made of, take the long name alone where there
#          is one, and a name only where its colon follows at once. SIPp reports no error.
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C

version=1:3.6.1-1+b2
work=$(mktemp -dt findings.XXXXXX)
net=sipp-answers-$$
sipp=''

clean() {
    [[ -z $sipp ]] || { kill -KILL "$sipp" && wait "$sipp"; } 2>>"$work/log" || true
    ip netns del "$net" 2>>"$work/log" || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 2' INT TERM HUP

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

# obtain NAME=VERSION...: unpacked into a folder of ours, with the libraries that this system lacks.
obtain() {
    local download=("$@") package
    printf 'APT::Sandbox::User "root";\n' >"$work/apt.conf"
    export APT_CONFIG=$work/apt.conf
    apt-cache show "$@" >>"$work/log" 2>&1 || {
        mkdir -p "$work"/{lists,cache/archives}/partial
        printf 'Dir::State::lists "%s/lists";\nDir::Cache "%s/cache";\n' "$work" "$work" >>"$work/apt.conf"
        apt-get -qq update >>"$work/log" 2>&1 || broken "apt-get update fails"
    }
    while read -r package; do
        dpkg -s "$package" >>"$work/log" 2>&1 || download+=("$package")
    done < <(apt-cache depends --recurse --important "${@%%=*}" | grep '^lib[^:]*$' | sort -u)
    mkdir "$work/packages"
    (cd "$work/packages" && apt-get -qq download "${download[@]}") >>"$work/log" 2>&1 ||
        broken "not to be had: ${download[*]}"
    for package in "$work"/packages/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    package=$(echo "$work"/root/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$package:$work/root/lib/${package##*/}
    PATH=$work/root/usr/bin:$work/root/sbin:$work/root/bin:$PATH
}

# ask NAME VIA-OF-PROXY VIA-OF-PHONE CALL-ID: prints whose values of Via and how many Call-IDs the answer has.
ask() {
    printf '%s\r\n' 'INVITE sip:service@127.0.0.1 SIP/2.0' "$2: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-proxy" \
        "$3: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK-phone" 'Max-Forwards: 69' \
        'From: <sip:phone@example.com>;tag=1' 'To: <sip:service@example.com>' "$4-$1@example.com" 'CSeq: 1 INVITE' \
        'Contact: <sip:phone@192.0.2.8>' 'Content-Length: 0' '' >"$work/$1.request"
    # shellcheck disable=SC2016 # for the inner shell
    ip netns exec "$net" bash -c 'exec 3<>/dev/udp/127.0.0.1/5060 && cat "$1" >&3 && timeout 5 dd bs=65535 count=1 <&3' \
        bash "$work/$1.request" >"$work/$1" 2>>"$work/log" || broken "no answer to the INVITE '$1' within 5 s"
    grep -q '^SIP/2.0 180 ' "$work/$1" || broken "no 180 to the INVITE '$1', but $(head -n 1 "$work/$1")"
    echo "Via of $(sed -nE '/^(Via|v)[[:blank:]]*:/Ip' "$work/$1" | grep -oE 'proxy|phone' | paste -sd ' ')," \
        "$(grep -iEc '^(Call-ID|i)[[:blank:]]*:' "$work/$1") Call-ID"
}

((EUID == 0)) || broken "run this as root"
obtain "sip-tester=$version" iproute2=6.1.0-3
ip netns add "$net"
ip -n "$net" link set lo up
(cd "$work" && exec ip netns exec "$net" sipp -sn uas -i 127.0.0.1 -p 5060 -nostdin \
    -trace_err -error_file "$work/errors" >>"$work/log" 2>&1) &
sipp=$!
end=$((SECONDS + 20))
until ip netns exec "$net" grep -q ':13C4 ' /proc/net/udp; do
    ((SECONDS < end)) || broken "SIPp does not listen"
    sleep 0.05
done

echo "sip-tester $version: $(sipp -v 2>&1 | grep -o 'SIPp v[^ ]*' || true)"
plain=$(ask plain Via Via 'Call-ID: 1')
mixed=$(ask mixed Via v 'Call-ID: 1')
swapped=$(ask swapped v Via 'Call-ID: 1')
blank=$(ask blank Via Via 'Call-ID : 1')
printf 'answer to %-9s %s\n' plain: "$plain" mixed: "$mixed" swapped: "$swapped" blank: "$blank"
printf 'expected of all:    %s\n' "Via of proxy phone, 1 Call-ID"

if [[ $plain == "Via of proxy phone, 1 Call-ID" && $mixed == "Via of proxy, 1 Call-ID" &&
    $swapped == "Via of phone, 1 Call-ID" && $blank == "Via of proxy phone, 0 Call-ID" && ! -s $work/errors ]]; then
    echo "seen: one Via is lost where two spellings meet, and the Call-ID where a blank stands before its colon"
else
    echo "CHANGED: this is not what was found with $version"
    exit 1
fi

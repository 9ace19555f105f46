#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: of six legal spellings of Call-ID tshark reads five, sngrep four and sipgrep two.
#
# Packages: tshark 4.0.17-0+deb12u3, sngrep 1.6.0-1 and sipgrep 2.1.0-2+b1 of Debian 12.
# Input:   captures of two calls each, whose INVITEs differ in Call-ID, tags and branch, and whose header field Call-ID
#          is spelled as RFC 3261 allows it: long or compact (section 7.3.3), in any letter case (section 7.3.1), with
#          a blank before the colon or the value on the next line (HCOLON and SWS of section 25.1).
# Expected: every tool finds two calls with two Call-IDs, however they are spelled.
# Seen:    tshark has no Call-ID where a blank stands before the colon ("Unrecognised SIP header"), so that a filter
#          on sip.Call-ID drops the call; sngrep takes the two calls for one there and where the value is folded;
#          sipgrep leaves out both, and the name in small letters or the compact one in a capital, as bad messages.
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C TERM=xterm

wireshark=4.0.17-0+deb12u3 sngrep=1.6.0-1 sipgrep=2.1.0-2+b1
work=$(mktemp -dt findings.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM HUP
export HOME=$work # no settings of somebody's

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

# The tools as they are packaged, below $work/root; of what they link against only what is not here anyway.
install() {
    local tools=("tshark=$wireshark" "wireshark-common=$wireshark" "libwireshark16=$wireshark" "libwiretap13=$wireshark"
        "libwsutil14=$wireshark" "libwireshark-data=$wireshark" "sngrep=$sngrep" "sipgrep=$sipgrep")
    local name libraries
    mkdir -p "$work"/{packages,lists/partial,cache/archives/partial}
    echo 'APT::Sandbox::User "root";' >"$work/apt.conf"
    export APT_CONFIG=$work/apt.conf
    if ! apt-cache show "${tools[@]}" >"$work/log" 2>&1; then
        echo "Dir::State::lists \"$work/lists\"; Dir::Cache \"$work/cache\";" >>"$work/apt.conf"
        apt-get -qq update >"$work/log" 2>&1 || broken "no lists of packages"
    fi
    apt-cache depends --recurse --important libwireshark16 wireshark-common sngrep sipgrep |
        grep -E '^lib[^:]*$' | grep -vE '^lib(wireshark|wiretap|wsutil)' | sort -u >"$work/needed"
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '$2 == "installed" { print $1 }' | sort >"$work/present"
    mapfile -t -O "${#tools[@]}" tools < <(comm -23 "$work/needed" "$work/present")
    (cd "$work/packages" && apt-get -qq download "${tools[@]}") >"$work/log" 2>&1 ||
        { tail -n 3 "$work/log" >&2; broken "these packages are not to be had"; }
    for name in "$work"/packages/*.deb; do
        dpkg-deb -x "$name" "$work/root"
    done
    libraries=$(echo "$work"/root/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$libraries:$work/root/lib/${libraries##*/}
    PATH=$work/root/usr/bin:$PATH
}

# capture SPELLING: two calls, their Call-IDs in the place of the @.
capture() {
    local call
    for call in one two; do
        # shellcheck disable=SC2059 # the spelling has line ends in it
        printf "${1//@/$call@example.com}" >"$work/field"
        printf '%s\r\n' 'INVITE sip:bob@192.0.2.2 SIP/2.0' "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-$call" \
            'Max-Forwards: 70' "From: <sip:alice@example.com>;tag=$call" 'To: <sip:bob@example.com>' \
            "$(<"$work/field")" 'CSeq: 1 INVITE' 'Contact: <sip:alice@192.0.2.1>' 'Content-Length: 0' '' |
            od -A x -t x1 -v | text2pcap -q -F pcap -4 192.0.2.1,192.0.2.2 -u 5060,5060 - "$work/$call.pcap" \
            >"$work/log" 2>&1 || broken "text2pcap: $(tail -n 1 "$work/log")"
    done
    mergecap -a -F pcap -w "$work/both.pcap" "$work/one.pcap" "$work/two.pcap" 2>"$work/log" || broken "mergecap"
}

# tell: the same question to each of them: how many calls are there?
tell() {
    local field calls good
    field=$(tshark -r "$work/both.pcap" -T fields -e sip.Call-ID 2>"$work/log" | grep -c '@example.com$' || true)
    calls=$(timeout 20 sngrep -N -I "$work/both.pcap" 2>&1 </dev/null | tr '\r' '\n' |
        sed -n 's/.*Dialog count: \([0-9]*\).*/\1/p' | tail -n 1)
    good=$(timeout 20 sipgrep -R -C -x -I "$work/both.pcap" 2>&1 </dev/null | grep -ac '^INVITE sip:' || true)
    echo "$field ${calls:-?} $good"
}

((EUID == 0)) || broken "run this as root"
install
echo "$(tshark --version 2>"$work/log" | head -n 1) $(sngrep -V | head -n 1), sipgrep $sipgrep"

# spelling, then what tshark, sngrep and sipgrep made of it
found=(
    'Call-ID: @' '2 2 2'
    'i: @' '2 2 2'
    'Call-ID : @' '0 1 0'
    'Call-ID:\r\n @' '2 1 0'
    'call-id: @' '2 2 0'
    'I: @' '2 2 0'
)
changed=''
printf '%-20s %8s %8s %8s\n' 'calls found in' tshark sngrep sipgrep
for ((i = 0; i < ${#found[@]}; i += 2)); do
    capture "${found[i]}"
    seen=$(tell)
    # shellcheck disable=SC2086 # three words
    printf '%-20s %8s %8s %8s\n' "${found[i]//@/x}" $seen
    [[ $seen == "${found[i + 1]}" ]] || changed+=" '${found[i]}'"
done
echo "expected: 2 everywhere"

if [[ -z $changed ]]; then
    echo "seen: only the first two spellings are read by all three"
else
    echo "CHANGED: this is not what was found for$changed"
    exit 1
fi

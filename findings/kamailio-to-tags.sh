#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: Kamailio's own answers carry a To tag that does not tell one server from another.
#
# Package: kamailio 5.6.3-2 of Debian 12 (modules sl and tm).
# Input:   the same OPTIONS and INVITE to two servers that share nothing but their address, as servers behind a
#          balancer with direct return do (host names differ); again after the first was started anew; and to a third
#          with another address.
# Expected: a tag of its own from each. RFC 3261 section 19.3 wants tags globally unique and at least 32 bits of them
#          random, so that the tags of a dialog name the server that holds it.
# Seen:    byte for byte the same tag from both servers, and from the first again after its restart, for a stateless
#          answer (sl_send_reply) and for a 200 to an INVITE (t_reply), which founds a dialog. The first 32 digits
#          change with the server's address, the last 8 with the request (Call-ID, branch), and nothing with the
#          server: an INVITE sent again that reaches the other one gets a 200 which seems to be of the first.
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C

version=5.6.3-2
work=$(mktemp -dt findings.XXXXXX)
servers=() # processes
spaces=()  # namespaces

clean() {
    local name
    for name in "${servers[@]}"; do
        { kill -TERM "$name" && wait "$name"; } 2>>"$work/log" || true
    done
    for name in "${spaces[@]}"; do
        ip netns del "$name" || true
    done
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 2' INT TERM HUP

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

# Both are unpacked, not installed; iproute2 with those of its libraries that this system lacks.
get() {
    local apt=(apt-get -qq -o APT::Sandbox::User=root) name
    export APT_CONFIG=$work/apt.conf
    mkdir -p "$work/root" "$work/packages" "$work/lists/partial" "$work/cache/archives/partial"
    : >"$APT_CONFIG"
    if ! apt-cache show "kamailio=$version" >>"$work/log" 2>&1; then # lists of our own
        echo "Dir::State::lists \"$work/lists\"; Dir::Cache \"$work/cache\";" >"$APT_CONFIG"
        "${apt[@]}" update >>"$work/log" 2>&1 || broken "no lists of packages"
    fi
    local wanted=("kamailio=$version" iproute2=6.1.0-3)
    for name in $(apt-cache depends --recurse --important iproute2 | grep '^lib[^:]*$' | sort -u); do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>>"$work/log" | grep -qx installed || wanted+=("$name")
    done
    (cd "$work/packages" && "${apt[@]}" download "${wanted[@]}") >>"$work/log" 2>&1 || broken "cannot have ${wanted[*]}"
    for name in "$work"/packages/*; do
        dpkg-deb -x "$name" "$work/root"
    done
    libraries=$(echo "$work"/root/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$libraries:$libraries/kamailio:$work/root/lib/${libraries##*/}
    PATH=$work/root/usr/sbin:$work/root/sbin:$work/root/bin:$PATH
}

# serve SPACE ADDRESS: a Kamailio there.
serve() {
    local end=$((SECONDS + 20))
    mkdir -p "$work/$1"
    cat >"$work/$1/kamailio.cfg" <<CONFIG
#!KAMAILIO
children=1
log_stderror=yes
disable_tcp=yes
listen=udp:$2:5060
mpath="$libraries/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
request_route {
    if (method == "OPTIONS") {
        sl_send_reply("200", "OK");
    } else if (method == "INVITE") {
        t_newtran();
        t_reply("200", "OK");
    }
}
CONFIG
    # A host name of its own, too.
    # shellcheck disable=SC2016 # for the inner shell
    ip netns exec "$1" unshare --uts sh -c 'echo "$0" >/proc/sys/kernel/hostname && exec "$@"' "$1" \
        kamailio -DD -E -f "$work/$1/kamailio.cfg" -w "$work/$1" -Y "$work/$1" -m 16 -M 4 \
        >>"$work/$1/log" 2>&1 &
    servers+=($!)
    until ip netns exec "$1" grep -q ':13C4 ' /proc/net/udp; do
        ((SECONDS < end)) || { tail -n 5 "$work/$1/log" >&2; broken "Kamailio does not listen"; }
        sleep 0.05
    done
}

space() { # NAME ADDRESS: a namespace that has nothing but this address
    ip netns add "$1"
    spaces+=("$1")
    ip -n "$1" link set lo up
    ip -n "$1" address add "$2/32" dev lo
}

# tag SPACE ADDRESS METHOD CALL-ID: the To tag of the 200.
tag() {
    local answer
    printf '%s\r\n' "$3 sip:service@$2 SIP/2.0" "Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bK-$4" \
        'Max-Forwards: 70' 'From: <sip:alice@example.com>;tag=a1' 'To: <sip:service@example.com>' "Call-ID: $4" \
        "CSeq: 1 $3" 'Contact: <sip:alice@192.0.2.9:5070>' 'Content-Length: 0' '' >"$work/request"
    # shellcheck disable=SC2016 # for the inner shell
    answer=$(ip netns exec "$1" bash -c 'exec 3<>"/dev/udp/$1/5060" && cat "$2" >&3 && timeout 5 dd bs=65535 count=1 <&3' \
        bash "$2" "$work/request" 2>>"$work/log") || broken "no answer to $3 in 5 s"
    [[ $answer == "SIP/2.0 200 "* ]] || broken "$3 was answered with ${answer%%$'\r'*}"
    sed -n 's/^To:.*;tag=\([^;[:space:]]*\).*/\1/p' <<<"$answer"
}

((EUID == 0)) || broken "run this as root"
get
one=kamailio-1-$$ two=kamailio-2-$$ three=kamailio-3-$$
space "$one" 192.0.2.1
space "$two" 192.0.2.1
space "$three" 192.0.2.3
serve "$one" 192.0.2.1
serve "$two" 192.0.2.1
serve "$three" 192.0.2.3
echo "kamailio $version: $(kamailio -v | head -n 1)"

as_found=yes
for method in OPTIONS INVITE; do
    first=$(tag "$one" 192.0.2.1 "$method" "x$method")
    second=$(tag "$two" 192.0.2.1 "$method" "x$method")
    other=$(tag "$one" 192.0.2.1 "$method" "y$method")
    elsewhere=$(tag "$three" 192.0.2.3 "$method" "x$method")
    printf '%-36s%s\n' "$method, first server:" "$first" "$method, second server, same VIP:" "$second" \
        "$method, first, another call:" "$other" "$method, third, another address:" "$elsewhere"
    [[ -n $first && $first == "$second" && ${first:0:32} == "${other:0:32}" && $first != "$other" &&
        ${first:0:32} != "${elsewhere:0:32}" && ${first:32} == "${elsewhere:32}" ]] || as_found=no
done

kill -TERM "${servers[0]}"
wait "${servers[0]}" || true
servers=("${servers[@]:1}")
serve "$one" 192.0.2.1
again=$(tag "$one" 192.0.2.1 INVITE xINVITE)
printf '%-36s%s\n' "INVITE, first server, restarted:" "$again"
[[ $again == "$first" ]] || as_found=no
echo "expected: every server and every start has tags of its own (RFC 3261 section 19.3)"

if [[ $as_found == yes ]]; then
    echo "seen: the tag is a function of server address, Call-ID and branch; two servers with one address give the same"
else
    echo "CHANGED: this is not what was found with $version"
    exit 1
fi

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every mistake and every bad luck at the start is one clear line and exit 1, and leaves nothing.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
host_state >"$LAB_DIR/clean"
cp "$LAB_DIR/viaduct.toml" "$LAB_DIR/good.toml"
mkdir "$LAB_DIR/empty"

# refused WHAT PATTERN COMMAND...: exit 1, one line on stderr, which matches; nothing is left.
refused() {
    local code
    "${@:3}" >"$LAB_DIR/out" 2>"$LAB_DIR/err"
    code=$?
    expect "$1: exit 1, not $code: $(<"$LAB_DIR/err")" is "$code == 1"
    expect "$1: one line: $(<"$LAB_DIR/err")" is "$(grep -c . "$LAB_DIR/err") == 1"
    expect "$1: it names the thing ($2): $(<"$LAB_DIR/err")" grep -qE -- "$2" "$LAB_DIR/err"
    expect_clean "$1"
}
viaductd() { lab_in lb timeout 10 "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/viaduct.toml"; }
# wrong WHAT PATTERN SED-SCRIPT: the good configuration with that change; the place is named.
wrong() {
    sed -e "$3" "$LAB_DIR/good.toml" >"$LAB_DIR/viaduct.toml"
    cmp -s "$LAB_DIR/good.toml" "$LAB_DIR/viaduct.toml" && fail "$1: the change changes nothing"
    refused "$1" "viaduct.toml:[0-9]+:[0-9]+: .*$2" viaductd
}

refused "no file" "absent.toml" lab_in lb "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/absent.toml"
wrong "broken TOML" "" 's/^workers = 1/workers = = 1/'
wrong "unknown key" "colour" '1a colour = "red"'
wrong "misspelt key" "weigth" '0,/^name = "b1"/s//&\nweigth = 5/'
wrong "address that is none" "198.51.100.300" 's/"198.51.100.21"/"198.51.100.300"/'
wrong "two VIPs alike" "" '/^\[\[vip\]\]/i [[vip]]\nname = "twin"\naddress = "198.51.100.10"\nport = 5060\npool = "proxies"\n'
wrong "two backends alike" "b1" '/^name = "b2"/s/b2/b1/'
wrong "two backends with one address" "198.51.100.21" 's/"198.51.100.22"/"198.51.100.21"/'
wrong "pool without backends" "proxies|backend" '/^\[\[pool.backend\]\]/,/^\[steering\]/{/^\[steering\]/!d}'
wrong "VIP without pool" "prxies" '/^\[\[vip\]\]/i [[vip]]\nname = "lost"\naddress = "198.51.100.11"\nport = 5060\npool = "prxies"\n'
wrong "another port than the VIP's in DSR" "5070|5060" '/"198.51.100.21"/{n;s/5060/5070/}'
wrong "weight out of range" "weight" '0,/^name = "b1"/s//&\nweight = 100000/'

# bad_luck WHAT PATTERN SED-SCRIPT COMMAND...: the file is good, the world is not.
bad_luck() {
    sed -e "$3" "$LAB_DIR/good.toml" >"$LAB_DIR/viaduct.toml"
    refused "$1" "$2" "${@:4}"
}
bad_luck "no such device" "lb7" 's/iface=lb0/iface=lb7/' viaductd
bad_luck "no such driver" "net_nothing0" 's/net_af_packet0,iface=lb0/net_nothing0/' viaductd
bad_luck "more workers than cores" "$(nproc)" "s/^workers = 1/workers = $(($(nproc) + 1))/" viaductd
bad_luck "too few packet buffers" "dataplane.buffers = 100, .*at least [0-9]+" "s/^workers = 1/&\nbuffers = 100/" viaductd
bad_luck "no /dev/net/tun" "/dev/net/tun" "" lab_in lb unshare -m bash -c \
    "mount --bind '$LAB_DIR/empty' /dev/net && exec '$VIADUCT_BUILD/viaductd' --config '$LAB_DIR/viaduct.toml'"
bad_luck "huge pages missing" "[Hh]uge" 's/^workers = 1/&\nmemory = "hugepages"/' lab_in lb unshare -m bash -c \
    "mount --bind '$LAB_DIR/empty' /sys/kernel/mm/hugepages && exec '$VIADUCT_BUILD/viaductd' --config '$LAB_DIR/viaduct.toml'"

chmod 755 "$LAB_DIR" # the stranger must get as far as root's work
bad_luck "not root" "root" "" lab_in lb setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/viaduct.toml"
chmod 700 "$LAB_DIR"

# A socket in use is respected, a stale one replaced.
lab_spawn holder lb socat "UNIX-LISTEN:$LAB_SOCKET,fork" STDIO >"$LAB_DIR/holder" 2>&1 </dev/null
lab_wait 5 test -S "$LAB_SOCKET" || fail "socat holds the socket"
host_state >"$LAB_DIR/clean"
bad_luck "socket held by a living process" "$LAB_SOCKET" "" viaductd
lab_kill holder
expect "a stale socket is there" test -S "$LAB_SOCKET"
lab_start_viaductd || fail "a stale socket is replaced"
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"
expect "the socket is gone" test ! -e "$LAB_SOCKET"

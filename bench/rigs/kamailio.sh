# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# kamailio: Debian's Kamailio as the thing in the middle: a stateless dispatcher that does no more than
# has to be done to compare: hash the Call-ID, choose a server, add a Via, send. One process receives
# and sends. Sourced by `rig3`, `calls` and `recovery`, after
# lib.sh.

KAMAILIO_BUFFER=4194304 # bytes of its socket: as long a queue as framecnt=4096 is, so that CPU time decides

# kamailio_prepare FOLDER ADDRESS SERVER...: configuration in FOLDER; it listens on ADDRESS:5060. With
# KAMAILIO_PROBES it pings the servers each second, and passes over those that do not answer.
kamailio_prepare() {
    local folder=$1 address=$2 server tm="" probes=""
    [[ -z ${KAMAILIO_PROBES:-} ]] || tm='loadmodule "tm.so"' probes='
modparam("tm", "fr_timer", 300)
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)'
    shift 2
    for server in "$@"; do echo "1 sip:$server:5060"; done >"$folder/dispatcher.list"
    cat >"$folder/kamailio.cfg" <<CONFIG
#!KAMAILIO
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
dns_cache_init=off
use_dst_blocklist=off
listen=udp:$address:5060

$tm
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "$folder/dispatcher.list")$probes

request_route {
    # 0: hash of the Call-ID.
    if (!ds_select_dst("1", "0")) exit;
    forward();
}
# Answers follow their Via: the core does that.
CONFIG
    KAMAILIO_COMMAND=(taskset -c 1 kamailio -DD -E -f "$folder/kamailio.cfg" -w "$folder/." -Y "$folder/."
        -m 64 -M 8 -b "$KAMAILIO_BUFFER")
}

# kamailio_buffers: lets sockets have that much; kamailio_buffers_back undoes it.
kamailio_buffers() {
    KAMAILIO_RMEM_MAX=$(</proc/sys/net/core/rmem_max)
    ((KAMAILIO_RMEM_MAX >= KAMAILIO_BUFFER)) || echo "$KAMAILIO_BUFFER" >/proc/sys/net/core/rmem_max
}
kamailio_buffers_back() {
    [[ -z ${KAMAILIO_RMEM_MAX:-} ]] || echo "$KAMAILIO_RMEM_MAX" >/proc/sys/net/core/rmem_max
}

kamailio_version() { kamailio -V | sed -n 's/^version: kamailio \([0-9.]*\).*/\1/p'; }

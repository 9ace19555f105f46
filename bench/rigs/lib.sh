# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib: what every rig needs: the machine prepared and put back, viaductd and testpmd started, their
# counters read, and one file of results. Sourced by the rigs, which call rig_begin, then rig_sample
# for every value measured, then rig_end.
#
# CPU 0 has this script, senders and control threads; CPU 1 has the thing that is measured. RIG_CPUS
# says which CPUs a process gets that shall have others.
# A rig that has something of its own to remove defines rig_clean: it is called at the exit.

set -u
export LC_ALL=C.UTF-8 # EPOCHREALTIME has a point in it then
RIG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
RIG_BUILD=${VIADUCT_BUILD:-$RIG_ROOT/build}
RIG_OUT=${VIADUCT_BENCH_OUT:-$RIG_BUILD/bench}
RIG_PAGES=512 # huge pages of 2 MB, for all processes of a rig
RIG_VIP=198.51.100.10
RIG_MAC=02:00:00:00:00:02 # of the thing in the middle, where a device lets us choose

. "$RIG_ROOT/scripts/packages"

declare -A RIG_PIDS=() RIG_INPUT=()

rig_say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }
rig_die() {
    echo "${RIG_NAME:-rig}: $*" >&2
    exit 1
}

# rig_wait SECONDS COMMAND...: until the command succeeds; false when the time is up.
rig_wait() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        sleep 0.01
    done
}

# ---- begin and end

# rig_needs_cpus NAME NUMBER WHY: ends the rig as skipped (exit 77) on a machine with fewer CPUs.
rig_needs_cpus() {
    local cpus
    cpus=$(nproc --all)
    ((cpus < $2)) || return 0
    echo "$1: skipped: it needs $2 CPUs, this machine has $cpus: $3" >&2
    exit 77
}

# rig_begin NAME TITLE SECONDS ARGUMENT...: sets RIG_ROUNDS and RIG_SECONDS (whole ones), RIG_ID, and
# RIG_DIR for files; reserves huge pages; makes the namespace RIG_ID.
rig_begin() {
    RIG_NAME=$1 RIG_TITLE=$2 RIG_SECONDS=$3 RIG_ROUNDS=5
    shift 3
    while (($#)); do
        [[ ${2:-} =~ ^[1-9][0-9]{0,4}$ ]] || set -- wrong
        case $1 in
        --rounds) RIG_ROUNDS=$2 ;;
        --seconds) RIG_SECONDS=$2 ;;
        *) rig_die "usage: bench/rigs/$RIG_NAME [--rounds N] [--seconds S]" ;;
        esac
        shift 2
    done
    ((EUID == 0)) || rig_die "huge pages and network namespaces need root: run it with sudo"
    [[ -d /sys/devices/system/cpu/cpu1 ]] || rig_die "a rig needs two CPUs, this machine has one"
    packages_install "${PACKAGES_RIGS[@]}" || exit 1
    local program
    for program in viaductd viaductctl bench/mix_pcap; do
        [[ -x $RIG_BUILD/$program ]] || rig_die "$RIG_BUILD/$program is not there: meson setup build && ninja -C build"
    done
    mkdir -p "$RIG_OUT" || exit 1
    RIG_ID=${RIG_PREFIX:-rig}$$ RIG_BEGAN=$SECONDS
    RIG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/viaduct-$RIG_NAME-XXXXXX") || exit 1
    trap rig_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    : | tee "$RIG_DIR/commands" "$RIG_DIR/notes" "$RIG_DIR/samples"
    ip netns add "$RIG_ID" && ip -n "$RIG_ID" link set lo up &&
        rig_in sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 ||
        rig_die "cannot make the network namespace $RIG_ID"
    rig_reserve_pages
}

# rig_exit: everything back as it was, however the rig ends.
rig_exit() {
    local status=$? name
    trap '' INT TERM HUP
    ! declare -F rig_clean >/dev/null || rig_clean
    for name in "${!RIG_PIDS[@]}"; do rig_stop "$name"; done
    [[ ! -e /var/run/netns/$RIG_ID ]] || ip netns delete "$RIG_ID"
    rig_return_pages
    if ((status)) && [[ ${RIG_KEEP:-} ]]; then
        echo "$RIG_NAME: its files stay in $RIG_DIR" >&2
    else
        rm -rf "$RIG_DIR"
    fi
    exit "$status"
}

# rig_in_time ROUND LONGEST: whether round ROUND may begin; after LONGEST seconds not, and a note says so.
rig_in_time() {
    ((SECONDS - RIG_BEGAN <= $2)) && return
    rig_note "Ended after $(($1 - 1)) of $RIG_ROUNDS rounds, because $2 s were over."
    false
}

rig_command() { # WORD...: how something was started, once, for the reader
    local line=$*
    line=${line//$RIG_DIR\//} line=${line//$RIG_BUILD/build} line=${line//$RIG_ID/rig}
    grep -qxF -e "$line" "$RIG_DIR/commands" || printf '%s\n' "$line" >>"$RIG_DIR/commands"
}
rig_note() { printf '%s\n' "$*" >>"$RIG_DIR/notes"; } # what the reader of the figures should know
rig_sample() { printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$RIG_DIR/samples"; } # WHO LOAD METRIC UNIT VALUE

# rig_end: $RIG_OUT/NAME.json, whole or not at all.
rig_end() {
    local file=$RIG_OUT/$RIG_NAME.json
    jq -n --arg name "$RIG_NAME" --arg title "$RIG_TITLE" --rawfile commands "$RIG_DIR/commands" \
        --rawfile notes "$RIG_DIR/notes" --rawfile samples "$RIG_DIR/samples" \
        --argjson versions "$(rig_versions)" '
        def lines: split("\n") | map(select(. != ""));
        {name: $name, title: $title, commands: ($commands | lines), versions: $versions, notes: ($notes | lines),
         samples: (reduce ($samples | lines | .[] | split("\t")) as $s ([];
            ($s[0:4]) as $key | (map([.who, .load, .metric, .unit]) | index([$key])) as $at
            | if $at then .[$at].values += [$s[4] | tonumber]
              else . + [{who: $s[0], load: $s[1], metric: $s[2], unit: $s[3], values: [$s[4] | tonumber]}] end))}' \
        >"$file.part" && mv "$file.part" "$file" || rig_die "cannot write $file"
    chown --reference="$RIG_BUILD" "$file"
    rig_say "$RIG_NAME: medians"
    jq -r '.samples[] | "          \(.who), \(.load): \(.values | sort | .[length / 2 | floor]) \(.unit) (\(.values | min) to \(.values | max))"' "$file"
    rig_say "$RIG_NAME: wrote $file"
}

rig_versions() {
    jq -n --arg dpdk "$(rig_version dpdk-dev)" --arg kamailio "$(rig_version kamailio)" \
        --arg sipp "$(rig_version sip-tester)" --arg viaduct "$("$RIG_BUILD/viaductd" --version)" \
        '{dpdk: $dpdk, kamailio: $kamailio, sipp: $sipp, viaduct: $viaduct} | with_entries(select(.value != ""))'
}
# 22.11.11-0+deb12u1 -> 22.11.11
rig_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null | sed 's/^[0-9]*://; s/[-+].*//'; }

# ---- huge pages: the machine's number grows by what all rigs together want, and is put back by the
# last of them. $RIG_LEDGER: the number before the first rig, those in use then, a pid a line.

RIG_LEDGER=/run/lock/viaduct-rigs
RIG_HUGE=/sys/kernel/mm/hugepages/hugepages-2048kB

# rig_ledger COMMAND...: with the ledger locked, and without rigs in it that died.
rig_ledger() {
    (
        flock 9 || exit 1
        read -r before used 2>/dev/null <"$RIG_LEDGER" || before=""
        pids=()
        while read -r pid; do
            [[ ! -d /proc/$pid ]] || pids+=("$pid")
        done < <(tail -n +2 "$RIG_LEDGER" 2>/dev/null)
        if ((${#pids[@]} == 0)) && [[ $before ]]; then # the last one was killed
            echo "$before" >"$RIG_HUGE/nr_hugepages"
            before=""
        fi
        "$@"
    ) 9>"$RIG_LEDGER.lock"
}
rig_write_ledger() { printf '%s\n' "$before $used" "${pids[@]}" >"$RIG_LEDGER"; }
rig_enter() {
    if [[ -z $before ]]; then
        before=$(<"$RIG_HUGE/nr_hugepages")
        used=$((before - $(<"$RIG_HUGE/free_hugepages")))
    fi
    pids+=($$)
    rig_write_ledger
    rig_set_pages $((used + ${#pids[@]} * RIG_PAGES))
}
rig_leave() {
    local pid others=()
    for pid in "${pids[@]}"; do [[ $pid == $$ ]] || others+=("$pid"); done
    ((${#others[@]} != ${#pids[@]})) || return 0
    pids=("${others[@]}")
    if ((${#pids[@]})); then
        rig_write_ledger
    else
        echo "$before" >"$RIG_HUGE/nr_hugepages"
        rm -f "$RIG_LEDGER"
    fi
}
rig_set_pages() { # NUMBER: at least that many
    (($(<"$RIG_HUGE/nr_hugepages") >= $1)) || echo "$1" >"$RIG_HUGE/nr_hugepages"
}
rig_pages_free() { (($(<"$RIG_HUGE/free_hugepages") >= RIG_PAGES)); }
# Somebody else may take or return pages meanwhile: asked for again for a minute.
rig_reserve_pages() {
    local tries
    rig_ledger rig_enter
    for ((tries = 0; tries < 30; ++tries)); do
        ! rig_pages_free || return 0
        sleep 2
        rig_set_pages $(($(<"$RIG_HUGE/nr_hugepages") - $(<"$RIG_HUGE/free_hugepages") + RIG_PAGES))
    done
    rig_die "the kernel has $(<"$RIG_HUGE/free_hugepages") huge pages free, $RIG_PAGES are needed: free memory, or echo $RIG_PAGES > /proc/sys/vm/nr_hugepages after a reboot"
}
rig_return_pages() { rig_ledger rig_leave; }

# ---- processes

rig_in() { ip netns exec "$RIG_ID" "$@"; } # COMMAND...: in the rig's namespace

# rig_spawn NAME COMMAND...: in the background and the namespace, log in $RIG_DIR/NAME.log. What
# rig_type NAME TEXT says comes to its standard input, which never ends.
rig_spawn() {
    local name=$1 fd
    shift
    [[ -p $RIG_DIR/$name.input ]] || mkfifo "$RIG_DIR/$name.input"
    exec {fd}<>"$RIG_DIR/$name.input"
    : >"$RIG_DIR/$name.log" # not the one of the run before, which looks ready
    ip netns exec "$RIG_ID" taskset -c "${RIG_CPUS:-0,1}" "$@" <&"$fd" >>"$RIG_DIR/$name.log" 2>&1 &
    RIG_PIDS[$name]=$! RIG_INPUT[$name]=$fd
    disown # bash need not tell that it was killed
}
rig_type() { printf '%s\n' "$2" >&"${RIG_INPUT[$1]}"; } # NAME TEXT
rig_gone() { [[ ! -d /proc/${RIG_PIDS[$1]} ]]; }
rig_log() { tail -n "${2:-3}" "$RIG_DIR/$1.log" 2>/dev/null; } # NAME [LINES]

# rig_stop NAME: SIGTERM, after 5 s SIGKILL.
rig_stop() {
    local name=$1 fd=${RIG_INPUT[$1]}
    if ! rig_gone "$name"; then
        kill -TERM "${RIG_PIDS[$name]}" 2>/dev/null
        rig_wait 5 rig_gone "$name" || { kill -KILL "${RIG_PIDS[$name]}" 2>/dev/null; rig_wait 5 rig_gone "$name"; }
    fi
    exec {fd}>&-
    unset "RIG_PIDS[$name]" "RIG_INPUT[$name]"
}

# rig_capture FILE ARGUMENT...: mix_pcap makes $RIG_DIR/FILE for the VIP.
rig_capture() {
    local file=$RIG_DIR/$1
    shift
    rig_command "$RIG_BUILD/bench/mix_pcap" --out "$file" --vip "$RIG_VIP" "$@"
    "$RIG_BUILD/bench/mix_pcap" --out "$file" --vip "$RIG_VIP" "$@" >"$RIG_DIR/mix_pcap.log" 2>&1 ||
        rig_die "mix_pcap makes no capture: $(<"$RIG_DIR/mix_pcap.log")"
}

. "$RIG_ROOT/bench/rigs/programs.sh"

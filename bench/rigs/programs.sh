# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# programs: viaductd and dpdk-testpmd as the rigs run them, one worker on CPU 1, and how many packets
# a second they do. Sourced by lib.sh.

# ---- viaductd

# rig_config DEVICE [BACKENDS]: $RIG_DIR/viaduct.toml: one port, a pool in dsr-l2 steered by hash, all
# backends (4) up without probes.
rig_config() {
    local n
    {
        cat <<EOF
[dataplane]
cpus = [1]
memory = "hugepages"

[[port]]
name = "p0"
device = "$1"
addresses = ["198.51.100.2/24"]

[[vip]]
name = "sip"
address = "$RIG_VIP"
pool = "proxies"

[[pool]]
name = "proxies"
mode = "dsr-l2"

[pool.health]
method = "none"

EOF
        for ((n = 1; n <= ${2:-4}; ++n)); do
            printf '[[pool.backend]]\nname = "b%d"\naddress = "198.51.100.%d"\nmac = "02:00:00:00:01:%02x"\n\n' \
                "$n" $((n + 20)) "$n"
        done
        cat <<EOF
[steering]
secret = "000102030405060708090a0b0c0d0e0f"

[control]
socket = "$RIG_DIR/viaduct.sock"
state = "$RIG_DIR/state"
log_level = "warning"
EOF
    } >"$RIG_DIR/viaduct.toml"
}

# rig_start_viaductd [CONFIG]: until READY=1.
rig_start_viaductd() {
    local config=${1:-$RIG_DIR/viaduct.toml} notify=$RIG_DIR/notify
    rm -f "$notify" "$notify.sock"
    rig_spawn notify socat -u "UNIX-RECV:$notify.sock" "CREATE:$notify"
    rig_wait 15 test -S "$notify.sock" || rig_die "socat does not listen: $(rig_log notify)"
    rig_command "$RIG_BUILD/viaductd" --config "$config" " # $(sed -n 's/^device = //p' "$config" | paste -sd " ")"
    NOTIFY_SOCKET=$notify.sock rig_spawn viaductd "$RIG_BUILD/viaductd" --config "$config"
    rig_wait 15 rig_ready_or_gone
    grep -qs READY=1 "$notify" || rig_die "viaductd is not ready: $(rig_log viaductd)"
    rig_stop notify
}
rig_ready_or_gone() { grep -qs READY=1 "$RIG_DIR/notify" || rig_gone viaductd; }
rig_stop_viaductd() { rig_stop viaductd; }

rig_ctl() { "$RIG_BUILD/viaductctl" --socket "$RIG_DIR/viaduct.sock" --json "$@"; }

# rig_outcomes: one line `forwarded others`, the packets that ended so since the start.
rig_outcomes() {
    rig_ctl show outcomes | jq -r '.outcomes | "\(.forwarded) \(([.[]] | add) - .forwarded)"'
}

# rig_viaductd_rate SECONDS: packets forwarded a second, in RIG_RATE. Few others may come: what the
# kernel of the twin does is punted.
rig_viaductd_rate() {
    local began ended first second first_others second_others
    began=${EPOCHREALTIME/./}
    read -r first first_others < <(rig_outcomes)
    began=$(((began + ${EPOCHREALTIME/./}) / 2))
    sleep "$1"
    ended=${EPOCHREALTIME/./}
    read -r second second_others < <(rig_outcomes)
    ended=$(((ended + ${EPOCHREALTIME/./}) / 2))
    [[ $second ]] && ((second > first)) ||
        rig_die "viaductd forwards nothing: $(rig_ctl show outcomes | jq -c '.outcomes | with_entries(select(.value > 0))')"
    ((second_others - first_others <= (second - first) / 1000)) ||
        rig_die "viaductd does not forward all: $(rig_ctl show outcomes | jq -c '.outcomes | with_entries(select(.value > 0))')"
    RIG_RATE=$(((second - first) * 1000000 / (ended - began)))
}

# ---- testpmd

# rig_start_testpmd NAME EAL-ARGUMENT... -- ARGUMENT...: on CPU 1 (RIG_CPU), until its prompt; it
# forwards nothing before rig_type NAME start.
rig_start_testpmd() {
    local name=$1
    shift
    local command=(dpdk-testpmd "--lcores=0@0,1@${RIG_CPU:-1}" --no-pci --in-memory --single-file-segments
        --no-telemetry "--file-prefix=$RIG_ID-$name" "--log-level=*:error" "$@" -i --nb-cores=1)
    rig_command "${command[@]}"
    rig_spawn "$name" stdbuf -oL "${command[@]}"
    rig_wait 30 rig_prompt_or_gone "$name"
    ! rig_gone "$name" && rig_prompts "$name" || rig_die "testpmd does not start: $(rig_log "$name")"
}
rig_prompts() { grep -qs 'testpmd>' "$RIG_DIR/$1.log"; }
rig_prompt_or_gone() { rig_prompts "$1" || rig_gone "$1"; }

# rig_testpmd_stats NAME PORT: its `show port stats`, as "KEY VALUE" lines.
rig_testpmd_stats() {
    local log=$RIG_DIR/$1.log size
    size=$(stat -c %s "$log")
    rig_type "$1" "show port stats $2"
    rig_wait 10 rig_answered "$log" "$size" || rig_die "testpmd does not answer: $(rig_log "$1")"
    tail -c "+$((size + 1))" "$log" | grep -oE '[RT][Xx]-[a-z]+: +[0-9]+' | tr -d ':'
}
rig_answered() { tail -c "+$(($2 + 1))" "$1" | grep -q 'Tx-pps: *[0-9]*.*Tx-bps'; }

# rig_testpmd_rate NAME PORT KEY SECONDS: KEY is Rx-pps or Tx-pps; in RIG_RATE. testpmd itself counts
# since it was last asked.
rig_testpmd_rate() {
    rig_testpmd_stats "$1" "$2" >"$RIG_DIR/stats"
    sleep "$4"
    rig_testpmd_stats "$1" "$2" >"$RIG_DIR/stats"
    RIG_RATE=$(awk -v key="$3" '$1 == key { print $2 }' "$RIG_DIR/stats")
    [[ $RIG_RATE ]] && ((RIG_RATE > 0)) || rig_die "testpmd forwards nothing ($3 of port $2): $(tr '\n' ',' <"$RIG_DIR/stats")"
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# vhost: rig 2 with our own generator. It is the vhost side, on CPU 0; viaductd or testpmd macswap is
# the virtio-user side, with one worker on CPU 1. Sourced by `latency` and `no_pause` after lib.sh.
#
#     generator  -- net_vhost0 == shared memory == net_virtio_user0 --  viaductd | testpmd
#
# Both ends are made anew for each measurement, and what viaductd keeps over a restart is removed:
# what one leaves behind does not touch the next.

VHOST_CALLS=1000
VHOST_QUEUE=1024 # of all queues, so that both in the middle have the same room
VHOST_GENERATOR="" VHOST_MIDDLE=""
# viaductd keeps its table of calls beside its socket, which is in memory where it belongs (/run); on a
# disk the worker would have to wait for pages that are being written.
TMPDIR=/dev/shm

vhost_device() { # of the thing in the middle
    echo "net_virtio_user0,path=$RIG_DIR/vhost.sock,queues=1,queue_size=$VHOST_QUEUE,mac=$RIG_MAC"
}

# vhost_prepare BACKENDS: capture and configuration, once.
vhost_prepare() {
    [[ -x $RIG_BUILD/bench/generator ]] ||
        rig_die "$RIG_BUILD/bench/generator is not there: ninja -C build bench/generator"
    rig_capture mix.pcap --calls "$VHOST_CALLS" --destination-mac "$RIG_MAC"
    rig_config "$(vhost_device)" "$1"
}

# vhost_start WHO RATE SECONDS: both ends; the generator measures once the path works.
vhost_start() {
    local generator=(taskset -c 0 "$RIG_BUILD/bench/generator" --lcores "0@0" --no-pci --in-memory
        --single-file-segments --no-telemetry --file-prefix "$RIG_ID-generator" "--log-level=*:error"
        "--vdev=net_vhost0,iface=$RIG_DIR/vhost.sock,queues=1" -- --capture "$RIG_DIR/mix.pcap"
        --rate "$2" --seconds "$3" --warmup 0.5 --wait 30 --stamp --json)
    [[ $2 != max ]] || rig_command "${generator[@]}"
    rm -rf "$RIG_DIR/vhost.sock" "$RIG_DIR/state" "$RIG_DIR/calls"
    "${generator[@]}" >"$RIG_DIR/generator.json" 2>"$RIG_DIR/generator.log" </dev/null &
    VHOST_GENERATOR=$!
    rig_wait 20 vhost_listens
    [[ -S $RIG_DIR/vhost.sock ]] || rig_die "the generator does not start: $(rig_log generator)"
    VHOST_MIDDLE=$1
    if [[ $1 == viaductd ]]; then
        rig_start_viaductd
    else
        rig_start_testpmd testpmd "--vdev=$(vhost_device)" -- --forward-mode=macswap \
            --port-topology=loop "--rxd=$VHOST_QUEUE" "--txd=$VHOST_QUEUE"
        rig_type testpmd start
    fi
}
vhost_gone() { ! kill -0 "$VHOST_GENERATOR" 2>/dev/null; }
vhost_listens() { [[ -S $RIG_DIR/vhost.sock ]] || vhost_gone; }
vhost_measures() { grep -q '^generator: measuring' "$RIG_DIR/generator.log" || vhost_gone; }

# vhost_stop: waits for the generator's result, then stops the middle; VHOST_OUTCOMES is what
# viaductd counted. Ends the rig when there is no result.
vhost_stop() {
    wait "$VHOST_GENERATOR" || rig_die "$VHOST_MIDDLE: $(rig_log generator 1); $(rig_log "$VHOST_MIDDLE" 1)"
    VHOST_GENERATOR="" VHOST_OUTCOMES=""
    [[ $VHOST_MIDDLE != viaductd ]] ||
        VHOST_OUTCOMES=$(rig_ctl show outcomes | jq -c '.outcomes | with_entries(select(.value > 0))')
    rig_stop "$VHOST_MIDDLE"
}

rig_clean() { [[ -z $VHOST_GENERATOR ]] || kill -KILL "$VHOST_GENERATOR" 2>/dev/null; }

# vhost_run WHO RATE SECONDS: one measurement; its values are then read by vhost_value.
vhost_run() {
    vhost_start "$@"
    vhost_stop
}
vhost_value() { jq ".$1" "$RIG_DIR/generator.json"; } # NAME

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The disk of the state folder is full: calls go on, every answer to a change says that a restart will not know it, and that
# is true; once there is room again, what was answered without a warning outlives kill -9 at that moment.
. "$(dirname "$0")/prelude.sh"

disk_down() {
    lab_stop_viaductd 3 2>/dev/null
    umount "$LAB_DIR/state" 2>/dev/null
    lab_down
}
trap disk_down EXIT

fill() { dd if=/dev/zero of="$LAB_DIR/state/full" bs=4096 >"$LAB_DIR/dd" 2>&1; }
# ask WARNED VERB...: the verb is obeyed, and its answer warns, or does not.
ask() {
    lab_ctl "${@:2}" >"$LAB_DIR/reply" || fail "${*:2} is obeyed"
    local warns=0
    grep -q "^Warning: cannot write $LAB_DIR/state/state.json.new: No space left on device; until it can be written, a restart" "$LAB_DIR/reply" && warns=1
    expect "\"${*:2}\" warns: $1: $(<"$LAB_DIR/reply")" is "$warns == $1"
}
restart() { # WHEN
    lab_kill_viaductd
    lab_start_viaductd || fail "viaductd starts after kill -9 $1"
    lab_wait_backends_up || fail "the backends come up $1"
}

lab_up dsr-l2
mkdir "$LAB_DIR/state"
mount -t tmpfs -o size=128k state "$LAB_DIR/state" || { echo "skipped: no tmpfs can be mounted" >&2; exit 77; }
lab_start_backends
fill
lab_start_viaductd || fail "viaductd starts though the disk is full"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
expect "it says that its state is not kept" grep -q "No space left on device; calls in progress will not survive a restart" "$LAB_DIR/viaductd.log"
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd on a full disk"
rm "$LAB_DIR/state/full"

lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
fill
ask 1 drain proxies b3 --now
ask 1 drain proxies b3 --now # already, and still not written
ask 1 disable proxies b2
ask 1 enable proxies b2
ask 1 undrain proxies b3
ask 1 drain proxies b3 --now
ask 1 add proxies b4 198.51.100.24
ask 1 weight proxies b1 50
ask 1 vip disable sip
ask 1 vip enable sip
call full 20 40 -d 100
expect "nothing goes to who drains" is "${AUDIT[be3]} == 0"
restart "on a full disk"
expect "what was not written is not known" [ "$(lab_states | grep b3)" = "b3 up enabled" ]

rm "$LAB_DIR/state/full"
ask 0 drain proxies b3 --now
restart "at once after an answer without a warning"
expect "what was written is known" [ "$(lab_states | grep b3)" = "b3 up draining" ]
call room 20 40 -d 100
expect "nothing goes to who drains, after the restart" is "${AUDIT[be3]} == 0"

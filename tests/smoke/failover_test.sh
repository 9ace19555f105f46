#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backend killed with -9 is down in time, new calls go elsewhere, and after its return it takes its
# share again.
. "$(dirname "$0")/prelude.sh"

LAB_FALL=2
start dsr-l2
killed_at=${EPOCHREALTIME/./}
lab_kill_backend 1
lab_wait_backend 1 down 10 || fail "a killed backend becomes down"
took=$(lab_detection_ms 1 "$killed_at")
limit=$((LAB_FALL * LAB_INTERVAL + LAB_TIMEOUT + 500))
expect "down within fall x interval + timeout + 0.5 s = $limit ms (took $took)" is "$took <= $limit"

call without 100 100 -d 100
expect "no call goes to a backend that is down" is "${AUDIT[be1]} == 0"

lab_start_backend 1
lab_wait_backends_up || fail "the backend comes up again"
lab_wait_settled || fail "its return is announced, and then done"
call again 100 100 -d 100
expect "a backend that returned takes its share (${AUDIT[be1]} of 100)" is "${AUDIT[be1]} >= 10"
expect "the events name the fall and the return" \
    jq -e '[.events[] | select(.backend == "b1") | .to] | (index("down") != null) and (last == "up")' \
    <<<"$(lab_ctl --json show events)" >"$LAB_DIR/jq"

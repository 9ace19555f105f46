#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A backend that answers OPTIONS with 503 is busy: it gets no new calls until it answers well.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
lab_start_backend 1 "503 Service Unavailable"
lab_start_backend 2
lab_start_backend 3
lab_start_viaductd || fail "viaductd becomes READY"
for wanted in "1 busy" "2 up" "3 up"; do
    # shellcheck disable=SC2086
    lab_wait_backend $wanted || fail "backend $wanted: $(lab_ctl show backends)"
done
call busy 60 100 -d 100
expect "a busy backend gets no calls" is "${AUDIT[be1]} == 0"

lab_kill_backend 1
lab_start_backend 1
lab_wait_backends_up || fail "the busy backend comes up"
lab_wait_settled || fail "its return is announced, and then done"
call up 60 100 -d 100
expect "a backend that is up again gets calls" is "${AUDIT[be1]} > 0"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Calls through dsr-l2 complete, stay on the backend where they began, and return to the VIP,
# whichever side hangs up.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
lab_start_viaductd || fail "viaductd becomes READY"
phone_calls caller
phone_calls callee

lab_start_backends
lab_wait_backends_up || fail "the SIPp backends come up"
call sipp 100 50 -d 500
for n in 1 2 3; do expect "b$n gets calls" is "${AUDIT[be$n]} > 0"; done

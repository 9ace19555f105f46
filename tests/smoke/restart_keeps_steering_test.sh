#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# viaductd killed with -9 and started again under running calls steers each of them as before.
. "$(dirname "$0")/prelude.sh"

start dsr-l2
table=$(lab_ctl --json show pools | jq -r '.pools[0].table')
lab_call sipp 300 60 -d 3000 &
caller=$!
lab_wait 20 lab_has_placed sipp 150 || fail "SIPp places calls"
lab_kill_viaductd
lab_start_viaductd || fail "viaductd starts after kill -9"
lab_wait_backends_up || fail "the backends come up again"
expect "the table is the one from before" [ "$(lab_ctl --json show pools | jq -r '.pools[0].table')" = "$table" ]
wait "$caller"
audit sipp 300

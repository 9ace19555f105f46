#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Calls that nobody may take are counted as what they are, and the first backend that lives is used.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
cp "$LAB_DIR/viaduct.toml" "$LAB_DIR/quick.toml"
# The first verdict comes only long after the start.
sed -i 's/^interval = .*/interval = "5s"/; s/^timeout = .*/timeout = "5s"/' "$LAB_DIR/viaduct.toml"
lab_start_viaductd || fail "viaductd becomes READY without a backend"
counted_when_sent() { # OUTCOME
    send_invite "$RANDOM-$1"
    outcome_over "$1" 0
}
lab_wait 5 counted_when_sent health_unknown || fail "before the first verdict calls end as health_unknown"
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"

cp "$LAB_DIR/quick.toml" "$LAB_DIR/viaduct.toml"
lab_start_viaductd || fail "viaductd becomes READY again"
lab_wait 15 counted_when_sent no_backend || fail "with all backends down calls end as no_backend"
before=$(outcome forwarded)
expect "nothing is forwarded to a dead backend" is "$before == 0"

lab_start_backend 2
lab_wait_backend 2 up 15 || fail "the first backend that lives comes up"
call sipp 20 50 -d 100
expect "it takes all calls" is "${AUDIT[be2]} == 20"

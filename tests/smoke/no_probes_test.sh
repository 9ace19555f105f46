#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A pool with method = "none" takes calls from the start: nothing else has to change first.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
sed -i 's/^method = .*/method = "none"/; /^interval = /d; /^timeout = /d; /^fall = /d; /^rise = /d' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends count as up"
call sipp 20 50 -d 100

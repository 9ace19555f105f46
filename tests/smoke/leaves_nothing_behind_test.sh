#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# However viaductd ends, nothing of it is left; after kill -9 the next start cleans up.
. "$(dirname "$0")/prelude.sh"

lab_up nat
# With a gateway, so that there is a routing table and a rule for it.
sed -i '/^name = "p0"/a gateway = "198.51.100.1"' "$LAB_DIR/viaduct.toml"
lab_start_backends
host_state >"$LAB_DIR/clean"

lab_start_viaductd || fail "viaductd becomes READY"
host_state >"$LAB_DIR/now"
cmp -s "$LAB_DIR/clean" "$LAB_DIR/now" && fail "this test sees what viaductd makes"
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"
expect_clean "after SIGTERM"

lab_start_viaductd || fail "viaductd becomes READY again"
pid=$(lab_pid viaductd)
lab_ctl shutdown >"$LAB_DIR/reply" || fail "shutdown is obeyed: $(<"$LAB_DIR/reply")"
lab_wait 5 lab_gone "$pid" || fail "shutdown ends viaductd"
expect_clean "after shutdown"

lab_start_viaductd || fail "viaductd becomes READY a third time"
lab_kill_viaductd
lab_start_viaductd || fail "viaductd starts on what kill -9 left"
lab_wait_backends_up || fail "the backends come up"
call sipp 20 50 -d 100
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"
expect_clean "after kill -9, a start and SIGTERM"

# The next start may have another interface: what is on the former one goes all the same.
lab_down
lab_up dsr-l2
host_state >"$LAB_DIR/clean"
lab_start_viaductd || fail "viaductd becomes READY on lb0"
lab_kill_viaductd
filters() { lab_in lb tc filter show dev "$1" ingress; }
expect "kill -9 leaves the filters of lb0" test -n "$(filters lb0)"
sed -i 's/iface=lb0/iface=lb1/' "$LAB_DIR/viaduct.toml"
lab_start_viaductd || fail "viaductd becomes READY on lb1"
expect "a start on lb1 removes the filters of lb0" test -z "$(filters lb0)"
lab_stop_viaductd 5 || fail "SIGTERM ends viaductd"
expect_clean "after kill -9 on lb0, a start on lb1 and SIGTERM"

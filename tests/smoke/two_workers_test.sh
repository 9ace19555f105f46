#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two workers share the packets of one port and decide alike; a port with too few queues is refused.
. "$(dirname "$0")/prelude.sh"

(($(nproc) >= 2)) || { echo "skipped: two workers need two processors" >&2; exit 77; }
lab_up dsr-l2
sed -i 's/^workers = 1/workers = 2/' "$LAB_DIR/viaduct.toml"
lab_in lb "$VIADUCT_BUILD/viaductd" --config "$LAB_DIR/viaduct.toml" 2>"$LAB_DIR/err" &&
    fail "a port with one queue is refused to two workers"
expect "it says what to do: $(<"$LAB_DIR/err")" grep -q 'add qpairs=2' "$LAB_DIR/err"

sed -i 's/framecnt=4096/framecnt=4096,qpairs=2/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY with two workers"
lab_wait_backends_up || fail "the backends come up"

# The kernel spreads flows over the queues by a hash that nobody here knows: many flows reach both.
flows() {
    local port
    for port in {1..64}; do
        printf 'BYE sip:x SIP/2.0\r\nCall-ID: one-call\r\n\r\n' |
            lab_in cli socat -u - "UDP-SENDTO:$LAB_VIP:5060,bind=$LAB_CLIENT:$((20000 + port))"
    done
}
worker_received() { lab_ctl --json show workers | jq ".workers[$1].received"; }
before0=$(worker_received 0) before1=$(worker_received 1)
flows
all_counted() { (($(outcome forwarded) >= 64)); }
expect "all 64 messages are forwarded" lab_wait 5 all_counted
expect "worker 0 takes some" is "$(worker_received 0) - before0 > 5"
expect "worker 1 takes some" is "$(worker_received 1) - before1 > 5"
one_backend() { lab_ctl --json show backends | jq -e '[.backends[].forwarded | select(. > 0)] == [64]' >/dev/null; }
expect "both workers send one Call-ID to one backend" one_backend

call sipp 200 100 -d 500
expect "received is the sum of outcomes" lab_wait 5 lab_conserved

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Slow and mad clients of the control socket cost no call, and leave nothing in viaductd.
. "$(dirname "$0")/prelude.sh"

start dsr-l2
pid=$(lab_pid viaductd)
descriptors() { find "/proc/$pid/fd" -mindepth 1 | wc -l; }
descriptors_are() { (($(descriptors) <= $1)); }
connect() { timeout 6 socat "$@" "UNIX-CONNECT:$LAB_SOCKET" >/dev/null 2>&1; }
before=$(descriptors)

lab_call sipp 400 100 -d 500 &
caller=$!
clients=()
for _ in {1..100}; do connect -u EXEC:"sleep 5" & clients+=($!); done           # more than are let in
for _ in {1..3}; do yes "json show config" | head -n 20000 | connect -u - & clients+=($!); done # never read
head -c 8000000 /dev/zero | connect - & clients+=($!)                              # a line without end
head -c 300000 /dev/urandom | connect - & clients+=($!)                            # noise
head -c 300000 /dev/urandom | tr -dc 'a-z \n' | connect - & clients+=($!)          # words
printf 'json explain sip %s\n' "$(printf '%%s%%n%.0s' {1..5000})" | connect - & clients+=($!)
wait "$caller"
audit sipp 400
wait "${clients[@]}"

expect "viaductd lives" lab_alive "$pid"
expect "all mad clients are let go ($(descriptors) descriptors, $before before)" lab_wait 10 descriptors_are "$before"
lab_ctl show version >"$LAB_DIR/reply" || fail "the next honest client is served: $(<"$LAB_DIR/reply")"

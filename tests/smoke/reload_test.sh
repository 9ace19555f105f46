#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A hundred reloads in a minute, under calls that last longer than any of them: no call fails or moves,
# no packet is lost to them. A backend that is taken out of the file keeps its calls; a broken file
# changes nothing; a backend that stands still for two seconds keeps its calls, too.
. "$(dirname "$0")/prelude.sh"

pool() { lab_ctl --json show pools | jq -r ".pools[0].$1"; }
reloads() { grep -c "configuration: backend b2 of pool proxies" "$LAB_DIR/viaductd.log"; }
reloads_are() { (($(reloads) == $1)); }
past() { ((${EPOCHREALTIME/./} / 1000 >= $1)); } # MILLISECONDS since 1970

lab_up dsr-l2
config=$LAB_DIR/viaduct.toml
cp "$config" "$LAB_DIR/whole.toml"
# Without b2, and b3 with half its weight.
awk '/^\[\[pool.backend\]\]/ { head = $0; next }
     head != "" { gone = /"b2"/; if (!gone) print head; head = ""; half = /"b3"/; if (half) $0 = $0 "\nweight = 50" }
     /^\[steering\]/ { gone = 0 }
     !gone' "$LAB_DIR/whole.toml" >"$LAB_DIR/less.toml"
"$VIADUCT_BUILD/viaductd" --check "$LAB_DIR/less.toml" || fail "the test's second file is good"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait_settled || fail "all three take calls"
unseen=$(lab_unseen) || fail "the line falls quiet"

lab_call sipp 1200 20 -d 6000 &
caller=$!
lab_wait 20 lab_has_placed sipp 40 || fail "SIPp places calls"
began=$SECONDS began_ms=$((${EPOCHREALTIME/./} / 1000))
for ((n = 1; n <= 100; ++n)); do
    file=whole
    ((n % 2)) && file=less
    cp "$LAB_DIR/$file.toml" "$config"
    if ((n % 4 < 2)); then
        lab_ctl reload >"$LAB_DIR/reply" || fail "reload $n is obeyed"
    else
        kill -HUP "$(lab_pid viaductd)"
    fi
    lab_wait 5 reloads_are "$n" || fail "reload $n is applied (the log knows $(reloads))"
    lab_wait 2 past $((began_ms + n * 550)) # spread over the minute
done
expect "a hundred reloads take no more than a minute or so ($((SECONDS - began)) s)" is "$((SECONDS - began)) <= 75"
wait "$caller" || fail "SIPp ends well"
audit sipp 1200
expect "received is the sum of outcomes" lab_conserved
expect "nothing was dropped by the driver" is "$(lab_unseen) == $unseen"
expect "no SIP ended anywhere but at a backend" is "$(outcome no_backend) + $(outcome health_unknown) + $(outcome dead_owner) == 0"
lab_wait_settled || fail "the last reload is announced, and then done"
expect "many changes make few generations" is "$(lab_ctl --json show generations | jq '.generations | length') < 40"

# Out of the file, b2 leaves: the calls it has stay, new ones go elsewhere.
lab_call leaving 100 100 -d 12000 &
caller=$!
lab_wait 20 lab_has_placed leaving 100 || fail "SIPp places calls"
cp "$LAB_DIR/less.toml" "$config"
lab_ctl --json preview "$config" >"$LAB_DIR/preview" || fail "preview is obeyed"
expect "preview says that b2 goes" jq -e '[.changes[].what] | index("backend b2 of pool proxies")' "$LAB_DIR/preview" >"$LAB_DIR/jq"
expect "preview changes nothing" [ "$(pool backends)" = 3 ]
lab_ctl reload >"$LAB_DIR/reply" || fail "reload is obeyed"
lab_wait_settled || fail "that b2 leaves is announced, and then done"
expect "b2 leaves" [ "$(lab_states | grep b2)" = "b2 up leaving" ]
call after 60 100 -d 50
expect "b2 gets no new call" is "${AUDIT[be2]} == 0"
wait "$caller"
audit leaving 100
expect "b2 kept its calls" is "${AUDIT[be2]} > 0"

echo 'nonsense' >>"$config"
lab_ctl reload >"$LAB_DIR/out" 2>"$LAB_DIR/err" && fail "a broken file is refused"
expect "in one line: $(<"$LAB_DIR/err")" is "$(grep -c . "$LAB_DIR/err") == 1"
expect "and nothing changes" [ "$(lab_states | grep b2)" = "b2 up leaving" ]
lab_ctl rollback >"$LAB_DIR/reply" || fail "rollback is obeyed"
expect "b2 is back" [ "$(lab_states | grep b2)" = "b2 up enabled" ]
lab_wait_settled || fail "its return is announced, and then done"

# The verbs do the same without the file: b2 goes and comes back under calls.
address=$(lab_ctl --json show backends | jq -r '.backends[] | select(.backend == "b2").address')
lab_call verbs 200 50 -d 6000 &
caller=$!
lab_wait 20 lab_has_placed verbs 50 || fail "SIPp places calls"
expect "remove says where to keep it" lab_ctl remove proxies b2 >"$LAB_DIR/reply"
expect "b2 leaves again" [ "$(lab_states | grep b2)" = "b2 up leaving" ]
lab_wait_settled || fail "that b2 leaves is announced, and then done"
lab_ctl add proxies b2 "$address" >"$LAB_DIR/reply" || fail "add is obeyed"
expect "b2 is a backend again" [ "$(lab_states | grep b2)" = "b2 up enabled" ]
lab_wait_settled || fail "its return is announced, and then done"
wait "$caller"
audit verbs 200
call added 60 100 -d 50
expect "b2 gets calls again" is "${AUDIT[be2]} > 0"
cp "$LAB_DIR/whole.toml" "$config"
expect "the file says the same" [ "$(lab_ctl preview "$config" | head -n 1)" = "No difference from the running configuration." ]

# A pause of two seconds is no death, though b1 is declared down in it: calls that live stay, and what
# comes in them meanwhile waits for b1.
sed -i 's/^fall = .*/fall = 2/' "$config"
lab_ctl reload >"$LAB_DIR/reply" || fail "reload is obeyed"
no_owner=$(($(outcome no_backend) + $(outcome dead_owner)))
lab_call pause 200 200 -d 2500 &
caller=$!
lab_wait 20 lab_has_placed pause 200 || fail "SIPp places calls"
until=$((${EPOCHREALTIME/./} / 1000 + 2000))
kill -STOP "$(lab_pid be1)"
lab_wait_backend 1 down || fail "b1 is declared down"
lab_wait 4 past "$until"
kill -CONT "$(lab_pid be1)"
lab_wait_backend 1 up || fail "b1 is up again"
wait "$caller"
audit pause 200
expect "b1 kept its calls" is "${AUDIT[be1]} > 0"
expect "each of their messages had a backend" is "$(outcome no_backend) + $(outcome dead_owner) == $no_owner"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# viaductd killed with -9 and started again under running calls steers each of them as before: on a
# day without changes, in the middle of an announced change, and behind its switch. Operators' wishes
# and the health of backends outlive it; a state file of another secret is refused in one line.
. "$(dirname "$0")/prelude.sh"

pool() { lab_ctl --json show pools | jq -r ".pools[0].$1"; }
settled_is() { [[ $(pool switch_in_s) == null ]]; }
kept() { # GENERATIONS: as the state file has it
    [[ $(jq '[.body.pools[] | select(.name == "proxies")][0].generations | length' "$LAB_DIR/state/state.json") == "$1" ]]
}
restart() { # WHEN
    lab_kill_viaductd
    lab_start_viaductd || fail "viaductd starts after kill -9 $1"
}

lab_up dsr-l2
sed -i 's/^t_settle = .*/t_settle = "32s"/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
lab_wait 40 settled_is || fail "all three take calls"

table=$(pool table)
lab_call sipp 300 60 -d 3000 &
caller=$!
lab_wait 20 lab_has_placed sipp 150 || fail "SIPp places calls"
lab_wait 20 kept 1 || fail "the state file knows the generation"
restart "on a quiet day"
expect "it steers at once, by what it knew of its backends" eligible_is 3
expect "the table is the one from before" [ "$(pool table)" = "$table" ]
wait "$caller"
audit sipp 300

# Calls that begin before the announcement, during it and behind the switch, and last longer.
lab_call change 900 20 -d 12000 &
caller=$!
lab_wait 20 lab_has_placed change 40 || fail "SIPp places calls"
lab_ctl drain proxies b1 >"$LAB_DIR/reply" || fail "drain is obeyed"
before=$(pool switch_in_s)
lab_wait 20 lab_has_placed change 100 || fail "SIPp places calls during the announcement"
restart "in the middle of an announced change"
expect "b1 still drains" [ "$(lab_states | grep b1)" = "b1 up draining" ]
expect "the announcement goes on ($before s, then $(pool switch_in_s) s)" is "$(pool switch_in_s) < $before"
expect "the table is still the one from before" [ "$(pool table)" = "$table" ]
lab_wait 40 settled_is || fail "the change switches"
expect "it has another table" [ "$(pool table)" != "$table" ]
lab_wait 20 kept 2 || fail "the state file knows the switch"
restart "behind the switch"
expect "two generations are known" \
    is "$(lab_ctl --json show generations proxies | jq '.generations | length') == 2"
wait "$caller"
audit change 900

lab_stop_viaductd || fail "viaductd stops"
secret=$(grep '^secret = ' "$LAB_DIR/viaduct.toml")
sed -i 's/^secret = .*/secret = "ff0102030405060708090a0b0c0d0e0f"/' "$LAB_DIR/viaduct.toml"
lab_start_viaductd || fail "viaductd starts with another secret"
expect "it says in one line that the state is of another one" \
    is "$(grep -c 'state.json is not used: written with a different secret' "$LAB_DIR/viaductd.log") == 1"
lab_wait_backends_up || fail "the backends come up"
expect "the drain is forgotten with it" [ "$(lab_states | grep b1)" = "b1 up enabled" ]

# As docs/operations.md says.
refused_files() { grep -c "$LAB_DIR/state/.* is not used" "$LAB_DIR/viaductd.log"; }
refused=$(refused_files)
lab_stop_viaductd || fail "viaductd stops again"
sed -i "s/^secret = .*/$secret/" "$LAB_DIR/viaduct.toml"
for file in state.json calls.copy; do
    mv "$LAB_DIR/state/$file.refused" "$LAB_DIR/state/$file" || fail "$file is kept"
done
lab_start_viaductd || fail "viaductd starts with the right secret again"
expect "the drain is back" [ "$(lab_states | grep b1)" = "b1 up draining" ]
expect "nothing in the state folder is refused again" is "$(refused_files) == $refused"

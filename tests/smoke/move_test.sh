#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In either mode, a VIP moves from the pool "proxies" (b1, b2) to the pool "next" (b3) by reload, under calls: those that
# began stay and are counted, new ones go to the new pool and back again, and when the old one is empty it is taken out.
. "$(dirname "$0")/prelude.sh"

vip() { lab_ctl --json show vips | jq -r ".vips[0].$1"; }
failed() { lab_ctl --json show calls proxies | jq '[.calls[].failed] | add'; }
has_moved() { [[ $(vip moves_in_s) == null ]]; }
is_empty() { [[ $(vip calls_left) == 0 ]]; }

moves() { # MODE
    local config network health file caller
    lab_up "$1"
    config=$LAB_DIR/viaduct.toml network=198.51.100
    [[ $1 == nat ]] && network=203.0.113
    health=$(sed -n '/^\[pool.health\]/,/^$/p' "$config")
    awk '/^\[\[pool.backend\]\]/ { head = $0; next }
         head != "" { gone = /"b3"/; if (!gone) print head; head = "" }
         /^\[steering\]/ { gone = 0 }
         /^t_settle/ { print "count_calls = true" }
         !gone' "$config" >"$LAB_DIR/before.toml"
    {
        sed -e 's/^pool = "proxies"/pool = "next"\nprevious_pool = "proxies"/' "$LAB_DIR/before.toml"
        printf '\n[[pool]]\nname = "next"\nmode = "%s"\nt_settle = "%ss"\n\n%s\n\n' "$1" "$LAB_SETTLE" "$health"
        printf '[[pool.backend]]\nname = "b3"\naddress = "%s.23"\nport = 5060\n' "$network"
    } >"$LAB_DIR/moving.toml"
    sed -e 's/^pool = "next"/pool = "proxies"/; s/^previous_pool = .*/previous_pool = "next"/' \
        "$LAB_DIR/moving.toml" >"$LAB_DIR/back.toml"
    sed -e '/^previous_pool/d' "$LAB_DIR/moving.toml" |
        awk '/^\[\[pool\]\]/ { pools++ } /^\[steering\]/ { pools = 2 } !(pools == 1)' >"$LAB_DIR/after.toml"
    cp "$LAB_DIR/before.toml" "$config"
    for file in before moving back after; do
        "$VIADUCT_BUILD/viaductd" --check "$LAB_DIR/$file.toml" || fail "$file.toml is good"
    done

    lab_start_backends
    lab_start_viaductd || fail "viaductd becomes READY"
    lab_wait_settled || fail "both take calls"
    lab_call old 120 60 -d 15000 &
    caller=$!
    lab_wait 20 lab_has_placed old 120 || fail "SIPp places calls"
    cp "$LAB_DIR/moving.toml" "$config"
    lab_ctl reload >"$LAB_DIR/reply" || fail "reload is obeyed"
    expect "the old pool is named" [ "$(vip previous_pool)" = proxies ]
    lab_wait 30 has_moved || fail "the move is announced, and then done"
    call new 100 100 -d 50
    expect "new calls go to the new pool" is "${AUDIT[be1]} + ${AUDIT[be2]} == 0 && ${AUDIT[be3]} > 0"
    # One ACK to a success in 14 is taken for one to a refusal (docs/steering.md).
    expect "calls that began before are counted" is "$(vip calls_left) + $(failed) == 120 && $(failed) < 40"
    cp "$LAB_DIR/back.toml" "$config"
    lab_ctl reload >"$LAB_DIR/reply" || fail "the names can be exchanged"
    expect "it goes back at once" has_moved
    call back 100 100 -d 50
    expect "new calls go to the first pool again" is "${AUDIT[be3]} == 0"
    cp "$LAB_DIR/moving.toml" "$config"
    lab_ctl reload >"$LAB_DIR/reply" || fail "and exchanged again"
    expect "it moves at once" has_moved
    wait "$caller"
    audit old 120
    expect "they stayed" is "${AUDIT[be3]} == 0"
    lab_wait 10 is_empty || fail "the old pool is empty ($(vip calls_left) calls are left)"
    expect "and all were counted" [ "$(vip all_counted)" = true ]

    lab_call last 100 100 -d 4000 &
    caller=$!
    lab_wait 20 lab_has_placed last 100 || fail "SIPp places calls"
    cp "$LAB_DIR/after.toml" "$config"
    lab_ctl reload >"$LAB_DIR/reply" || fail "the old pool is taken out"
    expect "nothing is left of it" [ "$(vip previous_pool)" = null ]
    wait "$caller"
    audit last 100
    expect "received is the sum of outcomes" lab_conserved
    lab_down
}
moves nat
moves dsr-l2

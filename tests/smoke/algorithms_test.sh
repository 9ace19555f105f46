#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What deals calls out keeps its word: round-robin to the call, the least loaded when one backend is slow; max_calls is
# held; requests that nobody answers leave the count by themselves; and dsr-l2 pools cannot count them.
. "$(dirname "$0")/prelude.sh"

# begin STEERING [SED...]: viaductd anew, with nothing remembered.
begin() {
    lab_stop_viaductd || fail "viaductd stops"
    rm -rf "$LAB_DIR/state" "$LAB_DIR/calls"
    sed -e "s/^t_settle/steering = \"$1\"\n&/" "${@:2}" "$LAB_DIR/plain.toml" >"$LAB_DIR/viaduct.toml"
    lab_start_viaductd || fail "viaductd becomes READY with $1"
    lab_wait_backends_up || fail "the backends come up"
    lab_wait_settled || fail "all three take calls"
}
# slow N: that backend rings for 2 s.
slow() { LAB_SIPP=$LAB_DIR/slow lab_start_backend "$1"; }
dealt() { echo "$1 gave b1 ${AUDIT[be1]}, b2 ${AUDIT[be2]}, b3 ${AUDIT[be3]}"; }
open_are() { [[ $(lab_ctl --json show calls | jq '[.calls[].open] | add') == "$1" ]]; }
# at_once N: the most calls that rang at backend N at one time.
at_once() {
    awk -F'\t' '$6 !~ /INVITE/ { next }
        $4 == "R" && !($5 in rings) { rings[$5] = 1; if (++now > most) most = now }
        $4 == "S" && $7 ~ / 200 / && rings[$5] == 1 { rings[$5] = 2; --now }
        END { print most + 0 }' "$LAB_DIR/be$1.$2.trace"
}

LAB_FALL=30
lab_up nat
cp "$LAB_DIR/viaduct.toml" "$LAB_DIR/plain.toml"
mkdir "$LAB_DIR/slow"
sed 's|<send retrans="500">|<pause milliseconds="2000"/>&|' "$LAB_SIPP/uas.xml" >"$LAB_DIR/slow/uas.xml"

for steering in least-transactions least-work; do
    sed -e "s/^t_settle/steering = \"$steering\"\n&/" -e 's/"nat"/"dsr-l2"/' "$LAB_DIR/plain.toml" >"$LAB_DIR/dsr.toml"
    if "$VIADUCT_BUILD/viaductd" --check "$LAB_DIR/dsr.toml" >"$LAB_DIR/check" 2>&1; then fail "$steering wants nat"; fi
    expect "it is refused in one line: $(<"$LAB_DIR/check")" is "$(grep -c . "$LAB_DIR/check") == 1"
    expect "which names it: $(<"$LAB_DIR/check")" grep -q "$steering" "$LAB_DIR/check"
done

slow 1
lab_start_backend 2
lab_start_backend 3

begin round-robin
call turns 300 100 -d 200
expect "each in turn: $(dealt round-robin)" is "${AUDIT[be1]} == 100 && ${AUDIT[be2]} == 100 && ${AUDIT[be3]} == 100"

# Calls of b1 last five times as long, so it has the same number of them with a fifth of what the others get.
begin least-calls
call few 300 100 -d 500
expect "long calls, fewer of them: $(dealt least-calls)" is "2 * ${AUDIT[be1]} < ${AUDIT[be2]} && 2 * ${AUDIT[be1]} < ${AUDIT[be3]}"

# A request that is repeated behind its answer is open again until its deadline: those are kept to a second here.
to_the_second=(-e 's/^t1 = .*/&\nc = "10s"/' -e 's/^mode = .*/&\ncall_lifetime = "10m"/')
for steering in least-transactions least-work; do
    begin "$steering" "${to_the_second[@]}"
    call "$steering" 300 100 -d 200
    expect "the slow one gets few: $(dealt "$steering")" is "4 * ${AUDIT[be1]} < ${AUDIT[be2]} && 4 * ${AUDIT[be1]} < ${AUDIT[be3]}"
    lab_wait 15 open_are 0 || fail "nothing is left open: $(lab_ctl show calls)"
done

# All ring, because a call that was answered may count as refused until its next message (docs/steering.md).
for n in 1 2 3; do lab_kill_backend $n; slow $n; done
begin least-calls -e 's/^address = "203.*/&\nmax_calls = 10/'
call limit 60 100 -d 0
for n in 1 2 3; do expect "b$n has ten calls at once, never more ($(at_once $n 2))" is "$(at_once $n 2) == 10"; done
expect "calls beyond that had to wait" outcome_over over_limit 0

# Whoever asks goes away and those who should answer stand still: an INVITE and a BYE of each call stay open.
awk '/<send/ { block = ""; ++n } { block = block $0 "\n" } /<\/send>/ { sub(/ retrans="500"/, "", block); if (n != 2) printf "%s", block }
     n == 0; END { print "</scenario>" }' "$LAB_SIPP/uac.xml" >"$LAB_DIR/gone.xml"
begin least-transactions "${to_the_second[@]}"
for n in 1 2 3; do kill -STOP "$(lab_pid "be$n")"; done
lab_in cli sipp -sf "$LAB_DIR/gone.xml" "$LAB_VIP:5060" -i "$LAB_CLIENT" -s callee -nostdin -m 60 -r 300 -l 60 >"$LAB_DIR/gone" 2>&1 ||
    fail "SIPp sends 60 INVITEs and BYEs: $(tail -n 3 "$LAB_DIR/gone")"
lab_wait 5 open_are 120 || fail "they are open: $(lab_ctl show calls)"
lab_wait 8 open_are 60 || fail "BYEs leave after 64 times T1: $(lab_ctl show calls)"
lab_wait 15 open_are 0 || fail "INVITEs leave after timer C: $(lab_ctl show calls)"
expect "received is the sum of outcomes" lab_conserved

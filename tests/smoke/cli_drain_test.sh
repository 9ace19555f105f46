#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# drain and disable keep new calls away, undrain and enable bring them back, and mistakes are named.
. "$(dirname "$0")/prelude.sh"

lab_up dsr-l2
# The shortest announcement there is: here nobody repeats a request for long.
sed -i 's/^mode = .*/&\nt_settle = "1s"/; s/^\[steering\]/[timers]\nt1 = "10ms"\n\n&/' "$LAB_DIR/viaduct.toml"
lab_start_backends
lab_start_viaductd || fail "viaductd becomes READY"
lab_wait_backends_up || fail "the backends come up"
switched() { [[ $(lab_ctl --json show pools | jq '.pools[0].switch_in_s') == null ]]; }
run=0
# gets N yes|no VERB BACKEND: after the verb, b<N> gets new calls or does not.
gets() {
    lab_ctl "$3" proxies "$4" >"$LAB_DIR/reply" || fail "$3 proxies $4 is obeyed: $(<"$LAB_DIR/reply")"
    if [[ $2 == yes ]]; then lab_wait 5 eligible_is 3 || fail "after $3 all three are eligible"; fi
    lab_wait 5 switched || fail "$3 switches"
    call "run$((++run))" 60 100 -d 50
    if [[ $2 == yes ]]; then
        expect "after $3 b$1 gets calls" is "${AUDIT[be$1]} > 0"
    else
        expect "after $3 b$1 gets none (it got ${AUDIT[be$1]})" is "${AUDIT[be$1]} == 0"
    fi
}
gets 1 no drain b1
gets 1 yes undrain b1
gets 2 no disable b2
gets 2 yes enable b2

for mistake in "drain proxies nobody" "drain nothing b1" "drain proxies" "drian proxies b1" "explain nobody x"; do
    # shellcheck disable=SC2086
    if lab_ctl $mistake >"$LAB_DIR/out" 2>"$LAB_DIR/err"; then fail "\"$mistake\" is refused"; fi
    expect "\"$mistake\" is refused in one line: $(<"$LAB_DIR/err")" is "$(grep -c . "$LAB_DIR/err") == 1"
done
setpriv --reuid 65534 --clear-groups "$VIADUCT_BUILD/viaductctl" --socket "$LAB_SOCKET" \
    drain proxies b1 >"$LAB_DIR/out" 2>&1 && fail "a stranger may not drain"
expect "nothing changed by mistakes and strangers" eligible_is 3

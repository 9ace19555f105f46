# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# search: the highest rate that passes. Sourced by `rig3` and `calls`, which define
#
#   carries RATE    whether the rate passes; when it does not, LIMIT says whose limit that is

SEARCH_TRIALS=40 # who needs more does not behave alike twice

# search FIRST RESOLUTION LEAST: sets FOUND, a rate that passes while one at most RESOLUTION % higher
# does not; LIMIT is what carries said of that one. Begins with FIRST. False when not even LEAST passes.
search() {
    local resolution=$2 least=$3 pass=0 fail=0 rate step=$(($2 * 2)) limit="" trial
    rate=$(($1 > least ? $1 : least))
    for ((trial = 0; trial < SEARCH_TRIALS; ++trial)); do
        if carries "$rate"; then
            pass=$rate
        else
            fail=$rate limit=$LIMIT
            ((rate > least)) || return 1
        fi
        if ((fail == 0)); then
            rate=$((pass + pass * step / 100))
        elif ((pass == 0)); then
            rate=$((fail - fail * step / 100))
        else
            (((fail - pass) * 100 > fail * resolution)) || break
            rate=$(((pass + fail) / 2))
        fi
        ((rate >= least)) || rate=$least
        ((step >= 50)) || ((step *= 2))
    done
    FOUND=$pass LIMIT=$limit
    ((FOUND))
}

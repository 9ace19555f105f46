#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check: the project's rules that a machine can check. One line per rule; exit 1 when one is broken.
#
#   scripts/check.sh [--fast | --bench [--base REV]]
#
# --fast: format, licence, commits, sizes, layers and the hot path only, with what is in build/. Takes seconds; run it
# before a commit. Without it also closed sets, Clang, the build without DPDK under AddressSanitizer and UBSan,
# ThreadSanitizer, the reference and clang-tidy. Needs build/ (meson setup build && ninja -C build).
#
# --bench runs alone: whether reading and stages are as fast as in bench/baseline.json, and as in the build of a base
# commit (scripts/ab says which). It builds and runs the micro benchmarks and compares ratios to other parsers, not times;
# a value more than 10 % worse fails, and a baseline of another CPU is skipped. Then it compares with the base in one
# process; a ratio beyond its limit in bench/marks.json fails. What fails is measured twice. Takes two to five minutes;
# the machine should be idle.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

fast="" bench="" base=()
case "${1:-} ${2:-} $#" in
"  0") ;;
"--fast  1") fast=yes ;;
"--bench  1") bench=yes ;;
"--bench --base 3") bench=yes base=(--base "$3") ;;
*)
    echo "usage: scripts/check.sh [--fast | --bench [--base REV]]" >&2
    exit 1
    ;;
esac

passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

rule() { # NAME COMMAND...
    local began=$SECONDS
    printf '..    %s\n' "$1" # some take minutes
    if "${@:2}" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %s (%d s)\n' "$1" $((SECONDS - began))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$1"
        tail -n 40 "$log" | sed 's/^/      /'
    fi
}

sources() { git ls-files -co --exclude-standard -- "$@"; }

format() { sources '*.cpp' '*.hpp' | xargs clang-format-14 --dry-run -Werror; }

licence() {
    local file wrong=0
    for file in $(sources '*.cpp' '*.hpp' '*.sh' '*.py' '*meson.build' scripts .ci/run); do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' && continue
        echo "$file: its first lines lack SPDX-License-Identifier: Apache-2.0"
        wrong=1
    done
    return $wrong
}

# nothing PATTERN FILE...: whether no line of the files matches.
nothing() { ! grep -nE "$1" "${@:2}"; }

# Only commits since then are checked; older ones may differ.
COMMITS_SINCE='2026-11-30 21:00 +0000'
commits() {
    local commit subject wrong=0
    for commit in $(git log --no-merges --since="$COMMITS_SINCE" --format=%H); do
        subject=$(git log -1 --format=%s "$commit")
        ((${#subject} <= 72)) || { echo "${commit:0:8} $subject: ${#subject} characters, at most 72"; wrong=1; }
        [[ $subject =~ ^[a-z0-9_./,\ -]+:\ .*[^.]$ ]] || { echo "${commit:0:8} $subject: not 'area: imperative'"; wrong=1; }
        [[ $(git log -1 --format=%b "$commit") =~ [^[:space:]] ]] || { echo "${commit:0:8} $subject: the body says why"; wrong=1; }
    done
    return $wrong
}

# The folders of its plane that each folder may include, from lowest to highest. The files directly in the plane's
# folder ('.') are below all, except the top ones.
read -r -d '' FOLDERS <<'END'
dataplane/sip           .
dataplane/wire          . sip
dataplane/steering      . sip
dataplane/stages        . sip wire
dataplane/shell         . wire steering
dataplane/replay        . steering
controlplane/config     .
controlplane/host       . config
controlplane/model      . config host
controlplane/health     . config host model
controlplane/calls      .
controlplane/publish    . config host model health calls
controlplane/state      . config model publish
controlplane/cli        . config host model health calls publish
END
# strangers PATTERN FILE...: prints includes of the plane's folders that do not match.
strangers() { grep -nE '#include "[a-z_]+/' "${@:2}" | grep -vE "#include \"($1)/"; }
folders() {
    local folder may wrong=0 listed=" "
    while read -r folder may; do
        listed+="$folder "
        may=${may#.}
        ! strangers "viaduct|${folder#*/}${may// /|}" $(sources "$folder/*.[ch]pp") || wrong=1
    done <<<"$FOLDERS"
    for folder in $(sources 'dataplane/*/*' 'controlplane/*/*' | xargs dirname | sort -u); do
        [[ $listed == *" $folder "* ]] || { echo "$folder: FOLDERS in scripts/check.sh must say what it may include"; wrong=1; }
    done
    ! strangers viaduct dataplane/{frame,stage_clock}.hpp controlplane/{log,loop,files,totals}.[ch]pp || wrong=1
    return $wrong
}

# owner GROUP TYPE STAGE: among stages, shell and replay, only this stage assigns to this group of a Frame or takes a
# reference to it. (lane.cpp does what several stages do.)
owner() {
    nothing "frame\.$1(\.[a-z0-9_]+)? ?[-+|]?= |[-+]{2}frame\.$1|(^|[(,;]) *($2|auto)& .*= frame\.$1;|(^|[(,;]) *$2& " $(sources 'dataplane/stages/*.cpp' dataplane/pipeline.cpp \
        'dataplane/shell/*.cpp' 'dataplane/replay/*.cpp' | grep -v "stages/$3.cpp")
}
# One file for each stage, each group of a Frame with one writer, and one place for what must not be in several.
stages() {
    local name wrong=0
    for name in $(sed -n '/kStageNames{/,/};/p' include/viaduct/counters.hpp | grep -o '"[a-z]*"' | tr -d '"'); do
        [[ $name =~ ^(rx|tx|rest)$ || -f dataplane/stages/$name.cpp ]] || { echo "stage $name: dataplane/stages/$name.cpp is missing"; wrong=1; }
    done
    ((wrong == 0)) && owner layout Layout decode && owner claim Claim claim && owner digest SipDigest digest &&
        owner key CallKey admit && owner target Target steer && owner exit Exit route &&
        nothing 'Leg::' $(sources 'dataplane/*.cpp' | grep -v stages/claim.cpp) &&
        nothing 'version_ihl = ' $(sources 'dataplane/*.cpp' 'controlplane/*.cpp' | grep -v wire/datagram.cpp) &&
        { (($(wc -l <dataplane/pipeline.cpp) < 150)) || { echo "dataplane/pipeline.cpp: at most 149 lines"; return 1; }; }
}

# Which files may include what; the build itself hides private folders.
layers() {
    local shell='bench/table_bench\.cpp|dataplane/shell/.*\.[ch]pp|bench/generator.*\.[ch]pp'
    nothing '#include "\.\./' $(sources '*.cpp' '*.hpp') &&
        nothing '#include <rte_|\brte_[a-z0-9_]+\(' $(sources '*.cpp' '*.hpp' | grep -vE "$shell") &&
        nothing '#include <(iostream|regex|filesystem|format)>' $(sources '*.cpp' '*.hpp') &&
        nothing '#include "[^v]' $(sources 'include/*.hpp') &&
        folders &&
        stages &&
        nothing 'ForwardMode::' $(sources 'dataplane/*.cpp' 'dataplane/*.hpp' 'controlplane/*.cpp') &&
        nothing '^ *virtual |std::function' $(sources 'dataplane/*.hpp' 'dataplane/*.cpp' | grep -v replay)
}

# build DIRECTORY [MESON-OPTION...]: builds with the compiler in CXX.
build() {
    [[ -f $1/build.ninja ]] || meson setup "$@" || return 1
    ninja -C "$1"
}

# Libraries and programs only: clang-tidy covers the rest.
clang_build() { CXX=clang++-14 build build-clang -Dtests=false -Dbench=disabled; }

# Uses Clang, which needs half of GCC's time here, and so compiles the tests as well.
sanitized_tests() {
    local -x CXX=clang++-14
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    build build-sanitize -Dbuildtype=debug -Doptimization=1 -Ddpdk=disabled -Dbench=disabled \
        -Db_sanitize=address,undefined -Db_lundef=false &&
        meson test -C build-sanitize --print-errorlogs --timeout-multiplier 4
}

# Data that several workers write.
no_races() {
    ${CXX:-c++} -std=c++20 -O1 -g -fsanitize=thread -Iinclude -Idataplane -Icontrolplane -Itests/support \
        tests/dataplane/steering/{call_table,rate_limit}_test.cpp tests/controlplane/calls/slot_marks_test.cpp \
        dataplane/steering/call_table.cpp controlplane/calls/slot_marks.cpp \
        -lgtest -lgtest_main -pthread -o build/shared_tsan &&
        TSAN_OPTIONS=halt_on_error=1 build/shared_tsan --gtest_filter='*Threads*'
}

reference() {
    build/viaductd --reference | diff -u docs/reference.md - ||
        { echo 'docs/reference.md is stale: build/viaductd --reference > docs/reference.md'; return 1; }
}

# Without files every rule would pass.
[[ -n $(sources '*.cpp') && -n $(sources '*.hpp') ]] ||
    { echo "check: git lists no sources in $(pwd -P): it must be installed, and the tree be a clone of yours" >&2; exit 1; }

tidy() {
    mkdir -p build/tidy # without GCC's own options, which Clang rejects
    sed 's/ -mmemset-strategy=[^ "]*//' build/compile_commands.json >build/tidy/compile_commands.json || return 1
    sources 'dataplane/*.cpp' 'controlplane/*.cpp' | grep -v no_dataplane |
        xargs -P "$(nproc)" -n 1 clang-tidy-14 -p build/tidy --quiet --extra-arg=-Wno-unknown-warning-option
}

# measure FOLDER: writes the values that guard compares.
measure() {
    local name
    mkdir -p "$1"
    for name in message pipeline; do
        echo "..    measuring: $name"
        "build/bench/${name}_bench" --benchmark_min_time=0.05 --json "$1/$name.json" >"$log" 2>&1 ||
            { cat "$log"; return 2; }
    done
    echo "..    measuring: ab"
    scripts/ab "${base[@]}" --json "$1/ab.json" >"$log" 2>&1 && return
    (($? == 77)) || { tail -n 40 "$log"; return 2; }
    echo "..    skipped: $(tail -n 1 "$log")"
    rm -f "$1/ab.json"
}

# judge FOLDER...: compares the values of one or two runs with the baseline and with the base.
judge() {
    local status
    bench/report.py guard bench/baseline.json "$@"
    status=$?
    [[ ! -f $1/ab.json ]] || bench/report.py base "$@" || status=$(($? > status ? $? : status))
    return $status
}

# guard: returns 1 when something is slower, 2 when it cannot be measured.
guard() {
    local status folder=build/bench/guard-runs
    ninja -C build bench/message_bench bench/pipeline_bench >"$log" 2>&1 || { tail -n 40 "$log"; return 2; }
    measure "$folder/1" || return 2
    judge "$folder/1" && return
    status=$?
    if ((status == 1)); then
        echo "..    once more: noise hits one run, a change all"
        measure "$folder/2" || return 2
        judge "$folder/1" "$folder/2" && return
        status=$?
    fi
    return $status
}

if [[ -n $bench ]]; then
    guard && echo "check: passed" && exit
    echo "check: FAILED; where the change is wanted, renew the baseline (scripts/bench --baseline) or the limit in bench/marks.json"
    exit 1
fi

rule 'format: clang-format 14 leaves every file as it is' format
rule 'licence: every source names it' licence
rule 'commits: subjects of at most 72 characters, and bodies' commits
rule 'sizes: files of at most 400 lines, functions of at most 60' scripts/check_sizes.sh
rule 'layers: nobody includes what it may not know' layers
rule 'hot path: the core calls nothing that allocates, locks, throws or waits' scripts/check_hotpath.sh build
rule 'hot path: the check finds an allocation when there is one' scripts/check_hotpath.sh --self-test
if [[ -z $fast ]]; then
    rule 'closed sets: both compilers refuse one enumerator more' scripts/check_closed_sets.sh
    rule 'clang 14 builds both planes and the programs' clang_build
    rule 'without DPDK, under ASan and UBSan, all unit tests pass' sanitized_tests
    rule 'ThreadSanitizer finds no race in the table of calls, the marks and the rate limit' no_races
    rule 'reference: docs/reference.md is what viaductd prints' reference
    rule 'tidy: clang-tidy 14 finds nothing' tidy
fi
echo "check: $passed passed, $failed failed"
((failed == 0))

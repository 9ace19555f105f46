#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check_closed_sets: whether both compilers reject an additional enumerator in every enum that indexes a table or
# selects a branch. In a copy of the sources it adds one to each enum and compiles the source that must fail then.
#
#   scripts/check_closed_sets.sh
#
# One line per enum that a compiler accepts; exit 1 when there is one, or when an unchanged source does not compile.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

# enum, its file, a source that must reject one more
read -r -d '' SETS <<'END'
Admin          controlplane/model/pool.hpp              controlplane/model/pool.cpp
BackendLife    include/viaduct/snapshot.hpp             dataplane/steering/look_up.cpp
CallAction     dataplane/steering/call_transitions.hpp  dataplane/steering/call_state.cpp
CallEvent      dataplane/steering/call_event.hpp        dataplane/steering/call_state.cpp
CallState      include/viaduct/steering/call_table.hpp  dataplane/steering/call_state.cpp
DeadlineChange dataplane/steering/call_transitions.hpp  dataplane/steering/call_state.cpp
Defect         include/viaduct/sip/digest.hpp           dataplane/steering/steer.cpp
EventKind      include/viaduct/event.hpp                controlplane/daemon.cpp
ForwardMode    include/viaduct/snapshot.hpp             dataplane/stages/claim.cpp
HeaderId       include/viaduct/sip/message.hpp          dataplane/sip/message.cpp
Health         controlplane/model/pool.hpp              controlplane/model/pool.cpp
KeyType        include/viaduct/steering/keys.hpp        dataplane/steering/keys.cpp
MarkChange     dataplane/steering/call_transitions.hpp  dataplane/steering/call_state.cpp
MemoryKind     include/viaduct/dataplane.hpp            controlplane/config/settings.cpp
MessageRole    include/viaduct/steering/steer.hpp       dataplane/steering/look_up.cpp
Method         include/viaduct/sip/digest.hpp           dataplane/sip/digest.cpp
OnDeadOwner    include/viaduct/snapshot.hpp             controlplane/config/settings.cpp
Leg            dataplane/leg.hpp                        dataplane/stages/claim.cpp
Outcome        include/viaduct/counters.hpp             dataplane/stages/claim.cpp
PayloadKind    include/viaduct/sip/digest.hpp           dataplane/stages/admit.cpp
Reads          dataplane/leg.hpp                        dataplane/stages/digest.cpp
ProbeKind      controlplane/config/config.hpp           controlplane/config/settings.cpp
Section        controlplane/config/settings.hpp         controlplane/config/settings.cpp
Stage          include/viaduct/counters.hpp             dataplane/stages/claim.cpp
SlotState      include/viaduct/steering/slot_state.hpp  controlplane/cli/verbs_explain.cpp
SteerBy        include/viaduct/steering/picker.hpp      dataplane/steering/picker.cpp
Steered        dataplane/leg.hpp                        dataplane/stages/steer.cpp
SteerRule      include/viaduct/steering/steer.hpp       dataplane/steering/steer.cpp
TableKind      include/viaduct/steering/picker.hpp      controlplane/config/settings.cpp
Membership     controlplane/model/pool.hpp              controlplane/model/pool.cpp
WorkerCounter  include/viaduct/counters.hpp             dataplane/stages/claim.cpp
Write          dataplane/steering/decide.hpp            dataplane/steering/commit.cpp
Tracking       include/viaduct/snapshot.hpp             dataplane/snapshot_rules.cpp
END

work=$(mktemp -d) n=0
trap 'rm -rf "$work"' EXIT

# compiles COMPILER COPY SOURCE
compiles() {
    (cd "$2" && $1 -std=c++20 -Wall -Wextra -Wswitch-enum -Werror -DVIADUCT_VERSION='"0"' -fsyntax-only \
        -Iinclude -Idataplane -Icontrolplane "$3" >log 2>&1)
}

# wrong COMPILER COPY: tries all of them and prints what is wrong.
wrong() {
    local enum header source copy=$2
    for source in $(awk '{ print $3 }' <<<"$SETS" | sort -u); do
        compiles "$1" "$copy" "$source" || { echo "$source does not compile as it is ($1):"; head -n 5 "$copy/log"; return; }
    done
    while read -r enum header source; do
        # Matches the last enumerator, an optional value, an optional comma and comment, and the brace.
        perl -0pi -e "s/(enum class $enum : [^{]*\{(?:[^{}]|\{[^{}]*\})*?)(,?)((?:\s|\/\/[^\n]*)*)\};/\$1, Unheard\$3};/" \
            "$copy/$header"
        if cmp -s "$header" "$copy/$header"; then
            echo "$enum is not in $header"
        elif compiles "$1" "$copy" "$source"; then
            echo "$enum: one more compiles ($1, $source)"
        fi
        cp "$header" "$copy/$header"
    done <<<"$SETS"
}

for compiler in "${CXX:-c++}" clang++-14; do
    sources=$work/$((++n))
    mkdir "$sources" && cp -r include dataplane controlplane "$sources" || exit 1
    wrong "$compiler" "$sources" >"$sources.wrong" &
done
wait
[[ ! -s $work/1.wrong && ! -s $work/2.wrong ]] || { cat "$work"/?.wrong; exit 1; }

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check_sizes: files have at most 400 lines and functions at most 60. Prints one line for each that has more and is not
# listed below, and for each that is listed but need not be; exit 1 when there is one.
#
#   scripts/check_sizes.sh
#
# Needs git and universal-ctags.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

MAX_FILE=400 MAX_FUNCTION=60

# path, or path:function, and why it may be longer
read -r -d '' EXCEPTIONS <<'END'
bench/sip_mix.hpp:core_fields                         a table: one row for each kind of sender
controlplane/config/check.cpp                         one rule after another, each a few lines; nothing is shared but the report
controlplane/config/settings.cpp                      a table: one row for each setting
controlplane/health/health.cpp                        one state machine
controlplane/host/host_network.cpp                    to be divided: addresses, routes and the publishing of both
dataplane/sip/scan_x86.cpp                            one scan in three widths, which the compiler must see at once
dataplane/sip/value.cpp                               one parser for each kind of value
scripts/lab.sh                                        one rig: namespaces, peers, SIPp and what tests ask of them
tests/controlplane/cli/replay_command_test.cpp        one promise a test, one fixture
tests/controlplane/cli/verbs_calls_test.cpp           one promise a test, one fixture
tests/controlplane/config/config_value_test.cpp:TEST  a table of values and messages
tests/controlplane/health/health_test.cpp             one promise a test, one fixture
tests/controlplane/publish/move_test.cpp              one promise a test, one fixture
tests/controlplane/publish/reload_test.cpp            one promise a test, one fixture
tests/dataplane/pipeline_test.cpp                     every way through the stages
tests/dataplane/pipeline_test.cpp:forwarded_cases     a table of frames
tests/dataplane/pipeline_test.cpp:refused_cases       a table of frames
tests/dataplane/replay/replay_test.cpp                one promise a test, one fixture
tests/dataplane/sip/digest_rules_payload_test.cpp     a table of payloads
tests/dataplane/sip/message_test.cpp:TEST             one message, and all that is read of it
tests/dataplane/steering/call_state_test.cpp          one promise a test, one fixture
tests/dataplane/steering/call_table_test.cpp          one promise a test, one fixture
tests/dataplane/steering/call_table_test.cpp:TEST     threads that meet in one table, and what they may find there
tests/dataplane/steering/keys_test.cpp                one promise a test, one fixture
tests/dataplane/steering/picker_test.cpp              one promise a test, one fixture
tests/dataplane/steering/registration_test.cpp        one promise a test, one fixture
tests/dataplane/steering/strangers_test.cpp           one promise a test, one fixture
tests/dataplane/stages/emit_test.cpp                  one promise a test, one fixture
tests/steering/registrars_test.cpp                    a model of registrars and the schedules that are played on it
tests/steering/simulator.hpp                          a model of phones, proxies and backends, to be divided
tests/support/world.hpp:world                         a table: the snapshot that most tests of the data plane use
END

sources() { git ls-files -co --exclude-standard -- "$@"; }

# Prints "PATH LINES MAXIMUM" for each file that is too long, "PATH:FUNCTION LINES MAXIMUM LINE" for each function.
too_long() {
    sources '*.cpp' '*.hpp' '*.sh' '*meson.build' 'scripts/*' | sort -u | xargs wc -l |
        awk -v max=$MAX_FILE '$2 != "total" && $1 > max { print $2, $1, max }'
    sources '*.cpp' '*.hpp' | ctags -L - --kinds-C++=f --fields=+ne --output-format=json -f - |
        jq -r --argjson max $MAX_FUNCTION 'select(.end and .end - .line + 1 > $max) |
            "\(.path):\(.name) \(.end - .line + 1) \($max) \(.line)"'
}

[[ $(ctags --version) == Universal* ]] || { echo "universal-ctags is needed: apt-get install universal-ctags" >&2; exit 1; }
found=$(too_long) || exit 1
wrong=0
while read -r name lines max line; do
    [[ -n $name ]] || continue
    grep -q "^$name " <<<"$EXCEPTIONS" && continue
    echo "$name${line:+, line $line}: $lines lines, at most $max: divide it, or say in scripts/check_sizes.sh why not"
    wrong=1
done <<<"$found"
while read -r name _; do
    [[ -n $name ]] || continue
    grep -q "^$name " <<<"$found" && continue
    echo "$name: is not too long any more: take it off the list in scripts/check_sizes.sh"
    wrong=1
done <<<"$EXCEPTIONS"
exit $wrong

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Finding: g++ 12 drops the default values of array elements in the second of two constants of one class.
#
# Package: g++-12 12.2.0-14+deb12u1 of Debian 12, for amd64 (its package g++ installs this one).
# Input:   a class with an array of eight elements, each of which has a default value of 7. Its consteval constructor
#          writes elements 2, 0 and 4. Two constants of the class, made with different arguments.
# Expected: in both constants the other five elements have the value 7, as static_assert confirms in the same file.
# Seen:    in the first constant five have. In the second one only element 1 has: elements 3, 5, 6 and 7 are 0 in the
#          program, at -O0 and at -O2, without a warning, although static_assert holds. In a table in which 0 means
#          "compare nothing", these elements match everything. When the elements are written in ascending order, both
#          constants are right. A constructor that assigns every element avoids it.
#
# Exit status: 0 when it is so, 1 when something else was seen, 2 when the experiment could not be made.
set -euo pipefail
export LC_ALL=C

work=$(mktemp -dt findings.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM HUP

broken() { # WHAT: there is no result
    echo "cannot tell: $1" >&2
    exit 2
}

# fetch NAME=VERSION...: into a temporary folder, and the libraries below them that are not installed.
fetch() {
    local names=("$@") deb
    export APT_CONFIG=$work/apt.conf
    mkdir -p "$work"/{debs,tree,state/partial,store/archives/partial}
    echo 'APT::Sandbox::User "root";' >"$APT_CONFIG"
    apt-cache show "$@" >>"$work/log" 2>&1 || {
        printf 'Dir::State::lists "%s";\nDir::Cache "%s";\n' "$work/state" "$work/store" >>"$APT_CONFIG"
        apt-get -qq update >>"$work/log" 2>&1 || broken "apt has no lists and cannot get any"
    }
    for deb in $(apt-cache depends --recurse --important "${@%%=*}" | grep '^lib[^:]*$' | sort -u); do
        [[ " ${names[*]} " == *" $deb="* ]] || dpkg -s "$deb" >>"$work/log" 2>&1 || names+=("$deb")
    done
    (cd "$work/debs" && apt-get -qq download "${names[@]}") >>"$work/log" 2>&1 || broken "apt cannot get ${names[*]}"
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/tree"
    done
    deb=$(echo "$work"/tree/usr/lib/*-linux-gnu)
    export LD_LIBRARY_PATH=$deb:$work/tree/lib/${deb##*/}
    PATH=$work/tree/usr/bin:$work/tree/usr/sbin:$work/tree/sbin:$work/tree/bin:$PATH
}

((EUID == 0)) || broken "run this as root"
[[ $(dpkg --print-architecture) == amd64 ]] || broken "the program makes a system call of amd64"
gcc=12.2.0-14+deb12u1
fetch g++-12=$gcc gcc-12=$gcc cpp-12=$gcc binutils=2.40-2 binutils-x86-64-linux-gnu=2.40-2

cat >"$work/table.cpp" <<'EOF'
struct Row {
    unsigned key = 0;
    unsigned value = 7;
};

struct Table {
    consteval explicit Table(unsigned first) {
        constexpr unsigned places[] = {2, 0, 4};
        for (const unsigned at : places)
            rows[at] = Row{first + at, 1};
    }
    Row rows[8]{};
};

constexpr unsigned sevens(const Table& table) {
    unsigned count = 0;
    for (const Row& row : table.rows)
        count += row.value == 7;
    return count;
}

constexpr Table one(100);
constexpr Table two(200);
static_assert(sevens(one) == 5 && sevens(two) == 5);
const Table* volatile tables[] = {&one, &two};

// Without libraries: the exit status is what was counted.
extern "C" [[noreturn]] void _start() {
    const unsigned status = sevens(*tables[0]) * 10 + sevens(*tables[1]);
    asm volatile("syscall" : : "a"(60), "D"(status));
    __builtin_unreachable();
}
EOF

g++-12 --version | head -n 1
seen=()
for level in -O0 -O2; do
    g++-12 -std=c++20 -Wall -Wextra -Werror "$level" -ffreestanding -fno-pie -no-pie -nostdlib -static \
        "$work/table.cpp" -o "$work/table" || broken "the file does not compile at $level"
    status=0
    "$work/table" || status=$?
    seen+=("$status")
    echo "$level: elements with their default value: $((status / 10)) of the first constant, $((status % 10)) of the second"
done
echo 'expected: 5 of each'
if [[ ${seen[*]} == "51 51" ]]; then
    echo 'seen: 5 of the first, 1 of the second'
else
    echo "CHANGED: this is not what was found: ${seen[*]}"
    exit 1
fi

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check_hotpath: the packet path neither allocates, throws, locks, logs nor calls the kernel.
#
# In:    a build folder of a release build without LTO (and without sanitizers or _GLIBCXX_ASSERTIONS).
# Out:   one line about what was checked, exit 0; or every offender with its object, exit 1.
# How:   External symbols of dataplane/libviaduct-core.a must be on a short list of harmless functions. On x86 no
#        instruction in it may enter the kernel, and none may be locked except in the two files whose memory workers
#        share.
set -euo pipefail

# Functions that the core may call without defining them: memory functions, and those of libgcc that count bits and,
# once at start, detect CPU features.
allowed='^(__popcountdi2|__cpu_model|__cpu_indicator_init|memcpy|memmove|memset|memcmp|bcmp|memchr|strlen|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)(@.*)?$'

# Lock-free, as each file explains: one compare-and-swap or addition per call, none per packet of a settled pool.
may_lock='^steering_(call_table|picker)\\.cpp\\.o$'

usage() {
    echo "usage: $0 BUILD_DIR | --self-test" >&2
    exit 1
}

# Prints "OBJECT: SYMBOL" for each symbol that the archive neither defines nor may need, and for each vtable, because
# calls through it cannot be checked here.
offending_symbols() {
    nm --print-file-name --demangle --no-sort "$1" | awk -v allowed="$allowed" '
        match($0, /:[0-9a-f ]+ [A-Za-z] /) {
            object = substr($0, 1, RSTART - 1); sub(/.*[:\/]/, "", object)
            type = substr($0, RSTART + RLENGTH - 2, 1)
            symbol = substr($0, RSTART + RLENGTH)
            if (type ~ /[Uwv]/) { needed[++count] = symbol; by[count] = object }
            else defined[symbol] = 1
            if (symbol ~ /^(vtable|typeinfo) for /) print object ": " symbol
        }
        END {
            for (i = 1; i <= count; ++i)
                if (!(needed[i] in defined) && needed[i] !~ allowed) print by[i] ": " needed[i]
        }'
}

# Prints "OBJECT: INSTRUCTION in FUNCTION".
offending_instructions() {
    case $(uname -m) in x86_64 | i?86) ;; *) return 0 ;; esac
    objdump --disassemble --demangle --no-show-raw-insn "$1" | awk -v may_lock="$may_lock" '
        /file format/ { object = $1; sub(/:$/, "", object); sub(/.*\//, "", object) }
        /^[0-9a-f]+ <.*>:$/ { function_name = $0; sub(/^[0-9a-f]+ </, "", function_name)
                              sub(/>:$/, "", function_name) }
        /\tlock / && object ~ may_lock { next }
        /\t(lock |syscall|sysenter|int +\$0x80)/ {
            sub(/^[^\t]*\t/, ""); print object ": " $0 " in " function_name }'
}

# check ARCHIVE: does what the head of this file says.
check() {
    local archive=$1 symbols instructions
    if [[ ! -f $archive ]]; then
        echo "$archive: missing; build it first (ninja -C BUILD_DIR dataplane/libviaduct-core.a)" >&2
        return 1
    fi
    symbols=$(offending_symbols "$archive") || return 1
    instructions=$(offending_instructions "$archive") || return 1
    if [[ -n $symbols$instructions ]]; then
        echo "$archive: the hot path needs what it may not (see house rules on errors):" >&2
        printf '%s\n' "$symbols" "$instructions" | sed '/^$/d; s/^/  /' | sort -u >&2
        return 1
    fi
    echo "hot path: the $(ar t "$archive" | wc -l) objects of $archive need only each other and" \
        "memory functions"
}

# The check must find an innocent std::string, a lock and a missing function, and accept clean code.
self_test() {
    local folder
    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    expect() { # RESULT NAME CODE
        local result=0
        printf '%s\n' "$3" >"$folder/$2.cpp"
        ${CXX:-c++} -std=c++20 -O2 -DNDEBUG -fno-exceptions -fno-rtti \
            -c "$folder/$2.cpp" -o "$folder/$2.cpp.o"
        ar rcs "$folder/$2.a" "$folder/$2.cpp.o"
        check "$folder/$2.a" >"$folder/out" 2>&1 || result=1
        if [[ $result != "$1" ]]; then
            echo "self-test: $2 gave $result, expected $1:" >&2
            cat "$folder/out" >&2
            exit 1
        fi
    }
    expect 0 clean '#include <cstring>
        namespace viaduct { void inner(char*); void outer(char* a) { inner(a); }
        void inner(char* a) { std::memset(a, 0, 4096); } }'
    expect 1 string '#include <string>
        unsigned long f(const char* a) { return std::string(a).append(a).size(); }'
    expect 1 substr '#include <string_view>
        unsigned long f(std::string_view a) { return a.substr(3).size(); }'
    expect 1 locked '#include <atomic>
        std::atomic<int> a; void f() { a.fetch_add(1); }'
    expect 0 steering_picker '#include <atomic>
        std::atomic<int> a; void f() { a.fetch_add(1); }'
    expect 1 steering_call_table '#include <atomic>
        std::atomic<int> a; void f() { a.fetch_add(1); __asm__ volatile("syscall"); }'
    expect 1 not_steering_call_table '#include <atomic>
        std::atomic<int> a; void f() { a.fetch_add(1); }'
    expect 1 stranger 'namespace viaduct { void log(const char*); void f() { log("x"); } }'
    expect 1 virtual_function 'struct A { virtual int f(); }; int A::f() { return 0; }'
    echo "self-test passed"
}

case ${1-} in
--self-test) self_test ;;
'' | -*) usage ;;
*) check "$1/dataplane/libviaduct-core.a" ;;
esac

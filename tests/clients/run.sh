#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Clients of both generations of dmheap's interface, each written as such clients are, compiled as
# they stand and run; and what becomes of one that is compiled as if it were of the other.
#
#     tests/clients/run.sh [compiler ...]      default: gcc, and clang if there is one
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

work=build/clients
rm -rf "$work"
mkdir -p "$work"

strict="-Wall -Wextra -Wpedantic -Werror -Iinclude -Istandin -Itests"
sanitize="-g -fsanitize=address,undefined -fno-sanitize-recover=all"
later=-DDMHEAP_COMPAT
# What DMOD's own dmod.h declares, besides.
interface="-include tests/dmod_api.h"

library() { # name, options ...: $at-name.o
    name=$1
    shift
    # shellcheck disable=SC2086 # options, to be split
    check_run "$cc: compiles the library, $name" $cc $flags "$@" -c -o "$at-$name.o" src/dmheap.c
}

client() { # text, program, options and files ...: build it, and run it
    text="$cc: $1"
    name=$at-$2
    shift 2
    # shellcheck disable=SC2086 # options, to be split
    check_run "$text: builds" $cc $flags -o "$name" "$@" -pthread && check_run "$text: runs" "$name"
}

refused() { # text, pattern, options and files ...
    text="$cc: $1"
    pattern=$2
    shift 2
    # shellcheck disable=SC2086 # options, to be split
    check_refused "$text" "$pattern" $cc $flags -c -o "$at-refused.o" "$@"
}

check_clients() { # compiler, its C++ one, architecture
    at=$work/$1$3
    cc="$1 $3"
    flags="-std=c99 $strict $sanitize"
    library dmheap && library bare -DDMHEAP_DONT_IMPLEMENT_DMOD_API && library told $later || return

    client "the single-heap interface" single tests/clients/single.c "$at-dmheap.o"
    client "the boot loader, as one of the first generation" boot \
        $interface tests/clients/boot.c "$at-dmheap.o"
    client "the boot loader, as one of the later" boot_later \
        $later $interface tests/clients/boot.c "$at-dmheap.o"
    client "the early boot loader, with an interface of its own" early \
        tests/clients/early.c "$at-bare.o"
    for name in contexts names blocks; do
        client "the context-first interface: $name" $name \
            $later tests/clients/$name.c "$at-dmheap.o"
    done
    client "a library that is told of DMHEAP_COMPAT, too" told \
        $later tests/clients/contexts.c "$at-told.o"

    check_run "$cc: compiles a file of the first generation" \
        $cc $flags -c -o "$at-first.o" tests/clients/mixed_first.c
    client "files of both generations" mixed \
        $later tests/clients/mixed_later.c "$at-first.o" "$at-dmheap.o"

    refused "a single-heap client as one of the later generation" 'too few arguments' \
        $later tests/clients/single.c
    refused "a context-first client as one of the first generation" 'dmheap_context_t' \
        tests/clients/contexts.c
    printf '#include "dmheap.h"\nvoid* f(void); void* f(void) { return dmheap_malloc(%s, %s); }\n' \
        '0, 10' '"a"' >"$work/call.c"
    refused "a context-first call without the type" 'too many arguments' "$work/call.c"
    printf '#include "dmheap.h"\n#include "dmheap_compat.h"\n' >"$work/both.c"
    refused "both generations in one file" 'define DMHEAP_COMPAT before' "$work/both.c"

    # Compiled with a header of its own, so that the compiler cannot tell.
    printf '%s\n%s\n' 'struct heap* dmheap_get_context_by_name(const char* name);' \
        'int main(void) { return dmheap_get_context_by_name("dma") != 0; }' >"$work/foreign.c"
    # shellcheck disable=SC2086 # options, to be split
    check_refused "$cc: a function of the later generation is no symbol" 'undefined reference' \
        $cc $flags -o "$at-foreign" "$work/foreign.c" "$at-dmheap.o" -pthread

    command -v "$2" >/dev/null || { check_fail "$2" "no such compiler"; return; }
    cc="$2 $3"
    flags="-std=c++11 $strict $sanitize"
    client "C++, the context-first interface" cxx $later tests/clients/driver.cpp "$at-dmheap.o"
    printf 'int main() { return dmheap_init(nullptr, 0, 0) != nullptr; }\n' >"$work/empty.cpp"
    for header in dmheap.h dmheap_ctx.h dmheap_compat.h; do
        client "C++, $header alone" empty $later -include $header -include $header \
            "$work/empty.cpp" "$at-dmheap.o"
    done
}

[ $# -gt 0 ] || set -- gcc $(command -v clang >/dev/null && echo clang)
for compiler; do
    case $compiler in
    *clang*) cxx=$(echo "$compiler" | sed 's/clang/clang++/') ;;
    *) cxx=$(echo "$compiler" | sed 's/gcc/g++/') ;;
    esac
    for arch in -m64 -m32; do
        echo "== $compiler $arch"
        check_clients "$compiler" "$cxx" $arch
    done
done
check_summary

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the linker makes of the library: whose Dmod_MallocEx wins, which symbols leave it, and what
# it needs from outside.
#
#     tests/link/run.sh [compiler ...]      default: gcc, and clang if there is one
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

work=build/link
rm -rf "$work"
mkdir -p "$work"

public="dmheap_aligned_alloc dmheap_concatenate_free_blocks dmheap_free dmheap_init
dmheap_is_initialized dmheap_malloc dmheap_realloc dmheap_register_module dmheap_unregister_module"

family=$(sed -n 's/^DMOD_BUILTIN_API(dmheap, 1.0, .*, \(_ctx_[a-z_]*\),.*/dmheap\1/p' \
    include/dmheap_ctx.h)

in_section() { # the name of a section of dmheap_ctx.h: the functions that are plain ones there
    awk -v name="$1" '/^\/\* ---- / { there = index($0, name) } there' include/dmheap_ctx.h |
        sed -n 's/^[a-z].* dmheap\(_ctx_[a-z_]*\)(.*/dmheap\1/p'
}

# shellcheck disable=SC2086 # splitting is the point
twins=$(printf '%s|' $public | sed 's/dmheap_/dmheap_ctx_/g; s/|$//')

# What is there only in a library with numbers, or with accounts.
numbered=$(in_section marks)
accounts=$(in_section accounts)

interface="Dmod_AlignedMallocEx Dmod_FreeEx Dmod_FreeModule Dmod_MallocEx Dmod_ReallocEx
Dmod_RenameTag Dmod_RetagEx"

words() { # text: its words, sorted, in one line
    # shellcheck disable=SC2086 # splitting is the point
    printf '%s\n' $1 | sort | tr '\n' ' '
}

exported() { # object or archive
    nm --defined-only --extern-only "$1" | awk 'NF == 3 { print $3 }'
}

check_compiler() { # compiler
    cc=$1
    flags="-std=c99 -O2 -Iinclude -Istandin"
    at=$work/$cc
    for name in app own weak; do
        check_run "$cc: compiles $name.c" $cc $flags -c -o "$at-$name.o" tests/link/$name.c || return
    done
    check_run "$cc: compiles dmheap.c" $cc $flags -c -o "$at-dmheap.o" src/dmheap.c || return
    ar rcs "$at-libdmheap.a" "$at-dmheap.o"
    ar rcs "$at-libweak.a" "$at-weak.o"

    for order in "libweak.a libdmheap.a" "libdmheap.a libweak.a" "weak.o dmheap.o" \
        "dmheap.o weak.o" "weak.o libdmheap.a" "libweak.a dmheap.o"; do
        files=$(for file in $order; do echo "$at-$file"; done)
        check_run "$cc: links app.o $order" $cc -o "$at-app" "$at-app.o" $files -pthread &&
            check_run "$cc: app.o $order: dmheap's Dmod_MallocEx wins" "$at-app"
    done
    check_equal "$cc: what leaves the library" "$(words "$public $family $interface")" \
        "$(words "$(exported "$at-libdmheap.a")")"

    check_run "$cc: compiles with numbers" \
        $cc $flags -DDMHEAP_SEQUENCE=1 -c -o "$at-numbered.o" src/dmheap.c
    check_equal "$cc: what leaves it then" "$(words "$public $family $numbered $interface")" \
        "$(words "$(exported "$at-numbered.o")")"

    check_run "$cc: compiles with accounts" \
        $cc $flags -DDMHEAP_ACCOUNTING=1 -c -o "$at-accounts.o" src/dmheap.c
    check_equal "$cc: what leaves it then" "$(words "$public $family $accounts $interface")" \
        "$(words "$(exported "$at-accounts.o")")"

    check_run "$cc: compiles without the interface" \
        $cc $flags -DDMHEAP_DONT_IMPLEMENT_DMOD_API -c -o "$at-bare.o" src/dmheap.c
    check_equal "$cc: what leaves it then" "$(words "$public $family")" \
        "$(words "$(exported "$at-bare.o")")"
    check_run "$cc: links an application's own interface" \
        $cc -o "$at-own" "$at-own.o" "$at-bare.o" -pthread &&
        check_run "$cc: the application's own interface is called" "$at-own"

    # What this test is for: the same interface in a member of its own loses, and nobody is told.
    $cc $flags -Dmain=own_main -c -o "$at-member.o" tests/link/own.c
    ar rcs "$at-libsplit.a" "$at-bare.o" "$at-member.o"
    $cc -o "$at-split" "$at-app.o" "$at-libweak.a" "$at-libsplit.a" -pthread
    "$at-split" >/dev/null
    check_equal "$cc: an interface in a member of its own is seen to lose" 1 $?

    # A firmware that calls the nine functions, with all that nothing refers to left out.
    lean="-std=c99 -Os -ffunction-sections -fdata-sections -Iinclude -Istandin"
    for user in bench/size.c tests/link/own.c; do
        check_run "$cc: links a firmware of $user" $cc $lean -DSIZE_USES=0 -nostartfiles \
            -Wl,--gc-sections,--entry=main -DDMHEAP_DONT_IMPLEMENT_DMOD_API -o "$at-lean" \
            src/dmheap.c $user -pthread
        check_equal "$cc: what of dmheap_ctx.h is in it but twins of the nine" '' \
            "$(nm "$at-lean" | awk '{ print $3 }' | grep -E '^dmheap_ctx_|_several|^registry(_refresh)?$' |
                grep -v -x -E "$twins")"
    done

    # A freestanding compiler still expects these few from whoever links.
    for bytes in 4 8; do
        check_run "$cc: compiles freestanding, $bytes-byte headers" \
            $cc $flags -ffreestanding -fno-stack-protector -DDMHEAP_HEADER_BYTES=$bytes \
            '-DDMHEAP_PORT_HEADER="../ports/bare/dmheap_port.h"' -c -o "$at-free.o" src/dmheap.c
        check_equal "$cc: what it needs, beyond mem* and str*" '' \
            "$(nm -u "$at-free.o" | awk '{ print $2 }' | grep -v -E '^(mem|str)[a-z]+$|^_GLOBAL_')"
    done
}

[ $# -gt 0 ] || set -- gcc $(command -v clang >/dev/null && echo clang)
for compiler; do
    echo "== $compiler"
    check_compiler "$compiler"
done
check_summary

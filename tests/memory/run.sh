#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The application `memory` on a host, with sanitizers and the stand-in for DMOD: what it shows of two
# heaps, and what it refuses. tests/dmod_tree builds and runs the same in a DMOD tree.
#
#     tests/memory/run.sh [compiler]      default: gcc
#     UPDATE=1 tests/memory/run.sh        writes tests/memory/expected anew
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

compiler=${1:-gcc}
work=build/memory
expected=tests/memory/expected
rm -rf "$work"
mkdir -p "$work"

build() { # program, options ...
    program=$1
    shift
    check_run "$compiler $*: builds" sh -c '
        program=$1
        shift
        "$@" -Dmain=memory_main -c -o "$program.o" apps/memory/memory.c &&
            "$@" -o "$program" src/dmheap.c tests/memory/scene.c "$program.o" -pthread' \
        sh "$work/$program" "$compiler" -std=c99 -O1 -g -Wall -Wextra -Wpedantic -Wconversion \
        -Wshadow -Wno-missing-prototypes -Werror -fsanitize=address,undefined \
        -fno-sanitize-recover=all -Iinclude -Istandin "$@"
}

run() { # arguments: what memory prints, and its exit status
    timeout 60 "$work/$program" "$@" >"$work/out" 2>&1
    status=$?
    sed '/^\[INFO\]/d; s/0x[0-9a-f]*/0x.../g; s/"\(address\|splitter\)": [0-9][0-9]*/"\1": 0/g' \
        "$work/out"
    echo "exit status $status"
}

# ---- what it shows ------------------------------------------------------------------

build memory || { check_summary; exit 1; }
: >"$work/all"
while read -r arguments; do
    {
        echo "\$ memory $arguments"
        # shellcheck disable=SC2086 # splitting is the point
        run $arguments
        echo
    } >>"$work/all"
done <<END

--help
--stats
-m -f dma
--stats --modules main
full --stats
-j main
END
[ -z "$UPDATE" ] || cp "$work/all" "$expected"
check_run "as in $expected" diff -u "$expected" "$work/all"

facts='import json, sys
heaps = json.loads("".join(l for l in sys.stdin if not l.startswith(("[INFO]", "exit"))))
for heap in heaps["heaps"]:
    stats = heap["stats"]
    assert sum(b["size"] for b in heap["blocks"]) == stats["size"]
    assert sum(m["bytes"] for m in heap["modules"]) == stats["used"]
    assert stats["used"] + stats["free"] == stats["size"]
    assert sum(s["live"] for s in heap["sizes"]) == stats["live_blocks"]
    assert sum(s["free"] for s in heap["sizes"]) == stats["free_blocks"]
    print(heap["heap"]["name"], stats["live_blocks"], len(heap["modules"]))'

# ---- every format of a heap -----------------------------------------------------------

for options in "-m64" "-m32" "-m64 -DDMHEAP_HEADER_BYTES=8 -DDMHEAP_ACCOUNTING=1" \
    "-m32 -DDMHEAP_HEADER_BYTES=8" "-m32 -DDMHEAP_SEQUENCE=1 -DDMHEAP_CANARY=1"; do
    # shellcheck disable=SC2086 # splitting is the point
    build "memory$(echo "$options" | tr -d ' =_')" $options || continue
    owners=3
    [ "${options%ACCOUNTING=1}" = "$options" ] || owners=4 # and nobody, who had a block
    check_equal "$options: as JSON" "main 5 $owners" \
        "$(run --json main | python3 -c "$facts" 2>&1)"
    check_equal "$options: all of it" "main 5 $owners" "$(run --json | python3 -c "$facts" 2>&1)"
    check_equal "$options: another heap" "dma 1 2" "$(run -j dma | python3 -c "$facts" 2>&1)"
    check_contains "$options: as text" 'exit status 0' "$(run -s -m -f)"
done

# ---- what it refuses ------------------------------------------------------------------

expect() { # text, what it prints, arguments
    text=$1
    wanted=$2
    shift 2
    check_equal "$text" "$wanted" "$(run "$@")"
}

program=memory
expect "an unknown option" "memory: --wrong is not known; see memory --help
exit status 2" --stats --wrong
expect "a part of an option" "memory: --stat is not known; see memory --help
exit status 2" --stat
expect "letters in one" "memory: -sm is not known; see memory --help
exit status 2" -sm
expect "a lone sign" "memory: - is not known; see memory --help
exit status 2" -
expect "two heaps" "memory: main is one heap too many; see memory --help
exit status 2" -s dma main
expect "a heap that is not there" "memory: there is no heap sdram
exit status 1" -s sdram
expect "a name that is none" "memory: there is no heap 
exit status 1" -s ""
expect "no heap" "memory: there is no heap
exit status 1" none --stats
expect "no heap, as JSON" "memory: there is no heap
exit status 1" none --json
check_summary

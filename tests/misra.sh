#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library against the rules of MISRA C:2012 that cppcheck's addon knows, as it ships and with
# all settings: the rules that are not kept have to be those of docs/MISRA.md, each in as many places
# as that tells of.
#
#     tests/misra.sh           compare
#     tests/misra.sh places    show where, one place a line
cd "$(dirname "$0")/.." || exit 1

work=build/misra
mkdir -p "$work"
all="-DDMHEAP_ACCOUNTING=1 -DDMHEAP_SEQUENCE=1 -DDMHEAP_CANARY=1 -DDMHEAP_POISON=1 -DDMHEAP_GUARD=1"

look() { # settings ..., files: rule and place of each finding
    cppcheck --addon=misra --enable=style --std=c99 --quiet --template='{id} {file}:{line}' \
        -Iinclude -Istandin -D__unix__ -D__x86_64__ -D__GNUC__ \
        '-DDMHEAP_PORT_HEADER="../ports/bare/dmheap_port.h"' "$@" 2>&1
}

# The stand-in takes the place of DMOD's own headers, and is not part of what ships.
# shellcheck disable=SC2086 # settings, to be split
{ look -DDMHEAP_HEADER_BYTES=4 src/dmheap.c src/dmheap_register.c &&
    look -DDMHEAP_HEADER_BYTES=4 -DDMHEAP_NO_INTRINSICS=1 $all src/dmheap.c &&
    look -DDMHEAP_HEADER_BYTES=8 $all src/dmheap.c; } >"$work/found" || { cat "$work/found"; exit 1; }
sed -n 's/^misra-c2012-\([0-9.]*\) \([a-z].*\)/\1 \2/p' "$work/found" | grep -v ' standin/' |
    sort -u >"$work/places"
if [ "${1:-}" = places ]; then
    sort -V "$work/places"
    exit
fi

# A row of the list: | rule | places, or many | why |
awk -F ' *[|] *' '
    FILENAME == ARGV[1] && $2 ~ /^[0-9]+[.][0-9]+$/ { listed[$2] = $3; rows++; next }
    FILENAME == ARGV[1] { next }
    { split($0, place, " "); found[place[1]]++; places++ }
    END {
        for (rule in found) {
            if (!(rule in listed)) {
                print "rule " rule ", in " found[rule] " places, is not in the list"
                wrong = 1
            } else if (listed[rule] != "many" && listed[rule] != found[rule]) {
                print "rule " rule ": " found[rule] " places, the list has " listed[rule]
                wrong = 1
            }
        }
        for (rule in listed) {
            if (!(rule in found)) {
                print "rule " rule " is in the list, and not broken anywhere"
                wrong = 1
            }
        }
        print places + 0 " places of " length(found) " rules, " rows + 0 " rules in the list"
        exit wrong || !places || !rows
    }' docs/MISRA.md "$work/places" || { echo "tests/misra.sh places shows where"; exit 1; }

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# dmheap-inspect, with sanitizers, on images of both word sizes, both header widths and both byte
# orders: what it shows of sound and of broken heaps, and that it refuses whatever is no image.
#
#     tests/inspect/run.sh [compiler]      default: gcc
#     UPDATE=1 tests/inspect/run.sh        writes the expected text anew
#     SEED=number tests/inspect/run.sh     repeats what was written over at random
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

compiler=${1:-gcc}
work=build/inspect
rm -rf "$work"
mkdir -p "$work"
tool=$work/dmheap-inspect
bare='-DDMHEAP_PORT_HEADER="../ports/bare/dmheap_port.h"'

check_run "$compiler: builds the tool" "$compiler" -std=c99 -O1 -g -Wall -Wextra -Werror \
    -fsanitize=address,undefined -fno-sanitize-recover=all -Iinclude -Istandin -Isrc -Itools \
    -DDMHEAP_HEADER_BYTES=8 "$bare" -o "$tool" tools/*.c || { check_summary; exit 1; }

# $1: a name, the rest: how the target's heap is built
dump() {
    image=$1
    shift
    check_run "$image: builds what dumps it" "$compiler" -std=c99 "$@" "$bare" -Iinclude -Istandin \
        -o "$work/dump-$image" src/dmheap.c tests/inspect/dump.c || return
    for what in sound overrun owner; do
        "$work/dump-$image" $what >"$work/$image-$what.bin" || check_fail "$image: dumps" "$what"
    done
}

# The tool's exit status; what it prints is in $work/out and $work/err.
status() { # arguments ...
    timeout 60 "$tool" "$@" >"$work/out" 2>"$work/err"
    echo $?
}

facts='import json, sys
seen = json.load(sys.stdin)
stats, check = seen["stats"], seen["check"]
assert sum(b["size"] for b in seen["blocks"]) == stats["size"]
assert stats["used"] + stats["free"] + stats["lost"] == stats["size"]
names = {m["name"]: m for m in seen["modules"]}
assert names["config <&\"> \\"]["blocks"] == 1 and names["network"]["blocks"] == 1
print(seen["heap"]["header_bytes"], seen["heap"]["byte_order"], seen["heap"]["image_offset"],
      stats["live_blocks"], stats["free_blocks"], len(names), check["sound"])'

expect_facts() { # image, facts, status
    check_equal "$1: exit status" "$3" "$(status --json "$work/$1.bin")"
    check_equal "$1: as JSON" "$2" "$(python3 -c "$facts" <"$work/out" 2>&1)"
}

expect_xml() { # image, format
    (status --"$2" "$work/$1.bin") >/dev/null
    check_run "$1: $2 is well-formed" python3 -c '
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
titles = [e.text for e in root.iter() if e.tag.endswith("title")]
assert any(t.startswith("config <&\"> \\: ") for t in titles), titles
assert not any("href" in k or "src" in k for e in root.iter() for k in e.attrib)' "$work/out"
}

# ---- formats ----------------------------------------------------------------------

for cell in "64 4 2" "64 4 s" "64 8 2" "64 8 s" "32 4 2" "32 4 s" "32 8 2" "32 8 s"; do
    # shellcheck disable=SC2086 # splitting is the point
    set -- $cell
    image=m$1-h$2-O$3
    dump "$image" "-m$1" "-DDMHEAP_HEADER_BYTES=$2" "-O$3" || continue
    expect_facts "$image-sound" "$2 little 64 17 2 18 True" 0
    expect_facts "$image-overrun" "$2 little 64 17 1 19 False" 1
    expect_facts "$image-owner" "$2 little 64 17 2 19 False" 1
    for format in svg html; do
        expect_xml "$image-sound" $format
        expect_xml "$image-overrun" $format
    done
done
python3 tests/inspect/swap.py "$work/m32-h4-Os-sound.bin" /dev/stdin >"$work/big-sound.bin" <<END
$("$tool" --json "$work/m32-h4-Os-sound.bin")
END
expect_facts big-sound "4 big 64 17 2 18 True" 0

# ---- text -------------------------------------------------------------------------

expect_text() { # image, status, options ...
    image=$1
    expected=tests/inspect/$1.expected
    check_equal "$image: exit status" "$2" "$(status "$work/m32-h4-Os-$1.bin" --address=0x20000000)"
    [ -z "$UPDATE" ] || cp "$work/out" "$expected"
    check_run "$image: as in $expected" diff -u "$expected" "$work/out"
}

expect_text sound 0
expect_text overrun 1
expect_text owner 1
check_contains "a broken heap is told on standard error, too" 'no module is' "$(cat "$work/err")"
check_equal "one module's blocks" 0 \
    "$(status --module=network --address 0x20000000 "$work/m32-h4-Os-sound.bin")"
check_contains "they are listed" '^  0x200[0-9a-f]*  *[0-9]* bytes  network$' "$(cat "$work/out")"
check_equal "from standard input" 0 "$(status - <"$work/m32-h4-Os-sound.bin")"
check_equal "another address: alignments are not right" 1 \
    "$(status --address=0x20000020 "$work/m32-h4-Os-sound.bin")"
check_contains "that is said" 'is not aligned' "$(cat "$work/out")"
check_equal "from behind its beginning" 2 "$(status --offset=100 "$work/m32-h4-Os-sound.bin")"
check_equal "help" 0 "$(status --help)"
check_contains "it has the exit status" 'Exit status: 0' "$(cat "$work/out")"
check_equal "version" 0 "$(status --version)"

# ---- a damaged context is found all the same -----------------------------------------

for field in 0 1 3 4 5 6 7 8 9 10; do
    cp "$work/m32-h4-Os-sound.bin" "$work/field.bin"
    printf '\377\377' | dd of="$work/field.bin" bs=1 seek=$((64 + 4 * field)) conv=notrunc 2>/dev/null
    check_equal "context field $field written over" 1 "$(status "$work/field.bin")"
    check_contains "its place is told" ", byte $((4 * field)) of the heap" "$(cat "$work/out")"
done

# ---- what is no image ------------------------------------------------------------------

expect_refused() { # text, pattern, arguments ...
    text=$1
    pattern=$2
    shift 2
    check_equal "$text: exit status" 2 "$(status "$@")"
    check_contains "$text: is said" "$pattern" "$(cat "$work/err")"
    check_equal "$text: nothing else" '' "$(cat "$work/out")"
}

: >"$work/empty.bin"
python3 -c 'import random, sys
random.seed(1)
sys.stdout.buffer.write(bytes(random.randrange(256) for i in range(200000)))' >"$work/random.bin"
head -c 200000 /dev/zero >"$work/zero.bin"
expect_refused "an empty file" 'it is empty' "$work/empty.bin"
expect_refused "random bytes" 'no heap of dmheap' "$work/random.bin"
expect_refused "zeros" 'no heap of dmheap' "$work/zero.bin"
expect_refused "no such file" 'No such file' "$work/nothing.bin"
expect_refused "a folder" 'Is a directory' "$work"
check_equal "no argument: exit status" 3 "$(status)"
check_equal "two images: exit status" 3 "$(status "$work/zero.bin" "$work/zero.bin")"
check_equal "an unknown option: exit status" 3 "$(status --wrong "$work/zero.bin")"
check_equal "a number that is none: exit status" 3 "$(status --address=12x "$work/zero.bin")"
check_equal "a full disk: exit status" 2 \
    "$(timeout 60 "$tool" "$work/m32-h4-Os-sound.bin" >/dev/full 2>/dev/null; echo $?)"

# Cut anywhere, it is told and never taken for whole; a sanitizer's status is another one.
for image in m32-h4-Os m64-h8-O2; do
    wrong=
    size=$(wc -c <"$work/$image-sound.bin")
    length=0
    while [ "$length" -lt "$((size - 8))" ]; do
        head -c "$length" "$work/$image-sound.bin" >"$work/cut.bin"
        case $(status --json "$work/cut.bin") in
        1) python3 -m json.tool "$work/out" >"$work/pretty" 2>&1 || wrong="$wrong $length:json" ;;
        2) [ "$length" -lt 512 ] || wrong="$wrong $length:2" ;;
        *) wrong="$wrong $length" ;;
        esac
        length=$((length + 61))
    done
    check_equal "$image, cut at every 61st byte: never sound, never a crash" '' "$wrong"
done

# Written over at random, a few bytes or many.
python3 - "$work" "$tool" <<'END'
import json, os, random, subprocess, sys
work, tool = sys.argv[1:]
seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
print("seed", seed)
random.seed(seed)
images = [open(f"{work}/{i}-sound.bin", "rb").read()
          for i in ("m32-h4-Os", "m32-h8-O2", "m64-h4-O2", "m64-h8-Os")]
statuses = {}
for i in range(300):
    image = bytearray(random.choice(images))
    for k in range(random.choice((1, 3, 30, 1000))):
        at = random.choice((random.randrange(64, 700), random.randrange(len(image))))
        image[at] = random.choice((0, 255, random.randrange(256)))
    open(f"{work}/wild.bin", "wb").write(image)
    run = subprocess.run([tool, random.choice(("--json", "--svg", "--text", "--html")),
                          f"{work}/wild.bin"], capture_output=True, timeout=60)
    statuses[run.returncode] = statuses.get(run.returncode, 0) + 1
    assert run.returncode in (0, 1, 2), run
    if run.stdout.startswith(b"{"):
        json.loads(run.stdout)
print("exit statuses", statuses)
END
check_equal "300 images written over at random: no crash" 0 $?
check_summary

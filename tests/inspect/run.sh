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

# $1: a name, $2: what to dump, the rest: how the target's heap is built
dump() {
    image=$1
    kinds=$2
    shift 2
    check_run "$image: builds what dumps it" "$compiler" -std=c99 "$@" "$bare" -Iinclude -Istandin \
        -o "$work/dump-$image" src/dmheap.c tests/inspect/dump.c || return
    for what in $kinds; do
        "$work/dump-$image" "$what" >"$work/$image-$what.bin" ||
            check_fail "$image: dumps" "$what"
    done
}

# The tool's exit status; what it prints is in $work/out and $work/err.
status() { # arguments ...
    timeout 60 "$tool" "$@" >"$work/out" 2>"$work/err"
    echo $?
}

facts='import json, sys
heaps = json.load(sys.stdin)["heaps"]
assert len(heaps) == 1
seen = heaps[0]
heap, stats, check = seen["heap"], seen["stats"], seen["check"]
assert sum(b["size"] for b in seen["blocks"]) == stats["size"]
assert stats["used"] + stats["free"] + stats["lost"] == stats["size"]
modules = {m["name"]: m for m in seen["modules"]}
assert modules["conf <&\"> \\\t\u00e9"]["blocks"] == 1 and modules["network"]["blocks"] == 1
numbers = [b["sequence"] for b in seen["blocks"] if b["kind"] in ("live", "own")]
assert len(set(numbers)) == (len(numbers) if heap["sequence"] else 1)
if heap["accounts"]:
    for m in modules.values():
        if m["module"] and check["sound"]:
            assert m["account"]["bytes"] == m["bytes"] <= m["account"]["peak"]
    assert modules["driver"]["account"]["limit"] == 1000
    assert modules["conf <&\"> \\\t\u00e9"]["account"]["limit"] is None
    assert modules["network"]["account"]["reserve"] == 900
    assert modules["(nobody)"]["blocks"] == 0 < modules["(nobody)"]["account"]["peak"]
    dead, = seen["account"]["dead"]
    assert dead["name"] == "former" and dead["account"]["failures"] == 1
    assert dead["account"]["last_reason"] == "limit"
    assert seen["account"]["failures"] == [0, 0, 1, 0]
else:
    assert "account" not in seen
settings = [s for s in ("accounts", "sequence", "canaries") if heap[s]]
print(heap["header_bytes"], heap["byte_order"], heap["image_offset"], stats["live_blocks"],
      stats["free_blocks"], len(modules), check["sound"], *settings)'

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
assert any(t.startswith("conf <&\"> \\??: ") for t in titles), titles
assert not any("href" in k or "src" in k for e in root.iter() for k in e.attrib)
legend = [e for e in root.iter() if e.tag.endswith("svg") and "y" in e.attrib]
assert root.tag.endswith("html") or len(legend) >= 18
assert all(int(e.get("x")) + int(e.get("width")) <= 1180 for e in legend)' "$work/out"
}

same='import json, sys
def has(seen, wanted, where):
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            if key not in ("image_offset", "check", "lost", "listed", "damaged"):
                assert key in seen, (where, key)
                has(seen[key], value, where + "." + key)
    elif isinstance(wanted, list):
        assert len(seen) == len(wanted), where
        for i, value in enumerate(wanted):
            has(seen[i], value, f"{where}[{i}]")
    else:
        assert seen == wanted, (where, seen, wanted)
report, tool = (json.load(open(name))["heaps"] for name in sys.argv[1:])
for heap in report + tool:
    heap["modules"].sort(key=lambda module: module["owner"])
has(report, tool, "heaps")'

# What a target reports of itself is what the tool shows of its image.
expect_report() { # image
    seen=$work/$1-report
    "$work/dump-$1" report >"$seen.bin" 2>"$seen"
    sed '/^{"heaps"/,$d; 1,/^Summary$/d; /^  malloc /d; /^  hole /d; /^$/d' "$seen" >"$seen.text"
    sed -n '/^{"heaps"/,$p' "$seen" >"$seen.json"
    base=$(sed -n '1s/^Heap at \(0x[0-9a-f]*\):.*/\1/p' "$seen")
    base=$(printf '0x%x' $((base - 64)))
    check_equal "$1: exit status with the report's address" 0 \
        "$(status --address="$base" "$seen.bin")"
    sed '1,/^Summary$/d; /^Leaks/,$d; /^$/d' "$work/out" >"$work/text"
    check_run "$1: the report as text says the same" diff -u "$work/text" "$seen.text"
    check_equal "$1: exit status as JSON" 0 "$(status --json --address="$base" "$seen.bin")"
    check_run "$1: the report as JSON says the same" python3 -c "$same" "$seen.json" "$work/out"
}

# ---- formats ----------------------------------------------------------------------

# -O0 and -Os: on a PC the live map is longer unless it is built to save space.
all='-DDMHEAP_ACCOUNTING=1 -DDMHEAP_SEQUENCE=1 -DDMHEAP_CANARY=1'
for cell in "64 4" "64 8" "32 4" "32 8"; do
    # shellcheck disable=SC2086 # splitting is the point
    set -- $cell
    name=m$1-h$2
    dump "$name" "sound overrun owner" "-m$1" "-DDMHEAP_HEADER_BYTES=$2" -O0 || continue
    expect_facts "$name-sound" "$2 little 64 17 2 18 True" 0
    expect_facts "$name-overrun" "$2 little 64 17 1 19 False" 1
    expect_facts "$name-owner" "$2 little 64 17 2 19 False" 1
    expect_report "$name"
    expect_xml "$name-sound" svg
    expect_xml "$name-overrun" html
    # shellcheck disable=SC2086
    dump "$name-all" "sound owner canary" "-m$1" "-DDMHEAP_HEADER_BYTES=$2" -Os $all || continue
    expect_facts "$name-all-sound" "$2 little 64 17 3 19 True accounts sequence canaries" 0
    expect_facts "$name-all-owner" "$2 little 64 17 3 20 False accounts sequence canaries" 1
    expect_facts "$name-all-canary" "$2 little 64 17 3 19 False accounts sequence canaries" 1
    expect_report "$name-all"
    expect_xml "$name-all-sound" html
done
for cell in "ACCOUNTING accounts" "SEQUENCE sequence" "CANARY canaries"; do
    image=${cell#* }
    dump "$image" sound -m64 "-DDMHEAP_${cell% *}=1" -O0 || continue
    modules=18
    [ "$image" != accounts ] || modules=19 # and nobody, who had a block
    expect_facts "$image-sound" "4 little 64 17 2 $modules True $image" 0
done
dump gone gone -m64 -DDMHEAP_ACCOUNTING=1
check_equal "many modules that are gone: exit status" 0 "$(status "$work/gone-gone.bin")"
check_equal "all are told, the last one first" "$(seq -f 'gone#%g' 89 -1 10)" \
    "$(sed -n 's/.* \(gone#[0-9]*\)$/\1/p' "$work/out")"
dump target "sound overrun owner" -m32 -Os
for image in target m32-h4-all; do
    "$tool" --json "$work/$image-sound.bin" >"$work/out"
    python3 tests/inspect/swap.py "$work/$image-sound.bin" "$work/out" >"$work/big-$image.bin"
done
expect_facts big-target "4 big 64 17 2 18 True" 0
expect_facts big-m32-h4-all "4 big 64 17 3 19 True accounts sequence canaries" 0

# ---- text -------------------------------------------------------------------------

expect_text() { # image, status, options ...
    image=$1
    expected=tests/inspect/$1.expected
    check_equal "$image: exit status" "$2" "$(status "$work/$1.bin" --address=0x20000000)"
    [ -z "$UPDATE" ] || cp "$work/out" "$expected"
    check_run "$image: as in $expected" diff -u "$expected" "$work/out"
}

expect_text target-sound 0
expect_text target-overrun 1
expect_text target-owner 1
check_contains "a broken heap is told on standard error, too" 'no module is' "$(cat "$work/err")"
expect_text m32-h4-all-sound 0
python3 - "$work/m32-h4-all-sound.bin" >"$work/reason.bin" <<'END'
import sys
image = bytearray(open(sys.argv[1], "rb").read())
image[image.rindex(b"former\0") - 4] = 6 # the last word in front of the name of one that is gone
sys.stdout.buffer.write(image)
END
check_equal "a reason that is none: exit status" 1 "$(status "$work/reason.bin")"
check_contains "it is not told as another one" ' 200  [?]         former$' "$(cat "$work/out")"
check_equal "a canary is wrong: exit status" 1 "$(status "$work/m32-h4-all-canary.bin")"
check_contains "whose block it is in" '^  in a block of  network,' "$(cat "$work/out")"
check_equal "one module's blocks" 0 \
    "$(status --module=network --address 0x20000000 "$work/target-sound.bin")"
check_contains "they are listed" '^  0x200[0-9a-f]*  *[0-9]* bytes  network$' "$(cat "$work/out")"
conf=$(printf 'conf <&"> \\\t\351')
check_equal "those of a module whose name is no text" 0 \
    "$(status --module="$conf" "$work/target-sound.bin")"
check_contains "that is said as far as it is one" '^Blocks of conf <&"> \\[?][?]$' "$(cat "$work/out")"
check_contains "they are listed" '^  0x[0-9a-f]*  *[0-9]* bytes  conf <&"> \\[?][?]$' "$(cat "$work/out")"
check_equal "not those of one that looks alike" 0 \
    "$(status --module='conf <&"> \??' "$work/target-sound.bin")"
check_contains "it has none" '^  none$' "$(tail -1 "$work/out")"
check_equal "as a page" 0 "$(status --html --module="$conf" "$work/target-sound.bin")"
check_contains "it has them, too" '<h2>Blocks of conf &lt;&amp;&quot;&gt; \\[?][?]<' "$(cat "$work/out")"
check_equal "from standard input" 0 "$(status - <"$work/target-sound.bin")"
{ printf abc; cat "$work/target-sound.bin"; } >"$work/odd.bin"
check_equal "three bytes more in front" 0 "$(status "$work/odd.bin")"
check_contains "it is found there" '^Heap at 0x43, byte 67 of the image' "$(cat "$work/out")"
check_equal "another address: alignments are not right" 1 \
    "$(status --address=0x20000020 "$work/target-sound.bin")"
check_contains "that is said" 'is not aligned' "$(cat "$work/out")"
check_equal "from behind its beginning" 2 "$(status --offset=100 "$work/target-sound.bin")"
check_equal "help" 0 "$(status --help)"
check_contains "it has the exit status" 'Exit status: 0' "$(cat "$work/out")"
check_equal "version" 0 "$(status --version)"

# ---- a damaged context is found all the same -----------------------------------------

for field in 0 1 3 4 5 6 7 8 9 10; do
    cp "$work/target-sound.bin" "$work/field.bin"
    printf '\377\377' | dd of="$work/field.bin" bs=1 seek=$((64 + 4 * field)) conv=notrunc 2>/dev/null
    check_equal "context field $field written over" 1 "$(status "$work/field.bin")"
    check_contains "its place is told" ", byte $((4 * field)) of the heap" "$(cat "$work/out")"
done

# ---- what is no image ------------------------------------------------------------------

expect_failure() { # exit status, text, pattern, arguments ...
    expected=$1
    text=$2
    pattern=$3
    shift 3
    check_equal "$text: exit status" "$expected" "$(status "$@")"
    check_contains "$text: is said" "$pattern" "$(cat "$work/err")"
}

expect_refused() { # text, pattern, arguments ...
    expect_failure 2 "$@"
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
expect_refused "an address that is not aligned" 'not at such an address' --address=0x20000001 \
    "$work/target-sound.bin"
expect_refused "an offset behind all heaps" 'behind that offset' --offset=100 \
    "$work/target-sound.bin"
expect_usage() { # text, pattern, arguments ...
    expect_failure 3 "$@"
    check_contains "$text: as is where to read on" 'see --help' "$(cat "$work/err")"
    check_equal "$text: in two lines" 1 $(($(wc -l <"$work/err") <= 2))
}
expect_usage "no image" 'name one image'
expect_usage "two images" 'name one image' "$work/zero.bin" "$work/zero.bin"
expect_usage "an unknown option" "option '--wrong'\$" --wrong "$work/zero.bin"
expect_usage "an option without its number" "'--address' requires an arg" "$work/zero.bin" --address
expect_usage "a value for none" "'--text' doesn't allow an arg" --text=1 "$work/zero.bin"
for number in 12x '' x 0x 0xg 0x0x5 ' 5' +5 -5 5a 99999999999999999999; do
    check_equal "no number, '$number': exit status" 3 "$(status --address="$number" "$work/zero.bin")"
done
check_equal "zeros in front of a number" 0 "$(status --address=0536870912 "$work/target-sound.bin")"
check_contains "it is decimal" '^Heap at 0x20000040' "$(cat "$work/out")"
for what in "$work/target-sound.bin" --help --version; do
    check_equal "a full disk, $what: exit status" 2 \
        "$(timeout 60 "$tool" "$what" >/dev/full 2>/dev/null; echo $?)"
done

# ---- several heaps ------------------------------------------------------------------------

# The second one is at 8256 + 64, and of another format.
cat "$work/m64-h8-all-sound.bin" "$work/target-sound.bin" >"$work/two.bin"
cat "$work/m64-h8-all-canary.bin" "$work/target-sound.bin" >"$work/two-broken.bin"
check_equal "two heaps: exit status" 0 "$(status "$work/two.bin")"
check_contains "the first" '^Heap at 0x40, .* 8-byte headers' "$(cat "$work/out")"
check_contains "the second" '^Heap at 0x2080, .* 4-byte headers' "$(cat "$work/out")"
check_equal "one of two broken: exit status" 1 "$(status --json "$work/two-broken.bin")"
check_equal "both are in the list" "False True" "$(python3 -c '
import json, sys
print(*[h["check"]["sound"] for h in json.load(sys.stdin)["heaps"]])' <"$work/out")"
check_equal "picked by its offset: exit status" 0 "$(status --offset=100 "$work/two-broken.bin")"
check_equal "alone" 1 "$(grep -c '^Heap at' "$work/out")"
check_equal "picked by an offset in front" 1 "$(status --offset=64 "$work/two-broken.bin")"
expect_xml two svg
expect_xml two html

# ---- whatever there is --------------------------------------------------------------------

# Cut anywhere, it is told and never taken for whole; then written over at random, a few bytes or
# many. A sanitizer's status is another one than these.
python3 - "$work" "$tool" <<'END'
import json, os, random, subprocess, sys
work, tool = sys.argv[1:]
seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
print("seed", seed)
random.seed(seed)


def load(name):
    return open(f"{work}/{name}-sound.bin", "rb").read()


def run(image, form):
    run = subprocess.run([tool, form, "-"], input=image, capture_output=True, timeout=60)
    if run.stdout.startswith(b"{"):
        json.loads(run.stdout)
    return run


for name in "target", "m64-h8-all":
    whole = load(name)
    for length in range(0, len(whole) - 8, random.randrange(90, 110)):
        status = run(whole[:length], "--json").returncode
        assert status == 1 or (status == 2 and length < 1500), (name, length, status)
images = [load(i) for i in ("target", "m32-h8", "m64-h4", "m32-h4-all", "m64-h8-all")]
for i in range(200):
    image = bytearray(random.choice(images))
    for k in range(random.choice((1, 3, 30, 1000))):
        at = random.choice((random.randrange(64, 700), random.randrange(len(image))))
        image[at] = random.choice((0, 255, random.randrange(256)))
    done = run(image, random.choice(("--json", "--svg", "--text", "--html")))
    assert done.returncode in (0, 1, 2), done
END
check_equal "cut at many lengths, and 200 images written over: no crash, never whole" 0 $?
check_summary

#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the measurements must refuse: a heap that gives out the same memory twice, one with memory of
# its own, code whose deepest stack cannot be told - and figures that nobody measured.
#
#     tests/bench/run.sh
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

work=build/test_bench
rm -rf "$work"
mkdir -p "$work"

# ---- heaps that cheat ----

plugin() { # name, options ...
    name=$1
    shift
    check_run "compiles a heap, $name" gcc -std=c99 -Wall -Wextra -Werror "$@" -Ibench -fPIC \
        -shared -o "$work/$name.so" tests/bench/cheat.c
}

plugin twice
plugin owner -DOWNS_MEMORY=true
for program in memory fragmentation; do
    check_refused "$program: the same memory twice" "gave it out twice" \
        make $program PEERS="$work/twice.so"
    check_refused "$program: memory of its own" "memory of its own" \
        make $program PEERS="$work/owner.so"
done

# ---- code whose stack has no bound ----

firmware() { # name, its dmheap.c
    folder=$work/$1.nine
    mkdir -p "$folder"
    echo a compiler >"$folder/compiler"
    echo 'int dmheap_init(int n); int main(void) { return dmheap_init(1); }' >"$folder/main.c"
    printf '%s\n' "$2" >"$folder/dmheap.c"
    for file in main dmheap; do
        arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -ffunction-sections -fcallgraph-info=su -c \
            -o "$folder/$file.o" "$folder/$file.c" || return
    done
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -nostdlib -Wl,--gc-sections,--entry=main \
        -Wl,--defsym=ask=0,-Map="$folder/firmware.map" -o "$folder/firmware.elf" \
        "$folder/main.o" "$folder/dmheap.o"
}

measure() { # name
    python3 bench/size.py --json "$work/$1.json" --values "$work/$1.values" "$work/$1.nine"
}

firmware sound 'static int twice(int n) { return 2 * n; }
    int unused(int n) { return n; }
    int dmheap_init(int n) { return twice(n); }'
firmware endless 'int ask(int n), again(int n);
    int dmheap_init(int n) { return again(n); }
    int again(int n) { return ask(n) ? dmheap_init(n - 1) : 0; }'
firmware pointer 'int (*of)(int); int dmheap_init(int n) { return of(n); }'
firmware array 'int ask(void* p); int dmheap_init(int n) { char array[n]; return ask(array); }'

check_run "measures sound code" measure sound
check_equal "its deepest stack is that of both frames" \
    "$(awk -F '[" (]' '/node.*(twice|dmheap_init)/ { gsub(/.*\\n/, ""); sum += $1 }
        END { print sum }' "$work/sound.nine/dmheap.ci")" \
    "$(awk '/stack.worst/ { print $2 }' "$work/sound.values")"
check_lacks "nothing that is not linked counts" unused "$(cat "$work/sound.values")"
check_refused "a function that calls itself" "calls itself" measure endless
check_refused "a call by a pointer" "by a pointer" measure pointer
check_refused "a frame of no fixed size" "no fixed size" measure array

# ---- what nobody measured ----

mkdir -p "$work/nothing"
python3 bench/figures.py --measured "$work/nothing" --targets bench/targets --page "$work/page.md"
# All but that of the allocators, of which there are none, and that of the wishes.
check_equal "sections of an empty page" "$(grep -c '^## ' "$work/page.md")" \
    "$(($(grep -c '^Not measured; ' "$work/page.md") + 2))"
check_equal "wishes of an empty page" "$(grep -c '| n. m. | - | - |$' "$work/page.md")" \
    "$(grep -c '^\[' bench/targets)"
check_lacks "an empty page has figures" '\| [0-9]' "$(cat "$work/page.md")"
check_refused "a bound that nobody measured" "was not measured" \
    bench/ceilings.sh check '^firmware[.]cortex-m3[.]dmheap[.]' "$work/sound.values"
check_summary

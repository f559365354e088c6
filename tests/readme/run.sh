#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The README's code blocks, as they are printed there:
#   ```c      with a main(): a program, built with warnings as errors, run, must end with 0;
#             without: compiled as the inside of a function, or else as a file
#   ```cmake  put behind project() and, where it has none, add_executable(my_app main.c), with
#             dmheap in lib/dmheap; configured and built
#   ```sh     checked by sh -n, and each line that begins with make by make -n
#
#     tests/readme/run.sh [file]
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

readme=${1:-README.md}
work=$PWD/build/readme
rm -rf "$work"
mkdir -p "$work"

if [ ! -f "$readme" ]; then
    check_fail "$readme" "there is no such file"
    check_summary
    exit
fi

# Writes each block to build/readme/<line number>.<language>.
awk -v work="$work" '
    /^ *```/ && file != "" { close(file); file = ""; next }
    /^ *```(c|cmake|sh)$/  { sub(/^ *```/, ""); file = sprintf("%s/%04d.%s", work, NR, $0)
                             printf "" > file; next }
    /^ *```/               { file = "/dev/null"; next }
    file != ""             { print > file }
' "$readme"

compile="cc -std=c99 -Wall -Wextra -Werror -Wno-unused -Iinclude -Istandin"

c_block() { # name
    if grep -q 'int main(' "$work/$1.c"; then
        check_run "$1.c: builds" $compile -o "$work/$1" "$work/$1.c" src/dmheap.c -pthread &&
            check_run "$1.c: runs" "$work/$1"
        return
    fi
    {
        printf '#include "dmheap.h"\n#include "dmod.h"\n#include <stdio.h>\n#include <string.h>\n'
        grep '^ *#include' "$work/$1.c"
        printf 'void snippet(void);\nvoid snippet(void)\n{\n#line 1\n'
        grep -v '^ *#include' "$work/$1.c"
        printf '}\n'
    } >"$work/$1.snippet.c"
    if ! $compile -c -o "$work/$1.o" "$work/$1.snippet.c" 2>/dev/null; then
        printf '#include "dmheap.h"\n#include "dmod.h"\n' | cat - "$work/$1.c" >"$work/$1.file.c"
        check_run "$1.c: compiles as a file" $compile -c -o "$work/$1.o" "$work/$1.file.c"
        return
    fi
    check_pass "$1.c: compiles inside a function"
}

cmake_block() { # name
    mkdir -p "$work/$1/lib/dmheap"
    cp -R CMakeLists.txt include src ports standin "$work/$1/lib/dmheap"
    cp tests/consumers/main.c "$work/$1"
    {
        echo 'cmake_minimum_required(VERSION 3.18)'
        echo 'project(my_app C)'
        grep -q add_executable "$work/$1.cmake" || echo 'add_executable(my_app main.c)'
        cat "$work/$1.cmake"
    } >"$work/$1/CMakeLists.txt"
    check_run "$1.cmake: configures" cmake -S "$work/$1" -B "$work/$1/build" \
        -DFETCHCONTENT_SOURCE_DIR_DMHEAP="$work/$1/lib/dmheap" &&
        check_run "$1.cmake: builds" cmake --build "$work/$1/build"
}

sh_block() { # name
    check_run "$1.sh: is shell" sh -n "$work/$1.sh"
    sed -n 's/^ *make\( .*\)*$/make\1/p' "$work/$1.sh" | sed 's/ *#.*//' >"$work/$1.make"
    while read -r _ arguments; do
        # shellcheck disable=SC2086 # arguments, to be split
        check_run "$1.sh: make $arguments is there" make -n $arguments
    done <"$work/$1.make"
}

for block in "$work"/*.c "$work"/*.cmake "$work"/*.sh; do
    [ -f "$block" ] || continue
    name=${block##*/}
    ${name##*.}_block "${name%.*}"
done
if [ $((check_passed + check_failed)) -eq 0 ]; then
    check_fail "$readme" "it has no code block"
fi
check_summary

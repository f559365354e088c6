#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Projects that use dmheap, each in one way that the README promises. They get a copy of dmheap
# in lib/dmheap, without its tests, as a consumer would have it.
#
#     tests/consumers/run.sh
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

work=$PWD/build/consumers
rm -rf "$work"

prepare() { # consumer
    mkdir -p "$work/$1/lib/dmheap"
    cp -R tests/consumers/"$1"/. tests/consumers/main.c "$work/$1"
    cp -R CMakeLists.txt GNUmakefile include src ports standin "$work/$1/lib/dmheap"
}

check_app() { # text, program
    output=$("$2" 2>&1)
    check_equal "$1: exit status" 0 $?
    check_contains "$1: dmheap's log and dmod.h's" '^\[INFO\] consumer: served' "$output"
}

echo "== add_subdirectory"
prepare subdirectory
check_run "configures" cmake -S "$work/subdirectory" -B "$work/subdirectory/build"
check_run "builds" cmake --build "$work/subdirectory/build" -j 2
check_app "my_app" "$work/subdirectory/build/my_app"
check_app "my_other_app" "$work/subdirectory/build/my_other_app"
check_equal "dmheap's tests stay away" '' "$(find "$work/subdirectory/build" -name 'test_*')"

echo "== add_subdirectory below another folder, options as variables"
prepare nested
check_run "configures" cmake -S "$work/nested" -B "$work/nested/build"
check_run "builds" cmake --build "$work/nested/build" -j 2
check_app "my_app" "$work/nested/build/firmware/my_app"
check_lacks "the bare port logs nothing" 'dmheap: ' "$output"
check_lacks "no memory interface" ' T Dmod_' "$(nm "$work/nested/build/lib/dmheap/libdmheap.a")"

echo "== make"
prepare make
check_run "builds" make -C "$work/make"
check_app "my_app" "$work/make/my_app"

echo "== one call of the compiler"
check_run "builds" cc -Iinclude -Istandin -o "$work/direct" tests/consumers/main.c src/dmheap.c -pthread
check_app "direct" "$work/direct"

echo "== the header alone"
strict="-Wall -Wextra -Wpedantic -Werror -Iinclude -Istandin -fsyntax-only"
# shellcheck disable=SC2086 # options, to be split
for language in "c -std=c99" "c -std=c11" "c++ -std=c++11" "c++ -std=c++17"; do
    check_run "compiles as $language" cc $strict -x $language tests/consumers/header/header.c
done

check_summary

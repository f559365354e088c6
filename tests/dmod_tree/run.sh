#!/bin/sh
# SPDX-License-Identifier: MIT
#
# dmheap inside a DMOD tree - a small one of our own, no download: in which ways it gets there,
# what is registered, which allocator wins, what the log says.
#
#     tests/dmod_tree/run.sh
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

# DMOD writes a Makefile beside the sources, so a copy of them is used.
work=$PWD/build/dmod_tree
rm -rf "$work"
mkdir -p "$work/dmheap"
cp -R CMakeLists.txt GNUmakefile LICENSE apps include src ports standin "$work/dmheap"
cp -R tests/dmod_tree/dmod "$work"
app=$PWD/tests/dmod_tree/app
clients=$PWD/tests/clients
scene=$PWD/tests/memory

configure() { # build folder, options ...
    folder=$work/$1
    shift
    cmake -S "$app" -B "$folder" -DTREE="$work" -DCLIENTS="$clients" \
        -DSCENE="$scene" "$@"
}

# Programs that run with an option of their own do so with sanitizers.
sanitizers='-fsanitize=address,undefined -fno-sanitize-recover=all'

# The application's log, without colours and with addresses made equal.
log_of() { # output
    printf '%s\n' "$1" | sed 's/\x1b\[[0-9;]*m//g; s/0x[0-9a-f]*/0x.../g' |
        grep -e '^-- ' -e 'dmheap: '
}

expected_log='-- level Warn
[WARN] dmheap: Module sensor is already registered.
-- level Info
[INFO] dmheap: Initialized with buffer 0x... of size 65536.
[INFO] dmheap: Module sensor registered successfully.
[ERROR] dmheap: free of 0x...: no live block starts there.
[INFO] dmheap: Module sensor unregistered successfully.
[ERROR] dmheap: 4294967295 bytes for module sensor: out of memory.'

check_app() { # build folder, program
    output=$("$work/$1/$2") && status=0 || status=$?
    check_equal "$1: exit status of $2" 0 "$status"
    check_lacks "$1: $2 finds nothing wrong" '^FAILED' "$output"
    check_equal "$1: records that $2 finds" 9 "$(printf '%s\n' "$output" | grep -c '^record ')"
    check_equal "$1: log of $2" "$expected_log" "$(log_of "$output")"
    check_contains "$1: the log has DMOD's colours" "$(printf '\033\\[32;1m\\[INFO\\]')" "$output"
}

member='libdmheap\.a\(dmheap_register\.c\.o\)'

check_tree() { # build folder, options ...
    tree=$1
    check_run "$tree: configures" configure "$@" || return
    check_run "$tree: builds" cmake --build "$work/$tree" -j 2 || return
    check_lacks "$tree: the stand-in is on no include path" 'standin' \
        "$(cat "$work/$tree/compile_commands.json")"
    check_contains "$tree: the library has the registration as an object of its own" \
        'dmheap_register' "$(ar t "$(find "$work/$tree" -name libdmheap.a)")"
    for program in app app_registers app_registers_late; do
        check_app "$tree" $program
    done
    check_contains "$tree: app takes dmheap's registration along" "$member" \
        "$(cat "$work/$tree/app.map")"
    check_lacks "$tree: app_registers leaves it out" "$member" \
        "$(cat "$work/$tree/app_registers.map")"
}

echo "== DMOD first in the parent's list"
rm -f "$work/dmheap/Makefile"
check_tree dmod_first -DWHO=dmod_first
makefile=$(cat "$work/dmheap/Makefile" 2>&1)
check_contains "DMOD's makefile names both sources" \
    'SOURCES = src/dmheap.c;src/dmheap_register.c' "$makefile"
check_lacks "DMOD's makefile has no generator expression" '\$<' "$makefile"
check_contains "make still takes GNUmakefile" 'libdmheap.a' "$(make -n -C "$work/dmheap")"

echo "== the application memory in a system"
wanted=$(awk '$0 == "$ memory -m -f dma" { there = 1; next } /^exit status/ { there = 0 } there' \
    "$scene/expected")
check_equal "memory shows what it does elsewhere" "$wanted" \
    "$("$work/dmod_first/memory" -m -f dma | sed 's/0x[0-9a-f]*/0x.../g')"

echo "== dmheap first in the parent's list"
rm -f "$work/dmheap/Makefile"
check_tree dmheap_first -DWHO=dmheap_first
check_equal "no makefile is written in the parent's folder" '' "$(ls "$app" | grep Makefile)"

echo "== dmheap alone, with DMOD_DIR"
check_tree dmod_dir -DWHO=dmheap_only -DDMOD_DIR="$work/dmod"

echo "== dmheap alone, with FetchContent"
check_tree fetch -DWHO=dmheap_only -DDMHEAP_FETCH_DMOD=ON \
    -DFETCHCONTENT_SOURCE_DIR_DMOD="$work/dmod"

echo "== dmheap as the project itself"
check_run "top level: configures and builds with DMOD_DIR" sh -c "
    cmake -S '$work/dmheap' -B '$work/top' -DBUILD_TESTS=OFF -DDMOD_DIR='$work/dmod' &&
    cmake --build '$work/top' -j 2"

echo "== all objects by name, the application's records first and last"
objects="$work/dmod_first/CMakeFiles/app_registers.dir/app.c.o"
heap=$(find "$work/dmod_first/dmheap" -name '*.c.o' | tr '\n' ' ')
system=$(find "$work/dmod_first/dmod" -name 'libdmod_system.a')
for order in "$objects $heap" "$heap $objects"; do
    # shellcheck disable=SC2086 # lists of files, and no spaces in them
    check_run "links: $(for file in $order; do basename "$file" .c.o; done | tr '\n' ' ')" \
        cc -o "$work/by_name" $order "$system" -T"$work/dmod/scripts/sections.ld"
done

echo "== a module"
check_run "module: configures" configure module -DWHO=dmod_first -DDMOD_MODE=DMOD_MODULE
check_run "module: builds" cmake --build "$work/module"
object=$(find "$work/module" -name 'module.c.o')
check_lacks "module: calls nothing by name" 'U dmheap_' "$(nm "$object")"
check_equal "module: names nine functions to the loader" 9 \
    "$(strings "$object" | grep -c '@dmheap:1\.0$')"
check_contains "module: has the loader's section" '\.dmod\.outputs' "$(objdump -h "$object")"
program=$work/module/memory/memory
check_equal "the application memory needs no library" '' \
    "$(nm -u "$program" | grep -v -e _GLOBAL_OFFSET_TABLE_)"
check_equal "it names to the loader what it calls" \
    '_ctx_find _ctx_get_default _ctx_get_stats _ctx_report ' \
    "$(strings "$program" | sed -n 's/^.*\(_ctx_[a-z_]*\)@dmheap:1\.0$/\1/p' | sort -u | tr '\n' ' ')"
check_run "module, dmheap first: configures" \
    configure module_late -DWHO=dmheap_first -DDMOD_MODE=DMOD_MODULE
check_run "module, dmheap first: builds" cmake --build "$work/module_late"

echo "== a system whose modules may call the family"
names=$(sed -n 's/.*DMOD_BUILTIN_API(dmheap, 1.0, .*, \(_[a-z_]*\),.*/record \1@dmheap:1.0/p' \
    include/dmheap.h include/dmheap_ctx.h | sort)
check_run "family: configures" \
    configure family -DWHO=dmod_first -DDMHEAP_REGISTER_CTX=ON -DCMAKE_C_FLAGS="$sanitizers"
check_run "family: builds" cmake --build "$work/family" -j 2 --target app
check_run "family: the application runs" "$work/family/app"
check_equal "family: what modules find" "$names" \
    "$(nm "$work/family/app" | sed -n 's/.* dmheap\(_[a-z_]*\)_registration$/record \1@dmheap:1.0/p' |
        grep -v "_port@" | sort)" # that is what pulls the registration out of the library

echo "== clients of the later generation"
check_run "compat: configures" \
    configure compat -DWHO=dmod_first -DDMHEAP_COMPAT=ON -DCMAKE_C_FLAGS="$sanitizers"
check_run "compat: builds" cmake --build "$work/compat" -j 2
for client in boot contexts names blocks; do
    check_run "compat: $client runs" "$work/compat/$client"
done
for program in compat compat_registers; do
    output=$("$work/compat/$program") && status=0 || status=$?
    check_equal "compat: exit status of $program" 0 "$status"
    check_equal "compat: what modules of both generations find in $program" "$names" \
        "$(printf '%s\n' "$output" | grep '^record ' | sort -u)"
done
objects=$work/compat/CMakeFiles/compat_registers.dir/compat.c.o
heap=$(find "$work/compat/dmheap" -name '*.c.o' | tr '\n' ' ')
for order in "$objects $heap" "$heap $objects"; do
    # shellcheck disable=SC2086 # lists of files and of options
    check_run "compat: links $(for file in $order; do basename "$file" .c.o; done | tr '\n' ' ')" \
        cc $sanitizers -o "$work/by_name" $order "$system" -T"$work/dmod/scripts/sections.ld"
done
check_run "compat module: configures" \
    configure compat_module -DWHO=dmod_first -DDMOD_MODE=DMOD_MODULE -DDMHEAP_COMPAT=ON
check_run "compat module: builds" cmake --build "$work/compat_module"
object=$(find "$work/compat_module" -name 'compat_module.c.o')
check_lacks "compat module: calls nothing by name" 'U dmheap_' "$(nm "$object")"
check_contains "compat module: imports the family" '_ctx_aligned_alloc@dmheap:1\.0$' \
    "$(strings "$object")"
check_equal "compat module: imports no name that both generations have" '' \
    "$(strings "$object" | grep '@dmheap:' | grep -v '^_ctx_')"

echo "== without the memory interface"
check_run "configures" configure without -DWHO=dmod_first -DDMHEAP_DONT_IMPLEMENT_DMOD_API=ON
check_run "builds" cmake --build "$work/without" --target dmheap
check_contains "the library is there" ' T dmheap_init' "$(nm "$work/without/dmheap/libdmheap.a")"
check_lacks "the library defines none of it" ' [TW] Dmod_' \
    "$(nm "$work/without/dmheap/libdmheap.a")"

echo "== refused"
check_refused "a module without DMOD" 'need a DMOD tree' \
    cmake -S "$work/dmheap" -B "$work/refused1" -DDMOD_MODE=DMOD_MODULE
check_refused "DMOD's port without DMOD" 'need a DMOD tree' \
    cmake -S "$work/dmheap" -B "$work/refused2" -DDMHEAP_PORT=dmod
check_refused "a mode that is none" 'DMOD_MODE=DMOD_ELSE is unknown' \
    cmake -S "$work/dmheap" -B "$work/refused3" -DDMOD_MODE=DMOD_ELSE
check_refused "a port that is none" 'DMHEAP_PORT=elsewhere is unknown' \
    cmake -S "$work/dmheap" -B "$work/refused4" -DDMHEAP_PORT=elsewhere
check_refused "a header of 6 bytes" 'DMHEAP_HEADER_BYTES=6 is unknown' \
    cmake -S "$work/dmheap" -B "$work/refused5" -DDMHEAP_HEADER_BYTES=6

check_summary

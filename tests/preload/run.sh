#!/bin/sh
# SPDX-License-Identifier: MIT
#
# libdmheap-preload.so: a test of the shim itself, then the work of real programs, without it and
# with it. Output, exit status and the files they leave have to be the same to the byte, and the
# shim's reports have to show that each program was served, that nothing was refused, and that no
# check of the whole heap found anything.
#
#     tests/preload/run.sh [job ...]        default: shim, which is the shim itself, and all of jobs.sh
#     CANARY=1 tests/preload/run.sh         the heap's settings, as for make
#     DMHEAP_PRELOAD_CHECK=1000 tests/preload/run.sh    checks every 1,000 calls, not every 10,000
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

compiler=${CC:-gcc}
work=$PWD/build/preload
shim=$PWD/libdmheap-preload.so
rm -rf "$work"
mkdir -p "$work"

# ---- what is needed -----------------------------------------------------------------

while read -r command package; do
    command -v "$command" >/dev/null ||
        check_fail "$command is missing" "install it: apt-get install $package"
done <<END
$compiler gcc
g++ g++
bash bash
sqlite3 sqlite3
python3 python3
perl perl
git git
jq jq
redis-server redis-server
redis-cli redis-tools
redis-benchmark redis-tools
END
perl -MData::Dumper -MDigest::SHA -Mthreads -e 1 ||
    check_fail "modules of perl are missing" "install them: apt-get install perl"
[ "${DMHEAP_PRELOAD_CHECK:-10000}" -gt 0 ] ||
    check_fail "DMHEAP_PRELOAD_CHECK" "here heaps are checked: it is above 0"
case $shim in
*[\ :]*) check_fail "the project's path" "LD_PRELOAD takes no spaces and colons: $shim" ;;
esac
[ "$check_failed" -eq 0 ] || { check_summary; exit 1; }
# Assertions of the heap are on, too.
check_run "make preload" make preload ASSERTS=1 || { check_summary; exit 1; }

TREE=$PWD
PYTHON=$(python3 -c 'import sys; print(sys.executable)') # not a script that looks for it
# A free port on loopback, below those that clients get.
PORT=$(python3 -c 'import os, socket
for port in range(20000 + os.getpid() % 10000, 32000):
    with socket.socket() as s:
        if s.connect_ex(("127.0.0.1", port)) != 0:
            print(port)
            break')
export TREE PYTHON PORT

# In front of a command: the shim, which appends to the file that $DMHEAP_PRELOAD_REPORT names.
interval=${DMHEAP_PRELOAD_CHECK:-10000}
with="env LD_PRELOAD=$shim DMHEAP_PRELOAD_CHECK=$interval"

# ---- reports --------------------------------------------------------------------------

# The sum of a figure over all processes in the report; $2: of those of that program alone.
sum() { # calls, unserved, errors, checks or faults; program
    awk -v what="$1" -v program="${2:-.*}" '
        $1 == "process" && $NF ~ "(^|/)" program "$" {
            for (i = 5; i < NF; i += 2) {
                sum += $i == what ? $(i + 1) : 0
            }
        }
        END { printf "%d\n", sum }' "$report"
}

processes() { grep -c '^process' "$report"; }

# The most bytes that a process held at a time, and its program.
most() {
    awk '$1 == "process" && $16 + 0 > most { most = $16; program = $NF }
        END { sub(".*/", "", program); print most, program }' "$report"
}

# The most modules that a process has.
modules() {
    awk '/^Modules/ { here = 1; count = 0 }
        /^Accounts/ { here = 0; most = count > most ? count : most }
        here && $1 ~ /^[A-Z*]$/ && $NF !~ /^[(]|[)]$/ { count++ }
        END { print most + 0 }' "$report"
}

# Processes that were checked less often than every so many calls, and at exit.
unchecked() {
    awk -v interval="$interval" '$1 == "process" && $12 < int($6 / interval) + 1 { print }
        $1 == "process" { processes++ }
        END { if (!processes) { print "no process" } }' "$report"
}

# Blocks that a library holds, in each process that has some.
blocks_of() { # the end of its path
    awk -v library="$1" '
        /^Modules/ { here = 1 }
        /^Accounts/ { here = 0 }
        here && substr($NF, length($NF) - length(library) + 1) == library && $5 > 0 { print $5 }' \
        "$report"
}

# Blocks that a library was given in its time, in all processes.
allocations_of() { # the end of its path
    awk -v library="$1" '
        /^Accounts/ { here = 1 }
        /^process/ { here = 0 }
        here && substr($NF, length($NF) - length(library) + 1) == library { sum += $5 }
        END { printf "%d\n", sum }' "$report"
}

# ---- the shim itself ------------------------------------------------------------------

# shellcheck disable=SC2086 # splitting is the point
build_test() {
    flags="-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Werror -O2 -g -fno-builtin -Itests"
    for number in 1 2; do
        "$compiler" $flags -fPIC -shared -o "$work/plugin_$number.so" tests/preload/plugin.c ||
            return
    done
    "$compiler" $flags -o "$work/test_preload" tests/preload/test_preload.c -pthread -ldl
}

# The exit status; what it prints is in $work/out and $work/err, and what it reports in $report.
status() { # command ...
    rm -f "$report"
    timeout -k 5 120 "$@" >"$work/out" 2>"$work/err"
    echo $?
}

# shellcheck disable=SC2086
play_shim() {
    check_run "$compiler: builds the test" build_test || return
    test=$work/test_preload
    report=$work/report
    export DMHEAP_PRELOAD_REPORT="$report"
    check_equal "the shim exports" "aligned_alloc calloc free malloc malloc_usable_size memalign \
posix_memalign pvalloc realloc reallocarray valloc " \
        "$(nm -D --defined-only "$shim" | awk '{ print $3 }' | sort | tr '\n' ' ')"

    check_equal "its functions, threads and forks" 0 \
        "$(status $with "$test" "$work/plugin_1.so" "$work/plugin_2.so")"
    check_contains "all is right" ' 0 failures' "$(cat "$work/out" "$work/err")"
    check_equal "reports: of the test, of a child that exited, of true" 3 "$(processes)"
    check_equal "nothing was unserved, wrong or found" "0 0 0" \
        "$(sum unserved) $(sum errors) $(sum faults)"
    check_equal "processes that were checked too seldom" '' "$(unchecked)"
    for number in 1 2; do # the first one is also in a child's
        check_equal "blocks of library $number, which is unloaded" 3 \
            "$(blocks_of "/plugin_$number.so" | sort -u)"
    done

    check_equal "without the shim: exit status" 1 "$(status "$test" full)"
    check_contains "that is said" 'not strstr' "$(cat "$work/out")"
    check_equal "an arena that is full" 0 \
        "$(status env DMHEAP_PRELOAD_MIB=1 $with "$test" full)"
    check_equal "requests that were not served" 7 "$(sum unserved)"
    check_equal "pointers that are none" 0 "$(status $with "$test" misuse)"
    check_equal "each is told" 6 "$(grep -c '^\[ERROR\].* no live block starts there' "$work/err")"
    check_equal "and counted" 6 "$(sum errors)"
    check_equal "an overrun" 0 "$(status $with "$test" overrun)"
    check_contains "the check at exit finds it" '^\[ERROR\] dmheap: check of ' "$(cat "$work/err")"
    check_equal "and that is counted" 1 "$(sum faults)"
    check_equal "a signal's handler interrupts a call: exit status" 134 \
        "$(status $with "$test" signal)"
    check_contains "that is said" 'interrupted another one' "$(cat "$work/err")"

    for value in 0 -1 1M 18446744073709551616 99999999999999999999999; do
        check_equal "DMHEAP_PRELOAD_MIB=$value: exit status" 134 \
            "$(status env DMHEAP_PRELOAD_MIB=$value $with "$test" full)"
        check_contains "that is said" 'DMHEAP_PRELOAD_MIB' "$(cat "$work/err")"
    done
    check_equal "a report that cannot be written: exit status" 0 \
        "$(status env DMHEAP_PRELOAD_REPORT="$work/none/report" LD_PRELOAD="$shim" true)"
    check_contains "that is said" 'no report' "$(cat "$work/err")"
}

# ---- real programs --------------------------------------------------------------------

# Both times in a folder of the same path, for programs may tell it.
run_job() { # without or with, what to put in front
    side=$1
    shift
    mkdir "$at/here"
    (cd "$at/here" && timeout -k 5 600 "$@" bash "$TREE/tests/preload/jobs.sh" "$job") \
        >"$at/$side.out" 2>"$at/$side.err" </dev/null
    echo $? >"$at/$side.status"
    mv "$at/here" "$at/$side"
}

play_job() { # job, programs that have to be served, libraries that have to be modules
    job=$1
    at=$work/$job
    report=$at/report
    export DMHEAP_PRELOAD_REPORT="$report"
    mkdir "$at"
    run_job without
    # shellcheck disable=SC2086 # splitting is the point
    run_job with $with
    for side in without with; do
        check_equal "$job $side the shim: exit status, 124 after 10 minutes" 0 \
            "$(cat "$at/$side.status")"
    done
    check_run "$job: there is output" test -s "$at/without.out"
    check_run "$job: the same output" cmp "$at/without.out" "$at/with.out"
    check_run "$job: the same messages" cmp "$at/without.err" "$at/with.err"
    check_run "$job: the same files" diff -r "$at/without" "$at/with"
    [ -s "$report" ] || { check_fail "$job: a report" "no process was served"; return; }
    for program in $2; do
        check_run "$job: $(sum calls "$program") calls of $program were served" \
            test "$(sum calls "$program")" -gt 0
    done
    for library in $3; do
        check_run "$job: $(allocations_of "$library") blocks went to $library" \
            test "$(allocations_of "$library")" -gt 0
    done
    check_equal "$job: unserved, errors, faults" "0 0 0" \
        "$(sum unserved) $(sum errors) $(sum faults)"
    check_equal "$job: processes that were checked too seldom" '' "$(unchecked)"
    echo "| $job | $(processes) | $(sum calls) | $(most) | $(modules) | $(sum checks) |" \
        >>"$work/table"
}

play() { # shim, or a job
    case $1 in
    shim) play_shim ;;
    sqlite3) play_job sqlite3 sqlite3 /libsqlite3.so.0 ;;
    python3) play_job python3 "${PYTHON##*/}" '/libc.so.6 /liblzma.so.5 /libbz2.so.1.0' ;;
    perl) play_job perl perl /threads.so ;;
    git) play_job git git '/libz.so.1 /libpcre2-8.so.0' ;;
    gcc) play_job gcc 'cc1 cc1plus as collect2 ld program' '/libstdc++.so.6 /libgmp.so.10' ;;
    jq) play_job jq jq '/libjq.so.1 /libonig.so.5' ;;
    redis) play_job redis 'redis-server redis-benchmark redis-cli' /libcrypto.so.3 ;;
    *) check_fail "a job" "there is none of that name: $1" ;;
    esac
}

[ $# -gt 0 ] || set -- shim sqlite3 python3 perl git gcc jq redis
for name; do
    play "$name"
done
if [ -s "$work/table" ]; then
    echo "| job | processes | calls | most bytes of a process | most modules of one | checks |"
    cat "$work/table"
fi
check_summary

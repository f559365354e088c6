#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs programs of a firmware image, each by a fresh start of the emulated machine.
#
#     target/run.sh one IMAGE QEMU PROGRAM [ARGUMENT...]   one, with arguments
#     target/run.sh test IMAGE QEMU PROGRAM...             each, as `make test` does
#     target/run.sh count IMAGE QEMU PROGRAM...            all of them twice, with the same output:
#                                                          into the file `counts` beside the image
#
# QEMU is one word: the emulator and its machine.
set -eu
[ $# -ge 4 ] || { sed -n '6,9s/^# *//p' "$0" >&2; exit 2; }
what=$1 image=$2 qemu=$3
shift 3
folder=$(dirname "$image") # of the image, in one of the board
board=$(basename "$(dirname "$folder")")

# With counted instructions, each one takes 1024 ns of the machine's time; without, it is faster.
counted='-icount shift=10,sleep=off'

start() { # options, program and arguments
    options=$1
    shift
    for word; do
        options="$options,arg=$word"
    done
    # shellcheck disable=SC2086 # several words
    timeout 300 $qemu -kernel "$image" -display none -serial none -monitor none \
        -chardev stdio,id=out $options </dev/null
}
semihosting='-semihosting-config enable=on,target=native,chardev=out'

# The clock, and what strikes by it, need counted instructions.
start_test() {
    case $1 in
    self_test | test_interrupt | holds | count) start "$counted $semihosting" "$1" ;;
    *) start "$semihosting" "$1" ;;
    esac
}

test_one() {
    log=$folder/$1.log
    if start_test "$1" >"$log" 2>&1; then
        echo "PASS $board $1 $(sed -n 's/^longest/- longest/p' "$log")"
        return
    fi
    echo "FAIL $board $1:"
    tail -n 40 "$log"
    return 1
}

test_all() {
    failed=0
    for program; do
        test_one "$program" || failed=$((failed + 1))
    done
    echo "$board: $(($# - failed)) passed, $failed failed"
    [ $failed -eq 0 ]
}

count_all() { # file, programs
    file=$1
    shift
    : >"$file"
    for program; do
        start_test "$program" >>"$file" || { tail -n 5 "$file" >&2; return 1; }
    done
}

case $what in
one) start "$counted $semihosting" "$@" ;;
test) test_all "$@" ;;
count)
    count_all "$folder/counts" "$@"
    count_all "$folder/counts.again" "$@"
    cmp "$folder/counts" "$folder/counts.again"
    ;;
*) echo "target/run.sh: $what: one, test or count" >&2 && exit 2 ;;
esac

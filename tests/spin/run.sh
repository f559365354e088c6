#!/bin/sh
# SPDX-License-Identifier: MIT
#
# All states of tests/spin/modules.pml, by Spin; and again without each of its guards, where the
# property that needs it has to fail.
#
#     tests/spin/run.sh
cd "$(dirname "$0")/../.." || exit 1
. tests/check.sh

work=build/spin
rm -rf "$work"
mkdir -p "$work"

# What Spin's verifier says of the model with these options, in $work/NAME/out. False where the model
# is none, or the verifier fails.
verify() { # name, options ...
    name=$1
    shift
    mkdir -p "$work/$name"
    (cd "$work/$name" && spin -a "$@" ../../../tests/spin/modules.pml >out 2>&1 &&
        cc -O2 -w -DSAFETY -DNOREDUCE -o pan pan.c >>out 2>&1 && ./pan -m1000000 -c0 >>out 2>&1)
}

# A search that is cut short, for want of depth or memory, has no errors either, and status 0.
cut_short='max search depth too small|Search not completed'

if verify whole && grep -q 'errors: 0$' "$work/whole/out" &&
    ! grep -E -q "$cut_short" "$work/whole/out"; then
    check_pass "the model: $(awk '/states, stored/ { print $1 }' "$work/whole/out") states, no error"
else
    check_fail "the model" "$(cat "$work/whole/out")"
fi

# $1: a guard, $2: what fails without it, with two calls of each client already
without() {
    if verify "$1" "-D$1=0" -DCALLS=2 && grep -F -q "assertion violated ($2)" "$work/$1/out"; then
        check_pass "without $1: assertion violated ($2)"
    else
        check_fail "without $1" "$(tail -n 20 "$work/$1/out")"
    fi
}

without KEEP_ID 'made_for[place]==generation'
without KEEP_REFERENCE 'made_for[place]==generation_of[id]'
without OWN_BLOCKS 'owner[mine]!=0'
without LOOK_AGAIN 'used[id]&&has_name[id]'
without ABANDON 'owner[place]!=1'
without COUNT 'references[id]!=0'
without DROP ' !(used[id])||(references[id]==(blocks[id]+1))'
without END_SWEEP 'used[id]==(id==named)'
without SLICE 'held<=2'
without COPY_UNLOCKED 'locked!=_pid'
check_summary

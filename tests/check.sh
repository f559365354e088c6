# SPDX-License-Identifier: MIT
# Checks for the shell tests beside this file: sourced by them. Each prints what it compares, the
# script goes on after a failure, and check_summary ends it.

# The leak sanitizer hangs in qemu-user, by which a system may run 32-bit programs.
if grep -qs qemu /proc/sys/fs/binfmt_misc/*i386*; then
    export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
fi

check_passed=0
check_failed=0

check_pass() { # text
    echo "ok:     $1"
    check_passed=$((check_passed + 1))
}

check_fail() { # text, details
    echo "FAILED: $1"
    printf '%s\n' "$2" | sed 's/^/        | /'
    check_failed=$((check_failed + 1))
}

check_equal() { # text, expected, actual
    if [ "$2" = "$3" ]; then
        check_pass "$1: $(echo "$2" | tr '\n' ' ')"
    else
        check_fail "$1" "expected: $2
got:      $3"
    fi
}

check_run() { # text, command ...: it must succeed; its output is shown if it does not
    check_text=$1
    shift
    if check_output=$("$@" 2>&1); then
        check_pass "$check_text"
    else
        check_fail "$check_text" "$*
$check_output"
        return 1
    fi
}

check_refused() { # text, pattern, command ...: it must fail, and say so
    check_text=$1
    check_pattern=$2
    shift 2
    if check_output=$("$@" 2>&1); then
        check_fail "$check_text" "$*: succeeded"
    elif printf '%s' "$check_output" | tr -s ' \n' ' ' | grep -q -e "$check_pattern"; then
        check_pass "$check_text"
    else
        check_fail "$check_text" "$*: does not say '$check_pattern' but
$check_output"
    fi
}

check_contains() { # text, extended pattern, what it is looked for in
    if printf '%s\n' "$3" | grep -E -q -e "$2"; then
        check_pass "$1"
    else
        check_fail "$1" "no '$2' in:
$3"
    fi
}

check_lacks() { # text, extended pattern, what it is looked for in
    if [ -z "$3" ]; then
        check_fail "$1" "nothing to look in"
    elif printf '%s\n' "$3" | grep -E -q -e "$2"; then
        check_fail "$1" "'$2' in:
$(printf '%s\n' "$3" | grep -E -e "$2")"
    else
        check_pass "$1"
    fi
}

check_summary() {
    echo "$check_passed checks passed, $check_failed failed"
    [ "$check_failed" -eq 0 ] && [ "$check_passed" -gt 0 ]
}

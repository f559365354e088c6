#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compares what was measured with bench/ceilings.
#
#     bench/ceilings.sh check REGEX FILE...    fail where a bound whose name matches does not hold,
#                                              or has no measurement
#     bench/ceilings.sh update REGEX FILE...   set these bounds to what was measured and 2 %
#
# The files have a name and a value in each line. Bounds of several programs stand in one file, so
# each checks its own by REGEX, an extended regular expression; at least one has to match.
set -eu
what=${1:-}
regex=${2:-}
[ $# -ge 3 ] || { sed -n '5,8s/^# *//p' "$0" >&2; exit 2; }
shift 2
bounds=$(dirname "$0")/ceilings

# Reads the measured files first, then the bounds: name, <= or >=, value, comment.
program='
function fail(text) { print "bench/ceilings: " text > "/dev/stderr"; failed = 1 }
function round_up(x) { return x == int(x) ? x : int(x) + 1 }

# With the margin, in as many digits as the value in the file has.
function fresh(value, bound, old,    digits, scale) {
    digits = index(old, ".") ? length(old) - index(old, ".") : 0
    scale = 10 ^ digits
    value = bound == "<=" ? round_up(value * 1.02 * scale) / scale \
                          : int(value * 0.98 * scale) / scale
    return sprintf("%." digits "f", value)
}

FILENAME != bounds {
    if (NF != 2 || $2 !~ /^[0-9]+([.][0-9]+)?$/) {
        fail(FILENAME ":" FNR ": not a name and a value: " $0)
        exit
    }
    measured[$1] = $2
    next
}
/^(#|$)/ { if (what == "update") print; next }
$2 != "<=" && $2 != ">=" || $3 !~ /^[0-9]+(\.[0-9]+)?$/ { fail("line " FNR ": " $0); next }
$1 !~ regex { if (what == "update") print; next }
!($1 in measured) { fail($1 " was not measured"); if (what == "update") print; next }
what == "update" {
    comment = $0
    sub(/^[^ ]+ +[^ ]+ +[^ ]+ */, "", comment)
    value = comment ~ /^fixed:/ ? $3 : fresh(measured[$1], $2, $3)
    line = sprintf("%-50s %s %8s  %s", $1, $2, value, comment)
    sub(/ +$/, "", line)
    print line
    next
}
{
    checked++
    if ($2 == "<=" ? measured[$1] + 0 > $3 + 0 : measured[$1] + 0 < $3 + 0) {
        fail($1 " is " measured[$1] ", not " $2 " " $3)
    }
}
END {
    if (what == "check" && !checked) fail("no bound is named like " regex)
    if (what == "check" && !failed) print checked " figures hold their bounds"
    exit failed
}'

case $what in
check) awk -v what=check -v regex="$regex" -v bounds="$bounds" "$program" "$@" "$bounds" ;;
update)
    awk -v what=update -v regex="$regex" -v bounds="$bounds" "$program" "$@" "$bounds" \
        >"$bounds.new"
    mv "$bounds.new" "$bounds"
    ;;
*) echo "bench/ceilings.sh: $what: check or update" >&2 && exit 2 ;;
esac

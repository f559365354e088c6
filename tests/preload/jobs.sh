#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Ordinary work of real programs, in the current folder. What it prints and leaves there is the same
# in each run; run.sh compares it with and without the shim.
#
#     tests/preload/jobs.sh sqlite3 | python3 | perl | git | gcc | jq | redis
#
# Variables: TREE, the project's root; PYTHON, the interpreter itself; PORT, a free one on loopback.
set -euo pipefail

# Dates, names and settings of nobody's in particular.
export LC_ALL=C TZ=UTC HOME="$PWD"

job_sqlite3() {
    sqlite3 work.db <<'END'
PRAGMA journal_mode = WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, kind INTEGER, price REAL, name TEXT, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO item SELECT i, i * 7919 % 997, i % 1000 / 8.0, 'item ' || (i * 31 % 200003),
    CASE WHEN i % 50 = 0 THEN printf('%.*c', i % 300, 'x') END FROM n;
COMMIT;
CREATE INDEX by_kind ON item(kind, price);
CREATE UNIQUE INDEX by_name ON item(name, id);
ANALYZE;
SELECT kind, count(*), sum(price), min(name), max(length(note)) FROM item GROUP BY kind;
SELECT a.name, b.name FROM item a JOIN item b ON b.kind = a.kind AND b.price > a.price
    WHERE a.id % 5000 = 0 ORDER BY 1, 2 LIMIT 500;
SELECT count(*), group_concat(id % 10, '') OVER (ORDER BY id ROWS 20 PRECEDING)
    FROM item GROUP BY id % 1000 ORDER BY 2 LIMIT 20;
SELECT json_group_array(json_object('id', id, 'name', name)) FROM item WHERE id % 1000 = 7;
CREATE VIRTUAL TABLE text USING fts5(name, note);
INSERT INTO text SELECT name, note FROM item WHERE id <= 20000;
SELECT count(*) FROM text WHERE text MATCH 'item AND (17 OR 4711)';
UPDATE item SET note = upper(name), price = price * 1.25 WHERE id % 3 = 0;
DELETE FROM item WHERE kind < 100;
PRAGMA integrity_check;
VACUUM;
SELECT count(*), sum(length(note)) FROM item;
END
    sqlite3 work.db .dump | cksum
    sqlite3 -csv work.db 'SELECT * FROM item WHERE id % 100 = 1' | cksum
}

job_python3() {
    PYTHONHASHSEED=0 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 \
        "$PYTHON" "$TREE/tests/preload/work.py"
}

job_perl() {
    PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl "$TREE/tests/preload/work.pl"
}

# A minute after the commit before.
commit() { # message
    minute=$((minute + 1))
    GIT_AUTHOR_DATE="@$((1700000000 + 60 * minute)) +0000" \
        GIT_COMMITTER_DATE="@$((1700000000 + 60 * minute)) +0000" git commit -q -m "$1"
}

# Files of numbers, some of which each revision changes.
write_files() { # revision
    mkdir -p part
    awk -v revision="$1" 'BEGIN {
        for (i = revision % 7; i < 200; i += revision == 0 ? 1 : 7) {
            file = "part/" i % 10 "-" i ".txt"
            for (line = 0; line < 40 + i; line++) {
                print line, (line * i + (line % 9 == 0 ? revision : 0)) % 1009 >file
            }
            close(file)
        }
    }'
}

job_git() {
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=4 \
        GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=Nobody \
        GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=nobody@example.org \
        GIT_CONFIG_KEY_2=init.defaultBranch GIT_CONFIG_VALUE_2=main \
        GIT_CONFIG_KEY_3=gc.autoDetach GIT_CONFIG_VALUE_3=false
    minute=0
    git init -q work
    cd work
    for revision in 0 1 2 3 4 5 6 7 8 9; do
        write_files $revision
        git add -A
        commit "Revision $revision"
    done
    git checkout -q -b side HEAD~5
    echo side >side.txt
    git add side.txt
    commit "A side"
    git checkout -q main
    git merge -q --no-commit side
    commit "Both"
    git log --stat --graph --format='%h %s %ad'
    git diff HEAD~7 | cksum
    git blame --date=iso part/3-13.txt | cksum
    git grep -n -E '^3[0-9] (9|1)[0-9]*$' | cksum
    git grep -c -P '(?<=\d )(\d)\1\b' HEAD~3
    GIT_COMMITTER_DATE='@1800000000 +0000' git tag -a -m 'A tag' v1 HEAD~1
    git repack -q -a -d -f --depth=20 --window=50
    git gc -q --prune=now
    git fsck --full --strict
    git clone -q --no-local . ../copy
    git -C ../copy log -1 --format=%H
    git archive --format=tar HEAD | cksum
    git cat-file --batch-all-objects --batch-check | cksum
    git rev-parse HEAD
    cd ..
    rm -rf work/.git copy/.git # whose index has times and places of files
}

job_gcc() {
    flags="-std=c99 -I$TREE/include -I$TREE/standin"
    # shellcheck disable=SC2086 # splitting is the point
    gcc $flags -O2 -g -Wall -Wextra -c -o dmheap.o "$TREE/src/dmheap.c"
    # shellcheck disable=SC2086
    gcc $flags -Os -S -fdump-tree-optimized -o dmheap.s "$TREE/src/dmheap.c"
    # shellcheck disable=SC2086
    gcc $flags -O2 -o demo "$TREE/examples/demo.c" dmheap.o -pthread
    ./demo | sed 's/0x[0-9a-f]*/0x.../g'
    g++ -std=c++17 -O2 -Wall -Wextra -c -o program.o "$TREE/tests/preload/program.cpp"
    g++ -o program program.o -pthread
    ./program
    echo 'int f( { return nothing; }' >wrong.c
    gcc -c wrong.c || echo "exit status $?"
}

job_jq() {
    jq -n '[range(6000) | {id: ., name: "name \(. * 7919 % 6007)", kind: (. % 37),
        tags: [range(. % 5) | "tag \(.)"], at: {x: (. / 8), y: [., -., null, true]}}]' >document.json
    cksum document.json
    jq -c 'group_by(.kind)[] | {kind: .[0].kind, count: length, x: (map(.at.x) | add),
        tags: (map(.tags[]) | unique)}' document.json
    jq -c 'sort_by(.name, -.id)[range(0; 6000; 200)] | [.id, .name, .at.y]' document.json
    jq 'map(select(.name | test("^name 1[0-9]*7$"))) | length' document.json
    jq -c '[.[] | .name | capture("(?<word>[a-z]+) (?<number>[0-9]+)") | .number | tonumber]
        | [add, min, max]' document.json
    jq 'walk(if type == "number" then . + 1 else . end) | tojson | length' document.json
    jq -c '[paths(scalars)] | length' document.json
    jq -c 'reduce .[] as $item ({}; .[$item.kind | tostring] += [$item.id]) | map_values(length)' \
        document.json
    jq -c --stream 'select(length == 2 and .[0][1] == "kind" and .[1] == 36) | .[0][0]' \
        document.json | tail -n 5
    jq -r '.[:2000][] | [.id, .name, (.tags | join("+"))] | @csv' document.json | cksum
    jq -r '.[:2000] | tojson | @base64 | @base64d | fromjson | length' document.json
    jq . document.json | cksum
    jq -n '{' 2>&1 || echo "exit status $?"
}

# Commands for redis-cli, of which every reply is told by them alone.
redis_commands() {
    awk 'BEGIN {
        for (i = 0; i < 2000; i++) {
            print "SET string:" i, "value:" i * 7919 % 2003
            print "HSET hash:" i % 50, "field:" i, i * i
            print "RPUSH list:" i % 20, "element:" i
            print "ZADD sorted:" i % 10, i * 31 % 997, "member:" i
            print "SADD set:" i % 30, i
            print "XADD stream " i + 1 "-1 number", i
            print "APPEND text \"" i " \""
            print "PFADD distinct", i % 777
            print "SETBIT bits", i * 13, i % 2
            print "GEOADD places", i % 170, i % 80, "place:" i
        }
        for (i = 0; i < 2000; i += 3) {
            print "DEL string:" i
            print "HDEL hash:" i % 50, "field:" i
            print "LREM list:" i % 20, 0, "element:" i
            print "INCRBY counter", i
        }
    }'
    cat <<'END'
GET string:1
MGET string:4 string:5 string:6
STRLEN text
GETRANGE text 100 200
HGETALL hash:7
LRANGE list:3 0 -1
LPOS list:3 element:43
ZRANGE sorted:4 0 -1 WITHSCORES
ZREVRANGEBYSCORE sorted:4 500 100 LIMIT 0 10
ZUNIONSTORE union 3 sorted:1 sorted:2 sorted:3
ZCARD union
SINTERCARD 2 set:1 set:2
SORT set:5 BY nothing:* LIMIT 0 0
SORT set:6 DESC LIMIT 0 10
XRANGE stream 100-0 110-0
XLEN stream
PFCOUNT distinct
BITCOUNT bits
BITOP NOT others bits
GEODIST places place:1 place:100 km
EVAL "local t = {} for i = 1, 20000 do t[i] = tostring(i) .. ARGV[1] end return #table.concat(t, ',')" 0 x
EVAL "for i = 1, 3000 do redis.call('HSET', 'scripted', i, i * 3) end return redis.call('HLEN', 'scripted')" 0
MULTI
INCR counter
LPUSH list:0 transaction
EXEC
COPY hash:7 hash:copy
RENAME list:1 list:renamed
UNLINK scripted union
OBJECT ENCODING hash:7
OBJECT ENCODING stream
LLEN nothing
LLEN string:1
DBSIZE
DEBUG DIGEST
DEBUG RELOAD
DEBUG DIGEST
DBSIZE
END
}

# Until a command prints a text; a tenth of a second between two tries.
wait_for() { # text, command ...
    text=$1
    shift
    for try in $(seq 200); do
        case $("$@" 2>/dev/null) in *"$text"*) return ;; esac
        sleep 0.1
    done
    echo "no $text after $try tries of $*"
    cat server.log
    return 1
}

# Threads for reading and writing, and others that free what is large.
job_redis() {
    redis-server --bind 127.0.0.1 --port "$PORT" --save '' --appendonly no --io-threads 2 \
        --io-threads-do-reads yes --lazyfree-lazy-user-del yes --enable-debug-command yes \
        --logfile server.log --dir . &
    server=$!
    trap 'kill $server 2>/dev/null || :' EXIT
    wait_for PONG redis-cli -p "$PORT" ping
    redis-benchmark -p "$PORT" -q -n 2000 -c 20 -P 4 -r 2000 -d 200 >benchmark.log 2>benchmark.err
    tr '\r' '\n' <benchmark.log | sed -n 's/: [0-9.]* requests per second.*//p'
    cat benchmark.err
    redis-cli -p "$PORT" flushall async
    redis_commands | redis-cli -p "$PORT"
    redis-cli -p "$PORT" bgsave
    wait_for rdb_bgsave_in_progress:0 redis-cli -p "$PORT" info persistence
    redis-cli -p "$PORT" info persistence | grep rdb_last_bgsave_status
    redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
    redis-cli -p "$PORT" shutdown nosave
    wait $server
    trap - EXIT
    rm server.log benchmark.log dump.rdb # which have times in them
}

"job_$1"

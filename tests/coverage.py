#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line and branch coverage of src/ in several builds together.

usage: coverage.py LIST TRACE...

A trace is a JSON file of gcovr, of one build and one kind of object. Settings change which branches
a line has, so only those of builds that give a line as many are taken together; each of these
numbers of branches must have all of them taken somewhere. LIST says what no test can reach:

    file ## function ## text of the line ## line or branch ## reason

"line" excuses one that is never executed, "branch" one with exactly one branch that is never taken.
It fails if anything else is not covered, and for an entry that is covered, is not there, or is there
twice.
"""
import collections
import glob
import json
import sys


def read_traces(names):
    """{file: {line: [executions, {number of branches: [executions of each]}]}}, and
    {file: {first line: function}}"""
    files, functions = collections.defaultdict(dict), collections.defaultdict(dict)
    for name in names:
        with open(name, encoding="utf-8") as stream:
            content = json.load(stream)
        for entry in content["files"]:
            lines = files[entry["file"]]
            functions[entry["file"]].update(
                (function["lineno"], function["name"]) for function in entry["functions"])
            for line in entry["lines"]:
                if line["gcovr/noncode"]:
                    continue
                merged = lines.setdefault(line["line_number"], [0, {}])
                merged[0] += line["count"]
                counts = [branch["count"] for branch in line["branches"]]
                known = merged[1].setdefault(len(counts), [0] * len(counts))
                merged[1][len(counts)] = [a + b for a, b in zip(known, counts)]
    return files, functions


def read_list(name):
    """{(file, function, text, kind)}, and the files that are left out as a whole"""
    entries, left_out = set(), set()
    with open(name, encoding="utf-8") as stream:
        for line in stream:
            line = line.strip()
            if line.startswith("src/"):
                file, *place, reason = line.split(" ## ")
                assert reason
                if place == ["all"]:
                    left_out.add(file)
                else:
                    function, text, kind = place
                    assert kind in ("line", "branch"), line
                    entries.add((file, function, text, kind))
    return entries, left_out


def function_at(functions, number):
    """The one that begins last before that line."""
    begin = max((first for first in functions if first <= number), default=None)
    return functions.get(begin, "")


def percent(part, whole):
    return "" if whole == 0 else f"{int(1000 * part / whole) / 10:5} %"


def show(name, figures):
    lines, all_lines, branches, all_branches, listed = figures
    print(f"{name:24} {lines:5} of {all_lines:5} {percent(lines, all_lines):7}"
          f" {branches:5} of {all_branches:5} {percent(branches, all_branches):7} {listed or '':6}")


def main():
    entries, left_out = read_list(sys.argv[1])
    files, functions = read_traces(sys.argv[2:])
    used = collections.Counter()
    wrong = [f"{name}: not compiled by any build"
             for name in sorted(glob.glob("src/*.[ch]")) if name not in files
             and name not in left_out]
    wrong += [f"{sys.argv[1]}: compiled: {name}" for name in sorted(left_out) if name in files]
    total = [0, 0, 0, 0, 0]
    print(f"{'':26}{'lines':>13} {'branches':>22} {'listed':>15}")
    for name in sorted(files):
        with open(name, encoding="utf-8") as stream:
            texts = stream.read().splitlines()
        figures = [0, 0, 0, 0, 0]
        for number, (count, shapes) in sorted(files[name].items()):
            branches = [taken for shape in shapes.values() for taken in shape]
            entry = (name, function_at(functions[name], number), texts[number - 1].strip(),
                     "line" if count == 0 else "branch")
            if count == 0 or 0 in branches:
                most = max((shape.count(0) for shape in shapes.values()), default=0)
                used[entry] += entry in entries
                if entry in entries and (count == 0 or most == 1):
                    figures[4] += 1
                    continue
                what = ("never executed" if count == 0 else
                        f"{branches.count(0)} of {len(branches)} branches never taken")
                wrong.append(f"{name}:{number}: {what}: {' ## '.join(entry)}")
            figures[0] += count != 0
            figures[1] += 1
            figures[2] += sum(taken != 0 for taken in branches)
            figures[3] += len(branches)
        total = [a + b for a, b in zip(total, figures)]
        show(name, figures)
    show("all", total)
    wrong += [f"{sys.argv[1]}: {'there twice' if used[entry] else 'covered, or not there'}:"
              f" {' ## '.join(entry)}" for entry in sorted(entries) if used[entry] != 1]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong or total[1] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

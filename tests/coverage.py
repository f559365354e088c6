#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line and branch coverage of src/ in several builds together.

usage: coverage.py LIST TRACE...

A trace is a JSON file of gcovr, of one build and one kind of object. Settings change which branches
a line has, so only those of builds that give a line as many are taken together; each of these
numbers of branches must have all of them taken somewhere. LIST says what no test can reach:

    file ## text of the line ## reason

It fails if anything else is not covered, and for an entry that is covered, or is not there.
"""
import collections
import glob
import json
import sys


def read_traces(names):
    """{file: {line: [executions, {number of branches: [executions of each]}]}}"""
    files = collections.defaultdict(dict)
    for name in names:
        with open(name, encoding="utf-8") as stream:
            content = json.load(stream)
        for entry in content["files"]:
            lines = files[entry["file"]]
            for line in entry["lines"]:
                if line["gcovr/noncode"]:
                    continue
                merged = lines.setdefault(line["line_number"], [0, {}])
                merged[0] += line["count"]
                counts = [branch["count"] for branch in line["branches"]]
                known = merged[1].setdefault(len(counts), [0] * len(counts))
                merged[1][len(counts)] = [a + b for a, b in zip(known, counts)]
    return files


def read_list(name):
    """{(file, text)}"""
    entries = set()
    with open(name, encoding="utf-8") as stream:
        for line in stream:
            line = line.strip()
            if line.startswith("src/"):
                file, text, reason = line.split(" ## ")
                assert reason
                entries.add((file, text))
    return entries


def percent(part, whole):
    return "" if whole == 0 else f"{int(1000 * part / whole) / 10:5} %"


def show(name, figures):
    lines, all_lines, branches, all_branches, listed = figures
    print(f"{name:24} {lines:5} of {all_lines:5} {percent(lines, all_lines):7}"
          f" {branches:5} of {all_branches:5} {percent(branches, all_branches):7} {listed or '':6}")


def main():
    entries = read_list(sys.argv[1])
    files = read_traces(sys.argv[2:])
    used = set()
    wrong = [f"{name}: not compiled by any build"
             for name in sorted(glob.glob("src/*.[ch]")) if name not in files
             and (name, "all") not in entries]
    used.update(entry for entry in entries if entry[1] == "all" and entry[0] not in files)
    total = [0, 0, 0, 0, 0]
    print(f"{'':26}{'lines':>13} {'branches':>22} {'listed':>15}")
    for name in sorted(files):
        with open(name, encoding="utf-8") as stream:
            texts = stream.read().splitlines()
        figures = [0, 0, 0, 0, 0]
        for number, (count, shapes) in sorted(files[name].items()):
            branches = [taken for shape in shapes.values() for taken in shape]
            entry = (name, texts[number - 1].strip())
            if count == 0 or 0 in branches:
                if entry in entries:
                    used.add(entry)
                    figures[4] += 1
                    continue
                what = ("never executed" if count == 0 else
                        f"{branches.count(0)} of {len(branches)} branches never taken")
                wrong.append(f"{name}:{number}: {what}: {entry[1]}")
            figures[0] += count != 0
            figures[1] += 1
            figures[2] += sum(taken != 0 for taken in branches)
            figures[3] += len(branches)
        total = [a + b for a, b in zip(total, figures)]
        show(name, figures)
    show("all", total)
    wrong += [f"{sys.argv[1]}: covered, or not there: {file}: {text}"
              for file, text in sorted(entries - used)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong or total[1] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

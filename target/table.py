#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print the figures of `make bench-target` as tables: one line per figure, one column per allocator.

Reads lines of JSON from the files named; a ratio is dmheap's mean to that of the peer.
"""
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cell(figure):
    return f"{figure['mean']:.1f} / {figure['worst']:.0f}" if figure else "-"


def table(figures):
    allocators = list(dict.fromkeys(figure["allocator"] for figure in figures))
    rows = {}
    for figure in figures:
        key = (figure["workload"], figure["live"], figure["call"])
        rows.setdefault(key, {})[figure["allocator"]] = figure
    print(f"\n{figures[0]['target']}: {figures[0]['unit']}, mean / worst single call")
    print(f"{'':30}" + "".join(f"{name:>18}" for name in allocators))
    for (workload, live, call), row in rows.items():
        name = f"{workload}.{live}.{call}"
        print(f"{name:30}" + "".join(f"{cell(row.get(a)):>18}" for a in allocators))


for path in sys.argv[1:]:
    table(read(path))

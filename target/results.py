#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The figures that a board printed, as `make bench` has them: table, JSON, values for the ceilings.

results.py RAW --machine TEXT --compiler TEXT --json FILE --values FILE

RAW has what the program `count` printed. Added are the overall figure of each workload - the pair
of a malloc and a free, or the mean call - and the ratios to the first allocator that is not dmheap.
"""
import argparse
import datetime
import json

UNIT = "instructions"
ALLOCATING = ("malloc", "aligned")


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def group(figures, *keys):
    groups = {}
    for figure in figures:
        groups.setdefault(tuple(figure[key] for key in keys), []).append(figure)
    return groups


def overall(counted):
    """All calls of one allocator in one workload: the cost per pair where they are paired."""
    calls = {figure["call"]: figure["calls"] for figure in counted}
    is_pairs = len(calls) == 2 and "free" in calls and len(set(calls.values())) == 1
    count = calls["free"] if is_pairs else sum(calls.values())
    total = {key: counted[0][key] for key in ("target", "allocator", "workload", "live")}
    total["call"] = "pair" if is_pairs else "call"
    total["mean"] = sum(figure["sum"] for figure in counted) / count
    return total


def complete(figures):
    """With the overall figures in front of their parts, and means in place of sums."""
    result = []
    for parts in group(figures, "workload", "live", "allocator").values():
        counted = [part for part in parts if "calls" in part]
        if counted:
            result.append(overall(counted))
        for part in counted:
            part["mean"] = part.pop("sum") / part.pop("calls")
        result += parts
    return result


def add_ratios(figures):
    names = [figure["allocator"] for figure in figures]
    peers = [name for name in names if not name.startswith("dmheap")]
    for row in group(figures, "workload", "live", "call").values():
        reference = [figure for figure in row if
                     peers and figure["allocator"] == peers[0] and "mean" in figure]
        for figure in row:
            if reference and "mean" in figure:
                figure["reference"] = peers[0]
                figure["ratio"] = round(figure["mean"] / reference[0]["mean"], 4)


def write_json(figures, arguments):
    today = datetime.date.today().isoformat()
    with open(arguments.json, "w", encoding="utf-8") as file:
        head = {"target": figures[0]["target"], "machine": arguments.machine,
                "compiler": arguments.compiler, "date": today}
        print(json.dumps(head), file=file)
        for figure in figures:
            if "mean" in figure:
                figure["mean"] = round(figure["mean"], 3)
            print(json.dumps({**figure, "unit": UNIT}), file=file)


def write_values(figures, path):
    with open(path, "w", encoding="utf-8") as file:
        for figure in figures:
            allocator = figure["allocator"].replace(" ", "-")
            name = f"{figure['target']}.{allocator}.{figure['workload']}"
            for key in ("mean", "worst"):
                if key in figure:
                    point = f"{figure['live']}.{figure['call']}.{key}"
                    print(f"{name}.{point} {figure[key]:.3f}", file=file)
        for name, growth in growths(figures):
            print(f"{name}.growth {growth:.4f}", file=file)


def growths(figures):
    """The pair's mean with the most live blocks to that with the fewest."""
    pairs = [figure for figure in figures if figure["call"] == "pair"]
    for row in group(pairs, "target", "allocator", "workload").values():
        row.sort(key=lambda figure: figure["live"])
        if len(row) > 1:
            allocator = row[0]["allocator"].replace(" ", "-")
            name = f"{row[0]['target']}.{allocator}.{row[0]['workload']}"
            yield name, row[-1]["mean"] / row[0]["mean"]


def cell(figure):
    mean = f"{figure['mean']:.1f}" if "mean" in figure else ""
    ratio = f" = {figure['ratio']:.2f}" if "ratio" in figure else ""
    worst = f" | {figure['worst']:.0f}" if "worst" in figure else ""
    return mean + ratio + worst


def print_table(figures):
    allocators = list(dict.fromkeys(figure["allocator"] for figure in figures))
    width = 2 + max(len(cell(figure)) for figure in figures)
    print(f"\n{figures[0]['target']}: {UNIT}, mean = ratio to a peer | worst single call")
    print(f"{'':26}" + "".join(f"{name:>{width}}" for name in allocators))
    for key, row in group(figures, "workload", "live", "call").items():
        cells = {figure["allocator"]: cell(figure) for figure in row}
        print(f"{'.'.join(map(str, key)):26}" +
              "".join(f"{cells.get(name, '-'):>{width}}" for name in allocators))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("raw")
    for option in ("--machine", "--compiler", "--json", "--values"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    figures = complete(read(arguments.raw))
    add_ratios(figures)
    print_table(figures)
    write_json(figures, arguments)
    write_values(figures, arguments.values)


main()

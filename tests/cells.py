#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# `make test`, with sanitizers, in cells: few enough to run all of them, chosen so that any two
# settings meet in one - a target and a header's width, accounts and canaries, ... - and each
# compiler, each way to optimize the library and each target, all three. With --strength 3 any three
# settings do. Defects that need a certain value of more settings at a time are not looked for; with
# --strength 1, a share for every day, those that need two.
#
#     tests/cells.py [--strength 1|3] [--only "1 5"] [--list]
#
# Which cells there are depends on nothing but the table below. The first one is as the library
# ships. That any two really meet is counted again, from the cells, before any of them runs.
import argparse
import glob
import itertools
import os
import resource
import subprocess
import sys
import time
import zlib

# Each with its default first.
SETTINGS = {
    "CC": ["gcc", "clang"],
    "LIBRARY_LEVEL": ["-O2", "-O0", "-Os"],
    "ARCH": ["-m64", "-m32"],
    "PORT": ["posix", "bare"],
    "HEADER_BYTES": ["4", "8"],
    "NO_INTRINSICS": ["0", "1"],
    "ACCOUNTING": ["0", "1"],
    "SEQUENCE": ["0", "1"],
    "CANARY": ["0", "1"],
    "POISON": ["0", "1"],
    "GUARD": ["0", "1"],
    "ASSERTS": ["0", "1"],
    "DMHEAP_DONT_IMPLEMENT_DMOD_API": ["OFF", "ON"],
}
NAMES = list(SETTINGS)
TOGETHER = ("CC", "LIBRARY_LEVEL", "ARCH")

# A next cell is the best of so many ...
CANDIDATES = 20
# ... made in an order that this decides: with it there are no more cells than of TOGETHER's values.
SEED = 0


def names_of(strength):
    """The settings whose values have to meet."""
    names = list(itertools.combinations(NAMES, strength))
    return [*names, TOGETHER] if strength == 2 else names


def groups(strength):
    """All that has to meet: groups of (setting, value), in a fixed order."""
    for names in names_of(strength):
        for values in itertools.product(*(SETTINGS[name] for name in names)):
            yield tuple(zip(names, values))


def met_in(cell, strength):
    """The groups that meet in a cell, be it complete or not."""
    return {
        tuple((name, cell[name]) for name in names)
        for names in names_of(strength)
        if all(name in cell for name in names)
    }


def gain(cell, name, value, missing, strength):
    """How many missing groups meet when the cell gets this value."""
    return len((met_in({**cell, name: value}, strength) - met_in(cell, strength)) & missing)


def shuffled(values, *turn):
    return sorted(values, key=lambda value: zlib.crc32(repr((SEED, turn, value)).encode()))


def candidate(turn, left, missing, strength):
    """A cell with one of the groups left; each other setting gets the value that gains the most."""
    cell = dict(shuffled(left, turn)[0])
    for name in shuffled(NAMES, turn):
        if name not in cell:
            cell[name] = max(
                shuffled(SETTINGS[name], turn, name),
                key=lambda value: gain(cell, name, value, missing, strength),
            )
    return cell


def cells_of(strength):
    """The cells: the one that ships, and greedily the one in which most of what is missing meets."""
    cells = [{name: values[0] for name, values in SETTINGS.items()}]
    order = list(groups(strength))
    missing = set(order) - met_in(cells[0], strength)
    while missing:
        left = [group for group in order if group in missing]
        candidates = [
            candidate((len(cells), turn), left, missing, strength) for turn in range(CANDIDATES)
        ]
        cells.append(max(candidates, key=lambda cell: len(met_in(cell, strength) & missing)))
        missing -= met_in(cells[-1], strength)
    return cells


def prove(cells, strength):
    """Each group is in a cell: looked for in each, without what chose them."""
    order = list(groups(strength))
    for group in order:
        if not any(all(cell[name] == value for name, value in group) for cell in cells):
            sys.exit(f"no cell has {group}")
    possible = 1
    for values in SETTINGS.values():
        possible *= len(values)
    print(f"{len(cells)} cells of {possible:,}: all {len(order)} groups of values meet")


def runs_in_an_emulator(cell):
    """Are its programs run by qemu-user, as the kernel was told?"""
    if cell["ARCH"] != "-m32":
        return False
    for name in glob.glob("/proc/sys/fs/binfmt_misc/*i386*"):
        with open(name, encoding="utf-8") as stream:
            if "qemu" in stream.read():
                return True
    return False


def variables(cell):
    """In an emulator the address sanitizer takes long, and its own memory does not suffice."""
    weaker = ["SANITIZE=undefined"] if runs_in_an_emulator(cell) else []
    return [f"{name}={cell[name]}" for name in NAMES] + weaker


def processor_seconds():
    """What all programs that have ended took of the processors."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(number, cell):
    """Run a cell; show what failed. A jobserver of make's is handed on."""
    print(f"== cell {number}: {' '.join(variables(cell))}", flush=True)
    start, spent = time.time(), processor_seconds()
    jobs = [] if "MAKEFLAGS" in os.environ else ["-j2"]
    made = subprocess.run(
        ["make", "--no-print-directory", *jobs, "test", *variables(cell)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", close_fds=False,
        check=False,
    )
    lines = made.stdout.splitlines()
    passed = made.returncode == 0
    if not passed:
        print("\n".join(lines[-60:]))
    took, spent = time.time() - start, processor_seconds() - spent
    result = lines[-1] if passed else "FAILED"
    print(f"-- {result}, {took:.0f} s, {spent:.0f} s of a processor", flush=True)
    return passed


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--strength", type=int, default=2, choices=(1, 2, 3))
    options.add_argument("--only", default="", help="numbers of cells")
    options.add_argument("--list", action="store_true", help="show the cells, run none")
    told = options.parse_args()

    cells = cells_of(told.strength)
    prove(cells, told.strength)
    wanted = [int(word) for word in told.only.split()] or range(1, len(cells) + 1)
    failed = []
    for number in wanted:
        cell = cells[number - 1]
        if told.list:
            print(f"make test {' '.join(variables(cell))}")
        elif not run(number, cell):
            failed.append(cell)
    for cell in failed:
        print(f"FAILED: make test {' '.join(variables(cell))}")
    sys.exit(1 if failed else 0)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Code size and stack of dmheap, from what compiler and linker say of a firmware.

Reads folders named TARGET.KIND (as cortex-m3.nine), each with what bench/figures.mk puts there:
    firmware.map   the linker's map: the sections that stayed, and whose they are
    dmheap.ci      gcc -fcallgraph-info=su: each function's frame, and whom it calls
    compiler       its name and version
Knows: those three formats. Does not know: how they were made.
"""
import argparse
import datetime
import json
import pathlib
import re
import sys

SECTION = re.compile(r"^ (\.\S+|COMMON)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)
FUNCTION = re.compile(r"^\.text\.(?:unlikely\.|startup\.|hot\.)?")
NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "([^"]*)"', re.MULTILINE)
EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', re.MULTILINE)
FRAME = re.compile(r"(\d+) bytes \(([a-z,]+)\)")
# What root.several points to, in src/dmheap_several.h: calls that leave the public functions, and
# two that only answer, which those and the edge make in turn. What `policies` points to is called
# by requests and leaks; what visits blocks and modules, by walks; what prints an owner's line, by
# pages. A hook, a visitor or a printer is the firmware's own: what it needs is not counted.
LEAVING = tuple(f":{call}_several" for call in ("alloc", "realloc", "free", "register",
                                                "unregister", "retag", "rename"))
ANSWERING = (":of_serial_several", ":find_heap")
POLICIES = (":policy_call_failure_hook", ":leak_count", ":leak_report", ":leak_report_kept", ":leak_tell")
VISITORS = tuple(f":{call}" for call in ("measure_block", "tally_block", "visit_since", "owners_count",
                                        "owners_collect", "page_count_size", "text_map_block",
                                        "json_block"))
LINES = (":text_owner", ":text_account")
WALKING = re.compile(r":walk_(heap|modules_of)(\.|$)")
LISTING = re.compile(r":text_(owners|rest|accounts|modules)(\.|$)")
INSIDE = re.compile(r":((registry|edge|policy|page|owners?|ranks|text|json|report)_\w+|"
                    r"leak_count|leak_report|leak_tell)(\.|$)")
ASKING = re.compile(r":(\w+_several|request_\w+|leak_\w+)(\.|$)")
KINDS = (("text", (".text",)), ("rodata", (".rodata", ".srodata")), ("data", (".data", ".sdata")),
         ("bss", (".bss", ".sbss", "COMMON")))


def ends_of(source):
    """Where the calls by a pointer lead that a function makes."""
    if source.endswith(":page_print"):
        return ()
    if LISTING.search(source):
        return ANSWERING + LINES
    if WALKING.search(source):
        return ANSWERING + VISITORS
    if INSIDE.search(source):
        return ANSWERING
    return ANSWERING + POLICIES + (() if ASKING.search(source) else LEAVING)


def kind_of(section):
    for kind, begins in KINDS:
        if section.startswith(begins):
            return kind
    return None


def read_sections(path):
    """What stayed: (section, bytes, file), by the map's second part."""
    kept = path.read_text(encoding="utf-8").split("Linker script and memory map", 1)[1]
    # A long name stands in a line of its own.
    kept = re.sub(r"^( \.\S+)\n\s+", r"\1 ", kept, flags=re.MULTILINE)
    return [(name, int(size, 16), file) for name, size, file in SECTION.findall(kept)]


def measure_code(path):
    """Bytes of the library by kind, of each of its functions, and of what it takes from others."""
    kinds = dict.fromkeys((kind for kind, _ in KINDS), 0)
    functions = {}
    others = {}
    for section, size, file in read_sections(path):
        kind = kind_of(section)
        if kind is None or size == 0:
            continue
        if file.endswith("/dmheap.o"):
            kinds[kind] += size
            if kind == "text":
                functions[FUNCTION.sub("", section)] = size
        elif file.endswith(")") and kind in ("text", "rodata"):
            member = file[file.rindex("(") + 1 : -1].removesuffix(".o").removesuffix(".c")
            others[member] = others.get(member, 0) + size
    if kinds["text"] == 0:
        sys.exit(f"size.py: {path}: there is nothing of dmheap.o in it")
    return kinds, functions, others


class Calls:
    """
    The call graph of the functions that stayed: the deepest way down from each. A call by a pointer
    may lead to whatever root.several has.
    """

    def __init__(self, path, kept):
        text = path.read_text(encoding="utf-8")
        pointers = set()
        self.frames = {}
        self.calls = {}
        self.found = {}
        for title, label in NODE.findall(text):
            frame = FRAME.search(label)
            if frame and "dynamic" in frame[2]:
                sys.exit(f"size.py: {title} has a frame of no fixed size")
            if frame:
                self.frames[title] = int(frame[1])
        for source, to in EDGE.findall(text):
            if to == "__indirect_call":
                pointers.add(source)
            else:
                self.calls.setdefault(source, set()).add(to)
        if pointers and not all(any(title.endswith(call) for title in self.frames)
                                for call in LEAVING + ANSWERING):
            sys.exit(f"size.py: {min(pointers)} calls by a pointer, so the deepest way is unknown")
        for source in pointers:
            ends = ends_of(source)
            self.calls.setdefault(source, set()).update(
                title for title in self.frames
                if title.endswith(ends) and title.rsplit(":", 1)[-1] in kept)
        if not self.frames:
            sys.exit(f"size.py: {path}: there is no frame in it")

    def public(self):
        """A static function's name has its file in front."""
        return [title for title in self.frames if ":" not in title]

    def deepest(self, title, above=()):
        """(bytes, names on the way); what is not in the file, as memcpy, counts as nothing."""
        if title in above:
            sys.exit(f"size.py: {title} calls itself, by {' '.join(above)}")
        if title not in self.found:
            below = [self.deepest(to, above + (title,)) for to in sorted(self.calls.get(title, ()))
                     if to in self.frames]
            depth, names = max(below, key=lambda way: way[0], default=(0, []))
            name = title.rsplit(":", 1)[-1]
            self.found[title] = (depth + self.frames[title], [name] + names)
        return self.found[title]


def measure(folder):
    """All figures of a folder, by name."""
    kinds, functions, others = measure_code(folder / "firmware.map")
    calls = Calls(folder / "dmheap.ci", functions)
    depths = {title: calls.deepest(title) for title in calls.public() if title in functions}
    deepest = max(depths.values(), key=lambda way: way[0])
    figures = {f"code.{kind}": size for kind, size in kinds.items()}
    figures["code.flash"] = kinds["text"] + kinds["rodata"] + kinds["data"]
    figures["code.ram"] = kinds["data"] + kinds["bss"]
    figures["code.others"] = sum(others.values())
    figures["stack.worst"] = deepest[0]
    figures.update((f"code.function.{name}", size) for name, size in functions.items())
    figures.update((f"stack.function.{name}", depth) for name, (depth, _) in depths.items())
    return figures, sorted(others), deepest[1]


def print_figures(name, figures, others, way):
    print(f"\n{name}: {figures['code.flash']} bytes of flash, of them {figures['code.rodata']} "
          f".rodata; {figures['code.ram']} of RAM")
    print(f"  and {figures['code.others']} of others: {', '.join(others) or 'none'}")
    print(f"  stack: {figures['stack.worst']} bytes, {' > '.join(way)}")
    functions = [(size, figure.removeprefix("code.function.")) for figure, size in figures.items()
                 if figure.startswith("code.function.")]
    for size, function in sorted(functions, reverse=True):
        depth = figures.get(f"stack.function.{function}", "")
        print(f"  {size:6} {function:32} {depth:>6}")


def write(folder, figures, others, way, suffix, json_file, values_file):
    target, kind = folder.name.rsplit(".", 1)
    about = {"target": target, "allocator": "dmheap" + suffix, "kind": kind,
             "compiler": (folder / "compiler").read_text(encoding="utf-8").strip(),
             "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
             "others": others, "deepest": way}
    print(json.dumps(about), file=json_file)
    for figure, value in figures.items():
        print(json.dumps({"target": target, "allocator": "dmheap" + suffix, "kind": kind,
                          "figure": figure, "value": value, "unit": "bytes"}), file=json_file)
        print(f"firmware.{target}.dmheap{suffix}.{kind}.{figure} {value}", file=values_file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", required=True, help="figures as JSON, one object a line")
    parser.add_argument("--values", required=True, help="figures as `name value` lines")
    parser.add_argument("--suffix", default="", help="of the name dmheap, for another header width")
    parser.add_argument("folder", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    measured = [(folder,) + measure(folder) for folder in options.folder]
    with open(options.json, "w", encoding="utf-8") as json_file, \
            open(options.values, "w", encoding="utf-8") as values_file:
        for folder, figures, others, way in measured:
            print_figures(folder.name, figures, others, way)
            write(folder, figures, others, way, options.suffix, json_file, values_file)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a page of figures, such as docs/PERFORMANCE.md, from what was measured.

Reads the lines of JSON that `make bench`, `make count`, `make bench-target`, `make memory`,
`make fragmentation` and `make size` leave, and nothing else: no figure is written here by hand.
A line with neither `call` nor `figure` tells of the others in its file: machine, compiler, date.
What a table has no figures for is called not measured. What is meant to be reached stands in
bench/targets.
"""
import argparse
import configparser
import itertools
import json
import pathlib
import re

IN_TURN = ("the same with four names in turn; how many of them share a place in the cache of names "
           "depends on their addresses")

HANDLE = "the same by the module's handle, `dmheap_ctx_malloc_for(NULL, n, module)`"

# In the order of the tables, and who they are; others come behind them.
ALLOCATORS = {
    "dmheap": "this library, called with a NULL name and `free(p, false)`, as DMOD does; its heaps "
              "have up to 16 MiB, so they do not hold *mixed, 100,000*",
    "dmheap true": "the same with `free(p, true)`",
    "dmheap named": "the same with a module's name of 7 characters, always the same one",
    "dmheap handle": HANDLE,
    "dmheap in turn": IN_TURN,
    "dmheap align 4": "the same with a default alignment of 4 instead of 8",
    "dmheap8": "with `DMHEAP_HEADER_BYTES=8`, for heaps of any size; otherwise as dmheap",
    "dmheap8 true": "the same with `free(p, true)`",
    "dmheap8 named": "the same with a module's name of 7 characters, always the same one",
    "dmheap8 handle": HANDLE,
    "dmheap8 in turn": IN_TURN,
    "tlsf": "mattconte/tlsf",
    "tlsf-bsd": "jserv/tlsf-bsd",
    "o1heap": "pavel-kirienko/o1heap",
    "umm_malloc": "rhempel/umm_malloc, best fit",
    "heap_4": "FreeRTOS heap_4",
    "glibc": "the malloc of the system",
    "mimalloc": "Debian's libmimalloc2.0",
    "jemalloc": "Debian's libjemalloc2",
}
REFERENCE = "tlsf"  # what ratios of bench/targets are to; a ratio to another does not count there
PORTABLE = ("tlsf", "tlsf-bsd", "o1heap", "umm_malloc", "heap_4")
HOST = PORTABLE + ("glibc", "mimalloc", "jemalloc")
ON_HOST = ("make bench", "make count")
BUILT = "dmheap is compiled with -O2, a plug-in as it comes."
LICENSE = "<!-- SPDX-License-Identifier: MIT -->\n"
BOARDS = ("cortex-m0", "cortex-m3", "cortex-m4f", "rv32imac")
WORK = {
    "small": "random blocks are replaced by others of 8 to 256 bytes, uniform",
    "mixed": "the same with 16 to 4096 bytes, log-uniform",
    "lifo": "50 blocks of 64 bytes are allocated, and freed in reverse",
    "realloc": "random blocks are resized to 8 to 511 bytes",
    "aligned": "as small, with addresses that are multiples of 64",
    "load": "DMOD loads and unloads modules, 8 at a time; all memory is nobody's",
    "modules": "the same; what a module allocates is its own",
    "last": "as small, but of all blocks only the last 100 are replaced",
}
MIXES = {
    "small": "8 to 256 bytes, log-uniform",
    "mixed": "16 to 4096 bytes, log-uniform",
    "bimodal": "nine of 16 to 64 bytes to one of 512 to 2048",
    "powers": "16 to 2048 bytes, powers of two",
    "equal": "100 bytes",
    "drifting": "16-fold ranges that drift between 16 and 4096 bytes",
    "phases": "32 modules, each of blocks of one size, that are freed together",
    "robson": "Robson's adversary, 16 to 4096 bytes: the least budget of live payload with which "
              "it makes the heap refuse",
}

# ---- what was measured ---------------------------------------------------------------


class Figures:
    """Lines of one or more files, in order."""

    def __init__(self, lines):
        self.abouts = [line for line in lines if "call" not in line and "figure" not in line]
        self.lines = [line for line in lines if "call" in line or "figure" in line]

    def where(self, **wanted):
        return Figures(self.abouts + [line for line in self.lines if
                                      all(line.get(key) == value for key, value in wanted.items())])

    def allocators(self):
        names = list(dict.fromkeys(line["allocator"] for line in self.lines))
        order = list(ALLOCATORS)
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

    def keys(self, *names):
        return list(dict.fromkeys(tuple(line.get(name) for name in names) for line in self.lines))

    def points(self, *names):
        """Workloads in order, each by its number of blocks."""
        keys = self.keys("workload", "live", *names)
        order = [key[0] for key in keys]
        return sorted(keys, key=lambda key: (order.index(key[0]), key[1]))

    def value(self, field, **wanted):
        """None: there is none."""
        for line in self.where(**wanted).lines:
            if field in line:
                return line[field]
        return None

    def plugins(self, allocator):
        return " and ".join(dict.fromkeys(f"`{about['plugin']}`" for about in self.abouts
                                          if about.get("allocator") == allocator and
                                          "plugin" in about))

    def origin(self):
        """Machine, compiler and date, as far as they are told."""
        told = []
        for key in ("machine", "compiler", "date"):
            values = dict.fromkeys(with_name(about[key]) for about in self.abouts if key in about)
            told += [" and ".join(values)] if values else []
        return ", ".join(told)


def with_name(text):
    """gcc calls itself by its version only."""
    return f"gcc {text}" if re.fullmatch(r"\d+\.\d+\.\d+", text) else text


def read(folder, pattern):
    lines = []
    for path in sorted(folder.glob(pattern)):
        with path.open(encoding="utf-8") as file:
            lines += [json.loads(line) for line in file if line.strip()]
    return Figures(lines)


# ---- Markdown ------------------------------------------------------------------------


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def nothing(figures, **wanted):
    """Why there is no figure: the allocator could not serve that, or nobody asked it."""
    left_out = any("left_out" in line for line in figures.where(**wanted).lines)
    return "-" if left_out else "n. m."


def with_ratio(figures, **wanted):
    """Of the one figure wanted: its mean, and its ratio to the reference of its own run."""
    value, ratio = (figures.value(field, **wanted) for field in ("mean", "ratio"))
    if value is None:
        return nothing(figures, **wanted)
    return number(value, 1) + (f" ({ratio:.2f})" if ratio else "")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def section(title, text, figures, body, command):
    """A title, what is compared and how, where the figures are from, and the tables."""
    if not figures.lines:
        return f"## {title}\n\n{text}\n\nNot measured; `{command}` does.\n"
    known = () if command == "make size" else HOST if command in ON_HOST else PORTABLE
    missing = [name for name in known if name not in figures.allocators()]
    others = f" Not measured: {', '.join(missing)}." if missing else ""
    references = dict.fromkeys(line["reference"] for line in figures.lines if "ratio" in line)
    ratio = (f" In brackets: the ratio to {' or '.join(references)} in the same run."
             if references else "")
    return (f"## {title}\n\n{text}{ratio}\n\nBy `{command}`: {figures.origin()}.{others}\n\n"
            f"{body(figures)}")


def workload_name(workload, live):
    return f"{workload}, {live:,}"


# ---- targets -------------------------------------------------------------------------

SELECTORS = ("target", "allocator", "workload", "live", "call", "kind", "figure")


def selections(row):
    """Each combination of what a row selects; an allocator's name may have spaces."""
    chosen = {}
    for key in SELECTORS:
        if key in row:
            values = [row[key]] if key == "allocator" else row[key].split()
            chosen[key] = [int(value) for value in values] if key == "live" else values
    for values in itertools.product(*chosen.values()):
        yield dict(zip(chosen, values))


def differences(figures, lines, row):
    """Of each of the lines to that of another allocator, where there is one."""
    keys = ("workload", "live", "call", "figure")
    pairs = [(line[row["field"]], figures.value(row["field"], allocator=row["less"],
                                                **{key: line.get(key) for key in keys}))
             for line in lines]
    return [value - other for value, other in pairs if other is not None]


def figures_of(row, folder):
    """What was measured, file by file: a list of the figures of each selection."""
    field, groups = row["field"], []
    for name in row["files"].split():
        figures = read(folder, f"{name}.json")
        for selection in selections(row):
            lines = [line for line in figures.where(**selection).lines if field in line
                     and (field != "ratio" or line["reference"] == REFERENCE)]
            values = [line[field] for line in lines]
            if "less" in row:
                values = differences(figures, lines, row)
            groups.append(values)
    return groups


def reduced(row, groups):
    """As far as it is not each figure that counts, but how they differ."""
    full = [values for values in groups if values]
    if row.get("growth") == "yes":
        return [[values[-1] / values[0]] for values in full]
    return groups


def wanted(text, count):
    """<= or >=, and a number for each of `count` groups of figures."""
    relation, *numbers = text.split()
    numbers = [float(value) for value in numbers]
    return relation, numbers * (count // len(numbers))


def is_met(text, groups):
    relation, bounds = wanted(text, len(groups))
    return all(value <= bound if relation == "<=" else value >= bound
               for values, bound in zip(groups, bounds) for value in values)


def digits_of(row, groups):
    """How many are printed, and so compared."""
    most = max(abs(value) for values in groups for value in values)
    return 2 if row["field"] == "ratio" or most < 10 else 1 if most < 100 else 0


def span(groups, digits):
    """From the least to the most."""
    values = [value for group in groups for value in group]
    low, high = number(min(values), digits), number(max(values), digits)
    return low if low == high else f"{low} to {high}"


def measured(row, groups, digits):
    """One after the other where each has a bound of its own."""
    places = len(row["must"].split()) - 1
    return " / ".join(span(groups[place::places], digits) for place in range(places))


def bounds_text(text):
    relation, *numbers = text.split()
    return f"{relation} " + " / ".join(numbers)


def targets_table(path, folder):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    rows = []
    for name in parser.sections():
        row = parser[name]
        groups = reduced(row, figures_of(row, folder))
        if not groups or not any(groups):
            rows.append([name, bounds_text(row["must"]), bounds_text(row["aim"]), "n. m.", "-", "-"])
            continue
        digits = digits_of(row, groups)
        is_exact = is_met(row["must"], groups)
        groups = [[round(value, digits) for value in values] for values in groups]
        is_required = is_met(row["must"], groups)
        met = ("aim" if is_met(row["aim"], groups) else "yes" if is_exact else
               "rounded" if is_required else "**no**")
        why = "-" if is_required else row["why"]
        rows.append([name, bounds_text(row["must"]), bounds_text(row["aim"]),
                     measured(row, groups, digits), met, why])
    return table(["figure", "required", "aimed at", "measured", "met", "where not, why"], rows)


# ---- calls ---------------------------------------------------------------------------


def overall(figures):
    """Of each workload what stands for it: a pair, or the mean of its calls."""
    return Figures(figures.abouts + [line for line in figures.lines if
                                     line["call"] in ("pair", "call") and
                                     line["workload"] != "scene"])


def mean_table(figures):
    figures = overall(figures)
    names = figures.allocators()
    rows = []
    for workload, live in figures.points():
        at = figures.where(workload=workload, live=live)
        rows.append([workload_name(workload, live)] +
                    [with_ratio(at, allocator=name) for name in names])
    return table(["workload, blocks"] + names, rows)


def worst_table(figures):
    names = figures.allocators()
    rows = []
    for workload, live, call in figures.points("call"):
        at = figures.where(workload=workload, live=live)
        worst = [at.value("worst", call=call, allocator=name) for name in names]
        if workload not in ("scene", "unregister", "lock") and worst != [None] * len(names):
            rows.append([workload_name(workload, live), call] +
                        [nothing(at, allocator=name) if value is None else number(value)
                         for name, value in zip(names, worst)])
    return table(["workload, blocks", "call"] + names, rows)


def growth_table(figures):
    """What the most blocks cost, divided by what the fewest do."""
    figures = overall(figures)
    names = figures.allocators()
    points = {}
    for workload, live in figures.points():
        points.setdefault(workload, []).append(live)
    rows = []
    for workload, lives in points.items():
        if len(lives) > 1:
            few, many = ([figures.value("mean", workload=workload, live=live, allocator=name)
                          for name in names] for live in (lives[0], lives[-1]))
            rows.append([f"{workload}, {lives[-1]:,} to {lives[0]:,}"] +
                        [number(b / a, 2) if a and b else
                         nothing(figures, workload=workload, allocator=name)
                         for name, a, b in zip(names, few, many)])
    return table(["cost"] + names, rows)


def calls_body(figures):
    return (mean_table(figures) +
            "\nThe cost with the most blocks, divided by that with the fewest:\n\n" +
            growth_table(figures) + "\nThe worst single calls of the same work:\n\n" +
            worst_table(figures))


def unregister_table(figures):
    """Per block: the mean; of the whole call: what it took. Holds of the lock: the longest."""
    names = {"passed": "per block passed",
             "freed_alone": "per block freed above that, every second one",
             "freed_at_random": "per block freed above that, any half",
             "freed_in_runs": "per block freed above that, all of them",
             "half": "all, for every second of the blocks"}
    rows = []
    for workload, live, call in figures.points("call"):
        at = figures.where(workload=workload, live=live, call=call)
        if workload == "unregister":
            rows.append([f"unregister, {live:,} blocks: {names.get(call, call)}",
                         number(at.value("mean"), 1), number(at.value("worst"), 1)])
        elif workload == "lock":
            rows.append([f"lock held by {call}, up to {live:,} blocks", "-",
                         number(at.value("worst"))])
    return table(["dmheap", "mean", "worst"], rows) if rows else ""


def board_body(figures):
    more = unregister_table(figures.where(allocator="dmheap"))
    return calls_body(figures) + (f"\nInstructions of unregistering, and under the lock:\n\n{more}"
                                  if more else "")


# ---- space ---------------------------------------------------------------------------


def payload_body(figures):
    text = ""
    for (width,) in figures.keys("target"):
        at = figures.where(target=width)
        names = [key for (key,) in at.keys("figure") if key.startswith("payload.")]
        head = [width] + [" of ".join(name.split(".")[1:]) for name in names]
        rows = [[name] + [number(at.value("value", allocator=name, figure=figure))
                          for figure in names] for name in at.allocators()]
        text += ("\n" if text else "") + table(head, rows)
    return text


def control_body(figures):
    names = {"smallest": "smallest buffer that serves malloc(16)",
             "kept.64k": "64 KiB less the largest block",
             "context.64k": "context of 64 KiB", "map.64k": "live map of 64 KiB"}
    rows = []
    for width, allocator in figures.keys("target", "allocator"):
        at = figures.where(target=width, allocator=allocator)
        rows.append([f"{allocator}, {width}"] +
                    [number(at.value("value", figure=figure)) for figure in names])
    return table(["bytes"] + list(names.values()), rows)


def fragmentation_body(figures):
    text = ""
    for (width,) in figures.keys("target"):
        at = figures.where(target=width)
        names = [f"fragmentation.{mix}" for mix in MIXES]
        rows = [[name] + [number(at.value("value", allocator=name, figure=figure), 1)
                          for figure in names] for name in at.allocators()]
        text += table([width] + list(MIXES), rows) + "\n"
    runs = [line for line in figures.lines if "seeds" in line]
    spread = max(line["most"] - line["least"] for line in runs)
    seeds = " or ".join(sorted({str(line["seeds"]) for line in runs}))
    text += (f"Means of {seeds} runs with another seed each, which lie up to {number(spread, 1)} "
             "points apart; Robson's adversary leaves nothing to chance.\n\n")
    return text + "\n".join(f"- {mix}: {about}" for mix, about in MIXES.items()) + "\n"


# ---- firmware ------------------------------------------------------------------------

KINDS = {"nine": "-Os, the nine functions, no log", "dmod": "-Os, with DMOD's interface and a log",
         "ctx": "-Os, and with all of `dmheap_ctx.h`",
         "fast": "-O2, the nine functions, no log"}


def size_body(figures):
    names = {"code.text": ".text", "code.rodata": ".rodata", "code.flash": "flash",
             "code.ram": "static RAM", "code.others": "C library", "stack.worst": "stack"}
    rows = []
    for target, allocator, kind in figures.keys("target", "allocator", "kind"):
        at = figures.where(target=target, allocator=allocator, kind=kind)
        rows.append([f"{target}, {allocator}, {KINDS.get(kind, kind)}"] +
                    [number(at.value("value", figure=figure)) for figure in names])
    return (table(["bytes"] + list(names.values()), rows) +
            "\nOf each public function the code, and the deepest stack from it on:\n\n" +
            public_table(figures.where(kind="dmod")) +
            "\nAll functions that stayed, what the compiler inlined counting for its caller:\n\n" +
            function_table(figures.where(kind="dmod", allocator="dmheap")))


def public_table(figures):
    figures = figures.where(allocator="dmheap")
    targets = [target for (target,) in figures.keys("target")]
    rows = []
    for (figure,) in figures.keys("figure"):
        if figure.startswith("stack.function."):
            name = figure.removeprefix("stack.function.")
            rows.append([f"`{name}`"] +
                        [number(figures.value("value", target=target, figure=kind + name))
                         for target in targets for kind in ("code.function.", "stack.function.")])
    head = [f"{target} {kind}" for target in targets for kind in ("code", "stack")]
    return table(["function"] + head, rows)


def function_table(figures):
    targets = [target for (target,) in figures.keys("target")]
    sizes = {}
    for line in figures.lines:
        if line["figure"].startswith("code.function."):
            name = line["figure"].removeprefix("code.function.").split(".")[0]
            of_target = sizes.setdefault(name, {})
            of_target[line["target"]] = of_target.get(line["target"], 0) + line["value"]
    rows = [[f"`{name}`"] + [number(sizes[name].get(target)) for target in targets]
            for name in sorted(sizes, key=lambda name: -max(sizes[name].values()))]
    return table(["function"] + targets, rows)


# ---- the page ------------------------------------------------------------------------


def write_page(folder, picture, targets):
    yield ("# Performance\n\n" + LICENSE + "\n"
           "Written by `make figures` from what was measured; do not edit. A dash: the allocator "
           "has no such call, or cannot serve the workload; n. m.: not measured. *Blocks* are "
           "those that are live.\n")
    every = read(folder, "*.json")
    rows = [[name, ALLOCATORS.get(name, "a plug-in"), every.plugins(name) or "-"]
            for name in every.allocators()]
    yield "## The allocators\n\n" + table(["name", "what it is", "plug-in"], rows)
    yield ("The work that is timed and counted; the number beside a name tells how many blocks are "
           "live:\n\n" + "\n".join(f"- {name}: {about}" for name, about in WORK.items()) + "\n")

    yield ("## What is meant to be reached\n\nThe wishes of `bench/targets`, and what was measured; "
           "the tables below have all of it. From the least to the most of what a row is about, one "
           "after the other where each has a bound of its own. *aim*: what is aimed at is met, too; "
           "*rounded*: met as printed, but not to the last digit.\n\n" +
           targets_table(targets, folder))

    time = read(folder, "time-*.json")
    yield section("Time on a PC", "Nanoseconds of a malloc and a free together (of one call, where "
                  "they do not come in pairs): the same sequence for all, in alternating runs of "
                  "which the fastest counts, net of the harness. " + BUILT,
                  time, mean_table, "make bench")
    if picture:
        yield f"![Cost against the number of live blocks]({picture})\n"
    yield section("Instructions, x86-64", "Instructions of the same work, exact: means by "
                  "callgrind, without the harness and without a lock. " + BUILT,
                  read(folder, "count-*.json"), calls_body, "make count")
    for board in BOARDS:
        yield section(f"Instructions, {board}", "Instructions of the same work, exact "
                      "and repeatable: the emulator's clock counts them. Without a lock. " +
                      BUILT,
                      read(folder, f"target-{board}*.json"), board_body, "make bench-target")
    memory = read(folder, "memory-*.json")
    yield section("Memory", "Payload in bytes that a heap holds, filled with blocks of one size "
                  "until the first refusal: *64k of 16* are blocks of 16 bytes in a buffer of 64 "
                  "KiB.",
                  memory, payload_body, "make memory")
    yield section("What a heap keeps", "The context has a heap's fields and free lists, the live "
                  "map a bit for each granule. *64 KiB less the largest block* is all of it "
                  "together with the block's own header, or what the largest size class leaves.",
                  memory, control_body, "make memory")
    yield section("Fragmentation", "Live payload at the first refusal, in per cent of a buffer of "
                  "256 KiB. Random blocks are replaced while the amount that is live rises by 1 % "
                  "of the buffer with each 350 allocations. *small* has log-uniform sizes here, "
                  "other than in the tables of time and instructions.",
                  read(folder, "fragmentation-*.json"), fragmentation_body, "make fragmentation")
    yield section("Code and stack", "Bytes of what stays in a firmware that uses all, every "
                  "function in a section of its own and the unused ones removed. *C library* are "
                  "functions such as memcpy, which a firmware has anyway. The stack is the deepest "
                  "way through the call graph by gcc's frames; the C library and the log are not "
                  "in it.", read(folder, "size-*.json"), size_body, "make size")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", required=True, type=pathlib.Path, help="folder of JSON files")
    parser.add_argument("--targets", required=True, type=pathlib.Path, help="bench/targets")
    parser.add_argument("--page", required=True, type=pathlib.Path, help="what to write")
    parser.add_argument("--picture", type=pathlib.Path, help="SVG, kept beside the page")
    options = parser.parse_args()
    picture = None
    if options.picture and options.picture.exists():
        picture = "performance.svg"
        drawn = options.picture.read_text(encoding="utf-8")
        (options.page.parent / picture).write_text(drawn.replace("<svg", LICENSE + "<svg", 1),
                                                   encoding="utf-8")
    parts = list(write_page(options.measured, picture, options.targets))
    options.page.write_text("\n".join(parts), encoding="utf-8")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Changes the core in thousands of small ways, one at a time, and sees whether a test notices.

usage: mutate.py [--share N] [--jobs N] [--list FILE] [--only WORD]... [--quick [SECONDS]]

All mutants are compiled into one library: each is an alternative that is chosen when the program
starts, so that none has to be compiled by itself. The tests run once without any, which tells how
long each takes and which mutants it meets; then each mutant meets the tests that do, from fast to
slow, those early that are likely to tell, until one fails. One that they let live is compiled by itself: if
its object is that of the original, it is none; else it meets tests with sanitizers. What lives then
has to be in the list, with the reason; what is in the list has to live through the fast tests. No
assertion, no setting and nothing that the preprocessor reads is changed.

What a program said of a mutant is kept below build/mutants, by the program's content: a further run
asks only programs that changed.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zlib

LAYERS = ("bits layout live block trailer index heap account record dead module registry edge "
          "request policy leak walk quota several check").split()
CORE = [f"src/dmheap_{layer}.h" for layer in LAYERS] + ["src/dmheap.c"]
BUILD = "build/mutants"

DEFAULTS = {"HEADER_BYTES": 4, "NO_INTRINSICS": 0, "ACCOUNTING": 0, "SEQUENCE": 0, "CANARY": 0,
            "POISON": 0, "GUARD": 0}


def settings(options="", **changed):
    values = {**DEFAULTS, **changed}
    return options.split() + [f"-DDMHEAP_{name}={value}" for name, value in values.items()]


# The settings that together contain all of the core, those that are shipped first: with the words of
# a host, and of a device, where blocks may begin at multiples of four bytes. Poison and small code
# leave short paths out, so they are not where all else is.
BUILDS = {
    "shipped": settings(),
    "device": settings("-m32"),
    "all": settings(ACCOUNTING=1, SEQUENCE=1, CANARY=1, GUARD=1),
    "small": settings("-m32 -D__OPTIMIZE_SIZE__", HEADER_BYTES=8, ACCOUNTING=1, NO_INTRINSICS=1,
                      CANARY=1, POISON=1),
}
SANITIZED = settings(ACCOUNTING=1, SEQUENCE=1, CANARY=1, POISON=1, GUARD=1)

# Users of the ports, what needs another build, and what takes its time for what others try.
LEFT_OUT = {"test_simple", "test_dmheap_unit", "test_dmheap_module", "test_threads",
            "test_corruption"}
# Seconds: what is in the list meets no program that takes longer, but that of its own layer.
SHORT = 0.1
# Programs that take longer in the first build are in no other.
LONG = 3
# The tests of a layer that is not named like its test.
OWN_TEST = {"layout": "test_heap", "dead": "test_account", "quota": "test_account",
            "registry": "test_ctx", "several": "test_ctx", "edge": "test_header",
            "request": "test_policy", "leak": "test_policy", "dmheap": "test_header"}

# ---- tokens ----------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.)*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S | re.M)

Token = collections.namedtuple("Token", "kind text start end")


def tokens_of(source):
    return [Token(match.lastgroup, match.group(), match.start(), match.end())
            for match in TOKEN.finditer(source) if match.lastgroup != "space"]


# ---- mutants ---------------------------------------------------------------------------

class Mutant:
    """A part of a file that is replaced: from `start` to `end`."""

    def __init__(self, where, start, end, text, what):
        self.where, self.start, self.end, self.text, self.what = where, start, end, text, what
        self.number = 0
        self.name = ()


RELATIONS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
             "==": ("!=",), "!=": ("==",)}
OTHERS = {"+": "-", "-": "+", "&&": "||", "||": "&&", "&": "|", "|": "&", "^": "|", "<<": ">>",
          ">>": "<<", "*": "/", "/": "*", "%": "/"}
ASSIGNMENTS = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=", "<<=": ">>=",
               ">>=": "<<=", "*=": "/=", "/=": "*="}
LEVELS = [("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="),
          ("<<", ">>"), ("+", "-"), ("*", "/", "%")]
TYPES = re.compile(r"(const|volatile|unsigned|signed|int|char|bool|void|long|short|struct|enum|union"
                   r"|\w+_t|dmheap_word|live_map_word|trailer_word|image_word|record_id|quota"
                   r"|dmheap_failure_hook|dmheap_death_hook)$")
SETTING = re.compile(r"!?(DMHEAP_[A-Z_]+|INDEX_WRITES_NONE|RECORD_HINTS|HEAP_SWEEP_RUNS)$")
OPAQUE = {"sizeof", "offsetof", "DMHEAP_ASSERT", "DMHEAP_STATIC_ASSERT"}


class Node:
    """An expression: its place in the source, and its text with all mutants in it."""

    def __init__(self, start, end, text, kind=""):
        self.start, self.end, self.text, self.kind = start, end, text, kind


class Parser:
    """Statements and expressions of one file, in the C that this project writes."""

    def __init__(self, source, path):
        self.source, self.path = source, path
        self.tokens = tokens_of(source)
        self.at = 0
        self.function = ""
        self.returns = ""
        self.mutants = []

    # -- tokens

    def peek(self, ahead=0):
        place = self.at + ahead
        return self.tokens[place].text if place < len(self.tokens) else ""

    def take(self, text=None):
        token = self.tokens[self.at]
        if text is not None and token.text != text:
            line = self.source.count("\n", 0, token.start) + 1
            raise SyntaxError(f"{self.path}:{line}: {text} expected, not {token.text}")
        self.at += 1
        return token

    def raw(self, start, end):
        return self.source[start:end]

    def skip_pair(self):
        """Pass from an opening bracket to behind its closing one."""
        depth = 0
        while True:
            text = self.take().text
            depth += text in "([{"
            depth -= text in ")]}"
            if depth == 0:
                return self.tokens[self.at - 1].end

    # -- mutants

    def mutate(self, start, end, text, what):
        mutant = Mutant(self.function, start, end, text, what)
        self.mutants.append(mutant)
        mutant.number = len(self.mutants)
        return f"MUT(@{mutant.number}@)"

    def choose(self, node, alternatives):
        """The node's text, or one of [(what, text)]."""
        text = node.text
        for what, other in alternatives:
            text = f"({self.mutate(node.start, node.end, other, what)} ? ({other}) : ({text}))"
        return Node(node.start, node.end, text, node.kind)

    # -- expressions

    def condition(self):
        """An expression that is true or false; compared with nothing, it may be negated."""
        node = self.expression()
        raw = self.raw(node.start, node.end)
        if node.kind in ("compare", "not", "setting") or SETTING.match(raw):
            return node
        return self.choose(node, [("negated", f"!({raw})")])

    def expression(self):
        node = self.ternary()
        if self.peek() in ("=",) or self.peek() in ASSIGNMENTS:
            self.take()
            right = self.expression()
            sign = self.raw(node.end, right.start)
            return Node(node.start, right.end, node.text + sign + right.text, "assignment")
        return node

    def ternary(self):
        node = self.binary(0)
        if self.peek() != "?":
            return node
        raw = self.raw(node.start, node.end)
        cond = node
        if node.kind not in ("compare", "not", "setting") and not SETTING.match(raw):
            cond = self.choose(node, [("negated", f"!({raw})")])
        self.take("?")
        yes = self.expression()
        self.take(":")
        no = self.ternary()
        return Node(node.start, no.end, f"({cond.text}) ? ({yes.text}) : ({no.text})", "ternary")

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in LEVELS[level]:
            sign = self.take()
            right = self.binary(level + 1)
            left = self.join(left, sign, right)
        return left

    def join(self, left, sign, right):
        raw_left = self.raw(left.start, left.end)
        raw_right = self.raw(right.start, right.end)
        others = RELATIONS.get(sign.text) or (OTHERS[sign.text],)
        kind = "compare" if sign.text in RELATIONS else sign.text
        is_setting = sign.text in ("&&", "||") and (SETTING.match(raw_left)
                                                    or SETTING.match(raw_right))
        node = Node(left.start, right.end, f"({left.text}) {sign.text} ({right.text})", kind)
        if is_setting:
            return node
        return self.choose(node, [(f"{sign.text} to {other}", f"({raw_left}) {other} ({raw_right})")
                                  for other in others])

    def is_cast(self):
        """Is what stands in the brackets here a type?"""
        place = self.at + 1
        if not TYPES.match(self.tokens[place].text):
            return False
        while self.tokens[place].text != ")":
            place += 1
        return self.tokens[place + 1].kind in ("name", "number", "text") \
            or self.tokens[place + 1].text in "(~-*&!"

    def unary(self):
        token = self.tokens[self.at]
        if token.text in ("!", "~"):
            self.take()
            inner = self.unary()
            node = Node(token.start, inner.end, f"{token.text}({inner.text})",
                        "not" if token.text == "!" else "")
            raw = self.raw(inner.start, inner.end)
            if SETTING.match(raw):
                node.kind = "setting"
                return node
            return self.choose(node, [(f"without {token.text}", f"{raw}")])
        if token.text in ("-", "*", "&", "+"):
            self.take()
            inner = self.unary()
            return Node(token.start, inner.end, self.raw(token.start, inner.start) + inner.text)
        if token.text in ("++", "--"):
            self.take()
            inner = self.unary()
            node = Node(token.start, inner.end, self.raw(token.start, inner.end))
            other = "--" if token.text == "++" else "++"
            return self.choose(node, [(f"{token.text} to {other}",
                                       other + self.raw(inner.start, inner.end))])
        if token.text == "(" and self.is_cast():
            end = self.skip_pair()
            inner = self.unary()
            return Node(token.start, inner.end, self.raw(token.start, end) + inner.text)
        return self.postfix()

    def postfix(self):
        token = self.take()
        if token.text == "(":
            inner = self.expression()
            end = self.take(")").end
            node = Node(token.start, end, f"({inner.text})", inner.kind)
        elif token.text in OPAQUE:
            node = Node(token.start, self.skip_pair(), "")
            node.text = self.raw(node.start, node.end)
        elif token.kind == "number":
            node = self.literal(token)
        elif token.text in ("true", "false"):
            other = "false" if token.text == "true" else "true"
            node = self.choose(Node(token.start, token.end, token.text, "literal"),
                               [(f"{token.text} to {other}", other)])
        else:
            node = Node(token.start, token.end, token.text)
            while self.tokens[self.at].kind == "text" and token.kind == "text":
                node.end = self.take().end
                node.text = self.raw(node.start, node.end)
        while self.peek() in ("(", "[", ".", "->", "++", "--"):
            node = self.suffix(node)
        return node

    def suffix(self, node):
        sign = self.take()
        if sign.text == "(":
            text = node.text + "("
            while self.peek() != ")":
                text += self.expression().text
                if self.peek() == ",":
                    self.take()
                    text += ", "
            return Node(node.start, self.take(")").end, text + ")", "call")
        if sign.text == "[":
            inner = self.expression()
            return Node(node.start, self.take("]").end, f"{node.text}[{inner.text}]")
        if sign.text in (".", "->"):
            name = self.take()
            return Node(node.start, name.end, f"{node.text}{sign.text}{name.text}")
        raw = self.raw(node.start, node.end)
        other = "--" if sign.text == "++" else "++"
        return self.choose(Node(node.start, sign.end, node.text + sign.text),
                           [(f"{sign.text} to {other}", raw + other)])

    def literal(self, token):
        digits = token.text.rstrip("uUlL")
        suffix = token.text[len(digits):]
        value = int(digits, 0)
        others = {0: [1], 1: [0, 2]}.get(value, [value + 1])
        return self.choose(Node(token.start, token.end, token.text, "literal"),
                           [(f"{token.text} to {other}", f"{other}{suffix}") for other in others])

    # -- statements

    def statements(self):
        """Up to the closing brace: the text of all of them."""
        text = ""
        while self.peek() != "}":
            text += self.statement()
        return text

    def braced(self):
        self.take("{")
        text = self.statements()
        self.take("}")
        return "{\n" + text + "}\n"

    def statement(self):
        word = self.peek()
        start = self.tokens[self.at].start
        if word == "{":
            return self.braced()
        if word in ("if", "while", "switch"):
            self.take()
            self.take("(")
            node = self.condition() if word != "switch" else self.expression()
            self.take(")")
            text = f"{word} ({node.text}) " + self.statement()
            if word == "if" and self.peek() == "else":
                self.take()
                text += "else " + self.statement()
            return text
        if word == "do":
            self.take()
            text = "do " + self.statement()
            self.take("while")
            self.take("(")
            node = self.condition()
            self.take(")")
            self.take(";")
            return text + f"while ({node.text});\n"
        if word == "for":
            return self.loop()
        if word == "return":
            return self.result()
        if word in ("case", "default"):
            while self.take().text != ":":
                pass
            return self.raw(start, self.tokens[self.at - 1].end) + "\n"
        if word in ("break", "continue"):
            self.take()
            return self.optional(start, self.take(";").end, f"{word};")
        if word == "static" or TYPES.match(word) and self.peek(1) != "(":
            return self.declaration()
        if word == "DMHEAP_ASSERT":
            self.take()
            self.skip_pair()
            return self.raw(start, self.take(";").end) + "\n"
        return self.action()

    def optional(self, start, end, text, others=()):
        """A statement that may be left out, or be another."""
        choice = f"if (!{self.mutate(start, end, ';', 'deleted')}) {{ {text} }}"
        for what, other in others:
            choice = f"if ({self.mutate(start, end, other, what)}) {{ {other} }} else {choice}"
        return "{ " + choice + " }\n"

    def action(self):
        """A call or an assignment."""
        first = self.at
        start = self.tokens[first].start
        if self.peek() == "(" and self.peek(1) == "void" and self.peek(4) == ";":
            self.at += 5
            return self.raw(start, self.tokens[self.at - 1].end) + "\n"
        node = self.ternary()
        sign = self.peek()
        if sign == "=" or sign in ASSIGNMENTS:
            self.take()
            right = self.expression()
            end = self.take(";").end
            left = self.raw(node.start, node.end)
            others = []
            if sign in ASSIGNMENTS:
                other = ASSIGNMENTS[sign]
                others = [(f"{sign} to {other}",
                           f"{left} {other} {self.raw(right.start, right.end)};")]
            return self.optional(start, end, f"{node.text} {sign} {right.text};", others)
        end = self.take(";").end
        return self.optional(start, end, node.text + ";")

    def loop(self):
        self.take("for")
        self.take("(")
        text = "for ("
        if self.peek() == ";":
            self.take()
            text += ";"
        elif TYPES.match(self.peek()):
            text += self.declaration().strip()
        else:
            text += self.expression().text
            self.take(";")
            text += ";"
        text += " " + (self.condition().text if self.peek() != ";" else "")
        self.take(";")
        text += "; " + (self.expression().text if self.peek() != ")" else "")
        self.take(")")
        return text + ") " + self.statement()

    def declaration(self):
        """The initializer is an expression, unless it is a list or there are more of them."""
        start = self.tokens[self.at].start
        place, depth, commas, equal = self.at, 0, 0, None
        while depth != 0 or self.tokens[place].text != ";":
            text = self.tokens[place].text
            depth += text in ("(", "[", "{")
            depth -= text in (")", "]", "}")
            commas += depth == 0 and text == ","
            equal = place if depth == 0 and text == "=" and equal is None else equal
            place += 1
        end = self.tokens[place].end
        if self.peek() == "static" or commas != 0 or equal is None \
                or self.tokens[equal + 1].text == "{":
            self.at = place + 1
            return self.raw(start, end) + "\n"
        self.at = equal + 1
        head = self.raw(start, self.tokens[self.at].start)
        node = self.expression()
        self.take(";")
        return head + node.text + ";\n"

    def result(self):
        start = self.take("return").start
        if self.peek() == ";":
            return self.optional(start, self.take().end, "return;")
        node = self.expression()
        raw = self.raw(node.start, node.end)
        others = []
        if "*" in self.returns:
            others = [("NULL instead", "NULL")] if raw != "NULL" else []
        elif "bool" in self.returns:
            if node.kind not in ("compare", "not", "literal", "setting"):
                others = [("negated", f"!({raw})")]
        elif "dmheap_verdict" in self.returns:
            other = "VERDICT_DAMAGED" if raw == "VERDICT_OK" else "VERDICT_OK"
            others = [(f"{other} instead", other)]
        elif node.kind != "literal" and "struct" not in self.returns:
            others = [("one more", f"({raw}) + 1")]
        self.take(";")
        return f"return {self.choose(node, others).text};\n"

    # -- files

    def functions(self):
        """The file with all mutants in its functions."""
        result, copied, depth, head = "", 0, 0, 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.text == "{" and depth == 0 and self.tokens[self.at - 1].text == ")":
                self.name_function(head)
                result += self.raw(copied, token.start) + self.braced()
                copied = self.tokens[self.at - 1].end
                head = self.at
                continue
            depth += token.text in ("{", "(", "[")
            depth -= token.text in ("}", ")", "]")
            self.at += 1
            if depth == 0 and token.text in (";", "}"):
                head = self.at
        return result + self.raw(copied, len(self.source))

    def name_function(self, head):
        words = [token.text for token in self.tokens[head:self.at]]
        place = next(i for i in range(1, len(words))
                     if words[i] == "(" and words[i - 1] != "__attribute__")
        self.function = words[place - 1]
        self.returns = " ".join(words[:place - 1])


def name_all(parser):
    """What a mutant is called does not change with what is elsewhere in the file."""
    seen = collections.Counter()
    for mutant in parser.mutants:
        begin = parser.source.rfind("\n", 0, mutant.start) + 1
        end = parser.source.find("\n", mutant.start)
        key = (parser.path, mutant.where, " ".join(parser.source[begin:end].split()), mutant.what)
        seen[key] += 1
        mutant.name = key[:3] + (key[3] + (f" #{seen[key]}" if seen[key] > 1 else ""),)


# ---- building --------------------------------------------------------------------------

RUNTIME = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#define PAGES ((MUTANTS / 4096 + 1) * 4096)
__attribute__((aligned(4096))) unsigned char mutant_reached[PAGES];
unsigned mutant_now;
__attribute__((constructor)) static void mutant_begin(void)
{
    const char* now = getenv("MUTANT");
    const char* seconds = getenv("MUTANT_SECONDS");
    const char* reached = getenv("MUTANT_REACHED");
    const struct rlimit none = {0, 0};
    mutant_now = now != NULL ? (unsigned)atoi(now) : 0;
    setrlimit(RLIMIT_CORE, &none);
    if (seconds != NULL) {
        const struct rlimit limit = {(rlim_t)atoi(seconds), (rlim_t)atoi(seconds)};
        setrlimit(RLIMIT_CPU, &limit);
    }
    if (reached != NULL) { /* the file's pages, so that children and whatever they die of count */
        const int file = open(reached, O_RDWR);
        if (file < 0 || mmap(mutant_reached, PAGES, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
            abort();
        }
    }
}
"""

# Random cases begin with the same number each time. What fuzz_files.c defines has to come before the
# first header, so it stands here, too.
HEADER = r"""
#define _FILE_OFFSET_BITS 64
#include <time.h>
extern unsigned char mutant_reached[];
extern unsigned mutant_now;
#define MUT(number) (mutant_reached[number] = 1, mutant_now == (number))
#define time(place) ((time_t)1)
"""


def run(command, **others):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, **others)


def digest(*parts):
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else part.encode())
    return whole.hexdigest()[:16]


def content(path):
    with open(path, "rb") as stream:
        return stream.read()


class Results:
    """What was found out before, in a file: each line a key and what it stands for."""

    def __init__(self, path):
        self.path, self.lock, self.known = path, threading.Lock(), {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                for line in stream:
                    key, value = line.rstrip("\n").rsplit("\t", 1)
                    self.known[key] = value

    def get(self, key):
        return self.known.get(key)

    def put(self, key, value):
        with self.lock:
            if self.known.get(key) != value:
                self.known[key] = value
                with open(self.path, "a", encoding="utf-8") as stream:
                    stream.write(f"{key}\t{value}\n")
        return value


class Build:
    """All tests with all mutants, for some settings."""

    def __init__(self, name, flags, sanitize=()):
        self.name = name + ("-sanitized" if sanitize else "")
        self.folder = f"{BUILD}/{self.name}"
        self.flags = ["gcc", "-std=gnu99", "-w", "-O1", "-Dalways_inline=", "-Dflatten=",
                      "-Iinclude", "-Istandin", "-I.", f"-I{BUILD}/src", "-Itests",
                      "-DDMHEAP_ASSERTS=1", '-DDMHEAP_PORT_HEADER="tests/port/dmheap_port.h"',
                      "-include", f"{BUILD}/mutant.h", *flags, *sanitize]
        self.tests = {}

    def compile(self, source, more=()):
        """Only if what the compiler reads has changed."""
        target = f"{self.folder}/{os.path.basename(source)[:-2]}.o"
        flags = [*self.flags, *more]
        key = digest(" ".join(flags), run([*flags, "-E", source]).stdout)
        if os.path.exists(target) and os.path.exists(f"{target}.key") \
                and content(f"{target}.key") == key.encode():
            return
        result = run([*flags, "-c", "-o", target, source])
        if result.returncode != 0:
            sys.exit(f"{source}: {result.stdout}")
        with open(f"{target}.key", "w", encoding="utf-8") as stream:
            stream.write(key)

    def try_library(self):
        """What the compiler has against the mutants."""
        return run([*self.flags, "-fsyntax-only", f"{BUILD}/src/dmheap.c"])

    def build(self, pool, count, without, results):
        os.makedirs(self.folder, exist_ok=True)
        sources = sorted(f"tests/{name}" for name in os.listdir("tests")
                         if re.fullmatch(r"test_\w+\.c", name) and name[:-2] not in without)
        sources += ["tests/fuzz/fuzz_operations.c"]
        if "-DDMHEAP_ACCOUNTING=1" not in self.flags:
            sources.remove("tests/test_account.c")
        helpers = [f"{BUILD}/src/dmheap.c", "tests/port/test_port.c", "tests/fuzz/fuzz_files.c",
                   f"{BUILD}/mutant.c"]
        list(pool.map(lambda source: self.compile(source, [f"-DMUTANTS={count}"]
                                                  if source.endswith("mutant.c") else ()),
                      helpers + sources))
        self.tests = dict(pool.map(self.link, [os.path.basename(source)[:-2]
                                               for source in sources]))
        list(pool.map(lambda test: test.measure(count, results), self.tests.values()))

    def link(self, test):
        names = ["test_port", "mutant"]
        names += [] if test == "test_refusal" else ["dmheap"]
        names += ["fuzz_files"] if test.startswith("fuzz") else []
        program = f"{self.folder}/{test}"
        result = run([*self.flags, "-o", program, f"{program}.o",
                      *(f"{self.folder}/{name}.o" for name in names), "-lcmocka", "-pthread"])
        if result.returncode != 0:
            sys.exit(f"{test}: {result.stdout}")
        return test, Test(program, test)


def inputs_of(name):
    """What a program reads besides: those of the fuzzers, what was worth keeping."""
    folder = f"tests/fuzz/{name.removeprefix('fuzz_')}"
    files = sorted(os.listdir(folder)) if name.startswith("fuzz_") else []
    return b"".join(content(f"{folder}/{file}") for file in files)


class Test:
    """A test program: how long it takes, and which mutants it passes by."""

    # The first failure ends it; and random tests do what they did the last time.
    ENVIRONMENT = {**os.environ, "CMOCKA_TEST_ABORT": "1", "TEST_SEED": "1"}

    def __init__(self, program, name):
        self.program, self.name = program, name
        self.seconds, self.reached = 0.0, b""
        self.key = digest(content(program) + inputs_of(name))

    def measure(self, count, results):
        reached, log = f"{BUILD}/reached/{self.key}", f"{self.program}.log"
        known = results.get(f"{self.key} seconds")
        if known is None:
            with open(reached, "wb") as stream:
                stream.truncate((count // 4096 + 1) * 4096)
            with open(log, "w", encoding="utf-8") as stream:
                child = subprocess.Popen([self.program], stdout=stream, stderr=stream,
                                         env={**self.ENVIRONMENT, "MUTANT_REACHED": reached})
                _, child.returncode, usage = os.wait4(child.pid, 0)
            if child.returncode != 0:
                sys.exit(f"{self.program} fails without any mutant, see {log}")
            known = results.put(f"{self.key} seconds", f"{usage.ru_utime + usage.ru_stime:.3f}")
        self.seconds = float(known)
        self.reached = content(reached)

    def kills(self, mutant, results):
        """"no", "failed" or "time": does the test notice it?"""
        key = f"{self.key} {mutant.number}"
        return results.get(key) or results.put(key, self.ask(mutant))

    def ask(self, mutant):
        seconds = int(self.seconds * 4) + 1
        environment = {**self.ENVIRONMENT, "MUTANT": str(mutant.number),
                       "MUTANT_SECONDS": str(seconds)}
        try:
            result = run([self.program], env=environment, timeout=60 + 20 * seconds)
        except subprocess.TimeoutExpired:
            return "time"
        if result.returncode == 0:
            return "no"
        return "time" if result.returncode in (-9, -24) else "failed"


# ---- the work --------------------------------------------------------------------------

def parse_all():
    parsers = []
    for path in CORE:
        with open(path, encoding="utf-8") as stream:
            parser = Parser(stream.read(), path)
        parser.text = parser.functions()
        name_all(parser)
        lost = [mutant.number for mutant in parser.mutants
                if f"@{mutant.number}@" not in parser.text]
        assert not lost, (path, lost)
        parsers.append(parser)
    number = 0
    for parser in parsers:
        first = number
        for mutant in parser.mutants:
            number += 1
            mutant.number = number
        parser.text = re.sub(r"@(\d+)@", lambda match, first=first: str(first + int(match[1])),
                             parser.text)
    return parsers


def write_sources(parsers, dropped, count):
    shutil.rmtree(f"{BUILD}/src", ignore_errors=True)
    shutil.copytree("src", f"{BUILD}/src")
    with open(f"{BUILD}/mutant.h", "w", encoding="utf-8") as stream:
        stream.write(HEADER)
    with open(f"{BUILD}/mutant.c", "w", encoding="utf-8") as stream:
        stream.write("#define MUTANTS_HERE 1\n" + RUNTIME)
    for parser in parsers:
        text = parser.text
        for number in dropped:
            text = drop(text, number)
        with open(f"{BUILD}/{parser.path}", "w", encoding="utf-8") as stream:
            stream.write(text)


def drop(text, number):
    """Take out a mutant that does not compile: its alternative becomes a copy of the original."""
    mark = f"(MUT({number}) ? ("
    place = text.find(mark)
    if place < 0:
        return text
    begin = place + len(mark)
    depth, end = 1, begin
    while depth != 0:
        depth += text[end] == "("
        depth -= text[end] == ")"
        end += 1
    return text[:place] + "(0 ? 0 : " + text[end + 3:]


def compile_all(parsers, builds, count):
    """What does not compile is no mutant: find it out and leave it away."""
    dropped = set()
    while True:
        write_sources(parsers, dropped, count)
        wrong = set()
        for build in builds:
            result = build.try_library()
            for path, line, column in re.findall(r"^(\S+):(\d+):(\d+): error", result.stdout, re.M):
                with open(path, encoding="utf-8") as stream:
                    lines = stream.read().splitlines()
                before = "\n".join(lines[:int(line) - 1]) + lines[int(line) - 1][:int(column)]
                numbers = re.findall(r"MUT\((\d+)\)", before)
                if not numbers:
                    sys.exit(result.stdout)
                wrong.add(int(numbers[-1]))
            if result.returncode != 0 and not wrong:
                sys.exit(result.stdout)
        if wrong <= dropped:
            if wrong:
                sys.exit(f"cannot leave away {wrong}")
            return dropped
        dropped |= wrong


def object_of(folder, flags):
    """The library below a folder, as it ships; None if it does not compile."""
    result = run(["gcc", "-std=gnu99", "-w", "-O2", *flags, "-Iinclude", "-Istandin", "-I.",
                  '-DDMHEAP_PORT_HEADER="ports/bare/dmheap_port.h"', "-c", "-o", "dmheap.o",
                  "src/dmheap.c"], cwd=folder)
    return content(f"{folder}/dmheap.o") if result.returncode == 0 else None


def copy_sources(folder):
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("src", "include", "standin", "ports"):
        shutil.copytree(name, f"{folder}/{name}")
    return folder


class Work:
    """The mutants, the programs that they meet, and what is known of them."""

    def __init__(self, options, reasons):
        self.options, self.reasons = options, reasons
        self.pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
        self.parsers = parse_all()
        self.count = sum(len(parser.mutants) for parser in self.parsers)
        self.builds = [Build(name, flags) for name, flags in BUILDS.items()]
        self.dropped = compile_all(self.parsers, self.builds, self.count)
        self.results = Results(f"{BUILD}/results")
        self.killers = Results(f"{BUILD}/killers")
        self.kills = collections.Counter()
        self.source_key = digest(*(parser.source for parser in self.parsers))
        self.originals = {}

    def build(self):
        without = set(LEFT_OUT)
        for build in self.builds:
            build.build(self.pool, self.count, without, self.results)
            if build is self.builds[0]:
                without |= {name for name, test in build.tests.items() if test.seconds > LONG}
        return without

    def is_equivalent(self, parser, mutant):
        """Is the library the same with it, in all settings?"""
        key = f"{self.source_key} {' ## '.join(mutant.name)}"
        known = self.results.get(key)
        if known is None:
            folder = copy_sources(f"{BUILD}/alone-{threading.get_ident()}")
            with open(f"{folder}/{parser.path}", "w", encoding="utf-8") as stream:
                stream.write(parser.source[:mutant.start] + mutant.text
                             + parser.source[mutant.end:])
            same = all(object_of(folder, flags) == self.original(name)
                       for name, flags in BUILDS.items())
            known = self.results.put(key, "same" if same else "other")
        return known == "same"

    def original(self, name):
        with self.results.lock:
            if name not in self.originals:
                folder = copy_sources(f"{BUILD}/original")
                self.originals[name] = object_of(folder, BUILDS[name])
        return self.originals[name]

    @staticmethod
    def own(parser):
        layer = os.path.basename(parser.path)[:-2].removeprefix("dmheap_")
        return OWN_TEST.get(layer, f"test_{layer}")

    def tests_of(self, builds, parser, mutant):
        """From fast to slow, those early that are of its own layer, or killed others of its function;
        first of all what killed it before."""
        own = self.own(parser)
        killer = self.killers.get(" ## ".join(mutant.name))
        found = [test for build in builds for test in build.tests.values()
                 if test.reached[mutant.number]]
        chances = {test.program: (10 if test.name == own else 1)
                   + 10 * self.kills[(mutant.where, test.program)] for test in found}
        return sorted(found, key=lambda test: (test.program != killer,
                                               test.seconds / chances[test.program]))

    def kill(self, tests, mutant):
        for test in tests:
            how = test.kills(mutant, self.results)
            if how != "no":
                self.killers.put(" ## ".join(mutant.name), test.program)
                self.kills[(mutant.where, test.program)] += 1
                return how, test
        return None

    def attempt(self, pair):
        """(how, by what): how is "failed" or "time", "same", "lives" or "unreached"."""
        parser, mutant = pair
        tests = self.tests_of(self.builds, parser, mutant)
        if self.options.quick or mutant.name in self.reasons:
            limit = self.options.quick or SHORT
            killer = self.killers.get(" ## ".join(mutant.name))
            tests = [test for test in tests if test.seconds <= limit
                     or test.name == self.own(parser) or test.program == killer]
            return self.kill(tests, mutant) or ("lives", None)
        killed = self.kill(tests, mutant)
        if not killed and self.is_equivalent(parser, mutant):
            return "same", None
        return killed or ("lives" if tests else "unreached", None)

    def sanitize(self, pairs, without):
        """Those that live with sanitizers, too."""
        build = Build("all", SANITIZED, ("-fsanitize=address,undefined",
                                         "-fno-sanitize-recover=all", "-g"))
        build.build(self.pool, self.count, without, self.results)
        killed = self.pool.map(lambda pair: self.kill(self.tests_of([build], *pair), pair[1]),
                               pairs)
        return [pair for pair, how in zip(pairs, killed) if how is None]


def is_in_share(mutant, share):
    """One of so many, by its name: whatever else changes, it stays in or out."""
    return zlib.crc32(" ".join(mutant.name).encode()) % share == 0


def read_list(name):
    reasons = {}
    if os.path.exists(name):
        with open(name, encoding="utf-8") as stream:
            for line in stream:
                line = line.strip()
                if line and not line.startswith("#"):
                    *mutant, reason = line.split(" ## ")
                    reasons[tuple(mutant)] = reason
    return reasons


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--share", type=int, default=1)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--list", default="tests/mutants.txt")
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--quick", type=float, nargs="?", const=SHORT,
                           help="the tests of so many seconds: what lives may yet be killed")
    options = arguments.parse_args()
    begin = time.monotonic()
    os.makedirs(f"{BUILD}/reached", exist_ok=True)
    reasons = read_list(options.list)
    work = Work(options, reasons)
    everything = [(parser, mutant) for parser in work.parsers for mutant in parser.mutants]
    names = {mutant.name for _, mutant in everything}
    chosen = [(parser, mutant) for parser, mutant in everything
              if mutant.number not in work.dropped and is_in_share(mutant, options.share)
              and (not options.only or any(word in " ## ".join(mutant.name)
                                           for word in options.only))]
    print(f"{work.count} mutants, {len(work.dropped)} of them do not compile;"
          f" {len(chosen)} are tried", flush=True)
    without = work.build()
    print(f"built and measured after {time.monotonic() - begin:.0f} s", flush=True)

    killers, ways, unlisted, stale = collections.Counter(), collections.Counter(), [], 0
    for (parser, mutant), (how, test) in zip(chosen, work.pool.map(work.attempt, chosen)):
        listed = mutant.name in reasons
        name = " ## ".join(mutant.name)
        if test is not None:
            killers[test.name] += 1
            if listed:
                stale += 1
                print(f"LISTED, BUT KILLED by {test.program}: {name}", flush=True)
        elif how != "same":
            if not listed:
                unlisted.append((parser, mutant))
                print(f"{how}: {name}", flush=True)
            how = "explained" if listed else how
        ways[how] += 1
    print(f"tried after {time.monotonic() - begin:.0f} s", flush=True)

    left = unlisted
    if unlisted and not options.quick:
        left = work.sanitize(unlisted, without)
    for _, mutant in left:
        print(f"SURVIVES: {' ## '.join(mutant.name)}")
    gone = sorted(name for name in reasons if name not in names)
    for name in gone:
        print(f"NO SUCH MUTANT: {' ## '.join(name)}")
    sanitized = len(unlisted) - len(left)
    killed = ways["failed"] + ways["time"] + sanitized
    real = len(chosen) - ways["same"]
    print(f"{len(chosen)} tried: {killed} killed, {ways['time']} of them by time and {sanitized}"
          f" by sanitizers; {ways['same']} equivalent; {ways['explained']} explained;"
          f" {len(left)} survive")
    if real != 0:
        print(f"score {100 * killed / real:.1f} %,"
              f" {100 * (killed + ways['explained']) / real:.1f} % with those explained;"
              f" {time.monotonic() - begin:.0f} s")
    print("killed by: " + ", ".join(f"{name} {number}" for name, number in killers.most_common()))
    return 1 if left or gone or stale else 0


if __name__ == "__main__":
    sys.exit(main())

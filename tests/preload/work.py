# SPDX-License-Identifier: MIT
# Work for python3 whose output is the same in each run: every object comes from malloc where
# PYTHONMALLOC=malloc says so. What is printed are hashes of results.
import ast
import bz2
import collections
import decimal
import hashlib
import json
import lzma
import os
import pickle
import queue
import re
import subprocess
import sys
import threading
import zlib


def tell(what, result):
    text = result if isinstance(result, bytes) else repr(result).encode()
    print(what, len(text), hashlib.sha256(text).hexdigest()[:16], flush=True)


def numbers(seed):
    while True:
        seed = (seed * 1103515245 + 12345) % 2**31
        yield seed >> 8


def document(seed, depth):
    dice = numbers(seed)
    if depth == 0:
        return [next(dice), f"text {next(dice)}", next(dice) / 7, None, True]
    return {f"key {i}": document(next(dice), depth - 1) for i in range(6)}


def json_there_and_back():
    text = json.dumps(document(1, 4), sort_keys=True, indent=1)
    for _ in range(5):
        text = json.dumps(json.loads(text), sort_keys=True)
    tell("json", text)


def words():
    dice = numbers(2)
    return ["".join(chr(97 + next(dice) % 26) for _ in range(1 + next(dice) % 9))
            for _ in range(12000)]


def regular_expressions(text):
    tell("words", re.findall(r"\b[aeiou]\w*(?:ing|er|a)\b", text))
    tell("substitution", re.sub(r"(\w)(\w+)", lambda m: m[2] + m[1] + "ay", text))
    tell("split", re.split(r"[xyz]+", text))


def large_numbers():
    tell("factorial", eval("*".join(map(str, range(1, 1500)))))
    tell("power", pow(7, 12345, 10**400))
    with decimal.localcontext() as context:
        context.prec = 2000
        tell("root", decimal.Decimal(2).sqrt())


def containers(text):
    counted = collections.Counter(text.split())
    tell("counter", sorted(counted.items(), key=lambda item: (-item[1], item[0])))
    graph = collections.defaultdict(set)
    dice = numbers(3)
    for _ in range(30000):
        graph[next(dice) % 3000].add(next(dice) % 3000)
    tell("graph", [sorted(graph[i]) for i in range(3000)])
    table = {i: str(i) for i in range(40000)}
    for i in range(0, 40000, 3):
        del table[i]
    tell("table", sorted(table.values()))


def compressors(text):
    data = text.encode() * 5
    for module in (zlib, bz2, lzma):
        packed = module.compress(data)
        assert module.decompress(packed) == data
        tell(module.__name__, packed)


def sources():
    for module in (ast, collections, decimal, json, re, subprocess, threading):
        with open(module.__file__, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        compile(tree, "source", "exec")
        tell(module.__name__, ast.dump(tree))


class Node:
    def __init__(self, value, parent):
        self.value, self.parent, self.children = value, parent, []  # a cycle


def cycles():
    nodes = [Node(0, None)]
    for i in range(1, 10000):
        nodes.append(Node(i, nodes[i // 2]))
        nodes[i // 2].children.append(nodes[i])
    tell("tree", sum(len(node.children) * node.value for node in nodes))
    tell("pickle", pickle.dumps([(n.value, n.parent and n.parent.value) for n in nodes]))


def threads():
    jobs, done = queue.Queue(), queue.Queue()

    def work():
        while (number := jobs.get()) is not None:
            text = json.dumps(document(number, 2))
            done.put((number, zlib.crc32(text.encode()), len(pickle.dumps(json.loads(text)))))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number in list(range(300)) + [None] * len(workers):
        jobs.put(number)
    for worker in workers:
        worker.join()
    tell("threads", sorted(done.get() for _ in range(300)))


def processes():
    child = os.fork()
    if child == 0:
        json_there_and_back()
        sys.exit(3)
    tell("fork", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    tell("subprocess", subprocess.run([sys.executable, "-c", "print(sum(range(10**5)))"],
                                      capture_output=True, check=True).stdout)


text = " ".join(words())
json_there_and_back()
regular_expressions(text)
large_numbers()
containers(text)
compressors(text)
sources()
cycles()
threads()
processes()
try:
    bytearray(sys.maxsize)
except MemoryError:
    print("a size that cannot be: MemoryError")

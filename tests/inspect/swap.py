# SPDX-License-Identifier: MIT
# An image of a little-endian 32-bit target with 4-byte headers, as a big-endian one would have it.
#
#     swap.py IMAGE IMAGE.json > SWAPPED
#
# All that the heap reads are words of 4 bytes, but for what stands in bytes: ids and names in
# records, a group's first word and its buckets, names of the dead, and what clients have.
import json
import struct
import sys

image = bytearray(open(sys.argv[1], "rb").read())
seen = json.load(open(sys.argv[2]))["heaps"][0]
heap = seen["heap"]
start = heap["image_offset"]
assert heap["address"] == start and heap["header_bytes"] == 4
trailer = 4 * (heap["sequence"] + heap["canaries"])
holding = 36 if heap["accounts"] else 0
swapped = bytearray(image)
for at in range(start, len(image) - 3, 4):
    swapped[at : at + 4] = image[at : at + 4][::-1]


def keep(first, last):
    swapped[first:last] = image[first:last]


def word(at):
    return struct.unpack_from("<I", image, at)[0]


groups = {}  # payloads of groups, and how many slots each has
for number in range(3):
    groups[start + word(start + (11 + number) * 4)] = 12 << 2 * number
# With accounts, where the ring of the dead is stands behind the hints and 7 words.
dead = start + word(start + (11 + 3 + 4 + 1 + 6) * 4 + 4 * 12 + 7 * 4) if heap["accounts"] else 0
for block in seen["blocks"]:
    payload, end = block["address"], block["address"] + block["size"] - 4 - trailer
    if block["kind"] == "live":
        keep(payload, end)
    elif payload in groups:
        keep(payload, payload + 4)
        keep(payload + 4 + 4 * groups[payload], end)
    elif payload == dead:
        keep(payload + 8, payload + 12)
        for entry in range(payload + 12, end - 99, 100):
            keep(entry + 36, entry + 100)
    elif block["kind"] == "own":
        keep(payload + 8, payload + 12 if holding else end)
        keep(payload + 12 + holding, end)
sys.stdout.buffer.write(swapped)

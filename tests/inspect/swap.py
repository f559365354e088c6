# SPDX-License-Identifier: MIT
# An image of a little-endian 32-bit target with 4-byte headers, as a big-endian one would have it.
#
#     swap.py IMAGE IMAGE.json > SWAPPED
#
# All that the heap reads are words of 4 bytes, but for what stands in bytes: records behind their
# first two words, a group's first word and its buckets, and what clients have.
import json
import struct
import sys

image = bytearray(open(sys.argv[1], "rb").read())
seen = json.load(open(sys.argv[2]))
start = seen["heap"]["image_offset"]
assert seen["heap"]["address"] == start and seen["heap"]["header_bytes"] == 4
swapped = bytearray(image)
for at in range(start, len(image) - 3, 4):
    swapped[at : at + 4] = image[at : at + 4][::-1]


def keep(first, last):
    swapped[first:last] = image[first:last]


groups = {}  # payloads of groups, and how many slots each has
for number in range(3):
    group = struct.unpack_from("<I", image, start + (11 + number) * 4)[0]
    groups[start + group] = 12 << 2 * number
for block in seen["blocks"]:
    payload, end = block["address"], block["address"] + block["size"] - 4
    if block["kind"] == "live":
        keep(payload, end)
    elif payload in groups:
        keep(payload, payload + 4)
        keep(payload + 4 + 4 * groups[payload], end)
    elif block["kind"] == "own":
        keep(payload + 8, end)
sys.stdout.buffer.write(swapped)

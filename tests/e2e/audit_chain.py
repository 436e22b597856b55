#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""audit_chain: the chain of an audit log by hashlib, from what docs/PROTOCOL.md says is hashed.

audit_chain.py RECORDS DATA HEAD: records as certmill audit --json writes them, all of them; the
data file, of which only the number of the store is read; the head, N:DIGEST. Exit code 1 with a
line on what is wrong.
"""
import hashlib
import json
import struct
import sys


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def beginning(data):
    """What the first record continues: docs/STORAGE.md, audit and meta."""
    start = b"\1" + struct.pack("<Q", 1)
    at = data.find(start)
    while at >= 0:
        record, seal = data[at:at + 26], data[at + 26:at + 42]
        if sha256(b"\0\5store", record)[:16] == seal:
            return sha256(b"certmill audit chain 1", record[10:26], record[9:10])
        at = data.find(start, at + 1)
    sys.exit("no record of the store")


def text(octets):
    return bytes([len(octets)]) + octets


def chained(before, record):
    return sha256(
        before,
        struct.pack(">Q", record["sequence"]),
        bytes([1, record["kind_number"]]),
        struct.pack("<Q", record["time_us"]),
        bytes.fromhex(record["request"]),
        bytes.fromhex(record["body"]),
        text(record["actor"].encode()),
        text(bytes.fromhex(record["object"])),
    )


with open(sys.argv[1]) as file:
    records = json.load(file)
with open(sys.argv[2], "rb") as file:
    chain = beginning(file.read())
for number, record in enumerate(records, 1):
    if record["sequence"] != number:
        sys.exit(f"record {record['sequence']} in the place of {number}")
    chain = chained(chain, record)
    if chain.hex() != record["chain"]:
        sys.exit(f"record {number} is not what was chained")
if sys.argv[3] != f"{len(records)}:{chain.hex()}":
    sys.exit(f"{sys.argv[3]} is not the head: {len(records)}:{chain.hex()}")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_messages: seeds of fuzz_message: one of each method, and the ways to write one wrong.

Files that fuzzing has added are left alone.
"""

import pathlib

folder = pathlib.Path(__file__).parent / "fuzz_message.in"
vectors = pathlib.Path(__file__).parent.parent / "vectors"


def varint(number):
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def number(field, value):
    return varint(field << 3) + varint(value)


def field(index, octets):
    octets = octets.encode() if isinstance(octets, str) else octets
    return varint(index << 3 | 2) + varint(len(octets)) + octets


def item(request_id, csr, *more):
    return field(1, field(1, request_id) + field(3, "tls-server") + field(4, csr) + b"".join(more))


def value(name, octets):
    return field(5, field(1, name) + field(2, octets))


def request(method, body, version=1):
    return number(1, version) + field(method, body)


rows = (line.split("\t") for line in (vectors / "good_csrs.tsv").read_text().splitlines())
csr = next(bytes.fromhex(row[4]) for row in rows if row[0] == "p256")
dns, ip = field(6, field(1, "www.example.org")), field(6, field(2, b"\x7f\0\0\1"))
email, uri = field(6, field(3, "a@example.org")), field(6, field(4, "https://example.org/"))
full = item("request-id-000001", csr, value("O", "Example"), dns, ip, email, uri, number(7, 12))
serial = field(1, bytes.fromhex("010000000000000001") + b"\xff" * 9)
number_of = serial[2:]
old = number(9, 1) + field(10, number_of)
act = field(1, "act-request-00001") + number(2, 1) + field(3, number_of)
queries = (
    field(1, field(1, field(1, field(1, "CN") + field(2, "x")))),
    field(1, field(2, csr[:91]) + number(10, 7)),
    field(1, field(3, number(1, 1) + number(2, 1 << 40)) + field(11, b"\0" * 9)),
    field(1, number(4, 1)),
)

seeds = {
    "issue": request(10, full),
    "issue_two": request(10, full + item("request-id-000002", csr)),
    "issue_dry": request(10, item("", csr, number(8, 1))),
    "issue_none": request(10, b""),
    "issue_nul": request(10, item("request\0id", csr, value("C\0N", "a\0b"))),
    "issue_1025": request(10, field(1, b"") * 1025),
    "issue_values": request(10, item("request-id-000003", b"", field(5, b"") * 600)),
    "issue_twice": request(10, full) + field(10, full),
    "renew": request(10, item("request-id-000004", csr, old, field(13, b"\x30\x06"))),
    "replace": request(10, item("request-id-000005", csr, number(9, 2), number(11, 1))),
    "operation_unknown": request(10, item("request-id-000006", csr, number(9, 99))),
    "act": request(16, field(1, act + number(4, 4)) + field(1, act + number(5, 1 << 62))),
    "act_none": request(16, b""),
    "act_negative": request(16, field(1, act + number(2, (1 << 64) - 1))),
    "act_1025": request(16, field(1, b"") * 1025),
    "changes": request(17, number(1, 5) + number(2, 1001)),
    "audit": request(22, number(1, 5) + number(2, 1001)),
    "profiles": request(21, field(1, b"\x05" * 16) + number(2, 1001)),
    "crl_make_1025": request(19, field(1, b"") * 1025),
    "get": request(11, serial * 3),
    "get_none": request(11, b""),
    "find": request(12, b"".join(queries)),
    "ca": request(13, field(1, "main") + field(1, "")),
    "stats": request(14, b""),
    "health": request(15, b""),
    "two_methods": request(14, b"") + field(15, b""),
    "version_2": request(15, b"", 2),
    "version_none": field(15, b""),
    "method_none": number(1, 1),
    "method_unknown": request(99, b"abc"),
    "unknown_fields": request(10, full) + number(1000, 5) + field(1001, b"x" * 300),
    "group": number(1, 1) + b"\x53\x54" + field(15, b""),
    "length_too_long": number(1, 1) + b"\x52\xff\xff\xff\xff\x0f",
    "length_of_2_to_63": number(1, 1) + b"\x52" + varint(1 << 63),
    "varint_of_11": b"\x08" + b"\x80" * 10 + b"\x01" + field(15, b""),
    "cut": request(10, full)[:-5],
    "wrong_wire_type": number(1, 1) + number(10, 3),
    "empty": b"",
}

folder.mkdir(exist_ok=True)
for name, octets in seeds.items():
    (folder / name).write_bytes(octets)

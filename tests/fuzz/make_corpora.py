#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_corpora: seeds of the DER, request and certificate fuzzers, from the test vectors.

One file a vector, of at most 2048 octets. Files that fuzzing has added are left alone.
"""

import pathlib
import sys

fuzz = pathlib.Path(__file__).parent
vectors = fuzz.parent / "vectors"
sys.path.insert(0, str(vectors))
from der_make import NULL, bits, oid, seq  # noqa: E402


def rows(name):
    for line in (vectors / name).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def seed(target, name, der):
    folder = fuzz / f"{target}.in"
    folder.mkdir(exist_ok=True)
    if len(der) <= 2048:
        file_name = "".join(c if c.isalnum() else "_" for c in name)
        (folder / file_name).write_bytes(der)


for fields in rows("der.tsv"):
    seed("fuzz_der", fields[0], bytes.fromhex(fields[2]))
for fields in rows("good_csrs.tsv"):
    seed("fuzz_der", fields[0], bytes.fromhex(fields[4]))
    seed("fuzz_csr", fields[0], bytes.fromhex(fields[4]))
for fields in rows("bad_csrs.tsv"):
    seed("fuzz_csr", fields[0], bytes.fromhex(fields[3]))
for fields in rows("lint.tsv"):
    tbs = bytes.fromhex(fields[4])
    seed("fuzz_cert", fields[0], tbs)
    if fields[1] == "ok" and fields[3] == "ecdsa_sha256":
        seed("fuzz_cert", f"signed_{fields[0]}", seq(tbs, seq(oid("1.2.840.10045.4.3.2")), bits(NULL)))

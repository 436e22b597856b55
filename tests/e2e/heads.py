#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""heads: signed heads of an audit log, checked by openssl and hashlib as docs/PROTOCOL.md says.

heads.py HEADS KEY RECORDS [DATA]: signed notes; the public key (PEM); records as certmill audit
--json writes them; the data file, which must be of the store that the heads name. Prints the
numbers of their records. Exit code 1 with a line on what is wrong.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, check=False)


def verify(text, signature):
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "text").write_bytes(text)
        (place / "signature").write_bytes(signature)
        done = openssl("pkeyutl", "-verify", "-pubin", "-inkey", sys.argv[2], "-rawin",
                       "-in", str(place / "text"), "-sigfile", str(place / "signature"))
    return done.returncode == 0


spki = openssl("pkey", "-pubin", "-in", sys.argv[2], "-outform", "DER").stdout
with open(sys.argv[3]) as file:
    chains = {record["sequence"]: bytes.fromhex(record["chain"]) for record in json.load(file)}
last = 0
# Text and signature are parted by empty lines, and so are notes.
parts = [part for part in pathlib.Path(sys.argv[1]).read_bytes().split(b"\n\n") if part.strip()]
for text, line in zip(parts[::2], parts[1::2], strict=True):
    text += b"\n"
    name, sequence, chain, time = text.decode().splitlines()
    origin, log = name.split("/")
    dash, signer, proof = line.decode().strip().split(" ")
    proof = base64.b64decode(proof, validate=True)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + spki[-32:]).digest()[:4]
    if (origin, dash, signer) != ("certmill-audit-1", "\u2014", name) or proof[:4] != key_id:
        sys.exit(f"{line} does not sign for this log and key")
    if not verify(text, proof[4:]):
        sys.exit(f"the signature of {sequence} is wrong")
    if chains.get(int(sequence)) != base64.b64decode(chain, validate=True):
        sys.exit(f"record {sequence} has another digest")
    if int(sequence) <= last:
        sys.exit(f"{sequence} is not above {last}")
    if len(sys.argv) > 4 and bytes.fromhex(log) not in pathlib.Path(sys.argv[4]).read_bytes():
        sys.exit(f"{log} is not the number of the store")
    last = int(sequence)
    print(sequence)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""secrets: looks for key material and passphrases where they must not be.

    secrets.py files NEEDLES PATH...     in files and folders
    secrets.py processes NEEDLES PGID    in every process of a group, as root

NEEDLES is a folder: NAME.p8 holds a private key (PKCS#8), NAME.text a passphrase or PIN. Texts may
be nowhere; a key may be in pages that are locked into memory and left out of dumps, and must be in
at least one such page (else the search itself is blind).
"""

import base64
import hashlib
import pathlib
import re
import sys

WINDOW = 24  # octets of a number: a copy by half is a copy


OID_RSA = bytes.fromhex("2a864886f70d010101")
OID_ED25519 = bytes.fromhex("2b6570")
RSA_NAMES = ["version", "modulus", "public_exponent", "private_exponent", "prime1", "prime2"]
RSA_NAMES += ["exponent1", "exponent2", "coefficient"]
RSA_PUBLIC = 3


def values_of(der):
    """The contents of the values that follow each other."""
    contents = []
    while der:
        length, head = der[1], 2
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(der[2:head], "big")
        contents.append(der[head : head + length])
        der = der[head + length :]
    return contents


def numbers_of(der):
    """The secret numbers of a PKCS#8 structure, by name, big endian."""
    _, algorithm, inner = values_of(values_of(der)[0])[:3]
    kind = values_of(algorithm)[0]
    if kind == OID_RSA:
        numbers = [number.lstrip(b"\0") for number in values_of(values_of(inner)[0])]
        return dict(list(zip(RSA_NAMES, numbers))[RSA_PUBLIC:])
    if kind == OID_ED25519:
        seed = values_of(inner)[0]
        expanded = bytearray(hashlib.sha512(seed).digest()[:32])
        expanded[0] &= 248
        expanded[31] = expanded[31] & 127 | 64
        return {"seed": seed, "expanded": bytes(expanded)}
    return {"scalar": values_of(values_of(inner)[0])[1]}


def encodings(name, octets):
    """Raw in both orders of octets and of 32-bit words, hexadecimal, base64 at every alignment."""
    swapped = b"".join(octets[i : i + 4][::-1] for i in range(0, len(octets) - 3, 4))
    limbs = b"".join(octets[i : i + 8] for i in range((len(octets) - 8) // 8 * 8, -1, -8))
    middle = (len(octets) - WINDOW) // 2 & ~7
    for form, value in [
        ("raw", octets),
        ("reversed", octets[::-1]),
        ("words", swapped),
        ("limbs", limbs),
    ]:
        piece = value[middle : middle + WINDOW]
        yield f"{name} {form}", piece
        yield f"{name} {form} hex", piece.hex().encode()
        yield f"{name} {form} HEX", piece.hex().upper().encode()
        for shift in range(3):
            text = base64.b64encode(piece[shift : shift + (WINDOW - shift) // 3 * 3])
            yield f"{name} {form} base64 at {shift}", text


def needles_of(folder):
    """Pairs of name and octets: of keys, and of texts."""
    of_keys, of_texts = [], []
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.suffix == ".p8":
            for name, octets in numbers_of(path.read_bytes()).items():
                of_keys += encodings(f"{path.stem} {name}", octets)
        elif path.suffix == ".text":
            text = path.read_bytes().rstrip(b"\n")
            of_texts.append((path.stem, text))
            of_texts.append((f"{path.stem} hex", text.hex().encode()))
            of_texts.append((f"{path.stem} base64", base64.b64encode(text)[: len(text) // 3 * 4]))
            of_texts.append((f"{path.stem} UTF-16", text.decode().encode("utf-16-le")))
    return of_keys, of_texts


def files_below(paths):
    for path in map(pathlib.Path, paths):
        for inner in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if inner.is_file():
                yield inner


def search_files(needles, paths):
    bad = 0
    count = 0
    for path in files_below(paths):
        octets = path.read_bytes()
        count += 1
        for name, needle in needles:
            if needle in octets:
                print(f"{path}: {name}")
                bad += 1
    print(f"{count} files, {len(needles)} forms of secrets")
    return bad == 0 and count > 0


def processes_of(group):
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            yield path


HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$")


def mappings_of(process):
    """Start, end, name and flags of what can be read; shared files are searched as files."""
    current = None
    for line in (process / "smaps").read_text().splitlines():
        match = HEAD.match(line)
        if match:
            current = (int(match[1], 16), int(match[2], 16), match[3], match[4])
        elif line.startswith("VmFlags:") and current[2][0] == "r" and "s" not in current[2]:
            yield current[0], current[1], current[3], line.split()[1:]


CHUNK = 1 << 20
OVERLAP = 256


def chunks_of(memory, start, end, name):
    """Pieces of a mapping that overlap, so that nothing is cut in two."""
    for at in range(start, end, CHUNK):
        try:
            memory.seek(at)
            octets = memory.read(min(CHUNK + OVERLAP, end - at))
            if octets != bytes(len(octets)):  # never touched, mostly
                yield octets
        except (OSError, ValueError, OverflowError):
            if name not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                raise


def search_process(process, of_keys, of_texts, seen):
    """How many secrets are where they must not be; what was seen in locked pages goes to seen."""
    bad = 0
    for kind in ("environ", "cmdline", "status", "maps"):
        octets = (process / kind).read_bytes()
        for name, needle in of_keys + of_texts:
            if needle in octets:
                print(f"{process}/{kind}: {name}")
                bad += 1
    with open(process / "mem", "rb", buffering=0) as memory:
        for start, end, name, flags in mappings_of(process):
            where = f"{process}: {start:x}-{end:x} {name} {' '.join(flags)}"
            is_kept = "lo" in flags and "dd" in flags
            for octets in chunks_of(memory, start, end, name):
                for text, needle in of_texts:
                    if needle in octets:
                        print(f"{where}: {text}")
                        bad += 1
                found = [text for text, needle in of_keys if needle in octets]
                if is_kept:
                    seen.update(text.split()[0] for text in found)
                    continue
                for text in found:
                    print(f"{where}: {text} is not locked, or would be dumped")
                    bad += 1
    return bad


def locked_kib(process):
    match = re.search(r"^VmLck:\s+(\d+)", (process / "status").read_text(), re.M)
    return int(match[1])


def search_processes(of_keys, of_texts, group):
    seen = set()
    bad = 0
    count = 0
    for process in processes_of(group):
        count += 1
        bad += search_process(process, of_keys, of_texts, seen)
        print(f"{process}: {locked_kib(process)} KiB locked")
    expected = {name.split()[0] for name, _ in of_keys}
    for name in sorted(expected - seen):
        print(f"{name}: not found at all, so this search proves nothing")
        bad += 1
    print(f"{count} processes, {len(of_keys) + len(of_texts)} forms of secrets")
    return bad == 0 and count > 0


def main():
    kind, folder, *rest = sys.argv[1:]
    of_keys, of_texts = needles_of(folder)
    if kind == "files":
        is_good = search_files(of_keys + of_texts, rest)
    else:
        is_good = search_processes(of_keys, of_texts, int(rest[0]))
    sys.exit(0 if is_good else 1)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make_crls: golden to-be-signed lists by asn1crypto, and lists that must be refused.

Writes crl_tbs.tsv (name, to-be-signed octets) and crl_bad.tsv (field that is complained about,
name, list) beside itself. Signatures in the latter are of no key: only the form is judged.
"""
import datetime
import os

from asn1crypto import core, crl, x509

UTC = datetime.timezone.utc
HERE = os.path.dirname(os.path.abspath(__file__))


def time(seconds, general=False):
    moment = datetime.datetime.fromtimestamp(seconds, UTC)
    if general or moment.year >= 2050:
        return x509.Time({"general_time": moment})
    return x509.Time({"utc_time": moment})


def entry(serial, when, reason=None, invalid=None):
    extensions = []
    if reason:
        extensions.append({"extn_id": "crl_reason", "extn_value": reason})
    if invalid is not None:
        moment = datetime.datetime.fromtimestamp(invalid, UTC)
        extensions.append({"extn_id": "invalidity_date", "extn_value": moment})
    fields = {"user_certificate": serial, "revocation_date": time(when)}
    if extensions:
        fields["crl_entry_extensions"] = extensions
    return fields


def tbs(number, this, following, entries=(), base=None, url=None, user=False, deltas=None):
    algorithm = {"algorithm": "sha256_ecdsa"}
    name = x509.Name.build({"common_name": "CRL Golden CA"})
    extensions = [
        {"extn_id": "authority_key_identifier", "extn_value": {"key_identifier": bytes(range(20))}},
        {"extn_id": "crl_number", "extn_value": number},
    ]
    if base is not None:
        extensions.append({"extn_id": "delta_crl_indicator", "critical": True, "extn_value": base})
    if url or user:
        point = {}
        if url:
            point["distribution_point"] = x509.DistributionPointName(
                "full_name", [x509.GeneralName("uniform_resource_identifier", url)])
        if user:
            point["only_contains_user_certs"] = True
        extensions.append({"extn_id": "issuing_distribution_point", "critical": True,
                           "extn_value": point})
    if deltas:
        names = [x509.GeneralName("uniform_resource_identifier", deltas)]
        extensions.append({"extn_id": "freshest_crl", "extn_value": [
            {"distribution_point": x509.DistributionPointName("full_name", names)}]})
    fields = {"version": "v2", "signature": algorithm, "issuer": name, "this_update": time(this),
              "next_update": time(following), "crl_extensions": extensions}
    if entries:
        fields["revoked_certificates"] = list(entries)
    return crl.TbsCertList(fields).dump(force=True)


START = 1767225600
GOLDEN = {
    "empty": tbs(1, START, START + 604800),
    "reasons": tbs(127, START, START + 1, [
        entry(1, START - 5), entry(127, START - 4, "key_compromise"),
        entry(128, START - 3, "superseded", START - 90000),
        entry(0x7f << 144, START - 2, "certificate_hold"),
        entry(0x7f << 152, START - 1, None, START - 10)]),
    "point": tbs(128, START, START + 60, [entry(300, START)], url="http://crl.example/a.crl"),
    "point_user": tbs(2 ** 152, START, START + 60, url="http://crl.example/a.crl", user=True),
    "user": tbs(65536, START, START + 60, user=True),
    "delta": tbs(256, START, START + 60, [entry(5, START, "remove_from_crl")], base=255,
                 url="http://crl.example/d.crl"),
    "deltas": tbs(4, START, START + 60, url="http://crl.example/a.crl",
                  deltas="http://crl.example/a-delta.crl"),
    "deltas_alone": tbs(5, START, START + 60, [entry(5, START)],
                        deltas="http://crl.example/d/0.crl"),
    "years": tbs(3, 2524607999, 2524608000, [entry(9, 2524608000, None, 2524608000)]),
}

# ---- by hand, for what asn1crypto would not write


def tlv(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
OTHER_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040303")
NAME = x509.Name.build({"common_name": "CRL Golden CA"}).dump()
THIS = tlv(0x17, b"260101000000Z")
NEXT = tlv(0x17, b"260108000000Z")
AKI = bytes.fromhex("301f0603551d230418301680") + b"\x14" + bytes(range(20))
NUMBER = bytes.fromhex("300a0603551d140403020101")
SIGNATURE = tlv(0x03, b"\0", bytes.fromhex("3006020101020101"))
REASON = bytes.fromhex("300a0603551d1504030a0101")


def extensions(*parts):
    return tlv(0xa0, tlv(0x30, *parts))


def whole(version=b"\x02\x01\x01", inner=ALGORITHM, name=NAME, this=THIS, following=NEXT,
          entries=b"", tail=None, outer=ALGORITHM, signature=SIGNATURE, behind=b""):
    tail = extensions(AKI, NUMBER) if tail is None else tail
    return tlv(0x30, tlv(0x30, version, inner, name, this, following, entries, tail), outer,
               signature) + behind


def entries(*parts):
    return whole(entries=tlv(0x30, *parts))


def one(serial=b"\x02\x01\x05", date=THIS, rest=b""):
    return entries(tlv(0x30, serial, date, rest))


BAD = [
    ("", "good", one(rest=tlv(0x30, REASON))),
    ("", "good with an unknown extension", one(rest=tlv(0x30, bytes.fromhex("30090603551d63040205 00".replace(" ", ""))))),
    ("crl", "empty", b""),
    ("crl", "octets behind", whole(behind=b"\0")),
    ("crl", "indefinite length", b"\x30\x80" + whole()[3:] + b"\0\0"),
    ("crl", "signature with unused bits", whole(signature=tlv(0x03, b"\x01", b"\x80"))),
    ("crl.version", "version 1", whole(version=b"")),
    ("crl.version", "version 3", whole(version=b"\x02\x01\x02")),
    ("crl.signature", "algorithms differ", whole(outer=OTHER_ALGORITHM)),
    ("crl.signature", "SHA-1", whole(inner=bytes.fromhex("300906072a8648ce3d0401"),
                                     outer=bytes.fromhex("300906072a8648ce3d0401"))),
    ("crl.issuer", "issuer is no SEQUENCE", whole(name=b"\x31\x00")),
    ("crl.issuer", "issuer is not strict", whole(name=b"\x30\x05\x31\x03\x30\x80\x00")),
    ("crl.this_update", "no seconds", whole(this=tlv(0x17, b"2601010000Z"))),
    ("crl.this_update", "thirteenth month", whole(this=tlv(0x17, b"261301000000Z"))),
    ("crl.this_update", "GeneralizedTime before 2050", whole(this=tlv(0x18, b"20260101000000Z"))),
    ("crl.next_update", "offset instead of Z", whole(following=tlv(0x17, b"260101000000+0800"))),
    ("crl.extensions", "extensions twice", whole(tail=extensions(NUMBER, NUMBER))),
    ("crl.extensions", "empty extensions", whole(tail=extensions())),
    ("crl.extensions", "FALSE is written", whole(tail=extensions(bytes.fromhex("300d0603551d140101000403020101")))),
    ("crl.extensions", "number of 21 octets", whole(tail=extensions(
        tlv(0x30, bytes.fromhex("0603551d14"), tlv(0x04, tlv(0x02, b"\x01" + bytes(20))))))),
    ("crl.extensions", "negative number", whole(tail=extensions(bytes.fromhex("300a0603551d1404030201ff")))),
    ("crl.extensions", "number with a leading zero", whole(tail=extensions(bytes.fromhex("300b0603551d14040402020001")))),
    ("crl.extensions", "something behind the extensions", whole(tail=extensions(NUMBER) + b"\x05\x00")),
    ("crl.extensions", "flag FALSE in the distribution point", whole(tail=extensions(bytes.fromhex("300c0603551d1c04053003810100")))),
    ("crl.entry", "entry is no SEQUENCE", entries(b"\x05\x00")),
    ("crl.entry", "entry is cut", entries(b"\x30\x7f\x02\x01")),
    ("crl.entry.serial", "serial number zero", one(serial=b"\x02\x01\x00")),
    ("crl.entry.serial", "negative serial number", one(serial=b"\x02\x01\x80")),
    ("crl.entry.serial", "serial number with a leading zero", one(serial=b"\x02\x02\x00\x01")),
    ("crl.entry.serial", "serial number of 21 octets", one(serial=b"\x02\x15" + b"\x01" * 21)),
    ("crl.entry.serial", "empty serial number", one(serial=b"\x02\x00")),
    ("crl.entry.date", "30 February", one(date=tlv(0x17, b"260230000000Z"))),
    ("crl.entry.date", "hour 24", one(date=tlv(0x17, b"260101240000Z"))),
    ("crl.entry.date", "a letter", one(date=tlv(0x17, b"26010100000aZ"))),
    ("crl.entry.reason", "reason 7", one(rest=tlv(0x30, bytes.fromhex("300a0603551d1504030a0107")))),
    ("crl.entry.reason", "reason 11", one(rest=tlv(0x30, bytes.fromhex("300a0603551d1504030a010b")))),
    ("crl.entry.reason", "reason is an INTEGER", one(rest=tlv(0x30, bytes.fromhex("300a0603551d150403020101")))),
    ("crl.entry.extensions", "reason twice", one(rest=tlv(0x30, REASON, REASON))),
    ("crl.entry.extensions", "empty extensions", one(rest=b"\x30\x00")),
    ("crl.entry.invalidity_date", "invalidity date as UTCTime", one(rest=tlv(0x30, tlv(
        0x30, bytes.fromhex("0603551d18"), tlv(0x04, THIS))))),
    ("crl.entry", "something behind the entry's extensions", one(rest=tlv(0x30, REASON) + b"\x05\x00")),
    ("", "delta lists of a relative name", whole(tail=extensions(NUMBER, bytes.fromhex(
        "301a0603551d2e04133011300fa00da10b300906035504030c026131")))),
    ("crl.extensions", "delta lists nowhere", whole(tail=extensions(NUMBER, bytes.fromhex("30090603551d2e04023000")))),
    ("crl.extensions", "delta lists at no SEQUENCE", whole(tail=extensions(NUMBER, bytes.fromhex("30090603551d2e04020500")))),
    ("crl.extensions", "octets behind the delta lists", whole(tail=extensions(NUMBER, bytes.fromhex("300d0603551d2e0406300230000500")))),
]

with open(f"{HERE}/crl_tbs.tsv", "w", encoding="ascii") as file:
    file.write("# name, TBSCertList by asn1crypto; made by make_crls.py\n")
    for key, value in GOLDEN.items():
        file.write(f"{key}\t{value.hex()}\n")
with open(f"{HERE}/crl_bad.tsv", "w", encoding="ascii") as file:
    file.write("# field refused (- for none), what is wrong, list; made by make_crls.py\n")
    for field, what, value in BAD:
        file.write(f"{field or '-'}\t{what}\t{value.hex()}\n")
# Every list as a seed for the fuzzer.
corpus = f"{HERE}/../fuzz/fuzz_crl.in"
os.makedirs(corpus, exist_ok=True)
for index, (field, what, value) in enumerate(BAD):
    with open(f"{corpus}/{index:02}", "wb") as file:
        file.write(value)

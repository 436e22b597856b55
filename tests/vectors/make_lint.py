#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_lint: writes lint.tsv, to-be-signed certificates with the rule of x509_lint() each breaks.

Columns: name, "ok" or the rule, "ca" or "ee", signature algorithm, DER in hexadecimal. The issuer is
CN=Example CA, its key identifier twenty times 0xaa, its end 2040-01-01T00:00:00Z.
"""

import hashlib
import pathlib

from der_make import *

rows = []

ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"))
ISSUER = seq(set_of(seq(oid("2.5.4.3"), utf8("Example CA"))))
SUBJECT = seq(set_of(seq(oid("2.5.4.6"), printable("CN"))), set_of(seq(oid("2.5.4.10"), utf8("Works"))),
              set_of(seq(oid("2.5.4.3"), utf8("www.example.org"))))
POINT = P256.encode(P256.multiply(P256.scalar("lint"), P256.g))
EC = seq(seq(oid("1.2.840.10045.2.1"), oid(P256.oid)), bits(POINT))
SM2_KEY = seq(seq(oid("1.2.840.10045.2.1"), oid(SM2.oid)), bits(POINT))
ED25519 = seq(seq(oid("1.3.101.112")), bits(POINT[1:33]))
RSA_POINT = seq(integer(1 << 2047 | 1), integer(65537))
RSA = seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(RSA_POINT))


def utc(text):
    return tlv(0x17, text.encode())


def generalized(text):
    return tlv(0x18, text.encode())


def ext(dotted, value, critical=False):
    return seq(oid(dotted), TRUE if critical else b"", octets(value))


def named_bits(*numbers):
    value = sum(1 << (15 - n) for n in numbers)
    content = value.to_bytes(2, "big").rstrip(b"\0")
    return bits(content, (15 - max(numbers)) % 8 if numbers else 0)


def usage(*numbers, critical=True):
    return ext("2.5.29.15", named_bits(*numbers), critical)


def san(*names, critical=False):
    return ext("2.5.29.17", seq(*names), critical)


def purposes(*dotted):
    return ext("2.5.29.37", seq(*(oid(d) for d in dotted)))


def policies(*dotted, qualifier=b""):
    return ext("2.5.29.32", seq(*(seq(oid(d), qualifier) for d in dotted)))


def cps(url):
    return seq(seq(oid("1.3.6.1.5.5.7.2.1"), ia5(url)))


def crl_point(url, critical=False, tag=0x86, of="2.5.29.31"):
    name = tlv(0xA0, tlv(0xA0, tlv(tag, url.encode())))
    return ext(of, seq(seq(name)), critical)


def access(url, critical=False, tag=0x86):
    return ext("1.3.6.1.5.5.7.1.1", seq(seq(oid("1.3.6.1.5.5.7.48.1"), tlv(tag, url.encode()))), critical)


def dns(text):
    return tlv(0x82, text.encode())


AKI = ext("2.5.29.35", seq(tlv(0x80, b"\xaa" * 20)))
SKI = ext("2.5.29.14", octets(hashlib.sha1(POINT).digest()))
SIGNS = usage(0)
CA_TRUE = ext("2.5.29.19", seq(TRUE), True)
CA_USAGE = usage(5, 6)


def tbs(version=tlv(0xA0, integer(2)), serial=integer(0x0102030405), algorithm=ECDSA_SHA256, issuer=ISSUER,
        before=utc("251101000000Z"), after=utc("261031235959Z"), subject=SUBJECT, spki=EC, more=b"",
        extensions=(AKI, SKI, SIGNS)):
    wrapped = tlv(0xA3, seq(*extensions)) if extensions is not None else b""
    return seq(version, serial, algorithm, issuer, seq(before, after), subject, spki, more, wrapped)


def row(name, rule, der, kind="ee", sig="ecdsa_sha256"):
    rows.append(f"{name}\t{rule}\t{kind}\t{sig}\t{der.hex()}")


def ca(name, rule, *extensions, **fields):
    row(name, rule, tbs(extensions=extensions, **fields), "ca")


def with_ext(name, rule, *extensions, **fields):
    row(name, rule, tbs(extensions=(AKI, SKI) + extensions, **fields))


def subject(name, rule, dotted, value):
    row(name, rule, tbs(subject=seq(set_of(seq(oid(dotted), value)))))


FORM = "RFC 5280 4.1"

row("plain", "ok", tbs())
row("empty", FORM, b"")
row("trailing", FORM, tbs() + b"\0")
row("version_1", "RFC 5280 4.1.2.1", tbs(version=b""))
row("version_2", "RFC 5280 4.1.2.1", tbs(version=tlv(0xA0, integer(1))))
row("serial_zero", "RFC 5280 4.1.2.2", tbs(serial=integer(0)))
row("serial_negative", "RFC 5280 4.1.2.2", tbs(serial=integer(-5)))
row("serial_20_octets", "ok", tbs(serial=integer((1 << 159) - 1)))
row("serial_21_octets", "RFC 5280 4.1.2.2", tbs(serial=integer(1 << 159)))
row("serial_padded", FORM, tbs(serial=b"\x02\x02\x00\x05"))
row("algorithm_other", "RFC 5280 4.1.2.3", tbs(algorithm=seq(oid("1.2.840.10045.4.3.3"))))
row("algorithm_with_null", "RFC 5280 4.1.2.3", tbs(algorithm=seq(oid("1.2.840.10045.4.3.2"), NULL)))
row("issuer_other", "RFC 5280 4.1.2.4", tbs(issuer=SUBJECT))
row("issuer_other_string_type", "RFC 5280 4.1.2.4",
    tbs(issuer=seq(set_of(seq(oid("2.5.4.3"), printable("Example CA"))))))
row("issuer_empty", "RFC 5280 4.1.2.4", tbs(issuer=seq()))
row("end_in_2049", "RFC 5280 4.1.2.5", tbs(after=generalized("20391231235959Z")))
row("end_in_2050_as_utc_time", "ends with its issuer", tbs(after=generalized("20500101000000Z")))
row("end_with_fraction", FORM, tbs(after=generalized("20300101000000.5Z")))
row("end_before_start", "RFC 5280 4.1.2.5: order", tbs(after=utc("251031235959Z")))
row("end_at_start", "ok", tbs(after=utc("251101000000Z")))
row("end_with_issuer", "ok", tbs(after=utc("400101000000Z")))
row("end_a_second_after_issuer", "ends with its issuer", tbs(after=utc("400101000001Z")))
row("subject_empty", "RFC 5280 4.1.2.6", tbs(subject=seq()))
row("subject_empty_san_not_critical", "RFC 5280 4.1.2.6",
    tbs(subject=seq(), extensions=(AKI, SIGNS, san(dns("a.example.org")))))
row("subject_empty_san_critical", "ok",
    tbs(subject=seq(), extensions=(AKI, SIGNS, san(dns("a.example.org"), critical=True))))
subject("country_utf8", "RFC 5280 4.1.2.4: types", "2.5.4.6", utf8("CN"))
subject("country_of_three", "RFC 5280 A.1", "2.5.4.6", printable("CHN"))
subject("country_of_one", "RFC 5280 A.1", "2.5.4.6", printable("C"))
subject("country_lower_case", "RFC 5280 A.1", "2.5.4.6", printable("cn"))
subject("country_of_digits", "RFC 5280 A.1", "2.5.4.6", printable("12"))
subject("cn_teletex", "RFC 5280 4.1.2.4: types", "2.5.4.3", tlv(0x14, b"caf\xe9"))
subject("cn_bmp", "RFC 5280 4.1.2.4: types", "2.5.4.3", tlv(0x1E, b"\0a"))
subject("cn_ia5", "RFC 5280 4.1.2.4: types", "2.5.4.3", ia5("a"))
subject("cn_printable", "ok", "2.5.4.3", printable("a"))
subject("cn_integer", "RFC 5280 4.1.2.4: types", "2.5.4.3", integer(1))
subject("cn_empty", "RFC 5280 A.1", "2.5.4.3", utf8(""))
subject("cn_of_64", "ok", "2.5.4.3", utf8("a" * 64))
subject("cn_of_64_wide", "ok", "2.5.4.3", utf8("中" * 64))
subject("cn_of_65", "RFC 5280 A.1", "2.5.4.3", utf8("a" * 65))
subject("cn_with_nul", FORM, "2.5.4.3", utf8("a\0b"))
subject("locality_of_129", "RFC 5280 A.1", "2.5.4.7", utf8("a" * 129))
subject("serial_number_utf8", "RFC 5280 4.1.2.4: types", "2.5.4.5", utf8("1"))
subject("email_utf8", "RFC 5280 4.1.2.4: types", "1.2.840.113549.1.9.1", utf8("a@b.org"))
subject("email_ia5", "ok", "1.2.840.113549.1.9.1", ia5("a@b.org"))
subject("email_of_256", "RFC 5280 A.1", "1.2.840.113549.1.9.1", ia5("a" * 256))
subject("dc_printable", "RFC 5280 4.1.2.4: types", "0.9.2342.19200300.100.1.25", printable("org"))
subject("unknown_attribute", "ok", "1.2.3.4.5", utf8("a"))
subject("unknown_attribute_octets", "RFC 5280 4.1.2.4: types", "1.2.3.4.5", octets(b"a"))
row("key_p224", "RFC 5280 4.1.2.7", tbs(spki=seq(seq(oid("1.2.840.10045.2.1"), oid("1.3.132.0.33")),
                                                  bits(POINT)), extensions=(AKI, SIGNS)))
row("unique_id", "RFC 5280 4.1.2.8", tbs(more=tlv(0x82, b"\0a")))
row("no_extensions", FORM, tbs(extensions=None))

with_ext("extension_twice", "RFC 5280 4.2: repeated", SIGNS, SIGNS)
with_ext("extension_unknown_twice", "RFC 5280 4.2: repeated", SIGNS, ext("1.2.3.4", NULL), ext("1.2.3.4", NULL))
with_ext("extension_unknown", "ok", SIGNS, ext("1.2.156.10260.4.1.4", utf8("91110000000000000X")))
with_ext("extension_unknown_critical", "RFC 5280 4.2: unknown critical", SIGNS, ext("1.2.3.4", NULL, True))
with_ext("extension_not_der", "RFC 5280 4.2: form", SIGNS, ext("1.2.3.4", b"a"))
with_ext("extension_critical_false", FORM, SIGNS, seq(oid("1.2.3.4"), b"\1\1\0", octets(NULL)))

row("aki_absent", "RFC 5280 4.2.1.1", tbs(extensions=(SKI, SIGNS)))
row("aki_other", "RFC 5280 4.2.1.1", tbs(extensions=(ext("2.5.29.35", seq(tlv(0x80, b"\xab" * 20))), SIGNS)))
row("aki_critical", "RFC 5280 4.2.1.1",
    tbs(extensions=(ext("2.5.29.35", seq(tlv(0x80, b"\xaa" * 20)), True), SIGNS)))
row("aki_without_key", "RFC 5280 4.2.1.1", tbs(extensions=(ext("2.5.29.35", seq()), SIGNS)))
row("ski_absent", "ok", tbs(extensions=(AKI, SIGNS)))
row("ski_other", "RFC 5280 4.2.1.2", tbs(extensions=(AKI, ext("2.5.29.14", octets(bytes(20))), SIGNS)))
row("ski_critical", "RFC 5280 4.2.1.2",
    tbs(extensions=(AKI, ext("2.5.29.14", octets(hashlib.sha1(POINT).digest()), True), SIGNS)))

with_ext("usage_absent", "ok")
with_ext("usage_empty", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b""), True))
with_ext("usage_zero", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b"\0", 7), True))
with_ext("usage_trailing_zero_bits", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b"\x80", 0), True))
with_ext("usage_128_unused_bits", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b"\x03", 128), True))
with_ext("usage_9_unused_bits", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b"\x80", 9), True))
with_ext("usage_bit_9", "RFC 5280 4.2: form", ext("2.5.29.15", bits(b"\0\x40", 6), True))
with_ext("usage_not_critical", "ok", usage(0, 1, critical=False))
with_ext("usage_ec_key_encipherment", "RFC 5480 3", usage(0, 2))
with_ext("usage_ec_data_encipherment", "RFC 5480 3", usage(3))
with_ext("usage_ec_key_agreement", "ok", usage(0, 4))
with_ext("usage_encipher_only_alone", "RFC 5280 4.2.1.3: keyAgreement", usage(0, 7))
with_ext("usage_decipher_only", "ok", usage(4, 8))
with_ext("usage_cert_sign", "RFC 5280 4.2.1.3: keyCertSign", usage(0, 5))
for label, spki, key in (("rsa", RSA, RSA_POINT), ("ed25519", ED25519, POINT[1:33]), ("sm2", SM2_KEY, POINT)):
    good = {"rsa": ((0, 2), (3,)), "ed25519": ((0, 1),), "sm2": ((0, 1), (2, 3), (2, 3, 4))}[label]
    bad = {"rsa": ((0, 4),), "ed25519": ((0, 2), (4,), (0, 4)), "sm2": ((0, 2), (1, 4))}[label]
    rule = {"rsa": "RFC 3279 2.3.1", "ed25519": "RFC 8410 5", "sm2": "GM/T 0015: sign or encipher"}[label]
    key_id = ext("2.5.29.14", octets(hashlib.sha1(key).digest()))
    for numbers in good:
        row(f"usage_{label}_{numbers}", "ok", tbs(spki=spki, extensions=(AKI, key_id, usage(*numbers))))
    for numbers in bad:
        row(f"usage_{label}_{numbers}", rule, tbs(spki=spki, extensions=(AKI, key_id, usage(*numbers))))

ca("ca", "ok", AKI, SKI, CA_USAGE, CA_TRUE)
ca("ca_path_len", "ok", AKI, SKI, CA_USAGE, ext("2.5.29.19", seq(TRUE, integer(0)), True))
ca("ca_without_constraints", "RFC 5280 4.2.1.9", AKI, SKI, CA_USAGE)
ca("ca_false", "RFC 5280 4.2.1.9", AKI, SKI, CA_USAGE, ext("2.5.29.19", seq(), True))
ca("ca_not_critical", "RFC 5280 4.2.1.9: critical", AKI, SKI, CA_USAGE, ext("2.5.29.19", seq(TRUE)))
ca("ca_without_ski", "RFC 5280 4.2.1.2", AKI, CA_USAGE, CA_TRUE)
ca("ca_without_usage", "RFC 5280 4.2.1.3: keyCertSign", AKI, SKI, CA_TRUE)
ca("ca_without_cert_sign", "RFC 5280 4.2.1.3: keyCertSign", AKI, SKI, usage(6), CA_TRUE)
ca("ca_usage_not_critical", "RFC 5280 4.2.1.3: critical", AKI, SKI, usage(5, critical=False), CA_TRUE)
ca("ca_subject_empty", "RFC 5280 4.1.2.6", AKI, SKI, CA_USAGE, CA_TRUE, san(dns("a.org"), critical=True),
   subject=seq())
ca("ca_path_len_negative", "RFC 5280 4.2: form", AKI, SKI, CA_USAGE, ext("2.5.29.19", seq(TRUE, integer(-1)), True))
with_ext("ee_is_ca", "RFC 5280 4.2.1.9", CA_USAGE, CA_TRUE)
with_ext("ee_ca_false", "ok", SIGNS, ext("2.5.29.19", seq(), True))
with_ext("ee_ca_false_written_out", "RFC 5280 4.2: form", SIGNS, ext("2.5.29.19", seq(b"\1\1\0"), True))
with_ext("ee_path_len", "RFC 5280 4.2.1.9: path length", SIGNS, ext("2.5.29.19", seq(integer(0)), True))

SAN = "RFC 5280 4.2.1.6"
good_names = {
    "host": dns("www.example.org"), "one_label": dns("localhost"), "digits": dns("3com.example"),
    "wildcard": dns("*.example.org"), "a_label": dns("xn--fsqu00a.example.org"),
    "label_of_63": dns("a" * 63 + ".org"), "ipv4": tlv(0x87, bytes(4)), "ipv6": tlv(0x87, bytes(16)),
    "email": tlv(0x81, b"first.last+tag@example.org"), "uri": tlv(0x86, b"https://example.org/a?b#c%20d"),
    "urn": tlv(0x86, b"urn:uuid:1"), "directory": tlv(0xA4, SUBJECT),
    "other": tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3") + tlv(0xA0, utf8("a@b"))),
}
bad_names = {
    "host_empty": dns(""), "host_space": dns(" "), "host_nul": dns("a\0.org"), "underscore": dns("a_b.org"),
    "dot_first": dns(".org"), "dot_last": dns("a.org."), "dots": dns("a..b"), "dash_first": dns("-a.org"),
    "dash_last": dns("a-.org"), "label_of_64": dns("a" * 64 + ".org"),
    "host_of_254": dns(".".join(["a" * 49] * 5) + ".orgs"), "star": dns("*"), "star_dot": dns("*."),
    "star_inside": dns("a.*.org"), "star_part": dns("a*.org"), "two_stars": dns("*.*.org"),
    "host_mail": dns("a@b.org"), "host_idn": dns("例.org"), "ip_5": tlv(0x87, bytes(5)),
    "ip_0": tlv(0x87, b""), "ip_8": tlv(0x87, bytes(8)), "email_without_host": tlv(0x81, b"a@"),
    "email_without_at": tlv(0x81, b"a.org"), "email_dots": tlv(0x81, b"a..b@c.org"),
    "email_nul": tlv(0x81, b"a\0b@c.org"), "email_of_65": tlv(0x81, b"a" * 65 + b"@c.org"),
    "uri_relative": tlv(0x86, b"/a"), "uri_space": tlv(0x86, b"http://a b"), "uri_percent": tlv(0x86, b"http://a/%g0"),
    "uri_scheme_digit": tlv(0x86, b"1http://a"), "uri_empty": tlv(0x86, b""), "uri_colon": tlv(0x86, b"http:"),
    "registered": tlv(0x88, b"\x2a"), "x400": tlv(0xA3, b""), "tag_9": tlv(0x89, b"a"), "universal": utf8("a"),
    "directory_empty": tlv(0xA4, seq()), "other_bare": tlv(0xA0, oid("1.2.3")),
}
for label, name in good_names.items():
    with_ext(f"san_{label}", "ok", SIGNS, san(name))
    with_ext(f"san_{label}_second", "ok", SIGNS, san(dns("a.org"), name))
for label, name in bad_names.items():
    with_ext(f"san_{label}", SAN, SIGNS, san(name))
    with_ext(f"san_{label}_second", SAN, SIGNS, san(dns("a.org"), name))
with_ext("san_none", SAN, SIGNS, san())

EKU = "RFC 5280 4.2.1.12"
with_ext("purpose", "ok", SIGNS, purposes("1.3.6.1.5.5.7.3.1"))
with_ext("purpose_none", EKU, SIGNS, purposes())
with_ext("purpose_twice", EKU, SIGNS, purposes("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"))
with_ext("purpose_text", EKU, SIGNS, ext("2.5.29.37", seq(utf8("a"))))
POLICY = "RFC 5280 4.2.1.4"
with_ext("policy", "ok", SIGNS, policies("2.23.140.1.2.1", "2.23.140.1.2.2"))
with_ext("policy_cps", "ok", SIGNS, policies("2.23.140.1.2.1", qualifier=cps("https://a.org/cps")))
with_ext("policy_cps_relative", POLICY, SIGNS, policies("2.23.140.1.2.1", qualifier=cps("/cps")))
with_ext("policy_qualifiers_none", POLICY, SIGNS, policies("2.23.140.1.2.1", qualifier=seq()))
with_ext("policy_twice", POLICY, SIGNS, policies("2.23.140.1.2.1", "2.23.140.1.2.1"))
with_ext("policy_none", POLICY, SIGNS, policies())
CRL = "RFC 5280 4.2.1.13"
with_ext("crl_point", "ok", SIGNS, crl_point("http://a.org/b.crl"))
with_ext("crl_point_ldap", "ok", SIGNS, crl_point("ldap://a.org:389/cn=b?c"))
with_ext("crl_point_ipv6", "ok", SIGNS, crl_point("http://[2001:db8::1]/a"))
with_ext("crl_point_file", CRL, SIGNS, crl_point("file:///a"))
with_ext("crl_point_relative", CRL, SIGNS, crl_point("a.crl"))
with_ext("crl_point_without_host", CRL, SIGNS, crl_point("http:///a"))
with_ext("crl_point_dns", CRL, SIGNS, crl_point("a.org", tag=0x82))
with_ext("crl_point_critical", CRL, SIGNS, crl_point("http://a.org/b.crl", True))
with_ext("crl_point_none", CRL, SIGNS, ext("2.5.29.31", seq()))
with_ext("crl_point_empty", CRL, SIGNS, ext("2.5.29.31", seq(seq())))
DELTAS = "RFC 5280 4.2.1.15"
FRESHEST = "2.5.29.46"
with_ext("freshest", "ok", SIGNS, crl_point("http://a.org/d.crl", of=FRESHEST))
with_ext("freshest_beside_crl_point", "ok", SIGNS, crl_point("http://a.org/b.crl"),
         crl_point("http://a.org/d.crl", of=FRESHEST))
with_ext("freshest_relative", DELTAS, SIGNS, crl_point("d.crl", of=FRESHEST))
with_ext("freshest_dns", DELTAS, SIGNS, crl_point("a.org", tag=0x82, of=FRESHEST))
with_ext("freshest_critical", DELTAS, SIGNS, crl_point("http://a.org/d.crl", True, of=FRESHEST))
with_ext("freshest_none", DELTAS, SIGNS, ext(FRESHEST, seq()))
with_ext("freshest_text", DELTAS, SIGNS, ext(FRESHEST, utf8("http://a.org/d.crl")))
AIA = "RFC 5280 4.2.2.1"
with_ext("access", "ok", SIGNS, access("http://ocsp.a.org"))
with_ext("access_relative", AIA, SIGNS, access("ocsp"))
with_ext("access_dns", AIA, SIGNS, access("a.org", tag=0x82))
with_ext("access_critical", AIA, SIGNS, access("http://ocsp.a.org", True))
with_ext("access_none", AIA, SIGNS, ext("1.3.6.1.5.5.7.1.1", seq()))

for sig, algorithm in {
    "ecdsa_sha384": seq(oid("1.2.840.10045.4.3.3")), "ecdsa_sha512": seq(oid("1.2.840.10045.4.3.4")),
    "rsa_sha256": seq(oid("1.2.840.113549.1.1.11"), NULL), "rsa_sha384": seq(oid("1.2.840.113549.1.1.12"), NULL),
    "rsa_sha512": seq(oid("1.2.840.113549.1.1.13"), NULL), "ed25519": seq(oid("1.3.101.112")),
    "sm2_sm3": seq(oid("1.2.156.10197.1.501")),
    **{f"pss_sha{size}": seq(oid("1.2.840.113549.1.1.10"), seq(
        tlv(0xA0, seq(oid(f"2.16.840.1.101.3.4.2.{last}"), NULL)),
        tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), seq(oid(f"2.16.840.1.101.3.4.2.{last}"), NULL))),
        tlv(0xA2, integer(size // 8)))) for size, last in ((256, 1), (384, 2), (512, 3))},
}.items():
    row(f"algorithm_{sig}", "ok", tbs(algorithm=algorithm), sig=sig)
    row(f"algorithm_{sig}_expected", "RFC 5280 4.1.2.3", tbs(), sig=sig)
row("sm2_with_null", "RFC 5280 4.1.2.3", tbs(algorithm=seq(oid("1.2.156.10197.1.501"), NULL)), sig="sm2_sm3")
row("rsa_without_null", "RFC 5280 4.1.2.3", tbs(algorithm=seq(oid("1.2.840.113549.1.1.11"))), sig="rsa_sha256")
row("pss_without_parameters", "RFC 5280 4.1.2.3", tbs(algorithm=seq(oid("1.2.840.113549.1.1.10"))), sig="pss_sha256")

out = pathlib.Path(__file__).with_name("lint.tsv")
out.write_text("# made by make_lint.py: name, rule, kind, algorithm, DER\n" + "\n".join(rows) + "\n")
print(f"{len(rows)} certificates")

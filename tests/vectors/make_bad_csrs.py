#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_bad_csrs: writes bad_csrs.tsv, requests that must be refused, each for one reason.

Columns: name, stage that refuses, code, DER in hexadecimal. Stages in their order:
parse (x509_csr_parse), key (key checks before the signature), signature, rules. A request of a later
stage passes all earlier ones. Code "-": a profile may decide; then the certificate is clean.
"""

import hashlib
import pathlib

from der_make import *

rows = []

ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"))
SM2_SM3 = seq(oid("1.2.156.10197.1.501"))
RSA_SHA256 = seq(oid("1.2.840.113549.1.1.11"), NULL)
ED25519 = seq(oid("1.3.101.112"))
EC_KEY = "1.2.840.10045.2.1"
SHA256 = seq(oid("2.16.840.1.101.3.4.2.1"), NULL)
SHA384 = seq(oid("2.16.840.1.101.3.4.2.2"), NULL)


def row(name, stage, code, der):
    rows.append(f"{name}\t{stage}\t{code}\t{der.hex()}")


# ---- requests


def attribute(dotted, value):
    return set_of(seq(oid(dotted), value))


def cn(text):
    return seq(attribute("2.5.4.3", utf8(text)))


def ec_spki(curve, point):
    return seq(seq(oid(EC_KEY), oid(curve.oid)), bits(point))


def extension(dotted, value, critical=b""):
    return seq(oid(dotted), critical, octets(value))


def extension_request(*extensions):
    return seq(oid("1.2.840.113549.1.9.14"), set_of(seq(*extensions)))


def alt_names(*names):
    return extension_request(extension("2.5.29.17", seq(*names)))


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


SUBJECT = cn("www.example.org")
P256_D = P256.scalar("key of the requests")
P256_POINT = P256.multiply(P256_D, P256.g)
P256_SPKI = ec_spki(P256, P256.encode(P256_POINT))
CHALLENGE = seq(oid("1.2.840.113549.1.9.7"), set_of(utf8("secret")))


def info_of(subject=SUBJECT, spki=P256_SPKI, attributes=tlv(0xA0, b""), version=integer(0)):
    return seq(version, subject, spki, attributes)


def with_attributes(*attributes):
    return info_of(attributes=tlv(0xA0, b"".join(sorted(attributes))))


def ecdsa(info, curve=P256, d=P256_D, hash_name="sha256"):
    r, s = curve.sign(d, hashlib.new(hash_name, info).digest(), curve.name)
    return seq(integer(r), integer(s))


def csr(info, algorithm=ECDSA_SHA256, signature=None):
    return seq(info, algorithm, bits(ecdsa(info) if signature is None else signature))


# ---- form (X.690, RFC 2986)

GOOD = csr(info_of())


def relength(der, header):
    """The same value behind another length."""
    skip = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return der[:1] + header + der[skip:]


def content_of(der):
    return relength(der, b"")[1:]


def nested(depth):
    der = NULL
    for _ in range(depth):
        der = seq(der)
    return der


def form():
    def bad(name, der, code="CSR_PARSE"):
        row(name, "parse", code, der)

    def bad_info(name, info):
        bad(name, csr(info))

    bad("nothing", b"")
    bad("not_asn1", b"-----BEGIN CERTIFICATE REQUEST-----\n")
    bad("null", NULL)
    bad("cut_in_half", GOOD[: len(GOOD) // 2])
    bad("trailing_octet", GOOD + b"\x00")
    bad("twice", GOOD + GOOD)
    bad("indefinite_outside", b"\x30\x80" + content_of(GOOD) + b"\x00\x00")
    content = content_of(info_of())
    bad_info("indefinite_inside", b"\x30\x80" + content + b"\x00\x00")
    bad_info("non_minimal_length_inside", relength(info_of(), b"\x82\x00" + bytes([len(content)])))
    size = len(content_of(GOOD))
    bad("non_minimal_length_outside", relength(GOOD, b"\x82" + size.to_bytes(2, "big")))
    bad("non_minimal_length_of_four", relength(GOOD, b"\x84" + size.to_bytes(4, "big")))
    bad("length_of_2_to_64", relength(GOOD, b"\x88" + b"\xff" * 8))
    bad("length_one_too_long", relength(GOOD, b"\x81" + bytes([size + 1])))
    bad("length_one_too_short", relength(GOOD, b"\x81" + bytes([size - 1])))
    bad_info("trailing_null_inside", seq(content, NULL))
    bad("fourth_element", seq(content_of(GOOD), NULL))
    bad("without_signature", seq(info_of(), ECDSA_SHA256))
    bad("signature_as_octet_string", seq(info_of(), ECDSA_SHA256, octets(ecdsa(info_of()))))
    bad("signature_with_unused_bits", seq(info_of(), ECDSA_SHA256, bits(ecdsa(info_of()) + b"\0", 1)))
    bad_info("version_1", info_of(version=integer(1)))
    bad_info("version_2", info_of(version=integer(2)))
    bad_info("version_minus_1", info_of(version=integer(-1)))
    bad_info("version_padded", info_of(version=b"\x02\x02\x00\x00"))
    bad_info("version_absent", info_of(version=b""))
    bad_info("version_of_4000_octets", info_of(version=tlv(0x02, b"\x7f" * 4000)))
    bad_info("attributes_absent", info_of(attributes=b""))
    bad_info("attributes_as_set", info_of(attributes=set_of()))
    bad_info("attributes_primitive", info_of(attributes=b"\x80\x00"))
    bad_info("nesting_33", with_attributes(seq(oid("1.2.3.4"), set_of(nested(33 - 5)))))
    bad_info("nesting_3900", with_attributes(seq(oid("1.2.3.4"), set_of(nested(3900)))))
    bad_info("subject_as_set", info_of(subject=set_of()))
    bad_info("subject_constructed_string", info_of(
        subject=seq(attribute("2.5.4.3", tlv(0x2C, utf8("www.example.org"))))))
    bad_info("tag_of_many_octets", with_attributes(seq(oid("1.2.3.4"), set_of(b"\x1f\x81\x01\x00"))))
    bad_info("oid_padded", info_of(
        subject=seq(set_of(seq(b"\x06\x04\x55\x80\x04\x03", utf8("a"))))))
    bad_info("oid_empty", info_of(subject=seq(set_of(seq(b"\x06\x00", utf8("a"))))))

    names = extension("2.5.29.17", seq(dns("a.example.org")))
    usage = extension("2.5.29.15", bits(b"\x80", 7), TRUE)
    request = extension_request(names)
    bad_info("attribute_twice", with_attributes(request, request))
    bad_info("attribute_twice_other_value", with_attributes(request, extension_request(usage)))
    bad_info("challenge_twice", with_attributes(
        CHALLENGE, seq(oid("1.2.840.113549.1.9.7"), set_of(utf8("other")))))
    attributes = sorted([request, CHALLENGE], reverse=True)
    bad_info("attributes_out_of_order", info_of(attributes=tlv(0xA0, b"".join(attributes))))
    bad_info("attribute_without_value", with_attributes(seq(oid("1.2.3.4"), set_of())))
    bad_info("attribute_without_set", with_attributes(seq(oid("1.2.3.4"), NULL)))
    bad_info("attributes_33", with_attributes(
        *(seq(oid(f"1.2.3.{i}"), set_of(NULL)) for i in range(33))))
    bad_info("attribute_values_out_of_order", with_attributes(
        seq(oid("1.2.3.4"), tlv(0x31, integer(2) + integer(1)))))
    bad_info("extension_twice", with_attributes(extension_request(names, names)))
    bad_info("extension_twice_other_value", with_attributes(
        extension_request(names, usage, extension("2.5.29.17", seq(dns("b.example.org"))))))
    bad_info("extension_lists_two", with_attributes(
        seq(oid("1.2.840.113549.1.9.14"), set_of(seq(names), seq(usage)))))
    bad_info("extension_list_empty", with_attributes(extension_request()))
    bad_info("extensions_33", with_attributes(
        extension_request(*(extension(f"1.2.3.{i}", NULL) for i in range(33)))))
    bad_info("extension_critical_false", with_attributes(
        extension_request(extension("2.5.29.15", bits(b"\x80", 7), b"\x01\x01\x00"))))
    bad_info("extension_critical_one", with_attributes(
        extension_request(extension("2.5.29.15", bits(b"\x80", 7), b"\x01\x01\x01"))))
    bad_info("extension_value_empty", with_attributes(extension_request(extension("2.5.29.17", b""))))
    bad_info("extension_value_indefinite", with_attributes(
        extension_request(extension("2.5.29.17", b"\x30\x80" + dns("a.example.org") + b"\0\0"))))
    bad_info("extension_value_trailing", with_attributes(
        extension_request(extension("2.5.29.17", seq(dns("a.example.org")) + b"\0"))))
    bad_info("extension_value_nested", with_attributes(
        extension_request(extension("2.5.29.17", nested(3000)))))
    bad_info("extension_without_value", with_attributes(extension_request(seq(oid("2.5.29.17")))))


# ---- keys


def keys():
    def bad(name, code, spki):
        row(name, "parse", code, csr(info_of(spki=spki)))

    def rsa_spki(*numbers, algorithm=seq(oid("1.2.840.113549.1.1.1"), NULL)):
        return seq(algorithm, bits(seq(*numbers)))

    point = P256.encode(P256_POINT)
    field = seq(oid("1.2.840.10045.1.1"), integer(P256.p))
    a, b = (P256.p - 3).to_bytes(32, "big"), P256.b.to_bytes(32, "big")
    explicit = seq(integer(1), field, seq(octets(a), octets(b)), octets(P256.encode(P256.g)),
                   integer(P256.n), integer(1))
    bad("ec_explicit_parameters", "KEY_TYPE", seq(seq(oid(EC_KEY), explicit), bits(point)))
    bad("ec_implicit_parameters", "KEY_TYPE", seq(seq(oid(EC_KEY), NULL), bits(point)))
    bad("ec_without_parameters", "KEY_TYPE", seq(seq(oid(EC_KEY)), bits(point)))
    for name, curve, size in (("p224", "1.3.132.0.33", 28), ("p521", "1.3.132.0.35", 66),
                              ("secp256k1", "1.3.132.0.10", 32), ("p192", "1.2.840.10045.3.1.1", 24)):
        bad(name, "KEY_TYPE", seq(seq(oid(EC_KEY), oid(curve)), bits(b"\x04" + stream(name, 2 * size))))
    bad("point_infinity", "CSR_POINT", ec_spki(P256, b"\x00"))
    bad("point_compressed", "CSR_POINT", ec_spki(P256, bytes([2 + (P256_POINT[1] & 1)]) + point[1:33]))
    bad("point_hybrid", "CSR_POINT", ec_spki(P256, bytes([6 + (P256_POINT[1] & 1)]) + point[1:]))
    bad("point_empty", "CSR_POINT", ec_spki(P256, b""))
    bad("point_short", "CSR_POINT", ec_spki(P256, point[:-1]))
    bad("point_long", "CSR_POINT", ec_spki(P256, point + b"\x00"))
    bad("point_of_p384_on_p256", "CSR_POINT", ec_spki(P256, P384.encode(P384.g)))
    bad("ed25519_short", "CSR_POINT", seq(ED25519, bits(bytes(31))))
    bad("ed25519_with_null", "KEY_TYPE", seq(seq(oid("1.3.101.112"), NULL), bits(bytes(32))))
    bad("ed448", "KEY_TYPE", seq(seq(oid("1.3.101.113")), bits(bytes(57))))
    bad("x25519", "KEY_TYPE", seq(seq(oid("1.3.101.110")), bits(bytes(32))))
    bad("dsa", "KEY_TYPE", seq(seq(oid("1.2.840.10040.4.1"), seq(integer(7), integer(3), integer(2))),
                               bits(integer(5))))
    modulus = integer(1 << 2047 | 1)
    bad("rsa_pss_key", "KEY_TYPE", rsa_spki(modulus, integer(65537),
                                            algorithm=seq(oid("1.2.840.113549.1.1.10"))))
    bad("rsa_without_null", "KEY_TYPE", rsa_spki(modulus, integer(65537),
                                                 algorithm=seq(oid("1.2.840.113549.1.1.1"))))
    bad("rsa_negative_modulus", "CSR_PARSE", rsa_spki(integer(-(1 << 2046) - 1), integer(65537)))
    bad("rsa_zero_modulus", "CSR_PARSE", rsa_spki(integer(0), integer(65537)))
    bad("rsa_zero_exponent", "CSR_PARSE", rsa_spki(modulus, integer(0)))
    bad("rsa_negative_exponent", "CSR_PARSE", rsa_spki(modulus, integer(-3)))
    bad("rsa_padded_modulus", "CSR_PARSE", rsa_spki(tlv(2, b"\0\0\x80" + bytes(255)), integer(65537)))
    bad("rsa_three_numbers", "CSR_PARSE", rsa_spki(modulus, integer(65537), integer(1)))
    bad("rsa_without_exponent", "CSR_PARSE", rsa_spki(modulus))
    bad("key_algorithm_empty", "CSR_PARSE", seq(seq(), bits(point)))
    bad("key_with_unused_bits", "CSR_PARSE",
        seq(seq(oid(EC_KEY), oid(P256.oid)), bits(point[:-1] + b"\x80", 1)))
    bad("key_trailing", "CSR_PARSE", seq(seq(oid(EC_KEY), oid(P256.oid)), bits(point), NULL))


def rsa_csr(n, e, raw=None):
    """raw: signs a padded digest; without it the signature is not one (and nobody looks at it)."""
    info = info_of(spki=seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(seq(integer(n), integer(e)))))
    size = (n.bit_length() + 7) // 8
    signature = b"\x5a" * size
    if raw:
        signature = raw(rsa_pad(SHA256_INFO + hashlib.sha256(info).digest(), size))
    return csr(info, RSA_SHA256, signature)


def weak_keys():
    def bad(name, code, key, signed=True):
        row(name, "key", code, rsa_csr(key.n, key.e, key.raw if signed else None))

    p, q = prime("p", 1024), prime("q", 1024)
    bad("rsa_1024", "KEY_SIZE", Rsa(prime("p", 512), prime("q", 512)))
    half = prime("half", 1023)
    small_p = prime_from((1 << 2046) // half + 1)
    while (small_p * half).bit_length() != 2047 or small_p % 65537 == 1:
        small_p = prime_from(small_p + 2)
    bad("rsa_2047", "KEY_SIZE", Rsa(small_p, half))
    giant = int.from_bytes(stream("giant", 2048), "big") | 1 << 16383 | 1
    row("rsa_16384", "key", "KEY_SIZE", rsa_csr(giant, 65537))
    row("rsa_16385", "key", "KEY_SIZE", rsa_csr(giant << 1 | 1, 65537))
    row("rsa_8", "key", "KEY_SIZE", rsa_csr(0xC5, 65537))
    row("rsa_1", "key", "KEY_SIZE", rsa_csr(1, 1))
    bad("rsa_e_1", "KEY_EXPONENT", Rsa(p, q, 1))
    row("rsa_e_3", "key", "KEY_EXPONENT", rsa_csr(p * q, 3))
    row("rsa_e_65535", "key", "KEY_EXPONENT", rsa_csr(p * q, 65535))
    row("rsa_e_even", "key", "KEY_EXPONENT", rsa_csr(p * q, 65538))
    row("rsa_e_above_2_256", "key", "KEY_EXPONENT", rsa_csr(p * q, 2**256 + 1))
    row("rsa_e_as_long_as_the_modulus", "key", "KEY_EXPONENT", rsa_csr(p * q, p * q - 2))
    row("rsa_modulus_even", "key", "KEY_WEAK", rsa_csr(p * q - 1, 65537))
    for factor in (3, 751):
        other = prime_from((1 << 2048) // factor - (1 << 2000))
        while other % 65537 == 1:
            other = prime_from(other + 2)
        bad(f"rsa_factor_{factor}", "KEY_WEAK", Rsa(factor, other))
    bad("rsa_square", "KEY_WEAK", Rsa(p, p), signed=False)
    close = prime_from(p + 2)
    while close % 65537 == 1:
        close = prime_from(close + 2)
    bad("rsa_close_primes", "KEY_WEAK", Rsa(p, close))
    close = prime_from(p + (1 << 514))
    while close % 65537 == 1:
        close = prime_from(close + 2)
    bad("rsa_close_primes_some_rounds", "KEY_WEAK", Rsa(p, close))
    bad("rsa_roca", "KEY_WEAK", Rsa(roca_prime("p"), roca_prime("q")))


def roca_prime(label):
    """k * M + (65537^a mod M), M the product of the first 126 primes: 1024 bits."""
    product = 1
    for small in SMALL_PRIMES[:126]:
        product *= small
    a = int.from_bytes(stream("roca a" + label, 16), "big")
    k = ((3 << 1022) // product) + int.from_bytes(stream("roca k" + label, 4), "big")
    number = k * product + pow(65537, a, product)
    while not is_prime(number):
        number += product
    assert number.bit_length() == 1024
    return number


# ---- signatures


def algorithms():
    def bad(name, algorithm, spki=P256_SPKI, signature=b"\x5a" * 70):
        row(name, "parse", "CSR_ALGORITHM", csr(info_of(spki=spki), algorithm, signature))

    rsa = seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(seq(integer(1 << 2047 | 1), integer(65537))))

    def pss(hash_algorithm=SHA256, mgf="1.2.840.113549.1.1.8", mgf_hash=SHA256, salt=32, more=b""):
        fields = [tlv(0xA0, hash_algorithm)] if hash_algorithm else []
        fields += [tlv(0xA1, seq(oid(mgf), mgf_hash)), tlv(0xA2, integer(salt)), more]
        return seq(oid("1.2.840.113549.1.1.10"), seq(*fields))

    bad("ecdsa_sha1", seq(oid("1.2.840.10045.4.1")))
    bad("ecdsa_sha224", seq(oid("1.2.840.10045.4.3.1")))
    bad("ecdsa_with_null", seq(oid("1.2.840.10045.4.3.2"), NULL))
    bad("rsa_sha1", seq(oid("1.2.840.113549.1.1.5"), NULL), rsa)
    bad("rsa_md5", seq(oid("1.2.840.113549.1.1.4"), NULL), rsa)
    bad("rsa_sha224", seq(oid("1.2.840.113549.1.1.14"), NULL), rsa)
    bad("rsa_signature_without_null", seq(oid("1.2.840.113549.1.1.11")), rsa)
    bad("pss_without_parameters", seq(oid("1.2.840.113549.1.1.10")), rsa)
    bad("pss_default_parameters", seq(oid("1.2.840.113549.1.1.10"), seq()), rsa)
    bad("pss_salt_20", pss(salt=20), rsa)
    bad("pss_salt_0", pss(salt=0), rsa)
    bad("pss_salt_huge", pss(salt=2**31 - 1), rsa)
    bad("pss_salt_negative", pss(salt=-32), rsa)
    bad("pss_other_mgf_hash", pss(mgf_hash=SHA384), rsa)
    bad("pss_other_mgf", pss(mgf="1.2.840.113549.1.1.9"), rsa)
    bad("pss_sha1", pss(seq(oid("1.3.14.3.2.26"), NULL), mgf_hash=seq(oid("1.3.14.3.2.26"), NULL),
                        salt=20), rsa)
    bad("pss_without_hash", pss(b""), rsa)
    bad("pss_trailer_written_out", pss(more=tlv(0xA3, integer(1))), rsa)
    bad("pss_trailer_2", pss(more=tlv(0xA3, integer(2))), rsa)
    bad("pss_on_p256", pss())
    bad("rsa_on_p256", RSA_SHA256)
    bad("ecdsa_on_rsa", ECDSA_SHA256, rsa)
    bad("ecdsa_on_sm2", ECDSA_SHA256, ec_spki(SM2, SM2.encode(SM2.g)))
    bad("sm2_on_p256", SM2_SM3)
    bad("sm2_with_octets", seq(oid("1.2.156.10197.1.501"), octets(b"1234567812345678")),
        ec_spki(SM2, SM2.encode(SM2.g)))
    bad("ed25519_on_p256", ED25519)
    bad("ed25519_signature_with_null", seq(oid("1.3.101.112"), NULL), seq(ED25519, bits(bytes(32))))
    bad("unknown_algorithm", seq(oid("1.2.3.4")))
    row("algorithm_empty", "parse", "CSR_PARSE", csr(info_of(), seq()))
    row("algorithm_two_parameters", "parse", "CSR_ALGORITHM", csr(info_of(), seq(oid("1.2.3"), NULL, NULL)))


def signatures():
    def bad(name, info, signature, algorithm=ECDSA_SHA256, code="CSR_SIG"):
        row(name, "signature", code, csr(info, algorithm, signature))

    info = info_of()
    r, s = P256.sign(P256_D, hashlib.sha256(info).digest(), "p256")
    bad("signature_of_another_request", info, ecdsa(info_of(subject=cn("b.example.org"))))
    bad("signature_of_another_key", info, ecdsa(info, d=P256_D + 1))
    bad("signature_of_another_hash", info, ecdsa(info, hash_name="sha512"))
    bad("signature_empty", info, b"")
    bad("signature_of_zeros", info, seq(integer(0), integer(0)))
    bad("signature_r_zero", info, seq(integer(0), integer(s)))
    bad("signature_s_zero", info, seq(integer(r), integer(0)))
    bad("signature_s_plus_order", info, seq(integer(r), integer(s + P256.n)))
    bad("signature_r_plus_order", info, seq(integer(r + P256.n), integer(s)))
    bad("signature_s_is_order", info, seq(integer(r), integer(P256.n)))
    bad("signature_negative", info, seq(integer(r), integer(s - P256.n)))
    bad("signature_swapped", info, seq(integer(s), integer(r)))
    bad("signature_trailing", info, seq(integer(r), integer(s)) + b"\x00")
    bad("signature_trailing_inside", info, seq(integer(r), integer(s), NULL))
    bad("signature_padded", info, seq(tlv(2, b"\0\0" + r.to_bytes(32, "big")), integer(s)))
    bad("signature_indefinite", info, b"\x30\x80" + integer(r) + integer(s) + b"\0\0")
    bad("signature_plain_octets", info, r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    for curve in (P256, P384, SM2):
        algorithm = SM2_SM3 if curve is SM2 else ECDSA_SHA256
        x, y = curve.multiply(curve.scalar("off"), curve.g)
        for name, point in (("off_curve", (x, y ^ 1)), ("zero", (0, 0)), ("x_is_p", (curve.p, y))):
            off = info_of(spki=ec_spki(curve, curve.encode(point)))
            signature = ecdsa(off, curve, 12345, "sha384" if curve is P384 else "sha256")
            bad(f"{curve.name}_point_{name}", off, signature, algorithm, "CSR_POINT")

    d = SM2.scalar("key of the requests")
    sm2_info = info_of(spki=ec_spki(SM2, SM2.encode(SM2.multiply(d, SM2.g))))
    for name, identity in (("empty_identity", b""), ("other_identity", b"ALICE123@YAHOO.COM")):
        r, s = SM2.sign_sm2(d, sm2_info, identity)
        bad(f"sm2_{name}", sm2_info, seq(integer(r), integer(s)), SM2_SM3)
    r, s = SM2.sign(d, sm3(sm2_info), "sm2")
    bad("sm2_key_signs_ecdsa", sm2_info, seq(integer(r), integer(s)), SM2_SM3)

    edwards = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    ed_info = info_of(spki=seq(ED25519, bits(edwards)))
    bad("ed25519_wrong", ed_info, stream("ed25519", 63) + b"\x00", ED25519)
    bad("ed25519_short_signature", ed_info, stream("ed25519", 63), ED25519)
    bad("ed25519_zero_signature", ed_info, bytes(64), ED25519)

    key = Rsa(prime("p", 1024), prime("q", 1024))
    spki = seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(seq(integer(key.n), integer(key.e))))
    info = info_of(spki=spki)
    digest = hashlib.sha256(info).digest()
    good = key.raw(rsa_pad(SHA256_INFO + digest, 256))
    bad("rsa_wrong", info, good[:-1] + bytes([good[-1] ^ 1]), RSA_SHA256)
    bad("rsa_short", info, good[1:], RSA_SHA256)
    bad("rsa_long", info, b"\x00" + good, RSA_SHA256)
    bad("rsa_zero", info, bytes(256), RSA_SHA256)
    bad("rsa_above_modulus", info, b"\xff" * 256, RSA_SHA256)
    sha1 = SHA1_INFO + hashlib.sha1(info).digest()
    bad("rsa_sha1_inside", info, key.raw(rsa_pad(sha1, 256)), RSA_SHA256)
    short = b"\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\x00" + SHA256_INFO + digest
    bad("rsa_short_padding", info, key.raw(short + bytes(256 - len(short))), RSA_SHA256)
    bad("rsa_digest_without_info", info, key.raw(rsa_pad(digest, 256)), RSA_SHA256)
    pss = seq(oid("1.2.840.113549.1.1.10"), seq(
        tlv(0xA0, SHA256), tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), SHA256)), tlv(0xA2, integer(32))))
    bad("pss_salt_of_another_length", info, key.raw(pss_pad(digest, 2047, stream("salt", 20))), pss)
    bad("pss_signed_as_pkcs1", info, good, pss)
    bad("pkcs1_signed_as_pss", info, key.raw(pss_pad(digest, 2047, stream("salt", 32))), RSA_SHA256)


# ---- names


def names():
    def parse(name, subject, code):
        row(name, "parse", code, csr(info_of(subject=subject)))

    def rules(name, code, subject):
        row(name, "rules", code, csr(info_of(subject=subject)))

    def rules_san(name, code, *general_names):
        row(name, "rules", code, csr(with_attributes(alt_names(*general_names))))

    common = "2.5.4.3"
    pair = seq(oid(common), utf8("a")), seq(oid("2.5.4.10"), utf8("b"))
    parse("cn_with_nul", seq(attribute(common, tlv(0x0C, b"www.example.org\0.evil.org"))), "CSR_PARSE")
    parse("cn_printable_with_nul", seq(attribute(common, tlv(0x13, b"a\0b"))), "CSR_PARSE")
    parse("cn_printable_with_at", seq(attribute(common, printable("a@b"))), "CSR_PARSE")
    parse("cn_printable_with_latin", seq(attribute(common, tlv(0x13, b"caf\xe9"))), "CSR_PARSE")
    parse("cn_utf8_broken", seq(attribute(common, tlv(0x0C, b"caf\xe9"))), "CSR_PARSE")
    parse("cn_utf8_overlong", seq(attribute(common, tlv(0x0C, b"\xc0\xaf"))), "CSR_PARSE")
    parse("cn_ia5_with_high_bit", seq(attribute(common, tlv(0x16, b"\xe9"))), "CSR_PARSE")
    parse("cn_bmp_of_odd_length", seq(attribute(common, tlv(0x1E, b"\0a\0"))), "CSR_PARSE")
    parse("cn_as_integer", seq(attribute(common, integer(5))), "FIELD_FORMAT")
    parse("cn_as_octets", seq(attribute(common, octets(b"a"))), "FIELD_FORMAT")
    parse("cn_as_sequence", seq(attribute(common, seq(utf8("a")))), "FIELD_FORMAT")
    parse("cn_of_1025_octets", seq(attribute(common, utf8("a" * 1025))), "FIELD_LENGTH")
    parse("rdn_of_two", seq(set_of(*pair)), "FIELD_FORMAT")
    parse("rdn_of_two_out_of_order", seq(tlv(0x31, b"".join(sorted(pair, reverse=True)))), "CSR_PARSE")
    parse("rdn_empty", seq(set_of()), "CSR_PARSE")
    parse("attributes_of_subject_33", seq(*(attribute(common, utf8("a")) for _ in range(33))),
          "FIELD_LENGTH")

    rules("cn_of_65", "FIELD_LENGTH", cn("a" * 65))
    rules("cn_of_65_wide", "FIELD_LENGTH", cn("中" * 65))
    rules("cn_empty", "FIELD_LENGTH", cn(""))
    rules("country_of_three", "-", seq(attribute("2.5.4.6", printable("CHN")), attribute(common, utf8("a"))))
    rules("country_of_digits", "-", seq(attribute("2.5.4.6", printable("12")), attribute(common, utf8("a"))))
    rules("country_as_utf8", "-", seq(attribute("2.5.4.6", utf8("CN")), attribute(common, utf8("a"))))
    rules("cn_as_bmp", "-", seq(attribute(common, tlv(0x1E, "中".encode("utf-16-be")))))
    rules("cn_as_teletex", "-", seq(attribute(common, tlv(0x14, b"caf\xe9"))))
    rules("cn_with_newline", "-", cn("a\nb"))
    rules("cn_with_right_to_left_mark", "-", cn("a\u202eb"))
    rules("cn_of_mixed_scripts", "-", cn("p\u0430ypal.example.org"))
    rules("cn_twice", "-", seq(attribute(common, utf8("a")), attribute(common, utf8("b"))))
    rules("email_as_utf8", "-", seq(attribute(common, utf8("a")),
                                    attribute("1.2.840.113549.1.9.1", utf8("a@example.org"))))
    rules("attribute_unknown", "-", seq(attribute(common, utf8("a")), attribute("1.2.3.4.5", utf8("b"))))
    rules("subject_empty", "-", seq())

    rules_san("san_1000", "SAN_COUNT", *(dns(f"h{i}.example") for i in range(1000)))
    rules_san("san_empty_list", "EXTENSION")
    rules_san("san_type_9", "SAN_TYPE", tlv(0x89, b"a"))
    rules_san("san_type_universal", "SAN_TYPE", utf8("www.example.org"))
    rules_san("san_other_name", "SAN_TYPE",
              tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3") + tlv(0xA0, utf8("a@example.org"))))
    rules_san("san_registered_id", "SAN_TYPE", tlv(0x88, oid("1.2.3.4")[2:]))
    rules_san("san_directory_name", "SAN_TYPE", tlv(0xA4, cn("a")))
    for size in (0, 3, 5, 8, 15, 17, 32):
        rules_san(f"san_ip_of_{size}", "SAN_FORMAT", tlv(0x87, bytes(size)))
    hosts = {
        "email": "a@example.org", "nul": "www.example.org\0.evil.org", "empty": "", "space": "a b.org",
        "underscore": "a_b.example.org", "leading_dot": ".example.org", "trailing_dot": "example.org.",
        "two_dots": "a..example.org", "label_of_64": "a" * 64 + ".org", "leading_dash": "-a.org",
        "trailing_dash": "a-.org", "name_of_254": ".".join(["a" * 49] * 5) + ".orgs", "star": "*",
        "star_dot": "*.", "two_stars": "*.*.org", "partial_star": "w*.example.org",
        "inner_star": "www.*.org", "url": "https://example.org", "port": "example.org:443",
        "raw_idn": "例子.example.org", "newline": "a.org\n", "mixed_script": "p\u0430ypal.org",
    }
    for name, host in hosts.items():
        rules_san(f"san_dns_{name}", "SAN_FORMAT", dns(host))
    for name, mail in {"no_at": "example.org", "no_local": "@example.org", "no_host": "a@",
                       "two_at": "a@b@example.org", "nul": "a\0@example.org", "space": "a b@example.org",
                       "bad_host": "a@-example.org"}.items():
        rules_san(f"san_email_{name}", "-", tlv(0x81, mail.encode()))
    for name, uri in {"relative": "/path", "no_scheme": "example.org", "space": "http://a b/",
                      "nul": "http://a\0b/", "only_scheme": "http:"}.items():
        rules_san(f"san_uri_{name}", "-", tlv(0x86, uri.encode()))

    for name, value in (
        ("ca_true", extension("2.5.29.19", seq(TRUE), TRUE)),
        ("key_cert_sign", extension("2.5.29.15", bits(b"\x04", 2), TRUE)),
        ("unknown_critical", extension("1.2.3.4", NULL, TRUE)),
        ("san_critical_with_junk", extension("2.5.29.17", seq(dns("a.example.org"), NULL), TRUE)),
    ):
        row(f"extension_{name}", "rules", "-", csr(with_attributes(extension_request(value))))


form()
keys()
weak_keys()
algorithms()
signatures()
names()
out = pathlib.Path(__file__).with_name("bad_csrs.tsv")
out.write_text("# made by make_bad_csrs.py: name, stage, code, DER\n" + "\n".join(rows) + "\n")
print(f"{len(rows)} requests")

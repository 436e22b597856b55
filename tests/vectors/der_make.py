# SPDX-License-Identifier: Apache-2.0
"""DER, elliptic curves and RSA in a few lines of their own, for the makers of test vectors.

Deterministic: keys and nonces come from labels, so a vector changes only when its maker does.
"""

import hashlib


def tlv(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def seq(*items):
    return tlv(0x30, b"".join(items))


def set_of(*items):
    return tlv(0x31, b"".join(sorted(items)))


def oid(dotted):
    arcs = [int(arc) for arc in dotted.split(".")]
    out = b""
    for arc in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.insert(0, 0x80 | arc & 0x7F)
        out += bytes(chunk)
    return tlv(0x06, out)


def integer(number):
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def bits(octets, unused=0):
    return tlv(0x03, bytes([unused]) + octets)


def octets(content):
    return tlv(0x04, content)


def utf8(text):
    return tlv(0x0C, text.encode())


def printable(text):
    return tlv(0x13, text.encode())


def ia5(text):
    return tlv(0x16, text.encode())


NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def stream(label, size):
    """So many octets that depend on the label alone."""
    return hashlib.shake_256(label.encode()).digest(size)


class Curve:
    def __init__(self, name, curve_oid, p, b, n, gx, gy):
        self.name, self.oid, self.p, self.b, self.n, self.g = name, curve_oid, p, b, n, (gx, gy)
        self.size = (p.bit_length() + 7) // 8

    def add(self, one, two):
        if one is None or two is None:
            return one or two
        p = self.p
        if one[0] == two[0]:
            if (one[1] + two[1]) % p == 0:
                return None
            slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, p)
        else:
            slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, p)
        x = (slope * slope - one[0] - two[0]) % p
        return x, (slope * (one[0] - x) - one[1]) % p

    def multiply(self, number, point):
        out = None
        while number:
            if number & 1:
                out = self.add(out, point)
            point = self.add(point, point)
            number >>= 1
        return out

    def scalar(self, label):
        return int.from_bytes(stream(label, self.size + 8), "big") % (self.n - 1) + 1

    def encode(self, point):
        return b"\x04" + b"".join(c.to_bytes(self.size, "big") for c in point)

    def sign(self, d, digest, label):
        e = int.from_bytes(digest[: self.size], "big")
        k = self.scalar("nonce " + label + digest.hex())
        r = self.multiply(k, self.g)[0] % self.n
        return r, pow(k, -1, self.n) * (e + r * d) % self.n

    def sign_sm2(self, d, message, identity):
        public = self.multiply(d, self.g)
        numbers = (self.p - 3, self.b) + self.g + public
        z = len(identity * 8).to_bytes(2, "big") + identity
        z += b"".join(c.to_bytes(32, "big") for c in numbers)
        e = int.from_bytes(sm3(sm3(z) + message), "big")
        k = self.scalar("nonce " + message.hex())
        r = (e + self.multiply(k, self.g)[0]) % self.n
        return r, pow(1 + d, -1, self.n) * (k - r * d) % self.n


def sm3(content):
    return hashlib.new("sm3", content).digest()


P256 = Curve(
    "p256",
    "1.2.840.10045.3.1.7",
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P384 = Curve(
    "p384",
    "1.3.132.0.34",
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    int("B3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875A"
        "C656398D8A2ED19D2A85C8EDD3EC2AEF", 16),
    int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
        "581A0DB248B0A77AECEC196ACCC52973", 16),
    int("AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A38"
        "5502F25DBF55296C3A545E3872760AB7", 16),
    int("3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C0"
        "0A60B1CE1D7E819D7A431D7C90EA0E5F", 16),
)
SM2 = Curve(
    "sm2",
    "1.2.156.10197.1.301",
    2**256 - 2**224 - 2**96 + 2**64 - 1,
    0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
    0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

SMALL_PRIMES = [p for p in range(2, 2000) if all(p % d for d in range(2, int(p**0.5) + 1))]


def is_prime(number):
    if any(number % p == 0 for p in SMALL_PRIMES):
        return number in SMALL_PRIMES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in SMALL_PRIMES[:20]:
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True


def prime_from(number, step=2):
    number |= 1
    while not is_prime(number):
        number += step
    return number


def prime(label, size_bits):
    """A prime of so many bits with the two highest set, where e = 65537 has an inverse."""
    number = int.from_bytes(stream(label, size_bits // 8 + 1), "big") >> (8 - size_bits % 8)
    number |= 3 << (size_bits - 2)
    number = prime_from(number)
    while number % 65537 == 1:
        number = prime_from(number + 2)
    return number


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")


def rsa_pad(digest_info, size):
    return b"\x00\x01" + b"\xff" * (size - 3 - len(digest_info)) + b"\x00" + digest_info


def pss_pad(digest, size_bits, salt):
    size = (size_bits + 7) // 8
    h = hashlib.sha256(bytes(8) + digest + salt).digest()
    db = bytes(size - len(salt) - len(h) - 2) + b"\x01" + salt
    mask = b"".join(hashlib.sha256(h + i.to_bytes(4, "big")).digest() for i in range(len(db) // 32 + 1))
    masked = bytearray(a ^ b for a, b in zip(db, mask))
    masked[0] &= 0xFF >> (8 * size - size_bits)
    return bytes(masked) + h + b"\xbc"


class Rsa:
    def __init__(self, p, q, e=65537):
        self.n, self.e = p * q, e
        self.d = pow(e, -1, (p - 1) * (q - 1)) if e > 1 and e % 2 else 1
        self.size = (self.n.bit_length() + 7) // 8

    def raw(self, padded):
        return pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(self.size, "big")

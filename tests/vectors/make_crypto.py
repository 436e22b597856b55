#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes signatures.tsv, rsa_keys.tsv and pairs.tsv beside itself, the same at every run.

Own arithmetic on Python's integers, so that nothing here shares code with what is tested, and
so that signatures can be made that no library would make.
"""
import base64
import hashlib
import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))
drawn = 0


def draw(bits):
    """A number of up to `bits` bits from SHA-256 in counter mode."""
    global drawn
    out = b''
    while len(out) * 8 < bits:
        out += hashlib.sha256(b'certmill vectors %d' % drawn).digest()
        drawn += 1
    return int.from_bytes(out, 'big') >> (len(out) * 8 - bits)


SMALL = [p for p in range(2, 752) if all(p % f for f in range(2, math.isqrt(p) + 1))]


def is_prime(n):
    if any(n % p == 0 for p in SMALL):
        return n in SMALL
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(8):
        x = pow(2 + draw(64), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def next_prime(n):
    n |= 1
    while not is_prime(n):
        n += 2
    return n


def prime(bits):
    while True:
        p = next_prime(draw(bits) | 3 << (bits - 2))
        if (p - 1) % 65537 != 0:
            return p


# ---- curves

class Curve:
    def __init__(self, p, b, n, x, y):
        self.p, self.b, self.n, self.g, self.size = p, b, n, (x, y), p.bit_length() // 8

    def add(self, s, t):
        if s is None or t is None:
            return s or t
        if s[0] == t[0]:
            if (s[1] + t[1]) % self.p == 0:
                return None
            slope = 3 * (s[0] * s[0] - 1) * pow(2 * s[1], -1, self.p)
        else:
            slope = (t[1] - s[1]) * pow(t[0] - s[0], -1, self.p)
        x = (slope * slope - s[0] - t[0]) % self.p
        return x, (slope * (s[0] - x) - s[1]) % self.p

    def times(self, k, point):
        out = None
        while k:
            out = self.add(out, point) if k & 1 else out
            point = self.add(point, point)
            k >>= 1
        return out

    def number(self, n):
        return n.to_bytes(self.size, 'big')

    def octets(self, point):
        return b'\x04' + self.number(point[0]) + self.number(point[1])


P256 = Curve(2**256 - 2**224 + 2**192 + 2**96 - 1,
             0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b,
             0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551,
             0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
             0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)
P384 = Curve(2**384 - 2**128 - 2**96 + 2**32 - 1,
             int('b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a'
                 'c656398d8a2ed19d2a85c8edd3ec2aef', 16),
             int('ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf'
                 '581a0db248b0a77aecec196accc52973', 16),
             int('aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38'
                 '5502f25dbf55296c3a545e3872760ab7', 16),
             int('3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0'
                 '0a60b1ce1d7e819d7a431d7c90ea0e5f', 16))
SM2 = Curve(2**256 - 2**224 - 2**96 + 2**64 - 1,
            0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93,
            0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123,
            0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7,
            0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0)


def sm3(data):
    return hashlib.new('sm3', data).digest()


def sm2_digest(point, message, identity=b'1234567812345678'):
    parts = (len(identity) * 8).to_bytes(2, 'big') + identity
    for n in (SM2.p - 3, SM2.b, *SM2.g):
        parts += SM2.number(n)
    return sm3(sm3(parts + SM2.octets(point)[1:]) + message)


def ecdsa(curve, d, digest, k=None):
    k = k or 1 + draw(curve.size * 8 - 1)
    r = curve.times(k, curve.g)[0] % curve.n
    e = int.from_bytes(digest[:curve.size], 'big')
    return r, pow(k, -1, curve.n) * (e + r * d) % curve.n


def sm2(curve, d, digest, k=None):
    k = k or 1 + draw(255)
    r = (int.from_bytes(digest, 'big') + curve.times(k, curve.g)[0]) % curve.n
    return r, pow(1 + d, -1, curve.n) * (k - r * d) % curve.n


# ---- DER

def tlv(tag, content, long=0):
    n = len(content)
    if n < 128 and not long:
        return bytes([tag, n]) + content
    size = max(long, (n.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, 'big') + content


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, 'big'))


def pair(r, s):
    return tlv(0x30, integer(r) + integer(s))


# ---- signatures.tsv

signature_rows = []


def row(name, sig, key, message, signature, want):
    signature_rows.append((name, sig, key, message.hex() or '-', signature.hex() or '-', want))


def odd_encodings(curve, r, s):
    """Of a pair that is fine; r should have its top bit set."""
    raw_r, raw_s = integer(r)[2:], integer(s)[2:]
    body = integer(r) + integer(s)
    fixed = curve.number(r) + curve.number(s)
    yield 'length of the sequence in long form', tlv(0x30, body, 1)
    yield 'length of the sequence in two octets', tlv(0x30, body, 2)
    yield 'indefinite length', b'\x30\x80' + body + b'\0\0'
    yield 'length of r in long form', tlv(0x30, tlv(2, raw_r, 1) + integer(s))
    yield 'length of s in long form', tlv(0x30, integer(r) + tlv(2, raw_s, 1))
    yield 'zero in front of r', tlv(0x30, tlv(2, b'\0' + raw_r) + integer(s))
    yield 'zero in front of s', tlv(0x30, integer(r) + tlv(2, b'\0' + raw_s))
    if raw_r[0] == 0:
        yield 'negative r', tlv(0x30, tlv(2, raw_r[1:]) + integer(s))
    yield 'octet behind the sequence', tlv(0x30, body) + b'\0'
    yield 'octet inside the sequence', tlv(0x30, body + b'\0')
    yield 'third number', tlv(0x30, body + integer(1))
    yield 's is missing', tlv(0x30, integer(r))
    yield 'empty r', tlv(0x30, tlv(2, b'') + integer(s))
    yield 'empty s', tlv(0x30, integer(r) + tlv(2, b''))
    yield 'empty sequence', tlv(0x30, b'')
    yield 'nothing', b''
    yield 'only a tag', b'\x30'
    yield 'a set', tlv(0x31, body)
    yield 'r is an octet string', tlv(0x30, tlv(4, raw_r) + integer(s))
    yield 'last octet is missing', tlv(0x30, body)[:-1]
    yield 'sequence claims one octet more', b'\x30' + bytes([len(body) + 1]) + body
    yield 's claims one octet more', tlv(
        0x30, integer(r) + bytes([2, len(raw_s) + 1]) + raw_s)
    yield 'r swallows s', tlv(0x30, bytes([2, len(body) - 2]) + body[2:])
    yield 'fixed-length form', fixed
    yield 'fixed-length form in an octet string', tlv(4, fixed)


def odd_numbers(curve, r, s):
    n = curve.n
    top = 256**curve.size - 1
    for name, a, b in (('r is 0', 0, s), ('s is 0', r, 0), ('both are 0', 0, 0), ('r is 1', 1, s),
                       ('s is 1', r, 1), ('both are 1', 1, 1), ('r is n', n, s), ('s is n', r, n),
                       ('r is n - 1', n - 1, s), ('s is n - 1', r, n - 1), ('r + n', r + n, s),
                       ('s + n', r, s + n), ('s + 2 n', r, s + 2 * n), ('r is all ones', top, s),
                       ('s is all ones', r, top), ('r is p', curve.p, s),
                       ('r is an octet too long', top + 1, s), ('swapped', s, r),
                       ('n - r', n - r, s), ('r + s is n', r, n - r)):
        yield name, pair(a, b)


def odd_points(curve, point):
    x, y = point
    octets = curve.octets(point)
    yield 'y is off by one', curve.octets((x, (y + 1) % curve.p))
    yield 'x is off by one', curve.octets(((x + 1) % curve.p, y))
    yield 'zero point', b'\x04' + bytes(2 * curve.size)
    yield 'infinity', b'\0'
    yield 'no octets', b''
    yield 'all ones', b'\x04' + b'\xff' * (2 * curve.size)
    yield 'x is p', b'\x04' + curve.number(curve.p) + curve.number(y)
    yield 'y is p', b'\x04' + curve.number(x) + curve.number(curve.p)
    yield 'compressed', bytes([2 + y % 2]) + curve.number(x)
    yield 'hybrid', bytes([6 + y % 2]) + octets[1:]
    yield 'one octet less', octets[:-1]
    yield 'one octet more', octets + b'\0'
    yield 'other first octet', b'\x05' + octets[1:]


def elliptic_rows(name, curve, sig, digest_of, sign):
    message = b'to be signed on ' + name.encode()
    d = 2 + draw(curve.size * 8 - 8)
    point = curve.times(d, curve.g)
    key = curve.octets(point).hex()
    r, s = sign(curve, d, digest_of(point, message))
    while r >> (curve.size * 8 - 1) == 0:
        r, s = sign(curve, d, digest_of(point, message))
    good = pair(r, s)
    row(name + ': good', sig, key, message, good, 'OK')
    row(name + ': empty message', sig, key, b'', pair(*sign(curve, d, digest_of(point, b''))), 'OK')
    row(name + ': n - s', sig, key, message, pair(r, curve.n - s),
        'CSR_SIG' if curve is SM2 else 'OK')
    row(name + ': other message', sig, key, message + b'.', good, 'CSR_SIG')
    other = curve.octets(curve.times(d + 1, curve.g)).hex()
    row(name + ': other key', sig, other, message, good, 'CSR_SIG')
    negated = curve.octets((point[0], curve.p - point[1])).hex()
    row(name + ': negated key', sig, negated, message, good, 'CSR_SIG')
    for what, signature in odd_encodings(curve, r, s):
        row(f'{name}: {what}', sig, key, message, signature, 'CSR_SIG')
    for what, signature in odd_numbers(curve, r, s):
        row(f'{name}: {what}', sig, key, message, signature, 'CSR_SIG')
    for what, octets in odd_points(curve, point):
        row(f'{name}: {what}', sig, octets.hex() or '-', message, good, 'CSR_POINT')
    # Leading zeros of r are not written, and must come back.
    k = 1
    while sign(curve, d, digest_of(point, message), k)[0] >= 256**(curve.size - 1):
        k += 1
    row(name + ': short r', sig, key, message,
        pair(*sign(curve, d, digest_of(point, message), k)), 'OK')


def sm2_rows_of_openssl():
    """A request and a certificate among the tests of OpenSSL 3.0 (Apache-2.0), made elsewhere."""
    row('OpenSSL test/certs/sm2-csr.pem', 'SM2_SM3',
        '04d4d8dd3a995d7234e4b99a5d1833721c09e12bd701d9167b8c0985cedee3804b'
        '3d3874a0adbddcae3cfea8665fab227903266e950ee07404736f51f9e63bf0e6', base64.b64decode(
        'MIHXAgEAMHUxCzAJBgNVBAYTAkNOMREwDwYDVQQIDAhMaWFvbmluZzERMA8GA1UEBwwIU2hlbnlhbmcxDDAK'
        'BgNVBAoMA1RldDEMMAoGA1UECwwDVGV0MQswCQYDVQQDDAJvbzEXMBUGCSqGSIb3DQEJARYIb29Ab28ub28w'
        'WTATBgcqhkjOPQIBBggqgRzPVQGCLQNCAATU2N06mV1yNOS5ml0YM3IcCeEr1wHZFnuMCYXO3uOASz04dKCt'
        'vdyuPP6oZl+rInkDJm6VDuB0BHNvUfnmO/DmoAA='),
        pair(0x9a7145c0f24c934c3c049bcf58cfdaa3b1b7ddf3f377da59f32b1b8a09c5c9c1,
             0x8a6e8026df796b8fc5440eec0bd04b7cb1069d729f415b4d3d97552c98cba4e8), 'OK')
    row('OpenSSL test/certs/sm2.pem', 'SM2_SM3',
        '0474589ea12ba1f05d5cfa6dbef3bbf814952717291ee4c69d9f943eb6d4e64544'
        '50c6949cd39e309665fef4468a66429bf02445e26645f9dbd791121d1facb29e', base64.b64decode(
        'MIIB26ADAgECAhQ4xuyIUsLLYEI+18dBJ0bhHX7cGjAKBggqgRzPVQGDdTBoMQswCQYDVQQGEwJDTjELMAkG'
        'A1UECAwCTE4xETAPBgNVBAcMCFNoZW55YW5nMREwDwYDVQQKDAhUZXN0IE9yZzEQMA4GA1UECwwHVGVzdCBP'
        'VTEUMBIGA1UEAwwLVGVzdCBTTTIgQ0EwIBcNMjIwNjAyMTU1NTQ4WhgPMjEyMjA1MDkxNTU1NDhaMG8xCzAJ'
        'BgNVBAYTAkNOMQswCQYDVQQIDAJMTjERMA8GA1UEBwwIU2hlbnlhbmcxETAPBgNVBAoMCFRlc3QgT3JnMRAw'
        'DgYDVQQLDAdUZXN0IE9VMRswGQYDVQQDDBJUZXN0IFNNMiBTaWduIENlcnQwWTATBgcqhkjOPQIBBggqgRzP'
        'VQGCLQNCAAQwqeNkWp7fiu1KZnuDkAucpM8piEzETL1ymrcrOBvv8mhNNkeb20asbWgFQI2zOrSM99/sXGn9'
        'rM2/usM/Mlcao1owWDAJBgNVHRMEAjAAMAsGA1UdDwQEAwIGwDAdBgNVHQ4EFgQU0+W7wmNeSFA+Inltiuur'
        '6+ioFSUwHwYDVR0jBBgwFoAUxY3Frv8yYEmeUilJVOVceP9FuXQ='),
        pair(0x6de01b50fb4fb96d9fa1b3d5492c0596a180113a8e6910f52a7dff7698e6dae5,
             0x7969dc622b46af5742c429f6f34dd7dff6c92866977bbe37b54135b49741da1a), 'OK')


def known_rows():
    row('GB/T 32918.5 appendix A', 'SM2_SM3',
        '0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020'
        'ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13', b'message digest',
        pair(0xf5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3,
             0xb1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa), 'OK')
    sm2_rows_of_openssl()
    row('RFC 6979 A.2.5 SHA-256', 'ECDSA_SHA256',
        '0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6'
        '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299', b'sample',
        pair(0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716,
             0xf7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8), 'OK')
    row('RFC 6979 A.2.6 SHA-384', 'ECDSA_SHA384',
        '04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64'
        'def8f0ea9055866064a254515480bc13'
        '8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1'
        '288b231c3ae0d4fe7344fd2533264720', b'sample',
        pair(int('94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c'
                 '81a648152e44acf96e36dd1e80fabe46', 16),
             int('99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f'
                 'a329c145786e679e7b82c71a38628ac8', 16)), 'OK')
    key = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
    good = bytes.fromhex('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da'
                         '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00')
    order = 2**252 + 27742317777372353535851937790883648493
    high = (int.from_bytes(good[32:], 'little') + order).to_bytes(32, 'little')
    row('RFC 8032 test 1', 'ED25519',
        'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', b'',
        bytes.fromhex('e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155'
                      '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'), 'OK')
    row('RFC 8032 test 2', 'ED25519', key, b'\x72', good, 'OK')
    for name, point, message, signature, want in (
            ('other message', key, b'\x73', good, 'CSR_SIG'),
            ('S + L', key, b'\x72', good[:32] + high, 'CSR_SIG'),
            ('one octet less', key, b'\x72', good[:-1], 'CSR_SIG'),
            ('one octet more', key, b'\x72', good + b'\0', 'CSR_SIG'),
            ('nothing', key, b'\x72', b'', 'CSR_SIG'),
            ('all zeros', key, b'\x72', bytes(64), 'CSR_SIG'),
            ('key of one octet less', key[2:], b'\x72', good, 'CSR_POINT'),
            ('neutral point as key', '01' + 31 * '00', b'\x72', b'\1' + bytes(63), 'CSR_POINT'),
            ('point of order 4 as key', 32 * '00', b'\x72', bytes(64), 'CSR_POINT'),
            ('y above p', 'ee' + 30 * 'ff' + '7f', b'\x72', good, 'CSR_POINT'),
            ('y without x', '02' + 31 * '00', b'\x72', good, 'CSR_POINT')):
        row('Ed25519: ' + name, 'ED25519', point, message, signature, want)


# ---- RSA

OID = {'sha1': '2b0e03021a', 'sha256': '608648016503040201', 'sha384': '608648016503040202',
       'sha512': '608648016503040203'}


def digest_info(name, message, null=b'\5\0', long=0, extra=b''):
    algorithm = tlv(0x30, tlv(6, bytes.fromhex(OID[name])) + null)
    return tlv(0x30, algorithm + tlv(4, hashlib.new(name, message).digest()) + extra, long)


def block(tail, size, head=b'\0\1', fill=b'\xff'):
    return head + fill * (size - len(head) - 1 - len(tail)) + b'\0' + tail


def mgf(name, seed, size):
    out = b''
    for i in range(size // 20 + 1):
        out += hashlib.new(name, seed + i.to_bytes(4, 'big')).digest()
    return out[:size]


def pss(name, message, size, salt_len=None, mask=None, trailer=b'\xbc', zero=0, one=b'\1', top=0):
    h_len = hashlib.new(name).digest_size
    salt_len = h_len if salt_len is None else salt_len
    salt = draw(8 * salt_len).to_bytes(salt_len, 'big')
    h = hashlib.new(name, bytes(8) + hashlib.new(name, message).digest() + salt).digest()
    fill = bytearray(size - h_len - salt_len - 2)
    if zero:
        fill[zero] = 1
    db = bytes(fill) + one + salt
    masked = bytearray(x ^ y for x, y in zip(db, mgf(mask or name, h, len(db))))
    masked[0] = masked[0] & 0x7f | top
    return bytes(masked) + h + trailer


def rsa_rows(bits):
    p, q = prime(bits // 2), prime(bits // 2)
    n, size = p * q, bits // 8
    d = pow(65537, -1, (p - 1) * (q - 1))
    key = '%x:010001' % n
    message = b'to be signed by RSA'
    info = digest_info('sha256', message)
    normal = block(info, size)

    def add(name, sig, encoded, want):
        m = int.from_bytes(encoded, 'big')
        assert m < n, name
        row(f'RSA {bits}: {name}', sig, key, message, pow(m, d, n).to_bytes(size, 'big'), want)

    for name in ('sha256', 'sha384', 'sha512'):
        upper = name.upper()
        pkcs1, other = block(digest_info(name, message), size), pss(name, message, size)
        add('PKCS#1 ' + name, 'RSA_' + upper, pkcs1, 'OK')
        add('PSS ' + name, 'PSS_' + upper, other, 'OK')
        add('PSS taken for PKCS#1 ' + name, 'RSA_' + upper, other, 'CSR_SIG')
        add('PKCS#1 taken for PSS ' + name, 'PSS_' + upper, pkcs1, 'CSR_SIG')
    for name, encoded in (
            ('no NULL', block(digest_info('sha256', message, b''), size)),
            ('parameters are no NULL', block(digest_info('sha256', message, b'\4\0'), size)),
            ('NULL with content', block(digest_info('sha256', message, b'\5\1\0'), size)),
            ('long length in DigestInfo', block(digest_info('sha256', message, long=1), size)),
            ('more in DigestInfo', block(digest_info('sha256', message, extra=b'\5\0'), size)),
            ('other hash', block(digest_info('sha384', message), size)),
            ('SHA-1', block(digest_info('sha1', message), size)),
            ('bare digest', block(hashlib.sha256(message).digest(), size)),
            ('rubbish behind short padding',
             b'\0\1' + b'\xff' * 8 + b'\0' + info + bytes(size - 11 - len(info))),
            ('type 2', block(info, size, b'\0\2')),
            ('type 0', block(info, size, b'\0\0', b'\0')),
            ('zero in the padding', normal[:20] + b'\0' + normal[21:]),
            ('padding of other octets', block(info, size, fill=b'\xfe')),
            ('no zero behind the padding', b'\0\1' + b'\xff' * (size - 2 - len(info)) + info),
            ('digest of another message', block(digest_info('sha256', message + b'.'), size)),
            ('signature of zero', bytes(size)),
            ('signature of one', bytes(size - 1) + b'\1')):
        add('PKCS#1 ' + name, 'RSA_SHA256', encoded, 'CSR_SIG')
    for name, options in (
            ('salt of 20', {'salt_len': 20}), ('no salt', {'salt_len': 0}),
            ('salt of 31', {'salt_len': 31}), ('salt of 33', {'salt_len': 33}),
            ('longest salt', {'salt_len': size - 34}), ('mask of another hash', {'mask': 'sha1'}),
            ('other trailer', {'trailer': b'\xcc'}), ('one bit in the zeros', {'zero': 5}),
            ('no one before the salt', {'one': b'\0'}), ('two before the salt', {'one': b'\2'})):
        add('PSS ' + name, 'PSS_SHA256', pss('sha256', message, size, **options), 'CSR_SIG')
    add('PSS of another message', 'PSS_SHA256', pss('sha256', message + b'.', size), 'CSR_SIG')
    add('PSS other hash', 'PSS_SHA256', pss('sha384', message, size), 'CSR_SIG')
    encoded = pss('sha256', message, size, top=0x80)
    while int.from_bytes(encoded, 'big') >= n:
        encoded = pss('sha256', message, size, top=0x80)
    add('PSS top bit set', 'PSS_SHA256', encoded, 'CSR_SIG')

    good = pow(int.from_bytes(normal, 'big'), d, n)
    octets = good.to_bytes(size, 'big')
    for name, signature in (('one octet more in front', b'\0' + octets),
                            ('one octet more behind', octets + b'\0'),
                            ('one octet less', octets[:-1]), ('nothing', b''),
                            ('zero', bytes(size)), ('n', n.to_bytes(size, 'big')),
                            ('n - 1', (n - 1).to_bytes(size, 'big')),
                            ('n - s', (n - good).to_bytes(size, 'big')),
                            ('all ones', b'\xff' * size)):
        row(f'RSA {bits}: signature is {name}', 'RSA_SHA256', key, message, signature, 'CSR_SIG')
    for name, odd_key in (('other key', '%x:010001' % (n + 2)),
                          ('even modulus', '%x:010001' % (n + 1)), ('exponent 3', '%x:03' % n),
                          ('exponent 0', '%x:00' % n), ('no exponent', '%x:-' % n),
                          ('exponent of 33 octets', '%x:%s01' % (n, 'ff' * 32)),
                          ('no modulus', '-:010001'), ('modulus is 1', '01:010001'),
                          ('modulus of 520 octets', 'c1' * 520 + ':010001')):
        row(f'RSA {bits}: {name}', 'RSA_SHA256', odd_key, message, octets, 'CSR_SIG')
    return n


def low_modulus_rows(bits):
    """Right but for n added once: of a modulus just above 2^(bits - 1), where that always fits."""
    p = next_prime(math.isqrt(2 ** (bits - 1)) + 2 ** (bits // 2 - 90))
    q = next_prime(p + 2 ** (bits // 2 - 95))
    n, size = p * q, bits // 8
    d = pow(65537, -1, (p - 1) * (q - 1))
    message = b'to be signed by RSA'
    for kind, encoded in (('PKCS#1', block(digest_info('sha256', message), size)),
                          ('PSS', pss('sha256', message, size))):
        s = pow(int.from_bytes(encoded, 'big'), d, n)
        sig = 'RSA_SHA256' if kind == 'PKCS#1' else 'PSS_SHA256'
        for what, value, want in (('s', s, 'OK'), ('s + n', s + n, 'CSR_SIG')):
            row(f'RSA {bits} with a low modulus: {kind}, {what}', sig, '%x:010001' % n, message,
                value.to_bytes(size, 'big'), want)


def odd_modulus_rows(bits):
    """Right, but of moduli that no key may have: a bit too short, and even."""
    p, q = prime(bits // 2), prime(bits // 2 - 1)
    phi = (p - 1) * (q - 1)
    for what, n in (('short', p * q), ('even', 2 * p * q)):
        m = int.from_bytes(block(digest_info('sha256', b'm'), bits // 8), 'big')
        s = pow(m, pow(65537, -1, phi), n)
        if pow(s, 65537, n) != m:
            raise ValueError(what)
        row(f'RSA {bits} with a modulus that is {what}', 'RSA_SHA256', '%x:010001' % n, b'm',
            s.to_bytes(bits // 8, 'big'), 'CSR_SIG')


def misfit_rows():
    good = pair(1, 1)
    for sig, key_type, curve in (('SM2_SM3', 'p256', P256), ('RSA_SHA256', 'p256', P256),
                                 ('ED25519', 'p256', P256), ('NONE', 'p256', P256),
                                 ('ECDSA_SHA256', 'sm2', SM2), ('SM2_SM3', 'p384', P384)):
        row(f'{sig} does not fit {key_type}', f'{sig}:{key_type}', curve.octets(curve.g).hex(),
            b'm', good, 'CSR_SIG')


def hashed(name):
    return lambda point, message: hashlib.new(name, message).digest()


def signatures():
    known_rows()
    elliptic_rows('P-256', P256, 'ECDSA_SHA256:p256', hashed('sha256'), ecdsa)
    elliptic_rows('P-384', P384, 'ECDSA_SHA384:p384', hashed('sha384'), ecdsa)
    elliptic_rows('SM2', SM2, 'SM2_SM3:sm2', sm2_digest, sm2)
    for curve, name in ((P256, 'p256'), (P384, 'p384')):
        d = 1 + draw(200)
        key = curve.octets(curve.times(d, curve.g)).hex()
        for hash_name in ('sha256', 'sha384', 'sha512'):
            digest = hashlib.new(hash_name, b'cross').digest()
            row(f'{name} with {hash_name}', f'ECDSA_{hash_name.upper()}:{name}', key, b'cross',
                pair(*ecdsa(curve, d, digest)), 'OK')
    d = 1 + draw(200)
    point = SM2.times(d, SM2.g)
    for name, digest in (('empty identity', sm2_digest(point, b'm', b'')),
                         ('other identity', sm2_digest(point, b'm', b'ALICE123@YAHOO.COM')),
                         ('no identity', sm3(b'm'))):
        row('SM2: ' + name, 'SM2_SM3', SM2.octets(point).hex(), b'm', pair(*sm2(SM2, d, digest)),
            'CSR_SIG')
    keys = [rsa_rows(2048), rsa_rows(3072)]
    misfit_rows()
    return keys


# ---- pairs.tsv

def pairs():
    rows = []
    for curve in (P256, P384):
        half = str(curve.size)
        top = 256**curve.size - 1
        r, s = 1 << (curve.size * 8 - 1) | draw(200), 5 + draw(curve.size * 8 - 9)
        for a, b in ((1, 1), (127, 128), (255, 256), (curve.n - 1, curve.n - 1), (top, top),
                     (top >> 1, (top >> 1) + 1), (top >> 8, 1), (r, s)):
            rows.append((half, pair(a, b).hex(), (curve.number(a) + curve.number(b)).hex()))
        for _, der in odd_encodings(curve, r, s):
            rows.append((half, der.hex() or '-', 'refused'))
        for a, b in ((top + 1, 1), (1, top + 1), (0, 1), (1, 0), (256**60, 1)):
            rows.append((half, pair(a, b).hex(), 'refused'))
    return rows


# ---- rsa_keys.tsv

def roca_prime(bits):
    """k M + 65537^a mod M, M the product of the primes up to 701."""
    primorial = math.prod(p for p in SMALL if p <= 701)
    room = bits - primorial.bit_length()
    while True:
        p = (draw(room) | 3 << (room - 2)) * primorial + pow(65537, draw(60), primorial)
        if p >> (bits - 2) == 3 and is_prime(p):
            return p


def with_factor(small):
    while True:
        n = small * (draw(2049 - small.bit_length()) | 1)
        if n.bit_length() == 2048:
            return n


def rsa_keys(good):
    rows = []

    def add(name, n, e, err, rule='-'):
        rows.append((name, '%x' % n if isinstance(n, int) else n, e, err, rule))

    n = good[0]
    add('good 2048', n, '010001', 'OK')
    add('good 3072', good[1], '010001', 'OK')
    for bits in (2048, 2048, 2048, 4096):
        add(f'good {bits}', prime(bits // 2) * prime(bits // 2), '010001', 'OK')
    add('factors of 1036 and 1012 bits', prime(1036) * prime(1012), '010001', 'OK')
    add('exponent 65539', n, '010003', 'OK')
    add('longest exponent', n, 'ff' * 32, 'OK')
    for name, e, rule in (('1', '01', 'above 2^16'), ('3', '03', 'above 2^16'),
                          ('65535', 'ffff', 'above 2^16'), ('65536', '010000', 'odd'),
                          ('2', '02', 'odd'), ('0', '00', 'odd'), ('missing', '-', 'odd'),
                          ('of 257 bits', '01' + 'ff' * 32, 'below 2^256'),
                          ('as long as the modulus', '%x' % (n | 1), 'below 2^256')):
        add('exponent ' + name, n, e, 'KEY_EXPONENT', rule)
    add('even modulus', n + 1, '010001', 'KEY_WEAK', 'odd')
    add('no modulus', '-', '010001', 'KEY_SIZE', 'whole octets')
    add('modulus of 2047 bits', '%0512x' % (n >> 1 | 1), '010001', 'KEY_SIZE', 'whole octets')
    add('modulus of 2049 bits', '%0514x' % (n << 1 | 1), '010001', 'KEY_SIZE', 'whole octets')
    add('modulus of 4104 bits', '80' + '00' * 511 + '01', '010001', 'KEY_SIZE', '4096')
    add('modulus of 16384 bits', 'c1' + '35' * 2046 + '01', '010001', 'KEY_SIZE', '4096')
    for small in (3, 5, 7, 53, 59, 251, 743):
        add(f'factor {small}', with_factor(small), '010001', 'KEY_WEAK', 'factor below 752')
    add('factor 751', with_factor(751), '010001', 'KEY_WEAK', 'factor below 752')
    p = prime(1024)
    add('square of a prime', p * p, '010001', 'KEY_WEAK', 'Fermat')
    add('neighbouring primes', p * next_prime(p + 2), '010001', 'KEY_WEAK', 'Fermat')
    # With q = p + 2 delta the method needs about delta^2 / (2 p) rounds.
    for rounds in (2, 30, 95, 99, 103, 1000):
        q = next_prime(p + 2 * math.isqrt(2 * p * rounds))
        found = (p + q) // 2 - math.isqrt(p * q)
        add(f'found by Fermat in round {found}', p * q, '010001',
            *(('KEY_WEAK', 'Fermat') if found <= 100 else ('OK', '-')))
    add('ROCA 2048', roca_prime(1024) * roca_prime(1024), '010001', 'KEY_WEAK', 'ROCA')
    add('ROCA 3072', roca_prime(1536) * roca_prime(1536), '010001', 'KEY_WEAK', 'ROCA')
    return rows


def save(name, head, rows):
    with open(os.path.join(HERE, name), 'w') as file:
        file.write('# made by make_crypto.py: ' + head + '\n')
        for fields in rows:
            file.write('\t'.join(fields) + '\n')


if __name__ == '__main__':
    good_keys = signatures()
    pair_rows = pairs()
    weak_and_good = rsa_keys(good_keys)
    for size_bits in (2048, 3072, 4096):
        low_modulus_rows(size_bits)
    odd_modulus_rows(2048)
    save('signatures.tsv', 'name, kind[:key type], key, message, signature, result',
         signature_rows)
    save('pairs.tsv', 'octets of a number, DER, r and s in fixed length or "refused"', pair_rows)
    save('rsa_keys.tsv', 'name, modulus, exponent, result, words of the rule', weak_and_good)

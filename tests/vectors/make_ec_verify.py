#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ec_verify.tsv: signatures that are nearly right, in the manner of Wycheproof.

    tests/vectors/make_ec_verify.py > tests/vectors/ec_verify.tsv

Own affine arithmetic in plain integers, so that the verdicts come from neither of the
implementations under test. Columns: curve, point, digest, signature, verdict, why.
"""

P256 = dict(
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    g=(0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
       0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5))
SM2 = dict(
    p=2**256 - 2**224 - 2**96 + 2**64 - 1,
    n=0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
    b=0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
    g=(0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
       0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0))
TOP = 2**256 - 1


def add(c, a, b):
    p = c['p']
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % p == 0:
            return None
        slope = (3 * a[0]**2 - 3) * pow(2 * a[1], -1, p)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, p)
    x = (slope * slope - a[0] - b[0]) % p
    return x, (slope * (a[0] - x) - a[1]) % p


def mul(c, k, a):
    out = None
    while k:
        if k & 1:
            out = add(c, out, a)
        a = add(c, a, a)
        k >>= 1
    return out


def lift(c, x):
    """A point with this x, or None."""
    p = c['p']
    right = (x**3 - 3 * x + c['b']) % p
    y = pow(right, (p + 1) // 4, p)
    return (x, y) if y * y % p == right else None


def on_curve(c, q):
    return q[0] < c['p'] and q[1] < c['p'] and \
        (q[1]**2 - q[0]**3 + 3 * q[0] - c['b']) % c['p'] == 0


def verify(name, c, q, e, r, s):
    n = c['n']
    if not (on_curve(c, q) and 0 < r < n and 0 < s < n):
        return False
    if name == 'p256':
        w = pow(s, -1, n)
        point = add(c, mul(c, e * w % n, c['g']), mul(c, r * w % n, q))
        return point is not None and point[0] % n == r
    t = (r + s) % n
    if t == 0:
        return False
    point = add(c, mul(c, s, c['g']), mul(c, t, q))
    return point is not None and (e + point[0]) % n == r


def sign(name, c, d, e, k):
    n, x = c['n'], mul(c, k, c['g'])[0]
    if name == 'p256':
        r = x % n
        return r, pow(k, -1, n) * (e + r * d) % n
    r = (e + x) % n
    return r, pow(1 + d, -1, n) * (k - r * d) % n


def emit(name, c, q, e, r, s, why, want=None):
    verdict = verify(name, c, q, e, r, s)
    assert want is None or want == verdict, why
    print(name, '%064x%064x' % q, '%064x' % e, '%064x%064x' % (r, s),
          'valid' if verdict else 'invalid', why, sep='\t')


def from_parts(name, c, u1, u2, q, x=None):
    """A signature and digest whose verification computes u1 G + u2 Q, and expects this x of it."""
    n = c['n']
    if x is None:
        point = add(c, mul(c, u1, c['g']), mul(c, u2, q))
        x = point[0] if point else 1
    if name == 'p256':
        r = x % n
        s = r * pow(u2, -1, n) % n
        return u1 * s % n, r, s
    s, r = u1, (u2 - u1) % n
    return (r - x) % n, r, s


def ranges(name, c):
    n, p = c['n'], c['p']
    d, e = 0x1234567890ABCDEF << 150, 0xA5 * 2**240 + 7
    q = mul(c, d, c['g'])
    r, s = sign(name, c, d, e, 0xC0FFEE << 100)
    emit(name, c, q, e, r, s, 'a good signature', True)
    emit(name, c, q, e, r, n - s, 'n - s for s')
    for what, value in (('0', 0), ('1', 1), ('n - 1', n - 1), ('n', n), ('n + 1', n + 1),
                        ('p', p), ('2^256 - 1', TOP)):
        emit(name, c, q, e, value, s, 'r is ' + what)
        emit(name, c, q, e, r, value, 's is ' + what)
        emit(name, c, q, e, value, value, 'r and s are ' + what)
    emit(name, c, q, e, s, r, 'r and s changed places')
    for value, what in ((r + n, 'r + n'), (s + n, 's + n')):
        if value <= TOP:
            pair = (value, s) if what[0] == 'r' else (r, value)
            emit(name, c, q, e, *pair, what + ' in place of it', False)
    emit(name, c, q, e, r, n - r, 'r + s = n')
    for bit in (0, 51, 52, 63, 64, 103, 104, 127, 155, 156, 192, 207, 208, 255):
        emit(name, c, q, e ^ (1 << bit), r, s, 'bit %d of the digest flipped' % bit, False)
        emit(name, c, q, e, r ^ (1 << bit), s, 'bit %d of r flipped' % bit, False)
        emit(name, c, q, e, r, s ^ (1 << bit), 'bit %d of s flipped' % bit, False)


def points(name, c):
    n, p = c['n'], c['p']
    d, e = 0xFEDCBA9876543210 << 99, 3**160
    q = mul(c, d, c['g'])
    r, s = sign(name, c, d, e, 7**60)
    emit(name, c, q, e, r, s, 'a good signature', True)
    emit(name, c, (q[0], p - q[1]), e, r, s, 'the opposite key', False)
    emit(name, c, (0, 0), e, r, s, 'key 0, 0', False)
    emit(name, c, (q[0], q[1] ^ 1), e, r, s, 'key off the curve', False)
    emit(name, c, (q[0], 0), e, r, s, 'key with y = 0', False)
    emit(name, c, (p, q[1]), e, r, s, 'x = p', False)
    emit(name, c, (TOP, TOP), e, r, s, 'both coordinates all ones', False)
    other = SM2 if name == 'p256' else P256
    emit(name, c, other['g'], e, r, s, 'the base point of the other curve', False)
    x = 0
    found = 0
    while found < 3:  # small x exist twice among 256-bit strings: as x and as x + p
        low = lift(c, x)
        if low is not None:
            e2, r2, s2 = from_parts(name, c, 11, 13, low)
            emit(name, c, low, e2, r2, s2, 'key with x = %d' % x, True)
            emit(name, c, (x + p, low[1]), e2, r2, s2, 'the same with x + p', False)
            found += 1
        x += 1
    high = next(lift(c, p - i) for i in range(1, 99) if lift(c, p - i))
    emit(name, c, high, *from_parts(name, c, 5, 3, high), 'key with x just below p', True)
    for k in (1, 2, 3, n - 2, n - 1, (n + 1) // 2):
        key = mul(c, k, c['g'])
        emit(name, c, key, *from_parts(name, c, 17, 19, key), 'key is %d G' % (k if k < 9 else k - n)
             if k != (n + 1) // 2 else 'key is half the base point', True)


def scalars(name, c):
    """u1 and u2 chosen: edges of the digits, and sums that are doublings or infinity."""
    n = c['n']
    d = 0xABCDEF0123456789 << 33
    q = mul(c, d, c['g'])
    edges = [1, 2, 3, 31, 32, 33, 127, 128, 129, 4095, 4096, n - 1, n - 2, n - 31, n - 32, n - 127,
             n - 4096, n // 2, n // 2 + 1, 2**255, 2**255 - 1, 2**252, 2**252 - 1, 2**251 + 1, 30 * 2**252 - n,
             2**248 - 1, 2**128, 2**128 - 1, (2**256 - 1) // 31 % n, (2**256 - 1) // 33 % n]
    for u in edges:
        u %= n
        emit(name, c, q, *from_parts(name, c, u, 1, q), 'u1 %064x, u2 1' % u)
        emit(name, c, q, *from_parts(name, c, 5, u, q), 'u1 5, u2 %064x' % u)
        emit(name, c, q, *from_parts(name, c, u, u, q), 'u1, u2 %064x' % u)
    if name == 'p256':
        emit(name, c, q, *from_parts(name, c, 0, 1, q), 'digest zero', True)
        emit(name, c, q, *from_parts(name, c, 0, n - 1, q), 'digest zero, u2 n - 1', True)
    for u in (1, 2, 5, n - 1, 2**200 + 1):
        emit(name, c, q, *from_parts(name, c, u * d % n, u, q), 'u1 G = u2 Q, u2 %x' % u)
        e, r, s = from_parts(name, c, (n - u * d) % n, u, q)
        emit(name, c, q, e, r, s, 'u1 G + u2 Q is infinity, u2 %x' % u, False)
    for k in (1, 2, 3, 31, 4096, n - 1, n - 2):  # multiples of both points meet on the way
        key = mul(c, k, c['g'])
        for u1, u2 in ((1, 1), (2, 1), (1, 2), (n - 1, 2), (k % n, 1), (n - k, 2), (3, n - 1),
                       (2**255, 2**255 % n), (31, 33)):
            if (u1 + k * u2) % n == 0:
                continue
            emit(name, c, key, *from_parts(name, c, u1 % n, u2 % n, key),
                 'key is %x G, u1 %x, u2 %x' % (k, u1, u2))


def wrapped(name, c):
    """x of the sum between n and p: the signature carries x - n."""
    n, p = c['n'], c['p']
    found = 0
    x = n
    while found < 3:
        point = lift(c, x)
        x += 1
        if point is None:
            continue
        found += 1
        # Q such that u1 G + u2 Q is that point
        u1, u2 = 3, 5
        minus = mul(c, n - u1, c['g'])
        q = mul(c, pow(u2, -1, n), add(c, point, minus))
        e, r, s = from_parts(name, c, u1, u2, q)
        emit(name, c, q, e, r, s, 'x of the sum is n + %d' % (point[0] - n), True if r else None)
        emit(name, c, q, e ^ 1, r, s, 'the same, digest changed', False)
    for x in range(1, 40):  # the smaller x is meant, the larger one is tried
        point = lift(c, x)
        if point is None:
            continue
        q = mul(c, pow(5, -1, n), add(c, point, mul(c, n - 3, c['g'])))
        emit(name, c, q, *from_parts(name, c, 3, 5, q), 'x of the sum is %d' % x, True)
        break


def out_of_range(name, c):
    """Where the equation holds all the same: n added to r or s, and for SM2 zeros."""
    n, p = c['n'], c['p']
    d, k = 0x1337 << 88, 11**60
    q = mul(c, d, c['g'])
    x = mul(c, k, c['g'])[0]
    for s in (1, 2**100 + 1, TOP - n):
        r = x % n if name == 'p256' else (k - s * (1 + d)) * pow(d, -1, n) % n
        e = (s * k - r * d) % n if name == 'p256' else (r - x) % n
        emit(name, c, q, e, r, s, 's is %x' % s, True)
        emit(name, c, q, e, r, s + n, 's is %x + n' % s, False)
    for r in (1, 2**100 + 1, TOP - n) if name == 'sm2' else ():
        s = pow(1 + d, -1, n) * (k - r * d) % n
        emit(name, c, q, (r - x) % n, r, s, 'r is %x' % r, True)
        emit(name, c, q, (r - x) % n, r + n, s, 'r is %x + n' % r, False)
    for u in (1, 2, 2**200 + 1, n - 1) if name == 'sm2' else ():
        emit(name, c, q, *from_parts(name, c, 0, u, q), 's is 0, r is %x' % u, False)
        emit(name, c, q, *from_parts(name, c, u, u, q), 'r is 0, s is %x' % u, False)
        emit(name, c, q, *from_parts(name, c, u, 0, q), 'r + s is n, s is %x' % u, False)
    point = next(lift(c, x) for x in range(n, p) if lift(c, x)) if name == 'p256' else None
    if point:  # s and digest are such that they fit r + n
        q = mul(c, pow(5, -1, n), add(c, point, mul(c, n - 3, c['g'])))
        e, r, s = from_parts(name, c, 3, 5, q)
        emit(name, c, q, e, r, s, 'r is x - n', True)
        emit(name, c, q, e, point[0], s, 'r is x, which is above n', False)


def exceptional(name, c):
    """Sums that are infinity, or meet a doubling: whatever r wants, it is not fulfilled."""
    n = c['n']
    d = 0xFEDCBA98 << 101
    q = mul(c, d, c['g'])
    for x in (0, 1, 2, n - 1, n // 2, 2**255):
        if x == 0 and name == 'p256':
            continue  # r = 0
        for u in (1, 7, 2**200 + 1):
            emit(name, c, q, *from_parts(name, c, (n - u * d) % n, u, q, x),
                 'u1 G + u2 Q is infinity, and r wants %x' % x, False)
            emit(name, c, q, *from_parts(name, c, u * d % n, u, q, x),
                 'u1 G = u2 Q, and r wants %x' % x, False)
        for k in (1, 2, 3, n - 1, n - 2):  # multiples of both points meet on the way
            key = mul(c, k, c['g'])
            for u1, u2 in ((1, 1), (2, 1), (1, 2), (31, 33), (2**255 % n, 2**255 % n)):
                if (u1 + k * u2) % n != 0:
                    emit(name, c, key, *from_parts(name, c, u1, u2, key, x),
                         'key is %x G, u1 %x, u2 %x, and r wants %x' % (k, u1, u2, x), False)


def digests(name, c):
    n = c['n']
    d = 0x55AA << 77
    q = mul(c, d, c['g'])
    for e in (0, 1, n - 1, n, n + 1, TOP, TOP - 1, 2**255, c['p']):
        r, s = sign(name, c, d, e, 9**50 + e % 1000)
        emit(name, c, q, e, r, s, 'digest %064x' % e, True)
    for e in range(0, 2):  # equal modulo n
        r, s = sign(name, c, d, e, 9**51)
        emit(name, c, q, e + n, r, s, 'digest n + %d, signed as %d' % (e, e), True)


def main():
    print('# written by make_ec_verify.py: curve, point, digest, signature, verdict, why')
    for name, c in (('p256', P256), ('sm2', SM2)):
        ranges(name, c)
        points(name, c)
        scalars(name, c)
        wrapped(name, c)
        out_of_range(name, c)
        exceptional(name, c)
        digests(name, c)


main()

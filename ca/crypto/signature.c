/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/signature.h"

#include <assert.h>

/* Integers of up to 49 octets and pairs of up to 104: every length fits into one octet. */
_Static_assert(CRYPTO_PAIR_DER_LEN_MAX < 128, "short form of lengths suffices");

static bool integer_decode(struct ca_bytes *in, size_t half, uint8_t *number)
{
    if (in->len < 3 || in->data[0] != 0x02)
        return false;

    size_t len = in->data[1];
    const uint8_t *octets = in->data + 2;
    if (len == 0 || len > half + 1 || len > in->len - 2 || octets[0] >= 0x80)
        return false;
    *in = ca_bytes_of(octets + len, in->len - 2 - len);
    if (octets[0] == 0) {
        /* The sign octet stands only before a set high bit; alone it would be the number zero. */
        if (len == 1 || octets[1] < 0x80)
            return false;
        octets++;
        len--;
    }
    if (len > half)
        return false;
    memset(number, 0, half - len);
    memcpy(number + half - len, octets, len);
    return true;
}

bool crypto_pair_decode(struct ca_bytes der, size_t half, uint8_t *pair)
{
    assert(half <= CRYPTO_HALF_LEN_MAX);

    if (der.len < 2 || der.len > CRYPTO_PAIR_DER_LEN_MAX || der.data[0] != 0x30 ||
        der.data[1] != der.len - 2)
        return false;

    struct ca_bytes in = ca_bytes_of(der.data + 2, der.len - 2);
    return integer_decode(&in, half, pair) && integer_decode(&in, half, pair + half) && in.len == 0;
}

static uint8_t *integer_encode(const uint8_t *number, size_t half, uint8_t *at)
{
    while (half > 1 && *number == 0) {
        number++;
        half--;
    }

    bool is_high = *number >= 0x80;
    *at++ = 0x02;
    *at++ = (uint8_t)(half + is_high);
    if (is_high)
        *at++ = 0;
    memcpy(at, number, half);
    return at + half;
}

size_t crypto_pair_encode(const uint8_t *pair, size_t half, uint8_t *der)
{
    assert(half <= CRYPTO_HALF_LEN_MAX);

    uint8_t *end = integer_encode(pair, half, der + 2);
    end = integer_encode(pair + half, half, end);
    der[0] = 0x30;
    der[1] = (uint8_t)(end - der - 2);
    return (size_t)(end - der);
}

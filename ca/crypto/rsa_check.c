/* SPDX-License-Identifier: Apache-2.0 */
/* What is known to make RSA keys weak. GMP's mpn functions, so numbers live on the stack. */
#include <gmp.h>

#include "ca/crypto/internal.h"

enum {
    PRIME_COUNT = 132,   /* odd primes below 752 */
    FILTER_COUNT = 15,   /* of them, those whose product fits into 64 bits */
    FERMAT_ROUNDS = 100, /* BR 6.1.1.3 */
    ROCA_GENERATOR = 65537,
    ROCA_PRIME_MAX = 167,      /* the primes that moduli of any size are built on */
    ROCA_PRIME_MAX_LONG = 701, /* from ROCA_BITS_LONG bits */
    ROCA_BITS_LONG = 1984,
    LIMB_COUNT_MAX = CA_RSA_BITS_MAX / GMP_NUMB_BITS,
};
_Static_assert(GMP_NUMB_BITS == 64, "limbs are filled eight octets at a time");

/* clang-format off */
static const uint16_t primes[PRIME_COUNT] = {
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191,
    193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283,
    293, 307, 311, 313, 317, 331, 337, 347, 349, 353, 359, 367, 373, 379, 383, 389, 397, 401,
    409, 419, 421, 431, 433, 439, 443, 449, 457, 461, 463, 467, 479, 487, 491, 499, 503, 509,
    521, 523, 541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617, 619, 631,
    641, 643, 647, 653, 659, 661, 673, 677, 683, 691, 701, 709, 719, 727, 733, 739, 743, 751,
};
/* Bit x is set if x is a square modulo the prime in the same place. */
static const uint64_t squares[FILTER_COUNT] = {
    0x0000000000003, 0x0000000000013, 0x0000000000017, 0x000000000023b, 0x000000000161b,
    0x000000001a317, 0x0000000030af3, 0x000000005335f, 0x0000013d122f3, 0x00000121d47b7,
    0x000165e211e9b, 0x001b382b50737, 0x0035883a3ee53, 0x004351b2753df, 0x12dd703303aed3,
};
/* clang-format on */
static const uint64_t squares_modulo_64 = 0x0202021202030213;

struct modulus {
    mp_limb_t limb[LIMB_COUNT_MAX];
    mp_size_t count;
    uint32_t bits;
    uint16_t residue[PRIME_COUNT];
};

static void modulus_load(struct ca_bytes octets, struct modulus *n)
{
    memset(n->limb, 0, sizeof(n->limb));
    for (size_t i = 0; i < octets.len; i++)
        n->limb[i / 8] |= (mp_limb_t)octets.data[octets.len - 1 - i] << (i % 8 * 8);
    n->count = (mp_size_t)((octets.len + 7) / 8);
    n->bits = (uint32_t)(8 * octets.len);
}

/* Residues by every prime; false if one is zero. */
static bool residues_fill(struct modulus *n)
{
    for (size_t first = 0, next; first < PRIME_COUNT; first = next) {
        uint64_t product = 1;
        uint64_t larger;

        for (next = first;
             next < PRIME_COUNT && !__builtin_mul_overflow(product, primes[next], &larger); next++)
            product = larger;
        uint64_t rest = mpn_mod_1(n->limb, n->count, product);
        for (size_t i = first; i < next; i++) {
            n->residue[i] = (uint16_t)(rest % primes[i]);
            if (n->residue[i] == 0)
                return false;
        }
    }
    return true;
}

static bool is_power_of_generator(uint32_t residue, uint32_t prime)
{
    uint32_t generator = ROCA_GENERATOR % prime;
    uint32_t power = 1;

    do {
        if (power == residue)
            return true;
        power = power * generator % prime;
    } while (power != 1);
    return false;
}

/* Primes k M + 65537^a mod M leave a power of 65537 modulo every prime factor of M, and so does
 * their product (CVE-2017-15361). */
static bool has_roca_form(const struct modulus *n)
{
    uint32_t prime_max = n->bits >= ROCA_BITS_LONG ? ROCA_PRIME_MAX_LONG : ROCA_PRIME_MAX;

    for (size_t i = 0; i < PRIME_COUNT && primes[i] <= prime_max; i++) {
        if (!is_power_of_generator(n->residue[i], primes[i]))
            return false;
    }
    return true;
}

/* Is (root + round)^2 - n a square, judged by its residues? Hardly ever true if it is not one. */
static bool may_be_square(const struct modulus *n, mp_limb_t root_low, uint64_t root_rest,
                          uint64_t round)
{
    uint64_t low = (root_low + round) * (root_low + round) - n->limb[0];

    if ((squares_modulo_64 >> (low & 63) & 1) == 0)
        return false;
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        uint32_t prime = primes[i];
        uint32_t x = (uint32_t)((root_rest % prime + round) % prime);
        uint32_t rest = (x * x + prime - n->residue[i] % prime) % prime;
        if ((squares[i] >> rest & 1) == 0)
            return false;
    }
    return true;
}

static bool is_square(const struct modulus *n, const mp_limb_t *root, mp_size_t root_count,
                      mp_limb_t round)
{
    mp_limb_t sum[LIMB_COUNT_MAX / 2 + 1];
    mp_limb_t square[LIMB_COUNT_MAX + 2];
    mp_size_t count = root_count + 1;

    sum[root_count] = mpn_add_1(sum, root, root_count, round);
    mpn_sqr(square, sum, count);
    mpn_sub(square, square, 2 * count, n->limb, n->count);
    for (count = 2 * count; count > 0 && square[count - 1] == 0;)
        count--;
    return count == 0 || mpn_perfect_square_p(square, count) != 0;
}

/* Factors close to each other: n = a^2 - b^2 with a just above the root of n. */
static bool is_near_square(const struct modulus *n)
{
    mp_limb_t root[LIMB_COUNT_MAX / 2];
    mp_limb_t rest[LIMB_COUNT_MAX];
    mp_size_t root_count = (n->count + 1) / 2;
    uint64_t product = 1;

    if (mpn_sqrtrem(root, rest, n->limb, n->count) == 0)
        return true;
    for (size_t i = 0; i < FILTER_COUNT; i++)
        product *= primes[i];
    uint64_t root_rest = mpn_mod_1(root, root_count, product);
    for (uint64_t round = 1; round <= FERMAT_ROUNDS; round++) {
        if (may_be_square(n, root[0], root_rest, round) && is_square(n, root, root_count, round))
            return true;
    }
    return false;
}

static enum ca_err exponent_check(struct ca_bytes exponent, struct ca_refusal *refusal)
{
    static const char field[] = "csr.key.exponent";

    if (exponent.len == 0 || (exponent.data[exponent.len - 1] & 1) == 0)
        return ca_refuse(refusal, CA_ERR_KEY_EXPONENT, field, "BR 6.1.6: exponent is odd");
    if (exponent.len < 3)
        return ca_refuse(refusal, CA_ERR_KEY_EXPONENT, field, "BR 6.1.6: exponent above 2^16");
    if (exponent.len > CRYPTO_EXPONENT_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_KEY_EXPONENT, field, "BR 6.1.6: exponent below 2^256");
    return CA_OK;
}

enum ca_err crypto_rsa_check(const struct crypto_public_key *key, struct ca_refusal *refusal)
{
    static const char field[] = "csr.key.modulus";
    struct ca_bytes octets = ca_bytes_shortest_number(key->modulus);
    struct modulus n;

    if (octets.len == 0 || octets.data[0] < 0x80)
        return ca_refuse(refusal, CA_ERR_KEY_SIZE, field, "BR 6.1.5: modulus of whole octets");
    if (octets.len > CRYPTO_MODULUS_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_KEY_SIZE, field, "modulus of at most 4096 bits");

    enum ca_err err = exponent_check(ca_bytes_shortest_number(key->exponent), refusal);
    if (err != CA_OK)
        return err;
    if ((octets.data[octets.len - 1] & 1) == 0)
        return ca_refuse(refusal, CA_ERR_KEY_WEAK, field, "BR 6.1.6: modulus is odd");
    modulus_load(octets, &n);
    if (!residues_fill(&n))
        return ca_refuse(refusal, CA_ERR_KEY_WEAK, field, "BR 6.1.6: no factor below 752");
    if (has_roca_form(&n))
        return ca_refuse(refusal, CA_ERR_KEY_WEAK, field, "BR 6.1.1.3: not of the ROCA form");
    if (is_near_square(&n))
        return ca_refuse(refusal, CA_ERR_KEY_WEAK, field,
                         "BR 6.1.1.3: factors not close (Fermat, 100 rounds)");
    return CA_OK;
}

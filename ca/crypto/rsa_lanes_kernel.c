/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AVX-512; runs only where there is IFMA. */
#include "ca/crypto/rsa_lanes_number.h"

#include <openssl/crypto.h>

#include "ca/crypto/registers.h"

/* ---- public exponentiation */

enum {
    SHIFT_MAX = 20, /* bits that shift_up() goes up at once */
    SQUARINGS = 16, /* 65537 = 2^16 + 1 */
};

/*
 * a 2^shift mod n or up to 2 n more, for a < 3 n: takes off a multiple of n that is read off the
 * two upper limbs. They hold the upper 39 bits of n at least (4096 bits in 80 limbs), so a quotient
 * below 2^(SHIFT_MAX + 2) is at most one off either way; it is taken one too small.
 */
static void shift_up(const struct rsa_modulus *modulus, rsa_vector *a, int shift)
{
    size_t limbs = modulus->limbs;
    rsa_vector quotient, up = RSA_ALL((uint64_t)1 << shift);
    rsa_vector carry = RSA_ALL(0), more = RSA_ALL(0), less = RSA_ALL(0);
    const double limb = 0x1p52;

    for (int lane = 0; lane < RSA_LANES; lane++) {
        double top = (double)a[limbs - 1][lane] * limb + (double)a[limbs - 2][lane];
        double n = (double)modulus->n[limbs - 1][lane] * limb + (double)modulus->n[limbs - 2][lane];
        uint64_t whole = (uint64_t)(top * (double)(1 << shift) / n);
        quotient[lane] = whole == 0 ? 0 : whole - 1;
    }
    for (size_t i = 0; i < limbs; i++) {
        rsa_vector sum = RSA_LOW(carry + more, a[i], up);
        sum -= RSA_LOW(less, quotient, modulus->n[i]);
        more = RSA_HIGH(RSA_ALL(0), a[i], up);
        less = RSA_HIGH(RSA_ALL(0), quotient, modulus->n[i]);
        a[i] = sum & RSA_MASK52;
        carry = rsa_shift_signed(sum, 52);
    }
    rsa_assert_below(modulus, a, 3);
}

/* R^2 mod n or up to 2 n more, for n between 2^(bits - 1) and 2^bits. */
static void square_of_r(const struct rsa_modulus *modulus, size_t bits, rsa_vector *out)
{
    size_t exponent = 52 * modulus->limbs, doublings = 0;

    /* Montgomery's square of 2^k R is 2^(2 k) R; the last one is to give R R. */
    while (exponent % 2 == 0 && exponent > 100) {
        exponent /= 2;
        doublings++;
    }
    memset(out, 0, modulus->limbs * sizeof(out[0]));
    out[bits / 52] = RSA_ALL((uint64_t)1 << bits % 52);
    (void)rsa_subtract(modulus, out, out, 1); /* 2^bits - n */
    for (size_t left = 52 * modulus->limbs - bits + exponent; left > 0;) {
        size_t shift = left < SHIFT_MAX ? left : SHIFT_MAX;
        shift_up(modulus, out, (int)shift);
        left -= shift;
    }
    for (; doublings > 0; doublings--)
        rsa_square(modulus, out, out);
}

void crypto_rsa_lanes_power(size_t len, struct rsa_lanes_power *powers, size_t count)
{
    struct rsa_modulus modulus = { .limbs = rsa_lanes_limbs(len) };
    rsa_vector base[RSA_LIMBS_MAX], power[RSA_LIMBS_MAX];

    for (size_t lane = 0; lane < RSA_LANES; lane++) {
        const struct rsa_lanes_power *it = &powers[lane < count ? lane : 0];
        rsa_load(modulus.limbs, modulus.n, (int)lane, it->modulus, len);
        rsa_load(modulus.limbs, base, (int)lane, it->base, len);
        modulus.inverse[lane] = rsa_lanes_inverse(modulus.n[0][lane]);
    }
    square_of_r(&modulus, 8 * len, power);
    rsa_multiply(&modulus, power, power, base);
    for (int i = 0; i < SQUARINGS; i++)
        rsa_square(&modulus, power, power);
    rsa_multiply(&modulus, power, power, base); /* out of Montgomery form, too */
    rsa_canonical(&modulus, power);
    for (size_t lane = 0; lane < count; lane++)
        rsa_store(power, (int)lane, powers[lane].power, len);
}

/* ---- signing: even lanes compute modulo p, odd ones modulo q */

enum {
    WINDOW = 4, /* a divisor of 52: no digit lies across two limbs */
    ENTRIES = 1 << WINDOW,
};

struct sign_work {
    struct rsa_modulus modulus;
    rsa_vector square[RSA_HALF_LIMBS_MAX];
    rsa_vector cube[RSA_HALF_LIMBS_MAX];
    rsa_vector exponent[RSA_HALF_LIMBS_MAX];
    rsa_vector crt[RSA_HALF_LIMBS_MAX];
    rsa_vector message[RSA_LIMBS_MAX];
    rsa_vector power[RSA_HALF_LIMBS_MAX], other[RSA_HALF_LIMBS_MAX];
    rsa_vector table[RSA_HALF_LIMBS_MAX][ENTRIES];
};

RSA_INLINE rsa_vector both(const uint64_t (*number)[RSA_HALF_LIMBS_MAX], size_t i)
{
    const uint64_t p = number[0][i], q = number[1][i];

    return (rsa_vector){ p, q, p, q, p, q, p, q };
}

static void load_key(struct sign_work *work, const struct rsa_lanes_key *key)
{
    const uint64_t p = key->inverse[0], q = key->inverse[1];

    work->modulus.limbs = key->limbs;
    work->modulus.inverse = (rsa_vector){ p, q, p, q, p, q, p, q };
    for (size_t i = 0; i < key->limbs; i++) {
        work->modulus.n[i] = both(key->factor, i);
        work->square[i] = both(key->square, i);
        work->cube[i] = both(key->cube, i);
        work->exponent[i] = both(key->exponent, i);
        work->crt[i] = both(key->crt, i);
    }
}

/* power = message R mod n or up to 3 n more, from halves below R: low R^2 / R + high R^3 / R. */
static void load_messages(struct sign_work *work, size_t len,
                          const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count)
{
    size_t limbs = work->modulus.limbs;

    for (size_t lane = 0; lane < RSA_LANES; lane++) {
        size_t i = lane / 2 < count ? lane / 2 : 0;
        rsa_load(2 * limbs, work->message, (int)lane, encoded[i], len);
    }
    rsa_multiply(&work->modulus, work->power, work->message, work->square);
    rsa_multiply(&work->modulus, work->other, work->message + limbs, work->cube);
    for (size_t i = 0; i < limbs; i++)
        work->power[i] += work->other[i];
    rsa_carry(limbs, work->power, work->power);
}

static void put_entry(struct sign_work *work, size_t entry, const rsa_vector *number)
{
    for (size_t i = 0; i < work->modulus.limbs; i++)
        work->table[i][entry] = number[i];
}

/* The powers 0 to 15 of the message. */
static void make_table(struct sign_work *work)
{
    const struct rsa_modulus *modulus = &work->modulus;
    rsa_vector *one = work->message; /* which is no longer needed */

    memset(one, 0, modulus->limbs * sizeof(one[0]));
    one[0] = RSA_ALL(1);
    rsa_multiply(modulus, work->other, work->square, one);
    put_entry(work, 0, work->other);
    memcpy(work->other, work->power, sizeof(work->other));
    for (size_t entry = 1; entry < ENTRIES; entry++) {
        put_entry(work, entry, work->other);
        rsa_multiply(modulus, work->other, work->other, work->power);
    }
}

/* Each lane's entry for its own digit: all sixteen are read, and halved four times by masks. */
static void take_entry(const struct sign_work *work, size_t position, rsa_vector *out)
{
    rsa_vector digit = work->exponent[position / 52] >> (int)(position % 52);
    rsa_vector bit[WINDOW];

    for (int i = 0; i < WINDOW; i++)
        bit[i] = -(digit >> i & 1);
    for (size_t limb = 0; limb < work->modulus.limbs; limb++) {
        const rsa_vector *entries = work->table[limb];
        rsa_vector left[ENTRIES / 2];

        RSA_UNROLL
        for (int i = 0; i < ENTRIES / 2; i++)
            left[i] = rsa_select(bit[0], entries[2 * i], entries[2 * i + 1]);
        RSA_UNROLL
        for (int i = 0; i < ENTRIES / 4; i++)
            left[i] = rsa_select(bit[1], left[2 * i], left[2 * i + 1]);
        RSA_UNROLL
        for (int i = 0; i < ENTRIES / 8; i++)
            left[i] = rsa_select(bit[2], left[2 * i], left[2 * i + 1]);
        out[limb] = rsa_select(bit[3], left[0], left[1]);
    }
}

/* power = message ^ exponent, canonical; exponents have `bits` bits, a multiple of WINDOW. */
static void raise(struct sign_work *work, size_t bits)
{
    const struct rsa_modulus *modulus = &work->modulus;

    make_table(work);
    take_entry(work, bits - WINDOW, work->power);
    for (size_t position = bits - WINDOW; position > 0;) {
        position -= WINDOW;
        for (int i = 0; i < WINDOW; i++)
            rsa_square(modulus, work->power, work->power);
        take_entry(work, position, work->other);
        rsa_multiply(modulus, work->power, work->power, work->other);
    }
    rsa_multiply(modulus, work->power, work->power, work->message); /* which is one */
    rsa_canonical(modulus, work->power);
}

/* What odd lanes hold, in both lanes of a pair. */
RSA_INLINE rsa_vector of_q(rsa_vector a)
{
    return __builtin_shufflevector(a, a, 1, 1, 3, 3, 5, 5, 7, 7);
}

/*
 * Garner: s = s_q + q ((s_p - s_q) qInv mod p), which is below p q, in even lanes. As the
 * factors have the same length, s_q < q < 2 p, and s_p - s_q + 2 p is between 0 and 3 p.
 */
static void recombine(struct sign_work *work, rsa_vector *signature_out)
{
    const struct rsa_modulus *modulus = &work->modulus;
    size_t limbs = modulus->limbs;
    rsa_vector q[RSA_HALF_LIMBS_MAX];

    for (size_t i = 0; i < limbs; i++) {
        q[i] = of_q(modulus->n[i]);
        work->other[i] = of_q(work->power[i]);
        work->power[i] += modulus->n[i] + modulus->n[i] - work->other[i];
    }
    rsa_carry(limbs, work->power, work->power);
    rsa_multiply(modulus, work->power, work->power, work->crt);
    rsa_canonical(modulus, work->power);
    rsa_product(limbs, signature_out, work->power, q);
    for (size_t i = 0; i < limbs; i++)
        signature_out[i] += work->other[i];
    rsa_carry(2 * limbs, signature_out, signature_out);
    OPENSSL_cleanse(q, sizeof(q));
}

static __attribute__((noinline)) void sign(const struct rsa_lanes_key *key, size_t len,
                                           const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                                           uint8_t (*signatures)[RSA_OCTETS_MAX])
{
    struct sign_work work;
    rsa_vector signature[RSA_LIMBS_MAX];

    load_key(&work, key);
    load_messages(&work, len, encoded, count);
    raise(&work, 4 * len);
    recombine(&work, signature);
    for (size_t i = 0; i < count; i++)
        rsa_store(signature, (int)(2 * i), signatures[i], len);
    OPENSSL_cleanse(&work, sizeof(work));
    OPENSSL_cleanse(signature, sizeof(signature));
}

/* The frame of sign() and what is below: columns, and what went into memory from registers. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t stack[sizeof(struct sign_work) + 6 * RSA_LIMBS_MAX * sizeof(rsa_vector)];

    OPENSSL_cleanse(stack, sizeof(stack));
}

void crypto_rsa_lanes_sign(const struct rsa_lanes_key *key, size_t len,
                           const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                           uint8_t (*signatures_out)[RSA_OCTETS_MAX])
{
    sign(key, len, encoded, count, signatures_out);
    crypto_registers_wipe();
    wipe_stack();
}

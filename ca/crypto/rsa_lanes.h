/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa_lanes: RSA exponentiations side by side, one in each 64-bit lane of AVX-512, numbers in
 * limbs of 52 bits in Montgomery form.
 *
 * For moduli of 2048, 3072 and 4096 bits. crypto_rsa_lanes_power() and crypto_rsa_lanes_sign()
 * need a machine with AVX-512 IFMA (crypto_ec_has_lanes). They ask for no memory, but for up to
 * 100 KiB of stack. docs/CRYPTO.md tells how they work.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RSA_LANES = 8,
    RSA_LANES_MESSAGES = RSA_LANES / 2, /* signing: a lane for each factor */
    RSA_OCTETS_MAX = 512,
    RSA_LIMBS_MAX = 80,
    RSA_HALF_LIMBS_MAX = RSA_LIMBS_MAX / 2,
};

/* Limbs of a modulus of so many octets; 0 if there are no lanes for it. */
static inline size_t rsa_lanes_limbs(size_t modulus_len)
{
    switch (modulus_len) {
    case 256: return 40;
    case 384: return 60;
    case 512: return 80;
    default: return 0;
    }
}

/* -1 / n modulo 2^52, for odd n: right in three bits, and in twice as many after each step. */
static inline uint64_t rsa_lanes_inverse(uint64_t n)
{
    uint64_t inverse = n;

    for (int right = 3; right < 52; right *= 2)
        inverse *= 2 - n * inverse;
    return -inverse & (((uint64_t)1 << 52) - 1);
}

/* power = base ^ 65537 mod modulus; big endian, all three of `len` octets. */
struct rsa_lanes_power {
    const uint8_t *modulus, *base; /* odd, top bit set; base < modulus */
    uint8_t power[RSA_OCTETS_MAX];
};
/* 1 to RSA_LANES of them cost the same. In variable time: nothing in it is secret. */
void crypto_rsa_lanes_power(size_t len, struct rsa_lanes_power *powers, size_t count);

/*
 * A private key, ready for signing; index 0 is p, 1 is q. Spelled out so that its owner decides
 * in which memory it lives. R is 2^(52 limbs).
 */
struct rsa_lanes_key {
    size_t limbs;                             /* of a factor */
    uint64_t inverse[2];                      /* -1 / n modulo 2^52 */
    uint64_t factor[2][RSA_HALF_LIMBS_MAX];   /* n */
    uint64_t square[2][RSA_HALF_LIMBS_MAX];   /* R^2 mod n */
    uint64_t cube[2][RSA_HALF_LIMBS_MAX];     /* R^3 mod n */
    uint64_t exponent[2][RSA_HALF_LIMBS_MAX]; /* dP, dQ */
    uint64_t crt[2][RSA_HALF_LIMBS_MAX];      /* qInv R mod p; zero */
};

/*
 * signatures_out[i] = encoded[i] ^ d mod p q, for encoded < p q, both of `len` octets. 1 to
 * RSA_LANES_MESSAGES cost the same. Takes the same time and touches the same addresses whatever
 * the key and the messages are. Neither blinds nor checks what it computes: the caller checks.
 */
void crypto_rsa_lanes_sign(const struct rsa_lanes_key *key, size_t len,
                           const uint8_t (*encoded)[RSA_OCTETS_MAX], size_t count,
                           uint8_t (*signatures_out)[RSA_OCTETS_MAX]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rsa: octets of moduli, factors, exponents and messages; the lanes compute what OpenSSL
 * does, and a lot is judged the same with and without them.
 *
 * Input: one octet of choices, then octets that fill the numbers, over and over if it ends early.
 * Bits of the choice: 0 and 1 the size; 2 signing rather than a public power; 3 to 5 the lane.
 */
#include <stdlib.h>

#include "ca/crypto/ec_lanes.h"
#include "tests/support/rsa_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static struct {
    struct rsa_reference ref;
    struct crypto *lanes, *single;
} world;

struct octets {
    const uint8_t *data;
    size_t size, at;
};

static void must(bool is_fine)
{
    if (!is_fine)
        abort();
}

static void open_world(void)
{
    rsa_reference_open(&world.ref);
    must(CRYPTO_secure_malloc_init(1 << 20, 16) != 0);
    must(crypto_open(&world.lanes) == CA_OK && crypto_open(&world.single) == CA_OK);
    world.single->backend = CRYPTO_EC_PORTABLE;
}

static void fill(struct octets *octets, uint8_t *number, size_t len)
{
    for (size_t i = 0; i < len; i++, octets->at++)
        number[i] = octets->size == 0 ? 0 : octets->data[octets->at % octets->size];
}

/* The octets as they are: a verdict is asked for whatever they are. */
static void check_verdicts(const uint8_t *modulus, const uint8_t *signature, size_t len,
                           size_t lane)
{
    const struct crypto_public_key key = { .type = CRYPTO_KEY_RSA,
                                           .bits = (uint32_t)(8 * len),
                                           .modulus = ca_bytes_of(modulus, len),
                                           .exponent = CA_BYTES("\x01\x00\x01") };
    struct crypto_verification jobs[2][RSA_LANES];

    for (size_t i = 0; i < RSA_LANES; i++) {
        enum crypto_sig sig = i % 2 == 0 ? CRYPTO_SIG_RSA_SHA256 : CRYPTO_SIG_PSS_SHA256;
        jobs[0][i] = (struct crypto_verification){
            .sig = sig,
            .key = &key,
            .message = ca_bytes_of(signature, 32),
            .signature = ca_bytes_of(signature, i == lane ? len - 1 : len),
        };
        jobs[1][i] = jobs[0][i];
    }
    crypto_verify_many(world.lanes, jobs[0], RSA_LANES);
    crypto_verify_many(world.single, jobs[1], RSA_LANES);
    for (size_t i = 0; i < RSA_LANES; i++)
        must(jobs[0][i].result == jobs[1][i].result);
}

static void check_power(struct octets *octets, size_t len, size_t lane)
{
    uint8_t modulus[RSA_OCTETS_MAX], base[RSA_OCTETS_MAX], power[RSA_OCTETS_MAX];
    static const uint8_t zero[RSA_OCTETS_MAX];
    struct rsa_lanes_power powers[RSA_LANES];

    fill(octets, modulus, len);
    fill(octets, base, len);
    check_verdicts(modulus, base, len, lane);
    if (!crypto_ec_has_lanes())
        return;
    modulus[0] |= 0x80;
    modulus[len - 1] |= 1;
    rsa_reference_reduce(&world.ref, base, modulus, len);
    for (size_t i = 0; i <= lane; i++) {
        powers[i].modulus = modulus;
        powers[i].base = i == lane ? base : zero;
    }
    crypto_rsa_lanes_power(len, powers, lane + 1);
    rsa_reference_power(&world.ref, len, modulus, base, power);
    must(ca_bytes_equal(ca_bytes_of(power, len), ca_bytes_of(powers[lane].power, len)));
}

static void check_signature(struct octets *octets, size_t len, size_t lane)
{
    uint8_t number[4][RSA_OCTETS_MAX / 2], modulus[RSA_OCTETS_MAX], expected[RSA_OCTETS_MAX];
    uint8_t message[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
    uint8_t signature[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
    struct rsa_lanes_key *key;

    for (int i = 0; i < 4; i++)
        fill(octets, number[i], len / 2);
    for (int i = 0; i < 2; i++) {
        number[i][0] |= 0xc0;
        number[i][len / 2 - 1] |= 1;
    }
    RSA *rsa = rsa_reference_key(&world.ref, len / 2, number[0], number[1], number[2], number[3]);
    if (rsa == NULL)
        return;
    must(crypto_rsa_lanes_key_new(rsa, &key) == CA_OK && key != NULL);
    rsa_reference_modulus(rsa, modulus, len);
    for (size_t i = 0; i < RSA_LANES_MESSAGES; i++) {
        fill(octets, message[i], len);
        rsa_reference_reduce(&world.ref, message[i], modulus, len);
    }
    if (crypto_ec_has_lanes()) {
        crypto_rsa_lanes_sign(key, len, (const void *)message, lane + 1, signature);
        rsa_reference_sign(&world.ref, rsa, len, message[lane], expected);
        must(ca_bytes_equal(ca_bytes_of(expected, len), ca_bytes_of(signature[lane], len)));
    }
    crypto_rsa_lanes_key_free(key);
    RSA_free(rsa);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const size_t lengths[] = { 256, 384, 512, 256 };

    if (world.lanes == NULL)
        open_world();
    if (size == 0)
        return 0;
    struct octets octets = { input + 1, size - 1, 0 };
    size_t len = lengths[input[0] & 3], lane = input[0] >> 3 & 7;
    if (input[0] & 4)
        check_signature(&octets, len, lane % RSA_LANES_MESSAGES);
    else
        check_power(&octets, len, lane);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress_rsa: exponentiations in lanes and by OpenSSL, as many as asked for.
 *
 *     stress_rsa [POWERS [SEED]]
 *
 * Moduli, factors, exponents and messages of all three sizes, half of them of long runs of ones
 * and zeros; one signature for every eight public powers. Random numbers come from the seed, so
 * a failure can be repeated; it prints the lot and stops.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/crypto/ec_lanes.h"
#include "tests/support/rsa_reference.h"

enum { POWERS_QUICK = 2000 };

static struct {
    struct rsa_reference ref;
    uint64_t state, powers, signatures, lots;
} stress;

static _Noreturn void fail(const char *what, size_t len)
{
    printf("stress_rsa: %s of %zu octets, lot %llu\n", what, len, (unsigned long long)stress.lots);
    exit(EXIT_FAILURE);
}

static void run_powers(size_t len)
{
    uint8_t modulus[RSA_LANES][RSA_OCTETS_MAX], base[RSA_LANES][RSA_OCTETS_MAX];
    uint8_t power[RSA_OCTETS_MAX];
    struct rsa_lanes_power powers[RSA_LANES];
    size_t count = 1 + random_next(&stress.state) % RSA_LANES;

    for (size_t i = 0; i < count; i++) {
        rsa_reference_draw_power(&stress.ref, &stress.state, modulus[i], base[i], len);
        powers[i].modulus = modulus[i];
        powers[i].base = base[i];
    }
    crypto_rsa_lanes_power(len, powers, count);
    for (size_t i = 0; i < count; i++) {
        rsa_reference_power(&stress.ref, len, modulus[i], base[i], power);
        if (!ca_bytes_equal(ca_bytes_of(power, len), ca_bytes_of(powers[i].power, len)))
            fail("power", len);
    }
    stress.powers += count;
}

static void run_signatures(size_t len)
{
    uint8_t modulus[RSA_OCTETS_MAX], message[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
    uint8_t signature[RSA_LANES_MESSAGES][RSA_OCTETS_MAX], expected[RSA_OCTETS_MAX];
    size_t count = 1 + random_next(&stress.state) % RSA_LANES_MESSAGES;
    RSA *rsa = rsa_reference_draw_key(&stress.ref, &stress.state, len / 2);
    struct rsa_lanes_key *key;

    if (crypto_rsa_lanes_key_new(rsa, &key) != CA_OK || key == NULL)
        fail("key", len);
    rsa_reference_modulus(rsa, modulus, len);
    for (size_t i = 0; i < count; i++) {
        rsa_reference_draw(&stress.state, message[i], len);
        rsa_reference_reduce(&stress.ref, message[i], modulus, len);
    }
    crypto_rsa_lanes_sign(key, len, (const void *)message, count, signature);
    for (size_t i = 0; i < count; i++) {
        rsa_reference_sign(&stress.ref, rsa, len, message[i], expected);
        if (!ca_bytes_equal(ca_bytes_of(expected, len), ca_bytes_of(signature[i], len)))
            fail("signature", len);
    }
    stress.signatures += count;
    crypto_rsa_lanes_key_free(key);
    RSA_free(rsa);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = { 256, 384, 512 };
    uint64_t powers = POWERS_QUICK;

    stress.state = 20260101;
    if ((argc > 1 && !ca_text_to_number(argv[1], 1, UINT64_MAX, &powers)) ||
        (argc > 2 && !ca_text_to_number(argv[2], 1, UINT64_MAX, &stress.state)) || argc > 3) {
        fprintf(stderr, "usage: stress_rsa [POWERS [SEED]]\n");
        return 2;
    }
    if (!crypto_ec_has_lanes()) {
        printf("no AVX-512 IFMA here\n");
        return EXIT_SUCCESS;
    }
    rsa_reference_open(&stress.ref);
    for (; stress.powers < powers; stress.lots++) {
        size_t len = lengths[stress.lots % 3];

        run_powers(len);
        if (stress.lots % 4 == 0)
            run_signatures(lengths[stress.lots / 4 % 3]);
    }
    printf("%llu powers and %llu signatures: all as OpenSSL's\n", (unsigned long long)stress.powers,
           (unsigned long long)stress.signatures);
    rsa_reference_close(&stress.ref);
    return EXIT_SUCCESS;
}

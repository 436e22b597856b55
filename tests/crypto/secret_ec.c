/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_ec: signing where valgrind believes key and randomness to be undefined memory. It
 * reports every branch and every address that depends on them; there is to be none.
 *
 * With the argument "leak" the program does branch on the key, to show that it would be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "ca/crypto/ec.h"

enum { COUNT = 5 };

static void must(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "secret_ec: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static void sign_and_verify(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                            const uint8_t point[64], bool is_hedged)
{
    uint8_t digest[COUNT][32], fresh[COUNT][32], signature[COUNT][64];
    struct crypto_ec_verify job = { .curve = key->curve };

    memset(digest, 0x5a, sizeof(digest));
    for (size_t i = 0; i < COUNT; i++)
        digest[i][0] = (uint8_t)i;
    memset(fresh, 0xc3, sizeof(fresh));
    (void)VALGRIND_MAKE_MEM_UNDEFINED(fresh, sizeof(fresh));
    crypto_ec_sign_many(ec, key, (const void *)digest, COUNT,
                        is_hedged ? (const void *)fresh : NULL, signature);
    (void)VALGRIND_MAKE_MEM_DEFINED(signature, sizeof(signature));
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(job.point, point, 64);
        memcpy(job.digest, digest[i], 32);
        memcpy(job.signature, signature[i], 64);
        crypto_ec_verify_many(ec, &job, 1);
        must(job.is_valid, "verifying");
    }
}

int main(int argc, char **argv)
{
    struct crypto_ec *ec;

    must(crypto_ec_new(CRYPTO_EC_PORTABLE, &ec) == CA_OK, "crypto_ec_new");
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++) {
        struct crypto_ec_key key;
        uint8_t scalar[32], point[64];

        memset(scalar, 0x71, sizeof(scalar));
        (void)VALGRIND_MAKE_MEM_UNDEFINED(scalar, sizeof(scalar));
        must(crypto_ec_key_init((enum crypto_ec_curve)i, scalar, &key) == CA_OK, "key");
        crypto_ec_key_public(ec, &key, point);
        (void)VALGRIND_MAKE_MEM_DEFINED(point, sizeof(point));
        sign_and_verify(ec, &key, point, true);
        sign_and_verify(ec, &key, point, false);
        if (argc > 1 && strcmp(argv[1], "leak") == 0 && (key.scalar[0] & 1) != 0)
            printf("odd\n");
        crypto_ec_key_wipe(&key);
    }
    crypto_ec_free(ec);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_rsa: the kernel of the lanes, compiled for one lane after the other, where valgrind
 * believes everything in the private key to be undefined memory. It reports every branch and every
 * address that depends on it; there is to be none.
 *
 * With the argument "leak" the table is read at an address made of a digit, to show that it would
 * be seen.
 */
#include "ca/crypto/rsa_lanes_kernel.c"

#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

#include "tests/support/rsa_reference.h"

enum { LEN = 256, COUNT = 3 };

static void must(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "secret_rsa: %s failed\n", what);
    exit(EXIT_FAILURE);
}

/* Neither the secure heap nor OpenSSL's arithmetic is watched: the numbers come before. */
static struct rsa_lanes_key *make_key(struct rsa_reference *ref, RSA **rsa_out)
{
    struct rsa_lanes_key *key;
    uint64_t state = 91;

    must(CRYPTO_secure_malloc_init(1 << 16, 16) != 0, "secure heap");
    *rsa_out = rsa_reference_draw_key(ref, &state, LEN / 2);
    must(crypto_rsa_lanes_key_new(*rsa_out, &key) == CA_OK && key != NULL, "key");
    return key;
}

int main(int argc, char **argv)
{
    uint8_t message[COUNT][RSA_OCTETS_MAX], signature[COUNT][RSA_OCTETS_MAX];
    uint8_t expected[RSA_OCTETS_MAX];
    struct rsa_reference ref;
    RSA *rsa;

    rsa_reference_open(&ref);
    struct rsa_lanes_key *made = make_key(&ref, &rsa), key = *made;
    memset(message, 0x35, sizeof(message));
    for (size_t i = 0; i < COUNT; i++)
        message[i][LEN - 1] = (uint8_t)i;
    /* All but the count of limbs. */
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key.inverse,
                                      sizeof(key) - offsetof(struct rsa_lanes_key, inverse));
    crypto_rsa_lanes_sign(&key, LEN, (const void *)message, COUNT, signature);
    (void)VALGRIND_MAKE_MEM_DEFINED(signature, sizeof(signature));
    for (size_t i = 0; i < COUNT; i++) {
        rsa_reference_sign(&ref, rsa, LEN, message[i], expected);
        must(CRYPTO_memcmp(expected, signature[i], LEN) == 0, "signing");
    }
    if (argc > 1 && strcmp(argv[1], "leak") == 0)
        printf("%d\n", message[0][key.exponent[0][3] & 15]);
    crypto_rsa_lanes_key_free(made);
    RSA_free(rsa);
    rsa_reference_close(&ref);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/hash_many.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/check.h"
#include "tests/support/ec_reference.h"

enum { MANY = 70, LEN_MAX = 300 };

static uint8_t text[MANY][LEN_MAX], heads[MANY][CRYPTO_HASH_LEN];
static size_t backend_count;

static void fill(void)
{
    uint64_t state = 7;

    backend_count = crypto_ec_backend_best() == CRYPTO_EC_LANES ? 2 : 1;
    random_fill(&state, text[0], sizeof(text));
    random_fill(&state, heads[0], sizeof(heads));
}

TestSuite(hash_many, .init = fill, .timeout = 60);

static void reference_hash(bool is_sm3, const uint8_t *head, struct ca_bytes message,
                           uint8_t digest[CRYPTO_HASH_LEN])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    cr_assert(EVP_DigestInit_ex(context, is_sm3 ? EVP_sm3() : EVP_sha256(), NULL) == 1);
    if (head != NULL)
        cr_assert(EVP_DigestUpdate(context, head, CRYPTO_HASH_LEN) == 1);
    cr_assert(EVP_DigestUpdate(context, message.data, message.len) == 1);
    cr_assert(EVP_DigestFinal_ex(context, digest, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static void check_hashes(bool is_sm3, const uint8_t *const *head, const struct ca_bytes *messages,
                         size_t count)
{
    uint8_t digest[MANY][CRYPTO_HASH_LEN], want[CRYPTO_HASH_LEN];

    for (size_t backend = 0; backend < backend_count; backend++) {
        if (is_sm3)
            crypto_sm3_many((enum crypto_ec_backend)backend, head, messages, count, digest);
        else
            crypto_sha256_many((enum crypto_ec_backend)backend, messages, count, digest);
        for (size_t i = 0; i < count; i++) {
            reference_hash(is_sm3, head == NULL ? NULL : head[i], messages[i], want);
            cr_assert(ca_bytes_equal(ca_bytes_of(digest[i], sizeof(want)),
                                     ca_bytes_of(want, sizeof(want))),
                      "backend %zu, message %zu of %zu, %zu octets", backend, i, count,
                      messages[i].len);
        }
    }
}

/* Exact allocations, so that reading beyond a message is seen by the sanitizer. */
static struct ca_bytes copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    return ca_bytes_of(copy, len);
}

static void free_copy(struct ca_bytes copy)
{
    free((void *)(uintptr_t)copy.data);
}

Test(hash_many, every_length_is_hashed_as_openssl_does)
{
    const uint8_t *head[MANY];
    struct ca_bytes messages[MANY];

    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (size_t i = 0; i < 20; i++) {
            messages[i] = copy_of(text[i], len);
            head[i] = heads[i];
        }
        check_hashes(false, NULL, messages, 20);
        check_hashes(true, NULL, messages, 20);
        check_hashes(true, head, messages, 20);
        for (size_t i = 0; i < 20; i++)
            free_copy(messages[i]);
    }
}

Test(hash_many, lengths_may_differ_in_a_lot_of_any_size)
{
    const uint8_t *head[MANY] = { NULL };
    struct ca_bytes messages[MANY] = { { NULL, 0 } };
    uint64_t state = 17;

    for (size_t count = 0; count < MANY; count++) {
        for (size_t i = 0; i < count; i++) {
            messages[i] = copy_of(text[i], random_next(&state) % (LEN_MAX + 1));
            head[i] = heads[random_next(&state) % MANY];
        }
        check_hashes(false, NULL, messages, count);
        check_hashes(true, NULL, messages, count);
        check_hashes(true, head, messages, count);
        for (size_t i = 0; i < count; i++)
            free_copy(messages[i]);
    }
}

/* GB/T 32905, appendix A: "abc", and sixteen times "abcd". */
Test(hash_many, sm3_gives_the_digests_of_its_standard)
{
    static const char *const samples[][2] = {
        { "abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
        { "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd",
          "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732" },
    };
    struct ca_bytes messages[16];
    uint8_t digest[16][CRYPTO_HASH_LEN], want[CRYPTO_HASH_LEN];
    size_t len;

    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 16; j++)
            messages[j] = ca_bytes_of_text(samples[i][0]);
        cr_assert(ca_text_unhex(samples[i][1], want, sizeof(want), &len));
        for (size_t backend = 0; backend < backend_count; backend++) {
            crypto_sm3_many((enum crypto_ec_backend)backend, NULL, messages, 16, digest);
            for (size_t j = 0; j < 16; j++)
                check_bytes(ca_bytes_of(digest[j], 32), ca_bytes_of(want, 32));
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/check.h"

TestSuite(digest, .timeout = 20);

enum kind { SHA256, SM3, SHA1 };

static void digest_of(enum kind kind, const struct ca_bytes *parts, size_t count, char *text)
{
    uint8_t digest[CA_DIGEST_LEN];

    if (kind == SHA1)
        crypto_sha1_key_id(parts[0], digest);
    else if (kind == SM3)
        crypto_sm3(parts, count, digest);
    else
        crypto_sha256(parts, count, digest);
    ca_text_hex(ca_bytes_of(digest, kind == SHA1 ? 20 : 32), text);
}

Test(digest, the_answers_of_the_standards_come_out)
{
    static const char a64[] = "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd";
    /* FIPS 180-4 examples, GB/T 32905 appendix A. */
    static const struct {
        enum kind kind;
        const char *text, *digest;
    } cases[] = {
        { SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { SM3, "abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
        { SM3, a64, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732" },
        { SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ca_bytes text = ca_bytes_of_text(cases[i].text);
        char got[2 * CA_DIGEST_LEN + 1];
        digest_of(cases[i].kind, &text, 1, got);
        cr_assert_str_eq(got, cases[i].digest, "%s", cases[i].text);
    }
}

/* Of any two lengths, overlapping as a list and its file do, or not. */
Test(digest, two_at_once_are_as_one_after_the_other)
{
    static uint8_t text[4096];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 11 + i / 251);
    for (size_t i = 0; i < sizeof(text); i += 29) {
        for (size_t at = 0; at <= 66; at += 6) {
            size_t len = i * 37 % (sizeof(text) - at);
            struct ca_bytes messages[2] = { ca_bytes_of(text, i), ca_bytes_of(text + at, len) };
            uint8_t got[2][CA_DIGEST_LEN], want[CA_DIGEST_LEN];
            crypto_sha256_two(messages, got);
            for (size_t j = 0; j < 2; j++) {
                crypto_sha256(&messages[j], 1, want);
                cr_assert(ca_bytes_equal(ca_bytes_of(got[j], sizeof(want)),
                                         ca_bytes_of(want, sizeof(want))),
                          "message %zu, %zu and %zu octets", j, i, len);
            }
        }
    }
}

/* A lot of any size and lengths, and the messages are followed by room for the padding only. */
static void check_padded(bool has_pair, size_t count, uint64_t step)
{
    struct ca_bytes messages[9] = { { NULL, 0 } }, texts[9];
    uint8_t got[9][CA_DIGEST_LEN], want[CA_DIGEST_LEN];

    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)(step * (i + 1) * 37 % 400);
        uint8_t *text = malloc(len + CRYPTO_SHA256_PADDING_MAX);
        for (size_t j = 0; j < len; j++)
            text[j] = (uint8_t)(step + i + j * 5);
        texts[i] = ca_bytes_of(text, len);
        messages[i] = ca_bytes_of(text, crypto_sha256_pad(text, len));
        cr_assert_leq(messages[i].len, len + CRYPTO_SHA256_PADDING_MAX);
    }
    crypto_sha256_padded(has_pair, messages, count, got);
    for (size_t i = 0; i < count; i++) {
        crypto_sha256(&texts[i], 1, want);
        cr_assert(
            ca_bytes_equal(ca_bytes_of(got[i], sizeof(want)), ca_bytes_of(want, sizeof(want))),
            "message %zu of %zu, %zu octets", i, count, texts[i].len);
        free((void *)(uintptr_t)texts[i].data);
    }
}

Test(digest, messages_with_their_padding_are_as_without)
{
    for (size_t count = 0; count <= 9; count++) {
        for (uint64_t step = 0; step < 400; step++) {
            check_padded(false, count, step);
            if (crypto_sha256_has_pair())
                check_padded(true, count, step);
        }
    }
}

Test(digest, every_length_agrees_with_another_implementation)
{
    uint8_t text[300];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t len = 0; len <= sizeof(text); len++) {
        struct ca_bytes bytes = ca_bytes_of(text, len);
        for (int kind = SHA256; kind <= SM3; kind++) {
            uint8_t want[CA_DIGEST_LEN];
            char got[2 * CA_DIGEST_LEN + 1], text_of_want[2 * CA_DIGEST_LEN + 1];
            cr_assert(EVP_Digest(text, len, want, NULL, kind == SM3 ? EVP_sm3() : EVP_sha256(),
                                 NULL) == 1);
            ca_text_hex(ca_bytes_of(want, sizeof(want)), text_of_want);
            digest_of((enum kind)kind, &bytes, 1, got);
            cr_assert_str_eq(got, text_of_want, "length %zu", len);
        }
    }
}

Test(digest, parts_are_hashed_as_if_they_were_one)
{
    static const uint8_t text[150] = { 1, 2, 3 };
    const struct ca_bytes whole = ca_bytes_of(text, sizeof(text));

    for (int kind = SHA256; kind <= SM3; kind++) {
        char want[2 * CA_DIGEST_LEN + 1], got[2 * CA_DIGEST_LEN + 1];
        digest_of((enum kind)kind, &whole, 1, want);
        for (size_t first = 0; first <= sizeof(text); first++) {
            const struct ca_bytes parts[] = { { text, first },
                                              { NULL, 0 },
                                              { text + first, sizeof(text) - first } };
            digest_of((enum kind)kind, parts, 3, got);
            cr_assert_str_eq(got, want, "parted at %zu", first);
        }
    }
}

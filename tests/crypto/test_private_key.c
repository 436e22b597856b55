/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/crypto/crypto.h"
#include "ca/keys/secret.h"
#include "tests/support/check.h"
#include "tests/support/folder.h"

/* clang-format off */
static const struct kind {
    const char *name;
    enum crypto_key_type type;
    uint32_t rsa_bits;
    enum crypto_sig sig;
    const char *verify; /* arguments of openssl, for the files of the test */
} kinds[] = {
    { "p256", CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA256,
      "dgst -sha256 -verify public.pem -signature signature message" },
    { "p256 sha512", CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA512,
      "dgst -sha512 -verify public.pem -signature signature message" },
    { "p384", CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA384,
      "dgst -sha384 -verify public.pem -signature signature message" },
    { "p384 sha512", CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA512,
      "dgst -sha512 -verify public.pem -signature signature message" },
    { "rsa2048", CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_RSA_SHA256,
      "dgst -sha256 -verify public.pem -signature signature message" },
    { "rsa3072", CRYPTO_KEY_RSA, 3072, CRYPTO_SIG_RSA_SHA512,
      "dgst -sha512 -verify public.pem -signature signature message" },
    { "rsa4096", CRYPTO_KEY_RSA, 4096, CRYPTO_SIG_PSS_SHA384,
      "dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
      " -sigopt rsa_mgf1_md:sha384 -verify public.pem -signature signature message" },
    { "ed25519", CRYPTO_KEY_ED25519, 0, CRYPTO_SIG_ED25519,
      "pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile signature" },
    { "sm2", CRYPTO_KEY_SM2, 0, CRYPTO_SIG_SM2_SM3,
      "pkeyutl -verify -pubin -inkey public.pem -rawin -digest sm3"
      " -pkeyopt distid:1234567812345678 -in message -sigfile signature" },
};
/* clang-format on */
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static char folder[64];

static void harden(void)
{
    check_ok(keys_harden_process());
    folder_make("test", folder, sizeof(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void sweep(void)
{
    for (size_t i = 0; i < 4; i++)
        (void)unlink((const char *[]){ "private.der", "public.pem", "message", "signature" }[i]);
    (void)rmdir(folder);
}

TestSuite(private_key, .init = harden, .fini = sweep, .timeout = 120);

static void save(const char *name, const void *data, size_t len)
{
    FILE *file = fopen(name, "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

/* Runs the openssl command; splits at blanks. */
static bool openssl(const char *arguments)
{
    char line[512];
    char *words[32] = { (char[]){ "openssl" } };
    size_t count = 1;
    int status;

    snprintf(line, sizeof(line), "%s", arguments);
    for (char *rest = line; rest != NULL && count < 31;)
        words[count++] = strsep(&rest, " ");
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        (void)!freopen("/dev/null", "w", stderr);
        execvp(words[0], words);
        _exit(127);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct crypto_private_key *generate(const struct kind *kind)
{
    struct crypto_private_key *key;

    check_ok(crypto_private_key_generate(kind->type, kind->rsa_bits, &key));
    return key;
}

static struct ca_bytes encode(const struct crypto_private_key *key,
                              uint8_t buffer[CRYPTO_PKCS8_LEN_MAX])
{
    size_t len;

    check_ok(crypto_private_key_encode(key, buffer, CRYPTO_PKCS8_LEN_MAX, &len));
    return ca_bytes_of(buffer, len);
}

Test(private_key, openssl_reads_our_keys_and_verifies_our_signatures)
{
    static const char message[] = "signed here, verified there";
    const struct ca_bytes bytes = CA_BYTES(message);
    struct crypto *crypto;

    check_ok(crypto_open(&crypto));
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        struct crypto_signature signature;
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX];
        struct ca_bytes der = encode(key, buffer);

        check_ok(crypto_sign_many(crypto, key, kinds[i].sig, &bytes, 1, &signature));
        save("private.der", der.data, der.len);
        save("message", message, bytes.len);
        save("signature", signature.bytes, signature.len);
        cr_assert(openssl("pkey -inform DER -in private.der -pubout -out public.pem"), "%s",
                  kinds[i].name);
        cr_assert(openssl("pkey -inform DER -in private.der -check -noout"), "%s", kinds[i].name);
        cr_assert(openssl(kinds[i].verify), "%s", kinds[i].name);
        save("message", message, bytes.len - 1);
        cr_assert_not(openssl(kinds[i].verify), "%s", kinds[i].name);
        crypto_private_key_free(key);
    }
    crypto_close(crypto);
}

Test(private_key, a_key_comes_back_from_its_encoding)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        struct crypto_private_key *again;
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX], other[CRYPTO_PKCS8_LEN_MAX];
        struct ca_bytes der = encode(key, buffer);

        check_ok(crypto_private_key_parse(der, &again));
        check_bytes(encode(again, other), der);
        const struct crypto_public_key *a = crypto_private_key_public(key);
        const struct crypto_public_key *b = crypto_private_key_public(again);
        cr_assert(a->type == b->type && a->bits == b->bits);
        check_bytes(a->point, b->point);
        check_bytes(a->modulus, b->modulus);
        check_bytes(a->exponent, b->exponent);
        crypto_private_key_free(again);
        crypto_private_key_free(key);
    }
}

Test(private_key, an_encoding_cut_short_or_followed_by_more_is_refused)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        struct crypto_private_key *again;
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX + 1];
        struct ca_bytes der = encode(key, buffer);
        size_t step = der.len > 1000 ? 37 : 1;

        for (size_t len = 0; len < der.len; len += step)
            check_err(crypto_private_key_parse(ca_bytes_of(buffer, len), &again),
                      CA_ERR_KEY_UNUSABLE);
        buffer[der.len] = 0;
        check_err(crypto_private_key_parse(ca_bytes_of(buffer, der.len + 1), &again),
                  CA_ERR_KEY_UNUSABLE);
        cr_assert_null(again);
        crypto_private_key_free(key);
    }
}

/* The place of the content of the numbers of an RSAPrivateKey, in their order from the version on:
 * behind the heads of both SEQUENCEs and of what is between. */
static size_t number_at(struct ca_bytes der, size_t index, size_t *len_out)
{
    size_t at = 30;

    for (size_t i = 0;; i++) {
        size_t len = der.data[at + 1], head = 2;
        cr_assert_eq(der.data[at], 0x02);
        if (len > 0x80) {
            head += len - 0x80;
            len = len == 0x81 ? der.data[at + 2] : (size_t)der.data[at + 2] << 8 | der.data[at + 3];
        }
        if (i == index) {
            *len_out = len;
            return at + head;
        }
        at += head + len;
    }
}

/* One wrong bit in dP, dQ or qInv makes signatures that give the factors away. */
Test(private_key, an_rsa_key_with_one_wrong_number_is_refused)
{
    enum { VERSION, N, E, D, P, Q, DP, DQ, QINV, COUNT };
    const struct kind *rsa = &kinds[4];
    struct crypto_private_key *key = generate(rsa), *again;
    uint8_t buffer[CRYPTO_PKCS8_LEN_MAX];
    struct ca_bytes der = encode(key, buffer);

    for (size_t number = N; number < COUNT; number++) {
        size_t len, at = number_at(der, number, &len);
        for (size_t octet = 1; octet < len; octet += len / 3 + 1) {
            buffer[at + octet] ^= 0x10;
            check_err(crypto_private_key_parse(der, &again), CA_ERR_KEY_UNUSABLE);
            cr_assert_null(again);
            buffer[at + octet] ^= 0x10;
        }
    }
    check_ok(crypto_private_key_parse(der, &again));
    crypto_private_key_free(again);
    crypto_private_key_free(key);
}

/* qInv of the factors in the other order is a good number in a wrong place. */
Test(private_key, an_rsa_key_whose_factors_change_places_is_refused)
{
    enum { P = 4, Q = 5 };
    struct crypto_private_key *key = generate(&kinds[4]), *again;
    uint8_t buffer[CRYPTO_PKCS8_LEN_MAX], factor[256];
    struct ca_bytes der = encode(key, buffer);
    size_t p_len, q_len, p = number_at(der, P, &p_len), q = number_at(der, Q, &q_len);

    cr_assert(p_len == q_len && p_len <= sizeof(factor));
    memcpy(factor, buffer + p, p_len);
    memcpy(buffer + p, buffer + q, p_len);
    memcpy(buffer + q, factor, p_len);
    check_err(crypto_private_key_parse(der, &again), CA_ERR_KEY_UNUSABLE);
    crypto_private_key_free(key);
}

/* Of the algorithm identifier, of lengths, of the secret (which then no longer fits the public
 * key, or was only the seed of another) and of the public key. */
Test(private_key, an_encoding_with_a_bit_flipped_is_refused_or_is_another_key)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        bool has_check = kinds[i].type != CRYPTO_KEY_ED25519;
        struct crypto_private_key *key = generate(&kinds[i]);
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX];
        struct ca_bytes der = encode(key, buffer);
        size_t step = der.len > 1000 ? 29 : 3;

        for (size_t bit = 0; bit < 8 * der.len; bit += step) {
            struct crypto_private_key *again;
            buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum ca_err err = crypto_private_key_parse(der, &again);
            cr_assert(err != CA_OK || !has_check, "%s: bit %zu", kinds[i].name, bit);
            if (err == CA_OK) {
                uint8_t other[CRYPTO_PKCS8_LEN_MAX];
                check_bytes(encode(again, other), der);
            }
            crypto_private_key_free(again);
            buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        crypto_private_key_free(key);
    }
}

Test(private_key, scalars_out_of_range_are_refused)
{
    static const uint8_t order_p256[] = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"
                                        "\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2"
                                        "\xfc\x63\x25\x51";
    static const uint8_t order_sm2[] = "\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                       "\xff\xff\x72\x03\xdf\x6b\x21\xc6\x05\x2b\x53\xbb\xf4\x09"
                                       "\x39\xd5\x41\x23";
    static const uint8_t zero[32];

    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].type != CRYPTO_KEY_P256 && kinds[i].type != CRYPTO_KEY_SM2)
            continue;
        const uint8_t *order = kinds[i].type == CRYPTO_KEY_P256 ? order_p256 : order_sm2;
        struct crypto_private_key *key = generate(&kinds[i]);
        struct crypto_private_key *again;
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX];
        (void)encode(key, buffer);

        /* Without the public key, so that it is the scalar that is refused. */
        buffer[1] = 0x30;
        buffer[2] = 0x41;
        buffer[28] = 0x27;
        buffer[30] = 0x25;
        struct ca_bytes shorter = ca_bytes_of(buffer + 1, 67);
        check_ok(crypto_private_key_parse(shorter, &again));
        crypto_private_key_free(again);
        memcpy(buffer + 36, zero, 32);
        check_err(crypto_private_key_parse(shorter, &again), CA_ERR_KEY_UNUSABLE);
        memcpy(buffer + 36, order, 32);
        check_err(crypto_private_key_parse(shorter, &again), CA_ERR_KEY_UNUSABLE);
        buffer[67]--; /* n - 1 has no inverse of 1 + d: not for SM2 */
        check_err(crypto_private_key_parse(shorter, &again),
                  kinds[i].type == CRYPTO_KEY_SM2 ? CA_ERR_KEY_UNUSABLE : CA_OK);
        crypto_private_key_free(again);
        crypto_private_key_free(key);
    }
}

Test(private_key, sizes_and_types_that_are_not_offered_are_refused)
{
    struct crypto_private_key *key;
    const uint32_t sizes[] = { 0, 1024, 2047, 2049, 2056, 5120, 8192 };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_err(crypto_private_key_generate(CRYPTO_KEY_RSA, sizes[i], &key), CA_ERR_KEY_SIZE);
    check_err(crypto_private_key_generate(CRYPTO_KEY_NONE, 0, &key), CA_ERR_KEY_TYPE);
    cr_assert_null(key);
}

Test(private_key, a_buffer_too_small_is_left_alone)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        uint8_t buffer[CRYPTO_PKCS8_LEN_MAX];
        size_t len;
        struct ca_bytes der = encode(key, buffer);

        for (size_t size = 0; size < der.len; size++) {
            memset(buffer, 0, sizeof(buffer));
            check_err(crypto_private_key_encode(key, buffer, size, &len), CA_ERR_FIELD_LENGTH);
            cr_assert(len == 0 && buffer[0] == 0);
        }
        check_ok(crypto_private_key_encode(key, buffer, der.len, &len));
        crypto_private_key_free(key);
    }
}

/* RSA: d, p, q, the CRT numbers; curves: the scalar. */
Test(private_key, secrets_are_in_the_locked_heap_and_leave_it_with_the_key)
{
    for (size_t i = 0; i < KIND_COUNT; i++) /* OpenSSL's random generators live there, too */
        crypto_private_key_free(generate(&kinds[i]));

    size_t before = CRYPTO_secure_used();
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        size_t bits = kinds[i].type == CRYPTO_KEY_RSA ? kinds[i].rsa_bits * 9 / 2 : 256;
        cr_assert_geq(CRYPTO_secure_used() - before, bits / 8, "%s", kinds[i].name);
        crypto_private_key_free(key);
        cr_assert_eq(CRYPTO_secure_used(), before, "%s", kinds[i].name);
    }
}

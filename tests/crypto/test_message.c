/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/message.h"

#include "ca/keys/keys.h"
#include "tests/support/check.h"

/* clang-format off */
static const struct kind {
    enum crypto_key_type type;
    enum crypto_sig sig;
} kinds[] = {
    { CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256 },
    { CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_P384, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_P384, CRYPTO_SIG_ECDSA_SHA512 },
    { CRYPTO_KEY_RSA, CRYPTO_SIG_RSA_SHA256 },
    { CRYPTO_KEY_RSA, CRYPTO_SIG_PSS_SHA384 },
    { CRYPTO_KEY_SM2, CRYPTO_SIG_SM2_SM3 },
};
/* clang-format on */

static struct crypto *crypto;
static struct keys_signer *signer;
static struct crypto_own_key *own;
static uint8_t text[5000];

static void open_crypto(void)
{
    check_ok(keys_harden_process());
    check_ok(crypto_open(&crypto));
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7 + i / 251);
}

static void close_crypto(void)
{
    crypto_close(crypto);
}

TestSuite(message, .init = open_crypto, .fini = close_crypto, .timeout = 60);

static void open_key(enum crypto_key_type type)
{
    const struct keys_signer_options options = { 0 };
    struct crypto_private_key *key;

    check_ok(crypto_private_key_generate(type, 2048, &key));
    check_ok(keys_signer_open_soft(key, &options, &signer));
    check_ok(crypto_own_key_new(keys_signer_public(signer), &own));
}

static void close_key(void)
{
    crypto_own_key_free(own);
    keys_signer_close(signer);
}

static struct crypto_digest hash_in_steps(enum crypto_sig sig, size_t len, size_t step)
{
    struct crypto_message message;
    struct crypto_digest digest;

    check_ok(crypto_message_init(&message, sig, keys_signer_public(signer)));
    for (size_t at = 0; at < len; at += step)
        crypto_message_update(&message, ca_bytes_of(text + at, len - at < step ? len - at : step));
    crypto_message_final(&message, &digest);
    return digest;
}

Test(message, a_signature_of_a_digest_is_one_of_the_message)
{
    static const size_t steps[] = { 1, 63, 64, 65, 200, 5000 };

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        open_key(kinds[k].type);
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            size_t len = sizeof(text) - s;
            struct crypto_digest digest = hash_in_steps(kinds[k].sig, len, steps[s]);
            struct ca_bytes message = ca_bytes_of(text, len);
            struct crypto_signature signature;
            check_ok(keys_sign_digest(signer, crypto, kinds[k].sig, &digest, &signature));
            check_ok(crypto_verify_own_many(crypto, own, kinds[k].sig, &message, 1, &signature));
        }
        close_key();
    }
}

Test(message, a_signature_of_a_message_verifies_by_its_digest_and_by_no_other)
{
    const struct ca_bytes message = { text, sizeof(text) };

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct crypto_signature signature;
        open_key(kinds[k].type);
        check_ok(keys_sign_many(signer, crypto, kinds[k].sig, &message, 1, &signature));
        struct crypto_digest digest = hash_in_steps(kinds[k].sig, sizeof(text), 777);
        struct ca_bytes bytes = ca_bytes_of(signature.bytes, signature.len);
        check_ok(crypto_verify_own_digest(crypto, own, kinds[k].sig, &digest, bytes));
        digest.bytes[3] ^= 1;
        check_err(crypto_verify_own_digest(crypto, own, kinds[k].sig, &digest, bytes),
                  CA_ERR_SIGNATURE_WRONG);
        digest.len--;
        check_err(crypto_verify_own_digest(crypto, own, kinds[k].sig, &digest, bytes),
                  CA_ERR_SIGNATURE_WRONG);
        close_key();
    }
}

Test(message, ed25519_has_no_digest_to_sign)
{
    struct crypto_digest digest = { .len = 64 };
    struct crypto_message message;
    struct crypto_signature signature;

    open_key(CRYPTO_KEY_ED25519);
    check_err(crypto_message_init(&message, CRYPTO_SIG_ED25519, keys_signer_public(signer)),
              CA_ERR_KEY_TYPE);
    check_err(keys_sign_digest(signer, crypto, CRYPTO_SIG_ED25519, &digest, &signature),
              CA_ERR_KEY_TYPE);
    close_key();
}

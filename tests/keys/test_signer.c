/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/keys.h"

#include <sodium.h>

#include "tests/support/check.h"

/* What stands between signer.c and the arithmetic: a fault in one bit, if asked for. */
struct fault {
    bool is_on;
    size_t index; /* of the signature in its batch */
    size_t bit;
};
static struct fault fault;

static enum ca_err faulty_sign_many(struct crypto *crypto, const struct crypto_private_key *key,
                                    enum crypto_sig sig, const struct ca_bytes *messages,
                                    size_t count, struct crypto_signature *signatures)
{
    enum ca_err err = crypto_sign_many(crypto, key, sig, messages, count, signatures);

    if (err == CA_OK && fault.is_on) {
        struct crypto_signature *signature = &signatures[fault.index % count];
        size_t bit = fault.bit % (8 * signature->len);
        signature->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return err;
}

#define crypto_sign_many faulty_sign_many
#include "ca/keys/signer.c"
#undef crypto_sign_many

enum { BATCH = 5, FAULT_COUNT = 10000, DEAR_FAULT_COUNT = 300 };

/* clang-format off */
static const struct kind {
    enum crypto_key_type type;
    uint32_t rsa_bits;
    enum crypto_sig sig;
    size_t fault_count;
} kinds[] = {
    { CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA256, FAULT_COUNT },
    { CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA384, DEAR_FAULT_COUNT },
    { CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_RSA_SHA256, DEAR_FAULT_COUNT },
    { CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_PSS_SHA256, DEAR_FAULT_COUNT },
    { CRYPTO_KEY_ED25519, 0, CRYPTO_SIG_ED25519, DEAR_FAULT_COUNT },
    { CRYPTO_KEY_SM2, 0, CRYPTO_SIG_SM2_SM3, DEAR_FAULT_COUNT },
};
/* clang-format on */
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static struct crypto *crypto;
static const struct ca_bytes messages[BATCH] = {
    { (const uint8_t *)"one", 3 },  { (const uint8_t *)"two", 3 },  { (const uint8_t *)"three", 5 },
    { (const uint8_t *)"four", 4 }, { (const uint8_t *)"five", 4 },
};
static struct crypto_signature signatures[BATCH];
static const struct keys_signer_options checked = { .is_unchecked = false };
static const struct keys_signer_options unchecked = { .is_unchecked = true };

static void open_crypto(void)
{
    check_ok(keys_harden_process());
    check_ok(crypto_open(&crypto));
    fault.is_on = false;
}

static void close_crypto(void)
{
    crypto_close(crypto);
}

TestSuite(signer, .init = open_crypto, .fini = close_crypto, .timeout = 120);

static struct keys_signer *open_signer(const struct kind *kind,
                                       const struct keys_signer_options *options)
{
    struct crypto_private_key *key;
    struct keys_signer *signer;

    check_ok(crypto_private_key_generate(kind->type, kind->rsa_bits, &key));
    check_ok(keys_signer_open_soft(key, options, &signer));
    return signer;
}

static enum ca_err sign(struct keys_signer *signer, const struct kind *kind)
{
    return keys_sign_many(signer, crypto, kind->sig, messages, BATCH, signatures);
}

static void check_verify(const struct keys_signer *signer, const struct kind *kind)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct crypto_verification job = {
            .sig = kind->sig,
            .key = keys_signer_public(signer),
            .message = messages[i],
            .signature = { signatures[i].bytes, signatures[i].len },
        };
        crypto_verify_many(crypto, &job, 1);
        check_ok(job.result);
    }
}

Test(signer, a_batch_gets_one_good_signature_per_message)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct keys_signer *signer = open_signer(&kinds[i], &checked);
        check_ok(sign(signer, &kinds[i]));
        check_verify(signer, &kinds[i]);
        check_ok(keys_sign_many(signer, crypto, kinds[i].sig, messages, 0, signatures));
        keys_signer_close(signer);
    }
}

Test(signer, a_fault_in_any_bit_of_any_signature_is_caught_every_time)
{
    static const struct crypto_signature empty;
    size_t caught = 0;

    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct keys_signer *signer = open_signer(&kinds[i], &checked);
        for (size_t n = 0; n < kinds[i].fault_count; n++) {
            fault = (struct fault){ .is_on = true, .index = n, .bit = n * 7 };
            check_err(sign(signer, &kinds[i]), CA_ERR_SIGNATURE_WRONG);
            for (size_t j = 0; j < BATCH; j++)
                check_bytes(ca_bytes_of(&signatures[j], sizeof(empty)),
                            ca_bytes_of(&empty, sizeof(empty)));
            atomic_store(&signer->is_latched, false); /* a new signer each time would be dear */
            caught++;
        }
        keys_signer_close(signer);
    }
    cr_assert_eq(caught, FAULT_COUNT + (KIND_COUNT - 1) * DEAR_FAULT_COUNT);
}

Test(signer, a_wrong_signature_latches_the_signer)
{
    struct keys_signer *signer = open_signer(&kinds[0], &checked);

    check_ok(sign(signer, &kinds[0]));
    fault = (struct fault){ .is_on = true, .index = 3 };
    check_err(sign(signer, &kinds[0]), CA_ERR_SIGNATURE_WRONG);
    fault.is_on = false;
    for (int i = 0; i < 3; i++)
        check_err(sign(signer, &kinds[0]), CA_ERR_KEY_UNUSABLE);
    cr_assert_eq(signatures[0].len, 0);
    keys_signer_close(signer);
}

Test(signer, the_check_can_be_left_out_for_curves_but_not_for_rsa)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key;
        struct keys_signer *signer;
        check_ok(crypto_private_key_generate(kinds[i].type, kinds[i].rsa_bits, &key));
        if (kinds[i].type == CRYPTO_KEY_RSA) {
            check_err(keys_signer_open_soft(key, &unchecked, &signer), CA_ERR_CONFIG);
            cr_assert_null(signer);
            continue;
        }
        check_ok(keys_signer_open_soft(key, &unchecked, &signer));
        fault.is_on = false;
        check_ok(sign(signer, &kinds[i]));
        check_verify(signer, &kinds[i]);
        fault.is_on = true;
        check_ok(sign(signer, &kinds[i])); /* nobody looked */
        keys_signer_close(signer);
    }
}

static enum ca_err random_fails(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 1, len);
    return CA_ERR_RANDOM;
}

static enum ca_err random_is_constant(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 0x5a, len);
    return CA_OK;
}

Test(signer, without_randomness_there_is_no_signature)
{
    crypto_random_fn *const sources[] = { random_fails, random_is_constant };

    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct keys_signer *signer = open_signer(&kinds[i], &checked);
        for (size_t j = 0; j < 2; j++) {
            struct crypto *with;
            check_ok(crypto_open_with_random(sources[j], NULL, &with));
            signatures[0].len = 99;
            check_err(keys_sign_many(signer, with, kinds[i].sig, messages, BATCH, signatures),
                      CA_ERR_RANDOM);
            cr_assert_eq(signatures[0].len, 0);
            crypto_close(with);
        }
        check_ok(sign(signer, &kinds[i])); /* as soon as the source is well again */
        keys_signer_close(signer);
    }
}

Test(signer, a_kind_that_does_not_fit_is_refused_and_latches_nothing)
{
    struct keys_signer *signer = open_signer(&kinds[0], &checked);

    check_err(keys_sign_many(signer, crypto, CRYPTO_SIG_SM2_SM3, messages, 1, signatures),
              CA_ERR_KEY_UNUSABLE);
    check_ok(sign(signer, &kinds[0]));
    keys_signer_close(signer);
    keys_signer_close(NULL);
}

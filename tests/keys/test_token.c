/* SPDX-License-Identifier: Apache-2.0 */
#include <p11-kit/pkcs11.h>

#include "ca/keys/token.h"
#include "tests/support/check.h"
#include "tests/support/softhsm.h"

static struct softhsm softhsm;
static struct keys_pkcs11_options options;
static struct keys_token_key made;
static struct ca_refusal refusal;

static void start(void)
{
    softhsm_make(&softhsm);
    options = (struct keys_pkcs11_options){
        .module = FAULTP11_MODULE,
        .uri = SOFTHSM_URI "new",
        .pin_file = softhsm.pin_file,
        .sessions = 1,
        .timeout_ms = 20000,
    };
}

static void stop(void)
{
    softhsm_heal(&softhsm);
    softhsm_unmake(&softhsm);
}

TestSuite(token, .init = start, .fini = stop, .timeout = 120);

static enum ca_err generate(enum crypto_key_type type, uint32_t rsa_bits)
{
    return keys_token_generate(&options, type, rsa_bits, &made, &refusal);
}

static void count_key(void *arg, const struct keys_token_key *key)
{
    size_t *count = arg;

    (*count)++;
    cr_assert(key->is_sensitive && !key->is_extractable);
    cr_assert(key->public.type != CRYPTO_KEY_NONE);
    cr_assert(strstr(key->uri, "pin") == NULL, "%s", key->uri);
}

static size_t keys_in_token(void)
{
    struct keys_pkcs11_options all = options;
    size_t count = 0;

    all.uri = "pkcs11:token=certmill%20test";
    check_ok(keys_token_list(&all, count_key, &count, &refusal));
    return count;
}

static void check_signs(const struct keys_token_key *key, enum crypto_sig sig)
{
    struct keys_pkcs11_options by_uri = options;
    const struct ca_bytes message = CA_BYTES("message");
    struct crypto_signature signature;
    struct keys_signer *signer;
    struct crypto *crypto;

    by_uri.uri = key->uri;
    check_ok(crypto_open(&crypto));
    check_ok(keys_signer_open_pkcs11(&by_uri, &key->public, &refusal, &signer));
    check_ok(keys_sign_many(signer, crypto, sig, &message, 1, &signature));
    keys_signer_close(signer);
    crypto_close(crypto);
}

Test(token, each_kind_of_key_is_made_found_and_signs)
{
    static const struct {
        const char *uri;
        enum crypto_key_type type;
        uint32_t bits;
        enum crypto_sig sig;
    } kinds[] = {
        { SOFTHSM_URI "p256", CRYPTO_KEY_P256, 256, CRYPTO_SIG_ECDSA_SHA256 },
        { SOFTHSM_URI "p384", CRYPTO_KEY_P384, 384, CRYPTO_SIG_ECDSA_SHA384 },
        { SOFTHSM_URI "ed", CRYPTO_KEY_ED25519, 255, CRYPTO_SIG_ED25519 },
        { SOFTHSM_URI "rsa", CRYPTO_KEY_RSA, 3072, CRYPTO_SIG_PSS_SHA256 },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct keys_token_key found;
        options.uri = kinds[i].uri;
        check_ok(generate(kinds[i].type, kinds[i].bits));
        cr_assert(made.is_sensitive && !made.is_extractable);
        cr_assert(made.public.type == kinds[i].type && made.public.bits == kinds[i].bits);
        check_ok(keys_token_find(&options, &found, &refusal));
        cr_assert_str_eq(found.uri, made.uri);
        check_bytes(found.public.point, made.public.point);
        check_bytes(found.public.modulus, made.public.modulus);
        check_bytes(found.public.exponent, made.public.exponent);
        check_signs(&made, kinds[i].sig);
    }
    cr_assert(keys_in_token() == sizeof(kinds) / sizeof(kinds[0]));
}

Test(token, names_that_are_taken_are_refused_and_nothing_is_made)
{
    options.uri = SOFTHSM_URI "new;id=%11";
    check_ok(generate(CRYPTO_KEY_P256, 0));
    check_err(generate(CRYPTO_KEY_P256, 0), CA_ERR_EXISTS);
    options.uri = SOFTHSM_URI "other;id=%11";
    check_err(generate(CRYPTO_KEY_P256, 0), CA_ERR_EXISTS);
    options.uri = SOFTHSM_URI "new;id=%12";
    check_err(generate(CRYPTO_KEY_P256, 0), CA_ERR_EXISTS);
    cr_assert(keys_in_token() == 1);
}

Test(token, what_can_not_be_made_is_refused)
{
    check_err(generate(CRYPTO_KEY_SM2, 0), CA_ERR_KEY_TYPE);
    check_err(generate(CRYPTO_KEY_RSA, 1024), CA_ERR_KEY_SIZE);
    softhsm_fail(&softhsm, 0, FAULTP11_C_GetMechanismInfo, CKR_MECHANISM_INVALID, 1);
    check_err(generate(CRYPTO_KEY_ED25519, 0), CA_ERR_KEY_TYPE);
    options.uri = "pkcs11:token=certmill%20test";
    check_err(generate(CRYPTO_KEY_P256, 0), CA_ERR_CONFIG);
    check_err(keys_token_find(&options, &made, &refusal), CA_ERR_CONFIG);
    options.uri = SOFTHSM_URI "nobody";
    check_err(keys_token_find(&options, &made, &refusal), CA_ERR_NOT_FOUND);
    cr_assert(keys_in_token() == 0);
}

/* Whichever call fails: an answer, no half-made key, and the next try is as good as the first. */
Test(token, a_call_that_fails_while_a_key_is_made_leaves_none)
{
    for (int call = FAULTP11_C_GetSlotList; call <= FAULTP11_C_GenerateKeyPair; call++) {
        if (call == FAULTP11_C_SignInit || call == FAULTP11_C_Sign || call == FAULTP11_CALL_COUNT ||
            call == FAULTP11_C_CloseSession)
            continue;
        /* P-256 has one name, so that one failure is enough. */
        softhsm_close_sessions();
        softhsm_fail(&softhsm, 0, (enum faultp11_call)call, CKR_DEVICE_ERROR, 1);
        enum ca_err err = generate(CRYPTO_KEY_P256, 0);
        cr_assert(atomic_load(&softhsm.faults->rules[0].fired) == 1, "call %d", call);
        cr_assert(err != CA_OK, "call %d", call);
        softhsm_heal(&softhsm);
        cr_assert(keys_in_token() == 0, "call %d", call);
    }
    check_ok(generate(CRYPTO_KEY_P256, 0));
    check_signs(&made, CRYPTO_SIG_ECDSA_SHA256);
}

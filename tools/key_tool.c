/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/key_tool.h"

#include <time.h>

#include "ca/crypto/digest.h"
#include "ca/keys/token.h"
#include "ca/x509/algorithm.h"
#include "tools/file.h"

enum {
    TOKEN_TIMEOUT_MS = 60000,
    SPKI_LEN_MAX = 1024,
    PASSES_MAX = 16,
    MEMORY_MIB_MAX = 4096,
    CHALLENGE_RANDOM_LEN = 32,
};

/* ---- options */

bool key_access_take(struct key_access *access, size_t option, const char *value)
{
    switch ((enum key_option)option) {
    case KEY_PASSPHRASE_FILE: return passphrase_add_file(&access->source, value);
    case KEY_PASSPHRASE_FD: return passphrase_add_fd(&access->source, value);
    case KEY_DUAL: access->source.is_divided = true; return true;
    case KEY_CUSTODIAN: return passphrase_add_custodian(&access->source, value);
    case KEY_MODULE: access->module = value; return true;
    case KEY_PIN_FILE: access->pin_file = value; return true;
    case KEY_OPTION_COUNT: break;
    }
    return false;
}

bool key_place_is_token(const char *place)
{
    return strncmp(place, "pkcs11:", 7) == 0;
}

bool key_access_check(const struct key_access *access, const char *place)
{
    if (key_place_is_token(place) && (access->module == NULL || access->pin_file == NULL))
        command_wrong("a key in a token needs --module and --pin-file");
    else if (access->source.is_divided && access->source.count == 1)
        command_wrong("--dual takes two sources of a passphrase, or none");
    else
        return true;
    return false;
}

bool key_take_passes(const char *value, struct keys_sealed_options *options)
{
    uint64_t number;

    if (!command_number("passes", value, KEYS_SEALED_PASSES_MIN, PASSES_MAX, &number))
        return false;
    options->passes = (uint32_t)number;
    return true;
}

bool key_take_memory(const char *value, struct keys_sealed_options *options)
{
    uint64_t number;

    if (!command_number("memory-mib", value, KEYS_SEALED_MEMORY_MIN >> 20, MEMORY_MIB_MAX, &number))
        return false;
    options->memory = number << 20;
    return true;
}

/* ---- opening */

struct keys_pkcs11_options key_token_options(const struct key_access *access, const char *uri)
{
    return (struct keys_pkcs11_options){ .module = access->module,
                                         .uri = uri,
                                         .pin_file = access->pin_file,
                                         .sessions = 1,
                                         .timeout_ms = TOKEN_TIMEOUT_MS };
}

static enum ca_err open_token(const struct key_access *access, const char *uri,
                              const struct crypto_public_key *expected,
                              struct keys_signer **signer_out)
{
    const struct keys_pkcs11_options options = key_token_options(access, uri);
    struct keys_token_key key;
    struct ca_refusal refusal;
    enum ca_err err = CA_OK;

    if (expected == NULL) {
        err = keys_token_find(&options, &key, &refusal);
        expected = &key.public;
    }
    if (err == CA_OK)
        err = keys_signer_open_pkcs11(&options, expected, &refusal, signer_out);
    if (err != CA_OK)
        command_failed("%s: %s: %s (%s)", uri, refusal.field, refusal.rule, ca_err_text(err));
    return err;
}

static enum ca_err open_file(const char *path, const struct keys_secret *passphrase,
                             const struct crypto_public_key *expected,
                             struct keys_signer **signer_out)
{
    static const struct keys_signer_options checked = { .is_unchecked = false };
    struct crypto_private_key *key;
    enum ca_err err = keys_sealed_load(path, passphrase, &key);

    if (err == CA_OK && expected != NULL &&
        !crypto_public_key_equal(crypto_private_key_public(key), expected)) {
        crypto_private_key_free(key);
        command_failed("%s: not the key of the certificate", path);
        return CA_ERR_KEY_UNUSABLE;
    }
    if (err == CA_OK)
        err = keys_signer_open_soft(key, &checked, signer_out);
    if (err != CA_OK)
        command_failed("%s: %s", path, file_err_text(err));
    return err;
}

enum ca_err key_open(const struct key_access *access, const char *place,
                     const struct keys_secret *passphrase, const struct crypto_public_key *expected,
                     struct keys_signer **signer_out)
{
    *signer_out = NULL;
    return key_place_is_token(place) ? open_token(access, place, expected, signer_out)
                                     : open_file(place, passphrase, expected, signer_out);
}

/* ---- telling */

void key_type_text(const struct crypto_public_key *key, char text[KEY_TYPE_TEXT_LEN])
{
    if (key->type == CRYPTO_KEY_RSA)
        snprintf(text, KEY_TYPE_TEXT_LEN, "rsa:%u", key->bits);
    else
        snprintf(text, KEY_TYPE_TEXT_LEN, "%s", crypto_key_type_name(key->type));
}

void key_digest_text(const struct crypto_public_key *key, char text[2 * CA_DIGEST_LEN + 1])
{
    uint8_t buffer[SPKI_LEN_MAX], digest[CA_DIGEST_LEN];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_spki_write(&writer, key);
    struct ca_bytes spki = der_writer_bytes(&writer);
    crypto_sha256(&spki, 1, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

void key_json(struct json *json, const struct crypto_public_key *key)
{
    char type[KEY_TYPE_TEXT_LEN], digest[2 * CA_DIGEST_LEN + 1];

    if (key->type == CRYPTO_KEY_NONE)
        return;
    key_type_text(key, type);
    key_digest_text(key, digest);
    json_text(json, "type", type);
    json_text(json, "sha256", digest);
}

/* ---- trial */

/*
 * What is signed on trial. Everything of X.509 that a CA signs (certificates, CRLs, requests, OCSP
 * answers) is a SEQUENCE and begins with 0x30; this begins with the letter c.
 */
static const char challenge_text[] =
    "certmill key test: a challenge, neither certificate nor CRL nor request\n";
struct challenge {
    char text[sizeof(challenge_text)];
    uint8_t random[CHALLENGE_RANDOM_LEN];
};

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static enum ca_err try_once(struct keys_signer *signer, struct crypto *crypto,
                            const struct crypto_public_key *verify_with, double *taken_us)
{
    enum crypto_sig sig = crypto_sig_usual(verify_with->type);
    struct crypto_signature signature;
    struct challenge challenge;
    enum ca_err err;

    memcpy(challenge.text, challenge_text, sizeof(challenge_text));
    if ((err = crypto_random(challenge.random, sizeof(challenge.random))) != CA_OK)
        return err;
    struct ca_bytes message = ca_bytes_of(&challenge, sizeof(challenge));
    double start_us = now_us();
    if ((err = keys_sign_many(signer, crypto, sig, &message, 1, &signature)) != CA_OK)
        return err;
    *taken_us = now_us() - start_us;
    struct crypto_verification job = { sig, verify_with, message,
                                       ca_bytes_of(signature.bytes, signature.len), CA_OK };
    crypto_verify_many(crypto, &job, 1);
    return job.result == CA_ERR_NOMEM || job.result == CA_OK ? job.result : CA_ERR_SIGNATURE_WRONG;
}

enum ca_err key_try(struct keys_signer *signer, const struct crypto_public_key *verify_with,
                    size_t count, double *taken_us)
{
    struct crypto *crypto;
    enum ca_err err = crypto_open(&crypto);

    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < count && err == CA_OK; i++)
        err = try_once(signer, crypto, verify_with, &taken_us[i]);
    crypto_close(crypto);
    return err;
}

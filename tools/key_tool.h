/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_tool: what the key commands share: where a key is, opening it, and how it is told.
 *
 * A place is the URI of a key in a token (it begins with "pkcs11:"), or a sealed file.
 */
#pragma once

#include "ca/keys/keys.h"
#include "tools/command.h"
#include "tools/passphrase.h"

/* ---- options of all key commands: the first ones of each table */

enum key_option {
    KEY_PASSPHRASE_FILE,
    KEY_PASSPHRASE_FD,
    KEY_DUAL,
    KEY_CUSTODIAN,
    KEY_MODULE,
    KEY_PIN_FILE,
    KEY_OPTION_COUNT,
};

/* clang-format off */
#define KEY_OPTIONS                                                                                \
    [KEY_PASSPHRASE_FILE] = { "passphrase-file", "FILE", "file with the passphrase, or a half" }, \
    [KEY_PASSPHRASE_FD] = { "passphrase-fd", "N", "descriptor to read it from" },                 \
    [KEY_DUAL] = { "dual", NULL, "dual control: a passphrase of two halves" },                    \
    [KEY_CUSTODIAN] = { "custodian", "NAME", "who is asked for a half; given twice" },            \
    [KEY_MODULE] = { "module", "FILE", "of a token: its PKCS#11 module" },                        \
    [KEY_PIN_FILE] = { "pin-file", "FILE", "of a token: file with the PIN" }
/* clang-format on */

struct key_access {
    struct passphrase_source source;
    const char *module, *pin_file;
};

/* For the take() of a command; false after a word. */
bool key_access_take(struct key_access *access, size_t option, const char *value);
/* False after a word: a place in a token without module or PIN file, or --dual with one half. */
bool key_access_check(const struct key_access *access, const char *place);

bool key_place_is_token(const char *place);

/* ---- opening */

struct keys_pkcs11_options key_token_options(const struct key_access *access, const char *uri);
/*
 * Says on standard error why it can not be opened. expected is the key it must be; NULL: any.
 * passphrase serves sealed files. KEY_UNUSABLE for another key.
 */
CA_MUST_CHECK enum ca_err key_open(const struct key_access *access, const char *place,
                                   const struct keys_secret *passphrase,
                                   const struct crypto_public_key *expected,
                                   struct keys_signer **signer_out);

/* ---- telling */

enum { KEY_TYPE_TEXT_LEN = 32 };
/* "p256", "rsa:3072": as --type takes it. */
void key_type_text(const struct crypto_public_key *key, char text[KEY_TYPE_TEXT_LEN]);
/* SHA-256 of the SubjectPublicKeyInfo, in hexadecimal. */
void key_digest_text(const struct crypto_public_key *key, char text[2 * CA_DIGEST_LEN + 1]);
/* Both, as members of the current object; nothing for a token's key that is not known. */
void key_json(struct json *json, const struct crypto_public_key *key);

/* ---- parameters of a sealed file */

/* --passes and --memory-mib, or what is usual. Bounds are checked when the file is sealed. */
bool key_take_passes(const char *value, struct keys_sealed_options *options);
bool key_take_memory(const char *value, struct keys_sealed_options *options);

/* ---- trial */

/*
 * Signs something that is neither certificate nor CRL, count times, and verifies it with the key
 * given: microseconds for each signature go to taken_us. Says nothing.
 */
CA_MUST_CHECK enum ca_err key_try(struct keys_signer *signer,
                                  const struct crypto_public_key *verify_with, size_t count,
                                  double *taken_us);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token: the keys inside a PKCS#11 token, as an operator makes and looks at them.
 *
 * For programs that do one thing and end: calls take as long as the module takes. Of the options
 * module, uri and pin_file are used. Errors and refusal as from keys_signer_open_pkcs11().
 */
#pragma once

#include "ca/keys/keys.h"

enum { KEYS_TOKEN_URI_LEN_MAX = 1024, KEYS_TOKEN_VALUE_LEN_MAX = 1024 };

/* Not to be copied: its public key is in its memory. */
struct keys_token_key {
    char uri[KEYS_TOKEN_URI_LEN_MAX + 1]; /* RFC 7512: token, object, id, type */
    /* NONE where the token does not have its public half, or it is of a kind that is not used. */
    struct crypto_public_key public;
    bool is_sensitive;   /* its private half is not shown in the clear */
    bool is_extractable; /* it can be taken out, wrapped with another key */
    uint8_t memory[KEYS_TOKEN_VALUE_LEN_MAX + 16];
};

/* Every private key that fits the URI, which may name a token alone. */
typedef void keys_token_visit_fn(void *arg, const struct keys_token_key *key);
CA_MUST_CHECK enum ca_err keys_token_list(const struct keys_pkcs11_options *options,
                                          keys_token_visit_fn *visit, void *arg,
                                          struct ca_refusal *refusal);

/* The one key that the URI names; its public half must be there, and of a kind that can sign. */
CA_MUST_CHECK enum ca_err keys_token_find(const struct keys_pkcs11_options *options,
                                          struct keys_token_key *key_out,
                                          struct ca_refusal *refusal);

/*
 * Makes a pair in the token: it signs, and its private half never leaves. The URI must name an
 * object; without an id a random one is taken. EXISTS when the token has an object of that label or
 * id. KEY_TYPE for SM2 and for what the token does not make, KEY_SIZE. A token that made the key
 * otherwise than it was told (KEY_UNUSABLE) is left without it.
 */
CA_MUST_CHECK enum ca_err keys_token_generate(const struct keys_pkcs11_options *options,
                                              enum crypto_key_type type, uint32_t rsa_bits,
                                              struct keys_token_key *key_out,
                                              struct ca_refusal *refusal);

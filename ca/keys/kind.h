/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind: where a signer's key is, behind keys.h; private to this folder.
 *
 * A kind makes signatures and nothing else. That each of them is verified, and that one wrong
 * signature ends the use of a key, is signer.c's, the same for every kind.
 */
#pragma once

#include "ca/keys/keys.h"

struct keys_kind {
    enum ca_err (*sign_many)(void *key, struct crypto *crypto, const struct keys_order *order,
                             struct crypto_signature *signatures);
    enum ca_err (*sign_digest)(void *key, struct crypto *crypto, const struct keys_order *order,
                               struct crypto_signature *signature);
    void (*close)(void *key);
    bool is_remote;
    /* NULL: it asks for no tickets, is always ready, and counts nothing. */
    void (*ticket)(void *key, const struct keys_intent *intent, struct keys_ticket *ticket_out);
    enum ca_err (*state)(void *key);
    void (*count)(void *key, struct keys_signer_counts *counts_out);
};

/* Takes the key over, also on failure. public is copied. */
CA_MUST_CHECK enum ca_err keys_signer_new(const struct keys_kind *kind, void *key,
                                          const struct crypto_public_key *public, bool is_unchecked,
                                          struct keys_signer **signer_out);

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
    enum ca_err (*sign_many)(void *key, struct crypto *crypto, enum crypto_sig sig,
                             const struct ca_bytes *messages, size_t count,
                             struct crypto_signature *signatures);
    enum ca_err (*sign_digest)(void *key, struct crypto *crypto, enum crypto_sig sig,
                               const struct crypto_digest *digest,
                               struct crypto_signature *signature);
    void (*close)(void *key);
    bool is_remote;
};

/* Takes the key over, also on failure. public is copied. */
CA_MUST_CHECK enum ca_err keys_signer_new(const struct keys_kind *kind, void *key,
                                          const struct crypto_public_key *public, bool is_unchecked,
                                          struct keys_signer **signer_out);

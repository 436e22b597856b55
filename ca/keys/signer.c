/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ca/keys/keys.h"
#include "ca/keys/kind.h"

struct keys_signer {
    const struct keys_kind *kind;
    void *key; /* the kind's */
    struct crypto_own_key *own;
    bool is_unchecked;
    atomic_bool is_latched; /* set once, by any thread, never cleared */
};

/* ---- soft keys */

static enum ca_err soft_sign_many(void *key, struct crypto *crypto, enum crypto_sig sig,
                                  const struct ca_bytes *messages, size_t count,
                                  struct crypto_signature *signatures)
{
    return crypto_sign_many(crypto, key, sig, messages, count, signatures);
}

static enum ca_err soft_sign_digest(void *key, struct crypto *crypto, enum crypto_sig sig,
                                    const struct crypto_digest *digest,
                                    struct crypto_signature *signature)
{
    return crypto_sign_digest(crypto, key, sig, digest, signature);
}

static void soft_close(void *key)
{
    crypto_private_key_free(key);
}

static const struct keys_kind soft = { soft_sign_many, soft_sign_digest, soft_close, false };

enum ca_err keys_signer_open_soft(struct crypto_private_key *key,
                                  const struct keys_signer_options *options,
                                  struct keys_signer **signer_out)
{
    return keys_signer_new(&soft, key, crypto_private_key_public(key), options->is_unchecked,
                           signer_out);
}

/* ---- every kind */

enum ca_err keys_signer_new(const struct keys_kind *kind, void *key,
                            const struct crypto_public_key *public, bool is_unchecked,
                            struct keys_signer **signer_out)
{
    struct keys_signer *signer = calloc(1, sizeof(*signer));
    enum ca_err err = CA_ERR_NOMEM;

    *signer_out = NULL;
    if (signer == NULL) {
        kind->close(key);
        return err;
    }
    signer->kind = kind;
    signer->key = key;
    signer->is_unchecked = is_unchecked;
    atomic_init(&signer->is_latched, false);
    /* One faulty RSA signature tells the factors to everybody; another device is never trusted. */
    err = CA_ERR_CONFIG;
    if (is_unchecked && (public->type == CRYPTO_KEY_RSA || kind->is_remote))
        goto out;
    if ((err = crypto_own_key_new(public, &signer->own)) != CA_OK)
        goto out;
    *signer_out = signer;
    signer = NULL;
out:
    keys_signer_close(signer);
    return err;
}

void keys_signer_close(struct keys_signer *signer)
{
    if (signer == NULL)
        return;
    signer->kind->close(signer->key);
    crypto_own_key_free(signer->own);
    free(signer);
}

const struct crypto_public_key *keys_signer_public(const struct keys_signer *signer)
{
    return crypto_own_key_public(signer->own);
}

bool keys_signer_is_remote(const struct keys_signer *signer)
{
    return signer->kind->is_remote;
}

enum ca_err keys_sign_many(struct keys_signer *signer, struct crypto *crypto, enum crypto_sig sig,
                           const struct ca_bytes *messages, size_t count,
                           struct crypto_signature *signatures)
{
    enum ca_err err = CA_ERR_KEY_UNUSABLE;

    if (atomic_load(&signer->is_latched))
        goto out;
    err = signer->kind->sign_many(signer->key, crypto, sig, messages, count, signatures);
    if (err == CA_OK && !signer->is_unchecked)
        err = crypto_verify_own_many(crypto, signer->own, sig, messages, count, signatures);
    if (err == CA_ERR_SIGNATURE_WRONG)
        atomic_store(&signer->is_latched, true);
out:
    /* A wrong signature can tell the key: not even its bytes are left. */
    if (err != CA_OK)
        sodium_memzero(signatures, count * sizeof(*signatures));
    return err;
}

enum ca_err keys_sign_digest(struct keys_signer *signer, struct crypto *crypto, enum crypto_sig sig,
                             const struct crypto_digest *digest, struct crypto_signature *signature)
{
    enum ca_err err = CA_ERR_KEY_UNUSABLE;

    if (atomic_load(&signer->is_latched))
        goto out;
    err = signer->kind->sign_digest(signer->key, crypto, sig, digest, signature);
    if (err == CA_OK && !signer->is_unchecked)
        err = crypto_verify_own_digest(crypto, signer->own, sig, digest,
                                       ca_bytes_of(signature->bytes, signature->len));
    if (err == CA_ERR_SIGNATURE_WRONG)
        atomic_store(&signer->is_latched, true);
out:
    if (err != CA_OK)
        sodium_memzero(signature, sizeof(*signature));
    return err;
}

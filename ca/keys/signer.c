/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ca/keys/head.h"
#include "ca/keys/kind.h"

struct keys_signer {
    const struct keys_kind *kind;
    void *key; /* the kind's */
    struct crypto_own_key *own;
    bool is_unchecked;
    atomic_bool is_latched; /* set once, by any thread, never cleared */
};

/* ---- soft keys */

static enum ca_err soft_sign_many(void *key, struct crypto *crypto, const struct keys_order *order,
                                  struct crypto_signature *signatures)
{
    return crypto_sign_many(crypto, key, order->sig, order->messages, order->count, signatures);
}

static enum ca_err soft_sign_digest(void *key, struct crypto *crypto,
                                    const struct keys_order *order,
                                    struct crypto_signature *signature)
{
    return crypto_sign_digest(crypto, key, order->sig, order->digest, signature);
}

static void soft_close(void *key)
{
    crypto_private_key_free(key);
}

static const struct keys_kind soft = { .sign_many = soft_sign_many,
                                       .sign_digest = soft_sign_digest,
                                       .close = soft_close };

/* ---- the same, of the audit log: what the signer process does for one that is there */

struct soft_head {
    struct crypto_private_key *key;
    struct keys_head_guard guard;
};

static enum ca_err soft_head_sign_many(void *key, struct crypto *crypto,
                                       const struct keys_order *order,
                                       struct crypto_signature *signatures)
{
    struct soft_head *head = key;

    if (order->count != 1)
        return CA_ERR_DENIED;
    enum ca_err err = keys_head_guard_admit(&head->guard, order->messages[0]);
    return err == CA_OK ? soft_sign_many(head->key, crypto, order, signatures) : err;
}

static enum ca_err soft_head_sign_digest(void *key, struct crypto *crypto,
                                         const struct keys_order *order,
                                         struct crypto_signature *signature)
{
    (void)key;
    (void)crypto;
    (void)order;
    (void)signature;
    return CA_ERR_DENIED;
}

static void soft_head_close(void *key)
{
    struct soft_head *head = key;

    keys_head_guard_wipe(&head->guard);
    crypto_private_key_free(head->key);
    free(head);
}

static const struct keys_kind soft_head = { .sign_many = soft_head_sign_many,
                                            .sign_digest = soft_head_sign_digest,
                                            .close = soft_head_close };

static enum ca_err soft_head_open(struct crypto_private_key *key, struct keys_signer **signer_out)
{
    const struct crypto_public_key *public = crypto_private_key_public(key);
    bool is_fit = public->type == CRYPTO_KEY_ED25519;
    struct soft_head *head = is_fit ? calloc(1, sizeof(*head)) : NULL;

    *signer_out = NULL;
    if (head == NULL) {
        crypto_private_key_free(key);
        return is_fit ? CA_ERR_NOMEM : CA_ERR_CONFIG;
    }
    head->key = key;
    keys_head_guard_init(&head->guard);
    return keys_signer_new(&soft_head, head, public, false, signer_out);
}

enum ca_err keys_signer_open_soft(struct crypto_private_key *key,
                                  const struct keys_signer_options *options,
                                  struct keys_signer **signer_out)
{
    if (options->signs_heads)
        return soft_head_open(key, signer_out);
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

enum ca_err keys_signer_state(const struct keys_signer *signer)
{
    if (atomic_load(&signer->is_latched))
        return CA_ERR_KEY_UNUSABLE;
    return signer->kind->state == NULL ? CA_OK : signer->kind->state(signer->key);
}

void keys_signer_count(const struct keys_signer *signer, struct keys_signer_counts *counts_out)
{
    *counts_out = (struct keys_signer_counts){ 0 };
    if (signer->kind->count != NULL)
        signer->kind->count(signer->key, counts_out);
}

void keys_ticket_make(const struct keys_signer *signer, const struct keys_intent *intent,
                      struct keys_ticket *ticket_out)
{
    *ticket_out = (struct keys_ticket){ .kind = KEYS_TICKET_NONE };
    if (signer->kind->ticket != NULL)
        signer->kind->ticket(signer->key, intent, ticket_out);
}

static enum ca_err verify(const struct keys_signer *signer, struct crypto *crypto,
                          const struct keys_order *order, const struct crypto_signature *signatures)
{
    if (order->digest != NULL)
        return crypto_verify_own_digest(crypto, signer->own, order->sig, order->digest,
                                        ca_bytes_of(signatures->bytes, signatures->len));
    return crypto_verify_own_many(crypto, signer->own, order->sig, order->messages, order->count,
                                  signatures);
}

enum ca_err keys_sign(struct keys_signer *signer, struct crypto *crypto,
                      const struct keys_order *order, struct crypto_signature *signatures)
{
    size_t count = order->digest != NULL ? 1 : order->count;
    enum ca_err err = CA_ERR_KEY_UNUSABLE;

    if (atomic_load(&signer->is_latched))
        goto out;
    if (order->digest != NULL)
        err = signer->kind->sign_digest(signer->key, crypto, order, signatures);
    else
        err = signer->kind->sign_many(signer->key, crypto, order, signatures);
    if (err == CA_OK && !signer->is_unchecked)
        err = verify(signer, crypto, order, signatures);
    if (err == CA_ERR_SIGNATURE_WRONG)
        atomic_store(&signer->is_latched, true);
out:
    /* A wrong signature can tell the key: not even its bytes are left. */
    if (err != CA_OK)
        sodium_memzero(signatures, count * sizeof(*signatures));
    return err;
}

enum ca_err keys_sign_many(struct keys_signer *signer, struct crypto *crypto, enum crypto_sig sig,
                           const struct ca_bytes *messages, size_t count,
                           struct crypto_signature *signatures)
{
    const struct keys_order order = { .sig = sig, .messages = messages, .count = count };

    return keys_sign(signer, crypto, &order, signatures);
}

enum ca_err keys_sign_digest(struct keys_signer *signer, struct crypto *crypto, enum crypto_sig sig,
                             const struct crypto_digest *digest, struct crypto_signature *signature)
{
    const struct keys_order order = { .sig = sig, .digest = digest };

    return keys_sign(signer, crypto, &order, signature);
}

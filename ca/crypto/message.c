/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/message.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "ca/crypto/internal.h"

/* enum crypto_hash, and one more. */
enum { HASH_SM3 = CRYPTO_SHA512 + 1 };

union state {
    SHA256_CTX of_256;
    SHA512_CTX of_512;
    struct crypto_sm3 of_sm3;
};
_Static_assert(sizeof(union state) <= sizeof(((struct crypto_message *)0)->state), "states fit");
_Static_assert((int)CRYPTO_DIGEST_LEN_MAX == (int)CRYPTO_HASH_LEN_MAX, "digests fit");

/* Copied in and out: the header's field has no type of OpenSSL's. */
static union state load(const struct crypto_message *message)
{
    union state state;

    memcpy(&state, message->state, sizeof(state));
    return state;
}

static void save(struct crypto_message *message, const union state *state)
{
    memcpy(message->state, state, sizeof(*state));
}

static void begin(struct crypto_message *message, uint32_t hash)
{
    union state state;

    memset(&state, 0, sizeof(state));
    message->hash = hash;
    switch (hash) {
    case CRYPTO_SHA256: SHA256_Init(&state.of_256); break;
    case CRYPTO_SHA384: SHA384_Init(&state.of_512); break;
    case CRYPTO_SHA512: SHA512_Init(&state.of_512); break;
    default: crypto_sm3_init(&state.of_sm3); break;
    }
    save(message, &state);
}

enum ca_err crypto_message_init(struct crypto_message *message, enum crypto_sig sig,
                                const struct crypto_public_key *key)
{
    if (sig == CRYPTO_SIG_ED25519 || !crypto_sig_fits(sig, key->type))
        return CA_ERR_KEY_TYPE;
    if (sig != CRYPTO_SIG_SM2_SM3) {
        begin(message, crypto_sig_hash(sig));
        return CA_OK;
    }
    if (key->point.len != 65)
        return CA_ERR_KEY_TYPE;

    struct crypto_sm3 prefix;
    uint8_t z[CA_DIGEST_LEN];
    crypto_sm2_prefix(&prefix);
    crypto_sm3_update(&prefix, ca_bytes_of(key->point.data + 1, 64));
    crypto_sm3_final(&prefix, z);
    begin(message, HASH_SM3);
    crypto_message_update(message, ca_bytes_of(z, sizeof(z)));
    return CA_OK;
}

void crypto_message_init_sha256(struct crypto_message *message)
{
    begin(message, CRYPTO_SHA256);
}

void crypto_message_update(struct crypto_message *message, struct ca_bytes bytes)
{
    union state state = load(message);

    switch (message->hash) {
    case CRYPTO_SHA256: SHA256_Update(&state.of_256, bytes.data, bytes.len); break;
    case CRYPTO_SHA384:
    case CRYPTO_SHA512: SHA512_Update(&state.of_512, bytes.data, bytes.len); break;
    default: crypto_sm3_update(&state.of_sm3, bytes); break;
    }
    save(message, &state);
}

void crypto_message_final(struct crypto_message *message, struct crypto_digest *digest_out)
{
    union state state = load(message);

    switch (message->hash) {
    case CRYPTO_SHA256: SHA256_Final(digest_out->bytes, &state.of_256); break;
    case CRYPTO_SHA384:
    case CRYPTO_SHA512: SHA512_Final(digest_out->bytes, &state.of_512); break;
    default: crypto_sm3_final(&state.of_sm3, digest_out->bytes); break;
    }
    digest_out->len = message->hash == HASH_SM3 ? CA_DIGEST_LEN : crypto_hash_len(message->hash);
}

static bool digest_fits(enum crypto_sig sig, const struct crypto_digest *digest)
{
    size_t len = sig == CRYPTO_SIG_SM2_SM3 ? CA_DIGEST_LEN : crypto_hash_len(crypto_sig_hash(sig));
    return digest->len == len;
}

enum ca_err crypto_sign_digest(struct crypto *crypto, const struct crypto_private_key *key,
                               enum crypto_sig sig, const struct crypto_digest *digest,
                               struct crypto_signature *signature)
{
    uint8_t probe[2 * CRYPTO_HEALTH_LEN];
    enum ca_err err;

    memset(signature, 0, sizeof(*signature));
    if (sig == CRYPTO_SIG_ED25519)
        return CA_ERR_KEY_TYPE;
    if (!crypto_sig_fits(sig, key->public.type) || !digest_fits(sig, digest))
        return CA_ERR_KEY_UNUSABLE;
    if ((err = crypto_fresh(crypto, probe, sizeof(probe))) != CA_OK)
        return err;
    if (key->public.type == CRYPTO_KEY_RSA)
        err = crypto_rsa_sign_digest(crypto, key, sig, digest->bytes, signature);
    else
        err = crypto_elliptic_sign_digest(crypto, key, digest->bytes, digest->len, signature);
    if (err != CA_OK)
        OPENSSL_cleanse(signature, sizeof(*signature));
    return err;
}

enum ca_err crypto_verify_own_digest(struct crypto *crypto, const struct crypto_own_key *own,
                                     enum crypto_sig sig, const struct crypto_digest *digest,
                                     struct ca_bytes signature)
{
    const struct crypto_public_key *key = &own->public;
    enum ca_err err;

    if (sig == CRYPTO_SIG_ED25519)
        return CA_ERR_KEY_TYPE;
    if (!crypto_sig_fits(sig, key->type) || !digest_fits(sig, digest))
        return CA_ERR_SIGNATURE_WRONG;
    if (key->type == CRYPTO_KEY_RSA)
        err = crypto_rsa_verify_digest(crypto, key, own->montgomery, sig, digest->bytes, signature);
    else
        err = crypto_elliptic_verify_own_digest(crypto, own, digest->bytes, digest->len, signature);
    return err == CA_OK || err == CA_ERR_NOMEM ? err : CA_ERR_SIGNATURE_WRONG;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/issue.h"

static bool is_blocked(const struct rules_blocked_keys *blocked,
                       const uint8_t digest[CA_DIGEST_LEN])
{
    size_t low = 0;
    size_t high = blocked->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = ca_bytes_compare(ca_bytes_of(digest, CA_DIGEST_LEN),
                                     ca_bytes_of(blocked->digests[middle], CA_DIGEST_LEN));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static const struct rules_key_allowed *find_allowed(const struct rules_profile *profile,
                                                    enum crypto_key_type type)
{
    for (size_t i = 0; i < profile->key_count; i++) {
        if (profile->keys[i].type == type)
            return &profile->keys[i];
    }
    return NULL;
}

enum ca_err rules_key_check(const struct rules_profile *profile, const struct x509_csr *csr,
                            const struct rules_blocked_keys *blocked,
                            const uint8_t spki_digest[CA_DIGEST_LEN], struct ca_refusal *refusal)
{
    const struct crypto_public_key *key = &csr->key;
    const struct rules_key_allowed *allowed = find_allowed(profile, key->type);

    if (allowed == NULL)
        return ca_refuse(refusal, CA_ERR_KEY_TYPE, "csr.key", "profile keys");
    if (key->type == CRYPTO_KEY_RSA &&
        (key->bits < allowed->bits_min || key->bits > allowed->bits_max))
        return ca_refuse(refusal, CA_ERR_KEY_SIZE, "csr.key", "profile keys");
    if (is_blocked(blocked, spki_digest))
        return ca_refuse(refusal, CA_ERR_KEY_BLOCKED, "csr.key", "list of blocked keys");
    if (key->type == CRYPTO_KEY_RSA)
        return crypto_rsa_check(key, refusal);
    return CA_OK;
}

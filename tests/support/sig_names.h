/* SPDX-License-Identifier: Apache-2.0 */
/* sig_names: kinds of signatures and keys by the names they have in tests/vectors. */
#pragma once

#include "ca/crypto/crypto.h"
#include "tests/support/check.h"

static inline enum crypto_sig sig_named(const char *name)
{
    static const char *const names[] = {
        [CRYPTO_SIG_NONE] = "NONE",
        [CRYPTO_SIG_ECDSA_SHA256] = "ECDSA_SHA256",
        [CRYPTO_SIG_ECDSA_SHA384] = "ECDSA_SHA384",
        [CRYPTO_SIG_ECDSA_SHA512] = "ECDSA_SHA512",
        [CRYPTO_SIG_RSA_SHA256] = "RSA_SHA256",
        [CRYPTO_SIG_RSA_SHA384] = "RSA_SHA384",
        [CRYPTO_SIG_RSA_SHA512] = "RSA_SHA512",
        [CRYPTO_SIG_PSS_SHA256] = "PSS_SHA256",
        [CRYPTO_SIG_PSS_SHA384] = "PSS_SHA384",
        [CRYPTO_SIG_PSS_SHA512] = "PSS_SHA512",
        [CRYPTO_SIG_ED25519] = "ED25519",
        [CRYPTO_SIG_SM2_SM3] = "SM2_SM3",
    };
    size_t i = 0;
    while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], name) != 0)
        i++;
    cr_assert_lt(i, sizeof(names) / sizeof(names[0]), "no such kind of signature: %s", name);
    return (enum crypto_sig)i;
}

/* NONE if no type has that name. */
static inline enum crypto_key_type key_type_named(const char *name)
{
    for (int type = CRYPTO_KEY_P256; type <= CRYPTO_KEY_SM2; type++) {
        if (strcmp(crypto_key_type_name((enum crypto_key_type)type), name) == 0)
            return (enum crypto_key_type)type;
    }
    return CRYPTO_KEY_NONE;
}

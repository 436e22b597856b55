/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_signature: what is taken as a DER pair is the one encoding of that pair. */
#include <assert.h>

#include "ca/crypto/signature.h"

static void check(struct ca_bytes der, size_t half)
{
    uint8_t pair[CRYPTO_PAIR_LEN_MAX];
    uint8_t again[CRYPTO_PAIR_DER_LEN_MAX];

    if (!crypto_pair_decode(der, half, pair))
        return;
    size_t len = crypto_pair_encode(pair, half, again);
    assert(ca_bytes_equal(ca_bytes_of(again, len), der));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(ca_bytes_of(data, size), 32);
    check(ca_bytes_of(data, size), 48);
    return 0;
}

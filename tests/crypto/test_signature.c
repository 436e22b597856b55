/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/signature.h"

#include "tests/support/table.h"

TestSuite(signature, .timeout = 20);

Test(signature, a_pair_has_one_encoding_and_all_others_are_refused)
{
    struct table table;
    size_t refused = 0, taken = 0;

    table_open(&table, "pairs.tsv");
    while (table_next(&table, 3)) {
        uint8_t der[256], pair[CRYPTO_PAIR_LEN_MAX], want[CRYPTO_PAIR_LEN_MAX];
        size_t half = strtoul(table.fields[0], NULL, 10);
        struct ca_bytes bytes = table_hex(table.fields[1], der, sizeof(der));
        bool is_refused = strcmp(table.fields[2], "refused") == 0;

        cr_assert_eq(crypto_pair_decode(bytes, half, pair), !is_refused, "%s", table.fields[1]);
        refused += is_refused;
        if (is_refused)
            continue;
        taken++;
        uint8_t again[CRYPTO_PAIR_DER_LEN_MAX];
        check_bytes(ca_bytes_of(pair, 2 * half), table_hex(table.fields[2], want, sizeof(want)));
        check_bytes(ca_bytes_of(again, crypto_pair_encode(pair, half, again)), bytes);
    }
    table_close(&table);
    cr_assert(taken >= 16 && refused >= 50);
}

Test(signature, an_encoding_cut_short_anywhere_is_refused)
{
    uint8_t pair[64], der[CRYPTO_PAIR_DER_LEN_MAX], out[64];

    for (size_t i = 0; i < sizeof(pair); i++)
        pair[i] = (uint8_t)(0xff - i);
    size_t len = crypto_pair_encode(pair, 32, der);
    for (size_t cut = 0; cut < len; cut++) {
        cr_assert_not(crypto_pair_decode(ca_bytes_of(der, cut), 32, out));
        der[1] = (uint8_t)(cut - 2); /* also when the outer length is put right */
        cr_assert_not(crypto_pair_decode(ca_bytes_of(der, cut), 32, out), "%zu", cut);
        der[1] = (uint8_t)(len - 2);
    }
    cr_assert(crypto_pair_decode(ca_bytes_of(der, len), 32, out));
}

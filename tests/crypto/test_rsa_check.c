/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/secret.h"
#include "tests/support/table.h"

#include "ca/crypto/rsa_check.c"

TestSuite(rsa_check, .timeout = 60);

Test(rsa_check, every_key_of_the_table_gets_its_answer_and_rule)
{
    struct table table;
    size_t count = 0;

    table_open(&table, "rsa_keys.tsv");
    for (; table_next(&table, 5); count++) {
        uint8_t modulus[4096], exponent[4096];
        const struct crypto_public_key key = {
            .type = CRYPTO_KEY_RSA,
            .modulus = table_hex(table.fields[1], modulus, sizeof(modulus)),
            .exponent = table_hex(table.fields[2], exponent, sizeof(exponent)),
        };
        struct ca_refusal refusal = { 0 };
        enum ca_err err = crypto_rsa_check(&key, &refusal);

        cr_assert_str_eq(ca_err_name(err), table.fields[3], "%s: %s", table.fields[0],
                         ca_err_name(err));
        if (err == CA_OK)
            continue;
        cr_assert_not_null(strstr(refusal.rule, table.fields[4]), "%s: %s", table.fields[0],
                           refusal.rule);
        cr_assert(strncmp(refusal.field, "csr.key.", 8) == 0);
    }
    table_close(&table);
    cr_assert_gt(count, 35);
}

Test(rsa_check, the_tables_of_primes_and_squares_are_right)
{
    size_t count = 0;

    for (uint32_t n = 3; n < 752; n += 2) {
        bool is_prime = true;
        for (uint32_t factor = 3; factor * factor <= n; factor += 2)
            is_prime = is_prime && n % factor != 0;
        if (is_prime)
            cr_assert_eq(primes[count++], n);
    }
    cr_assert_eq(count, PRIME_COUNT);
    for (size_t i = 0; i <= FILTER_COUNT; i++) {
        uint64_t modulus = i == FILTER_COUNT ? 64 : primes[i];
        uint64_t mask = 0;
        for (uint64_t x = 0; x < modulus; x++)
            mask |= UINT64_C(1) << (x * x % modulus);
        cr_assert_eq(mask, i == FILTER_COUNT ? squares_modulo_64 : squares[i]);
    }
}

Test(rsa_check, keys_that_are_made_here_pass)
{
    check_ok(keys_harden_process());
    for (int i = 0; i < 8; i++) {
        struct crypto_private_key *key;
        struct ca_refusal refusal;
        check_ok(crypto_private_key_generate(CRYPTO_KEY_RSA, 2048, &key));
        check_ok(crypto_rsa_check(crypto_private_key_public(key), &refusal));
        crypto_private_key_free(key);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/crypto.h"

#include "ca/keys/secret.h"
#include "tests/support/sig_names.h"
#include "tests/support/table.h"

/* clang-format off */
static const struct kind {
    enum crypto_key_type type;
    uint32_t rsa_bits;
    enum crypto_sig sig;
} kinds[] = {
    { CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA256 },
    { CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_P256, 0, CRYPTO_SIG_ECDSA_SHA512 },
    { CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA256 },
    { CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_P384, 0, CRYPTO_SIG_ECDSA_SHA512 },
    { CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_RSA_SHA256 },
    { CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_RSA_SHA384 },
    { CRYPTO_KEY_RSA, 2048, CRYPTO_SIG_PSS_SHA512 },
    { CRYPTO_KEY_RSA, 3072, CRYPTO_SIG_RSA_SHA512 },
    { CRYPTO_KEY_RSA, 3072, CRYPTO_SIG_PSS_SHA384 },
    { CRYPTO_KEY_RSA, 4096, CRYPTO_SIG_PSS_SHA256 },
    { CRYPTO_KEY_ED25519, 0, CRYPTO_SIG_ED25519 },
    { CRYPTO_KEY_SM2, 0, CRYPTO_SIG_SM2_SM3 },
};
/* clang-format on */
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]), MESSAGE_COUNT = 70 };

static struct crypto *crypto;

static void open_crypto(void)
{
    check_ok(keys_harden_process());
    check_ok(crypto_open(&crypto));
}

static void close_crypto(void)
{
    crypto_close(crypto);
}

TestSuite(crypto, .init = open_crypto, .fini = close_crypto, .timeout = 120);

static uint8_t texts[MESSAGE_COUNT][16];
static struct ca_bytes messages[MESSAGE_COUNT];
static struct crypto_signature signatures[MESSAGE_COUNT];

static void make_messages(void)
{
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        texts[i][0] = (uint8_t)i;
        messages[i] = ca_bytes_of(texts[i], i % sizeof(texts[i]) + 1);
    }
}

static struct crypto_private_key *generate(const struct kind *kind)
{
    struct crypto_private_key *key;

    check_ok(crypto_private_key_generate(kind->type, kind->rsa_bits, &key));
    return key;
}

static enum ca_err verify(const struct crypto_public_key *key, enum crypto_sig sig,
                          struct ca_bytes message, struct ca_bytes signature)
{
    struct crypto_verification job = {
        .sig = sig, .key = key, .message = message, .signature = signature
    };

    crypto_verify_many(crypto, &job, 1);
    return job.result;
}

Test(crypto, what_a_key_signs_verifies_one_by_one_and_as_its_own)
{
    make_messages();
    for (size_t i = 0; i < KIND_COUNT; i++) {
        size_t count = kinds[i].type == CRYPTO_KEY_RSA ? 3 : MESSAGE_COUNT;
        struct crypto_private_key *key = generate(&kinds[i]);
        const struct crypto_public_key *public = crypto_private_key_public(key);
        struct crypto_own_key *own;

        check_ok(crypto_sign_many(crypto, key, kinds[i].sig, messages, count, signatures));
        check_ok(crypto_own_key_new(public, &own));
        check_ok(crypto_verify_own_many(crypto, own, kinds[i].sig, messages, count, signatures));
        for (size_t j = 0; j < count; j++)
            check_ok(verify(public, kinds[i].sig, messages[j],
                            ca_bytes_of(signatures[j].bytes, signatures[j].len)));
        crypto_own_key_free(own);
        crypto_private_key_free(key);
    }
}

Test(crypto, contexts_that_share_tables_are_closed_in_any_order)
{
    const struct kind kind = { CRYPTO_KEY_SM2, 0, CRYPTO_SIG_SM2_SM3 };
    struct crypto_private_key *key = generate(&kind);
    const struct crypto_public_key *public = crypto_private_key_public(key);
    struct crypto *first, *second, *third;

    make_messages();
    check_ok(crypto_open(&first));
    check_ok(crypto_open_beside(first, &second));
    crypto_close(first);
    check_ok(crypto_open_beside(second, &third));
    check_ok(crypto_sign_many(second, key, kind.sig, messages, MESSAGE_COUNT, signatures));
    crypto_close(second);
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        struct crypto_verification job = {
            .sig = kind.sig,
            .key = public,
            .message = messages[i],
            .signature = ca_bytes_of(signatures[i].bytes, signatures[i].len),
        };
        crypto_verify_many(third, &job, 1);
        check_ok(job.result);
    }
    crypto_close(third);
    crypto_private_key_free(key);
}

/* ---- refusals */

/* What the signature fits, where the row does not tell. */
static enum crypto_key_type type_of(enum crypto_sig sig, size_t key_len)
{
    for (int type = CRYPTO_KEY_P256; type <= CRYPTO_KEY_SM2; type++) {
        if (crypto_sig_fits(sig, (enum crypto_key_type)type) &&
            (type != CRYPTO_KEY_P256 || key_len == 65))
            return (enum crypto_key_type)type;
    }
    return CRYPTO_KEY_NONE;
}

struct row {
    struct crypto_verification job;
    struct crypto_public_key key;
    char name[80];
    char want[16];
    uint8_t bytes[2048];
};

enum { ROW_COUNT_MAX = 512 };
static struct row rows[ROW_COUNT_MAX];

static void row_fill(struct row *row, struct table *table)
{
    char *type_name = table->fields[1];
    char *exponent = table->fields[2];
    const char *sig_name = strsep(&type_name, ":");
    const char *first = strsep(&exponent, ":");

    snprintf(row->name, sizeof(row->name), "%s", table->fields[0]);
    snprintf(row->want, sizeof(row->want), "%s", table->fields[5]);
    row->job.sig = sig_named(sig_name);
    struct ca_bytes point = table_hex(first, row->bytes, 600);
    row->key.type =
        type_name != NULL ? key_type_named(type_name) : type_of(row->job.sig, point.len);
    if (row->key.type == CRYPTO_KEY_RSA) {
        row->key.modulus = point;
        row->key.exponent = table_hex(exponent, row->bytes + 600, 50);
    } else {
        row->key.point = point;
    }
    row->job.key = &row->key;
    row->job.message = table_hex(table->fields[3], row->bytes + 700, 600);
    row->job.signature = table_hex(table->fields[4], row->bytes + 1300, 700);
}

static size_t rows_load(void)
{
    struct table table;
    size_t count = 0;

    table_open(&table, "signatures.tsv");
    for (; table_next(&table, 6); count++) {
        cr_assert_lt(count, ROW_COUNT_MAX);
        row_fill(&rows[count], &table);
    }
    table_close(&table);
    cr_assert_gt(count, 300);
    return count;
}

Test(crypto, every_signature_of_the_table_gets_its_answer)
{
    size_t count = rows_load();

    for (size_t i = 0; i < count; i++) {
        crypto_verify_many(crypto, &rows[i].job, 1);
        cr_assert_str_eq(ca_err_name(rows[i].job.result), rows[i].want, "%s: %s", rows[i].name,
                         ca_err_name(rows[i].job.result));
    }
}

Test(crypto, good_and_bad_in_one_batch_do_not_disturb_each_other)
{
    static struct crypto_verification jobs[ROW_COUNT_MAX];
    size_t count = rows_load();

    for (size_t i = 0; i < count; i++) {
        jobs[i] = rows[i * 7 % count].job;
        jobs[i].result = CA_ERR_COUNT;
    }
    crypto_verify_many(crypto, jobs, count);
    for (size_t i = 0; i < count; i++)
        cr_assert_str_eq(ca_err_name(jobs[i].result), rows[i * 7 % count].want, "%s",
                         rows[i * 7 % count].name);
}

Test(crypto, a_signature_with_any_one_bit_flipped_is_refused)
{
    make_messages();
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key = generate(&kinds[i]);
        const struct crypto_public_key *public = crypto_private_key_public(key);
        struct crypto_own_key *own;

        check_ok(crypto_own_key_new(public, &own));
        check_ok(crypto_sign_many(crypto, key, kinds[i].sig, messages, 1, signatures));
        struct crypto_signature *signature = &signatures[0];
        /* The dear kinds by samples. */
        size_t step =
            kinds[i].type == CRYPTO_KEY_P256 || kinds[i].type == CRYPTO_KEY_ED25519 ? 1 : 19;
        for (size_t bit = 0; bit < 8 * signature->len; bit += step) {
            signature->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            check_err(verify(public, kinds[i].sig, messages[0],
                             ca_bytes_of(signature->bytes, signature->len)),
                      CA_ERR_CSR_SIG);
            check_err(crypto_verify_own_many(crypto, own, kinds[i].sig, messages, 1, signature),
                      CA_ERR_SIGNATURE_WRONG);
            signature->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        crypto_own_key_free(own);
        crypto_private_key_free(key);
    }
}

Test(crypto, one_wrong_signature_spoils_an_own_batch_wherever_it_is)
{
    struct crypto_private_key *key = generate(&kinds[0]);
    struct crypto_own_key *own;

    make_messages();
    check_ok(crypto_own_key_new(crypto_private_key_public(key), &own));
    check_ok(crypto_sign_many(crypto, key, kinds[0].sig, messages, MESSAGE_COUNT, signatures));
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        signatures[i].bytes[20] ^= 1;
        check_err(
            crypto_verify_own_many(crypto, own, kinds[0].sig, messages, MESSAGE_COUNT, signatures),
            CA_ERR_SIGNATURE_WRONG);
        signatures[i].bytes[20] ^= 1;
    }
    check_err(crypto_verify_own_many(crypto, own, CRYPTO_SIG_SM2_SM3, messages, 1, signatures),
              CA_ERR_SIGNATURE_WRONG);
    crypto_own_key_free(own);
    crypto_private_key_free(key);
}

Test(crypto, a_kind_that_does_not_fit_the_key_is_not_signed)
{
    make_messages();
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].type == CRYPTO_KEY_RSA)
            continue;
        struct crypto_private_key *key = generate(&kinds[i]);
        for (int sig = CRYPTO_SIG_NONE; sig <= CRYPTO_SIG_SM2_SM3; sig++) {
            if (!crypto_sig_fits((enum crypto_sig)sig, kinds[i].type))
                check_err(
                    crypto_sign_many(crypto, key, (enum crypto_sig)sig, messages, 1, signatures),
                    CA_ERR_KEY_UNUSABLE);
        }
        crypto_private_key_free(key);
    }
}

Test(crypto, an_own_key_that_is_no_point_is_refused)
{
    const uint8_t zeros[97] = { 0x04 };
    static const uint8_t even[256] = { 0x80 };
    const struct crypto_public_key keys[] = {
        { .type = CRYPTO_KEY_P256, .point = { zeros, 65 } },
        { .type = CRYPTO_KEY_P256, .point = { zeros, 64 } },
        { .type = CRYPTO_KEY_P384, .point = { zeros, 97 } },
        { .type = CRYPTO_KEY_SM2, .point = { zeros, 65 } },
        { .type = CRYPTO_KEY_SM2, .point = { zeros, 0 } },
    };
    const struct crypto_public_key weak = { .type = CRYPTO_KEY_RSA,
                                            .modulus = { even, sizeof(even) },
                                            .exponent = { even, 1 } };
    const struct crypto_public_key none = { .type = CRYPTO_KEY_NONE, .point = { zeros, 65 } };
    struct crypto_own_key *own;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        check_err(crypto_own_key_new(&keys[i], &own), CA_ERR_CSR_POINT);
    check_err(crypto_own_key_new(&weak, &own), CA_ERR_KEY_WEAK);
    check_err(crypto_own_key_new(&none, &own), CA_ERR_KEY_TYPE);
    cr_assert_null(own);
}

/* ---- randomness */

static enum ca_err random_fails(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return CA_ERR_RANDOM;
}

static enum ca_err random_is_constant(void *arg, uint8_t *bytes, size_t len)
{
    memset(bytes, *(const int *)arg, len);
    return CA_OK;
}

/* Different octets in one answer, but the same answer each time: a resumed snapshot. */
static enum ca_err random_repeats(void *arg, uint8_t *bytes, size_t len)
{
    size_t *calls = arg;

    ++*calls;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)i;
    return CA_OK;
}

static void check_unsigned(struct crypto *with)
{
    static const struct crypto_signature empty;

    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].type == CRYPTO_KEY_RSA && kinds[i].rsa_bits > 2048)
            continue;
        struct crypto_private_key *key = generate(&kinds[i]);
        memset(signatures, 0xa5, sizeof(signatures));
        check_err(crypto_sign_many(with, key, kinds[i].sig, messages, 3, signatures),
                  CA_ERR_RANDOM);
        for (size_t j = 0; j < 3; j++)
            check_bytes(ca_bytes_of(&signatures[j], sizeof(empty)),
                        ca_bytes_of(&empty, sizeof(empty)));
        crypto_private_key_free(key);
    }
}

Test(crypto, a_random_source_that_fails_stops_signing)
{
    struct crypto *with;

    make_messages();
    check_ok(crypto_open_with_random(random_fails, NULL, &with));
    check_unsigned(with);
    crypto_close(with);
}

Test(crypto, a_constant_random_source_stops_signing)
{
    make_messages();
    for (int octet = 0; octet <= 255; octet += 85) {
        struct crypto *with;
        check_ok(crypto_open_with_random(random_is_constant, &octet, &with));
        check_unsigned(with);
        crypto_close(with);
    }
}

Test(crypto, a_random_source_that_answers_the_same_twice_stops_signing)
{
    /* Draws once in a batch, so the first one cannot know. */
    const struct kind once = { CRYPTO_KEY_ED25519, 0, CRYPTO_SIG_ED25519 };
    struct crypto_private_key *key = generate(&once);
    struct crypto *with;
    size_t calls = 0;

    make_messages();
    check_ok(crypto_open_with_random(random_repeats, &calls, &with));
    check_ok(crypto_sign_many(with, key, once.sig, messages, 1, signatures));
    check_err(crypto_sign_many(with, key, once.sig, messages, 1, signatures), CA_ERR_RANDOM);
    check_unsigned(with);
    cr_assert_gt(calls, 2);
    crypto_close(with);
    crypto_private_key_free(key);
}

Test(crypto, random_octets_come_in_any_number_and_differ)
{
    uint8_t one[300], other[300];

    for (size_t len = 0; len <= sizeof(one); len++) {
        memset(one, 0, sizeof(one));
        check_ok(crypto_random(one, len));
        check_ok(crypto_random(other, len));
        cr_assert(len < 8 || !ca_bytes_equal(ca_bytes_of(one, len), ca_bytes_of(other, len)));
        for (size_t i = len; i < sizeof(one); i++)
            cr_assert_eq(one[i], 0);
    }
}

Test(crypto, names_are_those_of_the_configuration)
{
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_P256), "p256");
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_P384), "p384");
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_RSA), "rsa");
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_ED25519), "ed25519");
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_SM2), "sm2");
    cr_assert_str_eq(crypto_key_type_name(CRYPTO_KEY_NONE), "none");
}

Test(crypto, every_type_of_key_has_a_usual_signature_that_fits_it)
{
    for (int type = CRYPTO_KEY_P256; type <= CRYPTO_KEY_SM2; type++) {
        enum crypto_sig sig = crypto_sig_usual((enum crypto_key_type)type);
        cr_assert(crypto_sig_fits(sig, (enum crypto_key_type)type), "%d", type);
    }
    cr_assert(crypto_sig_usual(CRYPTO_KEY_NONE) == CRYPTO_SIG_NONE);
}

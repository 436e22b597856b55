/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/csr.h"
#include "tests/support/rows.h"

TestSuite(csr, .timeout = 30);

static struct x509_csr csr;
static struct ca_refusal refusal;

static enum crypto_key_type key_type_of(const char *name)
{
    static const struct {
        const char *name;
        enum crypto_key_type type;
    } types[] = {
        { "p256", CRYPTO_KEY_P256 },       { "p384", CRYPTO_KEY_P384 }, { "rsa", CRYPTO_KEY_RSA },
        { "ed25519", CRYPTO_KEY_ED25519 }, { "sm2", CRYPTO_KEY_SM2 },
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return CRYPTO_KEY_NONE;
}

Test(csr, requests_made_by_openssl_are_read)
{
    struct rows rows;

    rows_open(&rows, "good_csrs.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[4]);
        enum ca_err err = x509_csr_parse(der, &csr, &refusal);
        cr_assert(err == CA_OK, "%s: %s %s", rows.fields[0], ca_err_name(err), refusal.rule);
        cr_assert(csr.key.type == key_type_of(rows.fields[1]), "%s", rows.fields[0]);
        cr_assert(csr.key.bits == strtoul(rows.fields[2], NULL, 10), "%s", rows.fields[0]);
        cr_assert(csr.extension_count == strtoul(rows.fields[3], NULL, 10), "%s", rows.fields[0]);
        cr_assert(crypto_sig_fits(csr.sig, csr.key.type));
        rows_free(der);
    }
    rows_close(&rows);
}

Test(csr, every_shortened_request_is_refused)
{
    struct rows rows;

    rows_open(&rows, "good_csrs.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[4]);
        for (size_t len = 0; len < der.len; len++) {
            check_err(x509_csr_parse(ca_bytes_of(der.data, len), &csr, &refusal), CA_ERR_CSR_PARSE);
            cr_assert(csr.info.data == NULL && csr.subject.count == 0 && csr.extension_count == 0 &&
                      csr.key.type == CRYPTO_KEY_NONE);
        }
        rows_free(der);
    }
    rows_close(&rows);
}

/* What the stages before the rules say, in their order; sizes of keys are for the profile. */
static enum ca_err first_refusal(struct crypto *crypto, struct ca_bytes der, const char **stage_out)
{
    enum ca_err err = x509_csr_parse(der, &csr, &refusal);

    *stage_out = "parse";
    if (err != CA_OK)
        return err;
    *stage_out = "key";
    if (csr.key.type == CRYPTO_KEY_RSA &&
        (csr.key.bits < CA_RSA_BITS_MIN || csr.key.bits > CA_RSA_BITS_MAX))
        return CA_ERR_KEY_SIZE;
    if (csr.key.type == CRYPTO_KEY_RSA && (err = crypto_rsa_check(&csr.key, &refusal)) != CA_OK)
        return err;
    struct crypto_verification job = { csr.sig, &csr.key, csr.info, csr.signature, CA_OK };
    *stage_out = "signature";
    crypto_verify_many(crypto, &job, 1);
    return job.result;
}

Test(csr, malformed_requests_are_refused_for_the_right_reason_at_the_right_stage)
{
    struct rows rows;
    struct crypto *crypto;
    size_t count = 0;

    check_ok(crypto_open(&crypto));
    rows_open(&rows, "bad_csrs.tsv");
    while (rows_next(&rows)) {
        const char *name = rows.fields[0], *stage;
        bool is_for_rules = strcmp(rows.fields[1], "rules") == 0;
        struct ca_bytes der = rows_unhex(rows.fields[3]);
        refusal = (struct ca_refusal){ 0 };
        enum ca_err err = first_refusal(crypto, der, &stage);
        const char *want = is_for_rules ? "OK" : rows.fields[2];
        cr_expect(strcmp(ca_err_name(err), want) == 0, "%s: %s (%s), not %s", name,
                  ca_err_name(err), refusal.rule, want);
        cr_expect(is_for_rules || strcmp(stage, rows.fields[1]) == 0, "%s: by %s", name, stage);
        if (strcmp(stage, "parse") == 0)
            cr_expect(refusal.field != NULL && csr.info.data == NULL, "%s", name);
        count++;
        rows_free(der);
    }
    rows_close(&rows);
    crypto_close(crypto);
    cr_assert(count > 250);
}

Test(csr, a_request_longer_than_the_limit_is_refused)
{
    uint8_t *der = calloc(1, 1 << 20);

    cr_assert(der != NULL);
    memcpy(der, "\x30\x83\x0f\xff\xfb\x02\x83\x0f\xff\xf6\x01", 11);
    check_ok(der_check(ca_bytes_of(der, 1 << 20)));
    check_err(x509_csr_parse(ca_bytes_of(der, 1 << 20), &csr, &refusal), CA_ERR_CSR_PARSE);
    free(der);
}

/* What openssl wrote with its own code, written again with ours, is the same. */
Test(csr, a_request_info_is_written_as_openssl_writes_it)
{
    struct rows rows;
    static uint8_t buffer[CA_CSR_LEN_MAX];

    rows_open(&rows, "good_csrs.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[4]);
        struct der_writer writer;
        check_ok(x509_csr_parse(der, &csr, &refusal));
        der_writer_init(&writer, buffer, sizeof(buffer));
        x509_csr_info_write(&writer, csr.subject.attributes, csr.subject.count, &csr.key,
                            csr.extensions, csr.extension_count);
        check_bytes(der_writer_bytes(&writer), csr.info);
        rows_free(der);
    }
    rows_close(&rows);
}

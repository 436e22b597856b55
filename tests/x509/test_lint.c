/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/lint.h"
#include "tests/support/rows.h"

TestSuite(lint, .timeout = 30);

static const struct {
    const char *name;
    enum crypto_sig sig;
} sigs[] = {
    { "ecdsa_sha256", CRYPTO_SIG_ECDSA_SHA256 }, { "ecdsa_sha384", CRYPTO_SIG_ECDSA_SHA384 },
    { "ecdsa_sha512", CRYPTO_SIG_ECDSA_SHA512 }, { "rsa_sha256", CRYPTO_SIG_RSA_SHA256 },
    { "rsa_sha384", CRYPTO_SIG_RSA_SHA384 },     { "rsa_sha512", CRYPTO_SIG_RSA_SHA512 },
    { "pss_sha256", CRYPTO_SIG_PSS_SHA256 },     { "pss_sha384", CRYPTO_SIG_PSS_SHA384 },
    { "pss_sha512", CRYPTO_SIG_PSS_SHA512 },     { "ed25519", CRYPTO_SIG_ED25519 },
    { "sm2_sm3", CRYPTO_SIG_SM2_SM3 },
};

static enum crypto_sig sig_of(const char *name)
{
    for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
        if (strcmp(sigs[i].name, name) == 0)
            return sigs[i].sig;
    }
    return CRYPTO_SIG_NONE;
}

/* What make_lint.py says about the issuer. */
static struct x509_lint_context context_of(const char *kind, const char *sig)
{
    static const uint8_t key_id[20] = {
        0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa
    };

    return (struct x509_lint_context){
        .issuer_name = CA_BYTES("\x30\x15\x31\x13\x30\x11\x06\x03\x55\x04\x03\x0c\x0a"
                                "Example CA"),
        .issuer_key_id = ca_bytes_of(key_id, sizeof(key_id)),
        .issuer_not_after_s = 2208988800,
        .sig = sig_of(sig),
        .is_ca = strcmp(kind, "ca") == 0,
    };
}

Test(lint, each_certificate_breaks_exactly_the_rule_it_was_made_to_break)
{
    struct rows rows;
    size_t count = 0;

    rows_open(&rows, "lint.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes tbs = rows_unhex(rows.fields[4]);
        struct x509_lint_context context = context_of(rows.fields[2], rows.fields[3]);
        struct ca_refusal refusal = { .rule = "ok" };
        enum ca_err err = x509_lint(tbs, &context, &refusal);
        cr_expect(err == (strcmp(rows.fields[1], "ok") == 0 ? CA_OK : CA_ERR_LINT), "%s: %s (%s)",
                  rows.fields[0], ca_err_name(err), refusal.rule);
        cr_expect(strcmp(refusal.rule, rows.fields[1]) == 0, "%s: %s", rows.fields[0],
                  refusal.rule);
        count++;
        rows_free(tbs);
    }
    rows_close(&rows);
    cr_assert(count > 200);
}

Test(lint, every_shortened_certificate_is_refused)
{
    struct rows rows;
    struct ca_refusal refusal;

    rows_open(&rows, "lint.tsv");
    while (rows_next(&rows)) {
        if (strcmp(rows.fields[1], "ok") != 0)
            continue;
        struct ca_bytes tbs = rows_unhex(rows.fields[4]);
        struct x509_lint_context context = context_of(rows.fields[2], rows.fields[3]);
        for (size_t len = 0; len < tbs.len; len++)
            check_err(x509_lint(ca_bytes_of(tbs.data, len), &context, &refusal), CA_ERR_LINT);
        rows_free(tbs);
    }
    rows_close(&rows);
}

Test(lint, a_root_needs_no_authority_key_id)
{
    struct rows rows;
    struct ca_refusal refusal;

    rows_open(&rows, "lint.tsv");
    while (rows_next(&rows)) {
        if (strcmp(rows.fields[0], "aki_absent") != 0)
            continue;
        struct ca_bytes tbs = rows_unhex(rows.fields[4]);
        struct x509_lint_context context = context_of("ee", "ecdsa_sha256");
        context.issuer_key_id = (struct ca_bytes){ 0 };
        check_ok(x509_lint(tbs, &context, &refusal));
        rows_free(tbs);
    }
    rows_close(&rows);
}

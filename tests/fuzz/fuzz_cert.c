/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cert: a certificate that passes the lint is, written from its parts, the same octets. */
#include <assert.h>

#include "ca/x509/ext.h"
#include "ca/x509/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t buffer[CA_CERTIFICATE_LEN_MAX], extension_buffer[CA_CERTIFICATE_LEN_MAX];

static void check_rewritten(const struct x509_cert *cert)
{
    struct der_writer writer;

    der_writer_init(&writer, extension_buffer, sizeof(extension_buffer));
    for (size_t i = cert->extension_count; i-- > 0;)
        x509_ext_write(&writer, cert->extensions[i].oid, cert->extensions[i].is_critical,
                       cert->extensions[i].value);
    const struct x509_tbs tbs = {
        .serial = cert->serial,
        .sig = cert->sig,
        .issuer = cert->issuer.whole,
        .not_before_s = cert->not_before_s,
        .not_after_s = cert->not_after_s,
        .subject = cert->subject.whole,
        .spki = cert->spki,
        .extensions = der_writer_bytes(&writer),
    };
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_tbs_write(&writer, &tbs);
    assert(ca_bytes_equal(der_writer_bytes(&writer), cert->tbs));
}

/* The issuer is whatever the input says, so that the rules behind that one are reached. */
static void lint_tbs(const struct x509_cert *cert)
{
    struct x509_lint_context context = {
        .issuer_name = cert->issuer.whole,
        .issuer_not_after_s = cert->not_after_s,
        .sig = cert->sig,
    };
    struct ca_refusal refusal = { 0 };

    for (int kind = 0; kind < 2; kind++) {
        context.is_ca = kind == 1;
        enum ca_err err = x509_lint(cert->tbs, &context, &refusal);
        assert(err == CA_OK || (err == CA_ERR_LINT && refusal.rule != NULL));
        if (err == CA_OK)
            check_rewritten(cert);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct x509_cert cert;
    struct ca_bytes der = ca_bytes_of(data, len);
    const struct x509_lint_context no_issuer = { .issuer_name = der,
                                                 .sig = CRYPTO_SIG_ECDSA_SHA256 };
    struct ca_refusal refusal = { 0 };

    if (x509_cert_parse(der, &cert, &refusal) == CA_OK)
        lint_tbs(&cert);
    else
        assert(refusal.rule != NULL && cert.whole.data == NULL && cert.extension_count == 0);
    if (x509_tbs_parse(der, &cert, &refusal) == CA_OK)
        lint_tbs(&cert);
    enum ca_err err = x509_lint(der, &no_issuer, &refusal);
    assert(err == CA_ERR_LINT); /* its own octets cannot be the name of its issuer */
    return 0;
}

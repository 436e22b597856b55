/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/chain.h"

#include <stdio.h>

#include "ca/x509/ext.h"
#include "tools/pem.h"

static enum ca_err refuse_at(struct ca_arena *arena, size_t index, enum ca_err err,
                             const char *rule, struct ca_refusal *refusal)
{
    char field[32];
    int len = snprintf(field, sizeof(field), "certificate %zu", index + 1);
    const char *copy = (const char *)ca_arena_copy(arena, ca_bytes_of(field, (size_t)len)).data;

    return ca_refuse(refusal, err, copy == NULL ? "certificate" : copy, rule);
}

/* What the error means, and the rule. */
static const char *explain(struct ca_arena *arena, enum ca_err err, const char *rule)
{
    size_t size = strlen(ca_err_text(err)) + strlen(rule) + sizeof(" ()");
    char *text = ca_arena_alloc(arena, size);

    if (text == NULL)
        return rule;
    snprintf(text, size, "%s (%s)", ca_err_text(err), rule);
    return text;
}

enum ca_err chain_parse(struct ca_bytes text, struct ca_arena *arena, struct chain *chain_out,
                        struct ca_refusal *refusal)
{
    struct pem_block block;
    enum ca_err err;

    chain_out->count = 0;
    while ((err = pem_next(&text, arena, &block)) == CA_OK) {
        struct ca_refusal inner = { "", "" };
        size_t index = chain_out->count;
        if (strcmp(block.label, "CERTIFICATE") != 0)
            return refuse_at(arena, index, CA_ERR_FIELD_FORMAT, "a PEM block of another kind",
                             refusal);
        if (index == RPC_CHAIN_MAX)
            return refuse_at(arena, index, CA_ERR_FIELD_LENGTH, "too many certificates", refusal);
        if ((err = x509_cert_parse(block.der, &chain_out->certs[index], &inner)) != CA_OK)
            return refuse_at(arena, index, err, explain(arena, err, inner.rule), refusal);
        chain_out->count++;
    }
    if (err != CA_ERR_NOT_FOUND)
        return refuse_at(arena, chain_out->count, err, "PEM (RFC 7468)", refusal);
    if (chain_out->count == 0)
        return refuse_at(arena, 0, CA_ERR_NOT_FOUND, "no certificate in the file", refusal);
    return CA_OK;
}

/* BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } */
static bool is_ca_above(const struct x509_cert *cert, size_t cas_below)
{
    const struct x509_extension *ext = x509_cert_extension(cert, X509_OID_BASIC_CONSTRAINTS);
    uint32_t path_len;
    bool is_ca;

    if (ext == NULL)
        return false;
    struct der_reader outer = der_reader_of(ext->value), inner;
    if (der_read_into(&outer, DER_SEQUENCE, &inner) != CA_OK ||
        der_read_default_false(&inner, &is_ca) != CA_OK || !is_ca)
        return false;
    if (der_reader_at_end(&inner))
        return true;
    return der_read_small(&inner, &path_len) == CA_OK && cas_below <= path_len;
}

/* RFC 5280, section 4.2.1.3: KeyUsage ::= BIT STRING { ..., keyCertSign (5), cRLSign (6), ... } */
enum { KEY_CERT_SIGN = 0x80 >> 5, CRL_SIGN = 0x80 >> 6 };

static bool may(const struct x509_cert *cert, uint8_t usage)
{
    const struct x509_extension *ext = x509_cert_extension(cert, X509_OID_KEY_USAGE);
    struct der_value bits;

    if (ext == NULL)
        return true; /* not restricted */
    struct der_reader reader = der_reader_of(ext->value);
    if (der_read(&reader, DER_BIT_STRING, &bits) != CA_OK || bits.content.len < 2)
        return false;
    return (bits.content.data[1] & usage) != 0;
}

static bool has_unknown_critical(const struct x509_cert *cert)
{
    for (size_t i = 0; i < cert->extension_count; i++) {
        const struct x509_extension *ext = &cert->extensions[i];
        if (ext->is_critical && !ca_bytes_equal(ext->oid, X509_OID_BASIC_CONSTRAINTS) &&
            !ca_bytes_equal(ext->oid, X509_OID_KEY_USAGE) &&
            !ca_bytes_equal(ext->oid, X509_OID_CERTIFICATE_POLICIES))
            return true;
    }
    return false;
}

enum ca_err chain_check(const struct chain *chain, struct crypto *crypto, struct ca_arena *arena,
                        struct ca_refusal *refusal)
{
    struct crypto_verification jobs[RPC_CHAIN_MAX];

    for (size_t i = 0; i < chain->count; i++) {
        const struct x509_cert *cert = &chain->certs[i];
        bool is_last = i + 1 == chain->count;
        const struct x509_cert *issuer = is_last ? cert : &chain->certs[i + 1];
        if (!is_ca_above(cert, i))
            return refuse_at(arena, i, CA_ERR_EXTENSION,
                             "not a CA, or its path length is too short (RFC 5280, 4.2.1.9)",
                             refusal);
        if (!may(cert, KEY_CERT_SIGN))
            return refuse_at(arena, i, CA_ERR_EXTENSION,
                             "keyUsage without keyCertSign (RFC 5280, 4.2.1.3)", refusal);
        if (i == 0 && !may(cert, CRL_SIGN))
            return refuse_at(arena, i, CA_ERR_EXTENSION,
                             "keyUsage without cRLSign, and it signs CRLs (RFC 5280, 4.2.1.3)",
                             refusal);
        if (i > 0 && crypto_public_key_equal(&cert->key, &chain->certs[i - 1].key))
            return refuse_at(arena, i, CA_ERR_FIELD_REPEATED, "the same key as the one before",
                             refusal);
        if (has_unknown_critical(cert))
            return refuse_at(arena, i, CA_ERR_EXTENSION,
                             "unknown critical extension (RFC 5280, 4.2)", refusal);
        if (!ca_bytes_equal(cert->issuer.whole, issuer->subject.whole))
            return refuse_at(arena, i, CA_ERR_FIELD_FORMAT,
                             is_last ? "the last one is not a self-signed root"
                                     : "issued by another than the next (RFC 5280, 6.1.3)",
                             refusal);
        if (!crypto_sig_fits(cert->sig, issuer->key.type))
            return refuse_at(arena, i, CA_ERR_CSR_ALGORITHM,
                             "signature algorithm does not fit the issuer's key", refusal);
        jobs[i] = (struct crypto_verification){ cert->sig, &issuer->key, cert->tbs, cert->signature,
                                                CA_ERR_INTERNAL };
    }
    crypto_verify_many(crypto, jobs, chain->count);
    for (size_t i = 0; i < chain->count; i++) {
        if (jobs[i].result != CA_OK)
            return refuse_at(arena, i, jobs[i].result,
                             "signature does not verify with the issuer's key", refusal);
    }
    return CA_OK;
}

enum ca_err chain_check_dates(const struct chain *chain, int64_t now_s, struct ca_arena *arena,
                              struct ca_refusal *refusal)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (now_s < chain->certs[i].not_before_s)
            return refuse_at(arena, i, CA_ERR_TERM, "not valid yet", refusal);
        if (now_s > chain->certs[i].not_after_s)
            return refuse_at(arena, i, CA_ERR_TERM, "expired", refusal);
    }
    return CA_OK;
}

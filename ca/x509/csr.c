/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/csr.h"

#include "ca/x509/ext.h"

/* 1.2.840.113549.1.9.14 (RFC 2985, section 5.4.2) */
#define OID_EXTENSION_REQUEST CA_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")

static enum ca_err refuse_form(struct ca_refusal *refusal, const char *field, const char *rule)
{
    return ca_refuse(refusal, CA_ERR_CSR_PARSE, field, rule);
}

enum ca_err x509_extensions_parse(struct ca_bytes content, struct x509_extension *extensions,
                                  size_t *count_out)
{
    struct der_reader reader = der_reader_of(content), inner;
    struct der_value oid, value;
    size_t count = 0;

    *count_out = 0;
    while (!der_reader_at_end(&reader)) {
        struct x509_extension *extension = &extensions[count];
        if (count == CA_EXTENSION_COUNT_MAX ||
            der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK ||
            der_read(&inner, DER_OID, &oid) != CA_OK ||
            der_read_default_false(&inner, &extension->is_critical) != CA_OK ||
            der_read(&inner, DER_OCTET_STRING, &value) != CA_OK || !der_reader_at_end(&inner) ||
            der_check(value.content) != CA_OK)
            return CA_ERR_CSR_PARSE;
        for (size_t i = 0; i < count; i++) {
            if (ca_bytes_equal(extensions[i].oid, oid.content))
                return CA_ERR_CSR_PARSE;
        }
        extension->oid = oid.content;
        extension->value = value.content;
        count++;
    }
    *count_out = count;
    return count > 0 ? CA_OK : CA_ERR_CSR_PARSE;
}

/* Attribute values: exactly one Extensions. */
static enum ca_err parse_extension_request(struct ca_bytes values, struct x509_csr *csr)
{
    struct der_reader reader = der_reader_of(values);
    struct der_value sequence;

    if (der_read(&reader, DER_SEQUENCE, &sequence) != CA_OK || !der_reader_at_end(&reader))
        return CA_ERR_CSR_PARSE;
    return x509_extensions_parse(sequence.content, csr->extensions, &csr->extension_count);
}

/* Attributes ::= SET OF SEQUENCE { type OBJECT IDENTIFIER, values SET SIZE(1..MAX) OF ANY } */
static enum ca_err parse_attributes(struct der_reader *reader, struct x509_csr *csr,
                                    struct ca_refusal *refusal)
{
    struct ca_bytes seen[CA_ATTRIBUTE_COUNT_MAX], previous = { 0 };
    size_t count = 0;

    while (!der_reader_at_end(reader)) {
        struct der_reader inner;
        struct der_value whole, oid, values;
        if (count == CA_ATTRIBUTE_COUNT_MAX || der_read(reader, DER_SEQUENCE, &whole) != CA_OK)
            return refuse_form(refusal, "csr.attributes", "RFC 2986 4.1");
        inner = der_reader_of(whole.content);
        if (der_read(&inner, DER_OID, &oid) != CA_OK ||
            der_read(&inner, DER_SET, &values) != CA_OK || !der_reader_at_end(&inner) ||
            values.content.len == 0)
            return refuse_form(refusal, "csr.attributes", "RFC 2986 4.1");
        /* The implicit tag hides from der_check() that this is a SET OF. */
        if (count > 0 && ca_bytes_compare(previous, whole.whole) > 0)
            return refuse_form(refusal, "csr.attributes", "X.690 11.6");
        for (size_t i = 0; i < count; i++) {
            if (ca_bytes_equal(seen[i], oid.content))
                return refuse_form(refusal, "csr.attributes", "RFC 2986 4.1: repeated attribute");
        }
        seen[count++] = oid.content;
        previous = whole.whole;
        if (ca_bytes_equal(oid.content, OID_EXTENSION_REQUEST) &&
            parse_extension_request(values.content, csr) != CA_OK)
            return refuse_form(refusal, "csr.extensions", "RFC 5280 4.2");
    }
    return CA_OK;
}

static enum ca_err refuse_key(struct ca_refusal *refusal, enum ca_err err)
{
    switch (err) {
    case CA_ERR_KEY_TYPE: return ca_refuse(refusal, err, "csr.key", "RFC 5280 4.1.2.7");
    case CA_ERR_CSR_POINT: return ca_refuse(refusal, err, "csr.key", "RFC 5480 2.2");
    default: return ca_refuse(refusal, err, "csr.key", "RFC 5280 4.1");
    }
}

/*
 * CertificationRequestInfo ::= SEQUENCE {
 *     version INTEGER { v1(0) }, subject Name, subjectPKInfo SubjectPublicKeyInfo,
 *     attributes [0] Attributes }
 */
static enum ca_err parse_info(struct ca_bytes content, struct x509_csr *csr,
                              struct ca_refusal *refusal)
{
    struct der_reader info = der_reader_of(content), attributes;
    struct der_value subject, spki;
    uint32_t version;
    enum ca_err err;

    if (der_read_small(&info, &version) != CA_OK || version != 0)
        return refuse_form(refusal, "csr.version", "RFC 2986 4.1");
    if (der_read(&info, DER_SEQUENCE, &subject) != CA_OK ||
        der_read(&info, DER_SEQUENCE, &spki) != CA_OK ||
        der_read_into(&info, DER_CONTEXT_CONSTRUCTED(0), &attributes) != CA_OK ||
        !der_reader_at_end(&info))
        return refuse_form(refusal, "csr", "RFC 2986 4.1");
    if ((err = x509_name_parse(subject.whole, &csr->subject)) != CA_OK)
        return ca_refuse(refusal, err, "csr.subject", "RFC 5280 4.1.2.4");
    if ((err = parse_attributes(&attributes, csr, refusal)) != CA_OK)
        return err;
    csr->spki = spki.whole;
    if ((err = x509_spki_parse(spki.whole, &csr->key)) != CA_OK)
        return refuse_key(refusal, err);
    return CA_OK;
}

/* CertificationRequest ::= SEQUENCE { info, algorithm AlgorithmIdentifier, BIT STRING } */
static enum ca_err parse_request(struct ca_bytes der, struct x509_csr *csr,
                                 struct ca_refusal *refusal)
{
    struct der_reader reader = der_reader_of(der), request;
    struct der_value info, algorithm;
    enum ca_err err;

    if (der_read_into(&reader, DER_SEQUENCE, &request) != CA_OK ||
        der_read(&request, DER_SEQUENCE, &info) != CA_OK ||
        der_read(&request, DER_SEQUENCE, &algorithm) != CA_OK ||
        der_read_bit_octets(&request, &csr->signature) != CA_OK || !der_reader_at_end(&request))
        return refuse_form(refusal, "csr", "RFC 2986 4.2");
    csr->info = info.whole;
    if ((err = parse_info(info.content, csr, refusal)) != CA_OK)
        return err;
    if ((err = x509_algorithm_parse(algorithm.whole, &csr->sig)) != CA_OK)
        return ca_refuse(refusal, err, "csr.algorithm", "RFC 2986 4.2");
    if (!crypto_sig_fits(csr->sig, csr->key.type))
        return ca_refuse(refusal, CA_ERR_CSR_ALGORITHM, "csr.algorithm", "algorithm of the key");
    return CA_OK;
}

static void csr_clear(struct x509_csr *csr)
{
    csr->info = csr->spki = csr->signature = (struct ca_bytes){ 0 };
    csr->subject.whole = (struct ca_bytes){ 0 };
    csr->subject.count = 0;
    csr->key = (struct crypto_public_key){ 0 };
    csr->sig = CRYPTO_SIG_NONE;
    csr->extension_count = 0;
}

enum ca_err x509_csr_parse(struct ca_bytes der, struct x509_csr *csr_out,
                           struct ca_refusal *refusal)
{
    csr_clear(csr_out);
    if (der.len > CA_CSR_LEN_MAX)
        return refuse_form(refusal, "csr", "longest request");
    if (der_check(der) != CA_OK)
        return refuse_form(refusal, "csr", "X.690 10: strict DER");
    enum ca_err err = parse_request(der, csr_out, refusal);
    if (err != CA_OK)
        csr_clear(csr_out);
    return err;
}

static void write_extension_request(struct der_writer *writer,
                                    const struct x509_extension *extensions, size_t count)
{
    size_t mark = der_writer_mark(writer);

    for (size_t i = count; i-- > 0;)
        x509_ext_write(writer, extensions[i].oid, extensions[i].is_critical, extensions[i].value);
    der_write_header(writer, DER_SEQUENCE, mark);
    der_write_header(writer, DER_SET, mark);
    der_write_oid(writer, OID_EXTENSION_REQUEST);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_csr_info_write(struct der_writer *writer, const struct x509_attribute *subject,
                         size_t subject_count, const struct crypto_public_key *key,
                         const struct x509_extension *extensions, size_t extension_count)
{
    size_t mark = der_writer_mark(writer);

    if (extension_count > 0)
        write_extension_request(writer, extensions, extension_count);
    der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), mark);
    x509_spki_write(writer, key);
    x509_name_write(writer, subject, subject_count);
    der_write_small(writer, 0);
    der_write_header(writer, DER_SEQUENCE, mark);
}

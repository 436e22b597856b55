/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/cert.h"

enum { VERSION_3 = 2 };

/*
 * TBSCertificate ::= SEQUENCE {
 *     version [0] INTEGER { v3(2) }, serialNumber INTEGER, signature AlgorithmIdentifier,
 *     issuer Name, validity SEQUENCE { notBefore Time, notAfter Time }, subject Name,
 *     subjectPublicKeyInfo SubjectPublicKeyInfo, extensions [3] SEQUENCE OF Extension OPTIONAL }
 */
void x509_tbs_write(struct der_writer *writer, const struct x509_tbs *tbs)
{
    size_t mark = der_writer_mark(writer), inner;

    if (tbs->extensions.len > 0) {
        der_write_raw(writer, tbs->extensions);
        der_write_header(writer, DER_SEQUENCE, mark);
        der_write_header(writer, DER_CONTEXT_CONSTRUCTED(3), mark);
    }
    der_write_raw(writer, tbs->spki);
    der_write_raw(writer, tbs->subject);
    inner = der_writer_mark(writer);
    der_write_time(writer, tbs->not_after_s);
    der_write_time(writer, tbs->not_before_s);
    der_write_header(writer, DER_SEQUENCE, inner);
    der_write_raw(writer, tbs->issuer);
    der_write_raw(writer, x509_algorithm_of(tbs->sig));
    der_write_unsigned(writer, tbs->serial);
    inner = der_writer_mark(writer);
    der_write_small(writer, VERSION_3);
    der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), inner);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_signed_write(struct der_writer *writer, struct ca_bytes tbs, enum crypto_sig sig,
                       struct ca_bytes signature)
{
    size_t mark = der_writer_mark(writer);

    der_write_bit_octets(writer, signature);
    der_write_raw(writer, x509_algorithm_of(sig));
    der_write_raw(writer, tbs);
    der_write_header(writer, DER_SEQUENCE, mark);
}

static enum ca_err refuse_form(struct ca_refusal *refusal, const char *field, const char *rule)
{
    return ca_refuse(refusal, CA_ERR_CERT_PARSE, field, rule);
}

/* The codes of the readers speak of requests. */
static enum ca_err refuse(struct ca_refusal *refusal, enum ca_err err, const char *field,
                          const char *rule)
{
    return ca_refuse(refusal, err == CA_ERR_CSR_PARSE ? CA_ERR_CERT_PARSE : err, field, rule);
}

static enum ca_err read_version(struct der_reader *tbs)
{
    struct der_reader inner;
    uint32_t version;

    if (der_read_into(tbs, DER_CONTEXT_CONSTRUCTED(0), &inner) != CA_OK ||
        der_read_small(&inner, &version) != CA_OK || !der_reader_at_end(&inner) ||
        version != VERSION_3)
        return CA_ERR_CERT_PARSE;
    return CA_OK;
}

static enum ca_err read_name(struct der_reader *tbs, struct x509_name *name_out)
{
    struct der_value value;
    enum ca_err err = der_read(tbs, DER_SEQUENCE, &value);

    return err != CA_OK ? err : x509_name_parse(value.whole, name_out);
}

static enum ca_err read_validity(struct der_reader *tbs, struct x509_cert *cert)
{
    struct der_reader inner;

    if (der_read_into(tbs, DER_SEQUENCE, &inner) != CA_OK ||
        der_read_time(&inner, &cert->not_before_s) != CA_OK ||
        der_read_time(&inner, &cert->not_after_s) != CA_OK || !der_reader_at_end(&inner))
        return CA_ERR_CERT_PARSE;
    return CA_OK;
}

/* Unique identifiers ([1], [2]) are refused along with everything else that is unexpected. */
static enum ca_err read_extensions(struct der_reader *tbs, struct x509_cert *cert)
{
    struct der_reader wrapper;
    struct der_value sequence;

    if (der_reader_at_end(tbs))
        return CA_OK;
    if (der_read_into(tbs, DER_CONTEXT_CONSTRUCTED(3), &wrapper) != CA_OK ||
        !der_reader_at_end(tbs) || der_read(&wrapper, DER_SEQUENCE, &sequence) != CA_OK ||
        !der_reader_at_end(&wrapper))
        return CA_ERR_CERT_PARSE;
    return x509_extensions_parse(sequence.content, cert->extensions, &cert->extension_count);
}

static enum ca_err parse_tbs(struct ca_bytes content, struct x509_cert *cert,
                             struct ca_refusal *refusal)
{
    struct der_reader tbs = der_reader_of(content);
    struct der_value value;
    enum ca_err err;

    if (read_version(&tbs) != CA_OK)
        return refuse_form(refusal, "cert.version", "RFC 5280 4.1.2.1");
    if (der_read(&tbs, DER_INTEGER, &value) != CA_OK)
        return refuse_form(refusal, "cert.serial", "RFC 5280 4.1.2.2");
    cert->serial = value.content;
    if ((err = der_read(&tbs, DER_SEQUENCE, &value)) != CA_OK ||
        (err = x509_algorithm_parse(value.whole, &cert->sig)) != CA_OK)
        return refuse(refusal, err, "cert.signature", "RFC 5280 4.1.2.3");
    if ((err = read_name(&tbs, &cert->issuer)) != CA_OK)
        return refuse(refusal, err, "cert.issuer", "RFC 5280 4.1.2.4");
    if (read_validity(&tbs, cert) != CA_OK)
        return refuse_form(refusal, "cert.validity", "RFC 5280 4.1.2.5");
    if ((err = read_name(&tbs, &cert->subject)) != CA_OK)
        return refuse(refusal, err, "cert.subject", "RFC 5280 4.1.2.6");
    if ((err = der_read(&tbs, DER_SEQUENCE, &value)) != CA_OK ||
        (err = x509_spki_parse(value.whole, &cert->key)) != CA_OK)
        return refuse(refusal, err, "cert.key", "RFC 5280 4.1.2.7");
    cert->spki = value.whole;
    if (read_extensions(&tbs, cert) != CA_OK)
        return refuse_form(refusal, "cert.extensions", "RFC 5280 4.2");
    return CA_OK;
}

static void cert_clear(struct x509_cert *cert)
{
    cert->whole = cert->tbs = cert->serial = cert->spki = cert->signature = (struct ca_bytes){ 0 };
    cert->sig = CRYPTO_SIG_NONE;
    cert->issuer.whole = cert->subject.whole = (struct ca_bytes){ 0 };
    cert->issuer.count = cert->subject.count = 0;
    cert->not_before_s = cert->not_after_s = 0;
    cert->key = (struct crypto_public_key){ 0 };
    cert->extension_count = 0;
}

enum ca_err x509_tbs_parse(struct ca_bytes der, struct x509_cert *cert_out,
                           struct ca_refusal *refusal)
{
    struct der_reader reader = der_reader_of(der);
    struct der_value value;
    enum ca_err err;

    cert_clear(cert_out);
    if (der.len > CA_CERTIFICATE_LEN_MAX || der_check(der) != CA_OK ||
        der_read(&reader, DER_SEQUENCE, &value) != CA_OK)
        return refuse_form(refusal, "cert", "X.690 10: strict DER");
    if ((err = parse_tbs(value.content, cert_out, refusal)) != CA_OK) {
        cert_clear(cert_out);
        return err;
    }
    cert_out->tbs = der;
    return CA_OK;
}

/* Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature BIT STRING } */
static enum ca_err parse_cert(struct ca_bytes der, struct x509_cert *cert,
                              struct ca_refusal *refusal)
{
    struct der_reader reader = der_reader_of(der), outer, inside;
    struct der_value tbs, algorithm, inside_algorithm;
    enum ca_err err;

    if (der_read_into(&reader, DER_SEQUENCE, &outer) != CA_OK ||
        der_read(&outer, DER_SEQUENCE, &tbs) != CA_OK ||
        der_read(&outer, DER_SEQUENCE, &algorithm) != CA_OK ||
        der_read_bit_octets(&outer, &cert->signature) != CA_OK || !der_reader_at_end(&outer))
        return refuse_form(refusal, "cert", "RFC 5280 4.1");
    if ((err = parse_tbs(tbs.content, cert, refusal)) != CA_OK)
        return err;
    /* parse_tbs() has been over version and serial number already. */
    inside = der_reader_of(tbs.content);
    if (der_read_any(&inside, &inside_algorithm) != CA_OK ||
        der_read_any(&inside, &inside_algorithm) != CA_OK ||
        der_read_any(&inside, &inside_algorithm) != CA_OK ||
        !ca_bytes_equal(inside_algorithm.whole, algorithm.whole))
        return ca_refuse(refusal, CA_ERR_CSR_ALGORITHM, "cert.signature", "RFC 5280 4.1.1.2");
    cert->whole = der;
    cert->tbs = tbs.whole;
    return CA_OK;
}

enum ca_err x509_cert_parse(struct ca_bytes der, struct x509_cert *cert_out,
                            struct ca_refusal *refusal)
{
    cert_clear(cert_out);
    if (der.len > CA_CERTIFICATE_LEN_MAX || der_check(der) != CA_OK)
        return refuse_form(refusal, "cert", "X.690 10: strict DER");
    enum ca_err err = parse_cert(der, cert_out, refusal);
    if (err != CA_OK)
        cert_clear(cert_out);
    return err;
}

const struct x509_extension *x509_cert_extension(const struct x509_cert *cert, struct ca_bytes oid)
{
    for (size_t i = 0; i < cert->extension_count; i++) {
        if (ca_bytes_equal(cert->extensions[i].oid, oid))
            return &cert->extensions[i];
    }
    return NULL;
}

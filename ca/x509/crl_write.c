/* SPDX-License-Identifier: Apache-2.0 */

#include "ca/base/text.h"
#include "ca/x509/crl_oids.h"
#include "ca/x509/ext.h"

enum { VERSION_2 = 1, URI_TAG = DER_CONTEXT(6) };

static const char *const REASON_NAMES[X509_CRL_REASON_COUNT] = {
    [X509_CRL_UNSPECIFIED] = "unspecified",
    [X509_CRL_KEY_COMPROMISE] = "keyCompromise",
    [X509_CRL_CA_COMPROMISE] = "cACompromise",
    [X509_CRL_AFFILIATION_CHANGED] = "affiliationChanged",
    [X509_CRL_SUPERSEDED] = "superseded",
    [X509_CRL_CESSATION_OF_OPERATION] = "cessationOfOperation",
    [X509_CRL_CERTIFICATE_HOLD] = "certificateHold",
    [X509_CRL_REMOVE_FROM_CRL] = "removeFromCRL",
    [X509_CRL_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
    [X509_CRL_AA_COMPROMISE] = "aACompromise",
};

const char *x509_crl_reason_name(uint32_t reason)
{
    return reason < X509_CRL_REASON_COUNT ? REASON_NAMES[reason] : NULL;
}

bool x509_crl_reason_by_name(const char *name, enum x509_crl_reason *reason_out)
{
    *reason_out = X509_CRL_UNSPECIFIED;
    for (uint32_t i = 0; i < X509_CRL_REASON_COUNT; i++) {
        if (REASON_NAMES[i] != NULL && strcmp(REASON_NAMES[i], name) == 0) {
            *reason_out = (enum x509_crl_reason)i;
            return true;
        }
    }
    return false;
}

int x509_crl_serial_compare(struct ca_bytes a, struct ca_bytes b)
{
    return ca_bytes_compare_numbers(a, b);
}

/* The content of a positive INTEGER in its shortest form. */
static bool is_serial(struct ca_bytes content)
{
    return content.len >= 1 && content.len <= X509_CRL_SERIAL_LEN_MAX && content.data[0] < 0x80 &&
           !(content.data[0] == 0 && (content.len == 1 || content.data[1] < 0x80));
}

/* CRLReason ::= ENUMERATED; InvalidityDate ::= GeneralizedTime (RFC 5280, section 5.3.2) */
enum ca_err x509_crl_entry_write(struct der_writer *writer, const struct x509_crl_entry *entry)
{
    size_t mark = der_writer_mark(writer), inner;

    if (!is_serial(entry->serial) || x509_crl_reason_name(entry->reason) == NULL)
        return CA_ERR_FIELD_FORMAT;
    if (entry->has_invalidity) {
        der_write_generalized_time(writer, entry->invalidity_s);
        der_write_header(writer, DER_OCTET_STRING, mark);
        der_write_oid(writer, OID_INVALIDITY_DATE);
        der_write_header(writer, DER_SEQUENCE, mark);
    }
    if (entry->reason != X509_CRL_UNSPECIFIED) {
        inner = der_writer_mark(writer);
        const uint8_t reason = (uint8_t)entry->reason;
        der_write_value(writer, DER_ENUMERATED, ca_bytes_of(&reason, 1));
        der_write_header(writer, DER_OCTET_STRING, inner);
        der_write_oid(writer, OID_REASON_CODE);
        der_write_header(writer, DER_SEQUENCE, inner);
    }
    if (der_writer_mark(writer) > mark)
        der_write_header(writer, DER_SEQUENCE, mark);
    der_write_time(writer, entry->revoked_s);
    der_write_value(writer, DER_INTEGER, entry->serial);
    der_write_header(writer, DER_SEQUENCE, mark);
    return CA_OK;
}

/* ---- the parts */

/* Lengths are written for content that is somewhere else. */
static size_t length_octets(uint64_t len)
{
    size_t octets = 1;

    if (len < 0x80)
        return 1;
    for (; len > 0; len >>= 8)
        octets++;
    return octets;
}

static size_t header_write(uint8_t *to, uint8_t tag, uint64_t len)
{
    size_t octets = length_octets(len);

    to[0] = tag;
    if (octets == 1) {
        to[1] = (uint8_t)len;
    } else {
        to[1] = (uint8_t)(0x80 | (octets - 1));
        for (size_t i = octets; i > 1; i--, len >>= 8)
            to[i] = (uint8_t)len;
    }
    return 1 + octets;
}

/* [0] { [0] { [6] url } } is a DistributionPointName with one fullName. */
static void write_idp(struct der_writer *writer, const struct x509_crl_form *form)
{
    size_t mark = der_writer_mark(writer), inner;

    if (form->only_user_certs)
        der_write_value(writer, DER_CONTEXT(1), CA_BYTES("\xff"));
    if (form->url.len > 0) {
        inner = der_writer_mark(writer);
        der_write_value(writer, URI_TAG, form->url);
        der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), inner);
        der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), inner);
    }
    der_write_header(writer, DER_SEQUENCE, mark);
    der_write_header(writer, DER_OCTET_STRING, mark);
    der_write_boolean(writer, true);
    der_write_oid(writer, OID_ISSUING_DISTRIBUTION_POINT);
    der_write_header(writer, DER_SEQUENCE, mark);
}

static void write_number(struct der_writer *writer, struct ca_bytes oid, bool is_critical,
                         struct ca_bytes number)
{
    size_t mark = der_writer_mark(writer);

    der_write_unsigned(writer, number);
    der_write_header(writer, DER_OCTET_STRING, mark);
    if (is_critical)
        der_write_boolean(writer, true);
    der_write_oid(writer, oid);
    der_write_header(writer, DER_SEQUENCE, mark);
}

/* crlExtensions [0] SEQUENCE OF Extension */
static void write_tail(struct der_writer *writer, const struct x509_crl_form *form)
{
    size_t mark = der_writer_mark(writer);

    if (form->freshest_url.len > 0)
        x509_ext_write_freshest_crl(writer, form->freshest_url);
    if (form->url.len > 0 || form->only_user_certs)
        write_idp(writer, form);
    if (form->base_number.len > 0)
        write_number(writer, OID_DELTA_CRL_INDICATOR, true, form->base_number);
    write_number(writer, OID_CRL_NUMBER, false, form->number);
    x509_ext_write_authority_key_id(writer, form->key_id);
    der_write_header(writer, DER_SEQUENCE, mark);
    der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), mark);
}

/*
 * TBSCertList ::= SEQUENCE {
 *     version INTEGER { v2(1) }, signature AlgorithmIdentifier, issuer Name, thisUpdate Time,
 *     nextUpdate Time, revokedCertificates SEQUENCE OF ... OPTIONAL, crlExtensions [0] }
 */
static void write_head(struct der_writer *writer, const struct x509_crl_form *form,
                       struct x509_crl_parts *parts)
{
    uint8_t header[X509_CRL_HEADER_LEN_MAX];

    if (form->entries_len > 0)
        der_write_raw(writer,
                      ca_bytes_of(header, header_write(header, DER_SEQUENCE, form->entries_len)));
    der_write_time(writer, form->next_update_s);
    der_write_time(writer, form->this_update_s);
    der_write_raw(writer, form->issuer);
    der_write_raw(writer, x509_algorithm_of(form->sig));
    der_write_small(writer, VERSION_2);

    uint64_t len = der_writer_mark(writer) + form->entries_len + parts->tail.len;
    size_t header_len = header_write(header, DER_SEQUENCE, len);
    der_write_raw(writer, ca_bytes_of(header, header_len));
    parts->tbs_len = len + header_len;
}

static bool is_number(struct ca_bytes number)
{
    number = ca_bytes_shortest_number(number);
    return number.len > 0 && (number.len < X509_CRL_NUMBER_LEN_MAX ||
                              (number.len == X509_CRL_NUMBER_LEN_MAX && number.data[0] < 0x80));
}

static bool is_below(struct ca_bytes a, struct ca_bytes b)
{
    return ca_bytes_compare_numbers(ca_bytes_shortest_number(a), ca_bytes_shortest_number(b)) < 0;
}

static enum ca_err check_form(const struct x509_crl_form *form, struct ca_refusal *refusal)
{
    if (form->issuer.len <= 2)
        return ca_refuse(refusal, CA_ERR_FIELD_REQUIRED, "crl.issuer", "RFC 5280 5.1.2.3");
    if (form->key_id.len == 0)
        return ca_refuse(refusal, CA_ERR_FIELD_REQUIRED, "crl.key_id", "RFC 5280 5.2.1");
    if (!is_number(form->number))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "crl.number", "RFC 5280 5.2.3");
    if (form->base_number.len > 0 &&
        (!is_number(form->base_number) || !is_below(form->base_number, form->number)))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "crl.base_number", "RFC 5280 5.2.4");
    if (form->next_update_s <= form->this_update_s)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "crl.next_update", "RFC 5280 5.1.2.5");
    if (!ca_text_is_visible_ascii(form->url))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "crl.url", "RFC 5280 5.2.5");
    if (!ca_text_is_visible_ascii(form->freshest_url) ||
        (form->freshest_url.len > 0 && form->base_number.len > 0))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "crl.freshest_url", "RFC 5280 5.2.6");
    if (form->entries_len > X509_CRL_LEN_MAX - X509_CRL_PARTS_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "crl.entries", "lengths of four octets");
    return CA_OK;
}

enum ca_err x509_crl_parts_build(const struct x509_crl_form *form, struct x509_crl_parts *parts_out,
                                 struct ca_refusal *refusal)
{
    struct der_writer writer;
    enum ca_err err = check_form(form, refusal);

    parts_out->head = parts_out->tail = (struct ca_bytes){ 0 };
    parts_out->tbs_len = 0;
    if (err != CA_OK)
        return err;
    der_writer_init(&writer, parts_out->memory, sizeof(parts_out->memory));
    write_tail(&writer, form);
    parts_out->tail = der_writer_bytes(&writer);
    if (parts_out->tail.data == NULL)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "crl.url", "list is limited");

    der_writer_init(&writer, parts_out->memory, sizeof(parts_out->memory) - parts_out->tail.len);
    write_head(&writer, form, parts_out);
    parts_out->head = der_writer_bytes(&writer);
    if (parts_out->head.data == NULL) {
        parts_out->tail = (struct ca_bytes){ 0 };
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "crl.issuer", "list is limited");
    }
    return CA_OK;
}

/* ---- around the to-be-signed part */

static uint64_t content_len(uint64_t tbs_len, enum crypto_sig sig, size_t signature_len)
{
    size_t bits = signature_len + 1; /* the count of unused bits comes first */

    return tbs_len + x509_algorithm_of(sig).len + 1 + length_octets(bits) + bits;
}

size_t x509_crl_header_write(uint64_t tbs_len, enum crypto_sig sig, size_t signature_len,
                             uint8_t header[X509_CRL_HEADER_LEN_MAX])
{
    return header_write(header, DER_SEQUENCE, content_len(tbs_len, sig, signature_len));
}

bool x509_crl_header_is_fixed(uint64_t tbs_len, enum crypto_sig sig, size_t len_min, size_t len_max)
{
    return length_octets(content_len(tbs_len, sig, len_min)) ==
           length_octets(content_len(tbs_len, sig, len_max));
}

void x509_crl_signature_write(struct der_writer *writer, enum crypto_sig sig,
                              struct ca_bytes signature)
{
    der_write_bit_octets(writer, signature);
    der_write_raw(writer, x509_algorithm_of(sig));
}

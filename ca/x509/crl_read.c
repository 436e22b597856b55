/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/crl_oids.h"
#include "ca/x509/ext.h"

enum {
    VERSION_2 = 1,
    URI_TAG = DER_CONTEXT(6),
};
#define UTC_TIME_END_S 2524608000 /* 2050-01-01: GeneralizedTime from there */

static enum ca_err refuse(struct ca_refusal *refusal, const char *field, const char *rule)
{
    return ca_refuse(refusal, CA_ERR_CRL_PARSE, field, rule);
}

/* Two digits as a number, 100 or more if they are none. */
static inline uint32_t two_digits(const uint8_t *at)
{
    uint32_t tens = at[0] - (uint32_t)'0', ones = at[1] - (uint32_t)'0';
    return tens < 10 && ones < 10 ? 10 * tens + ones : 100;
}

/*
 * UTCTime of this century, as nearly every entry has: some ten million in one list. False for all
 * else, which der_read_time() decides on.
 */
static bool read_short_time(struct der_reader *reader, int64_t *time_s_out)
{
    static const uint16_t days_before[12] = {
        0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334
    };
    const uint8_t *at = reader->at;

    if (reader->end - at < 15 || at[0] != DER_UTC_TIME || at[1] != 13 || at[14] != 'Z')
        return false;
    uint32_t year = two_digits(at + 2), month = two_digits(at + 4), day = two_digits(at + 6);
    uint32_t hour = two_digits(at + 8), minute = two_digits(at + 10), second = two_digits(at + 12);
    if (year >= 50 || month - 1 >= 12 || day - 1 >= 28 || hour >= 24 || minute >= 60 ||
        second >= 60)
        return false;
    uint32_t leap_days = (year + 3) / 4 + (month > 2 && year % 4 == 0);
    uint32_t days = 10957 + 365 * year + leap_days + days_before[month - 1] + day - 1;
    *time_s_out = (int64_t)days * 86400 + hour * 3600 + minute * 60 + second;
    reader->at = at + 15;
    return true;
}

/* UTCTime through 2049, GeneralizedTime from 2050. */
static bool read_time(struct der_reader *reader, int64_t *time_s_out)
{
    if (read_short_time(reader, time_s_out))
        return true;

    uint8_t tag = der_reader_peek(reader);
    return der_read_time(reader, time_s_out) == CA_OK &&
           (tag == DER_GENERALIZED_TIME) == (*time_s_out >= UTC_TIME_END_S);
}

/* ---- extensions of the list; their values are strict DER already */

/* A positive number of at most 20 octets, alone. Zero is allowed by RFC 5280, and given as 00. */
static bool read_number(struct ca_bytes value, struct ca_bytes *number_out)
{
    struct der_reader reader = der_reader_of(value);
    struct der_value number;

    if (der_read(&reader, DER_INTEGER, &number) != CA_OK || !der_reader_at_end(&reader) ||
        number.content.data[0] >= 0x80 || number.content.len > X509_CRL_NUMBER_LEN_MAX)
        return false;
    *number_out = number.content;
    if (number.content.len > 1 && number.content.data[0] == 0)
        *number_out = ca_bytes_of(number.content.data + 1, number.content.len - 1);
    return true;
}

/* AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] OPTIONAL, ... } */
static bool read_key_id(struct ca_bytes value, struct ca_bytes *key_id_out)
{
    struct der_reader reader = der_reader_of(value), inner;
    struct der_value id;

    if (der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK || !der_reader_at_end(&reader))
        return false;
    if (der_reader_peek(&inner) == DER_CONTEXT(0) && der_read(&inner, DER_CONTEXT(0), &id) == CA_OK)
        *key_id_out = id.content;
    return true;
}

/* DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] } */
static bool read_point_name(struct ca_bytes content, struct ca_bytes *url_out)
{
    struct der_reader reader = der_reader_of(content), names;
    struct der_value value;

    if (der_reader_peek(&reader) == DER_CONTEXT_CONSTRUCTED(1))
        return der_read_any(&reader, &value) == CA_OK && der_reader_at_end(&reader);
    if (der_read_into(&reader, DER_CONTEXT_CONSTRUCTED(0), &names) != CA_OK ||
        !der_reader_at_end(&reader))
        return false;
    while (!der_reader_at_end(&names)) {
        if (der_read_any(&names, &value) != CA_OK)
            return false;
        if (value.tag == URI_TAG && url_out->data == NULL)
            *url_out = value.content;
    }
    return true;
}

/* BOOLEAN DEFAULT FALSE behind an implicit tag: only TRUE is ever written. */
static bool read_flag(struct der_reader *reader, uint8_t number, bool *flag_out)
{
    struct der_value value;

    if (der_reader_peek(reader) != DER_CONTEXT(number))
        return true;
    *flag_out = der_read_any(reader, &value) == CA_OK && value.content.len == 1 &&
                value.content.data[0] == 0xff;
    return *flag_out;
}

/*
 * IssuingDistributionPoint ::= SEQUENCE {
 *     distributionPoint [0] OPTIONAL, onlyContainsUserCerts [1], onlyContainsCACerts [2],
 *     onlySomeReasons [3] OPTIONAL, indirectCRL [4], onlyContainsAttributeCerts [5] }
 */
static bool read_idp(const struct x509_extension *extension, struct x509_crl_idp *idp)
{
    struct der_reader reader = der_reader_of(extension->value), inner;
    struct der_value value;

    idp->is_present = true;
    idp->is_critical = extension->is_critical;
    if (der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK || !der_reader_at_end(&reader))
        return false;
    if (der_reader_peek(&inner) == DER_CONTEXT_CONSTRUCTED(0) &&
        (der_read_any(&inner, &value) != CA_OK || !read_point_name(value.content, &idp->url)))
        return false;
    if (!read_flag(&inner, 1, &idp->only_user_certs) || !read_flag(&inner, 2, &idp->only_ca_certs))
        return false;
    if (der_reader_peek(&inner) == DER_CONTEXT(3)) {
        idp->only_some_reasons = true;
        if (der_read_any(&inner, &value) != CA_OK)
            return false;
    }
    return read_flag(&inner, 4, &idp->is_indirect) &&
           read_flag(&inner, 5, &idp->only_attribute_certs) && der_reader_at_end(&inner);
}

/* FreshestCRL ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint; its name is the first field. */
static bool read_freshest(const struct x509_extension *extension,
                          struct x509_crl_freshest *freshest)
{
    struct der_reader reader = der_reader_of(extension->value), points, point;
    struct der_value value;

    freshest->is_present = true;
    freshest->is_critical = extension->is_critical;
    if (der_read_into(&reader, DER_SEQUENCE, &points) != CA_OK || !der_reader_at_end(&reader) ||
        der_reader_at_end(&points))
        return false;
    while (!der_reader_at_end(&points)) {
        if (der_read_into(&points, DER_SEQUENCE, &point) != CA_OK)
            return false;
        if (der_reader_peek(&point) == DER_CONTEXT_CONSTRUCTED(0) &&
            (der_read_any(&point, &value) != CA_OK ||
             !read_point_name(value.content, &freshest->url)))
            return false;
    }
    return true;
}

static bool read_extension(const struct x509_extension *extension, struct x509_crl *crl)
{
    if (ca_bytes_equal(extension->oid, X509_OID_AKI))
        return read_key_id(extension->value, &crl->key_id);
    if (ca_bytes_equal(extension->oid, OID_CRL_NUMBER)) {
        crl->is_number_critical = extension->is_critical;
        return read_number(extension->value, &crl->number);
    }
    if (ca_bytes_equal(extension->oid, OID_DELTA_CRL_INDICATOR)) {
        crl->is_base_critical = extension->is_critical;
        return read_number(extension->value, &crl->base_number);
    }
    if (ca_bytes_equal(extension->oid, OID_ISSUING_DISTRIBUTION_POINT))
        return read_idp(extension, &crl->idp);
    if (ca_bytes_equal(extension->oid, X509_OID_FRESHEST_CRL))
        return read_freshest(extension, &crl->freshest);
    crl->has_unknown_critical |= extension->is_critical;
    return true;
}

/* crlExtensions [0] EXPLICIT Extensions OPTIONAL */
static enum ca_err parse_extensions(struct der_reader *tbs, struct x509_crl *crl,
                                    struct ca_refusal *refusal)
{
    struct der_reader wrapper;
    struct der_value sequence;

    if (der_reader_at_end(tbs))
        return CA_OK;
    if (der_read_into(tbs, DER_CONTEXT_CONSTRUCTED(0), &wrapper) != CA_OK ||
        !der_reader_at_end(tbs) || der_read(&wrapper, DER_SEQUENCE, &sequence) != CA_OK ||
        !der_reader_at_end(&wrapper) || der_check(sequence.whole) != CA_OK ||
        x509_extensions_parse(sequence.content, crl->extensions, &crl->extension_count) != CA_OK)
        return refuse(refusal, "crl.extensions", "RFC 5280 5.1.2.7");
    for (size_t i = 0; i < crl->extension_count; i++) {
        if (!read_extension(&crl->extensions[i], crl))
            return refuse(refusal, "crl.extensions", "RFC 5280 5.2");
    }
    return CA_OK;
}

/* ---- the list */

static enum ca_err parse_tbs(struct ca_bytes content, struct ca_bytes outer_algorithm,
                             struct x509_crl *crl, struct ca_refusal *refusal)
{
    struct der_reader tbs = der_reader_of(content);
    struct der_value value;
    uint32_t version;

    if (der_read_small(&tbs, &version) != CA_OK || version != VERSION_2)
        return refuse(refusal, "crl.version", "RFC 5280 5.1.2.1");
    if (der_read(&tbs, DER_SEQUENCE, &value) != CA_OK || der_check(value.whole) != CA_OK)
        return refuse(refusal, "crl.signature", "RFC 5280 5.1.2.2");
    if (!ca_bytes_equal(value.whole, outer_algorithm))
        return ca_refuse(refusal, CA_ERR_CSR_ALGORITHM, "crl.signature", "RFC 5280 5.1.1.2");
    if (x509_algorithm_parse(value.whole, &crl->sig) != CA_OK)
        return ca_refuse(refusal, CA_ERR_CSR_ALGORITHM, "crl.signature", "algorithm is not known");
    if (der_read(&tbs, DER_SEQUENCE, &value) != CA_OK || der_check(value.whole) != CA_OK)
        return refuse(refusal, "crl.issuer", "RFC 5280 5.1.2.3");
    crl->issuer = value.whole;
    if (!read_time(&tbs, &crl->this_update_s))
        return refuse(refusal, "crl.this_update", "RFC 5280 5.1.2.4");
    crl->has_next_update =
        der_reader_peek(&tbs) == DER_UTC_TIME || der_reader_peek(&tbs) == DER_GENERALIZED_TIME;
    if (crl->has_next_update && !read_time(&tbs, &crl->next_update_s))
        return refuse(refusal, "crl.next_update", "RFC 5280 5.1.2.5");
    if (der_reader_peek(&tbs) == DER_SEQUENCE) {
        if (der_read(&tbs, DER_SEQUENCE, &value) != CA_OK)
            return refuse(refusal, "crl.entries", "RFC 5280 5.1.2.6");
        crl->has_entries = true;
        crl->entries = value.content;
    }
    return parse_extensions(&tbs, crl, refusal);
}

/* CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue BIT STRING } */
static enum ca_err parse_list(struct ca_bytes der, struct x509_crl *crl, struct ca_refusal *refusal)
{
    struct der_reader reader = der_reader_of(der), outer;
    struct der_value tbs, algorithm;

    if (der_read_into(&reader, DER_SEQUENCE, &outer) != CA_OK || !der_reader_at_end(&reader) ||
        der_read(&outer, DER_SEQUENCE, &tbs) != CA_OK ||
        der_read(&outer, DER_SEQUENCE, &algorithm) != CA_OK ||
        der_read_bit_octets(&outer, &crl->signature) != CA_OK || !der_reader_at_end(&outer))
        return refuse(refusal, "crl", "RFC 5280 5.1");
    crl->whole = der;
    crl->tbs = tbs.whole;
    return parse_tbs(tbs.content, algorithm.whole, crl, refusal);
}

enum ca_err x509_crl_parse(struct ca_bytes der, struct x509_crl *crl_out,
                           struct ca_refusal *refusal)
{
    memset(crl_out, 0, sizeof(*crl_out));
    if (der.len == 0 || der.len > X509_CRL_LEN_MAX)
        return refuse(refusal, "crl", "of 1 octet to 4 GiB");
    enum ca_err err = parse_list(der, crl_out, refusal);
    if (err != CA_OK)
        memset(crl_out, 0, sizeof(*crl_out));
    return err;
}

const struct x509_extension *x509_crl_extension(const struct x509_crl *crl, struct ca_bytes oid)
{
    for (size_t i = 0; i < crl->extension_count; i++) {
        if (ca_bytes_equal(crl->extensions[i].oid, oid))
            return &crl->extensions[i];
    }
    return NULL;
}

/* ---- entries */

struct x509_crl_cursor x509_crl_entries(const struct x509_crl *crl)
{
    struct der_reader reader = der_reader_of(crl->entries);

    return (struct x509_crl_cursor){ reader.at, reader.end };
}

static bool is_reason(struct ca_bytes value, enum x509_crl_reason *reason_out)
{
    if (value.len != 3 || value.data[0] != DER_ENUMERATED || value.data[1] != 1 ||
        x509_crl_reason_name(value.data[2]) == NULL)
        return false;
    *reason_out = (enum x509_crl_reason)value.data[2];
    return true;
}

/* InvalidityDate is GeneralizedTime whatever the year. */
static bool is_invalidity(struct ca_bytes value, int64_t *time_s_out)
{
    struct der_reader reader = der_reader_of(value);

    return der_reader_peek(&reader) == DER_GENERALIZED_TIME &&
           der_read_time(&reader, time_s_out) == CA_OK && der_reader_at_end(&reader);
}

/* crlEntryExtensions; one of each kind at most, the unknown ones included. */
static enum ca_err parse_entry_extensions(struct ca_bytes whole, struct ca_bytes content,
                                          struct x509_crl_entry *entry, struct ca_refusal *refusal)
{
    struct x509_extension extensions[CA_EXTENSION_COUNT_MAX];
    size_t count;

    if (der_check(whole) != CA_OK || x509_extensions_parse(content, extensions, &count) != CA_OK)
        return refuse(refusal, "crl.entry.extensions", "RFC 5280 5.3");
    for (size_t i = 0; i < count; i++) {
        const struct x509_extension *extension = &extensions[i];
        if (ca_bytes_equal(extension->oid, OID_REASON_CODE)) {
            if (!is_reason(extension->value, &entry->reason))
                return refuse(refusal, "crl.entry.reason", "RFC 5280 5.3.1");
            entry->has_reason = true;
            entry->has_critical |= extension->is_critical;
        } else if (ca_bytes_equal(extension->oid, OID_INVALIDITY_DATE)) {
            if (!is_invalidity(extension->value, &entry->invalidity_s))
                return refuse(refusal, "crl.entry.invalidity_date", "RFC 5280 5.3.2");
            entry->has_invalidity = true;
            entry->has_critical |= extension->is_critical;
        } else {
            entry->has_unknown = true;
            entry->has_unknown_critical |= extension->is_critical;
        }
    }
    return CA_OK;
}

/* By far the most entries have a reason alone, and these 14 octets for it. */
#define REASON_ALONE "\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"

static bool read_reason_alone(struct ca_bytes rest, struct x509_crl_entry *entry)
{
    struct ca_bytes front = CA_BYTES(REASON_ALONE);

    if (rest.len != front.len + 1 || !ca_bytes_equal(ca_bytes_of(rest.data, front.len), front) ||
        x509_crl_reason_name(rest.data[front.len]) == NULL)
        return false;
    entry->reason = (enum x509_crl_reason)rest.data[front.len];
    entry->has_reason = true;
    return true;
}

/* A positive INTEGER of at most 20 octets in its shortest form. */
static bool read_serial(struct der_reader *reader, struct ca_bytes *serial_out)
{
    const uint8_t *at = reader->at;
    size_t left = (size_t)(reader->end - at);

    if (left < 3 || at[0] != DER_INTEGER || at[1] == 0 || at[1] > X509_CRL_SERIAL_LEN_MAX ||
        left < 2u + at[1] || at[2] >= 0x80 || (at[2] == 0 && (at[1] == 1 || at[3] < 0x80)))
        return false;
    *serial_out = ca_bytes_of(at + 2, at[1]);
    reader->at = at + 2 + at[1];
    return true;
}

static enum ca_err parse_entry(struct ca_bytes content, struct x509_crl_entry *entry,
                               struct ca_refusal *refusal)
{
    struct der_reader inner = der_reader_of(content);
    struct der_value value;

    if (!read_serial(&inner, &entry->serial))
        return refuse(refusal, "crl.entry.serial", "RFC 5280 4.1.2.2");
    if (!read_time(&inner, &entry->revoked_s))
        return refuse(refusal, "crl.entry.date", "RFC 5280 5.1.2.6");
    if (der_reader_at_end(&inner) ||
        read_reason_alone(ca_bytes_of(inner.at, (size_t)(inner.end - inner.at)), entry))
        return CA_OK;
    if (der_read(&inner, DER_SEQUENCE, &value) != CA_OK || !der_reader_at_end(&inner))
        return refuse(refusal, "crl.entry", "RFC 5280 5.1");
    return parse_entry_extensions(value.whole, value.content, entry, refusal);
}

enum ca_err x509_crl_next(struct x509_crl_cursor *cursor, struct x509_crl_entry *entry_out,
                          struct ca_refusal *refusal)
{
    struct der_reader reader = { cursor->at, cursor->end };
    struct der_value value;

    *entry_out = (struct x509_crl_entry){ 0 };
    if (der_read(&reader, DER_SEQUENCE, &value) != CA_OK)
        return refuse(refusal, "crl.entry", "RFC 5280 5.1");

    enum ca_err err = parse_entry(value.content, entry_out, refusal);
    if (err != CA_OK) {
        *entry_out = (struct x509_crl_entry){ 0 };
        return err;
    }
    entry_out->whole = value.whole;
    cursor->at = reader.at;
    return CA_OK;
}

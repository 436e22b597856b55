/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/ext.h"

#define OID_CE(last)                        \
    {                                       \
        (const uint8_t *)"\x55\x1d" last, 3 \
    }
const struct ca_bytes X509_OID_SKI = OID_CE("\x0e");
const struct ca_bytes X509_OID_KEY_USAGE = OID_CE("\x0f");
const struct ca_bytes X509_OID_SAN = OID_CE("\x11");
const struct ca_bytes X509_OID_BASIC_CONSTRAINTS = OID_CE("\x13");
const struct ca_bytes X509_OID_CRL_DISTRIBUTION_POINTS = OID_CE("\x1f");
const struct ca_bytes X509_OID_CERTIFICATE_POLICIES = OID_CE("\x20");
const struct ca_bytes X509_OID_AKI = OID_CE("\x23");
const struct ca_bytes X509_OID_EXT_KEY_USAGE = OID_CE("\x25");
const struct ca_bytes X509_OID_FRESHEST_CRL = OID_CE("\x2e");
/* 1.3.6.1.5.5.7.1.1 */
const struct ca_bytes X509_OID_AIA = { (const uint8_t *)"\x2b\x06\x01\x05\x05\x07\x01\x01", 8 };

#define OID_AD_OCSP       CA_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01")
#define OID_AD_CA_ISSUERS CA_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x02")
#define OID_QT_CPS        CA_BYTES("\x2b\x06\x01\x05\x05\x07\x02\x01")

enum { URI_TAG = DER_CONTEXT(6) };

/* Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
 * Wraps everything written since the mark. */
static void end_extension(struct der_writer *writer, size_t mark, struct ca_bytes oid,
                          bool is_critical)
{
    der_write_header(writer, DER_OCTET_STRING, mark);
    if (is_critical)
        der_write_boolean(writer, true);
    der_write_oid(writer, oid);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_ext_write(struct der_writer *writer, struct ca_bytes oid, bool is_critical,
                    struct ca_bytes value)
{
    size_t mark = der_writer_mark(writer);

    der_write_raw(writer, value);
    end_extension(writer, mark, oid, is_critical);
}

void x509_ext_write_key_usage(struct der_writer *writer, uint32_t usage, bool is_critical)
{
    size_t mark = der_writer_mark(writer);

    der_write_named_bits(writer, usage);
    end_extension(writer, mark, X509_OID_KEY_USAGE, is_critical);
}

void x509_ext_write_ext_key_usage(struct der_writer *writer, const struct ca_bytes *oids,
                                  size_t count, bool is_critical)
{
    size_t mark = der_writer_mark(writer);

    for (size_t i = count; i-- > 0;)
        der_write_oid(writer, oids[i]);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_EXT_KEY_USAGE, is_critical);
}

void x509_ext_write_basic_constraints(struct der_writer *writer, bool is_ca, int path_len,
                                      bool is_critical)
{
    size_t mark = der_writer_mark(writer);

    if (is_ca && path_len >= 0)
        der_write_small(writer, (uint64_t)path_len);
    if (is_ca)
        der_write_boolean(writer, true);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_BASIC_CONSTRAINTS, is_critical);
}

void x509_ext_write_subject_key_id(struct der_writer *writer, const uint8_t id[20])
{
    size_t mark = der_writer_mark(writer);

    der_write_value(writer, DER_OCTET_STRING, ca_bytes_of(id, 20));
    end_extension(writer, mark, X509_OID_SKI, false);
}

void x509_ext_write_authority_key_id(struct der_writer *writer, struct ca_bytes id)
{
    size_t mark = der_writer_mark(writer);

    der_write_value(writer, DER_CONTEXT(0), id);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_AKI, false);
}

void x509_ext_write_alt_names(struct der_writer *writer, struct ca_bytes names, bool is_critical)
{
    size_t mark = der_writer_mark(writer);

    der_write_raw(writer, names);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_SAN, is_critical);
}

/* AccessDescription ::= SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName } */
static void write_access(struct der_writer *writer, struct ca_bytes method, struct ca_bytes url)
{
    size_t mark = der_writer_mark(writer);

    if (url.len == 0)
        return;
    der_write_value(writer, URI_TAG, url);
    der_write_oid(writer, method);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_ext_write_authority_info_access(struct der_writer *writer, struct ca_bytes ocsp_url,
                                          struct ca_bytes ca_issuers_url)
{
    size_t mark = der_writer_mark(writer);

    if (ocsp_url.len == 0 && ca_issuers_url.len == 0)
        return;
    write_access(writer, OID_AD_CA_ISSUERS, ca_issuers_url);
    write_access(writer, OID_AD_OCSP, ocsp_url);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_AIA, false);
}

/* SEQUENCE OF SEQUENCE { distributionPoint [0] { fullName [0] GeneralNames } } */
static void write_distribution_point(struct der_writer *writer, struct ca_bytes oid,
                                     struct ca_bytes url)
{
    size_t mark = der_writer_mark(writer);

    der_write_value(writer, URI_TAG, url);
    der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), mark);
    der_write_header(writer, DER_CONTEXT_CONSTRUCTED(0), mark);
    der_write_header(writer, DER_SEQUENCE, mark);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, oid, false);
}

void x509_ext_write_crl_distribution_point(struct der_writer *writer, struct ca_bytes url)
{
    write_distribution_point(writer, X509_OID_CRL_DISTRIBUTION_POINTS, url);
}

/* FreshestCRL ::= CRLDistributionPoints (RFC 5280, sections 4.2.1.15 and 5.2.6) */
void x509_ext_write_freshest_crl(struct der_writer *writer, struct ca_bytes url)
{
    write_distribution_point(writer, X509_OID_FRESHEST_CRL, url);
}

/* PolicyInformation ::= SEQUENCE { OID, SEQUENCE OF SEQUENCE { OID, qualifier } OPTIONAL } */
static void write_policy(struct der_writer *writer, const struct x509_policy *policy)
{
    size_t mark = der_writer_mark(writer);

    if (policy->cps_url.len > 0) {
        der_write_value(writer, DER_IA5_STRING, policy->cps_url);
        der_write_oid(writer, OID_QT_CPS);
        der_write_header(writer, DER_SEQUENCE, mark);
        der_write_header(writer, DER_SEQUENCE, mark);
    }
    der_write_oid(writer, policy->oid);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_ext_write_policies(struct der_writer *writer, const struct x509_policy *policies,
                             size_t count)
{
    size_t mark = der_writer_mark(writer);

    for (size_t i = count; i-- > 0;)
        write_policy(writer, &policies[i]);
    der_write_header(writer, DER_SEQUENCE, mark);
    end_extension(writer, mark, X509_OID_CERTIFICATE_POLICIES, false);
}

/* One number of a dotted OID, without needless zeros; 56 bits are enough for all we were given. */
static bool read_arc(const char **at, uint64_t *arc_out)
{
    const char *c = *at;
    uint64_t arc = 0;

    if (*c < '0' || *c > '9' || (c[0] == '0' && c[1] >= '0' && c[1] <= '9'))
        return false;
    for (; *c >= '0' && *c <= '9'; c++) {
        arc = arc * 10 + (uint64_t)(*c - '0');
        if (arc >> 56 != 0)
            return false;
    }
    *at = c;
    *arc_out = arc;
    return true;
}

static bool put_subidentifier(uint64_t number, uint8_t oid[CA_OID_LEN_MAX], size_t *len)
{
    size_t octets = 1;

    for (uint64_t rest = number >> 7; rest > 0; rest >>= 7)
        octets++;
    if (CA_OID_LEN_MAX - *len < octets)
        return false;
    for (size_t i = octets; i-- > 0;)
        oid[(*len)++] = (uint8_t)((number >> 7 * i & 0x7f) | (i > 0 ? 0x80 : 0));
    return true;
}

enum ca_err x509_oid_parse(const char *dotted, struct ca_arena *arena, struct ca_bytes *oid_out)
{
    uint8_t oid[CA_OID_LEN_MAX];
    size_t len = 0;
    uint64_t first, arc;

    *oid_out = (struct ca_bytes){ 0 };
    if (!read_arc(&dotted, &first) || first > 2 || *dotted++ != '.' || !read_arc(&dotted, &arc) ||
        (first < 2 && arc > 39) || !put_subidentifier(first * 40 + arc, oid, &len))
        return CA_ERR_FIELD_FORMAT;
    while (*dotted != '\0') {
        if (*dotted++ != '.' || !read_arc(&dotted, &arc) || !put_subidentifier(arc, oid, &len))
            return CA_ERR_FIELD_FORMAT;
    }
    *oid_out = ca_arena_copy(arena, ca_bytes_of(oid, len));
    return oid_out->data == NULL ? CA_ERR_NOMEM : CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"
#include "ca/x509/ext.h"
#include "ca/x509/lint_rules.h"

enum { EXTENSION_VALUE_COUNT_MAX = 64 }; /* purposes, policies: far more than anybody uses */

/* ---- sorting them */

/* Spelled out again, so that a slip in the writer's table is not in ours as well. */
static const struct ca_bytes oids[LINT_EXTENSION_COUNT] = {
    [LINT_AKI] = CA_BYTES("\x55\x1d\x23"),
    [LINT_SKI] = CA_BYTES("\x55\x1d\x0e"),
    [LINT_KEY_USAGE] = CA_BYTES("\x55\x1d\x0f"),
    [LINT_POLICIES] = CA_BYTES("\x55\x1d\x20"),
    [LINT_SAN] = CA_BYTES("\x55\x1d\x11"),
    [LINT_BASIC_CONSTRAINTS] = CA_BYTES("\x55\x1d\x13"),
    [LINT_EXT_KEY_USAGE] = CA_BYTES("\x55\x1d\x25"),
    [LINT_CRL_POINTS] = CA_BYTES("\x55\x1d\x1f"),
    [LINT_AIA] = CA_BYTES("\x2b\x06\x01\x05\x05\x07\x01\x01"),
    [LINT_FRESHEST_CRL] = CA_BYTES("\x55\x1d\x2e"),
};

static size_t known_extension(struct ca_bytes oid)
{
    size_t id = 0;

    while (id < LINT_EXTENSION_COUNT && !ca_bytes_equal(oids[id], oid))
        id++;
    return id;
}

/* KeyUsage ::= BIT STRING of named bits: trailing zeros are gone (X.690, section 11.2.2). */
static bool read_key_usage(struct ca_bytes value, uint32_t *usage_out)
{
    struct der_reader reader = der_reader_of(value);
    struct der_value bits;

    if (der_read(&reader, DER_BIT_STRING, &bits) != CA_OK || !der_reader_at_end(&reader) ||
        bits.content.len < 2 || bits.content.len > 3)
        return false;
    size_t bit_count = (bits.content.len - 1) * 8 - bits.content.data[0];
    for (size_t bit = 0; bit < bit_count; bit++) {
        if ((bits.content.data[1 + bit / 8] >> (7 - bit % 8) & 1) != 0)
            *usage_out |= 1u << bit;
    }
    return bit_count <= 9 && (*usage_out >> (bit_count - 1) & 1) != 0;
}

/* BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } */
static bool read_basic_constraints(struct ca_bytes value, struct lint *lint)
{
    struct der_reader reader = der_reader_of(value), inner;
    uint32_t path_len;

    if (der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK || !der_reader_at_end(&reader) ||
        der_read_default_false(&inner, &lint->is_ca) != CA_OK)
        return false;
    if (der_reader_at_end(&inner))
        return true;
    lint->has_path_len = true;
    return der_read_small(&inner, &path_len) == CA_OK && der_reader_at_end(&inner);
}

static bool is_repeated_unknown(struct ca_bytes oid, struct der_reader rest)
{
    struct der_reader inner;
    struct der_value value;

    while (!der_reader_at_end(&rest)) {
        if (der_read_into(&rest, DER_SEQUENCE, &inner) != CA_OK ||
            der_read(&inner, DER_OID, &value) != CA_OK || ca_bytes_equal(value.content, oid))
            return true;
    }
    return false;
}

bool lint_take_extension(struct lint *lint, struct der_reader *reader)
{
    struct der_reader inner;
    struct der_value oid, value;
    struct lint_extension extension = { .is_present = true };

    if (der_read_into(reader, DER_SEQUENCE, &inner) != CA_OK ||
        der_read(&inner, DER_OID, &oid) != CA_OK ||
        der_read_default_false(&inner, &extension.is_critical) != CA_OK ||
        der_read(&inner, DER_OCTET_STRING, &value) != CA_OK || !der_reader_at_end(&inner))
        return false;
    /* What is not DER has no meaning, and is not looked at any further. */
    if (der_check(value.content) != CA_OK) {
        lint->has_broken_extension = true;
        return true;
    }
    extension.value = value.content;
    size_t id = known_extension(oid.content);
    if (id == LINT_EXTENSION_COUNT) {
        lint->has_unknown_critical_extension |= extension.is_critical;
        lint->has_repeated_extension |= is_repeated_unknown(oid.content, *reader);
        return true;
    }
    lint->has_repeated_extension |= lint->extensions[id].is_present;
    lint->extensions[id] = extension;
    if (id == LINT_KEY_USAGE && !read_key_usage(extension.value, &lint->key_usage))
        lint->has_broken_extension = true;
    if (id == LINT_BASIC_CONSTRAINTS && !read_basic_constraints(extension.value, lint))
        lint->has_broken_extension = true;
    return true;
}

/* ---- all of them */

static bool none_is_broken(const struct lint *lint)
{
    return !lint->has_broken_extension;
}

static bool none_is_repeated(const struct lint *lint)
{
    return !lint->has_repeated_extension;
}

static bool critical_ones_are_known(const struct lint *lint)
{
    return !lint->has_unknown_critical_extension;
}

static bool is_absent_or_not_critical(const struct lint *lint, enum lint_extension_id id)
{
    return !lint->extensions[id].is_critical;
}

/* The content of the SEQUENCE that an extension's value is. */
static bool open_extension(const struct lint *lint, enum lint_extension_id id,
                           struct der_reader *inner_out)
{
    struct der_reader reader = der_reader_of(lint->extensions[id].value);

    return der_read_into(&reader, DER_SEQUENCE, inner_out) == CA_OK && der_reader_at_end(&reader);
}

/* ---- key identifiers */

static bool authority_key_is_named(const struct lint *lint)
{
    struct der_reader inner;
    struct der_value id;

    if (!lint->extensions[LINT_AKI].is_present)
        return lint->context->issuer_key_id.len == 0;
    if (!is_absent_or_not_critical(lint, LINT_AKI) || !open_extension(lint, LINT_AKI, &inner) ||
        der_read(&inner, DER_CONTEXT(0), &id) != CA_OK || !der_reader_at_end(&inner) ||
        id.content.len == 0)
        return false;
    return lint->context->issuer_key_id.len == 0 ||
           ca_bytes_equal(id.content, lint->context->issuer_key_id);
}

static bool subject_key_is_named(const struct lint *lint)
{
    struct der_reader reader = der_reader_of(lint->extensions[LINT_SKI].value);
    struct der_value id;
    uint8_t digest[20];

    if (!lint->extensions[LINT_SKI].is_present)
        return !lint->context->is_ca;
    if (!is_absent_or_not_critical(lint, LINT_SKI) ||
        der_read(&reader, DER_OCTET_STRING, &id) != CA_OK || !der_reader_at_end(&reader))
        return false;
    crypto_sha1_key_id(lint->key_bits, digest);
    return ca_bytes_equal(id.content, ca_bytes_of(digest, sizeof(digest)));
}

/* ---- who may be a CA */

static bool is_a_ca_as_wanted(const struct lint *lint)
{
    return lint->is_ca == lint->context->is_ca;
}

static bool ca_is_critical(const struct lint *lint)
{
    return !lint->is_ca || lint->extensions[LINT_BASIC_CONSTRAINTS].is_critical;
}

static bool path_len_is_for_cas(const struct lint *lint)
{
    return !lint->has_path_len || (lint->is_ca && (lint->key_usage & X509_KU_KEY_CERT_SIGN) != 0);
}

/* ---- key usage */

static bool ca_signs_certificates(const struct lint *lint)
{
    bool signs_certificates = (lint->key_usage & X509_KU_KEY_CERT_SIGN) != 0;

    return signs_certificates == lint->is_ca;
}

static bool ca_usage_is_critical(const struct lint *lint)
{
    return !lint->is_ca || lint->extensions[LINT_KEY_USAGE].is_critical;
}

static bool usage_of_agreement_is_whole(const struct lint *lint)
{
    return (lint->key_usage & X509_KU_KEY_AGREEMENT) != 0 ||
           (lint->key_usage & (X509_KU_ENCIPHER_ONLY | X509_KU_DECIPHER_ONLY)) == 0;
}

enum {
    USAGE_SIGNING = X509_KU_DIGITAL_SIGNATURE | X509_KU_NON_REPUDIATION | X509_KU_KEY_CERT_SIGN |
                    X509_KU_CRL_SIGN,
    USAGE_ENCIPHERING = X509_KU_KEY_ENCIPHERMENT | X509_KU_DATA_ENCIPHERMENT,
    USAGE_AGREEING = X509_KU_KEY_AGREEMENT | X509_KU_ENCIPHER_ONLY | X509_KU_DECIPHER_ONLY,
};

static bool usage_fits(const struct lint *lint, enum lint_key key, uint32_t allowed)
{
    return lint->key != key || (lint->key_usage & ~allowed) == 0;
}

static bool usage_fits_rsa(const struct lint *lint)
{
    return usage_fits(lint, LINT_KEY_RSA, USAGE_SIGNING | USAGE_ENCIPHERING);
}

static bool usage_fits_ec(const struct lint *lint)
{
    return usage_fits(lint, LINT_KEY_EC, USAGE_SIGNING | USAGE_AGREEING);
}

static bool usage_fits_ed25519(const struct lint *lint)
{
    return usage_fits(lint, LINT_KEY_ED25519, USAGE_SIGNING);
}

/* SM2 can encipher, but not with a key that signs: there are two certificates for that. */
static bool usage_fits_sm2(const struct lint *lint)
{
    return lint->key != LINT_KEY_SM2 || (lint->key_usage & USAGE_SIGNING) == 0 ||
           (lint->key_usage & (USAGE_ENCIPHERING | USAGE_AGREEING)) == 0;
}

/* ---- lists */

static bool take_distinct(struct ca_bytes oid, struct ca_bytes *seen, size_t *count)
{
    if (*count == EXTENSION_VALUE_COUNT_MAX)
        return false;
    for (size_t i = 0; i < *count; i++) {
        if (ca_bytes_equal(seen[i], oid))
            return false;
    }
    seen[(*count)++] = oid;
    return true;
}

static bool purposes_are_distinct(const struct lint *lint)
{
    struct ca_bytes seen[EXTENSION_VALUE_COUNT_MAX];
    struct der_reader inner;
    struct der_value oid;
    size_t count = 0;

    if (!lint->extensions[LINT_EXT_KEY_USAGE].is_present)
        return true;
    if (!open_extension(lint, LINT_EXT_KEY_USAGE, &inner))
        return false;
    while (!der_reader_at_end(&inner)) {
        if (der_read(&inner, DER_OID, &oid) != CA_OK || !take_distinct(oid.content, seen, &count))
            return false;
    }
    return count > 0;
}

/* PolicyQualifierInfo: a CPS pointer is a URL in an IA5String; other kinds are left alone. */
static bool qualifiers_hold(struct der_reader *policy)
{
    struct der_reader qualifiers, inner;
    struct der_value oid, qualifier;

    if (der_reader_at_end(policy))
        return true;
    if (der_read_into(policy, DER_SEQUENCE, &qualifiers) != CA_OK || !der_reader_at_end(policy) ||
        der_reader_at_end(&qualifiers))
        return false;
    while (!der_reader_at_end(&qualifiers)) {
        if (der_read_into(&qualifiers, DER_SEQUENCE, &inner) != CA_OK ||
            der_read(&inner, DER_OID, &oid) != CA_OK || der_read_any(&inner, &qualifier) != CA_OK ||
            !der_reader_at_end(&inner))
            return false;
        if (ca_bytes_equal(oid.content, CA_BYTES("\x2b\x06\x01\x05\x05\x07\x02\x01")) &&
            (qualifier.tag != DER_IA5_STRING || !lint_is_url(qualifier.content, true)))
            return false;
    }
    return true;
}

static bool policies_hold(const struct lint *lint)
{
    struct ca_bytes seen[EXTENSION_VALUE_COUNT_MAX];
    struct der_reader inner, policy;
    struct der_value oid;
    size_t count = 0;

    if (!lint->extensions[LINT_POLICIES].is_present)
        return true;
    if (!open_extension(lint, LINT_POLICIES, &inner))
        return false;
    while (!der_reader_at_end(&inner)) {
        if (der_read_into(&inner, DER_SEQUENCE, &policy) != CA_OK ||
            der_read(&policy, DER_OID, &oid) != CA_OK ||
            !take_distinct(oid.content, seen, &count) || !qualifiers_hold(&policy))
            return false;
    }
    return count > 0;
}

static bool alt_names_hold(const struct lint *lint)
{
    return !lint->extensions[LINT_SAN].is_present ||
           lint_general_names_hold(lint->extensions[LINT_SAN].value);
}

/* ---- where to look */

/* DistributionPoint with the only form that everybody understands: URLs as its full name. */
static bool distribution_point_holds(struct der_reader *points)
{
    struct der_reader point, name, urls;
    struct der_value url;

    if (der_read_into(points, DER_SEQUENCE, &point) != CA_OK ||
        der_read_into(&point, DER_CONTEXT_CONSTRUCTED(0), &name) != CA_OK ||
        !der_reader_at_end(&point) ||
        der_read_into(&name, DER_CONTEXT_CONSTRUCTED(0), &urls) != CA_OK ||
        !der_reader_at_end(&name) || der_reader_at_end(&urls))
        return false;
    while (!der_reader_at_end(&urls)) {
        if (der_read(&urls, DER_CONTEXT(6), &url) != CA_OK || !lint_is_url(url.content, true))
            return false;
    }
    return true;
}

static bool distribution_points_hold(const struct lint *lint, enum lint_extension_id id)
{
    struct der_reader points;

    if (!lint->extensions[id].is_present)
        return true;
    if (!is_absent_or_not_critical(lint, id) || !open_extension(lint, id, &points) ||
        der_reader_at_end(&points))
        return false;
    while (!der_reader_at_end(&points)) {
        if (!distribution_point_holds(&points))
            return false;
    }
    return true;
}

static bool crl_points_hold(const struct lint *lint)
{
    return distribution_points_hold(lint, LINT_CRL_POINTS);
}

static bool freshest_crl_holds(const struct lint *lint)
{
    return distribution_points_hold(lint, LINT_FRESHEST_CRL);
}

static bool access_holds(const struct lint *lint)
{
    struct der_reader inner, access;
    struct der_value oid, url;

    if (!lint->extensions[LINT_AIA].is_present)
        return true;
    if (!is_absent_or_not_critical(lint, LINT_AIA) || !open_extension(lint, LINT_AIA, &inner) ||
        der_reader_at_end(&inner))
        return false;
    while (!der_reader_at_end(&inner)) {
        if (der_read_into(&inner, DER_SEQUENCE, &access) != CA_OK ||
            der_read(&access, DER_OID, &oid) != CA_OK ||
            der_read(&access, DER_CONTEXT(6), &url) != CA_OK || !der_reader_at_end(&access) ||
            !lint_is_url(url.content, true))
            return false;
    }
    return true;
}

/* clang-format off */
const struct lint_rule LINT_EXTENSION_RULES[] = {
    { "extensions",             "RFC 5280 4.2: form",              none_is_broken },
    { "extensions",             "RFC 5280 4.2: repeated",          none_is_repeated },
    { "extensions",             "RFC 5280 4.2: unknown critical",  critical_ones_are_known },
    { "authorityKeyIdentifier", "RFC 5280 4.2.1.1",                authority_key_is_named },
    { "subjectKeyIdentifier",   "RFC 5280 4.2.1.2",                subject_key_is_named },
    { "basicConstraints",       "RFC 5280 4.2.1.9",                is_a_ca_as_wanted },
    { "basicConstraints",       "RFC 5280 4.2.1.9: critical",      ca_is_critical },
    { "basicConstraints",       "RFC 5280 4.2.1.9: path length",   path_len_is_for_cas },
    { "keyUsage",               "RFC 5280 4.2.1.3: keyCertSign",   ca_signs_certificates },
    { "keyUsage",               "RFC 5280 4.2.1.3: critical",      ca_usage_is_critical },
    { "keyUsage",               "RFC 5280 4.2.1.3: keyAgreement",  usage_of_agreement_is_whole },
    { "keyUsage",               "RFC 3279 2.3.1",                  usage_fits_rsa },
    { "keyUsage",               "RFC 5480 3",                      usage_fits_ec },
    { "keyUsage",               "RFC 8410 5",                      usage_fits_ed25519 },
    { "keyUsage",               "GM/T 0015: sign or encipher",     usage_fits_sm2 },
    { "certificatePolicies",    "RFC 5280 4.2.1.4",                policies_hold },
    { "subjectAltName",         "RFC 5280 4.2.1.6",                alt_names_hold },
    { "extKeyUsage",            "RFC 5280 4.2.1.12",               purposes_are_distinct },
    { "cRLDistributionPoints",  "RFC 5280 4.2.1.13",               crl_points_hold },
    { "freshestCRL",            "RFC 5280 4.2.1.15",               freshest_crl_holds },
    { "authorityInfoAccess",    "RFC 5280 4.2.2.1",                access_holds },
};
/* clang-format on */
const size_t LINT_EXTENSION_RULE_COUNT =
    sizeof(LINT_EXTENSION_RULES) / sizeof(LINT_EXTENSION_RULES[0]);

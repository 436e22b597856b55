/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/lint.h"

#include "ca/x509/lint_rules.h"

/* ---- taking the bytes apart */

/* OIDs are spelled out again here: a slip in the writer's tables must not be in ours as well. */
#define OID_X962(arcs) CA_BYTES("\x2a\x86\x48\xce\x3d" arcs)
#define OID_PKCS1(arc) CA_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01" arc)
#define OID_GMT(arcs)  CA_BYTES("\x2a\x81\x1c\xcf\x55\x01" arcs)
#define OID_ED25519    CA_BYTES("\x2b\x65\x70")

static enum lint_key key_of(struct ca_bytes algorithm)
{
    /* clang-format off */
    static const struct {
        enum lint_key key;
        struct ca_bytes oid;
        struct ca_bytes parameters;
    } kinds[] = {
        { LINT_KEY_EC,      OID_X962("\x02\x01"),
          CA_BYTES("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07") },
        { LINT_KEY_EC,      OID_X962("\x02\x01"), CA_BYTES("\x06\x05\x2b\x81\x04\x00\x22") },
        { LINT_KEY_SM2,     OID_X962("\x02\x01"),
          CA_BYTES("\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d") },
        { LINT_KEY_RSA,     OID_PKCS1("\x01"),    CA_BYTES("\x05\x00") },
        { LINT_KEY_ED25519, OID_ED25519,          { 0 } },
    };
    /* clang-format on */
    struct der_reader reader = der_reader_of(algorithm), inner;
    struct der_value oid;

    if (der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK ||
        der_read(&inner, DER_OID, &oid) != CA_OK)
        return LINT_KEY_UNKNOWN;
    struct ca_bytes parameters = ca_bytes_of(inner.at, (size_t)(inner.end - inner.at));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ca_bytes_equal(kinds[i].oid, oid.content) &&
            ca_bytes_equal(kinds[i].parameters, parameters))
            return kinds[i].key;
    }
    return LINT_KEY_UNKNOWN;
}

static bool take_key(struct lint *lint, struct der_reader *tbs)
{
    struct der_value spki, algorithm;
    struct der_reader inner;

    if (der_read(tbs, DER_SEQUENCE, &spki) != CA_OK)
        return false;
    inner = der_reader_of(spki.content);
    lint->spki = spki.whole;
    if (der_read(&inner, DER_SEQUENCE, &algorithm) != CA_OK ||
        der_read_bit_octets(&inner, &lint->key_bits) != CA_OK || !der_reader_at_end(&inner))
        return false;
    lint->key = key_of(algorithm.whole);
    return true;
}

static bool take_validity(struct lint *lint, struct der_reader *tbs)
{
    struct der_reader inner;

    if (der_read_into(tbs, DER_SEQUENCE, &inner) != CA_OK)
        return false;
    lint->not_before_tag = der_reader_peek(&inner);
    if (der_read_time(&inner, &lint->not_before_s) != CA_OK)
        return false;
    lint->not_after_tag = der_reader_peek(&inner);
    return der_read_time(&inner, &lint->not_after_s) == CA_OK && der_reader_at_end(&inner);
}

static bool take_extensions(struct lint *lint, struct der_reader *tbs)
{
    struct der_reader wrapper, extensions;
    size_t count = 0;

    if (der_read_into(tbs, DER_CONTEXT_CONSTRUCTED(3), &wrapper) != CA_OK ||
        der_read_into(&wrapper, DER_SEQUENCE, &extensions) != CA_OK ||
        !der_reader_at_end(&wrapper) || der_reader_at_end(&extensions))
        return false;
    while (!der_reader_at_end(&extensions)) {
        if (count++ == CA_EXTENSION_COUNT_MAX || !lint_take_extension(lint, &extensions))
            return false;
    }
    return true;
}

static bool take_tbs(struct lint *lint, struct ca_bytes der)
{
    struct der_reader reader = der_reader_of(der), tbs;
    struct der_value value;

    if (der_check(der) != CA_OK || der_read_into(&reader, DER_SEQUENCE, &tbs) != CA_OK)
        return false;
    if (der_reader_peek(&tbs) == DER_CONTEXT_CONSTRUCTED(0)) {
        if (der_read_any(&tbs, &value) != CA_OK)
            return false;
        lint->version = value.content;
    }
    if (der_read(&tbs, DER_INTEGER, &value) != CA_OK)
        return false;
    lint->serial = value.content;
    if (der_read(&tbs, DER_SEQUENCE, &value) != CA_OK)
        return false;
    lint->algorithm = value.whole;
    if (der_read(&tbs, DER_SEQUENCE, &value) != CA_OK)
        return false;
    lint->issuer = value.whole;
    if (!take_validity(lint, &tbs) || der_read(&tbs, DER_SEQUENCE, &value) != CA_OK)
        return false;
    lint->subject = value.whole;
    if (!take_key(lint, &tbs))
        return false;
    while ((der_reader_peek(&tbs) & 0xdf) == DER_CONTEXT(1) ||
           (der_reader_peek(&tbs) & 0xdf) == DER_CONTEXT(2)) {
        lint->has_unique_id = true;
        if (der_read_any(&tbs, &value) != CA_OK)
            return false;
    }
    return take_extensions(lint, &tbs) && der_reader_at_end(&tbs);
}

/* ---- the rules of the TBSCertificate itself */

static bool version_is_3(const struct lint *lint)
{
    return ca_bytes_equal(lint->version, CA_BYTES("\x02\x01\x02"));
}

static bool serial_is_positive_and_short(const struct lint *lint)
{
    struct ca_bytes serial = lint->serial;

    return serial.len <= 20 && serial.data[0] < 0x80 && !(serial.len == 1 && serial.data[0] == 0);
}

/* RSASSA-PSS-params: a hash in two places, and the length of the salt (RFC 4055, section 3.1). */
static bool are_pss_parameters(struct ca_bytes parameters, uint8_t hash, uint8_t salt_len)
{
    uint8_t want[] = "\x30\x34"
                     "\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00"
                     "\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
                     "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00"
                     "\xa2\x03\x02\x01\x00";
    enum { FIRST_HASH = 16, SECOND_HASH = 46, SALT_LEN = 53 };

    want[FIRST_HASH] = hash;
    want[SECOND_HASH] = hash;
    want[SALT_LEN] = salt_len;
    return ca_bytes_equal(parameters, ca_bytes_of(want, sizeof(want) - 1));
}

static bool algorithm_is_the_issuers(const struct lint *lint)
{
    enum parameters { ABSENT, NULL_VALUE, PSS };
    /* clang-format off */
    static const struct {
        enum crypto_sig sig;
        struct ca_bytes oid;
        enum parameters parameters;
        uint8_t pss_hash, pss_salt_len;
    } kinds[] = {
        { CRYPTO_SIG_ECDSA_SHA256, OID_X962("\x04\x03\x02"), ABSENT,     0, 0 },
        { CRYPTO_SIG_ECDSA_SHA384, OID_X962("\x04\x03\x03"), ABSENT,     0, 0 },
        { CRYPTO_SIG_ECDSA_SHA512, OID_X962("\x04\x03\x04"), ABSENT,     0, 0 },
        { CRYPTO_SIG_RSA_SHA256,   OID_PKCS1("\x0b"),        NULL_VALUE, 0, 0 },
        { CRYPTO_SIG_RSA_SHA384,   OID_PKCS1("\x0c"),        NULL_VALUE, 0, 0 },
        { CRYPTO_SIG_RSA_SHA512,   OID_PKCS1("\x0d"),        NULL_VALUE, 0, 0 },
        { CRYPTO_SIG_PSS_SHA256,   OID_PKCS1("\x0a"),        PSS,        1, 32 },
        { CRYPTO_SIG_PSS_SHA384,   OID_PKCS1("\x0a"),        PSS,        2, 48 },
        { CRYPTO_SIG_PSS_SHA512,   OID_PKCS1("\x0a"),        PSS,        3, 64 },
        { CRYPTO_SIG_ED25519,      OID_ED25519,              ABSENT,     0, 0 },
        { CRYPTO_SIG_SM2_SM3,      OID_GMT("\x83\x75"),      ABSENT,     0, 0 },
    };
    /* clang-format on */
    struct der_reader reader = der_reader_of(lint->algorithm), inner;
    struct der_value oid;

    if (der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK ||
        der_read(&inner, DER_OID, &oid) != CA_OK)
        return false;
    struct ca_bytes parameters = ca_bytes_of(inner.at, (size_t)(inner.end - inner.at));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].sig != lint->context->sig)
            continue;
        if (!ca_bytes_equal(kinds[i].oid, oid.content))
            return false;
        switch (kinds[i].parameters) {
        case ABSENT: return parameters.len == 0;
        case NULL_VALUE: return ca_bytes_equal(parameters, CA_BYTES("\x05\x00"));
        case PSS: return are_pss_parameters(parameters, kinds[i].pss_hash, kinds[i].pss_salt_len);
        }
    }
    return false;
}

static bool is_empty_name(struct ca_bytes name)
{
    return name.len == 2;
}

static bool issuer_is_the_cas_subject(const struct lint *lint)
{
    return !is_empty_name(lint->issuer) && ca_bytes_equal(lint->issuer, lint->context->issuer_name);
}

static bool time_has_right_form(uint8_t tag, int64_t time_s)
{
    const int64_t start_of_2050_s = 2524608000;

    return tag == (time_s < start_of_2050_s ? DER_UTC_TIME : DER_GENERALIZED_TIME);
}

static bool times_have_right_form(const struct lint *lint)
{
    return time_has_right_form(lint->not_before_tag, lint->not_before_s) &&
           time_has_right_form(lint->not_after_tag, lint->not_after_s);
}

static bool times_are_in_order(const struct lint *lint)
{
    return lint->not_before_s <= lint->not_after_s;
}

static bool issuer_lives_longer(const struct lint *lint)
{
    return lint->not_after_s <= lint->context->issuer_not_after_s;
}

static bool subject_is_there(const struct lint *lint)
{
    const struct lint_extension *san = &lint->extensions[LINT_SAN];

    if (!is_empty_name(lint->subject))
        return true;
    return !lint->context->is_ca && san->is_present && san->is_critical;
}

static bool subject_has_good_types(const struct lint *lint)
{
    return lint_name_has_good_types(lint->subject);
}

static bool subject_has_good_lengths(const struct lint *lint)
{
    return lint_name_has_good_lengths(lint->subject);
}

static bool key_is_known(const struct lint *lint)
{
    return lint->key != LINT_KEY_UNKNOWN;
}

static bool has_no_unique_id(const struct lint *lint)
{
    return !lint->has_unique_id;
}

/* clang-format off */
static const struct lint_rule tbs_rules[] = {
    { "version",         "RFC 5280 4.1.2.1",         version_is_3 },
    { "serialNumber",    "RFC 5280 4.1.2.2",         serial_is_positive_and_short },
    { "signature",       "RFC 5280 4.1.2.3",         algorithm_is_the_issuers },
    { "issuer",          "RFC 5280 4.1.2.4",         issuer_is_the_cas_subject },
    { "validity",        "RFC 5280 4.1.2.5",         times_have_right_form },
    { "validity",        "RFC 5280 4.1.2.5: order",  times_are_in_order },
    { "notAfter",        "ends with its issuer",     issuer_lives_longer },
    { "subject",         "RFC 5280 4.1.2.6",         subject_is_there },
    { "subject",         "RFC 5280 4.1.2.4: types",  subject_has_good_types },
    { "subject",         "RFC 5280 A.1",             subject_has_good_lengths },
    { "subjectPublicKeyInfo", "RFC 5280 4.1.2.7",    key_is_known },
    { "uniqueID",        "RFC 5280 4.1.2.8",         has_no_unique_id },
};
/* clang-format on */

static enum ca_err run(const struct lint_rule *rules, size_t count, const struct lint *lint,
                       struct ca_refusal *refusal)
{
    for (size_t i = 0; i < count; i++) {
        if (!rules[i].holds(lint))
            return ca_refuse(refusal, CA_ERR_LINT, rules[i].field, rules[i].rule);
    }
    return CA_OK;
}

enum ca_err x509_lint(struct ca_bytes tbs, const struct x509_lint_context *context,
                      struct ca_refusal *refusal)
{
    struct lint lint = { .context = context };

    if (tbs.len > CA_TBS_LEN_MAX || !take_tbs(&lint, tbs))
        return ca_refuse(refusal, CA_ERR_LINT, "tbsCertificate", "RFC 5280 4.1");
    enum ca_err err = run(tbs_rules, sizeof(tbs_rules) / sizeof(tbs_rules[0]), &lint, refusal);
    if (err != CA_OK)
        return err;
    return run(LINT_EXTENSION_RULES, LINT_EXTENSION_RULE_COUNT, &lint, refusal);
}

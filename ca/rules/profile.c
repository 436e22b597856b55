/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/profile.h"

#include "ca/rules/subject.h"

enum {
    KEY_USAGE_SIGN = X509_KU_DIGITAL_SIGNATURE | X509_KU_NON_REPUDIATION,
    KEY_USAGE_AGREE = X509_KU_KEY_AGREEMENT | X509_KU_ENCIPHER_ONLY | X509_KU_DECIPHER_ONLY,
    KEY_USAGE_ENCIPHER = X509_KU_KEY_ENCIPHERMENT | X509_KU_DATA_ENCIPHERMENT,
    TERM_MONTHS_MAX = 1200,
    TERM_SECONDS_MIN = 60,
    TERM_DAYS_MAX = 36500, /* in seconds still below 2^32 */
    WINDOW_DAYS_MAX = 36500,
};

/* RFC 3279, section 2.3; RFC 8410, section 5; GM/T 0015: an SM2 key signs or enciphers. */
static bool usage_is_possible(enum crypto_key_type type, uint32_t usage)
{
    uint32_t allowed = KEY_USAGE_SIGN;

    switch (type) {
    case CRYPTO_KEY_RSA: allowed |= KEY_USAGE_ENCIPHER; break;
    case CRYPTO_KEY_P256:
    case CRYPTO_KEY_P384: allowed |= KEY_USAGE_AGREE; break;
    case CRYPTO_KEY_SM2:
        if ((usage & KEY_USAGE_SIGN) == 0)
            allowed = KEY_USAGE_AGREE | KEY_USAGE_ENCIPHER;
        break;
    case CRYPTO_KEY_ED25519: break;
    case CRYPTO_KEY_NONE: return false;
    }
    bool names_agreement = (usage & X509_KU_KEY_AGREEMENT) != 0;
    if (!names_agreement && (usage & (X509_KU_ENCIPHER_ONLY | X509_KU_DECIPHER_ONLY)) != 0)
        return false; /* RFC 5280, section 4.2.1.3: they say how keys are agreed */
    return usage != 0 && (usage & ~allowed) == 0;
}

static enum ca_err check_keys(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    if (profile->key_count == 0 || profile->key_count > RULES_KEY_ALLOWED_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "keys", "1 to 8 types of keys");
    for (size_t i = 0; i < profile->key_count; i++) {
        const struct rules_key_allowed *key = &profile->keys[i];
        for (size_t k = 0; k < i; k++) {
            if (profile->keys[k].type == key->type)
                return ca_refuse(refusal, CA_ERR_CONFIG, "keys", "each type once");
        }
        if (key->type == CRYPTO_KEY_RSA &&
            (key->bits_min < CA_RSA_BITS_MIN || key->bits_max > CA_RSA_BITS_MAX ||
             key->bits_min > key->bits_max))
            return ca_refuse(refusal, CA_ERR_CONFIG, "keys.bits_min", "2048 to 4096");
        if (!usage_is_possible(key->type, rules_key_usage(profile, key->type)))
            return ca_refuse(refusal, CA_ERR_CONFIG, "key_usage",
                             "bits that fit every type in keys");
    }
    return CA_OK;
}

bool rules_is_own_extension(struct ca_bytes oid)
{
    const struct ca_bytes own[] = {
        X509_OID_SKI,
        X509_OID_KEY_USAGE,
        X509_OID_SAN,
        X509_OID_BASIC_CONSTRAINTS,
        X509_OID_CRL_DISTRIBUTION_POINTS,
        X509_OID_CERTIFICATE_POLICIES,
        X509_OID_AKI,
        X509_OID_EXT_KEY_USAGE,
        X509_OID_FRESHEST_CRL,
        X509_OID_AIA,
    };

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (ca_bytes_equal(oid, own[i]))
            return true;
    }
    return false;
}

static enum ca_err name_field(struct rules_attribute *attribute, struct ca_arena *arena)
{
    struct ca_bytes place =
        attribute->is_in_subject ? CA_BYTES("subject.") : CA_BYTES("extension.");
    size_t len = strlen(attribute->name);
    char *field = ca_arena_alloc_raw(arena, place.len + len + 1);

    if (field == NULL)
        return CA_ERR_NOMEM;
    memcpy(field, place.data, place.len);
    memcpy(field + place.len, attribute->name, len + 1);
    attribute->field = field;
    return CA_OK;
}

static enum ca_err check_unlike(const struct rules_attribute *attribute,
                                const struct rules_attribute *other, struct ca_refusal *refusal)
{
    if (strcmp(attribute->name, other->name) == 0)
        return ca_refuse(refusal, CA_ERR_CONFIG, attribute->field, "each name once");
    if (attribute->is_in_subject == other->is_in_subject &&
        ca_bytes_equal(attribute->oid, other->oid))
        return ca_refuse(refusal, CA_ERR_CONFIG, attribute->field, "each oid once in its place");
    return CA_OK;
}

static enum ca_err check_attribute(const struct rules_attribute *attribute,
                                   struct ca_refusal *refusal)
{
    const char *field = attribute->field;

    if (attribute->is_in_subject == attribute->is_extension)
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "place: subject or extension");
    if (attribute->is_critical && !attribute->is_extension)
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "critical: only extensions");
    if (attribute->oid.len == 0 || attribute->oid.len > CA_OID_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "oid: required for a name of your own");
    if (attribute->is_extension && rules_is_own_extension(attribute->oid))
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "oid: has settings of its own");
    if (attribute->tag != DER_UTF8_STRING && attribute->tag != DER_PRINTABLE_STRING &&
        attribute->tag != DER_IA5_STRING)
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "type: utf8, printable or ia5");
    if (attribute->len_min == 0 || attribute->len_min > attribute->len_max ||
        attribute->len_max > CA_ATTRIBUTE_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "length_min, length_max: 1 to 1024");
    if ((attribute->source == RULES_FIXED) != (attribute->fixed_value != NULL))
        return ca_refuse(refusal, CA_ERR_CONFIG, field, "value: with from = \"fixed\"");
    if (attribute->source == RULES_FIXED &&
        rules_value_check(attribute, ca_bytes_of_text(attribute->fixed_value), refusal) != CA_OK)
        return CA_ERR_CONFIG; /* field and rule are named already */
    return CA_OK;
}

static enum ca_err prepare_attributes(struct rules_profile *profile, struct ca_arena *arena,
                                      struct ca_refusal *refusal)
{
    enum ca_err err;

    if (profile->attribute_count > CA_ATTRIBUTE_COUNT_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "attributes", "at most 32");
    for (size_t i = 0; i < profile->attribute_count; i++) {
        struct rules_attribute *attribute = &profile->attributes[i];
        if ((err = name_field(attribute, arena)) != CA_OK)
            return ca_refuse(refusal, err, "attributes", "memory");
        if ((err = check_attribute(attribute, refusal)) != CA_OK)
            return err;
        for (size_t k = 0; k < i; k++) {
            if ((err = check_unlike(attribute, &profile->attributes[k], refusal)) != CA_OK)
                return err;
        }
    }
    return CA_OK;
}

static bool has_attribute(const struct rules_profile *profile, const char *name)
{
    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (strcmp(profile->attributes[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum ca_err check_identity(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    if (profile->identity_count > CA_ATTRIBUTE_COUNT_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "identity", "at most 32");
    for (size_t i = 0; i < profile->identity_count; i++) {
        if (!has_attribute(profile, profile->identity[i]) &&
            !(profile->san.allows_dns && strcmp(profile->identity[i], "dns") == 0))
            return ca_refuse(refusal, CA_ERR_CONFIG, "identity", "names in attributes, or dns");
    }
    return CA_OK;
}

static enum ca_err check_names(const struct rules_san_policy *san, struct ca_refusal *refusal)
{
    if (san->count_max > CA_SAN_COUNT_MAX || san->count_min > san->count_max)
        return ca_refuse(refusal, CA_ERR_CONFIG, "subject_alt_names.count_max", "count_min to 256");
    if (san->allows_wildcard && !san->allows_dns)
        return ca_refuse(refusal, CA_ERR_CONFIG, "subject_alt_names.wildcard", "only with dns");
    if (san->count_min > 0 && !san->from_request && !san->from_caller)
        return ca_refuse(refusal, CA_ERR_CONFIG, "subject_alt_names.from",
                         "request, caller or both");
    return CA_OK;
}

static enum ca_err check_terms(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    bool is_civil = profile->validity == RULES_VALIDITY_CIVIL;

    if (profile->term_count == 0 || profile->term_count > RULES_TERM_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "validity", "1 to 8 terms");
    for (size_t i = 0; i < profile->term_count; i++) {
        uint32_t term = profile->terms[i];
        if (is_civil && (term < 1 || term > TERM_MONTHS_MAX))
            return ca_refuse(refusal, CA_ERR_CONFIG, "validity.months", "1 to 1200");
        if (!is_civil && (term < TERM_SECONDS_MIN || term > TERM_DAYS_MAX * 86400U))
            return ca_refuse(refusal, CA_ERR_CONFIG, "validity.days", "60 seconds to 36500 days");
    }
    return CA_OK;
}

static enum ca_err check_may_differ(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    const struct rules_life *life = &profile->life;

    if (life->renew_may_differ_count > CA_ATTRIBUTE_COUNT_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.renew.may_differ", "at most 32");
    for (size_t i = 0; i < life->renew_may_differ_count; i++) {
        const char *name = life->renew_may_differ[i];
        if (strcmp(name, "*") != 0 && strcmp(name, "alt_names") != 0 &&
            !has_attribute(profile, name))
            return ca_refuse(refusal, CA_ERR_CONFIG, "life.renew.may_differ",
                             "names in attributes, alt_names or *");
    }
    return CA_OK;
}

static enum ca_err check_holder(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    const char *name = profile->life.holder_name, *code = profile->life.holder_code;

    if (name == NULL && code == NULL)
        return CA_OK;
    if (name == NULL || code == NULL || strcmp(name, code) == 0 || !has_attribute(profile, name) ||
        !has_attribute(profile, code))
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.holder", "two names in attributes");
    return CA_OK;
}

/* A limit below every term would refuse every renewal. */
static bool cap_fits(const struct rules_profile *profile)
{
    uint32_t cap = profile->life.total_months_max;

    if (cap > TERM_MONTHS_MAX)
        return false;
    if (cap == 0 || profile->validity != RULES_VALIDITY_CIVIL)
        return true;
    for (size_t i = 0; i < profile->term_count; i++) {
        if (profile->terms[i] <= cap)
            return true;
    }
    return false;
}

static enum ca_err check_life(const struct rules_profile *profile, struct ca_refusal *refusal)
{
    const struct rules_life *life = &profile->life;
    enum ca_err err;

    if (life->renew_before_days > WINDOW_DAYS_MAX || life->renew_after_days > WINDOW_DAYS_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.renew.before_days", "0 to 36500");
    if (!cap_fits(profile))
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.renew.months_max",
                         "at most 1200, and not below every term");
    if (life->replace_key == RULES_OLD_KEY_MUST)
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.replace.key",
                         "a lost key is not used again");
    if ((life->reasons & ~(uint32_t)RULES_REASONS_POSSIBLE) != 0)
        return ca_refuse(refusal, CA_ERR_CONFIG, "life.revoke.reasons", "1, 3, 4, 5, 9 and 10");
    if ((err = check_may_differ(profile, refusal)) != CA_OK)
        return err;
    return check_holder(profile, refusal);
}

uint32_t rules_key_usage(const struct rules_profile *profile, enum crypto_key_type type)
{
    return profile->key_usage | (type == CRYPTO_KEY_RSA ? profile->key_usage_rsa : 0);
}

enum ca_err rules_profile_prepare(struct rules_profile *profile, struct ca_arena *arena,
                                  struct ca_refusal *refusal)
{
    enum ca_err err;

    if ((err = check_keys(profile, refusal)) != CA_OK)
        return err;
    if ((err = prepare_attributes(profile, arena, refusal)) != CA_OK)
        return err;
    if ((err = check_names(&profile->san, refusal)) != CA_OK)
        return err;
    if ((err = check_identity(profile, refusal)) != CA_OK)
        return err;
    if (profile->ext_key_usage_count > RULES_OID_MAX || profile->policy_count > RULES_OID_MAX)
        return ca_refuse(refusal, CA_ERR_CONFIG, "policies", "at most 8");
    if ((err = check_terms(profile, refusal)) != CA_OK)
        return err;
    return check_life(profile, refusal);
}

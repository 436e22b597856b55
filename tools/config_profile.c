/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config_profile.h"

#include <assert.h>

#include "ca/base/text.h"
#include "ca/base/time.h"
#include "tools/config_content.h"
#include "tools/config_life.h"

enum {
    PATTERN_LEN_MAX = 256,
    PATTERN_REPEAT_MAX = 1024, /* all {n} of a pattern multiplied: bounds what it compiles to */
};

/* ---- the tables */

#define ITEM(type, member) .offset = offsetof(struct type, member)
#define LIST(items)        (items), sizeof(items) / sizeof((items)[0])

struct key_settings {
    unsigned line;
    struct config_choice type;
    struct config_number bits_min, bits_max;
};
struct attribute_settings {
    unsigned line;
    struct config_text name, oid, value, pattern;
    struct config_choice place, from, type, check;
    struct config_flag critical, required;
    struct config_number length_min, length_max;
};
struct san_settings {
    unsigned line;
    struct config_flag dns, ip, email, uri, wildcard, include_cn;
    struct config_texts from;
    struct config_number count_min, count_max;
};
struct policy_settings {
    unsigned line;
    struct config_text oid, cps;
};
struct validity_settings {
    unsigned line;
    struct config_numbers months, days, seconds;
};
struct profile_settings {
    unsigned line;
    struct config_text name;
    struct config_groups keys, attributes, policies;
    struct config_flag ignore_request_subject, ignore_request_extensions;
    struct config_texts identity, key_usage, key_usage_rsa, ext_key_usage;
    struct config_flag key_usage_critical, basic_constraints, freshest_crl;
    struct config_choice key_reuse;
    struct san_settings subject_alt_names;
    struct validity_settings validity;
    struct config_life life;
};

static const char *const KEY_TYPES[] = { "sm2", "p256", "p384", "rsa", "ed25519", NULL };
static const enum crypto_key_type KEY_TYPE_OF[] = { CRYPTO_KEY_SM2, CRYPTO_KEY_P256,
                                                    CRYPTO_KEY_P384, CRYPTO_KEY_RSA,
                                                    CRYPTO_KEY_ED25519 };
enum { PLACE_SUBJECT, PLACE_EXTENSION };
static const char *const PLACES[] = { "subject", "extension", NULL };
static const char *const SOURCES[] = { "request", "caller", "either", "fixed", NULL };
static const enum rules_source SOURCE_OF[] = { RULES_FROM_REQUEST, RULES_FROM_CALLER,
                                               RULES_FROM_EITHER, RULES_FIXED };
static const char *const STRING_TYPES[] = { "utf8", "printable", "ia5", NULL };
static const uint8_t STRING_TAG_OF[] = { DER_UTF8_STRING, DER_PRINTABLE_STRING, DER_IA5_STRING };
static const char *const CHECKS[] = { "none", "uscc", "org", "id", NULL };
static const enum rules_value_check CHECK_OF[] = { RULES_CHECK_NONE, RULES_CHECK_USCC,
                                                   RULES_CHECK_ORG, RULES_CHECK_ID };

static const char *const KEY_REUSES[] = { "allowed", "same_holder", "refused", NULL };
static const enum rules_key_reuse KEY_REUSE_OF[] = { RULES_KEY_REUSE_ALLOWED,
                                                     RULES_KEY_REUSE_SAME_HOLDER,
                                                     RULES_KEY_REUSE_REFUSED };

/* clang-format off */
static const struct config_item KEY_ITEMS[] = {
    { "type", CONFIG_KIND_CHOICE, 0, 0, NULL, "kind of key, each once",
      ITEM(key_settings, type), .choices = KEY_TYPES },
    { "bits_min", CONFIG_KIND_NUMBER, CA_RSA_BITS_MIN, CA_RSA_BITS_MAX, "2048", "rsa only",
      ITEM(key_settings, bits_min) },
    { "bits_max", CONFIG_KIND_NUMBER, CA_RSA_BITS_MIN, CA_RSA_BITS_MAX, "4096", "rsa only",
      ITEM(key_settings, bits_max) },
};
static const struct config_section KEY_SECTION = {
    LIST(KEY_ITEMS), sizeof(struct key_settings), offsetof(struct key_settings, line)
};

static const struct config_item ATTRIBUTE_ITEMS[] = {
    { "name", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, NULL, "known, or with an oid",
      ITEM(attribute_settings, name) },
    { "oid", CONFIG_KIND_TEXT, 3, 255, "", "type of the attribute or extension",
      ITEM(attribute_settings, oid) },
    { "place", CONFIG_KIND_CHOICE, 0, 0, "subject", "where it is written",
      ITEM(attribute_settings, place), .choices = PLACES },
    { "critical", CONFIG_KIND_FLAG, 0, 0, "false", "of an extension",
      ITEM(attribute_settings, critical) },
    { "from", CONFIG_KIND_CHOICE, 0, 0, "request", "who says its value",
      ITEM(attribute_settings, from), .choices = SOURCES },
    { "value", CONFIG_KIND_TEXT, 1, CA_ATTRIBUTE_LEN_MAX, "", "with from = fixed",
      ITEM(attribute_settings, value) },
    { "required", CONFIG_KIND_FLAG, 0, 0, "false", "refused without a value",
      ITEM(attribute_settings, required) },
    { "type", CONFIG_KIND_CHOICE, 0, 0, "", "string type written",
      ITEM(attribute_settings, type), .choices = STRING_TYPES },
    { "length_min", CONFIG_KIND_NUMBER, 1, CA_ATTRIBUTE_LEN_MAX, "1", "characters",
      ITEM(attribute_settings, length_min) },
    { "length_max", CONFIG_KIND_NUMBER, 1, CA_ATTRIBUTE_LEN_MAX, "0", "characters",
      ITEM(attribute_settings, length_max) },
    { "pattern", CONFIG_KIND_TEXT, 1, PATTERN_LEN_MAX, "", "the whole value matches it",
      ITEM(attribute_settings, pattern) },
    { "check", CONFIG_KIND_CHOICE, 0, 0, "none", "check characters",
      ITEM(attribute_settings, check), .choices = CHECKS },
};
static const struct config_section ATTRIBUTE_SECTION = {
    LIST(ATTRIBUTE_ITEMS), sizeof(struct attribute_settings),
    offsetof(struct attribute_settings, line)
};

static const struct config_item SAN_ITEMS[] = {
    { "dns", CONFIG_KIND_FLAG, 0, 0, "false", "allowed", ITEM(san_settings, dns) },
    { "ip", CONFIG_KIND_FLAG, 0, 0, "false", "allowed", ITEM(san_settings, ip) },
    { "email", CONFIG_KIND_FLAG, 0, 0, "false", "allowed", ITEM(san_settings, email) },
    { "uri", CONFIG_KIND_FLAG, 0, 0, "false", "allowed", ITEM(san_settings, uri) },
    { "wildcard", CONFIG_KIND_FLAG, 0, 0, "false", "allowed", ITEM(san_settings, wildcard) },
    { "from", CONFIG_KIND_TEXTS, 1, 2, "", "request, caller", ITEM(san_settings, from) },
    { "count_min", CONFIG_KIND_NUMBER, 0, CA_SAN_COUNT_MAX, "0", "names",
      ITEM(san_settings, count_min) },
    { "count_max", CONFIG_KIND_NUMBER, 0, CA_SAN_COUNT_MAX, "100", "names",
      ITEM(san_settings, count_max) },
    { "include_cn", CONFIG_KIND_FLAG, 0, 0, "false", "a CN must be one of the names",
      ITEM(san_settings, include_cn) },
};
static const struct config_section SAN_SECTION = {
    LIST(SAN_ITEMS), sizeof(struct san_settings), offsetof(struct san_settings, line)
};

static const struct config_item POLICY_ITEMS[] = {
    { "oid", CONFIG_KIND_TEXT, 3, 255, NULL, "policy identifier", ITEM(policy_settings, oid) },
    { "cps", CONFIG_KIND_TEXT, 1, 512, "", "URL of the practice statement",
      ITEM(policy_settings, cps) },
};
static const struct config_section POLICY_SECTION = {
    LIST(POLICY_ITEMS), sizeof(struct policy_settings), offsetof(struct policy_settings, line)
};

static const struct config_item VALIDITY_ITEMS[] = {
    { "months", CONFIG_KIND_NUMBERS, 1, RULES_TERM_MAX, "", "civil days at UTC+8",
      ITEM(validity_settings, months) },
    { "days", CONFIG_KIND_NUMBERS, 1, RULES_TERM_MAX, "", "exact", ITEM(validity_settings, days) },
    { "seconds", CONFIG_KIND_NUMBERS, 1, RULES_TERM_MAX, "", "exact",
      ITEM(validity_settings, seconds) },
};
static const struct config_section VALIDITY_SECTION = {
    LIST(VALIDITY_ITEMS), sizeof(struct validity_settings), offsetof(struct validity_settings, line)
};

static const struct config_item PROFILE_ITEMS[] = {
    { "name", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, NULL, "what callers ask for",
      ITEM(profile_settings, name) },
    { "keys", CONFIG_KIND_GROUPS, 1, RULES_KEY_ALLOWED_MAX, NULL, "allowed keys",
      ITEM(profile_settings, keys), .section = &KEY_SECTION },
    { "key_reuse", CONFIG_KIND_CHOICE, 0, 0, "allowed", "may a key get another certificate",
      ITEM(profile_settings, key_reuse), .choices = KEY_REUSES },
    { "attributes", CONFIG_KIND_GROUPS, 0, CA_ATTRIBUTE_COUNT_MAX, "", "in written order",
      ITEM(profile_settings, attributes), .section = &ATTRIBUTE_SECTION },
    { "ignore_request_subject", CONFIG_KIND_FLAG, 0, 0, "false", "drop what is not used",
      ITEM(profile_settings, ignore_request_subject) },
    { "ignore_request_extensions", CONFIG_KIND_FLAG, 0, 0, "false", "drop what is not used",
      ITEM(profile_settings, ignore_request_extensions) },
    { "identity", CONFIG_KIND_TEXTS, 0, CA_ATTRIBUTE_COUNT_MAX, "", "what a holder is found by",
      ITEM(profile_settings, identity) },
    { "subject_alt_names", CONFIG_KIND_GROUP, 0, 0, "", "names besides the subject",
      ITEM(profile_settings, subject_alt_names), .section = &SAN_SECTION },
    { "key_usage", CONFIG_KIND_TEXTS, 1, 7, NULL, "for every key",
      ITEM(profile_settings, key_usage) },
    { "key_usage_rsa", CONFIG_KIND_TEXTS, 0, 7, "", "added for RSA keys",
      ITEM(profile_settings, key_usage_rsa) },
    { "key_usage_critical", CONFIG_KIND_FLAG, 0, 0, "true", "",
      ITEM(profile_settings, key_usage_critical) },
    { "ext_key_usage", CONFIG_KIND_TEXTS, 0, RULES_OID_MAX, "", "names or dotted OIDs",
      ITEM(profile_settings, ext_key_usage) },
    { "policies", CONFIG_KIND_GROUPS, 0, RULES_OID_MAX, "", "certificate policies",
      ITEM(profile_settings, policies), .section = &POLICY_SECTION },
    { "basic_constraints", CONFIG_KIND_FLAG, 0, 0, "false", "write cA false",
      ITEM(profile_settings, basic_constraints) },
    { "freshest_crl", CONFIG_KIND_FLAG, 0, 0, "false", "write where the CA's delta CRLs are",
      ITEM(profile_settings, freshest_crl) },
    { "validity", CONFIG_KIND_GROUP, 0, 0, NULL, "months, days or seconds",
      ITEM(profile_settings, validity), .section = &VALIDITY_SECTION },
    { "life", CONFIG_KIND_GROUP, 0, 0, "", "what may become of its certificates",
      ITEM(profile_settings, life), .section = &CONFIG_LIFE_SECTION },
};
static const struct config_section PROFILE_SECTION = {
    LIST(PROFILE_ITEMS), sizeof(struct profile_settings), offsetof(struct profile_settings, line)
};

struct word_value {
    const char *word;
    uint32_t value;
};
static const struct word_value KEY_USAGES[] = {
    { "digitalSignature", X509_KU_DIGITAL_SIGNATURE },
    { "nonRepudiation",   X509_KU_NON_REPUDIATION },
    { "keyEncipherment",  X509_KU_KEY_ENCIPHERMENT },
    { "dataEncipherment", X509_KU_DATA_ENCIPHERMENT },
    { "keyAgreement",     X509_KU_KEY_AGREEMENT },
    { "encipherOnly",     X509_KU_ENCIPHER_ONLY },
    { "decipherOnly",     X509_KU_DECIPHER_ONLY },
};

static const struct {
    const char *word, *oid;
} EXT_KEY_USAGES[] = {
    { "serverAuth",      "1.3.6.1.5.5.7.3.1" },
    { "clientAuth",      "1.3.6.1.5.5.7.3.2" },
    { "codeSigning",     "1.3.6.1.5.5.7.3.3" },
    { "emailProtection", "1.3.6.1.5.5.7.3.4" },
    { "timeStamping",    "1.3.6.1.5.5.7.3.8" },
    { "OCSPSigning",     "1.3.6.1.5.5.7.3.9" },
};
/* clang-format on */

/* ---- patterns */

void config_patterns_free(struct config_pattern *patterns)
{
    for (; patterns != NULL; patterns = patterns->next)
        regfree(&patterns->regex);
}

static bool has_back_reference(const char *pattern)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '\\')
            continue;
        at++;
        if (*at == '\0' || (*at >= '0' && *at <= '9'))
            return true;
    }
    return false;
}

/* Every repetition multiplied, as if each stood inside the one before. */
static bool repeats_too_often(const char *pattern)
{
    uint64_t repeats = 1, number;

    for (const char *at = strchr(pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
        uint64_t largest = 1;
        for (const char *digit = at + 1; *digit != '\0' && *digit != '}'; digit++) {
            char digits[8] = { 0 };
            size_t len = strspn(digit, "0123456789");
            if (len >= sizeof(digits))
                return true;
            if (len == 0)
                continue;
            for (size_t i = 0; i < len; i++)
                digits[i] = digit[i];
            if (ca_text_to_number(digits, 0, UINT32_MAX, &number) && number > largest)
                largest = number;
            digit += len - 1;
        }
        repeats *= largest;
        if (repeats > PATTERN_REPEAT_MAX)
            return true;
    }
    return false;
}

static enum ca_err build_pattern(const struct config_source *source,
                                 const struct config_text *setting,
                                 struct config_pattern **patterns, const regex_t **regex_out)
{
    char anchored[PATTERN_LEN_MAX + 8], message[128];

    /* Bounded to compile and to match. */
    if (has_back_reference(setting->text))
        return config_complain(source, setting->line, "\"pattern\" has a back reference");
    if (repeats_too_often(setting->text))
        return config_complain(source, setting->line, "\"pattern\" repeats too often");
    struct config_pattern *pattern = ca_arena_alloc(source->arena, sizeof(*pattern));
    if (pattern == NULL)
        return CA_ERR_NOMEM;
    snprintf(anchored, sizeof(anchored), "^(%s)$", setting->text);
    int rc = regcomp(&pattern->regex, anchored, REG_EXTENDED | REG_NOSUB);
    if (rc != 0) {
        regerror(rc, &pattern->regex, message, sizeof(message));
        return config_complain(source, setting->line, "\"pattern\" is not an expression: %s",
                               message);
    }
    pattern->next = *patterns;
    *patterns = pattern;
    *regex_out = &pattern->regex;
    return CA_OK;
}

/* ---- from settings to rules */

static enum ca_err parse_oid(const struct config_source *source, unsigned line, const char *dotted,
                             struct ca_bytes *oid_out)
{
    enum ca_err err = x509_oid_parse(dotted, source->arena, oid_out);

    if (err == CA_ERR_FIELD_FORMAT)
        return config_complain(source, line, "\"%s\" is not an object identifier", dotted);
    return err;
}

static enum ca_err build_keys(const struct config_source *source,
                              const struct profile_settings *settings,
                              struct rules_profile *profile)
{
    const struct key_settings *keys = settings->keys.items;

    for (size_t i = 0; i < settings->keys.count; i++) {
        enum crypto_key_type type = KEY_TYPE_OF[keys[i].type.index];
        for (size_t before = 0; before < i; before++) {
            if (profile->keys[before].type == type)
                return config_complain(source, keys[i].type.line, "key type \"%s\" is there twice",
                                       KEY_TYPES[keys[i].type.index]);
        }
        if (type != CRYPTO_KEY_RSA && (keys[i].bits_min.line | keys[i].bits_max.line) != 0)
            return config_complain(source, keys[i].line, "only \"rsa\" takes bits");
        if (keys[i].bits_min.value > keys[i].bits_max.value)
            return config_complain(source, keys[i].bits_min.line,
                                   "\"bits_min\" is above \"bits_max\"");
        profile->keys[profile->key_count++] =
            (struct rules_key_allowed){ type, (uint32_t)keys[i].bits_min.value,
                                        (uint32_t)keys[i].bits_max.value };
    }
    return CA_OK;
}

/* What the name itself says: OID, string type, length. */
static enum ca_err build_attribute_type(const struct config_source *source,
                                        const struct attribute_settings *settings,
                                        struct rules_attribute *attribute)
{
    const struct x509_attribute_type *known = x509_attribute_type_by_name(settings->name.text);

    if (known == NULL && settings->oid.line == 0)
        return config_complain(source, settings->name.line,
                               "\"%s\" is not a known name and needs \"oid\"", settings->name.text);
    attribute->tag = known == NULL ? DER_UTF8_STRING : known->default_tag;
    if (settings->type.index != CONFIG_CHOICE_NONE)
        attribute->tag = STRING_TAG_OF[settings->type.index];
    attribute->len_min = (uint16_t)settings->length_min.value;
    attribute->len_max = known == NULL ? 255 : known->upper_bound;
    if (settings->length_max.line != 0)
        attribute->len_max = (uint16_t)settings->length_max.value;
    if (attribute->len_min > attribute->len_max)
        return config_complain(source, settings->length_min.line,
                               "\"length_min\" is above \"length_max\"");
    if (settings->oid.line != 0)
        return parse_oid(source, settings->oid.line, settings->oid.text, &attribute->oid);
    attribute->oid = known->oid;
    return CA_OK;
}

static bool name_is_good(const char *name)
{
    return strchr(name, '=') == NULL && strchr(name, ' ') == NULL &&
           ca_text_is_visible_ascii(ca_bytes_of_text(name));
}

static enum ca_err build_attribute(const struct config_source *source,
                                   const struct attribute_settings *settings,
                                   struct rules_attribute *attribute,
                                   struct config_pattern **patterns)
{
    bool is_fixed = SOURCE_OF[settings->from.index] == RULES_FIXED;

    if (!name_is_good(settings->name.text))
        return config_complain(source, settings->name.line,
                               "\"name\" must be visible characters without = and space");
    if (is_fixed != (settings->value.line != 0))
        return config_complain(source, settings->line,
                               "\"value\" goes with from = \"fixed\", and only with it");
    attribute->is_extension = settings->place.index == PLACE_EXTENSION;
    attribute->is_in_subject = !attribute->is_extension;
    attribute->is_critical = settings->critical.value;
    if (attribute->is_critical && !attribute->is_extension)
        return config_complain(source, settings->critical.line,
                               "\"critical\" goes with place = \"extension\"");
    attribute->name = settings->name.text;
    attribute->source = SOURCE_OF[settings->from.index];
    attribute->presence = settings->required.value ? RULES_REQUIRED : RULES_OPTIONAL;
    attribute->fixed_value = is_fixed ? settings->value.text : NULL;
    attribute->check = CHECK_OF[settings->check.index];
    enum ca_err err = build_attribute_type(source, settings, attribute);
    if (err == CA_OK && settings->pattern.line != 0)
        err = build_pattern(source, &settings->pattern, patterns, &attribute->pattern);
    return err;
}

static enum ca_err build_attributes(const struct config_source *source,
                                    const struct profile_settings *settings,
                                    struct rules_profile *profile, struct config_pattern **patterns)
{
    const struct attribute_settings *attributes = settings->attributes.items;
    enum ca_err err;

    for (size_t i = 0; i < settings->attributes.count; i++) {
        for (size_t before = 0; before < i; before++) {
            if (strcmp(attributes[before].name.text, attributes[i].name.text) == 0)
                return config_complain(source, attributes[i].name.line,
                                       "attribute \"%s\" is there twice", attributes[i].name.text);
        }
        err = build_attribute(source, &attributes[i], &profile->attributes[i], patterns);
        if (err != CA_OK)
            return err;
        profile->attribute_count++;
    }
    return CA_OK;
}

static enum ca_err build_identity(const struct config_source *source,
                                  const struct profile_settings *settings,
                                  struct rules_profile *profile)
{
    for (size_t i = 0; i < settings->identity.count; i++) {
        const struct config_text *name = &settings->identity.items[i];
        bool is_there = strcmp(name->text, "dns") == 0;
        for (size_t k = 0; k < profile->attribute_count; k++)
            is_there = is_there || strcmp(profile->attributes[k].name, name->text) == 0;
        if (!is_there)
            return config_complain(source, name->line,
                                   "\"identity\" names \"%s\", which is no attribute here",
                                   name->text);
        profile->identity[profile->identity_count++] = name->text;
    }
    return CA_OK;
}

static enum ca_err build_sans(const struct config_source *source,
                              const struct san_settings *settings, struct rules_san_policy *san)
{
    if (settings->count_min.value > settings->count_max.value)
        return config_complain(source, settings->count_min.line,
                               "\"count_min\" is above \"count_max\"");
    *san = (struct rules_san_policy){
        .allows_dns = settings->dns.value,
        .allows_wildcard = settings->wildcard.value,
        .allows_ip = settings->ip.value,
        .allows_email = settings->email.value,
        .allows_uri = settings->uri.value,
        .from_request = settings->from.count == 0,
        .count_min = (uint16_t)settings->count_min.value,
        .count_max = (uint16_t)settings->count_max.value,
        .includes_cn = settings->include_cn.value,
    };
    for (size_t i = 0; i < settings->from.count; i++) {
        const struct config_text *from = &settings->from.items[i];
        bool *place = strcmp(from->text, "request") == 0  ? &san->from_request
                      : strcmp(from->text, "caller") == 0 ? &san->from_caller
                                                          : NULL;
        if (place == NULL || *place)
            return config_complain(source, from->line,
                                   "\"from\" takes \"request\" and \"caller\", each once");
        *place = true;
    }
    return CA_OK;
}

static enum ca_err build_key_usage(const struct config_source *source,
                                   const struct config_texts *settings, uint32_t *usage_out)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct config_text *text = &settings->items[i];
        uint32_t bit = 0;
        for (size_t k = 0; k < sizeof(KEY_USAGES) / sizeof(KEY_USAGES[0]); k++) {
            if (strcmp(KEY_USAGES[k].word, text->text) == 0)
                bit = KEY_USAGES[k].value;
        }
        if (bit == 0)
            return config_complain(source, text->line, "\"%s\" is no key usage for this",
                                   text->text);
        if ((*usage_out & bit) != 0)
            return config_complain(source, text->line, "key usage \"%s\" is there twice",
                                   text->text);
        *usage_out |= bit;
    }
    return CA_OK;
}

static enum ca_err build_ext_key_usages(const struct config_source *source,
                                        const struct config_texts *settings,
                                        struct rules_profile *profile)
{
    for (size_t i = 0; i < settings->count; i++) {
        const char *dotted = settings->items[i].text;
        for (size_t k = 0; k < sizeof(EXT_KEY_USAGES) / sizeof(EXT_KEY_USAGES[0]); k++) {
            if (strcmp(EXT_KEY_USAGES[k].word, dotted) == 0)
                dotted = EXT_KEY_USAGES[k].oid;
        }
        struct ca_bytes *oid = &profile->ext_key_usages[i];
        enum ca_err err = parse_oid(source, settings->items[i].line, dotted, oid);
        if (err != CA_OK)
            return err;
        for (size_t before = 0; before < i; before++) {
            if (ca_bytes_equal(profile->ext_key_usages[before], *oid))
                return config_complain(source, settings->items[i].line,
                                       "extended key usage \"%s\" is there twice",
                                       settings->items[i].text);
        }
        profile->ext_key_usage_count++;
    }
    return CA_OK;
}

static enum ca_err build_policies(const struct config_source *source,
                                  const struct profile_settings *settings,
                                  struct rules_profile *profile)
{
    const struct policy_settings *policies = settings->policies.items;

    for (size_t i = 0; i < settings->policies.count; i++) {
        struct x509_policy *policy = &profile->policies[i];
        enum ca_err err =
            parse_oid(source, policies[i].oid.line, policies[i].oid.text, &policy->oid);
        if (err != CA_OK)
            return err;
        if (!ca_text_is_visible_ascii(ca_bytes_of_text(policies[i].cps.text)))
            return config_complain(source, policies[i].cps.line, "\"cps\" is not an URL");
        policy->cps_url = ca_bytes_of_text(policies[i].cps.text);
        profile->policy_count++;
    }
    return CA_OK;
}

static enum ca_err build_validity(const struct config_source *source,
                                  const struct validity_settings *settings,
                                  struct rules_profile *profile)
{
    const struct {
        const struct config_numbers *numbers;
        uint32_t min, max, unit_s;
    } kinds[] = {
        { &settings->months, 1, 1200, 1 },
        { &settings->days, 1, 36500, CA_DAY_S },
        { &settings->seconds, 60, INT32_MAX, 1 },
    };
    size_t given = 0;

    for (size_t i = 0; i < 3; i++) {
        const struct config_numbers *numbers = kinds[i].numbers;
        if (numbers->line == 0)
            continue;
        given++;
        profile->validity = i == 0 ? RULES_VALIDITY_CIVIL : RULES_VALIDITY_DURATION;
        for (size_t k = 0; k < numbers->count && given == 1; k++) {
            uint64_t value = numbers->items[k].value;
            if (value < kinds[i].min || value > kinds[i].max)
                return config_complain(source, numbers->items[k].line,
                                       "a term must be from %u to %u", kinds[i].min, kinds[i].max);
            profile->terms[profile->term_count++] = (uint32_t)value * kinds[i].unit_s;
        }
    }
    if (given != 1)
        return config_complain(source, settings->line,
                               "\"validity\" must have one of \"months\", \"days\", \"seconds\"");
    return CA_OK;
}

static enum ca_err build_extensions(const struct config_source *source,
                                    const struct profile_settings *settings,
                                    struct rules_profile *profile)
{
    enum ca_err err;

    if ((err = build_key_usage(source, &settings->key_usage, &profile->key_usage)) != CA_OK ||
        (err = build_key_usage(source, &settings->key_usage_rsa, &profile->key_usage_rsa)) !=
            CA_OK ||
        (err = build_ext_key_usages(source, &settings->ext_key_usage, profile)) != CA_OK ||
        (err = build_policies(source, settings, profile)) != CA_OK)
        return err;
    profile->key_usage_is_critical = settings->key_usage_critical.value;
    profile->has_basic_constraints = settings->basic_constraints.value;
    profile->has_freshest_crl = settings->freshest_crl.value;
    return CA_OK;
}

/* The name in a URL, a request and a file name alike. */
static bool profile_name_is_good(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(name) &&
           name[0] != '.';
}

bool config_profile_write(struct ca_bytes content, FILE *to)
{
    return config_content_write(&PROFILE_SECTION, content, to);
}

static enum ca_err identify(const struct config_source *source,
                            const struct profile_settings *settings, struct rules_profile *profile)
{
    uint8_t digest[CA_DIGEST_LEN];
    enum ca_err err =
        config_schema_content(&PROFILE_SECTION, settings, source->arena, &profile->content);

    if (err != CA_OK)
        return err;
    assert(profile->content.len <= CA_PROFILE_LEN_MAX); /* the bounds in the tables see to that */
    bool is_content = config_schema_digest(profile->content, digest);
    assert(is_content);
    for (size_t i = 0; i < RULES_PROFILE_ID_LEN; i++)
        profile->id[i] = digest[i];
    return CA_OK;
}

enum ca_err config_profile_parse(const struct config_source *source,
                                 struct rules_profile *profile_out,
                                 struct config_pattern **patterns)
{
    struct profile_settings settings = { 0 };
    struct ca_refusal refusal = { "", "" };
    enum ca_err err;

    *profile_out = (struct rules_profile){ 0 };
    if ((err = config_schema_parse(source, &PROFILE_SECTION, &settings)) != CA_OK)
        return err;
    if (!profile_name_is_good(settings.name.text))
        return config_complain(source, settings.name.line,
                               "\"name\" takes small letters, digits, dot, dash and underline");
    profile_out->name = settings.name.text;
    profile_out->key_reuse = KEY_REUSE_OF[settings.key_reuse.index];
    profile_out->ignores_request_subject = settings.ignore_request_subject.value;
    profile_out->ignores_request_extensions = settings.ignore_request_extensions.value;
    if ((err = build_keys(source, &settings, profile_out)) != CA_OK ||
        (err = build_attributes(source, &settings, profile_out, patterns)) != CA_OK ||
        (err = build_identity(source, &settings, profile_out)) != CA_OK ||
        (err = build_sans(source, &settings.subject_alt_names, &profile_out->san)) != CA_OK ||
        (err = build_extensions(source, &settings, profile_out)) != CA_OK ||
        (err = build_validity(source, &settings.validity, profile_out)) != CA_OK ||
        (err = config_life_build(source, &settings.life, profile_out)) != CA_OK)
        return err;
    if ((err = identify(source, &settings, profile_out)) != CA_OK)
        return err;
    err = rules_profile_prepare(profile_out, source->arena, &refusal);
    if (err == CA_ERR_CONFIG)
        return config_complain(source, settings.name.line, "\"%s\": %s", refusal.field,
                               refusal.rule);
    return err;
}

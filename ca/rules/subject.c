/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/subject.h"

#include "ca/base/text.h"
#include "ca/rules/identity.h"
#include "ca/rules/san.h"

/* Where the value of each attribute may come from, by index: NULL where there is none. */
struct sources {
    const struct rules_value *caller[CA_ATTRIBUTE_COUNT_MAX];
    struct ca_bytes request[CA_ATTRIBUTE_COUNT_MAX]; /* as UTF-8 */
};

static const char *field_of_request(struct ca_bytes oid)
{
    static const char *const fields[] = {
        "subject.C",
        "subject.ST",
        "subject.L",
        "subject.O",
        "subject.OU",
        "subject.CN",
        "subject.serialNumber",
        "subject.SN",
        "subject.GN",
        "subject.title",
        "subject.emailAddress",
        "subject.DC",
        "subject.UID",
        "subject.street",
    };
    const struct x509_attribute_type *type = x509_attribute_type_by_oid(oid);

    for (size_t i = 0; type != NULL && i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i] + sizeof("subject.") - 1, type->name) == 0)
            return fields[i];
    }
    return "subject";
}

static bool takes_from_caller(const struct rules_attribute *attribute)
{
    return attribute->source == RULES_FROM_CALLER || attribute->source == RULES_FROM_EITHER;
}

static bool takes_from_request(const struct rules_attribute *attribute)
{
    return attribute->source == RULES_FROM_REQUEST || attribute->source == RULES_FROM_EITHER;
}

static bool name_is(const char *name, struct ca_bytes text)
{
    return ca_bytes_equal(ca_bytes_of_text(name), text);
}

/* attribute_count when the profile has no such attribute. */
static size_t find_by_name(const struct rules_profile *profile, struct ca_bytes name)
{
    size_t i = 0;

    while (i < profile->attribute_count && !name_is(profile->attributes[i].name, name))
        i++;
    return i;
}

static size_t find_by_oid(const struct rules_profile *profile, struct ca_bytes oid, bool in_subject)
{
    size_t i = 0;

    while (i < profile->attribute_count && !(profile->attributes[i].is_in_subject == in_subject &&
                                             ca_bytes_equal(profile->attributes[i].oid, oid)))
        i++;
    return i;
}

/* UTF-16 without surrogates (BMPString, X.680) to UTF-8. */
static enum ca_err decode_bmp(struct ca_bytes content, struct ca_arena *arena,
                              struct ca_bytes *utf8_out)
{
    uint8_t *utf8 = ca_arena_alloc_raw(arena, content.len / 2 * 3 + 1);
    size_t len = 0;

    if (utf8 == NULL)
        return CA_ERR_BUSY;
    if (content.len % 2 != 0)
        return CA_ERR_FIELD_FORMAT;
    for (size_t i = 0; i < content.len; i += 2) {
        unsigned c = (unsigned)content.data[i] << 8 | content.data[i + 1];
        if (c < 0x80) {
            utf8[len++] = (uint8_t)c;
            continue;
        }
        if (c < 0x800) {
            utf8[len++] = (uint8_t)(0xc0 | c >> 6);
        } else {
            utf8[len++] = (uint8_t)(0xe0 | c >> 12);
            utf8[len++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        }
        utf8[len++] = (uint8_t)(0x80 | (c & 0x3f));
    }
    *utf8_out = ca_bytes_of(utf8, len);
    return CA_OK;
}

static bool is_ascii(struct ca_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80)
            return false;
    }
    return true;
}

enum ca_err rules_string_decode(uint8_t tag, struct ca_bytes content, struct ca_arena *arena,
                                struct ca_bytes *utf8_out)
{
    bool has_form;

    *utf8_out = content;
    switch (tag) {
    case DER_UTF8_STRING: has_form = true; break; /* looked at with the value */
    case DER_PRINTABLE_STRING: has_form = ca_text_is_printable_string(content); break;
    case DER_IA5_STRING: has_form = is_ascii(content); break;
    case DER_TELETEX_STRING: has_form = ca_text_is_visible_ascii(content); break;
    case DER_BMP_STRING: return decode_bmp(content, arena, utf8_out);
    default: has_form = false;
    }
    return has_form ? CA_OK : CA_ERR_FIELD_FORMAT;
}

/* C0, DEL and, in their two octets, C1. */
static bool has_control_character(struct ca_bytes utf8)
{
    for (size_t i = 0; i < utf8.len; i++) {
        uint8_t c = utf8.data[i];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && utf8.data[i + 1] < 0xa0))
            return true;
    }
    return false;
}

static bool fits_string_type(uint8_t tag, struct ca_bytes value)
{
    if (tag == DER_PRINTABLE_STRING)
        return ca_text_is_printable_string(value);
    return tag == DER_IA5_STRING ? is_ascii(value) : true;
}

static bool matches(const regex_t *pattern, struct ca_bytes value)
{
    regmatch_t range = { .rm_so = 0, .rm_eo = (regoff_t)value.len };

    return regexec(pattern, (const char *)value.data, 1, &range, REG_STARTEND) == 0;
}

static enum ca_err check_characters(const struct rules_attribute *attribute, struct ca_bytes value,
                                    struct ca_refusal *refusal)
{
    static enum ca_err (*const checks[])(struct ca_bytes) = {
        [RULES_CHECK_USCC] = rules_uscc_check,
        [RULES_CHECK_ORG] = rules_org_check,
        [RULES_CHECK_ID] = rules_id_check,
    };
    static const char *const standards[] = {
        [RULES_CHECK_USCC] = "GB 32100-2015",
        [RULES_CHECK_ORG] = "GB 11714-1997",
        [RULES_CHECK_ID] = "GB 11643-1999",
    };

    if (attribute->check == RULES_CHECK_NONE)
        return CA_OK;
    enum ca_err err = checks[attribute->check](value);
    return err == CA_OK ? CA_OK
                        : ca_refuse(refusal, err, attribute->field, standards[attribute->check]);
}

enum ca_err rules_value_check(const struct rules_attribute *attribute, struct ca_bytes value,
                              struct ca_refusal *refusal)
{
    const char *field = attribute->field;

    if (value.len > CA_ATTRIBUTE_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, field, "1024 octets");
    if (!ca_text_is_utf8(value))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, field, "RFC 3629");
    if (has_control_character(value))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, field, "no control characters");
    size_t len = ca_text_utf8_count(value);
    if (len < attribute->len_min || len > attribute->len_max)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, field, "profile length");
    if (!fits_string_type(attribute->tag, value))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, field, "profile type");
    if (attribute->pattern != NULL && !matches(attribute->pattern, value))
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, field, "profile pattern");
    return check_characters(attribute, value, refusal);
}

static enum ca_err gather_caller(const struct rules_order *order, struct sources *sources,
                                 struct ca_refusal *refusal)
{
    const struct rules_profile *profile = order->profile;
    const struct rules_request *request = order->request;

    for (size_t i = 0; i < request->value_count; i++) {
        const struct rules_value *value = &request->values[i];
        size_t at = find_by_name(profile, value->name);
        if (at == profile->attribute_count)
            return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, "values", "profile attributes");
        const struct rules_attribute *attribute = &profile->attributes[at];
        if (!takes_from_caller(attribute))
            return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, attribute->field, "profile from");
        if (sources->caller[at] != NULL)
            return ca_refuse(refusal, CA_ERR_FIELD_REPEATED, attribute->field,
                             "one value for a name");
        sources->caller[at] = value;
    }
    return CA_OK;
}

/* Does the value come from the request, now that it is known what the caller has sent? */
static bool reads_request(const struct rules_profile *profile, const struct sources *sources,
                          size_t at)
{
    return takes_from_request(&profile->attributes[at]) && sources->caller[at] == NULL;
}

static enum ca_err gather_subject(const struct rules_order *order, struct ca_arena *arena,
                                  struct sources *sources, struct ca_refusal *refusal)
{
    const struct rules_profile *profile = order->profile;
    const struct x509_name *subject = &order->csr->subject;

    for (size_t i = 0; i < subject->count; i++) {
        const struct x509_attribute *asked = &subject->attributes[i];
        size_t at = find_by_oid(profile, asked->oid, true);
        if (at == profile->attribute_count) {
            if (profile->ignores_request_subject)
                continue;
            return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, field_of_request(asked->oid),
                             "profile attributes");
        }
        const char *field = profile->attributes[at].field;
        if (profile->ignores_request_subject && !reads_request(profile, sources, at))
            continue;
        if (sources->request[at].data != NULL)
            return ca_refuse(refusal, CA_ERR_FIELD_REPEATED, field, "one value for an attribute");
        enum ca_err err =
            rules_string_decode(asked->tag, asked->value, arena, &sources->request[at]);
        if (err != CA_OK)
            return ca_refuse(refusal, err, field, "RFC 5280 4.1.2.4");
    }
    return CA_OK;
}

static enum ca_err gather_extensions(const struct rules_order *order, struct ca_arena *arena,
                                     struct sources *sources, struct ca_refusal *refusal)
{
    const struct rules_profile *profile = order->profile;
    const struct x509_csr *csr = order->csr;

    for (size_t i = 0; i < csr->extension_count; i++) {
        const struct x509_extension *asked = &csr->extensions[i];
        size_t at = find_by_oid(profile, asked->oid, false);
        if (at == profile->attribute_count)
            continue; /* rules_draft() decides about all others */
        if (profile->ignores_request_extensions && !reads_request(profile, sources, at))
            continue;
        struct der_reader reader = der_reader_of(asked->value);
        struct der_value string = { 0 };
        enum ca_err err = der_check(asked->value);
        if (err == CA_OK && (err = der_read_any(&reader, &string)) == CA_OK)
            err = rules_string_decode(string.tag, string.content, arena, &sources->request[at]);
        if (err != CA_OK)
            return ca_refuse(refusal, err == CA_ERR_BUSY ? err : CA_ERR_FIELD_FORMAT,
                             profile->attributes[at].field, "a character string");
    }
    return CA_OK;
}

/* The value before it is checked; data NULL if there is none. */
static struct ca_bytes choose(const struct rules_attribute *attribute,
                              const struct sources *sources, size_t at)
{
    if (attribute->source == RULES_FIXED)
        return ca_bytes_of_text(attribute->fixed_value);
    if (takes_from_caller(attribute) && sources->caller[at] != NULL) {
        struct ca_bytes value = sources->caller[at]->value;
        return value.data == NULL ? CA_BYTES("") : value; /* empty, not absent */
    }
    return takes_from_request(attribute) ? sources->request[at] : (struct ca_bytes){ 0 };
}

static bool is_common_name(const struct rules_attribute *attribute)
{
    return attribute->is_in_subject && strcmp(attribute->name, "CN") == 0;
}

/* The same thing written in one way only. */
static struct ca_bytes make_uniform(const struct rules_profile *profile,
                                    const struct rules_attribute *attribute, struct ca_bytes value,
                                    struct ca_arena *arena)
{
    if (profile->san.includes_cn && is_common_name(attribute))
        return rules_text_fold(value, arena);
    if (attribute->check == RULES_CHECK_ID && value.data[value.len - 1] == 'x') {
        struct ca_bytes number = ca_arena_copy(arena, value);
        if (number.data != NULL)
            ((uint8_t *)(uintptr_t)number.data)[number.len - 1] = 'X';
        return number;
    }
    return value;
}

/* What the request says about an attribute is what is written, or it is refused. */
static enum ca_err compare_with_request(const struct rules_profile *profile, size_t at,
                                        struct ca_bytes asked, struct ca_bytes value,
                                        struct ca_arena *arena, struct ca_refusal *refusal)
{
    const struct rules_attribute *attribute = &profile->attributes[at];
    bool is_ignored = attribute->is_in_subject ? profile->ignores_request_subject
                                               : profile->ignores_request_extensions;

    if (asked.data == NULL || is_ignored || ca_bytes_equal(asked, value))
        return CA_OK;
    if (value.data != NULL && asked.len == value.len) {
        asked = make_uniform(profile, attribute, asked, arena);
        if (asked.data == NULL)
            return ca_refuse(refusal, CA_ERR_BUSY, attribute->field, "memory");
        if (ca_bytes_equal(asked, value))
            return CA_OK;
    }
    return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, attribute->field,
                     "request and certificate agree");
}

static enum ca_err take_value(const struct rules_profile *profile, size_t at,
                              const struct sources *sources, struct ca_arena *arena,
                              struct ca_bytes *value_out, struct ca_refusal *refusal)
{
    const struct rules_attribute *attribute = &profile->attributes[at];
    struct ca_bytes value = choose(attribute, sources, at);
    enum ca_err err;

    *value_out = (struct ca_bytes){ 0 };
    if (value.data == NULL && attribute->presence == RULES_REQUIRED)
        return ca_refuse(refusal, CA_ERR_FIELD_REQUIRED, attribute->field, "profile required");
    if (value.data != NULL) {
        if ((err = rules_value_check(attribute, value, refusal)) != CA_OK)
            return err;
        value = make_uniform(profile, attribute, value, arena);
        if (value.data == NULL)
            return ca_refuse(refusal, CA_ERR_BUSY, attribute->field, "memory");
    }
    *value_out = value;
    return compare_with_request(profile, at, sources->request[at], value, arena, refusal);
}

enum ca_err rules_subject_take(const struct rules_order *order, struct ca_arena *arena,
                               struct rules_subject *subject_out, struct ca_refusal *refusal)
{
    const struct rules_profile *profile = order->profile;
    struct sources sources = { 0 };
    enum ca_err err;

    if ((err = gather_caller(order, &sources, refusal)) != CA_OK ||
        (err = gather_subject(order, arena, &sources, refusal)) != CA_OK ||
        (err = gather_extensions(order, arena, &sources, refusal)) != CA_OK)
        return err;
    for (size_t i = 0; i < profile->attribute_count; i++) {
        err = take_value(profile, i, &sources, arena, &subject_out->values[i], refusal);
        if (err != CA_OK)
            return err;
    }
    return CA_OK;
}

bool rules_subject_is_empty(const struct rules_profile *profile,
                            const struct rules_subject *subject)
{
    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (profile->attributes[i].is_in_subject && subject->values[i].data != NULL)
            return false;
    }
    return true;
}

void rules_subject_write(struct der_writer *writer, const struct rules_profile *profile,
                         const struct rules_subject *subject)
{
    struct x509_attribute attributes[CA_ATTRIBUTE_COUNT_MAX];
    size_t count = 0;

    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (!profile->attributes[i].is_in_subject || subject->values[i].data == NULL)
            continue;
        attributes[count++] = (struct x509_attribute){
            .oid = profile->attributes[i].oid,
            .tag = profile->attributes[i].tag,
            .value = subject->values[i],
        };
    }
    x509_name_write(writer, attributes, count);
}

void rules_subject_write_extensions(struct der_writer *writer, const struct rules_profile *profile,
                                    const struct rules_subject *subject)
{
    uint8_t buffer[CA_ATTRIBUTE_LEN_MAX + 4];

    for (size_t i = profile->attribute_count; i-- > 0;) {
        const struct rules_attribute *attribute = &profile->attributes[i];
        if (!attribute->is_extension || subject->values[i].data == NULL)
            continue;
        struct der_writer string;
        der_writer_init(&string, buffer, sizeof(buffer));
        der_write_value(&string, attribute->tag, subject->values[i]);
        x509_ext_write(writer, attribute->oid, attribute->is_critical, der_writer_bytes(&string));
    }
}

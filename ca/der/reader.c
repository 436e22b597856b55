/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/der/reader.h"

#include "ca/base/limits.h"
#include "ca/base/text.h"
#include "ca/base/time.h"

enum {
    CLASS_MASK = 0xc0,
    CONSTRUCTED = 0x20,
    NUMBER_MASK = 0x1f, /* all ones announce a tag of several octets */
    /* Known only to be checked; nothing of ours is made of them. */
    NUMERIC_STRING = 0x12,
    VISIBLE_STRING = 0x1a,
    UNIVERSAL_STRING = 0x1c,
};

/* Length octets: at most four, as no input comes near 4 GiB. */
static bool read_long_length(const uint8_t **at, const uint8_t *end, size_t *len_out)
{
    size_t octets = *(*at)++ & 0x7f;
    size_t len = 0;

    if (octets == 0 || octets > 4 || (size_t)(end - *at) < octets || **at == 0)
        return false;
    for (size_t i = 0; i < octets; i++)
        len = len << 8 | *(*at)++;
    *len_out = len;
    return len >= 0x80;
}

static inline bool read_value(const uint8_t *at, const uint8_t *end, struct der_value *value_out)
{
    const uint8_t *start = at;
    size_t len;

    if (end - at < 2 || (at[0] & NUMBER_MASK) == NUMBER_MASK || at[0] == 0)
        return false;
    at++;
    if (*at < 0x80)
        len = *at++;
    else if (!read_long_length(&at, end, &len))
        return false;
    if ((size_t)(end - at) < len)
        return false;
    value_out->tag = start[0];
    value_out->content = ca_bytes_of(at, len);
    value_out->whole = ca_bytes_of(start, (size_t)(at - start) + len);
    return true;
}

/* X.690, section 8.3.2: the first nine bits are neither all zero nor all one. */
static bool is_minimal_integer(struct ca_bytes content)
{
    const uint8_t *c = content.data;

    if (content.len < 2)
        return content.len == 1;
    return !(c[0] == 0x00 && c[1] < 0x80) && !(c[0] == 0xff && c[1] >= 0x80);
}

/* X.690, sections 8.6.2.2 and 11.2.1: the unused bits are zero. */
static bool is_bit_string(struct ca_bytes content)
{
    if (content.len == 0 || content.data[0] > 7)
        return false;
    if (content.len == 1)
        return content.data[0] == 0;
    return (content.data[content.len - 1] & ((1u << content.data[0]) - 1)) == 0;
}

/* X.690, section 8.19: no subidentifier starts with 0x80, the last one is complete. */
static bool is_oid(struct ca_bytes content)
{
    bool is_first = true;

    if (content.len > CA_OID_LEN_MAX)
        return false;
    for (size_t i = 0; i < content.len; i++) {
        if (is_first && content.data[i] == 0x80)
            return false;
        is_first = content.data[i] < 0x80;
    }
    return content.len > 0 && is_first;
}

static bool is_numeric_string(struct ca_bytes content)
{
    for (size_t i = 0; i < content.len; i++) {
        if (content.data[i] != ' ' && (content.data[i] < '0' || content.data[i] > '9'))
            return false;
    }
    return true;
}

/* NUL is in the character set, and in no honest value. */
static bool is_ia5_string(struct ca_bytes content)
{
    for (size_t i = 0; i < content.len; i++) {
        if (content.data[i] == 0 || content.data[i] > 0x7f)
            return false;
    }
    return true;
}

static bool two_digits(const uint8_t *at, uint8_t *number_out)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *number_out = (uint8_t)((at[0] - '0') * 10 + at[1] - '0');
    return true;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ: seconds given, no fraction, no offset. */
static bool parse_time(uint8_t tag, struct ca_bytes content, int64_t *time_s_out)
{
    struct ca_civil civil = { 0 };
    const uint8_t *at = content.data;
    uint8_t century = 0, year;

    if (content.len != (tag == DER_UTC_TIME ? 13 : 15) || at[content.len - 1] != 'Z')
        return false;
    if (tag == DER_GENERALIZED_TIME) {
        if (!two_digits(at, &century))
            return false;
        at += 2;
    }
    if (!two_digits(at, &year))
        return false;
    if (tag == DER_UTC_TIME)
        century = year < 50 ? 20 : 19;
    civil.year = century * 100 + year;
    if (!two_digits(at + 2, &civil.month) || !two_digits(at + 4, &civil.day) ||
        !two_digits(at + 6, &civil.hour) || !two_digits(at + 8, &civil.minute) ||
        !two_digits(at + 10, &civil.second) || !ca_civil_is_valid(civil))
        return false;
    *time_s_out = ca_civil_to_unix(civil, 0);
    return true;
}

static bool is_boolean(struct ca_bytes content)
{
    return content.len == 1 && (content.data[0] == 0x00 || content.data[0] == 0xff);
}

static bool is_universal_content(uint8_t tag, struct ca_bytes content)
{
    int64_t time_s;

    switch (tag) {
    case DER_BOOLEAN: return is_boolean(content);
    case DER_INTEGER:
    case DER_ENUMERATED: return is_minimal_integer(content);
    case DER_BIT_STRING: return is_bit_string(content);
    case DER_OCTET_STRING: return true;
    case DER_NULL: return content.len == 0;
    case DER_OID: return is_oid(content);
    case DER_UTF8_STRING: return ca_text_is_utf8(content);
    case NUMERIC_STRING: return is_numeric_string(content);
    case DER_PRINTABLE_STRING: return ca_text_is_printable_string(content);
    case DER_TELETEX_STRING: return true;
    case DER_IA5_STRING: return is_ia5_string(content);
    case DER_UTC_TIME:
    case DER_GENERALIZED_TIME: return parse_time(tag, content, &time_s);
    case VISIBLE_STRING: return ca_text_is_visible_ascii(content);
    case UNIVERSAL_STRING: return content.len % 4 == 0;
    case DER_BMP_STRING: return content.len % 2 == 0;
    case DER_SEQUENCE:
    case DER_SET: return true;
    default: return false; /* constructed strings and types that no request has */
    }
}

/* What is open around the place of reading. */
struct level {
    const uint8_t *end;
    struct ca_bytes previous; /* element, in a SET */
    bool is_set;
};

static bool is_in_order(struct level *level, struct ca_bytes whole)
{
    if (!level->is_set)
        return true;
    if (level->previous.data != NULL && ca_bytes_compare(level->previous, whole) > 0)
        return false;
    level->previous = whole;
    return true;
}

enum ca_err der_check(struct ca_bytes input)
{
    struct level levels[CA_DER_DEPTH_MAX + 1];
    size_t depth = 0;
    struct der_reader root = der_reader_of(input);
    const uint8_t *at = root.at;
    struct der_value value;

    levels[0] = (struct level){ .end = root.end };
    if (!read_value(at, root.end, &value) || value.whole.len != input.len)
        return CA_ERR_CSR_PARSE;
    for (;;) {
        if (!read_value(at, levels[depth].end, &value) || !is_in_order(&levels[depth], value.whole))
            return CA_ERR_CSR_PARSE;
        if ((value.tag & CLASS_MASK) == 0 && !is_universal_content(value.tag, value.content))
            return CA_ERR_CSR_PARSE;
        at = value.content.data;
        if ((value.tag & CONSTRUCTED) == 0) {
            at += value.content.len;
        } else {
            if (depth == CA_DER_DEPTH_MAX)
                return CA_ERR_CSR_PARSE;
            levels[++depth] =
                (struct level){ .end = at + value.content.len, .is_set = value.tag == DER_SET };
        }
        while (at == levels[depth].end) {
            if (depth-- == 0)
                return CA_OK;
        }
    }
}

struct der_reader der_reader_of(struct ca_bytes bytes)
{
    if (bytes.len == 0)
        return (struct der_reader){ NULL, NULL };
    return (struct der_reader){ bytes.data, bytes.data + bytes.len };
}

bool der_reader_at_end(const struct der_reader *reader)
{
    return reader->at == reader->end;
}

uint8_t der_reader_peek(const struct der_reader *reader)
{
    return der_reader_at_end(reader) ? 0 : reader->at[0];
}

enum ca_err der_read_any(struct der_reader *reader, struct der_value *value_out)
{
    if (!read_value(reader->at, reader->end, value_out)) {
        *value_out = (struct der_value){ 0 };
        return CA_ERR_CSR_PARSE;
    }
    reader->at = value_out->content.data + value_out->content.len;
    return CA_OK;
}

enum ca_err der_read(struct der_reader *reader, uint8_t tag, struct der_value *value_out)
{
    if (der_reader_peek(reader) != tag) {
        *value_out = (struct der_value){ 0 };
        return CA_ERR_CSR_PARSE;
    }
    return der_read_any(reader, value_out);
}

enum ca_err der_read_into(struct der_reader *reader, uint8_t tag, struct der_reader *inner_out)
{
    struct der_value value;
    enum ca_err err = der_read(reader, tag, &value);

    *inner_out = der_reader_of(value.content);
    return err;
}

/* Reads a value whose content must pass a check, or leaves the reader where it was. */
static enum ca_err read_checked(struct der_reader *reader, uint8_t tag,
                                bool (*is_good)(struct ca_bytes content),
                                struct ca_bytes *content_out)
{
    struct der_reader next = *reader;
    struct der_value value;

    *content_out = (struct ca_bytes){ 0 };
    if (der_read(&next, tag, &value) != CA_OK || !is_good(value.content))
        return CA_ERR_CSR_PARSE;
    *reader = next;
    *content_out = value.content;
    return CA_OK;
}

static bool is_true(struct ca_bytes content)
{
    return content.len == 1 && content.data[0] == 0xff;
}

enum ca_err der_read_default_false(struct der_reader *reader, bool *value_out)
{
    struct ca_bytes content;

    *value_out = false;
    if (der_reader_peek(reader) != DER_BOOLEAN)
        return CA_OK;
    enum ca_err err = read_checked(reader, DER_BOOLEAN, is_true, &content);
    *value_out = err == CA_OK;
    return err;
}

static bool is_small(struct ca_bytes content)
{
    return is_minimal_integer(content) && content.len <= 4 && content.data[0] < 0x80;
}

enum ca_err der_read_small(struct der_reader *reader, uint32_t *value_out)
{
    struct ca_bytes content;
    enum ca_err err = read_checked(reader, DER_INTEGER, is_small, &content);

    *value_out = 0;
    for (size_t i = 0; i < content.len; i++)
        *value_out = *value_out << 8 | content.data[i];
    return err;
}

static bool is_positive(struct ca_bytes content)
{
    return is_minimal_integer(content) && content.data[0] < 0x80 &&
           !(content.len == 1 && content.data[0] == 0);
}

enum ca_err der_read_positive(struct der_reader *reader, struct ca_bytes *octets_out)
{
    enum ca_err err = read_checked(reader, DER_INTEGER, is_positive, octets_out);

    if (err == CA_OK && octets_out->data[0] == 0)
        *octets_out = ca_bytes_of(octets_out->data + 1, octets_out->len - 1);
    return err;
}

static bool is_whole_octets(struct ca_bytes content)
{
    return content.len > 0 && content.data[0] == 0;
}

enum ca_err der_read_bit_octets(struct der_reader *reader, struct ca_bytes *octets_out)
{
    enum ca_err err = read_checked(reader, DER_BIT_STRING, is_whole_octets, octets_out);

    if (err == CA_OK)
        *octets_out = ca_bytes_of(octets_out->data + 1, octets_out->len - 1);
    return err;
}

enum ca_err der_read_time(struct der_reader *reader, int64_t *time_s_out)
{
    struct der_reader next = *reader;
    struct der_value value;
    uint8_t tag = der_reader_peek(reader);

    *time_s_out = 0;
    if ((tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME) ||
        der_read_any(&next, &value) != CA_OK || !parse_time(tag, value.content, time_s_out))
        return CA_ERR_CSR_PARSE;
    *reader = next;
    return CA_OK;
}

enum ca_err der_read_end(const struct der_reader *reader)
{
    return der_reader_at_end(reader) ? CA_OK : CA_ERR_CSR_PARSE;
}

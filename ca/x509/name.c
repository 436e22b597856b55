/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/name.h"

enum {
    UTF8 = DER_UTF8_STRING,
    PRINTABLE = DER_PRINTABLE_STRING,
    IA5 = DER_IA5_STRING,
};

/*
 * RFC 5280, appendix A.1; X.520; RFC 4519 for UID; ETSI EN 319 412-1 for organizationIdentifier;
 * CA/B Forum EV Guidelines, section 9.2.4 for the places of incorporation.
 */
#define AT(last)    "\x55\x04" last
#define EV(last)    "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01" last
#define PILOT(last) "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01" last
/* clang-format off */
static const struct x509_attribute_type types[] = {
    { "CN",                     CA_BYTES(AT("\x03")),    UTF8,      64 },
    { "O",                      CA_BYTES(AT("\x0a")),    UTF8,      64 },
    { "OU",                     CA_BYTES(AT("\x0b")),    UTF8,      64 },
    { "C",                      CA_BYTES(AT("\x06")),    PRINTABLE, 2 },
    { "ST",                     CA_BYTES(AT("\x08")),    UTF8,      128 },
    { "L",                      CA_BYTES(AT("\x07")),    UTF8,      128 },
    { "serialNumber",           CA_BYTES(AT("\x05")),    PRINTABLE, 64 },
    { "name",                   CA_BYTES(AT("\x29")),    UTF8,      32768 },
    { "SN",                     CA_BYTES(AT("\x04")),    UTF8,      32768 },
    { "GN",                     CA_BYTES(AT("\x2a")),    UTF8,      32768 },
    { "initials",               CA_BYTES(AT("\x2b")),    UTF8,      32768 },
    { "generationQualifier",    CA_BYTES(AT("\x2c")),    UTF8,      32768 },
    { "dnQualifier",            CA_BYTES(AT("\x2e")),    PRINTABLE, 64 },
    { "pseudonym",              CA_BYTES(AT("\x41")),    UTF8,      128 },
    { "title",                  CA_BYTES(AT("\x0c")),    UTF8,      64 },
    { "street",                 CA_BYTES(AT("\x09")),    UTF8,      128 },
    { "businessCategory",       CA_BYTES(AT("\x0f")),    UTF8,      128 },
    { "postalCode",             CA_BYTES(AT("\x11")),    UTF8,      40 },
    { "organizationIdentifier", CA_BYTES(AT("\x61")),    UTF8,      256 },
    { "jurisdictionL",          CA_BYTES(EV("\x01")),    UTF8,      128 },
    { "jurisdictionST",         CA_BYTES(EV("\x02")),    UTF8,      128 },
    { "jurisdictionC",          CA_BYTES(EV("\x03")),    PRINTABLE, 2 },
    { "DC",                     CA_BYTES(PILOT("\x19")), IA5,       63 },
    { "UID",                    CA_BYTES(PILOT("\x01")), UTF8,      256 },
    { "emailAddress",           CA_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), IA5, 255 },
};
/* clang-format on */
static const size_t type_count = sizeof(types) / sizeof(types[0]);

const struct x509_attribute_type *x509_attribute_type_by_name(const char *name)
{
    for (size_t i = 0; i < type_count; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

const struct x509_attribute_type *x509_attribute_type_by_oid(struct ca_bytes oid)
{
    for (size_t i = 0; i < type_count; i++) {
        if (ca_bytes_equal(types[i].oid, oid))
            return &types[i];
    }
    return NULL;
}

static bool is_string_tag(uint8_t tag)
{
    switch (tag) {
    case DER_UTF8_STRING:
    case DER_PRINTABLE_STRING:
    case DER_IA5_STRING:
    case DER_TELETEX_STRING:
    case DER_BMP_STRING: return true;
    default: return false;
    }
}

/* AttributeTypeAndValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY } */
static enum ca_err parse_attribute(struct der_reader *set, struct x509_attribute *attribute_out)
{
    struct der_reader pair;
    struct der_value oid, value;

    if (der_read_into(set, DER_SEQUENCE, &pair) != CA_OK ||
        der_read(&pair, DER_OID, &oid) != CA_OK || der_read_any(&pair, &value) != CA_OK ||
        !der_reader_at_end(&pair))
        return CA_ERR_CSR_PARSE;
    if (!is_string_tag(value.tag) || !der_reader_at_end(set))
        return CA_ERR_FIELD_FORMAT;
    if (value.content.len > CA_ATTRIBUTE_LEN_MAX)
        return CA_ERR_FIELD_LENGTH;
    *attribute_out = (struct x509_attribute){ oid.content, value.tag, value.content };
    return CA_OK;
}

enum ca_err x509_name_parse(struct ca_bytes whole, struct x509_name *name_out)
{
    struct der_reader reader = der_reader_of(whole), sets, set;
    enum ca_err err = der_read_into(&reader, DER_SEQUENCE, &sets);
    size_t count = 0;

    name_out->whole = (struct ca_bytes){ 0 };
    name_out->count = 0;
    if (err != CA_OK || !der_reader_at_end(&reader))
        return CA_ERR_CSR_PARSE;
    while (!der_reader_at_end(&sets)) {
        if (count == CA_ATTRIBUTE_COUNT_MAX)
            return CA_ERR_FIELD_LENGTH;
        if ((err = der_read_into(&sets, DER_SET, &set)) != CA_OK ||
            (err = parse_attribute(&set, &name_out->attributes[count++])) != CA_OK)
            return err;
    }
    name_out->whole = whole;
    name_out->count = count;
    return CA_OK;
}

void x509_name_write(struct der_writer *writer, const struct x509_attribute *attributes,
                     size_t count)
{
    size_t mark = der_writer_mark(writer);

    for (size_t i = count; i-- > 0;) {
        size_t set_mark = der_writer_mark(writer);
        der_write_value(writer, attributes[i].tag, attributes[i].value);
        der_write_oid(writer, attributes[i].oid);
        der_write_header(writer, DER_SEQUENCE, set_mark);
        der_write_header(writer, DER_SET, set_mark);
    }
    der_write_header(writer, DER_SEQUENCE, mark);
}

/* Text that is only counted when there is no place for it yet. */
struct text {
    uint8_t *at; /* NULL: count */
    size_t len;
};

static void put(struct text *text, uint8_t c)
{
    if (text->at != NULL)
        text->at[text->len] = c;
    text->len++;
}

static void put_text(struct text *text, const char *characters)
{
    for (; *characters != '\0'; characters++)
        put(text, (uint8_t)*characters);
}

static void put_hex(struct text *text, uint8_t octet)
{
    static const char digits[] = "0123456789ABCDEF";

    put(text, (uint8_t)digits[octet >> 4]);
    put(text, (uint8_t)digits[octet & 15]);
}

static void put_number(struct text *text, uint64_t number)
{
    uint64_t unit = 1;

    while (number / unit >= 10)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        put(text, (uint8_t)('0' + number / unit % 10));
}

static void put_oid(struct text *text, struct ca_bytes oid)
{
    uint64_t number = 0;
    bool is_first = true;

    for (size_t i = 0; i < oid.len; i++) {
        number = number << 7 | (oid.data[i] & 0x7f);
        if (oid.data[i] >= 0x80)
            continue;
        if (is_first) {
            uint64_t root = number < 80 ? number / 40 : 2;
            put_number(text, root);
            number -= root * 40;
        }
        put(text, '.');
        put_number(text, number);
        number = 0;
        is_first = false;
    }
}

/* RFC 4514, section 2.4. Control characters too are written as octets, for they end up in logs. */
static void put_escaped(struct text *text, struct ca_bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        bool is_edge = (c == ' ' && (i == 0 || i == value.len - 1)) || (c == '#' && i == 0);
        if (c < 0x20 || c == 0x7f) {
            put(text, '\\');
            put_hex(text, c);
            continue;
        }
        if (is_edge || strchr("\"+,;<>\\", c) != NULL)
            put(text, '\\');
        put(text, c);
    }
}

static void put_attribute(struct text *text, const struct x509_attribute *attribute)
{
    const struct x509_attribute_type *type = x509_attribute_type_by_oid(attribute->oid);
    bool is_text = attribute->tag == DER_UTF8_STRING || attribute->tag == DER_PRINTABLE_STRING ||
                   attribute->tag == DER_IA5_STRING;
    size_t len = attribute->value.len; /* at most CA_ATTRIBUTE_LEN_MAX: two octets */

    if (type != NULL)
        put_text(text, type->name);
    else
        put_oid(text, attribute->oid);
    put(text, '=');
    if (type != NULL && is_text) {
        put_escaped(text, attribute->value);
        return;
    }
    put(text, '#');
    put_hex(text, attribute->tag);
    if (len >= 0x100) {
        put_hex(text, 0x82);
        put_hex(text, (uint8_t)(len >> 8));
    } else if (len >= 0x80) {
        put_hex(text, 0x81);
    }
    put_hex(text, (uint8_t)len);
    for (size_t i = 0; i < len; i++)
        put_hex(text, attribute->value.data[i]);
}

/* The last RDN comes first (RFC 4514, section 2.1). */
static void put_name(struct text *text, const struct x509_name *name)
{
    for (size_t i = name->count; i-- > 0;) {
        put_attribute(text, &name->attributes[i]);
        if (i > 0)
            put(text, ',');
    }
}

struct ca_bytes x509_name_format(const struct x509_name *name, struct ca_arena *arena)
{
    struct text text = { 0 };

    put_name(&text, name);
    uint8_t *characters = ca_arena_alloc_raw(arena, text.len + 1);
    if (characters == NULL)
        return (struct ca_bytes){ 0 };
    text = (struct text){ .at = characters };
    put_name(&text, name);
    characters[text.len] = '\0';
    return ca_bytes_of(characters, text.len);
}

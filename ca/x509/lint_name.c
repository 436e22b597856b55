/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/text.h"
#include "ca/x509/lint_rules.h"

/* ---- distinguished names */

enum {
    AS_UTF8 = 1 << 0,
    AS_PRINTABLE = 1 << 1,
    AS_IA5 = 1 << 2,
    AS_DIRECTORY_STRING = AS_UTF8 | AS_PRINTABLE,
};

/* RFC 5280, appendix A.1 and X.520; lengths in characters. */
static const struct name_rule {
    struct ca_bytes oid;
    uint8_t types;
    uint16_t len_min, len_max;
} name_rules[] = {
    /* clang-format off */
    { CA_BYTES("\x55\x04\x03"), AS_DIRECTORY_STRING, 1, 64 },    /* commonName */
    { CA_BYTES("\x55\x04\x04"), AS_DIRECTORY_STRING, 1, 32768 }, /* surname */
    { CA_BYTES("\x55\x04\x05"), AS_PRINTABLE,        1, 64 },    /* serialNumber */
    { CA_BYTES("\x55\x04\x06"), AS_PRINTABLE,        2, 2 },     /* countryName */
    { CA_BYTES("\x55\x04\x07"), AS_DIRECTORY_STRING, 1, 128 },   /* localityName */
    { CA_BYTES("\x55\x04\x08"), AS_DIRECTORY_STRING, 1, 128 },   /* stateOrProvinceName */
    { CA_BYTES("\x55\x04\x09"), AS_DIRECTORY_STRING, 1, 128 },   /* streetAddress */
    { CA_BYTES("\x55\x04\x0a"), AS_DIRECTORY_STRING, 1, 64 },    /* organizationName */
    { CA_BYTES("\x55\x04\x0b"), AS_DIRECTORY_STRING, 1, 64 },    /* organizationalUnitName */
    { CA_BYTES("\x55\x04\x0c"), AS_DIRECTORY_STRING, 1, 64 },    /* title */
    { CA_BYTES("\x55\x04\x0f"), AS_DIRECTORY_STRING, 1, 128 },   /* businessCategory */
    { CA_BYTES("\x55\x04\x11"), AS_DIRECTORY_STRING, 1, 40 },    /* postalCode */
    { CA_BYTES("\x55\x04\x29"), AS_DIRECTORY_STRING, 1, 32768 }, /* name */
    { CA_BYTES("\x55\x04\x2a"), AS_DIRECTORY_STRING, 1, 32768 }, /* givenName */
    { CA_BYTES("\x55\x04\x2e"), AS_PRINTABLE,        1, 64 },    /* dnQualifier */
    { CA_BYTES("\x55\x04\x41"), AS_DIRECTORY_STRING, 1, 128 },   /* pseudonym */
    { CA_BYTES("\x55\x04\x61"), AS_DIRECTORY_STRING, 1, 256 },   /* organizationIdentifier */
    { CA_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03"),
                                AS_PRINTABLE,        2, 2 },     /* country of incorporation */
    { CA_BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"),
                                AS_IA5,              1, 63 },    /* domainComponent */
    { CA_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"),
                                AS_IA5,              1, 255 },   /* emailAddress */
    /* clang-format on */
};

static const struct name_rule *name_rule_of(struct ca_bytes oid)
{
    static const struct name_rule any = { .types = AS_DIRECTORY_STRING,
                                          .len_min = 1,
                                          .len_max = CA_ATTRIBUTE_LEN_MAX };

    for (size_t i = 0; i < sizeof(name_rules) / sizeof(name_rules[0]); i++) {
        if (ca_bytes_equal(name_rules[i].oid, oid))
            return &name_rules[i];
    }
    return &any;
}

static uint8_t type_of_tag(uint8_t tag)
{
    switch (tag) {
    case DER_UTF8_STRING: return AS_UTF8;
    case DER_PRINTABLE_STRING: return AS_PRINTABLE;
    case DER_IA5_STRING: return AS_IA5;
    default: return 0;
    }
}

static bool has_good_type(const struct name_rule *rule, const struct der_value *value)
{
    return (rule->types & type_of_tag(value->tag)) != 0;
}

static bool is_upper_case(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

/* The two-letter values are the country codes of ISO 3166, which are upper case. */
static bool has_good_length(const struct name_rule *rule, const struct der_value *value)
{
    size_t count = ca_text_utf8_count(value->content);

    if (count < rule->len_min || count > rule->len_max)
        return false;
    return rule->len_max != 2 ||
           (is_upper_case(value->content.data[0]) && is_upper_case(value->content.data[1]));
}

/* Every attribute of a Name: SEQUENCE OF SET OF SEQUENCE { OID, value }. */
static bool all_attributes(struct ca_bytes name, bool (*holds)(const struct name_rule *rule,
                                                               const struct der_value *value))
{
    struct der_reader reader = der_reader_of(name), sets, set, pair;
    struct der_value oid, value;

    if (der_read_into(&reader, DER_SEQUENCE, &sets) != CA_OK || !der_reader_at_end(&reader))
        return false;
    while (!der_reader_at_end(&sets)) {
        if (der_read_into(&sets, DER_SET, &set) != CA_OK || der_reader_at_end(&set))
            return false;
        while (!der_reader_at_end(&set)) {
            if (der_read_into(&set, DER_SEQUENCE, &pair) != CA_OK ||
                der_read(&pair, DER_OID, &oid) != CA_OK || der_read_any(&pair, &value) != CA_OK ||
                !der_reader_at_end(&pair) || !holds(name_rule_of(oid.content), &value))
                return false;
        }
    }
    return true;
}

bool lint_name_has_good_types(struct ca_bytes name)
{
    return all_attributes(name, has_good_type);
}

bool lint_name_has_good_lengths(struct ca_bytes name)
{
    return all_attributes(name, has_good_length);
}

/* ---- general names */

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_letter_or_digit(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static struct ca_bytes from(struct ca_bytes bytes, size_t start)
{
    return ca_bytes_of(bytes.data + start, bytes.len - start);
}

/* The place of a character, or the length. */
static size_t place_of(struct ca_bytes bytes, uint8_t c)
{
    size_t i = 0;

    while (i < bytes.len && bytes.data[i] != c)
        i++;
    return i;
}

static bool is_label(struct ca_bytes label)
{
    if (label.len == 0 || label.len > 63 || label.data[0] == '-' ||
        label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_letter_or_digit(label.data[i]) && label.data[i] != '-')
            return false;
    }
    return true;
}

/* The preferred name syntax of RFC 1034, section 3.5, with digits in front as RFC 1123 allows. */
static bool is_host(struct ca_bytes host)
{
    if (host.len > 253)
        return false;
    for (;;) {
        size_t dot = place_of(host, '.');
        if (!is_label(ca_bytes_of(host.data, dot)))
            return false;
        if (dot == host.len)
            return true;
        host = from(host, dot + 1);
    }
}

/* RFC 6125, section 6.4.3: a wildcard is the whole leftmost label, with something behind it. */
static bool is_dns_name(struct ca_bytes name)
{
    if (name.len > 253)
        return false;
    if (name.len > 2 && name.data[0] == '*' && name.data[1] == '.')
        name = from(name, 2);
    return name.len > 0 && is_host(name);
}

/* Mailbox of RFC 5321, section 4.1.2, with a dot-string before the sign and a host behind it. */
static bool is_mailbox(struct ca_bytes mailbox)
{
    size_t at = place_of(mailbox, '@');
    uint8_t previous = '.';

    if (at == 0 || at > 64 || at == mailbox.len)
        return false;
    for (size_t i = 0; i < at; i++) {
        uint8_t c = mailbox.data[i];
        bool is_atom =
            is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
        if (!is_atom && (c != '.' || previous == '.'))
            return false;
        previous = c;
    }
    struct ca_bytes host = from(mailbox, at + 1);
    return previous != '.' && host.len > 0 && is_host(host);
}

/* The characters of RFC 3986; a percent sign has two hexadecimal digits behind it. */
static bool has_uri_characters(struct ca_bytes uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        uint8_t c = uri.data[i];
        if (c == '\0' || (!is_letter_or_digit(c) && strchr("-._~:/?#[]@!$&'()*+,;=%", c) == NULL))
            return false;
        if (c != '%')
            continue;
        for (size_t digit = 1; digit <= 2; digit++) {
            uint8_t d = i + digit < uri.len ? uri.data[i + digit] : 0;
            if (!(d >= '0' && d <= '9') && !(d >= 'a' && d <= 'f') && !(d >= 'A' && d <= 'F'))
                return false;
        }
    }
    return true;
}

static bool is_scheme(struct ca_bytes scheme)
{
    if (scheme.len == 0 || !is_letter(scheme.data[0]))
        return false;
    for (size_t i = 1; i < scheme.len; i++) {
        if (!is_letter_or_digit(scheme.data[i]) && strchr("+-.", scheme.data[i]) == NULL)
            return false;
    }
    return true;
}

/* "//host[:port]" in front; what an IPv6 address looks like inside its brackets is left alone. */
static bool has_authority(struct ca_bytes rest)
{
    if (rest.len < 3 || rest.data[0] != '/' || rest.data[1] != '/')
        return false;
    rest = from(rest, 2);
    if (rest.data[0] == '[')
        return place_of(rest, ']') < rest.len;
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != ':' &&
           rest.data[end] != '?' && rest.data[end] != '#')
        end++;
    return end > 0 && is_host(ca_bytes_of(rest.data, end));
}

bool lint_is_url(struct ca_bytes url, bool is_fetched)
{
    static const struct ca_bytes schemes[] = { CA_BYTES("http"), CA_BYTES("https"),
                                               CA_BYTES("ldap"), CA_BYTES("ldaps") };
    size_t colon = place_of(url, ':');
    struct ca_bytes scheme = ca_bytes_of(url.data, colon);

    if (!has_uri_characters(url) || !is_scheme(scheme) || colon + 1 >= url.len)
        return false;
    if (!is_fetched)
        return true;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (ca_bytes_equal(scheme, schemes[i]))
            return has_authority(from(url, colon + 1));
    }
    return false;
}

/* directoryName [4] is EXPLICIT, as Name is a CHOICE. */
static bool is_directory_name(struct ca_bytes content)
{
    return content.len > 2 && lint_name_has_good_types(content) &&
           lint_name_has_good_lengths(content);
}

/* otherName ::= [0] SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY } */
static bool is_other_name(struct ca_bytes content)
{
    struct der_reader reader = der_reader_of(content), inner;
    struct der_value oid, value;

    return der_read(&reader, DER_OID, &oid) == CA_OK &&
           der_read_into(&reader, DER_CONTEXT_CONSTRUCTED(0), &inner) == CA_OK &&
           der_reader_at_end(&reader) && der_read_any(&inner, &value) == CA_OK &&
           der_reader_at_end(&inner);
}

static bool general_name_holds(const struct der_value *name)
{
    switch (name->tag) {
    case DER_CONTEXT_CONSTRUCTED(0): return is_other_name(name->content);
    case DER_CONTEXT(1): return is_mailbox(name->content);
    case DER_CONTEXT(2): return is_dns_name(name->content);
    case DER_CONTEXT_CONSTRUCTED(4): return is_directory_name(name->content);
    case DER_CONTEXT(6): return lint_is_url(name->content, false);
    case DER_CONTEXT(7): return name->content.len == 4 || name->content.len == 16;
    default: return false; /* x400Address, ediPartyName, registeredID: nobody's wish so far */
    }
}

bool lint_general_names_hold(struct ca_bytes sequence)
{
    struct der_reader reader = der_reader_of(sequence), names;
    struct der_value name;

    if (der_read_into(&reader, DER_SEQUENCE, &names) != CA_OK || !der_reader_at_end(&reader) ||
        der_reader_at_end(&names))
        return false;
    while (!der_reader_at_end(&names)) {
        if (der_read_any(&names, &name) != CA_OK || !general_name_holds(&name))
            return false;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/san.h"

#include <arpa/inet.h>

enum {
    HOST_LEN_MAX = 253, /* RFC 1035, section 2.3.4, written out */
    LABEL_LEN_MAX = 63,
    LOCAL_PART_LEN_MAX = 64, /* RFC 5321, section 4.5.3.1.1 */
    EMAIL_LEN_MAX = 254,
    URI_LEN_MAX = 2048,
};

/* What one name is refused with: the same for names of request and caller. */
static const char *const fields[] = {
    [RULES_SAN_DNS] = "san.dns",
    [RULES_SAN_IP] = "san.ip",
    [RULES_SAN_EMAIL] = "san.email",
    [RULES_SAN_URI] = "san.uri",
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Bytes in front of the first c, or all of them. */
static struct ca_bytes before(struct ca_bytes text, uint8_t c)
{
    const uint8_t *found = text.len == 0 ? NULL : memchr(text.data, c, text.len);

    return found == NULL ? text : ca_bytes_of(text.data, (size_t)(found - text.data));
}

static struct ca_bytes after(struct ca_bytes text, size_t len)
{
    return ca_bytes_of(text.data + len, text.len - len);
}

struct ca_bytes rules_text_fold(struct ca_bytes text, struct ca_arena *arena)
{
    size_t first = 0;

    while (first < text.len && !(text.data[first] >= 'A' && text.data[first] <= 'Z'))
        first++;
    if (first == text.len)
        return text;
    uint8_t *folded = ca_arena_alloc_raw(arena, text.len);
    if (folded == NULL)
        return (struct ca_bytes){ 0 };
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
    return ca_bytes_of(folded, text.len);
}

/* RFC 3492, section 6.1. */
static uint64_t adapt(uint64_t delta, size_t count, bool is_first)
{
    uint64_t bias = 0;

    delta = is_first ? delta / 700 : delta / 2;
    delta += delta / count;
    for (; delta > 455; bias += 36)
        delta /= 35;
    return bias + 36 * delta / (delta + 38);
}

/* One number of RFC 3492, section 6.2, added to *sum; moves *at behind it. */
static bool add_delta(struct ca_bytes text, uint64_t bias, size_t *at, uint64_t *sum)
{
    uint64_t weight = 1;

    for (uint64_t k = 36; *at < text.len && weight <= UINT32_MAX; k += 36) {
        uint8_t c = text.data[(*at)++];
        uint64_t digit = is_digit(c) ? c - '0' + 26U : (uint64_t)c - 'a';
        uint64_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (c == '-')
            return false;
        *sum += digit * weight;
        if (digit < threshold)
            return *sum <= UINT32_MAX;
        weight *= 36 - threshold;
    }
    return false;
}

/* What stands behind "xn--" is Punycode of characters that exist. */
static bool punycode_is_valid(struct ca_bytes text)
{
    const uint8_t *hyphen = memrchr(text.data, '-', text.len);
    size_t count = hyphen == NULL ? 0 : (size_t)(hyphen - text.data);
    size_t at = hyphen == NULL ? 0 : count + 1;
    uint64_t character = 128, position = 0, bias = 72;

    if ((hyphen != NULL && count == 0) || at == text.len)
        return false;
    for (bool is_first = true; at < text.len; is_first = false) {
        uint64_t before_delta = position;
        if (!add_delta(text, bias, &at, &position))
            return false;
        count++;
        bias = adapt(position - before_delta, count, is_first);
        character += position / count;
        position = position % count + 1;
        if (character <= 0xa0 || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff))
            return false; /* a control character, beyond Unicode, a surrogate */
    }
    return true;
}

/* RFC 5890, section 2.3.1: hyphens in third and fourth place are reserved but for A-labels. */
static bool label_is_valid(struct ca_bytes label)
{
    const uint8_t *c = label.data;

    if (label.len == 0 || label.len > LABEL_LEN_MAX || c[0] == '-' || c[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_digit(c[i]) && !(c[i] >= 'a' && c[i] <= 'z') && c[i] != '-')
            return false;
    }
    bool is_reserved = label.len >= 4 && c[2] == '-' && c[3] == '-';
    return !is_reserved ||
           (c[0] == 'x' && c[1] == 'n' && label.len > 4 && punycode_is_valid(after(label, 4)));
}

static bool has_only_digits(struct ca_bytes text)
{
    size_t i = 0;

    while (i < text.len && is_digit(text.data[i]))
        i++;
    return i == text.len;
}

bool rules_host_is_valid(struct ca_bytes host, bool allows_wildcard)
{
    struct ca_bytes label;
    size_t label_count = 0;

    if (host.len == 0 || host.len > HOST_LEN_MAX)
        return false;
    if (allows_wildcard && host.len > 2 && host.data[0] == '*' && host.data[1] == '.')
        host = after(host, 2);
    for (struct ca_bytes rest = host;; rest = after(rest, label.len + 1)) {
        label = before(rest, '.');
        if (!label_is_valid(label))
            return false;
        label_count++;
        if (label.len == rest.len)
            break;
    }
    return label_count >= 2 && !has_only_digits(label); /* not an IP address in disguise */
}

/* Dot-string of RFC 5321, section 4.1.2. */
static bool local_part_is_valid(struct ca_bytes local)
{
    if (local.len == 0 || local.len > LOCAL_PART_LEN_MAX)
        return false;
    if (local.data[0] == '.' || local.data[local.len - 1] == '.')
        return false;
    for (size_t i = 0; i < local.len; i++) {
        uint8_t c = local.data[i];
        if (c == '.' && local.data[i + 1] == '.')
            return false;
        if (!is_digit(c) && !is_letter(c) && !is_one_of(c, ".!#$%&'*+-/=?^_`{|}~"))
            return false;
    }
    return true;
}

/* The domain in lower case; the local part is the receiver's to interpret. */
static enum ca_err check_email(struct ca_bytes *value, struct ca_arena *arena)
{
    struct ca_bytes local = before(*value, '@');

    if (value->len > EMAIL_LEN_MAX || local.len == value->len || !local_part_is_valid(local))
        return CA_ERR_SAN_FORMAT;
    struct ca_bytes domain = rules_text_fold(after(*value, local.len + 1), arena);
    if (domain.data == NULL)
        return CA_ERR_BUSY;
    if (!rules_host_is_valid(domain, false))
        return CA_ERR_SAN_FORMAT;
    if (domain.data == value->data + local.len + 1)
        return CA_OK;
    uint8_t *whole = ca_arena_alloc_raw(arena, value->len);
    if (whole == NULL)
        return CA_ERR_BUSY;
    memcpy(whole, value->data, local.len + 1);
    memcpy(whole + local.len + 1, domain.data, domain.len);
    *value = ca_bytes_of(whole, value->len);
    return CA_OK;
}

static bool is_hex_digit(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986, section 2: reserved, unreserved and percent-encoded characters. */
static bool uri_characters_are_valid(struct ca_bytes uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        uint8_t c = uri.data[i];
        if (c == '%') {
            if (uri.len - i < 3 || !is_hex_digit(uri.data[i + 1]) || !is_hex_digit(uri.data[i + 2]))
                return false;
        } else if (!is_digit(c) && !is_letter(c) && !is_one_of(c, "-._~:/?#[]@!$&'()*+,;=")) {
            return false;
        }
    }
    return true;
}

static bool scheme_is_valid(struct ca_bytes scheme)
{
    if (scheme.len == 0 || !is_letter(scheme.data[0]))
        return false;
    for (size_t i = 1; i < scheme.len; i++) {
        uint8_t c = scheme.data[i];
        if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "+-."))
            return false;
    }
    return true;
}

static bool is_ip_text(struct ca_bytes text, int family)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t octets[16];

    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, octets) == 1;
}

/* [userinfo "@"] host [":" port], section 3.2. */
static bool authority_is_valid(struct ca_bytes authority, struct ca_arena *arena)
{
    struct ca_bytes user = before(authority, '@');
    struct ca_bytes host = user.len < authority.len ? after(authority, user.len + 1) : authority;
    struct ca_bytes port;

    if (host.len > 0 && host.data[0] == '[') {
        struct ca_bytes inner = before(after(host, 1), ']');
        if (inner.len + 1 == host.len || !is_ip_text(inner, AF_INET6))
            return false;
        port = after(host, inner.len + 2);
        if (port.len > 0 && port.data[0] != ':')
            return false;
    } else {
        struct ca_bytes name = before(host, ':');
        port = after(host, name.len);
        struct ca_bytes folded = rules_text_fold(name, arena);
        if (folded.data == NULL)
            return false;
        if (!rules_host_is_valid(folded, false) && !is_ip_text(name, AF_INET))
            return false;
    }
    return port.len == 0 || (port.len > 1 && port.len <= 6 && has_only_digits(after(port, 1)));
}

static bool uri_is_valid(struct ca_bytes uri, struct ca_arena *arena)
{
    struct ca_bytes scheme = before(uri, ':');

    if (uri.len > URI_LEN_MAX || scheme.len + 1 >= uri.len || !scheme_is_valid(scheme) ||
        !uri_characters_are_valid(uri))
        return false;
    struct ca_bytes rest = after(uri, scheme.len + 1);
    if (rest.len < 2 || rest.data[0] != '/' || rest.data[1] != '/')
        return true;
    struct ca_bytes authority = before(before(before(after(rest, 2), '/'), '?'), '#');
    return authority_is_valid(authority, arena);
}

static bool kind_is_allowed(const struct rules_san_policy *policy, enum rules_san_kind kind)
{
    switch (kind) {
    case RULES_SAN_DNS: return policy->allows_dns;
    case RULES_SAN_IP: return policy->allows_ip;
    case RULES_SAN_EMAIL: return policy->allows_email;
    case RULES_SAN_URI: return policy->allows_uri;
    }
    return false;
}

/* Checks the form and makes it uniform. */
static enum ca_err check_name(const struct rules_san_policy *policy, struct rules_san *name,
                              struct ca_arena *arena)
{
    struct ca_bytes *value = &name->value;

    switch (name->kind) {
    case RULES_SAN_DNS:
        *value = rules_text_fold(*value, arena);
        if (value->data == NULL)
            return CA_ERR_BUSY;
        return rules_host_is_valid(*value, policy->allows_wildcard) ? CA_OK : CA_ERR_SAN_FORMAT;
    case RULES_SAN_IP: return value->len == 4 || value->len == 16 ? CA_OK : CA_ERR_SAN_FORMAT;
    case RULES_SAN_EMAIL: return check_email(value, arena);
    case RULES_SAN_URI:
        if (uri_is_valid(*value, arena))
            return CA_OK;
        return ca_arena_is_starved(arena) ? CA_ERR_BUSY : CA_ERR_SAN_FORMAT;
    }
    return CA_ERR_SAN_TYPE;
}

static bool is_known(const struct rules_names *names, const struct rules_san *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->names[i].kind == name->kind &&
            ca_bytes_equal(names->names[i].value, name->value))
            return true;
    }
    return false;
}

static enum ca_err add_name(const struct rules_san_policy *policy, struct rules_san name,
                            struct ca_arena *arena, struct rules_names *names,
                            struct ca_refusal *refusal)
{
    if (!kind_is_allowed(policy, name.kind))
        return ca_refuse(refusal, CA_ERR_SAN_TYPE, fields[name.kind], "profile subject_alt_names");
    if (name.value.data == NULL) /* an empty one over RPC */
        return ca_refuse(refusal, CA_ERR_SAN_FORMAT, fields[name.kind], "RFC 5280 4.2.1.6");
    enum ca_err err = check_name(policy, &name, arena);
    if (err != CA_OK)
        return ca_refuse(refusal, err, fields[name.kind], "RFC 5280 4.2.1.6");
    if (is_known(names, &name))
        return CA_OK;
    if (names->count == policy->count_max)
        return ca_refuse(refusal, CA_ERR_SAN_COUNT, "san", "profile count_max");
    names->names[names->count++] = name;
    return CA_OK;
}

/* GeneralName, RFC 5280, section 4.2.1.6: IMPLICIT tags. */
static bool kind_of_tag(uint8_t tag, enum rules_san_kind *kind_out)
{
    switch (tag) {
    case DER_CONTEXT(1): *kind_out = RULES_SAN_EMAIL; return true;
    case DER_CONTEXT(2): *kind_out = RULES_SAN_DNS; return true;
    case DER_CONTEXT(6): *kind_out = RULES_SAN_URI; return true;
    case DER_CONTEXT(7): *kind_out = RULES_SAN_IP; return true;
    default: return false;
    }
}

static uint8_t tag_of_kind(enum rules_san_kind kind)
{
    static const uint8_t tags[] = {
        [RULES_SAN_EMAIL] = DER_CONTEXT(1),
        [RULES_SAN_DNS] = DER_CONTEXT(2),
        [RULES_SAN_URI] = DER_CONTEXT(6),
        [RULES_SAN_IP] = DER_CONTEXT(7),
    };

    return tags[kind];
}

static enum ca_err add_requested(const struct rules_san_policy *policy, struct ca_bytes extension,
                                 struct ca_arena *arena, struct rules_names *names,
                                 struct ca_refusal *refusal)
{
    struct der_reader outer = der_reader_of(extension);
    struct der_reader inner;
    struct der_value value;
    enum ca_err err;

    if ((err = der_check(extension)) != CA_OK ||
        (err = der_read_into(&outer, DER_SEQUENCE, &inner)) != CA_OK || der_reader_at_end(&inner))
        return ca_refuse(refusal, CA_ERR_EXTENSION, "csr.subjectAltName", "RFC 5280 4.2.1.6");
    for (size_t count = 0; !der_reader_at_end(&inner); count++) {
        struct rules_san name;
        if (count == CA_SAN_COUNT_MAX) /* repeated ones included: comparing costs */
            return ca_refuse(refusal, CA_ERR_SAN_COUNT, "csr.subjectAltName", "256 names");
        if ((err = der_read_any(&inner, &value)) != CA_OK)
            return ca_refuse(refusal, CA_ERR_EXTENSION, "csr.subjectAltName", "RFC 5280 4.2.1.6");
        if (!kind_of_tag(value.tag, &name.kind))
            return ca_refuse(refusal, CA_ERR_SAN_TYPE, "csr.subjectAltName",
                             "profile subject_alt_names");
        name.value = value.content;
        if ((err = add_name(policy, name, arena, names, refusal)) != CA_OK)
            return err;
    }
    return CA_OK;
}

bool rules_names_are_from_request(const struct rules_profile *profile)
{
    const struct rules_san_policy *policy = &profile->san;

    return policy->from_request &&
           (policy->allows_dns || policy->allows_ip || policy->allows_email || policy->allows_uri);
}

static const struct x509_extension *find_requested(const struct x509_csr *csr)
{
    for (size_t i = 0; i < csr->extension_count; i++) {
        if (ca_bytes_equal(csr->extensions[i].oid, X509_OID_SAN))
            return &csr->extensions[i];
    }
    return NULL;
}

enum ca_err rules_names_take(const struct rules_order *order, struct ca_arena *arena,
                             struct rules_names *names_out, struct ca_refusal *refusal)
{
    const struct rules_san_policy *policy = &order->profile->san;
    const struct rules_request *request = order->request;
    const struct x509_extension *asked =
        rules_names_are_from_request(order->profile) ? find_requested(order->csr) : NULL;
    enum ca_err err;

    *names_out = (struct rules_names){ 0 };
    if (request->san_count > 0 && !policy->from_caller)
        return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, "san",
                         "profile subject_alt_names.from");
    if (request->san_count > CA_SAN_COUNT_MAX)
        return ca_refuse(refusal, CA_ERR_SAN_COUNT, "san", "256 names");
    if (asked != NULL || request->san_count > 0) {
        names_out->names = ca_arena_alloc_raw(arena, policy->count_max * sizeof(*names_out->names));
        if (names_out->names == NULL)
            return ca_refuse(refusal, CA_ERR_BUSY, "san", "memory");
    }
    if (asked != NULL &&
        (err = add_requested(policy, asked->value, arena, names_out, refusal)) != CA_OK)
        return err;
    for (size_t i = 0; i < request->san_count; i++) {
        if ((err = add_name(policy, request->sans[i], arena, names_out, refusal)) != CA_OK)
            return err;
    }
    if (names_out->count < policy->count_min)
        return ca_refuse(refusal, CA_ERR_SAN_COUNT, "san", "profile count_min");
    return CA_OK;
}

bool rules_names_include(const struct rules_names *names, struct ca_bytes text)
{
    char ip[INET6_ADDRSTRLEN];

    for (size_t i = 0; i < names->count; i++) {
        const struct rules_san *name = &names->names[i];
        struct ca_bytes value = name->value;
        if (name->kind == RULES_SAN_IP) {
            inet_ntop(value.len == 4 ? AF_INET : AF_INET6, value.data, ip, sizeof(ip));
            value = ca_bytes_of_text(ip);
        } else if (name->kind != RULES_SAN_DNS) {
            continue;
        }
        if (ca_bytes_equal(value, text))
            return true;
    }
    return false;
}

enum ca_err rules_names_encode(const struct rules_names *names, struct ca_arena *arena,
                               struct ca_bytes *der_out, struct ca_refusal *refusal)
{
    struct der_writer writer;
    size_t size = 0;

    *der_out = (struct ca_bytes){ 0 };
    for (size_t i = 0; i < names->count; i++)
        size += names->names[i].value.len + 4; /* tag, and a length of up to three octets */
    if (size > CA_TBS_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_SAN_COUNT, "san", "16384 octets");
    uint8_t *buffer = ca_arena_alloc_raw(arena, size);
    if (buffer == NULL)
        return ca_refuse(refusal, CA_ERR_BUSY, "san", "memory");
    der_writer_init(&writer, buffer, size);
    for (size_t i = names->count; i-- > 0;)
        der_write_value(&writer, tag_of_kind(names->names[i].kind), names->names[i].value);
    *der_out = der_writer_bytes(&writer);
    return CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft: requests written as text, for tests whose cases are data.
 *
 * A cell holds items separated by ';', each name=value; "-" is an empty cell. \xNN in a
 * value is the octet NN, \s a semicolon.
 *
 *   subject     CN=text, CN:printable=text (also utf8, ia5, bmp, teletex, or a number)
 *   values      O=text
 *   names       dns=, email=, uri= text; ip= hexadecimal; [4]= hexadecimal for any context tag
 *   extensions  2.5.29.15=hexadecimal of the value
 */
#pragma once

#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/golden.h"
#include "tests/support/profiles.h"

struct draft_item {
    const char *name;
    struct ca_bytes value;
};

static inline struct ca_bytes draft_unescape(char *text)
{
    size_t len = 0;
    size_t octet_len;

    for (const char *c = text; *c != '\0';) {
        char digits[3] = { 0 };
        if (strncmp(c, "\\x", 2) == 0) {
            memcpy(digits, c + 2, 2);
            cr_assert(ca_text_unhex(digits, (uint8_t *)text + len++, 1, &octet_len), "%s", text);
            c += 4;
        } else if (strncmp(c, "\\s", 2) == 0) {
            text[len++] = ';';
            c += 2;
        } else {
            text[len++] = *c++;
        }
    }
    return ca_bytes_of(text, len);
}

/* The next item of a cell. Changes the text it walks over. */
static inline bool draft_next(char **cell, struct draft_item *item)
{
    if (*cell == NULL || strcmp(*cell, "-") == 0 || **cell == '\0')
        return false;
    char *text = strsep(cell, ";");
    char *value = strchr(text, '=');
    cr_assert(value != NULL, "%s: no value", text);
    *value++ = '\0';
    item->name = text;
    item->value = draft_unescape(value);
    return true;
}

static inline struct ca_bytes draft_unhex(struct ca_bytes text, struct ca_arena *arena)
{
    struct ca_bytes copy = ca_arena_copy(arena, text);
    uint8_t *bytes = ca_arena_alloc(arena, text.len / 2 + 1);
    size_t len;

    cr_assert(ca_text_unhex((const char *)copy.data, bytes, text.len / 2 + 1, &len), "%s",
              (const char *)copy.data);
    return ca_bytes_of(bytes, len);
}

static inline uint8_t draft_tag(const char *name)
{
    static const struct {
        const char *name;
        uint8_t tag;
    } tags[] = {
        { "utf8", DER_UTF8_STRING },       { "printable", DER_PRINTABLE_STRING },
        { "ia5", DER_IA5_STRING },         { "bmp", DER_BMP_STRING },
        { "teletex", DER_TELETEX_STRING },
    };

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (strcmp(name, tags[i].name) == 0)
            return tags[i].tag;
    }
    return (uint8_t)strtoul(name, NULL, 0);
}

/* Attribute types the engine has no name for come as dotted OIDs. */
static inline void draft_subject(char *cell, struct x509_csr *csr, struct ca_arena *arena)
{
    struct draft_item item;

    csr->subject.count = 0;
    while (draft_next(&cell, &item)) {
        char *tag = strchr(item.name, ':');
        if (tag != NULL)
            *tag++ = '\0';
        const struct x509_attribute_type *type = x509_attribute_type_by_name(item.name);
        csr->subject.attributes[csr->subject.count++] = (struct x509_attribute){
            .oid = type != NULL ? type->oid : profiles_oid(item.name, arena),
            .tag = tag != NULL ? draft_tag(tag) : DER_UTF8_STRING,
            .value = item.value,
        };
    }
}

static inline void draft_extensions(char *cell, struct x509_csr *csr, struct ca_arena *arena)
{
    struct draft_item item;

    while (draft_next(&cell, &item))
        csr->extensions[csr->extension_count++] = (struct x509_extension){
            .oid = profiles_oid(item.name, arena),
            .value = draft_unhex(item.value, arena),
        };
}

static inline size_t draft_values(char *cell, struct rules_value values[CA_ATTRIBUTE_COUNT_MAX])
{
    struct draft_item item;
    size_t count = 0;

    while (draft_next(&cell, &item))
        values[count++] = (struct rules_value){ ca_bytes_of_text(item.name), item.value };
    return count;
}

static inline struct rules_san draft_name(struct draft_item item, struct ca_arena *arena)
{
    static const char *const kinds[] = { "dns", "ip", "email", "uri" };
    unsigned kind = 0;

    while (kind < 4 && strcmp(item.name, kinds[kind]) != 0)
        kind++;
    cr_assert(kind < 4, "%s", item.name);
    return (struct rules_san){
        .kind = (enum rules_san_kind)kind,
        .value = kind == RULES_SAN_IP ? draft_unhex(item.value, arena) : item.value,
    };
}

static inline size_t draft_names(char *cell, struct rules_san names[16], struct ca_arena *arena)
{
    struct draft_item item;
    size_t count = 0;

    while (draft_next(&cell, &item))
        names[count++] = draft_name(item, arena);
    return count;
}

/* The names as the subjectAltName extension of the request. */
static inline void draft_request_names(char *cell, struct x509_csr *csr, struct ca_arena *arena)
{
    static const uint8_t tags[] = { 2, 7, 1, 6 };
    enum { SIZE = 16384 };
    struct der_writer writer;
    struct draft_item items[64];
    size_t count = 0;

    while (draft_next(&cell, &items[count]))
        count++;
    if (count == 0)
        return;
    der_writer_init(&writer, ca_arena_alloc(arena, SIZE), SIZE);
    while (count-- > 0) {
        struct rules_san name;
        if (items[count].name[0] == '[') {
            der_write_value(&writer, (uint8_t)(0x80 | strtoul(items[count].name + 1, NULL, 0)),
                            draft_unhex(items[count].value, arena));
            continue;
        }
        name = draft_name(items[count], arena);
        der_write_value(&writer, DER_CONTEXT(tags[name.kind]), name.value);
    }
    der_write_header(&writer, DER_SEQUENCE, 0);
    csr->extensions[csr->extension_count++] = (struct x509_extension){
        .oid = X509_OID_SAN,
        .value = der_writer_bytes(&writer),
    };
}

/* A stored request: csr_p256 and its kin under tests/vectors/rules/. */
static inline void draft_load_csr(const char *key, struct x509_csr *csr)
{
    struct ca_refusal refusal = { "?", "?" };
    char name[64];

    snprintf(name, sizeof(name), "rules/csr_%s", key);
    check_ok(x509_csr_parse(golden_load(name), csr, &refusal));
}

/* What a draft is made of, besides values. */
struct draft_case {
    const struct rules_profile *profile;
    const struct rules_issuer *issuer;
    struct ca_arena *arena;
    struct rules_moment moment;
    uint32_t term;   /* 0: the profile's */
    const char *key; /* of draft_load_csr() */
};

static inline struct draft_case draft_case_of(const struct rules_profile *profile,
                                              const struct rules_issuer *issuer,
                                              struct ca_arena *arena)
{
    return (struct draft_case){ profile, issuer, arena, profiles_moment(), 0, "p256" };
}

/* The cell holds values for enterprise, names for tls. The request has nothing but its key. */
static inline enum ca_err draft_make(const struct draft_case *from, char *cell,
                                     struct x509_csr *csr_out, struct rules_draft *draft_out,
                                     struct ca_refusal *refusal)
{
    struct rules_value values[CA_ATTRIBUTE_COUNT_MAX];
    struct rules_san names[16];
    struct rules_request request = { .values = values, .sans = names, .term = from->term };
    const struct rules_order order = { from->profile, from->issuer, &request, csr_out,
                                       from->moment };

    draft_load_csr(from->key, csr_out);
    csr_out->extension_count = 0;
    csr_out->subject.count = 0;
    if (strcmp(from->profile->name, "enterprise") == 0)
        request.value_count = draft_values(cell, values);
    else
        request.san_count = draft_names(cell, names, from->arena);
    return rules_draft(&order, from->arena, draft_out, refusal);
}

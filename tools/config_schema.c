/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config_schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include <libconfig.h>

#include "ca/base/text.h"
#include "ca/crypto/digest.h"
#include "tools/config_content.h"

enum { LINE_LEN_MAX = 1024, PIECE_HEAD_LEN = 4 };

enum ca_err config_complain(const struct config_source *source, unsigned line, const char *format,
                            ...)
{
    char message[LINE_LEN_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    /* Names and values come from a file: keep control characters off the terminal. */
    for (char *c = message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    if (line == 0) /* the file as a whole */
        fprintf(source->talk, "%s: %s\n", source->path, message);
    else
        fprintf(source->talk, "%s:%u: %s\n", source->path, line, message);
    return CA_ERR_CONFIG;
}

/* ---- one value */

static const char *kind_text(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_KIND_TEXT: return "a text in quotes";
    case CONFIG_KIND_NUMBER: return "a whole number";
    case CONFIG_KIND_FLAG: return "true or false";
    case CONFIG_KIND_CHOICE: return "a word in quotes";
    case CONFIG_KIND_TEXTS: return "a list of texts: [ \"...\", \"...\" ]";
    case CONFIG_KIND_NUMBERS: return "a list of whole numbers: [ 1, 2 ]";
    case CONFIG_KIND_GROUP: return "a group: { ... }";
    case CONFIG_KIND_GROUPS: return "a list of groups: ( { ... }, { ... } )";
    }
    return "";
}

static bool kind_fits(enum config_kind kind, const config_setting_t *setting)
{
    int type = config_setting_type(setting);

    switch (kind) {
    case CONFIG_KIND_TEXT:
    case CONFIG_KIND_CHOICE: return type == CONFIG_TYPE_STRING;
    case CONFIG_KIND_NUMBER: return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    case CONFIG_KIND_FLAG: return type == CONFIG_TYPE_BOOL;
    case CONFIG_KIND_TEXTS:
    case CONFIG_KIND_NUMBERS: return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
    case CONFIG_KIND_GROUP: return type == CONFIG_TYPE_GROUP;
    case CONFIG_KIND_GROUPS: return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
    }
    return false;
}

static unsigned line_of(const config_setting_t *setting)
{
    return config_setting_source_line(setting);
}

static enum ca_err parse_text(const struct config_source *source, const struct config_item *item,
                              uint64_t min, uint64_t max, const config_setting_t *setting,
                              struct config_text *out)
{
    struct ca_bytes text = ca_bytes_of_text(config_setting_get_string(setting));

    if (text.len < min || text.len > max)
        return config_complain(source, line_of(setting),
                               "\"%s\" must have %" PRIu64 " to %" PRIu64 " octets", item->name,
                               min, max);
    if (!ca_text_is_utf8(text))
        return config_complain(source, line_of(setting), "\"%s\" is not UTF-8", item->name);
    out->text = (const char *)ca_arena_copy(source->arena, text).data;
    out->line = line_of(setting);
    return out->text == NULL ? CA_ERR_NOMEM : CA_OK;
}

static enum ca_err parse_number(const struct config_source *source, const struct config_item *item,
                                uint64_t min, uint64_t max, const config_setting_t *setting,
                                struct config_number *out)
{
    long long value = config_setting_get_int64(setting);

    if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
        return config_complain(source, line_of(setting),
                               "\"%s\" must be from %" PRIu64 " to %" PRIu64, item->name, min, max);
    out->value = (uint64_t)value;
    out->line = line_of(setting);
    return CA_OK;
}

static bool choice_find(const struct config_item *item, const char *word, size_t *index_out)
{
    for (size_t i = 0; item->choices[i] != NULL; i++) {
        if (strcmp(item->choices[i], word) == 0) {
            *index_out = i;
            return true;
        }
    }
    return false;
}

static void choices_join(const struct config_item *item, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; item->choices[i] != NULL && len < size; i++) {
        int n = snprintf(text + len, size - len, "%s%s", i == 0 ? "" : ", ", item->choices[i]);
        len += (size_t)n;
    }
}

static enum ca_err parse_choice(const struct config_source *source, const struct config_item *item,
                                const config_setting_t *setting, struct config_choice *out)
{
    char words[512];

    out->line = line_of(setting);
    if (choice_find(item, config_setting_get_string(setting), &out->index))
        return CA_OK;
    choices_join(item, words, sizeof(words));
    return config_complain(source, out->line, "\"%s\" must be one of: %s", item->name, words);
}

/* ---- lists */

static enum ca_err check_count(const struct config_source *source, const struct config_item *item,
                               const config_setting_t *setting)
{
    size_t count = (size_t)config_setting_length(setting);

    if (count >= item->min && count <= item->max)
        return CA_OK;
    return config_complain(source, line_of(setting),
                           "\"%s\" must have %" PRIu64 " to %" PRIu64 " elements", item->name,
                           item->min, item->max);
}

static enum ca_err parse_texts(const struct config_source *source, const struct config_item *item,
                               config_setting_t *setting, struct config_texts *out)
{
    size_t count = (size_t)config_setting_length(setting);
    struct config_text *items = ca_arena_alloc(source->arena, (count + 1) * sizeof(*items));
    enum ca_err err = items == NULL ? CA_ERR_NOMEM : CA_OK;

    for (size_t i = 0; err == CA_OK && i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        if (config_setting_type(element) != CONFIG_TYPE_STRING)
            return config_complain(source, line_of(element), "\"%s\" must be %s", item->name,
                                   kind_text(item->kind));
        err = parse_text(source, item, 1, LINE_LEN_MAX / 2, element, &items[i]);
    }
    *out = (struct config_texts){ items, count, line_of(setting) };
    return err;
}

static enum ca_err parse_numbers(const struct config_source *source, const struct config_item *item,
                                 config_setting_t *setting, struct config_numbers *out)
{
    size_t count = (size_t)config_setting_length(setting);
    struct config_number *items = ca_arena_alloc(source->arena, (count + 1) * sizeof(*items));
    enum ca_err err = items == NULL ? CA_ERR_NOMEM : CA_OK;

    for (size_t i = 0; err == CA_OK && i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        if (!kind_fits(CONFIG_KIND_NUMBER, element))
            return config_complain(source, line_of(element), "\"%s\" must be %s", item->name,
                                   kind_text(item->kind));
        err = parse_number(source, item, 0, UINT32_MAX, element, &items[i]);
    }
    *out = (struct config_numbers){ items, count, line_of(setting) };
    return err;
}

/* ---- groups; the depth of nesting is that of the tables, not of the file */

static enum ca_err parse_section(const struct config_source *source,
                                 const struct config_section *section, config_setting_t *group,
                                 void *out);

static enum ca_err parse_groups(const struct config_source *source, const struct config_item *item,
                                config_setting_t *setting, struct config_groups *out)
{
    size_t count = (size_t)config_setting_length(setting);
    size_t size = item->section->size;
    char *items = ca_arena_alloc(source->arena, (count + 1) * size);
    enum ca_err err = items == NULL ? CA_ERR_NOMEM : CA_OK;

    for (size_t i = 0; err == CA_OK && i < count; i++) {
        config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        if (config_setting_type(element) != CONFIG_TYPE_GROUP)
            return config_complain(source, line_of(element), "\"%s\" must be %s", item->name,
                                   kind_text(item->kind));
        err = parse_section(source, item->section, element, items + i * size);
    }
    *out = (struct config_groups){ items, count, line_of(setting) };
    return err;
}

static enum ca_err parse_item(const struct config_source *source, const struct config_item *item,
                              config_setting_t *setting, void *out)
{
    enum ca_err err;

    if (!kind_fits(item->kind, setting))
        return config_complain(source, line_of(setting), "\"%s\" must be %s", item->name,
                               kind_text(item->kind));
    bool is_list = item->kind == CONFIG_KIND_TEXTS || item->kind == CONFIG_KIND_NUMBERS ||
                   item->kind == CONFIG_KIND_GROUPS;
    if (is_list && (err = check_count(source, item, setting)) != CA_OK)
        return err;
    switch (item->kind) {
    case CONFIG_KIND_TEXT: return parse_text(source, item, item->min, item->max, setting, out);
    case CONFIG_KIND_NUMBER: return parse_number(source, item, item->min, item->max, setting, out);
    case CONFIG_KIND_FLAG:
        *(struct config_flag *)out =
            (struct config_flag){ config_setting_get_bool(setting) != 0, line_of(setting) };
        return CA_OK;
    case CONFIG_KIND_CHOICE: return parse_choice(source, item, setting, out);
    case CONFIG_KIND_TEXTS: return parse_texts(source, item, setting, out);
    case CONFIG_KIND_NUMBERS: return parse_numbers(source, item, setting, out);
    case CONFIG_KIND_GROUP: return parse_section(source, item->section, setting, out);
    case CONFIG_KIND_GROUPS: return parse_groups(source, item, setting, out);
    }
    return CA_ERR_INTERNAL;
}

/* What an item holds when the file does not name it. */
static void fill_fallback(const struct config_item *item, void *out)
{
    struct config_choice *choice = out;
    struct config_number *number = out;

    switch (item->kind) {
    case CONFIG_KIND_TEXT: ((struct config_text *)out)->text = item->fallback; break;
    case CONFIG_KIND_FLAG:
        ((struct config_flag *)out)->value = strcmp(item->fallback, "true") == 0;
        break;
    case CONFIG_KIND_NUMBER: number->value = strtoull(item->fallback, NULL, 10); break;
    case CONFIG_KIND_CHOICE:
        if (!choice_find(item, item->fallback, &choice->index))
            choice->index = CONFIG_CHOICE_NONE;
        break;
    case CONFIG_KIND_TEXTS:
    case CONFIG_KIND_NUMBERS:
    case CONFIG_KIND_GROUPS:
    case CONFIG_KIND_GROUP: assert(item->fallback[0] == '\0'); break;
    }
}

static void fill_fallbacks(const struct config_section *section, void *out)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct config_item *item = &section->items[i];
        if (item->kind == CONFIG_KIND_GROUP)
            fill_fallbacks(item->section, (char *)out + item->offset);
        else if (item->fallback != NULL)
            fill_fallback(item, (char *)out + item->offset);
    }
}

static const struct config_item *item_find(const struct config_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->items[i].name, name) == 0)
            return &section->items[i];
    }
    return NULL;
}

static enum ca_err parse_section(const struct config_source *source,
                                 const struct config_section *section, config_setting_t *group,
                                 void *out)
{
    enum ca_err err;

    fill_fallbacks(section, out);
    *(unsigned *)(void *)((char *)out + section->line_offset) = line_of(group);
    for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
        config_setting_t *setting = config_setting_get_elem(group, i);
        const char *name = config_setting_name(setting);
        const struct config_item *item = item_find(section, name);
        if (item == NULL)
            return config_complain(source, line_of(setting), "there is no setting \"%s\" here",
                                   name);
        if ((err = parse_item(source, item, setting, (char *)out + item->offset)) != CA_OK)
            return err;
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct config_item *item = &section->items[i];
        if (item->fallback == NULL && config_setting_get_member(group, item->name) == NULL)
            return config_complain(source, line_of(group), "\"%s\" is missing", item->name);
    }
    return CA_OK;
}

/* ---- the file */

/* The library's grammar has a directive that reads other files: it has no place here. */
static unsigned include_line(const char *text)
{
    unsigned line = 1;

    for (const char *at = text; *at != '\0'; line++) {
        at += strspn(at, " \t\r\f\v");
        if (strncmp(at, "@include", 8) == 0)
            return line;
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    return 0;
}

enum ca_err config_schema_parse(const struct config_source *source,
                                const struct config_section *section, void *out)
{
    enum ca_err err;
    config_t config;

    if (memchr(source->text.data, '\0', source->text.len) != NULL)
        return config_complain(source, 1, "the file holds a NUL octet");
    struct ca_bytes text = ca_arena_copy(source->arena, source->text); /* with a NUL behind */
    if (text.data == NULL)
        return CA_ERR_NOMEM;
    unsigned line = include_line((const char *)text.data);
    if (line != 0)
        return config_complain(source, line, "a file cannot include another");

    config_init(&config);
    if (config_read_string(&config, (const char *)text.data) != CONFIG_TRUE) {
        err = config_complain(source, (unsigned)config_error_line(&config), "%s",
                              config_error_text(&config));
    } else {
        err = parse_section(source, section, config_root_setting(&config), out);
    }
    config_destroy(&config);
    return err;
}

/* ---- the content, and its digest */

/* Where it is written to; NULL: it is only measured. */
struct content {
    uint8_t *at;
    size_t len;
};

static void add(struct content *content, struct ca_bytes bytes)
{
    if (content->at != NULL) {
        ca_bytes_put_number(content->at, bytes.len, PIECE_HEAD_LEN);
        content->at += PIECE_HEAD_LEN;
        for (size_t i = 0; i < bytes.len; i++)
            *content->at++ = bytes.data[i];
    }
    content->len += PIECE_HEAD_LEN + bytes.len;
}

static void add_number(struct content *content, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    add(content, ca_bytes_of_text(text));
}

static bool is_fallback(const struct config_item *item, const void *value);

static bool section_is_fallback(const struct config_section *section, const void *record)
{
    for (size_t i = 0; i < section->count; i++) {
        if (!is_fallback(&section->items[i], (const char *)record + section->items[i].offset))
            return false;
    }
    return true;
}

/* Does the value say what its absence would say? */
static bool is_fallback(const struct config_item *item, const void *value)
{
    union {
        struct config_number number;
        struct config_flag flag;
        struct config_choice choice;
        struct config_text text;
        struct config_groups groups;
    } fallback = { 0 };

    if (item->fallback == NULL)
        return false;
    if (item->kind != CONFIG_KIND_GROUP)
        fill_fallback(item, &fallback);
    switch (item->kind) {
    case CONFIG_KIND_TEXT:
        return strcmp(((const struct config_text *)value)->text, item->fallback) == 0;
    case CONFIG_KIND_NUMBER:
        return ((const struct config_number *)value)->value == fallback.number.value;
    case CONFIG_KIND_FLAG: return ((const struct config_flag *)value)->value == fallback.flag.value;
    case CONFIG_KIND_CHOICE:
        return ((const struct config_choice *)value)->index == fallback.choice.index;
    case CONFIG_KIND_TEXTS: return ((const struct config_texts *)value)->count == 0;
    case CONFIG_KIND_NUMBERS: return ((const struct config_numbers *)value)->count == 0;
    case CONFIG_KIND_GROUPS: return ((const struct config_groups *)value)->count == 0;
    case CONFIG_KIND_GROUP: return section_is_fallback(item->section, value);
    }
    return false;
}

static void add_section(struct content *content, const struct config_section *section,
                        const void *record);

static void add_value(struct content *content, const struct config_item *item, const void *value)
{
    const struct config_texts *texts = value;
    const struct config_numbers *numbers = value;
    const struct config_groups *groups = value;

    switch (item->kind) {
    case CONFIG_KIND_TEXT:
        add(content, ca_bytes_of_text(((const struct config_text *)value)->text));
        break;
    case CONFIG_KIND_NUMBER:
        add_number(content, ((const struct config_number *)value)->value);
        break;
    case CONFIG_KIND_FLAG: add_number(content, ((const struct config_flag *)value)->value); break;
    case CONFIG_KIND_CHOICE:
        add(content, ca_bytes_of_text(item->choices[((const struct config_choice *)value)->index]));
        break;
    case CONFIG_KIND_TEXTS:
        add_number(content, texts->count);
        for (size_t i = 0; i < texts->count; i++)
            add(content, ca_bytes_of_text(texts->items[i].text));
        break;
    case CONFIG_KIND_NUMBERS:
        add_number(content, numbers->count);
        for (size_t i = 0; i < numbers->count; i++)
            add_number(content, numbers->items[i].value);
        break;
    case CONFIG_KIND_GROUP: add_section(content, item->section, value); break;
    case CONFIG_KIND_GROUPS:
        add_number(content, groups->count);
        for (size_t i = 0; i < groups->count; i++)
            add_section(content, item->section,
                        (const char *)groups->items + i * item->section->size);
        break;
    }
}

static void add_section(struct content *content, const struct config_section *section,
                        const void *record)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct config_item *item = &section->items[i];
        const void *value = (const char *)record + item->offset;
        if (is_fallback(item, value))
            continue;
        add(content, ca_bytes_of_text(item->name));
        add_value(content, item, value);
    }
    add(content, CA_BYTES("")); /* no name is empty: the end of the section */
}

enum ca_err config_schema_content(const struct config_section *section, const void *record,
                                  struct ca_arena *arena, struct ca_bytes *content_out)
{
    struct content content = { NULL, 0 };

    add_section(&content, section, record);
    uint8_t *data = ca_arena_alloc(arena, content.len);
    *content_out = ca_bytes_of(data, data == NULL ? 0 : content.len);
    if (data == NULL)
        return CA_ERR_NOMEM;
    content = (struct content){ data, 0 };
    add_section(&content, section, record);
    return CA_OK;
}

bool config_schema_digest(struct ca_bytes content, uint8_t digest[CA_DIGEST_LEN])
{
    for (size_t i = 0; i < CA_DIGEST_LEN; i++)
        digest[i] = 0;
    while (content.len > 0) {
        const uint8_t *from = content.data;
        struct ca_bytes piece;
        if (!config_content_next(&content, &piece))
            return false;
        struct ca_bytes parts[] = { ca_bytes_of(digest, CA_DIGEST_LEN),
                                    ca_bytes_of(from, PIECE_HEAD_LEN + piece.len) };
        crypto_sha256(parts, 2, digest);
    }
    return true;
}

/* ---- the reference */

static void print_bounds(const struct config_item *item, FILE *to)
{
    char words[512];

    switch (item->kind) {
    case CONFIG_KIND_TEXT:
        fprintf(to, "text, %" PRIu64 " to %" PRIu64 " octets", item->min, item->max);
        break;
    case CONFIG_KIND_NUMBER: fprintf(to, "%" PRIu64 " to %" PRIu64, item->min, item->max); break;
    case CONFIG_KIND_FLAG: fputs("true or false", to); break;
    case CONFIG_KIND_CHOICE:
        choices_join(item, words, sizeof(words));
        fputs(words, to);
        break;
    case CONFIG_KIND_TEXTS:
        fprintf(to, "%" PRIu64 " to %" PRIu64 " texts", item->min, item->max);
        break;
    case CONFIG_KIND_NUMBERS:
        fprintf(to, "%" PRIu64 " to %" PRIu64 " numbers", item->min, item->max);
        break;
    case CONFIG_KIND_GROUP: fputs("group", to); break;
    case CONFIG_KIND_GROUPS:
        fprintf(to, "%" PRIu64 " to %" PRIu64 " groups", item->min, item->max);
        break;
    }
}

void config_schema_print(const struct config_section *section, const char *title, FILE *to)
{
    fprintf(to, "\n### %s\n\n| setting | values | default | meaning |\n|---|---|---|---|\n", title);
    for (size_t i = 0; i < section->count; i++) {
        const struct config_item *item = &section->items[i];
        fprintf(to, "| `%s` | ", item->name);
        print_bounds(item, to);
        fprintf(to, " | %s | %s |\n",
                item->fallback == NULL      ? "must be given"
                : item->fallback[0] == '\0' ? "none"
                                            : item->fallback,
                item->help);
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct config_item *item = &section->items[i];
        char inner[256];
        if (item->section == NULL)
            continue;
        snprintf(inner, sizeof(inner), "%s%s`%s`", title, title[0] == '\0' ? "" : ", ", item->name);
        config_schema_print(item->section, inner, to);
    }
}

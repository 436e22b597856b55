/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config_content.h"

#include "ca/base/text.h"

enum { HEAD_LEN = 4, NUMBER_LEN_MAX = 20, INDENT = 4 };

bool config_content_next(struct ca_bytes *content, struct ca_bytes *piece_out)
{
    *piece_out = ca_bytes_of(NULL, 0);
    if (content->len < HEAD_LEN)
        return false;
    size_t len = (size_t)ca_bytes_get_number(content->data, HEAD_LEN);
    if (content->len - HEAD_LEN < len)
        return false;
    *piece_out = ca_bytes_of(content->data + HEAD_LEN, len);
    *content = ca_bytes_of(content->data + HEAD_LEN + len, content->len - HEAD_LEN - len);
    return true;
}

/* ---- as settings */

struct writing {
    struct ca_bytes left;
    FILE *to;
    int indent;
};

static bool take_number(struct writing *writing, uint64_t *number_out)
{
    char digits[NUMBER_LEN_MAX + 1] = "";
    struct ca_bytes piece;

    if (!config_content_next(&writing->left, &piece) || piece.len > NUMBER_LEN_MAX)
        return false;
    for (size_t i = 0; i < piece.len; i++)
        digits[i] = (char)piece.data[i];
    return ca_text_to_number(digits, 0, UINT64_MAX, number_out);
}

static bool write_text(struct writing *writing)
{
    struct ca_bytes piece;

    if (!config_content_next(&writing->left, &piece))
        return false;
    fputc('"', writing->to);
    for (size_t i = 0; i < piece.len; i++) {
        uint8_t c = piece.data[i];
        if (c == '"' || c == '\\')
            fprintf(writing->to, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(writing->to, "\\x%02x", c);
        else
            fputc(c, writing->to);
    }
    fputc('"', writing->to);
    return true;
}

static bool write_number(struct writing *writing, bool is_flag)
{
    uint64_t number;

    if (!take_number(writing, &number) || (is_flag && number > 1))
        return false;
    if (is_flag)
        fputs(number != 0 ? "true" : "false", writing->to);
    else
        fprintf(writing->to, "%llu%s", (unsigned long long)number,
                number > INT32_MAX ? "L" : ""); /* libconfig's long numbers */
    return true;
}

static bool write_section(struct writing *writing, const struct config_section *section);

static bool write_group(struct writing *writing, const struct config_section *section)
{
    fputs("{\n", writing->to);
    writing->indent += INDENT;
    if (!write_section(writing, section))
        return false;
    writing->indent -= INDENT;
    fprintf(writing->to, "%*s}", writing->indent, "");
    return true;
}

static bool write_list(struct writing *writing, const struct config_item *item)
{
    bool is_groups = item->kind == CONFIG_KIND_GROUPS;
    uint64_t count;

    if (!take_number(writing, &count))
        return false;
    fputs(is_groups ? "( " : "[ ", writing->to);
    for (uint64_t i = 0; i < count; i++) {
        bool is_good = is_groups                         ? write_group(writing, item->section)
                       : item->kind == CONFIG_KIND_TEXTS ? write_text(writing)
                                                         : write_number(writing, false);
        if (!is_good)
            return false;
        fputs(i + 1 < count ? ", " : " ", writing->to);
    }
    fputs(is_groups ? ")" : "]", writing->to);
    return true;
}

static bool write_value(struct writing *writing, const struct config_item *item)
{
    switch (item->kind) {
    case CONFIG_KIND_TEXT:
    case CONFIG_KIND_CHOICE: return write_text(writing);
    case CONFIG_KIND_NUMBER: return write_number(writing, false);
    case CONFIG_KIND_FLAG: return write_number(writing, true);
    case CONFIG_KIND_GROUP: return write_group(writing, item->section);
    case CONFIG_KIND_TEXTS:
    case CONFIG_KIND_NUMBERS:
    case CONFIG_KIND_GROUPS: return write_list(writing, item);
    }
    return false;
}

static const struct config_item *find_item(const struct config_section *section,
                                           struct ca_bytes name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (ca_bytes_equal(ca_bytes_of_text(section->items[i].name), name))
            return &section->items[i];
    }
    return NULL;
}

/* Up to the empty piece at its end. */
static bool write_section(struct writing *writing, const struct config_section *section)
{
    struct ca_bytes name;

    while (config_content_next(&writing->left, &name)) {
        if (name.len == 0)
            return true;
        const struct config_item *item = find_item(section, name);
        if (item == NULL)
            return false;
        fprintf(writing->to, "%*s%s = ", writing->indent, "", item->name);
        if (!write_value(writing, item))
            return false;
        fputs(";\n", writing->to);
    }
    return false;
}

bool config_content_write(const struct config_section *section, struct ca_bytes content, FILE *to)
{
    struct writing writing = { content, to, 0 };

    return write_section(&writing, section) && writing.left.len == 0;
}

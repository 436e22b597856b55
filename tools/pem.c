/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/pem.h"

#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- reading */

static struct ca_bytes line_next(struct ca_bytes *text)
{
    const uint8_t *end = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    size_t taken = end == NULL ? text->len : (size_t)(end - text->data) + 1;
    struct ca_bytes line = ca_bytes_of(text->data, end == NULL ? taken : taken - 1);

    *text = ca_bytes_of(text->data + taken, text->len - taken);
    while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL &&
           line.data[line.len - 1] != '\0')
        line.len--;
    return line;
}

/* "-----BEGIN X-----" and "-----END X-----". */
static bool line_has_label(struct ca_bytes line, const char *word, char *label)
{
    struct ca_bytes head = ca_bytes_of_text(word), tail = CA_BYTES("-----");

    if (line.len < head.len + tail.len || line.len - head.len - tail.len > PEM_LABEL_LEN_MAX ||
        !ca_bytes_equal(ca_bytes_of(line.data, head.len), head) ||
        !ca_bytes_equal(ca_bytes_of(line.data + line.len - tail.len, tail.len), tail))
        return false;
    size_t len = line.len - head.len - tail.len;
    for (size_t i = 0; i < len; i++)
        label[i] = (char)line.data[head.len + i];
    label[len] = '\0';
    return true;
}

struct base64 {
    uint8_t *data;
    size_t len;
    uint32_t bits;
    size_t digits; /* of the current group of four */
    size_t padding;
};

static bool base64_take(struct base64 *to, struct ca_bytes line)
{
    for (size_t i = 0; i < line.len; i++) {
        const char *digit = line.data[i] == '\0' ? NULL : strchr(ALPHABET, line.data[i]);
        bool is_padding = line.data[i] == '=';
        if (is_padding ? to->digits < 2 : digit == NULL || to->padding > 0)
            return false;
        to->bits = to->bits << 6 | (is_padding ? 0 : (uint32_t)(digit - ALPHABET));
        to->padding += is_padding;
        if (++to->digits < 4)
            continue;
        for (size_t n = 0; n < 3 - to->padding; n++)
            to->data[to->len++] = (uint8_t)(to->bits >> (16 - 8 * n));
        if (to->padding > 0 && (to->bits & (to->padding == 1 ? 0xff : 0xffff)) != 0)
            return false; /* bits that say nothing must be zero */
        to->digits = 0;
        to->bits = 0;
        if (to->padding > 0 && i + 1 < line.len)
            return false;
    }
    return true;
}

static enum ca_err find_begin(struct ca_bytes *text, struct pem_block *block)
{
    *block = (struct pem_block){ 0 };
    do {
        if (text->len == 0)
            return CA_ERR_NOT_FOUND;
    } while (!line_has_label(line_next(text), "-----BEGIN ", block->label));
    return CA_OK;
}

static enum ca_err read_block(struct ca_bytes *text, uint8_t *data, size_t size,
                              struct pem_block *block)
{
    struct base64 base64 = { .data = data };
    char label[PEM_LABEL_LEN_MAX + 1];

    while (text->len > 0) {
        struct ca_bytes line = line_next(text);
        if (line_has_label(line, "-----END ", label)) {
            if (strcmp(label, block->label) != 0 || base64.digits != 0)
                return CA_ERR_FIELD_FORMAT;
            block->der = ca_bytes_of(base64.data, base64.len);
            return CA_OK;
        }
        if (base64.len + line.len / 4 * 3 + 3 > size)
            return CA_ERR_FIELD_LENGTH;
        if (!base64_take(&base64, line))
            return CA_ERR_FIELD_FORMAT;
    }
    return CA_ERR_FIELD_FORMAT;
}

enum ca_err pem_next_into(struct ca_bytes *text, uint8_t *data, size_t size,
                          struct pem_block *block_out)
{
    enum ca_err err = find_begin(text, block_out);

    return err == CA_OK ? read_block(text, data, size, block_out) : err;
}

enum ca_err pem_next(struct ca_bytes *text, struct ca_arena *arena, struct pem_block *block_out)
{
    enum ca_err err = find_begin(text, block_out);
    size_t size = text->len + 3;

    if (err != CA_OK)
        return err;
    uint8_t *data = ca_arena_alloc_raw(arena, size);
    return data == NULL ? CA_ERR_NOMEM : read_block(text, data, size, block_out);
}

/* ---- writing */

void pem_write_base64(FILE *to, struct ca_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t count = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        if (count > 1)
            bits |= (uint32_t)bytes.data[i + 1] << 8;
        if (count > 2)
            bits |= bytes.data[i + 2];
        for (size_t n = 0; n < 4; n++)
            fputc(n <= count ? ALPHABET[bits >> (18 - 6 * n) & 63] : '=', to);
    }
}

void pem_write(FILE *to, const char *label, struct ca_bytes der)
{
    fprintf(to, "-----BEGIN %s-----\n", label);
    for (size_t i = 0; i < der.len; i += 48) {
        pem_write_base64(to, ca_bytes_of(der.data + i, der.len - i < 48 ? der.len - i : 48));
        fputc('\n', to);
    }
    fprintf(to, "-----END %s-----\n", label);
}

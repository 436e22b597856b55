/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/json.h"

#include <assert.h>
#include <inttypes.h>

#include "ca/base/text.h"
#include "tools/pem.h"

void json_init(struct json *json, FILE *to)
{
    *json = (struct json){ .to = to };
}

static void write_text(FILE *to, struct ca_bytes text)
{
    fputc('"', to);
    while (text.len > 0) {
        size_t len = 1;
        while (len < 4 && len < text.len && (text.data[len] & 0xc0) == 0x80)
            len++;
        struct ca_bytes character = ca_bytes_of(text.data, len);
        uint8_t c = text.data[0];
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", to);
        else if (c < 0x20 || c == 0x7f)
            fprintf(to, "\\u%04x", c);
        else if (ca_text_is_utf8(character))
            fwrite(character.data, 1, len, to);
        else
            fputs("\\ufffd", to);
        if (c < 0x80)
            len = 1; /* what follows did not belong to it */
        text = ca_bytes_of(text.data + len, text.len - len);
    }
    fputc('"', to);
}

/* What comes before a value: comma, line, name. */
static void begin_value(struct json *json, const char *name)
{
    if (json->depth > 0) {
        bool *has_element = &json->has_element[json->depth - 1];
        assert((name != NULL) == (json->close[json->depth - 1] == '}'));
        fputs(*has_element ? "," : "", json->to);
        bool starts_line = json->depth == 1 && !json->is_one_line;
        fputs(starts_line ? "\n" : *has_element ? " " : "", json->to);
        *has_element = true;
    }
    if (name != NULL) {
        write_text(json->to, ca_bytes_of_text(name));
        fputs(": ", json->to);
    }
}

static void open_level(struct json *json, const char *name, char open, char close)
{
    begin_value(json, name);
    assert(json->depth < JSON_DEPTH_MAX);
    json->has_element[json->depth] = false;
    json->close[json->depth++] = close;
    fputc(open, json->to);
}

void json_object(struct json *json, const char *name)
{
    open_level(json, name, '{', '}');
}

void json_array(struct json *json, const char *name)
{
    open_level(json, name, '[', ']');
}

void json_end(struct json *json)
{
    assert(json->depth > 0);
    json->depth--;
    if (json->depth == 0)
        fprintf(json->to, "%s%c\n", json->has_element[0] && !json->is_one_line ? "\n" : "",
                json->close[0]);
    else
        fputc(json->close[json->depth], json->to);
}

void json_bytes_text(struct json *json, const char *name, struct ca_bytes text)
{
    begin_value(json, name);
    write_text(json->to, text);
}

void json_text(struct json *json, const char *name, const char *text)
{
    json_bytes_text(json, name, ca_bytes_of_text(text));
}

void json_hex(struct json *json, const char *name, struct ca_bytes bytes)
{
    begin_value(json, name);
    fputc('"', json->to);
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(json->to, "%02x", bytes.data[i]);
    fputc('"', json->to);
}

void json_base64(struct json *json, const char *name, struct ca_bytes bytes)
{
    begin_value(json, name);
    fputc('"', json->to);
    pem_write_base64(json->to, bytes);
    fputc('"', json->to);
}

void json_number(struct json *json, const char *name, uint64_t value)
{
    begin_value(json, name);
    fprintf(json->to, "%" PRIu64, value);
}

void json_signed(struct json *json, const char *name, int64_t value)
{
    begin_value(json, name);
    fprintf(json->to, "%" PRId64, value);
}

void json_flag(struct json *json, const char *name, bool value)
{
    begin_value(json, name);
    fputs(value ? "true" : "false", json->to);
}

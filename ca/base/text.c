/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/text.h"

void ca_text_hex(struct ca_bytes bytes, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        *text++ = digits[bytes.data[i] >> 4];
        *text++ = digits[bytes.data[i] & 15];
    }
    *text = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool ca_text_unhex(const char *text, uint8_t *bytes, size_t size, size_t *len_out)
{
    size_t len = 0;

    *len_out = 0;
    while (*text != '\0') {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || len == size)
            return false;
        bytes[len++] = (uint8_t)(high << 4 | low);
        text += 2;
        if (text[0] == ':' && text[1] != '\0')
            text++;
    }
    *len_out = len;
    return true;
}

const char *ca_text_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

bool ca_text_to_number(const char *text, uint64_t min, uint64_t max, uint64_t *number_out)
{
    uint64_t number = 0;

    *number_out = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (number < min || number > max)
        return false;
    *number_out = number;
    return true;
}

/* The length of the well-formed character at the start of bytes, or 0. */
static size_t utf8_character(struct ca_bytes bytes)
{
    const uint8_t *c = bytes.data;
    size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

    if (len == 0 || c[0] == 0 || c[0] > 0xf4 || len > bytes.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
        (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return len;
}

bool ca_text_is_utf8(struct ca_bytes bytes)
{
    while (bytes.len > 0) {
        size_t len = utf8_character(bytes);
        if (len == 0)
            return false;
        bytes = ca_bytes_of(bytes.data + len, bytes.len - len);
    }
    return true;
}

size_t ca_text_utf8_count(struct ca_bytes bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes.len; i++)
        count += (bytes.data[i] & 0xc0) != 0x80;
    return count;
}

bool ca_text_is_printable_string(struct ca_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!is_alnum && (c == '\0' || strchr(" '()+,-./:=?", c) == NULL))
            return false;
    }
    return true;
}

bool ca_text_is_visible_ascii(struct ca_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] < 0x20 || bytes.data[i] > 0x7e)
            return false;
    }
    return true;
}

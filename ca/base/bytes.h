/* SPDX-License-Identifier: Apache-2.0 */
/* bytes: a borrowed run of octets, passed by value, never freed. The lender's header says until
 * when. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ca_bytes {
    const uint8_t *data;
    size_t len;
};

/* The characters of a string literal, without its NUL. */
#define CA_BYTES(literal) ((struct ca_bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static inline struct ca_bytes ca_bytes_of(const void *data, size_t len)
{
    return (struct ca_bytes){ data, len };
}

static inline struct ca_bytes ca_bytes_of_text(const char *text)
{
    return ca_bytes_of(text, strlen(text));
}

/* Not for secrets: the time it takes tells where the difference is. */
static inline bool ca_bytes_equal(struct ca_bytes a, struct ca_bytes b)
{
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.data, b.data, a.len) == 0);
}

/* Below, equal or above zero, as a sorts before, with or after b; a prefix sorts first. */
static inline int ca_bytes_compare(struct ca_bytes a, struct ca_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : __builtin_memcmp(a.data, b.data, len);

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

/* Numbers in up to eight octets, big endian. The caller has the octets. */
static inline void ca_bytes_put_number(uint8_t *at, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
}

static inline uint64_t ca_bytes_get_number(const uint8_t *at, size_t len)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++)
        number = number << 8 | at[i];
    return number;
}

/* Unsigned numbers of any length, big endian. The shortest form; that of zero is empty. */
static inline struct ca_bytes ca_bytes_shortest_number(struct ca_bytes number)
{
    while (number.len > 0 && number.data[0] == 0)
        number = ca_bytes_of(number.data + 1, number.len - 1);
    return number;
}

/* As ca_bytes_compare(), of two in their shortest form: then the longer one is the larger one. */
static inline int ca_bytes_compare_numbers(struct ca_bytes a, struct ca_bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return ca_bytes_compare(a, b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: writes JSON (RFC 8259) to a stream, one value after the other.
 *
 * Commas and escapes are seen to here; that names and braces pair up is the caller's part
 * (asserted). Text that is not UTF-8 is written with U+FFFD in place of what is wrong. The
 * first level of elements gets a line each, so that the output can be read and cut.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "ca/base/bytes.h"

enum { JSON_DEPTH_MAX = 8 };

struct json {
    FILE *to;
    bool is_one_line; /* set behind json_init(): the outermost value stays in a line of its own */
    size_t depth;
    bool has_element[JSON_DEPTH_MAX]; /* per level: a comma comes before the next */
    char close[JSON_DEPTH_MAX];
};

void json_init(struct json *json, FILE *to);

/* name is NULL inside arrays and for the outermost value. */
void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end(struct json *json); /* the innermost object or array */

void json_text(struct json *json, const char *name, const char *text);
void json_bytes_text(struct json *json, const char *name, struct ca_bytes text);
void json_hex(struct json *json, const char *name, struct ca_bytes bytes);
void json_base64(struct json *json, const char *name, struct ca_bytes bytes);
void json_number(struct json *json, const char *name, uint64_t value);
void json_signed(struct json *json, const char *name, int64_t value);
void json_flag(struct json *json, const char *name, bool value);

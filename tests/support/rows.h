/* SPDX-License-Identifier: Apache-2.0 */
/* rows: the lines of a tab-separated file of test vectors; "#" starts a comment. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/check.h"

enum { ROW_FIELD_COUNT_MAX = 8 };

struct rows {
    FILE *file;
    char *line;
    size_t size;
    const char *fields[ROW_FIELD_COUNT_MAX]; /* of the current line; "" beyond the last */
};

/* name: within tests/vectors. */
static inline void rows_open(struct rows *rows, const char *name)
{
    char path[512];

    *rows = (struct rows){ 0 };
    snprintf(path, sizeof(path), "%s/vectors/%s", TESTS_DIR, name);
    rows->file = fopen(path, "r");
    cr_assert(rows->file != NULL, "cannot open %s", path);
}

static inline void rows_close(struct rows *rows)
{
    free(rows->line);
    fclose(rows->file);
}

static inline bool rows_next(struct rows *rows)
{
    ssize_t len;

    do {
        if ((len = getline(&rows->line, &rows->size, rows->file)) < 0)
            return false;
        if (len > 0 && rows->line[len - 1] == '\n')
            rows->line[len - 1] = '\0';
    } while (rows->line[0] == '\0' || rows->line[0] == '#');

    char *rest = rows->line;
    for (size_t i = 0; i < ROW_FIELD_COUNT_MAX; i++)
        rows->fields[i] = rest != NULL ? strsep(&rest, "\t") : "";
    return true;
}

/* Octets from hexadecimal, in an allocation of exactly their length; free data afterwards. */
static inline struct ca_bytes rows_unhex(const char *hex)
{
    size_t size = strlen(hex) / 2, len;
    uint8_t *bytes = malloc(size + (size == 0));

    cr_assert(bytes != NULL && ca_text_unhex(hex, bytes, size, &len) && len == size,
              "not hexadecimal: %.40s", hex);
    return ca_bytes_of(bytes, len);
}

static inline void rows_free(struct ca_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

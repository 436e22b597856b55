/* SPDX-License-Identifier: Apache-2.0 */
/* table: test data from tests/vectors, one case per line, fields parted by tabs. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/check.h"

enum { TABLE_FIELDS_MAX = 8 };

struct table {
    FILE *file;
    char *line;
    size_t size;
    const char *name;
    char *fields[TABLE_FIELDS_MAX];
};

static inline void table_open(struct table *table, const char *name)
{
    char path[512];

    *table = (struct table){ .name = name };
    snprintf(path, sizeof(path), "%s/vectors/%s", TESTS_DIR, name);
    table->file = fopen(path, "r");
    cr_assert_not_null(table->file, "%s", path);
}

/* The next case, which has that many fields; lines that begin with # are not cases. */
static inline bool table_next(struct table *table, size_t count)
{
    for (ssize_t len; (len = getline(&table->line, &table->size, table->file)) > 0;) {
        char *rest = table->line;

        if (*rest == '#')
            continue;
        rest[len - 1] = '\0';
        for (size_t i = 0; i < count; i++)
            table->fields[i] = strsep(&rest, "\t");
        cr_assert(rest == NULL && table->fields[count - 1] != NULL, "%s: not %zu fields: %s",
                  table->name, count, table->line);
        return true;
    }
    return false;
}

static inline void table_close(struct table *table)
{
    fclose(table->file);
    free(table->line);
}

/* "-" stands for no octets at all. */
static inline struct ca_bytes table_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t len = 0;

    cr_assert(*text == '-' || ca_text_unhex(text, bytes, size, &len), "hexadecimal: %.80s", text);
    return ca_bytes_of(bytes, len);
}

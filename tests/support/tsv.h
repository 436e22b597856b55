/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsv: test data, one case a line, tab-separated; lines that start with '#' are comments.
 *
 *     struct tsv tsv = tsv_open("validity.tsv");
 *     while (tsv_next(&tsv, 6))
 *         ... tsv.fields[0] ... tsv.line ...
 *     cr_assert(tsv.count > 0);
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

enum { TSV_FIELD_MAX = 16, TSV_LINE_MAX = 8192 };

struct tsv {
    FILE *file;
    const char *name;
    char text[TSV_LINE_MAX];
    char *fields[TSV_FIELD_MAX];
    unsigned line;  /* of the current case, from 1 */
    unsigned count; /* cases so far */
};

/* From tests/vectors/. */
static inline struct tsv tsv_open(const char *name)
{
    char path[512];
    struct tsv tsv = { .name = name };

    snprintf(path, sizeof(path), "%s/vectors/%s", TESTS_DIR, name);
    tsv.file = fopen(path, "r");
    cr_assert(tsv.file != NULL, "%s: cannot be opened", path);
    return tsv;
}

/* The next case, which must have field_count fields, or false and closed at the end. */
static inline bool tsv_next(struct tsv *tsv, size_t field_count)
{
    while (fgets(tsv->text, sizeof(tsv->text), tsv->file) != NULL) {
        char *rest = tsv->text;
        size_t count = 0;

        tsv->line++;
        tsv->text[strcspn(tsv->text, "\n")] = '\0';
        if (tsv->text[0] == '#' || tsv->text[0] == '\0')
            continue;
        while (rest != NULL && count < TSV_FIELD_MAX)
            tsv->fields[count++] = strsep(&rest, "\t");
        cr_assert(count == field_count, "%s:%u: %zu fields", tsv->name, tsv->line, count);
        tsv->count++;
        return true;
    }
    fclose(tsv->file);
    return false;
}

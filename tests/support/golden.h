/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden: bytes kept as hexadecimal files in tests/vectors/.
 *
 * With CERTMILL_GOLDEN=write in the environment expected files are written anew instead of
 * compared; look at the difference before committing it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/check.h"

enum { GOLDEN_LEN_MAX = 32768, GOLDEN_OCTETS_A_LINE = 32 };

static inline void golden_path(const char *name, char path[512])
{
    snprintf(path, 512, "%s/vectors/%s.hex", TESTS_DIR, name);
}

/* What was loaded, kept to the end of the process: one test is one process. */
struct golden_file {
    struct golden_file *next;
    uint8_t bytes[GOLDEN_LEN_MAX];
};
static struct golden_file *golden_files;

/* Valid until the process ends. */
static inline struct ca_bytes golden_load(const char *name)
{
    struct golden_file *loaded = malloc(sizeof(*loaded));
    size_t len = 0;
    unsigned octet;
    char path[512];

    cr_assert(loaded != NULL);
    loaded->next = golden_files;
    golden_files = loaded;
    golden_path(name, path);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s: cannot be opened", path);
    while (len < GOLDEN_LEN_MAX && fscanf(file, "%2x", &octet) == 1)
        loaded->bytes[len++] = (uint8_t)octet;
    cr_assert(feof(file), "%s: not hexadecimal", path);
    fclose(file);
    return ca_bytes_of(loaded->bytes, len);
}

static inline void golden_save(const char *name, struct ca_bytes bytes)
{
    char path[512];

    golden_path(name, path);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL, "%s: cannot be written", path);
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(file, "%02x%s", bytes.data[i],
                (i + 1) % GOLDEN_OCTETS_A_LINE == 0 || i + 1 == bytes.len ? "\n" : "");
    fclose(file);
}

static inline void check_golden(const char *name, struct ca_bytes got)
{
    if (getenv("CERTMILL_GOLDEN") != NULL)
        golden_save(name, got);
    struct ca_bytes want = golden_load(name);
    cr_assert(ca_bytes_equal(got, want), "%s: other bytes than expected", name);
}

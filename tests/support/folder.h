/* SPDX-License-Identifier: Apache-2.0 */
/* folder: a temporary folder of a test's own. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/check.h"

/* /tmp/certmill-NAME- and six characters; size is path's. */
static inline void folder_make(const char *name, char *path, size_t size)
{
    int len = snprintf(path, size, "/tmp/certmill-%s-XXXXXX", name);

    cr_assert(len > 0 && (size_t)len < size);
    cr_assert(mkdtemp(path) != NULL, "%s", path);
}

static inline int folder_drop_entry(const char *path, const struct stat *status, int kind,
                                    struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

/* With everything in it. False when something is left. */
static inline bool folder_drop(const char *path)
{
    return nftw(path, folder_drop_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

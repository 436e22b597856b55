/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { LEN = 100 };

static char path[] = "/tmp/certmill-file-"
                     "XX"
                     "XX"
                     "XX";

static void make(void)
{
    uint8_t octets[LEN] = { 1 };
    int fd = mkstemp(path);

    cr_assert(fd >= 0 && write(fd, octets, LEN) == LEN && close(fd) == 0);
}

static void drop(void)
{
    unlink(path);
}

TestSuite(file, .init = make, .fini = drop);

Test(file, whatever_is_not_loaded_errno_says_why)
{
    static const struct {
        const char *path;
        size_t size_max;
        enum ca_err err;
        int number;
    } cases[] = {
        { path, LEN, CA_OK, 0 },
        { path, LEN - 1, CA_ERR_FIELD_LENGTH, EFBIG },
        { "/tmp", LEN, CA_ERR_STORAGE, EISDIR },
        { "/dev/null", LEN, CA_ERR_STORAGE, EINVAL },
        { "/tmp/is not there", LEN, CA_ERR_NOT_FOUND, ENOENT },
    };
    uint8_t *data;
    size_t len;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        errno = 0;
        cr_assert_eq(file_load(cases[i].path, cases[i].size_max, &data, &len), cases[i].err);
        cr_assert(cases[i].err == CA_OK ? len == LEN : data == NULL && len == 0);
        cr_assert(cases[i].err == CA_OK || errno == cases[i].number, "%zu: %d", i, errno);
        free(data);
    }
}

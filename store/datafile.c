/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/octets.h"
#include "store/tables.h"

/* LMDB 0.9's two meta pages, on a 64-bit little-endian machine: offsets within a page. */
enum {
    PAGE_FLAGS_AT = 10,
    META_AT = 16,
    META_MAGIC = META_AT,
    META_VERSION = META_AT + 4,
    META_TABLES = META_AT + 24, /* free pages, then the main table */
    TABLE_LEN = 48,
    TABLE_ROOT = 40,
    META_LAST_PAGE = META_TABLES + 2 * TABLE_LEN,
    META_TXN = META_LAST_PAGE + 8,
    META_END = META_TXN + 8,
    PAGE_IS_META = 0x08,
};

struct meta {
    uint64_t page_size, last_page, txn;
    uint64_t roots[2];
};

static bool meta_read(int fd, uint64_t at, struct meta *meta_out)
{
    uint8_t bytes[META_END];

    if (pread(fd, bytes, sizeof(bytes), (off_t)at) != (ssize_t)sizeof(bytes))
        return false;
    meta_out->page_size = octets_load_le32(bytes + META_TABLES);
    meta_out->last_page = octets_load_le64(bytes + META_LAST_PAGE);
    meta_out->txn = octets_load_le64(bytes + META_TXN);
    if ((bytes[PAGE_FLAGS_AT] & PAGE_IS_META) == 0 ||
        octets_load_le32(bytes + META_MAGIC) != 0xbeefc0de ||
        octets_load_le32(bytes + META_VERSION) != 1)
        return false;
    if (meta_out->page_size < 512 || meta_out->page_size > 65536 ||
        (meta_out->page_size & (meta_out->page_size - 1)) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        meta_out->roots[i] = octets_load_le64(bytes + META_TABLES + i * TABLE_LEN + TABLE_ROOT);
    return true;
}

/* A file that is shorter than its pages would be a SIGBUS later. */
static bool file_is_whole(int fd)
{
    struct meta first, second;
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    if (!meta_read(fd, 0, &first) || !meta_read(fd, first.page_size, &second))
        return false;
    if (first.page_size != second.page_size)
        return false;
    /* The one LMDB goes by. After a failed write the other may contradict itself. */
    const struct meta *newer = first.txn >= second.txn ? &first : &second;
    for (int i = 0; i < 2; i++)
        if (newer->roots[i] != UINT64_MAX && newer->roots[i] > newer->last_page)
            return false;
    return newer->last_page < (uint64_t)status.st_size / newer->page_size;
}

enum ca_err store_datafile_check(const char *path)
{
    char *name = NULL;
    enum ca_err err = CA_OK;

    if (asprintf(&name, "%s/data.mdb", path) < 0)
        return CA_ERR_NOMEM;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int number = errno;
    free(name);
    if (fd < 0)
        return number == ENOENT || number == ELOOP ? CA_ERR_STORAGE_CORRUPT
                                                   : store_file_path_error(number);
    if (!file_is_whole(fd))
        err = CA_ERR_STORAGE_CORRUPT;
    close(fd);
    return err;
}

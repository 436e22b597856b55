/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { ST_BLOCK_LEN = 512 }; /* st_blocks counts these */

enum ca_err store_file_error(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return CA_ERR_STORAGE_FULL;
    case EMFILE:
    case ENFILE:
    case ENOMEM: return CA_ERR_NOMEM;
    default: return CA_ERR_STORAGE;
    }
}

enum ca_err store_file_path_error(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR: return CA_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return CA_ERR_DENIED;
    default: return store_file_error(number);
    }
}

enum ca_err store_file_write(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t written = pwrite(fd, bytes, len, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written == 0 ? CA_ERR_STORAGE : store_file_error(errno);
        bytes += written;
        at += (uint64_t)written;
        len -= (size_t)written;
    }
    return CA_OK;
}

static enum ca_err allocate(int fd, int mode, uint64_t at, uint64_t len)
{
    while (fallocate(fd, mode, (off_t)at, (off_t)len) != 0) {
        if (errno == EINTR)
            continue;
        return errno == EOPNOTSUPP ? CA_OK : store_file_error(errno);
    }
    return CA_OK;
}

enum ca_err store_file_allocate(int fd, uint64_t at, uint64_t len)
{
    /* Asked first: a refused fallocate may have taken what little there was. */
    if (store_file_free(fd) < len)
        return CA_ERR_STORAGE_FULL;
    return allocate(fd, 0, at, len);
}

enum ca_err store_file_allocate_within(int fd, uint64_t len)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return CA_ERR_STORAGE;
    uint64_t has = (uint64_t)status.st_blocks * ST_BLOCK_LEN;
    if (has < len && store_file_free(fd) < len - has)
        return CA_ERR_STORAGE_FULL;
    return allocate(fd, FALLOC_FL_KEEP_SIZE, 0, len);
}

enum ca_err store_file_open_folder(const char *path, int *fd_out)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = strndup(slash == NULL ? "." : path, len);

    *fd_out = -1;
    if (folder == NULL)
        return CA_ERR_NOMEM;
    *fd_out = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ca_err err = *fd_out < 0 ? store_file_path_error(errno) : CA_OK;
    free(folder);
    return err;
}

const char *store_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

enum ca_err store_file_sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ca_err err = CA_OK;

    if (fd < 0)
        return store_file_error(errno);
    if (fsync(fd) != 0)
        err = store_file_error(errno);
    close(fd);
    return err;
}

uint64_t store_file_free(int fd)
{
    struct statvfs status;

    if (fstatvfs(fd, &status) != 0)
        return 0;
    return (uint64_t)status.f_bavail * status.f_frsize;
}

enum ca_err store_file_check_local(int fd)
{
    /* Not all of these have a name in linux/magic.h. */
    static const uint32_t network[] = {
        NFS_SUPER_MAGIC,        SMB_SUPER_MAGIC,     0xff534d42 /* CIFS */,
        0xfe534d42 /* SMB 2 */, AFS_SUPER_MAGIC,     CODA_SUPER_MAGIC,
        0x00c36400 /* Ceph */,  0x01021997 /* 9P */, 0x0bd00bd0 /* Lustre */,
        0x01161970 /* GFS2 */,
    };
    struct statfs status;

    if (fstatfs(fd, &status) != 0)
        return CA_ERR_STORAGE;
    for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
        if ((uint32_t)status.f_type == network[i])
            return CA_ERR_CONFIG;
    return CA_OK;
}

void store_file_remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
            unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
    rmdir(path);
}

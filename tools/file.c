/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ca_err read_all(int fd, size_t size_max, uint8_t **data_out, size_t *len_out)
{
    enum ca_err err = CA_ERR_NOMEM;
    size_t size = 4096, len = 0;
    uint8_t *data = malloc(size + 1);

    while (data != NULL) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        err = n < 0 ? CA_ERR_STORAGE : CA_OK;
        if (n <= 0)
            break;
        len += (size_t)n;
        err = CA_ERR_FIELD_LENGTH;
        if (len > size_max)
            break;
        if (len < size)
            continue;
        uint8_t *larger = realloc(data, 2 * size + 1);
        err = CA_ERR_NOMEM;
        if (larger == NULL)
            break;
        data = larger;
        size *= 2;
    }
    if (err != CA_OK) {
        if (err == CA_ERR_FIELD_LENGTH)
            errno = EFBIG;
        free(data);
        return err;
    }
    data[len] = '\0';
    *data_out = data;
    *len_out = len;
    return CA_OK;
}

enum ca_err file_load(const char *path, size_t size_max, uint8_t **data_out, size_t *len_out)
{
    struct stat st;

    *data_out = NULL;
    *len_out = 0;
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, size_max, data_out, len_out);

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? CA_ERR_NOT_FOUND : CA_ERR_STORAGE;
    enum ca_err err = CA_ERR_STORAGE;
    if (fstat(fd, &st) == 0) {
        if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))
            err = read_all(fd, size_max, data_out, len_out);
        else
            errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

static bool write_all(int fd, struct ca_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = ca_bytes_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return true;
}

/* The folder a path is in. */
static bool folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

    return (size_t)snprintf(folder, PATH_MAX, "%.*s", len == 0 ? 1 : (int)len,
                            len == 0 ? "." : path) < PATH_MAX;
}

enum ca_err file_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return CA_ERR_STORAGE;
    int rc = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc == 0 ? CA_OK : CA_ERR_STORAGE;
}

bool file_is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static enum ca_err write_into(const char *path, struct ca_bytes bytes)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return CA_ERR_STORAGE;
    bool is_written = write_all(fd, bytes);
    int saved = errno;
    if (close(fd) != 0 && is_written)
        return CA_ERR_STORAGE;
    errno = saved;
    return is_written ? CA_OK : CA_ERR_STORAGE;
}

enum ca_err file_save(const char *path, struct ca_bytes bytes, mode_t mode, bool replaces)
{
    char folder[PATH_MAX], beside[PATH_MAX];
    enum ca_err err = CA_ERR_STORAGE;

    if (replaces && file_is_special(path))
        return write_into(path, bytes);
    if (!folder_of(path, folder) ||
        (size_t)snprintf(beside, sizeof(beside), "%s.XXXXXX", path) >= sizeof(beside)) {
        errno = ENAMETOOLONG;
        return CA_ERR_STORAGE;
    }
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return CA_ERR_STORAGE;
    bool is_written = write_all(fd, bytes) && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    if (close(fd) != 0 || !is_written)
        goto out;
    /* link, unlike rename, refuses to take the place of another. */
    if ((replaces ? rename(beside, path) : link(beside, path)) != 0) {
        err = errno == EEXIST ? CA_ERR_EXISTS : CA_ERR_STORAGE;
        goto out;
    }
    err = file_sync_folder(folder);
out:
    if (err != CA_OK || !replaces) {
        int saved = errno;
        unlink(beside);
        errno = saved;
    }
    return err;
}

const char *file_err_text(enum ca_err err)
{
    return err == CA_ERR_NOT_FOUND ? "no such file"
           : err == CA_ERR_DENIED  ? "the file must be yours and closed to all others"
                                   : ca_err_text(err);
}

const char *file_store_err_text(enum ca_err err)
{
    switch (err) {
    case CA_ERR_NOT_FOUND: return "no such folder";
    case CA_ERR_DENIED: return "its files may not be written by this user, or on this file system";
    case CA_ERR_CONFIG: return "is on a network file system";
    default: return ca_err_text(err);
    }
}

static int drop_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    (void)!remove(path);
    return 0;
}

void file_drop_tree(const char *path)
{
    nftw(path, drop_entry, 16, FTW_DEPTH | FTW_PHYS);
}

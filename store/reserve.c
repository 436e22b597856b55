/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

enum {
    HEAD_ROOM = 32 * 1024, /* some 800 entries of a CRL */
    GROWTH_SHARE = 8,      /* of the length, on top */
    BLOCK_LEN = 512,       /* st_blocks counts these */
    EXTENT_SHARE = 128,    /* at most so much of a file's blocks are not its content's */
};

uint64_t store_reserve_size(uint64_t len)
{
    return len + len / GROWTH_SHARE + HEAD_ROOM;
}

char *store_reserve_name(const char *name)
{
    char *reserve;

    return asprintf(&reserve, ".%s.reserve", name) < 0 ? NULL : reserve;
}

/* Blocks for that many octets. Those that tell how the others lie count in st_blocks as well. */
static bool has_blocks(const struct stat *status, uint64_t len)
{
    return (uint64_t)status->st_blocks * BLOCK_LEN >= len + len / EXTENT_SHARE;
}

/* Not a link that somebody else reads by another name, and a file whose readers we may ask for. */
static bool is_ours(const struct stat *status)
{
    return S_ISREG(status->st_mode) && status->st_nlink == 1 && status->st_uid == geteuid();
}

static enum ca_err open_ours(int folder, const char *name, int *fd_out, struct stat *status_out)
{
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    *fd_out = -1;
    if (fd < 0)
        return store_file_path_error(errno);
    if (fstat(fd, status_out) != 0 || !is_ours(status_out)) {
        close(fd);
        return CA_ERR_DENIED;
    }
    *fd_out = fd;
    return CA_OK;
}

/*
 * Does anybody else have it open or mapped? Only then a lease is refused. It is given back at
 * once; who opens the file just then breaks it, for which there must be no deadly signal.
 */
static bool is_read(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
        return true;
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

enum ca_err store_reserve_open(int folder, const char *name, uint64_t len, int *fd_out)
{
    struct stat status;
    int fd;

    *fd_out = -1;
    if (open_ours(folder, name, &fd, &status) != CA_OK)
        return CA_ERR_STORAGE_FULL;
    if (is_read(fd) ||
        (!has_blocks(&status, len) && store_file_allocate_within(fd, len) != CA_OK)) {
        close(fd);
        return CA_ERR_STORAGE_FULL;
    }
    *fd_out = fd;
    return CA_OK;
}

/* What is there and cannot be used makes way: another's file, or one with a second name. */
static enum ca_err open_or_make(int folder, const char *name, int *fd_out, struct stat *status_out)
{
    enum ca_err err = open_ours(folder, name, fd_out, status_out);

    if (err != CA_ERR_NOT_FOUND && err != CA_ERR_DENIED)
        return err;
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        return store_file_path_error(errno);
    *fd_out = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (*fd_out < 0)
        return store_file_path_error(errno);
    return fstat(*fd_out, status_out) == 0 ? CA_OK : CA_ERR_STORAGE;
}

static enum ca_err keep(int folder, const char *name, uint64_t len, bool *has_room_out)
{
    const uint64_t size = store_reserve_size(len);
    struct stat status;
    int fd = -1;
    enum ca_err err = open_or_make(folder, name, &fd, &status);

    /* Half of the head-room may be used up before there is something to do, all before it fails. */
    if (err == CA_OK && !has_blocks(&status, len + (size - len) / 2) &&
        (err = store_file_allocate_within(fd, size)) == CA_ERR_STORAGE_FULL &&
        has_blocks(&status, len))
        err = CA_OK;
    *has_room_out = store_file_free(folder) >= size;
    if (fd >= 0)
        close(fd);
    return err;
}

enum ca_err store_reserve_keep(const char *path, uint64_t len, bool *has_room_out)
{
    char *name = store_reserve_name(store_file_name(path));
    enum ca_err err = CA_ERR_NOMEM;
    int folder = -1;

    *has_room_out = false;
    if (name != NULL && (err = store_file_open_folder(path, &folder)) == CA_OK)
        err = keep(folder, name, len, has_room_out);
    if (folder >= 0)
        close(folder);
    free(name);
    return err;
}

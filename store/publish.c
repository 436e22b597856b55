/* SPDX-License-Identifier: Apache-2.0 */
#include "store/publish.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/reserve.h"
#include "store/ring.h"

enum {
    BUFFER_COUNT = 4, /* the front, one being filled, two being written */
    NAME_TRIES = 16,
    PUSH_LEN = 4 * STORE_PUBLISH_BUFFER_LEN,
};

struct store_publish {
    char *path;
    char *temporary; /* NULL: without a name so far */
    char *reserve;   /* its name; NULL: there is none */
    bool is_reserve; /* the reserve is what is written into */
    int retired;     /* the reserve before; -1: none */
    int *retired_out;
    int folder;
    int fd;
    struct store_ring *ring; /* NULL: plain writes */
    uint8_t *memory;         /* BUFFER_COUNT buffers */
    size_t current;          /* the buffer being filled; 0 is the front, which stays */
    size_t used;             /* octets in it */
    size_t front_used;
    uint64_t at;        /* where in the file the current buffer begins */
    uint64_t pushed;    /* the disk was told to begin with what is before that */
    uint64_t allocated; /* the file may be this long already */
    enum ca_err failed; /* latched */
    struct ca_bytes mapped;
};

static uint8_t *buffer_of(const struct store_publish *publish, size_t i)
{
    return publish->memory + i * STORE_PUBLISH_BUFFER_LEN;
}

/* ---- names */

/* ".NAME.0123456789abcdef", 16 digits of randomness: hidden, and of nobody else. */
static enum ca_err make_name(const struct store_publish *publish, char **name_out)
{
    uint64_t random;

    *name_out = NULL;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return CA_ERR_RANDOM;
    if (asprintf(name_out, ".%s.%016llx", store_file_name(publish->path),
                 (unsigned long long)random) < 0) {
        *name_out = NULL;
        return CA_ERR_NOMEM;
    }
    return CA_OK;
}

static enum ca_err open_named(struct store_publish *publish, mode_t mode)
{
    enum ca_err err = CA_ERR_STORAGE;

    for (int i = 0; i < NAME_TRIES; i++) {
        char *name;
        if ((err = make_name(publish, &name)) != CA_OK)
            return err;
        publish->fd =
            openat(publish->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (publish->fd >= 0) {
            publish->temporary = name;
            return CA_OK;
        }
        int number = errno;
        free(name);
        if (number != EEXIST)
            return store_file_path_error(number);
    }
    return err;
}

static enum ca_err open_file(struct store_publish *publish,
                             const struct store_publish_options *options)
{
    mode_t mode = options->mode == 0 ? 0644 : options->mode;

    if (!options->is_named) {
        publish->fd = openat(publish->folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
        if (publish->fd >= 0)
            return CA_OK;
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
            return store_file_path_error(errno);
    }
    return open_named(publish, mode);
}

/* Gives a file without a name one that nothing has; errno. */
static int link_as(const struct store_publish *publish, const char *name)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", publish->fd);
    return linkat(AT_FDCWD, self, publish->folder, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/* A file without a name gets a temporary one first: a link replaces nothing, a rename does. */
static enum ca_err link_file(struct store_publish *publish)
{
    enum ca_err err = CA_ERR_STORAGE;

    for (int i = 0; i < NAME_TRIES; i++) {
        char *name;
        if ((err = make_name(publish, &name)) != CA_OK)
            return err;
        int number = link_as(publish, name);
        if (number == 0) {
            publish->temporary = name;
            return CA_OK;
        }
        free(name);
        if (number != EEXIST)
            return number == ENOENT ? CA_ERR_STORAGE : store_file_path_error(number); /* no /proc */
    }
    return err;
}

/* ---- writing */

static enum ca_err fail(struct store_publish *publish, enum ca_err err)
{
    if (publish->failed == CA_OK)
        publish->failed = err;
    return publish->failed;
}

static enum ca_err write_buffer(struct store_publish *publish, size_t buffer, size_t len,
                                uint64_t at)
{
    if (publish->ring == NULL)
        return store_file_write(publish->fd, buffer_of(publish, buffer), len, at);

    int number = store_ring_write(publish->ring, buffer, len, at);
    return number == 0 ? CA_OK : store_file_path_error(number);
}

/* Nothing in flight any more. */
static enum ca_err settle(struct store_publish *publish)
{
    if (publish->ring == NULL)
        return CA_OK;

    int number = store_ring_settle(publish->ring);
    return number == 0 ? CA_OK : store_file_path_error(number);
}

/* A buffer other than the front that nobody writes from. */
static enum ca_err next_buffer(struct store_publish *publish, size_t *buffer_out)
{
    if (publish->ring == NULL) {
        *buffer_out = 1;
        return CA_OK;
    }
    int number = store_ring_wait_buffer(publish->ring, 1, buffer_out);
    return number == 0 ? CA_OK : store_file_path_error(number);
}

/* The disk begins with what is surely written while the rest is made: then the sync at the end
 * waits for little. */
static void push(struct store_publish *publish)
{
    const uint64_t in_flight = (uint64_t)BUFFER_COUNT * STORE_PUBLISH_BUFFER_LEN;

    if (publish->at < publish->pushed + in_flight + PUSH_LEN)
        return;
    uint64_t until = publish->at - in_flight;
    (void)sync_file_range(publish->fd, (off_t)publish->pushed, (off_t)(until - publish->pushed),
                          SYNC_FILE_RANGE_WRITE);
    publish->pushed = until;
}

/* The current buffer is full: send it off (the front stays) and take another. */
static enum ca_err turn(struct store_publish *publish)
{
    enum ca_err err = CA_OK;

    if (publish->current == 0)
        publish->front_used = publish->used;
    else
        err = write_buffer(publish, publish->current, publish->used, publish->at);
    publish->at += publish->used;
    publish->used = 0;
    push(publish);
    return err != CA_OK ? err : next_buffer(publish, &publish->current);
}

static void unmap(struct store_publish *publish)
{
    if (publish->mapped.data != NULL)
        munmap((void *)(uintptr_t)publish->mapped.data, publish->mapped.len);
    publish->mapped = (struct ca_bytes){ 0 };
}

/* ---- the life of one */

/* The head-room of a file that is going to be a reserve stays with it, as blocks behind its end. */
static enum ca_err allocate(struct store_publish *publish, uint64_t len)
{
    if (len == 0)
        return CA_OK;
    if (publish->reserve == NULL) {
        publish->allocated = len;
        return store_file_allocate(publish->fd, 0, len);
    }
    if (store_file_allocate_within(publish->fd, store_reserve_size(len)) == CA_OK)
        return CA_OK;
    return store_file_allocate_within(publish->fd, len);
}

static void drop_file(struct store_publish *publish)
{
    if (publish->temporary != NULL)
        (void)unlinkat(publish->folder, publish->temporary, 0);
    if (publish->fd >= 0)
        close(publish->fd);
    free(publish->temporary);
    publish->temporary = NULL;
    publish->fd = -1;
}

static enum ca_err open_reserve(struct store_publish *publish, uint64_t len)
{
    enum ca_err err = store_reserve_open(publish->folder, publish->reserve, len, &publish->fd);
    struct stat status;

    if (err != CA_OK)
        return err;
    if (fstat(publish->fd, &status) != 0)
        return CA_ERR_STORAGE;
    publish->allocated = (uint64_t)status.st_size; /* what it is as the version before */
    publish->is_reserve = true;
    return CA_OK;
}

static enum ca_err open_room(struct store_publish *publish,
                             const struct store_publish_options *options)
{
    enum ca_err err = open_file(publish, options);

    if (err == CA_OK)
        err = allocate(publish, options->len);
    if (err != CA_ERR_STORAGE_FULL || publish->reserve == NULL)
        return err;
    drop_file(publish);
    return open_reserve(publish, options->len);
}

static enum ca_err begin(struct store_publish *publish, const char *path,
                         const struct store_publish_options *options)
{
    enum ca_err err;
    size_t size = (size_t)BUFFER_COUNT * STORE_PUBLISH_BUFFER_LEN;

    if (store_file_name(path)[0] == '\0')
        return CA_ERR_NOT_FOUND;
    if ((publish->path = strdup(path)) == NULL)
        return CA_ERR_NOMEM;
    if (options->has_reserve &&
        (publish->reserve = store_reserve_name(store_file_name(path))) == NULL)
        return CA_ERR_NOMEM;
    publish->retired_out = options->retired_out;
    publish->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (publish->memory == MAP_FAILED) {
        publish->memory = NULL;
        return CA_ERR_NOMEM;
    }
    if ((err = store_file_open_folder(path, &publish->folder)) != CA_OK ||
        (err = open_room(publish, options)) != CA_OK)
        return err;
    if (!options->is_plain)
        publish->ring =
            store_ring_open(publish->fd, publish->memory, BUFFER_COUNT, STORE_PUBLISH_BUFFER_LEN);
    return CA_OK;
}

enum ca_err store_publish_begin(const char *path, const struct store_publish_options *options,
                                struct store_publish **publish_out)
{
    struct store_publish *publish = calloc(1, sizeof(*publish));

    *publish_out = NULL;
    if (options->retired_out != NULL)
        *options->retired_out = -1;
    if (publish == NULL)
        return CA_ERR_NOMEM;
    publish->folder = publish->fd = publish->retired = -1;
    enum ca_err err = begin(publish, path, options);
    if (err != CA_OK) {
        store_publish_abort(publish);
        return err;
    }
    *publish_out = publish;
    return CA_OK;
}

bool store_publish_is_ring(const struct store_publish *publish)
{
    return publish->ring != NULL;
}

bool store_publish_is_reserve(const struct store_publish *publish)
{
    return publish->is_reserve;
}

uint64_t store_publish_len(const struct store_publish *publish)
{
    return publish->at + publish->used;
}

enum ca_err store_publish_append(struct store_publish *publish, struct ca_bytes bytes)
{
    unmap(publish);
    while (bytes.len > 0 && publish->failed == CA_OK) {
        if (publish->used == STORE_PUBLISH_BUFFER_LEN) {
            enum ca_err err = turn(publish);
            if (err != CA_OK)
                return fail(publish, err);
        }
        size_t room = STORE_PUBLISH_BUFFER_LEN - publish->used;
        size_t len = bytes.len < room ? bytes.len : room;
        memcpy(buffer_of(publish, publish->current) + publish->used, bytes.data, len);
        publish->used += len;
        bytes = ca_bytes_of(bytes.data + len, bytes.len - len);
    }
    return publish->failed;
}

void store_publish_patch(struct store_publish *publish, uint64_t at, struct ca_bytes bytes)
{
    size_t used = publish->current == 0 ? publish->used : publish->front_used;

    unmap(publish);
    assert(at <= used && bytes.len <= used - at);
    memcpy(buffer_of(publish, 0) + at, bytes.data, bytes.len);
}

enum ca_err store_publish_restart(struct store_publish *publish)
{
    enum ca_err err = publish->failed;

    unmap(publish);
    if (err == CA_OK && (err = settle(publish)) != CA_OK)
        return fail(publish, err);
    if (publish->allocated < store_publish_len(publish))
        publish->allocated = store_publish_len(publish);
    publish->current = 0;
    publish->used = publish->front_used = 0;
    publish->at = publish->pushed = 0;
    return err;
}

/*
 * To its length. Of a reserve that also takes the room behind it, of which we take again at once
 * what nobody else has taken meanwhile: this list is safe already, the next may grow the less.
 */
static enum ca_err shorten(struct store_publish *publish)
{
    uint64_t len = store_publish_len(publish);
    enum ca_err err = CA_ERR_STORAGE_FULL;

    if (publish->allocated <= len)
        return CA_OK;
    if (ftruncate(publish->fd, (off_t)len) != 0)
        return store_file_path_error(errno);
    publish->allocated = len;
    if (!publish->is_reserve)
        return CA_OK;
    for (uint64_t more = store_reserve_size(len) - len; more > 0 && err == CA_ERR_STORAGE_FULL;
         more /= 2)
        err = store_file_allocate_within(publish->fd, len + more);
    return err == CA_ERR_STORAGE_FULL ? CA_OK : err;
}

/* The front and what is in the current buffer. If the whole is to be synced it gets its length, and
 * the last write is linked to the sync. */
static enum ca_err write_rest(struct store_publish *publish, bool is_synced)
{
    size_t front_used = publish->current == 0 ? publish->used : publish->front_used;
    enum ca_err err = CA_OK;

    if (publish->current != 0)
        err = write_buffer(publish, publish->current, publish->used, publish->at);
    if (err == CA_OK)
        err = settle(publish);
    if (err == CA_OK && is_synced)
        err = shorten(publish);
    if (err != CA_OK)
        return err;
    if (publish->ring != NULL && is_synced) {
        int number = store_ring_write_synced(publish->ring, 0, front_used, 0);
        return number == 0 ? CA_OK : store_file_path_error(number);
    }
    if ((err = write_buffer(publish, 0, front_used, 0)) != CA_OK ||
        (err = settle(publish)) != CA_OK)
        return err;
    if (is_synced && fsync(publish->fd) != 0)
        return store_file_path_error(errno);
    return CA_OK;
}

enum ca_err store_publish_map(struct store_publish *publish, struct ca_bytes *bytes_out)
{
    uint64_t len = store_publish_len(publish);
    enum ca_err err = publish->failed;

    *bytes_out = (struct ca_bytes){ 0 };
    unmap(publish);
    if (err != CA_OK || len == 0)
        return err;
    if ((err = write_rest(publish, false)) != CA_OK)
        return fail(publish, err);
    void *memory = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, publish->fd, 0);
    if (memory == MAP_FAILED)
        return CA_ERR_NOMEM;
    (void)madvise(memory, (size_t)len, MADV_SEQUENTIAL);
    publish->mapped = ca_bytes_of(memory, (size_t)len);
    *bytes_out = publish->mapped;
    return CA_OK;
}

static enum ca_err rename_file(const struct store_publish *publish, const char *from,
                               const char *to)
{
    return renameat(publish->folder, from, publish->folder, to) == 0 ? CA_OK
                                                                     : store_file_path_error(errno);
}

/* The file has the reserve's name, which is no other's; what had it before is let go. */
static enum ca_err name_as_reserve(struct store_publish *publish)
{
    enum ca_err err = CA_OK;

    if (publish->is_reserve)
        return CA_OK;
    publish->retired = openat(publish->folder, publish->reserve, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (publish->temporary != NULL) {
        if ((err = rename_file(publish, publish->temporary, publish->reserve)) != CA_OK)
            return err;
        free(publish->temporary);
        publish->temporary = NULL;
        return CA_OK;
    }
    if (unlinkat(publish->folder, publish->reserve, 0) != 0 && errno != ENOENT)
        return store_file_path_error(errno);
    int number = link_as(publish, publish->reserve);
    return number == 0 ? CA_OK : number == ENOENT ? CA_ERR_STORAGE : store_file_path_error(number);
}

/* The two change names, so that what was there is the reserve. For a first file, or where the file
 * system cannot do that, the name of the reserve just goes away. */
static enum ca_err name_with_reserve(struct store_publish *publish)
{
    const char *name = store_file_name(publish->path);
    struct stat status;
    enum ca_err err = name_as_reserve(publish);

    if (err != CA_OK)
        return err;
    if (fstatat(publish->folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode) &&
        renameat2(publish->folder, publish->reserve, publish->folder, name, RENAME_EXCHANGE) == 0)
        return CA_OK;
    return rename_file(publish, publish->reserve, name);
}

static enum ca_err name_alone(struct store_publish *publish)
{
    enum ca_err err;

    if (publish->temporary == NULL && (err = link_file(publish)) != CA_OK)
        return err;
    err = rename_file(publish, publish->temporary, store_file_name(publish->path));
    if (err != CA_OK)
        return err;
    free(publish->temporary);
    publish->temporary = NULL;
    return CA_OK;
}

static enum ca_err name_file(struct store_publish *publish)
{
    enum ca_err err = publish->reserve == NULL ? name_alone(publish) : name_with_reserve(publish);

    if (err != CA_OK)
        return err;
    if (publish->retired_out != NULL) {
        *publish->retired_out = publish->retired;
        publish->retired = -1;
    }
    return fsync(publish->folder) == 0 ? CA_OK : CA_ERR_STORAGE;
}

enum ca_err store_publish_commit(struct store_publish *publish)
{
    bool is_written = publish->mapped.data != NULL; /* and nothing was changed since */
    enum ca_err err = publish->failed;

    unmap(publish);
    if (err == CA_OK && !is_written)
        err = write_rest(publish, true);
    else if (err == CA_OK && (err = shorten(publish)) == CA_OK && fsync(publish->fd) != 0)
        err = store_file_path_error(errno);
    if (err == CA_OK)
        err = name_file(publish);
    store_publish_abort(publish);
    return err;
}

void store_publish_abort(struct store_publish *publish)
{
    if (publish == NULL)
        return;
    unmap(publish);
    store_ring_close(publish->ring); /* waits for what is in flight: the buffers go next */
    if (publish->memory != NULL)
        munmap(publish->memory, (size_t)BUFFER_COUNT * STORE_PUBLISH_BUFFER_LEN);
    drop_file(publish);
    if (publish->retired >= 0)
        close(publish->retired);
    if (publish->folder >= 0)
        close(publish->folder);
    free(publish->reserve);
    free(publish->path);
    free(publish);
}

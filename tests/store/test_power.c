/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left when the power goes: every write, sync, rename and unlink of a store is recorded,
 * then for one moment after another the directory is made as a disk may have it. What was synced is
 * there. What was not is there, missing, or torn; names come and go in order. Nothing that was
 * acknowledged may be lost, whichever way it falls.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/support/setting.h"
#include "tests/support/store.h"

enum {
    FILES_MAX = 512,
    OPS_MAX = 1 << 16,
    BATCHES = 120,
    BATCH_ITEMS_MAX = 24,
    NAME_LEN = 64,
    CUTS_DEFAULT = 200, /* CERTMILL_POWER_CUTS asks for more */
    NO_FILE = -1,
};

enum op_kind {
    OP_WRITE,
    OP_GROW, /* fallocate */
    OP_SYNC, /* of a file */
    OP_SYNC_NAMES,
    OP_CREATE,
    OP_RENAME,
    OP_UNLINK,
    OP_ACKNOWLEDGED,
};

struct op {
    enum op_kind kind;
    int file;
    bool is_durable; /* written through O_DSYNC */
    uint64_t at, len;
    uint8_t *bytes;
    char from[NAME_LEN], to[NAME_LEN];
    uint64_t certificates; /* acknowledged, all numbers below */
};

static struct {
    pthread_mutex_t lock;
    bool is_on;
    struct op ops[OPS_MAX];
    size_t count;
    ino_t inodes[FILES_MAX];
    int file_count;
} record = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- recording: the calls that change files, as liblmdb and the store make them */

/* Below the store's directory; false for files that are elsewhere. */
static bool name_of_fd(int fd, char name[NAME_LEN])
{
    char link[64], path[512];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    size_t root = strlen(test_path);
    if (len < 0 || (size_t)len < root || strncmp(path, test_path, root) != 0)
        return false;
    path[len] = '\0';
    snprintf(name, NAME_LEN, "%.60s", path[root] == '/' ? path + root + 1 : "");
    return true;
}

static void name_below(int dir_fd, const char *name, char out[NAME_LEN])
{
    char dir[NAME_LEN];

    cr_assert(name_of_fd(dir_fd, dir));
    snprintf(out, NAME_LEN, "%.30s%s%.30s", dir, dir[0] == '\0' ? "" : "/", name);
}

static struct op *op_add(enum op_kind kind, int file)
{
    cr_assert_lt(record.count, OPS_MAX);
    struct op *op = &record.ops[record.count++];
    *op = (struct op){ .kind = kind, .file = file };
    return op;
}

/* A file that was not seen before has just been made. */
static int file_of_fd(int fd)
{
    struct stat status;
    char name[NAME_LEN];

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || !name_of_fd(fd, name))
        return NO_FILE;
    for (int i = 0; i < record.file_count; i++)
        if (record.inodes[i] == status.st_ino)
            return i;
    cr_assert_lt(record.file_count, FILES_MAX);
    record.inodes[record.file_count] = status.st_ino;
    struct op *op = op_add(OP_CREATE, record.file_count++);
    memcpy(op->to, name, NAME_LEN);
    return op->file;
}

static bool record_begin(void)
{
    pthread_mutex_lock(&record.lock);
    return record.is_on;
}

static void record_end(void)
{
    pthread_mutex_unlock(&record.lock);
}

static void record_write(int fd, const void *bytes, size_t len, off_t at)
{
    int file = record_begin() ? file_of_fd(fd) : NO_FILE;

    if (file != NO_FILE) {
        struct op *op = op_add(OP_WRITE, file);
        op->is_durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
        op->at = (uint64_t)at;
        op->len = len;
        op->bytes = malloc(len);
        memcpy(op->bytes, bytes, len);
    }
    record_end();
}

static void record_sync(int fd)
{
    struct stat status;
    char name[NAME_LEN];

    if (record_begin() && fstat(fd, &status) == 0 && name_of_fd(fd, name))
        op_add(S_ISDIR(status.st_mode) ? OP_SYNC_NAMES : OP_SYNC,
               S_ISDIR(status.st_mode) ? NO_FILE : file_of_fd(fd));
    record_end();
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, len, at);

    if (written > 0)
        record_write(fd, bytes, (size_t)written, at);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t written = syscall(SYS_writev, fd, parts, count), left = written;

    for (int i = 0; i < count && left > 0; i++) {
        size_t len = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left;
        record_write(fd, parts[i].iov_base, len, at);
        at += (off_t)len;
        left -= (ssize_t)len;
    }
    return written;
}

int fdatasync(int fd)
{
    int rc = (int)syscall(SYS_fdatasync, fd);

    record_sync(fd);
    return rc;
}

int fsync(int fd)
{
    int rc = (int)syscall(SYS_fsync, fd);

    record_sync(fd);
    return rc;
}

/* Its number may soon be that of another file, whose beginning would not be seen. */
static void file_forget(ino_t inode)
{
    for (int i = 0; i < record.file_count; i++)
        if (record.inodes[i] == inode)
            record.inodes[i] = 0;
}

/* Of the file that has this name; 0: none has. */
static ino_t inode_of(int dir_fd, const char *name)
{
    struct stat status;

    return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    bool is_on = record_begin();
    ino_t replaced = inode_of(to_fd, to);
    int rc = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);

    if (is_on && rc == 0) {
        struct op *op = op_add(OP_RENAME, NO_FILE);
        name_below(from_fd, from, op->from);
        name_below(to_fd, to, op->to);
        file_forget(replaced);
    }
    record_end();
    return rc;
}

int unlinkat(int fd, const char *path, int flags)
{
    bool is_on = record_begin();
    ino_t dropped = inode_of(fd, path);
    int rc = (int)syscall(SYS_unlinkat, fd, path, flags);

    if (is_on && rc == 0) {
        name_below(fd, path, op_add(OP_UNLINK, NO_FILE)->from);
        file_forget(dropped);
    }
    record_end();
    return rc;
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    int rc = (int)syscall(SYS_fallocate, fd, mode, at, len);
    int file = record_begin() && rc == 0 ? file_of_fd(fd) : NO_FILE;

    if (file != NO_FILE)
        op_add(OP_GROW, file)->len = (uint64_t)(at + len);
    record_end();
    return rc;
}

/* ---- the disk after a cut */

struct image {
    uint8_t *bytes;
    uint64_t len, room;
    size_t synced; /* writes before this one are there */
};

static struct image images[FILES_MAX];

static void image_grow(struct image *image, uint64_t len)
{
    if (len > image->room) {
        image->bytes = realloc(image->bytes, 2 * len);
        memset(image->bytes + image->room, 0, 2 * len - image->room);
        image->room = 2 * len;
    }
    if (len > image->len)
        image->len = len;
}

static void image_write(struct image *image, const struct op *op, uint64_t from, uint64_t len)
{
    image_grow(image, op->at + from + len);
    memcpy(image->bytes + op->at + from, op->bytes + from, len);
}

/* Each unit of a write that was not synced is there or not. */
static void image_write_torn(struct image *image, const struct op *op, uint64_t *seed)
{
    uint64_t unit = test_random(seed) % 2 == 0 ? 4096 : 512;

    for (uint64_t from = 0; from < op->len;) {
        uint64_t len = unit - (op->at + from) % unit;
        len = len < op->len - from ? len : op->len - from;
        if (test_random(seed) % 2 == 0)
            image_write(image, op, from, len);
        from += len;
    }
}

/* The last operation is in flight: nothing of it is sure. */
static void images_make(size_t count, uint64_t *seed)
{
    for (int i = 0; i < record.file_count; i++) {
        images[i].len = images[i].synced = 0;
        if (images[i].room > 0)
            memset(images[i].bytes, 0, images[i].room);
    }
    for (size_t i = 0; i + 1 < count; i++)
        if (record.ops[i].kind == OP_SYNC)
            images[record.ops[i].file].synced = i;
    for (size_t i = 0; i < count; i++) {
        const struct op *op = &record.ops[i];
        if (op->kind != OP_WRITE && op->kind != OP_GROW)
            continue;
        struct image *image = &images[op->file];
        bool is_there = i < image->synced || (op->is_durable && i + 1 < count);
        uint64_t fall = test_random(seed) % 3;
        if (op->kind == OP_GROW && (is_there || fall != 0))
            image_grow(image, op->len);
        else if (op->kind == OP_WRITE && (is_there || fall == 1))
            image_write(image, op, 0, op->len);
        else if (op->kind == OP_WRITE && fall == 2)
            image_write_torn(image, op, seed);
    }
}

struct names {
    char names[FILES_MAX][NAME_LEN]; /* of file i; empty: it has none */
};

static void names_apply(struct names *names, const struct op *op)
{
    if (op->kind == OP_CREATE) {
        memcpy(names->names[op->file], op->to, NAME_LEN);
        return;
    }
    if (op->kind != OP_RENAME && op->kind != OP_UNLINK)
        return;
    for (int i = 0; i < record.file_count; i++) {
        if (strcmp(names->names[i], op->kind == OP_RENAME ? op->to : op->from) == 0)
            names->names[i][0] = '\0';
        else if (op->kind == OP_RENAME && strcmp(names->names[i], op->from) == 0)
            memcpy(names->names[i], op->to, NAME_LEN);
    }
}

/* Names change in order; those not synced up to some moment only. */
static void names_make(struct names *names, size_t count, uint64_t *seed)
{
    size_t synced = 0;

    memset(names, 0, sizeof(*names));
    for (size_t i = 0; i + 1 < count; i++)
        if (record.ops[i].kind == OP_SYNC_NAMES)
            synced = i;
    size_t until = synced + test_random(seed) % (count - synced + 1);
    for (size_t i = 0; i < until; i++)
        names_apply(names, &record.ops[i]);
}

static void put_file(const char *dir, const char *name, const struct image *image)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(image->bytes, 1, image->len, file), image->len);
    cr_assert_eq(fclose(file), 0);
}

static void disk_make(const char *dir, size_t count, uint64_t *seed)
{
    static struct names names;
    char path[256];

    images_make(count, seed);
    names_make(&names, count, seed);
    cr_assert_eq(mkdir(dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/runs", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < record.file_count; i++)
        if (names.names[i][0] != '\0')
            put_file(dir, names.names[i], &images[i]);
}

/* ---- */

static const struct store_options small = {
    .map_size = (size_t)1 << 30,
    .grow_size = (size_t)256 << 10,
    .reserve_size = (size_t)256 << 10,
    .run_entries = 40,
};

TestSuite(power, .init = test_dir_make, .fini = test_dir_remove, .timeout = 1200);

/* The file as it was created is there from the start: its creation is test_crash's. */
static void record_existing(const char *name)
{
    char path[256];
    static uint8_t bytes[1 << 20];

    snprintf(path, sizeof(path), "%s/%s", test_path, name);
    int fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    cr_assert(len > 0 && len < (ssize_t)sizeof(bytes));
    record.is_on = true;
    record_write(fd, bytes, (size_t)len, 0);
    record_sync(fd);
    op_add(OP_SYNC_NAMES, NO_FILE);
    close(fd);
}

static void record_batches(uint64_t seed)
{
    struct store_batch *batch;
    struct store *store;
    uint64_t from = 1, until = 1;

    check_ok(store_create(test_path, TEST_INSTANCE));
    record_existing("data.mdb");
    check_ok(store_open(test_path, &small, &store));
    for (int i = 0; i < BATCHES; i++) {
        uint64_t size = 1 + test_random(&seed) % BATCH_ITEMS_MAX;
        check_ok(store_begin(store, &batch));
        for (uint64_t n = from; n < until; n++)
            check_ok(test_put_certificate(batch, n));
        for (uint64_t n = until; n < until + size; n++)
            check_ok(test_put_intent(batch, n));
        check_ok(store_commit(batch));
        record_begin();
        op_add(OP_ACKNOWLEDGED, NO_FILE)->certificates = until;
        record_end();
        from = until;
        until += size;
        store_smooth(store);
    }
    store_close(store);
    record.is_on = false;
}

static void check_disk(const char *dir, uint64_t acknowledged, uint64_t *seed)
{
    struct store_info info;
    struct store_view *view;
    struct store *store;

    check_ok(store_open(dir, &small, &store));
    store_info(store, &info);
    cr_assert_geq(info.certificate_count + 1, acknowledged);
    check_ok(store_view_open(store, &view));
    for (uint64_t n = acknowledged > 30 ? acknowledged - 30 : 1; n < acknowledged; n++)
        test_check_found(view, n);
    for (int i = 0; i < 10 && acknowledged > 1; i++)
        test_check_found(view, 1 + test_random(seed) % (acknowledged - 1));
    store_view_close(view);
    test_check_whole(store);
    store_close(store);
}

Test(power, whatever_of_the_unsynced_is_lost_nothing_acknowledged_is)
{
    uint64_t cuts = setting_number("CERTMILL_POWER_CUTS", CUTS_DEFAULT);
    uint64_t first_seed = setting_number("CERTMILL_POWER_SEED", (uint64_t)getpid() * 2654435761u);
    char dir[128];

    record_batches(first_seed);
    printf("power: CERTMILL_POWER_SEED=%llu, %zu operations, %d files, %llu cuts\n",
           (unsigned long long)first_seed, record.count, record.file_count,
           (unsigned long long)cuts);
    cr_assert(record.file_count > 3, "no run was ever written");
    snprintf(dir, sizeof(dir), "%s/cut", test_dir);
    for (uint64_t cut = 0; cut < cuts; cut++) {
        uint64_t seed = first_seed + cut, acknowledged = 1;
        size_t count = 4 + test_random(&seed) % (record.count - 3);
        for (size_t i = 0; i < count; i++)
            if (record.ops[i].kind == OP_ACKNOWLEDGED)
                acknowledged = record.ops[i].certificates;
        disk_make(dir, count, &seed);
        check_disk(dir, acknowledged, &seed);
        folder_drop(dir);
    }
}

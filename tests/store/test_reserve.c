/* SPDX-License-Identifier: Apache-2.0 */
/* Room for the next version of a file: on a full disk, beside readers, and killed at each step. */
#include "store/reserve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/publish.h"
#include "tests/support/check.h"

enum { KIB = 1024, MIB = 1 << 20, VERSION_SIZE_MAX = 4 * MIB };

static char dir[64], path[96], reserve_path[96];
static uint8_t *read_back;

/* ---- a disk that is full when told, and a process that ends at the call chosen */

static bool is_full;  /* blocks that a file does not have are not to be had */
static int kill_call; /* which of the calls below ends the process; 0: none */

static void step(void)
{
    if (kill_call > 0 && --kill_call == 0)
        raise(SIGKILL);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    struct stat status;

    step();
    if (is_full && (fstat(fd, &status) != 0 || (off_t)status.st_blocks * 512 < at + len)) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fstatvfs(int fd, struct statvfs *status)
{
    (void)fd;
    *status = (struct statvfs){ .f_frsize = 4096, .f_bavail = is_full ? 0 : 1 << 20 };
    return 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    step();
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

int ftruncate(int fd, off_t len)
{
    step();
    return (int)syscall(SYS_ftruncate, fd, len);
}

int fsync(int fd)
{
    step();
    return (int)syscall(SYS_fsync, fd);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    step();
    return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int unlinkat(int fd, const char *name, int flags)
{
    step();
    return (int)syscall(SYS_unlinkat, fd, name, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
    step();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

/* ---- */

static void make_dir(void)
{
    is_full = false;
    kill_call = 0;
    snprintf(dir, sizeof(dir), "/tmp/certmill-reserve-%ld", (long)getpid());
    cr_assert(mkdir(dir, 0700) == 0);
    snprintf(path, sizeof(path), "%s/file", dir);
    snprintf(reserve_path, sizeof(reserve_path), "%s/.file.reserve", dir);
    read_back = malloc(VERSION_SIZE_MAX + 1);
}

static void drop_dir(void)
{
    unlink(path);
    unlink(reserve_path);
    (void)umount2(dir, MNT_DETACH);
    cr_assert(rmdir(dir) == 0, "something was left in %s", dir);
    free(read_back);
}

TestSuite(reserve, .init = make_dir, .fini = drop_dir, .timeout = 120);
TestSuite(privileged, .init = make_dir, .fini = drop_dir, .timeout = 120);

static const struct store_publish_options usual = { .has_reserve = true };

/* Octet i of version n. */
static uint8_t octet(unsigned n, size_t i)
{
    return (uint8_t)(n * 41 + i * 7 + i / 4099);
}

static enum ca_err publish(const struct store_publish_options *options, unsigned n, size_t len,
                           bool *is_reserve_out)
{
    struct store_publish_options sized = *options;
    struct store_publish *file;
    uint8_t piece[4096];

    sized.len = len + 100;
    enum ca_err err = store_publish_begin(path, &sized, &file);
    if (err != CA_OK)
        return err;
    if (is_reserve_out != NULL)
        *is_reserve_out = store_publish_is_reserve(file);
    for (size_t at = 0; at < len && err == CA_OK;) {
        size_t count = 0;
        for (; count < sizeof(piece) && at < len; at++)
            piece[count++] = octet(n, at);
        err = store_publish_append(file, ca_bytes_of(piece, count));
    }
    if (err == CA_OK)
        return store_publish_commit(file);
    store_publish_abort(file);
    return err;
}

static bool is_version(const char *of, unsigned n, size_t len)
{
    int fd = open(of, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : pread(fd, read_back, VERSION_SIZE_MAX + 1, 0);
    bool is_same = got == (ssize_t)len;

    close(fd);
    for (size_t i = 0; i < len && is_same; i++)
        is_same = read_back[i] == octet(n, i);
    return is_same;
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *folder = opendir(dir);

    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return count;
}

static struct stat status_of(const char *of)
{
    struct stat status;

    cr_assert(stat(of, &status) == 0, "%s: %s", of, strerror(errno));
    return status;
}

static uint64_t room_of(const char *of)
{
    return (uint64_t)status_of(of).st_blocks * 512;
}

static void keep(size_t len)
{
    bool has_room;

    check_ok(store_reserve_keep(path, len, &has_room));
    cr_assert(has_room != is_full);
}

/* The ways a file may come to be. */
/* clang-format off */
static const struct store_publish_options ways[] = {
    { .has_reserve = true },
    { .has_reserve = true, .is_plain = true },
    { .has_reserve = true, .is_named = true },
};
/* clang-format on */
enum { WAY_COUNT = sizeof(ways) / sizeof(ways[0]) };

Test(reserve, room_is_taken_from_the_disk_and_grows_with_the_file)
{
    keep(100);
    cr_assert(room_of(reserve_path) >= store_reserve_size(100));
    cr_assert(status_of(reserve_path).st_size == 0);
    uint64_t inode = status_of(reserve_path).st_ino;
    keep(100 + 8 * KIB);
    cr_assert(room_of(reserve_path) < store_reserve_size(100 + 8 * KIB), "a little is not asked");
    keep(2 * MIB);
    cr_assert(room_of(reserve_path) >= store_reserve_size(2 * MIB));
    cr_assert(status_of(reserve_path).st_ino == inode && count_files() == 1);
}

Test(reserve, a_first_version_is_published_and_leaves_no_reserve)
{
    bool is_reserve;

    check_ok(publish(&usual, 1, 3000, &is_reserve));
    cr_assert(!is_reserve && is_version(path, 1, 3000) && count_files() == 1);
}

Test(reserve, while_there_is_room_the_version_before_becomes_the_reserve)
{
    for (size_t w = 0; w < WAY_COUNT; w++) {
        check_ok(publish(&ways[w], 1, 3000, NULL));
        for (unsigned n = 2; n < 6; n++) {
            bool is_reserve;
            uint64_t inode = status_of(path).st_ino;
            keep(3000);
            check_ok(publish(&ways[w], n, 3000 + n, &is_reserve));
            cr_assert(!is_reserve && is_version(path, n, 3000 + n) && count_files() == 2);
            cr_assert(status_of(reserve_path).st_ino == inode);
            cr_assert(room_of(path) >= store_reserve_size(3000 + n), "its head-room stays with it");
        }
    }
}

/* Each version some entries longer than the one before; far more than once round. */
Test(reserve, on_a_full_disk_versions_go_on_one_after_the_other)
{
    static const size_t lengths[] = { 500, 100000, MIB + 5, 3 * MIB };

    for (size_t w = 0; w < WAY_COUNT; w++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            size_t len = lengths[i];
            is_full = false;
            (void)unlink(path); /* what gets shorter is another test */
            (void)unlink(reserve_path);
            check_ok(publish(&ways[w], 1, len, NULL));
            keep(len);
            is_full = true;
            for (unsigned n = 2; n < 20; n++) {
                bool is_reserve;
                len += 400;
                check_ok(publish(&ways[w], n, len, &is_reserve));
                cr_assert(is_reserve && is_version(path, n, len) && count_files() == 2);
                keep(len);
            }
        }
    }
}

Test(reserve, versions_that_get_shorter_keep_their_room)
{
    check_ok(publish(&usual, 1, 300000, NULL));
    check_ok(publish(&usual, 2, 300000, NULL));
    keep(300000);
    is_full = true;
    for (unsigned n = 3; n < 8; n++) {
        size_t len = 300000 - n * 20000;
        check_ok(publish(&usual, n, len, NULL));
        cr_assert(is_version(path, n, len));
    }
}

Test(reserve, what_does_not_fit_is_refused_and_the_version_before_stays)
{
    bool has_room;

    check_ok(publish(&usual, 1, 5000, NULL));
    is_full = true;
    check_err(publish(&usual, 2, 5000, NULL), CA_ERR_STORAGE_FULL);
    check_err(store_reserve_keep(path, 5000, &has_room), CA_ERR_STORAGE_FULL);
    cr_assert(!has_room && is_version(path, 1, 5000));
    is_full = false;
    keep(5000);
    is_full = true;
    check_err(publish(&usual, 3, 200000, NULL), CA_ERR_STORAGE_FULL);
    check_err(store_reserve_keep(path, 200000, &has_room), CA_ERR_STORAGE_FULL);
    check_ok(publish(&usual, 4, 5000, NULL));
    cr_assert(is_version(path, 4, 5000) && count_files() == 2);
    is_full = false;
    check_ok(store_reserve_keep(path, 200000, &has_room));
    cr_assert(has_room && room_of(reserve_path) >= 200000);
}

/* Readers read the version they opened, whole. */
Test(reserve, what_is_still_read_is_not_written_over)
{
    bool is_mapped = true;

    check_ok(publish(&usual, 1, 5000, NULL));
    keep(5000);
    is_full = true;
    do {
        is_mapped = !is_mapped;
        int fd = open(path, O_RDONLY);
        uint8_t *mapped = mmap(NULL, 5000, PROT_READ, MAP_PRIVATE, fd, 0);
        uint8_t first = mapped[0];
        if (is_mapped)
            close(fd);
        else
            munmap(mapped, 5000);
        check_ok(publish(&usual, 2, 5000, NULL)); /* into the reserve there was */
        check_err(publish(&usual, 3, 5000, NULL), CA_ERR_STORAGE_FULL);
        cr_assert(is_version(path, 2, 5000));
        if (is_mapped) {
            cr_assert(mapped[0] == first);
            munmap(mapped, 5000);
        } else {
            close(fd);
        }
        check_ok(publish(&usual, 3, 5000, NULL));
        cr_assert(is_version(path, 3, 5000));
    } while (!is_mapped);
}

Test(reserve, a_version_with_a_second_name_is_left_to_who_gave_it)
{
    char copy[128];
    bool has_room;

    snprintf(copy, sizeof(copy), "%s/copy", dir);
    check_ok(publish(&usual, 1, 5000, NULL));
    cr_assert(link(path, copy) == 0);
    check_ok(publish(&usual, 2, 5000, NULL)); /* the first one is the reserve now */
    is_full = true;
    check_err(publish(&usual, 3, 5000, NULL), CA_ERR_STORAGE_FULL);
    check_err(store_reserve_keep(path, 5000, &has_room), CA_ERR_STORAGE_FULL);
    is_full = false;
    keep(5000);
    is_full = true;
    check_ok(publish(&usual, 4, 5000, NULL));
    cr_assert(is_version(copy, 1, 5000) && is_version(path, 4, 5000));
    cr_assert(unlink(copy) == 0);
}

Test(reserve, a_folder_in_the_way_is_not_replaced)
{
    cr_assert(mkdir(path, 0700) == 0);
    cr_assert(publish(&usual, 1, 5000, NULL) != CA_OK);
    cr_assert(S_ISDIR(status_of(path).st_mode) && rmdir(path) == 0);
}

Test(reserve, the_room_of_the_one_before_is_let_go_when_the_caller_says)
{
    int retired = -2;
    const struct store_publish_options options = { .has_reserve = true, .retired_out = &retired };
    struct stat status;

    check_ok(publish(&options, 1, 5000, NULL));
    cr_assert(retired == -1);
    check_ok(publish(&options, 2, 5000, NULL));
    cr_assert(retired == -1);
    uint64_t inode = status_of(reserve_path).st_ino;
    check_ok(publish(&options, 3, 5000, NULL));
    cr_assert(retired >= 0 && fstat(retired, &status) == 0);
    cr_assert(status.st_ino == inode && status.st_nlink == 0);
    close(retired);
}

/* Killed at every call of either way: the old version or the new one, and no third file. */
static void kill_everywhere(bool full)
{
    unsigned n = 3;
    bool was_killed = true;

    check_ok(publish(&ways[1], 1, 70000, NULL));
    check_ok(publish(&ways[1], 2, 70000, NULL));
    keep(70000);
    for (int call = 1; was_killed; call++, n++) {
        is_full = full;
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            kill_call = call;
            _exit(publish(&ways[1], n, 70000, NULL) == CA_OK ? 0 : 1);
        }
        int status;
        cr_assert(waitpid(child, &status, 0) == child);
        was_killed = WIFSIGNALED(status);
        cr_assert(was_killed || WEXITSTATUS(status) == 0);
        cr_assert(is_version(path, n, 70000) || (was_killed && is_version(path, n - 1, 70000)));
        cr_assert(count_files() <= 2, "killed at call %d", call);
        is_full = false; /* the process that follows finds what there is, and makes it good */
        keep(70000);
        is_full = full;
        check_ok(publish(&ways[1], n, 70000, NULL));
        cr_assert(is_version(path, n, 70000) && count_files() == 2);
        is_full = false;
        keep(70000);
    }
    cr_assert(n > 6, "%u calls", n);
}

Test(reserve, a_process_killed_at_any_call_leaves_no_litter)
{
    kill_everywhere(false);
}

Test(reserve, a_process_killed_at_any_call_on_a_full_disk_leaves_no_litter)
{
    kill_everywhere(true);
}

/* ---- a disk that is full in earnest */

static void take_room(const char *ballast)
{
    static const uint8_t zeros[4096];
    int fd = open(ballast, O_CREAT | O_WRONLY | O_APPEND, 0600);

    while (write(fd, zeros, sizeof(zeros)) > 0)
        continue;
    cr_assert_eq(errno, ENOSPC);
    close(fd);
}

Test(privileged, versions_go_on_while_somebody_takes_all_room_there_is)
{
    char ballast[96];
    size_t len = MIB;

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("certmill", dir, "tmpfs", 0, "size=8m") != 0)
        cr_skip_test("may not mount");
    snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
    check_ok(publish(&usual, 1, len, NULL));
    keep(len);
    for (unsigned n = 2; n < 12; n++) {
        bool is_reserve, has_room;
        take_room(ballast);
        len += 5000;
        is_full = true; /* what the file system says of itself is left out */
        check_ok(publish(&usual, n, len, &is_reserve));
        cr_assert(is_reserve && is_version(path, n, len));
        check_ok(store_reserve_keep(path, len, &has_room));
    }
    cr_assert(unlink(ballast) == 0);
    is_full = false;
    check_ok(publish(&usual, 12, len, NULL));
    cr_assert(is_version(path, 12, len));
}

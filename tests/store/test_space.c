/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that a dead reader keeps in use, and blocks written ahead of those that are. */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "tests/support/store.h"

enum { BLOCK = 4096, SMALL = 2, LARGE = 400 };

static struct store *store;

static void open_empty(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(space, .init = open_empty, .fini = close_store, .timeout = 120);

static uint64_t used(void)
{
    struct store_info info;

    store_info(store, &info);
    return info.bytes_used;
}

/* Skips the test where the file system does not tell. */
static bool is_written(uint64_t at)
{
    union {
        struct fiemap map;
        uint8_t room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
    } question = { .map = { .fm_start = at,
                            .fm_length = BLOCK,
                            .fm_flags = FIEMAP_FLAG_SYNC,
                            .fm_extent_count = 1 } };
    char path[256];

    snprintf(path, sizeof(path), "%s/data.mdb", test_path);
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    int rc = ioctl(fd, FS_IOC_FIEMAP, &question.map);
    close(fd);
    if (rc != 0)
        cr_skip_test("this file system does not tell which blocks are written");
    return question.map.fm_mapped_extents == 1 &&
           (question.map.fm_extents[0].fe_flags & FIEMAP_EXTENT_UNWRITTEN) == 0;
}

Test(space, behind_small_commits_blocks_are_written_ahead)
{
    test_issue(store, 1, 3, SMALL);
    store_smooth(store);
    cr_assert_not(is_written(used() + BLOCK), "the first look only learns how a commit grows");
    for (uint64_t n = 3; n < 203; n += SMALL) {
        test_issue(store, n, n + SMALL, SMALL);
        store_smooth(store);
        cr_assert(is_written(used() + BLOCK), "at %" PRIu64, n);
    }
}

Test(space, behind_large_ones_they_are_not)
{
    test_issue(store, 1, 1 + LARGE, LARGE);
    store_smooth(store);
    test_issue(store, 1 + LARGE, 1 + 2 * LARGE, LARGE);
    store_smooth(store);
    cr_assert_not(is_written(used() + BLOCK));
}

Test(space, what_is_in_use_is_left_alone)
{
    struct store_view *view;

    for (uint64_t n = 1; n < 301; n += SMALL) {
        test_issue(store, n, n + SMALL, SMALL);
        store_smooth(store);
        store_smooth(store);
    }
    check_ok(store_view_open(store, &view));
    for (uint64_t n = 1; n < 301; n++)
        test_check_found(view, n);
    store_view_close(view);
    test_check_whole(store);
    store_close(store);
    store = test_open();
    test_check_whole(store);
}

/* ---- readers that died */

/* A process with a view of the store as it is now; killed with the view open. */
static void die_reading(void)
{
    struct store_options options = test_options;
    struct store_view *view;
    struct store *reader;
    int fds[2], status;
    char byte;

    options.is_read_only = true;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        if (store_open(test_path, &options, &reader) == CA_OK &&
            store_view_open(reader, &view) == CA_OK && store_view_renew(view) == CA_OK &&
            write(fds[1], "v", 1) == 1)
            pause();
        _exit(1);
    }
    close(fds[1]);
    cr_assert_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status));
}

/* A commit rewrites about twenty pages, and takes the place of those of the one before. */
Test(space, pages_that_a_dead_reader_saw_are_used_again)
{
    enum { ROUNDS = 2000, GROWTH_MAX = 30 << 20 };

    test_issue(store, 1, 100, 100);
    store_close(store);
    store = test_open();
    die_reading();
    uint64_t before = used();
    test_issue(store, 100, 100 + ROUNDS, 1);
    cr_assert_lt(used() - before, GROWTH_MAX, "%" PRIu64, used() - before);
    test_check_whole(store);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/publish.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { MIB = 1 << 20 };

static char dir[64];
static char path[128];
static uint8_t *bytes; /* what is published */
static uint8_t *read_back;
static const size_t bytes_size = 9 * MIB + 4711;

static void make_dir(void)
{
    snprintf(dir, sizeof(dir), "/tmp/certmill-publish-%ld", (long)getpid());
    cr_assert(mkdir(dir, 0700) == 0);
    snprintf(path, sizeof(path), "%s/file", dir);
    bytes = malloc(bytes_size);
    read_back = malloc(bytes_size + 1);
    for (size_t i = 0; i < bytes_size; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 4093);
    signal(SIGXFSZ, SIG_IGN);
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

static void drop_dir(void)
{
    unlink(path);
    cr_assert(rmdir(dir) == 0, "something was left in %s", dir);
    free(bytes);
    free(read_back);
}

TestSuite(publish, .init = make_dir, .fini = drop_dir, .timeout = 60);

static void check_file(struct ca_bytes want)
{
    int fd = open(path, O_RDONLY);
    size_t len = 0;

    cr_assert(fd >= 0, "no file");
    for (ssize_t got; (got = read(fd, read_back + len, bytes_size + 1 - len)) > 0;)
        len += (size_t)got;
    close(fd);
    check_bytes(ca_bytes_of(read_back, len), want);
    cr_assert(count_files() == 1);
}

static struct store_publish *begin(const struct store_publish_options *options)
{
    struct store_publish *publish;

    check_ok(store_publish_begin(path, options, &publish));
    return publish;
}

static void append_all(struct store_publish *publish, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step)
        check_ok(store_publish_append(publish,
                                      ca_bytes_of(bytes + at, len - at < step ? len - at : step)));
}

/* clang-format off */
static const struct store_publish_options ways[] = {
    { 0 },
    { .is_plain = true },
    { .is_named = true },
    { .is_plain = true, .is_named = true, .len = 10 * MIB },
    { .len = 20 * MIB },
};
/* clang-format on */
enum { WAY_COUNT = sizeof(ways) / sizeof(ways[0]) };

Test(publish, every_way_makes_the_same_file_of_every_length)
{
    static const size_t lengths[] = { 0,       1,           MIB - 1, MIB,         MIB + 1,
                                      2 * MIB, 4 * MIB - 1, 4 * MIB, 5 * MIB + 3, 9 * MIB + 4711 };

    for (size_t w = 0; w < WAY_COUNT; w++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct store_publish *publish = begin(&ways[w]);
            append_all(publish, lengths[i], i % 2 == 0 ? 7777 : 3 * MIB);
            cr_assert(store_publish_len(publish) == lengths[i]);
            check_ok(store_publish_commit(publish));
            check_file(ca_bytes_of(bytes, lengths[i]));
        }
    }
}

Test(publish, the_front_can_be_patched_until_the_end)
{
    for (size_t w = 0; w < WAY_COUNT; w++) {
        struct store_publish *publish = begin(&ways[w]);
        struct ca_bytes mapped;
        uint8_t zeros[16] = { 0 };
        check_ok(store_publish_append(publish, ca_bytes_of(zeros, sizeof(zeros))));
        for (size_t at = sizeof(zeros); at < bytes_size; at += 100000) {
            size_t left = bytes_size - at;
            check_ok(store_publish_append(publish,
                                          ca_bytes_of(bytes + at, left < 100000 ? left : 100000)));
        }
        check_ok(store_publish_map(publish, &mapped));
        cr_assert(mapped.len == bytes_size && mapped.data[1] == 0);
        store_publish_patch(publish, 0, ca_bytes_of(bytes, sizeof(zeros)));
        check_ok(store_publish_map(publish, &mapped));
        check_bytes(mapped, ca_bytes_of(bytes, bytes_size));
        check_ok(store_publish_commit(publish));
        check_file(ca_bytes_of(bytes, bytes_size));
    }
}

Test(publish, what_is_appended_behind_a_mapping_is_there)
{
    for (size_t w = 0; w < WAY_COUNT; w++) {
        struct store_publish *publish = begin(&ways[w]);
        struct ca_bytes mapped;
        append_all(publish, 3 * MIB + 5, 50000);
        check_ok(store_publish_map(publish, &mapped));
        check_bytes(mapped, ca_bytes_of(bytes, 3 * MIB + 5));
        check_ok(store_publish_append(publish,
                                      ca_bytes_of(bytes + 3 * MIB + 5, bytes_size - 3 * MIB - 5)));
        check_ok(store_publish_commit(publish));
        check_file(ca_bytes_of(bytes, bytes_size));
    }
}

Test(publish, an_abort_and_a_restart_leave_nothing_of_what_was_written)
{
    for (size_t w = 0; w < WAY_COUNT; w++) {
        struct store_publish *publish = begin(&ways[w]);
        append_all(publish, bytes_size, 50000);
        check_ok(store_publish_restart(publish));
        append_all(publish, 1000, 10);
        check_ok(store_publish_commit(publish));
        check_file(ca_bytes_of(bytes, 1000));

        publish = begin(&ways[w]);
        append_all(publish, bytes_size, 50000);
        store_publish_abort(publish);
        check_file(ca_bytes_of(bytes, 1000));
    }
}

static void publish_small(void)
{
    const struct store_publish_options options = { 0 };
    struct store_publish *publish = begin(&options);

    append_all(publish, 100, 100);
    check_ok(store_publish_commit(publish));
}

/* A limit on the file's size stands in for a full disk: both are STORAGE_FULL. */
Test(publish, a_full_disk_is_told_and_leaves_the_old_file)
{
    struct rlimit limit;

    publish_small();
    cr_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = 2 * MIB + 100;
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (size_t w = 0; w < WAY_COUNT; w++) {
        struct store_publish *publish;
        enum ca_err err = store_publish_begin(path, &ways[w], &publish);
        for (size_t at = 0; err == CA_OK && at < bytes_size; at += MIB) {
            size_t left = bytes_size - at;
            err = store_publish_append(publish, ca_bytes_of(bytes + at, left < MIB ? left : MIB));
        }
        if (err == CA_OK) {
            err = store_publish_commit(publish);
            publish = NULL;
        }
        store_publish_abort(publish);
        check_err(err, CA_ERR_STORAGE_FULL);
        check_file(ca_bytes_of(bytes, 100));
    }
}

/* Killed after every number of octets: the old file is there, and no other unless it has a name. */
Test(publish, a_killed_process_leaves_the_old_file)
{
    publish_small();
    for (size_t len = 0; len < bytes_size; len += MIB) {
        for (size_t w = 0; w < 2; w++) {
            pid_t child = fork();
            cr_assert(child >= 0);
            if (child == 0) {
                struct store_publish *publish = begin(&ways[w]);
                append_all(publish, len, 100000);
                raise(SIGKILL);
            }
            int status;
            cr_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
            check_file(ca_bytes_of(bytes, 100));
        }
    }
}

Test(publish, folders_that_are_not_there_and_names_that_are_none_are_refused)
{
    const struct store_publish_options options = { 0 };
    struct store_publish *publish;
    char missing[160];

    snprintf(missing, sizeof(missing), "%s/no/file", dir);
    check_err(store_publish_begin(missing, &options, &publish), CA_ERR_NOT_FOUND);
    snprintf(missing, sizeof(missing), "%s/", dir);
    check_err(store_publish_begin(missing, &options, &publish), CA_ERR_NOT_FOUND);
    cr_assert(publish == NULL && count_files() == 0);
}

Test(publish, a_folder_in_the_way_is_not_replaced)
{
    const struct store_publish_options options = { 0 };

    cr_assert(mkdir(path, 0700) == 0);
    struct store_publish *publish = begin(&options);
    append_all(publish, 10, 10);
    cr_assert(store_publish_commit(publish) != CA_OK);
    cr_assert(count_files() == 1 && rmdir(path) == 0);
}

Test(publish, two_at_once_each_make_a_whole_file)
{
    struct store_publish *one = begin(&ways[0]), *other = begin(&ways[2]);

    append_all(one, bytes_size, 60000);
    append_all(other, 5000, 60);
    check_ok(store_publish_commit(other));
    check_file(ca_bytes_of(bytes, 5000));
    check_ok(store_publish_commit(one));
    check_file(ca_bytes_of(bytes, bytes_size));
}

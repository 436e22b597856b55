/* SPDX-License-Identifier: Apache-2.0 */
#include "store/runs.h"

#include <fcntl.h>

#include "tests/support/store.h"

enum { TOTAL = 2000 };

static struct store *store;
static char runs_path[160];

/* Enough for files of two sizes: eight merged ones, and later ones. */
static void issue_and_close(void)
{
    store = test_store_make();
    test_issue(store, 1, TOTAL + 1, 50);
    store_rest(store);
    store_close(store);
    snprintf(runs_path, sizeof(runs_path), "%s/runs", test_path);
}

static void remove_all(void)
{
    test_store_remove(store);
}

TestSuite(runs, .init = issue_and_close, .fini = remove_all, .timeout = 120);

static size_t run_count(void)
{
    struct store_info info;

    store_info(store, &info);
    return info.run_count;
}

static void check_all_found(void)
{
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    for (uint64_t n = 1; n <= TOTAL; n++)
        test_check_found(view, n);
    for (uint64_t n = 1; n <= 100; n++)
        test_check_absent(view, 100000 + n);
    store_view_close(view);
}

/* Calls back with the path of every file of the index; gives their number. */
static size_t each_file(void (*change)(const char *path, size_t number))
{
    DIR *directory = opendir(runs_path);
    struct dirent *entry;
    size_t count = 0;
    char path[512];

    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        cr_assert(snprintf(path, sizeof(path), "%s/%.200s", runs_path, entry->d_name) > 0);
        if (change != NULL)
            change(path, count);
        count++;
    }
    closedir(directory);
    return count;
}

static void check_rebuilt(void)
{
    store = test_open();
    check_all_found();
    store_rest(store);
    check_all_found();
    test_check_whole(store);
    cr_assert_gt(run_count(), 1);
}

static void change_remove(const char *path, size_t number)
{
    (void)number;
    unlink(path);
}

static void change_remove_every_other(const char *path, size_t number)
{
    if (number % 2 == 0)
        unlink(path);
}

static void change_empty(const char *path, size_t number)
{
    (void)number;
    cr_assert_eq(truncate(path, 0), 0);
}

static void change_cut(const char *path, size_t number)
{
    cr_assert_eq(truncate(path, (off_t)(512 * (number + 1))), 0);
}

static void overwrite(const char *path, off_t at, size_t len)
{
    static const uint8_t junk[65536] = { 1, 2, 3 };
    int fd = open(path, O_WRONLY);

    while (len > 0) {
        size_t part = len < sizeof(junk) ? len : sizeof(junk);
        cr_assert_eq(pwrite(fd, junk, part, at), (ssize_t)part);
        at += (off_t)part;
        len -= part;
    }
    close(fd);
}

static void change_header(const char *path, size_t number)
{
    overwrite(path, (off_t)(number % 64), 8);
}

static void change_body(const char *path, size_t number)
{
    struct stat status;

    (void)number;
    cr_assert_eq(stat(path, &status), 0);
    overwrite(path, 512, (size_t)status.st_size - 512);
}

Test(runs, small_runs_are_merged_into_larger_ones)
{
    cr_assert_leq(each_file(NULL), 2 + 7 + 7);
    store = test_open();
    cr_assert_eq(run_count(), each_file(NULL));
    check_all_found();
}

Test(runs, lost_files_are_made_again)
{
    cr_assert_gt(each_file(change_remove), 0);
    check_rebuilt();
}

Test(runs, a_lost_directory_is_made_again)
{
    each_file(change_remove);
    cr_assert_eq(rmdir(runs_path), 0);
    check_rebuilt();
}

Test(runs, gaps_between_files_are_filled)
{
    each_file(change_remove_every_other);
    check_rebuilt();
}

Test(runs, empty_files_are_made_again)
{
    each_file(change_empty);
    check_rebuilt();
}

Test(runs, cut_off_files_are_made_again)
{
    each_file(change_cut);
    check_rebuilt();
}

Test(runs, files_with_a_damaged_header_are_made_again)
{
    each_file(change_header);
    check_rebuilt();
}

Test(runs, damage_that_a_lookup_meets_is_told_then_repaired)
{
    struct store_digest request = test_digest('r', 5);
    struct store_certificate found;
    struct store_view *view;

    each_file(change_body);
    store = test_open();
    check_ok(store_view_open(store, &view));
    check_err(store_find_request(view, &request, &found), CA_ERR_STORAGE_CORRUPT);
    /* Each look-up that fails tells of one file; none fails for ever. */
    for (size_t i = 0; i <= each_file(NULL) + 20; i++) {
        store_rest(store);
        check_ok(store_view_renew(view));
        if (store_find_request(view, &request, &found) == CA_OK)
            break;
    }
    store_view_close(view);
    check_all_found();
    test_check_whole(store);
}

Test(runs, what_a_merge_left_behind_is_removed)
{
    static const struct store_run_range inside = { 100, 200 }, straddling = { 790, 810 };
    char name[STORE_RUN_NAME_LEN + 1], path[256];
    struct store_run_writer *writer;
    struct store_damage damage;
    struct store_view *view;
    uint8_t id[STORE_ID_LEN] = { 0 };

    /* Of another store, too: its id is not ours. */
    int dir_fd = open(runs_path, O_RDONLY | O_DIRECTORY);
    check_ok(store_run_writer_open(dir_fd, id, inside, 0, &writer));
    check_ok(store_run_writer_finish(writer));
    check_ok(store_run_writer_open(dir_fd, id, straddling, 0, &writer));
    check_ok(store_run_writer_finish(writer));
    int fd = openat(dir_fd, "0000000000000001-0000000000000002.run.tmp", O_CREAT | O_WRONLY, 0600);
    close(fd);
    close(dir_fd);
    store = test_open();
    check_all_found();
    check_ok(store_view_open(store, &view));
    check_ok(store_check(view, &damage));
    store_view_close(view);
    store_run_name(inside, name);
    snprintf(path, sizeof(path), "%s/%s", runs_path, name);
    cr_assert_eq(access(path, F_OK), -1);
    cr_assert_eq(each_file(NULL), run_count());
}

Test(runs, files_that_are_ahead_of_the_data_are_not_believed)
{
    char command[512], saved[128];

    /* An older copy of the data comes back, the index stays. */
    snprintf(saved, sizeof(saved), "%s/saved", test_dir);
    snprintf(command, sizeof(command), "%s/data.mdb", test_path);
    cr_assert_eq(link(command, saved), 0);
    cr_assert_eq(unlink(command), 0);
    int from = open(saved, O_RDONLY), to = open(command, O_CREAT | O_WRONLY, 0600);
    char bytes[65536];
    for (ssize_t len; (len = read(from, bytes, sizeof(bytes))) > 0;)
        cr_assert_eq(write(to, bytes, (size_t)len), len);
    close(from);
    close(to);
    store = test_open();
    test_issue(store, TOTAL + 1, 2 * TOTAL, 50);
    store_rest(store);
    store_close(store);
    cr_assert_eq(rename(saved, command), 0);

    store = test_open();
    check_all_found();
    struct store_view *view;
    check_ok(store_view_open(store, &view));
    test_check_absent(view, TOTAL + 5);
    store_view_close(view);
    /* Other certificates take the sequence numbers of those that are gone. */
    test_issue(store, 3 * TOTAL, 4 * TOTAL, 50);
    store_rest(store);
    check_ok(store_view_open(store, &view));
    for (uint64_t n = 3 * TOTAL; n < 4 * TOTAL; n++)
        test_check_found(view, n);
    test_check_absent(view, TOTAL + 5);
    store_view_close(view);
    test_check_whole(store);
}

Test(runs, read_only_does_without_files_and_writes_none)
{
    struct store_options options = test_options;

    options.is_read_only = true;
    each_file(change_remove);
    check_ok(store_open(test_path, &options, &store));
    check_all_found();
    cr_assert_eq(each_file(NULL), 0);
}

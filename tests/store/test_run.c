/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run.h"

#include <fcntl.h>

#include "tests/support/store.h"

static const uint8_t id[STORE_ID_LEN] = { 1, 2, 3, 4 };
static const struct store_run_range range = { 100, 300 };
static int dir_fd;

static void make_dir(void)
{
    test_dir_make();
    dir_fd = open(test_dir, O_RDONLY | O_DIRECTORY);
}

static void remove_dir(void)
{
    close(dir_fd);
    test_dir_remove();
}

TestSuite(run, .init = make_dir, .fini = remove_dir, .timeout = 120);

static int compare(const void *a, const void *b)
{
    return store_run_entry_compare(a, b);
}

/* Entry i of a section; every tenth digest is shared by five. */
static struct store_run_entry entry_of(size_t i, int section)
{
    struct store_digest digest = test_digest((char)('a' + section), i % 50 < 5 ? i / 50 * 50 : i);

    return store_run_entry_make(&digest, 1000 + i);
}

static enum ca_err write_run(size_t count)
{
    struct store_run_entry *entries = malloc((count + 1) * sizeof(*entries));
    struct store_run_writer *writer;

    check_ok(store_run_writer_open(dir_fd, id, range, count, &writer));
    for (int section = 0; section < STORE_SECTION_COUNT; section++) {
        for (size_t i = 0; i < count; i++)
            entries[i] = entry_of(i, section);
        qsort(entries, count, sizeof(*entries), compare);
        for (size_t i = 0; i < count; i++)
            check_ok(store_run_writer_put(writer, &entries[i]));
    }
    free(entries);
    return store_run_writer_finish(writer);
}

static struct store_run *write_and_open(size_t count)
{
    struct store_run *run;

    check_ok(write_run(count));
    check_ok(store_run_open(dir_fd, range, id, &run));
    return run;
}

static struct ca_bytes read_file(void)
{
    static uint8_t bytes[1 << 20];
    char name[STORE_RUN_NAME_LEN + 1];

    store_run_name(range, name);
    int fd = openat(dir_fd, name, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    close(fd);
    cr_assert(len > 0 && len < (ssize_t)sizeof(bytes));
    return ca_bytes_of(bytes, (size_t)len);
}

Test(run, every_entry_is_found_and_no_other)
{
    static const size_t counts[] = { 0, 1, 2, 20, 21, 22, 43, 44, 45, 46, 1000, 5003 };
    uint64_t found[64];
    size_t count;

    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct store_run *run = write_and_open(counts[c]);
        cr_assert_eq(store_run_entry_count(run), counts[c]);
        check_ok(store_run_check(run));
        for (int section = 0; section < STORE_SECTION_COUNT; section++) {
            for (size_t i = 0; i < counts[c]; i++) {
                struct store_run_entry from = entry_of(i, section);
                check_ok(
                    store_run_find(run, (enum store_section)section, &from, found, 64, &count));
                cr_assert_geq(count, 1);
                cr_assert_eq(found[0], from.locator);
            }
            for (size_t i = 0; i < 1000; i++) {
                struct store_digest digest = test_digest('z', i);
                struct store_run_entry from = store_run_entry_make(&digest, 0);
                check_ok(
                    store_run_find(run, (enum store_section)section, &from, found, 64, &count));
                cr_assert_eq(count, 0);
            }
        }
        store_run_close(run);
    }
}

Test(run, locators_of_one_digest_come_in_order_from_where_asked)
{
    struct store_run *run = write_and_open(1000);
    struct store_run_entry from = entry_of(50, 0);
    uint64_t found[8];
    size_t count;

    from.locator = 0;
    check_ok(store_run_find(run, STORE_SECTION_IDENTITY, &from, found, 8, &count));
    cr_assert(count == 5 && found[0] == 1050 && found[4] == 1054);
    from.locator = 1052;
    check_ok(store_run_find(run, STORE_SECTION_IDENTITY, &from, found, 2, &count));
    cr_assert(count == 2 && found[0] == 1052 && found[1] == 1053);
    from.locator = 1055;
    check_ok(store_run_find(run, STORE_SECTION_IDENTITY, &from, found, 8, &count));
    cr_assert_eq(count, 0);
    store_run_close(run);
}

Test(run, a_walk_gives_all_entries_in_order)
{
    struct store_run *run = write_and_open(777);
    struct store_run_walk walk = { run, STORE_SECTION_KEY, 0 };
    struct store_run_entry entry, last = { 0, 0, 0 };
    size_t count = 0;

    while (store_run_walk_next(&walk, &entry) == CA_OK) {
        cr_assert_lt(store_run_entry_compare(&last, &entry), 0);
        last = entry;
        count++;
    }
    cr_assert_eq(count, 777);
    store_run_close(run);
}

Test(run, digests_that_are_not_uniform_are_found_too)
{
    enum { COUNT = 2000 };
    struct store_run_writer *writer;
    struct store_run *run;
    uint64_t found[4];
    size_t count;

    check_ok(store_run_writer_open(dir_fd, id, range, COUNT, &writer));
    for (int section = 0; section < STORE_SECTION_COUNT; section++)
        for (uint64_t i = 0; i < COUNT; i++) {
            struct store_run_entry entry = { 5, i / 2, i };
            check_ok(store_run_writer_put(writer, &entry));
        }
    check_ok(store_run_writer_finish(writer));
    check_ok(store_run_open(dir_fd, range, id, &run));
    for (uint64_t i = 0; i < COUNT; i += 2) {
        struct store_run_entry from = { 5, i / 2, 0 };
        check_ok(store_run_find(run, STORE_SECTION_REQUEST, &from, found, 4, &count));
        cr_assert(count == 2 && found[0] == i && found[1] == i + 1);
    }
    store_run_close(run);
}

Test(run, any_flipped_bit_is_an_error_or_does_not_matter)
{
    enum { COUNT = 120 };
    uint64_t found[8], seed = 20261122;
    struct store_run *run;
    size_t count, opened = 0, refused = 0;

    check_ok(write_run(COUNT));
    struct ca_bytes file = read_file();
    uint8_t *bytes = (uint8_t *)(uintptr_t)file.data;
    for (int i = 0; i < 5000; i++) {
        size_t bit = test_random(&seed) % (8 * file.len);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (store_run_open_bytes(file, range, id, &run) == CA_OK) {
            opened++;
            for (int section = 0; section < STORE_SECTION_COUNT; section++)
                for (size_t n = 0; n < COUNT; n++) {
                    struct store_run_entry from = entry_of(n, section);
                    enum ca_err err =
                        store_run_find(run, (enum store_section)section, &from, found, 8, &count);
                    refused += err != CA_OK;
                    cr_assert(err == CA_ERR_STORAGE_CORRUPT ||
                                  (err == CA_OK && count >= 1 && found[0] == from.locator),
                              "a wrong answer after bit %zu", bit);
                }
            store_run_close(run);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert(opened > 0 && opened < 5000 && refused > 0);
}

Test(run, a_file_of_another_size_store_or_range_is_refused)
{
    static const uint8_t other[STORE_ID_LEN] = { 9 };
    static const struct store_run_range elsewhere = { 100, 301 };
    struct store_run *run;

    check_ok(write_run(100));
    struct ca_bytes file = read_file();
    for (size_t len = 0; len < file.len; len += 64) {
        check_err(store_run_open_bytes(ca_bytes_of(file.data, len), range, id, &run),
                  CA_ERR_STORAGE_CORRUPT);
        cr_assert_null(run);
    }
    check_err(store_run_open_bytes(file, range, other, &run), CA_ERR_STORAGE_CORRUPT);
    check_err(store_run_open_bytes(file, elsewhere, id, &run), CA_ERR_STORAGE_CORRUPT);
    check_err(store_run_open(dir_fd, elsewhere, id, &run), CA_ERR_NOT_FOUND);
}

Test(run, an_aborted_writer_leaves_no_file)
{
    struct store_run_writer *writer;
    struct store_run *run;
    struct store_run_entry entry = { 1, 2, 3 };
    int count = 0;

    check_ok(store_run_writer_open(dir_fd, id, range, 10, &writer));
    check_ok(store_run_writer_put(writer, &entry));
    store_run_writer_abort(writer);
    store_run_writer_abort(NULL);
    check_err(store_run_open(dir_fd, range, id, &run), CA_ERR_NOT_FOUND);
    DIR *directory = opendir(test_dir);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    cr_assert_eq(count, 2);
}

Test(run, names_tell_the_range_and_nothing_else_is_one)
{
    static const char *const bad[] = {
        "",
        "x",
        "0000000000000064-000000000000012c.ru",
        "0000000000000064-000000000000012C.run",
        "0000000000000064_000000000000012c.run",
        "000000000000012c-0000000000000064.run",
        "0000000000000064-0000000000000064.run",
        "0000000000000064-000000000000012c.run.tmp",
        " 000000000000064-000000000000012c.run",
    };
    char name[STORE_RUN_NAME_LEN + 1];
    struct store_run_range got;

    store_run_name(range, name);
    cr_assert_str_eq(name, "0000000000000064-000000000000012c.run");
    cr_assert(store_run_name_parse(name, &got) && got.from == 100 && got.to == 300);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(store_run_name_parse(bad[i], &got), "%s", bad[i]);
}

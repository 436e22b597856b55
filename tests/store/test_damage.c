/* SPDX-License-Identifier: Apache-2.0 */
/* Data files that are cut, empty, foreign, or have flipped bits: told of, never believed. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/support/store.h"

enum { TOTAL = 300 };

static char data_path[160];
static uint8_t *data;
static size_t data_len;

static void make_data(void)
{
    struct stat status;

    test_dir_make();
    check_ok(store_create(test_path, TEST_INSTANCE));
    struct store *store = test_open();
    struct store_batch *batch;
    test_issue(store, 1, TOTAL + 1, 20);
    check_ok(store_begin(store, &batch));
    for (uint64_t n = TOTAL + 1; n <= TOTAL + 10; n++)
        check_ok(test_put_intent(batch, n));
    for (uint64_t n = 3; n <= TOTAL; n += 3)
        check_ok(test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_REVOKED, n, n));
    check_ok(store_commit(batch));
    store_rest(store);
    store_close(store);

    snprintf(data_path, sizeof(data_path), "%s/data.mdb", test_path);
    int fd = open(data_path, O_RDONLY);
    cr_assert_eq(fstat(fd, &status), 0);
    data_len = (size_t)status.st_size;
    data = malloc(data_len);
    cr_assert_eq(read(fd, data, data_len), (ssize_t)data_len);
    close(fd);
}

static void remove_data(void)
{
    free(data);
    test_dir_remove();
}

TestSuite(damage, .init = make_data, .fini = remove_data, .timeout = 300);

static void write_data(const uint8_t *bytes, size_t len)
{
    int fd = open(data_path, O_WRONLY | O_TRUNC);

    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void write_octet(size_t at)
{
    int fd = open(data_path, O_WRONLY);

    cr_assert_eq(pwrite(fd, data + at, 1, (off_t)at), 1);
    close(fd);
}

static void check_refused(const char *what)
{
    struct store_options options = test_options;
    struct store *store;

    enum ca_err err = store_open(test_path, &options, &store);
    cr_assert(err == CA_ERR_STORAGE_CORRUPT, "%s: %s", what, ca_err_text(err));
    cr_assert_null(store);
    options.is_read_only = true;
    err = store_open(test_path, &options, &store);
    cr_assert(err == CA_ERR_STORAGE_CORRUPT, "%s, read only: %s", what, ca_err_text(err));
}

/* The kind of file system that the store is told it is on; 0: the one it is on. */
static unsigned told_type;

int fstatfs(int fd, struct statfs *status)
{
    int rc = (int)syscall(SYS_fstatfs, fd, status);

    if (told_type != 0)
        status->f_type = told_type;
    return rc;
}

Test(damage, a_network_file_system_is_refused)
{
    static const unsigned types[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, 0xff534d42, 0xfe534d42 };
    struct store *store;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        told_type = types[i];
        check_err(store_open(test_path, &test_options, &store), CA_ERR_CONFIG);
    }
    told_type = EXT4_SUPER_MAGIC;
    check_ok(store_open(test_path, &test_options, &store));
    store_close(store);
}

Test(damage, a_cut_file_is_refused)
{
    /* Cut within what is used: what is behind is only space taken ahead. */
    for (size_t len = 0; len <= 40960; len += len < 8192 ? 512 : 4096) {
        write_data(data, len);
        check_refused("cut");
    }
}

Test(damage, zeros_noise_and_foreign_files_are_refused)
{
    uint8_t *bytes = calloc(1, data_len);
    uint64_t seed = 1;

    write_data(bytes, data_len);
    check_refused("zeros");
    for (size_t i = 0; i < data_len; i++)
        bytes[i] = (uint8_t)test_random(&seed);
    write_data(bytes, data_len);
    check_refused("noise");
    memcpy(bytes, "SQLite format 3", 16);
    write_data(bytes, data_len);
    check_refused("foreign");
    free(bytes);
    unlink(data_path);
    check_refused("missing");
    cr_assert_eq(mkdir(data_path, 0700), 0);
    check_refused("a directory");
}

Test(damage, a_database_of_another_program_is_refused)
{
    /* Ours, with another version of the records; the digest says it is meant so. */
    static const uint8_t other_name[] = "certificateZ";
    size_t changed = 0;

    for (size_t at = 0; at + 12 < data_len; at++)
        if (memmem(data + at, 12, "certificates", 12) == data + at) {
            memcpy(data + at, other_name, 12);
            changed++;
        }
    cr_assert_gt(changed, 0);
    write_data(data, data_len);
    check_refused("without a table");
}

/* As below, of one certificate: 1 when it was told. */
static int ask_status(struct store_view *view, uint64_t n)
{
    enum ca_err want = n % 3 == 0 ? CA_OK : CA_ERR_NOT_FOUND;
    struct store_status_change said =
        test_status_change(n, STORE_STATE_VALID, STORE_STATE_REVOKED, n);
    struct store_digest request = test_digest('q', n), body;
    struct store_change change;
    struct store_status status;

    enum ca_err err = store_find_status(view, &said.scope, &said.serial, &status);
    if (err == CA_OK && (want != CA_OK || status.state != STORE_STATE_REVOKED ||
                         status.reason != 1 || status.revoked_s != said.status.revoked_s ||
                         status.not_after_s != said.status.not_after_s))
        return 2;
    int told = err != want;
    err = store_find_request_change(view, &request, &change, &body);
    if (err == CA_OK && (want != CA_OK || ca_serial_time_us(&change.serial) != n ||
                         !store_digest_equal(&body, &said.body)))
        return 2;
    return told || err != want;
}

/* As below, of a list. */
static int ask_list(struct store_view *view, uint64_t k)
{
    struct store_scope scope = test_scope(k);
    struct store_entries *entries;
    struct ca_bytes chunk;
    uint64_t want = 0, count = 0;

    for (uint64_t n = 3; n <= TOTAL; n += 3)
        want += n % 10 == k;
    enum ca_err err = store_entries_open(view, &scope, &entries);
    if (err != CA_OK)
        return 1;
    do
        err = store_entries_next(entries, &chunk);
    while (err == CA_OK && chunk.len > 0);
    count = store_entries_count(entries);
    store_entries_close(entries);
    return err != CA_OK || count != want ? 1 : 0;
}

/*
 * In a process of its own: opens the data, asks for everything. Exit 0: all answers right; 1: some
 * were refused as corrupt; 2: a wrong answer.
 */
static int ask_everything(void)
{
    struct store_certificate found;
    struct store_damage damage;
    struct store_view *view;
    struct store *store;
    int told = 0;

    enum ca_err err = store_open(test_path, &test_options, &store);
    if (err != CA_OK)
        return err == CA_ERR_STORAGE_CORRUPT || err == CA_ERR_STORAGE ? 1 : 2;
    if (store_view_open(store, &view) != CA_OK)
        return 2;
    for (uint64_t n = 1; n <= TOTAL; n++) {
        struct ca_serial serial = test_serial(n);
        struct store_digest request = test_digest('r', n);
        err = store_find_serial(view, &serial, &found);
        if (err == CA_OK && !test_is_certificate(&found, n))
            return 2;
        told += err != CA_OK;
        err = store_find_request(view, &request, &found);
        if (err == CA_OK && !test_is_certificate(&found, n))
            return 2;
        told += err != CA_OK;
        int answer = ask_status(view, n);
        if (answer == 2)
            return 2;
        told += answer;
    }
    for (uint64_t k = 0; k < 10; k++)
        told += ask_list(view, k);
    err = store_check(view, &damage);
    if (told > 0 && err == CA_OK)
        return 2; /* what a look-up stumbles over, the check must find */
    store_view_close(view);
    store_close(store);
    return err == CA_OK ? 0 : 1;
}

static int ask_in_child(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(ask_everything());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Marks the octets of certificates, found by their filler, and those of CRL entries. */
static bool *mark_certificates(void)
{
    static const uint8_t reason[] = { 0x06, 0x03, 0x55, 0x1d, 0x15 }; /* id-ce-cRLReasons */
    bool *marks = calloc(data_len, sizeof(*marks));

    for (uint64_t n = 1; n <= TOTAL; n++) {
        uint8_t der[TEST_DER_MAX];
        struct store_certificate certificate = test_certificate(n, der);
        const uint8_t *found = memmem(data, data_len, der, certificate.der.len);
        if (found != NULL)
            memset(marks + (found - data), true, certificate.der.len);
    }
    for (size_t at = 64; at + 64 < data_len; at++)
        if (ca_bytes_equal(ca_bytes_of(data + at, 5), ca_bytes_of(reason, 5)))
            memset(marks + at - 40, true, 60); /* date, serial number, key, sum */
    return marks;
}

Test(damage, every_flipped_bit_of_a_certificate_or_entry_is_told)
{
    enum { FLIPS = 150 };
    bool *marks = mark_certificates();
    uint64_t seed = 7;
    size_t used = 0;

    for (size_t at = 0; at < data_len; at++)
        if (data[at] != 0)
            used = at;
    for (int flips = 0; flips < FLIPS;) {
        size_t at = test_random(&seed) % used;
        if (!marks[at])
            continue;
        data[at] ^= (uint8_t)(1u << seed % 8);
        write_octet(at);
        int answer = ask_in_child();
        data[at] ^= (uint8_t)(1u << seed % 8);
        write_octet(at);
        /* 0: the flip met an old copy of the page, which nobody reads. */
        cr_assert(answer == 1 || answer == 0, "octet %zu: %d", at, answer);
        flips++;
    }
    free(marks);
}

Test(damage, no_flipped_bit_anywhere_gives_a_wrong_answer)
{
    enum { FLIPS = 600 };
    uint64_t seed = 99;
    size_t used = 0, told = 0, died = 0;

    for (size_t at = 0; at < data_len; at++)
        if (data[at] != 0)
            used = at;
    for (int i = 0; i < FLIPS; i++) {
        size_t at = test_random(&seed) % used;
        uint8_t bit = (uint8_t)(1u << seed % 8);
        data[at] ^= bit;
        write_octet(at);
        int answer = ask_in_child();
        data[at] ^= bit;
        write_octet(at);
        cr_assert(answer != 2, "octet %zu bit %u", at, bit);
        told += answer == 1;
        died += answer < 0;
    }
    printf("of %d flips %zu told, %zu died\n", FLIPS, told, died);
    cr_assert_gt(told, FLIPS / 4);
    /* LMDB believes the flags of a node, and follows one that it never wrote into nowhere. */
    cr_assert_leq(died, FLIPS / 100);
}

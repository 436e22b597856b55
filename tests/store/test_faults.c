/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when the disk says no: errors at any call that writes, and no room. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/support/store.h"

/* ---- the calls that write, as liblmdb and the store make them */

enum call { CALL_PWRITE, CALL_WRITEV, CALL_FDATASYNC, CALL_FSYNC, CALL_RENAME, CALL_COUNT };

static atomic_int fail_call = -1; /* which of them fails */
static atomic_int fail_after;     /* how many go well before */
static atomic_int fail_times;     /* how many then fail */
static atomic_int fail_number;    /* errno */
static atomic_bool fail_runs;     /* those of the index's files, or the others */
static atomic_int failed;

static bool is_of_index(int fd)
{
    char link[64], path[512];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    return strstr(path, "/runs") != NULL;
}

static bool fails(enum call call, int fd)
{
    if (atomic_load(&fail_call) != (int)call || is_of_index(fd) != atomic_load(&fail_runs))
        return false;
    if (atomic_fetch_sub(&fail_after, 1) > 0)
        return false;
    if (atomic_fetch_sub(&fail_times, 1) <= 0)
        return false;
    atomic_fetch_add(&failed, 1);
    errno = atomic_load(&fail_number);
    return true;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return fails(CALL_PWRITE, fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fails(CALL_WRITEV, fd) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd)
{
    return fails(CALL_FDATASYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return fails(CALL_FSYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return fails(CALL_RENAME, from_fd) ? -1 : (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

static void fail(enum call call, bool of_index, int after, int times, int number)
{
    fail_after = after;
    fail_times = times;
    fail_number = number;
    fail_runs = of_index;
    failed = 0;
    fail_call = (int)call;
}

/* ---- */

static struct store *store;

static void open_empty(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    store_close(store);
    (void)umount2(test_dir, MNT_DETACH); /* where a test has mounted something there */
    test_dir_remove();
}

TestSuite(faults, .init = open_empty, .fini = close_store, .timeout = 300);
TestSuite(privileged, .init = open_empty, .fini = close_store, .timeout = 300);

static struct store_info info(void)
{
    struct store_info got;

    store_info(store, &got);
    return got;
}

/* Certificates from to until (excluded) in one batch. */
static enum ca_err issue_batch(uint64_t from, uint64_t until)
{
    struct store_batch *batch;
    enum ca_err err = store_begin(store, &batch);

    if (err != CA_OK)
        return err;
    for (uint64_t n = from; n < until && err == CA_OK; n++) {
        err = test_put_intent(batch, n);
        if (err == CA_OK)
            err = test_put_certificate(batch, n);
    }
    if (err == CA_OK)
        return store_commit(batch);
    store_abort(batch);
    return err;
}

static void check_found(uint64_t from, uint64_t until)
{
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    for (uint64_t n = from; n < until; n++)
        test_check_found(view, n);
    store_view_close(view);
}

Test(faults, a_failed_commit_latches_and_loses_nothing)
{
    static const enum call calls[] = { CALL_PWRITE, CALL_WRITEV, CALL_FDATASYNC };
    uint64_t next = 1;
    struct store_batch *batch;

    for (size_t c = 0; c < 3; c++) {
        bool fired = true;
        for (int after = 0; fired; after++) {
            fail(calls[c], false, after, 1, EIO);
            enum ca_err err = issue_batch(next, next + 40);
            fail_call = -1;
            fired = failed > 0;
            if (fired) {
                cr_assert(err == CA_ERR_STORAGE, "call %zu after %d: %s", c, after,
                          ca_err_text(err));
                cr_assert(info().is_latched);
                check_err(store_begin(store, &batch), CA_ERR_STORAGE);
                cr_assert_null(batch);
                check_err(store_begin(store, &batch), CA_ERR_STORAGE);
            } else {
                check_ok(err);
                next += 40;
            }
            store_close(store);
            store = test_open();
            /* Unknown until now: all of the batch is there, or none. */
            uint64_t count = info().certificate_count;
            cr_assert(count == next - 1 || count == next + 39);
            next = count + 1;
            check_found(next > 90 ? next - 90 : 1, next);
            test_check_whole(store);
        }
    }
    cr_assert_gt(next, 100);
}

/* The kernel's memory, not ours: in the middle of writing, or of saying what is current. */
Test(faults, a_write_without_memory_latches_only_where_it_may_be_on_disk)
{
    static const enum call calls[] = { CALL_PWRITE, CALL_WRITEV, CALL_FDATASYNC };
    uint64_t next = 1;
    int latched = 0, passed = 0;

    for (size_t c = 0; c < 3; c++) {
        bool fired = true;
        for (int after = 0; fired; after++) {
            fail(calls[c], false, after, 1, ENOMEM);
            enum ca_err err = issue_batch(next, next + 40);
            fail_call = -1;
            fired = failed > 0;
            if (err == CA_ERR_STORAGE) {
                latched++;
                cr_assert(info().is_latched);
                store_close(store);
                store = test_open();
            } else if (err != CA_OK) {
                check_err(err, CA_ERR_NOMEM);
                passed++;
                cr_assert(!info().is_latched && info().certificate_count == next - 1);
                check_ok(issue_batch(next, next + 40));
            }
            uint64_t count = info().certificate_count;
            cr_assert(count == next - 1 || count == next + 39);
            next = count + 1;
            check_found(next > 90 ? next - 90 : 1, next);
            test_check_whole(store);
        }
    }
    cr_assert(latched > 0 && passed > 0, "%d latched, %d not", latched, passed);
}

static enum ca_err revoke_one(uint64_t n)
{
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_REVOKED, n, 1));
    return store_commit(batch);
}

static enum ca_err find_revocation(uint64_t n)
{
    struct store_view *view = test_view_open(store);
    struct store_digest request = test_digest('q', n), body;
    struct ca_serial serial = test_serial(n);
    struct store_change change;

    enum ca_err err = store_find_request_change(view, &request, &change, &body);
    if (err == CA_OK)
        cr_assert(ca_bytes_equal(ca_serial_bytes(&change.serial), ca_serial_bytes(&serial)));
    store_view_close(view);
    return err;
}

/* Others take the sequence numbers of what came to nothing. */
Test(faults, the_index_forgets_what_a_commit_without_memory_put_into_it)
{
    enum { COUNT = 40, TRIES = 7 };

    check_ok(issue_batch(1, 1 + 2 * COUNT));
    for (uint64_t n = 1; n <= COUNT; n++) {
        fail(CALL_FDATASYNC, false, 0, 1, ENOMEM);
        check_err(revoke_one(n), CA_ERR_NOMEM);
        fail_call = -1;
        check_ok(revoke_one(n + COUNT));
        check_err(find_revocation(n), CA_ERR_NOT_FOUND);
        check_ok(find_revocation(n + COUNT));
    }
    for (uint64_t n = 1; n <= COUNT; n++)
        check_ok(revoke_one(n));
    for (int i = 0; i < TRIES; i++) { /* their rows would fill tables */
        fail(CALL_FDATASYNC, false, 0, 1, ENOMEM);
        check_err(issue_batch(1000, 1000 + COUNT), CA_ERR_NOMEM);
        fail_call = -1;
    }
    check_ok(issue_batch(2000, 2000 + COUNT));
    for (int i = 0; i < 2; i++) {
        store_rest(store);
        check_found(1, 1 + 2 * COUNT);
        check_found(2000, 2000 + COUNT);
        for (uint64_t n = 1; n <= 2 * COUNT; n++)
            check_ok(find_revocation(n));
        test_check_whole(store);
        store_close(store);
        store = test_open();
    }
}

Test(faults, an_error_for_ever_is_no_crash)
{
    struct store_view *view;

    check_ok(issue_batch(1, 50));
    for (int call = CALL_PWRITE; call <= CALL_FDATASYNC; call++) {
        fail((enum call)call, false, 0, 1 << 20, EIO);
        check_err(issue_batch(100, 140), CA_ERR_STORAGE);
        check_err(issue_batch(100, 140), CA_ERR_STORAGE);
        /* Reading goes on, or says so. */
        if (store_view_open(store, &view) == CA_OK) {
            test_check_found(view, 7);
            store_view_close(view);
        }
        fail_call = -1;
        store_close(store);
        store = test_open();
        check_found(1, 50);
        if (info().certificate_count > 49) /* a false failure: it was durable */
            break;
    }
}

Test(faults, an_error_of_the_index_latches_and_loses_nothing)
{
    static const enum call calls[] = { CALL_PWRITE, CALL_FSYNC, CALL_RENAME };
    uint64_t next = 1;

    for (size_t c = 0; c < 3; c++) {
        fail(calls[c], true, 1, 1, EIO);
        enum ca_err err = CA_OK;
        uint64_t start = next;
        for (; err == CA_OK && next < start + 20000; next += err == CA_OK ? 60 : 0) {
            err = issue_batch(next, next + 60);
            if (failed > 0)
                store_rest(store);
        }
        check_err(err, CA_ERR_STORAGE);
        fail_call = -1;
        store_close(store);
        store = test_open();
        cr_assert_eq(info().certificate_count, next - 1);
        check_found(start, next);
        test_check_whole(store);
    }
}

Test(faults, no_room_for_the_index_refuses_intents_until_there_is)
{
    uint64_t next = 1;
    enum ca_err err = CA_OK;

    fail(CALL_PWRITE, true, 0, 1 << 20, ENOSPC);
    while (err == CA_OK && next < 50000) {
        err = issue_batch(next, next + 60);
        store_rest(store);
        next += err == CA_OK ? 60 : 0;
    }
    check_err(err, CA_ERR_STORAGE_FULL);
    cr_assert(info().is_full && !info().is_latched);
    fail_call = -1;
    for (int i = 0; i < 100 && (err = issue_batch(next, next + 60)) != CA_OK; i++)
        store_rest(store);
    check_ok(err);
    next += 60;
    check_ok(issue_batch(next, next + 60));
    next += 60;
    check_found(1, next);
    test_check_whole(store);
}

/* ---- no room for the data */

static void audit_only(int count)
{
    struct store_audit audit = { .kind = STORE_AUDIT_REFUSED, .actor = CA_BYTES("someone") };
    struct store_batch *batch;

    for (int i = 0; i < count; i++) {
        check_ok(store_begin(store, &batch));
        check_ok(store_put_audit(batch, &audit));
        check_ok(store_commit(batch));
    }
}

/* Revocations and lists never stop: their room was taken from the disk before. */
static void revoke_some(uint64_t from, uint64_t until)
{
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL };
    struct store_scope scope = test_scope(0);
    struct store_crl crl = { .base_number = 0 };
    struct ca_serial end = { { 0 } };
    struct store_batch *batch;
    bool is_done;

    for (uint64_t n = from; n < until; n += 10) {
        check_ok(store_begin(store, &batch));
        for (uint64_t i = n; i < n + 10; i++)
            check_ok(test_put_status(batch, i, STORE_STATE_VALID, STORE_STATE_REVOKED, i, 1));
        check_ok(store_put_crl_number(batch, &scope, &crl.number));
        check_ok(store_put_crl(batch, &scope, &crl, &audit));
        check_ok(store_put_pruned(batch, &scope, -100, UINT64_MAX, &end, 10, &is_done));
        check_ok(store_commit(batch));
    }
}

static void check_revoked(uint64_t from, uint64_t until)
{
    struct store_status status;
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    for (uint64_t n = from; n < until; n++) {
        struct store_scope scope = test_scope(n);
        struct ca_serial serial = test_serial(n);
        check_ok(store_find_status(view, &scope, &serial, &status));
        cr_assert_eq(status.state, STORE_STATE_REVOKED);
    }
    store_view_close(view);
}

/* Intents stop first; certificates of those that are there, revocations and audit go on. */
static uint64_t fill_until_full(uint64_t next)
{
    struct store_batch *batch;
    enum ca_err err = CA_OK;
    uint64_t open_from = next;

    while (err == CA_OK) {
        check_ok(store_begin(store, &batch));
        for (uint64_t n = open_from; n < next; n++)
            check_ok(test_put_certificate(batch, n));
        open_from = next;
        for (; err == CA_OK && next < open_from + 50; next += err == CA_OK)
            err = test_put_intent(batch, next);
        check_ok(store_commit(batch));
        cr_assert_lt(next, 1000000);
    }
    check_err(err, CA_ERR_STORAGE_FULL);
    cr_assert(info().is_full && !info().is_latched);
    check_ok(store_begin(store, &batch));
    for (uint64_t n = open_from; n < next; n++)
        check_ok(test_put_certificate(batch, n));
    check_ok(store_commit(batch));
    audit_only(500);
    revoke_some(1, 201);
    check_err(issue_batch(next, next + 1), CA_ERR_STORAGE_FULL);
    check_revoked(1, 201);
    return next;
}

Test(faults, a_full_map_refuses_intents_and_lets_the_rest_go_on)
{
    struct store_options options = test_options;

    store_close(store);
    options.map_size = (size_t)6 << 20;
    check_ok(store_open(test_path, &options, &store));
    uint64_t next = fill_until_full(1);
    store_close(store);
    store = test_open(); /* with a larger map it goes on */
    cr_assert_not(info().is_full);
    check_ok(issue_batch(next, next + 60));
    check_found(1, next + 60);
    test_check_whole(store);
}

/* Takes all room of the file system but a little. */
static void take_room(const char *path)
{
    static const uint8_t zeros[4096];
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);

    while (write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros))
        ;
    cr_assert_eq(errno, ENOSPC);
    close(fd);
}

Test(privileged, a_read_only_file_system_is_told)
{
    store_close(store);
    store = NULL;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(test_dir, test_dir, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, test_dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
        cr_skip_test("may not mount");
    check_err(store_open(test_path, &test_options, &store), CA_ERR_DENIED);
    cr_assert_null(store);
    cr_assert_eq(umount(test_dir), 0);
    store = test_open();
    test_check_whole(store);
}

Test(privileged, a_full_disk_refuses_intents_and_recovers_when_there_is_room)
{
    char ballast[96];

    store_close(store);
    store = NULL;
    snprintf(ballast, sizeof(ballast), "%s/ballast", test_dir);
    /* A mount of our own, gone with this process; without the right to it: see the next test. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("certmill", test_dir, "tmpfs", 0, "size=24m") != 0)
        cr_skip_test("may not mount");
    check_ok(store_create(test_path, TEST_INSTANCE));
    store = test_open();
    check_ok(issue_batch(1, 61));
    take_room(ballast);
    uint64_t next = fill_until_full(61);
    cr_assert_eq(unlink(ballast), 0);
    enum ca_err err = CA_ERR_STORAGE_FULL;
    for (int i = 0; i < 100 && err == CA_ERR_STORAGE_FULL; i++) {
        err = issue_batch(next, next + 60);
        store_rest(store);
    }
    check_ok(err);
    cr_assert_not(info().is_full);
    check_found(1, next + 60);
    test_check_whole(store);
    store_close(store);
    store = test_open();
    check_found(1, next + 60);
}

Test(faults, a_limit_of_the_file_size_is_a_full_disk)
{
    struct rlimit limit = { (rlim_t)5 << 20, (rlim_t)5 << 20 };

    store_close(store);
    store = test_open();
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    uint64_t next = fill_until_full(1);
    check_found(1, next);
    test_check_whole(store);
}

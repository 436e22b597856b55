/* SPDX-License-Identifier: Apache-2.0 */
/* What is left when the writer dies: at any moment, and at any call that writes. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/support/store.h"

/* ---- the calls that write, as liblmdb and the store make them */

static atomic_int kill_at; /* the process dies before this one of them; 0: never */

static void count_call(void)
{
    if (atomic_load(&kill_at) != 0 && atomic_fetch_sub(&kill_at, 1) == 1)
        kill(getpid(), SIGKILL);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    count_call();
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    count_call();
    return syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd)
{
    count_call();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    count_call();
    return (int)syscall(SYS_fsync, fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    count_call();
    return (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    count_call();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int unlinkat(int fd, const char *path, int flags)
{
    count_call();
    return (int)syscall(SYS_unlinkat, fd, path, flags);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    count_call();
    return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

/* ---- a writer in a process of its own */

TestSuite(crash, .init = test_dir_make, .fini = test_dir_remove, .timeout = 600);

static const struct store_options small = {
    .map_size = (size_t)1 << 30,
    .grow_size = (size_t)1 << 20,
    .reserve_size = (size_t)1 << 20,
    .run_entries = 20,
};

/* A certificate; every third is revoked at once, every ninth held and released. */
static enum ca_err put_one(struct store_batch *batch, uint64_t n)
{
    enum ca_err err = test_put_certificate(batch, n);

    if (err != CA_OK || n % 3 != 0)
        return err;
    if (n % 9 != 0)
        return test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_REVOKED, n, n);
    err = test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_HELD, n, n);
    if (err == CA_OK)
        err = test_put_status(batch, n, STORE_STATE_HELD, STORE_STATE_VALID, n, n);
    return err;
}

/* A number for a list of each batch, and what has ended by second -`until` leaves the list. */
static enum ca_err put_list(struct store_batch *batch, uint64_t until)
{
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL, .time_us = 1 };
    struct store_scope scope = test_scope(until);
    struct ca_serial from = { { 0 } };
    struct store_crl crl = { .base_number = 0 };
    bool is_done;

    enum ca_err err = store_put_crl_number(batch, &scope, &crl.number);
    if (err == CA_OK)
        err = store_put_crl(batch, &scope, &crl, &audit);
    if (err != CA_OK)
        return err;
    return store_put_pruned(batch, &scope, -(int64_t)until + 50, UINT64_MAX, &from, 8, &is_done);
}

static void check_status(struct store_view *view, uint64_t n)
{
    struct store_scope scope = test_scope(n);
    struct store_digest request = test_digest('q', n), body;
    struct ca_serial serial = test_serial(n);
    struct store_change change;
    struct store_status status;

    check_err(store_find_status(view, &scope, &serial, &status),
              n % 3 == 0 && n % 9 != 0 ? CA_OK : CA_ERR_NOT_FOUND);
    check_err(store_find_request_change(view, &request, &change, &body),
              n % 3 == 0 ? CA_OK : CA_ERR_NOT_FOUND);
}

/* Goes on from `next`, and tells after each commit up to where certificates are acknowledged. */
static void write_batches(uint64_t next, uint64_t batches, uint64_t seed, int report_fd)
{
    struct store_batch *batch;
    struct store *store;

    if (store_open(test_path, &small, &store) != CA_OK)
        _exit(2);
    uint64_t from = next, until = next;
    for (uint64_t i = 0; i < batches; i++) {
        uint64_t size = 1 + test_random(&seed) % 16;
        if (store_begin(store, &batch) != CA_OK)
            _exit(3);
        for (uint64_t n = from; n < until; n++)
            if (put_one(batch, n) != CA_OK)
                _exit(4);
        if (put_list(batch, until) != CA_OK)
            _exit(8);
        if (test_put_profile(batch, until, until) != CA_OK)
            _exit(9);
        for (uint64_t n = until; n < until + size; n++)
            if (test_put_intent(batch, n) != CA_OK)
                _exit(5);
        if (store_commit(batch) != CA_OK)
            _exit(6);
        const uint64_t told[2] = { until, until + size }; /* certificates, intents below */
        if (write(report_fd, told, sizeof(told)) != (ssize_t)sizeof(told))
            _exit(7);
        from = until;
        until += size;
    }
    store_close(store);
    _exit(0);
}

struct progress {
    uint64_t certificates, intents; /* below: acknowledged */
};

/* All that was acknowledged is there, nothing half; what is open gets its certificate now. */
static uint64_t check_and_resolve(uint64_t first, struct progress told, uint64_t seed)
{
    struct store_intent intents[64];
    struct store_batch *batch;
    struct store_view *view;
    struct store_info info;
    struct store *store;
    size_t count;

    enum ca_err err = store_open(test_path, &small, &store);
    cr_assert(err == CA_OK, "%s, seed %llu", ca_err_text(err), (unsigned long long)seed);
    check_ok(store_view_open(store, &view));
    for (uint64_t n = first; n < told.certificates; n++) {
        test_check_found(view, n);
        check_status(view, n);
    }
    check_ok(store_find_intents(view, 0, intents, 64, &count));
    store_info(store, &info);
    uint64_t next = info.clock_us + 1;
    cr_assert_geq(next, told.intents);
    cr_assert_eq(info.certificate_count + count, next - 1, "every number is one or the other");
    cr_assert_eq(info.intent_count, count);
    check_ok(store_begin(store, &batch));
    for (size_t i = 0; i < count; i++)
        check_ok(put_one(batch, ca_serial_time_us(&intents[i].serial)));
    check_ok(store_commit(batch));
    store_view_close(view);
    test_check_whole(store);
    store_close(store);
    return next;
}

static pid_t start_writer(uint64_t next, uint64_t batches, uint64_t seed, int at,
                          int *report_fd_out)
{
    int report[2];

    cr_assert_eq(pipe(report), 0);
    pid_t child = fork();
    if (child == 0) {
        close(report[0]);
        kill_at = at;
        write_batches(next, batches, seed, report[1]);
    }
    close(report[1]);
    *report_fd_out = report[0];
    return child;
}

static void read_progress(int fd, struct progress *progress, uint64_t count_max)
{
    uint64_t told[2];

    for (uint64_t i = 0; i < count_max; i++) {
        if (read(fd, told, sizeof(told)) != (ssize_t)sizeof(told))
            break;
        *progress = (struct progress){ told[0], told[1] };
    }
}

Test(crash, killed_at_random_moments_nothing_acknowledged_is_lost)
{
    enum { ROUNDS = 60 };
    uint64_t seed = (uint64_t)getpid() * 2654435761u, next = 1;
    int status;

    printf("seed %llu\n", (unsigned long long)seed);
    check_ok(store_create(test_path, TEST_INSTANCE));
    for (int round = 0; round < ROUNDS; round++) {
        struct progress told = { next, next };
        int report_fd;
        pid_t child = start_writer(next, 1 << 20, test_random(&seed), 0, &report_fd);
        read_progress(report_fd, &told, test_random(&seed) % 40);
        for (volatile uint64_t i = test_random(&seed) % 400000; i > 0; i--)
            ; /* somewhere in the middle of what it does next */
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        cr_assert(WIFSIGNALED(status), "round %d: exit %d", round, WEXITSTATUS(status));
        read_progress(report_fd, &told, UINT64_MAX);
        close(report_fd);
        next = check_and_resolve(round % 10 == 9 ? 1 : next, told, seed);
    }
}

Test(crash, killed_before_each_call_that_writes_nothing_acknowledged_is_lost)
{
    uint64_t next = 1;
    bool fired = true;
    int at;

    check_ok(store_create(test_path, TEST_INSTANCE));
    for (at = 1; fired; at++) {
        struct progress told = { next, next };
        int report_fd, status;
        pid_t child = start_writer(next, 12, (uint64_t)at, at, &report_fd);
        waitpid(child, &status, 0);
        fired = WIFSIGNALED(status);
        cr_assert(fired || status == 0, "call %d: exit %d", at, WEXITSTATUS(status));
        read_progress(report_fd, &told, UINT64_MAX);
        close(report_fd);
        next = check_and_resolve(next, told, (uint64_t)at);
    }
    cr_assert_gt(at, 50, "only %d calls", at);
}

Test(crash, killed_while_it_is_created_it_is_whole_or_not_there)
{
    bool fired = true;
    int at;

    for (at = 1; fired; at++) {
        struct store *store;
        int status;
        pid_t child = fork();
        if (child == 0) {
            kill_at = at;
            _exit(store_create(test_path, TEST_INSTANCE) == CA_OK ? 0 : 1);
        }
        waitpid(child, &status, 0);
        fired = WIFSIGNALED(status);
        cr_assert(fired || status == 0);
        if (access(test_path, F_OK) != 0)
            continue;
        check_ok(store_open(test_path, &small, &store));
        test_issue(store, 1, 30, 10);
        store_close(store);
        folder_drop(test_path);
    }
    cr_assert_gt(at, 5);
}

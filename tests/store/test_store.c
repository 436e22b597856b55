/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "store/tables.h"
#include "tests/support/store.h"

static struct store *store;

static void open_empty(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(store, .init = open_empty, .fini = close_store, .timeout = 120);

static void reopen(void)
{
    store_close(store);
    store = test_open();
}

static struct store_batch *begin(void)
{
    return test_begin(store);
}

static struct store_view *view_open(void)
{
    return test_view_open(store);
}

static struct store_info info(void)
{
    struct store_info got;

    store_info(store, &got);
    return got;
}

/* ---- create and open */

Test(store, a_new_store_is_empty_and_knows_its_instance)
{
    struct store_info got = info();

    cr_assert_eq(got.instance, TEST_INSTANCE);
    cr_assert_eq(got.schema, 1);
    cr_assert_eq(got.certificate_count, 0);
    cr_assert_eq(got.intent_count, 0);
    cr_assert_eq(got.change_sequence, 0);
    cr_assert_eq(got.clock_us, 0);
    cr_assert(!got.is_full && !got.is_latched);
    cr_assert_gt(got.bytes_free, 0);
    test_check_whole(store);
}

Test(store, creating_over_something_is_refused_and_changes_nothing)
{
    test_issue(store, 1, 3, 2);
    check_err(store_create(test_path, 9), CA_ERR_EXISTS);
    reopen();
    cr_assert_eq(info().instance, TEST_INSTANCE);
    cr_assert_eq(info().certificate_count, 2);
}

Test(store, creating_in_a_missing_place_leaves_nothing)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/missing/store", test_dir);
    check_err(store_create(path, 1), CA_ERR_NOT_FOUND);
    cr_assert_eq(access(path, F_OK), -1);
}

Test(store, creating_leaves_no_temporary_directory)
{
    DIR *directory = opendir(test_dir);
    int count = 0;

    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    cr_assert_eq(count, 3, "., .. and the store");
}

Test(store, opening_what_is_not_there_is_not_found)
{
    struct store *other;
    char path[128];

    snprintf(path, sizeof(path), "%s/missing", test_dir);
    check_err(store_open(path, NULL, &other), CA_ERR_NOT_FOUND);
    cr_assert_null(other);
}

Test(store, a_second_open_is_refused_while_the_first_lasts)
{
    struct store *other;

    check_err(store_open(test_path, &test_options, &other), CA_ERR_IN_USE);
    cr_assert_null(other);
    store_close(store);
    check_ok(store_open(test_path, &test_options, &store));
}

Test(store, a_killed_process_leaves_no_lock)
{
    struct store *other;
    int ready[2];
    char byte;

    store_close(store);
    store = NULL;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (store_open(test_path, &test_options, &other) == CA_OK && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    check_err(store_open(test_path, &test_options, &other), CA_ERR_IN_USE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    store = test_open();
}

/* ---- batches */

Test(store, what_was_committed_survives_reopening)
{
    test_issue(store, 1, 1001, 64);
    reopen();

    struct store_view *view = view_open();
    for (uint64_t n = 1; n <= 1000; n++)
        test_check_found(view, n);
    test_check_absent(view, 5000);
    store_view_close(view);
    cr_assert_eq(info().certificate_count, 1000);
    cr_assert_eq(info().intent_count, 0);
    cr_assert_eq(info().change_sequence, 1000);
    cr_assert_eq(info().audit_sequence, 1000);
    test_check_whole(store);
}

Test(store, an_aborted_batch_leaves_no_trace)
{
    test_issue(store, 1, 11, 10);
    struct store_info before = info();
    struct store_batch *batch = begin();
    for (uint64_t n = 20; n < 40; n++)
        check_ok(test_put_intent(batch, n));
    check_ok(store_put_clock(batch, 99999));
    store_abort(batch);

    struct store_info after = info();
    cr_assert_eq(after.intent_count, 0);
    cr_assert_eq(after.clock_us, before.clock_us);
    cr_assert(
        ca_bytes_equal(ca_bytes_of(after.audit_head, 32), ca_bytes_of(before.audit_head, 32)));
    /* and its serials are free */
    test_issue(store, 20, 40, 7);
    test_check_whole(store);
}

Test(store, an_empty_batch_commits)
{
    check_ok(store_commit(begin()));
    cr_assert_eq(info().change_sequence, 0);
}

/* Whatever it was that failed: what was put before it is not committed without it. */
Test(store, a_batch_that_failed_in_the_middle_does_not_commit)
{
    struct store_batch *batch = begin();

    check_ok(test_put_intent(batch, 1));
    check_err(store_batch_fail(batch, MDB_CORRUPTED), CA_ERR_STORAGE);
    check_err(test_put_intent(batch, 2), CA_ERR_STORAGE);
    check_err(store_commit(batch), CA_ERR_STORAGE);
    check_err(store_begin(store, &batch), CA_ERR_STORAGE);
    cr_assert_eq(info().intent_count, 0);
    reopen();
    cr_assert_eq(info().intent_count, 0);
    check_ok(store_commit(begin()));
}

Test(store, a_serial_is_never_used_twice)
{
    test_issue(store, 100, 110, 10);
    struct store_batch *batch = begin();
    check_err(test_put_intent(batch, 105), CA_ERR_EXISTS);
    check_ok(test_put_intent(batch, 50)); /* out of order is no error */
    check_err(test_put_intent(batch, 50), CA_ERR_EXISTS);
    check_ok(test_put_intent(batch, 200));
    check_err(test_put_intent(batch, 200), CA_ERR_EXISTS);
    check_err(test_put_certificate(batch, 105), CA_ERR_EXISTS);
    check_ok(store_commit(batch));
    reopen();
    batch = begin();
    check_err(test_put_intent(batch, 50), CA_ERR_EXISTS);
    check_err(test_put_intent(batch, 200), CA_ERR_EXISTS);
    check_err(test_put_intent(batch, 109), CA_ERR_EXISTS);
    store_abort(batch);
    cr_assert_eq(info().intent_count, 2);
    test_check_whole(store);
}

Test(store, a_locator_is_never_used_twice)
{
    static const uint8_t other[CA_SERIAL_RANDOM_LEN] = { 1, 2, 3 };
    struct store_intent intent = test_intent(105);
    struct store_batch *batch;

    test_issue(store, 100, 110, 10);
    intent.serial = ca_serial_make(TEST_INSTANCE, 105, other);
    batch = begin();
    check_err(store_put_intent(batch, &intent), CA_ERR_EXISTS);
    store_abort(batch);
}

Test(store, a_certificate_needs_its_intent)
{
    struct store_batch *batch = begin();

    check_err(test_put_certificate(batch, 1), CA_ERR_NOT_FOUND);
    check_ok(test_put_intent(batch, 1));
    check_ok(test_put_certificate(batch, 1));
    check_err(test_put_certificate(batch, 1), CA_ERR_EXISTS);
    check_ok(store_commit(batch));
    cr_assert_eq(info().certificate_count, 1);
    cr_assert_eq(info().audit_sequence, 1);
    test_check_whole(store);
}

Test(store, a_certificate_must_be_what_its_intent_said)
{
    uint8_t der[TEST_DER_MAX];
    struct store_digest *fields[4];
    struct store_certificate certificate;
    struct store_batch *batch = begin();

    check_ok(test_put_intent(batch, 1));
    for (int i = 0; i < 4; i++) {
        certificate = test_certificate(1, der);
        fields[0] = &certificate.request;
        fields[1] = &certificate.body;
        fields[2] = &certificate.profile;
        fields[3] = &certificate.issuer;
        fields[i]->bytes[3] ^= 1;
        struct store_audit audit = test_audit(&certificate.serial, 1);
        check_err(store_put_certificate(batch, &certificate, &audit), CA_ERR_INTENT_CHANGED);
    }
    check_ok(test_put_certificate(batch, 1));
    check_ok(store_commit(batch));
    test_check_whole(store);
}

Test(store, intents_are_listed_until_their_certificate_comes)
{
    struct store_intent found[16];
    struct store_batch *batch = begin();
    size_t count;

    for (uint64_t n = 1; n <= 10; n++)
        check_ok(test_put_intent(batch, n));
    check_ok(store_commit(batch));
    batch = begin();
    for (uint64_t n = 2; n <= 10; n += 2)
        check_ok(test_put_certificate(batch, n));
    check_ok(store_commit(batch));
    reopen();

    struct store_view *view = view_open();
    check_ok(store_find_intents(view, 0, found, 16, &count));
    cr_assert_eq(count, 5);
    for (size_t i = 0; i < count; i++) {
        struct store_intent want = test_intent(2 * i + 1);
        check_bytes(ca_serial_bytes(&found[i].serial), ca_serial_bytes(&want.serial));
        cr_assert(store_digest_equal(&found[i].request, &want.request));
        cr_assert(store_digest_equal(&found[i].body, &want.body));
        cr_assert(store_digest_equal(&found[i].profile, &want.profile));
        cr_assert(store_digest_equal(&found[i].issuer, &want.issuer));
        check_bytes(ca_bytes_of(found[i].tbs_digest, 32), ca_bytes_of(want.tbs_digest, 32));
    }
    check_ok(store_find_intents(view, test_locator(3), found, 2, &count));
    cr_assert_eq(count, 2);
    cr_assert_eq(ca_serial_time_us(&found[0].serial), 5);
    check_ok(store_find_intent(view, &found[0].serial, &found[1]));
    struct ca_serial gone = test_serial(4);
    check_err(store_find_intent(view, &gone, &found[1]), CA_ERR_NOT_FOUND);
    store_view_close(view);
}

Test(store, records_may_come_slightly_out_of_order)
{
    static const uint64_t order[] = { 5, 3, 4, 1, 2, 9, 7, 8, 6 };
    struct store_batch *batch = begin();

    for (size_t i = 0; i < 9; i++)
        check_ok(test_put_intent(batch, order[i]));
    check_ok(store_commit(batch));
    batch = begin();
    for (size_t i = 9; i-- > 0;)
        check_ok(test_put_certificate(batch, order[i]));
    check_ok(store_commit(batch));

    struct store_view *view = view_open();
    for (uint64_t n = 1; n <= 9; n++)
        test_check_found(view, n);
    store_view_close(view);
    test_check_whole(store);
}

/* Small ones and the longest there may be, more than wait for their seals at a time. */
Test(store, a_batch_takes_certificates_of_any_length_in_a_row)
{
    static uint8_t der[CA_CERTIFICATE_LEN_MAX];
    enum { COUNT = 100 };
    struct store_batch *batch = begin();

    for (uint64_t n = 1; n <= COUNT; n++)
        check_ok(test_put_intent(batch, n));
    for (uint64_t n = 1; n <= COUNT; n++) {
        struct store_certificate certificate = test_certificate(n, der);
        struct store_audit audit = test_audit(&certificate.serial, n);
        memset(der, (int)n, sizeof(der));
        certificate.der = ca_bytes_of(der, n % 3 == 0 ? sizeof(der) : n);
        check_ok(store_put_certificate(batch, &certificate, &audit));
    }
    check_ok(store_commit(batch));

    struct store_view *view = view_open();
    for (uint64_t n = 1; n <= COUNT; n++) {
        struct ca_serial serial = test_serial(n);
        struct store_certificate found;
        check_ok(store_find_serial(view, &serial, &found));
        cr_assert_eq(found.der.len, n % 3 == 0 ? sizeof(der) : n);
        for (size_t i = 0; i < found.der.len; i++)
            cr_assert_eq(found.der.data[i], n);
    }
    store_view_close(view);
    cr_assert_eq(info().intent_count, 0);
    test_check_whole(store);
}

Test(store, what_waits_for_its_seal_goes_with_an_aborted_batch)
{
    struct store_batch *batch = begin();

    check_ok(test_put_intent(batch, 1));
    store_abort(batch);
    batch = begin();
    check_err(test_put_certificate(batch, 1), CA_ERR_NOT_FOUND);
    check_ok(test_put_intent(batch, 2));
    check_ok(store_commit(batch));
    cr_assert_eq(info().intent_count, 1);
    test_check_whole(store);
}

Test(store, a_view_is_the_last_commit_frozen)
{
    test_issue(store, 1, 11, 10);
    struct store_view *view = view_open();
    test_issue(store, 11, 21, 10);

    test_check_found(view, 10);
    test_check_absent(view, 15);
    check_ok(store_view_renew(view));
    test_check_found(view, 15);
    store_view_rest(view);
    store_view_rest(view);
    test_issue(store, 21, 31, 10);
    check_ok(store_view_renew(view));
    test_check_found(view, 25);
    store_view_close(view);
    store_view_close(NULL);
}

Test(store, the_clock_only_goes_up_and_is_kept)
{
    struct store_batch *batch = begin();

    check_ok(store_put_clock(batch, 5000));
    check_ok(store_commit(batch));
    batch = begin();
    check_ok(store_put_clock(batch, 4000));
    check_ok(store_commit(batch));
    cr_assert_eq(info().clock_us, 5000);
    batch = begin();
    check_ok(test_put_intent(batch, 6000));
    check_ok(store_commit(batch));
    cr_assert_eq(info().clock_us, 6000);
    reopen();
    cr_assert_eq(info().clock_us, 6000);
}

/* ---- lists and cursors */

Test(store, an_identity_is_read_with_a_cursor_across_memory_runs_and_merges)
{
    enum { TOTAL = 2500 };
    uint8_t der[TEST_DER_MAX];
    struct store_certificate found[7];
    struct store_digest identity = test_digest('s', 1), key = test_digest('k', 2);

    /* Every third certificate is of one identity, every other of one key. */
    for (uint64_t start = 1; start <= TOTAL; start += 50) {
        struct store_batch *batch = begin();
        for (uint64_t n = start; n < start + 50; n++) {
            struct store_certificate certificate =
                test_certificate_of(n, n % 3, n % 2 == 0 ? 2 : 1000 + n, der);
            struct store_audit audit = test_audit(&certificate.serial, n);
            check_ok(test_put_intent(batch, n));
            check_ok(store_put_certificate(batch, &certificate, &audit));
        }
        check_ok(store_commit(batch));
    }
    for (int round = 0; round < 2; round++) {
        struct store_view *view = view_open();
        uint64_t after = 0, next = 1;
        size_t count;
        do {
            check_ok(
                store_find_digest(view, STORE_BY_IDENTITY, &identity, after, found, 7, &count));
            for (size_t i = 0; i < count; i++, next += 3) {
                cr_assert_eq(ca_serial_time_us(&found[i].serial), next);
                after = ca_serial_locator(&found[i].serial);
            }
        } while (count == 7);
        cr_assert_eq(next, TOTAL + 3);
        after = 0, next = 2;
        do {
            check_ok(store_find_digest(view, STORE_BY_KEY, &key, after, found, 5, &count));
            for (size_t i = 0; i < count; i++, next += 2) {
                cr_assert_eq(ca_serial_time_us(&found[i].serial), next);
                after = ca_serial_locator(&found[i].serial);
            }
        } while (count == 5);
        cr_assert_eq(next, TOTAL + 2);
        store_view_close(view);
        store_rest(store);
        cr_assert_gt(info().run_count, 0);
        cr_assert_lt(info().run_count, 20, "merged");
        reopen();
    }
    test_check_whole(store);
}

Test(store, certificates_are_listed_by_time_of_issue)
{
    struct store_certificate found[64];
    struct store_view *view;
    size_t count;

    test_issue(store, 1000, 1200, 16);
    view = view_open();
    check_ok(store_find_time(view, 1050, 1060, 0, found, 64, &count));
    cr_assert_eq(count, 10);
    cr_assert(test_is_certificate(&found[0], 1050) && test_is_certificate(&found[9], 1059));
    check_ok(store_find_time(view, 1050, 1060, test_locator(1054), found, 2, &count));
    cr_assert(count == 2 && test_is_certificate(&found[0], 1055));
    check_ok(store_find_time(view, 0, UINT64_MAX, test_locator(1190), found, 64, &count));
    cr_assert_eq(count, 9);
    check_ok(store_find_time(view, 1060, 1050, 0, found, 64, &count));
    cr_assert_eq(count, 0);
    check_ok(store_find_time(view, UINT64_MAX - 1, UINT64_MAX, 0, found, 64, &count));
    cr_assert_eq(count, 0);
    check_ok(store_find_time(view, 0, 1000, 0, found, 64, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
}

Test(store, changes_are_fed_in_order_of_commit)
{
    struct store_change found[30];
    struct store_view *view;
    size_t count;

    test_issue(store, 1, 26, 10);
    view = view_open();
    check_ok(store_find_changes(view, 0, found, 30, &count));
    cr_assert_eq(count, 25);
    for (size_t i = 0; i < count; i++) {
        struct ca_serial serial = test_serial(i + 1);
        cr_assert_eq(found[i].sequence, i + 1);
        cr_assert_eq(found[i].time_us, i + 1);
        cr_assert(found[i].old_state == STORE_STATE_NONE &&
                  found[i].new_state == STORE_STATE_VALID);
        check_bytes(ca_serial_bytes(&found[i].serial), ca_serial_bytes(&serial));
    }
    check_ok(store_find_changes(view, 23, found, 30, &count));
    cr_assert(count == 2 && found[0].sequence == 24);
    check_ok(store_find_changes(view, 25, found, 30, &count));
    cr_assert_eq(count, 0);
    check_ok(store_find_changes(view, UINT64_MAX, found, 30, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
}

Test(store, the_audit_chain_is_listed_and_ends_at_its_head)
{
    struct store_audit_entry found[8];
    struct store_view *view;
    size_t count;

    test_issue(store, 1, 4, 2);
    struct store_batch *batch = begin();
    struct store_audit audit = { .kind = STORE_AUDIT_STOPPED, .time_us = 77 };
    check_ok(store_put_audit(batch, &audit));
    check_ok(store_commit(batch));
    view = view_open();
    check_ok(store_find_audit(view, 0, found, 8, &count));
    cr_assert_eq(count, 4);
    check_bytes(found[0].audit.actor, CA_BYTES("uid:1000"));
    cr_assert_eq(found[3].audit.kind, STORE_AUDIT_STOPPED);
    cr_assert_eq(found[3].audit.time_us, 77);
    check_bytes(ca_bytes_of(found[3].chain, 32), ca_bytes_of(info().audit_head, 32));
    check_ok(store_find_audit(view, 2, found, 8, &count));
    cr_assert(count == 2 && found[0].sequence == 3);
    check_ok(store_find_audit(view, 9, found, 8, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
}

Test(store, each_place_in_the_audit_chain_is_told)
{
    struct store_audit_head head, first, place;
    struct store_audit_entry found[3];
    struct store_view *view = view_open();
    size_t count;

    check_ok(store_view_audit_head(view, &head));
    check_ok(store_find_audit_head(view, 0, &first));
    cr_assert(head.sequence == 0 && first.sequence == 0);
    check_bytes(ca_bytes_of(head.chain, 32), ca_bytes_of(first.chain, 32));
    store_view_close(view);

    test_issue(store, 1, 4, 2);
    view = view_open();
    check_ok(store_find_audit(view, 0, found, 3, &count));
    for (size_t i = 0; i < count; i++) {
        check_ok(store_find_audit_head(view, i + 1, &place));
        cr_assert_eq(place.sequence, i + 1);
        check_bytes(ca_bytes_of(place.chain, 32), ca_bytes_of(found[i].chain, 32));
    }
    test_issue(store, 4, 6, 2); /* the view is from before */
    check_ok(store_view_audit_head(view, &head));
    cr_assert_eq(head.sequence, 3);
    check_bytes(ca_bytes_of(head.chain, 32), ca_bytes_of(place.chain, 32));
    check_err(store_find_audit_head(view, 4, &place), CA_ERR_NOT_FOUND);
    check_err(store_find_audit_head(view, UINT64_MAX, &place), CA_ERR_NOT_FOUND);
    check_ok(store_find_audit_head(view, 0, &place));
    check_bytes(ca_bytes_of(place.chain, 32), ca_bytes_of(first.chain, 32));
    store_view_close(view);
}

/* ---- read only */

Test(store, read_only_sees_a_stopped_store_and_writes_nothing)
{
    struct store_options options = test_options;

    test_issue(store, 1, 501, 50);
    store_close(store);
    options.is_read_only = true;
    check_ok(store_open(test_path, &options, &store));
    struct store_view *view = view_open();
    for (uint64_t n = 1; n <= 500; n += 7)
        test_check_found(view, n);
    test_check_absent(view, 1000);
    store_view_close(view);
    cr_assert_eq(info().certificate_count, 500);
    test_check_whole(store);
}

Test(store, read_only_follows_a_running_store)
{
    struct store_options options = test_options;
    int to_child[2], to_parent[2];
    char byte;

    cr_assert(pipe(to_child) == 0 && pipe(to_parent) == 0);
    store_close(store);
    store = NULL;
    pid_t child = fork();
    if (child == 0) { /* the daemon: issues 400 at each byte */
        struct store *daemon = test_open();
        uint64_t n = 1;
        while (read(to_child[0], &byte, 1) == 1 && byte == 'i') {
            test_issue(daemon, n, n + 400, 40);
            n += 400;
            if (write(to_parent[1], "d", 1) != 1)
                _exit(1);
        }
        store_close(daemon);
        _exit(0);
    }
    cr_assert(write(to_child[1], "i", 1) == 1 && read(to_parent[0], &byte, 1) == 1);
    options.is_read_only = true;
    check_ok(store_open(test_path, &options, &store));
    struct store_view *view = view_open();
    test_check_found(view, 400);
    test_check_absent(view, 10000);
    for (int i = 0; i < 3; i++)
        cr_assert(write(to_child[1], "i", 1) == 1 && read(to_parent[0], &byte, 1) == 1);
    check_ok(store_view_renew(view));
    for (uint64_t n = 1; n <= 1600; n++)
        test_check_found(view, n);
    cr_assert_eq(info().certificate_count, 1600);
    store_view_close(view);
    cr_assert(write(to_child[1], "q", 1) == 1);
    int status;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What lists are made from: scopes, numbers, entries, pruning. */
#include <signal.h>
#include <sys/wait.h>

#include "ca/x509/crl.h"
#include "tests/support/store.h"

enum { ENTRIES_MAX = 40000 };

static struct store *store;
/* All in one scope: certificates whose number is divisible by ten. */
static const uint64_t in_scope = 10;

static void open_store(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(entries, .init = open_store, .fini = close_store, .timeout = 120);

static void put(uint64_t n, enum store_state from, enum store_state to)
{
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_status(batch, n, from, to, n, 9000000 + n));
    check_ok(store_commit(batch));
}

/* Revokes ten times `from` to ten times `until` (excluded), intents and all. */
static void revoke_many(uint64_t from, uint64_t until)
{
    struct store_batch *batch = test_begin(store);

    for (uint64_t i = from; i < until; i++) {
        check_ok(test_put_intent(batch, 10 * i));
        check_ok(test_put_certificate(batch, 10 * i));
    }
    for (uint64_t i = until; i-- > from;) /* against the order of serial numbers */
        check_ok(test_put_status(batch, 10 * i, STORE_STATE_VALID, STORE_STATE_REVOKED, i, 7));
    check_ok(store_commit(batch));
}

struct read {
    size_t count;
    uint64_t len;
    uint64_t numbers[ENTRIES_MAX]; /* of the certificates */
    enum x509_crl_reason reasons[ENTRIES_MAX];
    int64_t dates_s[ENTRIES_MAX];
};
static struct read got;

/* What a reader of the list sees. */
static void read_entries(struct store_entries *entries)
{
    struct ca_refusal refusal;
    struct ca_bytes chunk;
    size_t chunks = 0;

    memset(&got, 0, sizeof(got));
    for (;; chunks++) {
        check_ok(store_entries_next(entries, &chunk));
        if (chunk.len == 0)
            break;
        struct x509_crl_cursor cursor = { chunk.data, chunk.data + chunk.len };
        while (!x509_crl_at_end(&cursor)) {
            struct x509_crl_entry entry;
            struct ca_serial serial;
            check_ok(x509_crl_next(&cursor, &entry, &refusal));
            check_ok(ca_serial_from_bytes(entry.serial, &serial));
            got.numbers[got.count] = ca_serial_time_us(&serial);
            got.reasons[got.count] = entry.reason;
            got.dates_s[got.count++] = entry.revoked_s;
        }
        got.len += chunk.len;
    }
    check_ok(store_entries_next(entries, &chunk));
    cr_assert_eq(chunk.len, 0, "the end stays the end");
    cr_assert_eq(got.count, store_entries_count(entries));
    cr_assert_eq(got.len, store_entries_len(entries));
    for (size_t i = 1; i < got.count; i++)
        cr_assert_lt(got.numbers[i - 1], got.numbers[i]);
}

/* Complete when since is UINT64_MAX. The octets read, for the second reading. */
static void read_list(uint64_t since)
{
    struct store_scope scope = test_scope(in_scope);
    struct store_view *view = test_view_open(store);
    struct store_entries *entries;

    if (since == UINT64_MAX)
        check_ok(store_entries_open(view, &scope, &entries));
    else
        check_ok(store_entries_open_since(view, &scope, since, &entries));
    read_entries(entries);
    uint64_t len = got.len;
    check_ok(store_entries_rewind(entries));
    read_entries(entries);
    cr_assert_eq(got.len, len);
    store_entries_close(entries);
    store_view_close(view);
}

static uint64_t last_sequence(void)
{
    struct store_view *view = test_view_open(store);
    uint64_t sequence;

    check_ok(store_view_sequence(view, &sequence));
    store_view_close(view);
    return sequence;
}

static struct store_scope_info scope_info(void)
{
    struct store_scope scope = test_scope(in_scope);
    struct store_view *view = test_view_open(store);
    struct store_scope_info info;

    check_ok(store_find_scope(view, &scope, &info));
    store_view_close(view);
    return info;
}

/* ---- complete lists */

Test(entries, of_an_empty_scope_there_are_none)
{
    read_list(UINT64_MAX);
    cr_assert_eq(got.count, 0);
    read_list(0);
    cr_assert_eq(got.count, 0);
    cr_assert_eq(scope_info().last_number, 0);
}

Test(entries, a_list_has_all_of_its_scope_in_order_and_nothing_else)
{
    test_issue(store, 1, 60, 10);
    for (uint64_t n = 59; n >= 1; n--)
        put(n, STORE_STATE_VALID, n % 20 == 0 ? STORE_STATE_HELD : STORE_STATE_REVOKED);
    read_list(UINT64_MAX);
    cr_assert_eq(got.count, 5);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(got.numbers[i], 10 * (i + 1));
        cr_assert_eq(got.reasons[i],
                     i % 2 == 1 ? X509_CRL_CERTIFICATE_HOLD : X509_CRL_KEY_COMPROMISE);
        cr_assert_eq(got.dates_s[i], 1000000 + (int64_t)(10 * (i + 1)));
    }
    test_check_whole(store);
}

Test(entries, a_list_of_many_chunks_is_whole)
{
    for (uint64_t from = 1; from < 10000; from += 2500)
        revoke_many(from, from + 2500);
    read_list(UINT64_MAX);
    cr_assert_eq(got.count, 10000);
    cr_assert_gt(got.len, 3 * 128 * 1024);
    cr_assert(got.numbers[0] == 10 && got.numbers[9999] == 100000);
    test_check_whole(store);
}

Test(entries, a_view_reads_its_own_list_while_others_change_it)
{
    struct store_scope scope = test_scope(in_scope);
    struct store_entries *entries;

    revoke_many(1, 100);
    struct store_view *view = test_view_open(store);
    check_ok(store_entries_open(view, &scope, &entries));
    revoke_many(100, 200);
    put(10, STORE_STATE_REVOKED, STORE_STATE_VALID);
    read_entries(entries);
    cr_assert(got.count == 99 && got.numbers[0] == 10);
    cr_assert_eq(store_entries_first_end(entries), -990);
    store_entries_close(entries);
    store_view_close(view);
    read_list(UINT64_MAX);
    cr_assert(got.count == 198 && got.numbers[0] == 20);
}

/* ---- delta lists */

Test(entries, a_delta_has_what_changed_since_and_says_what_was_released)
{
    test_issue(store, 1, 60, 10);
    put(10, STORE_STATE_VALID, STORE_STATE_REVOKED);
    put(20, STORE_STATE_VALID, STORE_STATE_HELD);
    put(30, STORE_STATE_VALID, STORE_STATE_HELD);
    uint64_t since = last_sequence();
    put(40, STORE_STATE_VALID, STORE_STATE_REVOKED);
    put(20, STORE_STATE_HELD, STORE_STATE_VALID);
    put(30, STORE_STATE_HELD, STORE_STATE_REVOKED);
    put(11, STORE_STATE_VALID, STORE_STATE_REVOKED); /* of another scope */
    read_list(since);
    cr_assert_eq(got.count, 3);
    cr_assert(got.numbers[0] == 20 && got.reasons[0] == X509_CRL_REMOVE_FROM_CRL &&
              got.dates_s[0] == 9);
    cr_assert(got.numbers[1] == 30 && got.reasons[1] == X509_CRL_KEY_COMPROMISE);
    cr_assert(got.numbers[2] == 40 && got.dates_s[2] == 1000040);
    read_list(last_sequence());
    cr_assert_eq(got.count, 0);
    read_list(UINT64_MAX - 1);
    cr_assert_eq(got.count, 0);
}

Test(entries, of_many_changes_a_delta_tells_the_last)
{
    test_issue(store, 1, 60, 10);
    uint64_t since = last_sequence();
    for (int i = 0; i < 5; i++) {
        put(10, STORE_STATE_VALID, STORE_STATE_HELD);
        put(20, STORE_STATE_VALID, STORE_STATE_HELD);
        put(20, STORE_STATE_HELD, STORE_STATE_VALID);
        put(10, STORE_STATE_HELD, STORE_STATE_VALID);
    }
    put(10, STORE_STATE_VALID, STORE_STATE_HELD);
    read_list(since);
    cr_assert(got.count == 2 && got.reasons[0] == X509_CRL_CERTIFICATE_HOLD &&
              got.reasons[1] == X509_CRL_REMOVE_FROM_CRL);
}

Test(entries, a_delta_of_too_many_certificates_is_refused)
{
    enum { EACH = 4096 };
    struct store_scope scope = { test_digest('i', 0), 0 };
    struct store_view *view;
    struct store_entries *entries;
    /* ThreadSanitizer does not always find room for a TiB. */
    struct store_options options = { .map_size = (size_t)256 << 30 };

    store_close(store);
    check_ok(store_open(test_path, &options, &store));
    for (uint64_t done = 0; done <= STORE_DELTA_ENTRIES_MAX; done += EACH) {
        struct store_batch *batch = test_begin(store);
        for (uint64_t i = done; i < done + EACH && i <= STORE_DELTA_ENTRIES_MAX; i++)
            check_ok(
                test_put_status(batch, 10 * (i + 1), STORE_STATE_NONE, STORE_STATE_REVOKED, 1, 7));
        check_ok(store_commit(batch));
    }
    view = test_view_open(store);
    check_err(store_entries_open_since(view, &scope, 0, &entries), CA_ERR_TOO_MANY_ITEMS);
    cr_assert_null(entries);
    check_ok(store_entries_open_since(view, &scope, 1, &entries));
    cr_assert_eq(store_entries_count(entries), STORE_DELTA_ENTRIES_MAX);
    store_entries_close(entries);
    store_view_close(view);
}

/* ---- numbers and published lists */

static enum ca_err put_crl(struct store_batch *batch, uint64_t number, uint64_t base)
{
    struct store_scope scope = test_scope(in_scope);
    const struct store_crl crl = { .number = number,
                                   .base_number = base,
                                   .this_update_s = (int64_t)number,
                                   .next_update_s = (int64_t)number + 9,
                                   .entry_count = number % 17,
                                   .len = 1000 + number,
                                   .sha256 = { (uint8_t)number } };
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL, .time_us = 5 };

    return store_put_crl(batch, &scope, &crl, &audit);
}

static uint64_t next_number(struct store_batch *batch)
{
    struct store_scope scope = test_scope(in_scope);
    uint64_t number;

    check_ok(store_put_crl_number(batch, &scope, &number));
    return number;
}

Test(entries, numbers_are_given_out_once)
{
    struct store_batch *batch = test_begin(store);

    cr_assert_eq(next_number(batch), 1);
    cr_assert_eq(next_number(batch), 2);
    check_ok(store_commit(batch));
    batch = test_begin(store);
    cr_assert_eq(next_number(batch), 3);
    store_abort(batch);
    store_close(store);
    store = test_open();
    batch = test_begin(store);
    cr_assert_eq(next_number(batch), 3);
    check_ok(store_commit(batch));
    cr_assert_eq(scope_info().last_number, 3);
    test_check_whole(store);
}

Test(entries, a_list_has_a_number_that_was_given_out_and_none_below)
{
    struct store_batch *batch = test_begin(store);

    check_err(put_crl(batch, 1, 0), CA_ERR_NOT_FOUND);
    for (int i = 0; i < 9; i++)
        next_number(batch);
    check_err(put_crl(batch, 10, 0), CA_ERR_NOT_FOUND);
    check_ok(put_crl(batch, 4, 0));
    check_err(put_crl(batch, 4, 0), CA_ERR_EXISTS);
    check_err(put_crl(batch, 3, 0), CA_ERR_EXISTS);
    check_ok(put_crl(batch, 6, 4));
    check_err(put_crl(batch, 5, 0), CA_ERR_EXISTS);
    check_ok(store_commit(batch));
    struct store_scope_info info = scope_info();
    cr_assert(info.full.number == 4 && info.full.len == 1004 && info.full.sha256[0] == 4);
    cr_assert(info.delta.number == 6 && info.delta.base_number == 4 && info.last_number == 9);
    test_check_whole(store);
}

Test(entries, published_lists_are_listed_in_order_from_where_asked)
{
    struct store_scope scope = test_scope(in_scope), other = scope;
    struct store_batch *batch = test_begin(store);
    struct store_crl crls[7];
    uint64_t after = 0, seen = 0;
    size_t count;

    for (uint64_t i = 1; i <= 40; i++) {
        uint64_t number = next_number(batch);
        check_ok(put_crl(batch, number, i % 4 == 1 ? 0 : (number - 1) / 4 * 4 + 1));
    }
    check_ok(store_commit(batch));
    struct store_view *view = test_view_open(store);
    do {
        check_ok(store_find_crls(view, &scope, after, crls, 7, &count));
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(crls[i].number, ++seen);
            cr_assert(crls[i].this_update_s == (int64_t)seen && crls[i].len == 1000 + seen);
            after = crls[i].number;
        }
    } while (count == 7);
    cr_assert_eq(seen, 40);
    check_ok(store_find_crls(view, &scope, UINT64_MAX, crls, 7, &count));
    cr_assert_eq(count, 0);
    other.shard++;
    check_ok(store_find_crls(view, &other, 0, crls, 7, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
    test_check_whole(store);
}

/* ---- pruning */

/* Prunes to the end; returns how many calls it took. */
static int prune(int64_t this_update_s, uint64_t sequence, size_t count_max)
{
    struct store_scope scope = test_scope(in_scope);
    struct ca_serial from = { { 0 } };
    bool is_done = false;
    int calls = 0;

    for (; !is_done; calls++) {
        struct store_batch *batch = test_begin(store);
        check_ok(
            store_put_pruned(batch, &scope, this_update_s, sequence, &from, count_max, &is_done));
        check_ok(store_commit(batch));
    }
    return calls;
}

Test(entries, what_ended_before_a_list_leaves_it_and_stays_known)
{
    struct store_scope scope = test_scope(in_scope);
    struct store_status status;

    revoke_many(1, 51); /* they end at -10, -20, ... -500 */
    uint64_t sequence = last_sequence();
    cr_assert_geq(prune(-250, sequence, 7), 4);
    read_list(UINT64_MAX);
    cr_assert(got.count == 25 && got.numbers[24] == 250);
    struct store_view *view = test_view_open(store);
    for (uint64_t i = 1; i <= 50; i++) {
        struct ca_serial serial = test_serial(10 * i);
        check_ok(store_find_status(view, &scope, &serial, &status));
        cr_assert(status.state == STORE_STATE_REVOKED && status.not_after_s == -10 * (int64_t)i &&
                  status.sequence > 0);
    }
    store_view_close(view);
    test_check_whole(store);
    cr_assert_eq(prune(-250, sequence, 7), 1, "nothing is left to do");
    read_list(UINT64_MAX);
    cr_assert_eq(got.count, 25);
}

Test(entries, what_the_list_did_not_have_yet_stays)
{
    revoke_many(1, 11);
    uint64_t sequence = last_sequence();
    revoke_many(11, 21);
    prune(0, sequence, 100);
    read_list(UINT64_MAX);
    cr_assert(got.count == 10 && got.numbers[0] == 110);
    test_check_whole(store);
}

Test(entries, a_call_that_prunes_looks_at_no_more_than_it_may)
{
    struct store_scope scope = test_scope(in_scope);
    struct ca_serial from = { { 0 } };
    bool is_done = true;

    revoke_many(1, 200);
    struct store_batch *batch = test_begin(store);
    check_ok(store_put_pruned(batch, &scope, -100000, UINT64_MAX, &from, 1, &is_done));
    check_ok(store_commit(batch));
    cr_assert_not(is_done);
    cr_assert_eq(ca_serial_time_us(&from), 640);
    cr_assert_eq(prune(-100000, UINT64_MAX, 1), 4);
}

Test(entries, what_was_pruned_is_in_no_delta_list)
{
    revoke_many(1, 11);
    prune(-50, last_sequence(), 100);
    read_list(0);
    cr_assert(got.count == 5 && got.numbers[4] == 50);
}

Test(entries, what_was_pruned_changes_without_coming_back)
{
    struct store_scope scope = test_scope(in_scope);
    struct ca_serial serial = test_serial(100);
    struct store_status status;
    struct store_view *view;

    revoke_many(1, 11);
    prune(-50, last_sequence(), 100);
    struct store_batch *batch = test_begin(store);
    struct store_status_change change =
        test_status_change(100, STORE_STATE_REVOKED, STORE_STATE_REVOKED, 1);
    struct store_audit audit = test_status_audit(&change, 8);
    change.status.reason = 4;
    check_ok(store_put_status(batch, &change, &audit));
    check_ok(store_commit(batch));
    view = test_view_open(store);
    check_ok(store_find_status(view, &scope, &serial, &status));
    cr_assert(status.reason == 4 && status.sequence == 21);
    store_view_close(view);
    cr_assert_eq(scope_info().entry_count, 5);
    test_check_whole(store);
    put(100, STORE_STATE_REVOKED, STORE_STATE_VALID);
    view = test_view_open(store);
    check_err(store_find_status(view, &scope, &serial, &status), CA_ERR_NOT_FOUND);
    store_view_close(view);
    test_check_whole(store);
}

/* ---- readers in other processes */

/* Reads lists until it is killed; a list that is not whole ends it. */
static void read_for_ever(int report_fd)
{
    struct store_options options = test_options;
    struct store_scope scope = test_scope(in_scope);
    struct store_entries *entries;
    struct store_view *view;
    struct store *reader;
    uint64_t since = 0;

    options.is_read_only = true;
    if (store_open(test_path, &options, &reader) != CA_OK ||
        store_view_open(reader, &view) != CA_OK)
        _exit(1);
    for (uint64_t round = 0;; round++) {
        struct ca_bytes chunk = { NULL, 0 };
        if (store_view_renew(view) != CA_OK)
            _exit(2);
        if ((round % 2 == 0 ? store_entries_open(view, &scope, &entries)
                            : store_entries_open_since(view, &scope, since, &entries)) != CA_OK)
            _exit(3);
        do
            if (store_entries_next(entries, &chunk) != CA_OK)
                _exit(4);
        while (chunk.len > 0);
        store_entries_close(entries);
        if (store_view_sequence(view, &since) != CA_OK || write(report_fd, "r", 1) != 1)
            _exit(5);
    }
}

Test(entries, readers_in_other_processes_see_whole_lists)
{
    enum { READERS = 2, ROUNDS = 60 };
    pid_t children[READERS];
    int reports[READERS], fds[2], status;
    char byte;

    revoke_many(1, 3000);
    store_close(store);
    for (int i = 0; i < READERS; i++) {
        cr_assert_eq(pipe(fds), 0);
        if ((children[i] = fork()) == 0)
            read_for_ever(fds[1]);
        close(fds[1]);
        reports[i] = fds[0];
    }
    store = test_open();
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t n = 10; n <= 100; n += 10)
            put(n, round % 2 == 0 ? STORE_STATE_REVOKED : STORE_STATE_VALID,
                round % 2 == 0 ? STORE_STATE_VALID : STORE_STATE_REVOKED);
        if (round % 10 == 9)
            prune(-30000 + 200 * (int64_t)round, last_sequence(), 50);
        for (int i = 0; i < READERS; i++)
            cr_assert_eq(read(reports[i], &byte, 1), 1, "reader %d ended", i);
    }
    for (int i = 0; i < READERS; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
        cr_assert(WIFSIGNALED(status), "reader %d: exit %d", i, WEXITSTATUS(status));
        close(reports[i]);
    }
    test_check_whole(store);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation, hold, release and lines, as the engine puts and asks them. */

#include "tests/support/store.h"

static struct store *store;

static void open_store(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(status, .init = open_store, .fini = close_store, .timeout = 120);

static struct store_scope_info scope_info(struct store_view *view, uint64_t n)
{
    struct store_scope scope = test_scope(n);
    struct store_scope_info info;

    check_ok(store_find_scope(view, &scope, &info));
    return info;
}

static enum ca_err find_status(struct store_view *view, uint64_t n, struct store_status *status)
{
    struct store_scope scope = test_scope(n);
    struct ca_serial serial = test_serial(n);

    return store_find_status(view, &scope, &serial, status);
}

static void put(uint64_t n, enum store_state from, enum store_state to, uint64_t request)
{
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_status(batch, n, from, to, request, 5000000 + request));
    check_ok(store_commit(batch));
}

/* ---- status */

Test(status, what_is_revoked_is_found_with_all_that_was_said)
{
    struct store_status status;

    test_issue(store, 1, 20, 10);
    struct store_batch *batch = test_begin(store);
    struct store_status_change change =
        test_status_change(3, STORE_STATE_VALID, STORE_STATE_REVOKED, 70);
    struct store_audit audit = test_status_audit(&change, 5000070);
    change.status.has_invalidity = true;
    change.status.invalidity_s = 999;
    change.status.reason = 4;
    check_ok(store_put_status(batch, &change, &audit));
    check_ok(store_commit(batch));

    struct store_view *view = test_view_open(store);
    check_ok(find_status(view, 3, &status));
    cr_assert(status.state == STORE_STATE_REVOKED && status.reason == 4 &&
              status.revoked_s == 1000070 && status.has_invalidity && status.invalidity_s == 999 &&
              status.not_after_s == -3 && status.sequence == 20);
    check_err(find_status(view, 13, &status), CA_ERR_NOT_FOUND);
    cr_assert_eq(status.state, STORE_STATE_NONE);
    struct store_scope_info info = scope_info(view, 3);
    cr_assert(info.entry_count == 1 && info.entries_len > 40);
    cr_assert_eq(scope_info(view, 4).entry_count, 0);
    uint64_t sequence;
    check_ok(store_view_sequence(view, &sequence));
    cr_assert_eq(sequence, 20);
    store_view_close(view);
    test_check_whole(store);
}

Test(status, another_scope_does_not_know_it)
{
    struct store_scope other = test_scope(3);
    struct ca_serial serial = test_serial(3);
    struct store_status status;

    test_issue(store, 1, 20, 10);
    put(3, STORE_STATE_VALID, STORE_STATE_REVOKED, 1);
    struct store_view *view = test_view_open(store);
    other.shard++;
    check_err(store_find_status(view, &other, &serial, &status), CA_ERR_NOT_FOUND);
    store_view_close(view);
}

Test(status, a_hold_is_revoked_or_released_and_totals_follow)
{
    struct store_status status;

    test_issue(store, 1, 20, 10);
    put(3, STORE_STATE_VALID, STORE_STATE_HELD, 1);
    put(13, STORE_STATE_VALID, STORE_STATE_HELD, 2);
    put(3, STORE_STATE_HELD, STORE_STATE_REVOKED, 3);
    put(13, STORE_STATE_HELD, STORE_STATE_VALID, 4);
    struct store_view *view = test_view_open(store);
    check_ok(find_status(view, 3, &status));
    cr_assert(status.state == STORE_STATE_REVOKED && status.sequence == 22);
    check_err(find_status(view, 13, &status), CA_ERR_NOT_FOUND);
    cr_assert_eq(scope_info(view, 3).entry_count, 1);
    store_view_close(view);
    put(3, STORE_STATE_REVOKED, STORE_STATE_VALID, 5);
    view = test_view_open(store);
    cr_assert(scope_info(view, 3).entry_count == 0 && scope_info(view, 3).entries_len == 0);
    store_view_close(view);
    put(3, STORE_STATE_VALID, STORE_STATE_HELD, 6);
    test_check_whole(store);
}

Test(status, a_change_from_what_is_not_so_is_refused_and_changes_nothing)
{
    static const struct {
        uint64_t n;
        enum store_state from, to;
        enum ca_err want;
    } cases[] = {
        { 3, STORE_STATE_VALID, STORE_STATE_VALID, CA_ERR_STATE },
        { 3, STORE_STATE_HELD, STORE_STATE_VALID, CA_ERR_STATE },
        { 3, STORE_STATE_REVOKED, STORE_STATE_REVOKED, CA_ERR_STATE },
        { 4, STORE_STATE_VALID, STORE_STATE_REVOKED, CA_ERR_STATE },
        { 4, STORE_STATE_HELD, STORE_STATE_REVOKED, CA_ERR_STATE },
        { 4, STORE_STATE_NONE, STORE_STATE_HELD, CA_ERR_STATE },
        { 3, STORE_STATE_VALID, STORE_STATE_NONE, CA_ERR_FIELD_FORMAT },
    };
    struct store_info before, after;

    test_issue(store, 1, 20, 10);
    put(4, STORE_STATE_VALID, STORE_STATE_REVOKED, 1);
    store_info(store, &before);
    struct store_batch *batch = test_begin(store);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_err(test_put_status(batch, cases[i].n, cases[i].from, cases[i].to, 2, 6000000),
                  cases[i].want);
    struct store_status_change change =
        test_status_change(3, STORE_STATE_VALID, STORE_STATE_REVOKED, 2);
    struct store_audit audit = test_status_audit(&change, 6000000);
    change.status.reason = 8; /* removeFromCRL is no reason of a complete list */
    check_err(store_put_status(batch, &change, &audit), CA_ERR_FIELD_FORMAT);
    check_ok(store_commit(batch));
    store_info(store, &after);
    cr_assert(before.change_sequence == after.change_sequence &&
              before.audit_sequence == after.audit_sequence && before.clock_us == after.clock_us);
    test_check_whole(store);
}

Test(status, a_batch_sees_what_it_has_put_and_an_abort_takes_it_back)
{
    struct store_scope scope = test_scope(3);
    struct ca_serial serial = test_serial(3);
    struct store_status status;

    test_issue(store, 1, 20, 10);
    struct store_batch *batch = test_begin(store);
    check_err(store_batch_find_status(batch, &scope, &serial, &status), CA_ERR_NOT_FOUND);
    check_ok(test_put_status(batch, 3, STORE_STATE_VALID, STORE_STATE_HELD, 1, 5000000));
    check_ok(store_batch_find_status(batch, &scope, &serial, &status));
    cr_assert(status.state == STORE_STATE_HELD && status.reason == 6 && status.sequence == 20);
    check_ok(test_put_status(batch, 3, STORE_STATE_HELD, STORE_STATE_REVOKED, 2, 5000000));
    check_ok(store_batch_find_status(batch, &scope, &serial, &status));
    cr_assert(status.state == STORE_STATE_REVOKED && status.sequence == 21);
    store_abort(batch);
    struct store_view *view = test_view_open(store);
    check_err(find_status(view, 3, &status), CA_ERR_NOT_FOUND);
    cr_assert_eq(scope_info(view, 3).entry_count, 0);
    store_view_close(view);
    batch = test_begin(store);
    check_err(store_batch_find_status(batch, &scope, &serial, &status), CA_ERR_NOT_FOUND);
    store_abort(batch);
    test_check_whole(store);
}

Test(status, an_intent_can_be_revoked_before_its_certificate_comes)
{
    struct store_status status;
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_intent(batch, 3));
    check_ok(test_put_status(batch, 3, STORE_STATE_NONE, STORE_STATE_REVOKED, 1, 5000000));
    check_ok(store_commit(batch));
    test_check_whole(store);
    batch = test_begin(store);
    check_ok(test_put_certificate(batch, 3));
    check_ok(store_commit(batch));
    struct store_view *view = test_view_open(store);
    check_ok(find_status(view, 3, &status));
    cr_assert_eq(status.state, STORE_STATE_REVOKED);
    test_check_found(view, 3);
    store_view_close(view);
    test_check_whole(store);
}

/* ---- requests about status */

static void check_request(struct store_view *view, uint64_t request, uint64_t n,
                          enum store_state state)
{
    struct store_digest digest = test_digest('q', request), body, want = test_digest('b', request);
    struct ca_serial serial = test_serial(n);
    struct store_certificate certificate, several[2];
    struct store_change change;
    size_t count;

    check_ok(store_find_request_change(view, &digest, &change, &body));
    cr_assert(change.new_state == state && store_digest_equal(&body, &want));
    check_bytes(ca_serial_bytes(&change.serial), ca_serial_bytes(&serial));
    /* Nobody who looks for certificates meets it. */
    check_err(store_find_request(view, &digest, &certificate), CA_ERR_NOT_FOUND);
    for (int index = STORE_BY_IDENTITY; index <= STORE_BY_KEY; index++) {
        check_ok(store_find_digest(view, (enum store_index)index, &digest, 0, several, 2, &count));
        cr_assert_eq(count, 0);
    }
}

static void check_requests(void)
{
    struct store_digest of_certificate = test_digest('r', 3), absent = test_digest('q', 999);
    struct store_digest none = { { 0 } }, body;
    struct store_change change;
    struct store_view *view = test_view_open(store);

    for (uint64_t n = 1; n < 500; n++) {
        check_request(view, n, n, STORE_STATE_HELD);
        check_request(view, n + 1000, n, STORE_STATE_REVOKED);
        test_check_found(view, n);
    }
    check_err(store_find_request_change(view, &of_certificate, &change, &body), CA_ERR_NOT_FOUND);
    check_err(store_find_request_change(view, &absent, &change, &body), CA_ERR_NOT_FOUND);
    check_err(store_find_request_change(view, &none, &change, &body), CA_ERR_NOT_FOUND);
    cr_assert_eq(change.sequence, 0);
    store_view_close(view);
}

Test(status, requests_are_found_again_in_memory_in_runs_and_after_their_loss)
{
    char runs_path[512];

    test_issue(store, 1, 500, 20);
    for (uint64_t n = 1; n < 500; n++) {
        struct store_batch *batch = test_begin(store);
        check_ok(test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_HELD, n, 5000000));
        check_ok(
            test_put_status(batch, n, STORE_STATE_HELD, STORE_STATE_REVOKED, n + 1000, 5000000));
        check_ok(store_commit(batch));
    }
    check_requests();
    store_rest(store);
    check_requests();
    test_check_whole(store);
    store_close(store);
    snprintf(runs_path, sizeof(runs_path), "%s/runs", test_path);
    cr_assert(folder_drop(runs_path));
    store = test_open();
    check_requests();
    test_check_whole(store);
}

Test(status, a_request_that_a_certificate_has_too_finds_each_on_its_own_way)
{
    struct store_digest request = test_digest('r', 3), body;
    struct store_certificate certificate;
    struct store_change change;

    test_issue(store, 1, 20, 10);
    struct store_batch *batch = test_begin(store);
    struct store_status_change put_change =
        test_status_change(4, STORE_STATE_VALID, STORE_STATE_REVOKED, 1);
    put_change.request = request;
    struct store_audit audit = test_status_audit(&put_change, 5000000);
    check_ok(store_put_status(batch, &put_change, &audit));
    check_ok(store_commit(batch));
    struct store_view *view = test_view_open(store);
    check_ok(store_find_request(view, &request, &certificate));
    cr_assert(test_is_certificate(&certificate, 3));
    check_ok(store_find_request_change(view, &request, &change, &body));
    cr_assert(change.sequence == 20 && ca_serial_time_us(&change.serial) == 4);
    store_view_close(view);
}

Test(status, a_change_without_a_request_adds_no_row)
{
    struct store_digest none = { { 0 } }, body;
    struct store_change change;

    test_issue(store, 1, 20, 10);
    struct store_batch *batch = test_begin(store);
    struct store_status_change put_change =
        test_status_change(3, STORE_STATE_VALID, STORE_STATE_REVOKED, 1);
    put_change.request = put_change.body = none;
    struct store_audit audit = test_status_audit(&put_change, 5000000);
    check_ok(store_put_status(batch, &put_change, &audit));
    check_ok(store_commit(batch));
    struct store_view *view = test_view_open(store);
    check_err(store_find_request_change(view, &none, &change, &body), CA_ERR_NOT_FOUND);
    store_view_close(view);
}

Test(status, of_a_request_that_made_two_changes_the_first_is_told)
{
    struct store_digest request = test_digest('q', 1), body;
    struct store_change change;

    test_issue(store, 1, 20, 10);
    put(3, STORE_STATE_VALID, STORE_STATE_HELD, 1);
    put(4, STORE_STATE_VALID, STORE_STATE_REVOKED, 1);
    struct store_view *view = test_view_open(store);
    check_ok(store_find_request_change(view, &request, &change, &body));
    cr_assert_eq(change.sequence, 20);
    store_view_close(view);
}

Test(status, a_view_does_not_find_a_request_of_a_later_commit)
{
    struct store_digest request = test_digest('q', 1), body;
    struct store_change change;

    test_issue(store, 1, 20, 10);
    struct store_view *view = test_view_open(store);
    put(3, STORE_STATE_VALID, STORE_STATE_HELD, 1);
    check_err(store_find_request_change(view, &request, &change, &body), CA_ERR_NOT_FOUND);
    check_ok(store_view_renew(view));
    check_ok(store_find_request_change(view, &request, &change, &body));
    store_view_close(view);
}

Test(status, changes_tell_states_and_reasons)
{
    struct store_change changes[8];
    size_t count;

    test_issue(store, 1, 20, 10);
    put(3, STORE_STATE_VALID, STORE_STATE_HELD, 1);
    put(3, STORE_STATE_HELD, STORE_STATE_REVOKED, 2);
    put(3, STORE_STATE_REVOKED, STORE_STATE_VALID, 3);
    struct store_view *view = test_view_open(store);
    check_ok(store_find_changes(view, 19, changes, 8, &count));
    cr_assert_eq(count, 3);
    cr_assert(changes[0].old_state == STORE_STATE_VALID &&
              changes[0].new_state == STORE_STATE_HELD && changes[0].reason == 6);
    cr_assert(changes[1].new_state == STORE_STATE_REVOKED && changes[1].reason == 1);
    cr_assert(changes[2].old_state == STORE_STATE_REVOKED &&
              changes[2].new_state == STORE_STATE_VALID && changes[2].reason == 0);
    cr_assert_eq(changes[2].time_us, 5000003);
    store_view_close(view);
}

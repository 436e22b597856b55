/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that follow upon each other, and what their holders acknowledge. */

#include "tests/support/store.h"

static struct store *store;

static void open_store(void)
{
    store = test_store_make();
    test_issue(store, 1, 20, 10);
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(lines, .init = open_store, .fini = close_store, .timeout = 120);

static void issue_next(uint64_t n, uint64_t root, uint64_t predecessor,
                       enum store_delivery delivery)
{
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_next(batch, n, root, predecessor, delivery));
    check_ok(store_commit(batch));
}

static enum ca_err deliver(struct store_batch *batch, uint64_t n, uint64_t root,
                           enum store_delivery delivery, uint64_t request)
{
    struct store_digest digest = test_digest('q', request), body = test_digest('b', request);
    struct ca_serial serial = test_serial(n);
    struct store_audit audit = test_audit(&serial, 7000000);

    audit.kind = STORE_AUDIT_ACKNOWLEDGED;
    return store_put_delivery(batch, &serial, root == 0 ? 0 : test_locator(root), delivery, &digest,
                              &body, &audit);
}

static struct store_line find_line(uint64_t root)
{
    struct store_view *view;
    struct store_line line;

    check_ok(store_view_open(store, &view));
    check_ok(store_find_line(view, test_locator(root), &line));
    store_view_close(view);
    return line;
}

static uint64_t head_of(uint64_t root)
{
    struct store_line line = find_line(root);

    return ca_serial_time_us(&store_line_head(&line)->serial);
}

Test(lines, a_certificate_that_nothing_follows_upon_has_no_line)
{
    struct store_view *view;
    struct store_line line;

    check_ok(store_view_open(store, &view));
    check_err(store_find_line(view, test_locator(3), &line), CA_ERR_NOT_FOUND);
    check_err(store_find_line(view, 0, &line), CA_ERR_NOT_FOUND);
    cr_assert_eq(line.count, 0);
    store_view_close(view);
}

Test(lines, successors_stand_in_the_order_of_their_issue)
{
    issue_next(30, 3, 3, STORE_DELIVERED);
    issue_next(31, 3, 30, STORE_DELIVERED);
    issue_next(32, 3, 31, STORE_DELIVERY_WAITING);
    struct store_line line = find_line(3);
    static const uint64_t want[] = { 3, 30, 31, 32 };
    cr_assert_eq(line.count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct ca_serial serial = test_serial(want[i]);
        check_bytes(ca_serial_bytes(&line.members[i].serial), ca_serial_bytes(&serial));
        cr_assert_eq(line.members[i].operation, want[i] % STORE_OPERATION_COUNT);
    }
    cr_assert(line.members[2].delivery == STORE_DELIVERED && line.members[2].fate_reason == 0);
    cr_assert(line.members[3].delivery == STORE_DELIVERY_WAITING &&
              line.members[3].fate_reason == 4);
    cr_assert_eq(head_of(3), 32);
    test_check_whole(store);
    store_close(store);
    store = test_open();
    cr_assert_eq(find_line(3).count, 4);
}

Test(lines, only_the_head_is_followed_and_a_refusal_leaves_the_batch_as_it_was)
{
    issue_next(30, 3, 3, STORE_DELIVERED);
    struct store_batch *batch = test_begin(store);
    check_err(test_put_next(batch, 40, 3, 3, STORE_DELIVERED), CA_ERR_CERT_NOT_HEAD);
    check_err(test_put_next(batch, 41, 3, 4, STORE_DELIVERED), CA_ERR_CERT_NOT_HEAD);
    check_err(test_put_next(batch, 42, 4, 3, STORE_DELIVERED), CA_ERR_CERT_NOT_HEAD);
    check_err(test_put_next(batch, 43, 30, 30, STORE_DELIVERED), CA_ERR_CERT_NOT_HEAD);
    check_err(test_put_next(batch, 44, 99, 99, STORE_DELIVERED), CA_ERR_NOT_FOUND);
    check_ok(test_put_next(batch, 45, 3, 30, STORE_DELIVERED));
    check_err(test_put_next(batch, 46, 3, 30, STORE_DELIVERED), CA_ERR_CERT_NOT_HEAD);
    check_ok(store_commit(batch));
    struct store_info info;
    store_info(store, &info);
    cr_assert(info.certificate_count == 21 && info.intent_count == 6);
    cr_assert_eq(head_of(3), 45);
    test_check_whole(store);
}

Test(lines, a_line_ends_at_its_longest)
{
    struct store_batch *batch = test_begin(store);

    for (uint64_t n = 1; n < STORE_LINE_MAX; n++)
        check_ok(test_put_next(batch, 100 + n, 3, n == 1 ? 3 : 99 + n, STORE_DELIVERED));
    check_err(test_put_next(batch, 500, 3, 99 + STORE_LINE_MAX, STORE_DELIVERED),
              CA_ERR_TOO_MANY_ITEMS);
    check_ok(store_commit(batch));
    cr_assert_eq(find_line(3).count, STORE_LINE_MAX);
    test_check_whole(store);
}

Test(lines, a_successor_takes_its_own_intent_among_others_of_its_batch)
{
    enum { ROOT = 3, NEXT = 30, BEFORE = 29, BEHIND = 31, NEW = 28, INTENTS = 3 };
    static const uint64_t left[INTENTS] = { NEW, BEFORE, BEHIND };
    struct store_intent found[INTENTS + 1];
    struct store_batch *batch = test_begin(store);
    size_t count;

    check_ok(test_put_intent(batch, BEFORE));
    check_ok(test_put_intent(batch, BEHIND));
    check_ok(store_commit(batch));
    batch = test_begin(store);
    check_ok(test_put_next(batch, NEXT - 10, 0, 0, STORE_DELIVERED)); /* what waits for its seal */
    check_ok(test_put_intent(batch, NEW));
    check_ok(test_put_next(batch, NEXT, ROOT, ROOT, STORE_DELIVERED));
    check_ok(store_commit(batch));
    struct store_view *view = test_view_open(store);
    check_ok(store_find_intents(view, 0, found, INTENTS + 1, &count));
    cr_assert_eq(count, INTENTS);
    for (size_t i = 0; i < INTENTS; i++)
        cr_assert_eq(ca_serial_time_us(&found[i].serial), left[i]);
    store_view_close(view);
    test_check_whole(store);
}

Test(lines, the_intent_must_have_said_the_same)
{
    uint8_t der[TEST_DER_MAX];
    const struct store_certificate certificate = test_certificate(30, der);
    struct store_audit audit = test_audit(&certificate.serial, 30);
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_intent(batch, 30));
    for (int i = 0; i < 4; i++) {
        struct store_certificate other = certificate;
        other.not_after_s += i == 0;
        other.crl_shard += i == 1;
        if (i == 2)
            other.predecessor = other.lineage = test_locator(3);
        if (i == 3)
            other.issuer = test_digest('i', 99);
        check_err(store_put_certificate(batch, &other, &audit), CA_ERR_INTENT_CHANGED);
    }
    check_ok(store_put_certificate(batch, &certificate, &audit));

    /* Another place in the same line, and the same place in another. */
    struct store_intent intent = test_intent(31);
    intent.predecessor = test_locator(4);
    intent.lineage = test_locator(3);
    check_ok(store_put_intent(batch, &intent));
    struct store_certificate next = test_certificate(31, der);
    audit = test_audit(&next.serial, 31);
    next.predecessor = test_locator(5);
    next.lineage = intent.lineage;
    check_err(store_put_certificate(batch, &next, &audit), CA_ERR_INTENT_CHANGED);
    next.predecessor = intent.predecessor;
    next.lineage = test_locator(2);
    check_err(store_put_certificate(batch, &next, &audit), CA_ERR_INTENT_CHANGED);
    store_abort(batch);
}

Test(lines, a_new_certificate_that_waits_has_a_line_of_one)
{
    issue_next(30, 0, 0, STORE_DELIVERY_WAITING);
    struct store_line line = find_line(30);
    cr_assert(line.count == 1 && line.members[0].delivery == STORE_DELIVERY_WAITING);
    struct store_batch *batch = test_begin(store);
    check_ok(deliver(batch, 30, 0, STORE_DELIVERED, 1));
    check_ok(store_commit(batch));
    line = find_line(30);
    cr_assert(line.members[0].delivery == STORE_DELIVERED && line.members[0].fate_reason == 0);
    issue_next(31, 30, 30, STORE_DELIVERED);
    cr_assert_eq(head_of(30), 31);
    test_check_whole(store);
}

Test(lines, an_abandoned_successor_makes_the_one_before_the_head_again)
{
    issue_next(30, 3, 3, STORE_DELIVERY_WAITING);
    cr_assert_eq(head_of(3), 30);
    struct store_batch *batch = test_begin(store);
    check_ok(deliver(batch, 30, 3, STORE_DELIVERY_ABANDONED, 1));
    struct store_line line;
    check_ok(store_batch_find_line(batch, test_locator(3), &line));
    cr_assert_eq(line.members[1].delivery, STORE_DELIVERY_ABANDONED);
    check_ok(store_commit(batch));
    cr_assert_eq(head_of(3), 3);
    issue_next(31, 3, 3, STORE_DELIVERED);
    cr_assert_eq(head_of(3), 31);
    cr_assert_eq(find_line(3).count, 3);
    test_check_whole(store);
}

Test(lines, of_a_line_that_was_abandoned_whole_the_first_stays_the_head)
{
    issue_next(30, 0, 0, STORE_DELIVERY_WAITING);
    struct store_batch *batch = test_begin(store);
    check_ok(deliver(batch, 30, 0, STORE_DELIVERY_ABANDONED, 1));
    check_ok(store_commit(batch));
    cr_assert_eq(head_of(30), 30);
    test_check_whole(store);
}

Test(lines, delivery_is_told_once_and_only_of_who_waits)
{
    issue_next(30, 3, 3, STORE_DELIVERY_WAITING);
    struct store_batch *batch = test_begin(store);
    check_err(deliver(batch, 4, 0, STORE_DELIVERED, 1), CA_ERR_NOT_FOUND);
    check_err(deliver(batch, 4, 3, STORE_DELIVERED, 1), CA_ERR_NOT_FOUND);
    check_err(deliver(batch, 3, 3, STORE_DELIVERED, 1), CA_ERR_STATE);
    check_ok(deliver(batch, 30, 3, STORE_DELIVERED, 1));
    check_err(deliver(batch, 30, 3, STORE_DELIVERED, 1), CA_ERR_STATE);
    check_err(deliver(batch, 30, 3, STORE_DELIVERY_ABANDONED, 1), CA_ERR_STATE);
    check_ok(store_commit(batch));
    test_check_whole(store);
}

Test(lines, a_delivery_is_a_change_that_its_request_finds)
{
    struct store_digest request = test_digest('q', 1), body, want = test_digest('b', 1);
    struct ca_serial serial = test_serial(30);
    struct store_change change;
    struct store_view *view;

    issue_next(30, 3, 3, STORE_DELIVERY_WAITING);
    struct store_batch *batch = test_begin(store);
    check_ok(test_put_status(batch, 30, STORE_STATE_VALID, STORE_STATE_HELD, 2, 7000000));
    check_ok(deliver(batch, 30, 3, STORE_DELIVERED, 1));
    check_ok(store_commit(batch));
    check_ok(store_view_open(store, &view));
    check_ok(store_find_request_change(view, &request, &change, &body));
    check_bytes(ca_serial_bytes(&change.serial), ca_serial_bytes(&serial));
    cr_assert(change.old_state == STORE_STATE_HELD && change.new_state == STORE_STATE_HELD &&
              change.reason == 6 && change.sequence == 22 && store_digest_equal(&body, &want));
    store_view_close(view);
    test_check_whole(store);
}

Test(lines, an_aborted_batch_leaves_the_line_as_it_was)
{
    issue_next(30, 3, 3, STORE_DELIVERED);
    struct store_batch *batch = test_begin(store);
    check_ok(test_put_next(batch, 31, 3, 30, STORE_DELIVERED));
    store_abort(batch);
    cr_assert(find_line(3).count == 2 && head_of(3) == 30);
    issue_next(32, 3, 30, STORE_DELIVERED);
    test_check_whole(store);
}

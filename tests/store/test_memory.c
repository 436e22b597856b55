/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a batch fails once, and from each one on: LMDB's, and ours. */
#include "tests/support/scarcity.h"
#include "tests/support/store.h"

enum { EACH = 30, ROUNDS_MAX = 5000 };

static struct store *store;

static void open_empty(void)
{
    store = test_store_make();
}

static void close_store(void)
{
    test_store_remove(store);
}

TestSuite(memory, .init = open_empty, .fini = close_store, .timeout = 300);

static struct store_info info(void)
{
    struct store_info got;

    store_info(store, &got);
    return got;
}

/* All kinds of puts: numbers from `from` on, and certificate `revoked`, which is there. */
static enum ca_err put_all(struct store_batch *batch, uint64_t from, uint64_t revoked)
{
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL };
    struct store_scope scope = test_scope(revoked);
    struct store_crl crl = { .base_number = 0 };
    enum ca_err err = CA_OK;

    for (uint64_t n = from; n < from + EACH && err == CA_OK; n++) {
        err = test_put_intent(batch, n);
        if (err == CA_OK)
            err = test_put_certificate(batch, n);
    }
    if (err == CA_OK)
        err = test_put_status(batch, revoked, STORE_STATE_VALID, STORE_STATE_REVOKED, revoked, 1);
    if (err == CA_OK)
        err = store_put_crl_number(batch, &scope, &crl.number);
    if (err == CA_OK)
        err = store_put_crl(batch, &scope, &crl, &audit);
    return err;
}

static enum ca_err commit_all(uint64_t from, uint64_t revoked)
{
    struct store_batch *batch;
    enum ca_err err = store_begin(store, &batch);

    if (err != CA_OK)
        return err;
    if ((err = put_all(batch, from, revoked)) == CA_OK)
        return store_commit(batch);
    /* Once memory was short it stays so, and latches nothing. */
    if (err == CA_ERR_NOMEM)
        err = test_put_intent(batch, from + EACH) == err ? store_commit(batch) : CA_ERR_INTERNAL;
    else
        store_abort(batch);
    return err;
}

/* There is memory. The index's thread, which had none, tries again at some of the next batches. */
static void commit_again(uint64_t from, uint64_t revoked)
{
    enum ca_err err = CA_ERR_STORAGE_FULL;

    for (int i = 0; i < 100 && err == CA_ERR_STORAGE_FULL; i++) {
        err = commit_all(from, revoked);
        store_rest(store);
    }
    check_ok(err);
}

static void check_nothing_of(uint64_t from, uint64_t revoked)
{
    struct store_scope scope = test_scope(revoked);
    struct ca_serial serial = test_serial(revoked);
    struct store_digest request = test_digest('q', revoked), body;
    struct store_view *view = test_view_open(store);
    struct store_change change;
    struct store_status status;

    for (uint64_t n = from; n < from + EACH; n++)
        test_check_absent(view, n);
    check_err(store_find_status(view, &scope, &serial, &status), CA_ERR_NOT_FOUND);
    check_err(store_find_request_change(view, &request, &change, &body), CA_ERR_NOT_FOUND);
    store_view_close(view);
}

static void check_all_of(uint64_t from, uint64_t revoked)
{
    struct store_digest request = test_digest('q', revoked), body;
    struct ca_serial serial = test_serial(revoked);
    struct store_view *view = test_view_open(store);
    struct store_change change;

    for (uint64_t n = from; n < from + EACH; n++)
        test_check_found(view, n);
    check_ok(store_find_request_change(view, &request, &change, &body));
    cr_assert(ca_bytes_equal(ca_serial_bytes(&change.serial), ca_serial_bytes(&serial)));
    store_view_close(view);
}

/* Without memory from the allocation on, then with. False: it was never that many. */
static bool round_at(unsigned after, bool is_for_good, uint64_t *next)
{
    struct store_info before = info();
    uint64_t from = *next, revoked = from - EACH;

    scarcity_begin(after, is_for_good);
    enum ca_err err = commit_all(from, revoked);
    bool ran_out = scarcity_end();
    cr_assert(!info().is_latched, "allocation %u: %s", after, ca_err_name(err));
    if (err != CA_OK) {
        cr_assert(err == CA_ERR_NOMEM, "allocation %u: %s", after, ca_err_name(err));
        struct store_info then = info();
        cr_assert(then.change_sequence == before.change_sequence &&
                  then.audit_sequence == before.audit_sequence &&
                  then.certificate_count == before.certificate_count &&
                  then.intent_count == before.intent_count);
        check_nothing_of(from, revoked);
        /* Other records at the sequence numbers of those that came to nothing, then the same. */
        commit_again(from + EACH, from - EACH + 1);
        check_nothing_of(from, revoked);
        check_all_of(from + EACH, from - EACH + 1);
        commit_again(from + 2 * EACH, revoked);
        *next = from + 3 * EACH;
        check_all_of(from + 2 * EACH, revoked);
    } else {
        *next = from + EACH;
        check_all_of(from, revoked);
    }
    store_rest(store);
    return ran_out;
}

static void run_out_everywhere(bool is_for_good)
{
    uint64_t next = 1 + EACH;
    unsigned after = 0;
    int failed = 0, quiet = 0;

    test_issue(store, 1, next, EACH);
    store_rest(store);
    for (; quiet < 3; after++) {
        uint64_t from = next;
        cr_assert_lt(after, ROUNDS_MAX);
        bool ran_out = round_at(after, is_for_good, &next);
        failed += next > from + EACH;
        quiet = ran_out ? 0 : quiet + 1;
    }
    cr_assert(failed > 0, "none of %u", after); /* under the sanitizers LMDB's never do */
    test_check_whole(store);
    store_close(store);
    store = test_open();
    test_check_whole(store);
    check_all_of(next - EACH, next - 2 * EACH);
}

Test(memory, a_batch_without_memory_leaves_nothing_and_the_next_one_is_done)
{
    run_out_everywhere(false);
}

Test(memory, a_batch_that_gets_no_memory_any_more_leaves_nothing_either)
{
    run_out_everywhere(true);
}

/* So many in a row that the rows of the index which come to nothing would fill its tables. */
Test(memory, batches_without_memory_leave_room_for_those_with)
{
    uint64_t next = 1 + EACH;
    unsigned last = 0;
    int failed = 0;

    test_issue(store, 1, next, EACH);
    /* The last allocations are behind what goes into the index. */
    for (unsigned after = 0; after < ROUNDS_MAX; after++) {
        scarcity_begin(after, false);
        enum ca_err err = commit_all(next, next - EACH);
        bool ran_out = scarcity_end();
        store_rest(store);
        if (err == CA_ERR_NOMEM) {
            last = after;
            failed++;
        }
        if (err == CA_OK)
            next += EACH;
        if (!ran_out)
            break;
    }
    cr_assert_gt(failed, 0);
    for (int i = 0; i < 50; i++) {
        scarcity_begin(last, false);
        enum ca_err err = commit_all(next, next - EACH);
        scarcity_end();
        store_rest(store);
        cr_assert(!info().is_latched);
        if (err == CA_OK)
            next += EACH;
    }
    for (int i = 0; i < 20; i++, next += EACH)
        commit_again(next, next - EACH);
    check_all_of(next - EACH, next - 2 * EACH);
    store_rest(store);
    test_check_whole(store);
    store_close(store);
    store = test_open();
    test_check_whole(store);
}

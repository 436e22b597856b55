/* SPDX-License-Identifier: Apache-2.0 */
#include <lmdb.h>

#include "store/record.h"
#include "tests/support/data_file.h"
#include "tests/support/store.h"

static struct store *store;

static void make(void)
{
    store = test_store_make();
}

static void unmake(void)
{
    test_store_remove(store);
}

TestSuite(profiles, .init = make, .fini = unmake, .timeout = 120);

static void reopen(void)
{
    store_close(store);
    store = test_open();
}

static void introduce(uint64_t from, uint64_t until)
{
    struct store_batch *batch = test_begin(store);

    for (uint64_t n = from; n < until; n++)
        check_ok(test_put_profile(batch, n, 1000 + n));
    check_ok(store_commit(batch));
}

static void check_profile(const struct store_profile *found, uint64_t n)
{
    struct store_digest id = test_digest('p', n);

    cr_assert(store_digest_equal(&found->id, &id));
    cr_assert(found->introduced_us == 1000 + n && found->reasons == n);
    cr_assert(found->allows_hold == (n % 2 == 1));
    check_bytes(found->name, CA_BYTES("profile"));
    check_bytes(found->content, ca_bytes_of("filler of some length", n % 22));
}

static uint64_t audit_sequence(void)
{
    struct store_info info;

    store_info(store, &info);
    return info.audit_sequence;
}

Test(profiles, what_was_introduced_is_found_with_its_audit_record_also_after_a_restart)
{
    struct store_digest id = test_digest('p', 3), unknown = test_digest('p', 4);
    struct store_audit_entry entries[4];
    struct store_profile found;
    size_t count;

    introduce(3, 4);
    for (int round = 0; round < 2; round++) {
        struct store_view *view = test_view_open(store);
        check_ok(store_find_profile(view, &id, &found));
        check_profile(&found, 3);
        check_err(store_find_profile(view, &unknown, &found), CA_ERR_NOT_FOUND);
        cr_assert_null(found.name.data);
        check_ok(store_find_audit(view, 0, entries, 4, &count));
        cr_assert(count == 1 && entries[0].audit.kind == STORE_AUDIT_PROFILE);
        cr_assert_eq(entries[0].audit.time_us, 1003);
        check_bytes(entries[0].audit.object, ca_bytes_of(id.bytes, STORE_DIGEST_LEN));
        store_view_close(view);
        test_check_whole(store);
        reopen();
    }
}

Test(profiles, one_is_introduced_once)
{
    introduce(3, 4);
    struct store_batch *batch = test_begin(store);
    check_ok(test_put_profile(batch, 4, 1004));
    check_err(test_put_profile(batch, 3, 2000), CA_ERR_EXISTS);
    check_err(test_put_profile(batch, 4, 2000), CA_ERR_EXISTS);
    check_ok(store_commit(batch));
    cr_assert_eq(audit_sequence(), 2);
    struct store_digest id = test_digest('p', 3);
    struct store_profile found;
    struct store_view *view = test_view_open(store);
    check_ok(store_find_profile(view, &id, &found));
    check_profile(&found, 3);
    store_view_close(view);
    test_check_whole(store);
}

Test(profiles, an_aborted_batch_introduces_nothing)
{
    struct store_digest id = test_digest('p', 3);
    struct store_profile found;
    struct store_batch *batch = test_begin(store);

    check_ok(test_put_profile(batch, 3, 1003));
    store_abort(batch);
    struct store_view *view = test_view_open(store);
    check_err(store_find_profile(view, &id, &found), CA_ERR_NOT_FOUND);
    store_view_close(view);
    cr_assert_eq(audit_sequence(), 0);
}

Test(profiles, all_are_listed_page_by_page_in_the_order_of_their_identities)
{
    enum { COUNT = 25, PAGE = 7 };
    struct store_profile found[COUNT + 1];
    struct store_digest last;
    size_t total = 0, count = PAGE;
    bool seen[COUNT] = { false };

    introduce(0, COUNT);
    struct store_view *view = test_view_open(store);
    while (count == PAGE) {
        check_ok(store_find_profiles(view, total == 0 ? NULL : &last, found, PAGE, &count));
        for (size_t i = 0; i < count; i++) {
            uint64_t n = found[i].introduced_us - 1000;
            cr_assert(n < COUNT && !seen[n]);
            check_profile(&found[i], n);
            seen[n] = true;
            cr_assert(total + i == 0 ||
                      ca_bytes_compare(ca_bytes_of(last.bytes, STORE_DIGEST_LEN),
                                       ca_bytes_of(found[i].id.bytes, STORE_DIGEST_LEN)) < 0);
            last = found[i].id;
        }
        total += count;
    }
    cr_assert_eq(total, COUNT);
    check_ok(store_find_profiles(view, NULL, found, COUNT + 1, &count));
    cr_assert_eq(count, COUNT);
    store_view_close(view);
}

Test(profiles, there_is_an_end_to_how_many_are_remembered)
{
    struct store_batch *batch = test_begin(store);

    for (uint64_t n = 0; n < STORE_PROFILES_MAX; n++)
        check_ok(test_put_profile(batch, n, 1000 + n));
    check_err(test_put_profile(batch, STORE_PROFILES_MAX, 1), CA_ERR_TOO_MANY_ITEMS);
    check_ok(store_commit(batch));
    batch = test_begin(store);
    check_err(test_put_profile(batch, STORE_PROFILES_MAX, 1), CA_ERR_TOO_MANY_ITEMS);
    store_abort(batch);
    cr_assert_eq(audit_sequence(), STORE_PROFILES_MAX);
}

/* ---- stores that were made before there was the table */

static void drop_table(void)
{
    store_close(store);
    store = NULL;
    data_file_drop(test_path, "profiles");
}

static bool has_table(void)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;

    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_set_maxdbs(env, 32), 0);
    cr_assert_eq(mdb_env_open(env, test_path, MDB_RDONLY, 0600), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    int rc = mdb_dbi_open(txn, "profiles", 0, &table);
    cr_assert(rc == 0 || rc == MDB_NOTFOUND);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return rc == 0;
}

Test(profiles, an_older_store_is_read_as_it_is_and_gets_its_table_from_the_daemon)
{
    struct store_options options = test_options;
    struct store_digest id = test_digest('p', 3);
    struct store_profile found;
    size_t count = 1;

    test_issue(store, 1, 30, 10);
    drop_table();
    options.is_read_only = true;
    check_ok(store_open(test_path, &options, &store));
    struct store_view *view = test_view_open(store);
    check_err(store_find_profile(view, &id, &found), CA_ERR_NOT_FOUND);
    check_ok(store_find_profiles(view, NULL, &found, 1, &count));
    cr_assert_eq(count, 0);
    test_check_found(view, 7);
    store_view_close(view);
    test_check_whole(store);
    store_close(store);
    store = NULL;
    cr_assert(!has_table());

    store = test_open();
    test_check_whole(store);
    introduce(3, 4);
    test_issue(store, 2000, 2010, 5);
    test_check_whole(store);
    reopen();
    test_check_whole(store);
    store_close(store);
    check_ok(store_open(test_path, &options, &store));
    view = test_view_open(store);
    check_ok(store_find_profile(view, &id, &found));
    check_profile(&found, 3);
    store_view_close(view);
}

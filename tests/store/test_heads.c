/* SPDX-License-Identifier: Apache-2.0 */
/* Signed heads of the audit log, as they are kept. Signatures are nobody's here. */
#include "ca/keys/head.h"
#include "store/record.h"
#include "tests/support/data_file.h"
#include "tests/support/store.h"

enum { RECORDS = 20 };

static struct store *store;

static void make(void)
{
    store = test_store_make();
    test_issue(store, 1, 1 + RECORDS, 5);
}

static void unmake(void)
{
    test_store_remove(store);
}

TestSuite(heads, .init = make, .fini = unmake, .timeout = 60);

static void reopen(void)
{
    store_close(store);
    store = test_open();
}

/* Of this record, as it is. */
static struct keys_signed_head head_of(uint64_t sequence)
{
    struct keys_signed_head head = { .head = { .sequence = sequence, .time_us = 1000 + sequence },
                                     .key_id = { 1, 2, 3, 4 } };
    struct store_view *view = test_view_open(store);
    struct store_audit_head place;
    struct store_info info;

    store_info(store, &info);
    memcpy(head.head.log, info.id, sizeof(info.id));
    check_ok(store_find_audit_head(view, sequence, &place));
    memcpy(head.head.chain, place.chain, sizeof(place.chain));
    memset(head.signature, (int)sequence, sizeof(head.signature));
    store_view_close(view);
    return head;
}

static enum ca_err put(const struct keys_signed_head *head)
{
    struct store_batch *batch = test_begin(store);
    enum ca_err err = store_put_signed_head(batch, head);

    if (err == CA_OK)
        check_ok(store_commit(batch));
    else
        store_abort(batch);
    return err;
}

static void put_all(const uint64_t *sequences, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct keys_signed_head head = head_of(sequences[i]);
        check_ok(put(&head));
    }
}

static void check_same(const struct keys_signed_head *got, const struct keys_signed_head *want)
{
    check_bytes(ca_bytes_of(got, sizeof(*got)), ca_bytes_of(want, sizeof(*want)));
}

Test(heads, what_was_put_is_found_also_after_a_restart)
{
    static const uint64_t sequences[] = { 3, 4, 19 };
    struct keys_signed_head found[4], want;
    size_t count;

    struct store_view *view = test_view_open(store);
    check_err(store_find_last_signed_head(view, &want), CA_ERR_NOT_FOUND);
    check_ok(store_find_signed_heads(view, 0, UINT64_MAX, found, 4, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
    put_all(sequences, 3);
    for (int round = 0; round < 2; round++) {
        view = test_view_open(store);
        want = head_of(19);
        check_ok(store_find_last_signed_head(view, &found[0]));
        check_same(&found[0], &want);
        check_ok(store_find_signed_heads(view, 0, UINT64_MAX, found, 4, &count));
        cr_assert_eq(count, 3);
        for (size_t i = 0; i < 3; i++) {
            want = head_of(sequences[i]);
            check_same(&found[i], &want);
        }
        store_view_close(view);
        test_check_whole(store);
        reopen();
    }
}

Test(heads, those_between_two_records_are_found)
{
    static const uint64_t sequences[] = { 3, 4, 9, 19 };
    static const struct {
        uint64_t after, until;
        size_t count_max, count;
        uint64_t first;
    } cases[] = {
        { 0, 2, 4, 0, 0 },   { 0, 3, 4, 1, 3 },
        { 3, 4, 4, 1, 4 },   { 3, 3, 4, 0, 0 },
        { 4, 18, 4, 1, 9 },  { 0, 20, 2, 2, 3 },
        { 9, 20, 4, 1, 19 }, { 19, 20, 4, 0, 0 },
        { 9, 8, 4, 0, 0 },   { UINT64_MAX, UINT64_MAX, 4, 0, 0 },
    };
    struct keys_signed_head found[4];
    size_t count;

    put_all(sequences, 4);
    struct store_view *view = test_view_open(store);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_ok(store_find_signed_heads(view, cases[i].after, cases[i].until, found,
                                         cases[i].count_max, &count));
        cr_assert_eq(count, cases[i].count, "case %zu: %zu", i, count);
        cr_assert(count == 0 || found[0].head.sequence == cases[i].first, "case %zu", i);
    }
    store_view_close(view);
}

Test(heads, one_may_come_with_the_record_it_is_of)
{
    struct ca_serial serial = test_serial(5000);
    struct store_audit audit = test_audit(&serial, 5000);
    struct keys_signed_head head = head_of(RECORDS);
    uint8_t chain[STORE_CHAIN_LEN], record[STORE_AUDIT_LEN_MAX];

    memcpy(chain, head.head.chain, sizeof(chain));
    store_record_encode_audit(RECORDS + 1, &audit, chain, record);
    memcpy(head.head.chain, chain, sizeof(chain));
    head.head.sequence = RECORDS + 1;
    check_err(put(&head), CA_ERR_NOT_FOUND);
    struct store_batch *batch = test_begin(store);
    check_ok(store_put_audit(batch, &audit));
    check_ok(store_put_signed_head(batch, &head));
    check_ok(store_commit(batch));
    test_check_whole(store);
}

Test(heads, none_contradicts_the_log_or_goes_back)
{
    struct keys_signed_head head = head_of(7), wrong = head;

    wrong.head.chain[0] ^= 1;
    check_err(put(&wrong), CA_ERR_STATE);
    check_ok(put(&head));
    check_err(put(&head), CA_ERR_EXISTS);
    head = head_of(6);
    check_err(put(&head), CA_ERR_EXISTS);
    head = head_of(8);
    head.head.sequence = RECORDS + 1;
    check_err(put(&head), CA_ERR_NOT_FOUND);
    head = head_of(8);
    check_ok(put(&head));
    test_check_whole(store);
}

Test(heads, a_refused_one_leaves_the_batch_as_it_was)
{
    struct keys_signed_head head = head_of(7);
    struct store_batch *batch = test_begin(store);

    head.head.sequence = RECORDS + 1;
    check_err(store_put_signed_head(batch, &head), CA_ERR_NOT_FOUND);
    check_ok(test_put_intent(batch, 9000));
    check_ok(store_commit(batch));
    test_check_whole(store);
}

Test(heads, an_aborted_batch_leaves_none)
{
    struct keys_signed_head head = head_of(7), found;
    struct store_batch *batch = test_begin(store);

    check_ok(store_put_signed_head(batch, &head));
    store_abort(batch);
    struct store_view *view = test_view_open(store);
    check_err(store_find_last_signed_head(view, &found), CA_ERR_NOT_FOUND);
    cr_assert_eq(found.head.sequence, 0);
    store_view_close(view);
}

/* ---- damage */

/* Another record in its place, or at another: sealed as it should be, as who can write would. */
static void replace(const struct keys_signed_head *head)
{
    uint8_t key[STORE_SEQUENCE_LEN], value[STORE_SIGNED_HEAD_LEN];
    MDB_val key_val = { sizeof(key), key }, value_val = { sizeof(value), value };

    store_close(store);
    struct data_file file = data_file_open(test_path);
    store_record_sequence_key(head->head.sequence, key);
    store_record_encode_signed_head(head, value);
    cr_assert_eq(mdb_put(file.txn, data_file_table(&file, "heads"), &key_val, &value_val, 0), 0);
    data_file_close(&file);
    store = test_open();
}

static void check_damaged(void)
{
    struct store_view *view = test_view_open(store);
    struct store_damage damage;

    check_err(store_check(view, &damage), CA_ERR_STORAGE_CORRUPT);
    cr_assert_str_eq(damage.table, "heads");
    store_view_close(view);
}

Test(heads, one_of_another_chain_is_found_by_the_check)
{
    struct keys_signed_head head = head_of(7);

    check_ok(put(&head));
    head.head.chain[31] ^= 1;
    replace(&head);
    check_damaged();
}

Test(heads, one_of_a_record_that_is_not_there_is_found_by_the_check)
{
    struct keys_signed_head head = head_of(7);

    head.head.sequence = RECORDS + 1;
    replace(&head);
    check_damaged();
}

Test(heads, a_damaged_one_is_not_told)
{
    struct keys_signed_head head = head_of(7), found;
    uint8_t key[STORE_SEQUENCE_LEN], value[STORE_SIGNED_HEAD_LEN];
    MDB_val key_val = { sizeof(key), key }, value_val = { sizeof(value), value };
    size_t count;

    check_ok(put(&head));
    store_close(store);
    struct data_file file = data_file_open(test_path);
    store_record_sequence_key(7, key);
    store_record_encode_signed_head(&head, value);
    value[50] ^= 1;
    cr_assert_eq(mdb_put(file.txn, data_file_table(&file, "heads"), &key_val, &value_val, 0), 0);
    data_file_close(&file);
    store = test_open();
    struct store_view *view = test_view_open(store);
    check_err(store_find_last_signed_head(view, &found), CA_ERR_STORAGE_CORRUPT);
    cr_assert_eq(found.head.sequence, 0);
    check_err(store_find_signed_heads(view, 0, 9, &found, 1, &count), CA_ERR_STORAGE_CORRUPT);
    cr_assert_eq(count, 0);
    store_view_close(view);
    check_damaged();
}

/* ---- stores that were made before there was the table */

Test(heads, an_older_store_is_read_as_it_is_and_gets_its_table_from_the_daemon)
{
    struct store_options options = test_options;
    struct keys_signed_head head = head_of(7), found;
    size_t count = 1;

    store_close(store);
    data_file_drop(test_path, "heads");
    options.is_read_only = true;
    check_ok(store_open(test_path, &options, &store));
    struct store_view *view = test_view_open(store);
    check_err(store_find_last_signed_head(view, &found), CA_ERR_NOT_FOUND);
    check_ok(store_find_signed_heads(view, 0, 9, &found, 1, &count));
    cr_assert_eq(count, 0);
    store_view_close(view);
    test_check_whole(store);
    reopen();
    check_ok(put(&head));
    test_check_whole(store);
}

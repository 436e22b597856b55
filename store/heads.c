/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "ca/keys/head.h"
#include "store/octets.h"
#include "store/tables.h"

/* ---- writing */

/* The one put last; sequence 0: none. */
static enum ca_err batch_last(struct store_batch *batch, uint64_t *sequence_out)
{
    MDB_val key, value;

    *sequence_out = 0;
    int rc = mdb_cursor_get(batch->cursors[STORE_TABLE_HEADS], &key, &value, MDB_LAST);
    if (rc == MDB_NOTFOUND)
        return CA_OK;
    if (rc != 0)
        return store_batch_fail(batch, rc);
    if (key.mv_size != STORE_SEQUENCE_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    *sequence_out = octets_load_be64(key.mv_data);
    return CA_OK;
}

/* Is that so of the log, as this batch finds it? */
static enum ca_err batch_check(struct store_batch *batch, const struct keys_head *head,
                               struct ca_bytes key)
{
    struct ca_bytes record;
    enum ca_err err = store_batch_get(batch, STORE_TABLE_AUDIT, key, &record);

    if (err != CA_OK)
        return err;
    return record.len >= STORE_CHAIN_LEN &&
                   ca_bytes_equal(
                       ca_bytes_of(record.data + record.len - STORE_CHAIN_LEN, STORE_CHAIN_LEN),
                       ca_bytes_of(head->chain, STORE_CHAIN_LEN))
               ? CA_OK
               : CA_ERR_STATE;
}

enum ca_err store_put_signed_head(struct store_batch *batch, const struct keys_signed_head *head)
{
    uint8_t key[STORE_SEQUENCE_LEN], *value;
    uint64_t last;
    enum ca_err err;

    assert(ca_bytes_equal(ca_bytes_of(head->head.log, STORE_ID_LEN),
                          ca_bytes_of(batch->store->identity.id, STORE_ID_LEN)));
    if (batch->failed != CA_OK)
        return batch->failed;
    store_record_sequence_key(head->head.sequence, key);
    const struct ca_bytes at = ca_bytes_of(key, sizeof(key));
    if ((err = batch_last(batch, &last)) != CA_OK)
        return err;
    if (last >= head->head.sequence)
        return CA_ERR_EXISTS;
    if ((err = batch_check(batch, &head->head, at)) != CA_OK)
        return err;
    err = store_batch_reserve(batch, STORE_TABLE_HEADS, at, STORE_SIGNED_HEAD_LEN, &value);
    if (err == CA_OK)
        store_record_encode_signed_head(head, value);
    return err;
}

/* ---- reading */

static enum ca_err decode(const struct store_view *view, struct ca_bytes key, struct ca_bytes value,
                          struct keys_signed_head *head_out)
{
    enum ca_err err = store_record_decode_signed_head(key, value, head_out);

    if (err == CA_OK)
        memcpy(head_out->head.log, view->store->identity.id, STORE_ID_LEN);
    return err;
}

enum ca_err store_find_last_signed_head(struct store_view *view, struct keys_signed_head *head_out)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;

    memset(head_out, 0, sizeof(*head_out));
    if (view->store->lacks[STORE_TABLE_HEADS])
        return CA_ERR_NOT_FOUND;
    enum ca_err err = store_from_lmdb(
        mdb_cursor_open(view->txn, view->store->tables[STORE_TABLE_HEADS], &cursor));
    if (err != CA_OK)
        return err;
    err = store_from_lmdb(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
    if (err == CA_OK)
        err = decode(view, store_bytes(key), store_bytes(value), head_out);
    mdb_cursor_close(cursor);
    return err;
}

enum ca_err store_find_signed_heads(struct store_view *view, uint64_t after, uint64_t until,
                                    struct keys_signed_head *heads_out, size_t count_max,
                                    size_t *count_out)
{
    uint8_t from[STORE_SEQUENCE_LEN];
    struct store_scan scan;
    size_t count = 0;

    *count_out = 0;
    if (view->store->lacks[STORE_TABLE_HEADS] || after >= until)
        return CA_OK;
    store_record_sequence_key(after + 1, from);
    enum ca_err err =
        store_scan_open(view, STORE_TABLE_HEADS, ca_bytes_of(from, sizeof(from)), &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        err = decode(view, scan.key, scan.value, &heads_out[count]);
        if (err == CA_OK && heads_out[count].head.sequence > until)
            break;
        if (err == CA_OK)
            count++;
    }
    return store_scan_end(&scan, err, count, count_out);
}

/* ---- check */

/* Of the record it names? Signatures are for who has the key: certmill audit verify. */
static enum ca_err check_one(struct store_checker *checker, struct ca_bytes key,
                             struct ca_bytes value)
{
    struct keys_signed_head head;
    struct store_audit_head place;
    enum ca_err err = store_record_decode_signed_head(key, value, &head);

    if (err == CA_OK)
        err = store_find_audit_head(checker->view, head.head.sequence, &place);
    if (err != CA_OK)
        return err;
    return ca_bytes_equal(ca_bytes_of(place.chain, STORE_CHAIN_LEN),
                          ca_bytes_of(head.head.chain, STORE_CHAIN_LEN))
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

enum ca_err store_check_heads(struct store_checker *checker)
{
    if (checker->view->store->lacks[STORE_TABLE_HEADS])
        return CA_OK;
    return store_checker_walk(checker, STORE_TABLE_HEADS, "heads", check_one);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tables.h"

bool store_changes_row(const struct store_change_record *record, struct store_recent_row *row_out)
{
    static const struct store_digest none;

    memset(row_out, 0, sizeof(*row_out));
    row_out->sequence = record->change.sequence;
    if (record->kind == STORE_CHANGE_ADDED) {
        row_out->locator = ca_serial_locator(&record->change.serial);
        memcpy(row_out->digests, record->digests, sizeof(row_out->digests));
        return true;
    }
    if (store_digest_equal(&record->request, &none))
        return false;
    row_out->locator = STORE_LOCATOR_CHANGE | record->change.sequence;
    /* All sections of a run are equally long; nobody asks the other two for a request. */
    for (int i = 0; i < STORE_SECTION_COUNT; i++)
        row_out->digests[i] = record->request;
    return true;
}

static enum ca_err changes_read(MDB_cursor *cursor, uint64_t after, uint64_t until,
                                struct store_recent_row *rows, size_t count_max, size_t *count_out,
                                uint64_t *scanned_out)
{
    uint8_t from[STORE_SEQUENCE_LEN];
    MDB_cursor_op next = MDB_SET_RANGE;
    uint64_t sequence = after;
    size_t count = 0;

    store_record_sequence_key(after + 1, from);
    MDB_val key = store_val(ca_bytes_of(from, sizeof(from))), value;
    while (sequence < until && count < count_max) {
        struct store_change_record record;
        int rc = mdb_cursor_get(cursor, &key, &value, next);
        if (rc == MDB_NOTFOUND)
            return CA_ERR_STORAGE_CORRUPT; /* the head says there are more */
        if (rc != 0)
            return store_from_lmdb(rc);
        enum ca_err err = store_record_decode_change(store_bytes(key), store_bytes(value), &record);
        if (err != CA_OK || record.change.sequence != sequence + 1)
            return CA_ERR_STORAGE_CORRUPT;
        sequence = record.change.sequence;
        if (store_changes_row(&record, &rows[count]))
            count++;
        next = MDB_NEXT;
    }
    *count_out = count;
    *scanned_out = sequence;
    return CA_OK;
}

enum ca_err store_changes_read(void *arg, uint64_t after, uint64_t until,
                               struct store_recent_row *rows, size_t count_max, size_t *count_out,
                               uint64_t *scanned_out)
{
    struct store *store = arg;
    MDB_cursor *cursor = NULL;
    MDB_txn *txn = NULL;

    *count_out = 0;
    *scanned_out = after;
    enum ca_err err = store_from_lmdb(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    if (err == CA_OK)
        err = store_from_lmdb(mdb_cursor_open(txn, store->tables[STORE_TABLE_CHANGES], &cursor));
    if (err == CA_OK)
        err = changes_read(cursor, after, until, rows, count_max, count_out, scanned_out);
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (txn != NULL)
        mdb_txn_abort(txn);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/octets.h"
#include "store/tables.h"

/* The entry as it stands, and in which of the two tables; the table's cursor stays at it. */
static enum ca_err status_find(struct store_batch *batch, const struct store_scope *scope,
                               const struct ca_serial *serial, enum store_table *table_out,
                               struct store_listed *listed_out)
{
    static const enum store_table tables[] = { STORE_TABLE_REVOKED, STORE_TABLE_RETIRED };
    uint8_t bytes[STORE_SERIAL_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;
    enum ca_err err = CA_ERR_NOT_FOUND;

    memset(listed_out, 0, sizeof(*listed_out));
    *table_out = STORE_TABLE_REVOKED;
    if (batch->failed != CA_OK)
        return batch->failed;
    store_record_serial_key(scope, serial, bytes);
    for (int i = 0; i < 2 && err == CA_ERR_NOT_FOUND; i++) {
        err = store_batch_get(batch, tables[i], key, &value);
        if (err == CA_OK)
            *table_out = tables[i];
    }
    return err == CA_OK ? store_record_decode_listed(*table_out, key, value, listed_out) : err;
}

enum ca_err store_batch_find_status(struct store_batch *batch, const struct store_scope *scope,
                                    const struct ca_serial *serial, struct store_status *status_out)
{
    struct store_listed listed;
    enum store_table table;

    enum ca_err err = status_find(batch, scope, serial, &table, &listed);
    *status_out = listed.status;
    return err;
}

/* The status table's record, and the one that all changes have. */
static enum ca_err status_put_change(struct store_batch *batch,
                                     const struct store_status_change *change, uint64_t time_us)
{
    struct store_change_record record = {
        .change = { .time_us = time_us,
                    .serial = change->serial,
                    .old_state = change->old_state,
                    .new_state = change->status.state },
        .kind = STORE_CHANGE_STATUS,
        .request = change->request,
        .body = change->body,
    };
    uint8_t key[STORE_NUMBER_KEY_LEN];
    uint8_t *value;

    if (change->status.state != STORE_STATE_VALID)
        record.change.reason = change->status.reason;
    enum ca_err err = store_batch_put_change(batch, &record);
    if (err != CA_OK)
        return err;
    const struct store_status_row row = {
        .sequence = record.change.sequence,
        .serial = change->serial,
        .old_state = change->old_state,
        .new_state = change->status.state,
        .time_us = time_us,
    };
    store_record_number_key(&change->scope, row.sequence, key);
    err = store_batch_reserve(batch, STORE_TABLE_STATUS, ca_bytes_of(key, sizeof(key)),
                              STORE_STATUS_ROW_LEN, &value);
    if (err != CA_OK)
        return err == CA_ERR_EXISTS ? store_batch_fail(batch, MDB_KEYEXIST) : err;
    store_record_encode_status(&change->scope, &row, value);
    return CA_OK;
}

/* Writes, or drops when len is 0, the record that `table` has or is to have. */
static enum ca_err status_write(struct store_batch *batch, enum store_table table,
                                const struct store_listed *listed, const uint8_t *bytes, size_t len)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    uint8_t *value;

    if (len == 0)
        return store_batch_drop(batch, table);
    store_record_serial_key(&listed->scope, &listed->serial, key);
    enum ca_err err = store_batch_replace(batch, table, ca_bytes_of(key, sizeof(key)), len, &value);
    if (err == CA_OK)
        memcpy(value, bytes, len);
    return err;
}

static bool is_listed(enum store_state state)
{
    return state == STORE_STATE_REVOKED || state == STORE_STATE_HELD;
}

enum ca_err store_put_status(struct store_batch *batch, const struct store_status_change *change,
                             const struct store_audit *audit)
{
    struct store_listed old, new = { change->scope, change->serial, change->status, { NULL, 0 } };
    uint8_t bytes[STORE_LISTED_LEN_MAX];
    struct store_scope_info *info = NULL;
    enum store_table table;
    size_t len = 0;

    enum ca_err err = status_find(batch, &change->scope, &change->serial, &table, &old);
    if (err != CA_OK && err != CA_ERR_NOT_FOUND)
        return err;
    size_t old_len = old.entry.len;
    if (old_len == 0 ? is_listed(change->old_state) || change->status.state == STORE_STATE_VALID
                     : old.status.state != change->old_state)
        return CA_ERR_STATE;
    new.status.sequence = batch->head.change_sequence + 1;
    if (change->status.state != STORE_STATE_VALID &&
        (err = store_record_encode_listed(table, &new, bytes, &len)) != CA_OK)
        return err;
    if ((err = store_batch_scope(batch, &change->scope, &info)) != CA_OK)
        return err;

    if ((err = status_write(batch, table, &new, bytes, len)) != CA_OK)
        return err;
    if (table == STORE_TABLE_REVOKED) {
        info->entry_count += (uint64_t)(len != 0) - (uint64_t)(old_len != 0);
        info->entries_len += (len == 0 ? 0 : len - STORE_LISTED_LEN_MIN) - old_len;
    }
    if ((err = status_put_change(batch, change, audit->time_us)) != CA_OK)
        return err;
    return store_put_audit(batch, audit);
}

/* ---- pruning */

enum { LOOKED_AT_PER_PRUNED = 64 }; /* the writer has other things to do */

static enum ca_err prune_one(struct store_batch *batch, struct ca_bytes key,
                             struct ca_bytes entry_value, struct store_scope_info *info)
{
    uint8_t bytes[STORE_LISTED_LEN_MAX];
    struct store_listed listed;
    uint8_t *value;
    size_t len;

    enum ca_err err = store_record_decode_listed(STORE_TABLE_REVOKED, key, entry_value, &listed);
    if (err != CA_OK)
        return err;
    size_t entry_len = listed.entry.len;
    if ((err = store_record_encode_listed(STORE_TABLE_RETIRED, &listed, bytes, &len)) != CA_OK)
        return err;
    if ((err = store_batch_drop(batch, STORE_TABLE_REVOKED)) != CA_OK)
        return err;
    info->entry_count--;
    info->entries_len -= entry_len;
    err = store_batch_replace(batch, STORE_TABLE_RETIRED, key, len, &value);
    if (err == CA_OK)
        memcpy(value, bytes, len);
    return err;
}

/* The number after this one. The highest of all starts with 0x7f, so it never carries over. */
static void serial_step(struct ca_serial *serial)
{
    for (size_t i = CA_SERIAL_LEN; i-- > 0;)
        if (++serial->bytes[i] != 0)
            return;
}

/* The next record of the scope from `key` on, which moves there. NOT_FOUND: no more. */
static enum ca_err prune_next(struct store_batch *batch, uint8_t key[STORE_SERIAL_KEY_LEN],
                              struct ca_bytes *value_out)
{
    MDB_val key_val = store_val(ca_bytes_of(key, STORE_SERIAL_KEY_LEN)), value;

    int rc = mdb_cursor_get(batch->cursors[STORE_TABLE_REVOKED], &key_val, &value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return CA_ERR_NOT_FOUND;
    if (rc != 0)
        return store_batch_fail(batch, rc);
    if (key_val.mv_size != STORE_SERIAL_KEY_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    if (!ca_bytes_equal(ca_bytes_of(key_val.mv_data, STORE_SCOPE_KEY_LEN),
                        ca_bytes_of(key, STORE_SCOPE_KEY_LEN)))
        return CA_ERR_NOT_FOUND;
    memcpy(key, key_val.mv_data, STORE_SERIAL_KEY_LEN);
    *value_out = store_bytes(value);
    return CA_OK;
}

enum ca_err store_put_pruned(struct store_batch *batch, const struct store_scope *scope,
                             int64_t this_update_s, uint64_t sequence, struct ca_serial *from,
                             size_t count_max, bool *is_done_out)
{
    size_t count = 0, looked_at_max = LOOKED_AT_PER_PRUNED * count_max;
    uint8_t bytes[STORE_SERIAL_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;
    struct store_scope_info *info;
    struct store_listed listed;
    enum ca_err err;

    *is_done_out = false;
    if (batch->failed != CA_OK)
        return batch->failed;
    if ((err = store_batch_scope(batch, scope, &info)) != CA_OK)
        return err;
    for (size_t i = 0; i < looked_at_max && count < count_max; i++) {
        store_record_serial_key(scope, from, bytes);
        err = prune_next(batch, bytes, &value);
        if (err == CA_OK)
            err = store_record_open_listed(STORE_TABLE_REVOKED, key, value, &listed);
        bool is_due = err == CA_OK && listed.status.sequence <= sequence &&
                      listed.status.not_after_s < this_update_s;
        if (is_due) {
            err = prune_one(batch, key, value, info);
            count++;
        }
        if (err != CA_OK)
            break;
        memcpy(from->bytes, bytes + STORE_SCOPE_KEY_LEN, CA_SERIAL_LEN);
        serial_step(from);
    }
    *is_done_out = err == CA_ERR_NOT_FOUND;
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

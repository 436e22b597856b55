/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/octets.h"
#include "store/tables.h"

enum ca_err store_begin(struct store *store, struct store_batch **batch_out)
{
    struct store_batch *batch = &store->batch;

    *batch_out = NULL;
    assert(!store->options.is_read_only && batch->txn == NULL);
    if (atomic_load(&store->is_latched))
        return CA_ERR_STORAGE;
    store_space_check(store);
    if (mdb_txn_begin(store->env, NULL, 0, &batch->txn) != 0) {
        batch->txn = NULL;
        return store_latch(store);
    }
    batch->store = store;
    batch->head = store->head;
    batch->row_count = 0;
    batch->is_changed = batch->is_failed = false;
    for (int i = 0; i < STORE_TABLE_COUNT; i++) {
        if (mdb_cursor_open(batch->txn, store->tables[i], &batch->cursors[i]) != 0) {
            store_abort(batch);
            return store_latch(store);
        }
    }
    *batch_out = batch;
    return CA_OK;
}

static void batch_close_cursors(struct store_batch *batch)
{
    for (int i = 0; i < STORE_TABLE_COUNT; i++) {
        if (batch->cursors[i] != NULL)
            mdb_cursor_close(batch->cursors[i]);
        batch->cursors[i] = NULL;
    }
}

void store_abort(struct store_batch *batch)
{
    if (batch == NULL || batch->txn == NULL)
        return;
    batch_close_cursors(batch);
    mdb_txn_abort(batch->txn);
    batch->txn = NULL;
}

/* LMDB's transaction is not to be trusted after an error of its own. */
static enum ca_err batch_fail(struct store_batch *batch)
{
    batch->is_failed = true;
    return store_latch(batch->store);
}

/*
 * Room for a record, to be filled before anything else is put. Appending costs no search; keys
 * that are not behind the last one, as workers may bring them, take the ordinary way.
 */
static enum ca_err batch_reserve(struct store_batch *batch, enum store_table table,
                                 struct ca_bytes key, size_t len, uint8_t **value_out)
{
    MDB_val key_val = store_val(key), value = { len, NULL };
    MDB_cursor *cursor = batch->cursors[table];

    int rc = mdb_cursor_put(cursor, &key_val, &value, MDB_RESERVE | MDB_APPEND);
    if (rc == MDB_KEYEXIST) {
        value = (MDB_val){ len, NULL };
        rc = mdb_cursor_put(cursor, &key_val, &value, MDB_RESERVE | MDB_NOOVERWRITE);
    }
    *value_out = rc == 0 ? value.mv_data : NULL;
    if (rc == MDB_KEYEXIST)
        return CA_ERR_EXISTS;
    if (rc != 0)
        return batch_fail(batch);
    batch->is_changed = true;
    return CA_OK;
}

static void batch_raise_clock(struct store_batch *batch, uint64_t time_us)
{
    if (time_us > batch->head.clock_us)
        batch->head.clock_us = time_us;
}

/* Is there a key with this serial's locator? */
static enum ca_err batch_find_locator(struct store_batch *batch, enum store_table table,
                                      const struct ca_serial *serial)
{
    uint8_t from[8];
    MDB_val key, value;

    octets_store_be64(from, ca_serial_locator(serial));
    key = store_val(ca_bytes_of(from, sizeof(from)));
    int rc = mdb_cursor_get(batch->cursors[table], &key, &value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return CA_ERR_NOT_FOUND;
    if (rc != 0)
        return batch_fail(batch);
    return key.mv_size == CA_SERIAL_LEN && octets_load_be64(key.mv_data) == octets_load_be64(from)
               ? CA_OK
               : CA_ERR_NOT_FOUND;
}

/* Serials come in order, so that hardly ever one has to be looked for. */
static enum ca_err batch_check_unused(struct store_batch *batch, const struct ca_serial *serial)
{
    static const enum store_table tables[] = { STORE_TABLE_INTENTS, STORE_TABLE_CERTIFICATES };

    if (ca_serial_locator(serial) > batch->store->high_locator)
        return CA_OK;
    for (int i = 0; i < 2; i++) {
        enum ca_err err = batch_find_locator(batch, tables[i], serial);
        if (err != CA_ERR_NOT_FOUND)
            return err == CA_OK ? CA_ERR_EXISTS : err;
    }
    return CA_OK;
}

enum ca_err store_put_intent(struct store_batch *batch, const struct store_intent *intent)
{
    struct store *store = batch->store;
    uint8_t *value;
    enum ca_err err;

    assert(intent->serial.bytes[0] == store->identity.instance);
    if (batch->is_failed)
        return CA_ERR_STORAGE;
    if (atomic_load(&store->is_full))
        return CA_ERR_STORAGE_FULL;
    if ((err = batch_check_unused(batch, &intent->serial)) != CA_OK)
        return err;
    if ((err = batch_reserve(batch, STORE_TABLE_INTENTS, ca_serial_bytes(&intent->serial),
                             STORE_INTENT_LEN, &value)) != CA_OK)
        return err;
    store_record_encode_intent(intent, value);
    if (ca_serial_locator(&intent->serial) > store->high_locator)
        store->high_locator = ca_serial_locator(&intent->serial);
    batch_raise_clock(batch, ca_serial_time_us(&intent->serial));
    return CA_OK;
}

static bool digests_are_equal(const struct store_digest *a, const struct store_digest *b)
{
    return ca_bytes_equal(ca_bytes_of(a->bytes, STORE_DIGEST_LEN),
                          ca_bytes_of(b->bytes, STORE_DIGEST_LEN));
}

/* The cursor of the intents stays at the one found. */
static enum ca_err batch_check_intent(struct store_batch *batch,
                                      const struct store_certificate *certificate)
{
    MDB_val key = store_val(ca_serial_bytes(&certificate->serial)), value;
    struct store_intent intent;

    int rc = mdb_cursor_get(batch->cursors[STORE_TABLE_INTENTS], &key, &value, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND) {
        enum ca_err err = batch_find_locator(batch, STORE_TABLE_CERTIFICATES, &certificate->serial);
        return err == CA_OK ? CA_ERR_EXISTS : err;
    }
    if (rc != 0)
        return batch_fail(batch);
    enum ca_err err = store_record_decode_intent(store_bytes(key), store_bytes(value), &intent);
    if (err != CA_OK)
        return err;
    bool is_same = digests_are_equal(&intent.request, &certificate->request) &&
                   digests_are_equal(&intent.body, &certificate->body) &&
                   digests_are_equal(&intent.profile, &certificate->profile) &&
                   digests_are_equal(&intent.issuer, &certificate->issuer);
    return is_same ? CA_OK : CA_ERR_INTENT_CHANGED;
}

static enum ca_err batch_add_row(struct store_batch *batch, const struct store_change_record *added)
{
    if (batch->row_count == batch->row_room) {
        size_t room = batch->row_room == 0 ? 256 : 2 * batch->row_room;
        struct store_recent_row *rows = realloc(batch->rows, room * sizeof(*rows));
        if (rows == NULL)
            return batch_fail(batch);
        batch->rows = rows;
        batch->row_room = room;
    }
    batch->rows[batch->row_count++] = store_changes_row(added);
    return CA_OK;
}

static enum ca_err batch_put_change(struct store_batch *batch,
                                    const struct store_change_record *record)
{
    uint8_t key[STORE_SEQUENCE_LEN];
    uint8_t *value;
    enum ca_err err;

    store_record_sequence_key(record->change.sequence, key);
    err = batch_reserve(batch, STORE_TABLE_CHANGES, ca_bytes_of(key, sizeof(key)),
                        store_record_change_len(record), &value);
    if (err != CA_OK)
        return err == CA_ERR_EXISTS ? batch_fail(batch) : err;
    store_record_encode_change(record, value);
    batch->head.change_sequence = record->change.sequence;
    batch_raise_clock(batch, record->change.time_us);
    return record->is_added ? batch_add_row(batch, record) : CA_OK;
}

enum ca_err store_put_audit(struct store_batch *batch, const struct store_audit *audit)
{
    uint64_t sequence = batch->head.audit_sequence + 1;
    uint8_t key[STORE_SEQUENCE_LEN];
    uint8_t *value;

    assert(audit->kind >= STORE_AUDIT_ISSUED && audit->kind <= STORE_AUDIT_LAST);
    assert(audit->actor.len <= STORE_ACTOR_LEN_MAX &&
           audit->object.len <= STORE_AUDIT_OBJECT_LEN_MAX);
    if (batch->is_failed)
        return CA_ERR_STORAGE;
    store_record_sequence_key(sequence, key);
    enum ca_err err = batch_reserve(batch, STORE_TABLE_AUDIT, ca_bytes_of(key, sizeof(key)),
                                    store_record_audit_len(audit), &value);
    if (err != CA_OK)
        return err == CA_ERR_EXISTS ? batch_fail(batch) : err;
    store_record_encode_audit(sequence, audit, batch->head.audit_head, value);
    batch->head.audit_sequence = sequence;
    batch_raise_clock(batch, audit->time_us);
    return CA_OK;
}

enum ca_err store_put_certificate(struct store_batch *batch,
                                  const struct store_certificate *certificate,
                                  const struct store_audit *audit)
{
    struct store_change_record record = {
        .change = { .sequence = batch->head.change_sequence + 1,
                    .time_us = audit->time_us,
                    .serial = certificate->serial,
                    .old_state = STORE_STATE_NONE,
                    .new_state = STORE_STATE_VALID },
        .is_added = true,
        .digests = { [STORE_SECTION_IDENTITY] = certificate->identity,
                     [STORE_SECTION_KEY] = certificate->key,
                     [STORE_SECTION_REQUEST] = certificate->request },
    };
    uint8_t *value;
    enum ca_err err;

    assert(certificate->der.len > 0 && certificate->der.len <= CA_CERTIFICATE_LEN_MAX);
    if (batch->is_failed)
        return CA_ERR_STORAGE;
    if ((err = batch_check_intent(batch, certificate)) != CA_OK)
        return err;
    err = batch_reserve(batch, STORE_TABLE_CERTIFICATES, ca_serial_bytes(&certificate->serial),
                        store_record_certificate_len(certificate), &value);
    if (err != CA_OK)
        return err;
    store_record_encode_certificate(certificate, value);
    if (mdb_cursor_del(batch->cursors[STORE_TABLE_INTENTS], 0) != 0)
        return batch_fail(batch);
    if ((err = batch_put_change(batch, &record)) != CA_OK)
        return err;
    return store_put_audit(batch, audit);
}

enum ca_err store_put_clock(struct store_batch *batch, uint64_t time_us)
{
    if (batch->is_failed)
        return CA_ERR_STORAGE;
    if (time_us > batch->head.clock_us)
        batch->is_changed = true;
    batch_raise_clock(batch, time_us);
    return CA_OK;
}

static int batch_put_head(struct store_batch *batch)
{
    uint8_t bytes[STORE_HEAD_LEN];
    MDB_val key = store_val(CA_BYTES("head"));
    MDB_val value = store_val(ca_bytes_of(bytes, sizeof(bytes)));

    store_record_encode_head(&batch->head, bytes);
    return mdb_cursor_put(batch->cursors[STORE_TABLE_META], &key, &value, 0);
}

/* Publishes what store_info() tells. */
static void batch_publish(struct store_batch *batch, const MDB_stat *certificates,
                          const MDB_stat *intents)
{
    struct store *store = batch->store;

    pthread_mutex_lock(&store->info_lock);
    store->head = batch->head;
    store->certificate_count = certificates->ms_entries;
    store->intent_count = intents->ms_entries;
    pthread_mutex_unlock(&store->info_lock);
}

enum ca_err store_commit(struct store_batch *batch)
{
    struct store *store = batch->store;
    MDB_stat certificates, intents;

    if (batch->is_failed || !batch->is_changed) {
        store_abort(batch);
        return batch->is_failed ? CA_ERR_STORAGE : CA_OK;
    }
    /* The index first: whoever sees the commit must find what it brought. */
    if (batch_put_head(batch) != 0 ||
        mdb_stat(batch->txn, store->tables[STORE_TABLE_CERTIFICATES], &certificates) != 0 ||
        mdb_stat(batch->txn, store->tables[STORE_TABLE_INTENTS], &intents) != 0 ||
        store_runs_put(store->runs, batch->rows, batch->row_count) != CA_OK) {
        store_abort(batch);
        return store_latch(store);
    }
    batch_close_cursors(batch);
    int rc = mdb_txn_commit(batch->txn);
    batch->txn = NULL;
    if (rc != 0)
        return store_latch(store);
    batch_publish(batch, &certificates, &intents);
    /* What was committed is durable, whatever the index says; it only ends later batches. */
    if (store_runs_settle(store->runs, batch->head.change_sequence) != CA_OK)
        store_latch(store);
    return CA_OK;
}

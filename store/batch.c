/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "store/octets.h"
#include "store/tables.h"

/* Where memory was short nothing has happened; anything else may have. */
static enum ca_err store_fail(struct store *store, int rc)
{
    return rc == ENOMEM ? CA_ERR_NOMEM : store_latch(store);
}

enum ca_err store_begin(struct store *store, struct store_batch **batch_out)
{
    struct store_batch *batch = &store->batch;

    *batch_out = NULL;
    assert(!store->options.is_read_only && batch->txn == NULL);
    if (atomic_load(&store->is_latched))
        return CA_ERR_STORAGE;
    store_space_check(store);
    int rc = mdb_txn_begin(store->env, NULL, 0, &batch->txn);
    if (rc != 0) {
        batch->txn = NULL;
        return store_fail(store, rc);
    }
    batch->store = store;
    batch->head = store->head;
    batch->row_count = batch->scope_count = 0;
    store_batch_forget(batch);
    batch->is_changed = false;
    batch->failed = CA_OK;
    for (int i = 0; i < STORE_TABLE_COUNT; i++) {
        rc = mdb_cursor_open(batch->txn, store->tables[i], &batch->cursors[i]);
        if (rc != 0) {
            store_abort(batch);
            return store_fail(store, rc);
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

enum ca_err store_batch_fail(struct store_batch *batch, int rc)
{
    if (batch->failed == CA_OK)
        batch->failed = store_fail(batch->store, rc);
    return batch->failed;
}

/* Appending costs no search; keys that are not behind the last one, as workers may bring them, take
 * the ordinary way. */
enum ca_err store_batch_reserve(struct store_batch *batch, enum store_table table,
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
        return store_batch_fail(batch, rc);
    batch->is_changed = true;
    return CA_OK;
}

enum ca_err store_batch_replace(struct store_batch *batch, enum store_table table,
                                struct ca_bytes key, size_t len, uint8_t **value_out)
{
    MDB_val key_val = store_val(key), value = { len, NULL };

    int rc = mdb_cursor_put(batch->cursors[table], &key_val, &value, MDB_RESERVE);
    *value_out = rc == 0 ? value.mv_data : NULL;
    if (rc != 0)
        return store_batch_fail(batch, rc);
    batch->is_changed = true;
    return CA_OK;
}

enum ca_err store_batch_get(struct store_batch *batch, enum store_table table, struct ca_bytes key,
                            struct ca_bytes *value_out)
{
    MDB_val key_val = store_val(key), value = { 0, NULL };

    *value_out = store_bytes(value);
    enum ca_err err = store_batch_settle_table(batch, table);
    if (err != CA_OK)
        return err;
    int rc = mdb_cursor_get(batch->cursors[table], &key_val, &value, MDB_SET_KEY);
    *value_out = store_bytes(value);
    if (rc == MDB_NOTFOUND)
        return CA_ERR_NOT_FOUND;
    return rc == 0 ? CA_OK : store_batch_fail(batch, rc);
}

enum ca_err store_batch_drop(struct store_batch *batch, enum store_table table)
{
    int rc = mdb_cursor_del(batch->cursors[table], 0);

    if (rc != 0)
        return store_batch_fail(batch, rc);
    batch->is_changed = true;
    return CA_OK;
}

static void batch_raise_clock(struct store_batch *batch, uint64_t time_us)
{
    if (time_us > batch->head.clock_us)
        batch->head.clock_us = time_us;
}

/* The first record that is not below the locator; NOT_FOUND unless it has that locator. */
static enum ca_err batch_find_locator(struct store_batch *batch, enum store_table table,
                                      uint64_t locator, MDB_val *key, MDB_val *value)
{
    uint8_t from[8];

    enum ca_err err = store_batch_settle_table(batch, table);
    if (err != CA_OK)
        return err;
    octets_store_be64(from, locator);
    *key = store_val(ca_bytes_of(from, sizeof(from)));
    int rc = mdb_cursor_get(batch->cursors[table], key, value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return CA_ERR_NOT_FOUND;
    if (rc != 0)
        return store_batch_fail(batch, rc);
    return key->mv_size == CA_SERIAL_LEN && octets_load_be64(key->mv_data) == locator
               ? CA_OK
               : CA_ERR_NOT_FOUND;
}

enum ca_err store_batch_get_locator(struct store_batch *batch, uint64_t locator,
                                    struct store_certificate *certificate_out)
{
    MDB_val key, value;
    enum ca_err err = batch_find_locator(batch, STORE_TABLE_CERTIFICATES, locator, &key, &value);

    memset(certificate_out, 0, sizeof(*certificate_out));
    if (err != CA_OK)
        return err;
    return store_record_decode_certificate(store_bytes(key), store_bytes(value), certificate_out);
}

/* Serials come in order, so that hardly ever one has to be looked for. */
static enum ca_err batch_check_unused(struct store_batch *batch, const struct ca_serial *serial)
{
    static const enum store_table tables[] = { STORE_TABLE_INTENTS, STORE_TABLE_CERTIFICATES };
    uint64_t locator = ca_serial_locator(serial);
    MDB_val key, value;

    if (locator > batch->store->high_locator)
        return CA_OK;
    for (int i = 0; i < 2; i++) {
        enum ca_err err = batch_find_locator(batch, tables[i], locator, &key, &value);
        if (err != CA_ERR_NOT_FOUND)
            return err == CA_OK ? CA_ERR_EXISTS : err;
    }
    return CA_OK;
}

enum ca_err store_put_intent(struct store_batch *batch, const struct store_intent *intent)
{
    struct store *store = batch->store;
    uint8_t *record;
    enum ca_err err;

    assert(intent->serial.bytes[0] == store->identity.instance);
    if (batch->failed != CA_OK)
        return batch->failed;
    if (atomic_load(&store->is_full))
        return CA_ERR_STORAGE_FULL;
    if ((err = batch_check_unused(batch, &intent->serial)) != CA_OK)
        return err;
    if ((err = store_batch_draft(batch, STORE_TABLE_INTENTS, ca_serial_bytes(&intent->serial),
                                 STORE_INTENT_LEN, &record)) != CA_OK)
        return err;
    store_record_fill_intent(intent, record);
    if (ca_serial_locator(&intent->serial) > store->high_locator)
        store->high_locator = ca_serial_locator(&intent->serial);
    batch_raise_clock(batch, ca_serial_time_us(&intent->serial));
    return CA_OK;
}

/* The cursor of the intents stays at the one found. */
static enum ca_err batch_check_intent(struct store_batch *batch,
                                      const struct store_certificate *certificate)
{
    struct ca_bytes key = ca_serial_bytes(&certificate->serial), found;
    struct store_intent intent;
    MDB_val other_key, other;

    enum ca_err err = store_batch_get(batch, STORE_TABLE_INTENTS, key, &found);
    if (err == CA_ERR_NOT_FOUND) {
        err = batch_find_locator(batch, STORE_TABLE_CERTIFICATES,
                                 ca_serial_locator(&certificate->serial), &other_key, &other);
        return err == CA_OK ? CA_ERR_EXISTS : err;
    }
    if (err == CA_OK)
        err = store_record_decode_intent(key, found, &intent);
    if (err != CA_OK)
        return err;
    bool is_same = store_digest_equal(&intent.request, &certificate->request) &&
                   store_digest_equal(&intent.body, &certificate->body) &&
                   store_digest_equal(&intent.profile, &certificate->profile) &&
                   store_digest_equal(&intent.issuer, &certificate->issuer) &&
                   intent.not_after_s == certificate->not_after_s &&
                   intent.crl_shard == certificate->crl_shard &&
                   intent.predecessor == certificate->predecessor &&
                   intent.lineage == certificate->lineage;
    return is_same ? CA_OK : CA_ERR_INTENT_CHANGED;
}

static enum ca_err batch_add_row(struct store_batch *batch,
                                 const struct store_change_record *record)
{
    if (batch->row_count == batch->row_room) {
        size_t room = batch->row_room == 0 ? 256 : 2 * batch->row_room;
        struct store_recent_row *rows = realloc(batch->rows, room * sizeof(*rows));
        if (rows == NULL)
            return store_batch_fail(batch, ENOMEM);
        batch->rows = rows;
        batch->row_room = room;
    }
    if (store_changes_row(record, &batch->rows[batch->row_count]))
        batch->row_count++;
    return CA_OK;
}

enum ca_err store_batch_put_change(struct store_batch *batch, struct store_change_record *record)
{
    uint8_t key[STORE_SEQUENCE_LEN];
    uint8_t *draft;
    enum ca_err err;

    record->change.sequence = batch->head.change_sequence + 1;
    store_record_sequence_key(record->change.sequence, key);
    err = store_batch_draft(batch, STORE_TABLE_CHANGES, ca_bytes_of(key, sizeof(key)),
                            store_record_change_len(record), &draft);
    if (err != CA_OK)
        return err;
    store_record_fill_change(record, draft);
    batch->head.change_sequence = record->change.sequence;
    batch_raise_clock(batch, record->change.time_us);
    return batch_add_row(batch, record);
}

enum ca_err store_put_audit(struct store_batch *batch, const struct store_audit *audit)
{
    uint64_t sequence = batch->head.audit_sequence + 1;
    uint8_t key[STORE_SEQUENCE_LEN];
    uint8_t *value;

    assert(audit->kind >= STORE_AUDIT_ISSUED && audit->kind <= STORE_AUDIT_LAST);
    assert(audit->actor.len <= STORE_ACTOR_LEN_MAX &&
           audit->object.len <= STORE_AUDIT_OBJECT_LEN_MAX);
    if (batch->failed != CA_OK)
        return batch->failed;
    store_record_sequence_key(sequence, key);
    enum ca_err err = store_batch_reserve(batch, STORE_TABLE_AUDIT, ca_bytes_of(key, sizeof(key)),
                                          store_record_audit_len(audit), &value);
    if (err != CA_OK)
        return err == CA_ERR_EXISTS ? store_batch_fail(batch, MDB_KEYEXIST) : err;
    store_record_encode_audit(sequence, audit, batch->head.audit_head, value);
    batch->head.audit_sequence = sequence;
    batch_raise_clock(batch, audit->time_us);
    return CA_OK;
}

/* The intent's cursor is at its record; the change and the line follow. */
static enum ca_err batch_exchange(struct store_batch *batch,
                                  const struct store_certificate *certificate)
{
    uint8_t *record;

    enum ca_err err = store_batch_drop(batch, STORE_TABLE_INTENTS);
    if (err != CA_OK)
        return err;
    err = store_batch_draft(batch, STORE_TABLE_CERTIFICATES, ca_serial_bytes(&certificate->serial),
                            store_record_certificate_len(certificate), &record);
    if (err == CA_OK)
        store_record_fill_certificate(certificate, record);
    return err;
}

enum ca_err store_put_certificate(struct store_batch *batch,
                                  const struct store_certificate *certificate,
                                  const struct store_audit *audit)
{
    struct store_change_record record = {
        .change = { .time_us = audit->time_us,
                    .serial = certificate->serial,
                    .old_state = STORE_STATE_NONE,
                    .new_state = STORE_STATE_VALID },
        .kind = STORE_CHANGE_ADDED,
        .digests = { [STORE_SECTION_IDENTITY] = certificate->identity,
                     [STORE_SECTION_KEY] = certificate->key,
                     [STORE_SECTION_REQUEST] = certificate->request },
    };
    bool has_line = certificate->predecessor != 0 || certificate->delivery != STORE_DELIVERED;
    struct store_line line;
    enum ca_err err;

    assert(certificate->der.len > 0 && certificate->der.len <= CA_CERTIFICATE_LEN_MAX);
    assert((certificate->predecessor == 0) == (certificate->lineage == 0));
    assert(certificate->delivery != STORE_DELIVERY_ABANDONED);
    if (batch->failed != CA_OK)
        return batch->failed;
    if ((err = batch_check_intent(batch, certificate)) != CA_OK)
        return err;
    if (has_line && (err = store_batch_extend_line(batch, certificate, &line)) != CA_OK)
        return err;
    if ((err = batch_exchange(batch, certificate)) != CA_OK)
        return err;
    if (has_line && (err = store_batch_put_line(batch, &line)) != CA_OK)
        return err;
    if ((err = store_batch_put_change(batch, &record)) != CA_OK)
        return err;
    return store_put_audit(batch, audit);
}

enum ca_err store_put_clock(struct store_batch *batch, uint64_t time_us)
{
    if (batch->failed != CA_OK)
        return batch->failed;
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

/* What is written once, at the end; and the index: whoever sees the commit must find what it
 * brought. */
static enum ca_err batch_complete(struct store_batch *batch, MDB_stat *certificates,
                                  MDB_stat *intents)
{
    struct store *store = batch->store;
    enum ca_err err = store_batch_put_scopes(batch);

    if (err != CA_OK)
        return err;
    int rc = batch_put_head(batch);
    if (rc == 0)
        rc = mdb_stat(batch->txn, store->tables[STORE_TABLE_CERTIFICATES], certificates);
    if (rc == 0)
        rc = mdb_stat(batch->txn, store->tables[STORE_TABLE_INTENTS], intents);
    if (rc != 0)
        return store_batch_fail(batch, rc);
    err = store_runs_put(store->runs, batch->rows, batch->row_count);
    return err == CA_OK ? CA_OK : store_batch_fail(batch, ENOMEM);
}

/* LMDB refuses every transaction once it may have written a page that says what is current. Its own
 * has been allocated before. */
static bool env_is_usable(const struct store *store)
{
    MDB_txn *txn = NULL;

    if (mdb_txn_begin(store->env, NULL, 0, &txn) != 0)
        return false;
    mdb_txn_abort(txn);
    return true;
}

/* LMDB allocates before it writes, so without memory there was no commit. */
static enum ca_err commit_fail(struct store *store, int rc)
{
    if (rc != ENOMEM || !env_is_usable(store))
        return store_latch(store);
    store_runs_take_back(store->runs);
    return CA_ERR_NOMEM;
}

enum ca_err store_commit(struct store_batch *batch)
{
    struct store *store = batch->store;
    MDB_stat certificates, intents;
    enum ca_err err = batch->failed;

    /* A batch of nothing but drafts is changed by this. */
    if (err == CA_OK)
        err = store_batch_settle(batch);
    if (err == CA_OK && batch->is_changed)
        err = batch_complete(batch, &certificates, &intents);
    if (err != CA_OK || !batch->is_changed) {
        store_abort(batch);
        return err;
    }
    batch_close_cursors(batch);
    int rc = mdb_txn_commit(batch->txn);
    batch->txn = NULL;
    if (rc != 0)
        return commit_fail(store, rc);
    batch_publish(batch, &certificates, &intents);
    /* What was committed is durable, whatever the index says; it only ends later batches. */
    if (store_runs_settle(store->runs, batch->head.change_sequence) != CA_OK)
        store_latch(store);
    return CA_OK;
}

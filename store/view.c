/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/octets.h"
#include "store/tables.h"

/* ---- life */

/* The snapshot is taken; now the index, which must know at least as much. */
static enum ca_err view_take_set(struct store_view *view)
{
    struct store *store = view->store;

    if (store->options.is_read_only) {
        struct store_head head;
        enum ca_err err = store_view_head(view, &head);
        if (err == CA_OK)
            err = store_runs_catch_up(store->runs, head.change_sequence);
        if (err != CA_OK)
            return err;
    }
    view->set = store_runs_take(store->runs);
    return CA_OK;
}

enum ca_err store_view_open(struct store *store, struct store_view **view_out)
{
    struct store_view *view = calloc(1, sizeof(*view));
    enum ca_err err;

    *view_out = NULL;
    if (view == NULL)
        return CA_ERR_NOMEM;
    view->store = store;
    err = store_from_lmdb(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn));
    if (err == CA_OK)
        err = store_from_lmdb(mdb_cursor_open(view->txn, store->tables[STORE_TABLE_CERTIFICATES],
                                              &view->certificates));
    if (err == CA_OK)
        err = view_take_set(view);
    if (err != CA_OK) {
        store_view_close(view);
        return err;
    }
    *view_out = view;
    return CA_OK;
}

void store_view_rest(struct store_view *view)
{
    if (view->set == NULL)
        return;
    mdb_txn_reset(view->txn);
    store_runs_drop(view->store->runs, view->set);
    view->set = NULL;
}

enum ca_err store_view_renew(struct store_view *view)
{
    enum ca_err err;

    store_view_rest(view);
    if ((err = store_from_lmdb(mdb_txn_renew(view->txn))) != CA_OK)
        return err;
    err = store_from_lmdb(mdb_cursor_renew(view->txn, view->certificates));
    if (err == CA_OK)
        err = view_take_set(view);
    if (err != CA_OK)
        mdb_txn_reset(view->txn);
    return err;
}

void store_view_close(struct store_view *view)
{
    if (view == NULL)
        return;
    if (view->set != NULL)
        store_runs_drop(view->store->runs, view->set);
    if (view->certificates != NULL)
        mdb_cursor_close(view->certificates);
    if (view->txn != NULL)
        mdb_txn_abort(view->txn);
    free(view);
}

enum ca_err store_view_get(struct store_view *view, enum store_table table, struct ca_bytes key,
                           struct ca_bytes *value_out)
{
    MDB_val key_val = store_val(key), value = { 0, NULL };

    assert(view->set != NULL || view->store->options.is_read_only);
    enum ca_err err =
        store_from_lmdb(mdb_get(view->txn, view->store->tables[table], &key_val, &value));
    *value_out = store_bytes(value);
    return err;
}

enum ca_err store_view_head(struct store_view *view, struct store_head *head_out)
{
    struct ca_bytes value;

    memset(head_out, 0, sizeof(*head_out));
    enum ca_err err = store_view_get(view, STORE_TABLE_META, CA_BYTES("head"), &value);
    if (err != CA_OK)
        return err == CA_ERR_NOT_FOUND ? CA_ERR_STORAGE_CORRUPT : err;
    return store_record_decode_head(value, head_out);
}

/* ---- one record */

enum ca_err store_find_serial(struct store_view *view, const struct ca_serial *serial,
                              struct store_certificate *certificate_out)
{
    struct ca_bytes key = ca_serial_bytes(serial), value;

    memset(certificate_out, 0, sizeof(*certificate_out));
    enum ca_err err = store_view_get(view, STORE_TABLE_CERTIFICATES, key, &value);
    if (err != CA_OK)
        return err;
    return store_record_decode_certificate(key, value, certificate_out);
}

enum ca_err store_find_intent(struct store_view *view, const struct ca_serial *serial,
                              struct store_intent *intent_out)
{
    struct ca_bytes key = ca_serial_bytes(serial), value;

    memset(intent_out, 0, sizeof(*intent_out));
    enum ca_err err = store_view_get(view, STORE_TABLE_INTENTS, key, &value);
    if (err != CA_OK)
        return err;
    return store_record_decode_intent(key, value, intent_out);
}

/* ---- in lists: what is damaged hides no other */

static enum ca_err damaged_serial(struct ca_bytes key, struct ca_serial *serial_out)
{
    return ca_serial_from_bytes(key, serial_out) == CA_OK ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err list_certificate(struct ca_bytes key, struct ca_bytes value,
                                    struct store_certificate *certificate_out)
{
    enum ca_err err = store_record_decode_certificate(key, value, certificate_out);

    certificate_out->is_damaged = err != CA_OK;
    return err == CA_OK ? err : damaged_serial(key, &certificate_out->serial);
}

static enum ca_err list_intent(struct ca_bytes key, struct ca_bytes value,
                               struct store_intent *intent_out)
{
    enum ca_err err = store_record_decode_intent(key, value, intent_out);

    intent_out->is_damaged = err != CA_OK;
    return err == CA_OK ? err : damaged_serial(key, &intent_out->serial);
}

/* ---- through the index */

static enum ca_err view_certificate_at(struct store_view *view, uint64_t locator,
                                       struct store_certificate *certificate_out)
{
    uint8_t from[8];
    MDB_val key, value;

    octets_store_be64(from, locator);
    key = store_val(ca_bytes_of(from, sizeof(from)));
    enum ca_err err =
        store_from_lmdb(mdb_cursor_get(view->certificates, &key, &value, MDB_SET_RANGE));
    if (err != CA_OK)
        return err;
    if (key.mv_size != CA_SERIAL_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    if (octets_load_be64(key.mv_data) != locator)
        return CA_ERR_NOT_FOUND;
    return list_certificate(store_bytes(key), store_bytes(value), certificate_out);
}

static const struct store_digest *certificate_digest(const struct store_certificate *certificate,
                                                     enum store_section section)
{
    switch (section) {
    case STORE_SECTION_IDENTITY: return &certificate->identity;
    case STORE_SECTION_KEY: return &certificate->key;
    default: return &certificate->request;
    }
}

/*
 * The index only proposes. What it knows from commits after the snapshot is not there yet; what
 * is there must have the digest.
 */
static enum ca_err view_confirm(struct store_view *view, enum store_section section,
                                const struct store_digest *digest, uint64_t locator,
                                struct store_certificate *certificate_out)
{
    enum ca_err err = view_certificate_at(view, locator, certificate_out);

    if (err == CA_OK && !store_digest_equal(certificate_digest(certificate_out, section), digest))
        *certificate_out =
            (struct store_certificate){ .serial = certificate_out->serial, .is_damaged = true };
    return err;
}

static enum ca_err view_find_section(struct store_view *view, enum store_section section,
                                     const struct store_digest *digest, uint64_t after,
                                     struct store_certificate *certificates, size_t count_max,
                                     size_t *count_out)
{
    uint64_t locators[STORE_RUNS_FIND_MAX];
    size_t found, asked = STORE_RUNS_FIND_MAX, count = 0;
    enum ca_err err = CA_OK;

    *count_out = 0;
    assert(view->set != NULL);
    for (found = asked; found == asked && count < count_max;) {
        if (count_max - count < asked)
            asked = count_max - count;
        err = store_runs_find(view->store->runs, view->set, section, digest, after, locators, asked,
                              &found);
        for (size_t i = 0; err == CA_OK && i < found; i++) {
            after = locators[i];
            if ((after & STORE_LOCATOR_CHANGE) != 0) { /* they sort last */
                *count_out = count;
                return CA_OK;
            }
            err = view_confirm(view, section, digest, after, &certificates[count]);
            if (err == CA_OK)
                count++;
            else if (err == CA_ERR_NOT_FOUND)
                err = CA_OK;
        }
        if (err != CA_OK)
            return err;
    }
    *count_out = count;
    return CA_OK;
}

enum ca_err store_find_request(struct store_view *view, const struct store_digest *request,
                               struct store_certificate *certificate_out)
{
    size_t count;

    memset(certificate_out, 0, sizeof(*certificate_out));
    enum ca_err err =
        view_find_section(view, STORE_SECTION_REQUEST, request, 0, certificate_out, 1, &count);
    if (err == CA_OK && count == 0)
        err = CA_ERR_NOT_FOUND;
    if (err == CA_OK && certificate_out->is_damaged)
        err = CA_ERR_STORAGE_CORRUPT;
    if (err != CA_OK)
        memset(certificate_out, 0, sizeof(*certificate_out));
    return err;
}

enum ca_err store_find_digest(struct store_view *view, enum store_index index,
                              const struct store_digest *digest, uint64_t after,
                              struct store_certificate *certificates_out, size_t count_max,
                              size_t *count_out)
{
    return view_find_section(view, (enum store_section)index, digest, after, certificates_out,
                             count_max, count_out);
}

/* The change itself, when the snapshot has it. */
static enum ca_err view_change_at(struct store_view *view, uint64_t sequence,
                                  struct store_change_record *record_out)
{
    uint8_t bytes[STORE_SEQUENCE_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    store_record_sequence_key(sequence, bytes);
    enum ca_err err = store_view_get(view, STORE_TABLE_CHANGES, key, &value);
    return err == CA_OK ? store_record_decode_change(key, value, record_out) : err;
}

enum ca_err store_find_request_change(struct store_view *view, const struct store_digest *request,
                                      struct store_change *change_out,
                                      struct store_digest *body_out)
{
    struct store_change_record record;
    uint64_t locator;
    size_t found;

    memset(change_out, 0, sizeof(*change_out));
    memset(body_out, 0, sizeof(*body_out));
    assert(view->set != NULL);
    enum ca_err err = store_runs_find(view->store->runs, view->set, STORE_SECTION_REQUEST, request,
                                      STORE_LOCATOR_CHANGE - 1, &locator, 1, &found);
    if (err == CA_OK && found == 0)
        err = CA_ERR_NOT_FOUND;
    if (err == CA_OK)
        err = view_change_at(view, locator & ~STORE_LOCATOR_CHANGE, &record);
    if (err != CA_OK)
        return err;
    if (record.kind == STORE_CHANGE_ADDED || !store_digest_equal(&record.request, request))
        return CA_ERR_STORAGE_CORRUPT;
    *change_out = record.change;
    *body_out = record.body;
    return CA_OK;
}

/* ---- walks */

enum ca_err store_scan_open(struct store_view *view, enum store_table table, struct ca_bytes from,
                            struct store_scan *scan_out)
{
    assert(from.len <= sizeof(scan_out->from));
    memset(scan_out, 0, sizeof(*scan_out));
    memcpy(scan_out->from, from.data, from.len);
    scan_out->from_len = from.len;
    scan_out->next = MDB_SET_RANGE;
    return store_from_lmdb(
        mdb_cursor_open(view->txn, view->store->tables[table], &scan_out->cursor));
}

enum ca_err store_scan_next(struct store_scan *scan)
{
    MDB_val key = store_val(ca_bytes_of(scan->from, scan->from_len)), value = { 0, NULL };

    enum ca_err err = store_from_lmdb(mdb_cursor_get(scan->cursor, &key, &value, scan->next));
    scan->next = MDB_NEXT;
    scan->key = store_bytes(key);
    scan->value = store_bytes(value);
    return err;
}

void store_scan_close(struct store_scan *scan)
{
    if (scan->cursor != NULL)
        mdb_cursor_close(scan->cursor);
}

enum ca_err store_scan_end(struct store_scan *scan, enum ca_err err, size_t count,
                           size_t *count_out)
{
    store_scan_close(scan);
    if (err == CA_ERR_NOT_FOUND)
        err = CA_OK;
    *count_out = err == CA_OK ? count : 0;
    return err;
}

static enum ca_err scan_open_locator(struct store_view *view, enum store_table table,
                                     uint64_t locator, struct store_scan *scan_out)
{
    uint8_t from[8];

    octets_store_be64(from, locator);
    return store_scan_open(view, table, ca_bytes_of(from, sizeof(from)), scan_out);
}

enum ca_err store_find_time(struct store_view *view, uint64_t from_us, uint64_t until_us,
                            uint64_t after, struct store_certificate *certificates_out,
                            size_t count_max, size_t *count_out)
{
    static const uint64_t time_max = UINT64_MAX >> 8;
    uint64_t base = (uint64_t)view->store->identity.instance << 56;
    struct store_scan scan;
    size_t count = 0;
    enum ca_err err;

    *count_out = 0;
    if (from_us > time_max || from_us >= until_us || after == UINT64_MAX)
        return CA_OK;
    uint64_t first = base | from_us;
    uint64_t last = base | (until_us > time_max ? time_max : until_us - 1);
    if (after >= first)
        first = after + 1;
    err = scan_open_locator(view, STORE_TABLE_CERTIFICATES, first, &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        if (scan.key.len != CA_SERIAL_LEN)
            err = CA_ERR_STORAGE_CORRUPT;
        else if (octets_load_be64(scan.key.data) > last)
            break;
        else if ((err = list_certificate(scan.key, scan.value, &certificates_out[count])) == CA_OK)
            count++;
    }
    return store_scan_end(&scan, err, count, count_out);
}

enum ca_err store_find_intents(struct store_view *view, uint64_t after,
                               struct store_intent *intents_out, size_t count_max,
                               size_t *count_out)
{
    struct store_scan scan;
    size_t count = 0;
    enum ca_err err;

    *count_out = 0;
    if (after == UINT64_MAX)
        return CA_OK;
    err = scan_open_locator(view, STORE_TABLE_INTENTS, after + 1, &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        if ((err = list_intent(scan.key, scan.value, &intents_out[count])) == CA_OK)
            count++;
    }
    return store_scan_end(&scan, err, count, count_out);
}

/* Why a change or audit record is not there: there are none behind the last, and no holes before.
 */
static enum ca_err view_absent(struct store_view *view, enum store_table table, uint64_t sequence)
{
    struct store_head head;
    enum ca_err err = store_view_head(view, &head);

    if (err != CA_OK)
        return err;
    uint64_t last = table == STORE_TABLE_AUDIT ? head.audit_sequence : head.change_sequence;
    return sequence > last ? CA_ERR_NOT_FOUND : CA_ERR_STORAGE_CORRUPT;
}

/* A damaged record is told to who begins at it, and nobody else. */
static enum ca_err scan_end_at_damage(struct store_scan *scan, enum ca_err err, size_t count,
                                      size_t *count_out)
{
    if (err == CA_ERR_STORAGE_CORRUPT && count > 0)
        err = CA_OK;
    return store_scan_end(scan, err, count, count_out);
}

enum ca_err store_find_changes(struct store_view *view, uint64_t after,
                               struct store_change *changes_out, size_t count_max,
                               size_t *count_out)
{
    struct store_change_record record;
    struct store_scan scan;
    size_t count = 0;
    enum ca_err err;

    *count_out = 0;
    if (after == UINT64_MAX)
        return CA_OK;
    err = scan_open_locator(view, STORE_TABLE_CHANGES, after + 1, &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        err = store_record_decode_change(scan.key, scan.value, &record);
        if (err == CA_OK && record.change.sequence != after + 1 + count)
            err = CA_ERR_STORAGE_CORRUPT; /* one is lost */
        if (err == CA_OK)
            changes_out[count++] = record.change;
    }
    if (err == CA_ERR_NOT_FOUND && count == 0)
        err = view_absent(view, STORE_TABLE_CHANGES, after + 1);
    return scan_end_at_damage(&scan, err, count, count_out);
}

enum ca_err store_view_audit_head(struct store_view *view, struct store_audit_head *head_out)
{
    struct store_head head;
    enum ca_err err = store_view_head(view, &head);

    *head_out = (struct store_audit_head){ .sequence = head.audit_sequence };
    memcpy(head_out->chain, head.audit_head, STORE_CHAIN_LEN);
    return err;
}

enum ca_err store_find_audit_head(struct store_view *view, uint64_t sequence,
                                  struct store_audit_head *head_out)
{
    uint8_t key[STORE_SEQUENCE_LEN];
    struct ca_bytes value;

    *head_out = (struct store_audit_head){ 0 };
    if (sequence == 0) {
        store_record_genesis(&view->store->identity, head_out->chain);
        return CA_OK;
    }
    store_record_sequence_key(sequence, key);
    enum ca_err err =
        store_view_get(view, STORE_TABLE_AUDIT, ca_bytes_of(key, sizeof(key)), &value);
    if (err != CA_OK)
        return err == CA_ERR_NOT_FOUND ? view_absent(view, STORE_TABLE_AUDIT, sequence) : err;
    if (value.len < STORE_AUDIT_LEN_MIN || value.len > STORE_AUDIT_LEN_MAX)
        return CA_ERR_STORAGE_CORRUPT;
    head_out->sequence = sequence;
    memcpy(head_out->chain, value.data + value.len - STORE_CHAIN_LEN, STORE_CHAIN_LEN);
    return CA_OK;
}

enum ca_err store_find_audit(struct store_view *view, uint64_t after,
                             struct store_audit_entry *entries_out, size_t count_max,
                             size_t *count_out)
{
    struct store_audit_head before;
    struct store_scan scan;
    size_t count = 0;
    enum ca_err err;

    *count_out = 0;
    if (after == UINT64_MAX)
        return CA_OK;
    if ((err = store_find_audit_head(view, after, &before)) != CA_OK)
        return err == CA_ERR_NOT_FOUND ? CA_OK : err; /* nothing there, so nothing after */
    err = scan_open_locator(view, STORE_TABLE_AUDIT, after + 1, &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        struct store_audit_entry *entry = &entries_out[count];
        err = store_record_decode_audit(scan.key, scan.value, before.chain, entry);
        if (err == CA_OK) {
            memcpy(before.chain, entry->chain, STORE_CHAIN_LEN);
            count++;
        }
    }
    if (err == CA_ERR_NOT_FOUND && count == 0)
        err = view_absent(view, STORE_TABLE_AUDIT, after + 1);
    return scan_end_at_damage(&scan, err, count, count_out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/octets.h"
#include "store/tables.h"

enum {
    BUFFER_LEN = 128 * 1024,
    CACHE_LINE_LEN = 64,
    AHEAD_LEN = 7 * CACHE_LINE_LEN, /* measured: nearer and farther are slower */
};

/* What a delta list must say of a certificate: its last change. */
struct delta_item {
    struct ca_serial serial;
    bool is_released;
    uint64_t sequence;
    int64_t time_s;
};

struct store_entries {
    struct store_view *view;
    MDB_cursor *cursor; /* of revoked */
    struct store_scope scope;
    uint8_t scope_key[STORE_SCOPE_KEY_LEN];
    uint64_t count, len; /* as announced */
    uint64_t count_read, len_read;
    int64_t first_end_s;
    bool is_delta, is_started, is_at_end;
    struct delta_item *items; /* of a delta list, ascending by serial number */
    size_t item_count, item_room, item_next;
    uint8_t buffer[BUFFER_LEN];
};

void store_entries_close(struct store_entries *entries)
{
    if (entries == NULL)
        return;
    if (entries->cursor != NULL)
        mdb_cursor_close(entries->cursor);
    free(entries->items);
    free(entries);
}

uint64_t store_entries_count(const struct store_entries *entries)
{
    return entries->count;
}

uint64_t store_entries_len(const struct store_entries *entries)
{
    return entries->len;
}

int64_t store_entries_first_end(const struct store_entries *entries)
{
    return entries->first_end_s;
}

enum ca_err store_entries_rewind(void *arg)
{
    struct store_entries *entries = arg;

    entries->count_read = entries->len_read = 0;
    entries->item_next = 0;
    entries->is_started = entries->is_at_end = false;
    return CA_OK;
}

static enum ca_err entries_new(struct store_view *view, const struct store_scope *scope,
                               struct store_entries **entries_out)
{
    struct store_entries *entries = malloc(sizeof(*entries)); /* the buffer needs no zeros */

    *entries_out = NULL;
    if (entries == NULL)
        return CA_ERR_NOMEM;
    memset(entries, 0, offsetof(struct store_entries, buffer));
    entries->view = view;
    entries->scope = *scope;
    entries->first_end_s = INT64_MAX;
    store_record_scope_key(scope, entries->scope_key);
    enum ca_err err = store_from_lmdb(
        mdb_cursor_open(view->txn, view->store->tables[STORE_TABLE_REVOKED], &entries->cursor));
    if (err != CA_OK) {
        store_entries_close(entries);
        return err;
    }
    *entries_out = entries;
    return CA_OK;
}

enum ca_err store_entries_open(struct store_view *view, const struct store_scope *scope,
                               struct store_entries **entries_out)
{
    struct store_scope_info info;

    *entries_out = NULL;
    enum ca_err err = store_find_scope(view, scope, &info);
    if (err == CA_OK)
        err = entries_new(view, scope, entries_out);
    if (err != CA_OK)
        return err;
    (*entries_out)->count = info.entry_count;
    (*entries_out)->len = info.entries_len;
    return CA_OK;
}

/* ---- a complete list: the scope's records, one after the other */

/*
 * LMDB fills a page from its end, so records that follow lie below, where the processor does not
 * expect them: without this it waits for memory a third of the time.
 */
static inline void expect_below(const uint8_t *record)
{
    for (int i = 0; i < 3; i++) /* a record takes two or three lines */
        __builtin_prefetch(record - AHEAD_LEN + (ptrdiff_t)i * CACHE_LINE_LEN);
}

/* NOT_FOUND behind the last. */
static enum ca_err complete_next(struct store_entries *entries, struct store_listed *listed_out)
{
    MDB_val key = store_val(ca_bytes_of(entries->scope_key, STORE_SCOPE_KEY_LEN)), value;

    int rc = mdb_cursor_get(entries->cursor, &key, &value,
                            entries->is_started ? MDB_NEXT : MDB_SET_RANGE);
    entries->is_started = true;
    if (rc != 0)
        return store_from_lmdb(rc);
    if (key.mv_size < STORE_SCOPE_KEY_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    if (!ca_bytes_equal(ca_bytes_of(key.mv_data, STORE_SCOPE_KEY_LEN),
                        ca_bytes_of(entries->scope_key, STORE_SCOPE_KEY_LEN)))
        return CA_ERR_NOT_FOUND;
    expect_below(key.mv_data);
    return store_record_open_listed(STORE_TABLE_REVOKED, store_bytes(key), store_bytes(value),
                                    listed_out);
}

/* ---- a delta list: what changed, sorted */

static int compare_items(const void *a, const void *b)
{
    const struct delta_item *left = a, *right = b;
    int order = ca_bytes_compare(ca_serial_bytes(&left->serial), ca_serial_bytes(&right->serial));

    if (order != 0)
        return order;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

/* Sorts, and keeps the last change of each certificate. */
static void delta_compact(struct store_entries *entries)
{
    struct delta_item *items = entries->items;
    size_t count = 0;

    if (entries->item_count > 1)
        qsort(items, entries->item_count, sizeof(*items), compare_items);
    for (size_t i = 0; i < entries->item_count; i++) {
        bool is_same = count > 0 && ca_bytes_equal(ca_serial_bytes(&items[count - 1].serial),
                                                   ca_serial_bytes(&items[i].serial));
        items[is_same ? count - 1 : count++] = items[i];
    }
    entries->item_count = count;
}

static enum ca_err delta_add(struct store_entries *entries, const struct store_status_row *row)
{
    static const size_t room_max = 2 * (size_t)STORE_DELTA_ENTRIES_MAX;

    if (entries->item_count == room_max) {
        delta_compact(entries);
        if (entries->item_count > STORE_DELTA_ENTRIES_MAX)
            return CA_ERR_TOO_MANY_ITEMS;
    }
    if (entries->item_count == entries->item_room) {
        size_t room = entries->item_room == 0 ? 256 : 2 * entries->item_room;
        struct delta_item *items = realloc(entries->items, room * sizeof(*items));
        if (items == NULL)
            return CA_ERR_NOMEM;
        entries->items = items;
        entries->item_room = room;
    }
    entries->items[entries->item_count++] = (struct delta_item){
        .serial = row->serial,
        .is_released = row->new_state == STORE_STATE_VALID,
        .sequence = row->sequence,
        .time_s = (int64_t)(row->time_us / 1000000),
    };
    return CA_OK;
}

static enum ca_err delta_collect(struct store_entries *entries, uint64_t since)
{
    uint8_t from[STORE_NUMBER_KEY_LEN];
    struct store_status_row row;
    struct store_scan scan;
    size_t ignored;

    if (since == UINT64_MAX)
        return CA_OK;
    store_record_number_key(&entries->scope, since + 1, from);
    enum ca_err err =
        store_scan_open(entries->view, STORE_TABLE_STATUS, ca_bytes_of(from, sizeof(from)), &scan);
    while (err == CA_OK && (err = store_scan_next(&scan)) == CA_OK) {
        if (scan.key.len != STORE_NUMBER_KEY_LEN)
            err = CA_ERR_STORAGE_CORRUPT;
        else if (!ca_bytes_equal(ca_bytes_of(scan.key.data, STORE_SCOPE_KEY_LEN),
                                 ca_bytes_of(from, STORE_SCOPE_KEY_LEN)))
            break;
        else if ((err = store_record_decode_status(scan.key, scan.value, &row)) == CA_OK)
            err = delta_add(entries, &row);
    }
    err = store_scan_end(&scan, err, 0, &ignored);
    if (err != CA_OK)
        return err;
    delta_compact(entries);
    return entries->item_count > STORE_DELTA_ENTRIES_MAX ? CA_ERR_TOO_MANY_ITEMS : CA_OK;
}

/* removeFromCRL (RFC 5280, section 5.3.1), into `buffer`. */
static enum ca_err delta_removal(const struct delta_item *item, uint8_t *buffer, size_t size,
                                 struct ca_bytes *entry_out)
{
    const struct x509_crl_entry entry = {
        .serial = ca_serial_bytes(&item->serial),
        .revoked_s = item->time_s,
        .reason = X509_CRL_REMOVE_FROM_CRL,
    };
    struct der_writer writer;

    der_writer_init(&writer, buffer, size);
    enum ca_err err = x509_crl_entry_write(&writer, &entry);
    *entry_out = der_writer_bytes(&writer);
    return err == CA_OK && entry_out->len > 0 ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

/* NOT_FOUND behind the last; an empty entry for one that has left the list since. */
static enum ca_err delta_next(struct store_entries *entries, uint8_t buffer[X509_CRL_ENTRY_LEN_MAX],
                              struct store_listed *listed_out)
{
    uint8_t bytes[STORE_SERIAL_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    if (entries->item_next == entries->item_count)
        return CA_ERR_NOT_FOUND;
    const struct delta_item *item = &entries->items[entries->item_next++];
    listed_out->status.not_after_s = INT64_MAX;
    listed_out->entry = ca_bytes_of(NULL, 0);
    if (item->is_released)
        return delta_removal(item, buffer, X509_CRL_ENTRY_LEN_MAX, &listed_out->entry);
    store_record_serial_key(&entries->scope, &item->serial, bytes);
    enum ca_err err = store_view_get(entries->view, STORE_TABLE_REVOKED, key, &value);
    if (err == CA_ERR_NOT_FOUND)
        return CA_OK;
    return err == CA_OK ? store_record_open_listed(STORE_TABLE_REVOKED, key, value, listed_out)
                        : err;
}

enum ca_err store_entries_open_since(struct store_view *view, const struct store_scope *scope,
                                     uint64_t since, struct store_entries **entries_out)
{
    uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
    struct store_listed listed;
    struct store_entries *entries;

    enum ca_err err = entries_new(view, scope, entries_out);
    if (err != CA_OK)
        return err;
    entries = *entries_out;
    entries->is_delta = true;
    err = delta_collect(entries, since);
    while (err == CA_OK && (err = delta_next(entries, buffer, &listed)) == CA_OK) {
        entries->count += listed.entry.len > 0;
        entries->len += listed.entry.len;
    }
    if (err != CA_ERR_NOT_FOUND) {
        *entries_out = NULL;
        store_entries_close(entries);
        return err;
    }
    return store_entries_rewind(entries);
}

/* ---- both */

/* At the end all that was announced must have come. */
static enum ca_err entries_end(struct store_entries *entries, enum ca_err err)
{
    if (err != CA_ERR_NOT_FOUND)
        return err;
    entries->is_at_end = true;
    return entries->count_read == entries->count && entries->len_read == entries->len
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

enum ca_err store_entries_next(void *arg, struct ca_bytes *chunk_out)
{
    struct store_entries *entries = arg;
    uint8_t entry[X509_CRL_ENTRY_LEN_MAX];
    struct store_listed listed;
    enum ca_err err = CA_OK;
    size_t len = 0;

    *chunk_out = ca_bytes_of(entries->buffer, 0);
    while (!entries->is_at_end && len + X509_CRL_ENTRY_LEN_MAX <= BUFFER_LEN) {
        err = entries->is_delta ? delta_next(entries, entry, &listed)
                                : complete_next(entries, &listed);
        if (err != CA_OK && (err = entries_end(entries, err)) != CA_OK)
            return err;
        if (entries->is_at_end)
            break;
        if (listed.entry.len == 0)
            continue;
        memcpy(entries->buffer + len, listed.entry.data, listed.entry.len);
        len += listed.entry.len;
        entries->len_read += listed.entry.len;
        entries->count_read++;
        if (listed.status.not_after_s < entries->first_end_s)
            entries->first_end_s = listed.status.not_after_s;
    }
    chunk_out->len = len;
    return CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what the files of the store share. LMDB is known to them only. */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/record.h"
#include "store/runs.h"

enum { STORE_SCHEMA = 1, STORE_TABLES_MAX = 32, STORE_READERS_MAX = 254 };

struct store_batch {
    struct store *store;
    MDB_txn *txn; /* NULL: no batch is open */
    MDB_cursor *cursors[STORE_TABLE_COUNT];
    struct store_head head; /* as it will be */
    struct store_recent_row *rows;
    size_t row_count, row_room;
    bool is_changed, is_failed;
};

struct store {
    struct store_options options;
    struct store_identity identity;
    int lock_fd; /* -1: read only */
    MDB_env *env;
    MDB_dbi tables[STORE_TABLE_COUNT];
    struct store_runs *runs;
    atomic_bool is_latched, is_full;

    /* the writer's */
    struct store_batch batch;
    uint64_t high_locator; /* no serial above was ever used */
    uint64_t allocated;    /* length of the data file that has space on disk */
    uint32_t full_count;   /* batches begun since it was full */

    pthread_mutex_t info_lock; /* guards what follows */
    struct store_head head;    /* of the last commit; the writer reads it without the lock */
    uint64_t certificate_count, intent_count;
};

/* Every answer of LMDB goes through here, so that none of its codes leaves these files. */
enum ca_err store_from_lmdb(int rc);
/* Storage failed: no batch until the next start. Answers STORAGE. */
enum ca_err store_latch(struct store *store);

static inline MDB_val store_val(struct ca_bytes bytes)
{
    return (MDB_val){ bytes.len, (void *)(uintptr_t)bytes.data };
}

static inline struct ca_bytes store_bytes(MDB_val value)
{
    return ca_bytes_of(value.mv_data, value.mv_size);
}

/* space.c: gets the data file space on disk before it is needed; sets is_full. */
void store_space_check(struct store *store);
uint64_t store_space_used(const struct store *store);

/* datafile.c: is this a whole data file of ours? Before LMDB maps it, which would trust it. */
CA_MUST_CHECK enum ca_err store_datafile_check(const char *path);

/* changes.c: rows for the index, as struct store_runs_source wants them; arg is the store. */
enum ca_err store_changes_read(void *arg, uint64_t after, uint64_t until,
                               struct store_recent_row *rows, size_t count_max, size_t *count_out,
                               uint64_t *scanned_out);
/* The row of a change that adds a certificate. */
struct store_recent_row store_changes_row(const struct store_change_record *record);

/* view.c */
struct store_view {
    struct store *store;
    MDB_txn *txn;
    MDB_cursor *certificates;
    struct store_runs_set *set; /* NULL: resting */
};

/* A walk over a table, from the first key that is not below `from`. NOT_FOUND behind the last. */
struct store_scan {
    MDB_cursor *cursor;
    MDB_cursor_op next;
    uint8_t from[CA_SERIAL_LEN];
    size_t from_len;
    struct ca_bytes key, value;
};
CA_MUST_CHECK enum ca_err store_scan_open(struct store_view *view, enum store_table table,
                                          struct ca_bytes from, struct store_scan *scan_out);
CA_MUST_CHECK enum ca_err store_scan_next(struct store_scan *scan);
void store_scan_close(struct store_scan *scan);
CA_MUST_CHECK enum ca_err store_view_head(struct store_view *view, struct store_head *head_out);

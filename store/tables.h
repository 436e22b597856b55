/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what the files of the store share. LMDB is known to them only. */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/record_status.h"
#include "store/runs.h"

enum { STORE_SCHEMA = 1, STORE_TABLES_MAX = 32, STORE_READERS_MAX = 254 };

/* A locator with this bit is no certificate's: what follows is the sequence of a change. */
#define STORE_LOCATOR_CHANGE (UINT64_C(1) << 63)

/* A scope that the batch changes: written once, at the end. */
struct store_batch_scope {
    struct store_scope scope;
    struct store_scope_info info; /* as it will be */
};

/* A record that waits for its seal: table, length of the key, key, record. */
struct store_draft {
    uint8_t *octets;
    size_t len; /* of the record, with its seal */
};

/* The batch's new certificates, intents and changes, in the order in which they came. */
enum { STORE_DRAFTS_MAX = 16 };
struct store_drafts {
    struct store_draft drafts[STORE_DRAFTS_MAX];
    size_t count, used;
    uint8_t room[32 * 1024];
};

struct store_batch {
    struct store *store;
    MDB_txn *txn; /* NULL: no batch is open */
    MDB_cursor *cursors[STORE_TABLE_COUNT];
    struct store_head head; /* as it will be */
    struct store_recent_row *rows;
    size_t row_count, row_room;
    struct store_batch_scope *scopes;
    size_t scope_count, scope_room;
    struct store_drafts drafts;
    bool is_changed;
    enum ca_err failed; /* why it is of no more use */
};

struct store {
    struct store_options options;
    struct store_identity identity;
    int lock_fd; /* -1: read only */
    MDB_env *env;
    MDB_dbi tables[STORE_TABLE_COUNT];
    bool lacks[STORE_TABLE_COUNT]; /* read only, and made before there was that table */
    struct store_runs *runs;
    bool has_pair; /* of hashes side by side: crypto_sha256_has_pair() */
    atomic_bool is_latched, is_full;

    /* the writer's */
    struct store_batch batch;
    uint64_t high_locator; /* no serial above was ever used */
    uint64_t allocated;    /* length of the data file that has space on disk */
    uint64_t written;      /* length of it that holds written blocks */
    uint64_t used;         /* when that was looked at last */
    int ahead_fd;          /* the data file, past the page cache; -1: nothing is written ahead */
    uint32_t full_count;   /* batches begun since it was full */
    uint32_t begun_count;  /* batches begun */

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
/* Readies the data file for store_smooth(). */
void store_space_open(struct store *store, const char *path);
void store_space_close(struct store *store);
uint64_t store_space_used(const struct store *store);

/* datafile.c: is this a whole data file of ours? Before LMDB maps it, which would trust it. */
CA_MUST_CHECK enum ca_err store_datafile_check(const char *path);

/* changes.c: rows for the index, as struct store_runs_source wants them; arg is the store. */
enum ca_err store_changes_read(void *arg, uint64_t after, uint64_t until,
                               struct store_recent_row *rows, size_t count_max, size_t *count_out,
                               uint64_t *scanned_out);
/* The row of a change; false: it adds nothing to look-ups. */
bool store_changes_row(const struct store_change_record *record, struct store_recent_row *row_out);

/* batch.c, for the other files that put. LMDB's transaction is not to be trusted after an error of
 * its own: fail ends the batch, and latches the store unless only memory was short (ENOMEM).
 * Answers what the batch failed with first: LMDB has another code for what is asked after that. */
enum ca_err store_batch_fail(struct store_batch *batch, int rc);
/* Room for a new record, to be filled before anything else is put. EXISTS. */
CA_MUST_CHECK enum ca_err store_batch_reserve(struct store_batch *batch, enum store_table table,
                                              struct ca_bytes key, size_t len, uint8_t **value_out);
/* The same for a record that may be there already. */
CA_MUST_CHECK enum ca_err store_batch_replace(struct store_batch *batch, enum store_table table,
                                              struct ca_bytes key, size_t len, uint8_t **value_out);
/* Lent until the next put or get: a look-up, too, may write (drafts, below), but only into tables
 * that have drafts. So the cursor stays there as long as this table is neither put into nor looked
 * into, as it has no drafts now. */
CA_MUST_CHECK enum ca_err store_batch_get(struct store_batch *batch, enum store_table table,
                                          struct ca_bytes key, struct ca_bytes *value_out);
/* What the table's cursor is at. */
CA_MUST_CHECK enum ca_err store_batch_drop(struct store_batch *batch, enum store_table table);
/* The certificate with this locator; lent likewise. */
CA_MUST_CHECK enum ca_err store_batch_get_locator(struct store_batch *batch, uint64_t locator,
                                                  struct store_certificate *certificate_out);
/* Gives it the next sequence number. */
CA_MUST_CHECK enum ca_err store_batch_put_change(struct store_batch *batch,
                                                 struct store_change_record *record);

/*
 * batch_draft.c: two seals that are made side by side take as long as one. So new records of the
 * tables with many of them are collected, and put when there is no room for more, when somebody
 * looks into their table, and by the commit. draft gives room for a record, to be filled but for
 * its seal before anything else is put; that there is none of this key was looked into before.
 */
CA_MUST_CHECK enum ca_err store_batch_draft(struct store_batch *batch, enum store_table table,
                                            struct ca_bytes key, size_t len, uint8_t **record_out);
CA_MUST_CHECK enum ca_err store_batch_settle(struct store_batch *batch);
/* If it has drafts. */
CA_MUST_CHECK enum ca_err store_batch_settle_table(struct store_batch *batch,
                                                   enum store_table table);
void store_batch_forget(struct store_batch *batch);

/* batch_line.c: the line with the certificate at its end. Looks; the other one writes. */
CA_MUST_CHECK enum ca_err store_batch_extend_line(struct store_batch *batch,
                                                  const struct store_certificate *certificate,
                                                  struct store_line *line_out);
CA_MUST_CHECK enum ca_err store_batch_put_line(struct store_batch *batch,
                                               const struct store_line *line);

/* batch_crl.c: lent until the next scope is asked for; written by the commit. */
CA_MUST_CHECK enum ca_err store_batch_scope(struct store_batch *batch,
                                            const struct store_scope *scope,
                                            struct store_scope_info **info_out);
CA_MUST_CHECK enum ca_err store_batch_put_scopes(struct store_batch *batch);

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
    uint8_t from[STORE_KEY_LEN_MAX];
    size_t from_len;
    struct ca_bytes key, value;
};
CA_MUST_CHECK enum ca_err store_scan_open(struct store_view *view, enum store_table table,
                                          struct ca_bytes from, struct store_scan *scan_out);
CA_MUST_CHECK enum ca_err store_scan_next(struct store_scan *scan);
void store_scan_close(struct store_scan *scan);
/* Closes. A walk ends well at its count or behind the last record; anything else leaves nothing. */
CA_MUST_CHECK enum ca_err store_scan_end(struct store_scan *scan, enum ca_err err, size_t count,
                                         size_t *count_out);
CA_MUST_CHECK enum ca_err store_view_get(struct store_view *view, enum store_table table,
                                         struct ca_bytes key, struct ca_bytes *value_out);
CA_MUST_CHECK enum ca_err store_view_head(struct store_view *view, struct store_head *head_out);

/* check_status.c: what store_check() does for the tables of revocation, lines and lists. */
struct store_checker {
    struct store_view *view;
    struct store_head head;
    struct store_damage *damage;
    uint64_t sequence;
    uint8_t chain[STORE_CHAIN_LEN];
    uint64_t added_count;
    uint64_t status_count;                    /* changes of status */
    uint64_t profile_count, introduced_count; /* remembered; their audit records */
    int64_t listed_count;                     /* certificates that are revoked or held by these */
};
enum ca_err store_checker_blame(struct store_checker *checker, const char *table,
                                struct ca_bytes key);
typedef enum ca_err store_check_record(struct store_checker *checker, struct ca_bytes key,
                                       struct ca_bytes value);
CA_MUST_CHECK enum ca_err store_checker_walk(struct store_checker *checker, enum store_table table,
                                             const char *name, store_check_record *check);
CA_MUST_CHECK enum ca_err store_check_status(struct store_checker *checker);
/* heads.c: each is of a record that is there. */
CA_MUST_CHECK enum ca_err store_check_heads(struct store_checker *checker);
/* Of one certificate: is it in its line? */
CA_MUST_CHECK enum ca_err store_check_in_line(struct store_checker *checker,
                                              const struct store_certificate *certificate);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs: who has this digest? The index over all certificates, derived from the changes table.
 *
 * The latest entries are in memory (recent), older ones in sorted files (run), which a thread of
 * its own writes and merges, eight of a size into one of the next. Nothing here is the only copy:
 * what is missing or damaged is made again from the source, the changes table.
 *
 * One thread, the writer, puts and settles; any thread finds, through sets.
 */
#pragma once

#include "store/recent.h"

struct store_runs;
struct store_runs_set;

enum {
    STORE_RUNS_FIND_MAX = 64, /* locators asked for at once */
    STORE_RUNS_ENTRIES_DEFAULT = 65536,
    STORE_RUNS_ENTRIES_MAX = 1 << 20,
};

/*
 * Reads rows of changes above after, up to until: at most count_max rows; scanned_out tells the
 * last change looked at. Any thread.
 */
struct store_runs_source {
    enum ca_err (*read)(void *arg, uint64_t after, uint64_t until, struct store_recent_row *rows,
                        size_t count_max, size_t *count_out, uint64_t *scanned_out);
    void *arg;
};

struct store_runs_options {
    const char *path; /* the directory of the files, which exists */
    uint8_t id[STORE_ID_LEN];
    size_t run_entries;
    bool is_read_only;      /* no thread, no file written or removed */
    uint64_t last_sequence; /* of the changes table */
    struct store_runs_source source;
};

/*
 * Reads the changes that no run covers: few, unless files were lost, which are then written again
 * before it answers. STORAGE_CORRUPT when the changes table is.
 */
CA_MUST_CHECK enum ca_err store_runs_open(const struct store_runs_options *options,
                                          struct store_runs **runs_out);
/* Writes what is waiting to become a run, unless the disk is full. */
void store_runs_close(struct store_runs *runs);

/*
 * Before the commit that makes the rows true: settle follows, or take_back. NOMEM: nothing was put.
 */
CA_MUST_CHECK enum ca_err store_runs_put(struct store_runs *runs,
                                         const struct store_recent_row *rows, size_t count);
/* There was no such commit: as before the put. Needs no memory. */
void store_runs_take_back(struct store_runs *runs);
/*
 * After that commit: changes up to `to` are durable, and full tables may become runs. Waits only
 * when the thread is several tables behind. STORAGE when it failed.
 */
CA_MUST_CHECK enum ca_err store_runs_settle(struct store_runs *runs, uint64_t to);
/* Read only: takes in what another process has committed since. */
CA_MUST_CHECK enum ca_err store_runs_catch_up(struct store_runs *runs, uint64_t last_sequence);

/* No room for the last run that was due; `retry` lets the thread try again, and full it is until
 * that went well. */
bool store_runs_is_full(struct store_runs *runs);
void store_runs_retry(struct store_runs *runs);
size_t store_runs_count(struct store_runs *runs);
/* Blocks until nothing is left to be written or merged: for tests and tools. */
void store_runs_rest(struct store_runs *runs);

/*
 * What there is now. Take the snapshot of the tables first, then the set: the set then knows all
 * that the snapshot has, and perhaps more.
 */
struct store_runs_set *store_runs_take(struct store_runs *runs);
void store_runs_drop(struct store_runs *runs, struct store_runs_set *set);

/*
 * Locators of a digest above after, ascending, at most count_max (up to STORE_RUNS_FIND_MAX).
 * STORAGE_CORRUPT when a run that may know is damaged; it is then made again.
 */
CA_MUST_CHECK enum ca_err store_runs_find(struct store_runs *runs, struct store_runs_set *set,
                                          enum store_section section,
                                          const struct store_digest *digest, uint64_t after,
                                          uint64_t *locators_out, size_t count_max,
                                          size_t *count_out);
CA_MUST_CHECK enum ca_err store_runs_check(struct store_runs *runs, struct store_runs_set *set);

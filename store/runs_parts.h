/* SPDX-License-Identifier: Apache-2.0 */
/* runs_parts: what the writer's and the thread's half of runs share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/runs.h"

enum {
    RUNS_FANOUT = 8,       /* runs of a size that become one of the next */
    RUNS_WAITING_MAX = 4,  /* full tables before the writer waits for the thread */
    RUNS_WIDTH_FACTOR = 4, /* changes per entry of a table before it counts as full */
    RUNS_ROWS_AT_ONCE = 1024,
};

/* A table in memory or a file; the parts of a set follow upon each other without gaps. */
struct runs_part {
    atomic_size_t refs;
    struct store_recent *recent; /* one of the two */
    struct store_run *run;
    bool is_due;            /* a table that is full, and durable; guarded by the lock */
    atomic_bool is_damaged; /* a file */
    bool is_hopeless;       /* and its source is, too; the thread's */
};

struct store_runs_set {
    atomic_size_t refs;
    size_t count;
    struct runs_part *parts[];
};

struct store_runs {
    struct store_runs_options options;
    int dir_fd;
    struct runs_part *active; /* the writer's; also the last part of the set */
    size_t put_count;         /* the writer's: rows of the active table not yet settled */
    uint64_t put_after;       /* where it ended before those */
    pthread_mutex_t lock;     /* guards what follows, up to the thread */
    struct store_runs_set *set;
    pthread_cond_t work, room, rest;
    bool is_stopping, is_resting;
    bool is_blocked;       /* no room for a table that is due, and no later try went well */
    bool is_retrying;      /* such a try is due */
    bool is_merge_blocked; /* no room for a merge: it can wait */
    enum ca_err failure;
    pthread_mutex_t catch_up_lock; /* read only: one at a time takes in new changes */
    pthread_t thread;
    bool has_thread;
};

/* Takes what it is given, also when it fails. */
CA_MUST_CHECK enum ca_err runs_part_new(struct store_recent *recent, struct store_run *run,
                                        struct runs_part **part_out);
void runs_part_drop(struct runs_part *part);
struct store_run_range runs_part_range(const struct runs_part *part);

struct runs_part_list {
    struct runs_part **parts;
    size_t count;
};
CA_MUST_CHECK enum ca_err runs_part_list_add(struct runs_part_list *list, struct runs_part *part);
void runs_part_list_drop(struct runs_part_list *list);

/*
 * Under the lock, or alone: puts added parts, whose references it takes, in place of removed_count
 * parts at `at`.
 */
CA_MUST_CHECK enum ca_err runs_install(struct store_runs *runs, size_t at, size_t removed_count,
                                       struct runs_part **added, size_t added_count);
/* Under the lock: the oldest full table, and how many there are. */
struct runs_part *runs_find_due(const struct store_runs_set *set, size_t *waiting_out);
/* Under the lock: there is work. */
void runs_wake(struct store_runs *runs);
void runs_remove_file(struct store_runs *runs, struct store_run_range range);

/* Files for the range from the source, or tables when we may not write. */
CA_MUST_CHECK enum ca_err runs_rebuild(struct store_runs *runs, struct store_run_range range,
                                       struct runs_part_list *list);
/* The thread: writes tables, merges files, repairs. arg is the runs. */
void *runs_thread_main(void *arg);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_parts: what the files of the pipeline and their tests share: its state, its threads.
 *
 *   pipeline.c         taking calls; opening and closing
 *   pipeline_acts.c    calls that revoke and the like
 *   pipeline_batch.c   calls become batches, and items that have ended become answers
 *   pipeline_callers.c who calls, and what room they have
 *   pipeline_remote.c  CAs whose keys are in another device
 *   pipeline_commit.c  what goes into a commit, and when
 *   pipeline_work.c    the workers: what they do, and what next
 */
#pragma once

#include <pthread.h>

#include "rpc/pipeline.h"

#define RPC_NEVER UINT64_MAX

struct rpc_queue {
    struct rpc_group *first, *last;
};

struct rpc_call_queue {
    struct rpc_call *first, *last;
};

/* One caller's waiting calls, or acts. In the ring of all of those while there are any. */
struct rpc_turn {
    struct rpc_turn *next;
    struct rpc_call_queue waiting;
};

/* Served in turn. */
struct rpc_ring {
    struct rpc_turn *first, *last;
};

/* What is in the engine. Acts have room of their own: rooms[is_act]. */
struct rpc_room {
    size_t items;
    size_t octets; /* of memory that requests hold */
};

/* All callers of one uid, say; there as long as one of them is. */
struct rpc_owner {
    struct rpc_owner *next;
    uint64_t id;
    size_t callers;
    struct rpc_room rooms[2];
};

struct rpc_caller {
    struct rpc_pipeline *pipeline;
    struct rpc_owner *owner;
    struct rpc_turn call_turn, act_turn;
    struct rpc_room rooms[2];
    bool is_gone; /* freed with its last call */
    size_t calls; /* in the engine */
};

/*
 * A CA whose keys are in another device. Threads of its own wait for its signatures, so that a
 * token that is slow or hangs takes no worker, and it holds only so many items, so that it takes
 * no other CA's room.
 */
struct rpc_remote {
    const struct rpc_ca *ca;
    struct rpc_queue reserved;
    pthread_cond_t work;
    size_t items; /* in groups that have not ended */
};

/* What another thread wants written: its own memory, for as long as it waits. */
struct rpc_write {
    struct rpc_write *next;
    enum ca_err (*put)(void *arg, struct store_batch *batch);
    void *arg;
    enum ca_err err; /* of put, then of the commit */
    bool is_ended;
};

/* Do callers come back as soon as they are answered? Judged from one commit with results to the
 * next, in items. */
struct rpc_returns {
    uint64_t since_ns; /* monotonic */
    size_t answered, returned;
    size_t percent;        /* who did, smoothed */
    size_t recording;      /* in a commit that runs: answered behind it */
    uint64_t recording_ns; /* when that began */
};

struct rpc_pipeline {
    struct rpc_engine engine;
    struct rpc_outlet outlet;
    struct rpc_limits limits;
    struct rpc_worker *workers; /* and behind them those of the remote threads */
    size_t worker_count;        /* with those */
    pthread_t *threads;
    size_t thread_count;            /* started */
    struct store_view *writer_view; /* of who commits */
    bool is_short;                  /* likewise: memory was, at the last commit */

    pthread_mutex_t lock;   /* guards everything below, and callers */
    pthread_cond_t work;    /* for workers; monotonic clock */
    pthread_cond_t idle;    /* for drain and close */
    pthread_cond_t written; /* for writes */
    struct rpc_ring calls_waiting, acts_waiting;
    struct rpc_owner *owners;
    struct rpc_room rooms[2];
    size_t waiting_items; /* in the callers' queues; without acts */
    size_t waiting_reads; /* calls of those that only read */
    struct rpc_queue prepared, reserved, signed_, done;
    size_t acts_in_row; /* prepared since workers last issued */
    struct rpc_call_queue acts_prepared, acts_done;
    struct rpc_write *write_first, *write_last;
    size_t writes;        /* begun and not yet ended */
    size_t in_hand;       /* batches, groups and acts that workers prepare or sign */
    size_t pending_items; /* in prepared, signed_ and acts_prepared */
    uint64_t asked_ns;    /* since when something waits for a commit; 0: nothing does */
    uint64_t commit_ns;   /* what one takes, smoothed */
    bool is_committing;   /* one worker is: what it does with the store is its alone */
    bool is_rough;        /* there was a commit since store_smooth() */
    uint64_t watched_ns;  /* an idle worker looks then whether something is due */
    struct rpc_returns returns;
    size_t preparing; /* batches, of those in hand */
    struct rpc_remote remotes[RPC_CA_MAX];
    size_t remote_count;
    struct rpc_batch *spare;
    size_t calls; /* taken and not yet answered */
    size_t workers_idle;
    bool is_draining, is_stopping;
};

/* What a thread is started with, and frees. */
struct rpc_start {
    struct rpc_pipeline *pipeline;
    struct rpc_worker *worker;
    struct rpc_remote *remote; /* whose threads these are; else NULL */
};

/* The lock is held. */
void rpc_queue_push(struct rpc_queue *queue, struct rpc_group *group);
struct rpc_group *rpc_queue_pop(struct rpc_queue *queue);

bool rpc_group_is_open(const struct rpc_group *group);

/* ---- pipeline_batch.c */

/* From one caller before it is the next one's turn: a vector's lanes. */
enum { RPC_TURN_ITEMS = 8 };

/* It waits to be gathered. The lock is held. */
void rpc_calls_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                    struct rpc_call *call);
/*
 * Up to count_max items, from the callers in turn, of which each holds the batch, as does who
 * gathered. A call that only reads is taken alone (call_out) and only into an empty batch. The lock
 * is held.
 */
void rpc_batch_gather(struct rpc_pipeline *pipeline, struct rpc_batch *batch, size_t count_max,
                      struct rpc_call **call_out);
/* NULL: no memory. The lock is held. */
struct rpc_batch *rpc_batch_take(struct rpc_pipeline *pipeline);
void rpc_batch_release(struct rpc_pipeline *pipeline, struct rpc_batch *batch); /* lock not held */
void rpc_batches_free(struct rpc_pipeline *pipeline);
/* Refused (err) or filled in: sent, and its place free again. The lock is not held. */
void rpc_pipeline_answer(struct rpc_pipeline *pipeline, struct rpc_call *call, enum ca_err err);
/* The same of what lends from a view, which rests before the transport is waited for. */
void rpc_pipeline_answer_from(struct rpc_pipeline *pipeline, struct rpc_call *call,
                              struct store_view *view);
/* Tells an item's call that it has ended, if it has; the last one answers the call. The lock is not
 * held. */
void rpc_item_settle(struct rpc_pipeline *pipeline, struct rpc_issue *item);

/* ---- pipeline_work.c */

/* Do workers have more to do than what they do now? The lock is held. */
bool rpc_pipeline_has_backlog(const struct rpc_pipeline *pipeline);
/* Is a worker idle, and something there for it? The lock is held. */
bool rpc_pipeline_wants_worker(const struct rpc_pipeline *pipeline);
/* Wakes one if so. The lock is held; who is about to let go of it signals afterwards instead, as
 * the first thing that the other wants is the lock. */
void rpc_pipeline_wake(struct rpc_pipeline *pipeline);
/* Signs a list of groups of one CA; they go into the next commit. The lock is not held. */
void rpc_pipeline_sign(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                       struct rpc_group *groups);
void *rpc_worker_run(void *start);

/* ---- pipeline_callers.c; the lock is held */

void rpc_call_push(struct rpc_call_queue *queue, struct rpc_call *call);
struct rpc_call *rpc_call_pop(struct rpc_call_queue *queue); /* NULL: there is none */
/* Behind the others of its caller. */
void rpc_turn_push(struct rpc_ring *ring, struct rpc_turn *turn, struct rpc_call *call);
/* Whose turn it is leaves the ring; NULL: nobody's. */
struct rpc_turn *rpc_turn_take(struct rpc_ring *ring);
/* To the ring's end, if anything of it waits. */
void rpc_turn_wait(struct rpc_ring *ring, struct rpc_turn *turn);

/* BUSY, or the call has its place, until rpc_room_free(). */
CA_MUST_CHECK enum ca_err rpc_room_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                                        const struct rpc_call *call);
void rpc_room_free(struct rpc_pipeline *pipeline, const struct rpc_call *call);
/* Frees one that is gone, once it has no call. */
void rpc_caller_end(struct rpc_caller *caller);

/* ---- pipeline_acts.c */

enum {
    RPC_ACTS_TURN = 64,    /* prepared before issuing has its turn */
    RPC_ACTS_COMMIT = 256, /* in a commit that issuing waits for; a call's acts stay together */
};

/* It waits for a worker. The lock is held. */
void rpc_acts_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller, struct rpc_call *call);
/* One piece of a worker's work; false: there is none, or it is the turn of issuing. The lock is
 * held, but not meanwhile. */
bool rpc_acts_answer(struct rpc_pipeline *pipeline, struct rpc_worker *worker);
bool rpc_acts_prepare(struct rpc_pipeline *pipeline, struct rpc_worker *worker);
/* Takes those for the next commit; what must wait stays pending. The lock is held. */
struct rpc_call_queue rpc_acts_gather(struct rpc_pipeline *pipeline);
/* In the writer's transaction; then, once it is known what became of that. The lock is not held. */
CA_MUST_CHECK enum ca_err rpc_acts_put(struct rpc_pipeline *pipeline,
                                       const struct rpc_call_queue *acts,
                                       struct store_batch *batch);
void rpc_acts_committed(struct rpc_pipeline *pipeline, const struct rpc_call_queue *acts,
                        enum ca_err err);
/* Hands them to the workers. The lock is held. */
void rpc_acts_done(struct rpc_pipeline *pipeline, struct rpc_call_queue *acts);

/* ---- pipeline_remote.c */

void rpc_remotes_find(struct rpc_pipeline *pipeline, const struct rpc_config *config);
/* NULL: the workers sign. */
struct rpc_remote *rpc_remote_find(struct rpc_pipeline *pipeline, const struct rpc_ca *ca);
/* Can its CA sign, and is there room with it? The lock is not held. */
bool rpc_remote_admit(struct rpc_pipeline *pipeline, struct rpc_group *group);
/* The group, admitted or not, has ended. */
void rpc_remote_leave(struct rpc_pipeline *pipeline, const struct rpc_group *group);
void *rpc_remote_run(void *start);

/* ---- pipeline_commit.c; the lock is held, and while something is written let go of */

uint64_t rpc_now_ns(void);                                       /* monotonic */
void rpc_returns_add(struct rpc_returns *returns, size_t items); /* they were just offered */
/* Until when should so many items wait for more from callers who were just answered? 0: no more. */
uint64_t rpc_returns_until(const struct rpc_pipeline *pipeline, size_t items);
/* Something with so many items was put into one of the queues for the next commit. */
void rpc_commit_ask(struct rpc_pipeline *pipeline, size_t items);
/* When is the next commit due, as things stand? 0: now; RPC_NEVER: nothing waits, or one runs. */
uint64_t rpc_commit_due(const struct rpc_pipeline *pipeline);
void rpc_commit_run(struct rpc_pipeline *pipeline);
/* Makes later commits cheaper, when there is nothing else to do; false: it would not. */
bool rpc_commit_smooth(struct rpc_pipeline *pipeline);

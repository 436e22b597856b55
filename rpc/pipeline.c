/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/pipeline.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc/log.h"
#include "rpc/service.h"

enum {
    QUEUE_ITEMS_DEFAULT = 4096,
    CALLER_ITEMS_DEFAULT = 2048,
    BATCH_ITEMS_DEFAULT = 64,
    TURN_ITEMS = 8, /* taken from one caller before it is the next one's turn: a vector's lanes */
    WORKERS_MAX = 64,
    REMOTE_THREADS = 2, /* one waits for the token while the other verifies */
    REMOTE_SHARE = 4,   /* all remote CAs together hold this part of queue_items_max */
    BATCH_ARENA_BLOCK = 64 * 1024,
    BATCH_ARENA_MAX = 32 * 1024 * 1024,
};

struct queue {
    struct rpc_group *first, *last;
};

struct rpc_caller {
    struct rpc_pipeline *pipeline;
    struct rpc_caller *next; /* in the ring of those with waiting calls */
    struct rpc_call *first, *last;
    size_t items;    /* in the engine */
    bool is_waiting; /* in the ring */
    bool is_gone;    /* freed with its last call */
    size_t calls;    /* in the engine */
};

/*
 * A CA whose keys are in another device. Threads of its own wait for its signatures, so that a
 * token that is slow or hangs takes no worker, and it holds only so many items, so that it takes
 * no other CA's room.
 */
struct remote {
    const struct rpc_ca *ca;
    struct queue reserved;
    pthread_cond_t work;
    size_t items; /* in groups that have not ended */
};

struct rpc_pipeline {
    struct rpc_engine engine;
    struct rpc_outlet outlet;
    struct rpc_limits limits;
    struct rpc_worker *workers; /* and behind them those of the remote threads */
    size_t worker_count;        /* with those */
    pthread_t *threads;
    size_t thread_count; /* started: the writer, then the workers */
    struct store_view *writer_view;

    pthread_mutex_t lock; /* guards everything below, and callers */
    pthread_cond_t work;  /* for workers */
    pthread_cond_t write; /* for the writer */
    pthread_cond_t idle;  /* for drain */
    struct rpc_caller *ring_first, *ring_last;
    size_t items;         /* in the engine */
    size_t waiting_items; /* of them in the callers' queues */
    struct queue prepared, reserved, signed_, done;
    struct remote remotes[RPC_CA_MAX];
    size_t remote_count;
    struct rpc_batch *spare;
    size_t calls; /* taken and not yet answered */
    size_t workers_idle;
    bool is_draining, is_stopping;
};

/* ---- queues; the lock is held */

static void queue_push(struct queue *queue, struct rpc_group *group)
{
    group->next = NULL;
    if (queue->last == NULL)
        queue->first = group;
    else
        queue->last->next = group;
    queue->last = group;
}

static struct rpc_group *queue_pop(struct queue *queue)
{
    struct rpc_group *group = queue->first;

    if (group == NULL)
        return NULL;
    queue->first = group->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return group;
}

static void ring_push(struct rpc_pipeline *pipeline, struct rpc_caller *caller)
{
    caller->next = NULL;
    caller->is_waiting = true;
    if (pipeline->ring_last == NULL)
        pipeline->ring_first = caller;
    else
        pipeline->ring_last->next = caller;
    pipeline->ring_last = caller;
}

static struct rpc_caller *ring_pop(struct rpc_pipeline *pipeline)
{
    struct rpc_caller *caller = pipeline->ring_first;

    pipeline->ring_first = caller->next;
    if (pipeline->ring_first == NULL)
        pipeline->ring_last = NULL;
    caller->is_waiting = false;
    return caller;
}

/* ---- callers and calls */

enum ca_err rpc_caller_new(struct rpc_pipeline *pipeline, struct rpc_caller **caller_out)
{
    struct rpc_caller *caller = calloc(1, sizeof(*caller));

    *caller_out = caller;
    if (caller == NULL)
        return CA_ERR_NOMEM;
    caller->pipeline = pipeline;
    return CA_OK;
}

void rpc_caller_free(struct rpc_caller *caller)
{
    if (caller == NULL)
        return;
    struct rpc_pipeline *pipeline = caller->pipeline;
    pthread_mutex_lock(&pipeline->lock);
    bool is_last = caller->calls == 0;
    caller->is_gone = true;
    pthread_mutex_unlock(&pipeline->lock);
    if (is_last)
        free(caller);
}

/* A call weighs as many items as it has; one that only reads weighs one. */
static size_t call_weight(const struct rpc_call *call)
{
    return call->item_count == 0 ? 1 : call->item_count;
}

enum ca_err rpc_pipeline_offer(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                               struct rpc_call *call)
{
    enum ca_err err = CA_OK;
    size_t weight = call_weight(call);

    pthread_mutex_lock(&pipeline->lock);
    if (pipeline->is_draining) {
        err = CA_ERR_STOPPING;
    } else if (pipeline->items + weight > pipeline->limits.queue_items_max ||
               caller->items + weight > pipeline->limits.caller_items_max) {
        err = CA_ERR_BUSY;
    } else {
        call->caller = caller;
        call->next = NULL;
        if (caller->last == NULL)
            caller->first = call;
        else
            caller->last->next = call;
        caller->last = call;
        caller->items += weight;
        caller->calls++;
        pipeline->calls++;
        pipeline->items += weight;
        pipeline->waiting_items += weight;
        if (!caller->is_waiting)
            ring_push(pipeline, caller);
        if (pipeline->workers_idle > 0)
            pthread_cond_signal(&pipeline->work);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return err;
}

/* The call is answered: its memory, its place and its share of batches are free again. */
static void call_end(struct rpc_pipeline *pipeline, struct rpc_caller *caller, size_t weight)
{
    pthread_mutex_lock(&pipeline->lock);
    caller->items -= weight;
    pipeline->items -= weight;
    bool is_last = --caller->calls == 0 && caller->is_gone;
    if (--pipeline->calls == 0)
        pthread_cond_broadcast(&pipeline->idle);
    pthread_mutex_unlock(&pipeline->lock);
    if (is_last)
        free(caller);
}

/* ---- batches */

static void batch_release(struct rpc_pipeline *pipeline, struct rpc_batch *batch)
{
    if (atomic_fetch_sub(&batch->refs, 1) != 1)
        return;
    ca_arena_reset(batch->arena);
    pthread_mutex_lock(&pipeline->lock);
    batch->next = pipeline->spare;
    pipeline->spare = batch;
    pthread_mutex_unlock(&pipeline->lock);
}

/*
 * A batch is not free before the last call with an item in it is answered, which may wait for
 * other batches: so there is no fixed number of them. queue_items_max bounds them all.
 */
static struct rpc_batch *batch_take(struct rpc_pipeline *pipeline)
{
    struct rpc_batch *batch = pipeline->spare;

    if (batch != NULL) {
        pipeline->spare = batch->next;
        return batch;
    }
    size_t items = pipeline->limits.batch_items_max;
    batch = calloc(1, sizeof(*batch) + items * sizeof(batch->items[0]));
    if (batch == NULL)
        return NULL;
    if (ca_arena_new(BATCH_ARENA_BLOCK, BATCH_ARENA_MAX, &batch->arena) != CA_OK) {
        free(batch);
        return NULL;
    }
    return batch;
}

static void call_answer(struct rpc_pipeline *pipeline, struct rpc_call *call)
{
    struct rpc_caller *caller = call->caller;
    size_t count = call->item_count;
    size_t weight = call_weight(call);
    struct rpc_batch *batches[RPC_ITEMS_MAX];

    for (size_t i = 0; i < count; i++)
        batches[i] = call->items[i]->batch;
    enum ca_err err = count == 0 ? CA_OK : rpc_issue_answer(&pipeline->engine, call);
    if (err != CA_OK)
        rpc_call_refuse(call, err);
    pipeline->outlet.answer(pipeline->outlet.arg, call); /* the call is gone */
    for (size_t i = 0; i < count; i++)
        batch_release(pipeline, batches[i]);
    call_end(pipeline, caller, weight);
}

/* Tells an item's call that it has ended; the last one answers the call. */
static void item_settle(struct rpc_pipeline *pipeline, struct rpc_issue *item)
{
    if (!item->is_closed || item->is_told)
        return;
    item->is_told = true;
    struct rpc_call *call = item->call;
    if (atomic_fetch_sub(&call->items_open, 1) == 1)
        call_answer(pipeline, call);
}

static void group_settle(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        item_settle(pipeline, group->items[i]);
}

static bool group_is_open(const struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!group->items[i]->is_closed)
            return true;
    }
    return false;
}

static void batch_add(struct rpc_batch *batch, struct rpc_call *call)
{
    struct rpc_issue *item = &batch->items[batch->count++];

    memset(item, 0, sizeof(*item));
    item->call = call;
    item->batch = batch;
    item->asked = call->request->issue->items[call->item_taken];
    call->items[call->item_taken++] = item;
}

/*
 * Up to count_max items, from the callers in turn. A call that only reads is taken alone
 * (call_out) and only into an empty batch. The lock is held.
 */
static void gather(struct rpc_pipeline *pipeline, struct rpc_batch *batch, size_t count_max,
                   struct rpc_call **call_out)
{
    *call_out = NULL;
    batch->count = 0;
    while (pipeline->ring_first != NULL && batch->count < count_max) {
        struct rpc_caller *caller = pipeline->ring_first;
        struct rpc_call *call = caller->first;
        bool is_read = call->item_count == 0;
        if (is_read && batch->count > 0)
            break;
        ring_pop(pipeline);
        for (size_t turn = 0; !is_read && turn < TURN_ITEMS && batch->count < count_max &&
                              call->item_taken < call->item_count;
             turn++) {
            batch_add(batch, call);
            pipeline->waiting_items--;
        }
        if (call->item_taken == call->item_count) {
            caller->first = call->next;
            if (caller->first == NULL)
                caller->last = NULL;
        }
        if (caller->first != NULL)
            ring_push(pipeline, caller);
        if (is_read) {
            pipeline->waiting_items--;
            *call_out = call;
            break;
        }
    }
    atomic_store(&batch->refs, batch->count + 1);
}

/* ---- workers */

/* Whole lanes for each worker rather than all for one: latency, without half-empty vectors. */
static size_t share(const struct rpc_pipeline *pipeline)
{
    size_t workers = pipeline->limits.worker_count;
    size_t count = (pipeline->waiting_items + workers - 1) / workers;

    count = (count + TURN_ITEMS - 1) / TURN_ITEMS * TURN_ITEMS;
    return count < pipeline->limits.batch_items_max ? count : pipeline->limits.batch_items_max;
}

/* The lock is not held. */
static void hand_to_writer(struct rpc_pipeline *pipeline, struct queue *queue,
                           struct rpc_group *group)
{
    pthread_mutex_lock(&pipeline->lock);
    while (group != NULL) {
        struct rpc_group *next = group->next;
        queue_push(queue, group);
        group = next;
    }
    pthread_cond_signal(&pipeline->write);
    pthread_mutex_unlock(&pipeline->lock);
}

/* NULL: the workers sign. */
static struct remote *remote_find(struct rpc_pipeline *pipeline, const struct rpc_ca *ca)
{
    for (size_t i = 0; i < pipeline->remote_count; i++) {
        if (pipeline->remotes[i].ca == ca)
            return &pipeline->remotes[i];
    }
    return NULL;
}

static void group_end(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    struct rpc_batch *batch = group->batch;
    struct remote *remote = remote_find(pipeline, group->ca);

    if (remote != NULL) {
        pthread_mutex_lock(&pipeline->lock);
        remote->items -= group->count;
        pthread_mutex_unlock(&pipeline->lock);
    }
    group_settle(pipeline, group);
    batch_release(pipeline, batch);
}

static void sign(struct rpc_pipeline *pipeline, struct rpc_worker *worker, struct rpc_group *group)
{
    rpc_issue_sign(worker, group);
    group->next = NULL;
    if (group_is_open(group))
        hand_to_writer(pipeline, &pipeline->signed_, group);
    else
        group_end(pipeline, group);
}

/* Is there room with its CA? What is refused has left no trace yet. */
static bool group_is_admitted(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    struct remote *remote = remote_find(pipeline, group->ca);

    if (remote == NULL)
        return true;
    size_t items_max = pipeline->limits.queue_items_max / (REMOTE_SHARE * pipeline->remote_count);
    pthread_mutex_lock(&pipeline->lock);
    bool is_admitted = remote->items == 0 || remote->items + group->count <= items_max;
    remote->items += group->count; /* until it ends, however it does */
    pthread_mutex_unlock(&pipeline->lock);
    if (!is_admitted)
        rpc_issue_refuse(group, CA_ERR_BUSY);
    return is_admitted;
}

static void prepare(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                    struct rpc_batch *batch)
{
    struct rpc_group *next, *admitted = NULL;

    rpc_issue_prepare(worker, batch);
    struct rpc_group *groups = rpc_issue_groups(batch);
    /* Items that have ended are told before their siblings leave this thread's hands. */
    for (size_t i = 0; i < batch->count; i++)
        item_settle(pipeline, &batch->items[i]);
    for (struct rpc_group *group = groups; group != NULL; group = next) {
        next = group->next;
        if (!group_is_admitted(pipeline, group)) {
            group_end(pipeline, group);
            continue;
        }
        group->next = admitted;
        admitted = group;
    }
    if (admitted != NULL)
        hand_to_writer(pipeline, &pipeline->prepared, admitted);
    batch_release(pipeline, batch);
}

static void read_call(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                      struct rpc_call *call)
{
    rpc_service_read(worker, call);
    call_answer(pipeline, call);
    store_view_rest(worker->view);
}

/* Takes one piece of work, what is nearest to its answer first, and does it. The lock is held. */
static bool work_once(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_batch *batch;
    struct rpc_group *group;
    struct rpc_call *call = NULL;

    if ((group = queue_pop(&pipeline->done)) != NULL) {
        pthread_mutex_unlock(&pipeline->lock);
        group_end(pipeline, group);
    } else if ((group = queue_pop(&pipeline->reserved)) != NULL) {
        pthread_mutex_unlock(&pipeline->lock);
        sign(pipeline, worker, group);
    } else if (pipeline->ring_first != NULL && (batch = batch_take(pipeline)) != NULL) {
        gather(pipeline, batch, share(pipeline), &call);
        pthread_mutex_unlock(&pipeline->lock);
        if (call != NULL) {
            read_call(pipeline, worker, call);
            batch_release(pipeline, batch);
        } else {
            prepare(pipeline, worker, batch);
        }
    } else {
        return false;
    }
    pthread_mutex_lock(&pipeline->lock);
    return true;
}

struct start {
    struct rpc_pipeline *pipeline;
    struct rpc_worker *worker;
    struct remote *remote; /* NULL: a worker for everything else */
};

static void *worker_run(void *arg)
{
    struct start *start = arg;
    struct rpc_pipeline *pipeline = start->pipeline;
    struct rpc_worker *worker = start->worker;

    free(start);
    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if (work_once(pipeline, worker))
            continue;
        if (pipeline->is_stopping)
            break;
        pipeline->workers_idle++;
        pthread_cond_wait(&pipeline->work, &pipeline->lock);
        pipeline->workers_idle--;
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

static void *remote_run(void *arg)
{
    struct start *start = arg;
    struct rpc_pipeline *pipeline = start->pipeline;
    struct rpc_worker *worker = start->worker;
    struct remote *remote = start->remote;
    struct rpc_group *group;

    free(start);
    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if ((group = queue_pop(&remote->reserved)) != NULL) {
            pthread_mutex_unlock(&pipeline->lock);
            sign(pipeline, worker, group);
            pthread_mutex_lock(&pipeline->lock);
        } else if (pipeline->is_stopping) {
            break;
        } else {
            pthread_cond_wait(&remote->work, &pipeline->lock);
        }
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

/* ---- the writer */

static enum ca_err fill_commit(struct rpc_pipeline *pipeline, struct store_batch *store_batch,
                               const struct queue *recorded, const struct queue *prepared)
{
    struct rpc_engine *engine = &pipeline->engine;
    enum ca_err err = store_view_renew(pipeline->writer_view);

    for (struct rpc_group *group = recorded->first; group != NULL && err == CA_OK;
         group = group->next)
        err = rpc_issue_record(engine, store_batch, group);
    for (struct rpc_group *group = prepared->first; group != NULL && err == CA_OK;
         group = group->next)
        err = rpc_issue_reserve(engine, store_batch, pipeline->writer_view, group);
    store_view_rest(pipeline->writer_view);
    return err;
}

/* One transaction: results of the groups that were signed, intents of those prepared since. */
static enum ca_err commit_once(struct rpc_pipeline *pipeline, const struct queue *recorded,
                               const struct queue *prepared)
{
    struct rpc_engine *engine = &pipeline->engine;
    struct store_batch *store_batch;
    enum ca_err err = store_begin(engine->store, &store_batch);

    if (err == CA_OK) {
        err = fill_commit(pipeline, store_batch, recorded, prepared);
        if (err == CA_OK)
            err = store_commit(store_batch);
        else
            store_abort(store_batch);
    }
    if (err == CA_OK) {
        atomic_fetch_add(&engine->commit, 1);
        rpc_claims_tick(engine->claims);
        rpc_count(&engine->counters.commits, 1);
    } else if (!atomic_exchange(&engine->is_storage_latched, true)) {
        log_error("storage failed, issuing stopped until restart", "code=%s", ca_err_name(err));
    }
    return err;
}

/* Moves groups on; the lock is held. Those with nothing left open only need answers. */
static void hand_to_answer(struct rpc_pipeline *pipeline, struct queue *from)
{
    struct rpc_group *group;

    while ((group = queue_pop(from)) != NULL)
        queue_push(&pipeline->done, group);
}

static void hand_to_sign(struct rpc_pipeline *pipeline, struct queue *from)
{
    struct rpc_group *group;

    while ((group = queue_pop(from)) != NULL) {
        struct remote *remote = remote_find(pipeline, group->ca);
        if (!group_is_open(group)) {
            queue_push(&pipeline->done, group);
        } else if (remote == NULL) {
            queue_push(&pipeline->reserved, group);
        } else {
            queue_push(&remote->reserved, group);
            pthread_cond_signal(&remote->work);
        }
    }
}

static void write_once(struct rpc_pipeline *pipeline)
{
    struct queue recorded = pipeline->signed_;
    struct queue prepared = pipeline->prepared;

    pipeline->signed_ = pipeline->prepared = (struct queue){ 0 };
    pthread_mutex_unlock(&pipeline->lock);
    enum ca_err err = commit_once(pipeline, &recorded, &prepared);
    for (struct rpc_group *group = recorded.first; group != NULL; group = group->next)
        rpc_issue_recorded(&pipeline->engine, group, err);
    for (struct rpc_group *group = prepared.first; group != NULL; group = group->next)
        rpc_issue_reserved(&pipeline->engine, group, err);
    pthread_mutex_lock(&pipeline->lock);
    hand_to_answer(pipeline, &recorded);
    hand_to_sign(pipeline, &prepared);
    pthread_cond_broadcast(&pipeline->work);
}

static void *writer_run(void *arg)
{
    struct rpc_pipeline *pipeline = arg;

    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if (pipeline->signed_.first != NULL || pipeline->prepared.first != NULL)
            write_once(pipeline);
        else if (pipeline->is_stopping)
            break;
        else
            pthread_cond_wait(&pipeline->write, &pipeline->lock);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

/* ---- life */

static void limits_set(struct rpc_limits *limits)
{
    if (limits->queue_items_max == 0)
        limits->queue_items_max = QUEUE_ITEMS_DEFAULT;
    if (limits->caller_items_max == 0)
        limits->caller_items_max = CALLER_ITEMS_DEFAULT;
    if (limits->batch_items_max == 0)
        limits->batch_items_max = BATCH_ITEMS_DEFAULT;
    if (limits->worker_count == 0)
        limits->worker_count = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (limits->worker_count > WORKERS_MAX)
        limits->worker_count = WORKERS_MAX;
    assert(limits->batch_items_max <= RPC_BATCH_MAX);
}

static void remotes_find(struct rpc_pipeline *pipeline, const struct rpc_config *config)
{
    for (size_t i = 0; i < config->ca_count; i++) {
        const struct rpc_ca *ca = &config->cas[i];
        if (!keys_signer_is_remote(ca->signer))
            continue;
        struct remote *remote = &pipeline->remotes[pipeline->remote_count++];
        remote->ca = ca;
        pthread_cond_init(&remote->work, NULL);
    }
}

/* Those of the remote threads do nothing but sign. */
static enum ca_err workers_make(struct rpc_pipeline *pipeline)
{
    size_t count = pipeline->limits.worker_count + REMOTE_THREADS * pipeline->remote_count;
    enum ca_err err = CA_OK;

    pipeline->workers = calloc(count, sizeof(*pipeline->workers));
    pipeline->threads = calloc(count + 1, sizeof(*pipeline->threads));
    if (pipeline->workers == NULL || pipeline->threads == NULL)
        return CA_ERR_NOMEM;
    pipeline->worker_count = count;
    for (size_t i = 0; i < count && err == CA_OK; i++) {
        struct rpc_worker *worker = &pipeline->workers[i];
        worker->engine = &pipeline->engine;
        err = i < pipeline->limits.worker_count ? rpc_worker_init(worker, &pipeline->engine)
                                                : crypto_open(&worker->crypto);
    }
    return err;
}

static enum ca_err thread_start(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                                struct remote *remote)
{
    pthread_t *thread = &pipeline->threads[pipeline->thread_count];
    struct start *start = malloc(sizeof(*start));

    if (start == NULL)
        return CA_ERR_NOMEM;
    *start = (struct start){ pipeline, worker, remote };
    if (pthread_create(thread, NULL, remote == NULL ? worker_run : remote_run, start) != 0) {
        free(start);
        return CA_ERR_NOMEM;
    }
    pipeline->thread_count++;
    return CA_OK;
}

static enum ca_err threads_start(struct rpc_pipeline *pipeline)
{
    size_t shared = pipeline->limits.worker_count;
    enum ca_err err = CA_OK;

    if (pthread_create(&pipeline->threads[0], NULL, writer_run, pipeline) != 0)
        return CA_ERR_NOMEM;
    pipeline->thread_count++;
    for (size_t i = 0; i < pipeline->worker_count && err == CA_OK; i++) {
        struct remote *remote =
            i < shared ? NULL : &pipeline->remotes[(i - shared) / REMOTE_THREADS];
        err = thread_start(pipeline, &pipeline->workers[i], remote);
    }
    return err;
}

enum ca_err rpc_pipeline_open(const struct rpc_config *config, struct store *store,
                              const struct rpc_outlet *outlet, struct rpc_pipeline **pipeline_out)
{
    struct rpc_pipeline *pipeline = calloc(1, sizeof(*pipeline));

    *pipeline_out = NULL;
    if (pipeline == NULL)
        return CA_ERR_NOMEM;
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_cond_init(&pipeline->work, NULL);
    pthread_cond_init(&pipeline->write, NULL);
    pthread_cond_init(&pipeline->idle, NULL);
    pipeline->outlet = *outlet;
    pipeline->limits = config->limits;
    limits_set(&pipeline->limits);
    remotes_find(pipeline, config);

    enum ca_err err = rpc_engine_init(&pipeline->engine, config, store);
    if (err == CA_OK)
        err = workers_make(pipeline);
    if (err == CA_OK)
        err = store_view_open(store, &pipeline->writer_view);
    if (err == CA_OK) {
        store_view_rest(pipeline->writer_view);
        err = threads_start(pipeline);
    }
    if (err != CA_OK) {
        rpc_pipeline_close(pipeline);
        return err;
    }
    *pipeline_out = pipeline;
    return CA_OK;
}

void rpc_pipeline_drain(struct rpc_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    pipeline->is_draining = true;
    while (pipeline->calls > 0)
        pthread_cond_wait(&pipeline->idle, &pipeline->lock);
    pthread_mutex_unlock(&pipeline->lock);
}

void rpc_pipeline_close(struct rpc_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    if (pipeline->thread_count > 0)
        rpc_pipeline_drain(pipeline);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->is_stopping = true;
    pthread_cond_broadcast(&pipeline->work);
    pthread_cond_broadcast(&pipeline->write);
    for (size_t i = 0; i < pipeline->remote_count; i++)
        pthread_cond_broadcast(&pipeline->remotes[i].work);
    pthread_mutex_unlock(&pipeline->lock);
    for (size_t i = 0; i < pipeline->thread_count; i++)
        pthread_join(pipeline->threads[i], NULL);

    for (size_t i = 0; i < pipeline->worker_count; i++)
        rpc_worker_wipe(&pipeline->workers[i]);
    for (size_t i = 0; i < pipeline->remote_count; i++)
        pthread_cond_destroy(&pipeline->remotes[i].work);
    while (pipeline->spare != NULL) {
        struct rpc_batch *batch = pipeline->spare;
        pipeline->spare = batch->next;
        ca_arena_free(batch->arena);
        free(batch);
    }
    store_view_close(pipeline->writer_view);
    rpc_engine_wipe(&pipeline->engine);
    free(pipeline->workers);
    free(pipeline->threads);
    pthread_cond_destroy(&pipeline->idle);
    pthread_cond_destroy(&pipeline->write);
    pthread_cond_destroy(&pipeline->work);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}

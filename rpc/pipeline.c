/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_keeper.h"
#include "rpc/pipeline_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc/service.h"

enum {
    QUEUE_ITEMS_DEFAULT = 4096,
    CALLER_ITEMS_DEFAULT = 2048,
    ACT_ITEMS_DEFAULT = 4096,
    QUEUE_OCTETS_DEFAULT = 64 << 20,
    CALLER_OCTETS_DEFAULT = 32 << 20,
    BATCH_ITEMS_DEFAULT = 64,
    TURN_ITEMS = 8, /* taken from one caller before it is the next one's turn: a vector's lanes */
    WORKERS_MAX = 64,
    COMMITTING = 1,     /* thread more than compute: while one waits for the disk */
    REMOTE_THREADS = 2, /* one waits for the token while the other verifies */
    BATCH_ARENA_BLOCK = 64 * 1024,
    BATCH_ARENA_MAX = 32 * 1024 * 1024,
};

/* ---- queues; the lock is held */

void rpc_queue_push(struct rpc_queue *queue, struct rpc_group *group)
{
    group->next = NULL;
    if (queue->last == NULL)
        queue->first = group;
    else
        queue->last->next = group;
    queue->last = group;
}

struct rpc_group *rpc_queue_pop(struct rpc_queue *queue)
{
    struct rpc_group *group = queue->first;

    if (group == NULL)
        return NULL;
    queue->first = group->next;
    if (queue->first == NULL)
        queue->last = NULL;
    group->next = NULL;
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

/* ---- calls */

static void call_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                      struct rpc_call *call)
{
    call->next = NULL;
    if (caller->last == NULL)
        caller->first = call;
    else
        caller->last->next = call;
    caller->last = call;
    pipeline->waiting_items += call->weight;
    if (!caller->is_waiting)
        ring_push(pipeline, caller);
}

static enum ca_err call_admit(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                              struct rpc_call *call)
{
    if (pipeline->is_draining)
        return CA_ERR_STOPPING;
    enum ca_err err = rpc_room_take(pipeline, caller, call);
    if (err != CA_OK)
        return err;
    if (call->is_act)
        rpc_acts_take(pipeline, caller, call);
    else
        call_take(pipeline, caller, call);
    return CA_OK;
}

enum ca_err rpc_pipeline_offer(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                               struct rpc_call *call)
{
    pthread_mutex_lock(&pipeline->lock);
    enum ca_err err = call_admit(pipeline, caller, call);
    if (err == CA_OK) {
        call->caller = caller;
        caller->calls++;
        pipeline->calls++;
        rpc_returns_add(&pipeline->returns, call->item_count);
        rpc_pipeline_wake(pipeline);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return err;
}

/* Before it is answered: whoever has the answer may ask again at once. */
static void place_free(struct rpc_pipeline *pipeline, const struct rpc_call *call)
{
    pthread_mutex_lock(&pipeline->lock);
    rpc_room_free(pipeline, call);
    pthread_mutex_unlock(&pipeline->lock);
}

/* The call is answered: its memory and its share of batches are free again. */
static void call_end(struct rpc_pipeline *pipeline, struct rpc_caller *caller)
{
    pthread_mutex_lock(&pipeline->lock);
    caller->calls--;
    rpc_caller_end(caller);
    if (--pipeline->calls == 0)
        pthread_cond_broadcast(&pipeline->idle);
    pthread_mutex_unlock(&pipeline->lock);
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

void rpc_pipeline_answer(struct rpc_pipeline *pipeline, struct rpc_call *call, enum ca_err err)
{
    struct rpc_caller *caller = call->caller;
    size_t count = call->item_count;
    struct rpc_batch *batches[RPC_ITEMS_MAX];

    for (size_t i = 0; i < count; i++)
        batches[i] = call->items[i]->batch;
    if (err != CA_OK)
        rpc_call_refuse(call, err);
    place_free(pipeline, call);
    pipeline->outlet.answer(pipeline->outlet.arg, call); /* the call is gone */
    for (size_t i = 0; i < count; i++)
        batch_release(pipeline, batches[i]);
    call_end(pipeline, caller);
}

/* Tells an item's call that it has ended; the last one answers the call. */
static void item_settle(struct rpc_pipeline *pipeline, struct rpc_issue *item)
{
    if (!item->is_closed || item->is_told)
        return;
    item->is_told = true;
    struct rpc_call *call = item->call;
    if (atomic_fetch_sub(&call->items_open, 1) == 1)
        rpc_pipeline_answer(pipeline, call, rpc_issue_answer(&pipeline->engine, call));
}

static void group_settle(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        item_settle(pipeline, group->items[i]);
}

bool rpc_group_is_open(const struct rpc_group *group)
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

/* The lock is not held. A worker looks itself whether the commit is due, when its hands are free.
 */
static void hand_to_commit(struct rpc_pipeline *pipeline, struct rpc_queue *queue,
                           struct rpc_group *group)
{
    pthread_mutex_lock(&pipeline->lock);
    while (group != NULL) {
        struct rpc_group *next = group->next;
        rpc_commit_ask(pipeline, group->count);
        rpc_queue_push(queue, group);
        group = next;
    }
    pthread_mutex_unlock(&pipeline->lock);
}

static void group_end(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    struct rpc_batch *batch = group->batch;

    rpc_remote_leave(pipeline, group);
    group_settle(pipeline, group);
    batch_release(pipeline, batch);
}

void rpc_pipeline_sign(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                       struct rpc_group *groups)
{
    struct rpc_group *next, *open = NULL;

    rpc_issue_sign(worker, groups);
    for (struct rpc_group *group = groups; group != NULL; group = next) {
        next = group->next;
        if (rpc_group_is_open(group)) {
            group->next = open;
            open = group;
        } else {
            group_end(pipeline, group);
        }
    }
    if (open != NULL)
        hand_to_commit(pipeline, &pipeline->signed_, open);
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
        if (!rpc_remote_admit(pipeline, group)) {
            group_end(pipeline, group);
            continue;
        }
        group->next = admitted;
        admitted = group;
    }
    if (admitted != NULL)
        hand_to_commit(pipeline, &pipeline->prepared, admitted);
    batch_release(pipeline, batch);
}

/* Making lists takes seconds: another thread does it, and answers. */
static void order_call(struct rpc_pipeline *pipeline, struct rpc_call *call)
{
    struct rpc_crl_keeper *keeper = pipeline->engine.crl_keeper;
    enum ca_err err = keeper == NULL ? CA_ERR_CRL_UNKNOWN : rpc_crl_keeper_order(keeper, call);

    if (err != CA_OK)
        rpc_pipeline_answer(pipeline, call, err);
}

static void read_call(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                      struct rpc_call *call)
{
    if (call->request->method_case == CERTMILL__REQUEST__METHOD_CRL_MAKE) {
        order_call(pipeline, call);
        return;
    }
    rpc_service_read(worker, call);
    rpc_pipeline_answer(pipeline, call, CA_OK);
    store_view_rest(worker->view);
}

/* Takes a batch of what callers wait for. The lock is held, and let go of. */
static void take_calls(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                       struct rpc_batch *batch)
{
    struct rpc_call *call;

    gather(pipeline, batch, share(pipeline), &call);
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    if (call != NULL) {
        read_call(pipeline, worker, call);
        batch_release(pipeline, batch);
    } else {
        prepare(pipeline, worker, batch);
    }
}

/* The next group to be signed, with others behind it that fit into the same lanes of a vector,
 * which cost the same full or empty. */
static struct rpc_group *take_reserved(struct rpc_pipeline *pipeline)
{
    struct rpc_queue *queue = &pipeline->reserved;
    struct rpc_group *first = rpc_queue_pop(queue);

    if (first == NULL)
        return first;
    size_t lot = crypto_sign_lot(first->ca->issuer.key);
    struct rpc_group *last = first;
    size_t count = first->count;
    while (queue->first != NULL && queue->first->ca == first->ca &&
           count + queue->first->count <= lot) {
        count += queue->first->count;
        last->next = rpc_queue_pop(queue);
        last = last->next;
    }
    return first;
}

/* One more would only take turns with those who compute. */
static bool has_place(const struct rpc_pipeline *pipeline)
{
    return pipeline->in_hand < pipeline->limits.worker_count;
}

bool rpc_pipeline_has_backlog(const struct rpc_pipeline *pipeline)
{
    return pipeline->reserved.first != NULL || pipeline->ring_first != NULL ||
           pipeline->acts.first != NULL;
}

static bool is_past(uint64_t until_ns)
{
    return until_ns == 0 || (until_ns != RPC_NEVER && rpc_now_ns() >= until_ns);
}

/*
 * When is the next batch to be prepared? A vector's worth at once. For less, one worker who
 * prepares comes back rather than another being woken, and callers who were just answered are
 * waited for: lanes cost the same full or empty.
 */
static uint64_t batch_due(const struct rpc_pipeline *pipeline)
{
    if (pipeline->ring_first == NULL)
        return RPC_NEVER;
    if (pipeline->waiting_items >= TURN_ITEMS)
        return 0;
    return pipeline->preparing > 0 ? RPC_NEVER : rpc_returns_until(pipeline, 0);
}

static bool has_work(const struct rpc_pipeline *pipeline)
{
    if (pipeline->done.first != NULL || pipeline->acts_done.first != NULL)
        return true;
    if (has_place(pipeline) && (pipeline->reserved.first != NULL || pipeline->acts.first != NULL ||
                                is_past(batch_due(pipeline))))
        return true;
    return is_past(rpc_commit_due(pipeline));
}

/* When there will be work, if nothing else happens before. */
static uint64_t next_due(const struct rpc_pipeline *pipeline)
{
    uint64_t commit_ns = rpc_commit_due(pipeline);
    uint64_t batch_ns = has_place(pipeline) ? batch_due(pipeline) : RPC_NEVER;

    return commit_ns < batch_ns ? commit_ns : batch_ns;
}

/* Somebody must look when that is: those who compute will, soon enough while a place is left. */
static bool needs_watcher(const struct rpc_pipeline *pipeline)
{
    return (pipeline->in_hand == 0 || !has_place(pipeline)) &&
           next_due(pipeline) < pipeline->watched_ns;
}

void rpc_pipeline_wake(struct rpc_pipeline *pipeline)
{
    if (pipeline->workers_idle > 0 && (has_work(pipeline) || needs_watcher(pipeline)))
        pthread_cond_signal(&pipeline->work);
}

/* Answers groups that only need that: not so few that another thread is woken for a handful. */
static bool answer_some(struct rpc_pipeline *pipeline)
{
    struct rpc_queue some = { 0 };
    struct rpc_group *group;
    size_t count = 0;

    while (count < TURN_ITEMS && (group = rpc_queue_pop(&pipeline->done)) != NULL) {
        count += group->count;
        rpc_queue_push(&some, group);
    }
    if (some.first == NULL)
        return false;
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    while ((group = rpc_queue_pop(&some)) != NULL)
        group_end(pipeline, group);
    pthread_mutex_lock(&pipeline->lock);
    return true;
}

/* Signs or prepares: false, if there is neither. The lock is held, but not meanwhile. */
static bool compute_once(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_batch *batch;
    struct rpc_group *groups;

    pipeline->acts_in_row = 0;
    if ((groups = take_reserved(pipeline)) != NULL) {
        pipeline->in_hand++;
        rpc_pipeline_wake(pipeline);
        pthread_mutex_unlock(&pipeline->lock);
        rpc_pipeline_sign(pipeline, worker, groups);
        pthread_mutex_lock(&pipeline->lock);
    } else if (is_past(batch_due(pipeline)) && (batch = batch_take(pipeline)) != NULL) {
        pipeline->in_hand++;
        pipeline->preparing++;
        take_calls(pipeline, worker, batch);
        pthread_mutex_lock(&pipeline->lock);
        pipeline->preparing--;
    } else {
        return pipeline->acts.first != NULL; /* it was the turn of issuing, but nothing is due */
    }
    pipeline->in_hand--;
    return true;
}

/*
 * Takes one piece of work, what is nearest to its answer first, and does it. Whoever takes some
 * wakes another for what is left: so nobody is woken for work that another has taken. The lock is
 * held, but not meanwhile.
 */
static bool work_once(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    if (answer_some(pipeline) || rpc_acts_answer(pipeline, worker))
        return true;
    if (is_past(rpc_commit_due(pipeline))) {
        rpc_commit_run(pipeline);
        return true;
    }
    if (has_place(pipeline) &&
        (rpc_acts_prepare(pipeline, worker) || compute_once(pipeline, worker)))
        return true;
    return rpc_commit_smooth(pipeline);
}

/* Until there is work; one of the idle looks again when something that waits is due. */
static void rest(struct rpc_pipeline *pipeline)
{
    uint64_t until_ns = next_due(pipeline);

    pipeline->workers_idle++;
    if (until_ns < pipeline->watched_ns) {
        struct timespec until = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };
        pipeline->watched_ns = until_ns;
        pthread_cond_timedwait(&pipeline->work, &pipeline->lock, &until);
        pipeline->watched_ns = RPC_NEVER;
    } else {
        pthread_cond_wait(&pipeline->work, &pipeline->lock);
    }
    pipeline->workers_idle--;
}

static void *worker_run(void *arg)
{
    struct rpc_start *start = arg;
    struct rpc_pipeline *pipeline = start->pipeline;
    struct rpc_worker *worker = start->worker;

    free(start);
    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if (work_once(pipeline, worker))
            continue;
        if (pipeline->is_stopping)
            break;
        rest(pipeline);
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
    if (limits->act_items_max == 0)
        limits->act_items_max = ACT_ITEMS_DEFAULT;
    if (limits->queue_octets_max == 0)
        limits->queue_octets_max = QUEUE_OCTETS_DEFAULT;
    if (limits->caller_octets_max == 0)
        limits->caller_octets_max = CALLER_OCTETS_DEFAULT;
    if (limits->batch_items_max == 0)
        limits->batch_items_max = BATCH_ITEMS_DEFAULT;
    if (limits->worker_count == 0)
        limits->worker_count = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (limits->worker_count > WORKERS_MAX)
        limits->worker_count = WORKERS_MAX;
    assert(limits->batch_items_max <= RPC_BATCH_MAX);
}

/* Those of the remote threads do nothing but sign. */
static enum ca_err workers_make(struct rpc_pipeline *pipeline)
{
    size_t shared = pipeline->limits.worker_count + COMMITTING;
    size_t count = shared + REMOTE_THREADS * pipeline->remote_count;
    enum ca_err err = CA_OK;

    pipeline->workers = calloc(count, sizeof(*pipeline->workers));
    pipeline->threads = calloc(count, sizeof(*pipeline->threads));
    if (pipeline->workers == NULL || pipeline->threads == NULL)
        return CA_ERR_NOMEM;
    pipeline->worker_count = count;
    for (size_t i = 0; i < count && err == CA_OK; i++) {
        struct rpc_worker *worker = &pipeline->workers[i];
        worker->engine = &pipeline->engine;
        err = i < shared ? rpc_worker_init(worker, &pipeline->engine)
                         : crypto_open_beside(pipeline->engine.config->crypto, &worker->crypto);
    }
    return err;
}

static enum ca_err thread_start(struct rpc_pipeline *pipeline, struct rpc_worker *worker,
                                struct rpc_remote *remote)
{
    pthread_t *thread = &pipeline->threads[pipeline->thread_count];
    struct rpc_start *start = malloc(sizeof(*start));

    if (start == NULL)
        return CA_ERR_NOMEM;
    *start = (struct rpc_start){ pipeline, worker, remote };
    if (pthread_create(thread, NULL, remote == NULL ? worker_run : rpc_remote_run, start) != 0) {
        free(start);
        return CA_ERR_NOMEM;
    }
    pipeline->thread_count++;
    return CA_OK;
}

static enum ca_err threads_start(struct rpc_pipeline *pipeline)
{
    size_t shared = pipeline->limits.worker_count + COMMITTING;
    enum ca_err err = CA_OK;

    for (size_t i = 0; i < pipeline->worker_count && err == CA_OK; i++) {
        struct rpc_remote *remote =
            i < shared ? NULL : &pipeline->remotes[(i - shared) / REMOTE_THREADS];
        err = thread_start(pipeline, &pipeline->workers[i], remote);
    }
    return err;
}

static enum ca_err keeper_write(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch),
                                void *put_arg)
{
    return rpc_pipeline_write(arg, put, put_arg);
}

static void keeper_answer(void *arg, struct rpc_call *call)
{
    rpc_pipeline_answer(arg, call, CA_OK);
}

static enum ca_err keeper_start(struct rpc_pipeline *pipeline)
{
    const struct rpc_crl_host host = { &pipeline->engine, keeper_write, keeper_answer, pipeline };

    return rpc_crl_keeper_open(&host, &pipeline->engine.crl_keeper);
}

static void work_init(pthread_cond_t *work)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(work, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum ca_err rpc_pipeline_open(const struct rpc_config *config, struct store *store,
                              const struct rpc_outlet *outlet, struct rpc_pipeline **pipeline_out)
{
    struct rpc_pipeline *pipeline = calloc(1, sizeof(*pipeline));

    *pipeline_out = NULL;
    if (pipeline == NULL)
        return CA_ERR_NOMEM;
    pthread_mutex_init(&pipeline->lock, NULL);
    work_init(&pipeline->work);
    pipeline->watched_ns = RPC_NEVER;
    pthread_cond_init(&pipeline->idle, NULL);
    pthread_cond_init(&pipeline->written, NULL);
    pipeline->outlet = *outlet;
    pipeline->limits = config->limits;
    limits_set(&pipeline->limits);
    rpc_remotes_find(pipeline, config);

    enum ca_err err = rpc_engine_init(&pipeline->engine, config, store);
    if (err == CA_OK)
        err = workers_make(pipeline);
    if (err == CA_OK)
        err = store_view_open(store, &pipeline->writer_view);
    if (err == CA_OK) {
        store_view_rest(pipeline->writer_view);
        err = threads_start(pipeline);
    }
    if (err == CA_OK && config->crl_path != NULL)
        err = keeper_start(pipeline);
    if (err != CA_OK) {
        rpc_pipeline_close(pipeline);
        return err;
    }
    *pipeline_out = pipeline;
    return CA_OK;
}

struct rpc_counters *rpc_pipeline_counters(struct rpc_pipeline *pipeline)
{
    return &pipeline->engine.counters;
}

void rpc_pipeline_drain(struct rpc_pipeline *pipeline)
{
    rpc_crl_keeper_drain(pipeline->engine.crl_keeper);
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
    rpc_crl_keeper_close(pipeline->engine.crl_keeper);
    pipeline->engine.crl_keeper = NULL;
    pthread_mutex_lock(&pipeline->lock);
    pipeline->is_stopping = true;
    while (pipeline->writes > 0)
        pthread_cond_wait(&pipeline->idle, &pipeline->lock);
    pthread_cond_broadcast(&pipeline->work);
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
    pthread_cond_destroy(&pipeline->written);
    pthread_cond_destroy(&pipeline->idle);
    pthread_cond_destroy(&pipeline->work);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}

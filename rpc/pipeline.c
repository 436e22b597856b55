/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_keeper.h"
#include "rpc/heads.h"
#include "rpc/pipeline_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    QUEUE_ITEMS_DEFAULT = 4096,
    CALLER_ITEMS_DEFAULT = 2048,
    ACT_ITEMS_DEFAULT = 4096,
    QUEUE_OCTETS_DEFAULT = 64 << 20,
    CALLER_OCTETS_DEFAULT = 32 << 20,
    BATCH_ITEMS_DEFAULT = 64,
    COMMITTING = 1,     /* thread more than compute: while one waits for the disk */
    REMOTE_THREADS = 2, /* one waits for the token while the other verifies */
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

bool rpc_group_is_open(const struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!group->items[i]->is_closed)
            return true;
    }
    return false;
}

/* ---- calls */

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
        rpc_calls_take(pipeline, caller, call);
    return CA_OK;
}

enum ca_err rpc_pipeline_offer(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                               struct rpc_call *call)
{
    bool wants_worker = false;

    pthread_mutex_lock(&pipeline->lock);
    enum ca_err err = call_admit(pipeline, caller, call);
    if (err == CA_OK) {
        call->caller = caller;
        caller->calls++;
        pipeline->calls++;
        rpc_returns_add(&pipeline->returns, call->item_count);
        wants_worker = rpc_pipeline_wants_worker(pipeline);
    }
    pthread_mutex_unlock(&pipeline->lock);
    if (wants_worker)
        pthread_cond_signal(&pipeline->work);
    return err;
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
    if (limits->worker_count > RPC_WORKERS_MAX)
        limits->worker_count = RPC_WORKERS_MAX;
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
    if (pthread_create(thread, NULL, remote == NULL ? rpc_worker_run : rpc_remote_run, start) !=
        0) {
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

static enum ca_err heads_start(struct rpc_pipeline *pipeline)
{
    const struct rpc_heads_host host = { &pipeline->engine, keeper_write, pipeline };

    return rpc_heads_open(&host, &pipeline->engine.heads);
}

void rpc_pipeline_sign_head(struct rpc_pipeline *pipeline)
{
    if (pipeline->engine.heads != NULL)
        rpc_heads_sign(pipeline->engine.heads);
}

void rpc_pipeline_tell_head(struct rpc_pipeline *pipeline, struct rpc_call *call)
{
    if (pipeline->engine.heads != NULL)
        rpc_heads_tell(pipeline->engine.heads, call);
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
    if (err == CA_OK && config->audit != NULL)
        err = heads_start(pipeline);
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
    /* Nobody asks it any more, and it writes nothing behind what the caller may write last. */
    rpc_crl_keeper_close(pipeline->engine.crl_keeper);
    pipeline->engine.crl_keeper = NULL;
}

void rpc_pipeline_close(struct rpc_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    if (pipeline->thread_count > 0)
        rpc_pipeline_drain(pipeline);
    rpc_crl_keeper_close(pipeline->engine.crl_keeper);
    pipeline->engine.crl_keeper = NULL;
    rpc_heads_close(pipeline->engine.heads);
    pipeline->engine.heads = NULL;
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
    rpc_batches_free(pipeline);
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

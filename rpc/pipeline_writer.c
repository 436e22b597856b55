/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "rpc/log.h"
#include "rpc/pipeline_parts.h"

enum { ITEMS_ENOUGH = 64 }; /* in a commit: more would not make each cheaper */
static const uint64_t WAIT_NS_MAX = 200000, BACKLOG_WAIT_NS_MAX = 1000000;

/* What goes into one commit. */
struct content {
    struct rpc_call_queue acts;
    struct rpc_queue recorded; /* signed: their certificates */
    struct rpc_write *writes;
    struct rpc_queue prepared; /* their intents */
};

static bool ends_commit(enum ca_err err)
{
    return err == CA_ERR_STORAGE || err == CA_ERR_NOMEM;
}

/*
 * Acts come first: what was revoked before a certificate is recorded or an intent made is seen by
 * both. Writes see the certificates of this commit, and are seen by what is reserved.
 */
static enum ca_err fill_commit(struct rpc_pipeline *pipeline, struct store_batch *store_batch,
                               const struct content *content)
{
    struct rpc_engine *engine = &pipeline->engine;
    enum ca_err err = store_view_renew(pipeline->writer_view);

    if (err == CA_OK)
        err = rpc_acts_put(pipeline, &content->acts, store_batch);
    for (struct rpc_group *group = content->recorded.first; group != NULL && err == CA_OK;
         group = group->next)
        err = rpc_issue_record(engine, store_batch, group);
    for (struct rpc_write *write = content->writes; write != NULL && err == CA_OK;
         write = write->next) {
        write->err = write->put(write->arg, store_batch);
        err = ends_commit(write->err) ? write->err : CA_OK;
    }
    for (struct rpc_group *group = content->prepared.first; group != NULL && err == CA_OK;
         group = group->next)
        err = rpc_issue_reserve(engine, store_batch, pipeline->writer_view, group);
    store_view_rest(pipeline->writer_view);
    return err;
}

/* One transaction: results of the groups that were signed, intents of those prepared since. */
static enum ca_err commit_once(struct rpc_pipeline *pipeline, const struct content *content)
{
    struct rpc_engine *engine = &pipeline->engine;
    struct store_batch *store_batch;
    enum ca_err err = store_begin(engine->store, &store_batch);

    if (err == CA_OK) {
        err = fill_commit(pipeline, store_batch, content);
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

/* Lets those who wait for their writes go; the lock is held. */
static void writes_end(struct rpc_pipeline *pipeline, struct rpc_write *writes, enum ca_err err)
{
    struct rpc_write *next;

    if (writes == NULL)
        return;
    for (struct rpc_write *write = writes; write != NULL; write = next) {
        next = write->next; /* its memory is its thread's again */
        if (write->err == CA_OK)
            write->err = err;
        write->is_ended = true;
    }
    pthread_cond_broadcast(&pipeline->written);
}

/* Moves groups on; the lock is held. Those with nothing left open only need answers. */
static void hand_to_answer(struct rpc_pipeline *pipeline, struct rpc_queue *from)
{
    struct rpc_group *group;

    while ((group = rpc_queue_pop(from)) != NULL)
        rpc_queue_push(&pipeline->done, group);
}

static void hand_to_sign(struct rpc_pipeline *pipeline, struct rpc_queue *from)
{
    struct rpc_group *group;

    while ((group = rpc_queue_pop(from)) != NULL) {
        struct rpc_remote *remote = rpc_remote_find(pipeline, group->ca);
        if (!rpc_group_is_open(group)) {
            rpc_queue_push(&pipeline->done, group);
        } else if (remote == NULL) {
            rpc_queue_push(&pipeline->reserved, group);
        } else {
            rpc_queue_push(&remote->reserved, group);
            pthread_cond_signal(&remote->work);
        }
    }
}

static void write_once(struct rpc_pipeline *pipeline)
{
    struct content content = { rpc_acts_gather(pipeline), pipeline->signed_, pipeline->write_first,
                               pipeline->prepared };

    pipeline->signed_ = pipeline->prepared = (struct rpc_queue){ 0 };
    pipeline->write_first = pipeline->write_last = NULL;
    pthread_mutex_unlock(&pipeline->lock);
    enum ca_err err = commit_once(pipeline, &content);
    rpc_acts_committed(pipeline, &content.acts, err);
    for (struct rpc_group *group = content.recorded.first; group != NULL; group = group->next)
        rpc_issue_recorded(&pipeline->engine, group, err);
    for (struct rpc_group *group = content.prepared.first; group != NULL; group = group->next)
        rpc_issue_reserved(&pipeline->engine, group, err);
    pthread_mutex_lock(&pipeline->lock);
    writes_end(pipeline, content.writes, err);
    rpc_acts_done(pipeline, &content.acts);
    hand_to_answer(pipeline, &content.recorded);
    hand_to_sign(pipeline, &content.prepared);
    pthread_cond_broadcast(&pipeline->work);
}

/* ---- when */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool has_something_to_write(const struct rpc_pipeline *pipeline)
{
    return pipeline->signed_.first != NULL || pipeline->prepared.first != NULL ||
           pipeline->write_first != NULL || pipeline->acts_prepared.first != NULL;
}

/* Do workers have more to do than what they do now? */
static bool has_backlog(const struct rpc_pipeline *pipeline)
{
    return pipeline->reserved.first != NULL || pipeline->ring_first != NULL ||
           pipeline->acts.first != NULL;
}

/* Is more about to come, and would it be worth waiting for? */
static bool has_cause_to_wait(const struct rpc_pipeline *pipeline)
{
    return pipeline->pending_items < ITEMS_ENOUGH &&
           (pipeline->in_hand > 0 || has_backlog(pipeline));
}

void rpc_writer_notify(struct rpc_pipeline *pipeline)
{
    if (!pipeline->is_gathering || !has_cause_to_wait(pipeline))
        pthread_cond_signal(&pipeline->write);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/*
 * What is being prepared or signed now is on its way: a commit that begins just before it
 * arrives lets it wait for the whole of that commit and makes two flushes of one. While workers
 * have more to do than their hands can hold, a commit could only give them still more: then it
 * may wait longer.
 */
static void wait_for_more(struct rpc_pipeline *pipeline, uint64_t commit_ns)
{
    uint64_t start_ns = now_ns();
    uint64_t short_ns = start_ns + smaller(commit_ns / 2, WAIT_NS_MAX);
    uint64_t long_ns = start_ns + smaller(2 * commit_ns, BACKLOG_WAIT_NS_MAX);

    pipeline->is_gathering = true;
    while (has_cause_to_wait(pipeline)) {
        uint64_t until_ns = has_backlog(pipeline) ? long_ns : short_ns;
        if (now_ns() >= until_ns)
            break;
        struct timespec until = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };
        pthread_cond_timedwait(&pipeline->write, &pipeline->lock, &until);
    }
    pipeline->is_gathering = false;
}

void rpc_writer_init(struct rpc_pipeline *pipeline)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pipeline->write, &attributes);
    pthread_condattr_destroy(&attributes);
}

void *rpc_writer_run(void *arg)
{
    struct rpc_pipeline *pipeline = arg;
    uint64_t commit_ns = 0; /* what a commit takes, smoothed */

    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if (has_something_to_write(pipeline)) {
            wait_for_more(pipeline, commit_ns);
            uint64_t start_ns = now_ns();
            write_once(pipeline);
            commit_ns = (7 * commit_ns + (now_ns() - start_ns)) / 8;
        } else if (pipeline->is_stopping) {
            break;
        } else {
            pthread_cond_wait(&pipeline->write, &pipeline->lock);
        }
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

/* ---- writes of other threads */

enum ca_err rpc_pipeline_write(struct rpc_pipeline *pipeline,
                               enum ca_err (*put)(void *arg, struct store_batch *batch), void *arg)
{
    struct rpc_write write = { .put = put, .arg = arg };

    pthread_mutex_lock(&pipeline->lock);
    if (pipeline->is_stopping) {
        write.err = CA_ERR_STOPPING;
    } else if (atomic_load(&pipeline->engine.is_storage_latched)) {
        write.err = CA_ERR_STORAGE;
    } else {
        pipeline->writes++;
        if (pipeline->write_last == NULL)
            pipeline->write_first = &write;
        else
            pipeline->write_last->next = &write;
        pipeline->write_last = &write;
        rpc_writer_notify(pipeline);
        while (!write.is_ended)
            pthread_cond_wait(&pipeline->written, &pipeline->lock);
        if (--pipeline->writes == 0)
            pthread_cond_broadcast(&pipeline->idle);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return write.err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <time.h>

#include "rpc/log.h"
#include "rpc/pipeline_parts.h"

enum {
    ITEMS_ENOUGH = 64, /* in a commit: more would not make each cheaper */
    RETURNS_PERCENT_MIN = 50,
};
static const uint64_t PATIENCE_NS_MAX = 1000000;

uint64_t rpc_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How long may be waited for others, so that they share a commit? */
static uint64_t patience(const struct rpc_pipeline *pipeline)
{
    uint64_t commits_ns = 2 * pipeline->commit_ns;

    return commits_ns < PATIENCE_NS_MAX ? commits_ns : PATIENCE_NS_MAX;
}

/* ---- callers who come back */

static size_t count_items(const struct rpc_queue *groups)
{
    size_t items = 0;

    for (const struct rpc_group *group = groups->first; group != NULL; group = group->next)
        items += group->count;
    return items;
}

/* A commit with the results of so many items begins. */
static void returns_expect(struct rpc_returns *returns, size_t items)
{
    returns->recording = items;
    returns->recording_ns = rpc_now_ns();
}

/* It has ended, and they are about to be answered: a new round, and what became of the last one? */
static void returns_begin(struct rpc_returns *returns)
{
    if (returns->recording == 0)
        return;
    if (returns->answered > 0)
        returns->percent = (3 * returns->percent + 100 * returns->returned / returns->answered) / 4;
    returns->answered = returns->recording;
    returns->returned = returns->recording = 0;
    returns->since_ns = rpc_now_ns();
}

void rpc_returns_add(struct rpc_returns *returns, size_t items)
{
    size_t missing = returns->answered - returns->returned;

    returns->returned += items < missing ? items : missing;
}

uint64_t rpc_returns_until(const struct rpc_pipeline *pipeline, size_t items)
{
    const struct rpc_returns *returns = &pipeline->returns;

    if (items >= RPC_TURN_ITEMS || returns->percent < RETURNS_PERCENT_MIN)
        return 0;
    if (returns->recording > 0)
        return returns->recording_ns + pipeline->commit_ns + patience(pipeline);
    if (returns->answered - returns->returned <= items)
        return 0;
    return returns->since_ns + patience(pipeline);
}

/* ---- one commit */

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

/* Said once, until it is over. */
static void tell_memory(struct rpc_pipeline *pipeline, bool is_short)
{
    if (is_short && !pipeline->is_short)
        log_error("commits fail until there is memory again", "code=%s", ca_err_name(CA_ERR_NOMEM));
    else if (!is_short && pipeline->is_short)
        log_info("there is memory again", "commits=%" PRIu64,
                 (uint64_t)atomic_load(&pipeline->engine.commit));
    pipeline->is_short = is_short;
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
    } else if (err != CA_ERR_NOMEM && !atomic_exchange(&engine->is_storage_latched, true)) {
        log_error("storage failed, issuing stopped until restart", "code=%s", ca_err_name(err));
    }
    if (err == CA_OK || err == CA_ERR_NOMEM)
        tell_memory(pipeline, err == CA_ERR_NOMEM);
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
        if (write->err == CA_OK || err == CA_ERR_NOMEM)
            write->err = err; /* a refusal, too, may come from what did not happen */
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
    returns_begin(&pipeline->returns);
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
    pipeline->asked_ns = 0;
    returns_expect(&pipeline->returns, count_items(&content.recorded));
    rpc_pipeline_wake(pipeline);
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
}

/* ---- when */

static bool has_content(const struct rpc_pipeline *pipeline)
{
    return pipeline->signed_.first != NULL || pipeline->prepared.first != NULL ||
           pipeline->write_first != NULL || pipeline->acts_prepared.first != NULL;
}

void rpc_commit_ask(struct rpc_pipeline *pipeline, size_t items)
{
    if (pipeline->asked_ns == 0)
        pipeline->asked_ns = rpc_now_ns();
    pipeline->pending_items += items;
}

/*
 * What is being prepared or signed now is on its way: a commit that begins just before it arrives
 * lets it wait for the whole of that commit and makes two flushes of one. Likewise callers who
 * were just answered, if such callers come back at once, as those do who ask one thing after the
 * other. But nothing waits for ever, and with nobody to wait for there is no timer.
 */
uint64_t rpc_commit_due(const struct rpc_pipeline *pipeline)
{
    if (pipeline->is_committing || !has_content(pipeline))
        return RPC_NEVER;
    if (pipeline->pending_items >= ITEMS_ENOUGH)
        return 0;
    if (pipeline->in_hand > 0 || rpc_pipeline_has_backlog(pipeline))
        return pipeline->asked_ns + patience(pipeline);
    return rpc_returns_until(pipeline, pipeline->pending_items);
}

void rpc_commit_run(struct rpc_pipeline *pipeline)
{
    uint64_t start_ns = rpc_now_ns();

    pipeline->is_committing = true;
    write_once(pipeline);
    pipeline->is_committing = false;
    pipeline->is_rough = true;
    pipeline->commit_ns = (7 * pipeline->commit_ns + (rpc_now_ns() - start_ns)) / 8;
}

bool rpc_commit_smooth(struct rpc_pipeline *pipeline)
{
    if (pipeline->is_committing || !pipeline->is_rough)
        return false;
    pipeline->is_committing = true;
    pipeline->is_rough = false;
    pthread_mutex_unlock(&pipeline->lock);
    store_smooth(pipeline->engine.store);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->is_committing = false;
    return true;
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
        rpc_commit_ask(pipeline, 0);
        rpc_pipeline_wake(pipeline);
        while (!write.is_ended)
            pthread_cond_wait(&pipeline->written, &pipeline->lock);
        if (--pipeline->writes == 0)
            pthread_cond_broadcast(&pipeline->idle);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return write.err;
}

/* An audit record of the daemon. */
struct note {
    struct rpc_pipeline *pipeline;
    enum store_audit_kind kind;
    struct ca_bytes object;
};

static enum ca_err put_note(void *arg, struct store_batch *batch)
{
    const struct note *note = arg;
    const struct store_audit audit = {
        .kind = note->kind,
        .time_us = rpc_clock_now(&note->pipeline->engine.clock),
        .actor = CA_BYTES("certmilld"),
        .object = note->object,
    };

    return store_put_audit(batch, &audit);
}

enum ca_err rpc_pipeline_audit(struct rpc_pipeline *pipeline, enum store_audit_kind kind,
                               struct ca_bytes object)
{
    struct note note = { pipeline, kind, object };

    return rpc_pipeline_write(pipeline, put_note, &note);
}

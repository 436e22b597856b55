/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/log.h"
#include "rpc/pipeline_parts.h"

/* ---- the writer */

static enum ca_err fill_commit(struct rpc_pipeline *pipeline, struct store_batch *store_batch,
                               const struct rpc_queue *recorded, const struct rpc_queue *prepared)
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
static enum ca_err commit_once(struct rpc_pipeline *pipeline, const struct rpc_queue *recorded,
                               const struct rpc_queue *prepared)
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
    struct rpc_queue recorded = pipeline->signed_;
    struct rpc_queue prepared = pipeline->prepared;

    pipeline->signed_ = pipeline->prepared = (struct rpc_queue){ 0 };
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

void *rpc_writer_run(void *arg)
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

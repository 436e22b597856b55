/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/act.h"
#include "rpc/pipeline_parts.h"

/* ---- queues; the lock is held */

void rpc_acts_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller, struct rpc_call *call)
{
    rpc_turn_push(&pipeline->acts_waiting, &caller->act_turn, call);
}

/* One call of the caller whose turn it is. */
static struct rpc_call *pop_in_turn(struct rpc_pipeline *pipeline)
{
    struct rpc_turn *turn = rpc_turn_take(&pipeline->acts_waiting);

    if (turn == NULL)
        return NULL;
    struct rpc_call *call = rpc_call_pop(&turn->waiting);
    rpc_turn_wait(&pipeline->acts_waiting, turn);
    return call;
}

struct rpc_call_queue rpc_acts_gather(struct rpc_pipeline *pipeline)
{
    bool is_shared = pipeline->signed_.first != NULL || pipeline->prepared.first != NULL;
    struct rpc_call_queue *prepared = &pipeline->acts_prepared, gathered = { 0 };
    size_t count = 0;

    while (prepared->first != NULL &&
           (!is_shared || count == 0 || count + prepared->first->weight <= RPC_ACTS_COMMIT)) {
        struct rpc_call *call = rpc_call_pop(prepared);
        count += call->weight;
        rpc_call_push(&gathered, call);
    }
    pipeline->pending_items = 0;
    for (struct rpc_call *call = prepared->first; call != NULL; call = call->next)
        pipeline->pending_items += call->weight;
    return gathered;
}

void rpc_acts_done(struct rpc_pipeline *pipeline, struct rpc_call_queue *acts)
{
    struct rpc_call *call;

    while ((call = rpc_call_pop(acts)) != NULL)
        rpc_call_push(&pipeline->acts_done, call);
}

/* ---- workers */

static void answer(struct rpc_pipeline *pipeline, struct rpc_worker *worker, struct rpc_call *call)
{
    if (call->request != NULL) /* not yet refused as a whole */
        rpc_act_answer(worker, call);
    rpc_pipeline_answer(pipeline, call, CA_OK);
}

static void prepare(struct rpc_pipeline *pipeline, struct rpc_worker *worker, struct rpc_call *call)
{
    rpc_act_prepare(worker, call);
    if (!rpc_act_is_open(call)) {
        answer(pipeline, worker, call);
        return;
    }
    pthread_mutex_lock(&pipeline->lock);
    rpc_call_push(&pipeline->acts_prepared, call);
    rpc_commit_ask(pipeline, call->weight);
    pthread_mutex_unlock(&pipeline->lock);
}

bool rpc_acts_answer(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_call *call = rpc_call_pop(&pipeline->acts_done);

    if (call == NULL)
        return false;
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    answer(pipeline, worker, call);
    pthread_mutex_lock(&pipeline->lock);
    return true;
}

/* However many acts there are, issuing goes on beside them. */
static bool is_turn_of_issuing(const struct rpc_pipeline *pipeline)
{
    return pipeline->acts_in_row >= RPC_ACTS_TURN &&
           (pipeline->reserved.first != NULL || pipeline->calls_waiting.first != NULL);
}

bool rpc_acts_prepare(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_call *call = is_turn_of_issuing(pipeline) ? NULL : pop_in_turn(pipeline);

    if (call == NULL)
        return false;
    pipeline->acts_in_row += call->weight;
    pipeline->in_hand++;
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    prepare(pipeline, worker, call);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->in_hand--;
    return true;
}

/* ---- who commits */

enum ca_err rpc_acts_put(struct rpc_pipeline *pipeline, const struct rpc_call_queue *acts,
                         struct store_batch *batch)
{
    enum ca_err err = CA_OK;

    for (struct rpc_call *call = acts->first; call != NULL && err == CA_OK; call = call->next)
        err = rpc_act_put(&pipeline->engine, batch, pipeline->writer_view, call);
    return err;
}

void rpc_acts_committed(struct rpc_pipeline *pipeline, const struct rpc_call_queue *acts,
                        enum ca_err err)
{
    for (struct rpc_call *call = acts->first; call != NULL; call = call->next)
        rpc_act_committed(&pipeline->engine, call, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/act.h"
#include "rpc/pipeline_parts.h"

/* ---- queues; the lock is held */

static void push(struct rpc_call_queue *queue, struct rpc_call *call)
{
    call->next = NULL;
    if (queue->last == NULL)
        queue->first = call;
    else
        queue->last->next = call;
    queue->last = call;
}

static struct rpc_call *pop(struct rpc_call_queue *queue)
{
    struct rpc_call *call = queue->first;

    if (call == NULL)
        return NULL;
    queue->first = call->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return call;
}

enum ca_err rpc_acts_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                          struct rpc_call *call)
{
    if (pipeline->act_items + call->weight > pipeline->limits.act_items_max ||
        caller->act_items + call->weight > pipeline->limits.caller_items_max)
        return CA_ERR_BUSY;
    pipeline->act_items += call->weight;
    caller->act_items += call->weight;
    push(&pipeline->acts, call);
    return CA_OK;
}

void rpc_acts_done(struct rpc_pipeline *pipeline, struct rpc_call_queue *acts)
{
    struct rpc_call *call;

    while ((call = pop(acts)) != NULL)
        push(&pipeline->acts_done, call);
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
    push(&pipeline->acts_prepared, call);
    rpc_commit_ask(pipeline, call->weight);
    pthread_mutex_unlock(&pipeline->lock);
}

bool rpc_acts_answer(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_call *call = pop(&pipeline->acts_done);

    if (call == NULL)
        return false;
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    answer(pipeline, worker, call);
    pthread_mutex_lock(&pipeline->lock);
    return true;
}

bool rpc_acts_prepare(struct rpc_pipeline *pipeline, struct rpc_worker *worker)
{
    struct rpc_call *call = pop(&pipeline->acts);

    if (call == NULL)
        return false;
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

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "rpc/crl_keeper.h"
#include "rpc/pipeline_parts.h"
#include "rpc/service.h"

/* ---- pieces of work */

/* Whole lanes for each worker rather than all for one: latency, without half-empty vectors. */
static size_t share(const struct rpc_pipeline *pipeline)
{
    size_t workers = pipeline->limits.worker_count;
    size_t count = (pipeline->waiting_items + workers - 1) / workers;

    count = (count + RPC_TURN_ITEMS - 1) / RPC_TURN_ITEMS * RPC_TURN_ITEMS;
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
    for (size_t i = 0; i < group->count; i++)
        rpc_item_settle(pipeline, group->items[i]);
    rpc_batch_release(pipeline, batch);
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
        rpc_item_settle(pipeline, &batch->items[i]);
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
    rpc_batch_release(pipeline, batch);
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

    rpc_batch_gather(pipeline, batch, share(pipeline), &call);
    rpc_pipeline_wake(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
    if (call != NULL) {
        read_call(pipeline, worker, call);
        rpc_batch_release(pipeline, batch);
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

/* ---- which, and when */

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
 * When is the next batch to be prepared? A vector's worth at once, and what only reads. For less,
 * one worker who prepares comes back rather than another being woken, and callers who were just
 * answered are waited for: lanes cost the same full or empty.
 */
static uint64_t batch_due(const struct rpc_pipeline *pipeline)
{
    if (pipeline->ring_first == NULL)
        return RPC_NEVER;
    if (pipeline->waiting_reads > 0 || pipeline->waiting_items >= RPC_TURN_ITEMS)
        return 0;
    return pipeline->preparing > 0 ? RPC_NEVER : rpc_returns_until(pipeline, 0);
}

/* When there will be a batch or a commit to be made, if nothing else happens before. */
static uint64_t next_due(const struct rpc_pipeline *pipeline)
{
    uint64_t commit_ns = rpc_commit_due(pipeline);
    uint64_t batch_ns = has_place(pipeline) ? batch_due(pipeline) : RPC_NEVER;

    return commit_ns < batch_ns ? commit_ns : batch_ns;
}

static bool has_work(const struct rpc_pipeline *pipeline)
{
    if (pipeline->done.first != NULL || pipeline->acts_done.first != NULL)
        return true;
    if (has_place(pipeline) && (pipeline->reserved.first != NULL || pipeline->acts.first != NULL))
        return true;
    return is_past(next_due(pipeline));
}

/* Somebody must look when that is: those who compute will, soon enough while a place is left. */
static bool needs_watcher(const struct rpc_pipeline *pipeline)
{
    return (pipeline->in_hand == 0 || !has_place(pipeline)) &&
           next_due(pipeline) < pipeline->watched_ns;
}

bool rpc_pipeline_wants_worker(const struct rpc_pipeline *pipeline)
{
    return pipeline->workers_idle > 0 && (has_work(pipeline) || needs_watcher(pipeline));
}

void rpc_pipeline_wake(struct rpc_pipeline *pipeline)
{
    if (rpc_pipeline_wants_worker(pipeline))
        pthread_cond_signal(&pipeline->work);
}

/* Answers groups that only need that: not so few that another thread is woken for a handful. */
static bool answer_some(struct rpc_pipeline *pipeline)
{
    struct rpc_queue some = { 0 };
    struct rpc_group *group;
    size_t count = 0;

    while (count < RPC_TURN_ITEMS && (group = rpc_queue_pop(&pipeline->done)) != NULL) {
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
    } else if (is_past(batch_due(pipeline)) && (batch = rpc_batch_take(pipeline)) != NULL) {
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

/* Who will come back soon is watched for already: the first of them need not wake somebody. */
static uint64_t watch_until(const struct rpc_pipeline *pipeline)
{
    uint64_t due_ns = next_due(pipeline);
    uint64_t returns_ns = rpc_returns_until(pipeline, 0);

    return due_ns == RPC_NEVER && returns_ns > rpc_now_ns() ? returns_ns : due_ns;
}

/* Until there is work; one of the idle looks again when something that waits is due. */
static void rest(struct rpc_pipeline *pipeline)
{
    uint64_t until_ns = watch_until(pipeline);

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

void *rpc_worker_run(void *arg)
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

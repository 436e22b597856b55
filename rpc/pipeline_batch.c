/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "rpc/pipeline_parts.h"

enum {
    BATCH_ARENA_BLOCK = 64 * 1024,
    BATCH_ARENA_MAX = 32 * 1024 * 1024,
};

/* ---- the memory of batches */

void rpc_batch_release(struct rpc_pipeline *pipeline, struct rpc_batch *batch)
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
struct rpc_batch *rpc_batch_take(struct rpc_pipeline *pipeline)
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

void rpc_batches_free(struct rpc_pipeline *pipeline)
{
    while (pipeline->spare != NULL) {
        struct rpc_batch *batch = pipeline->spare;
        pipeline->spare = batch->next;
        ca_arena_free(batch->arena);
        free(batch);
    }
}

/* ---- answers */

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

/* Where the items are is in the call's memory, of which a refusal leaves nothing. */
static void answer(struct rpc_pipeline *pipeline, struct rpc_call *call, enum ca_err err,
                   struct store_view *view)
{
    const struct rpc_outlet *outlet = &pipeline->outlet;
    struct rpc_caller *caller = call->caller;
    size_t count = call->item_count;
    struct rpc_batch *batches[RPC_ITEMS_MAX];

    for (size_t i = 0; i < count; i++)
        batches[i] = call->items[i]->batch;
    if (err != CA_OK)
        rpc_call_refuse(call, err);
    place_free(pipeline, call);
    void *packed = outlet->pack(outlet->arg, call); /* the call is gone, and lends no more */
    if (view != NULL)
        store_view_rest(view);
    for (size_t i = 0; i < count; i++)
        rpc_batch_release(pipeline, batches[i]);
    if (packed != NULL)
        outlet->send(outlet->arg, packed);
    call_end(pipeline, caller);
}

void rpc_pipeline_answer_from(struct rpc_pipeline *pipeline, struct rpc_call *call,
                              struct store_view *view)
{
    answer(pipeline, call, CA_OK, view);
}

void rpc_pipeline_answer(struct rpc_pipeline *pipeline, struct rpc_call *call, enum ca_err err)
{
    answer(pipeline, call, err, NULL);
}

void rpc_item_settle(struct rpc_pipeline *pipeline, struct rpc_issue *item)
{
    if (!item->is_closed || item->is_told)
        return;
    item->is_told = true;
    struct rpc_call *call = item->call;
    if (atomic_fetch_sub(&call->items_open, 1) == 1)
        rpc_pipeline_answer(pipeline, call, rpc_issue_answer(&pipeline->engine, call));
}

/* ---- gathering; the lock is held */

static void batch_add(struct rpc_batch *batch, struct rpc_call *call)
{
    struct rpc_issue *item = &batch->items[batch->count++];

    memset(item, 0, sizeof(*item));
    item->call = call;
    item->batch = batch;
    item->asked = call->request->issue->items[call->item_taken];
    call->items[call->item_taken++] = item;
}

void rpc_calls_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller, struct rpc_call *call)
{
    rpc_turn_push(&pipeline->calls_waiting, &caller->call_turn, call);
    pipeline->waiting_items += call->weight;
    pipeline->waiting_reads += call->item_count == 0;
}

void rpc_batch_gather(struct rpc_pipeline *pipeline, struct rpc_batch *batch, size_t count_max,
                      struct rpc_call **call_out)
{
    struct rpc_ring *ring = &pipeline->calls_waiting;

    *call_out = NULL;
    batch->count = 0;
    while (ring->first != NULL && batch->count < count_max) {
        struct rpc_call *call = ring->first->waiting.first;
        bool is_read = call->item_count == 0;
        if (is_read && batch->count > 0)
            break;
        struct rpc_turn *turn = rpc_turn_take(ring);
        for (size_t i = 0; !is_read && i < RPC_TURN_ITEMS && batch->count < count_max &&
                           call->item_taken < call->item_count;
             i++) {
            batch_add(batch, call);
            pipeline->waiting_items--;
        }
        if (call->item_taken == call->item_count)
            rpc_call_pop(&turn->waiting);
        rpc_turn_wait(ring, turn);
        if (is_read) {
            pipeline->waiting_items--;
            pipeline->waiting_reads--;
            *call_out = call;
            break;
        }
    }
    atomic_store(&batch->refs, batch->count + 1);
}

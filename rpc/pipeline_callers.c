/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "rpc/pipeline_parts.h"

/* ---- owners; the lock is held */

static struct rpc_owner *owner_take(struct rpc_pipeline *pipeline, uint64_t id)
{
    struct rpc_owner *owner = pipeline->owners;

    while (owner != NULL && owner->id != id)
        owner = owner->next;
    if (owner == NULL) {
        owner = calloc(1, sizeof(*owner));
        if (owner == NULL)
            return NULL;
        owner->id = id;
        owner->next = pipeline->owners;
        pipeline->owners = owner;
    }
    owner->callers++;
    return owner;
}

static void owner_release(struct rpc_pipeline *pipeline, struct rpc_owner *owner)
{
    struct rpc_owner **place = &pipeline->owners;

    if (--owner->callers > 0)
        return;
    while (*place != owner)
        place = &(*place)->next;
    *place = owner->next;
    free(owner);
}

/* ---- callers */

enum ca_err rpc_caller_new(struct rpc_pipeline *pipeline, uint64_t owner,
                           struct rpc_caller **caller_out)
{
    struct rpc_caller *caller = calloc(1, sizeof(*caller));

    *caller_out = NULL;
    if (caller == NULL)
        return CA_ERR_NOMEM;
    caller->pipeline = pipeline;
    pthread_mutex_lock(&pipeline->lock);
    caller->owner = owner_take(pipeline, owner);
    pthread_mutex_unlock(&pipeline->lock);
    if (caller->owner == NULL) {
        free(caller);
        return CA_ERR_NOMEM;
    }
    *caller_out = caller;
    return CA_OK;
}

void rpc_caller_end(struct rpc_caller *caller)
{
    if (caller->calls > 0 || !caller->is_gone)
        return;
    owner_release(caller->pipeline, caller->owner);
    free(caller);
}

void rpc_caller_free(struct rpc_caller *caller)
{
    if (caller == NULL)
        return;
    struct rpc_pipeline *pipeline = caller->pipeline;
    pthread_mutex_lock(&pipeline->lock);
    caller->is_gone = true;
    rpc_caller_end(caller);
    pthread_mutex_unlock(&pipeline->lock);
}

/* ---- turns */

void rpc_call_push(struct rpc_call_queue *queue, struct rpc_call *call)
{
    call->next = NULL;
    if (queue->last == NULL)
        queue->first = call;
    else
        queue->last->next = call;
    queue->last = call;
}

struct rpc_call *rpc_call_pop(struct rpc_call_queue *queue)
{
    struct rpc_call *call = queue->first;

    if (call == NULL)
        return NULL;
    queue->first = call->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return call;
}

void rpc_turn_push(struct rpc_ring *ring, struct rpc_turn *turn, struct rpc_call *call)
{
    bool is_first = turn->waiting.first == NULL;

    rpc_call_push(&turn->waiting, call);
    if (is_first)
        rpc_turn_wait(ring, turn);
}

struct rpc_turn *rpc_turn_take(struct rpc_ring *ring)
{
    struct rpc_turn *turn = ring->first;

    if (turn == NULL)
        return NULL;
    ring->first = turn->next;
    if (ring->first == NULL)
        ring->last = NULL;
    return turn;
}

void rpc_turn_wait(struct rpc_ring *ring, struct rpc_turn *turn)
{
    if (turn->waiting.first == NULL)
        return;
    turn->next = NULL;
    if (ring->last == NULL)
        ring->first = turn;
    else
        ring->last->next = turn;
    ring->last = turn;
}

/* ---- room */

/*
 * What callers of one owner may have of a room together: however many connections somebody opens,
 * a quarter is left to the others.
 */
static size_t owner_part(size_t whole)
{
    return whole - whole / 4;
}

/* One call may be larger than all there is, where nothing else is: else it could never be taken. */
static bool has_room(const struct rpc_room *room, const struct rpc_call *call, size_t items_max,
                     size_t octets_max)
{
    return room->items + call->weight <= items_max &&
           (room->octets == 0 || room->octets + call->octets <= octets_max);
}

static void room_add(struct rpc_room *room, const struct rpc_call *call)
{
    room->items += call->weight;
    room->octets += call->octets;
}

static void room_sub(struct rpc_room *room, const struct rpc_call *call)
{
    room->items -= call->weight;
    room->octets -= call->octets;
}

enum ca_err rpc_room_take(struct rpc_pipeline *pipeline, struct rpc_caller *caller,
                          const struct rpc_call *call)
{
    const struct rpc_limits *limits = &pipeline->limits;
    size_t items_max = call->is_act ? limits->act_items_max : limits->queue_items_max;
    size_t octets_max = limits->queue_octets_max;

    if (!has_room(&pipeline->rooms[call->is_act], call, items_max, octets_max) ||
        !has_room(&caller->owner->rooms[call->is_act], call, owner_part(items_max),
                  owner_part(octets_max)) ||
        !has_room(&caller->rooms[call->is_act], call, limits->caller_items_max,
                  limits->caller_octets_max))
        return CA_ERR_BUSY;
    room_add(&pipeline->rooms[call->is_act], call);
    room_add(&caller->owner->rooms[call->is_act], call);
    room_add(&caller->rooms[call->is_act], call);
    return CA_OK;
}

void rpc_room_free(struct rpc_pipeline *pipeline, const struct rpc_call *call)
{
    room_sub(&pipeline->rooms[call->is_act], call);
    room_sub(&call->caller->owner->rooms[call->is_act], call);
    room_sub(&call->caller->rooms[call->is_act], call);
}

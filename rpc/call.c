/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"

#include <assert.h>
#include <stdlib.h>

/*
 * A message of the default 1 MiB decodes into less than three times its size when it is
 * meant well; one made of empty parts grows a hundredfold and is stopped by the arena.
 */
enum { ARENA_BLOCK = 16 * 1024, ARENA_MAX = 8 * 1024 * 1024 };

enum ca_err rpc_call_new(struct rpc_call **call_out)
{
    struct rpc_call *call = calloc(1, sizeof(*call));

    *call_out = NULL;
    if (call == NULL)
        return CA_ERR_NOMEM;
    if (ca_arena_new(ARENA_BLOCK, ARENA_MAX, &call->arena) != CA_OK) {
        free(call);
        return CA_ERR_NOMEM;
    }
    certmill__answer__init(&call->answer);
    *call_out = call;
    return CA_OK;
}

void rpc_call_free(struct rpc_call *call)
{
    if (call == NULL)
        return;
    ca_arena_free(call->arena);
    free(call);
}

void rpc_call_reset(struct rpc_call *call)
{
    struct ca_arena *arena = call->arena;

    ca_arena_reset(arena);
    memset(call, 0, sizeof(*call));
    call->arena = arena;
    certmill__answer__init(&call->answer);
}

static void *decode_alloc(void *arena, size_t size)
{
    return ca_arena_alloc_raw(arena, size);
}

static void decode_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static size_t item_count(const Certmill__Request *request)
{
    switch (request->method_case) {
    case CERTMILL__REQUEST__METHOD_ISSUE: return request->issue->n_items;
    case CERTMILL__REQUEST__METHOD_GET: return request->get->n_serials;
    case CERTMILL__REQUEST__METHOD_FIND: return request->find->n_queries;
    case CERTMILL__REQUEST__METHOD_CA: return request->ca->n_names;
    case CERTMILL__REQUEST__METHOD_ACT: return request->act->n_items;
    case CERTMILL__REQUEST__METHOD_CRL_MAKE: return request->crl_make->n_items;
    default: return 0;
    }
}

/* Room to follow the items of an issue request. */
static enum ca_err items_prepare(struct rpc_call *call)
{
    bool is_issue = call->request->method_case == CERTMILL__REQUEST__METHOD_ISSUE;

    call->is_act = call->request->method_case == CERTMILL__REQUEST__METHOD_ACT;
    call->weight = is_issue || call->is_act ? item_count(call->request) : 1;
    if (call->weight == 0)
        call->weight = 1;
    if (!is_issue)
        return CA_OK;
    call->item_count = call->request->issue->n_items;
    call->items = ca_arena_alloc(call->arena, call->item_count * sizeof(struct rpc_issue *));
    atomic_init(&call->items_open, call->item_count);
    return call->items == NULL ? CA_ERR_BUSY : CA_OK;
}

enum ca_err rpc_call_decode(struct rpc_call *call, struct ca_bytes message)
{
    ProtobufCAllocator allocator = { decode_alloc, decode_free, call->arena };
    Certmill__Request *request = certmill__request__unpack(&allocator, message.len, message.data);

    if (request == NULL || request->version != RPC_VERSION)
        return CA_ERR_MESSAGE_MALFORMED;
    if (request->method_case == CERTMILL__REQUEST__METHOD__NOT_SET)
        return CA_ERR_METHOD_UNKNOWN;
    if (item_count(request) > RPC_ITEMS_MAX)
        return CA_ERR_TOO_MANY_ITEMS;
    call->request = request;
    enum ca_err err = items_prepare(call);
    call->octets = message.len + ca_arena_used(call->arena);
    return err;
}

char *rpc_text(const char *text)
{
    union {
        const char *constant;
        char *pointer;
    } both = { .constant = text == NULL ? "" : text };

    return both.pointer;
}

ProtobufCBinaryData rpc_binary(struct ca_bytes bytes)
{
    union {
        const uint8_t *constant;
        uint8_t *pointer;
    } both = { .constant = bytes.data };

    return (ProtobufCBinaryData){ bytes.len, both.pointer };
}

Certmill__State rpc_state(enum store_state state)
{
    switch (state) {
    case STORE_STATE_VALID: return CERTMILL__STATE__STATE_VALID;
    case STORE_STATE_REVOKED: return CERTMILL__STATE__STATE_REVOKED;
    case STORE_STATE_HELD: return CERTMILL__STATE__STATE_HELD;
    default: return CERTMILL__STATE__STATE_NONE;
    }
}

static void status_fill(Certmill__Status *status, enum ca_err err, const struct ca_refusal *refusal)
{
    certmill__status__init(status);
    status->code = rpc_text(ca_err_name(err));
    status->text = rpc_text(ca_err_text(err));
    if (refusal != NULL) {
        status->field = rpc_text(refusal->field);
        status->rule = rpc_text(refusal->rule);
    }
    if (ca_err_blame(err) == CA_BLAME_LOAD)
        status->retry_after_ms = RPC_RETRY_AFTER_MS;
}

Certmill__Status *rpc_call_status(struct rpc_call *call, enum ca_err err,
                                  const struct ca_refusal *refusal)
{
    if (err == CA_OK)
        return NULL;
    Certmill__Status *status = rpc_call_alloc(call, sizeof(*status));
    if (status != NULL)
        status_fill(status, err, refusal);
    return status;
}

void rpc_call_refuse(struct rpc_call *call, enum ca_err err)
{
    assert(err != CA_OK);
    /* What was there of an answer is of no use, and its memory may be what is missing. */
    ca_arena_reset(call->arena);
    call->request = NULL;
    certmill__answer__init(&call->answer);
    call->answer.status = ca_arena_alloc(call->arena, sizeof(*call->answer.status));
    assert(call->answer.status != NULL); /* the first block has room */
    status_fill(call->answer.status, err, NULL);
}

void *rpc_call_alloc(struct rpc_call *call, size_t size)
{
    return ca_arena_alloc(call->arena, size);
}

void *rpc_call_alloc_messages(struct rpc_call *call, size_t count, size_t size,
                              void ***pointers_out)
{
    uint8_t *messages = rpc_call_alloc(call, count * size);
    void **pointers = rpc_call_alloc(call, count * sizeof(*pointers));

    *pointers_out = pointers;
    if (messages == NULL || pointers == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        pointers[i] = messages + i * size;
    return messages;
}

size_t rpc_call_answer_size(const struct rpc_call *call)
{
    return certmill__answer__get_packed_size(&call->answer) + call->head_len;
}

void rpc_call_answer_pack(const struct rpc_call *call, uint8_t *buffer)
{
    size_t len = certmill__answer__pack(&call->answer, buffer);

    memcpy(buffer + len, call->head, call->head_len);
}

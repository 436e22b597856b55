/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one message from its arrival to its answer.
 *
 * A call is decoded by the thread that received it, waits, is worked on, and is answered by
 * whichever thread ends its last item. Only one thread has it at a time, but for
 * items_open, which counts down from several.
 */
#pragma once

#include <stdatomic.h>

#include "ca/base/arena.h"
#include "ca/base/text.h"
#include "rpc/certmill.pb-c.h"
#include "rpc/session.h"
#include "store/store.h"

enum {
    RPC_VERSION = 1,
    RPC_ITEMS_MAX = 1024,      /* items in one message */
    RPC_FIND_LIMIT_MAX = 1000, /* certificates in one result */
    RPC_FIND_LIMIT_DEFAULT = 100,
    RPC_HEAD_FIELD_MAX = 160, /* of the signed head in an answer */
    RPC_RETRY_AFTER_MS = 100, /* told with BUSY, STOPPING and UNKNOWN */
};

struct rpc_act;
struct rpc_caller;
struct rpc_issue;

struct rpc_call {
    struct rpc_call *next; /* in one queue at a time */
    struct rpc_caller *caller;
    const struct rpc_session *session; /* of the caller */
    void *message, *connection;        /* the transport's: the way back */
    struct ca_arena *arena;
    Certmill__Request *request; /* NULL if it could not be decoded */
    Certmill__Answer answer;
    uint8_t head[RPC_HEAD_FIELD_MAX]; /* its field head, encoded: behind what is packed */
    size_t head_len;
    bool is_act;
    size_t weight; /* items as the queues count them; one that only reads weighs one */
    size_t octets; /* its message's, and of memory once that is decoded */

    size_t item_count, item_taken; /* of an issue request */
    atomic_size_t items_open;
    struct rpc_issue **items; /* where each one is being worked on */

    struct rpc_act *acts; /* of an act request */
    size_t act_count;
    uint64_t commit; /* number of commits when they were looked up */
};

CA_MUST_CHECK enum ca_err rpc_call_new(struct rpc_call **call_out);
void rpc_call_free(struct rpc_call *call);
/* Ready for another message. */
void rpc_call_reset(struct rpc_call *call);

/* Copies what it needs from the message. MESSAGE_MALFORMED, METHOD_UNKNOWN, TOO_MANY_ITEMS. */
CA_MUST_CHECK enum ca_err rpc_call_decode(struct rpc_call *call, struct ca_bytes message);

/* The whole call is refused. */
void rpc_call_refuse(struct rpc_call *call, enum ca_err err);
/* A status in the call's arena; NULL for CA_OK. */
Certmill__Status *rpc_call_status(struct rpc_call *call, enum ca_err err,
                                  const struct ca_refusal *refusal);
/* Zeroed memory of the call's arena; NULL when that is exhausted: refuse the call with BUSY. */
void *rpc_call_alloc(struct rpc_call *call, size_t size);
/* The same for count messages of size octets, with an array of pointers to them. */
void *rpc_call_alloc_messages(struct rpc_call *call, size_t count, size_t size,
                              void ***pointers_out);

/* What is borrowed, in the types of protobuf-c, which only reads it, and back. A NULL text is
 * empty. */
char *rpc_text(const char *text);
ProtobufCBinaryData rpc_binary(struct ca_bytes bytes);
static inline struct ca_bytes rpc_bytes(ProtobufCBinaryData data)
{
    return ca_bytes_of(data.data, data.len);
}

/* In the words of the protocol. */
Certmill__State rpc_state(enum store_state state);

size_t rpc_call_answer_size(const struct rpc_call *call);
/* Writes rpc_call_answer_size() octets. */
void rpc_call_answer_pack(const struct rpc_call *call, uint8_t *buffer);

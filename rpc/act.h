/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act: revoking, holding, releasing, acknowledging and abandoning what was issued.
 *
 *   prepare  worker  asked before? which certificate or intent, whose rules
 *   put      writer  decides, in the transaction as it stands, and writes
 *   answer   worker  once that is on disk
 *
 * Nothing is signed, so there are no intents: an act rides in the next commit. It asks for neither
 * a trusted clock, nor a usable key, nor room on disk. The acts of one call stay together, and are
 * decided one after the other: several on one certificate come out as if each had waited for the
 * one before.
 */
#pragma once

#include "rpc/issue.h"
#include "rpc/target.h"

/* One item. It is open until its outcome is known and may be told. */
struct rpc_act {
    const Certmill__ActItem *asked;
    bool is_closed;
    bool is_conflict; /* only an audit record is to be written */
    bool is_put;      /* a change was made: what it tells is read from its record */
    bool has_claim;   /* of its request id */
    bool is_fresh;    /* closed by the commit under way: void if that does not happen */
    enum ca_err err;
    struct ca_refusal refusal;
    struct store_digest request, body;
    struct rpc_target target;
    const struct rules_life *life; /* of its profile */
    struct rpc_target predecessor; /* that ends when this one is acknowledged */
    bool has_predecessor;
    struct rules_standing standing; /* what is so now */
    uint64_t sequence;
};

/* Fills in call->acts. The call is refused if there is no memory for them. */
void rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call);
/* Is there something for the writer? */
bool rpc_act_is_open(const struct rpc_call *call);
/* Closes what it refuses; view is the writer's. STORAGE, NOMEM: abort the store's batch. */
CA_MUST_CHECK enum ca_err rpc_act_put(struct rpc_engine *engine, struct store_batch *batch,
                                      struct store_view *view, struct rpc_call *call);
/* What was put is on disk; or is not (NOMEM); or (other err) nobody knows. */
void rpc_act_committed(struct rpc_engine *engine, struct rpc_call *call, enum ca_err err);
/* Fills the call's answer. */
void rpc_act_answer(struct rpc_worker *worker, struct rpc_call *call);

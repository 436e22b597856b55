/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heads: signed heads of the audit log, from its key into the answers.
 *
 * One thread looks every so often whether records came, and signs the newest head: nobody who
 * issues waits for that. A head is handed out once it is on disk, and never one below another.
 * Where none can be signed there is an alarm, and everything else goes on: the log is chained
 * without signatures, and the next head covers all that is before it.
 */
#pragma once

#include "rpc/issue.h"

struct rpc_heads;

/* What it lives in; borrowed. */
struct rpc_heads_host {
    struct rpc_engine *engine; /* its configuration has an audit key */
    enum ca_err (*write)(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch),
                         void *put_arg);
    void *arg;
};

/*
 * Starts the thread; what was stored last is handed out from now on. If that is not of this log,
 * or not by its key, no head is signed until somebody has looked (the alarm says so).
 */
CA_MUST_CHECK enum ca_err rpc_heads_open(const struct rpc_heads_host *host,
                                         struct rpc_heads **heads_out);
/* Joins the thread. Signs nothing more: rpc_heads_sign() before it does. NULL is fine. */
void rpc_heads_close(struct rpc_heads *heads);

/* Signs the newest head now, unless that was done. Any thread but the pipeline's own. What goes
 * wrong is logged here, and the alarm's. */
void rpc_heads_sign(struct rpc_heads *heads);

/* Into call->head: the newest one, as its answer will carry it. Any thread. */
void rpc_heads_tell(struct rpc_heads *heads, struct rpc_call *call);
/* The number of its record, 0: none yet; and how many were signed since the start. Any thread. */
void rpc_heads_count(struct rpc_heads *heads, uint64_t *sequence_out, uint64_t *count_out);
/* Could the last one not be signed? Any thread. */
bool rpc_heads_has_trouble(struct rpc_heads *heads);

/* In the words of the protocol; lends from the head. */
void rpc_head_fill(const struct keys_signed_head *head, Certmill__SignedHead *out);

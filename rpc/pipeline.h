/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline: the one loop. Threads, queues and the order of things.
 *
 *   offer → gather → prepare (worker) → reserve (writer) → sign (worker) → record (writer) → answer
 *
 * Batches form by themselves: while one commit flushes, what arrives waits and goes together. Any
 * worker commits, one at a time: then it is the writer. A small commit waits for what workers have
 * in hand and for callers who usually come back at once, for about what a commit takes.
 * Commit k carries the certificates of one round of batches and the intents of the next.
 * Groups of a CA whose keys are in another device are signed by threads of that CA's own.
 * Knows nothing of transports: answers leave through a function given at open.
 */
#pragma once

#include "rpc/call.h"
#include "rpc/issue.h"

struct rpc_pipeline;

/*
 * Called by workers and the keeper of CRLs, with no lock held. pack ends the call and gives what is
 * to be sent, which lends from nothing; NULL: nothing is. send takes that over, and may wait for
 * the transport, whose own threads never come here.
 */
struct rpc_outlet {
    void *(*pack)(void *arg, struct rpc_call *call);
    void (*send)(void *arg, void *packed);
    void *arg;
};

CA_MUST_CHECK enum ca_err rpc_pipeline_open(const struct rpc_config *config, struct store *store,
                                            const struct rpc_outlet *outlet,
                                            struct rpc_pipeline **pipeline_out);
/* Ends when every call taken has been answered and no more lists are made; later calls are refused
 * with STOPPING. */
void rpc_pipeline_drain(struct rpc_pipeline *pipeline);
void rpc_pipeline_close(struct rpc_pipeline *pipeline); /* drains first */
/* For what the transport counts. */
struct rpc_counters *rpc_pipeline_counters(struct rpc_pipeline *pipeline);

/*
 * One source of calls, such as a connection: callers are served in turn. Those of one owner, such
 * as a uid, have a limit together. Freed with its last call.
 */
CA_MUST_CHECK enum ca_err rpc_caller_new(struct rpc_pipeline *pipeline, uint64_t owner,
                                         struct rpc_caller **caller_out);
void rpc_caller_free(struct rpc_caller *caller);

/*
 * Takes a decoded call over from any thread. BUSY, STOPPING: it is still the caller's, to
 * be refused. caller stays the one the call came from until its answer.
 */
CA_MUST_CHECK enum ca_err rpc_pipeline_offer(struct rpc_pipeline *pipeline,
                                             struct rpc_caller *caller, struct rpc_call *call);

/*
 * Runs put inside the writer's next transaction and blocks until that is on disk. Any thread but
 * the pipeline's own, also while draining; closing waits for writes that have begun. What put
 * answers ends this write only, unless it is STORAGE or NOMEM (those end the commit); otherwise
 * the commit's outcome. What put wrote before it refused stays in the commit. NOMEM: nothing was
 * written, to be tried again. STOPPING once the pipeline is stopping.
 */
CA_MUST_CHECK enum ca_err
rpc_pipeline_write(struct rpc_pipeline *pipeline,
                   enum ca_err (*put)(void *arg, struct store_batch *batch), void *arg);
/* The same for an audit record of the daemon itself, such as its start; object as in store.h. */
CA_MUST_CHECK enum ca_err rpc_pipeline_audit(struct rpc_pipeline *pipeline,
                                             enum store_audit_kind kind, struct ca_bytes object);

/*
 * Signs the head of the audit log now, where that is done at all and there is something new. Its
 * failure is logged, and an alarm's. As rpc_pipeline_write().
 */
void rpc_pipeline_sign_head(struct rpc_pipeline *pipeline);
/* The newest signed head, for the call's answer: before that is measured and packed. Any thread. */
void rpc_pipeline_tell_head(struct rpc_pipeline *pipeline, struct rpc_call *call);

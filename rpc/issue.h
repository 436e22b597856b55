/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue: the steps of issuing a batch of certificates, without the threads.
 *
 *   prepare  worker  decode, rules, proof of possession, serial, to-be-signed bytes, lint
 *   reserve  writer  exclusive checks, the intent
 *   sign     worker  signatures, verified
 *   record   writer  certificate, change, audit
 *   answer   worker
 *
 * A batch is prepared as one, and is the memory of its items to the end. Prepared, it falls
 * into groups, one for each CA: they go on apart, so that a slow signer delays its own only.
 * A batch or group has one owner at a time.
 */
#pragma once

#include "rpc/call.h"
#include "rpc/claims.h"
#include "rpc/clock.h"
#include "rpc/counters.h"
#include "rpc/profiles.h"

struct rpc_batch;
struct rpc_succession;

/* One item of an issue request. It is open until its outcome is known and may be told. */
struct rpc_issue {
    struct rpc_call *call;
    struct rpc_batch *batch;
    const Certmill__IssueItem *asked;
    bool is_closed;
    bool is_told;     /* its call has counted it */
    bool is_resumed;  /* its intent is on disk already */
    bool is_conflict; /* only an audit record is to be written */
    bool has_claims;  /* put by the commit under way, with its intent */
    bool is_fresh;    /* closed by the commit under way: void if that does not happen */
    enum ca_err err;
    struct ca_refusal refusal;
    const struct rpc_profile *profile;
    const struct rpc_ca *ca;
    struct rpc_succession *succession;              /* NULL: it follows upon no other certificate */
    struct store_certificate record;                /* der: once signed */
    const struct crypto_verification *verification; /* of the request, while it is prepared */
    struct ca_bytes tbs;
    uint8_t tbs_digest[CA_DIGEST_LEN];
    struct keys_ticket ticket; /* once the intent is on disk */
    uint8_t *certificate;      /* room for it */
    size_t certificate_size;
};

struct rpc_group {
    struct rpc_group *next; /* in one queue at a time */
    struct rpc_batch *batch;
    const struct rpc_ca *ca;
    size_t count;
    struct rpc_issue *items[];
};

struct rpc_batch {
    struct rpc_batch *next; /* among the spare ones */
    struct ca_arena *arena;
    atomic_size_t refs; /* items not yet answered, groups on their way, and whoever prepares it */
    uint64_t commit;    /* number of commits when it looked at the store */
    size_t count;
    struct rpc_issue items[]; /* as many as batch_items_max */
};

/* What all threads share, const but for the guarded parts inside. */
struct rpc_engine {
    const struct rpc_config *config;
    struct store *store;
    struct rpc_claims *claims;
    struct rpc_profiles *profiles;
    struct rpc_clock_guard clock;
    struct rpc_counters counters;
    uint8_t instance;
    atomic_uint_fast64_t commit; /* number of the last commit */
    atomic_bool is_storage_latched;
    bool has_revoked_intents;                   /* since the start; the writer's */
    struct rpc_crl_keeper *crl_keeper;          /* NULL: no CRLs are made */
    struct rpc_heads *heads;                    /* NULL: heads of the audit log are not signed */
    uint8_t ca_keys[RPC_CA_MAX][CA_DIGEST_LEN]; /* SHA-256 of each CA's SubjectPublicKeyInfo */
};

/* What one worker thread owns. */
struct rpc_worker {
    struct rpc_engine *engine;
    struct crypto *crypto;
    struct store_view *view;
    struct rpc_issue_scratch *scratch;
    struct crypto_signature signatures[RPC_BATCH_MAX];
};

CA_MUST_CHECK enum ca_err rpc_engine_init(struct rpc_engine *engine,
                                          const struct rpc_config *config, struct store *store);
void rpc_engine_wipe(struct rpc_engine *engine);
CA_MUST_CHECK enum ca_err rpc_worker_init(struct rpc_worker *worker, struct rpc_engine *engine);
void rpc_worker_wipe(struct rpc_worker *worker);

/* The item's outcome is known. */
static inline void rpc_issue_close(struct rpc_issue *item, enum ca_err err)
{
    item->err = err;
    item->is_closed = true;
}

/* The part of a digest that the store keeps. */
struct store_digest rpc_store_digest(const uint8_t digest[CA_DIGEST_LEN]);

CA_MUST_CHECK enum ca_err rpc_request_id_check(const char *request_id, struct ca_refusal *refusal);
/* A request id belongs to who chose it, and to a method: other callers cannot meet or probe it. */
#define RPC_METHOD_ISSUE CA_BYTES("")
#define RPC_METHOD_ACT   CA_BYTES("\0act")
struct store_digest rpc_request_digest(const char *actor, struct ca_bytes method,
                                       const char *request_id);

void rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch);
/*
 * The open items of a prepared batch by CA, in a list; each group is counted in refs. When the
 * arena is exhausted what is left is closed with BUSY.
 */
struct rpc_group *rpc_issue_groups(struct rpc_batch *batch);
/* Closes what is open, before anything of it was written; UNKNOWN where that was done earlier. */
void rpc_issue_refuse(struct rpc_group *group, enum ca_err err);
/* Closes the items it refuses. STORAGE, NOMEM: the store's batch is to be aborted. */
CA_MUST_CHECK enum ca_err rpc_issue_reserve(struct rpc_engine *engine,
                                            struct store_batch *store_batch,
                                            struct store_view *view, struct rpc_group *group);
/* A list of groups of one CA, with at most RPC_BATCH_MAX items together. */
void rpc_issue_sign(struct rpc_worker *worker, struct rpc_group *groups);
CA_MUST_CHECK enum ca_err rpc_issue_record(struct rpc_engine *engine,
                                           struct store_batch *store_batch,
                                           struct rpc_group *group);
/* What was reserved or recorded is on disk; or is not (NOMEM); or (other err) nobody knows. */
void rpc_issue_reserved(struct rpc_engine *engine, struct rpc_group *group, enum ca_err err);
void rpc_issue_recorded(struct rpc_engine *engine, struct rpc_group *group, enum ca_err err);

/* Fills the call's answer from its items, all of which are closed. BUSY: no memory for it. */
CA_MUST_CHECK enum ca_err rpc_issue_answer(struct rpc_engine *engine, struct rpc_call *call);

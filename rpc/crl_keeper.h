/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_keeper: sees to it that every CRL of every CA is there in time.
 *
 * One thread makes lists, one after the other: those ordered first, then those that are due, the
 * CAs in turn. What fails is tried again, later and later; a token that is away holds up its own
 * CA's lists only. The dead-man alarm does not need the thread: whoever asks for alarms looks at
 * the clock himself.
 */
#pragma once

#include "rpc/crl_maker.h"
#include "rpc/issue.h"

struct rpc_crl_keeper;

/* What the keeper lives in; borrowed. */
struct rpc_crl_host {
    struct rpc_engine *engine;
    enum ca_err (*write)(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch),
                         void *put_arg);
    void (*answer)(void *arg, struct rpc_call *call); /* ends a call that was ordered */
    void *arg;
};

/*
 * Starts the thread, which first compares the published files with what was recorded: what is
 * missing, damaged or unrecorded is made anew at once. The engine's configuration has a crl_path.
 */
CA_MUST_CHECK enum ca_err rpc_crl_keeper_open(const struct rpc_crl_host *host,
                                              struct rpc_crl_keeper **keeper_out);
/* Answers what was ordered with STOPPING and makes no more. Does not wait. */
void rpc_crl_keeper_drain(struct rpc_crl_keeper *keeper);
void rpc_crl_keeper_close(struct rpc_crl_keeper *keeper); /* drains first; joins the thread */

/* Takes a crl_make call over, to be answered when its lists are there. BUSY, STOPPING: it is still
 * the caller's. */
CA_MUST_CHECK enum ca_err rpc_crl_keeper_order(struct rpc_crl_keeper *keeper,
                                               struct rpc_call *call);

/* A published list, and which file it is. */
struct rpc_crl_published {
    struct store_crl record; /* number 0: none */
    uint64_t device, inode;  /* 0: the file is not the recorded list */
};
/* By the index of the CA. False when there is no such shard. Any thread. */
bool rpc_crl_keeper_find(struct rpc_crl_keeper *keeper, size_t ca, uint32_t shard,
                         enum rpc_crl_kind kind, struct rpc_crl_published *published_out);

/*
 * Writes "CRL_OVERDUE:NAME", or "CRL_OVERDUE:NAME:SHARD" for the first of several, for each CA with
 * a list that should have been replaced; and likewise CRL_STORAGE_FULL where the next list will
 * need its reserve, or CRL_RESERVE where there is none. Up to RPC_CRL_ALARMS_MAX, texts in the
 * arena. Logs changes. Any thread.
 */
enum { RPC_CRL_ALARMS_MAX = 2 * RPC_CA_MAX };
CA_MUST_CHECK enum ca_err rpc_crl_keeper_alarms(struct rpc_crl_keeper *keeper,
                                                struct ca_arena *arena, char **texts,
                                                size_t *count_out);

/* Blocks until nothing is due or ordered, or what is must wait to be tried again: for tests. */
void rpc_crl_keeper_rest(struct rpc_crl_keeper *keeper);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims: which request ids, keys and lines are on their way to the disk.
 *
 * What is stored is found in the store; what is between its intent and its certificate is
 * found here, so that the same request asked twice at once is done once. A claim goes from
 * PENDING to RECORDED (and is forgotten some commits later) or to ORPHAN: an intent whose
 * result is not known, kept until the same request is asked again. The writer
 * changes claims; any thread may look.
 */
#pragma once

#include "store/store.h"

enum rpc_claim_state {
    RPC_CLAIM_NONE,
    RPC_CLAIM_PENDING,
    RPC_CLAIM_RECORDED,
    RPC_CLAIM_ORPHAN,
};

struct rpc_claim {
    enum rpc_claim_state state;
    struct ca_serial serial; /* of its intent */
};

/* Recorded claims are kept for so many commits: whoever looked before then must look again. */
enum { RPC_CLAIMS_KEPT_COMMITS = 64 };

struct rpc_claims;
CA_MUST_CHECK enum ca_err rpc_claims_new(struct rpc_claims **claims_out);
void rpc_claims_free(struct rpc_claims *claims);

/* count digests at once, under one lock. */
void rpc_claims_find(struct rpc_claims *claims, const struct store_digest *const *digests,
                     size_t count, struct rpc_claim *claims_out);

/* Makes or changes a claim. NONE forgets it. */
CA_MUST_CHECK enum ca_err rpc_claims_put(struct rpc_claims *claims,
                                         const struct store_digest *digest,
                                         enum rpc_claim_state state,
                                         const struct ca_serial *serial);
/* Another commit is on disk: claims recorded RPC_CLAIMS_KEPT_COMMITS ago are forgotten. */
void rpc_claims_tick(struct rpc_claims *claims);
/* Claims that are orphans. */
size_t rpc_claims_orphan_count(struct rpc_claims *claims);

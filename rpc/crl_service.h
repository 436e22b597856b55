/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_service: what callers are told of CRLs, and the lists themselves, piece by piece.
 *
 * As rpc/service.h: a worker's view, and false when memory is short.
 */
#pragma once

#include "rpc/crl_keeper.h"

bool rpc_crl_list(struct rpc_worker *worker, struct rpc_call *call);
bool rpc_crl_get(struct rpc_worker *worker, struct rpc_call *call);

/* ---- shared with the keeper */

/* CA_UNKNOWN; CRL_UNKNOWN for a shard it does not have. */
CA_MUST_CHECK enum ca_err rpc_crl_find_scope(const struct rpc_config *config,
                                             const Certmill__CrlScope *scope, size_t *ca_out);
/* False: no memory. */
bool rpc_crl_info_fill(struct rpc_call *call, const struct rules_issuer *issuer, uint32_t shard,
                       const struct store_crl *record, Certmill__CrlInfo *info_out);

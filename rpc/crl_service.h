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

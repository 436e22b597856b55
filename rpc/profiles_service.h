/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiles_service: what callers are told of profiles, configured or not.
 *
 * As rpc/service.h: a worker's view, and false when memory is short.
 */
#pragma once

#include "rpc/issue.h"

bool rpc_profiles_list(struct rpc_worker *worker, struct rpc_call *call);

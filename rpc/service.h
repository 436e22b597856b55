/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service: the methods that change nothing, one function each. Free of transport.
 *
 * Results may borrow from the worker's view: pack the answer before store_view_rest().
 */
#pragma once

#include "rpc/issue.h"

/* Fills the call's answer, or refuses the call. */
void rpc_service_read(struct rpc_worker *worker, struct rpc_call *call);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_service: the audit log, for whoever checks its chain or is a witness of its head.
 *
 * As rpc/service.h: a worker's view, and false when memory is short.
 */
#pragma once

#include "rpc/issue.h"

bool rpc_audit_list(struct rpc_worker *worker, struct rpc_call *call);

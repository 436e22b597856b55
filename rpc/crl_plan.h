/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_plan: when which CRL is due, when somebody is to be woken, and what its file is called.
 *
 * Pure: the schedule, the list published last and the moment decide.
 */
#pragma once

#include "rpc/server.h"

enum rpc_crl_kind { RPC_CRL_FULL, RPC_CRL_DELTA, RPC_CRL_KIND_COUNT };

/* "full", "delta" */
const char *rpc_crl_kind_name(enum rpc_crl_kind kind);

/* Seconds since 1970; for what is due at once, and for what never is. */
#define RPC_CRL_AT_ONCE INT64_MIN
#define RPC_CRL_NEVER   INT64_MAX

/* last: the list of this kind published last, number 0 for none. */
int64_t rpc_crl_due_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                      const struct store_crl *last);
/*
 * From then on there is an alarm: half of the time in which a new list should have replaced this
 * one before its nextUpdate has passed. A list that was never made is overdue at once.
 */
int64_t rpc_crl_overdue_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                          const struct store_crl *last);
/* nextUpdate of a list made now. */
int64_t rpc_crl_next_update_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                              int64_t this_update_s);

/*
 * FOLDER/NAME.crl; FOLDER/NAME-SHARD.crl of a CA with several shards; "-delta" in front of the
 * point. folder NULL: the name alone. CONFIG when it does not fit.
 */
enum { RPC_CRL_PATH_SIZE = 4096 };
CA_MUST_CHECK enum ca_err rpc_crl_path(const char *folder, const struct rules_issuer *issuer,
                                       uint32_t shard, enum rpc_crl_kind kind,
                                       char path_out[RPC_CRL_PATH_SIZE]);

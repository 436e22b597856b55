/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_plan.h"

#include <inttypes.h>
#include <stdio.h>

const char *rpc_crl_kind_name(enum rpc_crl_kind kind)
{
    return kind == RPC_CRL_DELTA ? "delta" : "full";
}

int64_t rpc_crl_due_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                      const struct store_crl *last)
{
    if (kind == RPC_CRL_DELTA && schedule->delta_s == 0)
        return RPC_CRL_NEVER;
    if (last->number == 0)
        return RPC_CRL_AT_ONCE;
    if (kind == RPC_CRL_DELTA)
        return last->this_update_s + schedule->delta_s;
    int64_t end_s = last->next_update_s - schedule->overlap_s;
    int64_t interval_s = last->this_update_s + schedule->interval_s;
    return schedule->interval_s > 0 && interval_s < end_s ? interval_s : end_s;
}

int64_t rpc_crl_overdue_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                          const struct store_crl *last)
{
    if (kind == RPC_CRL_DELTA && schedule->delta_s == 0)
        return RPC_CRL_NEVER;
    if (last->number == 0)
        return RPC_CRL_AT_ONCE;
    int64_t overlap_s = kind == RPC_CRL_DELTA ? schedule->delta_validity_s - schedule->delta_s
                                              : schedule->overlap_s;
    return last->next_update_s - overlap_s / 2;
}

int64_t rpc_crl_next_update_s(const struct rpc_crl_schedule *schedule, enum rpc_crl_kind kind,
                              int64_t this_update_s)
{
    bool is_delta = kind == RPC_CRL_DELTA && schedule->delta_s > 0;

    return this_update_s + (is_delta ? schedule->delta_validity_s : schedule->validity_s);
}

enum ca_err rpc_crl_path(const char *folder, const struct rules_issuer *issuer, uint32_t shard,
                         enum rpc_crl_kind kind, char path_out[RPC_CRL_PATH_SIZE])
{
    char number[16] = "";

    if (issuer->crl_shard_count > 1)
        snprintf(number, sizeof(number), "-%" PRIu32, shard);
    int len = snprintf(path_out, RPC_CRL_PATH_SIZE, "%s%s%s%s%s.crl", folder == NULL ? "" : folder,
                       folder == NULL ? "" : "/", issuer->name, number,
                       kind == RPC_CRL_DELTA ? "-delta" : "");
    return len > 0 && len < RPC_CRL_PATH_SIZE ? CA_OK : CA_ERR_CONFIG;
}

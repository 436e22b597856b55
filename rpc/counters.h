/* SPDX-License-Identifier: Apache-2.0 */
/* counters: what happened since the start, for statistics. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "ca/base/err.h"

enum { RPC_COUNTER_ACTS_MAX = 6 };

struct rpc_counters {
    atomic_uint_fast64_t messages; /* received */
    atomic_uint_fast64_t items;    /* asked to be issued */
    atomic_uint_fast64_t issued;   /* certificates recorded */
    atomic_uint_fast64_t repeated; /* answered again from the store */
    atomic_uint_fast64_t dry_runs;
    atomic_uint_fast64_t acts;                        /* asked for */
    atomic_uint_fast64_t acted[RPC_COUNTER_ACTS_MAX]; /* changes made, by Certmill__Act */
    atomic_uint_fast64_t batches;                     /* prepared together */
    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t connections;           /* open now */
    atomic_uint_fast64_t connections_refused;   /* more than the limits allow */
    atomic_uint_fast64_t answers_dropped;       /* those before them were not read */
    atomic_uint_fast64_t refused[CA_ERR_COUNT]; /* items and messages by code */
};

static inline void rpc_count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

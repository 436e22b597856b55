/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the time certificates are dated with, and whether it is to be trusted.
 *
 * The wall clock is held against the monotonic one and against the latest time the store
 * remembers. When it went back, or jumped either way, by more than the tolerance, the guard
 * answers CLOCK until the two agree again: nothing is signed with a wrong date. Any thread.
 */
#pragma once

#include <pthread.h>

#include "rpc/server.h"

struct rpc_clock_guard {
    struct rpc_clock clock;
    uint64_t tolerance_us;
    pthread_mutex_t lock;   /* guards what follows */
    uint64_t high_water_us; /* latest time given out, or found in the store */
    uint64_t wall_us;       /* last trusted reading of the two clocks */
    uint64_t monotonic_us;
    bool is_distrusted;
};

/* A NULL clock is the system's. high_water_us comes from store_info(). */
void rpc_clock_init(struct rpc_clock_guard *guard, const struct rpc_clock *clock,
                    uint64_t tolerance_us, uint64_t high_water_us);
void rpc_clock_wipe(struct rpc_clock_guard *guard);

/* Never below what it answered before: within the tolerance a clock that went back stands still. */
CA_MUST_CHECK enum ca_err rpc_clock_read(struct rpc_clock_guard *guard, uint64_t *now_us_out);
/*
 * As above, and takes count microseconds, each used once: for serial numbers. They are
 * first_us to first_us + count - 1.
 */
CA_MUST_CHECK enum ca_err rpc_clock_take(struct rpc_clock_guard *guard, uint64_t count,
                                         uint64_t *first_us_out);
/* The latest time given out, for records about what needs no trusted clock. */
uint64_t rpc_clock_last(struct rpc_clock_guard *guard);
/* What rpc_clock_read() tells, or else the latest time given out: for what must not wait until the
 * clock is trusted again. */
uint64_t rpc_clock_now(struct rpc_clock_guard *guard);
bool rpc_clock_is_trusted(struct rpc_clock_guard *guard);

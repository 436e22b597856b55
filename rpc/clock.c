/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/clock.h"

#include <time.h>

#include "rpc/log.h"

static uint64_t read_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t system_now_us(void *arg)
{
    (void)arg;
    return read_us(CLOCK_REALTIME);
}

static uint64_t system_monotonic_us(void *arg)
{
    (void)arg;
    return read_us(CLOCK_BOOTTIME); /* goes on while the machine is suspended */
}

void rpc_clock_init(struct rpc_clock_guard *guard, const struct rpc_clock *clock,
                    uint64_t tolerance_us, uint64_t high_water_us)
{
    memset(guard, 0, sizeof(*guard));
    guard->clock = *clock;
    if (guard->clock.now_us == NULL)
        guard->clock.now_us = system_now_us;
    if (guard->clock.monotonic_us == NULL)
        guard->clock.monotonic_us = system_monotonic_us;
    guard->tolerance_us = tolerance_us;
    guard->high_water_us = high_water_us;
    guard->wall_us = guard->clock.now_us(guard->clock.arg);
    guard->monotonic_us = guard->clock.monotonic_us(guard->clock.arg);
    pthread_mutex_init(&guard->lock, NULL);
}

void rpc_clock_wipe(struct rpc_clock_guard *guard)
{
    pthread_mutex_destroy(&guard->lock);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Moves the high-water mark to the present; the lock is held. */
static enum ca_err advance(struct rpc_clock_guard *guard)
{
    uint64_t wall_us = guard->clock.now_us(guard->clock.arg);
    uint64_t monotonic_us = guard->clock.monotonic_us(guard->clock.arg);
    uint64_t expected_us = guard->wall_us + (monotonic_us - guard->monotonic_us);

    if (distance(wall_us, expected_us) > guard->tolerance_us ||
        wall_us + guard->tolerance_us < guard->high_water_us) {
        if (!guard->is_distrusted)
            log_error("clock is not to be trusted, issuing stopped",
                      "wall_us=%llu expected_us=%llu high_water_us=%llu",
                      (unsigned long long)wall_us, (unsigned long long)expected_us,
                      (unsigned long long)guard->high_water_us);
        guard->is_distrusted = true;
        return CA_ERR_CLOCK;
    }
    if (guard->is_distrusted)
        log_info("clock is trusted again", "wall_us=%llu", (unsigned long long)wall_us);
    guard->is_distrusted = false;
    guard->wall_us = wall_us;
    guard->monotonic_us = monotonic_us;
    if (wall_us > guard->high_water_us)
        guard->high_water_us = wall_us;
    return CA_OK;
}

enum ca_err rpc_clock_read(struct rpc_clock_guard *guard, uint64_t *now_us_out)
{
    pthread_mutex_lock(&guard->lock);
    enum ca_err err = advance(guard);
    *now_us_out = err == CA_OK ? guard->high_water_us : 0;
    pthread_mutex_unlock(&guard->lock);
    return err;
}

enum ca_err rpc_clock_take(struct rpc_clock_guard *guard, uint64_t count, uint64_t *first_us_out)
{
    pthread_mutex_lock(&guard->lock);
    uint64_t before_us = guard->high_water_us;
    enum ca_err err = advance(guard);
    if (err == CA_OK && guard->high_water_us <= before_us)
        guard->high_water_us = before_us + 1;
    *first_us_out = err == CA_OK ? guard->high_water_us : 0;
    if (err == CA_OK)
        guard->high_water_us += count - 1;
    pthread_mutex_unlock(&guard->lock);
    return err;
}

uint64_t rpc_clock_now(struct rpc_clock_guard *guard)
{
    uint64_t now_us;

    return rpc_clock_read(guard, &now_us) == CA_OK ? now_us : rpc_clock_last(guard);
}

uint64_t rpc_clock_last(struct rpc_clock_guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    uint64_t last_us = guard->high_water_us;
    pthread_mutex_unlock(&guard->lock);
    return last_us;
}

bool rpc_clock_is_trusted(struct rpc_clock_guard *guard)
{
    uint64_t now_us;

    return rpc_clock_read(guard, &now_us) == CA_OK;
}

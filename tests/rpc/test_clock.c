/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/clock.h"
#include "tests/support/check.h"

enum { TOLERANCE_US = 2000000 };
static const uint64_t START_US = 1764000000000000;

/* Both clocks under the test's hand. */
struct hands {
    uint64_t wall_us, monotonic_us;
};
static struct hands hands;
static struct rpc_clock_guard guard;

static uint64_t wall(void *arg)
{
    return ((struct hands *)arg)->wall_us;
}

static uint64_t monotonic(void *arg)
{
    return ((struct hands *)arg)->monotonic_us;
}

static void start_with(uint64_t high_water_us)
{
    struct rpc_clock clock = { wall, monotonic, &hands };

    hands = (struct hands){ START_US, 5000000 };
    rpc_clock_init(&guard, &clock, TOLERANCE_US, high_water_us);
}

static void start(void)
{
    start_with(0);
}

static void stop(void)
{
    rpc_clock_wipe(&guard);
}

TestSuite(clock, .init = start, .fini = stop, .timeout = 10);

static void pass(int64_t wall_us, uint64_t monotonic_us)
{
    hands.wall_us += (uint64_t)wall_us;
    hands.monotonic_us += monotonic_us;
}

static enum ca_err read_now(uint64_t *now_us)
{
    return rpc_clock_read(&guard, now_us);
}

Test(clock, tells_the_wall_clock_while_both_clocks_agree)
{
    uint64_t now_us;

    pass(10000000, 10000000);
    check_ok(read_now(&now_us));
    cr_assert(now_us == START_US + 10000000);
}

Test(clock, every_microsecond_is_taken_once)
{
    uint64_t first_us, second_us, third_us;

    check_ok(rpc_clock_take(&guard, 64, &first_us));
    check_ok(rpc_clock_take(&guard, 64, &second_us));
    cr_assert(second_us == first_us + 64);
    pass(1000, 1000);
    check_ok(rpc_clock_take(&guard, 1, &third_us));
    cr_assert(third_us == START_US + 1000);
}

Test(clock, stands_still_within_the_tolerance_when_it_went_back)
{
    uint64_t before_us, after_us;

    pass(1000000, 1000000);
    check_ok(read_now(&before_us));
    pass(-1000000, 1);
    check_ok(read_now(&after_us));
    cr_assert(after_us == before_us);
}

Test(clock, refuses_after_going_back_an_hour_and_trusts_again_when_it_is_mended)
{
    uint64_t now_us;

    pass(-INT64_C(3600000000), 1000);
    check_err(read_now(&now_us), CA_ERR_CLOCK);
    cr_assert(!rpc_clock_is_trusted(&guard));
    pass(INT64_C(3600000000) + 2000, 1000);
    check_ok(read_now(&now_us));
}

Test(clock, refuses_after_jumping_ten_years_ahead)
{
    uint64_t now_us;

    pass(INT64_C(315360000000000), 1000);
    check_err(rpc_clock_take(&guard, 1, &now_us), CA_ERR_CLOCK);
}

Test(clock, many_small_steps_do_not_add_up_to_a_jump_unseen)
{
    uint64_t now_us;
    enum ca_err err = CA_OK;

    /* A clock that gains half the tolerance at each reading is drift that is followed... */
    for (int i = 0; i < 10 && err == CA_OK; i++) {
        pass(TOLERANCE_US / 2 + 1000, 1000);
        err = read_now(&now_us);
    }
    check_ok(err);
    /* ...but what it gained is remembered: going back there is refused. */
    pass(-INT64_C(5) * TOLERANCE_US, 1000);
    check_err(read_now(&now_us), CA_ERR_CLOCK);
}

Test(clock, refuses_to_go_below_what_the_store_remembers)
{
    uint64_t now_us;

    rpc_clock_wipe(&guard);
    start_with(START_US + UINT64_C(3600000000));
    check_err(read_now(&now_us), CA_ERR_CLOCK);
    rpc_clock_wipe(&guard);
    start_with(START_US + TOLERANCE_US / 2);
    check_ok(read_now(&now_us));
    cr_assert(now_us == START_US + TOLERANCE_US / 2);
}

Test(clock, now_is_the_last_trusted_time_while_it_is_distrusted)
{
    pass(1000000, 1000000);
    cr_assert(rpc_clock_now(&guard) == START_US + 1000000);
    pass(INT64_C(3600000000), 1000);
    cr_assert(rpc_clock_now(&guard) == START_US + 1000000);
    cr_assert(!rpc_clock_is_trusted(&guard));
    pass(-INT64_C(3600000000) + 1000000, 1000000);
    cr_assert(rpc_clock_now(&guard) > START_US + 1000000 && rpc_clock_is_trusted(&guard));
}

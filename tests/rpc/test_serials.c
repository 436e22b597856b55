/* SPDX-License-Identifier: Apache-2.0 */
/* A million serial numbers, made as the engine makes them: several workers, one clock. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "ca/crypto/crypto.h"
#include "rpc/clock.h"
#include "tests/support/check.h"

enum {
    WORKERS = 4,
    PER_WORKER = 250000,
    COUNT = WORKERS * PER_WORKER,
    BATCH = 50, /* taken together */
    RANDOM_BITS = 8 * CA_SERIAL_RANDOM_LEN,
    INSTANCE = 0x7f,
};

TestSuite(serials, .timeout = 60);

static struct rpc_clock_guard guard;
static struct ca_serial serials[COUNT];

static void *make_some(void *arg)
{
    struct ca_serial *made = arg;
    uint8_t random[BATCH][CA_SERIAL_RANDOM_LEN];
    uint64_t first_us;

    for (size_t i = 0; i < PER_WORKER; i += BATCH) {
        check_ok(rpc_clock_take(&guard, BATCH, &first_us));
        check_ok(crypto_random(random[0], sizeof(random)));
        for (size_t k = 0; k < BATCH; k++)
            made[i + k] = ca_serial_make(INSTANCE, first_us + k, random[k]);
    }
    return NULL;
}

static void make_all(void)
{
    struct rpc_clock clock = { 0 };
    pthread_t threads[WORKERS];

    /* Faster than one in a microsecond, the numbers run ahead of the clock. */
    rpc_clock_init(&guard, &clock, 60000000, 0);
    for (size_t i = 0; i < WORKERS; i++)
        cr_assert(pthread_create(&threads[i], NULL, make_some, &serials[i * PER_WORKER]) == 0);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    rpc_clock_wipe(&guard);
}

static int by_time(const void *a, const void *b)
{
    uint64_t one = ca_serial_locator(a), other = ca_serial_locator(b);

    return one < other ? -1 : one > other;
}

static bool bit_of(const struct ca_serial *serial, size_t bit)
{
    return serial->bytes[CA_SERIAL_LEN - CA_SERIAL_RANDOM_LEN + bit / 8] >> bit % 8 & 1;
}

/* Half of a million fair coins, give or take eight standard deviations. */
static void check_half(size_t count, const char *what, size_t bit, size_t other)
{
    double deviation = fabs((double)count - COUNT / 2.0) / (sqrt((double)COUNT) / 2);

    cr_assert(deviation < 8, "%s %zu %zu: %zu of %d", what, bit, other, count, COUNT);
}

Test(serials, a_million_are_unique_positive_and_of_one_length)
{
    make_all();
    for (size_t i = 0; i < COUNT; i++) {
        struct ca_serial again;
        check_ok(ca_serial_from_bytes(ca_serial_bytes(&serials[i]), &again));
        cr_assert(serials[i].bytes[0] == INSTANCE); /* positive without a padding octet */
    }
    qsort(serials, COUNT, sizeof(serials[0]), by_time);
    for (size_t i = 1; i < COUNT; i++) /* already without their random part */
        cr_assert(by_time(&serials[i - 1], &serials[i]) < 0);
}

Test(serials, eighty_bits_of_a_million_are_fair_and_independent)
{
    static size_t ones[RANDOM_BITS], equal_next[RANDOM_BITS], equal_before[RANDOM_BITS];

    make_all();
    for (size_t i = 0; i < COUNT; i++) {
        const struct ca_serial *before = &serials[i == 0 ? COUNT - 1 : i - 1];
        for (size_t bit = 0; bit < RANDOM_BITS; bit++) {
            bool value = bit_of(&serials[i], bit);
            ones[bit] += value;
            equal_next[bit] += value == bit_of(&serials[i], (bit + 1) % RANDOM_BITS);
            equal_before[bit] += value == bit_of(before, bit);
        }
    }
    for (size_t bit = 0; bit < RANDOM_BITS; bit++) {
        check_half(ones[bit], "bit", bit, bit);
        check_half(equal_next[bit], "bits", bit, (bit + 1) % RANDOM_BITS);
        check_half(equal_before[bit], "bit against the number before", bit, bit);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_life: fills a store with certificates of which some are revoked, straight through
 * store.h, and writes lists of others for certmill-load --revoke, none in two of them.
 *
 *   bench_life DIR CERTIFICATES REVOKED LISTED LIST...
 *
 * Certificate number n was issued in microsecond MADE_UP_START_US + n and holds made-up octets, 700
 * of them. Those that are revoked, and those in the list, lie all over the others.
 */

#include "bench/bench.h"
#include "bench/known.h"
#include "bench/made_up.h"
#include "store/store.h"

#define DAY_S INT64_C(86400)

enum { BATCH = 2048, YEARS = 20 };
static const uint64_t STEP = 2654435761; /* a prime: every certificate has its turn */
static const int64_t START_S = MADE_UP_START_US / 1000000;

static void put_intent(struct store_batch *batch, uint64_t n)
{
    const struct store_intent intent = {
        .serial = made_up_serial(n),
        .request = made_up_digest('r', n),
        .body = made_up_digest('b', n),
        .profile = made_up_digest('p', 1),
        .issuer = made_up_digest('i', 1),
        .not_after_s = START_S + YEARS * 365 * DAY_S,
    };

    bench_must_ok(store_put_intent(batch, &intent), "put intent");
}

static void put_certificate(struct store_batch *batch, uint64_t n)
{
    static uint8_t filler[MADE_UP_DER_LEN];
    const struct ca_serial serial = made_up_serial(n);
    const struct store_certificate certificate = {
        .serial = serial,
        .request = made_up_digest('r', n),
        .body = made_up_digest('b', n),
        .profile = made_up_digest('p', 1),
        .issuer = made_up_digest('i', 1),
        .identity = made_up_digest('s', n),
        .key = made_up_digest('k', n),
        .not_before_s = START_S,
        .not_after_s = START_S + YEARS * 365 * DAY_S,
        .delivery = STORE_DELIVERED,
        .der = ca_bytes_of(filler, MADE_UP_DER_LEN),
    };
    const struct store_audit audit = {
        .kind = STORE_AUDIT_ISSUED,
        .time_us = MADE_UP_START_US + n,
        .actor = CA_BYTES("bench"),
        .object = ca_serial_bytes(&serial),
        .request = certificate.request,
        .body = certificate.body,
    };

    for (size_t i = 0; i < MADE_UP_DER_LEN; i += sizeof(uint64_t))
        filler[i] = (uint8_t)made_up_mix(n + i);
    bench_must_ok(store_put_certificate(batch, &certificate, &audit), "put certificate");
}

static void put_revoked(struct store_batch *batch, uint64_t n)
{
    const struct store_status_change change = {
        .serial = made_up_serial(n),
        .scope = { made_up_digest('i', 1), 0 },
        .request = made_up_digest('q', n),
        .body = made_up_digest('c', n),
        .old_state = STORE_STATE_VALID,
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = 4,
                    .revoked_s = START_S + DAY_S,
                    .not_after_s = START_S + YEARS * 365 * DAY_S },
    };
    const struct store_audit audit = {
        .kind = STORE_AUDIT_REVOKED,
        .time_us = MADE_UP_START_US + n,
        .actor = CA_BYTES("bench"),
        .object = ca_serial_bytes(&change.serial),
        .request = change.request,
        .body = change.body,
    };

    bench_must_ok(store_put_status(batch, &change, &audit), "put status");
}

static void fill(struct store *store, uint64_t count)
{
    struct store_batch *batch;

    for (uint64_t start = 0; start < count; start += BATCH) {
        uint64_t end = start + BATCH < count ? start + BATCH : count;

        bench_must_ok(store_begin(store, &batch), "begin");
        for (uint64_t n = start; n < end; n++) {
            put_intent(batch, n);
            put_certificate(batch, n);
        }
        bench_must_ok(store_commit(batch), "commit");
    }
}

static void revoke(struct store *store, uint64_t revoked, uint64_t count)
{
    struct store_batch *batch;

    for (uint64_t start = 0; start < revoked; start += BATCH) {
        bench_must_ok(store_begin(store, &batch), "begin");
        for (uint64_t i = start; i < start + BATCH && i < revoked; i++)
            put_revoked(batch, i * STEP % count);
        bench_must_ok(store_commit(batch), "commit");
    }
}

/* From the first-th of the order in which they are revoked. */
static void list(const char *path, uint64_t first, uint64_t listed, uint64_t count)
{
    struct bench_known_list known = { calloc(listed, sizeof(*known.items)), listed };

    if (known.items == NULL)
        bench_die("out of memory");
    for (uint64_t i = 0; i < listed; i++)
        known.items[i].serial = made_up_serial((first + i) * STEP % count);
    bench_known_save(path, &known);
    bench_known_free(&known);
}

int main(int argc, char **argv)
{
    const struct store_options options = { .map_size = 0 };
    struct store *store;

    if (argc < 6)
        bench_die("usage: bench_life DIR CERTIFICATES REVOKED LISTED LIST...");
    uint64_t count = bench_number("CERTIFICATES", argv[2], 1 << 30);
    uint64_t revoked = bench_number("REVOKED", argv[3], count);
    uint64_t listed = bench_number("LISTED", argv[4], count);
    if (listed == 0 || revoked + listed * (uint64_t)(argc - 5) > count)
        bench_die("there are only %llu certificates", (unsigned long long)count);
    bench_must_ok(store_open(argv[1], &options, &store), argv[1]);
    fill(store, count);
    revoke(store, revoked, count);
    store_rest(store);
    store_close(store);
    for (int i = 5; i < argc; i++, revoked += listed)
        list(argv[i], revoked, listed, count);
    return EXIT_SUCCESS;
}

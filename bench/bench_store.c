/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_store: what does the store alone cost?
 *
 *   bench_store fill DIR COUNT    makes DIR if it is missing, and certificates up to COUNT in it
 *   bench_store put DIR [COUNT]   puts COUNT more (1 000 000), 256 to a batch, and measures
 *   bench_store find DIR [COUNT]  COUNT look-ups (200 000) of every kind, in random order
 *   bench_store revoke DIR [COUNT] COUNT durable revocations (20 000), 64 to a batch, in random
 *                                 order, when a tenth of all that is in DIR is revoked before
 *   bench_store scan DIR [COUNT]  reads a list of COUNT entries (1 000 000), which it makes first
 *
 * Look-ups are asked twice and measured the second time: with their pages in memory, since
 * reading those would measure the disk.
 *
 * Certificate number n has a serial number of microsecond MADE_UP_START_US + n and made-up contents
 * of 700 octets. Results on stdout: name, value, unit; progress on stderr.
 */
#include <string.h>

#include "bench/bench.h"
#include "bench/made_up.h"
#include "store/store.h"

enum { BATCH = 256, ACTS = 64, IN_TURN = 4096 };

static double now_s(void)
{
    return (double)bench_now_ns() * 1e-9;
}

static double cpu_s(void)
{
    return (double)bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) * 1e-9;
}

static struct store_certificate certificate_of(uint64_t n)
{
    static uint8_t filler[MADE_UP_DER_LEN + 1024];

    if (filler[0] == 0)
        for (size_t i = 0; i < sizeof(filler); i++)
            filler[i] = (uint8_t)(made_up_mix(i) | 1);
    return (struct store_certificate){
        .serial = made_up_serial(n),
        .request = made_up_digest('r', n),
        .body = made_up_digest('b', n),
        .profile = made_up_digest('p', 1),
        .issuer = made_up_digest('i', 1),
        .identity = made_up_digest('s', n / 2),
        .key = made_up_digest('k', n),
        .not_before_s = (int64_t)(MADE_UP_START_US / 1000000),
        .not_after_s = (int64_t)(MADE_UP_START_US / 1000000) + 365 * 86400,
        .der = ca_bytes_of(filler + made_up_mix(n) % 1024, MADE_UP_DER_LEN),
    };
}

static void put_intent(struct store_batch *batch, uint64_t n)
{
    struct store_intent intent = {
        .serial = made_up_serial(n),
        .request = made_up_digest('r', n),
        .body = made_up_digest('b', n),
        .profile = made_up_digest('p', 1),
        .issuer = made_up_digest('i', 1),
        .not_after_s = (int64_t)(MADE_UP_START_US / 1000000) + 365 * 86400,
    };

    memcpy(intent.tbs_digest, intent.request.bytes, STORE_DIGEST_LEN);
    bench_must_ok(store_put_intent(batch, &intent), "put intent");
}

static void put_certificate(struct store_batch *batch, uint64_t n)
{
    struct store_certificate certificate = certificate_of(n);
    struct store_audit audit = {
        .kind = STORE_AUDIT_ISSUED,
        .time_us = MADE_UP_START_US + n,
        .actor = CA_BYTES("uid:1000"),
        .object = ca_serial_bytes(&certificate.serial),
        .request = certificate.request,
        .body = certificate.body,
    };

    bench_must_ok(store_put_certificate(batch, &certificate, &audit), "put certificate");
}

/* As the engine does: a commit carries certificates, and the intents of the next. */
static void put_range(struct store *store, uint64_t from, uint64_t until, uint64_t at_once)
{
    double shown_s = now_s();
    struct store_batch *batch;

    for (uint64_t start = from; start < until + at_once; start += at_once) {
        bench_must_ok(store_begin(store, &batch), "begin");
        for (uint64_t n = start - at_once; start > from && n < start && n < until; n++)
            put_certificate(batch, n);
        for (uint64_t n = start; n < start + at_once && n < until; n++)
            put_intent(batch, n);
        bench_must_ok(store_commit(batch), "commit");
        if (now_s() - shown_s > 2) {
            shown_s = now_s();
            fprintf(stderr, "bench_store: %llu of %llu\n", (unsigned long long)(start - from),
                    (unsigned long long)(until - from));
        }
    }
}

static uint64_t count_of(struct store *store)
{
    struct store_info info;

    store_info(store, &info);
    return info.certificate_count;
}

static void measure_put(struct store *store, uint64_t count)
{
    uint64_t from = count_of(store);

    double start_s = now_s(), start_cpu_s = cpu_s();
    put_range(store, from, from + count, BATCH);
    double durable_s = now_s() - start_s;
    store_rest(store); /* what merges are due belongs to the price */
    double taken_cpu_s = cpu_s() - start_cpu_s;
    printf("store.put.rate\t%.0f\tcertificates/s\n", (double)count / durable_s);
    printf("store.put.us\t%.2f\tus\n", taken_cpu_s * 1e6 / (double)count);
    printf("store.put.rested_s\t%.3f\ts\n", now_s() - start_s - durable_s);
}

enum kind { BY_IDENTITY, BY_KEY, BY_REQUEST, BY_SERIAL, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = { "identity", "key", "request", "serial" };

static size_t find(struct store_view *view, enum kind kind, uint64_t n, uint64_t total)
{
    struct store_certificate found[4];
    struct store_digest digest;
    size_t count = 0;

    if (kind == BY_IDENTITY) {
        digest = made_up_digest('s', n / 2);
        bench_must_ok(store_find_digest(view, STORE_BY_IDENTITY, &digest, 0, found, 4, &count),
                      "find");
        return count > 0;
    }
    if (kind == BY_KEY) {
        digest = made_up_digest('k', n);
        bench_must_ok(store_find_digest(view, STORE_BY_KEY, &digest, 0, found, 4, &count), "find");
        return count > 0;
    }
    struct ca_serial serial = made_up_serial(n < total ? n : n - total - 2);
    if (n >= total) /* among those that are there */
        serial.bytes[CA_SERIAL_LEN - 1] ^= 1;
    digest = made_up_digest('r', n);
    enum ca_err err = kind == BY_REQUEST ? store_find_request(view, &digest, found)
                                         : store_find_serial(view, &serial, found);
    if (err != CA_ERR_NOT_FOUND)
        bench_must_ok(err, "find");
    return err == CA_OK;
}

/* The number of look-ups that found something. */
static uint64_t find_many(struct store *store, enum kind kind, bool is_present, uint64_t count)
{
    uint64_t total = count_of(store), found = 0;
    struct store_view *view;

    bench_must_ok(store_view_open(store, &view), "view");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = made_up_mix(i + count) % total;
        found += find(view, kind, is_present ? n : total + 2 + n, total);
        if (i % IN_TURN == 0)
            bench_must_ok(store_view_renew(view), "renew");
    }
    store_view_close(view);
    return found;
}

static void measure_find_kind(struct store *store, enum kind kind, bool is_present, uint64_t count)
{
    uint64_t found = find_many(store, kind, is_present, count);

    double start_s = now_s();
    found += find_many(store, kind, is_present, count);
    double taken_s = now_s() - start_s;
    if (found != (is_present ? 2 * count : 0)) {
        bench_die("wrong answers by %s", kind_names[kind]);
    }
    printf("store.find.%s.%s.us\t%.2f\tus\n", kind_names[kind], is_present ? "present" : "absent",
           taken_s * 1e6 / (double)count);
}

static struct store_scope the_scope(void)
{
    return (struct store_scope){ made_up_digest('i', 1), 0 };
}

static void put_revoked(struct store_batch *batch, uint64_t n, uint64_t request)
{
    const struct store_status_change change = {
        .serial = made_up_serial(n),
        .scope = the_scope(),
        .request = made_up_digest('q', request),
        .body = made_up_digest('b', request),
        .old_state = STORE_STATE_VALID,
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = 1,
                    .revoked_s = (int64_t)(MADE_UP_START_US / 1000000 + 86400),
                    .not_after_s = (int64_t)(MADE_UP_START_US / 1000000) + 365 * 86400 },
    };
    const struct store_audit audit = {
        .kind = STORE_AUDIT_REVOKED,
        .time_us = MADE_UP_START_US + n,
        .actor = CA_BYTES("uid:1000"),
        .object = ca_serial_bytes(&change.serial),
        .request = change.request,
        .body = change.body,
    };

    bench_must_ok(store_put_status(batch, &change, &audit), "put status");
}

static uint64_t revoked_count(struct store *store)
{
    struct store_scope scope = the_scope();
    struct store_scope_info info;
    struct store_view *view;

    bench_must_ok(store_view_open(store, &view), "view");
    bench_must_ok(store_find_scope(view, &scope, &info), "scope");
    store_view_close(view);
    return info.entry_count;
}

/* Revokes the from-th to the until-th of a random order of `total` certificates. */
static void revoke_range(struct store *store, uint64_t from, uint64_t until, uint64_t total,
                         uint64_t at_once)
{
    static const uint64_t step = 2654435761; /* a prime: every certificate has its turn */
    struct store_batch *batch;

    for (uint64_t start = from; start < until; start += at_once) {
        bench_must_ok(store_begin(store, &batch), "begin");
        for (uint64_t i = start; i < start + at_once && i < until; i++)
            put_revoked(batch, i % total * step % total, i);
        bench_must_ok(store_commit(batch), "commit");
    }
}

static void measure_revoke(struct store *store, uint64_t count)
{
    uint64_t total = count_of(store), from = revoked_count(store);

    if (from < total / 10) {
        revoke_range(store, from, total / 10, total, 8 * BATCH);
        from = total / 10;
    }
    if (from + count > total) {
        bench_die("only %llu certificates", (unsigned long long)total);
    }
    store_rest(store);
    double start_s = now_s(), start_cpu_s = cpu_s();
    revoke_range(store, from, from + count, total, ACTS);
    double durable_s = now_s() - start_s;
    store_rest(store);
    printf("store.revoke.rate\t%.0f\tchanges/s\n", (double)count / durable_s);
    printf("store.revoke.us\t%.2f\tus\n", (cpu_s() - start_cpu_s) * 1e6 / (double)count);
}

static uint64_t read_list(struct store *store)
{
    struct store_scope scope = the_scope();
    struct store_entries *entries;
    struct store_view *view;
    struct ca_bytes chunk;
    uint64_t count;

    bench_must_ok(store_view_open(store, &view), "view");
    bench_must_ok(store_entries_open(view, &scope, &entries), "entries");
    do
        bench_must_ok(store_entries_next(entries, &chunk), "next");
    while (chunk.len > 0);
    count = store_entries_count(entries);
    store_entries_close(entries);
    store_view_close(view);
    return count;
}

static void measure_scan(struct store *store, uint64_t count)
{
    uint64_t from = revoked_count(store), total = count_of(store);

    if (from < count)
        revoke_range(store, from, count, total < count ? count : total, 8 * BATCH);
    read_list(store); /* brings the pages into memory */
    double start_cpu_s = cpu_s();
    uint64_t read = read_list(store);
    printf("crl.scan\t%.1f\tns\n", (cpu_s() - start_cpu_s) * 1e9 / (double)read);
}

static void show_memory(void)
{
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long kib;
        if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
            printf("store.memory.anonymous\t%.1f\tMiB\n", (double)kib / 1024);
    }
    if (file != NULL)
        fclose(file);
}

static struct store *open_store(const char *path)
{
    struct store_options options = { .map_size = 0 };
    struct store *store;

    double start_s = now_s();
    bench_must_ok(store_open(path, &options, &store), path);
    printf("store.open.ms\t%.1f\tms\n", (now_s() - start_s) * 1e3);
    return store;
}

int main(int argc, char **argv)
{
    uint64_t count = 0;

    if (argc < 3 || argc > 4 ||
        (argc == 4 && !ca_text_to_number(argv[3], 1, UINT64_C(1) << 40, &count))) {
        fprintf(stderr, "usage: bench_store fill|put|find|revoke|scan DIR [COUNT]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(argv[1], "fill") == 0) {
        enum ca_err err = store_create(argv[2], MADE_UP_INSTANCE);
        if (err != CA_ERR_EXISTS)
            bench_must_ok(err, "create");
    }
    struct store *store = open_store(argv[2]);
    if (strcmp(argv[1], "fill") == 0) {
        uint64_t from = count_of(store);
        if (from < count)
            put_range(store, from, count, 8 * BATCH);
        store_rest(store);
    } else if (strcmp(argv[1], "put") == 0) {
        measure_put(store, count == 0 ? 1000000 : count);
    } else if (strcmp(argv[1], "revoke") == 0) {
        measure_revoke(store, count == 0 ? 20000 : count);
    } else if (strcmp(argv[1], "scan") == 0) {
        measure_scan(store, count == 0 ? 1000000 : count);
    } else {
        store_rest(store);
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            measure_find_kind(store, (enum kind)kind, true, count == 0 ? 200000 : count);
            measure_find_kind(store, (enum kind)kind, false, count == 0 ? 200000 : count);
        }
    }
    show_memory();
    store_close(store);
    return EXIT_SUCCESS;
}

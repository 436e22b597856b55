/* SPDX-License-Identifier: Apache-2.0 */
/* The store against plain arrays: random operations, the seed printed. */
#include <time.h>

#include "tests/support/store.h"

enum { NUMBERS = 3000, STEPS = 1500, IDENTITIES = 40, KEYS = 400 };

enum state { UNUSED, INTENDED, ISSUED };

/* What should be there; a batch works on a copy. */
struct model {
    uint8_t states[NUMBERS];
    uint64_t added[NUMBERS]; /* in order of change */
    uint64_t added_count, audit_count, clock_us;
};

static struct store *store;
static struct model model, next;
static uint64_t seed;

static uint64_t pick(uint64_t below)
{
    return test_random(&seed) % below;
}

static uint64_t identity_of(uint64_t n)
{
    return test_mix(n) % IDENTITIES;
}

static uint64_t key_of(uint64_t n)
{
    return test_mix(n + 1) % KEYS;
}

static void raise_clock(uint64_t n)
{
    if (n > next.clock_us)
        next.clock_us = n;
}

static void put_one_intent(struct store_batch *batch, uint64_t n)
{
    enum ca_err err = test_put_intent(batch, n);

    check_err(err, next.states[n] == UNUSED ? CA_OK : CA_ERR_EXISTS);
    if (err != CA_OK)
        return;
    next.states[n] = INTENDED;
    raise_clock(n);
}

static void put_one_certificate(struct store_batch *batch, uint64_t n)
{
    static const enum ca_err want[] = { CA_ERR_NOT_FOUND, CA_OK, CA_ERR_EXISTS };
    uint8_t der[TEST_DER_MAX];
    struct store_certificate certificate = test_certificate_of(n, identity_of(n), key_of(n), der);
    struct store_audit audit = test_audit(&certificate.serial, n);

    enum ca_err err = store_put_certificate(batch, &certificate, &audit);
    check_err(err, want[next.states[n]]);
    if (err != CA_OK)
        return;
    next.states[n] = ISSUED;
    next.added[next.added_count++] = n;
    next.audit_count++;
    raise_clock(n);
}

static void step_batch(uint64_t *high)
{
    struct store_batch *batch;

    check_ok(store_begin(store, &batch));
    next = model;
    for (uint64_t i = pick(30); i > 0; i--) {
        /* Mostly the next numbers, now and then an earlier one. */
        uint64_t n = pick(8) == 0 ? pick(*high + 1) : *high + pick(3);
        if (n >= NUMBERS)
            continue;
        put_one_intent(batch, n);
        *high = n > *high ? n : *high;
    }
    for (uint64_t i = pick(30); i > 0; i--) {
        uint64_t n = *high - (*high == 0 ? 0 : pick(*high < 60 ? *high : 60));
        if (n < NUMBERS)
            put_one_certificate(batch, n);
    }
    if (pick(5) == 0) {
        store_abort(batch);
        return;
    }
    check_ok(store_commit(batch));
    store_smooth(store);
    model = next;
}

static void check_digest(struct store_view *view, enum store_index index, uint64_t wanted)
{
    bool is_identity = index == STORE_BY_IDENTITY;
    struct store_digest digest = test_digest(is_identity ? 's' : 'k', wanted);
    struct store_certificate found[9];
    uint64_t after = 0, n = 0;
    size_t count, page = 1 + pick(9);

    do {
        check_ok(store_find_digest(view, index, &digest, after, found, page, &count));
        for (size_t i = 0; i < count; i++, n++) {
            while (n < NUMBERS && (model.states[n] != ISSUED ||
                                   (is_identity ? identity_of(n) : key_of(n)) != wanted))
                n++;
            cr_assert(n < NUMBERS &&
                      test_is_certificate_of(&found[i], n, identity_of(n), key_of(n)));
            after = ca_serial_locator(&found[i].serial);
        }
    } while (count == page);
    for (; n < NUMBERS; n++)
        cr_assert(model.states[n] != ISSUED ||
                  (is_identity ? identity_of(n) : key_of(n)) != wanted);
}

static void check_number(struct store_view *view, uint64_t n)
{
    struct ca_serial serial = test_serial(n);
    struct store_digest request = test_digest('r', n);
    struct store_certificate found;
    struct store_intent intent;
    enum ca_err want = model.states[n] == ISSUED ? CA_OK : CA_ERR_NOT_FOUND;

    check_err(store_find_serial(view, &serial, &found), want);
    cr_assert(want != CA_OK || test_is_certificate_of(&found, n, identity_of(n), key_of(n)));
    check_err(store_find_request(view, &request, &found), want);
    cr_assert(want != CA_OK || test_is_certificate_of(&found, n, identity_of(n), key_of(n)));
    check_err(store_find_intent(view, &serial, &intent),
              model.states[n] == INTENDED ? CA_OK : CA_ERR_NOT_FOUND);
}

static void check_lists(struct store_view *view)
{
    struct store_change changes[16];
    struct store_intent intents[16];
    struct store_info info;
    uint64_t after = 0, n = 0;
    size_t count;

    store_info(store, &info);
    cr_assert_eq(info.certificate_count, model.added_count);
    cr_assert_eq(info.change_sequence, model.added_count);
    cr_assert_eq(info.audit_sequence, model.audit_count);
    cr_assert_eq(info.clock_us, model.clock_us);
    do {
        check_ok(store_find_changes(view, after, changes, 16, &count));
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(changes[i].sequence, after + 1);
            cr_assert_eq(ca_serial_time_us(&changes[i].serial), model.added[after]);
            after++;
        }
    } while (count == 16);
    cr_assert_eq(after, model.added_count);
    after = 0;
    do {
        check_ok(store_find_intents(view, after, intents, 16, &count));
        for (size_t i = 0; i < count; i++, n++) {
            while (n < NUMBERS && model.states[n] != INTENDED)
                n++;
            cr_assert_eq(ca_serial_time_us(&intents[i].serial), n);
            after = ca_serial_locator(&intents[i].serial);
        }
    } while (count == 16);
}

static void step_check(void)
{
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    for (int i = 0; i < 20; i++)
        check_number(view, pick(NUMBERS));
    for (int i = 0; i < 3; i++) {
        check_digest(view, STORE_BY_IDENTITY, pick(IDENTITIES + 1));
        check_digest(view, STORE_BY_KEY, pick(KEYS + 1));
    }
    check_lists(view);
    store_view_close(view);
}

/* Stops, perhaps loses a file of the index, starts. */
static void step_reopen(void)
{
    struct store_options options = test_options;
    char path[512], runs_path[128];
    struct dirent *entry;

    store_close(store);
    snprintf(runs_path, sizeof(runs_path), "%s/runs", test_path);
    DIR *directory = pick(3) == 0 ? opendir(runs_path) : NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof(path), "%s/%.200s", runs_path, entry->d_name);
        if (pick(4) == 0)
            unlink(path);
    }
    if (directory != NULL)
        closedir(directory);
    options.run_entries = 5 + pick(60);
    check_ok(store_open(test_path, &options, &store));
}

Test(model, the_store_is_what_plain_arrays_are, .timeout = 300)
{
    uint64_t high = 0;

    seed = (uint64_t)getpid() << 20 ^ (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    store = test_store_make();
    for (int step = 0; step < STEPS; step++) {
        switch (pick(12)) {
        case 0: step_reopen(); break;
        case 1: store_rest(store); break;
        case 2:
        case 3: step_check(); break;
        default: step_batch(&high); break;
        }
    }
    step_check();
    struct store_view *view;
    check_ok(store_view_open(store, &view));
    for (uint64_t n = 0; n < NUMBERS; n++)
        check_number(view, n);
    store_view_close(view);
    test_check_whole(store);
    store_close(store);
    test_dir_remove();
}

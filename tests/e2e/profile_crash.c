/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile_crash: kill -9 while a profile is introduced. It is remembered with its audit record or
 * not at all, and the start that is not killed leaves exactly one of each.
 *
 * CERTMILL_CRASH_ROUNDS and CERTMILL_CRASH_SEED as in crash.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/check.h"
#include "tests/support/daemon.h"
#include "tests/support/setting.h"

enum { ROUNDS_DEFAULT = 8, KNOWN_MAX = 4096, SHIPPED = 2 };

TestSuite(profile_crash, .timeout = 7200);

static struct daemon service;
static struct store_profile known[KNOWN_MAX];
static struct store_audit_entry entries[KNOWN_MAX];

/* Another one in every round: its certificates are valid for so many days. */
static void edit_profile(unsigned days)
{
    static const char form[] = "name = \"edited\";\n"
                               "keys = ( { type = \"p256\"; } );\n"
                               "attributes = ( { name = \"CN\"; } );\n"
                               "key_usage = [ \"digitalSignature\" ];\n"
                               "validity = { days = [ %u ]; };\n";
    char path[128];

    snprintf(path, sizeof(path), "%s/instance/profiles/edited.conf", service.dir);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fprintf(file, form, days) > 0 && fclose(file) == 0);
}

/* How many profiles are remembered, each with one audit record. The daemon does not run. */
static size_t count_introduced(void)
{
    const struct store_options options = { .map_size = (size_t)64 << 30, .is_read_only = true };
    size_t count, entry_count, audits = 0;
    struct store_info info;
    struct store_view *view;
    struct store *store;
    char path[96];

    daemon_check_store(&service, &info);
    snprintf(path, sizeof(path), "%s/instance/data", service.dir);
    check_ok(store_open(path, &options, &store));
    check_ok(store_view_open(store, &view));
    check_ok(store_find_profiles(view, NULL, known, KNOWN_MAX, &count));
    check_ok(store_find_audit(view, 0, entries, KNOWN_MAX, &entry_count));
    cr_assert(count < KNOWN_MAX && entry_count < KNOWN_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ca_bytes id = ca_bytes_of(known[i].id.bytes, STORE_DIGEST_LEN);
        size_t found = 0;
        for (size_t k = 0; k < entry_count; k++)
            found += entries[k].audit.kind == STORE_AUDIT_PROFILE &&
                     ca_bytes_equal(entries[k].audit.object, id);
        cr_assert_eq(found, 1);
    }
    for (size_t k = 0; k < entry_count; k++)
        audits += entries[k].audit.kind == STORE_AUDIT_PROFILE;
    cr_assert_eq(audits, count);
    store_view_close(view);
    store_close(store);
    return count;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The moment of the kill is the test's random input: nothing waits for it. */
static void start_and_kill(uint64_t after_us)
{
    struct timespec time = { (time_t)(after_us / 1000000), (long)(after_us % 1000000) * 1000 };

    daemon_spawn(&service);
    nanosleep(&time, NULL);
    daemon_kill(&service);
}

Test(profile_crash, what_is_introduced_is_remembered_with_its_audit_record_or_not_at_all)
{
    unsigned rounds = (unsigned)setting_number("CERTMILL_CRASH_ROUNDS", ROUNDS_DEFAULT);
    uint64_t seed = setting_number("CERTMILL_CRASH_SEED", (uint64_t)time(NULL));
    unsigned both = 0;

    fprintf(stderr, "profile_crash: CERTMILL_CRASH_SEED=%" PRIu64 " rounds %u\n", seed, rounds);
    srandom((unsigned)seed);
    daemon_make(&service);
    daemon_add_profile(&service, "edited", "");
    edit_profile(1);
    uint64_t began_us = now_us();
    daemon_start(&service);
    uint64_t start_us = now_us() - began_us;
    daemon_kill(&service);
    cr_assert_eq(count_introduced(), SHIPPED + 1);

    for (unsigned round = 0; round < rounds; round++) {
        edit_profile(2 + round);
        start_and_kill(start_us / 2 + (uint64_t)random() % start_us);
        size_t count = count_introduced();
        cr_assert(count == SHIPPED + 1 + round || count == SHIPPED + 2 + round);
        both += count == SHIPPED + 2 + round;
        daemon_start(&service);
        daemon_kill(&service);
        cr_assert_eq(count_introduced(), SHIPPED + 2 + round);
        daemon_start(&service);
        daemon_stop(&service);
        cr_assert_eq(count_introduced(), SHIPPED + 2 + round);
    }
    fprintf(stderr, "profile_crash: introduced by %u of %u starts that were killed\n", both,
            rounds);
    daemon_unmake(&service);
}

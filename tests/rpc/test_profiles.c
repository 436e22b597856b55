/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/profiles.h"

#include <stdio.h>

#include "ca/rules/life.h"
#include "tests/support/check.h"
#include "tests/support/data_file.h"
#include "tests/support/faults.h"
#include "tests/support/life.h"

enum { AUDITS_MAX = 64 };

static struct instance instance;

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(profiles, .init = start, .fini = stop, .timeout = 60);

static struct rules_profile *rules(void)
{
    return &instance.profiles[0].rules;
}

/* As often as the profile with this first octet of its identity was introduced; 0: all of them. */
static size_t introduced(uint8_t first)
{
    struct store_audit_entry entries[AUDITS_MAX];
    struct store_view *view;
    size_t count, found = 0;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_audit(view, 0, entries, AUDITS_MAX, &count));
    cr_assert(count < AUDITS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct store_audit *audit = &entries[i].audit;
        if (audit->kind != STORE_AUDIT_PROFILE)
            continue;
        cr_assert_eq(audit->object.len, RULES_PROFILE_ID_LEN);
        check_bytes(audit->actor, CA_BYTES("certmilld"));
        found += first == 0 || audit->object.data[0] == first;
    }
    store_view_close(view);
    return found;
}

static struct store_profile remembered(size_t count_wanted, size_t which)
{
    static char content[64];
    struct store_profile found[8];
    struct store_view *view;
    size_t count;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_profiles(view, NULL, found, 8, &count));
    cr_assert_eq(count, count_wanted);
    cr_assert_leq(found[which].content.len, sizeof(content));
    memcpy(content, found[which].content.data, found[which].content.len);
    found[which].content.data = (const uint8_t *)content;
    found[which].name = CA_BYTES(""); /* the view's */
    store_view_close(view);
    return found[which];
}

Test(profiles, each_is_introduced_once_over_many_starts)
{
    for (int round = 0; round < 3; round++) {
        instance_start(&instance);
        cr_assert_eq(introduced(0), 1);
        check_ok(instance_check(&instance));
        instance_stop(&instance);
    }
    uint8_t first = rules()->id[0];
    for (int round = 0; round < 4; round++) { /* to and fro */
        rules()->id[0] = (uint8_t)(first + (round + 1) % 2);
        instance_start(&instance);
        cr_assert_eq(introduced(first), 1);
        cr_assert_eq(introduced((uint8_t)(first + 1)), 1);
        check_ok(instance_check(&instance));
        instance_stop(&instance);
    }
}

Test(profiles, what_it_says_is_kept)
{
    rules()->content = CA_BYTES("what it says");
    rules()->life.reasons = 1u << X509_CRL_KEY_COMPROMISE;
    rules()->life.allows_hold = false;
    instance_start(&instance);
    struct store_profile found = remembered(1, 0);
    check_bytes(found.content, CA_BYTES("what it says"));
    check_bytes(ca_bytes_of(found.id.bytes, STORE_DIGEST_LEN),
                ca_bytes_of(rules()->id, RULES_PROFILE_ID_LEN));
    cr_assert(found.reasons == 1u << X509_CRL_KEY_COMPROMISE && !found.allows_hold);
    instance_stop(&instance);

    rules()->id[0]++;
    rules()->life.allows_hold = true;
    instance_start(&instance);
    cr_assert(!remembered(2, 0).allows_hold && remembered(2, 1).allows_hold);
    instance_stop(&instance);
}

static struct rpc_profiles *open_profiles(struct rpc_clock_guard *clock)
{
    struct rpc_profiles *profiles;

    rpc_clock_init(clock, &instance.config.clock, instance.config.clock_tolerance_us, 0);
    check_ok(rpc_profiles_open(&instance.config, instance.store, clock, &profiles));
    return profiles;
}

Test(profiles, the_configuration_goes_before_what_is_remembered_and_that_before_plain_rules)
{
    struct store_digest old, unknown = { { 'x' } };
    struct rpc_clock_guard clock;

    memcpy(old.bytes, rules()->id, STORE_DIGEST_LEN);
    instance_start(&instance);
    struct rpc_profiles *profiles = open_profiles(&clock);
    cr_assert(rpc_profiles_life(profiles, &old) == &rules()->life);
    cr_assert_str_eq(rpc_profiles_name(profiles, &old), "test");
    cr_assert(rpc_profiles_life(profiles, &unknown) == &RULES_LIFE_PLAIN);
    cr_assert_str_eq(rpc_profiles_name(profiles, &unknown), "");
    rpc_profiles_close(profiles);
    instance_stop(&instance);

    instance.config.profile_count = 0;
    instance_start(&instance);
    profiles = open_profiles(&clock);
    const struct rules_life *life = rpc_profiles_life(profiles, &old);
    cr_assert(life != &rules()->life && life != &RULES_LIFE_PLAIN);
    cr_assert(life->reasons == RULES_REASONS_DEFAULT && life->allows_hold);
    cr_assert_str_eq(rpc_profiles_name(profiles, &old), "test");
    cr_assert(rpc_profiles_life(profiles, &unknown) == &RULES_LIFE_PLAIN);
    rpc_profiles_close(profiles);
}

/* More than are read at once, and found again by identity. */
Test(profiles, many_are_remembered)
{
    enum { COUNT = 150 };
    struct rpc_clock_guard clock;
    struct rpc_profiles *profiles;
    struct store_digest id;
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    check_ok(store_open(path, &instance.store_options, &instance.store));
    for (unsigned i = 0; i < COUNT; i++) {
        rules()->id[0] = (uint8_t)(i * 151);
        rules()->life.reasons = i;
        profiles = open_profiles(&clock);
        rpc_profiles_close(profiles);
    }
    profiles = open_profiles(&clock);
    memcpy(id.bytes, rules()->id, STORE_DIGEST_LEN);
    for (unsigned i = 0; i < COUNT; i++) {
        id.bytes[0] = (uint8_t)(i * 151);
        cr_assert_eq(rpc_profiles_life(profiles, &id)->reasons, i);
    }
    id.bytes[1]++;
    cr_assert(rpc_profiles_life(profiles, &id) == &RULES_LIFE_PLAIN);
    rpc_profiles_close(profiles);
}

/* Whatever became of a commit that failed, the next start makes it right. */
Test(profiles, there_is_no_start_without_the_record_and_never_a_second_one)
{
    struct rpc_clock_guard clock;
    struct rpc_profiles *profiles;
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    for (int round = 0; round < 2; round++) {
        rules()->id[0]++;
        check_ok(store_open(path, &instance.store_options, &instance.store));
        rpc_clock_init(&clock, &instance.config.clock, instance.config.clock_tolerance_us, 0);
        fault_commit_is_on_disk = round == 1;
        atomic_store(&fault_commit, 1);
        check_err(rpc_profiles_open(&instance.config, instance.store, &clock, &profiles),
                  CA_ERR_STORAGE);
        cr_assert_null(profiles);
        cr_assert_eq(introduced(rules()->id[0]), (size_t)round);
        store_close(instance.store);
        instance_start(&instance);
        cr_assert_eq(introduced(rules()->id[0]), 1);
        check_ok(instance_check(&instance));
        instance_stop(&instance);
    }
}

/* ---- certificates */

static void check_act(const char *id, Certmill__Act act, const struct ca_serial *serial,
                      uint32_t reason, const char *code)
{
    cr_assert_str_eq(life_act(&instance, id, act, serial, reason).code, code, "%s", id);
}

/* The same name, another identity. */
static void edit_profile(uint32_t reasons, bool allows_hold)
{
    struct rules_profile *rules = &instance.profiles[0].rules;

    instance_stop(&instance);
    rules->id[0]++;
    rules->life.reasons = reasons;
    rules->life.allows_hold = allows_hold;
    instance_start(&instance);
}

Test(profiles, what_a_profile_said_holds_for_its_certificates_when_it_has_changed)
{
    instance_start(&instance);
    struct ca_serial old = life_new(&instance, "request-0000000001", "alice").serial;
    struct ca_serial held = life_new(&instance, "request-0000000002", "bob").serial;
    check_act("act-request-hold0", HOLD, &held, 0, "OK");
    edit_profile(1u << X509_CRL_KEY_COMPROMISE, false);
    struct ca_serial new = life_new(&instance, "request-0000000003", "carol").serial;
    check_act("act-request-hold1", HOLD, &old, 0, "OK");
    check_act("act-request-free1", RELEASE, &old, 0, "OK");
    check_act("act-request-hold2", HOLD, &new, 0, "HOLD");
    check_act("act-request-free0", RELEASE, &held, 0, "OK");
    check_act("act-request-stop1", REVOKE, &old, X509_CRL_AA_COMPROMISE, "REASON");
    check_act("act-request-stop2", REVOKE, &old, X509_CRL_SUPERSEDED, "OK");
    check_act("act-request-stop3", REVOKE, &new, X509_CRL_SUPERSEDED, "REASON");

    edit_profile(1u << X509_CRL_AA_COMPROMISE, true);
    check_act("act-request-hold3", HOLD, &held, 0, "OK");
    check_act("act-request-hold4", HOLD, &new, 0, "HOLD");
    check_act("act-request-stop4", REVOKE, &new, X509_CRL_AA_COMPROMISE, "REASON");
    check_act("act-request-stop5", REVOKE, &new, X509_CRL_KEY_COMPROMISE, "OK");
    check_act("act-request-stop6", REVOKE, &held, X509_CRL_CESSATION_OF_OPERATION, "OK");
}

/* The record of an intent has its profile as well. */
Test(profiles, what_a_profile_said_holds_for_intents_when_it_has_changed)
{
    struct store_intent intent;
    struct store_view *view;
    size_t count;

    instance_start(&instance);
    atomic_store(&fault_signatures, 1);
    cr_assert_str_eq(life_new(&instance, "request-0000000001", "alice").code, "UNKNOWN");
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_intents(view, 0, &intent, 1, &count));
    cr_assert_eq(count, 1);
    store_view_close(view);
    edit_profile(1u << X509_CRL_KEY_COMPROMISE, true);
    check_act("act-request-stop1", REVOKE, &intent.serial, X509_CRL_AA_COMPROMISE, "REASON");
    check_act("act-request-stop2", REVOKE, &intent.serial, X509_CRL_SUPERSEDED, "OK");
}

/* ---- asked for */

static Certmill__Answer *ask(struct ca_bytes after, uint32_t limit)
{
    Certmill__ProfilesRequest profiles = CERTMILL__PROFILES_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    profiles.after = rpc_binary(after);
    profiles.limit = limit;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_PROFILES;
    request.profiles = &profiles;
    return instance_ask(&instance, &request);
}

/* Page by page; the last one is the one that is configured. Answers the number of pages. */
static size_t check_listed(size_t count, uint32_t limit)
{
    uint8_t after[RULES_PROFILE_ID_LEN];
    size_t seen = 0, pages = 0;

    for (bool is_end = false; !is_end; pages++) {
        Certmill__Answer *answer = ask(ca_bytes_of(after, seen == 0 ? 0 : sizeof(after)), limit);
        cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_PROFILES);
        const Certmill__ProfilesAnswer *profiles = answer->profiles;
        is_end = profiles->is_end;
        cr_assert(profiles->n_profiles > 0 || is_end);
        for (size_t i = 0; i < profiles->n_profiles; i++) {
            const Certmill__Profile *profile = profiles->profiles[i];
            cr_assert_eq(profile->id.len, sizeof(after));
            cr_assert_eq(profile->id.data[0], ++seen);
            cr_assert_str_eq(profile->name, "test");
            cr_assert(profile->introduced_us > 0 && profile->is_configured == (seen == count));
            check_bytes(rpc_bytes(profile->content), rules()->content);
            memcpy(after, profile->id.data, sizeof(after));
        }
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert_eq(seen, count);
    return pages;
}

static void introduce(size_t count)
{
    struct rpc_clock_guard clock;
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    check_ok(store_open(path, &instance.store_options, &instance.store));
    for (size_t i = 1; i <= count; i++) {
        rules()->id[0] = (uint8_t)i;
        rpc_profiles_close(open_profiles(&clock));
    }
    store_close(instance.store);
}

Test(profiles, they_are_told_page_by_page)
{
    enum { COUNT = 40 };

    rules()->content = CA_BYTES("what it says");
    introduce(COUNT);
    instance_start(&instance);
    cr_assert_eq(check_listed(COUNT, 0), 1);
    cr_assert_eq(check_listed(COUNT, 41), 1);
    cr_assert_eq(check_listed(COUNT, 17), 3);
    cr_assert_eq(check_listed(COUNT, 1), COUNT + 1);
}

Test(profiles, long_ones_do_not_make_a_long_answer)
{
    enum { COUNT = 12 };
    static uint8_t content[CA_PROFILE_LEN_MAX];

    rules()->content = ca_bytes_of(content, sizeof(content));
    introduce(COUNT);
    instance_start(&instance);
    cr_assert_eq(check_listed(COUNT, 0), 3); /* of four each */
}

Test(profiles, a_damaged_one_is_told_in_its_place)
{
    enum { COUNT = 5, DAMAGED = 3 };
    struct store_digest id;
    char path[96];

    rules()->content = CA_BYTES("what it says");
    introduce(COUNT);
    instance_start(&instance);
    memcpy(id.bytes, rules()->id, sizeof(id.bytes));
    id.bytes[0] = DAMAGED;
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    data_file_damage(path, "profiles", ca_bytes_of(id.bytes, sizeof(id.bytes)));
    Certmill__Answer *answer = ask(ca_bytes_of("", 0), 0);
    cr_assert(answer->status == NULL && answer->profiles->n_profiles == COUNT);
    for (int i = 0; i < COUNT; i++) {
        const Certmill__Profile *profile = answer->profiles->profiles[i];
        cr_assert_eq(profile->id.data[0], i + 1);
        cr_assert_eq(profile->status != NULL, i + 1 == DAMAGED);
        cr_assert_eq(profile->content.len > 0, i + 1 != DAMAGED);
        cr_assert(profile->status == NULL || strcmp(profile->status->code, "STORAGE_CORRUPT") == 0);
    }
    certmill__answer__free_unpacked(answer, NULL);
}

Test(profiles, what_is_asked_wrong_is_refused)
{
    instance_start(&instance);
    Certmill__Answer *answers[] = { ask(CA_BYTES("short"), 0), ask(CA_BYTES(""), 1001) };
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(answers[i]->status->code, "FIELD_FORMAT");
        certmill__answer__free_unpacked(answers[i], NULL);
    }
}

/* ---- a store that was made before profiles were remembered */

static void forget_all(void)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    data_file_drop(path, "profiles");
}

Test(profiles, certificates_of_a_profile_that_nobody_remembers_are_revoked_and_released_only)
{
    instance_start(&instance);
    struct ca_serial serial = life_new(&instance, "request-0000000001", "alice").serial;
    struct ca_serial held = life_new(&instance, "request-0000000002", "bob").serial;
    check_act("act-request-hold0", HOLD, &held, 0, "OK");
    instance_stop(&instance);
    forget_all();
    rules()->id[0]++;
    instance_start(&instance);
    check_act("act-request-hold1", HOLD, &serial, 0, "HOLD");
    check_act("act-request-stop1", REVOKE, &serial, X509_CRL_AA_COMPROMISE, "REASON");
    check_act("act-request-stop2", REVOKE, &serial, X509_CRL_PRIVILEGE_WITHDRAWN, "OK");
    check_act("act-request-free0", RELEASE, &held, 0, "OK");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures and commits that fail: what has an intent, and no result until it is asked again. */
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/faults.h"
#include "tests/support/pipeline.h"

/* The first to-be-signed bytes change in memory, between their intent and their signature. */
static atomic_bool is_tbs_spoilt;

void __real_rpc_issue_sign(struct rpc_worker *worker, struct rpc_group *groups);
void __wrap_rpc_issue_sign(struct rpc_worker *worker, struct rpc_group *groups);
void __wrap_rpc_issue_sign(struct rpc_worker *worker, struct rpc_group *groups)
{
    if (atomic_exchange(&is_tbs_spoilt, false))
        ((uint8_t *)(uintptr_t)groups->items[0]->tbs.data)[groups->items[0]->tbs.len / 2] ^= 1;
    __real_rpc_issue_sign(worker, groups);
}

static void start_with_wrong_signatures(void)
{
    fault_signature_err = CA_ERR_SIGNATURE_WRONG;
    start();
}

TestSuite(intents, .init = start_with_wrong_signatures, .fini = stop, .timeout = 60);

Test(intents, bytes_that_changed_since_their_intent_are_not_signed)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    atomic_store(&is_tbs_spoilt, true);
    check_one(ID, csr, "UNKNOWN");
    cr_assert(info().certificate_count == 0 && info().intent_count == 1);
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(intents, a_failed_signature_leaves_an_intent_that_asking_again_resolves)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct store_view *view;
    struct store_intent intent;
    size_t count;

    atomic_store(&fault_signatures, 1);
    check_one(ID, csr, "UNKNOWN");
    cr_assert(info().certificate_count == 0 && info().intent_count == 1);
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_intents(view, 0, &intent, 1, &count));
    cr_assert(count == 1);
    store_view_close(view);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "bob"), "IDEMPOTENCY_CONFLICT");

    instance_stop(&instance);
    instance_start(&instance);
    Certmill__Answer *answer = issue_one(ID, csr);
    cr_assert_str_eq(code_of(only_result(answer)), "OK");
    check_bytes(bytes_of(only_result(answer)->serial), ca_serial_bytes(&intent.serial));
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(intents, a_signature_that_fails_for_several_at_once_is_resolved_by_each)
{
    enum { CALLERS = 6 };
    char ids[CALLERS][32];
    Certmill__IssueItem item, *pointer = &item;
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    struct asker *askers[CALLERS];
    size_t unknown = 0;

    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    atomic_store(&fault_signatures, 1);
    for (size_t i = 0; i < CALLERS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "request-%08zu", i);
        instance_item(&item, ids[i], csr);
        askers[i] = instance_ask_begin(&instance, &request);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        Certmill__Answer *answer = instance_ask_end(askers[i]);
        unknown += strcmp(code_of(only_result(answer)), "UNKNOWN") == 0;
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert(unknown > 0 && info().intent_count == unknown);
    cr_assert(info().certificate_count == CALLERS - unknown);
    for (size_t i = 0; i < CALLERS; i++)
        check_one(ids[i], csr, "OK");
    cr_assert(info().certificate_count == CALLERS && info().intent_count == 0);
}

Test(intents, an_intent_of_another_profile_is_not_signed)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    atomic_store(&fault_signatures, 1);
    check_one(ID, csr, "UNKNOWN");
    instance_stop(&instance);
    instance.profiles[0].rules.terms[0] = 24;
    instance_start(&instance);
    check_one(ID, csr, "INTENT_CHANGED");
    cr_assert(info().certificate_count == 0 && info().intent_count == 1);
}

/* Commit 1 holds the intent, commit 2 the certificate. */
static void fail_commit_and_ask_again(int which, bool is_on_disk)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    fault_commit_is_on_disk = is_on_disk;
    atomic_store(&fault_commit, which);
    check_one(ID, csr, "UNKNOWN");
    check_one("request-after-the-failure", csr, "STORAGE");

    instance_stop(&instance);
    instance_start(&instance);
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(intents, a_failed_first_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(1, false);
}

Test(intents, a_failed_second_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(2, false);
}

Test(intents, a_first_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(1, true);
}

Test(intents, a_second_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(2, true);
}

/* ---- commits without memory: nothing of them is there, and nothing else stops */

static void run_out_and_ask_again(int which, uint64_t intents)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    fault_commit_err = CA_ERR_NOMEM;
    atomic_store(&fault_commit, which);
    check_one(ID, csr, "UNKNOWN");
    cr_assert(info().certificate_count == 0 && info().intent_count == intents);
    cr_assert(rpc_claims_orphan_count(instance.pipeline->engine.claims) == intents);
    check_one("request-after-the-failure", csr, "OK");
    check_one(ID, csr, "OK");
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 2 && info().intent_count == 0);
    cr_assert(rpc_claims_orphan_count(instance.pipeline->engine.claims) == 0);
}

Test(intents, a_first_commit_without_memory_leaves_no_trace)
{
    run_out_and_ask_again(1, 0);
}

Test(intents, a_second_commit_without_memory_leaves_an_intent_that_is_resolved)
{
    run_out_and_ask_again(2, 1);
}

Test(intents, commits_without_memory_one_after_the_other_end_in_one_certificate)
{
    static const int which[] = { 1, 2, 1, 2, 1 };
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    fault_commit_err = CA_ERR_NOMEM;
    for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
        atomic_store(&fault_commit, which[i]);
        check_one(ID, csr, "UNKNOWN");
        cr_assert(info().certificate_count == 0 && info().intent_count == (i > 0));
    }
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(intents, a_key_is_free_again_after_a_commit_without_memory)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    instance_stop(&instance);
    instance.profiles[0].rules.key_reuse = RULES_KEY_REUSE_REFUSED;
    instance_start(&instance);
    fault_commit_err = CA_ERR_NOMEM;
    atomic_store(&fault_commit, 1);
    check_one(ID, csr, "UNKNOWN");
    check_one("request-of-the-same-key", csr, "OK");
    check_one(ID, csr, "CSR_KEY_REUSED");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

/* Every request twice at once, and any of the commits without memory. */
Test(intents, requests_that_meet_a_commit_without_memory_get_one_certificate_each)
{
    enum { ROUNDS = 24, REQUESTS = 8 };
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__IssueItem item, *pointer = &item;
    struct asker *askers[2 * REQUESTS];
    char ids[REQUESTS][40];

    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    fault_commit_err = CA_ERR_NOMEM;
    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&fault_commit, 1 + round % 6);
        for (size_t i = 0; i < 2 * REQUESTS; i++) {
            snprintf(ids[i / 2], sizeof(ids[0]), "request-%08d-%08zu", round, i / 2);
            instance_item(&item, ids[i / 2], csr);
            askers[i] = instance_ask_begin(&instance, &request);
        }
        for (size_t i = 0; i < 2 * REQUESTS; i++) {
            Certmill__Answer *answer = instance_ask_end(askers[i]);
            const char *code = code_of(only_result(answer));
            cr_assert(strcmp(code, "OK") == 0 || strcmp(code, "UNKNOWN") == 0, "%s", code);
            certmill__answer__free_unpacked(answer, NULL);
        }
        atomic_store(&fault_commit, 0);
        for (size_t i = 0; i < REQUESTS; i++)
            check_one(ids[i], csr, "OK");
        cr_assert(info().certificate_count == (uint64_t)(round + 1) * REQUESTS);
        cr_assert(info().intent_count == 0);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/pipeline_parts.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/instance.h"

static struct instance instance;

/*
 * The linker sends the pipeline's calls of these two through here (--wrap), so that signing and
 * commits can be made to fail.
 */
static atomic_int sign_failures, commit_failures;
static atomic_bool is_signing_held; /* the next signature waits until it no longer is */
static atomic_int signatures_held;
static bool is_committed_all_the_same; /* a false failure: reported, but on disk */

enum ca_err __real_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures)
{
    if (atomic_load(&is_signing_held) && atomic_fetch_add(&signatures_held, 1) == 0) {
        while (atomic_load(&is_signing_held))
            sched_yield();
    }
    if (atomic_load(&sign_failures) > 0) {
        atomic_fetch_sub(&sign_failures, 1);
        return CA_ERR_SIGNATURE_WRONG;
    }
    return __real_keys_sign(signer, crypto, order, signatures);
}

enum ca_err __real_store_commit(struct store_batch *batch);
enum ca_err __wrap_store_commit(struct store_batch *batch);
enum ca_err __wrap_store_commit(struct store_batch *batch)
{
    if (atomic_load(&commit_failures) == 0)
        return __real_store_commit(batch);
    if (atomic_fetch_sub(&commit_failures, 1) > 1)
        return __real_store_commit(batch);
    if (is_committed_all_the_same)
        return __real_store_commit(batch) == CA_OK ? CA_ERR_STORAGE : CA_ERR_INTERNAL;
    store_abort(batch);
    return CA_ERR_STORAGE;
}

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

/* Closing, where no more may be written: what is answered then. */
static bool is_join_watched;
static enum ca_err write_while_stopping;

static enum ca_err put_audit(void *arg, struct store_batch *batch);

int __real_pthread_join(pthread_t thread, void **result_out);
int __wrap_pthread_join(pthread_t thread, void **result_out);
int __wrap_pthread_join(pthread_t thread, void **result_out)
{
    if (is_join_watched)
        write_while_stopping = rpc_pipeline_write(instance.pipeline, put_audit, NULL);
    is_join_watched = false;
    return __real_pthread_join(thread, result_out);
}

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(pipeline, .init = start, .fini = stop, .timeout = 60);

static const char ID[] = "request-0000000001";

static Certmill__IssueResult *only_result(const Certmill__Answer *answer)
{
    cr_assert(answer->status == NULL, "refused: %s", answer->status->code);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_ISSUE);
    cr_assert(answer->issue->n_items == 1);
    return answer->issue->items[0];
}

static const char *code_of(const Certmill__IssueResult *result)
{
    return result->status == NULL ? "OK" : result->status->code;
}

static Certmill__Answer *issue_one(const char *id, struct ca_bytes csr)
{
    Certmill__IssueItem item, *pointer = &item;

    instance_item(&item, id, csr);
    return instance_issue(&instance, &pointer, 1);
}

static void check_one(const char *id, struct ca_bytes csr, const char *code)
{
    Certmill__Answer *answer = issue_one(id, csr);

    cr_assert_str_eq(code_of(only_result(answer)), code);
    certmill__answer__free_unpacked(answer, NULL);
}

static struct ca_bytes bytes_of(ProtobufCBinaryData data)
{
    return ca_bytes_of(data.data, data.len);
}

static struct store_info info(void)
{
    struct store_info now;

    store_info(instance.store, &now);
    return now;
}

Test(pipeline, a_request_becomes_a_certificate_that_its_ca_signed)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__Answer *answer = issue_one(ID, csr);
    Certmill__IssueResult *result = only_result(answer);
    struct ca_refusal refusal;
    struct x509_cert cert;

    cr_assert_str_eq(code_of(result), "OK");
    check_ok(x509_cert_parse(bytes_of(result->certificate), &cert, &refusal));
    check_bytes(cert.serial, bytes_of(result->serial));
    check_bytes(cert.subject.attributes[0].value, CA_BYTES("alice"));
    cr_assert(cert.not_before_s == result->not_before && cert.not_after_s == result->not_after);
    struct crypto_verification verification = { cert.sig, instance.cas[0].issuer.key, cert.tbs,
                                                cert.signature, CA_OK };
    crypto_verify_many(instance.crypto, &verification, 1);
    check_ok(verification.result);
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(pipeline, the_longest_algorithm_identifier_has_room)
{
    stop();
    instance_make(&instance, CRYPTO_KEY_RSA);
    instance.cas[0].issuer.sig = CRYPTO_SIG_PSS_SHA512;
    instance_start(&instance);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "pss"), "OK");
}

Test(pipeline, the_same_request_gets_the_same_answer_also_after_a_restart)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__Answer *first = issue_one(ID, csr);
    cr_assert_str_eq(code_of(only_result(first)), "OK");

    for (int round = 0; round < 3; round++) {
        Certmill__Answer *again = issue_one(ID, csr);
        uint8_t packed[2][4096];
        size_t len = certmill__answer__pack(first, packed[0]);
        cr_assert(certmill__answer__pack(again, packed[1]) == len);
        check_bytes(ca_bytes_of(packed[1], len), ca_bytes_of(packed[0], len));
        certmill__answer__free_unpacked(again, NULL);
        instance_stop(&instance);
        instance_start(&instance);
    }
    cr_assert(info().certificate_count == 1);
    certmill__answer__free_unpacked(first, NULL);
}

Test(pipeline, the_same_id_with_another_body_is_refused_and_audited)
{
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
    struct store_info before = info();

    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "bob"), "IDEMPOTENCY_CONFLICT");
    cr_assert(info().certificate_count == before.certificate_count);
    cr_assert(info().audit_sequence == before.audit_sequence + 1);
}

Test(pipeline, the_same_id_twice_in_one_message_makes_one_certificate)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__IssueItem items[2], *pointers[2] = { &items[0], &items[1] };

    instance_item(&items[0], ID, csr);
    instance_item(&items[1], ID, csr);
    Certmill__Answer *answer = instance_issue(&instance, pointers, 2);
    cr_assert_str_eq(code_of(answer->issue->items[0]), "OK");
    cr_assert_str_eq(code_of(answer->issue->items[1]), "UNKNOWN");
    cr_assert(answer->issue->items[1]->status->retry_after_ms > 0);
    certmill__answer__free_unpacked(answer, NULL);

    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1);
}

/* Neither sees the other before both are reserved. */
Test(pipeline, the_same_key_twice_in_one_message_makes_one_certificate)
{
    Certmill__IssueItem items[2], *pointers[2] = { &items[0], &items[1] };

    instance_stop(&instance);
    instance.profiles[0].rules.key_reuse = RULES_KEY_REUSE_REFUSED;
    instance_start(&instance);
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    instance_item(&items[0], ID, csr);
    instance_item(&items[1], "request-another-one", csr);
    Certmill__Answer *answer = instance_issue(&instance, pointers, 2);
    cr_assert_str_eq(code_of(answer->issue->items[0]), "OK");
    cr_assert_str_eq(code_of(answer->issue->items[1]), "UNKNOWN");
    certmill__answer__free_unpacked(answer, NULL);

    check_one("request-another-one", csr, "CSR_KEY_REUSED");
    cr_assert(info().certificate_count == 1);
}

Test(pipeline, a_dry_run_shows_the_bytes_and_leaves_nothing)
{
    Certmill__IssueItem item, *pointer = &item;
    struct store_info before = info();
    struct ca_refusal refusal;
    struct x509_cert tbs;

    instance_item(&item, "", instance_csr(&instance, CRYPTO_KEY_SM2, "alice"));
    item.dry_run = true;
    Certmill__Answer *answer = instance_issue(&instance, &pointer, 1);
    Certmill__IssueResult *result = only_result(answer);
    cr_assert_str_eq(code_of(result), "OK");
    cr_assert(result->certificate.len == 0 && result->serial.len == 0);
    check_ok(x509_tbs_parse(bytes_of(result->tbs), &tbs, &refusal));
    cr_assert(result->not_after == tbs.not_after_s);
    cr_assert(info().audit_sequence == before.audit_sequence);
    cr_assert(info().certificate_count == 0 && info().intent_count == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(pipeline, what_is_refused_is_named_and_changes_nothing)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct ca_bytes forged = ca_arena_copy(instance.arena, csr);
    struct store_info before = info();

    check_one("short", csr, "REQUEST_ID");
    check_one(ID, CA_BYTES("not a request"), "CSR_PARSE");
    ((uint8_t *)(uintptr_t)forged.data)[forged.len - 5] ^= 1;
    check_one(ID, forged, "CSR_SIG");
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P384, "alice"), "KEY_TYPE");

    Certmill__IssueItem items[4], *pointers[4] = { &items[0], &items[1], &items[2], &items[3] };
    Certmill__Value value, *values = &value;
    certmill__value__init(&value);
    value.name = rpc_text("telephone");
    value.value = rpc_binary(CA_BYTES("1"));
    for (size_t i = 0; i < 4; i++)
        instance_item(&items[i], ID, csr);
    items[0].profile = rpc_text("other");
    items[1].ca = rpc_text("other");
    items[2].term = 13;
    items[3].n_values = 1;
    items[3].values = &values;
    Certmill__Answer *answer = instance_issue(&instance, pointers, 4);
    cr_assert_str_eq(code_of(answer->issue->items[0]), "PROFILE_UNKNOWN");
    cr_assert_str_eq(code_of(answer->issue->items[1]), "CA_UNKNOWN");
    cr_assert_str_eq(code_of(answer->issue->items[2]), "TERM");
    cr_assert_str_eq(code_of(answer->issue->items[3]), "FIELD_NOT_ALLOWED");
    for (size_t i = 0; i < 4; i++)
        cr_assert(answer->issue->items[i]->status->field[0] != '\0');
    certmill__answer__free_unpacked(answer, NULL);

    cr_assert(info().certificate_count == 0 && info().intent_count == 0);
    cr_assert(info().audit_sequence == before.audit_sequence);
    check_one(ID, csr, "OK");
}

Test(pipeline, the_key_of_a_ca_is_refused)
{
    const struct rpc_ca *ca = &instance.cas[1];
    struct x509_attribute subject = { x509_attribute_type_by_name("CN")->oid, DER_UTF8_STRING,
                                      CA_BYTES("alice") };
    uint8_t buffer[2048], info_buffer[1024];
    struct crypto_signature signature;
    struct der_writer writer;

    der_writer_init(&writer, info_buffer, sizeof(info_buffer));
    x509_csr_info_write(&writer, &subject, 1, ca->issuer.key, NULL, 0);
    struct ca_bytes csr_info = der_writer_bytes(&writer);
    check_ok(keys_sign_many(ca->signer, instance.crypto, ca->issuer.sig, &csr_info, 1, &signature));
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_signed_write(&writer, csr_info, ca->issuer.sig,
                      ca_bytes_of(signature.bytes, signature.len));

    check_one(ID, der_writer_bytes(&writer), "KEY_OF_CA");
}

Test(pipeline, callers_with_many_items_at_once_are_all_answered)
{
    enum { CALLERS = 12, ITEMS = 100 };
    static char ids[CALLERS][ITEMS][32];
    static Certmill__IssueItem items[CALLERS][ITEMS], *pointers[CALLERS][ITEMS];
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct asker *askers[CALLERS];

    for (size_t caller = 0; caller < CALLERS; caller++) {
        Certmill__Request request = CERTMILL__REQUEST__INIT;
        Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
        for (size_t i = 0; i < ITEMS; i++) {
            snprintf(ids[caller][i], sizeof(ids[caller][i]), "request-%08zu-%08zu", caller, i);
            instance_item(&items[caller][i], ids[caller][i], csr);
            items[caller][i].ca = rpc_text(i % 2 == 0 ? "root" : "second");
            pointers[caller][i] = &items[caller][i];
        }
        issue.n_items = ITEMS;
        issue.items = pointers[caller];
        request.version = RPC_VERSION;
        request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
        request.issue = &issue;
        askers[caller] = instance_ask_begin(&instance, &request);
    }
    for (size_t caller = 0; caller < CALLERS; caller++) {
        Certmill__Answer *answer = instance_ask_end(askers[caller]);
        for (size_t i = 0; i < ITEMS; i++)
            cr_assert_str_eq(code_of(answer->issue->items[i]), "OK");
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert(info().certificate_count == CALLERS * ITEMS && info().intent_count == 0);
}

Test(pipeline, what_is_long_in_hand_holds_up_no_commit)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__IssueItem item, *pointer = &item;
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    instance_stop(&instance);
    instance.config.limits.worker_count = 2;
    instance_start(&instance);
    instance_item(&item, ID, csr);
    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    atomic_store(&is_signing_held, true);
    struct asker *slow = instance_ask_begin(&instance, &request);
    while (atomic_load(&signatures_held) == 0)
        sched_yield();
    check_one("request-beside-a-slow-one", csr, "OK");

    atomic_store(&is_signing_held, false);
    Certmill__Answer *answer = instance_ask_end(slow);
    cr_assert_str_eq(code_of(only_result(answer)), "OK");
    certmill__answer__free_unpacked(answer, NULL);
}

/* As after so many answers to callers who have always come back, while a commit takes that long. */
static void expect_callers(size_t count, uint64_t commit_ns)
{
    struct rpc_pipeline *pipeline = instance.pipeline;

    pthread_mutex_lock(&pipeline->lock);
    pipeline->commit_ns = commit_ns;
    pipeline->returns = (struct rpc_returns){ rpc_now_ns(), .answered = count, .percent = 100 };
    pthread_mutex_unlock(&pipeline->lock);
}

Test(pipeline, who_waits_for_callers_to_come_back_does_not_wait_for_ever)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    enum ca_err refusal = CA_OK;

    for (int i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof(id), "request-that-is-alone-%d", i);
        expect_callers(5, 100000000);
        check_one(id, csr, "OK");
        expect_callers(5, 100000000);
        check_ok(rpc_pipeline_write(instance.pipeline, put_audit, &refusal));
    }
}

Test(pipeline, callers_who_come_back_are_waited_for)
{
    struct asker *askers[5];
    Certmill__Request requests[5];
    Certmill__IssueRequest issues[5];
    Certmill__IssueItem items[5], *pointers[5];
    char ids[5][32];
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    expect_callers(5, 20000000000);
    uint64_t before = atomic_load(&instance.pipeline->engine.counters.commits);
    for (int i = 0; i < 5; i++) {
        snprintf(ids[i], sizeof(ids[i]), "request-that-comes-again-%d", i);
        instance_item(&items[i], ids[i], csr);
        pointers[i] = &items[i];
        issues[i] = (Certmill__IssueRequest)CERTMILL__ISSUE_REQUEST__INIT;
        issues[i].n_items = 1;
        issues[i].items = &pointers[i];
        requests[i] = (Certmill__Request)CERTMILL__REQUEST__INIT;
        requests[i].version = RPC_VERSION;
        requests[i].method_case = CERTMILL__REQUEST__METHOD_ISSUE;
        requests[i].issue = &issues[i];
        askers[i] = instance_ask_begin(&instance, &requests[i]);
    }
    for (int i = 0; i < 5; i++) {
        Certmill__Answer *answer = instance_ask_end(askers[i]);
        cr_assert_str_eq(code_of(only_result(answer)), "OK");
        certmill__answer__free_unpacked(answer, NULL);
    }
    uint64_t commits = atomic_load(&instance.pipeline->engine.counters.commits) - before;
    cr_assert_eq(commits, 2, "%zu commits for five", (size_t)commits);
}

Test(pipeline, more_than_the_queue_holds_is_busy)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__IssueItem items[3], *pointers[3] = { &items[0], &items[1], &items[2] };

    instance_stop(&instance);
    instance.config.limits.queue_items_max = 2;
    instance_start(&instance);
    for (size_t i = 0; i < 3; i++)
        instance_item(&items[i], ID, csr);
    Certmill__Answer *answer = instance_issue(&instance, pointers, 3);
    cr_assert_str_eq(answer->status->code, "BUSY");
    cr_assert(answer->status->retry_after_ms > 0);
    certmill__answer__free_unpacked(answer, NULL);
    check_one(ID, csr, "OK");
}

Test(pipeline, whoever_has_an_answer_finds_its_place_free)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    char id[32];

    instance_stop(&instance);
    instance.config.limits.queue_items_max = 1;
    instance_start(&instance);
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "request-%08d", i);
        check_one(id, csr, "OK");
    }
}

Test(pipeline, a_drained_one_takes_no_more)
{
    rpc_pipeline_drain(instance.pipeline);
    Certmill__Answer *answer = issue_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"));
    cr_assert_str_eq(answer->status->code, "STOPPING");
    certmill__answer__free_unpacked(answer, NULL);
}

Test(pipeline, a_clock_that_went_back_stops_issuing)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    instance_stop(&instance);
    instance.wall_us = 1893456000000000; /* 2030 */
    instance.monotonic_us = 1000000;
    instance_start(&instance);
    check_one("request-before-the-jump", csr, "OK");

    instance.wall_us -= 3600000000;
    check_one("request-after-the-jump", csr, "CLOCK");
    instance_stop(&instance);
    instance_start(&instance);
    check_one("request-after-restart", csr, "CLOCK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(pipeline, bytes_that_changed_since_their_intent_are_not_signed)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    atomic_store(&is_tbs_spoilt, true);
    check_one(ID, csr, "UNKNOWN");
    cr_assert(info().certificate_count == 0 && info().intent_count == 1);
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(pipeline, a_failed_signature_leaves_an_intent_that_asking_again_resolves)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct store_view *view;
    struct store_intent intent;
    size_t count;

    atomic_store(&sign_failures, 1);
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

Test(pipeline, a_signature_that_fails_for_several_at_once_is_resolved_by_each)
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
    atomic_store(&sign_failures, 1);
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

Test(pipeline, an_intent_of_another_profile_is_not_signed)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    atomic_store(&sign_failures, 1);
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

    is_committed_all_the_same = is_on_disk;
    atomic_store(&commit_failures, which);
    check_one(ID, csr, "UNKNOWN");
    check_one("request-after-the-failure", csr, "STORAGE");

    instance_stop(&instance);
    instance_start(&instance);
    check_one(ID, csr, "OK");
    cr_assert(info().certificate_count == 1 && info().intent_count == 0);
}

Test(pipeline, a_failed_first_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(1, false);
}

Test(pipeline, a_failed_second_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(2, false);
}

Test(pipeline, a_first_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(1, true);
}

Test(pipeline, a_second_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(2, true);
}

/* ---- writes of other threads */

enum { WRITERS = 8, WRITES = 20 };

static enum ca_err put_audit(void *arg, struct store_batch *batch)
{
    struct store_audit audit = {
        .kind = STORE_AUDIT_STARTED,
        .time_us = 1700000000000000,
        .actor = CA_BYTES("test"),
        .object = CA_BYTES("write"),
    };

    (void)arg;
    return store_put_audit(batch, &audit);
}

static enum ca_err refuse(void *arg, struct store_batch *batch)
{
    (void)batch;
    return *(const enum ca_err *)arg;
}

/* Holds the writer, so that what begins meanwhile goes into one commit. */
static atomic_bool is_held, is_released;

static enum ca_err put_and_hold(void *arg, struct store_batch *batch)
{
    atomic_store(&is_held, true);
    while (!atomic_load(&is_released))
        sched_yield();
    return put_audit(arg, batch);
}

struct writing {
    pthread_t thread;
    enum ca_err (*put)(void *arg, struct store_batch *batch);
    enum ca_err refusal, err;
    int count;
};

static void *write_many(void *arg)
{
    struct writing *writing = arg;

    for (int i = 0; i < writing->count; i++) {
        uint64_t before = info().audit_sequence;
        writing->err = rpc_pipeline_write(instance.pipeline, writing->put, &writing->refusal);
        if (writing->err == CA_OK)
            cr_assert(info().audit_sequence > before, "answered before it was on disk");
    }
    return NULL;
}

static void write_begin(struct writing *writing,
                        enum ca_err (*put)(void *arg, struct store_batch *batch),
                        enum ca_err refusal, int count)
{
    *writing = (struct writing){ .put = put, .refusal = refusal, .count = count };
    cr_assert(pthread_create(&writing->thread, NULL, write_many, writing) == 0);
}

static enum ca_err write_end(struct writing *writing)
{
    cr_assert(pthread_join(writing->thread, NULL) == 0);
    return writing->err;
}

static void hold_writer(struct writing *writing)
{
    write_begin(writing, put_and_hold, CA_OK, 1);
    while (!atomic_load(&is_held))
        sched_yield();
}

static void wait_for_writes(size_t count)
{
    size_t begun;

    do {
        sched_yield();
        pthread_mutex_lock(&instance.pipeline->lock);
        begun = instance.pipeline->writes;
        pthread_mutex_unlock(&instance.pipeline->lock);
    } while (begun < count);
}

Test(pipeline, what_other_threads_write_is_on_disk_when_they_go_on)
{
    struct writing writings[WRITERS];
    uint64_t before = info().audit_sequence;

    for (size_t i = 0; i < WRITERS; i++)
        write_begin(&writings[i], put_audit, CA_OK, WRITES);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
    for (size_t i = 0; i < WRITERS; i++)
        check_ok(write_end(&writings[i]));
    instance_stop(&instance);
    instance_start(&instance);
    cr_assert(info().audit_sequence == before + WRITERS * WRITES + 1);
}

Test(pipeline, a_write_that_is_refused_ends_alone)
{
    struct writing first, good, refused, also_good;
    uint64_t before = info().audit_sequence;

    hold_writer(&first);
    write_begin(&good, put_audit, CA_OK, 1);
    wait_for_writes(2);
    write_begin(&refused, refuse, CA_ERR_EXISTS, 1);
    wait_for_writes(3);
    write_begin(&also_good, put_audit, CA_OK, 1);
    wait_for_writes(4);
    atomic_store(&is_released, true);
    check_ok(write_end(&first));
    check_ok(write_end(&good));
    cr_assert(write_end(&refused) == CA_ERR_EXISTS);
    check_ok(write_end(&also_good));
    cr_assert(info().audit_sequence == before + 3);
    cr_assert(atomic_load(&instance.pipeline->engine.counters.commits) == 2);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
}

/* Two writes in one commit, which does not come about; the third begins after that. */
static void fail_writes(enum ca_err (*put)(void *arg, struct store_batch *batch), enum ca_err err)
{
    struct writing first, good, bad, late;
    uint64_t before = info().audit_sequence;

    hold_writer(&first);
    write_begin(&good, put_audit, CA_OK, 1);
    wait_for_writes(2);
    write_begin(&bad, put, err, 1);
    wait_for_writes(3);
    atomic_store(&is_released, true);
    check_ok(write_end(&first));
    cr_assert(write_end(&good) == err);
    cr_assert(write_end(&bad) == err);
    write_begin(&late, put_audit, CA_OK, 1);
    cr_assert(write_end(&late) == CA_ERR_STORAGE);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "STORAGE");

    instance_stop(&instance);
    instance_start(&instance);
    cr_assert(info().audit_sequence == before + 1);
    write_begin(&late, put_audit, CA_OK, 1);
    check_ok(write_end(&late));
}

Test(pipeline, writes_of_a_commit_that_fails_have_failed)
{
    atomic_store(&commit_failures, 2); /* the second one */
    fail_writes(put_audit, CA_ERR_STORAGE);
}

Test(pipeline, a_write_that_the_store_cannot_take_ends_the_commit)
{
    fail_writes(refuse, CA_ERR_STORAGE);
}

Test(pipeline, a_write_without_memory_ends_the_commit)
{
    fail_writes(refuse, CA_ERR_NOMEM);
}

Test(pipeline, a_drained_one_still_writes_until_it_is_closed)
{
    struct writing first, second;
    uint64_t before = info().audit_sequence;

    rpc_pipeline_drain(instance.pipeline);
    write_begin(&first, put_audit, CA_OK, WRITES);
    write_begin(&second, put_audit, CA_OK, WRITES);
    check_ok(write_end(&first));
    check_ok(write_end(&second));
    cr_assert(info().audit_sequence == before + 2 * WRITES);

    is_join_watched = true;
    instance_stop(&instance);
    cr_assert(write_while_stopping == CA_ERR_STOPPING);
}

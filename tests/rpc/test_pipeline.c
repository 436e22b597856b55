/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "store/tables.h"
#include "tests/support/pipeline.h"

/* The linker sends the pipeline's calls of it through here (--wrap). */
static atomic_bool is_signing_held; /* the next signature waits until it no longer is */
static atomic_int signatures_held;

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
    return __real_keys_sign(signer, crypto, order, signatures);
}

TestSuite(pipeline, .init = start, .fini = stop, .timeout = 60);

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

/* While an answer waits for the transport: does a worker hold on to what the store was? */
static bool is_view_kept;

static void look_at_workers(void)
{
    struct rpc_pipeline *pipeline = instance.pipeline;

    for (size_t i = 0; i < pipeline->worker_count; i++)
        is_view_kept |= pipeline->workers[i].view->set != NULL;
}

Test(pipeline, an_answer_that_waits_to_be_sent_keeps_no_view)
{
    Certmill__Answer *issued = issue_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"));
    const Certmill__IssueResult *result = only_result(issued);

    instance_while_sending = look_at_workers;
    Certmill__Answer *got = instance_get(&instance, bytes_of(result->serial));
    check_bytes(bytes_of(got->get->items[0]->certificate), bytes_of(result->certificate));
    cr_assert(instance_while_sending == NULL && !is_view_kept);
    certmill__answer__free_unpacked(got, NULL);
    certmill__answer__free_unpacked(issued, NULL);
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

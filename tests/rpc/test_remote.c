/* SPDX-License-Identifier: Apache-2.0 */
/* Through the pipeline with a CA, "root", whose key is in a token, and one, "second", beside it. */
#include <p11-kit/pkcs11.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/instance.h"
#include "tests/support/softhsm.h"

enum { BATCHES = 12, ITEMS = 8, ROUNDS = 40 };

static struct softhsm softhsm;
static struct instance instance;
static uint8_t key_memory[1024];
static struct ca_bytes csr;
static const struct keys_pkcs11_options usual = {
    .module = FAULTP11_MODULE,
    .uri = SOFTHSM_URI "root",
    .pin_file = softhsm.pin_file,
    .sessions = 2,
    .timeout_ms = 30000,
    .rest_ms = 1,
};

static void make(void)
{
    softhsm_make(&softhsm);
    instance_make(&instance, CRYPTO_KEY_P256);
    csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
}

static void start(const struct keys_pkcs11_options *options)
{
    struct rpc_ca *ca = &instance.cas[0];
    struct crypto_public_key key = softhsm_generate("root", 1, CRYPTO_KEY_P256, key_memory);
    struct ca_refusal refusal;

    keys_signer_close(ca->signer);
    check_ok(keys_signer_open_pkcs11(options, &key, &refusal, &ca->signer));
    ca->issuer.key = keys_signer_public(ca->signer);
    x509_key_id(ca->issuer.key, ca->issuer.key_id);
    instance_start(&instance);
}

static void unmake(void)
{
    softhsm_heal(&softhsm);
    instance_unmake(&instance);
    softhsm_unmake(&softhsm);
}

TestSuite(remote, .init = make, .fini = unmake, .timeout = 300);

/* Requests with these numbers, in one message. */
static struct asker *ask(const char *ca, unsigned first)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__IssueItem items[ITEMS], *pointers[ITEMS];
    char ids[ITEMS][32];

    for (unsigned i = 0; i < ITEMS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s-request-%08u", ca, first + i);
        instance_item(&items[i], ids[i], csr);
        items[i].ca = rpc_text(ca);
        pointers[i] = &items[i];
    }
    issue.n_items = ITEMS;
    issue.items = pointers;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    return instance_ask_begin(&instance, &request);
}

static void check_certificate(ProtobufCBinaryData der)
{
    struct ca_refusal refusal;
    struct x509_cert cert;

    check_ok(x509_cert_parse(ca_bytes_of(der.data, der.len), &cert, &refusal));
    struct crypto_verification job = { cert.sig, instance.cas[0].issuer.key, cert.tbs,
                                       cert.signature, CA_OK };
    crypto_verify_many(instance.crypto, &job, 1);
    check_ok(job.result);
}

/* How many of them became certificates; the others were answered with one of the two codes. */
static size_t good(struct asker *asker, const char *code, const char *other_code, bool is_root)
{
    Certmill__Answer *answer = instance_ask_end(asker);
    size_t count = 0;

    cr_assert(answer->status == NULL, "refused: %s", answer->status->code);
    for (size_t i = 0; i < answer->issue->n_items; i++) {
        const Certmill__IssueResult *result = answer->issue->items[i];
        const char *got = result->status == NULL ? "OK" : result->status->code;
        if (result->status == NULL && is_root)
            check_certificate(result->certificate);
        if (result->status == NULL)
            count++;
        else
            cr_assert(strcmp(got, code) == 0 || strcmp(got, other_code) == 0, "%s", got);
    }
    certmill__answer__free_unpacked(answer, NULL);
    return count;
}

static struct store_info info(void)
{
    struct store_info now;

    store_info(instance.store, &now);
    return now;
}

Test(remote, a_key_in_a_token_signs_certificates)
{
    start(&usual);
    cr_assert(good(ask("root", 0), "none", "none", true) == ITEMS);
    cr_assert(atomic_load(&softhsm.faults->signatures) == ITEMS);
    cr_assert(info().certificate_count == ITEMS && info().intent_count == 0);
}

Test(remote, a_token_that_hangs_delays_no_other_ca)
{
    struct asker *waiting[BATCHES];

    start(&usual);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    for (unsigned i = 0; i < BATCHES; i++)
        waiting[i] = ask("root", i * ITEMS);
    while (atomic_load(&softhsm.faults->hanging) == 0)
        continue;
    for (unsigned i = 0; i < BATCHES; i++)
        cr_assert(good(ask("second", i * ITEMS), "none", "none", false) == ITEMS);
    cr_assert(atomic_load(&softhsm.faults->hanging) > 0);

    softhsm_heal(&softhsm);
    for (unsigned i = 0; i < BATCHES; i++)
        cr_assert(good(waiting[i], "none", "none", true) == ITEMS);
    cr_assert(info().certificate_count == 2 * BATCHES * ITEMS);
}

Test(remote, what_waits_for_a_token_is_bounded)
{
    struct asker *waiting[BATCHES];
    size_t count = 0;

    instance.config.limits.queue_items_max = 4 * 4 * ITEMS; /* a quarter of it for the token */
    start(&usual);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    for (unsigned i = 0; i < BATCHES; i++)
        waiting[i] = ask("root", i * ITEMS);
    while (atomic_load(&softhsm.faults->hanging) == 0)
        continue;
    cr_assert(good(ask("second", 0), "none", "none", false) == ITEMS);

    softhsm_heal(&softhsm);
    for (unsigned i = 0; i < BATCHES; i++)
        count += good(waiting[i], "BUSY", "BUSY", true);
    cr_assert(count > 0 && count < BATCHES * ITEMS, "%zu", count);
    cr_assert(info().certificate_count == count + ITEMS);
}

Test(remote, a_token_that_hangs_does_not_stop_the_end)
{
    struct keys_pkcs11_options options = usual;

    options.timeout_ms = 100;
    start(&options);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    struct asker *waiting = ask("root", 0);
    while (atomic_load(&softhsm.faults->hanging) == 0)
        continue;
    instance_stop(&instance);
    cr_assert(good(waiting, "UNKNOWN", "UNKNOWN", true) == 0);
    instance_start(&instance);
    cr_assert(info().intent_count == ITEMS);
}

/* UNKNOWN is resolved by asking again, and no certificate is made twice. */
Test(remote, requests_whose_signature_failed_are_finished_when_asked_again)
{
    static const int codes[] = { CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID,
                                 CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR };

    start(&usual);
    for (unsigned i = 0; i < ROUNDS; i++) {
        softhsm_fail(&softhsm, 0, i % 2 == 0 ? FAULTP11_C_Sign : FAULTP11_C_SignInit,
                     codes[i / 2 % 4], 1 + (int)i);
        good(ask("root", i * ITEMS), "UNKNOWN", "BUSY", true);
        softhsm_heal(&softhsm);
        while (good(ask("root", i * ITEMS), "UNKNOWN", "BUSY", true) < ITEMS)
            continue;
    }
    cr_assert(info().certificate_count == ROUNDS * ITEMS && info().intent_count == 0);
}

Test(remote, a_flipped_bit_ends_the_use_of_the_key_and_of_no_other)
{
    start(&usual);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_FLIP, 1);
    cr_assert(good(ask("root", 0), "UNKNOWN", "UNKNOWN", true) == 0);
    cr_assert(atomic_load(&softhsm.faults->rules[0].fired) == 1);
    cr_assert(good(ask("root", 0), "UNKNOWN", "UNKNOWN", true) == 0);
    cr_assert(good(ask("root", 100), "KEY_UNUSABLE", "KEY_UNUSABLE", true) == 0);
    cr_assert(good(ask("second", 0), "none", "none", false) == ITEMS);
    cr_assert(info().certificate_count == ITEMS && info().intent_count == ITEMS);
}

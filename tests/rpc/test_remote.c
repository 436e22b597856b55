/* SPDX-License-Identifier: Apache-2.0 */
/* Through the pipeline with a CA, "root", whose key is in a token, and one, "second", beside it. */
#include <p11-kit/pkcs11.h>
#include <stdio.h>

#include "ca/crypto/digest.h"
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

/* ---- no signature without a record */

enum { RECORDS_MAX = 4096 };

static bool is_among(const uint8_t digest[32], const uint8_t (*digests)[32], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ca_bytes_equal(ca_bytes_of(digest, 32), ca_bytes_of(digests[i], 32)))
            return true;
    }
    return false;
}

/* Of the to-be-signed bytes of everything that is on disk. */
static size_t recorded(uint8_t (*digests)[32])
{
    struct store_view *view;
    size_t count = 0, found;
    uint64_t after = 0;

    check_ok(store_view_open(instance.store, &view));
    do {
        struct store_intent intents[64];
        check_ok(store_find_intents(view, after, intents, 64, &found));
        for (size_t i = 0; i < found; i++)
            memcpy(digests[count++], intents[i].tbs_digest, 32);
        after = found == 0 ? 0 : ca_serial_locator(&intents[found - 1].serial);
    } while (found == 64);
    after = 0;
    do {
        struct store_certificate certificates[64];
        check_ok(store_find_time(view, 0, UINT64_MAX, after, certificates, 64, &found));
        for (size_t i = 0; i < found; i++) {
            struct ca_refusal refusal;
            struct x509_cert cert;
            check_ok(x509_cert_parse(certificates[i].der, &cert, &refusal));
            crypto_sha256(&cert.tbs, 1, digests[count++]);
        }
        after = found == 0 ? 0 : ca_serial_locator(&certificates[found - 1].serial);
    } while (found == 64);
    store_view_close(view);
    cr_assert(count < RECORDS_MAX - 128);
    return count;
}

static void check_every_signature_is_recorded(void)
{
    static uint8_t digests[RECORDS_MAX][32];
    size_t asked = atomic_load(&softhsm.faults->input_count);
    size_t count = recorded(digests);

    cr_assert(asked > 0 && asked <= FAULTP11_INPUTS);
    for (size_t i = 0; i < asked; i++)
        cr_assert(is_among(softhsm.faults->inputs[i], digests, count), "signature %zu", i);
}

/* Looked at while the token is signing: what it was given is on disk already. */
Test(remote, the_intent_is_on_disk_before_the_token_is_asked)
{
    struct asker *waiting[BATCHES];

    start(&usual);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    for (unsigned i = 0; i < BATCHES; i++)
        waiting[i] = ask("root", i * ITEMS);
    while (atomic_load(&softhsm.faults->hanging) < 2)
        continue;
    cr_assert(info().certificate_count == 0);
    check_every_signature_is_recorded();
    softhsm_heal(&softhsm);
    for (unsigned i = 0; i < BATCHES; i++)
        cr_assert(good(waiting[i], "none", "none", true) == ITEMS);
    cr_assert(atomic_load(&softhsm.faults->signatures) == BATCHES * ITEMS);
    check_every_signature_is_recorded();
}

/* Each call, each kind of loss; the other CA issues all the while. */
Test(remote, whatever_call_fails_every_signature_is_recorded_and_every_request_finished)
{
    static const int faults[] = { CKR_DEVICE_REMOVED,     CKR_SESSION_HANDLE_INVALID,
                                  CKR_USER_NOT_LOGGED_IN, CKR_OBJECT_HANDLE_INVALID,
                                  CKR_SESSION_COUNT,      CKR_CRYPTOKI_NOT_INITIALIZED };
    unsigned rounds = 0;

    start(&usual);
    for (int call = FAULTP11_C_GetSlotList; call < FAULTP11_CALL_COUNT; call++) {
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++, rounds++) {
            softhsm_close_sessions();
            softhsm_fail(&softhsm, 0, call, faults[i], FAULTP11_FOR_EVER);
            good(ask("root", rounds * ITEMS), "UNKNOWN", "BUSY", true);
            cr_assert(good(ask("second", rounds * ITEMS), "none", "none", false) == ITEMS);
            softhsm_heal(&softhsm);
            while (good(ask("root", rounds * ITEMS), "UNKNOWN", "BUSY", true) < ITEMS)
                continue;
        }
    }
    cr_assert(info().certificate_count == 2 * rounds * ITEMS && info().intent_count == 0);
    check_every_signature_is_recorded();
}

Test(remote, a_signature_that_was_wrong_is_recorded_as_an_intent)
{
    start(&usual);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_FLIP, 1);
    cr_assert(good(ask("root", 0), "UNKNOWN", "UNKNOWN", true) == 0);
    cr_assert(info().intent_count == ITEMS);
    check_every_signature_is_recorded();
}

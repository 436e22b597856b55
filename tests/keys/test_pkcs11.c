/* SPDX-License-Identifier: Apache-2.0 */
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ca/keys/keys.h"
#include "tests/support/check.h"
#include "tests/support/softhsm.h"

enum { COUNT = 64, FLIPS = 100, QUEUE_ITEMS_MAX = 1024 };

static struct softhsm softhsm;
static struct crypto *crypto;
static struct crypto_public_key key;
static uint8_t key_memory[1024];
static struct keys_pkcs11_options options;
static struct keys_signer *signer;
static struct ca_refusal refusal;
static uint32_t numbers[QUEUE_ITEMS_MAX];
static struct ca_bytes messages[QUEUE_ITEMS_MAX];
static struct crypto_signature signatures[QUEUE_ITEMS_MAX];

static void start(void)
{
    softhsm_make(&softhsm);
    check_ok(crypto_open(&crypto));
    key = softhsm_generate("good", 1, CRYPTO_KEY_P256, key_memory);
    options = (struct keys_pkcs11_options){
        .module = FAULTP11_MODULE,
        .uri = SOFTHSM_URI "good;type=private",
        .pin_file = softhsm.pin_file,
        .sessions = 3,
        .timeout_ms = 20000,
        .rest_ms = 1,
    };
    for (uint32_t i = 0; i < QUEUE_ITEMS_MAX; i++) {
        numbers[i] = i;
        messages[i] = ca_bytes_of(&numbers[i], sizeof(numbers[i]));
    }
}

static void stop(void)
{
    softhsm_heal(&softhsm);
    keys_signer_close(signer);
    crypto_close(crypto);
    softhsm_unmake(&softhsm);
}

TestSuite(pkcs11, .init = start, .fini = stop, .timeout = 300);

static void open_signer(void)
{
    keys_signer_close(signer);
    enum ca_err err = keys_signer_open_pkcs11(&options, &key, &refusal, &signer);
    cr_assert(err == CA_OK, "%s: %s: %s", ca_err_text(err), refusal.field, refusal.rule);
}

static enum ca_err sign(enum crypto_sig sig, size_t count)
{
    return keys_sign_many(signer, crypto, sig, messages, count, signatures);
}

/* By the other road: not with what the signer itself verifies with. */
static void check_signatures(const struct crypto_public_key *public, enum crypto_sig sig,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct crypto_verification job = { sig, public, messages[i],
                                           ca_bytes_of(signatures[i].bytes, signatures[i].len),
                                           CA_OK };
        crypto_verify_many(crypto, &job, 1);
        check_ok(job.result);
    }
}

static void sign_well(size_t count)
{
    check_ok(sign(CRYPTO_SIG_ECDSA_SHA256, count));
    check_signatures(&key, CRYPTO_SIG_ECDSA_SHA256, count);
}

static int fired(size_t rule)
{
    return atomic_load(&softhsm.faults->rules[rule].fired);
}

/* ---- what it can do */

Test(pkcs11, every_kind_of_signature_verifies)
{
    static const struct {
        enum crypto_key_type type;
        enum crypto_sig sigs[6];
    } kinds[] = {
        { CRYPTO_KEY_P256, { CRYPTO_SIG_ECDSA_SHA256 } },
        { CRYPTO_KEY_P384, { CRYPTO_SIG_ECDSA_SHA384 } },
        { CRYPTO_KEY_ED25519, { CRYPTO_SIG_ED25519 } },
        { CRYPTO_KEY_RSA,
          { CRYPTO_SIG_RSA_SHA256, CRYPTO_SIG_RSA_SHA384, CRYPTO_SIG_RSA_SHA512,
            CRYPTO_SIG_PSS_SHA256, CRYPTO_SIG_PSS_SHA384, CRYPTO_SIG_PSS_SHA512 } },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char label[] = "kind-0", uri[64];
        label[5] = (char)('0' + i);
        snprintf(uri, sizeof(uri), "%s%s", SOFTHSM_URI, label);
        key = softhsm_generate(label, (uint8_t)(10 + i), kinds[i].type, key_memory);
        options.uri = uri;
        open_signer();
        for (size_t k = 0; k < 6 && kinds[i].sigs[k] != CRYPTO_SIG_NONE; k++) {
            check_ok(sign(kinds[i].sigs[k], 9));
            check_signatures(&key, kinds[i].sigs[k], 9);
        }
    }
}

Test(pkcs11, a_digest_is_signed_like_its_message)
{
    struct crypto_message message;
    struct crypto_digest digest;

    open_signer();
    check_ok(crypto_message_init(&message, CRYPTO_SIG_ECDSA_SHA256, &key));
    crypto_message_update(&message, messages[0]);
    crypto_message_final(&message, &digest);
    check_ok(keys_sign_digest(signer, crypto, CRYPTO_SIG_ECDSA_SHA256, &digest, signatures));
    check_signatures(&key, CRYPTO_SIG_ECDSA_SHA256, 1);
}

Test(pkcs11, a_batch_comes_back_in_order_and_the_token_made_each_signature_once)
{
    open_signer();
    sign_well(COUNT);
    cr_assert(atomic_load(&softhsm.faults->signatures) == COUNT);
    cr_assert(keys_signer_is_remote(signer));
}

Test(pkcs11, a_kind_of_signature_that_does_not_fit_is_refused)
{
    open_signer();
    check_err(sign(CRYPTO_SIG_RSA_SHA256, 1), CA_ERR_KEY_UNUSABLE);
    check_err(sign(CRYPTO_SIG_ED25519, 1), CA_ERR_KEY_UNUSABLE);
    sign_well(1);
}

/* ---- start */

static void check_refused(enum ca_err want, const char *field)
{
    check_err(keys_signer_open_pkcs11(&options, &key, &refusal, &signer), want);
    cr_assert_str_eq(refusal.field, field, "%s: %s", refusal.field, refusal.rule);
    cr_assert(signer == NULL);
}

Test(pkcs11, wrong_settings_are_refused_at_start)
{
    static const char *const uris[] = {
        "keys/root.key",
        "pkcs11:",
        "pkcs11:token=certmill%20test",
        SOFTHSM_URI "good?pin-value=1234",
        SOFTHSM_URI "good?module-path=/tmp/other.so",
        SOFTHSM_URI "good;colour=blue",
    };
    const struct keys_pkcs11_options good = options;

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        options.uri = uris[i];
        check_refused(CA_ERR_CONFIG, "key");
    }
    options.uri = SOFTHSM_URI "nobody";
    check_refused(CA_ERR_NOT_FOUND, "key");
    options.uri = "pkcs11:token=elsewhere;object=good";
    check_refused(CA_ERR_BUSY, "key");
    options = good;
    options.module = "libsofthsm2.so";
    check_refused(CA_ERR_CONFIG, "module");
    options.module = "/nowhere.so";
    check_refused(CA_ERR_NOT_FOUND, "module");
    options = good;
    options.sessions = 0;
    check_refused(CA_ERR_CONFIG, "sessions");
    options = good;
    cr_assert(chmod(softhsm.pin_file, 0644) == 0);
    check_refused(CA_ERR_DENIED, "pin_file");
    key.type = CRYPTO_KEY_SM2;
    check_refused(CA_ERR_KEY_TYPE, "key");
}

Test(pkcs11, two_keys_that_fit_are_refused)
{
    uint8_t memory[1024];

    softhsm_generate("good", 2, CRYPTO_KEY_P256, memory);
    check_refused(CA_ERR_KEY_UNUSABLE, "key");
    options.uri = SOFTHSM_URI "good;id=%01";
    open_signer();
    sign_well(1);
}

Test(pkcs11, a_wrong_pin_is_refused_at_start)
{
    FILE *file = fopen(softhsm.pin_file, "w");

    fputs("0000\n", file);
    fclose(file);
    softhsm_close_sessions();
    check_refused(CA_ERR_PASSPHRASE, "pin_file");
}

Test(pkcs11, another_key_behind_the_certificate_is_refused_at_start)
{
    uint8_t memory[1024];

    softhsm_generate("evil", 2, CRYPTO_KEY_P256, memory);
    options.uri = SOFTHSM_URI "evil";
    check_refused(CA_ERR_KEY_UNUSABLE, "key");
    softhsm_generate("other", 3, CRYPTO_KEY_RSA, memory);
    options.uri = SOFTHSM_URI "other";
    check_refused(CA_ERR_KEY_UNUSABLE, "key");
}

/* ---- faults */

static void sign_until_well(void)
{
    while (sign(CRYPTO_SIG_ECDSA_SHA256, 4) != CA_OK)
        continue;
    check_signatures(&key, CRYPTO_SIG_ECDSA_SHA256, 4);
}

Test(pkcs11, another_key_is_refused_when_the_session_comes_back)
{
    uint8_t memory[1024];

    softhsm_generate("evil", 2, CRYPTO_KEY_P256, memory);
    open_signer();
    sign_well(COUNT);
    unsigned long before = atomic_load(&softhsm.faults->signatures);

    softhsm_close_sessions();
    softhsm_rename("good", "away");
    softhsm_rename("evil", "good");
    for (int i = 0; i < 10; i++) {
        enum ca_err err = sign(CRYPTO_SIG_ECDSA_SHA256, 4);
        cr_assert(err == CA_ERR_KEY_UNUSABLE || err == CA_ERR_BUSY, "%s", ca_err_text(err));
    }
    cr_assert(atomic_load(&softhsm.faults->signatures) == before);

    softhsm_rename("good", "evil");
    softhsm_rename("away", "good");
    sign_until_well();
}

Test(pkcs11, lost_sessions_and_logins_are_made_anew)
{
    open_signer();
    for (int i = 0; i < 5; i++) {
        sign_well(COUNT);
        softhsm_close_sessions();
    }
}

static const CK_RV codes[] = {
    CKR_DEVICE_REMOVED,
    CKR_DEVICE_ERROR,
    CKR_TOKEN_NOT_PRESENT,
    CKR_SESSION_HANDLE_INVALID,
    CKR_SESSION_CLOSED,
    CKR_SESSION_COUNT,
    CKR_USER_NOT_LOGGED_IN,
    CKR_OBJECT_HANDLE_INVALID,
    CKR_KEY_HANDLE_INVALID,
    CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_GENERAL_ERROR,
    CKR_FUNCTION_FAILED,
    CKR_OPERATION_NOT_INITIALIZED,
    CKR_HOST_MEMORY,
};
enum { CODE_COUNT = sizeof(codes) / sizeof(codes[0]) };

/* What the signer answers while calls fail; every signature it gives out is good. */
static void sign_somehow(void)
{
    enum ca_err err = sign(CRYPTO_SIG_ECDSA_SHA256, 4);

    if (err == CA_OK)
        check_signatures(&key, CRYPTO_SIG_ECDSA_SHA256, 4);
    else
        cr_assert(err == CA_ERR_BUSY || err == CA_ERR_KEY_UNUSABLE || err == CA_ERR_NOMEM, "%s",
                  ca_err_text(err));
}

static void check_survives(enum faultp11_call call, CK_RV code, int times)
{
    /* The second rule breaks sessions, so that calls of a reconnection happen too. */
    softhsm_fail(&softhsm, 0, call, (int)code, times);
    softhsm_fail(&softhsm, 1, FAULTP11_C_SignInit, CKR_SESSION_HANDLE_INVALID, 1);
    if (call == FAULTP11_C_Login)
        softhsm_close_sessions();
    sign_somehow();
    sign_somehow();
    cr_assert(fired(0) > 0, "call %d never failed", call);
    softhsm_heal(&softhsm);
    sign_until_well();
}

Test(pkcs11, every_failure_of_every_call_is_survived_without_a_restart)
{
    options.sessions = 1;
    open_signer();
    for (size_t i = 0; i < CODE_COUNT; i++) {
        for (int call = FAULTP11_C_GetSlotList; call < FAULTP11_CALL_COUNT; call++) {
            check_survives(call, codes[i], 1);
            check_survives(call, codes[i], FAULTP11_FOR_EVER);
        }
    }
}

/* The module itself has to be started again, and does not at once. */
Test(pkcs11, a_module_that_forgot_its_start_is_started_again)
{
    options.sessions = 1;
    open_signer();
    for (size_t i = 0; i < CODE_COUNT; i++) {
        softhsm_fail(&softhsm, 0, FAULTP11_C_Initialize, (int)codes[i], FAULTP11_FOR_EVER);
        softhsm_fail(&softhsm, 1, FAULTP11_C_GetSlotList, CKR_CRYPTOKI_NOT_INITIALIZED, 1);
        softhsm_close_sessions();
        sign_somehow();
        cr_assert(fired(0) > 0 && fired(1) > 0);
        softhsm_heal(&softhsm);
        sign_until_well();
    }
}

Test(pkcs11, a_device_that_is_gone_signs_nothing_and_is_back_without_a_restart)
{
    static const CK_RV gone[] = { CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_DEVICE_ERROR,
                                  CKR_SLOT_ID_INVALID };

    open_signer();
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        sign_well(COUNT);
        unsigned long before = atomic_load(&softhsm.faults->signatures);
        softhsm_fail(&softhsm, 0, FAULTP11_ANY, (int)gone[i], FAULTP11_FOR_EVER);
        for (int k = 0; k < 10; k++)
            check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 4), CA_ERR_BUSY);
        cr_assert(atomic_load(&softhsm.faults->signatures) == before);
        softhsm_heal(&softhsm);
        sign_until_well();
    }
}

Test(pkcs11, one_lost_session_is_not_noticed)
{
    static const CK_RV lost[] = { CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID,
                                  CKR_USER_NOT_LOGGED_IN, CKR_OBJECT_HANDLE_INVALID };

    open_signer();
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, (int)lost[i], 2);
        sign_well(COUNT);
        cr_assert(fired(0) == 2);
    }
}

Test(pkcs11, a_token_that_fails_is_left_alone_for_a_while)
{
    options.rest_ms = 1000000;
    open_signer();
    softhsm_fail(&softhsm, 0, FAULTP11_C_SignInit, CKR_DEVICE_ERROR, FAULTP11_FOR_EVER);
    for (int i = 0; i < 3; i++)
        check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 1), CA_ERR_BUSY);
    int before = fired(0);

    for (int i = 0; i < 100; i++)
        check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 1), CA_ERR_BUSY);
    cr_assert(fired(0) == before);
}

Test(pkcs11, a_pin_refused_is_not_tried_again)
{
    options.sessions = 4;
    open_signer();
    sign_well(COUNT);
    softhsm_fail(&softhsm, 0, FAULTP11_C_Login, CKR_PIN_INCORRECT, FAULTP11_FOR_EVER);
    softhsm_close_sessions();
    for (int i = 0; i < 20; i++) {
        enum ca_err err = sign(CRYPTO_SIG_ECDSA_SHA256, COUNT);
        cr_assert(err == CA_ERR_KEY_UNUSABLE || err == CA_ERR_BUSY, "%s", ca_err_text(err));
    }
    cr_assert(fired(0) == 1);
}

Test(pkcs11, whatever_is_wrong_with_the_pin_it_is_tried_once)
{
    static const CK_RV refusals[] = { CKR_PIN_INCORRECT, CKR_PIN_INVALID,
                                      CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED,
                                      CKR_PIN_LOCKED,    CKR_USER_PIN_NOT_INITIALIZED };

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        open_signer();
        sign_well(1);
        softhsm_fail(&softhsm, 0, FAULTP11_C_Login, (int)refusals[i], FAULTP11_FOR_EVER);
        softhsm_close_sessions();
        for (int k = 0; k < 5; k++)
            cr_assert(sign(CRYPTO_SIG_ECDSA_SHA256, COUNT) != CA_OK);
        cr_assert(fired(0) == 1);
        softhsm_heal(&softhsm);
    }
}

/* With RSA one wrong half of the CRT gives the factors away. */
Test(pkcs11, a_flipped_bit_of_an_rsa_signature_never_leaves)
{
    static const enum crypto_sig sigs[] = { CRYPTO_SIG_RSA_SHA256, CRYPTO_SIG_PSS_SHA256 };
    static const struct crypto_signature none;

    key = softhsm_generate("rsa", 7, CRYPTO_KEY_RSA, key_memory);
    options.uri = SOFTHSM_URI "rsa";
    for (unsigned i = 0; i < FLIPS; i++) {
        open_signer();
        atomic_store(&softhsm.faults->bit, i * 2048 / FLIPS);
        softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_FLIP, 1);
        check_err(sign(sigs[i % 2], 1), CA_ERR_SIGNATURE_WRONG);
        check_bytes(ca_bytes_of(signatures, sizeof(none)), ca_bytes_of(&none, sizeof(none)));
        check_err(sign(sigs[i % 2], 1), CA_ERR_KEY_UNUSABLE);
    }
}

Test(pkcs11, a_flipped_bit_never_leaves_and_ends_the_use_of_the_key)
{
    static const struct crypto_signature none[COUNT];

    for (int i = 0; i < FLIPS; i++) {
        open_signer();
        atomic_store(&softhsm.faults->bit, (unsigned)(i * 512 / FLIPS));
        softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_FLIP, 1);
        check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 8), CA_ERR_SIGNATURE_WRONG);
        cr_assert(fired(0) == 1);
        check_bytes(ca_bytes_of(signatures, 8 * sizeof(none[0])),
                    ca_bytes_of(none, 8 * sizeof(none[0])));
        check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 1), CA_ERR_KEY_UNUSABLE);
    }
}

Test(pkcs11, a_slow_call_is_waited_for)
{
    open_signer();
    for (int call = FAULTP11_C_GetSlotList; call < FAULTP11_CALL_COUNT; call++) {
        softhsm_close_sessions();
        softhsm_fail(&softhsm, 0, call, FAULTP11_SLOW, 3);
        if (call == FAULTP11_C_CloseSession) /* of sessions that are lost */
            softhsm_fail(&softhsm, 1, FAULTP11_C_SignInit, CKR_SESSION_HANDLE_INVALID, 1);
        sign_well(COUNT);
        cr_assert(fired(0) > 0, "call %d", call);
        softhsm_heal(&softhsm);
    }
}

Test(pkcs11, a_hung_call_is_left_behind_and_another_session_takes_over)
{
    options.timeout_ms = 400;
    options.sessions = 2;
    for (int call = FAULTP11_C_GetSlotList; call < FAULTP11_CALL_COUNT; call++) {
        open_signer();
        softhsm_fail(&softhsm, 0, call, FAULTP11_HUNG, 1);
        if (call == FAULTP11_C_CloseSession) /* of a session that is lost */
            softhsm_fail(&softhsm, 1, FAULTP11_C_SignInit, CKR_SESSION_HANDLE_INVALID, 1);
        if (call == FAULTP11_C_Login)
            softhsm_close_sessions();
        check_err(sign(CRYPTO_SIG_ECDSA_SHA256, COUNT), CA_ERR_TIMEOUT);
        cr_assert(atomic_load(&softhsm.faults->hanging) == 1);
        sign_until_well();
        cr_assert(atomic_load(&softhsm.faults->hanging) == 1);
        softhsm_heal(&softhsm);
        while (atomic_load(&softhsm.faults->hanging) > 0)
            continue;
        sign_until_well();
    }
}

Test(pkcs11, when_every_call_hangs_nobody_waits_and_the_end_of_it_is_noticed)
{
    options.timeout_ms = 100;
    options.sessions = 2;
    open_signer();
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    for (int i = 0; i < 20; i++) {
        enum ca_err err = sign(CRYPTO_SIG_ECDSA_SHA256, COUNT);
        cr_assert(err == CA_ERR_TIMEOUT || err == CA_ERR_BUSY, "%s", ca_err_text(err));
    }
    cr_assert(atomic_load(&softhsm.faults->hanging) <= 4); /* twice the sessions */
    softhsm_heal(&softhsm);
    sign_until_well();
}

Test(pkcs11, a_hung_call_does_not_stop_the_closing)
{
    options.timeout_ms = 100;
    open_signer();
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    check_err(sign(CRYPTO_SIG_ECDSA_SHA256, COUNT), CA_ERR_TIMEOUT);
    while (atomic_load(&softhsm.faults->hanging) == 0)
        sign(CRYPTO_SIG_ECDSA_SHA256, COUNT); /* a slow machine did not get as far as the module */
    keys_signer_close(signer);
    signer = NULL;
    cr_assert(atomic_load(&softhsm.faults->hanging) > 0);
    softhsm_heal(&softhsm);
    while (atomic_load(&softhsm.faults->hanging) > 0)
        continue;
}

static void *sign_much(void *arg)
{
    static struct crypto_signature room[QUEUE_ITEMS_MAX];
    struct crypto *own;

    (void)arg;
    check_ok(crypto_open(&own));
    check_ok(keys_sign_many(signer, own, CRYPTO_SIG_ECDSA_SHA256, messages, QUEUE_ITEMS_MAX, room));
    crypto_close(own);
    return NULL;
}

Test(pkcs11, what_is_too_much_for_the_queue_is_refused)
{
    pthread_t thread;

    open_signer();
    softhsm_fail(&softhsm, 0, FAULTP11_C_Sign, FAULTP11_HUNG, FAULTP11_FOR_EVER);
    cr_assert(pthread_create(&thread, NULL, sign_much, NULL) == 0);
    while (atomic_load(&softhsm.faults->hanging) < 3)
        continue;
    check_err(sign(CRYPTO_SIG_ECDSA_SHA256, 1), CA_ERR_BUSY);
    softhsm_heal(&softhsm);
    pthread_join(thread, NULL);
    sign_well(1);
}

Test(pkcs11, an_idle_session_that_was_lost_is_noticed)
{
    options.keep_alive_ms = 1;
    options.sessions = 1;
    open_signer();
    sign_well(1);
    softhsm_fail(&softhsm, 0, FAULTP11_C_GetSessionInfo, CKR_DEVICE_REMOVED, 1);
    while (fired(0) == 0)
        continue;
    sign_well(COUNT);
}

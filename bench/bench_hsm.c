/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a token's speed is left behind the session pool? Bare: as many threads as there are
 * sessions call C_SignInit and C_Sign. Ours: two callers, as in the pipeline, sign batches with
 * keys_sign_many(), which verifies every signature too. In turns, on a SoftHSM made for this.
 */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tests/support/softhsm.h"

/*
 * Slices are short, and ours stands between two bare ones: what else the machine does meets both.
 */
enum { BATCH = 64, CALLERS = 2, SESSIONS_MAX = 16, SLICE_MS = 150, SLICES = 61 };

static CK_FUNCTION_LIST *module;
static CK_SLOT_ID slot;
static size_t session_count;

struct kind {
    const char *name;
    const char *uri;
    enum crypto_key_type type;
    enum crypto_sig sig;
    CK_MECHANISM_TYPE mechanism;
    size_t input_len;
};
static const struct kind kinds[] = {
    { "p256", SOFTHSM_URI "p256", CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256, CKM_ECDSA, 32 },
    { "rsa2048", SOFTHSM_URI "rsa2048", CRYPTO_KEY_RSA, CRYPTO_SIG_RSA_SHA256, CKM_RSA_PKCS, 51 },
};

struct runner {
    const struct kind *kind;
    struct keys_signer *signer; /* NULL: bare */
    struct crypto *crypto;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    uint64_t count;
    double rate;
};

/* ---- bare */

static void load_module(void)
{
    CK_C_GetFunctionList get_list;
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CK_TOKEN_INFO info;

    *(void **)&get_list = dlsym(dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL), "C_GetFunctionList");
    bench_must(get_list != NULL && get_list(&module) == CKR_OK, "C_GetFunctionList failed");
    bench_must(module->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK, "C_GetSlotList failed");
    for (CK_ULONG i = 0; i < count; i++) {
        bench_must(module->C_GetTokenInfo(slots[i], &info) == CKR_OK, "C_GetTokenInfo failed");
        if ((info.flags & CKF_TOKEN_INITIALIZED) != 0)
            slot = slots[i];
    }
}

static void bare_open(struct runner *runner)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    const char *label = runner->kind->name;
    CK_ATTRIBUTE attributes[] = {
        { CKA_CLASS, (void *)(uintptr_t) & class, sizeof(class) },
        { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_ULONG count;

    bench_must(module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &runner->session) ==
                   CKR_OK,
               "C_OpenSession failed");
    CK_RV rv = module->C_Login(runner->session, CKU_USER, (CK_BYTE_PTR)(uintptr_t)SOFTHSM_PIN,
                               strlen(SOFTHSM_PIN));
    bench_must(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN, "C_Login failed");
    bench_must(module->C_FindObjectsInit(runner->session, attributes, 2) == CKR_OK &&
                   module->C_FindObjects(runner->session, &runner->key, 1, &count) == CKR_OK &&
                   module->C_FindObjectsFinal(runner->session) == CKR_OK && count == 1,
               "C_FindObjects failed");
}

static void bare_sign(struct runner *runner)
{
    CK_MECHANISM mechanism = { runner->kind->mechanism, NULL, 0 };
    uint8_t input[64] = { 1, 2, 3 }, signature[CA_SIGNATURE_LEN_MAX];
    CK_ULONG len = sizeof(signature);

    bench_must(module->C_SignInit(runner->session, &mechanism, runner->key) == CKR_OK &&
                   module->C_Sign(runner->session, input, runner->kind->input_len, signature,
                                  &len) == CKR_OK,
               "C_Sign failed");
    runner->count++;
}

/* ---- ours */

static void ours_sign(struct runner *runner)
{
    struct crypto_signature signatures[BATCH];
    struct ca_bytes messages[BATCH];
    uint8_t text[BATCH][500] = { { 0 } }; /* as long as a certificate */

    for (size_t i = 0; i < BATCH; i++)
        messages[i] = ca_bytes_of(text[i], sizeof(text[i]));
    bench_must(keys_sign_many(runner->signer, runner->crypto, runner->kind->sig, messages, BATCH,
                              signatures) == CA_OK,
               "keys_sign_many failed");
    runner->count += BATCH;
}

/* ---- rounds */

/*
 * What a slice saw: of the batch that was under way at its end, the part that falls into it. So all
 * threads are at work from its beginning to its end.
 */
static void *run(void *arg)
{
    struct runner *runner = arg;
    uint64_t start_ns = bench_now_ns(), end_ns = start_ns + (uint64_t)SLICE_MS * 1000000;
    uint64_t at_ns = start_ns;
    double seen = 0;

    runner->count = 0;
    while (at_ns < end_ns) {
        uint64_t before = runner->count, before_ns = at_ns;
        if (runner->signer == NULL)
            bare_sign(runner);
        else
            ours_sign(runner);
        at_ns = bench_now_ns();
        double made = (double)(runner->count - before);
        seen += at_ns <= end_ns ? made
                                : made * (double)(end_ns - before_ns) / (double)(at_ns - before_ns);
    }
    runner->rate = seen * 1e3 / SLICE_MS;
    return NULL;
}

/* Signatures a second of all threads together; and what one costs the processor. */
static double measure(struct runner *runners, size_t count, double *cpu_us_out)
{
    uint64_t start_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID), total = 0;
    pthread_t threads[SESSIONS_MAX];
    double rate = 0;

    for (size_t i = 0; i < count; i++)
        bench_must(pthread_create(&threads[i], NULL, run, &runners[i]) == 0,
                   "pthread_create failed");
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        rate += runners[i].rate;
        total += runners[i].count;
    }
    uint64_t taken_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns;
    *cpu_us_out = (double)taken_ns / (double)total / 1000;
    return rate;
}

/* In turns; the ratio of each slice is to the mean of the bare ones before and after it. */
static double compare(const struct kind *kind, struct runner *bare, struct runner *ours)
{
    static double bare_rates[SLICES], our_rates[SLICES], ratios[SLICES];
    static double bare_us[SLICES], our_us[SLICES];
    char name[64];

    double before_us, before = measure(bare, session_count, &before_us);
    for (size_t i = 0; i < SLICES; i++) {
        our_rates[i] = measure(ours, CALLERS, &our_us[i]);
        bare_rates[i] = measure(bare, session_count, &bare_us[i]);
        ratios[i] = 2 * our_rates[i] / (before + bare_rates[i]);
        before = bare_rates[i];
    }
    double ratio = bench_median(ratios, SLICES);
    snprintf(name, sizeof(name), "hsm.softhsm.%s.", kind->name);
    bench_figure(name, "bare", bench_median(bare_rates, SLICES), "signatures/s");
    bench_figure(name, "ours", bench_median(our_rates, SLICES), "signatures/s");
    double bare_cpu = bench_median(bare_us, SLICES), our_cpu = bench_median(our_us, SLICES);
    bench_figure(name, "bare_cpu", bare_cpu, "us");
    bench_figure(name, "ours_cpu", our_cpu, "us");
    bench_figure(name, "cpu_efficiency", bare_cpu / our_cpu, "ratio");
    bench_figure(name, "efficiency", ratio, "ratio");
    return ratio;
}

static double run_kind(const struct softhsm *softhsm, const struct kind *kind, uint8_t id)
{
    struct runner bare[SESSIONS_MAX] = { 0 }, ours[CALLERS] = { 0 };
    const struct keys_pkcs11_options options = { .module = SOFTHSM,
                                                 .uri = kind->uri,
                                                 .pin_file = softhsm->pin_file,
                                                 .sessions = session_count,
                                                 .timeout_ms = 60000 };
    struct keys_signer *signer;
    struct ca_refusal refusal;
    uint8_t memory[1024];

    struct crypto_public_key key = softhsm_generate(kind->name, id, kind->type, memory);
    bench_must(keys_signer_open_pkcs11(&options, &key, &refusal, &signer) == CA_OK, "open failed");
    for (size_t i = 0; i < session_count; i++) {
        bare[i].kind = kind;
        bare_open(&bare[i]);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        ours[i] = (struct runner){ .kind = kind, .signer = signer };
        bench_must(crypto_open(&ours[i].crypto) == CA_OK, "crypto_open failed");
        ours_sign(&ours[i]); /* sessions open when they are needed */
    }
    double ratio = compare(kind, bare, ours);
    for (size_t i = 0; i < CALLERS; i++)
        crypto_close(ours[i].crypto);
    keys_signer_close(signer);
    return ratio;
}

int main(void)
{
    struct softhsm softhsm;
    double worst = 1e9;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    session_count = processors < 1              ? 1
                    : processors > SESSIONS_MAX ? SESSIONS_MAX
                                                : (size_t)processors;
    softhsm_make(&softhsm);
    load_module();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        double ratio = run_kind(&softhsm, &kinds[i], (uint8_t)(i + 1));
        worst = ratio < worst ? ratio : worst;
    }
    bench_figure("hsm.softhsm.", "efficiency", worst, "ratio");
    softhsm_unmake(&softhsm);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_primitives: what do the signatures alone of one certificate cost? One thread verifies
 * requests, signs, and verifies what it signed: once through OpenSSL with contexts that are
 * kept, once through ca/crypto in batches, which is what the daemon does. Hashing belongs to
 * it, decoding and everything else does not. Reads real requests, one key each.
 */
#include <getopt.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <string.h>

#include "bench/csr_file.h"
#include "bench/openssl_key.h"
#include "ca/crypto/crypto.h"

enum { BATCH_MAX = 256, TBS_LEN = 720, POINT_LEN_MAX = 133, MODULUS_LEN_MAX = 512 };

/* A request taken apart by OpenSSL. */
struct asked {
    EVP_PKEY *pkey;
    struct bench_signer *signer;
    uint8_t *body; /* CertificationRequestInfo */
    size_t body_len;
    uint8_t signature[BENCH_SIGNATURE_LEN_MAX];
    size_t signature_len;
    uint8_t point[POINT_LEN_MAX], modulus[MODULUS_LEN_MAX], exponent[8];
    struct crypto_public_key key;
};

struct work {
    enum bench_key_type type;
    enum crypto_sig sig;
    size_t batch, next;
    struct asked asked[BATCH_MAX];
    uint8_t tbs[BATCH_MAX][TBS_LEN];
    struct ca_bytes messages[BATCH_MAX];

    EVP_PKEY *pkey; /* the CA, with OpenSSL */
    struct bench_signer *signer;
    uint8_t signature[BENCH_SIGNATURE_LEN_MAX];
    size_t signature_len;

    struct crypto *crypto; /* the CA, as the daemon has it */
    struct crypto_private_key *ca;
    struct crypto_own_key *own;
    struct crypto_verification jobs[BATCH_MAX];
    struct crypto_signature signatures[BATCH_MAX];
};

static const enum crypto_sig sigs[BENCH_KEY_TYPE_COUNT] = {
    [BENCH_KEY_P256] = CRYPTO_SIG_ECDSA_SHA256,
    [BENCH_KEY_RSA2048] = CRYPTO_SIG_RSA_SHA256,
    [BENCH_KEY_ED25519] = CRYPTO_SIG_ED25519,
    [BENCH_KEY_SM2] = CRYPTO_SIG_SM2_SM3,
};

static const enum crypto_key_type key_types[BENCH_KEY_TYPE_COUNT] = {
    [BENCH_KEY_P256] = CRYPTO_KEY_P256,
    [BENCH_KEY_RSA2048] = CRYPTO_KEY_RSA,
    [BENCH_KEY_ED25519] = CRYPTO_KEY_ED25519,
    [BENCH_KEY_SM2] = CRYPTO_KEY_SM2,
};

static struct ca_bytes number_of(EVP_PKEY *pkey, const char *name, uint8_t *bytes, size_t size)
{
    BIGNUM *number = NULL;

    bench_must(EVP_PKEY_get_bn_param(pkey, name, &number) == 1 && BN_num_bytes(number) <= (int)size,
               "RSA key cannot be read");
    size_t len = (size_t)BN_bn2bin(number, bytes);
    BN_free(number);
    return ca_bytes_of(bytes, len);
}

static void read_key(struct asked *asked, enum bench_key_type type)
{
    size_t len = sizeof(asked->point);

    asked->key.type = key_types[type];
    asked->key.bits = (uint32_t)EVP_PKEY_get_bits(asked->pkey);
    if (type == BENCH_KEY_RSA2048) {
        asked->key.modulus =
            number_of(asked->pkey, OSSL_PKEY_PARAM_RSA_N, asked->modulus, sizeof(asked->modulus));
        asked->key.exponent =
            number_of(asked->pkey, OSSL_PKEY_PARAM_RSA_E, asked->exponent, sizeof(asked->exponent));
        return;
    }
    if (type == BENCH_KEY_ED25519)
        bench_must(EVP_PKEY_get_raw_public_key(asked->pkey, asked->point, &len) == 1, "no point");
    else
        bench_must(EVP_PKEY_get_octet_string_param(asked->pkey, OSSL_PKEY_PARAM_PUB_KEY,
                                                   asked->point, sizeof(asked->point), &len) == 1,
                   "no point");
    asked->key.point = ca_bytes_of(asked->point, len);
}

static void read_request(struct work *work, size_t i, struct ca_bytes csr)
{
    struct asked *asked = &work->asked[i];
    const uint8_t *at = csr.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)csr.len);
    const ASN1_BIT_STRING *signature;

    bench_must(request != NULL, "request cannot be read");
    int len = i2d_re_X509_REQ_tbs(request, &asked->body);
    X509_REQ_get0_signature(request, &signature, NULL);
    asked->pkey = X509_REQ_get_pubkey(request);
    bench_must(len > 0 && asked->pkey != NULL, "request cannot be read");
    bench_must(signature->length <= BENCH_SIGNATURE_LEN_MAX, "signature is too long");
    asked->body_len = (size_t)len;
    asked->signature_len = (size_t)signature->length;
    memcpy(asked->signature, signature->data, asked->signature_len);
    X509_REQ_free(request);

    asked->signer = bench_signer_new(work->type, asked->pkey);
    read_key(asked, work->type);
    work->jobs[i] = (struct crypto_verification){
        .sig = work->sig,
        .key = &asked->key,
        .message = ca_bytes_of(asked->body, asked->body_len),
        .signature = ca_bytes_of(asked->signature, asked->signature_len),
    };
    memset(work->tbs[i], (int)i, TBS_LEN);
    work->messages[i] = ca_bytes_of(work->tbs[i], TBS_LEN);
}

/* ---- OpenSSL, one at a time */

static void openssl_verify(void *arg)
{
    struct work *work = arg;
    struct asked *asked = &work->asked[work->next++ % work->batch];

    bench_signer_verify(asked->signer, ca_bytes_of(asked->body, asked->body_len),
                        ca_bytes_of(asked->signature, asked->signature_len));
}

static void openssl_sign(void *arg)
{
    struct work *work = arg;

    work->signature_len = bench_signer_sign(work->signer, work->messages[0], work->signature);
}

static void openssl_verify_own(void *arg)
{
    struct work *work = arg;

    bench_signer_verify(work->signer, work->messages[0],
                        ca_bytes_of(work->signature, work->signature_len));
}

/* ---- ca/crypto, a batch at a time */

static void crypto_verify(void *arg)
{
    struct work *work = arg;

    crypto_verify_many(work->crypto, work->jobs, work->batch);
    for (size_t i = 0; i < work->batch; i++)
        bench_must(work->jobs[i].result == CA_OK, "request does not verify");
}

static void crypto_sign(void *arg)
{
    struct work *work = arg;

    bench_must(crypto_sign_many(work->crypto, work->ca, work->sig, work->messages, work->batch,
                                work->signatures) == CA_OK,
               "signing fails");
}

static void crypto_verify_own(void *arg)
{
    struct work *work = arg;

    bench_must(crypto_verify_own_many(work->crypto, work->own, work->sig, work->messages,
                                      work->batch, work->signatures) == CA_OK,
               "own signature does not verify");
}

/* ---- */

static const struct step {
    const char *name;
    void (*once)(void *arg);
    bool is_batch;
} steps[] = {
    { "openssl.verify_us", openssl_verify, false },
    { "openssl.sign_us", openssl_sign, false },
    { "openssl.verify_own_us", openssl_verify_own, false },
    { "primitives.verify_us", crypto_verify, true },
    { "primitives.sign_us", crypto_sign, true },
    { "primitives.verify_own_us", crypto_verify_own, true },
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]), SUM_OPENSSL = STEPS, SUM_PRIMITIVES, COLUMNS };

/* All steps in turn, round after round: the machine's moods meet all of them. */
static void measure(struct work *work, uint64_t step_ns)
{
    double taken_us[COLUMNS][BENCH_ROUNDS] = { 0 };
    char prefix[64];

    for (size_t round = 0; round < BENCH_ROUNDS; round++) {
        for (size_t i = 0; i < STEPS; i++) {
            double share = steps[i].is_batch ? (double)work->batch : 1;
            double us = bench_call_us(step_ns, steps[i].once, work) / share;

            taken_us[i][round] = us;
            taken_us[steps[i].is_batch ? SUM_PRIMITIVES : SUM_OPENSSL][round] += us;
        }
    }
    snprintf(prefix, sizeof(prefix), "issue.%s.", bench_key_name(work->type));
    for (size_t i = 0; i < STEPS; i++)
        bench_figure(prefix, steps[i].name, bench_median(taken_us[i], BENCH_ROUNDS), "us");
    bench_figure(prefix, "openssl.us", bench_median(taken_us[SUM_OPENSSL], BENCH_ROUNDS), "us");
    bench_figure(prefix, "primitives.us", bench_median(taken_us[SUM_PRIMITIVES], BENCH_ROUNDS),
                 "us");
}

static void open_issuers(struct work *work)
{
    work->pkey = bench_key_generate(work->type);
    work->signer = bench_signer_new(work->type, work->pkey);
    /* Private keys live in OpenSSL's secure heap, and nowhere else. */
    bench_must(CRYPTO_secure_malloc_init(65536, 16) != 0, "no secure heap");
    bench_must(crypto_open(&work->crypto) == CA_OK, "crypto cannot be opened");
    bench_must(crypto_private_key_generate(key_types[work->type], 2048, &work->ca) == CA_OK,
               "no key");
    bench_must(crypto_own_key_new(crypto_private_key_public(work->ca), &work->own) == CA_OK,
               "no key");
}

static void close_issuers(struct work *work)
{
    crypto_own_key_free(work->own);
    crypto_private_key_free(work->ca);
    crypto_close(work->crypto);
    bench_signer_free(work->signer);
    EVP_PKEY_free(work->pkey);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "type", required_argument, NULL, 't' },
        { "csrs", required_argument, NULL, 'c' },
        { "batch", required_argument, NULL, 'b' },
        { "step-ms", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    static struct work work = { .type = BENCH_KEY_P256, .batch = 64 };
    struct bench_csrs csrs;
    const char *path = NULL;
    uint64_t step_ms = 20;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': work.type = bench_key_type_of(optarg); break;
        case 'c': path = optarg; break;
        case 'b': work.batch = bench_number("--batch", optarg, BATCH_MAX); break;
        case 's': step_ms = bench_number("--step-ms", optarg, 10000); break;
        default: return 2;
        }
    }
    bench_must(path != NULL && optind == argc && work.batch > 0,
               "usage: bench_primitives --type KEY --csrs FILE [--batch N] [--step-ms N]");
    work.sig = sigs[work.type];
    bench_csrs_load(path, work.batch, &csrs);
    bench_must(csrs.count == work.batch, "the file holds fewer requests than a batch");
    for (size_t i = 0; i < work.batch; i++)
        read_request(&work, i, csrs.csrs[i]);
    open_issuers(&work);
    measure(&work, step_ms * 1000000);
    close_issuers(&work);
    for (size_t i = 0; i < work.batch; i++) {
        bench_signer_free(work.asked[i].signer);
        OPENSSL_free(work.asked[i].body);
        EVP_PKEY_free(work.asked[i].pkey);
    }
    bench_csrs_free(&csrs);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_keys: what does ca/crypto add to the bare primitive?
 *
 * keys.<key>.raw_*_us is OpenSSL's EVP_PKEY_sign or EVP_PKEY_verify on a digest, with keys and
 * contexts made beforehand; the others are ours, per message of a batch of 64, from message and
 * bare public key to signature or verdict. CPU time, one thread, best of several rounds.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "bench/bench.h"
#include "ca/crypto/crypto.h"
#include "ca/keys/secret.h"

enum { BATCH = 64, ROUNDS = 5, MESSAGE_LEN = 600, ROUND_NS = 60000000 };

struct setting {
    const char *name;
    enum crypto_key_type type;
    uint32_t rsa_bits;
    enum crypto_sig sig;

    struct crypto *crypto;
    struct crypto_private_key *key;
    struct crypto_own_key *own;
    uint8_t text[BATCH][MESSAGE_LEN];
    struct ca_bytes messages[BATCH];
    struct crypto_signature signatures[BATCH];
    struct crypto_verification jobs[BATCH];

    EVP_PKEY *raw_key;
    EVP_PKEY_CTX *raw_sign, *raw_verify;
    EVP_MD_CTX *raw_whole; /* Ed25519 has no digest to work on */
    uint8_t raw_digest[32];
    uint8_t raw_signature[512];
    size_t raw_len;
};

static void bench(const char *name, const char *figure, size_t each,
                  void (*once)(struct setting *setting), struct setting *setting)
{
    double best_us = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        uint64_t taken_ns;
        size_t count = 0;

        do {
            once(setting);
            count += each;
            taken_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns;
        } while (taken_ns < ROUND_NS);
        double us = (double)taken_ns / 1000.0 / (double)count;
        best_us = us < best_us ? us : best_us;
    }
    printf("keys.%s.%s\t%.2f\tus\n", name, figure, best_us);
    fflush(stdout);
}

static void sign_many(struct setting *setting)
{
    bench_must(crypto_sign_many(setting->crypto, setting->key, setting->sig, setting->messages,
                                BATCH, setting->signatures) == CA_OK,
               "sign_many failed");
}

static void verify_many(struct setting *setting)
{
    crypto_verify_many(setting->crypto, setting->jobs, BATCH);
    bench_must(setting->jobs[BATCH - 1].result == CA_OK, "verify_many failed");
}

static void verify_own(struct setting *setting)
{
    bench_must(crypto_verify_own_many(setting->crypto, setting->own, setting->sig,
                                      setting->messages, BATCH, setting->signatures) == CA_OK,
               "verify_own_many failed");
}

static void rsa_check(struct setting *setting)
{
    struct ca_refusal refusal;

    bench_must(crypto_rsa_check(crypto_private_key_public(setting->key), &refusal) == CA_OK,
               "rsa_check failed");
}

static void raw_sign(struct setting *setting)
{
    setting->raw_len = sizeof(setting->raw_signature);
    if (setting->type == CRYPTO_KEY_ED25519)
        bench_must(EVP_DigestSignInit(setting->raw_whole, NULL, NULL, NULL, setting->raw_key) ==
                           1 &&
                       EVP_DigestSign(setting->raw_whole, setting->raw_signature, &setting->raw_len,
                                      setting->text[0], MESSAGE_LEN) == 1,
                   "raw sign failed");
    else
        bench_must(EVP_PKEY_sign(setting->raw_sign, setting->raw_signature, &setting->raw_len,
                                 setting->raw_digest, 32) == 1,
                   "raw sign failed");
}

static void raw_verify(struct setting *setting)
{
    if (setting->type == CRYPTO_KEY_ED25519)
        bench_must(EVP_DigestVerifyInit(setting->raw_whole, NULL, NULL, NULL, setting->raw_key) ==
                           1 &&
                       EVP_DigestVerify(setting->raw_whole, setting->raw_signature,
                                        setting->raw_len, setting->text[0], MESSAGE_LEN) == 1,
                   "raw verify failed");
    else
        bench_must(EVP_PKEY_verify(setting->raw_verify, setting->raw_signature, setting->raw_len,
                                   setting->raw_digest, 32) == 1,
                   "raw verify failed");
}

static void raw_prepare(struct setting *setting)
{
    uint8_t der[CRYPTO_PKCS8_LEN_MAX];
    const uint8_t *at = der;
    size_t len;
    bool is_rsa = setting->type == CRYPTO_KEY_RSA;

    bench_must(crypto_private_key_encode(setting->key, der, sizeof(der), &len) == CA_OK,
               "encode failed");
    setting->raw_key = d2i_AutoPrivateKey(NULL, &at, (long)len);
    OPENSSL_cleanse(der, sizeof(der));
    bench_must(setting->raw_key != NULL, "d2i failed");
    setting->raw_whole = EVP_MD_CTX_new();
    if (setting->type == CRYPTO_KEY_ED25519)
        return;
    setting->raw_sign = EVP_PKEY_CTX_new(setting->raw_key, NULL);
    setting->raw_verify = EVP_PKEY_CTX_new(setting->raw_key, NULL);
    bench_must(EVP_PKEY_sign_init(setting->raw_sign) == 1 &&
                   EVP_PKEY_verify_init(setting->raw_verify) == 1,
               "init failed");
    if (is_rsa)
        bench_must(EVP_PKEY_CTX_set_rsa_padding(setting->raw_sign, RSA_PKCS1_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_signature_md(setting->raw_sign, EVP_sha256()) == 1 &&
                       EVP_PKEY_CTX_set_rsa_padding(setting->raw_verify, RSA_PKCS1_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_signature_md(setting->raw_verify, EVP_sha256()) == 1,
                   "padding failed");
}

static void run(struct setting *setting)
{
    for (size_t i = 0; i < BATCH; i++) {
        setting->text[i][0] = (uint8_t)i;
        setting->messages[i] = ca_bytes_of(setting->text[i], MESSAGE_LEN);
    }
    bench_must(crypto_open(&setting->crypto) == CA_OK, "open failed");
    bench_must(crypto_private_key_generate(setting->type, setting->rsa_bits, &setting->key) ==
                   CA_OK,
               "generate failed");
    const struct crypto_public_key *public = crypto_private_key_public(setting->key);
    bench_must(crypto_own_key_new(public, &setting->own) == CA_OK, "own key failed");
    raw_prepare(setting);

    bench(setting->name, "raw_sign_us", 1, raw_sign, setting);
    bench(setting->name, "sign_us", BATCH, sign_many, setting);
    for (size_t i = 0; i < BATCH; i++)
        setting->jobs[i] = (struct crypto_verification){
            .sig = setting->sig,
            .key = public,
            .message = setting->messages[i],
            .signature = ca_bytes_of(setting->signatures[i].bytes, setting->signatures[i].len),
        };
    bench(setting->name, "raw_verify_us", 1, raw_verify, setting);
    bench(setting->name, "verify_us", BATCH, verify_many, setting);
    bench(setting->name, "verify_own_us", BATCH, verify_own, setting);
    if (setting->type == CRYPTO_KEY_RSA)
        bench(setting->name, "check_us", 1, rsa_check, setting);

    EVP_MD_CTX_free(setting->raw_whole);
    EVP_PKEY_CTX_free(setting->raw_sign);
    EVP_PKEY_CTX_free(setting->raw_verify);
    EVP_PKEY_free(setting->raw_key);
    crypto_own_key_free(setting->own);
    crypto_private_key_free(setting->key);
    crypto_close(setting->crypto);
}

int main(void)
{
    static struct setting settings[] = {
        { .name = "p256", .type = CRYPTO_KEY_P256, .sig = CRYPTO_SIG_ECDSA_SHA256 },
        { .name = "p384", .type = CRYPTO_KEY_P384, .sig = CRYPTO_SIG_ECDSA_SHA384 },
        { .name = "rsa2048",
          .type = CRYPTO_KEY_RSA,
          .rsa_bits = 2048,
          .sig = CRYPTO_SIG_RSA_SHA256 },
        { .name = "rsa4096",
          .type = CRYPTO_KEY_RSA,
          .rsa_bits = 4096,
          .sig = CRYPTO_SIG_RSA_SHA256 },
        { .name = "ed25519", .type = CRYPTO_KEY_ED25519, .sig = CRYPTO_SIG_ED25519 },
        { .name = "sm2", .type = CRYPTO_KEY_SM2, .sig = CRYPTO_SIG_SM2_SM3 },
    };

    bench_must(keys_harden_process() == CA_OK, "hardening failed");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        run(&settings[i]);
    return EXIT_SUCCESS;
}

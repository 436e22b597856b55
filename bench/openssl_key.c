/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/openssl_key.h"

#include <openssl/rsa.h>
#include <string.h>

static const char *const names[BENCH_KEY_TYPE_COUNT] = { "p256", "rsa2048", "ed25519", "sm2" };

const char *bench_key_name(enum bench_key_type type)
{
    return names[type];
}

enum bench_key_type bench_key_type_of(const char *name)
{
    for (int type = 0; type < BENCH_KEY_TYPE_COUNT; type++) {
        if (strcmp(name, names[type]) == 0)
            return (enum bench_key_type)type;
    }
    bench_die("%s: key types are p256, rsa2048, ed25519 and sm2", name);
}

EVP_PKEY *bench_key_generate(enum bench_key_type type)
{
    EVP_PKEY *key = NULL;

    switch (type) {
    case BENCH_KEY_P256: key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); break;
    case BENCH_KEY_RSA2048: key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048); break;
    case BENCH_KEY_ED25519: key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
    case BENCH_KEY_SM2: key = EVP_PKEY_Q_keygen(NULL, NULL, "SM2"); break;
    case BENCH_KEY_TYPE_COUNT: break;
    }
    if (key == NULL)
        bench_die("a key cannot be made");
    return key;
}

const EVP_MD *bench_key_digest(enum bench_key_type type)
{
    switch (type) {
    case BENCH_KEY_ED25519: return NULL;
    case BENCH_KEY_SM2: return EVP_sm3();
    default: return EVP_sha256();
    }
}

struct bench_signer {
    enum bench_key_type type;
    EVP_PKEY_CTX *sign, *verify; /* over a digest: P-256, RSA */
    EVP_MD *md;
    EVP_MD_CTX *digest;
    EVP_MD_CTX *sign_message, *verify_message; /* over a message: Ed25519, SM2 */
    EVP_PKEY *key;
};

static bool signs_digests(enum bench_key_type type)
{
    return type == BENCH_KEY_P256 || type == BENCH_KEY_RSA2048;
}

static void must(int rc)
{
    if (rc != 1)
        bench_die("OpenSSL refuses");
}

static EVP_PKEY_CTX *digest_context(struct bench_signer *signer, int (*init)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(signer->key, NULL);

    must(context != NULL);
    must(init(context));
    if (signer->type == BENCH_KEY_RSA2048)
        must(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING));
    must(EVP_PKEY_CTX_set_signature_md(context, signer->md));
    return context;
}

struct bench_signer *bench_signer_new(enum bench_key_type type, EVP_PKEY *key)
{
    struct bench_signer *signer = calloc(1, sizeof(*signer));

    must(signer != NULL);
    signer->type = type;
    signer->key = key;
    if (signs_digests(type)) {
        signer->md = EVP_MD_fetch(NULL, "SHA256", NULL);
        signer->digest = EVP_MD_CTX_new();
        must(signer->md != NULL && signer->digest != NULL);
        signer->sign = digest_context(signer, EVP_PKEY_sign_init);
        signer->verify = digest_context(signer, EVP_PKEY_verify_init);
    } else {
        signer->sign_message = EVP_MD_CTX_new();
        signer->verify_message = EVP_MD_CTX_new();
        must(signer->sign_message != NULL && signer->verify_message != NULL);
    }
    return signer;
}

void bench_signer_free(struct bench_signer *signer)
{
    if (signer == NULL)
        return;
    EVP_PKEY_CTX_free(signer->sign);
    EVP_PKEY_CTX_free(signer->verify);
    EVP_MD_CTX_free(signer->digest);
    EVP_MD_free(signer->md);
    EVP_MD_CTX_free(signer->sign_message);
    EVP_MD_CTX_free(signer->verify_message);
    free(signer);
}

static void hash(struct bench_signer *signer, struct ca_bytes message, uint8_t digest[32])
{
    must(EVP_DigestInit_ex2(signer->digest, signer->md, NULL));
    must(EVP_DigestUpdate(signer->digest, message.data, message.len));
    must(EVP_DigestFinal_ex(signer->digest, digest, NULL));
}

size_t bench_signer_sign(struct bench_signer *signer, struct ca_bytes message,
                         uint8_t signature[BENCH_SIGNATURE_LEN_MAX])
{
    size_t len = BENCH_SIGNATURE_LEN_MAX;
    uint8_t digest[32];
    EVP_PKEY_CTX *context;

    if (signs_digests(signer->type)) {
        hash(signer, message, digest);
        must(EVP_PKEY_sign(signer->sign, signature, &len, digest, sizeof(digest)));
        return len;
    }
    must(EVP_DigestSignInit(signer->sign_message, &context, bench_key_digest(signer->type), NULL,
                            signer->key));
    if (signer->type == BENCH_KEY_SM2)
        must(EVP_PKEY_CTX_set1_id(context, BENCH_SM2_ID, (int)strlen(BENCH_SM2_ID)));
    must(EVP_DigestSign(signer->sign_message, signature, &len, message.data, message.len));
    EVP_MD_CTX_reset(signer->sign_message);
    return len;
}

void bench_signer_verify(struct bench_signer *signer, struct ca_bytes message,
                         struct ca_bytes signature)
{
    uint8_t digest[32];
    EVP_PKEY_CTX *context;

    if (signs_digests(signer->type)) {
        hash(signer, message, digest);
        must(
            EVP_PKEY_verify(signer->verify, signature.data, signature.len, digest, sizeof(digest)));
        return;
    }
    must(EVP_DigestVerifyInit(signer->verify_message, &context, bench_key_digest(signer->type),
                              NULL, signer->key));
    if (signer->type == BENCH_KEY_SM2)
        must(EVP_PKEY_CTX_set1_id(context, BENCH_SM2_ID, (int)strlen(BENCH_SM2_ID)));
    must(EVP_DigestVerify(signer->verify_message, signature.data, signature.len, message.data,
                          message.len));
    EVP_MD_CTX_reset(signer->verify_message);
}

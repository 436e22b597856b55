/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_verify.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "bench/openssl_key.h"
#include "rpc/client.h"

void bench_sample_init(struct bench_sample *sample, size_t message_count, size_t size)
{
    *sample = (struct bench_sample){ .size = size };
    if (size == 0)
        return;
    sample->stride = message_count / size + 1;
    sample->taken = calloc(size, sizeof(*sample->taken));
    if (sample->taken == NULL || pthread_mutex_init(&sample->lock, NULL) != 0)
        bench_die("out of memory");
}

void bench_sample_take(struct bench_sample *sample, size_t message, struct ca_bytes der)
{
    if (sample->size == 0 || message % sample->stride != 0)
        return;
    pthread_mutex_lock(&sample->lock);
    if (sample->count < sample->size) {
        struct bench_sampled *taken = &sample->taken[sample->count++];

        taken->message = message;
        taken->len = der.len;
        taken->der = malloc(der.len);
        if (taken->der == NULL)
            bench_die("out of memory");
        memcpy(taken->der, der.data, der.len);
    }
    pthread_mutex_unlock(&sample->lock);
}

/* Every CA of the daemon; a certificate names which of them issued it. */
static Certmill__Answer *ask_cas(const char *url)
{
    Certmill__CaRequest ca = CERTMILL__CA_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer = NULL;
    struct rpc_client *client;

    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CA;
    request.ca = &ca;
    if (rpc_client_open(url, &(struct rpc_client_options){ 0 }, &client) != CA_OK ||
        rpc_client_ask(client, &request, &answer) != CA_OK ||
        answer->method_case != CERTMILL__ANSWER__METHOD_CA)
        bench_die("the CA's certificate cannot be had");
    rpc_client_close(client);
    return answer;
}

static X509 *certificate_read(const uint8_t *der, size_t len)
{
    X509 *certificate = d2i_X509(NULL, &der, (long)len);

    if (certificate == NULL)
        bench_die("OpenSSL cannot read a certificate");
    return certificate;
}

static bool is_signed_by(X509 *certificate, X509 *ca)
{
    EVP_PKEY *key = X509_get0_pubkey(ca);

    if (X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(certificate)) != 0)
        return false;
    if (EVP_PKEY_is_a(key, "SM2") == 1) {
        ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();

        if (id == NULL || ASN1_OCTET_STRING_set(id, (const uint8_t *)BENCH_SM2_ID, -1) != 1)
            bench_die("out of memory");
        X509_set0_distinguishing_id(certificate, id);
    }
    return X509_verify(certificate, key) == 1;
}

static bool is_signed_by_one_of(X509 *certificate, const Certmill__CaAnswer *cas)
{
    bool is_signed = false;

    for (size_t i = 0; i < cas->n_items && !is_signed; i++) {
        const Certmill__CaInfo *info = cas->items[i];

        if (info->n_chain == 0)
            continue;
        X509 *ca = certificate_read(info->chain[0].data, info->chain[0].len);
        is_signed = is_signed_by(certificate, ca);
        X509_free(ca);
    }
    return is_signed;
}

static bool has_key_of(X509 *certificate, struct ca_bytes csr)
{
    X509_REQ *request = d2i_X509_REQ(NULL, &csr.data, (long)csr.len);
    bool is_same = request != NULL &&
                   EVP_PKEY_eq(X509_get0_pubkey(certificate), X509_REQ_get0_pubkey(request)) == 1;

    X509_REQ_free(request);
    return is_same;
}

void bench_sample_verify(struct bench_sample *sample, const char *url,
                         const struct bench_plan *plan)
{
    if (sample->size == 0)
        return;
    Certmill__Answer *answer = ask_cas(url);
    for (size_t i = 0; i < sample->count; i++) {
        const struct bench_sampled *taken = &sample->taken[i];
        struct ca_bytes csr = bench_plan_csr(plan, taken->message * plan->items_per_message);
        X509 *certificate = certificate_read(taken->der, taken->len);

        if (!is_signed_by_one_of(certificate, answer->ca))
            bench_die("a certificate is not signed by the CA");
        if (!has_key_of(certificate, csr))
            bench_die("a certificate does not hold the key of its request");
        X509_free(certificate);
    }
    fprintf(stderr, "%zu certificates verified by OpenSSL\n", sample->count);
    certmill__answer__free_unpacked(answer, NULL);
}

void bench_sample_free(struct bench_sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        free(sample->taken[i].der);
    free(sample->taken);
}

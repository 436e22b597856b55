/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_naive: what does the same work cost with OpenSSL's X509 objects? Request in, verified;
 * certificate with the names and extensions of the enterprise profile out, signed. In process,
 * one thread, no storage, no check of the signature made.
 *
 *   naive  builds every extension from text for every certificate, as programs commonly do
 *   kept   makes the extensions that are always the same once
 */
#include <getopt.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "bench/csr_file.h"
#include "bench/openssl_key.h"

enum { REQUESTS = 64, SERIAL_LEN = 18 };

struct extension {
    const char *name;
    const char *value;
};

/* What every certificate of the profile has alike. */
static const struct extension constant_extensions[] = {
    { "keyUsage", "critical,digitalSignature,nonRepudiation" },
    { "crlDistributionPoints", "URI:http://ca.example/crl/main-0.crl" },
    { "authorityInfoAccess",
      "OCSP;URI:http://ca.example/ocsp,caIssuers;URI:http://ca.example/main.cer" },
};
enum { CONSTANT_COUNT = sizeof(constant_extensions) / sizeof(constant_extensions[0]) };

struct work {
    enum bench_key_type type;
    struct bench_csrs csrs;
    size_t next;
    EVP_PKEY *ca_key;
    X509 *ca;
    X509_EXTENSION *kept[CONSTANT_COUNT];
    X509_EXTENSION *kept_issuer;
};

static X509_EXTENSION *extension_make(X509V3_CTX *context, const char *name, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, context, name, value);

    bench_must(extension != NULL, name);
    return extension;
}

static void extension_add(X509 *certificate, X509V3_CTX *context, const char *name,
                          const char *value)
{
    X509_EXTENSION *extension = extension_make(context, name, value);

    bench_must(X509_add_ext(certificate, extension, -1) == 1, name);
    X509_EXTENSION_free(extension);
}

/* The unified social credit code, in the extension of GM/T 0015. */
static void uscc_add(X509 *certificate)
{
    static const uint8_t code[] = { 0x0c, 18,  '9', '1', '3', '5', '0', '1', '0', '0',
                                    'M',  '0', '0', '0', '1', '0', '0', 'Y', '4', '3' };
    ASN1_OBJECT *oid = OBJ_txt2obj("1.2.156.10260.4.1.4", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    bench_must(oid != NULL && value != NULL, "out of memory");
    bench_must(ASN1_OCTET_STRING_set(value, code, sizeof(code)) == 1, "out of memory");
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
    bench_must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "out of memory");
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static void serial_set(X509 *certificate)
{
    uint8_t serial[SERIAL_LEN];

    bench_must(RAND_bytes(serial, sizeof(serial)) == 1, "no random numbers");
    serial[0] = 1;
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    bench_must(number != NULL, "out of memory");
    bench_must(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL,
               "out of memory");
    BN_free(number);
}

/* Everything but names, key and extensions. */
static X509 *certificate_begin(X509_NAME *subject, EVP_PKEY *key, X509_NAME *issuer)
{
    X509 *certificate = X509_new();

    bench_must(certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1,
               "no X509");
    serial_set(certificate);
    bench_must(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL, "no time");
    bench_must(X509_gmtime_adj(X509_getm_notAfter(certificate), 365L * 86400) != NULL, "no time");
    bench_must(X509_set_subject_name(certificate, subject) == 1, "no subject");
    bench_must(X509_set_issuer_name(certificate, issuer) == 1, "no issuer");
    bench_must(X509_set_pubkey(certificate, key) == 1, "no key");
    return certificate;
}

static void extensions_add(struct work *work, X509 *certificate, bool is_kept)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, work->ca, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    if (is_kept)
        bench_must(X509_add_ext(certificate, work->kept_issuer, -1) == 1, "no extension");
    else
        extension_add(certificate, &context, "authorityKeyIdentifier", "keyid");
    extension_add(certificate, &context, "subjectKeyIdentifier", "hash");
    for (size_t i = 0; i < CONSTANT_COUNT; i++) {
        if (is_kept)
            bench_must(X509_add_ext(certificate, work->kept[i], -1) == 1, "no extension");
        else
            extension_add(certificate, &context, constant_extensions[i].name,
                          constant_extensions[i].value);
    }
    uscc_add(certificate);
}

static void certificate_sign(struct work *work, X509 *certificate)
{
    if (work->type != BENCH_KEY_SM2) {
        bench_must(X509_sign(certificate, work->ca_key, bench_key_digest(work->type)) > 0,
                   "no signature");
        return;
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context;
    bench_must(digest != NULL, "out of memory");
    bench_must(EVP_DigestSignInit(digest, &context, EVP_sm3(), NULL, work->ca_key) == 1,
               "no signature");
    bench_must(EVP_PKEY_CTX_set1_id(context, BENCH_SM2_ID, (int)strlen(BENCH_SM2_ID)) == 1,
               "no id");
    bench_must(X509_sign_ctx(certificate, digest) > 0, "no signature");
    EVP_MD_CTX_free(digest);
}

static void request_verify(struct work *work, X509_REQ *request, EVP_PKEY *key)
{
    if (work->type == BENCH_KEY_SM2) {
        ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();

        bench_must(id != NULL && ASN1_OCTET_STRING_set(id, (const uint8_t *)BENCH_SM2_ID, -1) == 1,
                   "out of memory");
        X509_REQ_set0_distinguishing_id(request, id);
    }
    bench_must(X509_REQ_verify(request, key) == 1, "request does not verify");
}

static void issue(struct work *work, bool is_kept)
{
    struct ca_bytes csr = work->csrs.csrs[work->next++ % work->csrs.count];
    const uint8_t *at = csr.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)csr.len);
    uint8_t *der = NULL;

    bench_must(request != NULL, "request cannot be read");
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    bench_must(key != NULL, "request has no key");
    request_verify(work, request, key);
    X509 *certificate =
        certificate_begin(X509_REQ_get_subject_name(request), key, X509_get_subject_name(work->ca));
    extensions_add(work, certificate, is_kept);
    certificate_sign(work, certificate);
    bench_must(i2d_X509(certificate, &der) > 0, "certificate cannot be encoded");
    OPENSSL_free(der);
    X509_free(certificate);
    X509_REQ_free(request);
}

static void issue_naive(void *arg)
{
    issue(arg, false);
}

static void issue_kept(void *arg)
{
    issue(arg, true);
}

static void make_ca(struct work *work)
{
    X509_NAME *name = X509_NAME_new();
    X509V3_CTX context;

    work->ca_key = bench_key_generate(work->type);
    bench_must(name != NULL, "out of memory");
    bench_must(
        X509_NAME_add_entry_by_txt(name, "C", MBSTRING_UTF8, (const uint8_t *)"CN", -1, -1, 0) &&
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"Bench CA", -1,
                                       -1, 0),
        "no name");
    work->ca = certificate_begin(name, work->ca_key, name);
    X509V3_set_ctx(&context, work->ca, work->ca, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    extension_add(work->ca, &context, "subjectKeyIdentifier", "hash");
    certificate_sign(work, work->ca);
    work->kept_issuer = extension_make(&context, "authorityKeyIdentifier", "keyid");
    for (size_t i = 0; i < CONSTANT_COUNT; i++)
        work->kept[i] =
            extension_make(&context, constant_extensions[i].name, constant_extensions[i].value);
    X509_NAME_free(name);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "type", required_argument, NULL, 't' },
        { "csrs", required_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 },
    };
    struct work work = { .type = BENCH_KEY_P256 };
    double naive_us[BENCH_ROUNDS], kept_us[BENCH_ROUNDS];
    const char *path = NULL;
    char prefix[64];
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': work.type = bench_key_type_of(optarg); break;
        case 'c': path = optarg; break;
        default: return 2;
        }
    }
    bench_must(path != NULL && optind == argc, "usage: bench_naive --type KEY --csrs FILE");
    bench_csrs_load(path, REQUESTS, &work.csrs);
    make_ca(&work);
    snprintf(prefix, sizeof(prefix), "issue.%s.", bench_key_name(work.type));
    for (size_t round = 0; round < BENCH_ROUNDS; round++) {
        naive_us[round] = bench_call_us(100000000, issue_naive, &work);
        kept_us[round] = bench_call_us(100000000, issue_kept, &work);
    }
    bench_figure(prefix, "naive.us", bench_median(naive_us, BENCH_ROUNDS), "us");
    bench_figure(prefix, "kept.us", bench_median(kept_us, BENCH_ROUNDS), "us");
    for (size_t i = 0; i < CONSTANT_COUNT; i++)
        X509_EXTENSION_free(work.kept[i]);
    X509_EXTENSION_free(work.kept_issuer);
    X509_free(work.ca);
    EVP_PKEY_free(work.ca_key);
    bench_csrs_free(&work.csrs);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_csrs (certmill-csrs): certification requests as another program makes them.
 *
 * Writes a file of distinct PKCS#10 requests, each as a length of four octets (big endian)
 * and the DER. Every request has a subject of its own; keys come from a pool of --keys
 * (0: a key for each) that --key-file keeps from run to run, since RSA keys take long.
 */
#include <getopt.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "bench/openssl_key.h"

enum { THREADS_MAX = 16, COUNT_MAX = 10000000, SUBJECT_MAX = 8, VALUE_LEN_MAX = 256 };

struct subject_part {
    char name[16];
    char value[VALUE_LEN_MAX]; /* "%n" stands for the request's number */
};

struct plan {
    enum bench_key_type type;
    uint64_t count, key_count;
    EVP_PKEY **keys; /* key_count of them; NULL: a key for each request */
    struct subject_part subject[SUBJECT_MAX];
    size_t subject_count;
};

/* One thread's share of the requests, and what it makes of them. */
struct share {
    const struct plan *plan;
    uint64_t from, until;
    uint8_t *bytes;
    size_t len, size;
    pthread_t thread;
};

static void append(struct share *share, const void *bytes, size_t len)
{
    if (share->size - share->len < len) {
        share->size = (share->size + len) * 2;
        share->bytes = realloc(share->bytes, share->size);
        bench_must(share->bytes != NULL, "out of memory");
    }
    memcpy(share->bytes + share->len, bytes, len);
    share->len += len;
}

static void set_subject(X509_REQ *csr, const struct plan *plan, uint64_t number)
{
    X509_NAME *name = X509_NAME_new();

    bench_must(name != NULL, "out of memory");
    for (size_t i = 0; i < plan->subject_count; i++) {
        const struct subject_part *part = &plan->subject[i];
        const char *mark = strstr(part->value, "%n");
        char value[VALUE_LEN_MAX + 32];

        if (mark == NULL)
            snprintf(value, sizeof(value), "%s", part->value);
        else
            snprintf(value, sizeof(value), "%.*s%llu%s", (int)(mark - part->value), part->value,
                     (unsigned long long)number, mark + 2);
        bench_must(X509_NAME_add_entry_by_txt(name, part->name, MBSTRING_UTF8,
                                              (const uint8_t *)value, -1, -1, 0) == 1,
                   "subject is refused");
    }
    bench_must(X509_REQ_set_subject_name(csr, name) == 1, "subject is refused");
    X509_NAME_free(name);
}

static void sign(X509_REQ *csr, enum bench_key_type type, EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context;

    bench_must(context != NULL, "out of memory");
    bench_must(EVP_DigestSignInit(context, &key_context, bench_key_digest(type), NULL, key) == 1,
               "key cannot sign");
    if (type == BENCH_KEY_SM2)
        bench_must(EVP_PKEY_CTX_set1_id(key_context, BENCH_SM2_ID, (int)strlen(BENCH_SM2_ID)) == 1,
                   "identity is refused");
    bench_must(X509_REQ_sign_ctx(csr, context) > 0, "request cannot be signed");
    EVP_MD_CTX_free(context);
}

static void make_one(struct share *share, uint64_t number)
{
    const struct plan *plan = share->plan;
    EVP_PKEY *key =
        plan->keys != NULL ? plan->keys[number % plan->key_count] : bench_key_generate(plan->type);
    X509_REQ *csr = X509_REQ_new();
    uint8_t *der = NULL, header[4];

    bench_must(csr != NULL && X509_REQ_set_version(csr, 0) == 1, "out of memory");
    set_subject(csr, plan, number);
    bench_must(X509_REQ_set_pubkey(csr, key) == 1, "key is refused");
    sign(csr, plan->type, key);
    int len = i2d_X509_REQ(csr, &der);
    bench_must(len > 0, "request cannot be encoded");

    for (size_t i = 0; i < sizeof(header); i++)
        header[i] = (uint8_t)((uint32_t)len >> (24 - 8 * i));
    append(share, header, sizeof(header));
    append(share, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(csr);
    if (plan->keys == NULL)
        EVP_PKEY_free(key);
}

static void *make_share(void *arg)
{
    struct share *share = arg;

    for (uint64_t number = share->from; number < share->until; number++)
        make_one(share, number);
    return NULL;
}

/* Takes the pool from the file as far as it goes, makes the rest, and adds it there. */
static void fill_pool(struct plan *plan, const char *path)
{
    FILE *file = path != NULL ? fopen(path, "a+") : NULL;
    uint64_t filled = 0;

    bench_must(path == NULL || file != NULL, "key file cannot be opened");
    plan->keys = calloc(plan->key_count, sizeof(EVP_PKEY *));
    bench_must(plan->keys != NULL, "out of memory");
    if (file != NULL)
        rewind(file);
    while (file != NULL && filled < plan->key_count) {
        EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);

        if (key == NULL)
            break;
        plan->keys[filled++] = key;
    }
    for (; filled < plan->key_count; filled++) {
        EVP_PKEY *key = bench_key_generate(plan->type);

        plan->keys[filled] = key;
        bench_must(file == NULL ||
                       PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1,
                   "key file cannot be written");
    }
    bench_must(file == NULL || fclose(file) == 0, "key file cannot be written");
}

static void parse_subject(struct plan *plan, char *text)
{
    for (char *part = text; part != NULL;) {
        char *end = strchr(part, ','), *value = strchr(part, '=');
        struct subject_part *to = &plan->subject[plan->subject_count];

        if (end != NULL)
            *end++ = '\0';
        bench_must(plan->subject_count < SUBJECT_MAX && value != NULL,
                   "--subject is NAME=VALUE,...");
        *value++ = '\0';
        bench_must(strlen(part) < sizeof(to->name) && strlen(value) < sizeof(to->value),
                   "a part of --subject is too long");
        snprintf(to->name, sizeof(to->name), "%s", part);
        snprintf(to->value, sizeof(to->value), "%s", value);
        plan->subject_count++;
        part = end;
    }
}

static void make_file(const struct plan *plan, const char *path, size_t threads)
{
    struct share shares[THREADS_MAX] = { 0 };
    FILE *file = fopen(path, "wb");

    bench_must(file != NULL, "output cannot be opened");
    for (size_t i = 0; i < threads; i++) {
        shares[i].plan = plan;
        shares[i].from = plan->count * i / threads;
        shares[i].until = plan->count * (i + 1) / threads;
        bench_must(pthread_create(&shares[i].thread, NULL, make_share, &shares[i]) == 0,
                   "no thread");
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(shares[i].thread, NULL);
        bench_must(shares[i].len == 0 || fwrite(shares[i].bytes, shares[i].len, 1, file) == 1,
                   "output cannot be written");
        free(shares[i].bytes);
    }
    bench_must(fclose(file) == 0, "output cannot be written");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "type", required_argument, NULL, 't' },    { "count", required_argument, NULL, 'n' },
        { "keys", required_argument, NULL, 'k' },    { "key-file", required_argument, NULL, 'f' },
        { "subject", required_argument, NULL, 's' }, { "out", required_argument, NULL, 'o' },
        { "threads", required_argument, NULL, 'j' }, { NULL, 0, NULL, 0 },
    };
    char subject[] = "C=CN,O=Bench Unit %n,CN=Bench Unit %n", *subject_text = subject;
    struct plan plan = { .type = BENCH_KEY_P256, .count = 1000 };
    const char *out = NULL, *key_file = NULL;
    size_t threads = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': plan.type = bench_key_type_of(optarg); break;
        case 'n': plan.count = bench_number("--count", optarg, COUNT_MAX); break;
        case 'k': plan.key_count = bench_number("--keys", optarg, COUNT_MAX); break;
        case 'f': key_file = optarg; break;
        case 's': subject_text = optarg; break;
        case 'o': out = optarg; break;
        case 'j': threads = bench_number("--threads", optarg, THREADS_MAX); break;
        default: return 2;
        }
    }
    bench_must(out != NULL && optind == argc && threads > 0,
               "usage: certmill-csrs --out FILE "
               "[--type KEY] [--count N] [--keys N] [--key-file FILE] [--subject C=CN,O=Unit %n] "
               "[--threads N]");
    parse_subject(&plan, subject_text);
    if (plan.key_count > 0)
        fill_pool(&plan, key_file);
    make_file(&plan, out, threads);
    for (uint64_t i = 0; i < plan.key_count; i++)
        EVP_PKEY_free(plan.keys[i]);
    free(plan.keys);
    return EXIT_SUCCESS;
}

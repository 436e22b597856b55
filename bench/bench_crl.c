/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crl: how long does a CRL take, from stored entries to a synced, renamed, recorded file?
 *
 *   bench_crl fill DATA CERT COUNT [FROM]     revokes COUNT certificates of CERT's key in DATA
 *   bench_crl make DATA CERT FOLDER            complete lists, signed with P-256 and with SM2
 *   bench_crl delta DATA CERT FOLDER COUNT     COUNT revocations, then a delta list
 *   bench_crl openssl FILE                     the entries of that list through X509_CRL
 *   bench_crl hashes                           how fast they are here
 *
 * The lists are made by what makes them in the daemon (rpc/crl_maker.h), with its two commits; each
 * passes the gate, with the list before it as its predecessor. Letting go of the one it replaced,
 * which the daemon does when everybody has been told, is a figure of its own. OpenSSL gets its
 * entries from memory: objects made, sorted, signed, encoded, written, synced, renamed. Wall clock,
 * the middle one of three; memory is the most anonymous memory seen above that before.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/made_up.h"
#include "ca/crypto/digest.h"
#include "rpc/crl_maker.h"
#include "tests/support/issuer.h"
#include "tools/chain.h"
#include "tools/file.h"

enum {
    BATCH = 8192, /* revocations in one commit */
    ROUNDS = 3,
    SAMPLE_US = 2000,
    HASH_SPAN_NS = 400000000,
    HASH_LEN = 32768,
    SPKI_LEN_MAX = 1024,
};
#define START_US UINT64_C(1735689600000000) /* 2025-01-01 */

/* ---- anonymous memory, looked at all the time */

static atomic_bool is_watched;
static atomic_uint_fast64_t peak_kib;

static uint64_t anonymous_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    if (status == NULL)
        bench_die("no /proc");
    while (fgets(line, sizeof(line), status) != NULL) {
        if (sscanf(line, "RssAnon: %llu", &kib) == 1)
            break;
    }
    fclose(status);
    return kib;
}

static void *watch(void *arg)
{
    (void)arg;
    while (atomic_load(&is_watched)) {
        uint64_t kib = anonymous_kib();
        if (kib > atomic_load(&peak_kib))
            atomic_store(&peak_kib, kib);
        usleep(SAMPLE_US);
    }
    return NULL;
}

/* ---- the store */

static struct store *store;
static struct store_scope scope; /* of the certificate's key, shard 0 */
static struct rpc_clock_guard guard;

static void open_store(const char *path, const char *cert_path)
{
    static const struct store_options options = { .map_size = (size_t)256 << 30 };
    static const struct rpc_clock clock = { 0 };
    static struct chain chain;
    struct ca_refusal refusal = { "", "" };
    struct ca_arena *arena;
    struct store_info info;
    uint8_t *text, digest[CA_DIGEST_LEN];
    size_t len;

    bench_must_ok(store_open(path, &options, &store), path);
    store_info(store, &info);
    rpc_clock_init(&guard, &clock, 2000000, info.clock_us);
    bench_must_ok(ca_arena_new(1 << 16, 1 << 22, &arena), "memory");
    bench_must_ok(file_load(cert_path, CHAIN_FILE_LEN_MAX, &text, &len), cert_path);
    bench_must_ok(chain_parse(ca_bytes_of(text, len), arena, &chain, &refusal), cert_path);
    crypto_sha256(&chain.certs[0].spki, 1, digest);
    memcpy(scope.issuer.bytes, digest, STORE_DIGEST_LEN);
    ca_arena_free(arena);
    free(text);
}

/* Numbers of other offsets lie between those of one. */
static void put_revocation(struct store_batch *batch, uint64_t n, uint64_t offset)
{
    static const uint8_t reasons[] = { X509_CRL_UNSPECIFIED, X509_CRL_KEY_COMPROMISE,
                                       X509_CRL_AFFILIATION_CHANGED, X509_CRL_SUPERSEDED,
                                       X509_CRL_CESSATION_OF_OPERATION };
    uint8_t random[CA_SERIAL_RANDOM_LEN];
    uint64_t now_us;

    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (uint8_t)(made_up_mix(n + (i / 8) * 77) >> (8 * (i % 8)));
    bench_must_ok(rpc_clock_read(&guard, &now_us), "clock");
    const struct store_status_change change = {
        .serial = ca_serial_make(1, START_US + n * 16 + offset, random),
        .scope = scope,
        .old_state = STORE_STATE_VALID,
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = reasons[n % 5],
                    .revoked_s = (int64_t)(START_US / 1000000) + (int64_t)(n % 1000000),
                    .has_invalidity = n % 7 == 1,
                    .invalidity_s = n % 7 == 1 ? (int64_t)(START_US / 1000000) : 0,
                    .not_after_s = INT64_C(2524608000) }, /* 2050-01-01 */
    };
    const struct store_audit audit = { .kind = STORE_AUDIT_REVOKED,
                                       .time_us = now_us,
                                       .actor = CA_BYTES("bench"),
                                       .object = ca_serial_bytes(&change.serial) };
    bench_must_ok(store_put_status(batch, &change, &audit), "revocation");
}

static void fill(uint64_t from, uint64_t count)
{
    bool is_long = count > BATCH;

    for (uint64_t n = from; n < from + count;) {
        struct store_batch *batch;
        bench_must_ok(store_begin(store, &batch), "begin");
        for (size_t i = 0; i < BATCH && n < from + count; i++, n++)
            put_revocation(batch, n, 0);
        bench_must_ok(store_commit(batch), "commit");
        if (is_long && n % (BATCH * 64) == 0)
            fprintf(stderr, "\r%" PRIu64 " revoked", n);
    }
    if (is_long)
        fputc('\n', stderr);
}

/* One, in a commit of its own. */
static void revoke_one(uint64_t n, uint64_t offset)
{
    struct store_batch *batch;

    bench_must_ok(store_begin(store, &batch), "begin");
    put_revocation(batch, n, offset);
    bench_must_ok(store_commit(batch), "commit");
}

static enum ca_err write_one(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch),
                             void *put_arg)
{
    struct store_batch *batch;
    enum ca_err err = store_begin(store, &batch);

    (void)arg;
    if (err != CA_OK)
        return err;
    if ((err = put(put_arg, batch)) == CA_OK)
        return store_commit(batch);
    store_abort(batch);
    return err;
}

static uint64_t entry_count(void)
{
    struct store_scope_info info;
    struct store_view *view;

    bench_must_ok(store_view_open(store, &view), "view");
    bench_must_ok(store_find_scope(view, &scope, &info), "scope");
    store_view_close(view);
    return info.entry_count;
}

/* ---- ours */

struct workshop {
    struct issuer issuer;
    struct rpc_ca ca;
    struct rpc_crl_maker *maker;
};

static void workshop_open(struct workshop *workshop, enum crypto_key_type type, enum crypto_sig sig,
                          const char *folder)
{
    const struct rpc_crl_desk desk = {
        .store = store, .clock = &guard, .folder = folder, .write = write_one
    };

    issuer_open(&workshop->issuer, type, sig);
    workshop->ca = (struct rpc_ca){
        .issuer = { .name = "bench",
                    .subject = workshop->issuer.name,
                    .key = keys_signer_public(workshop->issuer.signer),
                    .sig = sig,
                    .crl_url = CA_BYTES("http://crl.example.cn/bench.crl"),
                    .crl_shard_count = 1 },
        .signer = workshop->issuer.signer,
        .crl = { .validity_s = 7 * 86400, .overlap_s = 86400 },
    };
    memcpy(workshop->ca.issuer.key_id, workshop->issuer.key_id, sizeof(workshop->ca.issuer.key_id));
    bench_must_ok(rpc_crl_maker_open(&desk, &workshop->maker), "maker");
}

static void workshop_close(struct workshop *workshop)
{
    rpc_crl_maker_close(workshop->maker);
    issuer_close(&workshop->issuer);
}

/* What is left to do once everybody has been told. */
static double rest_ms(const struct workshop *workshop)
{
    uint64_t start_ns = bench_now_ns();

    rpc_crl_maker_rest(workshop->maker);
    return (double)(bench_now_ns() - start_ns) / 1e6;
}

static double make_list(struct workshop *workshop, enum rpc_crl_kind kind,
                        struct rpc_crl_made *made)
{
    const struct rpc_crl_order order = {
        .ca = &workshop->ca,
        .own = workshop->issuer.own,
        .scope = scope,
        .kind = kind,
        .actor = CA_BYTES("bench"),
    };
    struct ca_refusal refusal;
    uint64_t start_ns = bench_now_ns();

    enum ca_err err = rpc_crl_make(workshop->maker, &order, made, &refusal);
    double seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    if (err != CA_OK || made->kind != kind)
        bench_die("list refused: %s (%s, %s)", ca_err_text(err), refusal.field, refusal.rule);
    return seconds;
}

static void bench_complete(const char *name, enum crypto_key_type type, enum crypto_sig sig,
                           const char *folder)
{
    static struct workshop workshop;
    struct rpc_crl_made made;
    double seconds[ROUNDS], rests_ms[ROUNDS];
    char figure[96];
    pthread_t watcher;

    workshop_open(&workshop, type, sig, folder);
    uint64_t before_kib = anonymous_kib();
    atomic_store(&peak_kib, before_kib);
    atomic_store(&is_watched, true);
    if (pthread_create(&watcher, NULL, watch, NULL) != 0)
        bench_die("no thread");
    make_list(&workshop, RPC_CRL_FULL, &made); /* the one before */
    (void)rest_ms(&workshop);
    for (size_t i = 0; i < ROUNDS; i++) {
        seconds[i] = make_list(&workshop, RPC_CRL_FULL, &made);
        rests_ms[i] = rest_ms(&workshop);
    }
    atomic_store(&is_watched, false);
    pthread_join(watcher, NULL);
    if (made.record.entry_count != entry_count())
        bench_die("a list without all entries");
    snprintf(figure, sizeof(figure), "%s.%" PRIu64 ".seconds", name, made.record.entry_count);
    bench_figure("crl.", figure, bench_median(seconds, ROUNDS), "s");
    snprintf(figure, sizeof(figure), "%s.%" PRIu64 ".rest_ms", name, made.record.entry_count);
    bench_figure("crl.", figure, bench_median(rests_ms, ROUNDS), "ms");
    snprintf(figure, sizeof(figure), "%s.%" PRIu64 ".octets", name, made.record.entry_count);
    bench_figure("crl.", figure, (double)made.record.len, "octets");
    snprintf(figure, sizeof(figure), "%s.%" PRIu64 ".memory", name, made.record.entry_count);
    bench_figure("crl.", figure, (double)(atomic_load(&peak_kib) - before_kib) / 1024, "MiB");
    workshop_close(&workshop);
}

static void bench_delta(const char *folder, uint64_t count)
{
    static struct workshop workshop;
    struct rpc_crl_made made;
    double ms[ROUNDS], commit_ms[ROUNDS];
    uint64_t base_count = entry_count();
    char figure[96];

    workshop_open(&workshop, CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256, folder);
    make_list(&workshop, RPC_CRL_FULL, &made);
    for (uint64_t i = 0; i < count; i++)
        revoke_one(i * (base_count / count), 1);
    make_list(&workshop, RPC_CRL_DELTA, &made);
    for (size_t i = 0; i < ROUNDS; i++) {
        ms[i] = 1000 * make_list(&workshop, RPC_CRL_DELTA, &made);
        uint64_t start_ns = bench_now_ns();
        revoke_one(i, 15);
        commit_ms[i] = (double)(bench_now_ns() - start_ns) / 1e6;
    }
    snprintf(figure, sizeof(figure), "delta.%" PRIu64 ".of.%" PRIu64 ".ms", count, base_count);
    bench_figure("crl.", figure, bench_median(ms, ROUNDS), "ms");
    bench_figure("crl.", "commit.ms", bench_median(commit_ms, ROUNDS), "ms");
    workshop_close(&workshop);
}

/* ---- hashes of the same run */

static uint8_t hashed[HASH_LEN];

static void hash_sha256(void *arg)
{
    const struct ca_bytes bytes = { hashed, HASH_LEN };
    crypto_sha256(&bytes, 1, arg);
}

static void hash_sm3(void *arg)
{
    const struct ca_bytes bytes = { hashed, HASH_LEN };
    crypto_sm3(&bytes, 1, arg);
}

static void bench_hashes(void)
{
    uint8_t digest[32];

    bench_figure("crl.", "sha256.speed",
                 HASH_LEN / bench_call_us(HASH_SPAN_NS, hash_sha256, digest), "MB/s");
    bench_figure("crl.", "sm3.speed", HASH_LEN / bench_call_us(HASH_SPAN_NS, hash_sm3, digest),
                 "MB/s");
}

/* ---- OpenSSL */

static X509_REVOKED *openssl_entry(const struct x509_crl_entry *entry)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    BIGNUM *number = BN_bin2bn(entry->serial.data, (int)entry->serial.len, NULL);
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
    ASN1_TIME *date = ASN1_TIME_set(NULL, entry->revoked_s);

    X509_REVOKED_set_serialNumber(revoked, serial);
    X509_REVOKED_set_revocationDate(revoked, date);
    if (entry->reason != X509_CRL_UNSPECIFIED) {
        ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
        ASN1_ENUMERATED_set(reason, entry->reason);
        X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0);
        ASN1_ENUMERATED_free(reason);
    }
    if (entry->has_invalidity) {
        ASN1_GENERALIZEDTIME *invalidity = ASN1_GENERALIZEDTIME_set(NULL, entry->invalidity_s);
        X509_REVOKED_add1_ext_i2d(revoked, NID_invalidity_date, invalidity, 0, 0);
        ASN1_GENERALIZEDTIME_free(invalidity);
    }
    ASN1_TIME_free(date);
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return revoked;
}

static X509_CRL *openssl_list(EVP_PKEY *key, struct ca_bytes entries, uint32_t *count)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, ISSUER_TIME_S + 86400);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    struct x509_crl_cursor cursor = { entries.data, entries.data + entries.len };
    struct x509_crl_entry entry;
    struct ca_refusal refusal;

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"CRL Test CA", -1, -1, 0);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, name);
    X509_CRL_set1_lastUpdate(crl, time);
    X509_CRL_set1_nextUpdate(crl, time);
    while (!x509_crl_at_end(&cursor)) {
        if (x509_crl_next(&cursor, &entry, &refusal) != CA_OK ||
            X509_CRL_add0_revoked(crl, openssl_entry(&entry)) != 1)
            bench_die("OpenSSL takes no more entries");
        ++*count;
    }
    ASN1_INTEGER_set(number, 1);
    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
    X509_CRL_sort(crl);
    if (X509_CRL_sign(crl, key, EVP_sha256()) <= 0)
        bench_die("OpenSSL does not sign");
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
    X509_NAME_free(name);
    return crl;
}

static struct ca_bytes map_list(const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0)
        bench_die("no %s", path);
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        bench_die("cannot map %s", path);
    close(fd);
    return ca_bytes_of(memory, (size_t)status.st_size);
}

static void bench_openssl(const char *path)
{
    static struct x509_crl list;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct ca_bytes mapped = map_list(path);
    struct ca_refusal refusal;
    char name[64], temporary[600], renamed[600];
    uint32_t count = 0;
    uint64_t before_kib = anonymous_kib();

    bench_must_ok(x509_crl_parse(mapped, &list, &refusal), path);
    snprintf(temporary, sizeof(temporary), "%s.openssl.new", path);
    snprintf(renamed, sizeof(renamed), "%s.openssl", path);
    uint64_t start_ns = bench_now_ns();
    X509_CRL *crl = openssl_list(key, list.entries, &count);
    FILE *file = fopen(temporary, "wb");
    if (file == NULL || i2d_X509_CRL_fp(file, crl) != 1 || fflush(file) != 0 ||
        fsync(fileno(file)) != 0 || rename(temporary, renamed) != 0)
        bench_die("OpenSSL does not write");
    double seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    uint64_t after_kib = anonymous_kib();
    fclose(file);
    unlink(renamed);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    munmap((void *)(uintptr_t)mapped.data, mapped.len);
    snprintf(name, sizeof(name), "openssl.%u.seconds", count);
    bench_figure("crl.", name, seconds, "s");
    snprintf(name, sizeof(name), "openssl.%u.memory", count);
    bench_figure("crl.", name, (double)(after_kib - before_kib) / 1024, "MiB");
}

static _Noreturn void usage(void)
{
    bench_die("fill DATA CERT COUNT [FROM] | make DATA CERT FOLDER | delta DATA CERT FOLDER COUNT |"
              " openssl FILE | hashes");
}

int main(int argc, char **argv)
{
    const uint64_t count_max = 100000000;
    const char *what = argc > 1 ? argv[1] : "";

    if (keys_harden_process() != CA_OK)
        bench_die("this process cannot keep keys");
    if (strcmp(what, "hashes") == 0 && argc == 2) {
        bench_hashes();
        return EXIT_SUCCESS;
    }
    if (strcmp(what, "openssl") == 0 && argc == 3) {
        bench_openssl(argv[2]);
        return EXIT_SUCCESS;
    }
    if (argc < 5)
        usage();
    open_store(argv[2], argv[3]);
    if (strcmp(what, "fill") == 0) {
        fill(argc > 5 ? bench_number("FROM", argv[5], count_max) : 0,
             bench_number("COUNT", argv[4], count_max));
    } else if (strcmp(what, "make") == 0) {
        bench_complete("full", CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256, argv[4]);
        if (argc == 5)
            bench_complete("sm2", CRYPTO_KEY_SM2, CRYPTO_SIG_SM2_SM3, argv[4]);
    } else if (strcmp(what, "delta") == 0 && argc == 6) {
        bench_delta(argv[4], bench_number("COUNT", argv[5], STORE_DELTA_ENTRIES_MAX));
    } else {
        usage();
    }
    store_close(store);
    return EXIT_SUCCESS;
}

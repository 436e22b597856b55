/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crl: how long does a list of N entries take, from entries to a synced, renamed file?
 *
 *   bench_crl [--folder DIR] [--openssl] N...
 *
 * The entries are ready-encoded in a mapped file and are handed over one by one, as a cursor over
 * a store would. Every list passes the gate, with the list before it as its predecessor. With
 * --openssl the same entries go through X509_CRL: objects made, sorted, signed, encoded, written,
 * synced, renamed. Wall clock; the memory is the most anonymous memory seen above that before.
 */
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "ca/crypto/digest.h"
#include "store/crl_file.h"
#include "tests/support/issuer.h"

enum { ENTRY_EVERY = 1 << 16, HASH_SPAN_NS = 400000000, HASH_LEN = 32768 };

static struct {
    const char *folder;
    char entries_path[512];
    char list_path[512];
    struct ca_bytes entries; /* mapped */
    uint32_t count;
    size_t at;
    uint32_t sampled;
    uint64_t memory_peak_kib;
} run;

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

static void sample_memory(void)
{
    uint64_t kib = anonymous_kib();

    if (kib > run.memory_peak_kib)
        run.memory_peak_kib = kib;
}

/* ---- entries: serial numbers of 18 octets, three of four with a reason */

static void make_entries(uint32_t count)
{
    struct entries part = { 0 };
    int fd = open(run.entries_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (fd < 0)
        bench_die("cannot make %s", run.entries_path);
    for (uint32_t i = 0; i < count; i += ENTRY_EVERY) {
        part.len = 0;
        entries_fill(&part, i, count - i < ENTRY_EVERY ? count - i : ENTRY_EVERY, 18);
        if (write(fd, part.memory, part.len) != (ssize_t)part.len)
            bench_die("cannot write %s", run.entries_path);
    }
    entries_free(&part);

    struct stat status;
    if (fstat(fd, &status) != 0)
        bench_die("cannot stat");
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        bench_die("cannot map");
    close(fd);
    run.entries = ca_bytes_of(memory, (size_t)status.st_size);
    run.count = count;
}

static void drop_entries(void)
{
    munmap((void *)(uintptr_t)run.entries.data, run.entries.len);
    unlink(run.entries_path);
}

static enum ca_err next_entry(void *arg, struct ca_bytes *chunk_out)
{
    (void)arg;
    if (run.at == run.entries.len) {
        *chunk_out = (struct ca_bytes){ 0 };
        return CA_OK;
    }
    const uint8_t *entry = run.entries.data + run.at;
    *chunk_out = ca_bytes_of(entry, 2u + entry[1]);
    run.at += chunk_out->len;
    if (++run.sampled % ENTRY_EVERY == 0)
        sample_memory();
    return CA_OK;
}

static enum ca_err rewind_entries(void *arg)
{
    (void)arg;
    run.at = 0;
    return CA_OK;
}

/* ---- ours */

static struct ca_bytes map_list(void)
{
    int fd = open(run.list_path, O_RDONLY);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0)
        bench_die("no %s", run.list_path);
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        bench_die("cannot map the list");
    close(fd);
    return ca_bytes_of(memory, (size_t)status.st_size);
}

static double write_list(struct issuer *issuer, uint8_t number, const struct x509_crl *previous,
                         bool is_plain)
{
    struct x509_crl_form form = issuer_form(issuer, &number);
    const struct store_publish_options options = { .is_plain = is_plain };
    struct store_crl_made made;
    struct ca_refusal refusal;

    form.entries_len = run.entries.len;
    run.at = 0;
    const struct store_crl_job job = {
        .form = &form,
        .source = { NULL, next_entry, rewind_entries },
        .signer = issuer->signer,
        .crypto = issuer->crypto,
        .gate = { .previous = previous, .key = issuer->own },
    };
    uint64_t start_ns = bench_now_ns();
    enum ca_err err = store_crl_write(run.list_path, &job, &options, &made, &refusal);
    double seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    if (err != CA_OK || made.difference.after != run.count)
        bench_die("list refused: %s (%s, %s)", ca_err_text(err), refusal.field, refusal.rule);
    return seconds;
}

static void bench_kind(const char *prefix, enum crypto_key_type type, enum crypto_sig sig)
{
    static struct issuer issuer;
    static struct x509_crl previous;
    struct ca_refusal refusal;
    double first[3], next[3], plain[3];
    char name[64];

    issuer_open(&issuer, type, sig);
    uint64_t before_kib = anonymous_kib();
    run.memory_peak_kib = 0;
    for (size_t i = 0; i < 3; i++) {
        unlink(run.list_path);
        first[i] = write_list(&issuer, 1, NULL, false);
        struct ca_bytes mapped = map_list();
        if (x509_crl_parse(mapped, &previous, &refusal) != CA_OK)
            bench_die("the list cannot be read");
        next[i] = write_list(&issuer, 2, &previous, false);
        plain[i] = write_list(&issuer, 3, &previous, true);
        munmap((void *)(uintptr_t)mapped.data, mapped.len);
    }
    snprintf(name, sizeof(name), "%s.%u.first.seconds", prefix, run.count);
    bench_figure("crl.", name, bench_median(first, 3), "s");
    snprintf(name, sizeof(name), "%s.%u.seconds", prefix, run.count);
    bench_figure("crl.", name, bench_median(next, 3), "s");
    snprintf(name, sizeof(name), "%s.%u.plain.seconds", prefix, run.count);
    bench_figure("crl.", name, bench_median(plain, 3), "s");
    snprintf(name, sizeof(name), "%s.%u.memory", prefix, run.count);
    bench_figure("crl.", name, (double)(run.memory_peak_kib - before_kib) / 1024, "MiB");
    issuer_close(&issuer);
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

static X509_CRL *openssl_list(EVP_PKEY *key)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, ISSUER_TIME_S + 86400);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    struct x509_crl_cursor cursor = { run.entries.data, run.entries.data + run.entries.len };
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

static void bench_openssl(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char name[64], temporary[600];
    uint64_t before_kib = anonymous_kib();

    snprintf(temporary, sizeof(temporary), "%s.openssl", run.list_path);
    uint64_t start_ns = bench_now_ns();
    X509_CRL *crl = openssl_list(key);
    FILE *file = fopen(temporary, "wb");
    if (file == NULL || i2d_X509_CRL_fp(file, crl) != 1 || fflush(file) != 0 ||
        fsync(fileno(file)) != 0 || rename(temporary, run.list_path) != 0)
        bench_die("OpenSSL does not write");
    double seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    uint64_t after_kib = anonymous_kib();
    fclose(file);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    snprintf(name, sizeof(name), "openssl.%u.seconds", run.count);
    bench_figure("crl.", name, seconds, "s");
    snprintf(name, sizeof(name), "openssl.%u.memory", run.count);
    bench_figure("crl.", name, (double)(after_kib - before_kib) / 1024, "MiB");
}

int main(int argc, char **argv)
{
    bool has_openssl = false;

    run.folder = ".";
    if (keys_harden_process() != CA_OK)
        bench_die("this process cannot keep keys");
    bench_hashes();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--folder") == 0 && i + 1 < argc) {
            run.folder = argv[++i];
            continue;
        }
        if (strcmp(argv[i], "--openssl") == 0) {
            has_openssl = true;
            continue;
        }
        snprintf(run.entries_path, sizeof(run.entries_path), "%s/bench_crl.entries", run.folder);
        snprintf(run.list_path, sizeof(run.list_path), "%s/bench_crl.crl", run.folder);
        make_entries((uint32_t)bench_number("N", argv[i], 50000000));
        bench_kind("full", CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
        bench_kind("sm2", CRYPTO_KEY_SM2, CRYPTO_SIG_SM2_SM3);
        if (has_openssl)
            bench_openssl();
        drop_entries();
        unlink(run.list_path);
    }
    return EXIT_SUCCESS;
}

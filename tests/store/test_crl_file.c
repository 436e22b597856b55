/* SPDX-License-Identifier: Apache-2.0 */
#include "store/crl_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "tests/support/check.h"
#include "tests/support/folder.h"
#include "tests/support/issuer.h"

/* clang-format off */
static const struct kind {
    const char *name;
    enum crypto_key_type type;
    enum crypto_sig sig;
} kinds[] = {
    { "p256",    CRYPTO_KEY_P256,    CRYPTO_SIG_ECDSA_SHA256 },
    { "p256-384", CRYPTO_KEY_P256,   CRYPTO_SIG_ECDSA_SHA384 },
    { "p384",    CRYPTO_KEY_P384,    CRYPTO_SIG_ECDSA_SHA384 },
    { "rsa",     CRYPTO_KEY_RSA,     CRYPTO_SIG_RSA_SHA256 },
    { "pss",     CRYPTO_KEY_RSA,     CRYPTO_SIG_PSS_SHA256 },
    { "ed25519", CRYPTO_KEY_ED25519, CRYPTO_SIG_ED25519 },
    { "sm2",     CRYPTO_KEY_SM2,     CRYPTO_SIG_SM2_SM3 },
};
/* clang-format on */
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static const uint8_t numbers[] = { 1, 2, 3, 4, 5 };
static char dir[64];
static char path[128];
static struct issuer issuer;
static struct entries entries;
static struct ca_refusal refusal;
static struct store_crl_made made;
static struct x509_crl_form form;
static struct x509_crl list;
static uint8_t *file;

static void make_dir(void)
{
    check_ok(keys_harden_process());
    folder_make("crl", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/list.crl", dir);
}

static void drop_dir(void)
{
    free(file);
    entries_free(&entries);
    unlink(path);
    cr_assert(rmdir(dir) == 0, "something was left in %s", dir);
}

TestSuite(crl_file, .init = make_dir, .fini = drop_dir, .timeout = 120);

static enum ca_err write_list(const struct x509_crl *previous)
{
    const struct store_crl_job job = {
        .form = &form,
        .source = { &entries, entries_next, entries_rewind },
        .signer = issuer.signer,
        .crypto = issuer.crypto,
        .gate = { .previous = previous, .key = issuer.own },
    };
    const struct store_publish_options options = { 0 };

    entries.at = 0;
    return store_crl_write(path, &job, &options, &made, &refusal);
}

static void read_list(void)
{
    struct stat status;
    int fd = open(path, O_RDONLY);

    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    free(file);
    file = malloc((size_t)status.st_size);
    cr_assert(read(fd, file, (size_t)status.st_size) == status.st_size);
    close(fd);
    check_ok(x509_crl_parse(ca_bytes_of(file, (size_t)status.st_size), &list, &refusal));
}

Test(crl_file, every_kind_of_key_signs_lists_of_every_length)
{
    static const uint32_t counts[] = { 0, 1, 2, 3, 5, 1000, 25000 };

    for (size_t k = 0; k < KIND_COUNT; k++) {
        issuer_open(&issuer, kinds[k].type, kinds[k].sig);
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            entries_free(&entries);
            entries_fill(&entries, 1, counts[c], 18);
            form = issuer_form(&issuer, numbers);
            form.entries_len = entries.len;
            check_ok(write_list(NULL));
            read_list();
            cr_assert(made.len == list.whole.len && made.difference.after == counts[c]);
            cr_assert(list.has_entries == (counts[c] > 0));
            check_bytes(list.entries, ca_bytes_of(entries.memory, entries.len));
            check_ok(rules_crl_verify(issuer.crypto, issuer.own, &list));
        }
        issuer_close(&issuer);
    }
}

/* The outer length is near a power of 256: with some signatures it takes an octet more. */
Test(crl_file, a_header_whose_length_depends_on_the_signature_is_right)
{
    char url[600];
    size_t border_count = 0;
    struct x509_crl_parts parts;

    issuer_open(&issuer, CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    form = issuer_form(&issuer, numbers);
    memset(url, 'u', sizeof(url));
    for (uint32_t i = 1; entries.len < 65536 - 600; i++)
        entries_fill(&entries, i, 1, 18);
    form.entries_len = entries.len;
    for (size_t len = 1; len < sizeof(url); len++) {
        form.url = ca_bytes_of(url, len);
        check_ok(x509_crl_parts_build(&form, &parts, &refusal));
        if (x509_crl_header_is_fixed(parts.tbs_len, form.sig, 8, 72))
            continue;
        border_count++;
        check_ok(write_list(NULL));
        read_list();
        cr_assert(made.len == list.whole.len);
        check_bytes(list.idp.url, form.url);
    }
    cr_assert(border_count >= 60, "%zu lists near the border", border_count);
    issuer_close(&issuer);
}

/* ---- long lists, which another thread reads */

static size_t chunks_left; /* then the source fails */

static enum ca_err next_failing(void *arg, struct ca_bytes *chunk_out)
{
    if (chunks_left == 0)
        return CA_ERR_STORAGE_CORRUPT;
    chunks_left--;
    return entries_next(arg, chunk_out);
}

static size_t done_calls;

static void count_done(void *arg)
{
    (void)arg;
    done_calls++;
}

static enum ca_err write_long(enum ca_err (*next)(void *arg, struct ca_bytes *chunk_out),
                              size_t chunk)
{
    const struct store_crl_job job = {
        .form = &form,
        .source = { &entries, next, entries_rewind, count_done },
        .signer = issuer.signer,
        .crypto = issuer.crypto,
        .gate = { .key = issuer.own },
    };
    const struct store_publish_options options = { 0 };

    entries.at = 0;
    entries.chunk = chunk;
    done_calls = 0;
    return store_crl_write(path, &job, &options, &made, &refusal);
}

static void start_long(void)
{
    issuer_open(&issuer, CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    entries_free(&entries);
    entries_fill(&entries, 1, 60000, 18);
    cr_assert(entries.len > 2 << 20);
    form = issuer_form(&issuer, numbers);
    form.entries_len = entries.len;
}

Test(crl_file, a_long_list_is_the_same_however_its_entries_are_cut)
{
    static const size_t chunks[] = { 37, 4096, 131072, 131073, 400000, 1 << 24 };
    uint8_t digest[32];

    start_long();
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        check_ok(write_long(entries_next, chunks[i]));
        cr_assert_eq(done_calls, 1);
        read_list();
        check_bytes(list.entries, ca_bytes_of(entries.memory, entries.len));
        check_ok(rules_crl_verify(issuer.crypto, issuer.own, &list));
        crypto_sha256(&list.whole, 1, digest);
        check_bytes(ca_bytes_of(made.sha256, 32), ca_bytes_of(digest, 32));
    }
    issuer_close(&issuer);
}

Test(crl_file, a_source_that_fails_within_a_long_list_leaves_nothing)
{
    start_long();
    for (size_t count = 0; count < 30; count += 7) {
        chunks_left = count;
        check_err(write_long(next_failing, 65536), CA_ERR_STORAGE_CORRUPT);
        cr_assert(access(path, F_OK) != 0 && done_calls == 0);
    }
    form.entries_len = entries.len - 1; /* more than announced */
    check_err(write_long(entries_next, 65536), CA_ERR_STORAGE_CORRUPT);
    form.entries_len = entries.len + 1;
    check_err(write_long(entries_next, 65536), CA_ERR_STORAGE_CORRUPT);
    cr_assert(access(path, F_OK) != 0);
    issuer_close(&issuer);
}

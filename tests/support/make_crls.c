/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_crls: lists of every kind into a folder, for other implementations to read.
 *
 *   make_crls DIR TIME
 *
 * TIME, in seconds since 1970, is a day before their next update.
 * For every KIND of key: KIND.crt, and KIND.NAME.crl as described in the table below, published the
 * way the daemon does it, each behind the one before it. One line per list on standard output:
 * kind, name, entries.
 */
#include "ca/base/text.h"
#include "store/crl_file.h"
#include "tests/support/issuer.h"

/* clang-format off */
static const struct kind {
    const char *name;
    enum crypto_key_type type;
    enum crypto_sig sig;
} kinds[] = {
    { "p256",    CRYPTO_KEY_P256,    CRYPTO_SIG_ECDSA_SHA256 },
    { "p384",    CRYPTO_KEY_P384,    CRYPTO_SIG_ECDSA_SHA384 },
    { "rsa",     CRYPTO_KEY_RSA,     CRYPTO_SIG_RSA_SHA256 },
    { "pss",     CRYPTO_KEY_RSA,     CRYPTO_SIG_PSS_SHA256 },
    { "ed25519", CRYPTO_KEY_ED25519, CRYPTO_SIG_ED25519 },
    { "sm2",     CRYPTO_KEY_SM2,     CRYPTO_SIG_SM2_SM3 },
};

static const struct shape {
    const char *name;
    uint32_t count;
    size_t serial_len;
    bool is_delta, has_point;
} shapes[] = {
    { "empty", 0,      18, false, false },
    { "one",   1,      18, false, true },
    { "large", 100000, 20, false, true },
    { "delta", 5,      18, true,  true },
};
/* clang-format on */

static void make(const char *dir, const struct kind *kind, struct issuer *issuer, size_t at,
                 int64_t time_s)
{
    const struct shape *shape = &shapes[at];
    const uint8_t number[] = { 0x01, 0x00, (uint8_t)(at + 1) };
    struct entries entries = { 0 };
    struct x509_crl_form form = issuer_form(issuer, number);
    const struct store_publish_options options = { 0 };
    struct store_crl_made made;
    struct ca_refusal refusal;
    char path[512];

    entries_fill(&entries, 1, shape->count, shape->serial_len);
    form.number = ca_bytes_of(number, sizeof(number));
    form.this_update_s = time_s - 86400;
    form.next_update_s = time_s + 86400;
    if (shape->is_delta) {
        static const uint8_t serial[] = { 0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8 };
        const struct x509_crl_entry entry = { .serial = ca_bytes_of(serial, sizeof(serial)),
                                              .revoked_s = ISSUER_TIME_S,
                                              .reason = X509_CRL_REMOVE_FROM_CRL };
        entries_add(&entries, &entry);
        form.base_number = ca_bytes_of(number, 2);
    }
    if (shape->has_point) {
        form.url = CA_BYTES("http://crl.example.cn/test/1.crl");
        form.only_user_certs = true;
    }
    form.entries_len = entries.len;
    const struct store_crl_job job = {
        .form = &form,
        .source = { &entries, entries_next, entries_rewind },
        .signer = issuer->signer,
        .crypto = issuer->crypto,
        .gate = { .key = issuer->own },
    };
    snprintf(path, sizeof(path), "%s/%s.%s.crl", dir, kind->name, shape->name);
    issuer_must(store_crl_write(path, &job, &options, &made, &refusal));
    printf("%s\t%s\t%llu\n", kind->name, shape->name, (unsigned long long)made.difference.after);
    entries_free(&entries);
}

int main(int argc, char **argv)
{
    char path[512];

    uint64_t time_s;
    if (argc != 3 || !ca_text_to_number(argv[2], 0, UINT32_MAX, &time_s))
        return 2;
    issuer_must(keys_harden_process());
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        static struct issuer issuer;
        issuer_open(&issuer, kinds[k].type, kinds[k].sig);
        snprintf(path, sizeof(path), "%s/%s.crt", argv[1], kinds[k].name);
        FILE *file = fopen(path, "wb");
        assert(file != NULL);
        fwrite(issuer.cert.data, 1, issuer.cert.len, file);
        fclose(file);
        for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
            make(argv[1], &kinds[k], &issuer, s, (int64_t)time_s);
        issuer_close(&issuer);
    }
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bench_rules: what judging a request costs, and making the bytes to be signed of it. */
#include <string.h>

#include "bench/bench.h"
#include "ca/crypto/digest.h"
#include "ca/x509/lint.h"
#include "tests/support/profiles.h"

enum { CALLS = 256, CSR_LEN_MAX = 4096 };
static const uint64_t SPAN_NS = 200000000;

struct subject {
    const char *key;
    const struct rules_profile *profile;
    struct rules_issuer issuer;
    struct rules_request request;
    struct x509_csr csr;
    uint8_t der[CSR_LEN_MAX];
    struct rules_blocked_keys blocked;
    uint8_t spki_digest[CA_DIGEST_LEN];
    struct ca_bytes tbs;
    struct ca_arena *arena;
};

static void check_keys(void *arg)
{
    struct subject *s = arg;
    struct ca_refusal refusal;

    for (unsigned i = 0; i < CALLS; i++) {
        if (rules_key_check(s->profile, &s->csr, &s->blocked, s->spki_digest, &refusal) != CA_OK)
            bench_die("%s: key refused: %s", s->key, refusal.rule);
    }
}

static void draft_many(void *arg)
{
    struct subject *s = arg;
    struct rules_order order = { s->profile, &s->issuer, &s->request, &s->csr, profiles_moment() };
    struct ca_refusal refusal;
    struct rules_draft draft;

    ca_arena_reset(s->arena);
    for (unsigned i = 0; i < CALLS; i++) {
        order.moment.serial.bytes[CA_SERIAL_LEN - 1] = (uint8_t)i;
        if (rules_draft(&order, s->arena, &draft, &refusal) != CA_OK)
            bench_die("%s: %s: %s", s->key, refusal.field, refusal.rule);
    }
    s->tbs = draft.tbs;
}

static void lint_many(void *arg)
{
    struct subject *s = arg;
    const struct x509_lint_context context = {
        .issuer_name = s->issuer.subject,
        .issuer_key_id = ca_bytes_of(s->issuer.key_id, sizeof(s->issuer.key_id)),
        .issuer_not_after_s = s->issuer.not_after_s,
        .sig = s->issuer.sig,
    };
    struct ca_refusal refusal;

    for (unsigned i = 0; i < CALLS; i++) {
        if (x509_lint(s->tbs, &context, &refusal) != CA_OK)
            bench_die("%s: %s: %s", s->key, refusal.field, refusal.rule);
    }
}

static void report(const char *what, struct subject *s, void (*many)(void *arg))
{
    double rounds[BENCH_ROUNDS];
    char name[64];

    for (unsigned i = 0; i < BENCH_ROUNDS; i++)
        rounds[i] = bench_call_us(SPAN_NS / BENCH_ROUNDS, many, s) / CALLS * 1000;
    snprintf(name, sizeof(name), "rules.%s.%s.%s", what, s->profile->name, s->key);
    bench_figure("", name, bench_median(rounds, BENCH_ROUNDS), "ns");
}

static struct ca_bytes load(const char *key, uint8_t *bytes)
{
    char path[512];
    unsigned octet;
    size_t len = 0;

    snprintf(path, sizeof(path), "%s/vectors/rules/csr_%s.hex", TESTS_DIR, key);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bench_die("%s: cannot be opened", path);
    while (len < CSR_LEN_MAX && fscanf(file, "%2x", &octet) == 1)
        bytes[len++] = (uint8_t)octet;
    fclose(file);
    return ca_bytes_of(bytes, len);
}

static void measure(struct subject *s, const char *key)
{
    struct ca_refusal refusal;

    s->key = key;
    if (x509_csr_parse(load(key, s->der), &s->csr, &refusal) != CA_OK)
        bench_die("csr_%s: %s", key, refusal.rule);
    if (strcmp(s->profile->name, "enterprise") == 0)
        s->csr.extension_count = 0; /* it has no alternative names */
    crypto_sha256(&s->csr.spki, 1, s->spki_digest);
    report("key_check", s, check_keys);
    report("draft", s, draft_many);
    report("lint", s, lint_many); /* of the last draft; part of the figure above */
}

/* Ten thousand blocked keys, none of them ours. */
static struct rules_blocked_keys blocked_keys(void)
{
    enum { COUNT = 10000 };
    uint8_t(*digests)[CA_DIGEST_LEN] = calloc(COUNT, sizeof(*digests));

    if (digests == NULL)
        bench_die("out of memory");
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t start = i * (UINT32_MAX / COUNT);
        for (unsigned k = 0; k < 4; k++)
            digests[i][k] = (uint8_t)(start >> (24 - 8 * k));
    }
    return (struct rules_blocked_keys){ (const uint8_t(*)[CA_DIGEST_LEN])digests, COUNT };
}

int main(void)
{
    static const struct rules_value uscc = { CA_BYTES("uscc"), CA_BYTES("91350100M000100Y43") };
    static const char *const enterprise_keys[] = { "p256", "rsa2048", "ed25519", "sm2" };
    static const char *const tls_keys[] = { "p256", "rsa2048" };
    static struct subject s;
    struct ca_arena *arena;

    if (ca_arena_new(1 << 20, 1 << 24, &arena) != CA_OK ||
        ca_arena_new(1 << 22, 1 << 24, &s.arena) != CA_OK)
        bench_die("out of memory");
    s.issuer = profiles_issuer(CRYPTO_SIG_ECDSA_SHA256, arena);
    s.blocked = blocked_keys();
    s.request = (struct rules_request){ .values = &uscc, .value_count = 1 };
    s.profile = profiles_prepared(profiles_enterprise_raw(arena), arena);
    for (size_t i = 0; i < sizeof(enterprise_keys) / sizeof(enterprise_keys[0]); i++)
        measure(&s, enterprise_keys[i]);
    s.request = (struct rules_request){ 0 };
    s.profile = profiles_prepared(profiles_tls_raw(arena), arena);
    for (size_t i = 0; i < sizeof(tls_keys) / sizeof(tls_keys[0]); i++)
        measure(&s, tls_keys[i]);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_secret: does the time of signing tell anything about what is secret?
 *
 * Two classes of secrets, a fixed and rather special one and random ones, take turns at random;
 * Welch's t-test compares the times of both, over all and below several quantiles, where a
 * leak would not drown in interruptions. The largest |t| is printed: beyond 4.5 there is
 * something to explain, beyond 10 there is a leak. Takes the number of samples, 100000; of RSA,
 * a tenth.
 */
#include <math.h>
#include <openssl/rand.h>
#include <x86intrin.h>

#include "bench/bench.h"
#include "ca/crypto/ec_lanes.h"
#include "ca/crypto/rsa_lanes.h"

enum { SAMPLES = 100000, QUANTILES = 12, LOT = EC_LANES };

struct world {
    struct crypto_ec *engine[2];
    struct ec_comb comb;
    struct ec_lanes_comb lanes_comb;
    const struct ec_curve *curve;
    enum crypto_ec_backend backend;

    struct ec_number k[LOT], x[LOT], z[LOT];
    struct crypto_ec_key key;
    uint8_t digest[LOT][32], fresh[LOT][32], signature[LOT][64];

    struct rsa_lanes_key rsa;
    uint8_t encoded[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
    uint8_t rsa_signature[RSA_LANES_MESSAGES][RSA_OCTETS_MAX];
};

static void draw(void *bytes, size_t len)
{
    bench_must(RAND_bytes(bytes, (int)len) == 1, "RAND_bytes failed");
}

/* ---- what is timed: `make` prepares one sample of a class, `run` is timed */

/* k = 1: nothing but a one, against random scalars. */
static void make_scalars(struct world *world, bool is_fixed)
{
    const uint64_t mask = is_fixed ? 0 : ~(uint64_t)0;

    draw(world->k, sizeof(world->k));
    for (size_t i = 0; i < LOT; i++) {
        for (int word = 0; word < 4; word++)
            world->k[i].word[word] &= word == 3 ? mask >> 1 : mask;
        world->k[i].word[0] |= 1;
    }
}

static void run_multiply(struct world *world)
{
    struct ec_point point;

    if (world->backend == CRYPTO_EC_LANES)
        crypto_ec_lanes_multiply(world->curve, &world->lanes_comb, world->k, world->x, world->z);
    else
        crypto_ec_comb_multiply(world->curve, &world->comb, &world->k[0], &point);
}

/* The key 3, against random keys. */
static void make_keys(struct world *world, bool is_fixed)
{
    uint8_t scalar[32];

    draw(world->digest, sizeof(world->digest));
    draw(world->fresh, sizeof(world->fresh));
    draw(scalar, sizeof(scalar));
    scalar[0] &= 0x7f;
    for (size_t i = 0; i < sizeof(scalar); i++)
        scalar[i] = is_fixed ? (uint8_t)(i == 31 ? 3 : 0) : scalar[i];
    bench_must(crypto_ec_key_init(world->curve->id, scalar, &world->key) == CA_OK, "a key failed");
}

static void run_sign(struct world *world)
{
    crypto_ec_sign_many(world->engine[world->backend], &world->key, (const void *)world->digest,
                        LOT, (const void *)world->fresh, world->signature);
}

/* Below 2^1023, limb by limb. */
static void draw_half(uint64_t limb[RSA_HALF_LIMBS_MAX], size_t limbs)
{
    const uint64_t mask = ((uint64_t)1 << 52) - 1;

    draw(limb, limbs * sizeof(*limb));
    for (size_t i = 0; i < limbs; i++)
        limb[i] &= i == limbs - 1 ? mask >> 17 : mask;
}

/* Exponents of a single one, and factors of all ones, against random ones. They need not fit. */
static void make_rsa(struct world *world, bool is_fixed)
{
    enum { LIMBS = 20 };
    struct rsa_lanes_key *key = &world->rsa;

    draw(world->encoded, sizeof(world->encoded));
    key->limbs = LIMBS;
    for (int half = 0; half < 2; half++) {
        draw_half(key->factor[half], LIMBS);
        draw_half(key->exponent[half], LIMBS);
        draw_half(key->square[half], LIMBS);
        draw_half(key->cube[half], LIMBS);
        draw_half(key->crt[half], LIMBS);
        for (size_t i = 0; i < LIMBS && is_fixed; i++) {
            key->exponent[half][i] = i == 0 ? 1 : 0;
            key->factor[half][i] = ((uint64_t)1 << (i == LIMBS - 1 ? 36 : 52)) - 1;
        }
        key->factor[half][0] |= 1;
        key->factor[half][LIMBS - 1] |= (uint64_t)1 << 35;
        key->inverse[half] = rsa_lanes_inverse(key->factor[half][0]);
    }
    for (size_t i = 0; i < RSA_LANES_MESSAGES; i++)
        world->encoded[i][0] = 0;
}

static void run_rsa(struct world *world)
{
    crypto_rsa_lanes_sign(&world->rsa, 256, (const void *)world->encoded, RSA_LANES_MESSAGES,
                          world->rsa_signature);
}

/* ---- statistics */

struct sample {
    bool is_fixed;
    double ticks;
};

static double welch(const struct sample *samples, size_t count, double limit)
{
    double n[2] = { 0 }, mean[2] = { 0 }, square[2] = { 0 };

    for (size_t i = 0; i < count; i++) {
        int class = samples[i].is_fixed;
        if (samples[i].ticks > limit)
            continue;
        n[class] += 1;
        double delta = samples[i].ticks - mean[class];
        mean[class] += delta / n[class];
        square[class] += delta * (samples[i].ticks - mean[class]);
    }
    if (n[0] < 2 || n[1] < 2)
        return 0;
    double variance = square[0] / (n[0] - 1) / n[0] + square[1] / (n[1] - 1) / n[1];
    return variance > 0 ? (mean[0] - mean[1]) / sqrt(variance) : 0;
}

static double largest_t(const struct sample *samples, size_t count)
{
    double *sorted = malloc(count * sizeof(*sorted)), worst = fabs(welch(samples, count, 1e18));

    bench_must(sorted != NULL, "memory failed");
    for (size_t i = 0; i < count; i++)
        sorted[i] = samples[i].ticks;
    qsort(sorted, count, sizeof(*sorted), bench_compare_double);
    for (size_t i = 1; i <= QUANTILES; i++) {
        double t = fabs(welch(samples, count, sorted[count * i / (QUANTILES + 1)]));
        worst = t > worst ? t : worst;
    }
    free(sorted);
    return worst;
}

static double measure(struct world *world, size_t count, void (*make)(struct world *, bool),
                      void (*run)(struct world *))
{
    struct sample *samples = calloc(count, sizeof(*samples));
    unsigned unused;

    bench_must(samples != NULL, "memory failed");
    for (size_t i = 0; i < count; i++) {
        uint8_t coin;

        draw(&coin, 1);
        samples[i].is_fixed = coin & 1;
        make(world, samples[i].is_fixed);
        _mm_mfence(); /* what was stored last is not to be waited for */
        _mm_lfence();
        uint64_t start = __rdtsc();
        run(world);
        samples[i].ticks = (double)(__rdtscp(&unused) - start);
    }
    double t = largest_t(samples, count);
    free(samples);
    return t;
}

int main(int argc, char **argv)
{
    static const char *const backends[] = { "portable", "lanes" }, *const curves[] = { "p256",
                                                                                       "sm2" };
    struct world *world = aligned_alloc(64, sizeof(*world));
    size_t backend_count = crypto_ec_backend_best() == CRYPTO_EC_LANES ? 2 : 1;
    uint64_t count = argc > 1 ? bench_number("samples", argv[1], 100000000) : SAMPLES;

    bench_must(world != NULL && count > 100, "a hundred samples failed");
    for (size_t i = 0; i < backend_count; i++)
        bench_must(crypto_ec_new((enum crypto_ec_backend)i, &world->engine[i]) == CA_OK,
                   "tables failed");
    for (size_t i = 0; i < 2 * backend_count; i++) {
        char prefix[64];

        world->backend = (enum crypto_ec_backend)(i / 2);
        world->curve = crypto_ec_curve_of((enum crypto_ec_curve)(i % 2));
        crypto_ec_comb_init(world->curve, &world->curve->base, &world->comb);
        crypto_ec_lanes_comb_init(world->curve, &world->comb, &world->lanes_comb);
        snprintf(prefix, sizeof(prefix), "secret.%s.%s", backends[i / 2], curves[i % 2]);
        bench_figure(prefix, ".multiply.t", measure(world, count, make_scalars, run_multiply), "t");
        bench_figure(prefix, ".sign.t", measure(world, count, make_keys, run_sign), "t");
    }
    if (backend_count == 2)
        bench_figure("secret.lanes.rsa2048", ".sign.t",
                     measure(world, count / 10 + 1, make_rsa, run_rsa), "t");
    for (size_t i = 0; i < backend_count; i++)
        crypto_ec_free(world->engine[i]);
    free(world);
    return EXIT_SUCCESS;
}

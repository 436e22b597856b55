/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress_ec: signatures back and forth between us and OpenSSL, as many as asked for.
 *
 *     stress_ec [PAIRS [SEED]]
 *
 * Lots of 1 to 64: one key signs on every width (the results must be the same octets), OpenSSL
 * verifies each; OpenSSL's arithmetic signs as many under other keys. Then all of them, curves
 * mixed, some spoilt in one of several ways, are verified by every width and by an own key; each
 * verdict has to be OpenSSL's. Random numbers come from the seed, so a failure can be repeated;
 * it prints the lot and stops.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/ec_reference.h"

enum { LOT_MAX = 64, JOBS_MAX = 2 * LOT_MAX, PAIRS_QUICK = 3000 };

struct stress {
    struct crypto_ec *engine[2];
    size_t engine_count;
    struct reference reference[CRYPTO_EC_CURVE_COUNT];
    uint64_t state;
    uint64_t pairs, verdicts, good, lots;

    struct crypto_ec_key key;
    uint8_t scalar[32], point[64];
    uint8_t digest[LOT_MAX][32], fresh[LOT_MAX][32], signature[2][LOT_MAX][64];
    struct crypto_ec_verify jobs[JOBS_MAX];
    bool want[JOBS_MAX];
    size_t job_count;
};

static void fail(const struct stress *stress, const char *what, const struct crypto_ec_verify *job)
{
    char text[2 * 64 + 1];

    printf("stress_ec: %s, lot %llu\n", what, (unsigned long long)stress->lots);
    if (job != NULL) {
        printf("curve %d\n", (int)job->curve);
        ca_text_hex(ca_bytes_of(job->point, 64), text);
        printf("point %s\n", text);
        ca_text_hex(ca_bytes_of(job->digest, 32), text);
        printf("digest %s\n", text);
        ca_text_hex(ca_bytes_of(job->signature, 64), text);
        printf("signature %s\n", text);
    }
    exit(EXIT_FAILURE);
}

/* Random octets, or now and then ones that carry badly. */
static void draw(struct stress *stress, uint8_t bytes[32])
{
    if (random_next(&stress->state) % 4 == 0)
        reference_structured(&stress->state, bytes);
    else
        random_fill(&stress->state, bytes, 32);
}

static void draw_key(struct stress *stress, enum crypto_ec_curve curve)
{
    uint8_t want[64];

    do
        draw(stress, stress->scalar);
    while (crypto_ec_key_init(curve, stress->scalar, &stress->key) != CA_OK);
    crypto_ec_key_public(stress->engine[0], &stress->key, stress->point);
    reference_public(&stress->reference[curve], stress->scalar, want);
    if (!ca_bytes_equal(ca_bytes_of(want, 64), ca_bytes_of(stress->point, 64)))
        fail(stress, "public key", NULL);
}

static void add_job(struct stress *stress, enum crypto_ec_curve curve, const uint8_t *digest,
                    const uint8_t *signature)
{
    struct crypto_ec_verify *job = &stress->jobs[stress->job_count++];

    job->curve = curve;
    memcpy(job->point, stress->point, 64);
    memcpy(job->digest, digest, 32);
    memcpy(job->signature, signature, 64);
}

/* We sign, OpenSSL verifies. */
static void sign_lot(struct stress *stress, enum crypto_ec_curve curve, size_t count)
{
    bool is_hedged = random_next(&stress->state) % 8 != 0;

    draw_key(stress, curve);
    for (size_t i = 0; i < count; i++) {
        draw(stress, stress->digest[i]);
        draw(stress, stress->fresh[i]);
    }
    for (size_t e = 0; e < stress->engine_count; e++)
        crypto_ec_sign_many(stress->engine[e], &stress->key, (const void *)stress->digest, count,
                            is_hedged ? (const void *)stress->fresh : NULL, stress->signature[e]);
    for (size_t i = 0; i < count; i++) {
        add_job(stress, curve, stress->digest[i], stress->signature[0][i]);
        const struct crypto_ec_verify *job = &stress->jobs[stress->job_count - 1];
        if (!ca_bytes_equal(ca_bytes_of(stress->signature[0][i], 64),
                            ca_bytes_of(stress->signature[stress->engine_count - 1][i], 64)))
            fail(stress, "the widths sign differently", job);
        if (!reference_verify(&stress->reference[curve], job->point, job->digest, job->signature))
            fail(stress, "OpenSSL refuses our signature", job);
        stress->want[stress->job_count - 1] = true;
    }
}

/* OpenSSL signs, with nonces of ours, each time with another key. */
static void sign_elsewhere(struct stress *stress, enum crypto_ec_curve curve)
{
    struct reference *ref = &stress->reference[curve];
    uint8_t nonce[32], digest[32], signature[64];

    draw_key(stress, curve);
    do {
        draw(stress, digest);
        draw(stress, nonce);
        BN_bin2bn(nonce, 32, ref->t);
    } while (BN_is_zero(ref->t) || BN_cmp(ref->t, ref->n) >= 0 ||
             !reference_sign(ref, stress->scalar, digest, nonce, signature));
    add_job(stress, curve, digest, signature);
    stress->want[stress->job_count - 1] = true;
}

static void spoil(struct stress *stress, struct crypto_ec_verify *job)
{
    uint64_t how = random_next(&stress->state);
    uint8_t *places[] = { job->point, job->point + 32, job->digest, job->signature,
                          job->signature + 32 };
    uint8_t *place = places[how % 5];

    how >>= 8;
    switch (how % 6) {
    case 0: place[how / 8 % 32] ^= (uint8_t)(1 << how / 256 % 8); break;
    case 1: draw(stress, place); break;
    case 2: memset(place, how / 8 % 2 != 0 ? 0xff : 0, 32); break;
    case 3: BN_bn2binpad(stress->reference[job->curve].n, place, 32); break;
    case 4: BN_bn2binpad(stress->reference[job->curve].p, place, 32); break;
    default: /* n - s: good for ECDSA, bad for SM2 */
        BN_bin2bn(job->signature + 32, 32, stress->reference[job->curve].s);
        BN_sub(stress->reference[job->curve].t, stress->reference[job->curve].n,
               stress->reference[job->curve].s);
        if (!BN_is_negative(stress->reference[job->curve].t))
            BN_bn2binpad(stress->reference[job->curve].t, job->signature + 32, 32);
    }
}

static void verify_all(struct stress *stress)
{
    for (size_t i = 0; i < stress->job_count; i++) {
        struct crypto_ec_verify *job = &stress->jobs[i];
        if (random_next(&stress->state) % 3 != 0)
            continue;
        spoil(stress, job);
        stress->want[i] = reference_verify(&stress->reference[job->curve], job->point, job->digest,
                                           job->signature);
    }
    for (size_t e = 0; e < stress->engine_count; e++) {
        for (size_t i = 0; i < stress->job_count; i++)
            stress->jobs[i].is_valid = !stress->want[i];
        crypto_ec_verify_many(stress->engine[e], stress->jobs, stress->job_count);
        for (size_t i = 0; i < stress->job_count; i++) {
            if (stress->jobs[i].is_valid != stress->want[i])
                fail(stress, e == 0 ? "portable verdict" : "verdict of the lanes",
                     &stress->jobs[i]);
            stress->good += stress->want[i] ? 1 : 0;
        }
        stress->verdicts += stress->job_count;
    }
}

/* The lot again, under its own key; what was spoilt in digest or signature is so here. */
static void verify_own(struct stress *stress, const uint8_t point[64], enum crypto_ec_curve curve,
                       size_t count)
{
    uint8_t digest[LOT_MAX][32], signature[LOT_MAX][64];
    bool is_valid[LOT_MAX];
    struct crypto_ec_own *own;

    if (crypto_ec_own_new(curve, point, &own) != CA_OK)
        fail(stress, "own key", NULL);
    for (size_t i = 0; i < count; i++) {
        memcpy(digest[i], stress->jobs[i].digest, 32);
        memcpy(signature[i], stress->jobs[i].signature, 64);
    }
    for (size_t e = 0; e < stress->engine_count; e++) {
        crypto_ec_verify_own_many(stress->engine[e], own, (const void *)digest,
                                  (const void *)signature, count, is_valid);
        for (size_t i = 0; i < count; i++) {
            bool is_same =
                ca_bytes_equal(ca_bytes_of(point, 64), ca_bytes_of(stress->jobs[i].point, 64));
            if (is_same && is_valid[i] != stress->want[i])
                fail(stress, "verdict of an own key", &stress->jobs[i]);
        }
    }
    crypto_ec_own_free(own);
}

static void run_lot(struct stress *stress)
{
    enum crypto_ec_curve curve = (enum crypto_ec_curve)(random_next(&stress->state) % 2);
    size_t count = 1 + stress->lots % LOT_MAX, others = random_next(&stress->state) % (count + 1);
    uint8_t point[64];

    stress->job_count = 0;
    sign_lot(stress, curve, count);
    memcpy(point, stress->point, 64);
    for (size_t i = 0; i < others; i++)
        sign_elsewhere(stress, (enum crypto_ec_curve)(random_next(&stress->state) % 2));
    verify_all(stress);
    if (stress->lots % 4 == 0)
        verify_own(stress, point, curve, count);
    stress->pairs += count + others;
    stress->lots++;
}

int main(int argc, char **argv)
{
    static struct stress stress;
    uint64_t pairs = PAIRS_QUICK;

    stress.state = 20260101;
    if ((argc > 1 && !ca_text_to_number(argv[1], 1, UINT64_MAX, &pairs)) ||
        (argc > 2 && !ca_text_to_number(argv[2], 1, UINT64_MAX, &stress.state)) || argc > 3) {
        fprintf(stderr, "usage: stress_ec [PAIRS [SEED]]\n");
        return 2;
    }
    size_t backend_count = crypto_ec_backend_best() == CRYPTO_EC_LANES ? 2 : 1;
    for (; stress.engine_count < backend_count; stress.engine_count++) {
        if (crypto_ec_new((enum crypto_ec_backend)stress.engine_count,
                          &stress.engine[stress.engine_count]) != CA_OK)
            return EXIT_FAILURE;
    }
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_open(&stress.reference[i], (enum crypto_ec_curve)i);
    while (stress.pairs < pairs)
        run_lot(&stress);
    printf("%llu signatures in %llu lots, %llu verdicts, %llu of them good: all as OpenSSL's\n",
           (unsigned long long)stress.pairs, (unsigned long long)stress.lots,
           (unsigned long long)stress.verdicts, (unsigned long long)stress.good);
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_close(&stress.reference[i]);
    for (size_t i = 0; i < stress.engine_count; i++)
        crypto_ec_free(stress.engine[i]);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ec: signature and key octets; both widths, an own key and OpenSSL give one verdict.
 *
 * Input: one octet of choices, then point, digest and signature, zeros where it ends early.
 * Bits of the choice: 0 the curve; 1 the key is made from the point's octets taken as a scalar;
 * 2 the signature is a good one, made with the scalar and the digest, XORed with the octets;
 * 3 the key is also made an own one, which takes some time.
 */
#include <stdlib.h>

#include "tests/support/ec_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { LANES = 8 };

static struct {
    struct crypto_ec *engine[2];
    size_t engine_count;
    struct reference reference[CRYPTO_EC_CURVE_COUNT];
} world;

static void must(bool is_fine)
{
    if (!is_fine)
        abort();
}

static void open_world(void)
{
    must(crypto_ec_new(CRYPTO_EC_PORTABLE, &world.engine[world.engine_count++]) == CA_OK);
    if (crypto_ec_backend_best() == CRYPTO_EC_LANES)
        must(crypto_ec_new(CRYPTO_EC_LANES, &world.engine[world.engine_count++]) == CA_OK);
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++)
        reference_open(&world.reference[i], (enum crypto_ec_curve)i);
}

/* A key pair from the octets of the point, and, if asked for, a signature with it. */
static void make_good(struct crypto_ec_verify *job, bool is_signed)
{
    struct crypto_ec_key key;
    uint8_t good[64];

    if (crypto_ec_key_init(job->curve, job->point, &key) != CA_OK)
        return;
    crypto_ec_key_public(world.engine[0], &key, job->point);
    if (!is_signed)
        return;
    crypto_ec_sign_many(world.engine[0], &key, (const void *)job->digest, 1, NULL, (void *)good);
    for (size_t i = 0; i < sizeof(good); i++)
        job->signature[i] ^= good[i];
}

static void check_own(const struct crypto_ec_verify *job, bool want)
{
    uint8_t digests[LANES][32], signatures[LANES][64];
    bool is_valid[LANES];
    struct crypto_ec_own *own = NULL;

    bool has_own = crypto_ec_own_new(job->curve, job->point, &own) == CA_OK;
    must(has_own == crypto_ec_point_is_valid(job->curve, job->point));
    for (int i = 0; i < LANES; i++) {
        memcpy(digests[i], job->digest, 32);
        memcpy(signatures[i], job->signature, 64);
    }
    for (size_t e = 0; has_own && e < world.engine_count; e++) {
        crypto_ec_verify_own_many(world.engine[e], own, (const void *)digests,
                                  (const void *)signatures, LANES, is_valid);
        for (int i = 0; i < LANES; i++)
            must(is_valid[i] == want);
    }
    crypto_ec_own_free(own);
}

static void check(const struct crypto_ec_verify *job, bool has_own)
{
    struct reference *ref = &world.reference[job->curve];
    bool want = reference_verify(ref, job->point, job->digest, job->signature);
    struct crypto_ec_verify jobs[LANES];

    must(crypto_ec_point_is_valid(job->curve, job->point) == reference_load_point(ref, job->point));
    for (size_t e = 0; e < world.engine_count; e++) {
        size_t count = e == 0 ? 1 : LANES;

        for (size_t i = 0; i < count; i++)
            jobs[i] = *job;
        crypto_ec_verify_many(world.engine[e], jobs, count);
        for (size_t i = 0; i < count; i++)
            must(jobs[i].is_valid == want);
    }
    if (has_own)
        check_own(job, want);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct crypto_ec_verify job = { 0 };
    uint8_t octets[1 + 64 + 32 + 64] = { 0 };

    if (world.engine_count == 0)
        open_world();
    memcpy(octets, input, size < sizeof(octets) ? size : sizeof(octets));
    job.curve = octets[0] & 1 ? CRYPTO_EC_SM2 : CRYPTO_EC_P256;
    memcpy(job.point, octets + 1, 64);
    memcpy(job.digest, octets + 65, 32);
    memcpy(job.signature, octets + 97, 64);
    if (octets[0] & 2)
        make_good(&job, (octets[0] & 4) != 0);
    check(&job, (octets[0] & 8) != 0);
    return 0;
}

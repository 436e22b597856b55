/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "ca/crypto/ec_internal.h"
#include "ca/crypto/ec_nonce.h"

enum {
    CHUNK_MAX = EC_INVERT_MAX, /* signatures that share their inversions */
    /* Eight lanes cost as much as so many one after the other (bench_crypto, odd lots). */
    LANES_SIGN_MIN = 2,
    LANES_VERIFY_MIN = 2,
};

_Static_assert((int)CHUNK_MAX <= (int)EC_NONCE_MAX, "a chunk's nonces are made at once");
_Static_assert(CHUNK_MAX % EC_LANES == 0, "chunks fill the lanes");

enum crypto_ec_backend crypto_ec_backend_best(void)
{
    return crypto_ec_has_lanes() ? CRYPTO_EC_LANES : CRYPTO_EC_PORTABLE;
}

enum ca_err crypto_ec_new(enum crypto_ec_backend backend, struct crypto_ec **ec_out)
{
    struct crypto_ec *ec;

    *ec_out = NULL;
    if (backend == CRYPTO_EC_LANES && !crypto_ec_has_lanes())
        return CA_ERR_CONFIG;
    if ((ec = aligned_alloc(64, sizeof(*ec))) == NULL)
        return CA_ERR_NOMEM;
    ec->backend = backend;
    atomic_init(&ec->holders, 1);
    for (int i = 0; i < CRYPTO_EC_CURVE_COUNT; i++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)i);

        crypto_ec_comb_init(curve, &curve->base, &ec->comb[i]);
        crypto_ec_lanes_comb_init(curve, &ec->comb[i], &ec->lanes_comb[i]);
        crypto_ec_lanes_public_comb_init(curve, &ec->comb[i], &ec->lanes_public[i]);
        crypto_ec_lanes_base_init(curve, &ec->lanes_base[i]);
    }
    *ec_out = ec;
    return CA_OK;
}

struct crypto_ec *crypto_ec_share(struct crypto_ec *ec)
{
    atomic_fetch_add(&ec->holders, 1);
    return ec;
}

void crypto_ec_free(struct crypto_ec *ec)
{
    if (ec != NULL && atomic_fetch_sub(&ec->holders, 1) == 1)
        free(ec);
}

/*
 * What the functions below a secret operation have left on the stack, their spilt registers
 * included: none of them goes deeper than this.
 */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t stack[16384];

    OPENSSL_cleanse(stack, sizeof(stack));
}

/* 1 <= d < n, and for SM2 d + 1 has an inverse. */
static bool is_scalar_valid(const struct ec_curve *curve, const struct ec_number *d)
{
    struct ec_number next = *d;
    unsigned char carry = curve->id == CRYPTO_EC_SM2;

    for (int i = 0; i < 4; i++)
        next.word[i] = ec_add_carry(next.word[i], 0, &carry);
    uint64_t mask =
        ec_number_less_mask(&next, &curve->n.m) & ~ec_number_zero_mask(d) & ((uint64_t)carry - 1);
    EC_DECLASSIFY(&mask, sizeof(mask));
    return mask != 0;
}

enum ca_err crypto_ec_key_init(enum crypto_ec_curve curve_id,
                               const uint8_t scalar[CRYPTO_EC_SCALAR_LEN],
                               struct crypto_ec_key *key_out)
{
    const struct ec_curve *curve = crypto_ec_curve_of(curve_id);
    enum ca_err err = CA_ERR_KEY_UNUSABLE;
    struct ec_number d, blend;

    memset(key_out, 0, sizeof(*key_out));
    ec_number_load(&d, scalar);
    if (!is_scalar_valid(curve, &d))
        goto out;
    key_out->curve = curve_id;
    memcpy(key_out->secret, scalar, CRYPTO_EC_SCALAR_LEN);
    ec_number_to_montgomery(&curve->n, &d);
    memcpy(key_out->scalar, d.word, sizeof(d.word));
    if (curve_id == CRYPTO_EC_SM2) {
        ec_number_add(&curve->n, &blend, &d, &curve->n.one);
        crypto_ec_number_invert(&curve->n, &blend, &blend);
        memcpy(key_out->blend, blend.word, sizeof(blend.word));
    }
    crypto_ec_nonce_prepare(key_out);
    err = CA_OK;
out:
    OPENSSL_cleanse(&d, sizeof(d));
    OPENSSL_cleanse(&blend, sizeof(blend));
    wipe_stack();
    return err;
}

void crypto_ec_key_wipe(struct crypto_ec_key *key)
{
    if (key != NULL)
        OPENSSL_cleanse(key, sizeof(*key));
}

void crypto_ec_key_public(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                          uint8_t point_out[CRYPTO_EC_POINT_LEN])
{
    const struct ec_curve *curve = crypto_ec_curve_of(key->curve);
    const struct ec_modulus *p = &curve->p;
    struct ec_number d, power;
    struct ec_point point;

    ec_number_load(&d, key->secret);
    uint64_t flip = crypto_ec_scalar_make_odd(curve, &d);
    crypto_ec_comb_multiply(curve, &ec->comb[key->curve], &d, &point);
    crypto_ec_number_invert(p, &point.z, &point.z);
    crypto_ec_number_square(p, &power, &point.z);
    crypto_ec_number_mul(p, &point.x, &point.x, &power);
    crypto_ec_number_mul(p, &power, &power, &point.z);
    crypto_ec_number_mul(p, &point.y, &point.y, &power);
    ec_number_negate_if(p, flip, &point.y);
    ec_number_from_montgomery(p, &point.x);
    ec_number_from_montgomery(p, &point.y);
    ec_number_store(&point.x, point_out);
    ec_number_store(&point.y, point_out + 32);
    OPENSSL_cleanse(&d, sizeof(d));
    OPENSSL_cleanse(&power, sizeof(power));
    OPENSSL_cleanse(&point, sizeof(point));
    wipe_stack();
}

/* ---- signing */

/* The numbers of a chunk on their way to signatures; all of it is secret. */
struct sign_work {
    struct ec_number k[CHUNK_MAX], k_inverse[CHUNK_MAX], odd[CHUNK_MAX], x[CHUNK_MAX], z[CHUNK_MAX];
    uint8_t attempts[CHUNK_MAX];
};

/* (X, Z) of k G. The sign of k does not show in x, so even nonces are taken as n - k. */
static void multiply_base(const struct crypto_ec *ec, const struct ec_curve *curve,
                          struct sign_work *work, size_t count)
{
    struct ec_point point;
    size_t done = 0;

    for (size_t i = 0; i < count; i++) {
        work->odd[i] = work->k[i];
        crypto_ec_scalar_make_odd(curve, &work->odd[i]);
    }
    while (ec->backend == CRYPTO_EC_LANES && count - done >= LANES_SIGN_MIN) {
        for (size_t i = count; i < done + EC_LANES; i++) /* lanes without work */
            work->odd[i] = (struct ec_number){ { 1, 0, 0, 0 } };
        crypto_ec_lanes_multiply(curve, &ec->lanes_comb[curve->id], &work->odd[done],
                                 &work->x[done], &work->z[done]);
        done = done + EC_LANES < count ? done + EC_LANES : count;
    }
    for (; done < count; done++) {
        crypto_ec_comb_multiply(curve, &ec->comb[curve->id], &work->odd[done], &point);
        work->x[done] = point.x;
        work->z[done] = point.z;
    }
    OPENSSL_cleanse(&point, sizeof(point));
}

/* From (X, Z) to the plain affine x, and the inverses of the nonces where they are needed. */
static void invert_shared(const struct ec_curve *curve, struct sign_work *work, size_t count)
{
    crypto_ec_number_invert_many(&curve->p, work->z, count);
    for (size_t i = 0; i < count; i++) {
        crypto_ec_number_square(&curve->p, &work->z[i], &work->z[i]);
        crypto_ec_number_mul(&curve->p, &work->x[i], &work->x[i], &work->z[i]);
        ec_number_from_montgomery(&curve->p, &work->x[i]);
        work->k_inverse[i] = work->k[i];
        ec_number_to_montgomery(&curve->n, &work->k_inverse[i]);
    }
    if (curve->id == CRYPTO_EC_P256)
        crypto_ec_number_invert_many(&curve->n, work->k_inverse, count);
}

static void sign_chunk(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                       const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN], size_t count,
                       const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN],
                       uint8_t (*signatures)[CRYPTO_EC_SIGNATURE_LEN])
{
    const struct ec_curve *curve = crypto_ec_curve_of(key->curve);
    struct sign_work work;

    memset(work.attempts, 0, sizeof(work.attempts));
    crypto_ec_nonce_many(ec->backend, key, digests, fresh, count, work.attempts, work.k);
    multiply_base(ec, curve, &work, count);
    invert_shared(curve, &work, count);
    for (size_t i = 0; i < count; i++) {
        while (!crypto_ec_equation_sign(key, digests[i], &work.k[i], &work.k_inverse[i], &work.x[i],
                                        signatures[i])) {
            struct sign_work again;

            again.attempts[0] = work.attempts[i];
            crypto_ec_nonce_many(ec->backend, key, &digests[i], fresh == NULL ? NULL : &fresh[i], 1,
                                 again.attempts, again.k);
            multiply_base(ec, curve, &again, 1);
            invert_shared(curve, &again, 1);
            work.attempts[i] = again.attempts[0];
            work.k[i] = again.k[0];
            work.k_inverse[i] = again.k_inverse[0];
            work.x[i] = again.x[0];
            OPENSSL_cleanse(&again, sizeof(again));
        }
    }
    OPENSSL_cleanse(&work, sizeof(work));
    wipe_stack();
}

void crypto_ec_sign_many(const struct crypto_ec *ec, const struct crypto_ec_key *key,
                         const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN], size_t count,
                         const uint8_t (*fresh)[CRYPTO_EC_FRESH_LEN],
                         uint8_t (*signatures_out)[CRYPTO_EC_SIGNATURE_LEN])
{
    for (size_t done = 0; done < count; done += CHUNK_MAX) {
        size_t some = count - done < CHUNK_MAX ? count - done : CHUNK_MAX;

        sign_chunk(ec, key, digests + done, some, fresh == NULL ? NULL : fresh + done,
                   signatures_out + done);
    }
}

/* ---- verifying */

bool crypto_ec_point_is_valid(enum crypto_ec_curve curve, const uint8_t point[CRYPTO_EC_POINT_LEN])
{
    struct ec_affine unused;

    return crypto_ec_point_load(crypto_ec_curve_of(curve), point, &unused);
}

static bool verify_portable(const struct crypto_ec *ec, const struct ec_curve *curve,
                            const struct ec_affine *point, const struct ec_claim *claim)
{
    struct ec_point sum;

    if (!claim->is_possible)
        return false;
    crypto_ec_point_multiply_public(curve, point, &claim->u2, &sum);
    crypto_ec_comb_add_public(curve, &ec->comb[curve->id], &claim->u1, &sum);
    return crypto_ec_claim_holds(curve, claim, &sum);
}

/* At most CHUNK_MAX tasks of one curve. */
static void verify_chunk(const struct crypto_ec *ec, const struct ec_curve *curve,
                         const struct ec_task *tasks, size_t count)
{
    struct ec_claim claims[CHUNK_MAX];
    struct ec_affine points[CHUNK_MAX];
    bool is_valid[CHUNK_MAX], is_doubtful[CHUNK_MAX];
    size_t done = 0;

    crypto_ec_claims_open(curve, tasks, count, claims);
    for (size_t i = 0; i < count; i++) {
        if (!crypto_ec_point_load(curve, tasks[i].point, &points[i])) {
            points[i] = curve->base;
            claims[i].is_possible = false;
        }
    }
    if (ec->backend == CRYPTO_EC_LANES) {
        done = count % EC_LANES < LANES_VERIFY_MIN ? count - count % EC_LANES : count;
        crypto_ec_lanes_verify(curve, &ec->lanes_base[curve->id], points, claims, done, is_valid,
                               is_doubtful);
    }
    for (size_t i = 0; i < count; i++) {
        if (i >= done || is_doubtful[i])
            is_valid[i] = verify_portable(ec, curve, &points[i], &claims[i]);
        *tasks[i].is_valid = is_valid[i];
    }
}

void crypto_ec_verify_many(const struct crypto_ec *ec, struct crypto_ec_verify *jobs, size_t count)
{
    struct ec_task tasks[CHUNK_MAX];

    for (int id = 0; id < CRYPTO_EC_CURVE_COUNT; id++) {
        const struct ec_curve *curve = crypto_ec_curve_of((enum crypto_ec_curve)id);
        size_t waiting = 0;

        for (size_t i = 0; i < count; i++) {
            if (jobs[i].curve == curve->id)
                tasks[waiting++] = (struct ec_task){ jobs[i].point, jobs[i].digest,
                                                     jobs[i].signature, &jobs[i].is_valid };
            if (waiting == CHUNK_MAX || (i + 1 == count && waiting > 0)) {
                verify_chunk(ec, curve, tasks, waiting);
                waiting = 0;
            }
        }
    }
}

enum ca_err crypto_ec_own_new(enum crypto_ec_curve curve, const uint8_t point[CRYPTO_EC_POINT_LEN],
                              struct crypto_ec_own **own_out)
{
    struct crypto_ec_own *own;
    struct ec_affine affine;

    *own_out = NULL;
    if (!crypto_ec_point_load(crypto_ec_curve_of(curve), point, &affine))
        return CA_ERR_KEY_UNUSABLE;
    if ((own = aligned_alloc(64, sizeof(*own))) == NULL)
        return CA_ERR_NOMEM;
    own->curve = crypto_ec_curve_of(curve);
    crypto_ec_comb_init(own->curve, &affine, &own->comb);
    crypto_ec_lanes_public_comb_init(own->curve, &own->comb, &own->lanes_comb);
    *own_out = own;
    return CA_OK;
}

void crypto_ec_own_free(struct crypto_ec_own *own)
{
    free(own);
}

static bool verify_own_portable(const struct crypto_ec *ec, const struct crypto_ec_own *own,
                                const struct ec_claim *claim)
{
    struct ec_point sum = { 0 };

    if (!claim->is_possible)
        return false;
    crypto_ec_comb_add_public(own->curve, &own->comb, &claim->u2, &sum);
    crypto_ec_comb_add_public(own->curve, &ec->comb[own->curve->id], &claim->u1, &sum);
    return crypto_ec_claim_holds(own->curve, claim, &sum);
}

static void verify_own_chunk(const struct crypto_ec *ec, const struct crypto_ec_own *own,
                             const struct ec_task *tasks, size_t count, bool *is_valid)
{
    struct ec_claim claims[CHUNK_MAX];
    bool is_doubtful[CHUNK_MAX];
    size_t done = 0;

    crypto_ec_claims_open(own->curve, tasks, count, claims);
    if (ec->backend == CRYPTO_EC_LANES) {
        done = count % EC_LANES < LANES_VERIFY_MIN ? count - count % EC_LANES : count;
        crypto_ec_lanes_verify_own(own->curve, &ec->lanes_public[own->curve->id], &own->lanes_comb,
                                   claims, done, is_valid, is_doubtful);
    }
    for (size_t i = 0; i < count; i++) {
        if (i >= done || is_doubtful[i])
            is_valid[i] = verify_own_portable(ec, own, &claims[i]);
    }
}

void crypto_ec_verify_own_many(const struct crypto_ec *ec, const struct crypto_ec_own *own,
                               const uint8_t (*digests)[CRYPTO_EC_DIGEST_LEN],
                               const uint8_t (*signatures)[CRYPTO_EC_SIGNATURE_LEN], size_t count,
                               bool *is_valid_out)
{
    struct ec_task tasks[CHUNK_MAX];

    for (size_t done = 0; done < count; done += CHUNK_MAX) {
        size_t some = count - done < CHUNK_MAX ? count - done : CHUNK_MAX;

        for (size_t i = 0; i < some; i++)
            tasks[i] = (struct ec_task){ NULL, digests[done + i], signatures[done + i], NULL };
        verify_own_chunk(ec, own, tasks, some, is_valid_out + done);
    }
}

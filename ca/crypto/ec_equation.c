/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec_equation.h"

#include <assert.h>
#include <openssl/crypto.h>

/* A digest is any 256-bit number; as 2 n > 2^256 one subtraction reduces it. */
static void load_digest(const struct ec_curve *curve, const uint8_t *digest, struct ec_number *out)
{
    ec_number_load(out, digest);
    ec_number_reduce_once(&curve->n, 0, out);
}

static bool load_signature(const struct ec_curve *curve, const uint8_t *signature,
                           struct ec_number *r, struct ec_number *s)
{
    ec_number_load(r, signature);
    ec_number_load(s, signature + 32);
    return ec_number_zero_mask(r) == 0 && ec_number_zero_mask(s) == 0 &&
           ec_number_less_mask(r, &curve->n.m) != 0 && ec_number_less_mask(s, &curve->n.m) != 0;
}

static void open_p256(const struct ec_curve *curve, const struct ec_task *tasks, size_t count,
                      struct ec_claim *claims)
{
    struct ec_number inverse[EC_INVERT_MAX], r, s;

    for (size_t i = 0; i < count; i++) {
        claims[i].is_possible = load_signature(curve, tasks[i].signature, &r, &s);
        claims[i].x = r;
        inverse[i] = claims[i].is_possible ? s : curve->n.one;
        ec_number_to_montgomery(&curve->n, &inverse[i]);
    }
    crypto_ec_number_invert_many_public(&curve->n, inverse, count);
    for (size_t i = 0; i < count; i++) {
        load_digest(curve, tasks[i].digest, &claims[i].u1);
        /* A plain number times one in Montgomery form is a plain number. */
        crypto_ec_number_mul(&curve->n, &claims[i].u1, &claims[i].u1, &inverse[i]);
        crypto_ec_number_mul(&curve->n, &claims[i].u2, &claims[i].x, &inverse[i]);
    }
}

static void open_sm2(const struct ec_curve *curve, const struct ec_task *tasks, size_t count,
                     struct ec_claim *claims)
{
    struct ec_number digest, r, s;

    for (size_t i = 0; i < count; i++) {
        claims[i].is_possible = load_signature(curve, tasks[i].signature, &r, &s);
        if (!claims[i].is_possible)
            continue;
        load_digest(curve, tasks[i].digest, &digest);
        claims[i].u1 = s;
        ec_number_add(&curve->n, &claims[i].u2, &r, &s);
        ec_number_sub(&curve->n, &claims[i].x, &r, &digest);
        claims[i].is_possible = ec_number_zero_mask(&claims[i].u2) == 0;
    }
}

void crypto_ec_claims_open(const struct ec_curve *curve, const struct ec_task *tasks, size_t count,
                           struct ec_claim *claims_out)
{
    static const struct ec_number one = { { 1, 0, 0, 0 } };

    assert(count <= EC_INVERT_MAX);
    if (curve->id == CRYPTO_EC_P256)
        open_p256(curve, tasks, count, claims_out);
    else
        open_sm2(curve, tasks, count, claims_out);
    for (size_t i = 0; i < count; i++) {
        if (!claims_out[i].is_possible)
            claims_out[i] = (struct ec_claim){ one, one, one, false };
    }
}

static bool has_x(const struct ec_curve *curve, const struct ec_point *point,
                  const struct ec_number *z_square, const struct ec_number *x)
{
    struct ec_number scaled = *x;

    ec_number_to_montgomery(&curve->p, &scaled);
    crypto_ec_number_mul(&curve->p, &scaled, &scaled, z_square);
    return ec_number_is_equal_public(&scaled, &point->x);
}

/* X = x Z^2 instead of X / Z^2 = x saves the division; both x and x + n may be meant. */
bool crypto_ec_claim_holds(const struct ec_curve *curve, const struct ec_claim *claim,
                           const struct ec_point *point)
{
    struct ec_number z_square, other;
    unsigned char carry = 0;

    if (!claim->is_possible || ec_number_zero_mask(&point->z) != 0)
        return false;
    crypto_ec_number_square(&curve->p, &z_square, &point->z);
    if (has_x(curve, point, &z_square, &claim->x))
        return true;
    if (ec_number_less_mask(&claim->x, &curve->gap) == 0)
        return false;
    for (int i = 0; i < 4; i++)
        other.word[i] = ec_add_carry(claim->x.word[i], curve->n.m.word[i], &carry);
    return has_x(curve, point, &z_square, &other);
}

static void sign_p256(const struct ec_curve *curve, const struct crypto_ec_key *key,
                      struct ec_number *e, const struct ec_number *k_inverse,
                      const struct ec_number *r, struct ec_number *s_out)
{
    struct ec_number d = { { key->scalar[0], key->scalar[1], key->scalar[2], key->scalar[3] } };

    crypto_ec_number_mul(&curve->n, s_out, r, &d);
    ec_number_add(&curve->n, s_out, s_out, e);
    crypto_ec_number_mul(&curve->n, s_out, s_out, k_inverse);
    OPENSSL_cleanse(&d, sizeof(d));
}

static bool sign_sm2(const struct ec_curve *curve, const struct crypto_ec_key *key,
                     const struct ec_number *k, const struct ec_number *r, struct ec_number *s_out)
{
    struct ec_number blend = { { key->blend[0], key->blend[1], key->blend[2], key->blend[3] } };

    ec_number_add(&curve->n, s_out, k, r);
    uint64_t is_bad = ec_number_zero_mask(s_out);
    EC_DECLASSIFY(&is_bad, sizeof(is_bad));
    crypto_ec_number_mul(&curve->n, s_out, s_out, &blend);
    ec_number_sub(&curve->n, s_out, s_out, r);
    OPENSSL_cleanse(&blend, sizeof(blend));
    return is_bad == 0;
}

bool crypto_ec_equation_sign(const struct crypto_ec_key *key, const uint8_t *digest,
                             const struct ec_number *k, const struct ec_number *k_inverse,
                             const struct ec_number *x, uint8_t *signature_out)
{
    const struct ec_curve *curve = crypto_ec_curve_of(key->curve);
    struct ec_number e, r = *x, s;
    bool is_good = true;

    load_digest(curve, digest, &e);
    ec_number_reduce_once(&curve->n, 0, &r); /* x < p < 2 n */
    if (curve->id == CRYPTO_EC_P256) {
        sign_p256(curve, key, &e, k_inverse, &r, &s);
    } else {
        ec_number_add(&curve->n, &r, &r, &e);
        is_good = sign_sm2(curve, key, k, &r, &s);
    }
    /* Published: the signature, and that it could be made. */
    EC_DECLASSIFY(&r, sizeof(r));
    EC_DECLASSIFY(&s, sizeof(s));
    is_good = is_good && ec_number_zero_mask(&r) == 0 && ec_number_zero_mask(&s) == 0;
    if (is_good) {
        ec_number_store(&r, signature_out);
        ec_number_store(&s, signature_out + 32);
    }
    OPENSSL_cleanse(&r, sizeof(r));
    OPENSSL_cleanse(&s, sizeof(s));
    return is_good;
}

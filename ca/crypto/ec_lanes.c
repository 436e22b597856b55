/* SPDX-License-Identifier: Apache-2.0 */
/* What any machine can do for the lanes: ask whether there are any, and fill their tables. */
#include "ca/crypto/ec_lanes.h"

#include <openssl/crypto.h>

bool crypto_ec_has_lanes(void)
{
#ifdef __x86_64__
    /* The compiler's runtime also asks whether the system saves the wide registers. */
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512ifma");
#else
    return false;
#endif
}

/* From Montgomery form with 2^256 to that with 2^260, cut into limbs. */
static void to_limbs(const struct ec_curve *curve, const struct ec_number *a,
                     uint64_t limb[EC_LIMBS])
{
    const uint64_t mask = ((uint64_t)1 << 52) - 1;
    struct ec_number t = *a;

    for (int i = 0; i < 4; i++)
        ec_number_add(&curve->p, &t, &t, &t);
    limb[0] = t.word[0] & mask;
    limb[1] = (t.word[0] >> 52 | t.word[1] << 12) & mask;
    limb[2] = (t.word[1] >> 40 | t.word[2] << 24) & mask;
    limb[3] = (t.word[2] >> 28 | t.word[3] << 36) & mask;
    limb[4] = t.word[3] >> 16;
}

void crypto_ec_lanes_comb_init(const struct ec_curve *curve, const struct ec_comb *comb,
                               struct ec_lanes_comb *out)
{
    uint64_t limb[2 * EC_LIMBS];

    for (int row = 0; row < EC_COMB_ROWS; row++) {
        for (int entry = 0; entry < EC_COMB_ENTRIES; entry++) {
            to_limbs(curve, &comb->entry[row][entry].x, limb);
            to_limbs(curve, &comb->entry[row][entry].y, limb + EC_LIMBS);
            for (int i = 0; i < 2 * EC_LIMBS; i++)
                out->limb[row][i][entry] = limb[i];
        }
    }
}

void crypto_ec_lanes_public_comb_init(const struct ec_curve *curve, const struct ec_comb *comb,
                                      struct ec_lanes_public_comb *out)
{
    for (int row = 0; row < EC_COMB_ROWS; row++) {
        for (int i = 0; i < EC_COMB_ENTRIES; i++) {
            to_limbs(curve, &comb->entry[row][i].x, out->entry[row][i]);
            to_limbs(curve, &comb->entry[row][i].y, out->entry[row][i] + EC_LIMBS);
        }
    }
}

/* Odd multiples, made affine EC_INVERT_MAX at a time. */
void crypto_ec_lanes_base_init(const struct ec_curve *curve, struct ec_lanes_base *out)
{
    struct ec_point point = { curve->base.x, curve->base.y, curve->p.one }, twice;
    struct ec_point some[EC_INVERT_MAX];
    struct ec_number z[EC_INVERT_MAX], t;

    crypto_ec_point_double(curve, &twice, &point);
    for (int done = 0; done < EC_BASE_ENTRIES; done += EC_INVERT_MAX) {
        for (int i = 0; i < EC_INVERT_MAX; i++) {
            some[i] = point;
            z[i] = point.z;
            crypto_ec_point_add_public(curve, &point, &point, &twice);
        }
        crypto_ec_number_invert_many_public(&curve->p, z, EC_INVERT_MAX);
        for (int i = 0; i < EC_INVERT_MAX; i++) {
            crypto_ec_number_square(&curve->p, &t, &z[i]);
            crypto_ec_number_mul(&curve->p, &some[i].x, &some[i].x, &t);
            crypto_ec_number_mul(&curve->p, &t, &t, &z[i]);
            crypto_ec_number_mul(&curve->p, &some[i].y, &some[i].y, &t);
            to_limbs(curve, &some[i].x, out->entry[done + i]);
            to_limbs(curve, &some[i].y, out->entry[done + i] + EC_LIMBS);
        }
    }
}

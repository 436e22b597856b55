/* SPDX-License-Identifier: Apache-2.0 */
/* ec_internal: what ec.c and the two widths share. */
#pragma once

#include <stdatomic.h>

#include "ca/crypto/ec_equation.h"
#include "ca/crypto/ec_lanes.h"

struct crypto_ec_own {
    const struct ec_curve *curve;
    struct ec_affine point;
    struct ec_comb comb;
    struct ec_lanes_public_comb lanes_comb;
};

struct crypto_ec {
    enum crypto_ec_backend backend;
    atomic_size_t holders; /* all else is constant once made */
    struct ec_comb comb[CRYPTO_EC_CURVE_COUNT];
    struct ec_lanes_comb lanes_comb[CRYPTO_EC_CURVE_COUNT];
    struct ec_lanes_public_comb lanes_public[CRYPTO_EC_CURVE_COUNT];
    struct ec_lanes_base lanes_base[CRYPTO_EC_CURVE_COUNT];
};

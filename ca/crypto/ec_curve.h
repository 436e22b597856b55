/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_curve: what tells P-256 and SM2 apart: y^2 = x^3 - 3x + b over p, a base point of prime
 * order n. All numbers but n, p and the gap are in Montgomery form modulo p.
 */
#pragma once

#include "ca/crypto/ec.h"
#include "ca/crypto/ec_number.h"

struct ec_affine {
    struct ec_number x, y;
};

struct ec_curve {
    enum crypto_ec_curve id;
    struct ec_modulus p, n;
    struct ec_number b;
    struct ec_affine base;
    struct ec_number gap; /* p - n: an r below it stands for two values of x */
};

const struct ec_curve *crypto_ec_curve_of(enum crypto_ec_curve id);

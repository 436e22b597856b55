/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_lanes: eight scalar multiplications side by side, one in each 64-bit lane of AVX-512,
 * numbers in five limbs of 52 bits in Montgomery form with 2^260.
 *
 * All functions that are not *_init need a machine with AVX-512 IFMA (crypto_ec_has_lanes).
 */
#pragma once

#include "ca/crypto/ec_equation.h"

enum {
    EC_LANES = 8,
    EC_LIMBS = 5,
    EC_BASE_WIDTH = 12, /* the base point's table for verifying: 2048 odd multiples */
    EC_BASE_ENTRIES = 1 << (EC_BASE_WIDTH - 1),
    EC_BASE_DIGITS = (256 + EC_BASE_WIDTH - 1) / EC_BASE_WIDTH,
};

/* The comb, limb by limb, so that a limb of all 64 entries of a row is eight registers. */
struct ec_lanes_comb {
    _Alignas(64) uint64_t limb[EC_COMB_ROWS][2 * EC_LIMBS][EC_COMB_ENTRIES];
};

/*
 * Entry by entry, x in limbs 0 to 4 and y in 5 to 9: what is read tells the digit, and a signature
 * needs 37 entries of a comb rather than all its 2368. Not for secrets.
 */
struct ec_lanes_public_comb {
    _Alignas(64) uint64_t entry[EC_COMB_ROWS][EC_COMB_ENTRIES][2 * EC_LIMBS];
};

/* (2 i + 1) G, likewise. */
struct ec_lanes_base {
    _Alignas(64) uint64_t entry[EC_BASE_ENTRIES][2 * EC_LIMBS];
};

bool crypto_ec_has_lanes(void);

void crypto_ec_lanes_comb_init(const struct ec_curve *curve, const struct ec_comb *comb,
                               struct ec_lanes_comb *out);
void crypto_ec_lanes_public_comb_init(const struct ec_curve *curve, const struct ec_comb *comb,
                                      struct ec_lanes_public_comb *out);
void crypto_ec_lanes_base_init(const struct ec_curve *curve, struct ec_lanes_base *out);

/* X and Z of k[i] P for odd 0 < k[i] < n, in constant time and for every such k. */
void crypto_ec_lanes_multiply(const struct ec_curve *curve, const struct ec_lanes_comb *comb,
                              const struct ec_number k[EC_LANES], struct ec_number x_out[EC_LANES],
                              struct ec_number z_out[EC_LANES]);

/* count <= EC_INVERT_MAX. Lanes in `doubtful_out` met a special case: ask the portable code. */
void crypto_ec_lanes_verify(const struct ec_curve *curve, const struct ec_lanes_base *base,
                            const struct ec_affine *points, const struct ec_claim *claims,
                            size_t count, bool *is_valid_out, bool *is_doubtful_out);
void crypto_ec_lanes_verify_own(const struct ec_curve *curve,
                                const struct ec_lanes_public_comb *base,
                                const struct ec_lanes_public_comb *own,
                                const struct ec_claim *claims, size_t count, bool *is_valid_out,
                                bool *is_doubtful_out);

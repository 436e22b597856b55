/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_equation: the numbers modulo n around the points, where ECDSA and SM2 differ.
 *
 *            P-256 (FIPS 186-5, 6.4)              SM2 (GB/T 32918.2, 6.1 and 7.1)
 *   sign     (x, y) = k G, r = x mod n            (x, y) = k G, r = e + x mod n
 *            s = (e + r d) / k                    s = (k - r d) / (1 + d) = (k + r) / (1 + d) - r
 *   verify   u1 = e / s, u2 = r / s               u1 = s, u2 = r + s, not 0
 *            x of u1 G + u2 Q = r mod n           x of u1 G + u2 Q = r - e mod n
 */
#pragma once

#include "ca/crypto/ec_point.h"

/* One signature to be verified, wherever its parts are. */
struct ec_task {
    const uint8_t *point; /* NULL for an own key */
    const uint8_t *digest;
    const uint8_t *signature;
    bool *is_valid;
};

/* What has to hold: the x coordinate of u1 G + u2 Q is `x` modulo n. Plain numbers below n. */
struct ec_claim {
    struct ec_number u1, u2, x;
    bool is_possible; /* false: r or s out of range, or r + s = n; u1 and u2 are 1 then */
};

/* For at most EC_INVERT_MAX tasks. u2 is never zero. */
void crypto_ec_claims_open(const struct ec_curve *curve, const struct ec_task *tasks, size_t count,
                           struct ec_claim *claims_out);
/* Is the point what the claim says? */
bool crypto_ec_claim_holds(const struct ec_curve *curve, const struct ec_claim *claim,
                           const struct ec_point *point);

/*
 * The signature from the nonce k, plain, 0 < k < n, its inverse in Montgomery form (for
 * P-256 only) and the plain affine x of k G. False, with a probability of about 2^-255, when
 * the standards want another nonce.
 */
CA_MUST_CHECK bool crypto_ec_equation_sign(const struct crypto_ec_key *key, const uint8_t *digest,
                                           const struct ec_number *k,
                                           const struct ec_number *k_inverse,
                                           const struct ec_number *x, uint8_t *signature_out);

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/ec_curve.h"

#include <assert.h>

/* FIPS 186-5 and SP 800-186, section 3.2.1.3; GB/T 32918.5. The tests derive every line anew. */
/* clang-format off */
static const struct ec_curve curves[CRYPTO_EC_CURVE_COUNT] = {
    [CRYPTO_EC_P256] = {
        .id = CRYPTO_EC_P256,
        .p = {
            .shape = EC_SHAPE_P256,
            .negated_inverse = 0x0000000000000001,
            .m = { { 0xffffffffffffffff, 0x00000000ffffffff,
                     0x0000000000000000, 0xffffffff00000001 } },
            .one = { { 0x0000000000000001, 0xffffffff00000000,
                       0xffffffffffffffff, 0x00000000fffffffe } },
            .square = { { 0x0000000000000003, 0xfffffffbffffffff,
                          0xfffffffffffffffe, 0x00000004fffffffd } },
        },
        .n = {
            .shape = EC_SHAPE_GENERIC,
            .negated_inverse = 0xccd1c8aaee00bc4f,
            .m = { { 0xf3b9cac2fc632551, 0xbce6faada7179e84,
                     0xffffffffffffffff, 0xffffffff00000000 } },
            .one = { { 0x0c46353d039cdaaf, 0x4319055258e8617b,
                       0x0000000000000000, 0x00000000ffffffff } },
            .square = { { 0x83244c95be79eea2, 0x4699799c49bd6fa6,
                          0x2845b2392b6bec59, 0x66e12d94f3d95620 } },
        },
        .b = { { 0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6, 0xdc30061d04874834 } },
        .base = {
            .x = { { 0x79e730d418a9143c, 0x75ba95fc5fedb601,
                     0x79fb732b77622510, 0x18905f76a53755c6 } },
            .y = { { 0xddf25357ce95560a, 0x8b4ab8e4ba19e45c,
                     0xd2e88688dd21f325, 0x8571ff1825885d85 } },
        },
        .gap = { { 0x0c46353d039cdaae, 0x4319055358e8617b,
                   0x0000000000000000, 0x0000000000000000 } },
    },
    [CRYPTO_EC_SM2] = {
        .id = CRYPTO_EC_SM2,
        .p = {
            .shape = EC_SHAPE_SM2,
            .negated_inverse = 0x0000000000000001,
            .m = { { 0xffffffffffffffff, 0xffffffff00000000,
                     0xffffffffffffffff, 0xfffffffeffffffff } },
            .one = { { 0x0000000000000001, 0x00000000ffffffff,
                       0x0000000000000000, 0x0000000100000000 } },
            .square = { { 0x0000000200000003, 0x00000002ffffffff,
                          0x0000000100000001, 0x0000000400000002 } },
        },
        .n = {
            .shape = EC_SHAPE_GENERIC,
            .negated_inverse = 0x327f9e8872350975,
            .m = { { 0x53bbf40939d54123, 0x7203df6b21c6052b,
                     0xffffffffffffffff, 0xfffffffeffffffff } },
            .one = { { 0xac440bf6c62abedd, 0x8dfc2094de39fad4,
                       0x0000000000000000, 0x0000000100000000 } },
            .square = { { 0x901192af7c114f20, 0x3464504ade6fa2fa,
                          0x620fc84c3affe0d4, 0x1eb5e412a22b3d3b } },
        },
        .b = { { 0x90d230632bc0dd42, 0x71cf379ae9b537ab, 0x527981505ea51c3c, 0x240fe188ba20e2c8 } },
        .base = {
            .x = { { 0x61328990f418029e, 0x3e7981eddca6c050,
                     0xd6a1ed99ac24c3c3, 0x91167a5ee1c13b05 } },
            .y = { { 0xc1354e593c2d0ddd, 0xc1f5e5788d3295fa,
                     0x8d4cfb066e2a48f8, 0x63cd65d481d735bd } },
        },
        .gap = { { 0xac440bf6c62abedc, 0x8dfc2093de39fad5,
                   0x0000000000000000, 0x0000000000000000 } },
    },
};
/* clang-format on */

const struct ec_curve *crypto_ec_curve_of(enum crypto_ec_curve id)
{
    assert(id == CRYPTO_EC_P256 || id == CRYPTO_EC_SM2);
    return &curves[id];
}

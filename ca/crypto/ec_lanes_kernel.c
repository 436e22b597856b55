/* SPDX-License-Identifier: Apache-2.0 */
/* The only file, with the hashes', that is compiled for AVX-512. */
#include "ca/crypto/ec_lanes.h"

#include "ca/crypto/ec_lanes_point.h"
#include "ca/crypto/registers.h"

/*
 * The two operations exist once for each curve and are called: inlined everywhere they would
 * be no faster and take half a minute to compile.
 */
#define POINT_OPERATIONS(curve, id)                                                               \
    static                                                                                        \
        __attribute__((noinline)) void double_##curve(struct ec_lanes_point *sum, unsigned times) \
    {                                                                                             \
        struct ec_lanes_point a = *sum;                                                           \
        for (; times > 0; times--)                                                                \
            a = ec_lanes_double(id, a);                                                           \
        *sum = a;                                                                                 \
    }                                                                                             \
    static __attribute__((noinline)) void add_##curve(struct ec_lanes_point *sum,                 \
                                                      const struct ec_lanes_affine *other)        \
    {                                                                                             \
        *sum = ec_lanes_add(id, *sum, *other);                                                    \
    }

POINT_OPERATIONS(p256, CRYPTO_EC_P256)
POINT_OPERATIONS(sm2, CRYPTO_EC_SM2)

EC_INLINE void point_double(enum crypto_ec_curve curve, struct ec_lanes_point *sum, unsigned times)
{
    if (curve == CRYPTO_EC_P256)
        double_p256(sum, times);
    else
        double_sm2(sum, times);
}

EC_INLINE void point_add(enum crypto_ec_curve curve, struct ec_lanes_point *sum,
                         struct ec_lanes_affine other)
{
    if (curve == CRYPTO_EC_P256)
        add_p256(sum, &other);
    else
        add_sm2(sum, &other);
}

/* ---- a fixed point */

/* To Montgomery form with 2^256, reduced, in words. */
EC_INLINE void store_portable(enum crypto_ec_curve curve, struct ec_fe a,
                              struct ec_number numbers_out[EC_LANES])
{
    struct ec_fe out = ec_fe_mul(curve, a, ec_fe_all(ec_primes[curve].to_portable));

    ec_fe_store(ec_fe_canonical(curve, out), numbers_out);
}

/* As crypto_ec_comb_multiply(), where it is shown why only the last addition may be a doubling. */
EC_INLINE_LARGE void multiply(enum crypto_ec_curve curve, const struct ec_lanes_comb *comb,
                              const struct ec_number k[EC_LANES], struct ec_number x_out[EC_LANES],
                              struct ec_number z_out[EC_LANES])
{
    struct ec_lanes_affine entry;
    struct ec_lanes_point sum, twice;
    __m512i word[4];

    ec_words_load(word, k, EC_LANES);
    entry = ec_lanes_comb_entry(curve, comb, word, EC_COMB_ROWS - 1);
    sum = ec_lanes_from_affine(curve, entry);
    for (int row = EC_COMB_ROWS - 2; row >= 0; row--) {
        entry = ec_lanes_comb_entry(curve, comb, word, row);
        point_add(curve, &sum, entry);
    }
    twice = ec_lanes_from_affine(curve, entry);
    point_double(curve, &twice, 1);
    __mmask8 is_doubling = ec_fe_zero_mask(ec_fe_canonical(curve, sum.z));
    store_portable(curve, ec_fe_select(is_doubling, sum.x, twice.x), x_out);
    store_portable(curve, ec_fe_select(is_doubling, sum.z, twice.z), z_out);
}

static __attribute__((noinline)) void multiply_p256(const struct ec_lanes_comb *comb,
                                                    const struct ec_number k[EC_LANES],
                                                    struct ec_number x_out[EC_LANES],
                                                    struct ec_number z_out[EC_LANES])
{
    multiply(CRYPTO_EC_P256, comb, k, x_out, z_out);
}

static __attribute__((noinline)) void multiply_sm2(const struct ec_lanes_comb *comb,
                                                   const struct ec_number k[EC_LANES],
                                                   struct ec_number x_out[EC_LANES],
                                                   struct ec_number z_out[EC_LANES])
{
    multiply(CRYPTO_EC_SM2, comb, k, x_out, z_out);
}

void crypto_ec_lanes_multiply(const struct ec_curve *curve, const struct ec_lanes_comb *comb,
                              const struct ec_number k[EC_LANES], struct ec_number x_out[EC_LANES],
                              struct ec_number z_out[EC_LANES])
{
    if (curve->id == CRYPTO_EC_P256)
        multiply_p256(comb, k, x_out, z_out);
    else
        multiply_sm2(comb, k, x_out, z_out);
    crypto_registers_wipe();
}

/* ---- the end of a verification */

/* Eight claims in lanes: odd scalars, and which of them were turned round for it. */
struct lanes_claim {
    __m512i u1[4], u2[4], x[4];
    __mmask8 flip1, flip2;
};

EC_INLINE void load_claims(struct lanes_claim *out, const struct ec_curve *curve,
                           const struct ec_claim *claims, size_t count)
{
    struct ec_number u1[EC_LANES], u2[EC_LANES], x[EC_LANES];

    out->flip1 = out->flip2 = 0;
    for (size_t i = 0; i < EC_LANES; i++) {
        const struct ec_claim *claim = &claims[i < count ? i : 0];

        u1[i] = claim->u1;
        u2[i] = claim->u2;
        x[i] = claim->x;
        out->flip1 |= (__mmask8)((crypto_ec_scalar_make_odd(curve, &u1[i]) & 1) << i);
        out->flip2 |= (__mmask8)((crypto_ec_scalar_make_odd(curve, &u2[i]) & 1) << i);
    }
    ec_words_load(out->u1, u1, EC_LANES);
    ec_words_load(out->u2, u2, EC_LANES);
    ec_words_load(out->x, x, EC_LANES);
}

/*
 * Z = 0 tells of infinity or of an exceptional addition, a mismatch with x < p - n may still
 * be one of the two values of x: both are for the portable code to decide.
 */
EC_INLINE_LARGE void conclude(enum crypto_ec_curve id, const struct ec_curve *curve,
                              struct ec_lanes_point sum, const struct lanes_claim *lanes,
                              const struct ec_claim *claims, size_t count, bool *is_valid,
                              bool *is_doubtful)
{
    struct ec_fe x = ec_fe_mul(id, ec_fe_from_words(lanes->x), ec_fe_all(ec_primes[id].square));

    x = ec_fe_mul(id, x, ec_fe_square(id, sum.z));
    __mmask8 zero = ec_fe_zero_mask(ec_fe_canonical(id, sum.z));
    __mmask8 equal = ec_fe_equal_mask(ec_fe_canonical(id, x), ec_fe_canonical(id, sum.x));
    for (size_t i = 0; i < count; i++) {
        bool is_zero = (zero >> i) & 1, is_equal = (equal >> i) & 1;

        is_valid[i] = claims[i].is_possible && is_equal && !is_zero;
        is_doubtful[i] =
            claims[i].is_possible &&
            (is_zero || (!is_equal && ec_number_less_mask(&claims[i].x, &curve->gap) != 0));
    }
}

/* ---- entries of tables, for public digits */

struct choice {
    const uint64_t *place[EC_LANES];
    __mmask8 negative;
};

/* Lane i chooses among the entries from first + i * step. */
EC_INLINE struct choice choose(const uint64_t *first, size_t step, struct ec_lanes_digit digit,
                               __mmask8 flip)
{
    struct choice out = { .negative = digit.negative ^ flip };
    _Alignas(64) uint64_t index[EC_LANES];

    _mm512_store_si512(index, digit.index);
    for (size_t lane = 0; lane < EC_LANES; lane++)
        out.place[lane] = first + lane * step + index[lane] * 2 * EC_LIMBS;
    return out;
}

EC_INLINE struct ec_lanes_affine chosen(enum crypto_ec_curve id, const struct choice *choice)
{
    struct ec_lanes_affine out = ec_lanes_gather(choice->place);

    out.y = ec_fe_negate_if(id, choice->negative, out.y);
    return out;
}

/* With a few signatures the tables are cold: what will be needed is asked for before. */
EC_INLINE void choice_expect(const struct choice *choice)
{
    for (int lane = 0; lane < EC_LANES; lane++) {
        __builtin_prefetch(choice->place[lane]);
        __builtin_prefetch(choice->place[lane] + 2 * EC_LIMBS - 1);
    }
}

/* ---- own keys: two combs */

EC_INLINE_LARGE void comb_choose(const struct ec_lanes_public_comb *comb, const __m512i k[4],
                                 __mmask8 flip, struct choice choices[EC_COMB_ROWS])
{
    for (int row = EC_COMB_ROWS - 1; row >= 0; row--) {
        struct ec_lanes_digit digit = ec_lanes_digit_at(k, (unsigned)row * EC_COMB_WIDTH,
                                                        EC_COMB_WIDTH, row == EC_COMB_ROWS - 1);
        choices[row] = choose(comb->entry[row][0], 0, digit, flip);
        choice_expect(&choices[row]);
    }
}

EC_INLINE_LARGE void verify_own(enum crypto_ec_curve id, const struct ec_curve *curve,
                                const struct ec_lanes_public_comb *base,
                                const struct ec_lanes_public_comb *own,
                                const struct ec_claim *claims, size_t count, bool *is_valid,
                                bool *is_doubtful)
{
    struct choice of_own[EC_COMB_ROWS], of_base[EC_COMB_ROWS];
    struct lanes_claim lanes;

    load_claims(&lanes, curve, claims, count);
    comb_choose(own, lanes.u2, lanes.flip2, of_own);
    comb_choose(base, lanes.u1, lanes.flip1, of_base);
    struct ec_lanes_point sum = ec_lanes_from_affine(id, chosen(id, &of_own[EC_COMB_ROWS - 1]));
    for (int row = EC_COMB_ROWS - 1; row >= 0; row--) {
        if (row < EC_COMB_ROWS - 1)
            point_add(id, &sum, chosen(id, &of_own[row]));
        point_add(id, &sum, chosen(id, &of_base[row]));
    }
    conclude(id, curve, sum, &lanes, claims, count, is_valid, is_doubtful);
}

void crypto_ec_lanes_verify_own(const struct ec_curve *curve,
                                const struct ec_lanes_public_comb *base,
                                const struct ec_lanes_public_comb *own,
                                const struct ec_claim *claims, size_t count, bool *is_valid_out,
                                bool *is_doubtful_out)
{
    for (size_t done = 0; done < count; done += EC_LANES) {
        size_t some = count - done < EC_LANES ? count - done : EC_LANES;

        if (curve->id == CRYPTO_EC_P256)
            verify_own(CRYPTO_EC_P256, curve, base, own, claims + done, some, is_valid_out + done,
                       is_doubtful_out + done);
        else
            verify_own(CRYPTO_EC_SM2, curve, base, own, claims + done, some, is_valid_out + done,
                       is_doubtful_out + done);
    }
}

/* ---- any key: a window table made on the spot */

/*
 * The odd multiples of eight points while their Z are not known apart: entry i has the Z of
 * the first, 2 y, times the steps 1 to i.
 */
struct lanes_window {
    struct ec_lanes_affine entry[EC_WINDOW_ENTRIES];
    struct ec_fe step[EC_WINDOW_ENTRIES];
    struct ec_number z[EC_LANES]; /* of the last entry, portable; then its inverse */
};

/* The point of a lane without work is that of lane 0. */
EC_INLINE struct ec_lanes_affine load_points(enum crypto_ec_curve id,
                                             const struct ec_affine *points, size_t count)
{
    struct ec_number x[EC_LANES], y[EC_LANES];
    struct ec_fe factor = ec_fe_all(ec_primes[id].from_portable);
    struct ec_lanes_affine out;
    __m512i word[4];

    for (size_t i = 0; i < EC_LANES; i++) {
        x[i] = points[i < count ? i : 0].x;
        y[i] = points[i < count ? i : 0].y;
    }
    ec_words_load(word, x, EC_LANES);
    out.x = ec_fe_assert(ec_fe_mul(id, ec_fe_from_words(word), factor), 18);
    ec_words_load(word, y, EC_LANES);
    out.y = ec_fe_assert(ec_fe_mul(id, ec_fe_from_words(word), factor), 18);
    return out;
}

/* 2 Q and Q with the same Z = 2 y: (S, 8 y^4) is Q, S = 4 x y^2; slope 3 (x - 1) (x + 1). */
EC_INLINE_LARGE struct ec_lanes_affine
double_shared(enum crypto_ec_curve id, struct ec_lanes_affine q, struct ec_lanes_affine *same_out)
{
    struct ec_fe one = ec_fe_all(ec_primes[id].one);
    struct ec_fe low = ec_fe_add_p(id, ec_fe_sub(q.x, one), 1);                    /* 2.2 */
    struct ec_fe high = ec_fe_carry(ec_fe_add(q.x, one));                          /* 2.2 */
    struct ec_fe gamma = ec_fe_assert(ec_fe_square(id, q.y), 18);                  /* 1.1 */
    struct ec_fe s = ec_fe_carry(ec_fe_shift(ec_fe_mul_loose(id, q.x, gamma), 2)); /* 4.4 */
    struct ec_lanes_affine twice;

    low = ec_fe_carry(ec_fe_add(ec_fe_shift(low, 1), low));
    struct ec_fe alpha = ec_fe_assert(ec_fe_mul(id, low, high), 32); /* 1.95 */
    struct ec_fe x = ec_fe_square_loose(id, alpha);
    twice.x = ec_fe_fold(id, ec_fe_sub(x, ec_fe_shift(s, 1)));
    struct ec_fe fourth = ec_fe_shift(ec_fe_square_loose(id, gamma), 3); /* 8 y^4 */
    struct ec_fe step = ec_fe_difference(id, s, twice.x, 3);
    twice.y = ec_fe_fold(id, ec_fe_sub(ec_fe_mul_loose(id, alpha, step), fourth));
    same_out->x = ec_fe_assert(s, 71);
    same_out->y = ec_fe_assert(ec_fe_carry(fourth), 139); /* 8.7 */
    return twice;
}

/*
 * Adds two points that share their Z and brings the second to the Z of the sum, which is the
 * old one times the difference of the abscissas. Operands below 4.5 and 9 U at the first
 * call, folded afterwards.
 */
EC_INLINE_LARGE struct ec_lanes_affine add_shared(enum crypto_ec_curve id, struct ec_lanes_affine a,
                                                  struct ec_lanes_affine *b, struct ec_fe *step_out)
{
    struct ec_lanes_affine sum;
    struct ec_fe dx = ec_fe_fold(id, ec_fe_sub(a.x, b->x));
    struct ec_fe dy = ec_fe_fold(id, ec_fe_sub(a.y, b->y));
    struct ec_fe c = ec_fe_square(id, dx);
    struct ec_fe w1 = ec_fe_mul(id, a.x, c), w2 = ec_fe_mul(id, b->x, c);
    struct ec_fe x = ec_fe_sub(ec_fe_square_loose(id, dy), w1);

    sum.x = ec_fe_fold(id, ec_fe_sub(x, w2));
    struct ec_fe part = ec_fe_fold(id, ec_fe_sub(w1, w2));
    struct ec_fe shifted = ec_fe_fold(id, ec_fe_mul_loose(id, b->y, part));
    struct ec_fe rest = ec_fe_fold(id, ec_fe_sub(w2, sum.x));
    sum.y = ec_fe_fold(id, ec_fe_sub(ec_fe_mul_loose(id, dy, rest), shifted));
    b->x = w2;
    b->y = shifted;
    *step_out = dx;
    return sum;
}

EC_INLINE_LARGE void window_open(enum crypto_ec_curve id, struct lanes_window *window,
                                 const struct ec_affine *points, size_t count)
{
    struct ec_lanes_affine q = load_points(id, points, count), sum;
    struct ec_lanes_affine twice = double_shared(id, q, &sum);
    struct ec_fe z = ec_fe_carry(ec_fe_shift(q.y, 1));

    window->entry[0] = q;
    for (int i = 1; i < EC_WINDOW_ENTRIES; i++) {
        sum = add_shared(id, sum, &twice, &window->step[i]);
        z = ec_fe_mul(id, z, window->step[i]);
        window->entry[i] = sum;
    }
    store_portable(id, z, window->z);
}

/* With 1 / Z of the last entry: all of them affine, each lane's entries side by side. */
EC_INLINE_LARGE void window_close(enum crypto_ec_curve id, const struct lanes_window *window,
                                  uint64_t table[EC_LANES][EC_WINDOW_ENTRIES][2 * EC_LIMBS])
{
    uint64_t *place[EC_LANES];
    __m512i word[4];

    ec_words_load(word, window->z, EC_LANES);
    struct ec_fe z = ec_fe_mul(id, ec_fe_from_words(word), ec_fe_all(ec_primes[id].from_portable));
    for (int i = EC_WINDOW_ENTRIES - 1; i >= 0; i--) {
        struct ec_lanes_affine entry = window->entry[i];

        if (i > 0) {
            struct ec_fe zz = ec_fe_square(id, z);
            entry.x = ec_fe_assert(ec_fe_mul(id, entry.x, zz), 19);
            entry.y = ec_fe_assert(ec_fe_mul(id, entry.y, ec_fe_mul(id, zz, z)), 19);
            z = ec_fe_mul(id, z, window->step[i]);
        }
        for (int lane = 0; lane < EC_LANES; lane++)
            place[lane] = table[lane][i];
        ec_lanes_scatter(entry, place);
    }
}

EC_INLINE struct ec_lanes_affine
window_entry(enum crypto_ec_curve id, uint64_t table[EC_LANES][EC_WINDOW_ENTRIES][2 * EC_LIMBS],
             const __m512i k[4], unsigned position, __mmask8 flip)
{
    struct ec_lanes_digit digit = ec_lanes_digit_at(k, position, EC_WINDOW_WIDTH, false);
    struct choice choice =
        choose(table[0][0], sizeof(table[0]) / sizeof(table[0][0][0]), digit, flip);

    return chosen(id, &choice);
}

EC_INLINE_LARGE void base_choose(const struct ec_lanes_base *base, const __m512i k[4],
                                 __mmask8 flip, struct choice choices[EC_BASE_DIGITS])
{
    for (int i = EC_BASE_DIGITS - 1; i >= 0; i--) {
        struct ec_lanes_digit digit = ec_lanes_digit_at(k, (unsigned)i * EC_BASE_WIDTH,
                                                        EC_BASE_WIDTH, i == EC_BASE_DIGITS - 1);
        choices[i] = choose(base->entry[0], 0, digit, flip);
        choice_expect(&choices[i]);
    }
}

/* u1 G + u2 Q with common doublings: bit by bit, digits of Q every 5 and of G every 12. */
EC_INLINE_LARGE void verify(enum crypto_ec_curve id, const struct ec_curve *curve,
                            const struct ec_lanes_base *base, const struct lanes_window *window,
                            const struct ec_claim *claims, size_t count, bool *is_valid,
                            bool *is_doubtful)
{
    _Alignas(64) uint64_t table[EC_LANES][EC_WINDOW_ENTRIES][2 * EC_LIMBS];
    struct choice of_base[EC_BASE_DIGITS];
    struct lanes_claim lanes;

    load_claims(&lanes, curve, claims, count);
    base_choose(base, lanes.u1, lanes.flip1, of_base);
    window_close(id, window, table);
    struct ec_lanes_affine top = window->entry[0];
    top.y = ec_fe_negate_if(id, lanes.flip2, top.y);
    struct ec_lanes_point sum = ec_lanes_from_affine(id, top);
    unsigned doublings = 0;

    for (unsigned position = EC_WINDOW_TOP; position-- > 0;) {
        bool takes_window = position % EC_WINDOW_WIDTH == 0;
        bool takes_base = position % EC_BASE_WIDTH == 0;

        doublings++;
        if (!takes_window && !takes_base)
            continue;
        point_double(id, &sum, doublings);
        doublings = 0;
        if (takes_window)
            point_add(id, &sum, window_entry(id, table, lanes.u2, position, lanes.flip2));
        if (takes_base)
            point_add(id, &sum, chosen(id, &of_base[position / EC_BASE_WIDTH]));
    }
    conclude(id, curve, sum, &lanes, claims, count, is_valid, is_doubtful);
}

EC_INLINE_LARGE void verify_all(enum crypto_ec_curve id, const struct ec_curve *curve,
                                const struct ec_lanes_base *base, const struct ec_affine *points,
                                const struct ec_claim *claims, size_t count, bool *is_valid,
                                bool *is_doubtful)
{
    struct lanes_window window[EC_INVERT_MAX / EC_LANES];
    struct ec_number z[EC_INVERT_MAX];

    for (size_t done = 0; done < count; done += EC_LANES) {
        struct lanes_window *w = &window[done / EC_LANES];

        window_open(id, w, points + done, count - done);
        for (size_t i = 0; i < EC_LANES; i++)
            z[done + i] = w->z[i];
    }
    crypto_ec_number_invert_many_public(&curve->p, z, (count + EC_LANES - 1) / EC_LANES * EC_LANES);
    for (size_t done = 0; done < count; done += EC_LANES) {
        struct lanes_window *w = &window[done / EC_LANES];

        for (size_t i = 0; i < EC_LANES; i++)
            w->z[i] = z[done + i];
        verify(id, curve, base, w, claims + done, count - done < EC_LANES ? count - done : EC_LANES,
               is_valid + done, is_doubtful + done);
    }
}

void crypto_ec_lanes_verify(const struct ec_curve *curve, const struct ec_lanes_base *base,
                            const struct ec_affine *points, const struct ec_claim *claims,
                            size_t count, bool *is_valid_out, bool *is_doubtful_out)
{
    if (curve->id == CRYPTO_EC_P256)
        verify_all(CRYPTO_EC_P256, curve, base, points, claims, count, is_valid_out,
                   is_doubtful_out);
    else
        verify_all(CRYPTO_EC_SM2, curve, base, points, claims, count, is_valid_out,
                   is_doubtful_out);
}

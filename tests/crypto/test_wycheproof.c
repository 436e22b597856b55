/* SPDX-License-Identifier: Apache-2.0 */
/* Project Wycheproof's cases, in every way a signature can take through ca/crypto. */

#include "ca/crypto/ec.h"
#include "ca/crypto/message.h"
#include "tests/support/sig_names.h"
#include "tests/support/table.h"

struct row {
    struct crypto_verification job;
    struct crypto_public_key key;
    char name[48];
    char flags[40];
    enum ca_err want;
};

enum { ROW_COUNT_MAX = 3000, LANES = 8, BATCH = 64, ROTATION = 5 };
static struct row rows[ROW_COUNT_MAX];
static size_t row_count;
static uint8_t octets[1 << 20]; /* lends keys, messages and signatures to the rows */
static size_t octets_len;

/* ---- both widths */

static enum crypto_ec_backend backend_now;
static struct crypto *engine[2];
static size_t engine_count;

enum crypto_ec_backend __wrap_crypto_ec_backend_best(void);
enum crypto_ec_backend __real_crypto_ec_backend_best(void);
enum crypto_ec_backend __wrap_crypto_ec_backend_best(void)
{
    return backend_now;
}

static void open_engines(void)
{
    backend_now = CRYPTO_EC_PORTABLE;
    check_ok(crypto_open(&engine[engine_count++]));
    backend_now = __real_crypto_ec_backend_best();
    if (backend_now != CRYPTO_EC_PORTABLE)
        check_ok(crypto_open(&engine[engine_count++]));
}

/* ---- the table */

/*
 * What Wycheproof leaves to who reads, and what is right by itself but not of the form we take
 * (docs/SECURITY.md).
 */
static const struct decision {
    const char *flag;
    enum ca_err answer;
} decisions[] = {
    { "MissingZero", CA_ERR_CSR_SIG },     /* a negative INTEGER: not the DER of this pair */
    { "MissingNull", CA_ERR_CSR_SIG },     /* RFC 8017, A.2.4: the parameters are NULL */
    { "OtherSaltLength", CA_ERR_CSR_SIG }, /* as long as the hash, BR 7.1.3.2.1 */
    { "OtherMgfHash", CA_ERR_CSR_SIG },    /* the same hash, ibidem */
    { "SmallPublicKey", CA_OK },           /* refused as a key, see below */
};

static enum ca_err answer_to(const char *verdict, const char *flags)
{
    if (strcmp(verdict, "invalid") == 0)
        return CA_ERR_CSR_SIG;
    for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
        if (strstr(flags, decisions[i].flag) != NULL)
            return decisions[i].answer;
    }
    cr_assert_str_eq(verdict, "valid", "undecided: %s", flags);
    return CA_OK;
}

static struct ca_bytes keep(const char *hex)
{
    struct ca_bytes bytes = table_hex(hex, octets + octets_len, sizeof(octets) - octets_len);

    octets_len += bytes.len;
    return bytes;
}

static bool is_as_before(const char *field)
{
    return strcmp(field, "=") == 0;
}

static void read_kind(struct row *row, char *field)
{
    const char *sig_name = strsep(&field, ":");

    row->job.sig = sig_named(sig_name);
    row->key.type = key_type_named(field);
}

static void read_key(struct row *row, char *field)
{
    row->key = (struct crypto_public_key){ .type = row->key.type };
    if (row->key.type == CRYPTO_KEY_RSA) {
        row->key.modulus = keep(strsep(&field, ":"));
        row->key.exponent = keep(field);
        row->key.bits = (uint32_t)(8 * row->key.modulus.len);
    } else {
        row->key.point = keep(field);
    }
}

/* The row starts as a copy of the one before. */
static void row_fill(struct row *row, char *const *fields)
{
    snprintf(row->name, sizeof(row->name), "%s", fields[0]);
    if (!is_as_before(fields[1]))
        read_kind(row, fields[1]);
    if (!is_as_before(fields[2]))
        read_key(row, fields[2]);
    if (!is_as_before(fields[3]))
        row->job.message = keep(fields[3]);
    row->job.key = &row->key;
    row->job.signature = keep(fields[4]);
    snprintf(row->flags, sizeof(row->flags), "%s", fields[6]);
    row->want = answer_to(fields[5], fields[6]);
}

static void open_all(void)
{
    struct table table;

    open_engines();
    table_open(&table, "wycheproof.tsv");
    for (; table_next(&table, 7); row_count++) {
        cr_assert_lt(row_count, ROW_COUNT_MAX);
        if (row_count > 0)
            rows[row_count] = rows[row_count - 1];
        row_fill(&rows[row_count], table.fields);
    }
    table_close(&table);
}

static void close_all(void)
{
    for (size_t i = 0; i < engine_count; i++)
        crypto_close(engine[i]);
}

TestSuite(wycheproof, .init = open_all, .fini = close_all, .timeout = 300);

Test(wycheproof, the_table_has_what_is_to_be_taken_and_refused_of_every_type_of_key)
{
    size_t taken[CRYPTO_KEY_SM2] = { 0 }, refused[CRYPTO_KEY_SM2] = { 0 };

    for (size_t i = 0; i < row_count; i++)
        ++(rows[i].want == CA_OK ? taken : refused)[rows[i].key.type];
    for (int type = CRYPTO_KEY_P256; type < CRYPTO_KEY_SM2; type++)
        cr_assert(taken[type] > 80 && refused[type] > 60, "%d: %zu, %zu", type, taken[type],
                  refused[type]);
}

/* ---- keys of others */

static bool is_in_lanes(const struct row *row)
{
    return row->key.type == CRYPTO_KEY_P256;
}

static void check_result(const struct row *row, enum ca_err result, size_t place, size_t count)
{
    cr_assert(result == row->want, "%s: %s, as %zu of %zu", row->name, ca_err_name(result), place,
              count);
}

Test(wycheproof, every_case_alone_gets_its_answer)
{
    for (size_t e = 0; e < engine_count; e++) {
        for (size_t i = 0; i < row_count; i++) {
            if (e > 0 && !is_in_lanes(&rows[i]))
                continue;
            crypto_verify_many(engine[e], &rows[i].job, 1);
            check_result(&rows[i], rows[i].job.result, 0, 1);
        }
    }
}

/* One case among `count` - 1 of another. */
static void check_among(struct crypto *crypto, const struct row *row, const struct row *other,
                        size_t place, size_t count)
{
    struct crypto_verification jobs[LANES];

    for (size_t i = 0; i < count; i++)
        jobs[i] = i == place ? row->job : other->job;
    crypto_verify_many(crypto, jobs, count);
    for (size_t i = 0; i < count; i++)
        check_result(i == place ? row : other, jobs[i].result, i, count);
}

/* Neighbours that are good, and such that reach the arithmetic and are refused there. */
static const struct row *find_neighbour(const char *name)
{
    size_t i = 0;

    while (i < row_count && strcmp(rows[i].name, name) != 0)
        i++;
    cr_assert_lt(i, row_count, "%s is not in the table", name);
    return &rows[i];
}

Test(wycheproof, every_case_gets_its_answer_in_every_lane)
{
    const struct row *good = find_neighbour("ecdsa_secp256r1_sha256 1");
    const struct row *bad = find_neighbour("ecdsa_secp256r1_sha256 343");

    cr_assert(good->want == CA_OK && bad->want == CA_ERR_CSR_SIG);
    for (size_t i = 0; i < row_count; i++) {
        if (!is_in_lanes(&rows[i]))
            continue;
        for (size_t lane = 0; lane < LANES; lane++)
            check_among(engine[engine_count - 1], &rows[i], lane % 2 ? bad : good, lane, LANES);
        size_t count = 2 + i % (LANES - 2); /* some lanes without work */
        check_among(engine[engine_count - 1], &rows[i], good, count - 1, count);
        check_among(engine[engine_count - 1], &rows[i], &rows[i], 0, LANES);
    }
}

/* All rows that are wanted, `first` in front, in one call. */
static void check_rotated(struct crypto *crypto, bool is_wanted(const struct row *row),
                          size_t first)
{
    static struct crypto_verification jobs[ROW_COUNT_MAX];
    static size_t from[ROW_COUNT_MAX];
    size_t count = 0;

    for (size_t i = 0; i < row_count; i++) {
        from[count] = (first + i) % row_count;
        jobs[count] = rows[from[count]].job;
        jobs[count].result = CA_ERR_COUNT;
        count += is_wanted(&rows[from[count]]);
    }
    crypto_verify_many(crypto, jobs, count);
    for (size_t i = 0; i < count; i++)
        check_result(&rows[from[i]], jobs[i].result, i, count);
}

Test(wycheproof, every_case_gets_its_answer_all_over_a_batch)
{
    for (size_t first = 0; first < BATCH; first += ROTATION)
        check_rotated(engine[engine_count - 1], is_in_lanes, first);
    check_rotated(engine[0], is_in_lanes, 0);
}

static bool is_any(const struct row *row)
{
    return row->name[0] != '\0';
}

/* As a caller sends them who has keys of all kinds. */
Test(wycheproof, kinds_in_one_call_do_not_disturb_each_other)
{
    static struct row shuffled[ROW_COUNT_MAX];
    const size_t step = 1009; /* a prime that does not divide the count */

    cr_assert(row_count % step != 0);
    for (size_t i = 0; i < row_count; i++)
        shuffled[i] = rows[i * step % row_count];
    memcpy(rows, shuffled, row_count * sizeof(rows[0]));
    for (size_t i = 0; i < row_count; i++)
        rows[i].job.key = &rows[i].key;
    check_rotated(engine[engine_count - 1], is_any, 0);
}

/* ---- own keys */

static bool is_same_key(const struct row *a, const struct row *b)
{
    return crypto_public_key_equal(&a->key, &b->key);
}

/* All of a batch are right or the batch is refused: eight alike fill the lanes. */
static void check_own(struct crypto *crypto, const struct crypto_own_key *own,
                      const struct row *row)
{
    enum ca_err want = row->want == CA_OK ? CA_OK : CA_ERR_SIGNATURE_WRONG;
    struct crypto_signature signatures[LANES];
    struct ca_bytes messages[LANES];

    if (row->job.signature.len > sizeof(signatures[0].bytes))
        return; /* signers do not make such */
    for (size_t i = 0; i < LANES; i++) {
        memcpy(signatures[i].bytes, row->job.signature.data, row->job.signature.len);
        signatures[i].len = row->job.signature.len;
        messages[i] = row->job.message;
    }
    for (size_t count = 1; count <= (is_in_lanes(row) ? LANES : 1); count += LANES - 1) {
        enum ca_err err =
            crypto_verify_own_many(crypto, own, row->job.sig, messages, count, signatures);
        cr_assert(err == want, "%s: %s", row->name, ca_err_name(err));
    }
}

/* From the digest of the message, as long CRLs are checked. */
static void check_own_digest(struct crypto *crypto, const struct crypto_own_key *own,
                             const struct row *row)
{
    enum ca_err want = row->want == CA_OK ? CA_OK : CA_ERR_SIGNATURE_WRONG;
    struct crypto_message message;
    struct crypto_digest digest;
    size_t half = row->job.message.len / 2;

    if (row->key.type == CRYPTO_KEY_ED25519)
        return;
    check_ok(crypto_message_init(&message, row->job.sig, &row->key));
    crypto_message_update(&message, ca_bytes_of(row->job.message.data, half));
    crypto_message_update(&message,
                          ca_bytes_of(row->job.message.data + half, row->job.message.len - half));
    crypto_message_final(&message, &digest);
    enum ca_err err =
        crypto_verify_own_digest(crypto, own, row->job.sig, &digest, row->job.signature);
    cr_assert(err == want, "%s: %s", row->name, ca_err_name(err));
}

/* rows[first] and those behind it that have the same key; answers how many. */
static size_t check_own_key(struct crypto *crypto, size_t first)
{
    struct crypto_own_key *own;
    size_t count = 0;

    check_ok(crypto_own_key_new(&rows[first].key, &own));
    for (; first + count < row_count && is_same_key(&rows[first], &rows[first + count]); count++) {
        check_own(crypto, own, &rows[first + count]);
        check_own_digest(crypto, own, &rows[first + count]);
    }
    crypto_own_key_free(own);
    return count;
}

Test(wycheproof, an_own_key_gives_the_same_answers)
{
    for (size_t e = 0; e < engine_count; e++) {
        for (size_t i = 0; i < row_count;)
            i += e == 0 || is_in_lanes(&rows[i]) ? check_own_key(engine[e], i) : 1;
    }
}

/* ---- the keys themselves */

Test(wycheproof, of_the_rsa_keys_only_those_with_a_small_exponent_are_refused)
{
    size_t refused = 0;

    for (size_t i = 0; i < row_count; i++) {
        bool is_small = strstr(rows[i].flags, "SmallPublicKey") != NULL;
        struct ca_refusal refusal;

        if (rows[i].key.type != CRYPTO_KEY_RSA)
            continue;
        check_err(crypto_rsa_check(&rows[i].key, &refusal), is_small ? CA_ERR_KEY_EXPONENT : CA_OK);
        refused += is_small;
    }
    cr_assert_gt(refused, 4);
}

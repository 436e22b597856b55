/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_crypto: how fast are signatures and hashes, on one core, beside OpenSSL's?
 *
 * Everything is measured in turns, many times over, and the best turn of each counts: what
 * else runs on the machine disturbs all alike. A ratio is OpenSSL's time divided by ours: for
 * curves its time for P-256, for RSA that of the same size. Ours is per signature of a lot of 64,
 * for curves each request with a key of its own; that makes no difference to RSA. With --lots, also
 * the times of whole lots of 1 to 16: where the lanes begin to pay.
 */
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "bench/bench.h"
#include "ca/crypto/crypto.h"
#include "ca/crypto/ec.h"
#include "ca/crypto/hash_many.h"

enum {
    LOT = 64,
    TURNS = 60,
    FIGURES_MAX = 32,
    RSA_SIZES = 3,
    MESSAGE_LEN = 700, /* a certificate to be signed */
    TURN_NS = 2000000,
};

/* ---- contestants, and their best turns */

struct figure {
    char name[64];
    void (*once)(void *arg);
    void *arg;
    double items; /* that one call does */
    double best_us;
    uint64_t calls; /* per turn */
};

struct board {
    struct figure figures[FIGURES_MAX];
    size_t count;
};

static void board_add(struct board *board, const char *name, void (*once)(void *), void *arg,
                      size_t items)
{
    bench_must(board->count < FIGURES_MAX, "one more figure failed");
    struct figure *figure = &board->figures[board->count++];

    snprintf(figure->name, sizeof(figure->name), "%s", name);
    figure->once = once;
    figure->arg = arg;
    figure->items = (double)items;
    figure->best_us = 1e18;
    once(arg);
    uint64_t start_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    once(arg);
    figure->calls = 1 + TURN_NS / (bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns + 1);
}

static void board_run(struct board *board)
{
    for (int turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < board->count; i++) {
            struct figure *figure = &board->figures[i];
            uint64_t start_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);

            for (uint64_t call = 0; call < figure->calls; call++)
                figure->once(figure->arg);
            double taken_us = (double)(bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / 1e3;
            double each_us = taken_us / (double)figure->calls / figure->items;
            figure->best_us = each_us < figure->best_us ? each_us : figure->best_us;
        }
    }
}

static double board_find(const struct board *board, const char *name)
{
    for (size_t i = 0; i < board->count; i++) {
        if (strcmp(board->figures[i].name, name) == 0)
            return board->figures[i].best_us;
    }
    bench_die("no figure %s", name);
}

/* ---- OpenSSL */

struct openssl {
    EVP_PKEY_CTX *sign, *verify;
    uint8_t digest[32], signature[512];
    size_t signature_len;
};

/* The digest is SHA-256's. Takes the key. */
static void openssl_open(struct openssl *openssl, EVP_PKEY *key)
{
    bench_must(key != NULL, "a key failed");
    openssl->sign = EVP_PKEY_CTX_new(key, NULL);
    openssl->verify = EVP_PKEY_CTX_new(key, NULL);
    EVP_PKEY_free(key);
    bench_must(EVP_PKEY_sign_init(openssl->sign) == 1 &&
                   EVP_PKEY_verify_init(openssl->verify) == 1 &&
                   EVP_PKEY_CTX_set_signature_md(openssl->sign, EVP_sha256()) == 1 &&
                   EVP_PKEY_CTX_set_signature_md(openssl->verify, EVP_sha256()) == 1,
               "OpenSSL failed");
    bench_must(RAND_bytes(openssl->digest, sizeof(openssl->digest)) == 1, "RAND_bytes failed");
}

static void openssl_sign(void *arg)
{
    struct openssl *openssl = arg;

    openssl->signature_len = sizeof(openssl->signature);
    bench_must(EVP_PKEY_sign(openssl->sign, openssl->signature, &openssl->signature_len,
                             openssl->digest, sizeof(openssl->digest)) == 1,
               "OpenSSL signing failed");
}

static void openssl_verify(void *arg)
{
    struct openssl *openssl = arg;

    bench_must(EVP_PKEY_verify(openssl->verify, openssl->signature, openssl->signature_len,
                               openssl->digest, sizeof(openssl->digest)) == 1,
               "OpenSSL verifying failed");
}

static void openssl_close(struct openssl *openssl)
{
    EVP_PKEY_CTX_free(openssl->sign);
    EVP_PKEY_CTX_free(openssl->verify);
}

/* ---- ours */

struct lot {
    const struct crypto_ec *ec;
    struct crypto_ec_key key;
    struct crypto_ec_own *own;
    size_t count;
    uint8_t digest[LOT][32], fresh[LOT][32], signature[LOT][64];
    struct crypto_ec_verify jobs[LOT];
    bool is_valid[LOT];
};

static void lot_sign(void *arg)
{
    struct lot *lot = arg;

    crypto_ec_sign_many(lot->ec, &lot->key, (const void *)lot->digest, lot->count,
                        (const void *)lot->fresh, lot->signature);
}

static void lot_verify(void *arg)
{
    struct lot *lot = arg;

    crypto_ec_verify_many(lot->ec, lot->jobs, lot->count);
    bench_must(lot->jobs[0].is_valid && lot->jobs[lot->count - 1].is_valid, "verifying failed");
}

static void lot_verify_own(void *arg)
{
    struct lot *lot = arg;

    crypto_ec_verify_own_many(lot->ec, lot->own, (const void *)lot->digest,
                              (const void *)lot->signature, lot->count, lot->is_valid);
    bench_must(lot->is_valid[0] && lot->is_valid[lot->count - 1], "verifying own failed");
}

static void make_key(enum crypto_ec_curve curve, struct crypto_ec_key *key)
{
    uint8_t scalar[32];

    do
        bench_must(RAND_bytes(scalar, sizeof(scalar)) == 1, "RAND_bytes failed");
    while (crypto_ec_key_init(curve, scalar, key) != CA_OK);
}

static struct lot *lot_new(const struct crypto_ec *ec, enum crypto_ec_curve curve, size_t count)
{
    struct lot *lot = calloc(1, sizeof(*lot));
    uint8_t point[64];

    bench_must(lot != NULL && count <= LOT, "a lot failed");
    lot->ec = ec;
    lot->count = count;
    make_key(curve, &lot->key);
    crypto_ec_key_public(ec, &lot->key, point);
    bench_must(crypto_ec_own_new(curve, point, &lot->own) == CA_OK, "crypto_ec_own_new failed");
    bench_must(RAND_bytes(lot->digest[0], sizeof(lot->digest)) == 1 &&
                   RAND_bytes(lot->fresh[0], sizeof(lot->fresh)) == 1,
               "RAND_bytes failed");
    lot_sign(lot);
    for (size_t i = 0; i < count; i++) {
        struct crypto_ec_verify *job = &lot->jobs[i];
        struct crypto_ec_key key;

        make_key(curve, &key);
        job->curve = curve;
        crypto_ec_key_public(ec, &key, job->point);
        memcpy(job->digest, lot->digest[i], 32);
        crypto_ec_sign_many(ec, &key, (const void *)job->digest, 1, (const void *)lot->fresh,
                            (void *)job->signature);
    }
    return lot;
}

static void lot_free(struct lot *lot)
{
    crypto_ec_own_free(lot->own);
    free(lot);
}

/* ---- RSA, as the daemon asks for it */

struct rsa_lot {
    struct crypto *crypto;
    struct crypto_private_key *key;
    size_t count;
    uint8_t text[LOT][MESSAGE_LEN];
    struct ca_bytes messages[LOT];
    struct crypto_signature signatures[LOT];
    struct crypto_verification jobs[LOT];
};

static void rsa_sign(void *arg)
{
    struct rsa_lot *lot = arg;

    bench_must(crypto_sign_many(lot->crypto, lot->key, CRYPTO_SIG_RSA_SHA256, lot->messages,
                                lot->count, lot->signatures) == CA_OK,
               "signing failed");
}

static void rsa_verify(void *arg)
{
    struct rsa_lot *lot = arg;

    crypto_verify_many(lot->crypto, lot->jobs, lot->count);
    bench_must(lot->jobs[0].result == CA_OK && lot->jobs[lot->count - 1].result == CA_OK,
               "verifying failed");
}

static struct rsa_lot *rsa_lot_new(struct crypto *crypto, uint32_t bits, size_t count)
{
    struct rsa_lot *lot = calloc(1, sizeof(*lot));

    bench_must(lot != NULL && count <= LOT, "a lot failed");
    lot->crypto = crypto;
    lot->count = count;
    bench_must(crypto_private_key_generate(CRYPTO_KEY_RSA, bits, &lot->key) == CA_OK,
               "a key failed");
    bench_must(RAND_bytes(lot->text[0], sizeof(lot->text)) == 1, "RAND_bytes failed");
    for (size_t i = 0; i < count; i++)
        lot->messages[i] = ca_bytes_of(lot->text[i], MESSAGE_LEN);
    rsa_sign(lot);
    for (size_t i = 0; i < count; i++)
        lot->jobs[i] = (struct crypto_verification){
            .sig = CRYPTO_SIG_RSA_SHA256,
            .key = crypto_private_key_public(lot->key),
            .message = lot->messages[i],
            .signature = ca_bytes_of(lot->signatures[i].bytes, lot->signatures[i].len),
        };
    return lot;
}

static void rsa_lot_free(struct rsa_lot *lot)
{
    crypto_private_key_free(lot->key);
    free(lot);
}

/* ---- hashes */

struct hashing {
    enum crypto_ec_backend backend;
    bool is_sm3;
    const EVP_MD *md;
    EVP_MD_CTX *context;
    uint8_t text[LOT][MESSAGE_LEN];
    struct ca_bytes messages[LOT];
    uint8_t digest[LOT][CRYPTO_HASH_LEN];
};

static void hash_ours(void *arg)
{
    struct hashing *it = arg;

    if (it->is_sm3)
        crypto_sm3_many(it->backend, NULL, it->messages, LOT, it->digest);
    else
        crypto_sha256_many(it->backend, it->messages, LOT, it->digest);
}

static void hash_openssl(void *arg)
{
    struct hashing *it = arg;

    for (size_t i = 0; i < LOT; i++)
        bench_must(EVP_DigestInit_ex(it->context, it->md, NULL) == 1 &&
                       EVP_DigestUpdate(it->context, it->text[i], MESSAGE_LEN) == 1 &&
                       EVP_DigestFinal_ex(it->context, it->digest[i], NULL) == 1,
                   "OpenSSL hashing failed");
}

static void hash_open(struct hashing *it, enum crypto_ec_backend backend, bool is_sm3)
{
    it->backend = backend;
    it->is_sm3 = is_sm3;
    it->md = is_sm3 ? EVP_sm3() : EVP_sha256();
    it->context = EVP_MD_CTX_new();
    for (size_t i = 0; i < LOT; i++) {
        memset(it->text[i], (int)i, MESSAGE_LEN);
        it->messages[i] = ca_bytes_of(it->text[i], MESSAGE_LEN);
    }
}

/* ---- the report */

static const char *const backend_names[] = { "portable", "lanes" };
static const char *const curve_names[] = { "p256", "sm2" };

static void print_signatures(const struct board *board, const char prefix[40])
{
    static const char *const verbs[] = { "sign", "verify", "verify_own" };
    char name[64];

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s.%s", prefix, verbs[i]);
        const char *rival = i == 0 ? "crypto.openssl.p256.sign" : "crypto.openssl.p256.verify";
        double us = board_find(board, name);
        bench_figure(name, ".us", us, "us");
        bench_figure(name, ".ratio", board_find(board, rival) / us, "x");
    }
}

static void add_lot(struct board *board, struct lot *lot, size_t engine, size_t curve,
                    const char *suffix, size_t items)
{
    static const struct {
        const char *verb;
        void (*once)(void *);
    } verbs[] = { { "sign", lot_sign },
                  { "verify", lot_verify },
                  { "verify_own", lot_verify_own } };
    char name[64];

    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "crypto.%s.%s.%s%s", backend_names[engine], curve_names[curve],
                 verbs[i].verb, suffix);
        board_add(board, name, verbs[i].once, lot, items);
    }
}

static void bench_signatures(size_t backend_count, struct crypto_ec *const engine[])
{
    static struct board board;
    struct openssl openssl = { 0 };
    struct lot *lots[4];

    openssl_open(&openssl, EVP_EC_gen("P-256"));
    board_add(&board, "crypto.openssl.p256.sign", openssl_sign, &openssl, 1);
    board_add(&board, "crypto.openssl.p256.verify", openssl_verify, &openssl, 1);
    for (size_t i = 0; i < 2 * backend_count; i++) {
        lots[i] = lot_new(engine[i / 2], (enum crypto_ec_curve)(i % 2), LOT);
        add_lot(&board, lots[i], i / 2, i % 2, "", LOT);
    }
    board_run(&board);
    bench_figure(board.figures[0].name, ".us", board.figures[0].best_us, "us");
    bench_figure(board.figures[1].name, ".us", board.figures[1].best_us, "us");
    for (size_t i = 0; i < 2 * backend_count; i++) {
        char prefix[40];

        snprintf(prefix, sizeof(prefix), "crypto.%s.%s", backend_names[i / 2], curve_names[i % 2]);
        print_signatures(&board, prefix);
        lot_free(lots[i]);
    }
    openssl_close(&openssl);
}

static void print_rsa(const struct board *board, uint32_t bits)
{
    static const char *const verbs[] = { "sign", "verify" };
    char name[64], rival[64];

    for (int i = 0; i < 2; i++) {
        snprintf(rival, sizeof(rival), "crypto.openssl.rsa%u.%s", bits, verbs[i]);
        snprintf(name, sizeof(name), "crypto.lanes.rsa%u.%s", bits, verbs[i]);
        double openssl_us = board_find(board, rival), us = board_find(board, name);
        bench_figure(rival, ".us", openssl_us, "us");
        bench_figure(name, ".us", us, "us");
        bench_figure(name, ".ratio", openssl_us / us, "x");
    }
}

static const uint32_t rsa_sizes[RSA_SIZES] = { 2048, 3072, 4096 };

static void bench_rsa(struct crypto *crypto)
{
    static struct board board;
    struct openssl openssl[RSA_SIZES] = { 0 };
    struct rsa_lot *lots[RSA_SIZES];
    char name[64];

    for (size_t i = 0; i < RSA_SIZES; i++) {
        uint32_t bits = rsa_sizes[i];

        openssl_open(&openssl[i], EVP_RSA_gen(bits));
        lots[i] = rsa_lot_new(crypto, bits, LOT);
        snprintf(name, sizeof(name), "crypto.openssl.rsa%u.sign", bits);
        board_add(&board, name, openssl_sign, &openssl[i], 1);
        snprintf(name, sizeof(name), "crypto.openssl.rsa%u.verify", bits);
        board_add(&board, name, openssl_verify, &openssl[i], 1);
        snprintf(name, sizeof(name), "crypto.lanes.rsa%u.sign", bits);
        board_add(&board, name, rsa_sign, lots[i], LOT);
        snprintf(name, sizeof(name), "crypto.lanes.rsa%u.verify", bits);
        board_add(&board, name, rsa_verify, lots[i], LOT);
    }
    board_run(&board);
    for (size_t i = 0; i < RSA_SIZES; i++) {
        print_rsa(&board, rsa_sizes[i]);
        openssl_close(&openssl[i]);
        rsa_lot_free(lots[i]);
    }
}

static void bench_hashes(size_t backend_count)
{
    static struct board board;
    static struct hashing it[2][2];
    static const char *const hash_names[] = { "sha256", "sm3" };
    char name[64];

    for (size_t hash = 0; hash < 2; hash++) {
        for (size_t b = 0; b < backend_count; b++) {
            hash_open(&it[hash][b], (enum crypto_ec_backend)b, hash == 1);
            snprintf(name, sizeof(name), "crypto.%s.%s.%d", backend_names[b], hash_names[hash],
                     MESSAGE_LEN);
            board_add(&board, name, hash_ours, &it[hash][b], LOT);
        }
        snprintf(name, sizeof(name), "crypto.openssl.%s.%d", hash_names[hash], MESSAGE_LEN);
        board_add(&board, name, hash_openssl, &it[hash][0], LOT);
    }
    board_run(&board);
    for (size_t i = 0; i < board.count; i++)
        bench_figure(board.figures[i].name, ".us", board.figures[i].best_us, "us");
    for (size_t i = 0; i < 2 * backend_count; i++)
        EVP_MD_CTX_free(it[i % 2][i / 2].context);
}

static void bench_lots(size_t backend_count, struct crypto_ec *const engine[])
{
    static struct board board;

    for (size_t count = 1; count <= 16; count++) {
        char suffix[16];

        snprintf(suffix, sizeof(suffix), ".lot%zu", count);
        board.count = 0;
        for (size_t i = 0; i < 2 * backend_count; i++) {
            struct lot *lot = lot_new(engine[i / 2], (enum crypto_ec_curve)(i % 2), count);
            add_lot(&board, lot, i / 2, i % 2, suffix, 1);
        }
        board_run(&board);
        for (size_t i = 0; i < board.count; i++) {
            bench_figure(board.figures[i].name, ".us", board.figures[i].best_us, "us");
            if (i % 3 == 2)
                lot_free(board.figures[i].arg);
        }
    }
}

static void bench_rsa_lots(struct crypto *crypto)
{
    static struct board board;
    char name[64];

    for (size_t count = 1; count <= 16; count++) {
        struct rsa_lot *lot = rsa_lot_new(crypto, rsa_sizes[0], count);

        board.count = 0;
        snprintf(name, sizeof(name), "crypto.lanes.rsa2048.sign.lot%zu", count);
        board_add(&board, name, rsa_sign, lot, 1);
        snprintf(name, sizeof(name), "crypto.lanes.rsa2048.verify.lot%zu", count);
        board_add(&board, name, rsa_verify, lot, 1);
        board_run(&board);
        for (size_t i = 0; i < board.count; i++)
            bench_figure(board.figures[i].name, ".us", board.figures[i].best_us, "us");
        rsa_lot_free(lot);
    }
}

int main(int argc, char **argv)
{
    size_t backend_count = crypto_ec_backend_best() == CRYPTO_EC_LANES ? 2 : 1;
    bool has_lots = argc > 1 && strcmp(argv[1], "--lots") == 0;
    struct crypto_ec *engine[2];
    struct crypto *crypto;

    bench_must(CRYPTO_secure_malloc_init(1 << 18, 16) != 0, "the secure heap failed");
    bench_must(crypto_open(&crypto) == CA_OK, "crypto_open failed");
    for (size_t i = 0; i < backend_count; i++)
        bench_must(crypto_ec_new((enum crypto_ec_backend)i, &engine[i]) == CA_OK,
                   "crypto_ec_new failed");
    bench_signatures(backend_count, engine);
    if (backend_count == 2)
        bench_rsa(crypto);
    bench_hashes(backend_count);
    if (has_lots)
        bench_lots(backend_count, engine);
    if (has_lots && backend_count == 2)
        bench_rsa_lots(crypto);
    for (size_t i = 0; i < backend_count; i++)
        crypto_ec_free(engine[i]);
    crypto_close(crypto);
    return EXIT_SUCCESS;
}

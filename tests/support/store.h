/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: certificates made of numbers, and a store in a directory of its own, for tests.
 *
 * Certificate number n has the serial number of microsecond n, and digests made of numbers. Its DER
 * is filler of a length that depends on n.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/check.h"
#include "tests/support/folder.h"

enum { TEST_INSTANCE = 7, TEST_DER_MAX = 3000 };

static inline uint64_t test_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The next number of a sequence that is the same for the same seed. */
static inline uint64_t test_random(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u;
    return test_mix(*seed);
}

/* Digest number n of a kind. */
static inline struct store_digest test_digest(char kind, uint64_t n)
{
    struct store_digest digest;
    uint64_t high = test_mix(n * 256 + (uint8_t)kind), low = test_mix(high + 1);

    memcpy(digest.bytes, &high, 8);
    memcpy(digest.bytes + 8, &low, 8);
    return digest;
}

static inline struct ca_serial test_serial(uint64_t n)
{
    uint8_t random[CA_SERIAL_RANDOM_LEN];
    uint64_t word = test_mix(n);

    memcpy(random, &word, 8);
    memset(random + 8, 0x5a, 2);
    return ca_serial_make(TEST_INSTANCE, n, random);
}

static inline uint64_t test_locator(uint64_t n)
{
    struct ca_serial serial = test_serial(n);

    return ca_serial_locator(&serial);
}

static inline struct store_intent test_intent(uint64_t n)
{
    struct store_intent intent = {
        .serial = test_serial(n),
        .request = test_digest('r', n),
        .body = test_digest('b', n),
        .profile = test_digest('p', n % 3),
        .issuer = test_digest('i', n % 2),
        .not_after_s = -(int64_t)n,
        .crl_shard = (uint32_t)(n % 5),
    };

    memset(intent.tbs_digest, (int)(n & 0xff), sizeof(intent.tbs_digest));
    return intent;
}

/* identity and key tell which certificates share them; der must have TEST_DER_MAX octets. */
static inline struct store_certificate test_certificate_of(uint64_t n, uint64_t identity,
                                                           uint64_t key, uint8_t *der)
{
    size_t len = 300 + test_mix(n) % 900 + (n % 97 == 0 ? 1500 : 0);

    for (size_t i = 0; i < len; i++)
        der[i] = (uint8_t)(n * 31 + i * 7);
    return (struct store_certificate){
        .serial = test_serial(n),
        .request = test_digest('r', n),
        .body = test_digest('b', n),
        .profile = test_digest('p', n % 3),
        .issuer = test_digest('i', n % 2),
        .identity = test_digest('s', identity),
        .key = test_digest('k', key),
        .not_before_s = (int64_t)n,
        .not_after_s = -(int64_t)n,
        .operation = (enum store_operation)(n % STORE_OPERATION_COUNT),
        .crl_shard = (uint32_t)(n % 5),
        .der = ca_bytes_of(der, len),
    };
}

/* Ten certificates to an identity, a key each. */
static inline struct store_certificate test_certificate(uint64_t n, uint8_t *der)
{
    return test_certificate_of(n, n / 10, n, der);
}

static inline struct store_audit test_audit(const struct ca_serial *serial, uint64_t n)
{
    return (struct store_audit){
        .kind = STORE_AUDIT_ISSUED,
        .time_us = n,
        .actor = CA_BYTES("uid:1000"),
        .object = ca_serial_bytes(serial),
        .request = test_digest('r', n),
        .body = test_digest('b', n),
    };
}

/* Where certificate number n is listed once it is revoked. */
static inline struct store_scope test_scope(uint64_t n)
{
    return (struct store_scope){ test_digest('i', n % 2), (uint32_t)(n % 5) };
}

/* Certificate number n comes into a state, by request number `request` at microsecond `time_us`. */
static inline struct store_status_change test_status_change(uint64_t n, enum store_state from,
                                                            enum store_state to, uint64_t request)
{
    return (struct store_status_change){
        .serial = test_serial(n),
        .scope = test_scope(n),
        .request = test_digest('q', request),
        .body = test_digest('b', request),
        .old_state = from,
        .status = { .state = to,
                    .reason = to == STORE_STATE_HELD ? 6 : 1,
                    .revoked_s = 1000000 + (int64_t)request,
                    .not_after_s = -(int64_t)n },
    };
}

static inline struct store_audit test_status_audit(const struct store_status_change *change,
                                                   uint64_t time_us)
{
    return (struct store_audit){
        .kind = STORE_AUDIT_REVOKED,
        .time_us = time_us,
        .actor = CA_BYTES("uid:1000"),
        .object = ca_serial_bytes(&change->serial),
        .request = change->request,
        .body = change->body,
    };
}

static inline enum ca_err test_put_status(struct store_batch *batch, uint64_t n,
                                          enum store_state from, enum store_state to,
                                          uint64_t request, uint64_t time_us)
{
    struct store_status_change change = test_status_change(n, from, to, request);
    struct store_audit audit = test_status_audit(&change, time_us);

    return store_put_status(batch, &change, &audit);
}

static inline enum ca_err test_put_certificate(struct store_batch *batch, uint64_t n)
{
    uint8_t der[TEST_DER_MAX];
    struct store_certificate certificate = test_certificate(n, der);
    struct store_audit audit = test_audit(&certificate.serial, n);

    return store_put_certificate(batch, &certificate, &audit);
}

static inline enum ca_err test_put_intent(struct store_batch *batch, uint64_t n)
{
    struct store_intent intent = test_intent(n);

    return store_put_intent(batch, &intent);
}

/* Numbers from to until (excluded), as the engine writes them: intents one batch ahead. */
static inline void test_issue(struct store *store, uint64_t from, uint64_t until, uint64_t at_once)
{
    struct store_batch *batch;

    for (uint64_t start = from; start < until + at_once; start += at_once) {
        check_ok(store_begin(store, &batch));
        for (uint64_t n = start - at_once; start > from && n < start && n < until; n++)
            check_ok(test_put_certificate(batch, n));
        for (uint64_t n = start; n < start + at_once && n < until; n++)
            check_ok(test_put_intent(batch, n));
        check_ok(store_commit(batch));
    }
}

/* Profile number n, introduced at microsecond `time_us`. */
static inline enum ca_err test_put_profile(struct store_batch *batch, uint64_t n, uint64_t time_us)
{
    const struct store_profile profile = {
        .id = test_digest('p', n),
        .reasons = (uint32_t)n,
        .allows_hold = n % 2 == 1,
        .name = CA_BYTES("profile"),
        .content = ca_bytes_of("filler of some length", n % 22),
    };
    const struct store_audit audit = {
        .kind = STORE_AUDIT_PROFILE,
        .time_us = time_us,
        .actor = CA_BYTES("certmilld"),
        .object = ca_bytes_of(profile.id.bytes, STORE_DIGEST_LEN),
    };

    return store_put_profile(batch, &profile, &audit);
}

/* Every field of what was found is what certificate number n was put with. */
static inline bool test_is_certificate_of(const struct store_certificate *found, uint64_t n,
                                          uint64_t identity, uint64_t key)
{
    uint8_t der[TEST_DER_MAX];
    struct store_certificate want = test_certificate_of(n, identity, key, der);

    return ca_bytes_equal(ca_serial_bytes(&found->serial), ca_serial_bytes(&want.serial)) &&
           store_digest_equal(&found->request, &want.request) &&
           store_digest_equal(&found->body, &want.body) &&
           store_digest_equal(&found->profile, &want.profile) &&
           store_digest_equal(&found->issuer, &want.issuer) &&
           store_digest_equal(&found->identity, &want.identity) &&
           store_digest_equal(&found->key, &want.key) && found->not_before_s == want.not_before_s &&
           found->not_after_s == want.not_after_s && found->predecessor == want.predecessor &&
           found->lineage == want.lineage && found->operation == want.operation &&
           found->delivery == want.delivery && found->fate_reason == want.fate_reason &&
           found->crl_shard == want.crl_shard && ca_bytes_equal(found->der, want.der);
}

static inline bool test_is_certificate(const struct store_certificate *found, uint64_t n)
{
    return test_is_certificate_of(found, n, n / 10, n);
}

/* Found by all four ways, with the right contents. */
static inline void test_check_found(struct store_view *view, uint64_t n)
{
    struct store_certificate found, several[10];
    struct ca_serial serial = test_serial(n);
    struct store_digest request = test_digest('r', n), key = test_digest('k', n);
    struct store_digest identity = test_digest('s', n / 10);
    size_t count;

    check_ok(store_find_serial(view, &serial, &found));
    cr_assert(test_is_certificate(&found, n), "by serial: %llu", (unsigned long long)n);
    check_ok(store_find_request(view, &request, &found));
    cr_assert(test_is_certificate(&found, n), "by request: %llu", (unsigned long long)n);
    check_ok(store_find_digest(view, STORE_BY_KEY, &key, 0, several, 10, &count));
    cr_assert(count == 1 && test_is_certificate(&several[0], n), "by key: %llu",
              (unsigned long long)n);
    check_ok(store_find_digest(view, STORE_BY_IDENTITY, &identity, test_locator(n) - 1, several, 1,
                               &count));
    cr_assert(count == 1 && test_is_certificate(&several[0], n), "by identity: %llu",
              (unsigned long long)n);
}

static inline void test_check_absent(struct store_view *view, uint64_t n)
{
    struct store_certificate found, several[4];
    struct ca_serial serial = test_serial(n);
    struct store_digest request = test_digest('r', n), key = test_digest('k', n);
    struct store_digest identity = test_digest('s', n);
    size_t count;

    check_err(store_find_serial(view, &serial, &found), CA_ERR_NOT_FOUND);
    check_err(store_find_request(view, &request, &found), CA_ERR_NOT_FOUND);
    check_ok(store_find_digest(view, STORE_BY_KEY, &key, 0, several, 4, &count));
    cr_assert_eq(count, 0);
    check_ok(store_find_digest(view, STORE_BY_IDENTITY, &identity, 0, several, 4, &count));
    cr_assert_eq(count, 0);
}

static inline void test_check_whole(struct store *store)
{
    struct store_damage damage;
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    enum ca_err err = store_check(view, &damage);
    cr_assert(err == CA_OK, "%s: %s %s", ca_err_text(err), damage.table, damage.key);
    store_view_close(view);
}

static inline struct store_batch *test_begin(struct store *store)
{
    struct store_batch *batch;

    check_ok(store_begin(store, &batch));
    return batch;
}

static inline struct store_view *test_view_open(struct store *store)
{
    struct store_view *view;

    check_ok(store_view_open(store, &view));
    return view;
}

/* Certificate n in the line of `root`, behind `predecessor`; 0 for both: a new one. */
static inline enum ca_err test_put_next(struct store_batch *batch, uint64_t n, uint64_t root,
                                        uint64_t predecessor, enum store_delivery delivery)
{
    uint8_t der[TEST_DER_MAX];
    struct store_certificate certificate = test_certificate(n, der);
    struct store_audit audit = test_audit(&certificate.serial, n);
    struct store_intent intent = test_intent(n);

    certificate.lineage = intent.lineage = root == 0 ? 0 : test_locator(root);
    certificate.predecessor = intent.predecessor = predecessor == 0 ? 0 : test_locator(predecessor);
    certificate.delivery = delivery;
    certificate.fate_reason = 4;
    check_ok(store_put_intent(batch, &intent));
    return store_put_certificate(batch, &certificate, &audit);
}

/* ---- a directory per test, removed after it */

static char test_dir[64];
static char test_path[96]; /* of the store in it */

static inline void test_dir_make(void)
{
    folder_make("store", test_dir, sizeof(test_dir));
    snprintf(test_path, sizeof(test_path), "%s/store", test_dir);
}

static inline void test_dir_remove(void)
{
    folder_drop(test_dir);
}

/* Small, so that a test meets every limit soon. */
static const struct store_options test_options = {
    .map_size = (size_t)1 << 30,
    .grow_size = (size_t)1 << 20,
    .reserve_size = (size_t)1 << 20,
    .run_entries = 100,
};

static inline struct store *test_open(void)
{
    struct store *store;

    check_ok(store_open(test_path, &test_options, &store));
    return store;
}

/* A new store in the test's directory; and the end of both. */
static inline struct store *test_store_make(void)
{
    test_dir_make();
    check_ok(store_create(test_path, TEST_INSTANCE));
    return test_open();
}

static inline void test_store_remove(struct store *store)
{
    store_close(store);
    test_dir_remove();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_crash: kill -9 while lists are made. The published file is always whole, signed and readable;
 * no number is ever given to two lists; what was acknowledged is recorded.
 *
 * A few rounds in the ordinary run; CERTMILL_CRASH_ROUNDS by hand. CERTMILL_CRASH_SEED repeats a
 * run's choices (not its races).
 */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "ca/rules/crl_gate.h"
#include "ca/x509/cert.h"
#include "rpc/call.h"
#include "tests/support/check.h"
#include "tests/support/daemon.h"
#include "tests/support/random.h"
#include "tests/support/setting.h"

enum {
    ROUNDS_DEFAULT = 8,
    ENTRIES = 20000, /* a list takes some milliseconds */
    BATCH = 5000,
    CLIENTS = 2,
    KILL_US_MAX = 150000,
    TIMEOUT_MS = 2000,
    PATIENCE_MS = 60000,
    FILE_MAX = 8 << 20,
};

TestSuite(crl_crash, .timeout = 7200);

static struct daemon service;
static struct x509_cert issuer;
static uint8_t issuer_der[CA_CERTIFICATE_LEN_MAX];
static struct crypto *crypto;
static struct crypto_own_key *own;
static atomic_uint_fast64_t highest; /* number seen on any list or in any answer */
static atomic_uint_fast64_t made;
static atomic_bool is_over;
static uint8_t file[FILE_MAX];
static uint8_t instance; /* of the serial numbers */

static void saw(uint64_t number)
{
    uint64_t before = atomic_load(&highest);

    while (number > before && !atomic_compare_exchange_weak(&highest, &before, number))
        continue;
}

/* ---- the CA, and entries for its list */

static void load_issuer(void)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__CaRequest ca = CERTMILL__CA_REQUEST__INIT;
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);
    struct ca_refusal refusal;

    request.method_case = CERTMILL__REQUEST__METHOD_CA;
    request.ca = &ca;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->ca != NULL && answer->ca->n_items == 1);
    ProtobufCBinaryData der = answer->ca->items[0]->chain[0];
    cr_assert(der.len <= sizeof(issuer_der));
    memcpy(issuer_der, der.data, der.len);
    check_ok(x509_cert_parse(ca_bytes_of(issuer_der, der.len), &issuer, &refusal));
    certmill__answer__free_unpacked(answer, NULL);
    rpc_client_close(client);
    check_ok(crypto_open(&crypto));
    check_ok(crypto_own_key_new(&issuer.key, &own));
}

/* A revoked intent: what is revoked must be known. */
static void put_entry(struct store_batch *batch, const struct store_scope *scope, uint64_t n)
{
    uint8_t random[CA_SERIAL_RANDOM_LEN] = { (uint8_t)n, 7 };
    struct store_intent intent = { .serial = ca_serial_make(instance, 1000000 + n, random),
                                   .issuer = scope->issuer,
                                   .not_after_s = 4000000000 };
    const struct store_status_change change = {
        .serial = intent.serial,
        .scope = *scope,
        .old_state = STORE_STATE_VALID,
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = X509_CRL_SUPERSEDED,
                    .revoked_s = 1700000000,
                    .not_after_s = 4000000000 },
    };
    const struct store_audit audit = { .kind = STORE_AUDIT_REVOKED,
                                       .time_us = 1700000000000000,
                                       .actor = CA_BYTES("test"),
                                       .object = ca_serial_bytes(&change.serial) };

    memcpy(intent.request.bytes, &n, sizeof(n)); /* a request of its own */
    check_ok(store_put_intent(batch, &intent));
    check_ok(store_put_status(batch, &change, &audit));
}

static struct store_scope scope_of(void)
{
    struct store_scope scope = { 0 };
    uint8_t digest[CA_DIGEST_LEN];

    crypto_sha256(&issuer.spki, 1, digest);
    memcpy(scope.issuer.bytes, digest, STORE_DIGEST_LEN);
    return scope;
}

static struct store *open_store(bool is_read_only)
{
    struct store_options options = { .map_size = (size_t)64 << 30, .is_read_only = is_read_only };
    struct store *store;
    char path[96];

    snprintf(path, sizeof(path), "%s/instance/data", service.dir);
    check_ok(store_open(path, &options, &store));
    return store;
}

static void fill(void)
{
    struct store_scope scope = scope_of();
    struct store *store = open_store(false);
    struct store_info info;

    store_info(store, &info);
    instance = info.instance;
    for (uint64_t n = 0; n < ENTRIES;) {
        struct store_batch *batch;
        check_ok(store_begin(store, &batch));
        for (size_t i = 0; i < BATCH; i++)
            put_entry(batch, &scope, n++);
        check_ok(store_commit(batch));
    }
    store_close(store);
}

/* ---- what is published */

static uint64_t check_published(void)
{
    struct x509_crl list;
    struct x509_crl_entry entry;
    struct ca_refusal refusal;
    char path[96];
    uint64_t number = 0;
    size_t count = 0;

    snprintf(path, sizeof(path), "%s/instance/crl/main.crl", service.dir);
    FILE *from = fopen(path, "rb");
    cr_assert(from != NULL, "no list is published");
    size_t len = fread(file, 1, sizeof(file), from);
    fclose(from);
    check_ok(x509_crl_parse(ca_bytes_of(file, len), &list, &refusal));
    check_ok(rules_crl_verify(crypto, own, &list));
    check_bytes(list.issuer, issuer.subject.whole);
    struct x509_crl_cursor cursor = x509_crl_entries(&list);
    for (; !x509_crl_at_end(&cursor); count++)
        check_ok(x509_crl_next(&cursor, &entry, &refusal));
    cr_assert(count == 0 || count == ENTRIES, "%zu entries", count);
    for (size_t i = 0; i < list.number.len; i++)
        number = number << 8 | list.number.data[i];
    return number;
}

/* The list, and at most the room for the next one. */
static void check_no_litter(void)
{
    char path[96];
    struct dirent *entry;

    snprintf(path, sizeof(path), "%s/instance/crl", service.dir);
    DIR *folder = opendir(path);
    cr_assert(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        cr_assert(strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
                      strcmp(name, "main.crl") == 0 || strcmp(name, ".main.crl.reserve") == 0,
                  "%s was left", name);
    }
    closedir(folder);
}

/* Everything recorded has a number of its own, in order; the last is not above what was given out.
 */
static void check_records(void)
{
    enum { AT_ONCE = 256 };
    struct store_scope scope = scope_of();
    struct store *store = open_store(true);
    struct store_crl records[AT_ONCE];
    struct store_scope_info info;
    struct store_view *view;
    uint64_t last = 0;
    size_t count;

    check_ok(store_view_open(store, &view));
    do {
        check_ok(store_find_crls(view, &scope, last, records, AT_ONCE, &count));
        for (size_t i = 0; i < count; i++) {
            cr_assert(records[i].number > last);
            last = records[i].number;
        }
    } while (count == AT_ONCE);
    check_ok(store_find_scope(view, &scope, &info));
    cr_assert(info.last_number >= last && info.full.number == last);
    cr_assert(info.last_number >= atomic_load(&highest), "number %" PRIu64 " was forgotten",
              (uint64_t)atomic_load(&highest));
    store_view_close(view);
    store_close(store);
}

/* ---- orders */

/* The number of the list made; 0: no answer, or none was made. */
static uint64_t order(struct rpc_client *client)
{
    Certmill__CrlScope scope;
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlMakeRequest make = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;
    uint64_t number = 0;

    certmill__crl_scope__init(&scope);
    scope.ca = rpc_text("main");
    item.scope = &scope;
    make.n_items = 1;
    make.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &make;
    if (rpc_client_ask(client, &request, &answer) != CA_OK)
        return 0;
    if (answer->crl_make != NULL && answer->crl_make->n_items == 1 &&
        answer->crl_make->items[0]->status == NULL)
        number = answer->crl_make->items[0]->number;
    certmill__answer__free_unpacked(answer, NULL);
    return number;
}

static void *order_run(void *arg)
{
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    uint64_t own_last = *(uint64_t *)arg;

    while (!atomic_load(&is_over)) {
        uint64_t number = order(client);
        if (number == 0)
            break;
        cr_assert(number > own_last, "%" PRIu64 " after %" PRIu64, number, own_last);
        own_last = number;
        saw(number);
        atomic_fetch_add(&made, 1);
    }
    rpc_client_close(client);
    return NULL;
}

static void round_once(uint64_t *random)
{
    pthread_t threads[CLIENTS];
    uint64_t before = atomic_load(&highest);
    struct store_info info;

    atomic_store(&is_over, false);
    daemon_start(&service);
    for (size_t i = 0; i < CLIENTS; i++)
        cr_assert(pthread_create(&threads[i], NULL, order_run, &before) == 0);
    usleep((useconds_t)(random_next(random) % KILL_US_MAX));
    daemon_kill(&service);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    uint64_t number = check_published();
    check_no_litter();
    cr_assert(number >= atomic_load(&highest), "a list that was acknowledged is not published");
    saw(number);
    daemon_check_store(&service, &info);
    check_records();
}

Test(crl_crash, no_number_is_used_twice_and_the_file_is_always_whole)
{
    uint64_t rounds = setting_number("CERTMILL_CRASH_ROUNDS", ROUNDS_DEFAULT);
    uint64_t seed = setting_number("CERTMILL_CRASH_SEED", (uint64_t)time(NULL));
    uint64_t random = seed * 2 + 1;

    fprintf(stderr, "crl_crash: CERTMILL_CRASH_SEED=%" PRIu64 " rounds %" PRIu64 "\n", seed,
            rounds);
    daemon_make(&service);
    daemon_start(&service);
    load_issuer();
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);
    saw(order(client));
    rpc_client_close(client);
    daemon_stop(&service);
    fill();
    for (uint64_t i = 0; i < rounds; i++)
        round_once(&random);

    /* Undisturbed: one more, above all of them. */
    daemon_start(&service);
    client = daemon_connect(&service, PATIENCE_MS);
    uint64_t number = order(client);
    cr_assert(number > atomic_load(&highest));
    rpc_client_close(client);
    daemon_stop(&service);
    cr_assert_eq(check_published(), number);
    fprintf(stderr, "%" PRIu64 " lists acknowledged, last number %" PRIu64 "\n",
            (uint64_t)atomic_load(&made), number);
    crypto_own_key_free(own);
    crypto_close(crypto);
    daemon_unmake(&service);
}

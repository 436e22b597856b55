/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_keeper: a keeper of CRLs with its store, without a pipeline: clocks that are set, a signer
 * and writes that fail on demand, and the lists it publishes. The program is linked with
 * --wrap=keys_sign and --wrap=store_entries_open_since.
 */
#pragma once

#include "rpc/crl_keeper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/instance.h"

enum { HOUR_S = 3600, DAY_S = 86400, START_S = 1800000000, SHARDS = 3, FILE_MAX = 1 << 20 };

static struct instance instance;
static struct rpc_engine engine;
static struct rpc_crl_keeper *keeper;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* one writer at a time */

/* The monotonic clock, and how far the wall clock is from it. */
static atomic_int_fast64_t now_us, skew_us;
static atomic_int sign_error;     /* what the signer answers instead of signing */
static atomic_int too_many_since; /* deltas are too long */
static atomic_int writes_left;    /* then writes fail; below 0: never */

/* ---- seams */

enum ca_err __real_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures)
{
    int err = atomic_load(&sign_error);

    if (err != CA_OK && signer == instance.cas[0].signer)
        return (enum ca_err)err;
    return __real_keys_sign(signer, crypto, order, signatures);
}

enum ca_err __real_store_entries_open_since(struct store_view *view,
                                            const struct store_scope *scope, uint64_t since,
                                            struct store_entries **entries_out);
enum ca_err __wrap_store_entries_open_since(struct store_view *view,
                                            const struct store_scope *scope, uint64_t since,
                                            struct store_entries **entries_out);
enum ca_err __wrap_store_entries_open_since(struct store_view *view,
                                            const struct store_scope *scope, uint64_t since,
                                            struct store_entries **entries_out)
{
    *entries_out = NULL;
    if (atomic_load(&too_many_since) != 0)
        return CA_ERR_TOO_MANY_ITEMS;
    return __real_store_entries_open_since(view, scope, since, entries_out);
}

static inline uint64_t wall(void *arg)
{
    (void)arg;
    return (uint64_t)(atomic_load(&now_us) + atomic_load(&skew_us));
}

static inline uint64_t monotonic(void *arg)
{
    (void)arg;
    return (uint64_t)atomic_load(&now_us);
}

static inline enum ca_err
write_one(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch), void *put_arg)
{
    struct store_batch *batch;

    (void)arg;
    if (atomic_load(&writes_left) == 0)
        return CA_ERR_STORAGE;
    atomic_fetch_sub(&writes_left, 1);
    pthread_mutex_lock(&writing);
    enum ca_err err = store_begin(instance.store, &batch);
    if (err == CA_OK && (err = put(put_arg, batch)) == CA_OK)
        err = store_commit(batch);
    else if (err != CA_OK)
        store_abort(batch);
    pthread_mutex_unlock(&writing);
    return err;
}

/* ---- calls, without a pipeline */

static pthread_mutex_t answering = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

static inline Certmill__Answer *unpack(const struct rpc_call *call)
{
    size_t size = rpc_call_answer_size(call);
    uint8_t *packed = malloc(size + 1);

    rpc_call_answer_pack(call, packed);
    Certmill__Answer *answer = certmill__answer__unpack(NULL, size, packed);
    free(packed);
    return answer;
}

static inline void take_answer(void *arg, struct rpc_call *call)
{
    Certmill__Answer **place = call->connection;

    (void)arg;
    pthread_mutex_lock(&answering);
    *place = unpack(call);
    pthread_cond_broadcast(&answered);
    pthread_mutex_unlock(&answering);
    rpc_call_free(call);
}

static inline struct rpc_call *call_of(const Certmill__Request *request)
{
    static struct rpc_session session = { .actor = "uid:7", .is_allowed = true };
    size_t size = certmill__request__get_packed_size(request);
    uint8_t *packed = malloc(size + 1);
    struct rpc_call *call;

    certmill__request__pack(request, packed);
    check_ok(rpc_call_new(&call));
    call->session = &session;
    check_ok(rpc_call_decode(call, ca_bytes_of(packed, size)));
    free(packed);
    return call;
}

static inline Certmill__Answer *wait_for(Certmill__Answer **place)
{
    pthread_mutex_lock(&answering);
    while (*place == NULL)
        pthread_cond_wait(&answered, &answering);
    pthread_mutex_unlock(&answering);
    return *place;
}

/* An order of one list. */
static inline void order(const char *ca, uint32_t shard, int kind, Certmill__Answer **place)
{
    Certmill__CrlScope scope = { 0 };
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlMakeRequest make = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    certmill__crl_scope__init(&scope);
    scope.ca = rpc_text(ca);
    scope.shard = shard;
    item.scope = &scope;
    item.kind = kind;
    make.n_items = 1;
    make.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &make;
    struct rpc_call *call = call_of(&request);
    *place = NULL;
    call->connection = place;
    enum ca_err err = rpc_crl_keeper_order(keeper, call);
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        take_answer(NULL, call);
    }
}

static inline Certmill__Answer *make(const char *ca, uint32_t shard, int kind)
{
    Certmill__Answer *answer;

    order(ca, shard, kind, &answer);
    return wait_for(&answer);
}

/* The number of the list made, or the code instead. */
static inline uint64_t must_make(const char *ca, uint32_t shard, int kind)
{
    Certmill__Answer *answer = make(ca, shard, kind);

    cr_assert(answer->crl_make != NULL && answer->crl_make->n_items == 1);
    const Certmill__CrlInfo *info = answer->crl_make->items[0];
    cr_assert(info->status == NULL, "%s: %s", info->status->code, info->status->field);
    cr_assert(info->is_current);
    uint64_t number = info->number;
    certmill__answer__free_unpacked(answer, NULL);
    return number;
}

static inline void must_refuse(const char *ca, uint32_t shard, int kind, const char *code,
                               const char *field)
{
    Certmill__Answer *answer = make(ca, shard, kind);

    cr_assert(answer->crl_make != NULL && answer->crl_make->n_items == 1);
    const Certmill__CrlInfo *info = answer->crl_make->items[0];
    cr_assert(info->status != NULL && info->number == 0, "%s was not refused", code);
    cr_assert_str_eq(info->status->code, code);
    if (field != NULL)
        cr_assert_str_eq(info->status->field, field);
    certmill__answer__free_unpacked(answer, NULL);
}

/* ---- life */

static inline void path_of(size_t ca, uint32_t shard, enum rpc_crl_kind kind, char *path)
{
    check_ok(rpc_crl_path(instance.config.crl_path, &instance.cas[ca].issuer, shard, kind, path));
}

static inline void open_keeper(void)
{
    const struct rpc_crl_host host = { &engine, write_one, take_answer, NULL };

    check_ok(rpc_engine_init(&engine, &instance.config, instance.store));
    check_ok(rpc_crl_keeper_open(&host, &keeper));
    rpc_crl_keeper_rest(keeper);
}

static inline void close_keeper(void)
{
    rpc_crl_keeper_close(keeper);
    rpc_engine_wipe(&engine);
    keeper = NULL;
}

/* Not started: the schedule may still be changed. */
static inline void make_instance(enum crypto_key_type type)
{
    static const struct rpc_crl_schedule schedule = { DAY_S, 4 * HOUR_S, 0, 0, 0 };
    static char folder[80];
    char path[96];

    atomic_store(&now_us, (int64_t)START_S * 1000000);
    atomic_store(&skew_us, 0);
    atomic_store(&sign_error, CA_OK);
    atomic_store(&too_many_since, 0);
    atomic_store(&writes_left, -1);
    instance_make(&instance, type);
    snprintf(folder, sizeof(folder), "%s/crl", instance.dir);
    cr_assert(mkdir(folder, 0755) == 0);
    instance.config.crl_path = folder;
    instance.config.clock = (struct rpc_clock){ wall, monotonic, NULL };
    for (size_t i = 0; i < INSTANCE_CAS; i++)
        instance.cas[i].crl = schedule;
    instance.cas[0].issuer.crl_url = CA_BYTES("http://crl.example.cn/root.crl");
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    check_ok(store_open(path, &instance.store_options, &instance.store));
}

static inline void start(void)
{
    make_instance(CRYPTO_KEY_P256);
}

static inline void stop(void)
{
    if (keeper != NULL)
        close_keeper();
    instance_unmake(&instance);
}

static inline void pass(int64_t seconds)
{
    atomic_fetch_add(&now_us, seconds * 1000000);
    rpc_crl_keeper_rest(keeper);
}

static inline int64_t now_s(void)
{
    return atomic_load(&now_us) / 1000000;
}

/* ---- revocation */

static inline struct store_scope scope_of(size_t ca, uint32_t shard)
{
    return (struct store_scope){ rpc_store_digest(engine.ca_keys[ca]), shard };
}

static inline struct ca_serial serial_of(uint64_t n)
{
    uint8_t random[CA_SERIAL_RANDOM_LEN] = { (uint8_t)n, (uint8_t)(n >> 8), 5 };

    return ca_serial_make(7, 1000000 + n, random);
}

static inline enum ca_err put_change(void *arg, struct store_batch *batch)
{
    const struct store_status_change *change = arg;
    const struct store_audit audit = { .kind = STORE_AUDIT_REVOKED,
                                       .time_us = rpc_clock_last(&engine.clock),
                                       .actor = CA_BYTES("uid:7"),
                                       .object = ca_serial_bytes(&change->serial) };

    return store_put_status(batch, change, &audit);
}

static inline struct store_status_change change_of(size_t ca, uint64_t n, enum store_state from,
                                                   enum store_state to, int64_t not_after_s)
{
    return (struct store_status_change){
        .serial = serial_of(n),
        .scope = scope_of(ca, 0),
        .old_state = from,
        .status = { .state = to,
                    .reason =
                        to == STORE_STATE_HELD ? X509_CRL_CERTIFICATE_HOLD : X509_CRL_SUPERSEDED,
                    .revoked_s = now_s(),
                    .not_after_s = not_after_s },
    };
}

static inline void change_state(size_t ca, uint64_t n, enum store_state from, enum store_state to,
                                int64_t not_after_s)
{
    struct store_status_change change = change_of(ca, n, from, to, not_after_s);

    check_ok(write_one(NULL, put_change, &change));
}

static inline void revoke_one(size_t ca, uint64_t n, int64_t not_after_s)
{
    change_state(ca, n, STORE_STATE_VALID, STORE_STATE_REVOKED, not_after_s);
}

/* ---- lists */

static uint8_t file[FILE_MAX];
static struct x509_crl list;

static inline void read_list(size_t ca, uint32_t shard, enum rpc_crl_kind kind)
{
    char path[RPC_CRL_PATH_SIZE];
    struct ca_refusal refusal;

    path_of(ca, shard, kind, path);
    FILE *from = fopen(path, "rb");
    cr_assert(from != NULL, "%s", path);
    size_t len = fread(file, 1, sizeof(file), from);
    fclose(from);
    check_ok(x509_crl_parse(ca_bytes_of(file, len), &list, &refusal));
}

static inline uint64_t number_on_list(void)
{
    uint64_t number = 0;

    for (size_t i = 0; i < list.number.len; i++)
        number = number << 8 | list.number.data[i];
    return number;
}

/* The reason of its entry; -1: it has none. */
static inline int reason_on_list(uint64_t n)
{
    struct x509_crl_cursor cursor = x509_crl_entries(&list);
    struct ca_serial serial = serial_of(n);
    struct x509_crl_entry entry;
    struct ca_refusal refusal;

    while (!x509_crl_at_end(&cursor)) {
        check_ok(x509_crl_next(&cursor, &entry, &refusal));
        if (ca_bytes_equal(entry.serial, ca_serial_bytes(&serial)))
            return (int)entry.reason;
    }
    return -1;
}

static inline bool has_alarm(const char *want)
{
    char *alarms[RPC_CRL_ALARMS_MAX];
    struct ca_arena *arena;
    size_t count;
    bool is_there = false;

    check_ok(ca_arena_new(4096, 1 << 20, &arena));
    check_ok(rpc_crl_keeper_alarms(keeper, arena, alarms, &count));
    for (size_t i = 0; i < count; i++)
        is_there = is_there || strcmp(alarms[i], want) == 0;
    ca_arena_free(arena);
    return is_there;
}

static inline struct store_scope_info info_of(size_t ca, uint32_t shard)
{
    struct store_scope scope = scope_of(ca, shard);
    struct store_scope_info info;
    struct store_view *view;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_scope(view, &scope, &info));
    store_view_close(view);
    return info;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/instance.h"

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ca/base/time.h"
#include "tests/support/check.h"

enum { MAP_SIZE = 1 << 30, TOLERANCE_US = 2000000, YEARS_S = 10 * 366 * CA_DAY_S };

static uint64_t wall(void *arg)
{
    const struct instance *instance = arg;
    struct timespec now;

    if (instance->wall_us != 0)
        return instance->wall_us;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t monotonic(void *arg)
{
    const struct instance *instance = arg;

    return instance->wall_us != 0 ? instance->monotonic_us : wall(arg);
}

/* ---- CAs */

static struct ca_bytes keep(struct instance *instance, struct ca_bytes bytes)
{
    struct ca_bytes copy = ca_arena_copy(instance->arena, bytes);

    cr_assert(copy.data != NULL);
    return copy;
}

static struct ca_bytes sign_whole(struct instance *instance, const struct crypto_private_key *key,
                                  struct ca_bytes tbs)
{
    enum crypto_sig sig = crypto_sig_usual(crypto_private_key_public(key)->type);
    struct crypto_signature signature;
    uint8_t buffer[CA_CERTIFICATE_LEN_MAX];
    struct der_writer writer;

    check_ok(crypto_sign_many(instance->crypto, key, sig, &tbs, 1, &signature));
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_signed_write(&writer, tbs, sig, ca_bytes_of(signature.bytes, signature.len));
    return keep(instance, der_writer_bytes(&writer));
}

static void ca_make(struct instance *instance, size_t index, const char *name,
                    enum crypto_key_type type)
{
    static const uint8_t random[CA_SERIAL_RANDOM_LEN] = { 1, 2, 3 };
    struct rpc_ca *ca = &instance->cas[index];
    struct x509_attribute subject = { x509_attribute_type_by_name("CN")->oid, DER_UTF8_STRING,
                                      ca_bytes_of_text(name) };
    struct crypto_private_key *key;
    struct ca_refusal refusal = { 0 };
    struct ca_bytes tbs;
    int64_t now_s = (int64_t)(wall(instance) / 1000000);

    check_ok(crypto_private_key_generate(type, 2048, &key));
    struct rules_ca_request request = {
        .subject = &subject,
        .subject_count = 1,
        .key = crypto_private_key_public(key),
        .sig = crypto_sig_usual(type),
        .not_before_s = now_s - 2 * CA_DAY_S,
        .not_after_s = now_s + YEARS_S,
        .path_len = -1,
        .serial = ca_serial_make(1, 1000 + index, random),
    };
    check_ok(rules_root_draft(&request, instance->arena, &tbs, &refusal));
    ca->chain[0] = sign_whole(instance, key, tbs);
    ca->chain_count = 1;
    struct x509_cert cert;
    check_ok(x509_cert_parse(ca->chain[0], &cert, &refusal));
    check_ok(keys_signer_open_soft(key, &(struct keys_signer_options){ 0 }, &ca->signer));
    ca->issuer = (struct rules_issuer){
        .name = name,
        .subject = cert.subject.whole,
        .key = keys_signer_public(ca->signer),
        .not_before_s = cert.not_before_s,
        .not_after_s = cert.not_after_s,
        .sig = crypto_sig_usual(type),
        .crl_shard_count = 1,
    };
    x509_key_id(ca->issuer.key, ca->issuer.key_id);
}

static void profile_make(struct instance *instance)
{
    struct rules_profile *rules = &instance->profiles[0].rules;
    struct ca_refusal refusal = { 0 };

    rules->name = "test";
    memcpy(rules->id, "profile of tests", RULES_PROFILE_ID_LEN);
    rules->keys[0].type = CRYPTO_KEY_P256;
    rules->keys[1].type = CRYPTO_KEY_SM2;
    rules->keys[2].type = CRYPTO_KEY_ED25519;
    rules->key_count = 3;
    rules->attributes[0] = (struct rules_attribute){
        .name = "CN",
        .oid = x509_attribute_type_by_name("CN")->oid,
        .tag = DER_UTF8_STRING,
        .source = RULES_FROM_EITHER,
        .presence = RULES_REQUIRED,
        .len_min = 1,
        .len_max = 64,
        .is_in_subject = true,
    };
    rules->attributes[1] = rules->attributes[0];
    rules->attributes[1].name = "O";
    rules->attributes[1].oid = x509_attribute_type_by_name("O")->oid;
    rules->attributes[1].presence = RULES_OPTIONAL;
    rules->attribute_count = 2;
    rules->identity[0] = "CN";
    rules->identity_count = 1;
    rules->key_usage = X509_KU_DIGITAL_SIGNATURE;
    rules->key_usage_is_critical = true;
    rules->validity = RULES_VALIDITY_CIVIL;
    rules->terms[0] = 12;
    rules->term_count = 1;
    rules->life = (struct rules_life){
        .allows_renew = true,
        .allows_replace = true,
        .allows_change = true,
        .renew_after_days = 36500,
        .renew_may_differ = { "O" },
        .renew_may_differ_count = 1,
        .reasons = RULES_REASONS_DEFAULT,
        .allows_hold = true,
    };
    check_ok(rules_profile_prepare(rules, instance->arena, &refusal));
}

/* ---- life */

void instance_make(struct instance *instance, enum crypto_key_type type)
{
    memset(instance, 0, sizeof(*instance));
    check_ok(keys_harden_process());
    snprintf(instance->dir, sizeof(instance->dir), "/tmp/certmill-test-XXXXXX");
    cr_assert(mkdtemp(instance->dir) != NULL);
    check_ok(ca_arena_new(1 << 20, 256 << 20, &instance->arena));
    check_ok(crypto_open(&instance->crypto));
    ca_make(instance, 0, "root", type);
    ca_make(instance, 1, "second", CRYPTO_KEY_P256);
    profile_make(instance);
    instance->config = (struct rpc_config){
        .cas = instance->cas,
        .ca_count = INSTANCE_CAS,
        .profiles = instance->profiles,
        .profile_count = 1,
        .limits = { .worker_count = 2 },
        .clock = { wall, monotonic, instance },
        .clock_tolerance_us = TOLERANCE_US,
    };
    instance->store_options.map_size = MAP_SIZE;
    char path[96];
    snprintf(path, sizeof(path), "%s/data", instance->dir);
    check_ok(store_create(path, 7));
}

struct asker {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct rpc_session session;
    struct rpc_caller *caller; /* its own, or NULL */
    Certmill__Answer *answer;
    size_t place;
};

static atomic_size_t answered;

static void take_answer(void *arg, struct rpc_call *call)
{
    struct instance *instance = arg;
    struct asker *asker = call->connection;

    rpc_pipeline_tell_head(instance->pipeline, call);
    size_t size = rpc_call_answer_size(call);
    uint8_t *packed = malloc(size + 1);

    rpc_call_answer_pack(call, packed);
    rpc_call_free(call);
    rpc_caller_free(asker->caller); /* the pipeline may be gone when the answer is looked at */
    pthread_mutex_lock(&asker->lock);
    asker->answer = certmill__answer__unpack(NULL, size, packed);
    asker->place = atomic_fetch_add(&answered, 1);
    pthread_cond_signal(&asker->ready);
    pthread_mutex_unlock(&asker->lock);
    free(packed);
}

void instance_start(struct instance *instance)
{
    struct rpc_outlet outlet = { take_answer, instance };
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance->dir);
    check_ok(store_open(path, &instance->store_options, &instance->store));
    check_ok(rpc_pipeline_open(&instance->config, instance->store, &outlet, &instance->pipeline));
}

void instance_stop(struct instance *instance)
{
    rpc_pipeline_close(instance->pipeline);
    store_close(instance->store);
    instance->pipeline = NULL;
    instance->store = NULL;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void instance_unmake(struct instance *instance)
{
    instance_stop(instance);
    for (size_t i = 0; i < INSTANCE_CAS; i++)
        keys_signer_close(instance->cas[i].signer);
    crypto_close(instance->crypto);
    ca_arena_free(instance->arena);
    nftw(instance->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- asking */

struct ca_bytes instance_csr_of(struct instance *instance, const struct crypto_private_key *key,
                                const char *cn)
{
    struct x509_attribute subject = { x509_attribute_type_by_name("CN")->oid, DER_UTF8_STRING,
                                      ca_bytes_of_text(cn) };
    uint8_t buffer[CA_CSR_LEN_MAX];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_csr_info_write(&writer, &subject, 1, crypto_private_key_public(key), NULL, 0);
    return sign_whole(instance, key, der_writer_bytes(&writer));
}

struct ca_bytes instance_csr(struct instance *instance, enum crypto_key_type type, const char *cn)
{
    struct crypto_private_key *key;

    check_ok(crypto_private_key_generate(type, 2048, &key));
    struct ca_bytes csr = instance_csr_of(instance, key, cn);
    crypto_private_key_free(key);
    return csr;
}

struct ca_bytes instance_sign(struct instance *instance, const struct crypto_private_key *key,
                              struct ca_bytes message)
{
    enum crypto_sig sig = crypto_sig_usual(crypto_private_key_public(key)->type);
    struct crypto_signature signature;

    check_ok(crypto_sign_many(instance->crypto, key, sig, &message, 1, &signature));
    return keep(instance, ca_bytes_of(signature.bytes, signature.len));
}

void instance_item(Certmill__IssueItem *item, const char *request_id, struct ca_bytes csr)
{
    certmill__issue_item__init(item);
    item->request_id = rpc_text(request_id);
    item->profile = rpc_text("test");
    item->csr = rpc_binary(csr);
}

void instance_act_item(Certmill__ActItem *item, const char *request_id, Certmill__Act act,
                       struct ca_bytes serial)
{
    certmill__act_item__init(item);
    item->request_id = rpc_text(request_id);
    item->act = act;
    item->serial = rpc_binary(serial);
}

struct asker *instance_ask_begin_as(struct instance *instance, struct rpc_caller *caller,
                                    const Certmill__Request *request)
{
    struct asker *asker = calloc(1, sizeof(*asker));
    size_t size = certmill__request__get_packed_size(request);
    uint8_t *packed = malloc(size + 1);
    struct rpc_call *call;

    certmill__request__pack(request, packed);
    pthread_mutex_init(&asker->lock, NULL);
    pthread_cond_init(&asker->ready, NULL);
    rpc_session_init(&asker->session, &instance->config, true, 0);
    if (caller == NULL) {
        check_ok(rpc_caller_new(instance->pipeline, 0, &asker->caller));
        caller = asker->caller;
    }
    check_ok(rpc_call_new(&call));
    call->connection = asker;
    call->session = &asker->session;
    enum ca_err err = rpc_call_decode(call, ca_bytes_of(packed, size));
    free(packed);
    if (err == CA_OK)
        err = rpc_pipeline_offer(instance->pipeline, caller, call);
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        take_answer(instance, call);
    }
    return asker;
}

struct asker *instance_ask_begin(struct instance *instance, const Certmill__Request *request)
{
    return instance_ask_begin_as(instance, NULL, request);
}

size_t instance_ask_place(struct asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    while (asker->answer == NULL)
        pthread_cond_wait(&asker->ready, &asker->lock);
    pthread_mutex_unlock(&asker->lock);
    return asker->place;
}

Certmill__Answer *instance_ask_end(struct asker *asker)
{
    instance_ask_place(asker);
    Certmill__Answer *answer = asker->answer;
    pthread_cond_destroy(&asker->ready);
    pthread_mutex_destroy(&asker->lock);
    free(asker);
    return answer;
}

Certmill__Answer *instance_ask(struct instance *instance, const Certmill__Request *request)
{
    return instance_ask_end(instance_ask_begin(instance, request));
}

Certmill__Answer *instance_issue(struct instance *instance, Certmill__IssueItem **items,
                                 size_t count)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;

    issue.n_items = count;
    issue.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    return instance_ask(instance, &request);
}

Certmill__Answer *instance_act(struct instance *instance, Certmill__ActItem **items, size_t count)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;

    act.n_items = count;
    act.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &act;
    return instance_ask(instance, &request);
}

Certmill__Answer *instance_get(struct instance *instance, struct ca_bytes serial)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__GetRequest get = CERTMILL__GET_REQUEST__INIT;
    ProtobufCBinaryData wanted = rpc_binary(serial);

    get.n_serials = 1;
    get.serials = &wanted;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_GET;
    request.get = &get;
    return instance_ask(instance, &request);
}

enum ca_err instance_check(struct instance *instance)
{
    struct store_damage damage;
    struct store_view *view;
    enum ca_err err;

    check_ok(store_view_open(instance->store, &view));
    if ((err = store_check(view, &damage)) != CA_OK)
        fprintf(stderr, "store_check: %s %s %s\n", ca_err_name(err), damage.table, damage.key);
    store_view_close(view);
    return err;
}

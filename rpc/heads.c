/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/heads.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "ca/keys/head.h"
#include "rpc/log.h"

enum { INTERVAL_DEFAULT_MS = 1000 };

struct rpc_heads {
    struct rpc_heads_host host;
    const struct rpc_audit *audit;
    uint8_t log[KEYS_HEAD_LOG_LEN];
    pthread_t thread;
    bool is_started;

    pthread_mutex_t signing; /* guards what follows: one at a time signs */
    struct crypto *crypto;
    struct store_view *view;
    struct keys_signed_head last; /* on disk; sequence 0: none */
    bool is_barred;               /* what is stored contradicts the log: nothing is signed */

    pthread_mutex_t lock; /* guards what follows; held for copying only */
    pthread_cond_t wake;
    bool is_stopping;
    enum ca_err trouble; /* of the last try */
    uint64_t sequence, count;
    uint8_t field[RPC_HEAD_FIELD_MAX]; /* of an answer, encoded */
    size_t field_len;
};

/* ---- what is handed out */

void rpc_head_fill(const struct keys_signed_head *head, Certmill__SignedHead *out)
{
    certmill__signed_head__init(out);
    out->log = rpc_binary(ca_bytes_of(head->head.log, KEYS_HEAD_LOG_LEN));
    out->sequence = head->head.sequence;
    out->chain = rpc_binary(ca_bytes_of(head->head.chain, CA_DIGEST_LEN));
    out->time_us = (int64_t)head->head.time_us;
    out->key_id = rpc_binary(ca_bytes_of(head->key_id, KEYS_HEAD_KEY_ID_LEN));
    out->signature = rpc_binary(ca_bytes_of(head->signature, KEYS_HEAD_SIGNATURE_LEN));
}

/* The field that all answers end with, encoded once. */
static void publish(struct rpc_heads *heads, const struct keys_signed_head *head)
{
    Certmill__SignedHead message;
    Certmill__Answer answer;

    rpc_head_fill(head, &message);
    certmill__answer__init(&answer);
    answer.head = &message;
    pthread_mutex_lock(&heads->lock);
    size_t len = certmill__answer__get_packed_size(&answer);
    assert(len <= sizeof(heads->field));
    heads->field_len = certmill__answer__pack(&answer, heads->field);
    heads->sequence = head->head.sequence;
    pthread_mutex_unlock(&heads->lock);
}

void rpc_heads_tell(struct rpc_heads *heads, struct rpc_call *call)
{
    pthread_mutex_lock(&heads->lock);
    memcpy(call->head, heads->field, heads->field_len);
    call->head_len = heads->field_len;
    pthread_mutex_unlock(&heads->lock);
}

void rpc_heads_count(struct rpc_heads *heads, uint64_t *sequence_out, uint64_t *count_out)
{
    pthread_mutex_lock(&heads->lock);
    *sequence_out = heads->sequence;
    *count_out = heads->count;
    pthread_mutex_unlock(&heads->lock);
}

bool rpc_heads_has_trouble(struct rpc_heads *heads)
{
    pthread_mutex_lock(&heads->lock);
    bool has_trouble = heads->trouble != CA_OK;
    pthread_mutex_unlock(&heads->lock);
    return has_trouble;
}

/* ---- signing */

/* Said once, until it is another, or over. */
static void tell_outcome(struct rpc_heads *heads, enum ca_err err)
{
    pthread_mutex_lock(&heads->lock);
    enum ca_err before = heads->trouble;
    heads->trouble = err;
    pthread_mutex_unlock(&heads->lock);
    if (err != CA_OK && err != before)
        log_error("head of the audit log cannot be signed, to be tried again", "code=%s",
                  ca_err_name(err));
    else if (err == CA_OK && before != CA_OK)
        log_info("head of the audit log is signed again", "sequence=%" PRIu64,
                 heads->last.head.sequence);
}

static enum ca_err put(void *arg, struct store_batch *batch)
{
    return store_put_signed_head(batch, arg);
}

/* What is on disk, and nothing later. */
static enum ca_err find_newest(struct rpc_heads *heads, struct keys_head *head)
{
    struct store_audit_head place;
    enum ca_err err = store_view_renew(heads->view);

    if (err == CA_OK)
        err = store_view_audit_head(heads->view, &place);
    store_view_rest(heads->view);
    if (err != CA_OK)
        return err;
    head->sequence = place.sequence;
    memcpy(head->chain, place.chain, CA_DIGEST_LEN);
    return CA_OK;
}

static enum ca_err sign_newest(struct rpc_heads *heads)
{
    const struct rpc_heads_host *host = &heads->host;
    struct keys_signed_head made;
    struct keys_head head = { 0 };
    enum ca_err err;

    if (heads->is_barred)
        return CA_ERR_STORAGE_CORRUPT;
    if ((err = find_newest(heads, &head)) != CA_OK)
        return err;
    if (head.sequence <= heads->last.head.sequence)
        return CA_OK;
    memcpy(head.log, heads->log, KEYS_HEAD_LOG_LEN);
    head.time_us = rpc_clock_now(&host->engine->clock);
    if ((err = keys_head_sign(heads->audit->signer, heads->crypto, &head, &made)) != CA_OK ||
        (err = host->write(host->arg, put, &made)) != CA_OK)
        return err;
    heads->last = made;
    publish(heads, &made);
    pthread_mutex_lock(&heads->lock);
    heads->count++;
    pthread_mutex_unlock(&heads->lock);
    return CA_OK;
}

void rpc_heads_sign(struct rpc_heads *heads)
{
    pthread_mutex_lock(&heads->signing);
    enum ca_err err = sign_newest(heads);
    if (err != CA_ERR_STOPPING)
        tell_outcome(heads, err);
    pthread_mutex_unlock(&heads->signing);
}

/* ---- the thread */

static void *heads_run(void *arg)
{
    struct rpc_heads *heads = arg;
    uint32_t interval_ms =
        heads->audit->interval_ms == 0 ? INTERVAL_DEFAULT_MS : heads->audit->interval_ms;
    struct timespec until;

    pthread_mutex_lock(&heads->lock);
    while (!heads->is_stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += interval_ms / 1000;
        until.tv_nsec += (long)(interval_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        while (!heads->is_stopping &&
               pthread_cond_timedwait(&heads->wake, &heads->lock, &until) == 0)
            continue;
        if (heads->is_stopping)
            break;
        pthread_mutex_unlock(&heads->lock);
        rpc_heads_sign(heads);
        pthread_mutex_lock(&heads->lock);
    }
    pthread_mutex_unlock(&heads->lock);
    return NULL;
}

/* ---- life */

/* Is the newest one that is stored a head of the log that is stored? One by another key was signed
 * before that was exchanged. */
static enum ca_err check_stored(struct rpc_heads *heads, const struct keys_signed_head *stored)
{
    const struct crypto_public_key *key = keys_signer_public(heads->audit->signer);
    uint8_t key_id[KEYS_HEAD_KEY_ID_LEN];
    struct store_audit_head place;

    enum ca_err err = store_find_audit_head(heads->view, stored->head.sequence, &place);
    if (err != CA_OK)
        return err;
    if (!ca_bytes_equal(ca_bytes_of(place.chain, CA_DIGEST_LEN),
                        ca_bytes_of(stored->head.chain, CA_DIGEST_LEN)))
        return CA_ERR_STORAGE_CORRUPT;
    keys_head_key_id(heads->log, key, key_id);
    if (!ca_bytes_equal(ca_bytes_of(key_id, sizeof(key_id)),
                        ca_bytes_of(stored->key_id, sizeof(key_id))))
        return CA_OK;
    return keys_head_verify(heads->crypto, key, stored);
}

static enum ca_err load_last(struct rpc_heads *heads)
{
    struct keys_signed_head stored;
    enum ca_err err = store_find_last_signed_head(heads->view, &stored);

    if (err == CA_ERR_NOT_FOUND)
        return CA_OK;
    if (err == CA_OK)
        err = check_stored(heads, &stored);
    if (err == CA_ERR_NOMEM)
        return err;
    if (err == CA_OK) {
        heads->last = stored;
        publish(heads, &stored);
        return CA_OK;
    }
    log_error("stored head of the audit log does not fit the log: certmill audit verify",
              "sequence=%" PRIu64 " code=%s", stored.head.sequence, ca_err_name(err));
    heads->is_barred = true;
    heads->trouble = CA_ERR_STORAGE_CORRUPT;
    return CA_OK;
}

static enum ca_err locks_init(struct rpc_heads *heads)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return CA_ERR_NOMEM;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&heads->signing, NULL);
    pthread_mutex_init(&heads->lock, NULL);
    pthread_cond_init(&heads->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return CA_OK;
}

enum ca_err rpc_heads_open(const struct rpc_heads_host *host, struct rpc_heads **heads_out)
{
    struct rpc_heads *heads = calloc(1, sizeof(*heads));
    struct store_info info;

    *heads_out = NULL;
    if (heads == NULL || locks_init(heads) != CA_OK) {
        free(heads);
        return CA_ERR_NOMEM;
    }
    heads->host = *host;
    heads->audit = host->engine->config->audit;
    store_info(host->engine->store, &info);
    _Static_assert(sizeof(info.id) == KEYS_HEAD_LOG_LEN, "a log is called as its store");
    memcpy(heads->log, info.id, KEYS_HEAD_LOG_LEN);
    enum ca_err err = crypto_open_beside(host->engine->config->crypto, &heads->crypto);
    if (err == CA_OK)
        err = store_view_open(host->engine->store, &heads->view);
    if (err == CA_OK) {
        err = load_last(heads);
        store_view_rest(heads->view);
    }
    if (err == CA_OK && pthread_create(&heads->thread, NULL, heads_run, heads) != 0)
        err = CA_ERR_NOMEM;
    heads->is_started = err == CA_OK;
    if (err != CA_OK) {
        rpc_heads_close(heads);
        return err;
    }
    *heads_out = heads;
    return CA_OK;
}

void rpc_heads_close(struct rpc_heads *heads)
{
    if (heads == NULL)
        return;
    pthread_mutex_lock(&heads->lock);
    heads->is_stopping = true;
    pthread_cond_signal(&heads->wake);
    pthread_mutex_unlock(&heads->lock);
    if (heads->is_started)
        pthread_join(heads->thread, NULL);
    store_view_close(heads->view);
    crypto_close(heads->crypto);
    pthread_cond_destroy(&heads->wake);
    pthread_mutex_destroy(&heads->lock);
    pthread_mutex_destroy(&heads->signing);
    free(heads);
}

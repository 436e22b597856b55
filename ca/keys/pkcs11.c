/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: one thread for each session, a queue of requests, and a breaker. A caller's batch is
 * spread over the sessions in chunks. Nobody waits for a thread that is inside the module longer
 * than the time-out: it is abandoned, with its session, and another takes its place. What such a
 * thread may still touch is counted and freed by whoever leaves last.
 */
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "ca/keys/kind.h"
#include "ca/keys/pkcs11_session.h"

enum {
    TRIES = 3,              /* of one signature, each with a new session */
    TRY_PAUSE_MS = 10,      /* before the second try, doubled before the third */
    CHUNK_MAX = 8,          /* signatures a thread takes at once */
    QUEUE_ITEMS_MAX = 1024, /* more are answered BUSY */
    FAILURES_MAX = 3,       /* requests in a row that open the breaker */
    REST_MS = 2000,
    KEEP_ALIVE_MS = 30000,
    STACK_SIZE = 512 * 1024,
    TIMEOUT_MS_MIN = 10,
    MESSAGES_LEN_MAX = 64 << 20, /* of one request for Ed25519 */
};

/* What one caller waits for. Freed when caller and threads have all let go of it. */
struct request {
    struct request *next; /* in the queue while something in it is not taken */
    size_t refs;
    enum crypto_sig sig;
    size_t count, taken, done;
    enum ca_err err;       /* of the first failure, which ends it */
    atomic_bool is_failed; /* the same, to be seen without the lock */
    pthread_cond_t ended;
    uint8_t *messages; /* copies, for Ed25519 */
    struct crypto_signature *signatures;
    struct pkcs11_input inputs[];
};

struct pool;

struct thread {
    struct pool *pool;
    size_t index; /* among the pool's */
    struct pkcs11_session session;
    atomic_uint_fast64_t busy_since_ms; /* 0: not inside the module */
    atomic_bool is_abandoned;
};

struct pool {
    struct pkcs11_place place;
    size_t session_count;
    uint32_t timeout_ms, rest_ms, keep_alive_ms;

    pthread_mutex_t lock;   /* guards everything below, and requests */
    pthread_cond_t work;    /* for threads: requests, or the end */
    pthread_cond_t changed; /* a thread ended, or nobody connects any more */
    struct request *first, *last;
    size_t items;                              /* in the queue and at work */
    struct thread *threads[KEYS_SESSIONS_MAX]; /* NULL: none could be started */
    size_t thread_count;                       /* running, with the abandoned ones */
    size_t abandoned_count;
    struct thread *connecting; /* one at a time: a wrong PIN is tried once */
    bool is_pin_refused;
    unsigned failures; /* requests in a row */
    uint64_t rest_until_ms;
    bool is_probing; /* one request tries whether the token is well again */
    bool is_stopping;
    bool is_closed; /* the signer is gone: the last thread frees the pool */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* False when the time is over. */
static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms)
{
    struct timespec until = { (time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000 };

    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- requests; the lock is held, but for new and free */

static void request_free(struct request *request)
{
    if (request == NULL)
        return;
    /* A wrong signature can tell the key. */
    sodium_memzero(request->signatures, request->count * sizeof(*request->signatures));
    pthread_cond_destroy(&request->ended);
    free(request->signatures);
    free(request->messages);
    free(request);
}

static enum ca_err request_new(enum crypto_sig sig, size_t count, struct request **request_out)
{
    struct request *request = calloc(1, sizeof(*request) + count * sizeof(request->inputs[0]));

    *request_out = NULL;
    if (request == NULL)
        return CA_ERR_NOMEM;
    cond_init(&request->ended);
    request->sig = sig;
    request->count = count;
    request->refs = 1;
    if ((request->signatures = calloc(count, sizeof(*request->signatures))) == NULL) {
        request->count = 0;
        request_free(request);
        return CA_ERR_NOMEM;
    }
    *request_out = request;
    return CA_OK;
}

static bool request_is_over(const struct request *request)
{
    return request->err != CA_OK || request->done == request->count;
}

static void request_fail(struct request *request, enum ca_err err)
{
    if (request->err == CA_OK)
        request->err = err;
    atomic_store(&request->is_failed, true);
    pthread_cond_signal(&request->ended);
}

static void request_drop(struct request *request)
{
    if (--request->refs == 0)
        request_free(request);
}

static void queue_push(struct pool *pool, struct request *request)
{
    if (pool->last == NULL)
        pool->first = request;
    else
        pool->last->next = request;
    pool->last = request;
    pool->items += request->count;
}

static void queue_remove(struct pool *pool, const struct request *request)
{
    struct request *before = NULL;

    for (struct request *at = pool->first; at != NULL; before = at, at = at->next) {
        if (at != request)
            continue;
        if (before == NULL)
            pool->first = at->next;
        else
            before->next = at->next;
        if (pool->last == at)
            pool->last = before;
        return;
    }
}

/* ---- threads */

/* The signer, or a thread, leaves. The lock is held, and released. */
static void pool_release(struct pool *pool)
{
    bool is_last = pool->thread_count == 0 && pool->is_closed;

    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&pool->changed);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    pkcs11_place_close(&pool->place);
    free(pool);
}

/* The lock is held, and released. */
static void thread_end(struct thread *thread)
{
    struct pool *pool = thread->pool;

    pool->thread_count--;
    if (atomic_load(&thread->is_abandoned))
        pool->abandoned_count--;
    else
        pool->threads[thread->index] = NULL;
    free(thread);
    pool_release(pool);
}

static enum ca_err connect_alone(struct thread *thread)
{
    struct pool *pool = thread->pool;
    struct ca_refusal refusal;

    atomic_store(&thread->busy_since_ms, now_ms());
    enum ca_err err = pkcs11_session_open(&thread->session, &pool->place, &refusal);
    atomic_store(&thread->busy_since_ms, 0);

    pthread_mutex_lock(&pool->lock);
    if (err == CA_ERR_PASSPHRASE)
        pool->is_pin_refused = true;
    if (pool->connecting == thread) {
        pool->connecting = NULL;
        pthread_cond_broadcast(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    return err == CA_OK || err == CA_ERR_BUSY || err == CA_ERR_NOMEM ? err : CA_ERR_KEY_UNUSABLE;
}

/* A session with the key found and compared. */
static enum ca_err connect(struct thread *thread)
{
    struct pool *pool = thread->pool;
    uint64_t until_ms = now_ms() + pool->timeout_ms;
    enum ca_err err = CA_OK;

    pthread_mutex_lock(&pool->lock);
    while (pool->connecting != NULL && !pool->is_stopping && err == CA_OK) {
        if (!wait_until(&pool->changed, &pool->lock, until_ms))
            err = CA_ERR_BUSY;
    }
    if (pool->is_stopping)
        err = CA_ERR_BUSY;
    else if (pool->is_pin_refused)
        err = CA_ERR_KEY_UNUSABLE;
    if (err == CA_OK)
        pool->connecting = thread;
    pthread_mutex_unlock(&pool->lock);
    return err == CA_OK ? connect_alone(thread) : err;
}

/* False if there is nothing to be tried again for. */
static bool pause_before(struct thread *thread, unsigned attempt)
{
    struct pool *pool = thread->pool;
    uint64_t until_ms = now_ms() + ((uint64_t)TRY_PAUSE_MS << attempt);

    pthread_mutex_lock(&pool->lock);
    while (!pool->is_stopping && wait_until(&pool->changed, &pool->lock, until_ms))
        continue;
    bool is_stopping = pool->is_stopping;
    pthread_mutex_unlock(&pool->lock);
    return !is_stopping && !atomic_load(&thread->is_abandoned);
}

static void thread_drop_session(struct thread *thread)
{
    atomic_store(&thread->busy_since_ms, now_ms());
    pkcs11_session_drop(&thread->session, &thread->pool->place);
    atomic_store(&thread->busy_since_ms, 0);
}

static enum ca_err sign_item(struct thread *thread, struct request *request, size_t index)
{
    enum ca_err err = CA_ERR_BUSY;

    for (unsigned attempt = 0; attempt < TRIES; attempt++) {
        if (attempt > 0 && !pause_before(thread, attempt - 1))
            break;
        err = thread->session.is_open ? CA_OK : connect(thread);
        if (err == CA_OK) {
            atomic_store(&thread->busy_since_ms, now_ms());
            err = pkcs11_session_sign(&thread->session, &thread->pool->place, request->sig,
                                      &request->inputs[index], &request->signatures[index]);
            atomic_store(&thread->busy_since_ms, 0);
            if (err == CA_OK)
                return CA_OK;
            thread_drop_session(thread);
        }
        if (err != CA_ERR_BUSY)
            break;
    }
    return err;
}

/* Small at the end, so that the sessions end together. */
static size_t chunk_of(const struct pool *pool, const struct request *request)
{
    size_t count = (request->count - request->taken) / (2 * pool->session_count);

    return count < 1 ? 1 : count > CHUNK_MAX ? CHUNK_MAX : count;
}

/* Takes a chunk of the first request, and signs it. The lock is held, but not while signing. */
static void work_once(struct thread *thread)
{
    struct pool *pool = thread->pool;
    struct request *request = pool->first;
    size_t first = request->taken, count = chunk_of(pool, request), done = 0;
    enum ca_err err = CA_OK;

    request->taken += count;
    request->refs++;
    if (request->taken == request->count)
        queue_remove(pool, request);
    pthread_mutex_unlock(&pool->lock);
    while (done < count && !atomic_load(&request->is_failed) &&
           !atomic_load(&thread->is_abandoned) &&
           (err = sign_item(thread, request, first + done)) == CA_OK)
        done++;
    pthread_mutex_lock(&pool->lock);
    if (done < count) {
        queue_remove(pool, request);
        request_fail(request, err == CA_OK ? CA_ERR_BUSY : err);
    } else {
        request->done += done;
        if (request_is_over(request))
            pthread_cond_signal(&request->ended);
    }
    request_drop(request);
}

/* Nothing to do for long: is the session still there? The lock is held, but not while asking. */
static void look_after(struct thread *thread)
{
    struct pool *pool = thread->pool;

    if (!thread->session.is_open)
        return;
    pthread_mutex_unlock(&pool->lock);
    atomic_store(&thread->busy_since_ms, now_ms());
    enum ca_err err = pkcs11_session_check(&thread->session, &pool->place);
    atomic_store(&thread->busy_since_ms, 0);
    if (err != CA_OK)
        thread_drop_session(thread);
    pthread_mutex_lock(&pool->lock);
}

static void *thread_run(void *arg)
{
    struct thread *thread = arg;
    struct pool *pool = thread->pool;

    pthread_mutex_lock(&pool->lock);
    while (!atomic_load(&thread->is_abandoned) && !pool->is_stopping) {
        if (pool->first != NULL)
            work_once(thread);
        else if (!wait_until(&pool->work, &pool->lock, now_ms() + pool->keep_alive_ms))
            look_after(thread);
    }
    pthread_mutex_unlock(&pool->lock);
    thread_drop_session(thread);
    pthread_mutex_lock(&pool->lock);
    thread_end(thread);
    return NULL;
}

/* Starts what is missing; with the hung ones, no more than twice the sessions. The lock is held. */
static void threads_fill(struct pool *pool)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (size_t i = 0; i < pool->session_count; i++) {
        pthread_t started;
        if (pool->threads[i] != NULL || pool->thread_count >= 2 * pool->session_count)
            continue;
        struct thread *thread = calloc(1, sizeof(*thread));
        if (thread == NULL)
            break;
        thread->pool = pool;
        thread->index = i;
        if (pthread_create(&started, &attributes, thread_run, thread) != 0) {
            free(thread);
            break;
        }
        pool->threads[i] = thread;
        pool->thread_count++;
    }
    pthread_attr_destroy(&attributes);
}

/* Leaves those to themselves that are inside one call for at least that long. The lock is held. */
static void abandon(struct pool *pool, uint64_t at_least_ms)
{
    uint64_t now = now_ms();

    for (size_t i = 0; i < pool->session_count; i++) {
        struct thread *thread = pool->threads[i];
        uint64_t since = thread == NULL ? 0 : atomic_load(&thread->busy_since_ms);
        if (since == 0 || now - since < at_least_ms)
            continue;
        atomic_store(&thread->is_abandoned, true);
        pool->threads[i] = NULL;
        pool->abandoned_count++;
        if (pool->connecting == thread) {
            pool->connecting = NULL;
            pthread_cond_broadcast(&pool->changed);
        }
    }
}

/* ---- the caller's side; the lock is held */

/* BUSY at the door: too much waits, or the token is left alone. */
static enum ca_err admit(struct pool *pool, const struct request *request, bool *is_probe_out)
{
    *is_probe_out = false;
    if (pool->items != 0 && pool->items + request->count > QUEUE_ITEMS_MAX)
        return CA_ERR_BUSY;
    if (pool->failures >= FAILURES_MAX) {
        if (pool->is_probing || now_ms() < pool->rest_until_ms)
            return CA_ERR_BUSY;
        pool->is_probing = *is_probe_out = true;
    }
    threads_fill(pool);
    for (size_t i = 0; i < pool->session_count; i++) {
        if (pool->threads[i] != NULL)
            return CA_OK;
    }
    return CA_ERR_BUSY; /* all hang */
}

static void note(struct pool *pool, enum ca_err err, bool is_probe)
{
    if (is_probe)
        pool->is_probing = false;
    if (err == CA_OK) {
        pool->failures = 0;
        return;
    }
    if (pool->failures < FAILURES_MAX)
        pool->failures++;
    pool->rest_until_ms = now_ms() + pool->rest_ms;
}

static enum ca_err await(struct pool *pool, struct request *request)
{
    uint64_t until_ms = now_ms() + pool->timeout_ms;

    queue_push(pool, request);
    for (size_t i = 0; i < request->count && i < pool->session_count; i++)
        pthread_cond_signal(&pool->work);
    while (!request_is_over(request)) {
        if (wait_until(&request->ended, &pool->lock, until_ms) || request_is_over(request))
            continue;
        request_fail(request, CA_ERR_TIMEOUT);
        abandon(pool, pool->timeout_ms / 2);
    }
    queue_remove(pool, request);
    pool->items -= request->count;
    return request->err;
}

/* Ends with the request. */
static enum ca_err sign(struct pool *pool, struct request *request,
                        struct crypto_signature *signatures)
{
    bool is_probe;

    pthread_mutex_lock(&pool->lock);
    enum ca_err err = admit(pool, request, &is_probe);
    if (err == CA_OK || is_probe) {
        if (err == CA_OK)
            err = await(pool, request);
        note(pool, err, is_probe);
    }
    if (err == CA_OK)
        memcpy(signatures, request->signatures, request->count * sizeof(*signatures));
    request_drop(request);
    pthread_mutex_unlock(&pool->lock);
    return err;
}

/* ---- a kind of signer */

static enum ca_err set_digests(struct request *request, const struct crypto_public_key *public,
                               const struct ca_bytes *messages)
{
    for (size_t i = 0; i < request->count; i++) {
        struct crypto_message message;
        struct crypto_digest digest;
        enum ca_err err = crypto_message_init(&message, request->sig, public);
        if (err != CA_OK)
            return CA_ERR_KEY_UNUSABLE;
        crypto_message_update(&message, messages[i]);
        crypto_message_final(&message, &digest);
        if ((err = pkcs11_input_set(&request->inputs[i], public, request->sig, &digest)) != CA_OK)
            return err;
    }
    return CA_OK;
}

/* Copies: a hung thread reads them when the caller's are long gone. */
static enum ca_err set_messages(struct request *request, const struct crypto_public_key *public,
                                const struct ca_bytes *messages)
{
    size_t len = 0;

    if (public->type != CRYPTO_KEY_ED25519)
        return CA_ERR_KEY_UNUSABLE;
    for (size_t i = 0; i < request->count; i++) {
        if (messages[i].len > MESSAGES_LEN_MAX - len)
            return CA_ERR_FIELD_LENGTH;
        len += messages[i].len;
    }
    uint8_t *at = request->messages = malloc(len + 1);
    if (at == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < request->count; i++) {
        if (messages[i].len > 0)
            memcpy(at, messages[i].data, messages[i].len);
        request->inputs[i].message = ca_bytes_of(at, messages[i].len);
        at += messages[i].len;
    }
    return CA_OK;
}

static enum ca_err pool_sign_many(void *key, struct crypto *crypto, const struct keys_order *order,
                                  struct crypto_signature *signatures)
{
    struct pool *pool = key;
    const struct crypto_public_key *public = crypto_own_key_public(pool->place.own);
    struct request *request;

    (void)crypto; /* hashing needs none */
    if (order->count == 0)
        return CA_OK;
    enum ca_err err = request_new(order->sig, order->count, &request);
    if (err != CA_OK)
        return err;
    err = order->sig == CRYPTO_SIG_ED25519 ? set_messages(request, public, order->messages)
                                           : set_digests(request, public, order->messages);
    if (err == CA_OK)
        return sign(pool, request, signatures);
    request_free(request);
    return err;
}

static enum ca_err pool_sign_digest(void *key, struct crypto *crypto,
                                    const struct keys_order *order,
                                    struct crypto_signature *signature)
{
    struct pool *pool = key;
    struct request *request;

    (void)crypto;
    if (order->sig == CRYPTO_SIG_ED25519)
        return CA_ERR_KEY_TYPE;
    enum ca_err err = request_new(order->sig, 1, &request);
    if (err != CA_OK)
        return err;
    err = pkcs11_input_set(&request->inputs[0], crypto_own_key_public(pool->place.own), order->sig,
                           order->digest);
    if (err == CA_OK)
        return sign(pool, request, signature);
    request_free(request);
    return err;
}

/* Waits for threads inside the module no longer than for a signature. */
static void pool_close(void *key)
{
    struct pool *pool = key;
    uint64_t until_ms = now_ms() + pool->timeout_ms;

    pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->changed);
    while (pool->thread_count > pool->abandoned_count &&
           wait_until(&pool->changed, &pool->lock, until_ms))
        continue;
    abandon(pool, 0);
    pool->is_closed = true;
    pool_release(pool);
}

static const struct keys_kind token = {
    .sign_many = pool_sign_many,
    .sign_digest = pool_sign_digest,
    .close = pool_close,
    .is_remote = true,
};

enum ca_err keys_signer_open_pkcs11(const struct keys_pkcs11_options *options,
                                    const struct crypto_public_key *public,
                                    struct ca_refusal *refusal, struct keys_signer **signer_out)
{
    struct pkcs11_session session;
    enum ca_err err;

    *signer_out = NULL;
    ca_refuse(refusal, CA_OK, "key", "cannot be opened");
    if (options->sessions < 1 || options->sessions > KEYS_SESSIONS_MAX ||
        options->timeout_ms < TIMEOUT_MS_MIN)
        return ca_refuse(refusal, CA_ERR_CONFIG, "sessions", "too few, too many, or no time");
    struct pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return CA_ERR_NOMEM;
    if ((err = pkcs11_place_open(&pool->place, options, public, refusal)) != CA_OK ||
        (err = pkcs11_session_open(&session, &pool->place, refusal)) != CA_OK) {
        pkcs11_place_close(&pool->place);
        free(pool);
        return err;
    }
    pkcs11_session_drop(&session, &pool->place); /* the threads open theirs when they need them */
    pool->session_count = options->sessions;
    pool->timeout_ms = options->timeout_ms;
    pool->rest_ms = options->rest_ms == 0 ? REST_MS : options->rest_ms;
    pool->keep_alive_ms = options->keep_alive_ms == 0 ? KEEP_ALIVE_MS : options->keep_alive_ms;
    pthread_mutex_init(&pool->lock, NULL);
    cond_init(&pool->work);
    cond_init(&pool->changed);
    return keys_signer_new(&token, pool, public, false, signer_out);
}

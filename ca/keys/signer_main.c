/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/signer_main.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ca/crypto/hash_many.h"
#include "ca/der/reader.h"
#include "ca/keys/frame.h"
#include "ca/keys/head.h"
#include "ca/keys/secret.h"

enum {
    BODY_SIZE = KEYS_FRAME_REQUEST_LEN + KEYS_FRAME_AREA_SIZE,
    BODY_SIZE_KEPT = 1 << 20,
    STACK_SIZE = 512 << 10,
    STACK_GUARD = 64 << 10,
    HEAP_ROOM = 1 << 20,
    SERVED_MAX = 1 << 14, /* tickets remembered */
};

/* What a sanitizer does beside the program is on no list of calls. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = true };
#else
enum { IS_SANITIZED = false };
#endif

struct key {
    struct crypto_private_key *private;
    bool signs_heads;
    struct keys_head_guard guard; /* of heads */
    atomic_uint_fast64_t signatures, refused, repeated;
};

struct lane;

struct signer {
    const struct keys_signer_setup *setup;
    struct lane *lanes[KEYS_PROCESS_LANES_MAX];
    struct keys_secret secret; /* of the tickets */
    struct key keys[KEYS_PROCESS_KEYS_MAX];
    atomic_uint_fast64_t served[SERVED_MAX]; /* parts of MACs: have we seen this one? */
    pthread_barrier_t started;
};

struct lane {
    struct signer *signer;
    enum ca_err err; /* of its start */
    uint8_t *stack;
    int fd;
    const uint8_t *area; /* the daemon writes there at any time: looked at once, by copying */
    struct crypto *crypto;
    enum crypto_ec_backend backend;
    struct keys_frame_request request;
    uint8_t *body; /* fixed part, tickets, messages */
    size_t body_size;
    uint8_t digests[KEYS_FRAME_ITEMS_MAX][CRYPTO_HASH_LEN];
    struct crypto_signature signatures[KEYS_FRAME_ITEMS_MAX];
    uint8_t answer[KEYS_FRAME_ANSWER_LEN + KEYS_FRAME_SIGNATURES_MAX];
};

/* ---- what is asked: does it carry a ticket that fits? */

/* A certificate begins with its version in [0] and its serial number; a list with a number. */
static bool tbs_fits(const struct keys_ticket *ticket, struct ca_bytes tbs)
{
    struct der_reader whole = der_reader_of(tbs), inner;
    struct der_value version;
    struct ca_bytes serial;

    if (der_read_into(&whole, DER_SEQUENCE, &inner) != CA_OK || !der_reader_at_end(&whole))
        return false;
    if (ticket->kind == KEYS_TICKET_CRL)
        return der_reader_peek(&inner) == DER_INTEGER;
    return ticket->kind == KEYS_TICKET_CERTIFICATE &&
           der_read(&inner, DER_CONTEXT_CONSTRUCTED(0), &version) == CA_OK &&
           der_read_positive(&inner, &serial) == CA_OK &&
           ca_bytes_equal(serial, ca_bytes_of(ticket->number, ticket->number_len));
}

/* One at a time: what was admitted of a batch could not be taken back when the rest is refused. */
static bool head_fits(struct lane *lane, struct key *key)
{
    const struct keys_ticket *ticket = &lane->request.tickets[0];
    struct keys_head head;

    return lane->request.count == 1 && ticket->kind == KEYS_TICKET_HEAD &&
           keys_head_parse(lane->request.messages[0], &head) == CA_OK && ticket->number_len == 8 &&
           ca_bytes_get_number(ticket->number, 8) == head.sequence &&
           keys_head_guard_admit(&key->guard, lane->request.messages[0]) == CA_OK;
}

static bool messages_have_tickets(struct lane *lane, struct key *key)
{
    const struct keys_frame_request *request = &lane->request;
    const uint8_t *secret = lane->signer->secret.data;

    crypto_sha256_many(lane->backend, request->messages, request->count, lane->digests);
    for (size_t i = 0; i < request->count; i++) {
        if (!keys_ticket_fits(secret, request->key, &request->tickets[i],
                              ca_bytes_of(lane->digests[i], CRYPTO_HASH_LEN)) ||
            (!key->signs_heads && !tbs_fits(&request->tickets[i], request->messages[i])))
            return false;
    }
    return !key->signs_heads || head_fits(lane, key);
}

/* What a digest is of cannot be seen: only lists, which are too long to be sent, come as one. */
static bool digest_has_ticket(const struct lane *lane, const struct key *key)
{
    const struct keys_frame_request *request = &lane->request;

    return !key->signs_heads && request->tickets[0].kind == KEYS_TICKET_CRL &&
           keys_ticket_fits(lane->signer->secret.data, request->key, &request->tickets[0],
                            request->messages[0]);
}

/* Tickets that served before; old ones are forgotten. */
static uint64_t count_repeated(struct lane *lane)
{
    uint64_t repeated = 0;

    for (size_t i = 0; i < lane->request.count; i++) {
        uint64_t mark;
        memcpy(&mark, lane->request.tickets[i].mac, sizeof(mark));
        repeated += atomic_exchange(&lane->signer->served[mark % SERVED_MAX], mark) == mark;
    }
    return repeated;
}

/* ---- signing */

static enum ca_err sign(struct lane *lane, const struct crypto_private_key *key)
{
    const struct keys_frame_request *request = &lane->request;
    struct crypto_digest digest;

    if (request->form == KEYS_FRAME_MESSAGES)
        return crypto_sign_many(lane->crypto, key, request->sig, request->messages, request->count,
                                lane->signatures);
    digest.len = request->messages[0].len;
    memcpy(digest.bytes, request->messages[0].data, digest.len);
    return crypto_sign_digest(lane->crypto, key, request->sig, &digest, lane->signatures);
}

static void answer_counts(const struct key *key, struct keys_frame_answer *answer)
{
    answer->signatures = atomic_load(&key->signatures);
    answer->refused = atomic_load(&key->refused);
    answer->repeated = atomic_load(&key->repeated);
}

static void serve(struct lane *lane, struct keys_frame_answer *answer)
{
    const struct keys_frame_request *request = &lane->request;

    *answer = (struct keys_frame_answer){ .err = CA_ERR_KEY_UNUSABLE };
    if (request->key >= lane->signer->setup->key_count)
        return;
    struct key *key = &lane->signer->keys[request->key];
    if (request->form == KEYS_FRAME_MESSAGES ? messages_have_tickets(lane, key)
                                             : digest_has_ticket(lane, key)) {
        answer->err = sign(lane, key->private);
    } else {
        answer->err = CA_ERR_DENIED;
        atomic_fetch_add(&key->refused, request->count);
    }
    if (answer->err == CA_OK) {
        answer->count = request->count;
        atomic_fetch_add(&key->signatures, request->count);
        atomic_fetch_add(&key->repeated, count_repeated(lane));
    }
    answer_counts(key, answer);
}

/* ---- the socket */

/* The daemon is gone, or this is none: either way there is nothing left to do. */
static _Noreturn void end(int code)
{
    _exit(code);
}

static size_t receive_some(int fd, uint8_t *at, size_t size)
{
    for (;;) {
        ssize_t got = recv(fd, at, size, 0);
        if (got > 0)
            return (size_t)got;
        if (got == 0 || errno != EINTR)
            end(EXIT_SUCCESS);
    }
}

static void send_all(int fd, const uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR)
            end(EXIT_SUCCESS);
        if (put > 0) {
            at += put;
            len -= (size_t)put;
        }
    }
}

static void body_resize(struct lane *lane, size_t size)
{
    uint8_t *body = realloc(lane->body, size);

    if (body == NULL)
        end(EXIT_FAILURE);
    lane->body = body;
    lane->body_size = size;
}

/* What follows the fixed part is in shared memory. */
static void copy_area(struct lane *lane)
{
    const struct keys_frame_request *request = &lane->request;

    if (lane->area == NULL)
        end(EXIT_FAILURE);
    memcpy(lane->body + KEYS_FRAME_REQUEST_LEN, lane->area, request->len);
}

/* One request, all of it in memory of our own: what is checked is what is signed. */
static void receive(struct lane *lane)
{
    struct keys_frame_request *request = &lane->request;
    size_t got = 0, want = KEYS_FRAME_REQUEST_LEN;

    while (got < want) {
        got += receive_some(lane->fd, lane->body + got, lane->body_size - got);
        if (want != KEYS_FRAME_REQUEST_LEN || got < want)
            continue;
        if (keys_frame_request_read(lane->body, request) != CA_OK)
            end(EXIT_FAILURE);
        if (!request->is_shared)
            want += request->len;
        if (want > lane->body_size)
            body_resize(lane, want);
    }
    /* One question at a time: what comes behind it was not asked by our daemon. */
    if (got > want)
        end(EXIT_FAILURE);
    if (request->is_shared)
        copy_area(lane);
    struct ca_bytes body = ca_bytes_of(lane->body + KEYS_FRAME_REQUEST_LEN, request->len);
    if (keys_frame_body_read(body, request) != CA_OK)
        end(EXIT_FAILURE);
}

static _Noreturn void lane_run(struct lane *lane)
{
    struct keys_frame_answer answer;

    for (;;) {
        receive(lane);
        serve(lane, &answer);
        answer.len = (uint32_t)keys_frame_signatures_write(lane->signatures, answer.count,
                                                           lane->answer + KEYS_FRAME_ANSWER_LEN);
        keys_frame_answer_write(&answer, lane->answer);
        send_all(lane->fd, lane->answer, KEYS_FRAME_ANSWER_LEN + answer.len);
        if (lane->body_size > BODY_SIZE_KEPT)
            body_resize(lane, BODY_SIZE);
    }
}

/* ---- start */

/* A stack of its own, so that it is there when memory is locked. Guarded below. */
static enum ca_err stack_make(uint8_t **stack_out)
{
    uint8_t *stack = mmap(NULL, STACK_GUARD + STACK_SIZE, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (stack == MAP_FAILED ||
        mprotect(stack + STACK_GUARD, STACK_SIZE, PROT_READ | PROT_WRITE) != 0)
        return CA_ERR_NOMEM;
    *stack_out = stack + STACK_GUARD;
    return CA_OK;
}

static enum ca_err lane_open(struct signer *signer, size_t index, int fd)
{
    const struct keys_signer_setup *setup = signer->setup;
    struct lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL || (lane->body = malloc(BODY_SIZE)) == NULL)
        return CA_ERR_NOMEM;
    signer->lanes[index] = lane;
    lane->signer = signer;
    lane->fd = fd;
    if (setup->areas != NULL)
        lane->area = setup->areas + index * KEYS_FRAME_AREA_SIZE;
    lane->body_size = BODY_SIZE;
    lane->backend = crypto_ec_backend_best();
    enum ca_err err = stack_make(&lane->stack);
    if (err != CA_OK)
        return err;
    return setup->random == NULL
               ? crypto_open_beside(setup->crypto, &lane->crypto)
               : crypto_open_with_random(setup->random, setup->random_arg, &lane->crypto);
}

/* What OpenSSL makes for a thread's first random number, it makes now; all threads wait for all. */
static void lane_warm(struct lane *lane)
{
    uint8_t octet;

    lane->err = crypto_random(&octet, 1);
    pthread_barrier_wait(&lane->signer->started);
}

static void *thread_run(void *arg)
{
    struct lane *lane = arg;

    lane_warm(lane);
    if (lane->err == CA_OK)
        lane_run(lane);
    return NULL;
}

/* Lanes after the first get threads of their own, before the calls that start threads are given
 * up. */
static enum ca_err threads_start(struct signer *signer)
{
    size_t count = signer->setup->lane_count;
    pthread_attr_t attributes;
    pthread_t thread;
    enum ca_err err = CA_OK;

    if (pthread_barrier_init(&signer->started, NULL, (unsigned)count) != 0 ||
        pthread_attr_init(&attributes) != 0)
        return CA_ERR_NOMEM;
    for (size_t i = 1; i < count; i++) {
        struct lane *lane = signer->lanes[i];
        /* A sanitizer wants stacks it knows. */
        if ((!IS_SANITIZED && pthread_attr_setstack(&attributes, lane->stack, STACK_SIZE) != 0) ||
            pthread_create(&thread, &attributes, thread_run, lane) != 0)
            end(EXIT_FAILURE); /* the others wait for it */
    }
    lane_warm(signer->lanes[0]);
    for (size_t i = 0; i < count && err == CA_OK; i++)
        err = signer->lanes[i]->err;
    return err;
}

static enum ca_err unseal(struct signer *signer)
{
    struct crypto_private_key *keys[KEYS_PROCESS_KEYS_MAX] = { NULL };
    enum ca_err err = keys_harden_process();

    if (err == CA_OK)
        err = signer->setup->unseal(signer->setup->arg, keys);
    for (size_t i = 0; i < signer->setup->key_count; i++) {
        signer->keys[i].private = keys[i];
        signer->keys[i].signs_heads = signer->setup->signs_heads[i];
        keys_head_guard_init(&signer->keys[i].guard);
    }
    return err;
}

/* A locked stack that grows is asked for the right to lock: it has grown before. */
__attribute__((noinline)) static void touch_stack(void)
{
    uint8_t deep[STACK_SIZE];

    sodium_memzero(deep, sizeof(deep));
}

/*
 * Stacks and the heap too, where values of a signature pass; secrets that stay are locked anyway.
 * As long as root's rights are there, which need no limit. What comes later is not locked: only
 * requests that are longer than usual are.
 */
static bool lock_memory(void)
{
    void *room = malloc(HEAP_ROOM / 2); /* from the heap: below the threshold */

    free(room);
    touch_stack();
    return room != NULL && mlockall(MCL_CURRENT) == 0;
}

static enum ca_err start(struct signer *signer, const int *fds, bool *is_locked_out)
{
    const struct rlimit nothing = { 0, 0 };
    enum ca_err err;

    /* One heap, with room in it that it keeps. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_ROOM);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * HEAP_ROOM);
    if ((err = unseal(signer)) != CA_OK)
        return err;
    for (size_t i = 0; i < signer->setup->lane_count; i++) {
        if ((err = lane_open(signer, i, fds[i])) != CA_OK)
            return err;
    }
    *is_locked_out = lock_memory();
    if ((err = keys_confine_rights(&signer->setup->user)) != CA_OK ||
        (err = threads_start(signer)) != CA_OK)
        return err;
    if (setrlimit(RLIMIT_NOFILE, &nothing) != 0)
        return CA_ERR_KEY_UNUSABLE;
    return IS_SANITIZED ? CA_OK : keys_confine_signer();
}

_Noreturn void keys_signer_main(const struct keys_signer_setup *setup,
                                const uint8_t ticket_secret[KEYS_TICKET_KEY_LEN], const int *lanes)
{
    struct signer *signer = calloc(1, sizeof(*signer));
    struct keys_frame_answer ready = { .err = CA_ERR_NOMEM };
    uint8_t octets[KEYS_FRAME_ANSWER_LEN];
    bool is_locked = false;

    if (signer != NULL &&
        (ready.err = keys_secret_new(KEYS_TICKET_KEY_LEN, &signer->secret)) == CA_OK) {
        signer->setup = setup;
        memcpy(signer->secret.data, ticket_secret, KEYS_TICKET_KEY_LEN);
        ready.err = start(signer, lanes, &is_locked);
    }
    ready.count = is_locked;
    keys_frame_answer_write(&ready, octets);
    send_all(lanes[0], octets, sizeof(octets));
    if (ready.err != CA_OK)
        end(EXIT_FAILURE);
    lane_run(signer->lanes[0]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client.h"

#include <pthread.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

#include "rpc/nng_threads.h"

enum {
    TIMEOUT_DEFAULT_MS = 30000,
    ANSWER_SIZE_MAX = 64 << 20,
    RESEND_NEVER = -1, /* asking again is the caller's decision */
};

/* One request on its way: sends, then receives. */
struct slot {
    struct rpc_client *client;
    nng_ctx ctx;
    nng_aio *aio;
    bool is_receiving; /* its own: set before it is sent, then by its callbacks */
    bool is_taken;     /* guarded by the client's lock, as is what follows */
    struct slot *next; /* among the ready */
    uint64_t tag;
    enum ca_err err;
    nng_msg *answer;
};

struct rpc_client {
    nng_socket socket;
    bool is_open;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct slot *ready_first, *ready_last;
    size_t in_flight; /* started and not yet handed out */
    nng_msg *lent;    /* the answer the caller is looking at */
    void (*on_head)(void *arg, const Certmill__SignedHead *head);
    void *arg;
    uint64_t head_sequence; /* of the last one told */
    struct slot slots[RPC_CLIENT_IN_FLIGHT_MAX];
};

static enum ca_err from_nng(int rv)
{
    switch (rv) {
    case 0: return CA_OK;
    case NNG_ETIMEDOUT: return CA_ERR_TIMEOUT;
    case NNG_ENOMEM: return CA_ERR_NOMEM;
    default: return CA_ERR_TRANSPORT;
    }
}

static void slot_finish(struct slot *slot, enum ca_err err, nng_msg *answer)
{
    struct rpc_client *client = slot->client;

    pthread_mutex_lock(&client->lock);
    slot->err = err;
    slot->answer = answer;
    slot->next = NULL;
    if (client->ready_last == NULL)
        client->ready_first = slot;
    else
        client->ready_last->next = slot;
    client->ready_last = slot;
    pthread_cond_signal(&client->ready);
    pthread_mutex_unlock(&client->lock);
}

static void on_progress(void *arg)
{
    struct slot *slot = arg;
    int rv = nng_aio_result(slot->aio);

    if (!slot->is_receiving && rv == 0) {
        slot->is_receiving = true;
        nng_ctx_recv(slot->ctx, slot->aio);
        return;
    }
    nng_msg *message = nng_aio_get_msg(slot->aio);
    nng_aio_set_msg(slot->aio, NULL);
    if (!slot->is_receiving || rv != 0) {
        if (message != NULL && !slot->is_receiving)
            nng_msg_free(message);
        message = NULL;
    }
    slot_finish(slot, from_nng(rv), message);
}

static int slots_open(struct rpc_client *client, nng_duration timeout_ms)
{
    for (size_t i = 0; i < RPC_CLIENT_IN_FLIGHT_MAX; i++) {
        struct slot *slot = &client->slots[i];
        slot->client = client;
        int rv = nng_aio_alloc(&slot->aio, on_progress, slot);
        if (rv == 0)
            rv = nng_ctx_open(&slot->ctx, client->socket);
        if (rv == 0)
            rv = nng_ctx_set_ms(slot->ctx, NNG_OPT_REQ_RESENDTIME, RESEND_NEVER);
        if (rv != 0)
            return rv;
        nng_aio_set_timeout(slot->aio, timeout_ms);
    }
    return 0;
}

static int set_tls(nng_dialer dialer, const char *ca_file)
{
    nng_tls_config *tls;
    int rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_CLIENT);

    if (rv != 0)
        return rv;
    if (ca_file != NULL)
        rv = nng_tls_config_ca_file(tls, ca_file);
    if (rv == 0)
        rv = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    return rv;
}

static int dial(struct rpc_client *client, const char *url,
                const struct rpc_client_options *options)
{
    nng_dialer dialer;
    int rv = nng_dialer_create(&dialer, client->socket, url);

    if (rv == 0 && strncmp(url, "tls+tcp://", strlen("tls+tcp://")) == 0)
        rv = set_tls(dialer, options->tls_ca_file);
    if (rv == 0)
        rv = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    return rv;
}

enum ca_err rpc_client_open(const char *url, const struct rpc_client_options *options,
                            struct rpc_client **client_out)
{
    struct rpc_client *client = calloc(1, sizeof(*client));
    struct rpc_client_options plain = { 0 };

    *client_out = NULL;
    if (client == NULL || rpc_nng_start() != CA_OK) {
        free(client);
        return CA_ERR_NOMEM;
    }
    if (options == NULL)
        options = &plain;
    uint32_t timeout_ms = options->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : options->timeout_ms;
    client->on_head = options->on_head;
    client->arg = options->arg;
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->ready, NULL);
    int rv = nng_req0_open(&client->socket);
    client->is_open = rv == 0;
    if (rv == 0)
        rv = nng_socket_set_size(client->socket, NNG_OPT_RECVMAXSZ, ANSWER_SIZE_MAX);
    if (rv == 0)
        rv = slots_open(client, (nng_duration)timeout_ms);
    if (rv == 0)
        rv = dial(client, url, options);
    if (rv != 0) {
        rpc_client_close(client);
        return from_nng(rv);
    }
    *client_out = client;
    return CA_OK;
}

void rpc_client_close(struct rpc_client *client)
{
    if (client == NULL)
        return;
    for (size_t i = 0; i < RPC_CLIENT_IN_FLIGHT_MAX; i++) {
        if (client->slots[i].aio != NULL)
            nng_aio_stop(client->slots[i].aio);
    }
    for (size_t i = 0; i < RPC_CLIENT_IN_FLIGHT_MAX; i++) {
        struct slot *slot = &client->slots[i];
        if (slot->answer != NULL)
            nng_msg_free(slot->answer);
        if (slot->aio != NULL)
            nng_aio_free(slot->aio);
    }
    if (client->lent != NULL)
        nng_msg_free(client->lent);
    if (client->is_open)
        nng_close(client->socket);
    pthread_cond_destroy(&client->ready);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* ---- signed heads */

static bool take_varint(struct ca_bytes *from, uint64_t *value_out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && from->len > 0; shift += 7) {
        uint8_t octet = *from->data;
        *from = ca_bytes_of(from->data + 1, from->len - 1);
        value |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80) {
            *value_out = value;
            return true;
        }
    }
    return false;
}

/* The field of an answer, all of which are messages; empty: it has none. */
static struct ca_bytes find_head(struct ca_bytes answer)
{
    enum { FIELD_HEAD = 2 << 3 | 2 };
    uint64_t tag, len;

    while (take_varint(&answer, &tag) && (tag & 7) == 2 && take_varint(&answer, &len) &&
           len <= answer.len) {
        if (tag == FIELD_HEAD)
            return ca_bytes_of(answer.data, (size_t)len);
        answer = ca_bytes_of(answer.data + len, answer.len - (size_t)len);
    }
    return ca_bytes_of(NULL, 0);
}

static void tell_head(struct rpc_client *client, struct ca_bytes answer)
{
    struct ca_bytes field = find_head(answer);
    Certmill__SignedHead *head =
        field.len == 0 ? NULL : certmill__signed_head__unpack(NULL, field.len, field.data);

    if (head == NULL)
        return;
    if (head->sequence > client->head_sequence) {
        client->head_sequence = head->sequence;
        client->on_head(client->arg, head);
    }
    certmill__signed_head__free_unpacked(head, NULL);
}

/* ---- one after the other */

static void lent_free(struct rpc_client *client)
{
    if (client->lent != NULL)
        nng_msg_free(client->lent);
    client->lent = NULL;
}

static struct slot *slot_take(struct rpc_client *client)
{
    struct slot *free_slot = NULL;

    pthread_mutex_lock(&client->lock);
    for (size_t i = 0; i < RPC_CLIENT_IN_FLIGHT_MAX && free_slot == NULL; i++) {
        if (!client->slots[i].is_taken)
            free_slot = &client->slots[i];
    }
    if (free_slot != NULL) {
        free_slot->is_taken = true;
        client->in_flight++;
    }
    pthread_mutex_unlock(&client->lock);
    return free_slot;
}

/* message is the slot's from here on. */
static void slot_send(struct slot *slot, nng_msg *message, uint64_t tag)
{
    slot->tag = tag;
    slot->is_receiving = false;
    nng_aio_set_msg(slot->aio, message);
    nng_ctx_send(slot->ctx, slot->aio);
}

enum ca_err rpc_client_start(struct rpc_client *client, struct ca_bytes packed, uint64_t tag)
{
    nng_msg *message;

    lent_free(client);
    if (nng_msg_alloc(&message, packed.len) != 0)
        return CA_ERR_NOMEM;
    struct slot *slot = slot_take(client);
    if (slot == NULL) {
        nng_msg_free(message);
        return CA_ERR_BUSY;
    }
    memcpy(nng_msg_body(message), packed.data, packed.len);
    slot_send(slot, message, tag);
    return CA_OK;
}

enum ca_err rpc_client_next(struct rpc_client *client, struct rpc_client_reply *reply_out)
{
    memset(reply_out, 0, sizeof(*reply_out));
    lent_free(client);
    pthread_mutex_lock(&client->lock);
    if (client->in_flight == 0) {
        pthread_mutex_unlock(&client->lock);
        return CA_ERR_NOT_FOUND;
    }
    while (client->ready_first == NULL)
        pthread_cond_wait(&client->ready, &client->lock);
    struct slot *slot = client->ready_first;
    client->ready_first = slot->next;
    if (client->ready_first == NULL)
        client->ready_last = NULL;
    reply_out->tag = slot->tag;
    reply_out->err = slot->err;
    client->lent = slot->answer;
    slot->answer = NULL;
    slot->is_taken = false;
    client->in_flight--;
    pthread_mutex_unlock(&client->lock);
    if (client->lent != NULL)
        reply_out->packed = ca_bytes_of(nng_msg_body(client->lent), nng_msg_len(client->lent));
    if (client->lent != NULL && client->on_head != NULL)
        tell_head(client, reply_out->packed);
    return CA_OK;
}

enum ca_err rpc_client_ask(struct rpc_client *client, const Certmill__Request *request,
                           Certmill__Answer **answer_out)
{
    struct rpc_client_reply reply;
    size_t size = certmill__request__get_packed_size(request);
    uint8_t *packed = malloc(size + 1);

    *answer_out = NULL;
    if (packed == NULL)
        return CA_ERR_NOMEM;
    certmill__request__pack(request, packed);
    enum ca_err err = rpc_client_start(client, ca_bytes_of(packed, size), 0);
    free(packed);
    if (err == CA_OK)
        err = rpc_client_next(client, &reply);
    if (err == CA_OK)
        err = reply.err;
    if (err != CA_OK)
        return err;
    *answer_out = certmill__answer__unpack(NULL, reply.packed.len, reply.packed.data);
    lent_free(client);
    return *answer_out == NULL ? CA_ERR_MESSAGE_MALFORMED : CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include <pthread.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>

#include "rpc/listeners.h"
#include "rpc/pipeline.h"

enum {
    RECEIVERS = 4, /* messages decoded at the same time */
    MESSAGE_SIZE_DEFAULT = 1 << 20,
    MESSAGE_SIZE_FLOOR = 4096,
    ANSWER_QUEUE = 8192, /* nng's largest */
    BUCKET_COUNT = 1024,
    SPARE_CALLS_MAX = 1024,
    LINGER_MS = 100, /* nng 1.5 cannot tell when what was sent has left */
};

struct connection {
    struct connection *next; /* in its bucket */
    uint32_t pipe_id;
    size_t refs; /* one for the table, one for each call; guarded by the server's lock */
    struct rpc_session session;
    struct rpc_caller *caller;
};

struct receiver {
    struct rpc_server *server;
    nng_aio *aio;
};

struct rpc_server {
    const struct rpc_config *config;
    struct rpc_pipeline *pipeline;
    nng_socket socket;
    bool is_open;
    struct rpc_listeners *listeners;
    struct receiver receivers[RECEIVERS];

    pthread_mutex_t lock; /* guards what follows */
    struct connection *connections[BUCKET_COUNT];
    struct rpc_call *spare_calls;
    size_t spare_call_count;
};

/* ---- connections */

static struct connection **connection_place(struct rpc_server *server, uint32_t pipe_id)
{
    struct connection **place = &server->connections[pipe_id % BUCKET_COUNT];

    while (*place != NULL && (*place)->pipe_id != pipe_id)
        place = &(*place)->next;
    return place;
}

static struct connection *connection_find(struct rpc_server *server, uint32_t pipe_id)
{
    pthread_mutex_lock(&server->lock);
    struct connection *connection = *connection_place(server, pipe_id);
    if (connection != NULL)
        connection->refs++;
    pthread_mutex_unlock(&server->lock);
    return connection;
}

static void connection_release(struct rpc_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->lock);
    bool is_last = --connection->refs == 0;
    pthread_mutex_unlock(&server->lock);
    if (!is_last)
        return;
    rpc_caller_free(connection->caller);
    free(connection);
}

static void connection_add(struct rpc_server *server, nng_pipe pipe)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    uint64_t uid = 0;

    if (connection == NULL || rpc_caller_new(server->pipeline, &connection->caller) != CA_OK) {
        free(connection);
        nng_pipe_close(pipe);
        return;
    }
    bool has_uid = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0;
    rpc_session_init(&connection->session, server->config, has_uid, uid);
    connection->pipe_id = (uint32_t)nng_pipe_id(pipe);
    connection->refs = 1;
    pthread_mutex_lock(&server->lock);
    struct connection **place = connection_place(server, connection->pipe_id);
    connection->next = *place;
    *place = connection;
    pthread_mutex_unlock(&server->lock);
}

static void connection_drop(struct rpc_server *server, uint32_t pipe_id)
{
    pthread_mutex_lock(&server->lock);
    struct connection **place = connection_place(server, pipe_id);
    struct connection *connection = *place;
    if (connection != NULL)
        *place = connection->next;
    pthread_mutex_unlock(&server->lock);
    if (connection != NULL)
        connection_release(server, connection);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    if (event == NNG_PIPE_EV_ADD_PRE)
        connection_add(arg, pipe);
    else if (event == NNG_PIPE_EV_REM_POST)
        connection_drop(arg, (uint32_t)nng_pipe_id(pipe));
}

/* ---- calls */

static struct rpc_call *call_take(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct rpc_call *call = server->spare_calls;
    if (call != NULL) {
        server->spare_calls = call->next;
        server->spare_call_count--;
    }
    pthread_mutex_unlock(&server->lock);
    if (call == NULL && rpc_call_new(&call) != CA_OK)
        return NULL;
    call->next = NULL;
    return call;
}

static void call_give_back(struct rpc_server *server, struct rpc_call *call)
{
    rpc_call_reset(call);
    pthread_mutex_lock(&server->lock);
    bool is_kept = server->spare_call_count < SPARE_CALLS_MAX;
    if (is_kept) {
        call->next = server->spare_calls;
        server->spare_calls = call;
        server->spare_call_count++;
    }
    pthread_mutex_unlock(&server->lock);
    if (!is_kept)
        rpc_call_free(call);
}

/* The answer goes out in the message that brought the request: its header knows the way. */
static void answer(void *arg, struct rpc_call *call)
{
    struct rpc_server *server = arg;
    struct connection *connection = call->connection;
    nng_msg *message = call->message;
    size_t size = rpc_call_answer_size(call);

    nng_msg_clear(message);
    int rv = nng_msg_realloc(message, size);
    if (rv == 0) {
        rpc_call_answer_pack(call, nng_msg_body(message));
        rv = nng_sendmsg(server->socket, message, NNG_FLAG_NONBLOCK);
        if (rv == NNG_EAGAIN)
            rv = nng_sendmsg(server->socket, message, 0);
    }
    if (rv != 0)
        nng_msg_free(message); /* the peer asks again with the same request ids */
    call_give_back(server, call);
    connection_release(server, connection);
}

static enum ca_err call_admit(struct rpc_server *server, struct rpc_call *call,
                              struct ca_bytes message)
{
    enum ca_err err = rpc_call_decode(call, message);

    if (err == CA_OK)
        err = rpc_session_check(call->session, (int)call->request->method_case);
    if (err != CA_OK)
        return err;
    return rpc_pipeline_offer(server->pipeline, ((struct connection *)call->connection)->caller,
                              call);
}

static void receive(struct rpc_server *server, nng_msg *message)
{
    uint32_t pipe_id = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));
    struct connection *connection = connection_find(server, pipe_id);
    struct rpc_call *call = connection == NULL ? NULL : call_take(server);

    if (call == NULL) {
        if (connection != NULL)
            connection_release(server, connection);
        nng_msg_free(message);
        return;
    }
    call->message = message;
    call->connection = connection;
    call->session = &connection->session;
    struct ca_bytes body = ca_bytes_of(nng_msg_body(message), nng_msg_len(message));
    enum ca_err err = call_admit(server, call, body);
    if (err == CA_OK)
        return;
    rpc_call_refuse(call, err);
    answer(server, call);
}

static void on_message(void *arg)
{
    struct receiver *receiver = arg;
    int rv = nng_aio_result(receiver->aio);

    if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
        return;
    if (rv == 0) {
        nng_msg *message = nng_aio_get_msg(receiver->aio);
        nng_aio_set_msg(receiver->aio, NULL);
        receive(receiver->server, message);
    }
    nng_recv_aio(receiver->server->socket, receiver->aio);
}

/* ---- life */

static enum ca_err socket_open(struct rpc_server *server)
{
    size_t size_max = server->config->limits.message_size_max;

    if (size_max == 0)
        size_max = MESSAGE_SIZE_DEFAULT;
    if (size_max < MESSAGE_SIZE_FLOOR)
        size_max = MESSAGE_SIZE_FLOOR;
    if (nng_rep0_open_raw(&server->socket) != 0)
        return CA_ERR_TRANSPORT;
    server->is_open = true;
    if (nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, size_max) != 0 ||
        nng_socket_set_int(server->socket, NNG_OPT_SENDBUF, ANSWER_QUEUE) != 0 ||
        nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, server) != 0 ||
        nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, on_pipe, server) != 0)
        return CA_ERR_TRANSPORT;
    return CA_OK;
}

static enum ca_err receivers_start(struct rpc_server *server)
{
    for (size_t i = 0; i < RECEIVERS; i++) {
        struct receiver *receiver = &server->receivers[i];
        receiver->server = server;
        if (nng_aio_alloc(&receiver->aio, on_message, receiver) != 0)
            return CA_ERR_NOMEM;
        nng_recv_aio(server->socket, receiver->aio);
    }
    return CA_OK;
}

enum ca_err rpc_server_open(const struct rpc_config *config, struct store *store,
                            struct rpc_server **server_out)
{
    struct rpc_server *server = calloc(1, sizeof(*server));

    *server_out = NULL;
    if (server == NULL)
        return CA_ERR_NOMEM;
    server->config = config;
    pthread_mutex_init(&server->lock, NULL);
    struct rpc_outlet outlet = { answer, server };
    enum ca_err err = rpc_pipeline_open(config, store, &outlet, &server->pipeline);
    if (err == CA_OK)
        err = socket_open(server);
    if (err == CA_OK)
        err = receivers_start(server);
    if (err == CA_OK)
        err = rpc_listeners_open(config, server->socket, &server->listeners);
    if (err != CA_OK) {
        rpc_server_close(server);
        return err;
    }
    *server_out = server;
    return CA_OK;
}

void rpc_server_drain(struct rpc_server *server)
{
    rpc_pipeline_drain(server->pipeline);
}

void rpc_server_close(struct rpc_server *server)
{
    if (server == NULL)
        return;
    if (server->pipeline != NULL)
        rpc_pipeline_drain(server->pipeline);
    rpc_listeners_close(server->listeners);
    if (server->is_open) {
        nng_msleep(LINGER_MS);
        nng_close(server->socket);
    }
    for (size_t i = 0; i < RECEIVERS; i++) {
        if (server->receivers[i].aio != NULL) {
            nng_aio_stop(server->receivers[i].aio);
            nng_aio_free(server->receivers[i].aio);
        }
    }
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        while (server->connections[i] != NULL)
            connection_drop(server, server->connections[i]->pipe_id);
    }
    rpc_pipeline_close(server->pipeline);
    while (server->spare_calls != NULL) {
        struct rpc_call *call = server->spare_calls;
        server->spare_calls = call->next;
        rpc_call_free(call);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

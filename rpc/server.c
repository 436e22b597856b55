/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>

#include "rpc/census.h"
#include "rpc/listeners.h"
#include "rpc/log.h"
#include "rpc/nng_threads.h"
#include "rpc/pipeline.h"

enum {
    RECEIVERS = 2, /* messages decoded at the same time; more of them wait for nng's locks */
    MESSAGE_SIZE_DEFAULT = 1 << 20,
    MESSAGE_SIZE_FLOOR = 4096,
    MESSAGE_KEPT_MAX = 16 * 1024, /* of a request's, for its answer: more is let go at once */
    ANSWER_QUEUE = 256, /* of all, before nng sorts them by connection: short, as all wait there */
    ANSWERS_HELD = 65,  /* of one connection, in nng 1.5: its queue, and one that leaves */
    UNREAD_OCTETS_DEFAULT = 32 << 20,
    UNREAD_PARTS = 4,         /* one connection has such a part of what its uid has */
    UNREAD_LITTLE = 64 << 10, /* it has this anyhow: before the next look nobody knows who reads */
    LOOK_EVERY_MS = 10,
    CONNECTIONS_DEFAULT = 512,
    UID_CONNECTIONS_DEFAULT = 128,
    BUCKET_COUNT = 1024,
    SPARE_CALLS_MAX = 1024,
    SPARE_SENDERS_MAX = 32, /* as many threads may answer at a time without making one */
    LINGER_MS = 100,        /* nng 1.5 cannot tell when what was sent has left */
    LOG_EVERY_MS = 10000,
    COUNT_EVERY_MS = 100,
};

/* All connections of one uid; there as long as one of them is. */
struct peer {
    struct peer *next;
    uint64_t owner;
    size_t refs; /* one for each connection */
    size_t open; /* of those, in the table */
    size_t dead; /* of those, when the kernel was asked */
    size_t unread;
};

/*
 * Answers that were given to nng, and may not have left: no more than it holds of one connection.
 * What is beyond that it drops.
 */
struct unread {
    uint64_t given;              /* answers, ever */
    uint32_t held[ANSWERS_HELD]; /* octets of the last ones; 0 once they have left */
    size_t octets;               /* of these */
};

struct connection {
    struct connection *next; /* in its bucket */
    uint32_t pipe_id;
    size_t refs;          /* one for the table, one for each call; guarded by the server's lock, */
    struct unread unread; /* as is this */
    struct rpc_session session;
    struct rpc_caller *caller;
    struct peer *peer;
};

/* Takes a message, and if that is refused at once answers it before it takes the next. */
struct receiver {
    struct rpc_server *server;
    nng_aio *aio;
    bool is_answering; /* what the aio does; otherwise it receives */
};

struct rpc_server {
    const struct rpc_config *config;
    struct rpc_limits limits;
    struct rpc_pipeline *pipeline;
    struct rpc_counters *counters;
    nng_socket socket;
    bool is_open;
    bool is_started; /* and the audit log says so */
    struct rpc_listeners *listeners;
    struct receiver receivers[RECEIVERS];

    pthread_mutex_t lock; /* guards what follows */
    struct connection *connections[BUCKET_COUNT];
    size_t open; /* connections in the table, without operators' */
    size_t dead; /* of those, when the kernel was asked */
    struct peer *peers;
    struct rpc_call *spare_calls;
    size_t spare_call_count;
    nng_aio *spare_senders[SPARE_SENDERS_MAX];
    size_t spare_sender_count;
    nng_time logged_ms;  /* when it was last logged that somebody wanted too much */
    nng_time counted_ms; /* when the kernel was last asked, */
    nng_time looked_ms;  /* and nng */
};

/* ---- peers; the lock is held */

static struct peer *peer_take(struct rpc_server *server, uint64_t owner)
{
    struct peer *peer = server->peers;

    while (peer != NULL && peer->owner != owner)
        peer = peer->next;
    if (peer == NULL) {
        peer = calloc(1, sizeof(*peer));
        if (peer == NULL)
            return NULL;
        peer->owner = owner;
        peer->next = server->peers;
        server->peers = peer;
    }
    peer->refs++;
    return peer;
}

static void peer_release(struct rpc_server *server, struct peer *peer)
{
    struct peer **place = &server->peers;

    if (peer == NULL || --peer->refs > 0)
        return;
    while (*place != peer)
        place = &(*place)->next;
    *place = peer->next;
    free(peer);
}

/* ---- connections */

/* One line for many: what happened how often is in the statistics. */
static void log_seldom(struct rpc_server *server, const char *message,
                       const struct connection *connection)
{
    nng_time now = nng_clock();

    pthread_mutex_lock(&server->lock);
    bool is_due = server->logged_ms == 0 || now - server->logged_ms >= LOG_EVERY_MS;
    if (is_due)
        server->logged_ms = now;
    pthread_mutex_unlock(&server->lock);
    if (is_due)
        log_warn(message, "peer=%s refused=%" PRIuFAST64 " dropped=%" PRIuFAST64,
                 connection->session.actor, atomic_load(&server->counters->connections_refused),
                 atomic_load(&server->counters->answers_dropped));
}

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

static void connection_free(struct connection *connection)
{
    rpc_caller_free(connection->caller);
    free(connection);
}

/* The lock is held; true: it is to be freed, without it. */
static bool connection_unref(struct rpc_server *server, struct connection *connection)
{
    if (--connection->refs > 0)
        return false;
    peer_release(server, connection->peer);
    return true;
}

static size_t less(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/*
 * One uid has a limit, and all who are no operators have one together. Without a uid they have half
 * of that, so that they cannot keep out those who have one. The lock is held.
 */
static bool connection_has_room(const struct rpc_server *server,
                                const struct connection *connection)
{
    const struct rpc_limits *limits = &server->limits;
    const struct peer *peer = connection->peer;
    bool is_local = connection->session.owner != RPC_OWNER_LOOPBACK;
    size_t peer_max = is_local ? limits->uid_connections_max : (limits->connections_max + 1) / 2;

    return less(peer->open, peer->dead) < peer_max &&
           (connection->session.is_operator ||
            less(server->open, server->dead) < limits->connections_max);
}

/* Where there seems to be no room: are they all still there? The lock is held. */
static void connections_count(struct rpc_server *server, const struct connection *knocking)
{
    struct peer *peer = knocking->peer;
    struct rpc_census census;
    nng_time now = nng_clock();

    if (server->counted_ms != 0 && now - server->counted_ms < COUNT_EVERY_MS)
        return;
    server->counted_ms = now;
    if (!rpc_census_take(server->config, peer->owner, &census))
        return;
    /* The one that knocks is among them, and not in the table. */
    peer->dead = less(peer->open + 1, census.owned);
    server->dead = less(server->open + !knocking->session.is_operator, census.all);
}

static bool connection_enter(struct rpc_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->lock);
    connection->peer = peer_take(server, connection->session.owner);
    bool has_room = connection->peer != NULL && connection_has_room(server, connection);
    if (connection->peer != NULL && !has_room) {
        connections_count(server, connection);
        has_room = connection_has_room(server, connection);
    }
    if (has_room) {
        struct connection **place = connection_place(server, connection->pipe_id);
        connection->next = *place;
        *place = connection;
        connection->refs = 1;
        connection->peer->open++;
        server->open += !connection->session.is_operator;
    } else {
        peer_release(server, connection->peer);
    }
    pthread_mutex_unlock(&server->lock);
    return has_room;
}

static enum ca_err connection_add(struct rpc_server *server, nng_pipe pipe)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    uint64_t uid = 0;

    if (connection == NULL)
        return CA_ERR_NOMEM;
    bool has_uid = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0;
    rpc_session_init(&connection->session, server->config, has_uid, uid);
    connection->pipe_id = (uint32_t)nng_pipe_id(pipe);
    enum ca_err err =
        rpc_caller_new(server->pipeline, connection->session.owner, &connection->caller);
    if (err == CA_OK && !connection_enter(server, connection)) {
        rpc_count(&server->counters->connections_refused, 1);
        log_seldom(server, "too many connections", connection);
        err = CA_ERR_BUSY;
    }
    if (err == CA_OK)
        rpc_count(&server->counters->connections, 1);
    else
        connection_free(connection);
    return err;
}

/* ---- answers that wait to be read; the lock is held */

static void unread_set(struct connection *connection, uint64_t number, size_t octets)
{
    uint32_t *held = &connection->unread.held[number % ANSWERS_HELD];

    connection->unread.octets += octets - *held;
    connection->peer->unread += octets - *held;
    *held = (uint32_t)octets;
}

static void unread_clear(struct connection *connection)
{
    for (size_t i = 0; i < ANSWERS_HELD; i++)
        unread_set(connection, i, 0);
}

/* So many have left, of those it was given. */
static void unread_settle(struct connection *connection, uint64_t left)
{
    uint64_t given = connection->unread.given;
    uint64_t first = given > ANSWERS_HELD ? given - ANSWERS_HELD : 0;

    for (uint64_t number = first; number < left && number < given; number++)
        unread_set(connection, number, 0);
}

/*
 * What nng says of one connection. Some transports (ws) tell nothing, and then nothing is held
 * against it: it has 64 answers, however large.
 */
static void unread_look(struct rpc_server *server, nng_stat *pipe)
{
    uint64_t id = 0, received = 0, left = 0;

    for (nng_stat *stat = nng_stat_child(pipe); stat != NULL; stat = nng_stat_next(stat)) {
        const char *name = nng_stat_name(stat);
        if (strcmp(name, "id") == 0)
            id = nng_stat_value(stat);
        else if (strcmp(name, "rx_msgs") == 0)
            received = nng_stat_value(stat);
        else if (strcmp(name, "tx_msgs") == 0)
            left = nng_stat_value(stat);
    }
    struct connection *connection = *connection_place(server, (uint32_t)id);
    if (connection != NULL)
        unread_settle(connection, received == 0 ? connection->unread.given : left);
}

/* What has left since is only known to nng, and asking takes a while: seldom, where it matters. */
static void unread_look_at_all(struct rpc_server *server)
{
    nng_stat *stats;
    nng_time now = nng_clock();

    if (now - server->looked_ms < LOOK_EVERY_MS || nng_stats_get(&stats) != 0)
        return;
    for (nng_stat *stat = nng_stat_child(stats); stat != NULL; stat = nng_stat_next(stat)) {
        if (strcmp(nng_stat_name(stat), "pipe") == 0)
            unread_look(server, stat);
    }
    nng_stats_free(stats);
    server->looked_ms = now;
}

/*
 * Would this answer only take memory? What its connection has unread, or those of its uid
 * together, is bounded; but one answer, or a few small ones, it can always have.
 */
static bool unread_is_too_much(const struct rpc_server *server, const struct connection *connection,
                               size_t octets)
{
    size_t most = server->limits.unread_octets_max;
    size_t held = connection->unread.octets + octets;

    return connection->unread.octets > 0 && held > UNREAD_LITTLE &&
           (held > most / UNREAD_PARTS || connection->peer->unread + octets > most);
}

/* False: the answer is not to be sent. The lock is not held. */
static bool unread_take(struct rpc_server *server, struct connection *connection, size_t octets)
{
    pthread_mutex_lock(&server->lock);
    bool is_too_much = unread_is_too_much(server, connection, octets);
    if (is_too_much) {
        unread_look_at_all(server);
        is_too_much = unread_is_too_much(server, connection, octets);
    }
    bool is_there = *connection_place(server, connection->pipe_id) == connection;
    if (!is_too_much && is_there)
        unread_set(connection, connection->unread.given++, octets);
    pthread_mutex_unlock(&server->lock);
    return !is_too_much;
}

/* ---- coming and going */

static void connection_drop(struct rpc_server *server, uint32_t pipe_id)
{
    bool is_last = false;

    pthread_mutex_lock(&server->lock);
    struct connection **place = connection_place(server, pipe_id);
    struct connection *connection = *place;
    if (connection != NULL) {
        *place = connection->next;
        unread_clear(connection);
        connection->peer->open--;
        connection->peer->dead = less(connection->peer->dead, 1);
        server->open -= !connection->session.is_operator;
        server->dead = less(server->dead, !connection->session.is_operator);
        is_last = connection_unref(server, connection);
    }
    pthread_mutex_unlock(&server->lock);
    if (connection != NULL)
        atomic_fetch_sub(&server->counters->connections, 1);
    if (is_last)
        connection_free(connection);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    if (event == NNG_PIPE_EV_REM_POST)
        connection_drop(arg, (uint32_t)nng_pipe_id(pipe));
    else if (event == NNG_PIPE_EV_ADD_PRE && connection_add(arg, pipe) != CA_OK)
        nng_pipe_close(pipe);
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

static void connection_release(struct rpc_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->lock);
    bool is_last = connection_unref(server, connection);
    pthread_mutex_unlock(&server->lock);
    if (is_last)
        connection_free(connection);
}

/*
 * In the message that brought the request: its header knows the way. NULL: there is nothing to be
 * sent, and the peer asks again with the same request ids. The call is gone.
 */
static void *answer_pack(void *arg, struct rpc_call *call)
{
    struct rpc_server *server = arg;
    struct connection *connection = call->connection;
    nng_msg *message = call->message;
    bool is_made = false;

    rpc_pipeline_tell_head(server->pipeline, call);
    size_t size = rpc_call_answer_size(call);
    nng_msg_clear(message);
    if (!unread_take(server, connection, size)) {
        rpc_count(&server->counters->answers_dropped, 1);
        log_seldom(server, "answers are not read, and dropped", connection);
    } else if (nng_msg_realloc(message, size) == 0) {
        rpc_call_answer_pack(call, nng_msg_body(message));
        is_made = true;
    }
    if (!is_made) {
        nng_msg_free(message);
        message = NULL;
    }
    call_give_back(server, call);
    connection_release(server, connection);
    return message;
}

/* NULL: there is no memory. */
static nng_aio *sender_take(struct rpc_server *server)
{
    nng_aio *sender = NULL;

    pthread_mutex_lock(&server->lock);
    if (server->spare_sender_count > 0)
        sender = server->spare_senders[--server->spare_sender_count];
    pthread_mutex_unlock(&server->lock);
    if (sender == NULL && nng_aio_alloc(&sender, NULL, NULL) != 0)
        return NULL;
    return sender;
}

static void sender_give_back(struct rpc_server *server, nng_aio *sender)
{
    pthread_mutex_lock(&server->lock);
    if (server->spare_sender_count < SPARE_SENDERS_MAX) {
        server->spare_senders[server->spare_sender_count++] = sender;
        sender = NULL;
    }
    pthread_mutex_unlock(&server->lock);
    nng_aio_free(sender);
}

/*
 * As nng_sendmsg() does it, which however makes an aio for each message, and asks the kernel for a
 * random number for each aio.
 */
static int message_send(struct rpc_server *server, nng_msg *message)
{
    nng_aio *sender = sender_take(server);

    if (sender == NULL)
        return NNG_ENOMEM;
    nng_aio_set_msg(sender, message);
    nng_send_aio(server->socket, sender);
    nng_aio_wait(sender);
    int rv = nng_aio_result(sender);
    nng_aio_set_msg(sender, NULL);
    sender_give_back(server, sender);
    return rv;
}

/*
 * Waits while nng's queue of answers is full, which nng's threads empty whether peers read or not:
 * none of those may come here. Not NNG_FLAG_NONBLOCK: beside others that wait, nng 1.5.2 takes
 * that for sent, and goes on using what it has freed.
 */
static void answer_send(void *arg, void *message)
{
    struct rpc_server *server = arg;

    if (message_send(server, message) != 0)
        nng_msg_free(message);
}

static enum ca_err call_read(struct rpc_call *call, struct ca_bytes message)
{
    enum ca_err err = rpc_call_decode(call, message);

    if (err == CA_OK)
        err = rpc_session_check(call->session, (int)call->request->method_case);
    return err;
}

/* A large one is let go of as soon as it is decoded. NULL: there is no memory for its header. */
static nng_msg *message_keep(nng_msg *message)
{
    nng_msg *small = NULL;

    if (nng_msg_len(message) <= MESSAGE_KEPT_MAX)
        return message;
    if (nng_msg_alloc(&small, 0) == 0 &&
        nng_msg_header_append(small, nng_msg_header(message), nng_msg_header_len(message)) != 0) {
        nng_msg_free(small);
        small = NULL;
    }
    nng_msg_free(message);
    return small;
}

/* NULL: it is being worked on, or lost; otherwise why it is refused. */
static nng_msg *receive(struct rpc_server *server, nng_msg *message)
{
    uint32_t pipe_id = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));
    struct connection *connection = connection_find(server, pipe_id);
    struct rpc_call *call = connection == NULL ? NULL : call_take(server);

    rpc_count(&server->counters->messages, 1);
    if (call == NULL) {
        if (connection != NULL)
            connection_release(server, connection);
        nng_msg_free(message);
        return NULL;
    }
    call->connection = connection;
    call->session = &connection->session;
    struct ca_bytes body = ca_bytes_of(nng_msg_body(message), nng_msg_len(message));
    enum ca_err err = call_read(call, body);
    call->message = message_keep(message);
    if (call->message == NULL) {
        call_give_back(server, call);
        connection_release(server, connection);
        return NULL;
    }
    if (err == CA_OK)
        err = rpc_pipeline_offer(server->pipeline, connection->caller, call);
    if (err == CA_OK)
        return NULL;
    rpc_call_refuse(call, err);
    return answer_pack(server, call);
}

/*
 * By one of nng's threads, which may be as few as the receivers, and which empty the queue that
 * answers wait in: it must not wait. When that queue is full, nothing is received.
 */
static void on_progress(void *arg)
{
    struct receiver *receiver = arg;
    struct rpc_server *server = receiver->server;
    int rv = nng_aio_result(receiver->aio);
    nng_msg *message = nng_aio_get_msg(receiver->aio); /* none, when it was sent */

    nng_aio_set_msg(receiver->aio, NULL);
    if (receiver->is_answering || rv != 0) {
        if (message != NULL)
            nng_msg_free(message);
        message = NULL;
    }
    if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
        return;
    if (message != NULL)
        message = receive(server, message);
    receiver->is_answering = message != NULL;
    if (receiver->is_answering) {
        nng_aio_set_msg(receiver->aio, message);
        nng_send_aio(server->socket, receiver->aio);
    } else {
        nng_recv_aio(server->socket, receiver->aio);
    }
}

/* ---- life */

static enum ca_err socket_open(struct rpc_server *server)
{
    size_t size_max = server->config->limits.message_size_max;

    if (size_max == 0)
        size_max = MESSAGE_SIZE_DEFAULT;
    if (size_max < MESSAGE_SIZE_FLOOR)
        size_max = MESSAGE_SIZE_FLOOR;
    enum ca_err err = rpc_nng_start();
    if (err != CA_OK)
        return err;
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
        if (nng_aio_alloc(&receiver->aio, on_progress, receiver) != 0)
            return CA_ERR_NOMEM;
        nng_recv_aio(server->socket, receiver->aio);
    }
    return CA_OK;
}

/* Before the socket is closed: nng 1.5.2 takes what is begun after that, and forgets its queue. */
static void receivers_stop(struct rpc_server *server)
{
    for (size_t i = 0; i < RECEIVERS; i++) {
        nng_aio *aio = server->receivers[i].aio;
        if (aio == NULL)
            continue;
        nng_aio_stop(aio);
        if (nng_aio_get_msg(aio) != NULL)
            nng_msg_free(nng_aio_get_msg(aio));
        nng_aio_free(aio);
    }
}

static void limits_set(struct rpc_limits *limits)
{
    if (limits->unread_octets_max == 0)
        limits->unread_octets_max = UNREAD_OCTETS_DEFAULT;
    if (limits->connections_max == 0)
        limits->connections_max = CONNECTIONS_DEFAULT;
    if (limits->uid_connections_max == 0)
        limits->uid_connections_max = UID_CONNECTIONS_DEFAULT;
}

/* What was served by whom, and when: on disk, and its head signed, before anything is served. */
static enum ca_err audit_start(struct rpc_server *server)
{
    struct ca_bytes digest = ca_bytes_of(server->config->digest, sizeof(server->config->digest));
    enum ca_err err = rpc_pipeline_audit(server->pipeline, STORE_AUDIT_STARTED, digest);

    server->is_started = err == CA_OK;
    if (err == CA_OK)
        rpc_pipeline_sign_head(server->pipeline);
    return err;
}

/* And the head that covers it. Where storage has failed there is no such record: as after a crash.
 */
static void audit_stop(struct rpc_server *server)
{
    if (!server->is_started)
        return;
    enum ca_err err =
        rpc_pipeline_audit(server->pipeline, STORE_AUDIT_STOPPED, (struct ca_bytes){ 0 });
    if (err != CA_OK)
        log_warn("the stop is not in the audit log", "code=%s", ca_err_name(err));
    rpc_pipeline_sign_head(server->pipeline);
    server->is_started = false;
}

enum ca_err rpc_server_open(const struct rpc_config *config, struct store *store,
                            struct rpc_server **server_out)
{
    struct rpc_server *server = calloc(1, sizeof(*server));

    *server_out = NULL;
    if (server == NULL)
        return CA_ERR_NOMEM;
    server->config = config;
    server->limits = config->limits;
    limits_set(&server->limits);
    pthread_mutex_init(&server->lock, NULL);
    struct rpc_outlet outlet = { answer_pack, answer_send, server };
    enum ca_err err = rpc_pipeline_open(config, store, &outlet, &server->pipeline);
    if (err == CA_OK) {
        server->counters = rpc_pipeline_counters(server->pipeline);
        err = socket_open(server);
    }
    if (err == CA_OK)
        err = receivers_start(server);
    if (err == CA_OK)
        err = audit_start(server);
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
    if (server->pipeline != NULL) {
        rpc_pipeline_drain(server->pipeline);
        audit_stop(server);
    }
    rpc_listeners_close(server->listeners);
    if (server->is_open)
        nng_msleep(LINGER_MS);
    receivers_stop(server);
    if (server->is_open)
        nng_close(server->socket);
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        while (server->connections[i] != NULL)
            connection_drop(server, server->connections[i]->pipe_id);
    }
    rpc_pipeline_close(server->pipeline);
    while (server->spare_sender_count > 0)
        nng_aio_free(server->spare_senders[--server->spare_sender_count]);
    while (server->spare_calls != NULL) {
        struct rpc_call *call = server->spare_calls;
        server->spare_calls = call->next;
        rpc_call_free(call);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/listeners.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

#include "rpc/log.h"

enum { LISTENERS_MAX = 16, LOOK_EVERY_MS = 200, PROBE_MS = 1000 };

struct rpc_listeners {
    const struct rpc_config *config;
    nng_socket socket;
    nng_listener open[LISTENERS_MAX]; /* only the thread changes these, once it runs */
    bool is_open[LISTENERS_MAX];
    uint64_t failures[LISTENERS_MAX]; /* that it is known to have got over */
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_stopping */
    pthread_cond_t stop;
    bool is_stopping;
};

static bool is_scheme(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0;
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Until callers have identities, what comes over a network must come from this machine. */
static enum ca_err check_url(const char *text)
{
    nng_url *url;

    if (is_scheme(text, "ipc://"))
        return CA_OK;
    if (!is_scheme(text, "tcp://") && !is_scheme(text, "tls+tcp://") && !is_scheme(text, "ws://"))
        return CA_ERR_CONFIG;
    if (nng_url_parse(&url, text) != 0)
        return CA_ERR_CONFIG;
    bool is_loopback = url->u_hostname != NULL && host_is_loopback(url->u_hostname);
    nng_url_free(url);
    return is_loopback ? CA_OK : CA_ERR_CONFIG;
}

static int set_tls(nng_listener listener, const char *cert_file)
{
    nng_tls_config *tls;
    int rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER);

    if (rv != 0)
        return rv;
    rv = cert_file == NULL ? NNG_EINVAL : nng_tls_config_cert_key_file(tls, cert_file, NULL);
    if (rv == 0)
        rv = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls);
    nng_tls_config_free(tls);
    return rv;
}

/* 0, or nng's code, and then there is no listener. */
static int start(struct rpc_listeners *listeners, size_t i)
{
    const struct rpc_listen *listen = &listeners->config->listens[i];
    nng_listener listener;
    int rv = nng_listener_create(&listener, listeners->socket, listen->url);

    if (rv != 0)
        return rv;
    if (is_scheme(listen->url, "ipc://"))
        rv = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS,
                                  (int)listeners->config->ipc_mode);
    if (rv == 0 && is_scheme(listen->url, "tls+tcp://"))
        rv = set_tls(listener, listen->tls_cert_file);
    if (rv == 0)
        rv = nng_listener_start(listener, 0);
    if (rv != 0) {
        nng_listener_close(listener);
        return rv;
    }
    listeners->open[i] = listener;
    listeners->is_open[i] = true;
    listeners->failures[i] = 0;
    return 0;
}

/* ---- watching */

/*
 * Accepts that ended in a way that may have ended the listener: nng 1.5 counts these under
 * "other", and every accept that went well under "accept" and then under "other".
 */
static uint64_t failures_of(nng_stat *listener)
{
    uint64_t accepted = 0, other = 0;

    for (nng_stat *stat = nng_stat_child(listener); stat != NULL; stat = nng_stat_next(stat)) {
        const char *name = nng_stat_name(stat);
        if (strcmp(name, "accept") == 0)
            accepted = nng_stat_value(stat);
        else if (strcmp(name, "other") == 0)
            other = nng_stat_value(stat);
    }
    return other > accepted ? other - accepted : 0;
}

static bool is_about(nng_stat *scope, int id)
{
    if (strncmp(nng_stat_name(scope), "listener", strlen("listener")) != 0)
        return false;
    for (nng_stat *stat = nng_stat_child(scope); stat != NULL; stat = nng_stat_next(stat)) {
        if (strcmp(nng_stat_name(stat), "id") == 0)
            return nng_stat_value(stat) == (uint64_t)id;
    }
    return false;
}

static uint64_t failures(nng_stat *stats, nng_listener listener)
{
    for (nng_stat *scope = nng_stat_child(stats); scope != NULL; scope = nng_stat_next(scope)) {
        if (is_about(scope, nng_listener_id(listener)))
            return failures_of(scope);
    }
    return 0;
}

static int dial(nng_socket probe, const char *url)
{
    nng_dialer dialer;
    int rv = nng_dialer_create(&dialer, probe, url);

    if (rv == 0 && is_scheme(url, "tls+tcp://")) {
        nng_tls_config *tls;
        rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_CLIENT);
        if (rv == 0) {
            nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_NONE); /* it is ourselves */
            rv = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
            nng_tls_config_free(tls);
        }
    }
    return rv == 0 ? nng_dialer_start(dialer, NNG_FLAG_NONBLOCK) : rv;
}

/* Does it still answer who comes? A deaf one greets, and reads no request. */
static bool is_answering(const char *url)
{
    static const uint8_t health[] = { 0x08, 0x01, 0x7a, 0x00 }; /* version 1, a HealthRequest */
    nng_socket probe;
    nng_msg *message = NULL;

    if (nng_req0_open(&probe) != 0)
        return true; /* nothing is known: not a reason to close anything */
    int rv = nng_socket_set_ms(probe, NNG_OPT_SENDTIMEO, PROBE_MS);
    if (rv == 0)
        rv = nng_socket_set_ms(probe, NNG_OPT_RECVTIMEO, PROBE_MS);
    if (rv == 0)
        rv = dial(probe, url);
    if (rv == 0)
        rv = nng_msg_alloc(&message, 0);
    if (rv == 0)
        rv = nng_msg_append(message, health, sizeof(health));
    if (rv == 0 && (rv = nng_sendmsg(probe, message, 0)) == 0) {
        message = NULL;
        rv = nng_recvmsg(probe, &message, 0);
    }
    if (message != NULL)
        nng_msg_free(message);
    nng_close(probe);
    return rv == 0;
}

static bool is_deaf(struct rpc_listeners *listeners, size_t i, nng_stat *stats)
{
    uint64_t count = failures(stats, listeners->open[i]);

    if (count <= listeners->failures[i])
        return false;
    if (is_answering(listeners->config->listens[i].url)) {
        listeners->failures[i] = count; /* it got over these */
        return false;
    }
    return true;
}

static void look_at(struct rpc_listeners *listeners, size_t i, nng_stat *stats)
{
    const char *url = listeners->config->listens[i].url;
    bool was_open = listeners->is_open[i];

    if (was_open && !is_deaf(listeners, i, stats))
        return;
    if (was_open)
        nng_listener_close(listeners->open[i]);
    listeners->is_open[i] = false;
    int rv = start(listeners, i);
    if (rv == 0)
        log_info("listening again", "url=%s", url);
    else if (was_open) /* told once, and tried again at every look */
        log_error("cannot listen", "url=%s reason=\"%s\"", url, nng_strerror(rv));
}

static void look(struct rpc_listeners *listeners)
{
    nng_stat *stats;

    if (nng_stats_get(&stats) != 0)
        return;
    for (size_t i = 0; i < listeners->config->listen_count; i++)
        look_at(listeners, i, stats);
    nng_stats_free(stats);
}

static void *watch(void *arg)
{
    struct rpc_listeners *listeners = arg;

    pthread_mutex_lock(&listeners->lock);
    while (!listeners->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_EVERY_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&listeners->stop, &listeners->lock, &until);
        if (listeners->is_stopping)
            break;
        pthread_mutex_unlock(&listeners->lock);
        look(listeners);
        pthread_mutex_lock(&listeners->lock);
    }
    pthread_mutex_unlock(&listeners->lock);
    return NULL;
}

/* ---- life */

static enum ca_err start_all(struct rpc_listeners *listeners)
{
    for (size_t i = 0; i < listeners->config->listen_count; i++) {
        const char *url = listeners->config->listens[i].url;
        if (check_url(url) != CA_OK) {
            log_error("cannot listen: not ipc, and not on loopback", "url=%s", url);
            return CA_ERR_CONFIG;
        }
        int rv = start(listeners, i);
        if (rv != 0) {
            log_error("cannot listen", "url=%s reason=\"%s\"", url, nng_strerror(rv));
            return CA_ERR_TRANSPORT;
        }
    }
    return CA_OK;
}

enum ca_err rpc_listeners_open(const struct rpc_config *config, nng_socket socket,
                               struct rpc_listeners **listeners_out)
{
    struct rpc_listeners *listeners = calloc(1, sizeof(*listeners));

    *listeners_out = NULL;
    if (listeners == NULL)
        return CA_ERR_NOMEM;
    listeners->config = config;
    listeners->socket = socket;
    pthread_mutex_init(&listeners->lock, NULL);
    pthread_cond_init(&listeners->stop, NULL);
    enum ca_err err = config->listen_count > LISTENERS_MAX ? CA_ERR_CONFIG : start_all(listeners);
    if (err == CA_OK && pthread_create(&listeners->thread, NULL, watch, listeners) != 0)
        err = CA_ERR_NOMEM;
    listeners->has_thread = err == CA_OK;
    if (err != CA_OK) {
        rpc_listeners_close(listeners);
        return err;
    }
    *listeners_out = listeners;
    return CA_OK;
}

void rpc_listeners_close(struct rpc_listeners *listeners)
{
    if (listeners == NULL)
        return;
    if (listeners->has_thread) {
        pthread_mutex_lock(&listeners->lock);
        listeners->is_stopping = true;
        pthread_cond_signal(&listeners->stop);
        pthread_mutex_unlock(&listeners->lock);
        pthread_join(listeners->thread, NULL);
    }
    pthread_cond_destroy(&listeners->stop);
    pthread_mutex_destroy(&listeners->lock);
    free(listeners);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: asks a running certmilld. Messages are those of rpc/certmill.proto.
 *
 * One thread owns a client. Several requests may be in flight; answers come in any order.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"
#include "rpc/certmill.pb-c.h"

struct rpc_client;

enum {
    RPC_CLIENT_IN_FLIGHT_MAX = 64
}; /* more could overrun the server's answer queue per connection */

/* url: ipc://PATH, tcp://HOST:PORT, tls+tcp://HOST:PORT or ws://HOST:PORT/PATH. Does not wait for
 * the server. */
struct rpc_client_options {
    uint32_t timeout_ms;     /* for one request; 0: 30 000 */
    const char *tls_ca_file; /* PEM, for tls+tcp: whom to trust */
    /*
     * Told of each signed head of the audit log that an answer brings and that is above those
     * before it, before the answer is handed out; by who asks or calls next. Who keeps the heads is
     * a witness: docs/PROTOCOL.md, Signed heads. Nobody has checked them. NULL: nobody keeps them.
     */
    void (*on_head)(void *arg, const Certmill__SignedHead *head);
    void *arg;
};
CA_MUST_CHECK enum ca_err rpc_client_open(const char *url, const struct rpc_client_options *options,
                                          struct rpc_client **client_out);
void rpc_client_close(struct rpc_client *client);

/*
 * Asks and waits. TRANSPORT, TIMEOUT, MESSAGE_MALFORMED (the answer cannot be read). After TIMEOUT
 * ask again with the same request id. The answer is freed with
 * certmill__answer__free_unpacked(answer, NULL).
 */
CA_MUST_CHECK enum ca_err rpc_client_ask(struct rpc_client *client,
                                         const Certmill__Request *request,
                                         Certmill__Answer **answer_out);

/* Starts one; BUSY when RPC_CLIENT_IN_FLIGHT_MAX are. packed is copied. tag comes back with the
 * answer. */
CA_MUST_CHECK enum ca_err rpc_client_start(struct rpc_client *client, struct ca_bytes packed,
                                           uint64_t tag);
struct rpc_client_reply {
    uint64_t tag;
    enum ca_err err; /* CA_OK, TRANSPORT, TIMEOUT */
    struct ca_bytes
        packed; /* a Certmill__Answer; valid until the next call of start, next or close */
};
/* Waits for any of those started; NOT_FOUND when none is in flight. */
CA_MUST_CHECK enum ca_err rpc_client_next(struct rpc_client *client,
                                          struct rpc_client_reply *reply_out);

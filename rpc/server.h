/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the daemon without its main(): listens, answers, stops.
 *
 * Everything in struct rpc_config is borrowed and const until the server is closed. The
 * server's threads are started by open and joined by close. It logs through rpc/log.h.
 */
#pragma once

#include "ca/keys/keys.h"
#include "ca/rules/issue.h"
#include "store/store.h"

enum {
    RPC_CHAIN_MAX = 8,
    RPC_PROFILE_MAX = 64,
    RPC_CA_MAX = 64,
    RPC_BATCH_MAX = 256,
    RPC_WORKERS_MAX = 64
};

/* When the CRLs of a CA are made: rpc/crl_plan.h. */
struct rpc_crl_schedule {
    uint32_t validity_s; /* from thisUpdate to nextUpdate */
    uint32_t overlap_s;  /* made anew so long before nextUpdate; below the validity */
    uint32_t interval_s; /* or so long after thisUpdate, if that is earlier; 0: never for that */
    uint32_t delta_s;    /* a delta list so long after the one before; 0: none */
    uint32_t delta_validity_s; /* above delta_s */
};

/* One CA that issues here. */
struct rpc_ca {
    struct rules_issuer issuer;
    struct keys_signer *signer;
    struct ca_bytes chain[RPC_CHAIN_MAX]; /* DER, its own certificate first */
    size_t chain_count;
    struct rpc_crl_schedule crl;
};

struct rpc_profile {
    struct rules_profile rules;
    size_t ca; /* index: who issues unless the caller names another */
};

/* The daemon's clock, microseconds since 1970; a seam for tests. */
struct rpc_clock {
    uint64_t (*now_us)(void *arg);       /* wall clock */
    uint64_t (*monotonic_us)(void *arg); /* never jumps: what the wall clock is held against */
    void *arg;
};

struct rpc_limits {
    size_t message_size_max;  /* octets of one message; default 1 MiB */
    size_t queue_items_max;   /* items waiting before BUSY; default 4096 */
    size_t caller_items_max;  /* items of one connection in the engine before BUSY; default 2048 */
    size_t act_items_max;     /* acts waiting before BUSY, beside those; default 4096 */
    size_t queue_octets_max;  /* octets of requests in the engine before BUSY, and as many of acts;
                                 default 64 MiB */
    size_t caller_octets_max; /* of one connection; default 32 MiB */
    size_t unread_octets_max; /* octets of answers that one uid's connections do not read, before
                                 more are dropped; of one connection a quarter; default 32 MiB */
    size_t connections_max;   /* open; those without a uid have half, operators more; default 512 */
    size_t uid_connections_max; /* of them of one uid; default 128 */
    size_t batch_items_max; /* items prepared or signed together, up to RPC_BATCH_MAX; default 64 */
    size_t worker_count;    /* threads that prepare and sign, up to 64; 0: one per processor */
};

struct rpc_listen {
    const char *url;           /* ipc://, tcp://, tls+tcp://, ws:// */
    const char *tls_cert_file; /* PEM with certificate and key, for tls+tcp */
};

/* Who signs the heads of the audit log, and how often at most. */
struct rpc_audit {
    struct keys_signer *signer; /* Ed25519; it signs nothing else: ca/keys/head.h */
    uint32_t interval_ms;       /* 0: 1000 */
};

struct rpc_config {
    const struct rpc_ca *cas;
    size_t ca_count;
    const struct rpc_profile *profiles;
    size_t profile_count;
    struct rules_blocked_keys blocked;
    const struct crypto *crypto;   /* whose tables all threads share; NULL: they make their own */
    const struct rpc_audit *audit; /* NULL: heads of the audit log are not signed */
    const char *crl_path;          /* folder the CRLs are published in; NULL: none are made */
    const struct rpc_listen *listens;
    size_t listen_count;
    uint32_t ipc_mode;        /* file mode of ipc sockets: 0600 or 0660 */
    const uint32_t *ipc_uids; /* who may ask over ipc, besides root and the daemon's own uid */
    size_t ipc_uid_count;
    struct rpc_limits limits;    /* zeros: the defaults */
    struct rpc_clock clock;      /* NULL functions: the system's */
    uint64_t clock_tolerance_us; /* how far the wall clock may go back, or jump against the
                                    monotonic one */
    uint8_t digest[32];          /* of the configuration, for the audit record of the start */
};

struct rpc_server;

/* Listening when it answers CA_OK. tcp, tls+tcp and ws are refused off loopback (CONFIG). */
CA_MUST_CHECK enum ca_err rpc_server_open(const struct rpc_config *config, struct store *store,
                                          struct rpc_server **server_out);
/* Takes no more requests, finishes and commits those in the engine, answers them. */
void rpc_server_drain(struct rpc_server *server);
void rpc_server_close(struct rpc_server *server); /* drains first, if that was not done */

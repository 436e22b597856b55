/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: a certmilld of its own in a temporary directory, and requests for it. */
#pragma once

#include <sys/types.h>

#include "ca/base/arena.h"
#include "ca/crypto/crypto.h"
#include "rpc/client.h"
#include "store/store.h"

enum { DAEMON_CSRS = 8 };

struct daemon {
    char dir[64];
    char url[160];
    pid_t pid;    /* 0: not running */
    int ready_fd; /* while it starts */
    struct ca_arena *arena;
    struct ca_bytes csrs[DAEMON_CSRS]; /* P-256, CN and wished name are those of names */
    char names[DAEMON_CSRS][32];
};

/* Makes the instance with certmill init. Not started. */
void daemon_make(struct daemon *daemon);
/* Writes profiles/NAME.conf and lists it in the configuration. */
void daemon_add_profile(const struct daemon *daemon, const char *name, const char *text);
/* Begins to start, and waits until it is ready. It ends with the thread that started it, too. */
void daemon_spawn(struct daemon *daemon);
void daemon_wait_ready(struct daemon *daemon);
static inline void daemon_start(struct daemon *daemon)
{
    daemon_spawn(daemon);
    daemon_wait_ready(daemon);
}
void daemon_kill(struct daemon *daemon); /* kill -9 */
void daemon_stop(struct daemon *daemon); /* SIGTERM, and it must end well */
void daemon_unmake(struct daemon *daemon);

/* Everything on disk is sound. The daemon does not run. */
void daemon_check_store(const struct daemon *daemon, struct store_info *info_out);

/* An item of an issue request, for the profile tls-server and csrs[csr]. */
struct daemon_item {
    Certmill__IssueItem item;
    Certmill__AltName name;
    Certmill__AltName *names[1];
};
void daemon_item(const struct daemon *daemon, struct daemon_item *item, const char *request_id,
                 size_t csr);

struct rpc_client *daemon_connect(const struct daemon *daemon, uint32_t timeout_ms);
/* Asks and waits; the daemon must answer. Free with certmill__answer__free_unpacked(). */
Certmill__Answer *daemon_ask(struct rpc_client *client, Certmill__Request *request);
Certmill__Answer *daemon_issue(struct rpc_client *client, Certmill__IssueItem **items,
                               size_t count);
Certmill__Answer *daemon_get(struct rpc_client *client, ProtobufCBinaryData *serials, size_t count);
/* The CA's CRL, now: none is made, and recorded, for itself in the next hour. */
void daemon_make_crl(struct rpc_client *client);
/* One of the daemon's statistics. */
uint64_t daemon_counter(struct rpc_client *client, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: who asks, and may they?
 *
 * Over ipc the kernel tells the peer's uid; other transports are open on loopback only
 * and tell nothing. Signed log-ins and roles will take their place here: every request passes
 * rpc_session_check() with its method before any service function sees it.
 */
#pragma once

#include "rpc/server.h"

enum { RPC_ACTOR_LEN_MAX = 32 };

/* Owners that are no uid: all whom the transport tells no uid, and all uids that may not ask. */
#define RPC_OWNER_LOOPBACK  UINT64_MAX
#define RPC_OWNER_STRANGERS (UINT64_MAX - 1)

/* One connection. */
struct rpc_session {
    char actor[RPC_ACTOR_LEN_MAX]; /* "uid:1000", "loopback": goes into audit records and request
                                      keys */
    uint64_t owner;                /* whose limits it shares: its uid, or one of the above */
    bool is_allowed;
    bool is_operator; /* root, or the daemon's own uid: always let in */
};

/* has_uid is false where the transport cannot tell. */
void rpc_session_init(struct rpc_session *session, const struct rpc_config *config, bool has_uid,
                      uint64_t uid);
/* May it ask this (a Certmill__Request's method case)? */
CA_MUST_CHECK enum ca_err rpc_session_check(const struct rpc_session *session, int method);

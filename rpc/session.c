/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "rpc/certmill.pb-c.h"

static bool uid_is_listed(const struct rpc_config *config, uint64_t uid)
{
    for (size_t i = 0; i < config->ipc_uid_count; i++) {
        if (config->ipc_uids[i] == uid)
            return true;
    }
    return false;
}

void rpc_session_init(struct rpc_session *session, const struct rpc_config *config, bool has_uid,
                      uint64_t uid)
{
    memset(session, 0, sizeof(*session));
    if (has_uid) {
        snprintf(session->actor, sizeof(session->actor), "uid:%" PRIu64, uid);
        session->is_operator = uid == 0 || uid == getuid();
        session->is_allowed = session->is_operator || uid_is_listed(config, uid);
        session->owner = session->is_allowed ? uid : RPC_OWNER_STRANGERS;
    } else {
        snprintf(session->actor, sizeof(session->actor), "loopback");
        session->owner = RPC_OWNER_LOOPBACK;
        session->is_allowed = true; /* such listeners are bound to loopback: rpc_server_open() */
    }
}

enum ca_err rpc_session_check(const struct rpc_session *session, int method)
{
    if (method == CERTMILL__REQUEST__METHOD__NOT_SET)
        return CA_ERR_METHOD_UNKNOWN;
    return session->is_allowed ? CA_OK : CA_ERR_DENIED;
}

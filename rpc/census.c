/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/census.h"

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ca/base/text.h"

static bool is_listening(int fd)
{
    int is_listening;
    socklen_t len = sizeof(is_listening);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) == 0 && is_listening;
}

static bool is_hung_up(int fd)
{
    struct pollfd poll_fd = { .fd = fd };

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0;
}

/* Whose connection this is; false for everything else, such as the pairs to the signer. */
static bool session_of(const struct rpc_config *config, int fd, struct rpc_session *session_out)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_storage largest;
    } name = { 0 };
    socklen_t len = sizeof(name);
    struct ucred peer;

    if (getsockname(fd, &name.any, &len) != 0)
        return false;
    if (name.any.sa_family == AF_INET || name.any.sa_family == AF_INET6) {
        rpc_session_init(session_out, config, false, 0);
        return true;
    }
    if (name.any.sa_family != AF_UNIX || len <= sizeof(name.local.sun_family))
        return false;
    len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    rpc_session_init(session_out, config, true, peer.uid);
    return true;
}

bool rpc_census_take(const struct rpc_config *config, uint64_t owner, struct rpc_census *census_out)
{
    DIR *fds = opendir("/proc/self/fd");
    struct rpc_session session;
    uint64_t fd;

    *census_out = (struct rpc_census){ 0 };
    if (fds == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        if (!ca_text_to_number(entry->d_name, 0, INT32_MAX, &fd))
            continue;
        if (is_listening((int)fd) || !session_of(config, (int)fd, &session) || is_hung_up((int)fd))
            continue;
        census_out->all += !session.is_operator;
        census_out->owned += session.owner == owner;
    }
    closedir(fds);
    return true;
}

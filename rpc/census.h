/* SPDX-License-Identifier: Apache-2.0 */
/*
 * census: how many connections this process has in truth.
 *
 * nng 1.5 may keep a connection for ever that its peer has closed: when that happens between two
 * parts of a message, the thread that ends connections waits for the second one (nng issue 616),
 * and no connection is ended any more. Such ones must not take the places of others. The kernel is
 * asked, descriptor by descriptor: about a millisecond for a thousand; only where a limit seems to
 * be reached.
 */
#pragma once

#include <stddef.h>

#include "rpc/session.h"

struct rpc_census {
    size_t all;   /* without operators' */
    size_t owned; /* of this owner */
};

/* Sockets that somebody else is at the other end of. False: it cannot be told. */
bool rpc_census_take(const struct rpc_config *config, uint64_t owner,
                     struct rpc_census *census_out);

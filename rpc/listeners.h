/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners: the addresses of the daemon, kept open.
 *
 * A listener of nng 1.5 ends for good when a peer closes its connection before the two have
 * greeted each other (nng issue 1518), which any port scanner does. Five times a second a thread
 * looks whether that may have happened; if then a request of its own over the address is not
 * answered within a second, it is opened again. What was connected through it is closed by that,
 * and its requests are to be asked again.
 */
#pragma once

#include <nng/nng.h>

#include "rpc/server.h"

struct rpc_listeners;

/* CONFIG for an address that is neither ipc nor on loopback, TRANSPORT if one cannot be opened. */
CA_MUST_CHECK enum ca_err rpc_listeners_open(const struct rpc_config *config, nng_socket socket,
                                             struct rpc_listeners **listeners_out);
/* Ends the thread; the listeners close with their socket. */
void rpc_listeners_close(struct rpc_listeners *listeners);

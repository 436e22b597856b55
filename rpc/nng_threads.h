/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nng_threads: how the threads of nng are scheduled, in a daemon and in a client alike.
 */
#pragma once

#include "ca/base/err.h"

/*
 * Starts nng's threads, which hand every message to each other several times, under SCHED_BATCH:
 * one that is woken then waits for its processor, rather than taking it from the one that woke it,
 * which still holds the lock that both want. With few messages on their way, nng otherwise takes
 * nearly twice the processor time for each. Before anything else of nng, or it changes nothing; the
 * calling thread keeps its own policy, and if that is not SCHED_OTHER, nng's threads have it, too.
 * By any thread, and before that thread does anything else with nng. NOMEM.
 */
CA_MUST_CHECK enum ca_err rpc_nng_start(void);

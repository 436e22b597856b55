/* SPDX-License-Identifier: Apache-2.0 */
/* instance: a CA in a temporary directory, and callers that ask its pipeline without a network. */
#pragma once

#include "ca/base/arena.h"
#include "rpc/pipeline.h"

enum { INSTANCE_CAS = 2 };

struct instance {
    char dir[64];
    struct ca_arena *arena; /* what the tests borrow from */
    struct store_options store_options;
    struct store *store;
    struct rpc_ca cas[INSTANCE_CAS];
    struct rpc_profile profiles[1];
    struct rpc_config config;
    struct rpc_pipeline *pipeline;
    struct crypto *crypto;
    _Atomic uint64_t wall_us, monotonic_us; /* its clocks; 0: the system's */
};

/* CAs "root" (of the given type) and "second" (P-256), profile "test": CN required from the request
 * or caller, O optional; renewed, replaced, changed, held and revoked at will, with any key. Not
 * started: config may still be changed. */
void instance_make(struct instance *instance, enum crypto_key_type type);
void instance_start(struct instance *instance);
/* Stops the pipeline and closes the store; instance_start() opens both again. */
void instance_stop(struct instance *instance);
void instance_unmake(struct instance *instance);

/* Once, in a thread of the pipeline that is about to send an answer. */
extern void (*_Atomic instance_while_sending)(void);

/* A request of its own new key, with this CN. Lives in the instance's arena. */
struct ca_bytes instance_csr(struct instance *instance, enum crypto_key_type type, const char *cn);

/* The same of this key; and a signature by it, as its certificate's holder would make one. */
struct ca_bytes instance_csr_of(struct instance *instance, const struct crypto_private_key *key,
                                const char *cn);
struct ca_bytes instance_sign(struct instance *instance, const struct crypto_private_key *key,
                              struct ca_bytes message);

/* An item asking for "test"; request_id and csr are borrowed. */
void instance_item(Certmill__IssueItem *item, const char *request_id, struct ca_bytes csr);
/* An act on what has this number; borrowed as well. */
void instance_act_item(Certmill__ActItem *item, const char *request_id, Certmill__Act act,
                       struct ca_bytes serial);

/* Asks and waits. Free the answer with certmill__answer__free_unpacked(). */
Certmill__Answer *instance_ask(struct instance *instance, const Certmill__Request *request);
/* Asks for these items in one message. */
Certmill__Answer *instance_issue(struct instance *instance, Certmill__IssueItem **items,
                                 size_t count);

Certmill__Answer *instance_act(struct instance *instance, Certmill__ActItem **items, size_t count);
Certmill__Answer *instance_get(struct instance *instance, struct ca_bytes serial);
/* What store_check() says of all that is on disk; the instance is running. */
enum ca_err instance_check(struct instance *instance);

/* Several calls at once: start, then wait for all. */
struct asker;
struct asker *instance_ask_begin(struct instance *instance, const Certmill__Request *request);
/* The same by a caller that lives longer. */
struct asker *instance_ask_begin_as(struct instance *instance, struct rpc_caller *caller,
                                    const Certmill__Request *request);
/* How many were answered before it, of all; waits. */
size_t instance_ask_place(struct asker *asker);
Certmill__Answer *instance_ask_end(struct asker *asker);

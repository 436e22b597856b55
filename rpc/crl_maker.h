/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_maker: one CRL, from the stored entries to the published file and its record.
 *
 *   number (committed) → view → clock → entries, signature, gate, file → record → what had ended
 *                                                                         leaves the list
 *
 * A crash anywhere uses a number up and never gives one twice; the published file is whole
 * whatever happens. No threads and no schedule: rpc/crl_keeper.h. One thread at a time.
 */
#pragma once

#include <stdatomic.h>

#include "rpc/clock.h"
#include "rpc/crl_plan.h"
#include "store/crl_file.h"

struct rpc_crl_maker;

/* What a maker works with; borrowed. */
struct rpc_crl_desk {
    struct store *store;
    struct rpc_clock_guard *clock;
    const struct crypto *crypto; /* whose tables it shares; may be NULL */
    const char *folder;          /* of the published lists */
    /* Runs put within a transaction and answers when that is on disk: rpc_pipeline_write(). */
    enum ca_err (*write)(void *arg, enum ca_err (*put)(void *arg, struct store_batch *batch),
                         void *put_arg);
    void *write_arg;
    const atomic_bool *is_stopping; /* ends the work with STOPPING; may be NULL */
};
CA_MUST_CHECK enum ca_err rpc_crl_maker_open(const struct rpc_crl_desk *desk,
                                             struct rpc_crl_maker **maker_out);
void rpc_crl_maker_close(struct rpc_crl_maker *maker);

struct rpc_crl_order {
    const struct rpc_ca *ca;
    const struct crypto_own_key *own; /* of that CA */
    struct store_scope scope;
    enum rpc_crl_kind kind; /* a delta list becomes a complete one where it cannot be made */
    struct ca_bytes actor;  /* for the audit record */
};

struct rpc_crl_made {
    enum rpc_crl_kind kind;
    struct store_crl record;
    struct rules_crl_difference difference; /* to the list of its kind published before */
};

/*
 * CLOCK; BUSY, TIMEOUT, KEY_UNUSABLE and the like from the signer; CRL_GATE and SIGNATURE_WRONG:
 * not published; STORAGE, STORAGE_FULL, NOT_FOUND (the folder), DENIED; STOPPING. On an error
 * the list before is still the published one, but for STORAGE: then nobody knows until the next
 * start.
 */
CA_MUST_CHECK enum ca_err rpc_crl_make(struct rpc_crl_maker *maker,
                                       const struct rpc_crl_order *order,
                                       struct rpc_crl_made *made_out, struct ca_refusal *refusal);
/*
 * Lets go of what the last list replaced, and so of room on the disk: after everybody
 * has been told, since that takes a tenth of the time that a list takes. The next list and close
 * do it, too.
 */
void rpc_crl_maker_rest(struct rpc_crl_maker *maker);

/*
 * Sees to it that there is room for the next list of this kind when the disk is full, and for all
 * the entries there are now: store_reserve_keep(), whose answers these are.
 */
CA_MUST_CHECK enum ca_err rpc_crl_keep_reserve(struct rpc_crl_maker *maker,
                                               const struct rpc_crl_order *order,
                                               bool *has_room_out);

/*
 * Is the published file the recorded list, to the octet? NOT_FOUND: there is none; CRL_UNKNOWN: it
 * is another one, or damaged.
 */
CA_MUST_CHECK enum ca_err rpc_crl_inspect(const char *path, const struct store_crl *record);

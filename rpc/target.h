/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target: a certificate, or an intent without a result, that something is to become of: its state,
 * its line, and changing them.
 *
 * What is read comes from a view, or in the writer's transaction from that as it stands: the same
 * question is asked twice, by a worker to prepare and by the writer to decide.
 */
#pragma once

#include "ca/rules/life.h"
#include "store/store.h"

struct rpc_target {
    struct ca_serial serial;
    struct store_scope scope;
    int64_t not_before_s; /* 0 for an intent: not known */
    int64_t not_after_s;
    uint64_t lineage;         /* locator of the first of its line */
    struct store_member self; /* as issued */
    bool is_intent;
};
struct rpc_target rpc_target_of(const struct store_certificate *record);
struct rpc_target rpc_target_of_intent(const struct store_intent *record);

/* One of the two is NULL. */
struct rpc_source {
    struct store_view *view;
    struct store_batch *batch;
};

/* What a rule needs to know to decide on an act: VALID when nothing is stored. */
CA_MUST_CHECK enum ca_err rpc_target_standing(const struct rpc_source *source,
                                              const struct rpc_target *target,
                                              struct rules_standing *standing_out);
/* CERT_REVOKED if it is; for what is not to be gone on with then. */
CA_MUST_CHECK enum ca_err rpc_target_check(const struct rpc_source *source,
                                           const struct rpc_target *target,
                                           struct ca_refusal *refusal);
/* Alone in it while nothing follows upon it. */
CA_MUST_CHECK enum ca_err rpc_target_line(const struct rpc_source *source,
                                          const struct rpc_target *target,
                                          struct store_line *line_out);
/* NULL when there is none with that locator. */
const struct store_member *rpc_line_find(const struct store_line *line, uint64_t locator);
/* The claim of whoever makes a certificate that follows upon one of this line. */
struct store_digest rpc_line_digest(uint64_t lineage);

enum store_state rpc_store_state(enum rules_state state);
enum rules_state rpc_rules_state(enum store_state state);

/* Who wants it, when, and by which request. */
struct rpc_wish {
    struct ca_bytes actor;
    uint64_t now_us;
    struct store_digest request, body; /* zeros: a consequence of something else */
};
/* In the writer's transaction; the audit record is of the new state. */
CA_MUST_CHECK enum ca_err rpc_target_put(struct store_batch *batch, const struct rpc_target *target,
                                         enum rules_state old_state,
                                         const struct rules_standing *standing,
                                         const struct rpc_wish *wish);
/*
 * Revoked because of what became of another certificate, whatever its profile lets callers ask for.
 * One that is revoked already, or has ended, stays as it is.
 */
CA_MUST_CHECK enum ca_err rpc_target_end(struct store_batch *batch, const struct rpc_target *target,
                                         const struct rules_fate *fate, const struct rpc_wish *wish,
                                         bool *is_changed_out);

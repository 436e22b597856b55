/* SPDX-License-Identifier: Apache-2.0 */
/*
 * succeed: the old certificate's side of issuing one that follows upon it.
 *
 * prepare finds the old one and asks the rules; reserve asks them again in the writer's
 * transaction and takes a claim on the line, so that of two operations racing for one head exactly
 * one wins; record lets happen what was to become of the old one. The claim is held from the
 * intent to the certificate, and by an intent without a result until that is asked for again or
 * revoked.
 */
#pragma once

#include "rpc/issue.h"
#include "rpc/target.h"

struct rpc_succession {
    struct rpc_target old;
    struct x509_cert cert;   /* the old one, parsed; its octets are the batch's */
    struct store_digest key; /* the old one's */
    struct rules_successor asked;
    struct store_digest line; /* what is claimed */
    struct rules_fate fate;
    bool reuses_key;                                /* the old one's */
    const struct crypto_verification *verification; /* of the old key's signature; NULL: none */
};

/* Does what was sent of the old certificate fit the operation? */
CA_MUST_CHECK enum ca_err rpc_succeed_check(const Certmill__IssueItem *asked,
                                            struct ca_refusal *refusal);
/*
 * Before the draft, in the worker's view: finds the old certificate and asks the rules. Sets
 * item->succession, and the line of the item's record. Nothing to do for a NEW one.
 */
CA_MUST_CHECK enum ca_err rpc_succeed_admit(struct rpc_worker *worker, struct rpc_issue *item,
                                            int64_t issued_s);
/* After the draft: what becomes of the old one, and whether the new one is waited for. */
CA_MUST_CHECK enum ca_err rpc_succeed_compare(struct rpc_issue *item,
                                              const struct rules_draft *draft,
                                              const struct x509_csr *csr, int64_t issued_s);
/* Is the old key's signature to be verified? Then fills in the verification. */
bool rpc_succeed_wants(struct rpc_issue *item, const struct x509_csr *csr,
                       struct crypto_verification *verification_out);
/* After it was verified. */
CA_MUST_CHECK enum ca_err rpc_succeed_verified(struct rpc_issue *item);

/* ---- in the writer's transaction */

/* May it be reserved, as things stand now? view is the writer's. */
CA_MUST_CHECK enum ca_err rpc_succeed_decide(struct rpc_engine *engine, struct store_batch *batch,
                                             struct store_view *view, struct rpc_issue *item);
/* Can be read what is to be changed with the certificate? Before that is put. */
CA_MUST_CHECK enum ca_err rpc_succeed_check_old(struct store_batch *batch,
                                                const struct rpc_issue *item);
/* With the intent, once that is put; with the certificate, once that is. */
CA_MUST_CHECK enum ca_err rpc_succeed_reserved(struct rpc_engine *engine, struct store_batch *batch,
                                               const struct rpc_issue *item);
CA_MUST_CHECK enum ca_err rpc_succeed_recorded(struct rpc_engine *engine, struct store_batch *batch,
                                               const struct rpc_issue *item);

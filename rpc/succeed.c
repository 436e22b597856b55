/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/succeed.h"

/* ---- what was asked */

enum ca_err rpc_succeed_check(const Certmill__IssueItem *asked, struct ca_refusal *refusal)
{
    bool is_new = asked->operation == CERTMILL__OPERATION__OPERATION_NEW;

    if ((unsigned)asked->operation > CERTMILL__OPERATION__OPERATION_CHANGE)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "operation", "protocol");
    if ((unsigned)asked->cause > CERTMILL__CAUSE__CAUSE_DAMAGED)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "cause", "protocol");
    if (is_new && asked->predecessor.len > 0)
        return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, "predecessor", "protocol");
    if (is_new && asked->old_key_signature.len > 0)
        return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, "old_key_signature", "protocol");
    if (is_new && (asked->cause != CERTMILL__CAUSE__CAUSE_NONE || asked->lost_at != 0))
        return ca_refuse(refusal, CA_ERR_CAUSE, "cause", "only with a replacement");
    if (!is_new && asked->predecessor.len == 0)
        return ca_refuse(refusal, CA_ERR_FIELD_REQUIRED, "predecessor", "protocol");
    if (asked->old_key_signature.len > CA_SIGNATURE_LEN_MAX)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "old_key_signature", "protocol");
    return CA_OK;
}

static struct rules_successor successor_of(const Certmill__IssueItem *asked)
{
    static const enum rules_operation operations[] = {
        [CERTMILL__OPERATION__OPERATION_NEW] = RULES_NEW,
        [CERTMILL__OPERATION__OPERATION_RENEW] = RULES_RENEW,
        [CERTMILL__OPERATION__OPERATION_REPLACE] = RULES_REPLACE,
        [CERTMILL__OPERATION__OPERATION_CHANGE] = RULES_CHANGE,
    };
    static const enum rules_cause causes[] = {
        [CERTMILL__CAUSE__CAUSE_NONE] = RULES_CAUSE_NONE,
        [CERTMILL__CAUSE__CAUSE_LOST] = RULES_CAUSE_LOST,
        [CERTMILL__CAUSE__CAUSE_DAMAGED] = RULES_CAUSE_DAMAGED,
    };

    return (struct rules_successor){
        .operation = operations[asked->operation],
        .cause = causes[asked->cause],
        .lost_s = asked->lost_at,
        .old_key_signature = rpc_bytes(asked->old_key_signature),
    };
}

static enum store_operation store_operation_of(enum rules_operation operation)
{
    switch (operation) {
    case RULES_RENEW: return STORE_RENEW;
    case RULES_REPLACE: return STORE_REPLACE;
    case RULES_CHANGE: return STORE_CHANGE;
    default: return STORE_NEW;
    }
}

/* ---- the old certificate as it stands */

/* An intent holds its line; one that was revoked, or never reached the disk, does not. */
static enum ca_err intent_is_live(const struct rpc_source *source, struct store_view *view,
                                  const struct ca_serial *serial, bool *is_live_out)
{
    struct store_intent intent;
    struct rules_standing standing;
    enum ca_err err = store_find_intent(view, serial, &intent);

    *is_live_out = false;
    if (err != CA_OK)
        return err == CA_ERR_NOT_FOUND ? CA_OK : err;
    const struct rpc_target target = rpc_target_of_intent(&intent);
    err = rpc_target_standing(source, &target, &standing);
    *is_live_out = standing.state != RULES_STATE_REVOKED;
    return err;
}

static bool is_of(const struct rpc_claim *claim, const struct rpc_issue *item)
{
    return ca_bytes_equal(ca_serial_bytes(&claim->serial), ca_serial_bytes(&item->record.serial));
}

/* UNKNOWN: by this very request, asked twice at once. */
static enum ca_err line_is_claimed(struct rpc_engine *engine, const struct rpc_source *source,
                                   struct store_view *view, const struct rpc_issue *item,
                                   bool *is_claimed_out)
{
    const struct store_digest *digests[] = { &item->succession->line, &item->record.request };
    struct rpc_claim claims[2];

    *is_claimed_out = false;
    rpc_claims_find(engine->claims, digests, 2, claims);
    if (claims[1].state == RPC_CLAIM_PENDING && !item->asked->dry_run)
        return CA_ERR_UNKNOWN;
    if (claims[0].state == RPC_CLAIM_ORPHAN && !is_of(&claims[0], item))
        return intent_is_live(source, view, &claims[0].serial, is_claimed_out);
    *is_claimed_out = claims[0].state == RPC_CLAIM_PENDING;
    return CA_OK;
}

/* A certificate as it must be for another to follow upon it. */
static struct rules_old old_as_admitted(const struct rpc_succession *succession)
{
    return (struct rules_old){
        .cert = &succession->cert,
        .key = &succession->cert.key,
        .state = RULES_STATE_VALID,
        .is_head = true,
    };
}

/*
 * What the rules are asked about. An intent that is taken up again was admitted when it was made:
 * what became of the old certificate since then, perhaps by that very intent, does not matter.
 */
static enum ca_err situation(struct rpc_engine *engine, const struct rpc_source *source,
                             struct store_view *view, struct rpc_issue *item,
                             struct rules_old *old_out)
{
    struct rpc_succession *succession = item->succession;
    struct rules_standing standing;
    struct store_line line;

    *old_out = old_as_admitted(succession);
    enum ca_err err = line_is_claimed(engine, source, view, item, &old_out->is_in_flight);
    if (err != CA_OK || item->is_resumed)
        return err;
    if ((err = rpc_target_standing(source, &succession->old, &standing)) != CA_OK ||
        (err = rpc_target_line(source, &succession->old, &line)) != CA_OK)
        return err;
    if (line.count == STORE_LINE_MAX)
        return ca_refuse(&item->refusal, CA_ERR_TOO_MANY_ITEMS, "predecessor", "128 in its line");
    const struct store_member *head = store_line_head(&line);
    const struct store_member *member =
        rpc_line_find(&line, ca_serial_locator(&succession->old.serial));
    old_out->state = standing.state;
    /* One that ended before it was abandoned was not revoked, but nothing is to follow upon it. */
    old_out->is_head =
        head == member && member != NULL && member->delivery != STORE_DELIVERY_ABANDONED;
    old_out->is_waiting = member != NULL && member->delivery == STORE_DELIVERY_WAITING;
    return CA_OK;
}

static enum ca_err admit(struct rpc_engine *engine, const struct rpc_source *source,
                         struct store_view *view, struct rpc_issue *item, int64_t issued_s)
{
    struct rules_succession succession = {
        .profile = &item->profile->rules,
        .successor = &item->succession->asked,
        .issued_s = issued_s,
    };
    enum ca_err err = situation(engine, source, view, item, &succession.old);

    return err == CA_OK ? rules_life_admit(&succession, &item->refusal) : err;
}

/* ---- prepare */

static enum ca_err old_find(struct rpc_worker *worker, struct rpc_issue *item)
{
    struct rpc_succession *succession = item->succession;
    struct store_certificate record;
    struct ca_serial serial;
    struct ca_refusal ignored;
    enum ca_err err = ca_serial_from_bytes(rpc_bytes(item->asked->predecessor), &serial);

    if (err == CA_OK)
        err = store_find_serial(worker->view, &serial, &record);
    if (err == CA_ERR_FIELD_FORMAT || err == CA_ERR_NOT_FOUND)
        return ca_refuse(&item->refusal, CA_ERR_CERT_UNKNOWN, "predecessor", "not issued here");
    if (err != CA_OK)
        return err;
    succession->old = rpc_target_of(&record);
    succession->key = record.key;
    struct ca_bytes der = ca_arena_copy(item->batch->arena, record.der);
    if (der.data == NULL)
        return CA_ERR_BUSY;
    return x509_cert_parse(der, &succession->cert, &ignored) == CA_OK ? CA_OK
                                                                      : CA_ERR_STORAGE_CORRUPT;
}

/* What the certificate would have been valid for: told with the refusal. */
static void tell_dates(struct rpc_issue *item, int64_t issued_s)
{
    const struct rules_profile *rules = &item->profile->rules;
    enum rules_operation operation = item->succession->asked.operation;
    uint32_t term = item->asked->term == 0 ? rules->terms[0] : item->asked->term;
    bool is_offered = false;

    for (size_t i = 0; i < rules->term_count; i++)
        is_offered = is_offered || rules->terms[i] == term;
    if (!is_offered)
        return;
    if (operation == RULES_RENEW && rules->life.renews_from_issue)
        operation = RULES_NEW;
    struct rules_validity validity = rules_validity(rules->validity, operation, issued_s,
                                                    item->succession->old.not_after_s, term);
    item->record.not_before_s = validity.not_before_s;
    item->record.not_after_s = validity.not_after_s;
}

enum ca_err rpc_succeed_admit(struct rpc_worker *worker, struct rpc_issue *item, int64_t issued_s)
{
    const struct rpc_source source = { .view = worker->view };

    if (item->asked->operation == CERTMILL__OPERATION__OPERATION_NEW)
        return CA_OK;
    struct rpc_succession *succession = ca_arena_alloc(item->batch->arena, sizeof(*succession));
    if (succession == NULL)
        return CA_ERR_BUSY;
    item->succession = succession;
    succession->asked = successor_of(item->asked);
    enum ca_err err = old_find(worker, item);
    if (err != CA_OK)
        return err;
    succession->line = rpc_line_digest(succession->old.lineage);
    item->record.predecessor = ca_serial_locator(&succession->old.serial);
    item->record.lineage = succession->old.lineage;
    item->record.operation = store_operation_of(succession->asked.operation);
    err = admit(worker->engine, &source, worker->view, item, issued_s);
    if (err == CA_ERR_RENEW_TOO_EARLY || err == CA_ERR_RENEW_TOO_OLD)
        tell_dates(item, issued_s);
    return err;
}

enum ca_err rpc_succeed_compare(struct rpc_issue *item, const struct rules_draft *draft,
                                const struct x509_csr *csr, int64_t issued_s)
{
    const struct rules_profile *rules = &item->profile->rules;
    struct rpc_succession *succession = item->succession;
    enum ca_err err = CA_OK;

    if (succession != NULL) {
        const struct rules_succession admitted = {
            .profile = rules,
            .old = old_as_admitted(succession),
            .successor = &succession->asked,
            .issued_s = issued_s,
        };
        succession->reuses_key = store_digest_equal(&succession->key, &item->record.key);
        err = rules_life_compare(&admitted, draft, &csr->key, item->batch->arena, &succession->fate,
                                 &item->refusal);
    }
    if (err != CA_OK)
        return err;
    const struct rules_fate *fate = succession == NULL ? NULL : &succession->fate;
    item->record.delivery =
        rules_life_waits(rules, fate) ? STORE_DELIVERY_WAITING : STORE_DELIVERED;
    if (fate != NULL && fate->time == RULES_FATE_ACKNOWLEDGED)
        item->record.fate_reason = (uint8_t)fate->reason;
    return CA_OK;
}

bool rpc_succeed_wants(struct rpc_issue *item, const struct x509_csr *csr,
                       struct crypto_verification *verification_out)
{
    struct rpc_succession *succession = item->succession;

    if (succession == NULL || !rules_life_wants_old_key(&item->profile->rules, &succession->asked))
        return false;
    const struct crypto_public_key *key = &succession->cert.key;
    *verification_out = (struct crypto_verification){
        .sig = crypto_sig_fits(csr->sig, key->type) ? csr->sig : crypto_sig_usual(key->type),
        .key = key,
        .message = rpc_bytes(item->asked->csr),
        .signature = succession->asked.old_key_signature,
    };
    succession->verification = verification_out;
    return true;
}

enum ca_err rpc_succeed_verified(struct rpc_issue *item)
{
    const struct rpc_succession *succession = item->succession;

    if (succession == NULL || succession->verification == NULL)
        return CA_OK;
    enum ca_err err = succession->verification->result;
    if (err == CA_ERR_NOMEM || err == CA_OK)
        return err;
    return ca_refuse(&item->refusal, CA_ERR_OLD_KEY_SIG, "old_key_signature",
                     "by the old certificate's key, over csr");
}

/* ---- in the writer's transaction */

enum ca_err rpc_succeed_decide(struct rpc_engine *engine, struct store_batch *batch,
                               struct store_view *view, struct rpc_issue *item)
{
    const struct rpc_source source = { .batch = batch };
    int64_t issued_s = (int64_t)(ca_serial_time_us(&item->record.serial) / 1000000);

    return item->succession == NULL ? CA_OK : admit(engine, &source, view, item, issued_s);
}

static enum ca_err fate_put(struct rpc_engine *engine, struct store_batch *batch,
                            const struct rpc_issue *item)
{
    const struct rpc_wish wish = {
        .actor = ca_bytes_of_text(item->call->session->actor),
        .now_us = rpc_clock_now(&engine->clock),
    };
    bool is_changed;
    enum ca_err err =
        rpc_target_end(batch, &item->succession->old, &item->succession->fate, &wish, &is_changed);

    /* What was put before goes with it or not at all. */
    return err == CA_OK || err == CA_ERR_NOMEM ? err : CA_ERR_STORAGE;
}

enum ca_err rpc_succeed_reserved(struct rpc_engine *engine, struct store_batch *batch,
                                 const struct rpc_issue *item)
{
    /* Where a resumed intent's own commit has done it, this changes nothing. */
    if (item->succession == NULL || item->succession->fate.time != RULES_FATE_AT_ONCE)
        return CA_OK;
    return fate_put(engine, batch, item);
}

enum ca_err rpc_succeed_check_old(struct store_batch *batch, const struct rpc_issue *item)
{
    const struct rpc_source source = { .batch = batch };
    struct rules_standing standing;

    if (item->succession == NULL || item->succession->fate.time != RULES_FATE_WITH_NEW)
        return CA_OK;
    return rpc_target_standing(&source, &item->succession->old, &standing);
}

enum ca_err rpc_succeed_recorded(struct rpc_engine *engine, struct store_batch *batch,
                                 const struct rpc_issue *item)
{
    if (item->succession == NULL || item->succession->fate.time != RULES_FATE_WITH_NEW)
        return CA_OK;
    return fate_put(engine, batch, item);
}

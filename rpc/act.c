/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/act.h"

#include "ca/crypto/digest.h"
#include "rpc/log.h"

static void act_close(struct rpc_act *act, enum ca_err err)
{
    act->err = err;
    act->is_closed = true;
}

static bool is_of_delivery(const struct rpc_act *act)
{
    return act->asked->act == CERTMILL__ACT__ACT_ACKNOWLEDGE ||
           act->asked->act == CERTMILL__ACT__ACT_ABANDON;
}

/* ---- prepare */

static enum ca_err check_form(struct rpc_act *act)
{
    const Certmill__ActItem *asked = act->asked;
    enum ca_err err = rpc_request_id_check(asked->request_id, &act->refusal);

    if (err != CA_OK)
        return err;
    if (asked->act == CERTMILL__ACT__ACT_NONE)
        return ca_refuse(&act->refusal, CA_ERR_FIELD_REQUIRED, "act", "protocol");
    if ((unsigned)asked->act > CERTMILL__ACT__ACT_ABANDON)
        return ca_refuse(&act->refusal, CA_ERR_FIELD_FORMAT, "act", "protocol");
    if (asked->serial.len == 0)
        return ca_refuse(&act->refusal, CA_ERR_FIELD_REQUIRED, "serial", "protocol");
    if (asked->reason > UINT8_MAX || (is_of_delivery(act) && asked->reason != 0))
        return ca_refuse(&act->refusal, CA_ERR_REASON, "reason", "protocol");
    if (is_of_delivery(act) && asked->invalidity_date != 0)
        return ca_refuse(&act->refusal, CA_ERR_FIELD_FORMAT, "invalidity_date", "protocol");
    return CA_OK;
}

static struct store_digest body_digest(const Certmill__ActItem *asked)
{
    const int64_t numbers[] = { asked->act, asked->reason, asked->invalidity_date };
    struct ca_bytes parts[] = { ca_bytes_of(numbers, sizeof(numbers)), rpc_bytes(asked->serial) };
    uint8_t digest[CA_DIGEST_LEN];

    crypto_sha256(parts, 2, digest);
    return rpc_store_digest(digest);
}

/* An acknowledgement ends the certificate before, where that was said when this one was made. */
static enum ca_err find_predecessor(struct store_view *view, struct rpc_act *act,
                                    const struct store_certificate *record)
{
    const struct rpc_source source = { .view = view };
    struct store_certificate before;
    struct store_line line;
    enum ca_err err = rpc_target_line(&source, &act->target, &line);

    if (err != CA_OK)
        return err;
    const struct store_member *member = rpc_line_find(&line, record->predecessor);
    if (member == NULL)
        return CA_ERR_STORAGE_CORRUPT;
    if ((err = store_find_serial(view, &member->serial, &before)) != CA_OK)
        return err == CA_ERR_NOT_FOUND ? CA_ERR_STORAGE_CORRUPT : err;
    act->predecessor = rpc_target_of(&before);
    act->has_predecessor = true;
    return CA_OK;
}

/* NOT_FOUND: neither a certificate nor an intent. */
static enum ca_err find_target(const struct rpc_engine *engine, struct store_view *view,
                               const struct ca_serial *serial, struct rpc_act *act)
{
    struct store_certificate record;
    struct store_intent intent;
    enum ca_err err = store_find_serial(view, serial, &record);

    if (err == CA_OK) {
        act->target = rpc_target_of(&record);
        act->life = rpc_profiles_life(engine->profiles, &record.profile);
        return record.fate_reason != 0 ? find_predecessor(view, act, &record) : CA_OK;
    }
    if (err == CA_ERR_NOT_FOUND)
        err = store_find_intent(view, serial, &intent);
    if (err != CA_OK)
        return err;
    act->target = rpc_target_of_intent(&intent);
    act->life = rpc_profiles_life(engine->profiles, &intent.profile);
    return CA_OK;
}

/*
 * The answer of then, from the record: what became of the certificate since then does not show,
 * because the first date stays, and what is revoked stays so.
 */
static enum ca_err rebuild(const struct rpc_engine *engine, struct store_view *view,
                           struct rpc_act *act, const struct store_change *change)
{
    const struct rpc_source source = { .view = view };
    bool is_transition = change->old_state != change->new_state;
    enum ca_err err = find_target(engine, view, &change->serial, act);

    if (err == CA_OK)
        err = rpc_target_standing(&source, &act->target, &act->standing);
    if (err != CA_OK)
        return err;
    act->sequence = change->sequence;
    struct rules_standing *standing = &act->standing;
    switch (act->asked->act) {
    case CERTMILL__ACT__ACT_REVOKE:
        standing->reason = (enum x509_crl_reason)change->reason;
        standing->has_invalidity =
            act->asked->invalidity_date != 0 || (!is_transition && standing->has_invalidity);
        if (act->asked->invalidity_date != 0)
            standing->invalidity_s = act->asked->invalidity_date;
        break;
    case CERTMILL__ACT__ACT_HOLD:
        *standing = (struct rules_standing){
            .state = RULES_STATE_HELD,
            .reason = X509_CRL_CERTIFICATE_HOLD,
            .revoked_s = (int64_t)(change->time_us / 1000000),
        };
        break;
    default: /* a date only of what it revoked itself */
        *standing = (struct rules_standing){
            .state = rpc_rules_state(change->new_state),
            .reason = (enum x509_crl_reason)change->reason,
            .revoked_s =
                is_transition && change->new_state == STORE_STATE_REVOKED ? standing->revoked_s : 0,
        };
        break;
    }
    return CA_OK;
}

static enum ca_err look_up(struct rpc_worker *worker, struct rpc_act *act)
{
    struct store_digest body;
    struct store_change change;
    struct ca_serial serial;
    enum ca_err err = store_find_request_change(worker->view, &act->request, &change, &body);

    if (err == CA_OK && !store_digest_equal(&body, &act->body)) {
        act->is_conflict = true;
        return CA_OK;
    }
    if (err == CA_OK) {
        err = rebuild(worker->engine, worker->view, act, &change);
        rpc_count(&worker->engine->counters.repeated, err == CA_OK);
        act_close(act, err);
        return err;
    }
    if (err != CA_ERR_NOT_FOUND)
        return err;
    err = ca_serial_from_bytes(rpc_bytes(act->asked->serial), &serial);
    if (err == CA_OK)
        err = find_target(worker->engine, worker->view, &serial, act);
    if (err == CA_ERR_FIELD_FORMAT || err == CA_ERR_NOT_FOUND)
        return ca_refuse(&act->refusal, CA_ERR_CERT_UNKNOWN, "serial", "not issued here");
    return err;
}

static enum ca_err act_prepare(struct rpc_worker *worker, struct rpc_call *call,
                               struct rpc_act *act)
{
    enum ca_err err = check_form(act);

    if (err != CA_OK)
        return err;
    act->request = rpc_request_digest(call->session->actor, RPC_METHOD_ACT, act->asked->request_id);
    act->body = body_digest(act->asked);
    if ((err = look_up(worker, act)) != CA_OK || act->is_closed)
        return err;
    return atomic_load(&worker->engine->is_storage_latched) ? CA_ERR_STORAGE : CA_OK;
}

void rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call)
{
    const Certmill__ActRequest *asked = call->request->act;
    struct rpc_act *acts = rpc_call_alloc(call, asked->n_items * sizeof(*acts));
    enum ca_err err = acts == NULL ? CA_ERR_BUSY : CA_OK;

    rpc_count(&worker->engine->counters.acts, asked->n_items);
    call->commit = atomic_load(&worker->engine->commit);
    if (err == CA_OK)
        err = store_view_renew(worker->view);
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        return;
    }
    for (size_t i = 0; i < asked->n_items; i++) {
        acts[i].asked = asked->items[i];
        err = act_prepare(worker, call, &acts[i]);
        if (err != CA_OK)
            act_close(&acts[i], err);
    }
    store_view_rest(worker->view);
    call->acts = acts;
    call->act_count = asked->n_items;
}

bool rpc_act_is_open(const struct rpc_call *call)
{
    for (size_t i = 0; i < call->act_count; i++) {
        if (!call->acts[i].is_closed)
            return true;
    }
    return false;
}

/* ---- put: in the writer's transaction */

/* The same asked twice at once is done once. UNKNOWN: ask again, and be told. */
static enum ca_err check_exclusive(struct rpc_engine *engine, struct store_view *view,
                                   const struct rpc_call *call, const struct rpc_act *act)
{
    const struct store_digest *request = &act->request;
    struct rpc_claim claim;
    struct store_change change;
    struct store_digest body;

    rpc_claims_find(engine->claims, &request, 1, &claim);
    if (claim.state != RPC_CLAIM_NONE)
        return CA_ERR_UNKNOWN;
    if (atomic_load(&engine->commit) - call->commit < RPC_CLAIMS_KEPT_COMMITS)
        return CA_OK;
    enum ca_err err = store_find_request_change(view, request, &change, &body);
    return err == CA_OK ? CA_ERR_UNKNOWN : err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

/* What was an intent when it was looked up may have become a certificate since then. */
static enum ca_err look_again(struct rpc_engine *engine, struct store_view *view,
                              struct rpc_act *act)
{
    const struct ca_serial serial = act->target.serial;

    return act->target.is_intent ? find_target(engine, view, &serial, act) : CA_OK;
}

static enum ca_err put_state(struct rpc_engine *engine, struct store_batch *batch,
                             struct rpc_act *act, const struct rpc_wish *wish)
{
    static const enum rules_act acts[] = {
        [CERTMILL__ACT__ACT_REVOKE] = RULES_REVOKE,
        [CERTMILL__ACT__ACT_HOLD] = RULES_HOLD,
        [CERTMILL__ACT__ACT_RELEASE] = RULES_RELEASE,
    };
    const struct rules_act_request request = {
        .act = acts[act->asked->act],
        .reason = act->asked->reason,
        .invalidity_s = act->asked->invalidity_date,
        .now_s = (int64_t)(wish->now_us / 1000000),
    };
    const struct rpc_source source = { .batch = batch };

    if (act->target.is_intent && request.act != RULES_REVOKE)
        return ca_refuse(&act->refusal, CA_ERR_STATE, "serial", "an intent can only be revoked");
    enum ca_err err = rpc_target_standing(&source, &act->target, &act->standing);
    if (err != CA_OK)
        return err;
    enum rules_state old_state = act->standing.state;
    err = rules_life_act(act->life, &request, &act->standing, &act->is_put, &act->refusal);
    if (err != CA_OK || !act->is_put)
        return err;
    engine->has_revoked_intents = engine->has_revoked_intents || act->target.is_intent;
    return rpc_target_put(batch, &act->target, old_state, &act->standing, wish);
}

static enum ca_err put_delivery(struct store_batch *batch, const struct rpc_act *act,
                                enum store_delivery delivery, const struct rpc_wish *wish)
{
    const struct store_audit audit = {
        .kind = delivery == STORE_DELIVERED ? STORE_AUDIT_ACKNOWLEDGED : STORE_AUDIT_ABANDONED,
        .time_us = wish->now_us,
        .actor = wish->actor,
        .object = ca_serial_bytes(&act->target.serial),
        .request = wish->request,
        .body = wish->body,
    };

    return store_put_delivery(batch, &act->target.serial, act->target.lineage, delivery,
                              &wish->request, &wish->body, &audit);
}

/* What was put before goes with it or not at all. */
static enum ca_err whole(enum ca_err err)
{
    return err == CA_OK || err == CA_ERR_NOMEM ? err : CA_ERR_STORAGE;
}

/* The same, as a consequence of what was asked. */
static struct rpc_wish consequence(const struct rpc_wish *wish)
{
    return (struct rpc_wish){ .actor = wish->actor, .now_us = wish->now_us };
}

static enum ca_err acknowledge(struct store_batch *batch, struct rpc_act *act,
                               const struct store_member *member, const struct rpc_wish *wish)
{
    const struct rules_fate fate = {
        .time = RULES_FATE_ACKNOWLEDGED,
        .reason = (enum x509_crl_reason)member->fate_reason,
    };
    const struct rpc_wish next = consequence(wish);
    bool is_changed;

    if (member->delivery == STORE_DELIVERY_ABANDONED)
        return ca_refuse(&act->refusal, CA_ERR_STATE, "serial", "it was abandoned");
    if (act->standing.state == RULES_STATE_REVOKED)
        return ca_refuse(&act->refusal, CA_ERR_CERT_REVOKED, "serial", "only a valid certificate");
    if (act->standing.state == RULES_STATE_HELD)
        return ca_refuse(&act->refusal, CA_ERR_CERT_HELD, "serial", "only a valid certificate");
    if (member->delivery == STORE_DELIVERED)
        return CA_OK;
    if (act->has_predecessor) {
        enum ca_err err = rpc_target_end(batch, &act->predecessor, &fate, &next, &is_changed);
        if (err != CA_OK)
            return err;
    }
    act->is_put = true;
    return whole(put_delivery(batch, act, STORE_DELIVERED, wish));
}

/* One change has the request: that of the state, if there is one. */
static enum ca_err abandon(struct store_batch *batch, struct rpc_act *act,
                           const struct store_member *member, const struct rpc_wish *wish)
{
    const struct rules_fate fate = { .reason = X509_CRL_SUPERSEDED };
    const struct rpc_wish next = consequence(wish);
    bool is_revoked;

    if (member->delivery == STORE_DELIVERY_ABANDONED)
        return CA_OK;
    if (member->delivery == STORE_DELIVERED)
        return ca_refuse(&act->refusal, CA_ERR_STATE, "serial", "it is not waited for");
    enum ca_err err = rpc_target_end(batch, &act->target, &fate, wish, &is_revoked);
    if (err != CA_OK)
        return err;
    act->is_put = true;
    return whole(put_delivery(batch, act, STORE_DELIVERY_ABANDONED, is_revoked ? &next : wish));
}

static enum ca_err put_delivery_act(struct store_batch *batch, struct rpc_act *act,
                                    const struct rpc_wish *wish)
{
    const struct rpc_source source = { .batch = batch };
    struct store_line line;

    if (act->target.is_intent)
        return ca_refuse(&act->refusal, CA_ERR_STATE, "serial", "an intent can only be revoked");
    enum ca_err err = rpc_target_standing(&source, &act->target, &act->standing);
    if (err == CA_OK)
        err = rpc_target_line(&source, &act->target, &line);
    if (err != CA_OK)
        return err;
    const struct store_member *member =
        rpc_line_find(&line, ca_serial_locator(&act->target.serial));
    if (member == NULL)
        return CA_ERR_STORAGE_CORRUPT;
    return act->asked->act == CERTMILL__ACT__ACT_ACKNOWLEDGE ? acknowledge(batch, act, member, wish)
                                                             : abandon(batch, act, member, wish);
}

static enum ca_err put_conflict(struct store_batch *batch, const struct rpc_act *act,
                                const struct rpc_wish *wish)
{
    const struct store_audit audit = {
        .kind = STORE_AUDIT_REFUSED,
        .time_us = wish->now_us,
        .actor = wish->actor,
        .object = ca_bytes_of_text(act->asked->request_id),
        .request = act->request,
        .body = act->body,
    };

    return store_put_audit(batch, &audit);
}

static enum ca_err act_put(struct rpc_engine *engine, struct store_batch *batch,
                           struct store_view *view, const struct rpc_call *call,
                           struct rpc_act *act)
{
    const struct rpc_wish wish = {
        .actor = ca_bytes_of_text(call->session->actor),
        .now_us = rpc_clock_now(&engine->clock),
        .request = act->request,
        .body = act->body,
    };

    if (act->is_conflict)
        return put_conflict(batch, act, &wish);
    enum ca_err err = check_exclusive(engine, view, call, act);
    if (err == CA_OK)
        err = look_again(engine, view, act);
    if (err == CA_OK)
        err = is_of_delivery(act) ? put_delivery_act(batch, act, &wish)
                                  : put_state(engine, batch, act, &wish);
    if (err != CA_OK || !act->is_put)
        return err;
    act->has_claim = true;
    return rpc_claims_put(engine->claims, &act->request, RPC_CLAIM_PENDING, NULL);
}

enum ca_err rpc_act_put(struct rpc_engine *engine, struct store_batch *batch,
                        struct store_view *view, struct rpc_call *call)
{
    for (size_t i = 0; i < call->act_count; i++) {
        struct rpc_act *act = &call->acts[i];
        if (act->is_closed)
            continue;
        enum ca_err err = act_put(engine, batch, view, call, act);
        if (err == CA_ERR_STORAGE || err == CA_ERR_NOMEM)
            return err;
        act->is_fresh = err != CA_OK;
        if (err != CA_OK)
            act_close(act, err);
    }
    return CA_OK;
}

/* Its claim ends in time, or at once if there was no such commit. Where nobody knows it stays. */
static void claim_end(struct rpc_engine *engine, const struct rpc_act *act, enum ca_err err)
{
    enum rpc_claim_state state = err == CA_OK ? RPC_CLAIM_RECORDED : RPC_CLAIM_NONE;

    if (!act->has_claim || (err != CA_OK && err != CA_ERR_NOMEM))
        return;
    if (rpc_claims_put(engine->claims, &act->request, state, NULL) != CA_OK)
        log_error("out of memory", "while=claim");
}

/* What was decided in a commit that did not happen, perhaps by what else was in it, is not so. */
static void act_reconsider(struct rpc_act *act, enum ca_err err)
{
    if (act->is_fresh && err == CA_ERR_NOMEM) {
        act->refusal = (struct ca_refusal){ 0 };
        act_close(act, CA_ERR_UNKNOWN);
    }
    act->is_fresh = false;
}

void rpc_act_committed(struct rpc_engine *engine, struct rpc_call *call, enum ca_err err)
{
    for (size_t i = 0; i < call->act_count; i++) {
        struct rpc_act *act = &call->acts[i];
        act_reconsider(act, err);
        if (act->is_closed)
            continue;
        claim_end(engine, act, err);
        if (err != CA_OK) {
            act_close(act, CA_ERR_UNKNOWN);
        } else if (act->is_conflict) {
            act_close(act, ca_refuse(&act->refusal, CA_ERR_IDEMPOTENCY_CONFLICT, "request_id",
                                     "protocol"));
        } else {
            rpc_count(&engine->counters.acted[act->asked->act], act->is_put);
            act_close(act, CA_OK);
        }
    }
}

/* ---- answer */

/* As it would be asked again: the first answer comes from the record as well. */
static enum ca_err tell(struct rpc_worker *worker, struct rpc_act *act)
{
    struct store_change change;
    struct store_digest body;
    enum ca_err err = store_find_request_change(worker->view, &act->request, &change, &body);

    return err == CA_OK ? rebuild(worker->engine, worker->view, act, &change) : err;
}

static void result_fill(struct rpc_engine *engine, struct rpc_call *call, struct rpc_act *act,
                        Certmill__ActResult *result)
{
    const struct rules_standing *standing = &act->standing;

    certmill__act_result__init(result);
    result->status = rpc_call_status(call, act->err, &act->refusal);
    if (act->err != CA_OK) {
        rpc_count(&engine->counters.refused[act->err], 1);
        return;
    }
    result->serial = rpc_binary(ca_serial_bytes(&act->target.serial));
    result->state = rpc_state(rpc_store_state(standing->state));
    result->reason = (uint32_t)standing->reason;
    result->revoked_at = standing->revoked_s;
    result->invalidity_date = standing->has_invalidity ? standing->invalidity_s : 0;
    result->sequence = act->sequence;
}

void rpc_act_answer(struct rpc_worker *worker, struct rpc_call *call)
{
    size_t count = call->act_count;
    Certmill__ActAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    Certmill__ActResult **pointers = rpc_call_alloc(call, count * sizeof(*pointers));
    Certmill__ActResult *results = rpc_call_alloc(call, count * sizeof(*results));
    enum ca_err err = store_view_renew(worker->view);

    if (answer == NULL || pointers == NULL || results == NULL || err != CA_OK) {
        rpc_call_refuse(call, err != CA_OK ? err : CA_ERR_BUSY);
        return;
    }
    certmill__act_answer__init(answer);
    for (size_t i = 0; i < count; i++) {
        struct rpc_act *act = &call->acts[i];
        if (act->err == CA_OK && act->is_put && (err = tell(worker, act)) != CA_OK)
            act->err = CA_ERR_UNKNOWN;
        result_fill(worker->engine, call, act, &results[i]);
        pointers[i] = &results[i];
    }
    store_view_rest(worker->view);
    answer->n_items = count;
    answer->items = pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_ACT;
    call->answer.act = answer;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/issue.h"

#include <assert.h>

#include "ca/base/text.h"
#include "ca/crypto/digest.h"
#include "rpc/log.h"
#include "rpc/succeed.h"

enum { SPKI_LEN_MAX = 1024, INTENTS_AT_ONCE = 64 };

/* ---- the engine's shared state */

static enum ca_err orphan_load(struct rpc_engine *engine, const struct store_intent *intent)
{
    char serial[2 * CA_SERIAL_LEN + 1];

    if (intent->is_damaged) {
        ca_text_hex(ca_serial_bytes(&intent->serial), serial);
        log_error("intent is damaged", "serial=%s", serial);
        return CA_ERR_STORAGE_CORRUPT;
    }
    enum ca_err err =
        rpc_claims_put(engine->claims, &intent->request, RPC_CLAIM_ORPHAN, &intent->serial);
    if (err != CA_OK || intent->lineage == 0)
        return err;
    struct store_digest line = rpc_line_digest(intent->lineage);
    return rpc_claims_put(engine->claims, &line, RPC_CLAIM_ORPHAN, &intent->serial);
}

/* Intents without a result wait for their request to be asked again. */
static enum ca_err load_orphans(struct rpc_engine *engine)
{
    struct store_intent intents[INTENTS_AT_ONCE];
    struct store_view *view;
    uint64_t after = 0;
    size_t count;
    enum ca_err err = store_view_open(engine->store, &view);

    if (err != CA_OK)
        return err;
    do {
        err = store_find_intents(view, after, intents, INTENTS_AT_ONCE, &count);
        for (size_t i = 0; i < count && err == CA_OK; i++) {
            err = orphan_load(engine, &intents[i]);
            after = ca_serial_locator(&intents[i].serial);
        }
    } while (err == CA_OK && count == INTENTS_AT_ONCE);
    store_view_close(view);
    return err;
}

static void digest_ca_keys(struct rpc_engine *engine)
{
    for (size_t i = 0; i < engine->config->ca_count; i++) {
        uint8_t buffer[SPKI_LEN_MAX];
        struct der_writer writer;
        der_writer_init(&writer, buffer, sizeof(buffer));
        x509_spki_write(&writer, engine->config->cas[i].issuer.key);
        struct ca_bytes spki = der_writer_bytes(&writer);
        assert(spki.data != NULL);
        crypto_sha256(&spki, 1, engine->ca_keys[i]);
    }
}

enum ca_err rpc_engine_init(struct rpc_engine *engine, const struct rpc_config *config,
                            struct store *store)
{
    struct store_info info;

    memset(engine, 0, sizeof(*engine));
    engine->config = config;
    engine->store = store;
    store_info(store, &info);
    engine->instance = info.instance;
    rpc_clock_init(&engine->clock, &config->clock, config->clock_tolerance_us, info.clock_us);
    digest_ca_keys(engine);
    enum ca_err err = rpc_claims_new(&engine->claims);
    if (err == CA_OK)
        err = load_orphans(engine);
    if (err == CA_OK)
        err = rpc_profiles_open(config, store, &engine->clock, &engine->profiles);
    return err;
}

void rpc_engine_wipe(struct rpc_engine *engine)
{
    rpc_profiles_close(engine->profiles);
    rpc_claims_free(engine->claims);
    rpc_clock_wipe(&engine->clock);
}

/* ---- groups */

static struct rpc_group *group_find(struct rpc_group *first, const struct rpc_ca *ca)
{
    while (first != NULL && first->ca != ca)
        first = first->next;
    return first;
}

struct rpc_group *rpc_issue_groups(struct rpc_batch *batch)
{
    struct rpc_group *first = NULL;

    for (size_t i = 0; i < batch->count; i++) {
        struct rpc_issue *item = &batch->items[i];
        if (item->is_closed)
            continue;
        struct rpc_group *group = group_find(first, item->ca);
        if (group == NULL) {
            group = ca_arena_alloc(batch->arena,
                                   sizeof(*group) + batch->count * sizeof(group->items[0]));
            if (group == NULL) {
                rpc_issue_close(item, CA_ERR_BUSY);
                continue;
            }
            *group = (struct rpc_group){ .next = first, .batch = batch, .ca = item->ca };
            atomic_fetch_add(&batch->refs, 1);
            first = group;
        }
        group->items[group->count++] = item;
    }
    return first;
}

void rpc_issue_refuse(struct rpc_group *group, enum ca_err err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct rpc_issue *item = group->items[i];
        /* What has an intent may have a signature somewhere: nobody says it was not issued. */
        if (!item->is_closed)
            rpc_issue_close(item, item->is_resumed ? CA_ERR_UNKNOWN : err);
    }
}

/* ---- reserve: in the writer's transaction */

static enum ca_err put_conflict(struct store_batch *store_batch, const struct rpc_issue *item,
                                uint64_t time_us)
{
    struct store_audit audit = {
        .kind = STORE_AUDIT_REFUSED,
        .time_us = time_us,
        .actor = ca_bytes_of_text(item->call->session->actor),
        .object = ca_bytes_of_text(item->asked->request_id),
        .request = item->record.request,
        .body = item->record.body,
    };
    return store_put_audit(store_batch, &audit);
}

static bool is_claimed(struct rpc_engine *engine, const struct store_digest *digest,
                       bool is_resumed)
{
    struct rpc_claim claim;

    rpc_claims_find(engine->claims, &digest, 1, &claim);
    return claim.state != RPC_CLAIM_NONE && !(is_resumed && claim.state == RPC_CLAIM_ORPHAN);
}

static bool key_is_exclusive(const struct rpc_issue *item)
{
    bool is_of_line = item->succession != NULL && item->succession->reuses_key;

    return item->profile->rules.key_reuse != RULES_KEY_REUSE_ALLOWED && !is_of_line;
}

/* NOT_FOUND: nobody has it. */
static enum ca_err find_again(struct store_view *view, const struct rpc_issue *item)
{
    struct store_certificate found;
    size_t count = 0;
    enum ca_err err = store_find_request(view, &item->record.request, &found);

    if (err != CA_ERR_NOT_FOUND || !key_is_exclusive(item))
        return err;
    err = store_find_digest(view, STORE_BY_KEY, &item->record.key, 0, &found, 1, &count);
    return err == CA_OK && count == 0 ? CA_ERR_NOT_FOUND : err;
}

/*
 * Are request id and key still free? What another batch did since this one looked shows in the
 * claims, or in the store if that is long ago. UNKNOWN: ask again, and be told.
 */
static enum ca_err check_exclusive(struct rpc_engine *engine, struct store_view *view,
                                   const struct rpc_issue *item)
{
    if (is_claimed(engine, &item->record.request, item->is_resumed))
        return CA_ERR_UNKNOWN;
    if (key_is_exclusive(item) && is_claimed(engine, &item->record.key, true))
        return CA_ERR_UNKNOWN;
    if (atomic_load(&engine->commit) - item->batch->commit < RPC_CLAIMS_KEPT_COMMITS)
        return CA_OK;
    enum ca_err err = find_again(view, item);
    return err == CA_OK ? CA_ERR_UNKNOWN : err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

static enum ca_err claims_put(struct rpc_engine *engine, const struct rpc_issue *item,
                              enum rpc_claim_state state)
{
    const struct ca_serial *serial = &item->record.serial;
    enum ca_err err = rpc_claims_put(engine->claims, &item->record.request, state, serial);

    /* A line is free once the certificate is recorded: from then on the store tells its head. */
    if (err == CA_OK && item->succession != NULL)
        err = rpc_claims_put(engine->claims, &item->succession->line,
                             state == RPC_CLAIM_RECORDED ? RPC_CLAIM_NONE : state, serial);
    if (err != CA_OK || !key_is_exclusive(item))
        return err;
    /* A key waits for no orphan: the next look-up decides again. */
    if (state == RPC_CLAIM_ORPHAN)
        state = RPC_CLAIM_NONE;
    return rpc_claims_put(engine->claims, &item->record.key, state, NULL);
}

static enum ca_err put_intent(struct store_batch *store_batch, const struct rpc_issue *item)
{
    struct store_intent intent = {
        .serial = item->record.serial,
        .request = item->record.request,
        .body = item->record.body,
        .profile = item->record.profile,
        .issuer = item->record.issuer,
        .not_after_s = item->record.not_after_s,
        .crl_shard = item->record.crl_shard,
        .predecessor = item->record.predecessor,
        .lineage = item->record.lineage,
    };
    memcpy(intent.tbs_digest, item->tbs_digest, sizeof(intent.tbs_digest));
    return store_put_intent(store_batch, &intent);
}

/* Was it revoked while it was on its way? */
static enum ca_err check_intent(struct store_batch *store_batch, struct rpc_issue *item)
{
    const struct rpc_source source = { .batch = store_batch };
    const struct rpc_target target = rpc_target_of(&item->record);

    return rpc_target_check(&source, &target, &item->refusal);
}

static enum ca_err item_reserve(struct rpc_engine *engine, struct store_batch *store_batch,
                                struct store_view *view, struct rpc_issue *item)
{
    enum ca_err err = check_exclusive(engine, view, item);

    if (err == CA_OK && item->is_resumed)
        err = check_intent(store_batch, item);
    if (err == CA_OK)
        err = rpc_succeed_decide(engine, store_batch, view, item);
    if (err == CA_OK && !item->is_resumed)
        err = put_intent(store_batch, item);
    if (err == CA_OK)
        err = rpc_succeed_reserved(engine, store_batch, item);
    item->has_claims = err == CA_OK;
    if (err == CA_OK)
        err = claims_put(engine, item, RPC_CLAIM_PENDING);
    return err;
}

enum ca_err rpc_issue_reserve(struct rpc_engine *engine, struct store_batch *store_batch,
                              struct store_view *view, struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct rpc_issue *item = group->items[i];
        if (item->is_closed)
            continue;
        enum ca_err err = item->is_conflict
                              ? put_conflict(store_batch, item, rpc_clock_last(&engine->clock))
                              : item_reserve(engine, store_batch, view, item);
        if (err == CA_ERR_STORAGE || err == CA_ERR_NOMEM)
            return err;
        item->is_fresh = err != CA_OK;
        if (err != CA_OK)
            rpc_issue_close(item, err);
    }
    return CA_OK;
}

/* What was decided in a commit that did not happen, perhaps by what else was in it, is not so. */
static void item_reconsider(struct rpc_issue *item, enum ca_err err)
{
    if (item->is_fresh && err == CA_ERR_NOMEM) {
        item->refusal = (struct ca_refusal){ 0 };
        rpc_issue_close(item, CA_ERR_UNKNOWN);
    }
    item->is_fresh = false;
}

/* Nobody knows what became of it: it is not lost, and asking again resolves it. */
static void item_orphan(struct rpc_engine *engine, struct rpc_issue *item, enum ca_err err)
{
    if (claims_put(engine, item, RPC_CLAIM_ORPHAN) != CA_OK)
        log_error("out of memory", "while=orphan");
    rpc_issue_close(item, err);
}

/*
 * Its intent is not on disk. What it claimed is free again, or waits as before for an intent that
 * was resumed; claims of the same request by somebody else are not touched.
 */
static void item_unreserve(struct rpc_engine *engine, struct rpc_issue *item)
{
    enum rpc_claim_state state = item->is_resumed ? RPC_CLAIM_ORPHAN : RPC_CLAIM_NONE;

    if (item->has_claims && claims_put(engine, item, state) != CA_OK)
        log_error("out of memory", "while=unreserve");
    rpc_issue_close(item, CA_ERR_UNKNOWN);
}

/* Here and nowhere else: what has no ticket is not signed. */
static void item_make_ticket(struct rpc_issue *item)
{
    const struct keys_intent intent = {
        .kind = KEYS_TICKET_CERTIFICATE,
        .number = ca_serial_bytes(&item->record.serial),
        .digest = ca_bytes_of(item->tbs_digest, CA_DIGEST_LEN),
    };

    keys_ticket_make(item->ca->signer, &intent, &item->ticket);
}

void rpc_issue_reserved(struct rpc_engine *engine, struct rpc_group *group, enum ca_err err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct rpc_issue *item = group->items[i];
        item_reconsider(item, err);
        if (item->is_closed)
            continue;
        if (item->is_conflict) {
            ca_refuse(&item->refusal, CA_OK, "request_id", "protocol");
            rpc_issue_close(item, err == CA_OK ? CA_ERR_IDEMPOTENCY_CONFLICT : CA_ERR_UNKNOWN);
        } else if (err == CA_ERR_NOMEM) {
            item_unreserve(engine, item);
        } else if (err != CA_OK) {
            item_orphan(engine, item, CA_ERR_UNKNOWN);
        } else {
            item_make_ticket(item);
        }
        item->has_claims = false;
    }
}

/* ---- sign */

static void item_assemble(struct rpc_issue *item, enum crypto_sig sig,
                          const struct crypto_signature *signature)
{
    struct der_writer writer;

    der_writer_init(&writer, item->certificate, item->certificate_size);
    x509_signed_write(&writer, item->tbs, sig, ca_bytes_of(signature->bytes, signature->len));
    item->record.der = der_writer_bytes(&writer);
    assert(item->record.der.data != NULL);
}

/*
 * The bytes signed are those the intent told of: memory is not trusted over the time of a flush. A
 * signer that asks for tickets looks for itself.
 */
static bool tbs_is_intact(const struct rpc_issue *item)
{
    uint8_t digest[CA_DIGEST_LEN];

    if (item->ticket.kind != KEYS_TICKET_NONE)
        return true;
    crypto_sha256(&item->tbs, 1, digest);
    return ca_bytes_equal(ca_bytes_of(digest, CA_DIGEST_LEN),
                          ca_bytes_of(item->tbs_digest, CA_DIGEST_LEN));
}

static enum ca_err sign_items(struct rpc_worker *worker, const struct rpc_ca *ca,
                              struct rpc_issue **items, size_t count)
{
    struct ca_bytes messages[RPC_BATCH_MAX];
    struct keys_ticket tickets[RPC_BATCH_MAX];
    const struct keys_order order = {
        .sig = ca->issuer.sig, .messages = messages, .count = count, .tickets = tickets
    };

    assert(count > 0 && count <= RPC_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        messages[i] = items[i]->tbs;
        tickets[i] = items[i]->ticket;
        if (!tbs_is_intact(items[i]))
            return CA_ERR_INTERNAL;
    }
    enum ca_err err = keys_sign(ca->signer, worker->crypto, &order, worker->signatures);
    for (size_t i = 0; i < count && err == CA_OK; i++)
        item_assemble(items[i], ca->issuer.sig, &worker->signatures[i]);
    return err;
}

void rpc_issue_sign(struct rpc_worker *worker, struct rpc_group *groups)
{
    const struct rpc_ca *ca = groups->ca;
    struct rpc_issue *open[RPC_BATCH_MAX];
    size_t count = 0;

    for (struct rpc_group *group = groups; group != NULL; group = group->next) {
        assert(group->ca == ca && count + group->count <= RPC_BATCH_MAX);
        for (size_t i = 0; i < group->count; i++) {
            if (!group->items[i]->is_closed)
                open[count++] = group->items[i];
        }
    }
    enum ca_err err = sign_items(worker, ca, open, count);
    if (err == CA_OK)
        return;
    rpc_count(&worker->engine->counters.refused[err], count);
    log_error("signing failed", "ca=%s code=%s items=%zu", ca->issuer.name, ca_err_name(err),
              count);
    for (size_t i = 0; i < count; i++)
        item_orphan(worker->engine, open[i], CA_ERR_UNKNOWN);
}

/* ---- record: in the writer's transaction */

static enum ca_err item_record(struct rpc_engine *engine, struct store_batch *store_batch,
                               struct rpc_issue *item)
{
    const struct store_audit audit = {
        .kind = STORE_AUDIT_ISSUED,
        .time_us = ca_serial_time_us(&item->record.serial),
        .actor = ca_bytes_of_text(item->call->session->actor),
        .object = ca_serial_bytes(&item->record.serial),
        .request = item->record.request,
        .body = item->record.body,
    };
    enum ca_err err = CA_OK;

    if (engine->has_revoked_intents)
        err = check_intent(store_batch, item);
    if (err == CA_OK)
        err = rpc_succeed_check_old(store_batch, item);
    if (err == CA_OK)
        err = store_put_certificate(store_batch, &item->record, &audit);
    if (err == CA_OK)
        err = rpc_succeed_recorded(engine, store_batch, item);
    return err;
}

enum ca_err rpc_issue_record(struct rpc_engine *engine, struct store_batch *store_batch,
                             struct rpc_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct rpc_issue *item = group->items[i];
        if (item->is_closed)
            continue;
        enum ca_err err = item_record(engine, store_batch, item);
        if (err == CA_ERR_STORAGE || err == CA_ERR_NOMEM)
            return err;
        item->is_fresh = err != CA_OK;
        if (err == CA_ERR_CERT_REVOKED) {
            item_orphan(engine, item, err);
        } else if (err != CA_OK) {
            log_error("certificate not recorded", "code=%s", ca_err_name(err));
            item_orphan(engine, item, CA_ERR_UNKNOWN);
        }
    }
    return CA_OK;
}

void rpc_issue_recorded(struct rpc_engine *engine, struct rpc_group *group, enum ca_err err)
{
    for (size_t i = 0; i < group->count; i++) {
        struct rpc_issue *item = group->items[i];
        item_reconsider(item, err);
        if (item->is_closed)
            continue;
        if (err != CA_OK) {
            item_orphan(engine, item, CA_ERR_UNKNOWN);
            continue;
        }
        if (claims_put(engine, item, RPC_CLAIM_RECORDED) != CA_OK)
            log_error("out of memory", "while=recorded");
        rpc_count(&engine->counters.issued, 1);
        rpc_issue_close(item, CA_OK);
    }
}

/* ---- answer */

/* Refused for its dates: then a person sees which ones they would have been. */
static bool is_about_dates(enum ca_err err)
{
    return err == CA_ERR_RENEW_TOO_EARLY || err == CA_ERR_RENEW_TOO_OLD ||
           err == CA_ERR_RENEW_CAP || err == CA_ERR_RENEW_ISSUER_END || err == CA_ERR_CA_END;
}

static void result_fill(struct rpc_call *call, const struct rpc_issue *item,
                        Certmill__IssueResult *result)
{
    certmill__issue_result__init(result);
    result->status = rpc_call_status(call, item->err, &item->refusal);
    if (item->err != CA_OK && !is_about_dates(item->err))
        return;
    result->not_before = item->record.not_before_s;
    result->not_after = item->record.not_after_s;
    if (item->err != CA_OK)
        return;
    if (item->asked->dry_run) {
        result->tbs = rpc_binary(item->tbs);
    } else {
        result->serial = rpc_binary(ca_serial_bytes(&item->record.serial));
        result->certificate = rpc_binary(item->record.der);
    }
}

enum ca_err rpc_issue_answer(struct rpc_engine *engine, struct rpc_call *call)
{
    size_t count = call->item_count;
    Certmill__IssueAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    Certmill__IssueResult **pointers = rpc_call_alloc(call, count * sizeof(*pointers));
    Certmill__IssueResult *results = rpc_call_alloc(call, count * sizeof(*results));

    if (answer == NULL || pointers == NULL || results == NULL)
        return CA_ERR_BUSY;
    certmill__issue_answer__init(answer);
    for (size_t i = 0; i < count; i++) {
        result_fill(call, call->items[i], &results[i]);
        if (call->items[i]->err != CA_OK)
            rpc_count(&engine->counters.refused[call->items[i]->err], 1);
        pointers[i] = &results[i];
    }
    answer->n_items = count;
    answer->items = pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_ISSUE;
    call->answer.issue = answer;
    return CA_OK;
}

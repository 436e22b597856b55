/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/service.h"

#include <stdio.h>

#include "ca/crypto/digest.h"
#include "rpc/audit_service.h"
#include "rpc/crl_keeper.h"
#include "rpc/crl_service.h"
#include "rpc/heads.h"
#include "rpc/profiles_service.h"
#include "rpc/target.h"

enum { CURSOR_LEN = 8, COUNTERS_MAX = 48 + CA_ERR_COUNT, COUNTER_NAME_MAX = 48 };

/* Memory that is short makes the whole call BUSY; every function below answers false then. */

/* ---- records in the words of the protocol */

static const char *ca_name(const struct rpc_engine *engine, const struct store_digest *issuer)
{
    for (size_t i = 0; i < engine->config->ca_count; i++) {
        struct store_digest key = rpc_store_digest(engine->ca_keys[i]);
        if (store_digest_equal(&key, issuer))
            return engine->config->cas[i].issuer.name;
    }
    return "";
}

/* What is filled in, and from where. */
struct filling {
    struct rpc_worker *worker;
    struct rpc_call *call;
    Certmill__Certificate *out;
};

static enum ca_err serial_fill(const struct filling *filling, const struct ca_serial *serial,
                               ProtobufCBinaryData *out)
{
    struct ca_bytes copy = ca_arena_copy(filling->call->arena, ca_serial_bytes(serial));

    *out = rpc_binary(copy);
    return copy.data != NULL ? CA_OK : CA_ERR_BUSY;
}

/* An intent stays one, but for its being revoked. */
static enum ca_err standing_fill(const struct filling *filling, const struct rpc_target *target)
{
    const struct rpc_source source = { .view = filling->worker->view };
    struct rules_standing standing;
    enum ca_err err = rpc_target_standing(&source, target, &standing);

    if (err != CA_OK || standing.state == RULES_STATE_VALID)
        return err;
    filling->out->state = rpc_state(rpc_store_state(standing.state));
    filling->out->reason = (uint32_t)standing.reason;
    filling->out->revoked_at = standing.revoked_s;
    filling->out->invalidity_date = standing.has_invalidity ? standing.invalidity_s : 0;
    return CA_OK;
}

/* The one that follows: the next that was not abandoned. NULL: none, or it was abandoned itself. */
static const struct store_member *successor_of(const struct store_line *line,
                                               const struct store_member *member)
{
    if (member->delivery == STORE_DELIVERY_ABANDONED)
        return NULL;
    for (const struct store_member *next = member + 1; next < line->members + line->count; next++) {
        if (next->delivery != STORE_DELIVERY_ABANDONED)
            return next;
    }
    return NULL;
}

static Certmill__Delivery delivery_of(enum store_delivery delivery)
{
    switch (delivery) {
    case STORE_DELIVERY_WAITING: return CERTMILL__DELIVERY__DELIVERY_WAITING;
    case STORE_DELIVERY_ABANDONED: return CERTMILL__DELIVERY__DELIVERY_ABANDONED;
    default: return CERTMILL__DELIVERY__DELIVERY_DONE;
    }
}

static Certmill__Operation operation_of(enum store_operation operation)
{
    switch (operation) {
    case STORE_RENEW: return CERTMILL__OPERATION__OPERATION_RENEW;
    case STORE_REPLACE: return CERTMILL__OPERATION__OPERATION_REPLACE;
    case STORE_CHANGE: return CERTMILL__OPERATION__OPERATION_CHANGE;
    default: return CERTMILL__OPERATION__OPERATION_NEW;
    }
}

/* One look-up. predecessor: its locator. */
static enum ca_err line_fill(const struct filling *filling, const struct rpc_target *target,
                             uint64_t predecessor)
{
    const struct rpc_source source = { .view = filling->worker->view };
    Certmill__Certificate *out = filling->out;
    struct store_line line;
    enum ca_err err = rpc_target_line(&source, target, &line);

    if (err != CA_OK)
        return err;
    const struct store_member *before = rpc_line_find(&line, predecessor);
    const struct store_member *member = rpc_line_find(&line, ca_serial_locator(&target->serial));
    if (member == NULL || (before == NULL && predecessor != 0))
        return CA_ERR_STORAGE_CORRUPT;
    const struct store_member *next = successor_of(&line, member);
    out->delivery = delivery_of(member->delivery);
    out->operation = operation_of(member->operation);
    if (before != NULL)
        err = serial_fill(filling, &before->serial, &out->predecessor);
    if (err == CA_OK && next != NULL)
        err = serial_fill(filling, &next->serial, &out->successor);
    if (err == CA_OK)
        err = serial_fill(filling, &store_line_head(&line)->serial, &out->head);
    return err;
}

/* An intent is of no line yet: the certificate it is to follow upon is found by its time of issue,
 * which the locator tells. */
static enum ca_err predecessor_fill(const struct filling *filling, uint64_t predecessor)
{
    uint64_t time_us = predecessor & (UINT64_MAX >> 8);
    struct store_certificate before;
    size_t count = 0;

    if (predecessor == 0)
        return CA_OK;
    enum ca_err err =
        store_find_time(filling->worker->view, time_us, time_us + 1, 0, &before, 1, &count);
    if (err != CA_OK || count == 0)
        return err;
    return serial_fill(filling, &before.serial, &filling->out->predecessor);
}

static enum ca_err target_fill(const struct filling *filling, const struct rpc_target *target)
{
    Certmill__Certificate *out = filling->out;
    enum ca_err err = serial_fill(filling, &target->serial, &out->serial);

    out->issued_us = (int64_t)ca_serial_time_us(&target->serial);
    out->ca = rpc_text(ca_name(filling->worker->engine, &target->scope.issuer));
    out->not_before = target->not_before_s;
    out->not_after = target->not_after_s;
    return err == CA_OK ? standing_fill(filling, target) : err;
}

static enum ca_err profile_fill(const struct filling *filling, const struct store_digest *id)
{
    struct ca_bytes copy =
        ca_arena_copy(filling->call->arena, ca_bytes_of(id->bytes, STORE_DIGEST_LEN));

    filling->out->profile = rpc_text(rpc_profiles_name(filling->worker->engine->profiles, id));
    filling->out->profile_id = rpc_binary(copy);
    return copy.data != NULL ? CA_OK : CA_ERR_BUSY;
}

static enum ca_err certificate_fill(const struct filling *filling,
                                    const struct store_certificate *record)
{
    const struct rpc_target target = rpc_target_of(record);
    Certmill__Certificate *out = filling->out;

    certmill__certificate__init(out);
    out->state = CERTMILL__STATE__STATE_VALID;
    out->certificate = rpc_binary(record->der);
    enum ca_err err = profile_fill(filling, &record->profile);
    if (err == CA_OK)
        err = target_fill(filling, &target);
    return err == CA_OK ? line_fill(filling, &target, record->predecessor) : err;
}

static enum ca_err intent_fill(const struct filling *filling, const struct store_intent *record)
{
    const struct rpc_target target = rpc_target_of_intent(record);
    Certmill__Certificate *out = filling->out;

    certmill__certificate__init(out);
    out->state = CERTMILL__STATE__STATE_INTENT;
    enum ca_err err = profile_fill(filling, &record->profile);
    if (err == CA_OK)
        err = target_fill(filling, &target);
    return err == CA_OK ? predecessor_fill(filling, record->predecessor) : err;
}

/* ---- get */

static bool get_one(struct rpc_worker *worker, struct rpc_call *call, struct ca_bytes asked,
                    Certmill__Certificate *out)
{
    const struct filling filling = { worker, call, out };
    struct store_certificate certificate;
    struct store_intent intent;
    struct ca_serial serial;
    enum ca_err err = ca_serial_from_bytes(asked, &serial);

    if (err == CA_OK) {
        err = store_find_serial(worker->view, &serial, &certificate);
        if (err == CA_OK)
            err = certificate_fill(&filling, &certificate);
        else if (err == CA_ERR_NOT_FOUND &&
                 (err = store_find_intent(worker->view, &serial, &intent)) == CA_OK)
            err = intent_fill(&filling, &intent);
    }
    if (err == CA_OK || err == CA_ERR_BUSY)
        return err == CA_OK;
    certmill__certificate__init(out);
    struct ca_refusal refusal = { "serial", "" };
    out->serial = rpc_binary(asked);
    out->status = rpc_call_status(call, err, &refusal);
    return out->status != NULL;
}

static bool read_get(struct rpc_worker *worker, struct rpc_call *call)
{
    const Certmill__GetRequest *asked = call->request->get;
    Certmill__GetAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    void **pointers;
    Certmill__Certificate *items =
        rpc_call_alloc_messages(call, asked->n_serials, sizeof(*items), &pointers);

    if (answer == NULL || items == NULL)
        return false;
    for (size_t i = 0; i < asked->n_serials; i++) {
        if (!get_one(worker, call, rpc_bytes(asked->serials[i]), &items[i]))
            return false;
    }
    certmill__get_answer__init(answer);
    answer->n_items = asked->n_serials;
    answer->items = (Certmill__Certificate **)pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_GET;
    call->answer.get = answer;
    return true;
}

/* ---- find */

struct search {
    struct rpc_worker *worker;
    struct rpc_call *call;
    const Certmill__FindQuery *query;
    uint64_t after; /* from the cursor */
    size_t limit;
    Certmill__Certificate *found;
    size_t count;
    uint64_t last; /* locator of the last one found */
    struct ca_refusal refusal;
};

static enum ca_err cursor_read(struct ca_bytes cursor, uint64_t *after_out)
{
    if (cursor.len != 0 && cursor.len != CURSOR_LEN)
        return CA_ERR_CURSOR;
    *after_out = ca_bytes_get_number(cursor.data, cursor.len);
    return CA_OK;
}

static bool cursor_write(struct rpc_call *call, uint64_t after, ProtobufCBinaryData *cursor_out)
{
    uint8_t *cursor = rpc_call_alloc(call, CURSOR_LEN);

    if (cursor == NULL)
        return false;
    ca_bytes_put_number(cursor, after, CURSOR_LEN);
    *cursor_out = rpc_binary(ca_bytes_of(cursor, CURSOR_LEN));
    return true;
}

static enum ca_err identity_of(struct search *search, struct store_digest *digest_out)
{
    const Certmill__Identity *identity = search->query->identity;
    struct rules_value values[CA_ATTRIBUTE_COUNT_MAX];
    uint8_t digest[CA_DIGEST_LEN];

    if (identity->n_values == 0 || identity->n_values > CA_ATTRIBUTE_COUNT_MAX)
        return ca_refuse(&search->refusal, CA_ERR_FIELD_REQUIRED, "identity", "protocol");
    for (size_t i = 0; i < identity->n_values; i++) {
        values[i].name = ca_bytes_of_text(identity->values[i]->name);
        values[i].value = rpc_bytes(identity->values[i]->value);
    }
    rules_identity(values, identity->n_values, digest);
    *digest_out = rpc_store_digest(digest);
    return CA_OK;
}

static enum ca_err find_by_digest(struct search *search, struct store_certificate *records,
                                  size_t *count_out)
{
    struct store_digest digest;
    enum ca_err err = CA_OK;
    enum store_index index = STORE_BY_IDENTITY;

    if (search->query->by_case == CERTMILL__FIND_QUERY__BY_KEY) {
        uint8_t whole[CA_DIGEST_LEN];
        struct ca_bytes spki = rpc_bytes(search->query->key);
        crypto_sha256(&spki, 1, whole);
        digest = rpc_store_digest(whole);
        index = STORE_BY_KEY;
    } else {
        err = identity_of(search, &digest);
    }
    if (err != CA_OK)
        return err;
    return store_find_digest(search->worker->view, index, &digest, search->after, records,
                             search->limit, count_out);
}

static enum ca_err find_by_time(struct search *search, struct store_certificate *records,
                                size_t *count_out)
{
    const Certmill__TimeRange *range = search->query->time;
    const int64_t limit_s = INT64_C(1) << 35; /* the year 3058; microseconds fit 56 bits */

    if (range->from < 0 || range->until < 0 || range->from > limit_s || range->until > limit_s)
        return ca_refuse(&search->refusal, CA_ERR_FIELD_FORMAT, "time", "protocol");
    uint64_t until_us = range->until == 0 ? UINT64_MAX >> 8 : (uint64_t)range->until * 1000000;
    return store_find_time(search->worker->view, (uint64_t)range->from * 1000000, until_us,
                           search->after, records, search->limit, count_out);
}

static enum ca_err find_certificates(struct search *search)
{
    struct store_certificate *records =
        rpc_call_alloc(search->call, search->limit * sizeof(*records));
    enum ca_err err;

    if (records == NULL)
        return CA_ERR_BUSY;
    if (search->query->by_case == CERTMILL__FIND_QUERY__BY_TIME)
        err = find_by_time(search, records, &search->count);
    else
        err = find_by_digest(search, records, &search->count);
    for (size_t i = 0; i < search->count && err == CA_OK; i++) {
        const struct filling filling = { search->worker, search->call, &search->found[i] };
        err = certificate_fill(&filling, &records[i]);
        search->last = ca_serial_locator(&records[i].serial);
    }
    return err;
}

static enum ca_err find_intents(struct search *search)
{
    struct store_intent *records = rpc_call_alloc(search->call, search->limit * sizeof(*records));

    if (records == NULL)
        return CA_ERR_BUSY;
    enum ca_err err = store_find_intents(search->worker->view, search->after, records,
                                         search->limit, &search->count);
    for (size_t i = 0; i < search->count && err == CA_OK; i++) {
        const struct filling filling = { search->worker, search->call, &search->found[i] };
        err = intent_fill(&filling, &records[i]);
        search->last = ca_serial_locator(&records[i].serial);
    }
    return err;
}

static enum ca_err search_run(struct search *search, size_t budget, void ***pointers_out)
{
    uint32_t limit = search->query->limit;

    if (limit > RPC_FIND_LIMIT_MAX)
        return ca_refuse(&search->refusal, CA_ERR_FIELD_FORMAT, "limit", "protocol");
    search->limit = limit == 0 ? RPC_FIND_LIMIT_DEFAULT : limit;
    if (budget == 0)
        return ca_refuse(&search->refusal, CA_ERR_TOO_MANY_ITEMS, "queries", "protocol");
    if (search->limit > budget)
        search->limit = budget;
    enum ca_err err = cursor_read(rpc_bytes(search->query->cursor), &search->after);
    if (err != CA_OK)
        return ca_refuse(&search->refusal, err, "cursor", "protocol");
    search->found =
        rpc_call_alloc_messages(search->call, search->limit, sizeof(*search->found), pointers_out);
    if (search->found == NULL)
        return CA_ERR_BUSY;
    switch (search->query->by_case) {
    case CERTMILL__FIND_QUERY__BY_INTENTS: return find_intents(search);
    case CERTMILL__FIND_QUERY__BY__NOT_SET:
        return ca_refuse(&search->refusal, CA_ERR_FIELD_REQUIRED, "by", "protocol");
    default: return find_certificates(search);
    }
}

/* budget: certificates one answer may still hold. */
static bool find_one(struct rpc_worker *worker, struct rpc_call *call,
                     const Certmill__FindQuery *query, size_t *budget, Certmill__FindResult *out)
{
    struct search search = { .worker = worker, .call = call, .query = query };
    void **pointers = NULL;
    enum ca_err err = search_run(&search, *budget, &pointers);

    certmill__find_result__init(out);
    if (err == CA_ERR_BUSY)
        return false;
    if (err != CA_OK) {
        out->status = rpc_call_status(call, err, &search.refusal);
        return out->status != NULL;
    }
    *budget -= search.count;
    out->n_certificates = search.count;
    out->certificates = (Certmill__Certificate **)pointers;
    return search.count < search.limit || cursor_write(call, search.last, &out->cursor);
}

static bool read_find(struct rpc_worker *worker, struct rpc_call *call)
{
    const Certmill__FindRequest *asked = call->request->find;
    Certmill__FindAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    void **pointers;
    Certmill__FindResult *items =
        rpc_call_alloc_messages(call, asked->n_queries, sizeof(*items), &pointers);
    size_t budget = RPC_FIND_LIMIT_MAX;

    if (answer == NULL || items == NULL)
        return false;
    for (size_t i = 0; i < asked->n_queries; i++) {
        if (!find_one(worker, call, asked->queries[i], &budget, &items[i]))
            return false;
    }
    certmill__find_answer__init(answer);
    answer->n_items = asked->n_queries;
    answer->items = (Certmill__FindResult **)pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_FIND;
    call->answer.find = answer;
    return true;
}

/* ---- changes */

static void change_fill(const struct store_change *change, Certmill__Change *out)
{
    certmill__change__init(out);
    out->sequence = change->sequence;
    out->time_us = (int64_t)change->time_us;
    out->serial = rpc_binary(ca_serial_bytes(&change->serial));
    out->old_state = rpc_state(change->old_state);
    out->new_state = rpc_state(change->new_state);
    out->reason = change->reason;
}

static bool read_changes(struct rpc_worker *worker, struct rpc_call *call)
{
    const Certmill__ChangesRequest *asked = call->request->changes;
    size_t limit = asked->limit == 0 ? RPC_FIND_LIMIT_DEFAULT : asked->limit;
    Certmill__ChangesAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    struct store_change *changes;
    void **pointers;
    size_t count;

    if (limit > RPC_FIND_LIMIT_MAX) {
        rpc_call_refuse(call, CA_ERR_FIELD_FORMAT);
        return true;
    }
    changes = rpc_call_alloc(call, limit * sizeof(*changes));
    Certmill__Change *items = rpc_call_alloc_messages(call, limit, sizeof(*items), &pointers);
    if (answer == NULL || changes == NULL || items == NULL)
        return false;
    certmill__changes_answer__init(answer);
    enum ca_err err = store_find_changes(worker->view, asked->since, changes, limit, &count);
    if (err == CA_OK)
        err = store_view_sequence(worker->view, &answer->last);
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        change_fill(&changes[i], &items[i]);
    answer->n_changes = count;
    answer->changes = (Certmill__Change **)pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_CHANGES;
    call->answer.changes = answer;
    return true;
}

/* ---- ca */

static bool ca_fill(const struct rpc_config *config, struct rpc_call *call, size_t ca,
                    Certmill__CaInfo *out)
{
    const struct rpc_ca *from = &config->cas[ca];
    ProtobufCBinaryData *chain = rpc_call_alloc(call, from->chain_count * sizeof(*chain));
    char **profiles = rpc_call_alloc(call, config->profile_count * sizeof(*profiles));

    if (chain == NULL || profiles == NULL)
        return false;
    for (size_t i = 0; i < from->chain_count; i++)
        chain[i] = rpc_binary(from->chain[i]);
    for (size_t i = 0; i < config->profile_count; i++) {
        if (config->profiles[i].ca == ca)
            profiles[out->n_profiles++] = rpc_text(config->profiles[i].rules.name);
    }
    out->name = rpc_text(from->issuer.name);
    out->key_type = rpc_text(crypto_key_type_name(from->issuer.key->type));
    out->n_chain = from->chain_count;
    out->chain = chain;
    out->profiles = profiles;
    return true;
}

static bool ca_one(const struct rpc_config *config, struct rpc_call *call, const char *name,
                   Certmill__CaInfo *out)
{
    for (size_t i = 0; i < config->ca_count; i++) {
        if (strcmp(config->cas[i].issuer.name, name) == 0)
            return ca_fill(config, call, i, out);
    }
    struct ca_refusal refusal = { "name", "configuration" };
    out->name = rpc_text(name);
    out->status = rpc_call_status(call, CA_ERR_CA_UNKNOWN, &refusal);
    return out->status != NULL;
}

static bool read_ca(struct rpc_worker *worker, struct rpc_call *call)
{
    const struct rpc_config *config = worker->engine->config;
    const Certmill__CaRequest *asked = call->request->ca;
    size_t count = asked->n_names == 0 ? config->ca_count : asked->n_names;
    Certmill__CaAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    void **pointers;
    Certmill__CaInfo *items = rpc_call_alloc_messages(call, count, sizeof(*items), &pointers);

    if (answer == NULL || items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        certmill__ca_info__init(&items[i]);
        bool has_memory = asked->n_names == 0 ? ca_fill(config, call, i, &items[i])
                                              : ca_one(config, call, asked->names[i], &items[i]);
        if (!has_memory)
            return false;
    }
    certmill__ca_answer__init(answer);
    answer->n_items = count;
    answer->items = (Certmill__CaInfo **)pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_CA;
    call->answer.ca = answer;
    return true;
}

/* ---- statistics and health */

struct counter_list {
    struct rpc_call *call;
    Certmill__Counter *counters;
    Certmill__Counter **pointers;
    size_t count;
};

static void counter_add(struct counter_list *list, const char *name, uint64_t value)
{
    Certmill__Counter *counter = &list->counters[list->count];

    certmill__counter__init(counter);
    counter->name = rpc_text(name);
    counter->value = value;
    list->pointers[list->count++] = counter;
}

static uint64_t acted(struct rpc_counters *counters, Certmill__Act act)
{
    return atomic_load(&counters->acted[act]);
}

static void counters_of_engine(struct counter_list *list, struct rpc_engine *engine)
{
    struct rpc_counters *counters = &engine->counters;

    counter_add(list, "messages", atomic_load(&counters->messages));
    counter_add(list, "items", atomic_load(&counters->items));
    counter_add(list, "issued", atomic_load(&counters->issued));
    counter_add(list, "repeated", atomic_load(&counters->repeated));
    counter_add(list, "dry_runs", atomic_load(&counters->dry_runs));
    counter_add(list, "acts", atomic_load(&counters->acts));
    counter_add(list, "acts.revoked", acted(counters, CERTMILL__ACT__ACT_REVOKE));
    counter_add(list, "acts.held", acted(counters, CERTMILL__ACT__ACT_HOLD));
    counter_add(list, "acts.released", acted(counters, CERTMILL__ACT__ACT_RELEASE));
    counter_add(list, "acts.acknowledged", acted(counters, CERTMILL__ACT__ACT_ACKNOWLEDGE));
    counter_add(list, "acts.abandoned", acted(counters, CERTMILL__ACT__ACT_ABANDON));
    counter_add(list, "batches", atomic_load(&counters->batches));
    counter_add(list, "commits", atomic_load(&counters->commits));
    counter_add(list, "connections", atomic_load(&counters->connections));
    counter_add(list, "connections.refused", atomic_load(&counters->connections_refused));
    counter_add(list, "answers.dropped", atomic_load(&counters->answers_dropped));
    for (size_t i = CA_OK + 1; i < CA_ERR_COUNT; i++) {
        uint64_t count = atomic_load(&counters->refused[i]);
        if (count == 0)
            continue;
        char *name = rpc_call_alloc(list->call, COUNTER_NAME_MAX);
        if (name == NULL)
            return;
        snprintf(name, COUNTER_NAME_MAX, "refused.%s", ca_err_name((enum ca_err)i));
        counter_add(list, name, count);
    }
}

static void counters_of_heads(struct counter_list *list, struct rpc_heads *heads)
{
    uint64_t sequence, count;

    if (heads == NULL)
        return;
    rpc_heads_count(heads, &sequence, &count);
    counter_add(list, "audit.signed", sequence);
    counter_add(list, "audit.heads", count);
}

static void counters_of_store(struct counter_list *list, struct store *store)
{
    struct store_info info;

    store_info(store, &info);
    counter_add(list, "store.certificates", info.certificate_count);
    counter_add(list, "store.intents", info.intent_count);
    counter_add(list, "store.changes", info.change_sequence);
    counter_add(list, "store.audit", info.audit_sequence);
    counter_add(list, "store.runs", info.run_count);
    counter_add(list, "store.bytes_used", info.bytes_used);
    counter_add(list, "store.bytes_free", info.bytes_free);
}

/* Signatures made by the signer process: never more than there were intents. */
static void counters_of_signers(struct counter_list *list, const struct rpc_config *config)
{
    struct keys_signer_counts sum = { 0 };

    for (size_t i = 0; i < config->ca_count; i++) {
        struct keys_signer_counts counts;
        keys_signer_count(config->cas[i].signer, &counts);
        sum.signatures += counts.signatures;
        sum.refused += counts.refused;
        sum.repeated += counts.repeated;
    }
    counter_add(list, "signer.signatures", sum.signatures);
    counter_add(list, "signer.refused", sum.refused);
    counter_add(list, "signer.repeated", sum.repeated);
}

static bool read_stats(struct rpc_worker *worker, struct rpc_call *call)
{
    Certmill__StatsAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    void **pointers;
    struct counter_list list = { .call = call };

    list.counters = rpc_call_alloc_messages(call, COUNTERS_MAX, sizeof(*list.counters), &pointers);
    if (answer == NULL || list.counters == NULL)
        return false;
    list.pointers = (Certmill__Counter **)pointers;
    counters_of_engine(&list, worker->engine);
    counters_of_store(&list, worker->engine->store);
    counters_of_heads(&list, worker->engine->heads);
    counters_of_signers(&list, worker->engine->config);
    certmill__stats_answer__init(answer);
    answer->n_counters = list.count;
    answer->counters = list.pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_STATS;
    call->answer.stats = answer;
    return true;
}

static bool signers_are_ready(const struct rpc_config *config)
{
    for (size_t i = 0; i < config->ca_count; i++) {
        if (keys_signer_state(config->cas[i].signer) != CA_OK)
            return false;
    }
    return true;
}

static size_t alarms_fill(struct rpc_engine *engine, char **alarms)
{
    struct store_info info;
    size_t count = 0;

    store_info(engine->store, &info);
    if (info.is_latched || atomic_load(&engine->is_storage_latched))
        alarms[count++] = rpc_text("STORAGE");
    if (info.is_full)
        alarms[count++] = rpc_text("STORAGE_FULL");
    if (!rpc_clock_is_trusted(&engine->clock))
        alarms[count++] = rpc_text("CLOCK");
    if (atomic_load(&engine->counters.refused[CA_ERR_SIGNATURE_WRONG]) > 0)
        alarms[count++] = rpc_text("SIGNATURE_WRONG");
    if (!signers_are_ready(engine->config))
        alarms[count++] = rpc_text("SIGNER");
    return count;
}

static bool read_health(struct rpc_worker *worker, struct rpc_call *call)
{
    enum { ALARMS_MAX = 8 };
    struct rpc_crl_keeper *keeper = worker->engine->crl_keeper;
    Certmill__HealthAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    char **alarms = rpc_call_alloc(call, (ALARMS_MAX + RPC_CA_MAX) * sizeof(*alarms));
    size_t overdue = 0;

    if (answer == NULL || alarms == NULL)
        return false;
    certmill__health_answer__init(answer);
    answer->ready = true;
    answer->n_alarms = alarms_fill(worker->engine, alarms);
    answer->alarms = alarms;
    answer->issuing = answer->n_alarms == 0;
    if (keeper != NULL &&
        rpc_crl_keeper_alarms(keeper, call->arena, alarms + answer->n_alarms, &overdue) != CA_OK)
        return false;
    answer->n_alarms += overdue;
    if (worker->engine->heads != NULL && rpc_heads_has_trouble(worker->engine->heads))
        alarms[answer->n_alarms++] = rpc_text("AUDIT_HEAD");
    answer->version = rpc_text(CERTMILL_VERSION);
    call->answer.method_case = CERTMILL__ANSWER__METHOD_HEALTH;
    call->answer.health = answer;
    return true;
}

static bool read_nothing(struct rpc_call *call)
{
    Certmill__IssueAnswer *answer = rpc_call_alloc(call, sizeof(*answer));

    if (answer == NULL)
        return false;
    certmill__issue_answer__init(answer);
    call->answer.method_case = CERTMILL__ANSWER__METHOD_ISSUE;
    call->answer.issue = answer;
    return true;
}

static bool read_method(struct rpc_worker *worker, struct rpc_call *call)
{
    switch (call->request->method_case) {
    case CERTMILL__REQUEST__METHOD_GET: return read_get(worker, call);
    case CERTMILL__REQUEST__METHOD_FIND: return read_find(worker, call);
    case CERTMILL__REQUEST__METHOD_CHANGES: return read_changes(worker, call);
    case CERTMILL__REQUEST__METHOD_CA: return read_ca(worker, call);
    case CERTMILL__REQUEST__METHOD_STATS: return read_stats(worker, call);
    case CERTMILL__REQUEST__METHOD_HEALTH: return read_health(worker, call);
    case CERTMILL__REQUEST__METHOD_CRL_LIST: return rpc_crl_list(worker, call);
    case CERTMILL__REQUEST__METHOD_CRL_GET: return rpc_crl_get(worker, call);
    case CERTMILL__REQUEST__METHOD_PROFILES: return rpc_profiles_list(worker, call);
    case CERTMILL__REQUEST__METHOD_AUDIT: return rpc_audit_list(worker, call);
    default: return read_nothing(call); /* issue, of no items */
    }
}

void rpc_service_read(struct rpc_worker *worker, struct rpc_call *call)
{
    enum ca_err err = store_view_renew(worker->view);

    if (err != CA_OK)
        rpc_call_refuse(call, err);
    else if (!read_method(worker, call))
        rpc_call_refuse(call, CA_ERR_BUSY);
}

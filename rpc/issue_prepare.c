/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "ca/crypto/digest.h"
#include "rpc/succeed.h"

/* Everything that is hashed of one item: its fixed fields, values and names, each with a length. */
enum { PARTS_MAX = 2 * (9 + 2 * CA_ATTRIBUTE_COUNT_MAX + 2 * CA_SAN_COUNT_MAX) };

struct part_list {
    struct ca_bytes parts[PARTS_MAX];
    uint32_t lengths[PARTS_MAX / 2];
    size_t count;
};

struct rpc_issue_scratch {
    struct part_list list;
    struct x509_csr csr;
    struct rpc_issue *open[RPC_BATCH_MAX];
    size_t open_count;
    const struct store_digest *digests[RPC_BATCH_MAX];
    struct rpc_claim claims[RPC_BATCH_MAX];
    uint8_t random[RPC_BATCH_MAX][CA_SERIAL_RANDOM_LEN];
    struct crypto_public_key keys[RPC_BATCH_MAX];
    struct crypto_verification verifications[2 * RPC_BATCH_MAX]; /* and those of old keys */
    size_t verification_count;
};

struct store_digest rpc_store_digest(const uint8_t digest[CA_DIGEST_LEN])
{
    struct store_digest short_digest;

    memcpy(short_digest.bytes, digest, STORE_DIGEST_LEN);
    return short_digest;
}

/* ---- who and what: request id, profile, CA, digests */

static void part_add(struct part_list *list, struct ca_bytes bytes)
{
    assert(list->count + 2 <= PARTS_MAX);
    uint32_t *len = &list->lengths[list->count / 2];
    *len = (uint32_t)bytes.len;
    list->parts[list->count++] = ca_bytes_of(len, sizeof(*len));
    list->parts[list->count++] = bytes;
}

static struct ca_bytes alt_name_bytes(const Certmill__AltName *name)
{
    switch (name->name_case) {
    case CERTMILL__ALT_NAME__NAME_DNS: return rpc_bytes(name->dns);
    case CERTMILL__ALT_NAME__NAME_IP: return rpc_bytes(name->ip);
    case CERTMILL__ALT_NAME__NAME_EMAIL: return rpc_bytes(name->email);
    case CERTMILL__ALT_NAME__NAME_URI: return rpc_bytes(name->uri);
    default: return (struct ca_bytes){ 0 };
    }
}

/* Two requests are the same if all they ask for is. */
static void body_digest(struct part_list *list, const Certmill__IssueItem *asked,
                        struct store_digest *digest_out)
{
    uint8_t digest[CA_DIGEST_LEN];
    uint32_t kinds[CA_SAN_COUNT_MAX];
    const int64_t succession[] = { asked->operation, asked->cause, asked->lost_at };

    list->count = 0;
    part_add(list, ca_bytes_of_text(asked->ca));
    part_add(list, ca_bytes_of_text(asked->profile));
    part_add(list, rpc_bytes(asked->csr));
    part_add(list, ca_bytes_of(&asked->term, sizeof(asked->term)));
    for (size_t i = 0; i < asked->n_values; i++) {
        part_add(list, ca_bytes_of_text(asked->values[i]->name));
        part_add(list, rpc_bytes(asked->values[i]->value));
    }
    for (size_t i = 0; i < asked->n_alt_names; i++) {
        kinds[i] = (uint32_t)asked->alt_names[i]->name_case;
        part_add(list, ca_bytes_of(&kinds[i], sizeof(kinds[i])));
        part_add(list, alt_name_bytes(asked->alt_names[i]));
    }
    if (asked->operation != CERTMILL__OPERATION__OPERATION_NEW) {
        part_add(list, ca_bytes_of(succession, sizeof(succession)));
        part_add(list, rpc_bytes(asked->predecessor));
        part_add(list, rpc_bytes(asked->old_key_signature));
    }
    crypto_sha256(list->parts, list->count, digest);
    *digest_out = rpc_store_digest(digest);
}

struct store_digest rpc_request_digest(const char *actor, struct ca_bytes method,
                                       const char *request_id)
{
    uint8_t digest[CA_DIGEST_LEN];
    struct ca_bytes parts[] = { ca_bytes_of(actor, strlen(actor) + 1), method,
                                ca_bytes_of_text(request_id) };

    crypto_sha256(parts, 3, digest);
    return rpc_store_digest(digest);
}

enum ca_err rpc_request_id_check(const char *request_id, struct ca_refusal *refusal)
{
    struct ca_bytes id = ca_bytes_of_text(request_id);

    if (id.len >= CA_REQUEST_ID_LEN_MIN && id.len <= CA_REQUEST_ID_LEN_MAX &&
        ca_text_is_visible_ascii(id))
        return CA_OK;
    return ca_refuse(refusal, CA_ERR_REQUEST_ID, "request_id", "protocol");
}

static enum ca_err item_limits(struct rpc_issue *item)
{
    const Certmill__IssueItem *asked = item->asked;
    enum ca_err err =
        asked->dry_run ? CA_OK : rpc_request_id_check(asked->request_id, &item->refusal);

    if (err != CA_OK)
        return err;
    if (asked->csr.len > CA_CSR_LEN_MAX)
        return ca_refuse(&item->refusal, CA_ERR_FIELD_LENGTH, "csr", "protocol");
    if (asked->n_values > CA_ATTRIBUTE_COUNT_MAX)
        return ca_refuse(&item->refusal, CA_ERR_TOO_MANY_ITEMS, "values", "protocol");
    if (asked->n_alt_names > CA_SAN_COUNT_MAX)
        return ca_refuse(&item->refusal, CA_ERR_SAN_COUNT, "alt_names", "protocol");
    return rpc_succeed_check(asked, &item->refusal);
}

static enum ca_err item_resolve(const struct rpc_engine *engine, struct rpc_issue *item)
{
    const struct rpc_config *config = engine->config;
    const Certmill__IssueItem *asked = item->asked;
    size_t ca = config->ca_count;

    for (size_t i = 0; i < config->profile_count && item->profile == NULL; i++) {
        if (strcmp(config->profiles[i].rules.name, asked->profile) == 0)
            item->profile = &config->profiles[i];
    }
    if (item->profile == NULL)
        return ca_refuse(&item->refusal, CA_ERR_PROFILE_UNKNOWN, "profile", "configuration");
    if (asked->ca[0] == '\0')
        ca = item->profile->ca;
    for (size_t i = 0; i < config->ca_count && ca == config->ca_count; i++) {
        if (strcmp(config->cas[i].issuer.name, asked->ca) == 0)
            ca = i;
    }
    if (ca == config->ca_count)
        return ca_refuse(&item->refusal, CA_ERR_CA_UNKNOWN, "ca", "configuration");
    item->ca = &config->cas[ca];
    memcpy(item->record.profile.bytes, item->profile->rules.id, STORE_DIGEST_LEN);
    item->record.issuer = rpc_store_digest(engine->ca_keys[ca]);
    return CA_OK;
}

static void batch_resolve(struct rpc_worker *worker, struct rpc_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct rpc_issue *item = &batch->items[i];
        enum ca_err err = item_limits(item);
        if (err == CA_OK)
            err = item_resolve(worker->engine, item);
        if (err != CA_OK) {
            rpc_issue_close(item, err);
            continue;
        }
        body_digest(&worker->scratch->list, item->asked, &item->record.body);
        item->record.request = rpc_request_digest(item->call->session->actor, RPC_METHOD_ISSUE,
                                                  item->asked->request_id);
    }
}

/* ---- asked before? */

/* The answer of then, now: from the record alone, so it is the same to the byte. */
static enum ca_err item_repeat(struct rpc_worker *worker, struct rpc_issue *item,
                               const struct store_certificate *found)
{
    if (!store_digest_equal(&found->body, &item->record.body)) {
        item->is_conflict = true;
        return CA_OK;
    }
    struct ca_bytes der = ca_arena_copy(item->batch->arena, found->der);
    if (der.data == NULL)
        return CA_ERR_BUSY;
    item->record = *found;
    item->record.der = der;
    rpc_count(&worker->engine->counters.repeated, 1);
    rpc_issue_close(item, CA_OK);
    return CA_OK;
}

static enum ca_err item_resume(struct rpc_worker *worker, struct rpc_issue *item,
                               const struct rpc_claim *claim)
{
    struct store_intent intent;
    enum ca_err err = store_find_intent(worker->view, &claim->serial, &intent);

    if (err == CA_ERR_NOT_FOUND) /* it never reached the disk */
        return rpc_claims_put(worker->engine->claims, &item->record.request, RPC_CLAIM_NONE, NULL);
    if (err != CA_OK)
        return err;
    if (!store_digest_equal(&intent.body, &item->record.body)) {
        item->is_conflict = true;
        return CA_OK;
    }
    const struct rpc_source source = { .view = worker->view };
    const struct rpc_target target = rpc_target_of_intent(&intent);
    if ((err = rpc_target_check(&source, &target, &item->refusal)) != CA_OK)
        return err;
    item->is_resumed = true;
    item->record.serial = intent.serial;
    memcpy(item->tbs_digest, intent.tbs_digest, CA_DIGEST_LEN);
    return CA_OK;
}

static enum ca_err item_look_up(struct rpc_worker *worker, struct rpc_issue *item,
                                const struct rpc_claim *claim)
{
    struct store_certificate found;

    if (claim->state == RPC_CLAIM_PENDING)
        return ca_refuse(&item->refusal, CA_ERR_UNKNOWN, "request_id", "being worked on");
    enum ca_err err = store_find_request(worker->view, &item->record.request, &found);
    if (err == CA_OK)
        return item_repeat(worker, item, &found);
    if (err != CA_ERR_NOT_FOUND)
        return err;
    return claim->state == RPC_CLAIM_ORPHAN ? item_resume(worker, item, claim) : CA_OK;
}

/* Claims first, then a view that is no older: what leaves the one is seen in the other. */
static enum ca_err batch_look_up(struct rpc_worker *worker, struct rpc_batch *batch)
{
    struct rpc_issue_scratch *scratch = worker->scratch;
    size_t count = 0;

    batch->commit = atomic_load(&worker->engine->commit);
    for (size_t i = 0; i < batch->count; i++) {
        struct rpc_issue *item = &batch->items[i];
        if (item->is_closed || item->asked->dry_run)
            continue;
        scratch->digests[count] = &item->record.request;
        scratch->open[count++] = item;
    }
    rpc_claims_find(worker->engine->claims, scratch->digests, count, scratch->claims);
    enum ca_err err = store_view_renew(worker->view);
    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        err = item_look_up(worker, scratch->open[i], &scratch->claims[i]);
        if (err != CA_OK)
            rpc_issue_close(scratch->open[i], err);
    }
    return CA_OK;
}

/* ---- the bytes to be signed */

static enum ca_err request_of(struct rpc_issue *item, struct rules_request *request_out)
{
    const Certmill__IssueItem *asked = item->asked;
    struct ca_arena *arena = item->batch->arena;
    struct rules_value *values = ca_arena_alloc(arena, asked->n_values * sizeof(*values));
    struct rules_san *sans = ca_arena_alloc(arena, asked->n_alt_names * sizeof(*sans));

    if (values == NULL || sans == NULL)
        return CA_ERR_BUSY;
    for (size_t i = 0; i < asked->n_values; i++) {
        values[i].name = ca_bytes_of_text(asked->values[i]->name);
        values[i].value = rpc_bytes(asked->values[i]->value);
    }
    for (size_t i = 0; i < asked->n_alt_names; i++) {
        static const enum rules_san_kind kinds[] = {
            [CERTMILL__ALT_NAME__NAME_DNS] = RULES_SAN_DNS,
            [CERTMILL__ALT_NAME__NAME_IP] = RULES_SAN_IP,
            [CERTMILL__ALT_NAME__NAME_EMAIL] = RULES_SAN_EMAIL,
            [CERTMILL__ALT_NAME__NAME_URI] = RULES_SAN_URI,
        };
        if (asked->alt_names[i]->name_case == CERTMILL__ALT_NAME__NAME__NOT_SET)
            return ca_refuse(&item->refusal, CA_ERR_SAN_TYPE, "alt_names", "protocol");
        sans[i].kind = kinds[asked->alt_names[i]->name_case];
        sans[i].value = alt_name_bytes(asked->alt_names[i]);
    }
    *request_out =
        (struct rules_request){ values, asked->n_values, sans, asked->n_alt_names, asked->term };
    return CA_OK;
}

static bool key_is_of_a_ca(const struct rpc_engine *engine, const uint8_t digest[CA_DIGEST_LEN])
{
    for (size_t i = 0; i < engine->config->ca_count; i++) {
        if (ca_bytes_equal(ca_bytes_of(engine->ca_keys[i], CA_DIGEST_LEN),
                           ca_bytes_of(digest, CA_DIGEST_LEN)))
            return true;
    }
    return false;
}

static bool is_of_line(const struct rpc_issue *item, const struct store_certificate *found)
{
    return item->succession != NULL && item->succession->reuses_key &&
           rpc_target_of(found).lineage == item->succession->old.lineage;
}

/* Who else has this key? The view is of this batch's look-up. */
static enum ca_err item_check_key_reuse(struct rpc_worker *worker, struct rpc_issue *item)
{
    enum { HOLDERS_LOOKED_AT = 16 };
    struct store_certificate found[HOLDERS_LOOKED_AT];
    enum rules_key_reuse reuse = item->profile->rules.key_reuse;
    size_t count = 0;

    if (reuse == RULES_KEY_REUSE_ALLOWED)
        return CA_OK;
    enum ca_err err = store_find_digest(worker->view, STORE_BY_KEY, &item->record.key, 0, found,
                                        HOLDERS_LOOKED_AT, &count);
    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (found[i].is_damaged)
            return CA_ERR_STORAGE_CORRUPT;
        /* Whether the old certificate's key may be used again is said by the profile's life. */
        if (is_of_line(item, &found[i]))
            continue;
        if (reuse == RULES_KEY_REUSE_REFUSED ||
            !store_digest_equal(&found[i].identity, &item->record.identity))
            return ca_refuse(&item->refusal, CA_ERR_CSR_KEY_REUSED, "csr.key", "profile key_reuse");
    }
    return CA_OK;
}

/* What the request itself must be, whatever is made of it. */
static enum ca_err item_read(struct rpc_worker *worker, struct rpc_issue *item)
{
    struct x509_csr *csr = &worker->scratch->csr;
    uint8_t digest[CA_DIGEST_LEN];
    enum ca_err err = x509_csr_parse(rpc_bytes(item->asked->csr), csr, &item->refusal);

    if (err != CA_OK)
        return err;
    crypto_sha256(&csr->spki, 1, digest);
    item->record.key = rpc_store_digest(digest);
    if (key_is_of_a_ca(worker->engine, digest))
        return ca_refuse(&item->refusal, CA_ERR_KEY_OF_CA, "csr.key", "certmill");
    return rules_key_check(&item->profile->rules, csr, &worker->engine->config->blocked, digest,
                           &item->refusal);
}

/* Fills in the item's record and to-be-signed bytes; what is left is the proof of possession. */
static enum ca_err item_draft(struct rpc_worker *worker, struct rpc_issue *item)
{
    const struct x509_csr *csr = &worker->scratch->csr;
    int64_t issued_s = (int64_t)(ca_serial_time_us(&item->record.serial) / 1000000);
    struct rules_request request;
    struct rules_order order = {
        .profile = &item->profile->rules,
        .issuer = &item->ca->issuer,
        .request = &request,
        .csr = csr,
        .moment = { .operation = RULES_NEW, .issued_s = issued_s, .serial = item->record.serial },
    };
    struct rules_draft draft;
    enum ca_err err = item_read(worker, item);

    if (err != CA_OK || (err = request_of(item, &request)) != CA_OK ||
        (err = rpc_succeed_admit(worker, item, issued_s)) != CA_OK)
        return err;
    if (item->succession != NULL) {
        order.moment.operation = item->succession->asked.operation;
        order.moment.old_not_after_s = item->succession->old.not_after_s;
    }
    err = rules_draft(&order, item->batch->arena, &draft, &item->refusal);
    item->record.not_before_s = draft.validity.not_before_s;
    item->record.not_after_s = draft.validity.not_after_s;
    if (err != CA_OK)
        return err;
    item->tbs = draft.tbs;
    item->record.identity = rpc_store_digest(draft.identity);
    item->record.crl_shard = draft.crl_shard;
    if ((err = rpc_succeed_compare(item, &draft, csr, issued_s)) != CA_OK)
        return err;
    return item_check_key_reuse(worker, item);
}

/* One clock read and one draw of random octets for the batch. */
static enum ca_err batch_number(struct rpc_worker *worker, struct rpc_batch *batch)
{
    struct rpc_issue_scratch *scratch = worker->scratch;
    uint64_t first_us;

    scratch->open_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct rpc_issue *item = &batch->items[i];
        if (!item->is_closed && !item->is_conflict)
            scratch->open[scratch->open_count++] = item;
    }
    if (scratch->open_count == 0)
        return CA_OK;
    enum ca_err err = rpc_clock_take(&worker->engine->clock, scratch->open_count, &first_us);
    if (err == CA_OK)
        err = crypto_random(scratch->random[0], scratch->open_count * CA_SERIAL_RANDOM_LEN);
    for (size_t i = 0; i < scratch->open_count && err == CA_OK; i++) {
        struct rpc_issue *item = scratch->open[i];
        if (!item->is_resumed)
            item->record.serial =
                ca_serial_make(worker->engine->instance, first_us + i, scratch->random[i]);
    }
    return err;
}

/* Room for the certificate, while the batch's memory is still one thread's. */
static enum ca_err item_make_room(struct rpc_issue *item)
{
    enum { ELLIPTIC_SIGNATURE_MAX = 160, WRAPPING_MAX = 128 }; /* PSS has parameters */
    const struct crypto_public_key *key = item->ca->issuer.key;
    size_t signature = key->type == CRYPTO_KEY_RSA ? key->bits / 8 : ELLIPTIC_SIGNATURE_MAX;

    item->certificate_size = item->tbs.len + signature + WRAPPING_MAX;
    item->certificate = ca_arena_alloc_raw(item->batch->arena, item->certificate_size);
    return item->certificate == NULL ? CA_ERR_BUSY : CA_OK;
}

static enum ca_err item_finish(struct rpc_worker *worker, struct rpc_issue *item)
{
    uint8_t digest[CA_DIGEST_LEN];

    crypto_sha256(&item->tbs, 1, digest);
    if (item->is_resumed && !ca_bytes_equal(ca_bytes_of(digest, CA_DIGEST_LEN),
                                            ca_bytes_of(item->tbs_digest, CA_DIGEST_LEN)))
        return ca_refuse(&item->refusal, CA_ERR_INTENT_CHANGED, "profile",
                         "configuration changed since the intent");
    memcpy(item->tbs_digest, digest, CA_DIGEST_LEN);
    if (item->asked->dry_run) {
        rpc_count(&worker->engine->counters.dry_runs, 1);
        rpc_issue_close(item, CA_OK);
        return CA_OK;
    }
    return item_make_room(item);
}

static void verifications_add(struct rpc_issue_scratch *scratch, size_t index,
                              struct rpc_issue *item)
{
    const struct x509_csr *csr = &scratch->csr;
    struct crypto_verification *next = &scratch->verifications[scratch->verification_count++];

    scratch->keys[index] = csr->key;
    *next = (struct crypto_verification){
        .sig = csr->sig,
        .key = &scratch->keys[index],
        .message = csr->info,
        .signature = csr->signature,
    };
    item->verification = next;
    if (rpc_succeed_wants(item, csr, next + 1))
        scratch->verification_count++;
}

/* Drafts first: what breaks a rule costs no signature check. */
static void batch_draft(struct rpc_worker *worker)
{
    struct rpc_issue_scratch *scratch = worker->scratch;
    size_t count = 0;

    scratch->verification_count = 0;
    for (size_t i = 0; i < scratch->open_count; i++) {
        struct rpc_issue *item = scratch->open[i];
        enum ca_err err = item_draft(worker, item);
        if (err != CA_OK) {
            rpc_issue_close(item, err);
            continue;
        }
        verifications_add(scratch, count, item);
        scratch->open[count++] = item;
    }
    store_view_rest(worker->view);
    crypto_verify_many(worker->crypto, scratch->verifications, scratch->verification_count);
    for (size_t i = 0; i < count; i++) {
        struct rpc_issue *item = scratch->open[i];
        enum ca_err err = item->verification->result;
        if (err != CA_OK)
            ca_refuse(&item->refusal, err, "csr.signature", "RFC 2986 4.2");
        else if ((err = rpc_succeed_verified(item)) == CA_OK)
            err = item_finish(worker, item);
        if (err != CA_OK)
            rpc_issue_close(item, err);
    }
}

void rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch)
{
    rpc_count(&worker->engine->counters.items, batch->count);
    rpc_count(&worker->engine->counters.batches, 1);
    batch_resolve(worker, batch);
    enum ca_err err = batch_look_up(worker, batch);
    if (err == CA_OK && atomic_load(&worker->engine->is_storage_latched))
        err = CA_ERR_STORAGE;
    if (err == CA_OK)
        err = batch_number(worker, batch);
    for (size_t i = 0; i < batch->count && err != CA_OK; i++) {
        if (!batch->items[i].is_closed && !batch->items[i].is_conflict)
            rpc_issue_close(&batch->items[i], err);
    }
    if (err == CA_OK)
        batch_draft(worker);
    else
        store_view_rest(worker->view);
}

enum ca_err rpc_worker_init(struct rpc_worker *worker, struct rpc_engine *engine)
{
    enum ca_err err;

    memset(worker, 0, sizeof(*worker));
    worker->engine = engine;
    worker->scratch = calloc(1, sizeof(*worker->scratch));
    if (worker->scratch == NULL)
        return CA_ERR_NOMEM;
    if ((err = crypto_open_beside(engine->config->crypto, &worker->crypto)) != CA_OK)
        return err;
    if ((err = store_view_open(engine->store, &worker->view)) != CA_OK)
        return err;
    store_view_rest(worker->view);
    return CA_OK;
}

void rpc_worker_wipe(struct rpc_worker *worker)
{
    store_view_close(worker->view);
    crypto_close(worker->crypto);
    free(worker->scratch);
    memset(worker, 0, sizeof(*worker));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_service.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_LEN_MAX = 512 * 1024 }; /* half of the smallest limit a caller is likely to have */

enum ca_err rpc_crl_find_scope(const struct rpc_config *config, const Certmill__CrlScope *scope,
                               size_t *ca_out)
{
    if (scope == NULL)
        return CA_ERR_CA_UNKNOWN;
    for (*ca_out = 0; *ca_out < config->ca_count; ++*ca_out) {
        const struct rules_issuer *issuer = &config->cas[*ca_out].issuer;
        if (strcmp(issuer->name, scope->ca) == 0)
            return scope->shard < issuer->crl_shard_count ? CA_OK : CA_ERR_CRL_UNKNOWN;
    }
    return CA_ERR_CA_UNKNOWN;
}

bool rpc_crl_info_fill(struct rpc_call *call, const struct rules_issuer *issuer, uint32_t shard,
                       const struct store_crl *record, Certmill__CrlInfo *info_out)
{
    struct ca_bytes digest =
        ca_arena_copy(call->arena, ca_bytes_of(record->sha256, sizeof(record->sha256)));

    info_out->scope = rpc_call_alloc(call, sizeof(*info_out->scope));
    if (info_out->scope == NULL || digest.data == NULL)
        return false;
    certmill__crl_scope__init(info_out->scope);
    info_out->scope->ca = rpc_text(issuer->name);
    info_out->scope->shard = shard;
    info_out->kind =
        record->base_number > 0 ? CERTMILL__CRL_KIND__CRL_DELTA : CERTMILL__CRL_KIND__CRL_FULL;
    info_out->number = record->number;
    info_out->base_number = record->base_number;
    info_out->this_update = record->this_update_s;
    info_out->next_update = record->next_update_s;
    info_out->entries = record->entry_count;
    info_out->size = record->len;
    info_out->sha256 = rpc_binary(digest);
    return true;
}

/* ---- list */

struct listing {
    struct rpc_worker *worker;
    struct rpc_call *call;
    Certmill__CrlInfo *items;
    Certmill__CrlInfo **pointers;
    size_t limit, count;
    uint64_t skip;
};

/* A list that is there, or the word that there is none; past what was seen before. */
static bool add_current(struct listing *listing, size_t ca, uint32_t shard, enum rpc_crl_kind kind)
{
    struct rpc_engine *engine = listing->worker->engine;
    const struct rules_issuer *issuer = &engine->config->cas[ca].issuer;
    const struct ca_refusal refusal = { "scope", "not made yet" };
    struct rpc_crl_published published;

    if (!rpc_crl_keeper_find(engine->crl_keeper, ca, shard, kind, &published))
        return true;
    if (published.record.number == 0 && kind == RPC_CRL_DELTA)
        return true;
    if (listing->skip > 0) {
        listing->skip--;
        return true;
    }
    Certmill__CrlInfo *info = &listing->items[listing->count++];
    if (!rpc_crl_info_fill(listing->call, issuer, shard, &published.record, info))
        return false;
    info->is_current = published.record.number > 0;
    if (published.record.number == 0)
        info->status = rpc_call_status(listing->call, CA_ERR_CRL_UNKNOWN, &refusal);
    return info->is_current || info->status != NULL;
}

static bool list_current(struct listing *listing, uint64_t after)
{
    const struct rpc_config *config = listing->worker->engine->config;

    listing->skip = after;
    for (size_t ca = 0; ca < config->ca_count; ca++) {
        for (uint32_t shard = 0; shard < config->cas[ca].issuer.crl_shard_count; shard++) {
            for (enum rpc_crl_kind kind = 0; kind < RPC_CRL_KIND_COUNT; kind++) {
                if (listing->count == listing->limit)
                    return true;
                if (!add_current(listing, ca, shard, kind))
                    return false;
            }
        }
    }
    return true;
}

static bool is_published(struct rpc_engine *engine, size_t ca, uint32_t shard,
                         const struct store_crl *record)
{
    enum rpc_crl_kind kind = record->base_number > 0 ? RPC_CRL_DELTA : RPC_CRL_FULL;
    struct rpc_crl_published published;

    return rpc_crl_keeper_find(engine->crl_keeper, ca, shard, kind, &published) &&
           published.record.number == record->number;
}

/* A damaged record is told in its place. */
static bool add_record(struct listing *listing, size_t ca, uint32_t shard,
                       const struct store_crl *record, Certmill__CrlInfo *info)
{
    struct rpc_engine *engine = listing->worker->engine;
    const struct ca_refusal refusal = { "number", "" };

    if (!rpc_crl_info_fill(listing->call, &engine->config->cas[ca].issuer, shard, record, info))
        return false;
    info->is_current = !record->is_damaged && is_published(engine, ca, shard, record);
    if (record->is_damaged)
        info->status = rpc_call_status(listing->call, CA_ERR_STORAGE_CORRUPT, &refusal);
    return !record->is_damaged || info->status != NULL;
}

/* err_out: what the store says. */
static bool list_scope(struct listing *listing, size_t ca, uint32_t shard, uint64_t after,
                       enum ca_err *err_out)
{
    struct rpc_engine *engine = listing->worker->engine;
    const struct store_scope scope = { rpc_store_digest(engine->ca_keys[ca]), shard };
    struct store_crl *records = rpc_call_alloc(listing->call, listing->limit * sizeof(*records));

    if (records == NULL)
        return false;
    *err_out = store_find_crls(listing->worker->view, &scope, after, records, listing->limit,
                               &listing->count);
    for (size_t i = 0; i < listing->count && *err_out == CA_OK; i++) {
        if (!add_record(listing, ca, shard, &records[i], &listing->items[i]))
            return false;
    }
    return true;
}

static bool listing_run(struct listing *listing, enum ca_err *err_out, struct ca_refusal *refusal)
{
    const Certmill__CrlListRequest *asked = listing->call->request->crl_list;
    const struct rpc_engine *engine = listing->worker->engine;
    void **pointers;
    size_t ca;

    *refusal = (struct ca_refusal){ "scope", "configuration" };
    *err_out = engine->crl_keeper == NULL ? CA_ERR_CRL_UNKNOWN : CA_OK;
    if (*err_out == CA_OK && asked->limit > RPC_FIND_LIMIT_MAX)
        *err_out = ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "limit", "protocol");
    if (*err_out != CA_OK)
        return true;
    listing->limit = asked->limit == 0 ? RPC_FIND_LIMIT_DEFAULT : asked->limit;
    listing->items =
        rpc_call_alloc_messages(listing->call, listing->limit, sizeof(*listing->items), &pointers);
    if (listing->items == NULL)
        return false;
    listing->pointers = (Certmill__CrlInfo **)pointers;
    for (size_t i = 0; i < listing->limit; i++)
        certmill__crl_info__init(&listing->items[i]);
    if (asked->scope == NULL || asked->scope->ca[0] == '\0')
        return list_current(listing, asked->after);
    *err_out = rpc_crl_find_scope(engine->config, asked->scope, &ca);
    return *err_out != CA_OK || list_scope(listing, ca, asked->scope->shard, asked->after, err_out);
}

bool rpc_crl_list(struct rpc_worker *worker, struct rpc_call *call)
{
    struct listing listing = { .worker = worker, .call = call };
    Certmill__CrlListAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    struct ca_refusal refusal;
    enum ca_err err;

    if (answer == NULL || !listing_run(&listing, &err, &refusal))
        return false;
    certmill__crl_list_answer__init(answer);
    if (err == CA_OK) {
        answer->n_items = listing.count;
        answer->items = listing.pointers;
    } else if ((answer->status = rpc_call_status(call, err, &refusal)) == NULL) {
        return false;
    }
    call->answer.method_case = CERTMILL__ANSWER__METHOD_CRL_LIST;
    call->answer.crl_list = answer;
    return true;
}

/* ---- get */

/*
 * A part of the published file, if it is the list meant: a new one may have taken its name a moment
 * ago, and somebody may have put another file there. CRL_UNKNOWN then.
 */
static enum ca_err read_part(const char *path, const struct rpc_crl_published *published,
                             uint64_t offset, struct ca_arena *arena, struct ca_bytes *part_out)
{
    uint64_t left = published->record.len - offset;
    size_t len = left < PART_LEN_MAX ? (size_t)left : PART_LEN_MAX;
    uint8_t *part = ca_arena_alloc_raw(arena, len + 1);
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum ca_err err = CA_ERR_CRL_UNKNOWN;
    size_t got = 0;

    if (part == NULL) {
        err = CA_ERR_BUSY;
    } else if (fd >= 0 && fstat(fd, &status) == 0 && (uint64_t)status.st_dev == published->device &&
               (uint64_t)status.st_ino == published->inode) {
        for (ssize_t n = 1; n > 0 && got<len; got += n> 0 ? (size_t)n : 0)
            n = pread(fd, part + got, len - got, (off_t)(offset + got));
        err = got == len ? CA_OK : CA_ERR_CRL_UNKNOWN;
    }
    if (fd >= 0)
        close(fd);
    *part_out = ca_bytes_of(part, len);
    return err;
}

static enum ca_err get_part(struct rpc_worker *worker, struct rpc_call *call, size_t ca,
                            Certmill__CrlGetAnswer *answer, struct ca_refusal *refusal)
{
    const Certmill__CrlGetRequest *asked = call->request->crl_get;
    const struct rpc_config *config = worker->engine->config;
    const struct rules_issuer *issuer = &config->cas[ca].issuer;
    enum rpc_crl_kind kind =
        asked->kind == CERTMILL__CRL_KIND__CRL_DELTA ? RPC_CRL_DELTA : RPC_CRL_FULL;
    struct rpc_crl_published published, now;
    char path[RPC_CRL_PATH_SIZE];
    struct ca_bytes part;
    enum ca_err err;

    if (!rpc_crl_keeper_find(worker->engine->crl_keeper, ca, asked->scope->shard, kind,
                             &published) ||
        published.record.number == 0)
        return ca_refuse(refusal, CA_ERR_CRL_UNKNOWN, "scope", "not made yet");
    if (asked->number != 0 && asked->number != published.record.number)
        return ca_refuse(refusal, CA_ERR_CRL_UNKNOWN, "number", "not the current list");
    if (asked->offset > published.record.len)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "offset", "behind the end");
    if ((err = rpc_crl_path(config->crl_path, issuer, asked->scope->shard, kind, path)) != CA_OK)
        return err;
    *refusal = (struct ca_refusal){ "number", "not the current list" };
    if ((err = read_part(path, &published, asked->offset, call->arena, &part)) != CA_OK)
        return err;
    /* Two lists later the same file may be there again, by way of the reserve. */
    if (!rpc_crl_keeper_find(worker->engine->crl_keeper, ca, asked->scope->shard, kind, &now) ||
        now.record.number != published.record.number)
        return CA_ERR_CRL_UNKNOWN;
    answer->info = rpc_call_alloc(call, sizeof(*answer->info));
    if (answer->info == NULL)
        return CA_ERR_BUSY;
    certmill__crl_info__init(answer->info);
    answer->info->is_current = true;
    answer->data = rpc_binary(part);
    return rpc_crl_info_fill(call, issuer, asked->scope->shard, &published.record, answer->info)
               ? CA_OK
               : CA_ERR_BUSY;
}

bool rpc_crl_get(struct rpc_worker *worker, struct rpc_call *call)
{
    const struct rpc_engine *engine = worker->engine;
    struct ca_refusal refusal = { "scope", "configuration" };
    Certmill__CrlGetAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    size_t ca;

    if (answer == NULL)
        return false;
    certmill__crl_get_answer__init(answer);
    enum ca_err err = engine->crl_keeper == NULL
                          ? CA_ERR_CRL_UNKNOWN
                          : rpc_crl_find_scope(engine->config, call->request->crl_get->scope, &ca);
    if (err == CA_OK)
        err = get_part(worker, call, ca, answer, &refusal);
    if (err == CA_ERR_BUSY)
        return false;
    if (err != CA_OK) {
        certmill__crl_get_answer__init(answer);
        if ((answer->status = rpc_call_status(call, err, &refusal)) == NULL)
            return false;
    }
    call->answer.method_case = CERTMILL__ANSWER__METHOD_CRL_GET;
    call->answer.crl_get = answer;
    return true;
}

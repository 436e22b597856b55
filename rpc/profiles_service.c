/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/profiles_service.h"

/* Of contents in one answer: with the longest one more, half of what a caller is likely to take. */
enum { CONTENTS_LEN_MAX = 512 * 1024 - CA_PROFILE_LEN_MAX, READ_AT_ONCE = 16 };

static bool profile_fill(struct rpc_worker *worker, struct rpc_call *call,
                         const struct store_profile *profile, Certmill__Profile *out)
{
    struct ca_bytes id = ca_bytes_of(profile->id.bytes, STORE_DIGEST_LEN);
    struct ca_bytes id_copy = ca_arena_copy(call->arena, id);
    struct ca_bytes name = ca_arena_copy(call->arena, profile->name);

    if (id_copy.data == NULL || name.data == NULL)
        return false;
    certmill__profile__init(out);
    out->id = rpc_binary(id_copy);
    out->is_configured = rpc_profiles_is_configured(worker->engine->profiles, &profile->id);
    if (profile->is_damaged) {
        const struct ca_refusal refusal = { "id", "" };
        out->status = rpc_call_status(call, CA_ERR_STORAGE_CORRUPT, &refusal);
        return out->status != NULL;
    }
    out->name = rpc_text((const char *)name.data);
    out->introduced_us = (int64_t)profile->introduced_us;
    out->content = rpc_binary(profile->content); /* the view's */
    return true;
}

struct listing {
    struct rpc_worker *worker;
    struct rpc_call *call;
    Certmill__Profile *items;
    size_t limit, count, contents_len;
    struct store_digest last; /* with has_last */
    bool has_last, is_end;
};

/* BUSY when memory is short. */
static enum ca_err list_some(struct listing *listing)
{
    struct store_profile found[READ_AT_ONCE];
    size_t left = listing->limit - listing->count, count;
    size_t wanted = left < READ_AT_ONCE ? left : READ_AT_ONCE;
    enum ca_err err = store_find_profiles(
        listing->worker->view, listing->has_last ? &listing->last : NULL, found, wanted, &count);

    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (listing->contents_len > CONTENTS_LEN_MAX)
            return CA_OK;
        if (!profile_fill(listing->worker, listing->call, &found[i],
                          &listing->items[listing->count++]))
            return CA_ERR_BUSY;
        listing->contents_len += found[i].content.len;
        listing->last = found[i].id;
        listing->has_last = true;
    }
    listing->is_end = count < wanted;
    return CA_OK;
}

static enum ca_err list(struct listing *listing)
{
    const Certmill__ProfilesRequest *asked = listing->call->request->profiles;
    enum ca_err err = CA_OK;

    listing->limit = asked->limit == 0 ? RPC_FIND_LIMIT_DEFAULT : asked->limit;
    if (listing->limit > RPC_FIND_LIMIT_MAX ||
        (asked->after.len != 0 && asked->after.len != STORE_DIGEST_LEN))
        return CA_ERR_FIELD_FORMAT;
    listing->has_last = asked->after.len != 0;
    if (listing->has_last)
        memcpy(listing->last.bytes, asked->after.data, STORE_DIGEST_LEN);
    listing->items = rpc_call_alloc(listing->call, listing->limit * sizeof(*listing->items));
    if (listing->items == NULL)
        return CA_ERR_BUSY;
    while (err == CA_OK && !listing->is_end && listing->count < listing->limit &&
           listing->contents_len <= CONTENTS_LEN_MAX)
        err = list_some(listing);
    return err;
}

bool rpc_profiles_list(struct rpc_worker *worker, struct rpc_call *call)
{
    struct listing listing = { .worker = worker, .call = call };
    Certmill__ProfilesAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    enum ca_err err = answer == NULL ? CA_ERR_BUSY : list(&listing);

    if (err == CA_ERR_BUSY)
        return false;
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        return true;
    }
    certmill__profiles_answer__init(answer);
    answer->profiles = rpc_call_alloc(call, (listing.count + 1) * sizeof(*answer->profiles));
    if (answer->profiles == NULL)
        return false;
    for (size_t i = 0; i < listing.count; i++)
        answer->profiles[i] = &listing.items[i];
    answer->n_profiles = listing.count;
    answer->is_end = listing.is_end;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_PROFILES;
    call->answer.profiles = answer;
    return true;
}

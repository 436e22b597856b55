/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/profiles.h"

#include <assert.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/rules/life.h"
#include "rpc/log.h"

enum { READ_AT_ONCE = 64 };

struct remembered {
    struct store_digest id;
    char name[CA_NAME_LEN_MAX + 1];
    struct rules_life life; /* what matters of certificates that are there; not how they follow */
};

struct rpc_profiles {
    const struct rpc_config *config;
    struct remembered *items; /* ascending by id */
    size_t count, room;
};

/* ---- introducing */

static struct store_digest profile_id(const struct rules_profile *rules)
{
    struct store_digest id;

    _Static_assert(sizeof(id.bytes) == sizeof(rules->id), "an identity is a digest");
    memcpy(id.bytes, rules->id, sizeof(id.bytes));
    return id;
}

static enum ca_err put_profile(struct store_batch *batch, const struct rules_profile *rules,
                               uint64_t now_us)
{
    const struct store_profile profile = {
        .id = profile_id(rules),
        .reasons = rules->life.reasons,
        .allows_hold = rules->life.allows_hold,
        .name = ca_bytes_of_text(rules->name),
        .content = rules->content,
    };
    const struct store_audit audit = {
        .kind = STORE_AUDIT_PROFILE,
        .time_us = now_us,
        .actor = CA_BYTES("certmilld"),
        .object = ca_bytes_of(profile.id.bytes, STORE_DIGEST_LEN),
    };

    return store_put_profile(batch, &profile, &audit);
}

static enum ca_err find_new(const struct rpc_config *config, struct store_view *view,
                            const struct rules_profile **found, size_t *count_out)
{
    struct store_profile known;

    *count_out = 0;
    assert(config->profile_count <= RPC_PROFILE_MAX);
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct rules_profile *rules = &config->profiles[i].rules;
        const struct store_digest id = profile_id(rules);
        enum ca_err err = store_find_profile(view, &id, &known);
        if (err == CA_ERR_NOT_FOUND)
            found[(*count_out)++] = rules;
        else if (err != CA_OK)
            return err;
    }
    return CA_OK;
}

static enum ca_err write_new(struct store *store, const struct rules_profile *const *found,
                             size_t count, uint64_t now_us)
{
    struct store_batch *batch;
    enum ca_err err = store_begin(store, &batch);

    for (size_t i = 0; i < count && err == CA_OK; i++)
        err = put_profile(batch, found[i], now_us);
    if (err == CA_OK)
        return store_commit(batch);
    store_abort(batch);
    if (err != CA_ERR_TOO_MANY_ITEMS)
        return err;
    log_error("too many profiles were introduced", "profiles_max=%d", STORE_PROFILES_MAX);
    return CA_ERR_CONFIG;
}

static enum ca_err introduce(const struct rpc_config *config, struct store *store,
                             struct store_view *view, uint64_t now_us)
{
    const struct rules_profile *found[RPC_PROFILE_MAX];
    char id[2 * STORE_DIGEST_LEN + 1];
    size_t count;
    enum ca_err err = find_new(config, view, found, &count);

    if (err == CA_OK && count > 0)
        err = write_new(store, found, count, now_us);
    for (size_t i = 0; i < count && err == CA_OK; i++) {
        ca_text_hex(ca_bytes_of(found[i]->id, RULES_PROFILE_ID_LEN), id);
        log_info("profile introduced", "name=%s id=%s", found[i]->name, id);
    }
    return err;
}

/* ---- remembering */

static enum ca_err add(struct rpc_profiles *profiles, const struct store_profile *profile)
{
    char id[2 * STORE_DIGEST_LEN + 1];

    if (profile->is_damaged) {
        ca_text_hex(ca_bytes_of(profile->id.bytes, STORE_DIGEST_LEN), id);
        log_error("profile is damaged", "id=%s", id);
        return CA_ERR_STORAGE_CORRUPT;
    }
    if (profiles->count == profiles->room) {
        size_t room = 2 * profiles->room + READ_AT_ONCE;
        struct remembered *items = realloc(profiles->items, room * sizeof(*items));
        if (items == NULL)
            return CA_ERR_NOMEM;
        profiles->items = items;
        profiles->room = room;
    }
    struct remembered *item = &profiles->items[profiles->count++];
    *item = (struct remembered){
        .id = profile->id,
        .life = { .reasons = profile->reasons, .allows_hold = profile->allows_hold },
    };
    memcpy(item->name, profile->name.data, profile->name.len);
    return CA_OK;
}

static enum ca_err read_all(struct rpc_profiles *profiles, struct store_view *view)
{
    struct store_profile found[READ_AT_ONCE];
    const struct store_digest *after = NULL;
    struct store_digest last;
    size_t count = READ_AT_ONCE;
    enum ca_err err = CA_OK;

    while (err == CA_OK && count == READ_AT_ONCE) {
        err = store_find_profiles(view, after, found, READ_AT_ONCE, &count);
        for (size_t i = 0; i < count && err == CA_OK; i++)
            err = add(profiles, &found[i]);
        if (count > 0)
            last = found[count - 1].id;
        after = &last;
    }
    return err;
}

enum ca_err rpc_profiles_open(const struct rpc_config *config, struct store *store,
                              struct rpc_clock_guard *clock, struct rpc_profiles **profiles_out)
{
    struct rpc_profiles *profiles = calloc(1, sizeof(*profiles));
    struct store_view *view = NULL;
    enum ca_err err = CA_ERR_NOMEM;

    *profiles_out = NULL;
    if (profiles == NULL)
        goto out;
    profiles->config = config;
    if ((err = store_view_open(store, &view)) != CA_OK)
        goto out;
    if ((err = introduce(config, store, view, rpc_clock_now(clock))) != CA_OK)
        goto out;
    if ((err = store_view_renew(view)) != CA_OK)
        goto out;
    if ((err = read_all(profiles, view)) != CA_OK)
        goto out;
    *profiles_out = profiles;
    profiles = NULL;
out:
    store_view_close(view);
    rpc_profiles_close(profiles);
    return err;
}

void rpc_profiles_close(struct rpc_profiles *profiles)
{
    if (profiles == NULL)
        return;
    free(profiles->items);
    free(profiles);
}

/* ---- looking up */

static const struct rules_profile *find_configured(const struct rpc_profiles *profiles,
                                                   const struct store_digest *id)
{
    const struct rpc_config *config = profiles->config;

    for (size_t i = 0; i < config->profile_count; i++) {
        const struct store_digest other = profile_id(&config->profiles[i].rules);
        if (store_digest_equal(&other, id))
            return &config->profiles[i].rules;
    }
    return NULL;
}

bool rpc_profiles_is_configured(const struct rpc_profiles *profiles, const struct store_digest *id)
{
    return find_configured(profiles, id) != NULL;
}

static int compare_id(const void *id, const void *item)
{
    const struct store_digest *one = id, *other = &((const struct remembered *)item)->id;

    return ca_bytes_compare(ca_bytes_of(one->bytes, STORE_DIGEST_LEN),
                            ca_bytes_of(other->bytes, STORE_DIGEST_LEN));
}

static const struct remembered *find_remembered(const struct rpc_profiles *profiles,
                                                const struct store_digest *id)
{
    if (profiles->count == 0)
        return NULL;
    return bsearch(id, profiles->items, profiles->count, sizeof(*profiles->items), compare_id);
}

const struct rules_life *rpc_profiles_life(const struct rpc_profiles *profiles,
                                           const struct store_digest *id)
{
    const struct rules_profile *rules = find_configured(profiles, id);

    if (rules != NULL)
        return &rules->life;
    const struct remembered *item = find_remembered(profiles, id);
    return item == NULL ? &RULES_LIFE_PLAIN : &item->life;
}

const char *rpc_profiles_name(const struct rpc_profiles *profiles, const struct store_digest *id)
{
    const struct rules_profile *rules = find_configured(profiles, id);

    if (rules != NULL)
        return rules->name;
    const struct remembered *item = find_remembered(profiles, id);
    return item == NULL ? "" : item->name;
}

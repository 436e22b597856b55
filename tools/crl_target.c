/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/crl_target.h"

#include <stdlib.h>

#include "tools/config.h"

enum { PAGE = 1000, TARGETS_FIRST = 256 };

bool crl_choice_take(struct crl_choice *choice, size_t option, const char *value)
{
    switch ((enum crl_choice_option)option) {
    case CRL_OPTION_CA: choice->ca = value; return true;
    case CRL_OPTION_ALL: choice->is_all = true; return true;
    case CRL_OPTION_DELTA: choice->kind = RPC_CRL_DELTA; return true;
    case CRL_OPTION_SHARD:
        choice->has_shard = true;
        return command_number("shard", value, 0, UINT32_MAX, &choice->shard);
    }
    return false;
}

struct rules_issuer crl_target_issuer(const struct crl_target *target)
{
    return (struct rules_issuer){ .name = target->ca, .crl_shard_count = target->shard_count };
}

/* ---- all there are */

struct gathering {
    struct ca_arena *arena;
    struct crl_targets all;
    size_t size;
};

/* Shards of one CA come after each other. False: no memory. */
static bool add(struct gathering *gathering, const char *ca, uint32_t shard)
{
    struct crl_targets *all = &gathering->all;

    if (all->count == gathering->size) {
        size_t size = gathering->size == 0 ? TARGETS_FIRST : 2 * gathering->size;
        struct crl_target *items = ca_arena_alloc(gathering->arena, size * sizeof(*items));
        if (items == NULL)
            return false;
        if (all->count > 0)
            memcpy(items, all->items, all->count * sizeof(*items));
        all->items = items;
        gathering->size = size;
    }
    const struct crl_target *last = all->count == 0 ? NULL : &all->items[all->count - 1];
    bool is_same = last != NULL && strcmp(last->ca, ca) == 0;
    if (is_same && last->shard == shard)
        return true; /* its delta list */
    const char *name =
        is_same ? last->ca
                : (const char *)ca_arena_copy(gathering->arena, ca_bytes_of_text(ca)).data;
    all->items[all->count++] = (struct crl_target){ name, shard, 1 };
    return name != NULL;
}

static void count_shards(struct crl_targets *all)
{
    for (size_t i = 0; i < all->count; i++) {
        size_t first = i;
        while (i + 1 < all->count && all->items[i + 1].ca == all->items[first].ca)
            i++;
        for (size_t k = first; k <= i; k++)
            all->items[k].shard_count = (uint32_t)(i - first + 1);
    }
}

/* One page; *seen moves on. False when something was said, or there is no memory. */
static bool ask_page(struct rpc_client *client, struct gathering *gathering, uint64_t *seen,
                     bool *is_last_out)
{
    Certmill__CrlListRequest method = CERTMILL__CRL_LIST_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;
    bool is_good = true;

    method.after = *seen;
    method.limit = PAGE;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_LIST;
    request.crl_list = &method;
    if (command_ask(client, &request, &answer) != CA_OK)
        return false;
    const Certmill__CrlListAnswer *list =
        answer->method_case == CERTMILL__ANSWER__METHOD_CRL_LIST ? answer->crl_list : NULL;
    if (list == NULL) {
        command_failed("%s", ca_err_text(CA_ERR_MESSAGE_MALFORMED));
        is_good = false;
    } else if (list->status != NULL) {
        command_print_status("crl", list->status);
        is_good = false;
    } else {
        for (size_t i = 0; i < list->n_items && is_good; i++) {
            const Certmill__CrlScope *scope = list->items[i]->scope;
            is_good = scope != NULL && add(gathering, scope->ca, scope->shard);
        }
        *seen += list->n_items;
        *is_last_out = list->n_items < PAGE;
    }
    certmill__answer__free_unpacked(answer, NULL);
    return is_good;
}

/* ---- those chosen */

static bool wrong(int *exit_out, int exit_code)
{
    *exit_out = exit_code;
    return false;
}

static bool choose(const struct crl_choice *choice, const struct crl_targets *all,
                   struct ca_arena *arena, struct crl_targets *targets_out, int *exit_out)
{
    bool has_ca = false;

    if (choice->has_shard && choice->is_all)
        return wrong(exit_out, command_wrong("--shard and --all exclude each other"));
    if (choice->ca == NULL && !choice->is_all && all->count > 0 &&
        all->items[0].ca != all->items[all->count - 1].ca)
        return wrong(exit_out, command_wrong("which CA? --ca NAME, or --all"));
    *targets_out = (struct crl_targets){ 0 };
    targets_out->items = ca_arena_alloc(arena, (all->count + 1) * sizeof(*targets_out->items));
    if (targets_out->items == NULL)
        return wrong(exit_out, command_failed("out of memory"));
    for (size_t i = 0; i < all->count; i++) {
        const struct crl_target *target = &all->items[i];
        if (choice->ca != NULL && strcmp(choice->ca, target->ca) != 0)
            continue;
        has_ca = true;
        if (!choice->has_shard && !choice->is_all && target->shard_count > 1)
            return wrong(exit_out, command_wrong("CA %s has %u shards: --shard N, or --all",
                                                 target->ca, target->shard_count));
        if (!choice->has_shard || choice->shard == target->shard)
            targets_out->items[targets_out->count++] = *target;
    }
    if (targets_out->count > 0)
        return true;
    if (has_ca)
        return wrong(exit_out, command_failed("there is no such shard"));
    return wrong(exit_out,
                 command_failed("there is no CA %s", choice->ca == NULL ? "" : choice->ca));
}

bool crl_targets_ask(struct rpc_client *client, const struct crl_choice *choice,
                     struct ca_arena *arena, struct crl_targets *targets_out, int *exit_out)
{
    struct gathering gathering = { .arena = arena };
    uint64_t seen = 0;
    bool is_last = false;

    while (!is_last) {
        if (!ask_page(client, &gathering, &seen, &is_last))
            return wrong(exit_out, EXIT_FAILURE);
    }
    count_shards(&gathering.all);
    return choose(choice, &gathering.all, arena, targets_out, exit_out);
}

bool crl_targets_configured(const struct config *config, const struct crl_choice *choice,
                            struct ca_arena *arena, struct crl_targets *targets_out, int *exit_out)
{
    struct gathering gathering = { .arena = arena };

    for (size_t i = 0; i < config->rpc.ca_count; i++) {
        const struct rules_issuer *issuer = &config->cas[i].issuer;
        for (uint32_t shard = 0; shard < issuer->crl_shard_count; shard++) {
            if (!add(&gathering, issuer->name, shard))
                return wrong(exit_out, command_failed("out of memory"));
        }
    }
    count_shards(&gathering.all);
    return choose(choice, &gathering.all, arena, targets_out, exit_out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_target: which lists a command is about.
 *
 * --ca, --shard, --all and --delta, held against the CAs and shards there are: those of a
 * running daemon, or of a configuration.
 */
#pragma once

#include "ca/base/arena.h"
#include "rpc/crl_plan.h"
#include "tools/cmd_crl.h"

struct config;

struct crl_choice {
    const char *ca; /* NULL: the only one */
    uint64_t shard;
    bool has_shard, is_all;
    enum rpc_crl_kind kind;
};

/* The options, to be put into a command's table; first index of those taken by the function. */
enum crl_choice_option { CRL_OPTION_CA, CRL_OPTION_SHARD, CRL_OPTION_ALL, CRL_OPTION_DELTA };
#define CRL_CHOICE_OPTIONS                                                           \
    [CRL_OPTION_CA] = { "ca", "NAME", "of this CA (default: the only one)", 0 },     \
    [CRL_OPTION_SHARD] = { "shard", "N", "this shard of it", 0 },                    \
    [CRL_OPTION_ALL] = { "all", NULL, "every shard; without --ca, of every CA", 0 }, \
    [CRL_OPTION_DELTA] = { "delta", NULL, "the delta list instead of the complete one", 0 }
enum { CRL_CHOICE_OPTION_COUNT = 4 };
bool crl_choice_take(struct crl_choice *choice, size_t option, const char *value);

struct crl_target {
    const char *ca;
    uint32_t shard, shard_count;
};
struct crl_targets {
    struct crl_target *items; /* in the arena */
    size_t count;
};

/* Says what is wrong with the choice. *exit_out is for when they answer false. */
bool crl_targets_ask(struct rpc_client *client, const struct crl_choice *choice,
                     struct ca_arena *arena, struct crl_targets *targets_out, int *exit_out);
bool crl_targets_configured(const struct config *config, const struct crl_choice *choice,
                            struct ca_arena *arena, struct crl_targets *targets_out, int *exit_out);

/* The issuer as far as file names go. */
struct rules_issuer crl_target_issuer(const struct crl_target *target);

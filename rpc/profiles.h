/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiles: what the profiles of certificates say, and said.
 *
 * Every profile is written into the store when it is first configured, with an audit record, so
 * that certificates keep to it when the configuration changes. What was written is read once, at
 * the start, and const from then on: any thread.
 */
#pragma once

#include "rpc/clock.h"

struct rpc_profiles;

/*
 * Before there is another writer: configured profiles that the store does not know are put, all or
 * none. CONFIG, and a word in the log, when there are STORE_PROFILES_MAX of them.
 */
CA_MUST_CHECK enum ca_err rpc_profiles_open(const struct rpc_config *config, struct store *store,
                                            struct rpc_clock_guard *clock,
                                            struct rpc_profiles **profiles_out);
void rpc_profiles_close(struct rpc_profiles *profiles);

/* Of a certificate's profile, configured or not. Name: "" for one that is not remembered, of a
 * certificate made before profiles were; it lives by RULES_LIFE_PLAIN. */
const struct rules_life *rpc_profiles_life(const struct rpc_profiles *profiles,
                                           const struct store_digest *id);
bool rpc_profiles_is_configured(const struct rpc_profiles *profiles, const struct store_digest *id);
const char *rpc_profiles_name(const struct rpc_profiles *profiles, const struct store_digest *id);

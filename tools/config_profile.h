/* SPDX-License-Identifier: Apache-2.0 */
/* config_profile: a profile's file (docs/PROFILES.md) to what ca/rules works with. */
#pragma once

#include <regex.h>

#include "ca/rules/profile.h"
#include "tools/config_schema.h"

/* Compiled expressions, to be freed with the configuration; the memory is the arena's. */
struct config_pattern {
    regex_t regex;
    struct config_pattern *next;
};
void config_patterns_free(struct config_pattern *patterns);

/* A profile's file that says what this content says; false as config_content_write(). */
bool config_profile_write(struct ca_bytes content, FILE *to);

/*
 * CONFIG after saying why. Texts and patterns live in the source's arena; compiled patterns are
 * put in front of the list, also when a later check refuses.
 */
CA_MUST_CHECK enum ca_err config_profile_parse(const struct config_source *source,
                                               struct rules_profile *profile_out,
                                               struct config_pattern **patterns);

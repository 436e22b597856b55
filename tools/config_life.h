/* SPDX-License-Identifier: Apache-2.0 */
/* config_life: the group "life" of a profile's file: docs/LIFE.md, docs/PROFILES.md. */
#pragma once

#include "ca/rules/profile.h"
#include "tools/config_schema.h"

struct config_life_renew {
    unsigned line;
    struct config_flag allowed;
    struct config_number before_days, after_days, months_max;
    struct config_choice from, key, old;
    struct config_texts may_differ;
};
struct config_life_replace {
    unsigned line;
    struct config_flag allowed;
    struct config_choice key;
};
struct config_life_change {
    unsigned line;
    struct config_flag allowed;
    struct config_choice key, old;
};
struct config_life_holder {
    unsigned line;
    struct config_text name, code;
};
struct config_life_revoke {
    unsigned line;
    struct config_texts reasons;
    struct config_flag hold;
};
struct config_life {
    unsigned line;
    struct config_life_renew renew;
    struct config_life_replace replace;
    struct config_life_change change;
    struct config_life_holder holder;
    struct config_life_revoke revoke;
    struct config_flag acknowledge, old_key_signature;
};
extern const struct config_section CONFIG_LIFE_SECTION;

/* Into profile->life; its attributes and validity are there already. CONFIG after saying why. */
CA_MUST_CHECK enum ca_err config_life_build(const struct config_source *source,
                                            const struct config_life *settings,
                                            struct rules_profile *profile);

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config_life.h"

#include "ca/x509/crl.h"

#define ITEM(type, member) .offset = offsetof(struct type, member)
#define LIST(items)        (items), sizeof(items) / sizeof((items)[0])

enum { WINDOW_DAYS_MAX = 36500, MONTHS_MAX = 1200, REASONS_MAX = 6 };

static const char *const KEYS[] = { "may", "must", "must_not", NULL };
static const enum rules_old_key KEY_OF[] = { RULES_OLD_KEY_MAY, RULES_OLD_KEY_MUST,
                                             RULES_OLD_KEY_MUST_NOT };
static const char *const REPLACE_KEYS[] = { "may", "must_not", NULL };
static const enum rules_old_key REPLACE_KEY_OF[] = { RULES_OLD_KEY_MAY, RULES_OLD_KEY_MUST_NOT };
static const char *const FATES[] = { "keep", "revoke", "revoke_acknowledged", NULL };
static const enum rules_old_fate FATE_OF[] = { RULES_OLD_KEEP, RULES_OLD_REVOKE,
                                               RULES_OLD_REVOKE_ACKNOWLEDGED };
enum { FROM_OLD_END, FROM_ISSUE };
static const char *const STARTS[] = { "old_end", "issue", NULL };

/* clang-format off */
static const struct config_item RENEW_ITEMS[] = {
    { "allowed", CONFIG_KIND_FLAG, 0, 0, "false", "may certificates be renewed",
      ITEM(config_life_renew, allowed) },
    { "before_days", CONFIG_KIND_NUMBER, 0, WINDOW_DAYS_MAX, "0", "before the old end; 0: at any time",
      ITEM(config_life_renew, before_days) },
    { "after_days", CONFIG_KIND_NUMBER, 0, WINDOW_DAYS_MAX, "0", "after the old end; 0: not then",
      ITEM(config_life_renew, after_days) },
    { "months_max", CONFIG_KIND_NUMBER, 0, MONTHS_MAX, "0", "from the issue to the new end; 0: no limit",
      ITEM(config_life_renew, months_max) },
    { "from", CONFIG_KIND_CHOICE, 0, 0, "old_end", "what the term is added to",
      ITEM(config_life_renew, from), .choices = STARTS },
    { "key", CONFIG_KIND_CHOICE, 0, 0, "must_not", "is the old key used again",
      ITEM(config_life_renew, key), .choices = KEYS },
    { "old", CONFIG_KIND_CHOICE, 0, 0, "keep", "what becomes of the old certificate",
      ITEM(config_life_renew, old), .choices = FATES },
    { "may_differ", CONFIG_KIND_TEXTS, 0, CA_ATTRIBUTE_COUNT_MAX, "", "from the old certificate",
      ITEM(config_life_renew, may_differ) },
};
static const struct config_section RENEW_SECTION = {
    LIST(RENEW_ITEMS), sizeof(struct config_life_renew), offsetof(struct config_life_renew, line)
};

static const struct config_item REPLACE_ITEMS[] = {
    { "allowed", CONFIG_KIND_FLAG, 0, 0, "false", "may certificates be replaced",
      ITEM(config_life_replace, allowed) },
    { "key", CONFIG_KIND_CHOICE, 0, 0, "must_not", "of what was damaged: is it used again",
      ITEM(config_life_replace, key), .choices = REPLACE_KEYS },
};
static const struct config_section REPLACE_SECTION = {
    LIST(REPLACE_ITEMS), sizeof(struct config_life_replace),
    offsetof(struct config_life_replace, line)
};

static const struct config_item CHANGE_ITEMS[] = {
    { "allowed", CONFIG_KIND_FLAG, 0, 0, "false", "may certificates be changed",
      ITEM(config_life_change, allowed) },
    { "key", CONFIG_KIND_CHOICE, 0, 0, "must_not", "is the old key used again",
      ITEM(config_life_change, key), .choices = KEYS },
    { "old", CONFIG_KIND_CHOICE, 0, 0, "revoke_acknowledged", "what becomes of the old certificate",
      ITEM(config_life_change, old), .choices = FATES },
};
static const struct config_section CHANGE_SECTION = {
    LIST(CHANGE_ITEMS), sizeof(struct config_life_change), offsetof(struct config_life_change, line)
};

static const struct config_item HOLDER_ITEMS[] = {
    { "name", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, "", "attribute: name of the holder",
      ITEM(config_life_holder, name) },
    { "code", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, "", "attribute: code of the holder",
      ITEM(config_life_holder, code) },
};
static const struct config_section HOLDER_SECTION = {
    LIST(HOLDER_ITEMS), sizeof(struct config_life_holder), offsetof(struct config_life_holder, line)
};

static const struct config_item REVOKE_ITEMS[] = {
    { "reasons", CONFIG_KIND_TEXTS, 1, REASONS_MAX, "", "that may be asked for",
      ITEM(config_life_revoke, reasons) },
    { "hold", CONFIG_KIND_FLAG, 0, 0, "false", "may certificates be put on hold",
      ITEM(config_life_revoke, hold) },
};
static const struct config_section REVOKE_SECTION = {
    LIST(REVOKE_ITEMS), sizeof(struct config_life_revoke), offsetof(struct config_life_revoke, line)
};

static const struct config_item LIFE_ITEMS[] = {
    { "renew", CONFIG_KIND_GROUP, 0, 0, "", "a longer life",
      ITEM(config_life, renew), .section = &RENEW_SECTION },
    { "replace", CONFIG_KIND_GROUP, 0, 0, "", "after loss or damage",
      ITEM(config_life, replace), .section = &REPLACE_SECTION },
    { "change", CONFIG_KIND_GROUP, 0, 0, "", "other information",
      ITEM(config_life, change), .section = &CHANGE_SECTION },
    { "holder", CONFIG_KIND_GROUP, 0, 0, "", "what does not change all at once",
      ITEM(config_life, holder), .section = &HOLDER_SECTION },
    { "revoke", CONFIG_KIND_GROUP, 0, 0, "", "revocation and hold",
      ITEM(config_life, revoke), .section = &REVOKE_SECTION },
    { "acknowledge", CONFIG_KIND_FLAG, 0, 0, "false", "all new certificates wait for it",
      ITEM(config_life, acknowledge) },
    { "old_key_signature", CONFIG_KIND_FLAG, 0, 0, "false", "for renewal and change",
      ITEM(config_life, old_key_signature) },
};
/* clang-format on */
const struct config_section CONFIG_LIFE_SECTION = { LIST(LIFE_ITEMS), sizeof(struct config_life),
                                                    offsetof(struct config_life, line) };

static enum ca_err build_reasons(const struct config_source *source,
                                 const struct config_texts *settings, uint32_t *reasons_out)
{
    *reasons_out = settings->count == 0 ? RULES_REASONS_DEFAULT : 0;
    for (size_t i = 0; i < settings->count; i++) {
        const struct config_text *name = &settings->items[i];
        enum x509_crl_reason reason;
        if (!x509_crl_reason_by_name(name->text, &reason) ||
            (RULES_REASONS_POSSIBLE & 1U << reason) == 0)
            return config_complain(source, name->line, "\"%s\" is no reason to revoke for",
                                   name->text);
        if ((*reasons_out & 1U << reason) != 0)
            return config_complain(source, name->line, "reason \"%s\" is there twice", name->text);
        *reasons_out |= 1U << reason;
    }
    return CA_OK;
}

static bool has_attribute(const struct rules_profile *profile, const char *name)
{
    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (strcmp(profile->attributes[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum ca_err build_may_differ(const struct config_source *source,
                                    const struct config_texts *settings,
                                    struct rules_profile *profile)
{
    struct rules_life *life = &profile->life;

    for (size_t i = 0; i < settings->count; i++) {
        const struct config_text *name = &settings->items[i];
        if (strcmp(name->text, "*") != 0 && strcmp(name->text, "alt_names") != 0 &&
            !has_attribute(profile, name->text))
            return config_complain(source, name->line,
                                   "\"may_differ\" names \"%s\", which is no attribute here",
                                   name->text);
        life->renew_may_differ[life->renew_may_differ_count++] = name->text;
    }
    return CA_OK;
}

static enum ca_err build_holder(const struct config_source *source,
                                const struct config_life_holder *settings,
                                struct rules_profile *profile)
{
    const struct config_text *const names[] = { &settings->name, &settings->code };

    if (settings->line == 0)
        return CA_OK;
    if (settings->name.line == 0 || settings->code.line == 0)
        return config_complain(source, settings->line, "\"holder\" takes both a name and a code");
    for (size_t i = 0; i < 2; i++) {
        if (!has_attribute(profile, names[i]->text))
            return config_complain(source, names[i]->line,
                                   "\"holder\" names \"%s\", which is no attribute here",
                                   names[i]->text);
    }
    profile->life.holder_name = settings->name.text;
    profile->life.holder_code = settings->code.text;
    return CA_OK;
}

enum ca_err config_life_build(const struct config_source *source,
                              const struct config_life *settings, struct rules_profile *profile)
{
    const struct config_life_renew *renew = &settings->renew;
    enum ca_err err;

    profile->life = (struct rules_life){
        .allows_renew = renew->allowed.value,
        .allows_replace = settings->replace.allowed.value,
        .allows_change = settings->change.allowed.value,
        .renew_before_days = (uint32_t)renew->before_days.value,
        .renew_after_days = (uint32_t)renew->after_days.value,
        .total_months_max = (uint32_t)renew->months_max.value,
        .renews_from_issue = renew->from.index == FROM_ISSUE,
        .renew_key = KEY_OF[renew->key.index],
        .replace_key = REPLACE_KEY_OF[settings->replace.key.index],
        .change_key = KEY_OF[settings->change.key.index],
        .renew_old = FATE_OF[renew->old.index],
        .change_old = FATE_OF[settings->change.old.index],
        .wants_old_key_signature = settings->old_key_signature.value,
        .wants_acknowledgement = settings->acknowledge.value,
        .allows_hold = settings->revoke.hold.value,
    };
    if ((err = build_reasons(source, &settings->revoke.reasons, &profile->life.reasons)) != CA_OK ||
        (err = build_may_differ(source, &renew->may_differ, profile)) != CA_OK)
        return err;
    return build_holder(source, &settings->holder, profile);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/life.h"

#include "ca/base/time.h"
#include "tests/support/draft.h"
#include "tests/support/random.h"
#include "tests/support/tsv.h"

static struct ca_arena *arena;
static struct rules_issuer issuer;
static struct ca_refusal refusal;

/* Long valid: what is refused is the renewal's own doing. */
static void set_issuer(void)
{
    issuer = profiles_issuer(CRYPTO_SIG_ECDSA_SHA256, arena);
    issuer.not_before_s -= 365LL * 86400;
}

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 20, 1 << 24, &arena));
    set_issuer();
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(life, .init = set_up, .fini = tear_down);

/* ---- cells */

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* The place of a word; fails where there is no such word. */
static unsigned place_of(const char *word, const char *const *words, unsigned count)
{
    unsigned i = 0;

    while (i < count && !is(words[i], word))
        i++;
    cr_assert(i < count, "%s", word);
    return i;
}
#define PLACE(word, ...)                                 \
    place_of(word, (const char *const[]){ __VA_ARGS__ }, \
             sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static int64_t civil(const char *text)
{
    int year;
    unsigned month, day, hour, minute, second;

    if (is(text, "-"))
        return 0;
    cr_assert(sscanf(text, "%d-%u-%u %u:%u:%u", &year, &month, &day, &hour, &minute, &second) == 6,
              "%s", text);
    const struct ca_civil time = { year,          (uint8_t)month,  (uint8_t)day,
                                   (uint8_t)hour, (uint8_t)minute, (uint8_t)second };
    return ca_civil_to_unix(time, CA_UTC_PLUS_8_S);
}

static void civil_format(int64_t time_s, char text[32])
{
    struct ca_civil time = ca_civil_from_unix(time_s, CA_UTC_PLUS_8_S);

    snprintf(text, 32, "%d-%02u-%02u %02u:%02u:%02u", time.year, time.month, time.day, time.hour,
             time.minute, time.second);
}

static enum rules_operation operation_of(const char *text)
{
    return (enum rules_operation)PLACE(text, "NEW", "RENEW", "REPLACE", "CHANGE");
}

static enum rules_cause cause_of(const char *text)
{
    return (enum rules_cause)PLACE(text, "-", "lost", "damaged");
}

static enum rules_old_key key_of(const char *text)
{
    return (enum rules_old_key)PLACE(text, "may", "must", "must_not");
}

static enum rules_old_fate old_fate_of(const char *text)
{
    return (enum rules_old_fate)PLACE(text, "keep", "revoke", "acknowledged");
}

static void set_may_differ(struct rules_life *life, char *names)
{
    life->renew_may_differ_count = 0;
    while (names != NULL && !is(names, "-"))
        life->renew_may_differ[life->renew_may_differ_count++] = strsep(&names, ",");
}

static uint32_t reasons_of(char *numbers)
{
    uint32_t reasons = 0;

    if (is(numbers, "all"))
        return UINT32_MAX;
    while (numbers != NULL && !is(numbers, "none"))
        reasons |= 1U << strtoul(strsep(&numbers, ","), NULL, 10);
    return reasons;
}

static void set_number(struct rules_profile *profile, const char *name, uint32_t number)
{
    struct rules_life *life = &profile->life;

    if (is(name, "exact"))
        profile->validity = RULES_VALIDITY_DURATION;
    else if (is(name, "before"))
        life->renew_before_days = number;
    else if (is(name, "after"))
        life->renew_after_days = number;
    else if (is(name, "cap"))
        life->total_months_max = number;
    else if (is(name, "old_key"))
        life->wants_old_key_signature = number != 0;
    else if (is(name, "renew"))
        life->allows_renew = number != 0;
    else if (is(name, "replace"))
        life->allows_replace = number != 0;
    else if (is(name, "change"))
        life->allows_change = number != 0;
    else if (is(name, "hold"))
        life->allows_hold = number != 0;
    else
        cr_assert_fail("setting %s", name);
}

/* What differs from the profile as it is: before=90;renew_key=may. lost: the time of the loss. */
static int64_t set(struct rules_profile *profile, char *cell)
{
    struct rules_life *life = &profile->life;
    struct draft_item item;
    int64_t lost_s = 0;

    while (draft_next(&cell, &item)) {
        char *value = (char *)(uintptr_t)item.value.data;
        value[item.value.len] = '\0';
        if (is(item.name, "lost"))
            lost_s = civil(value);
        else if (is(item.name, "renew_key"))
            life->renew_key = key_of(value);
        else if (is(item.name, "replace_key"))
            life->replace_key = key_of(value);
        else if (is(item.name, "change_key"))
            life->change_key = key_of(value);
        else if (is(item.name, "renew_old"))
            life->renew_old = old_fate_of(value);
        else if (is(item.name, "change_old"))
            life->change_old = old_fate_of(value);
        else if (is(item.name, "may_differ"))
            set_may_differ(life, value);
        else if (is(item.name, "holder"))
            life->holder_name = life->holder_code = NULL;
        else if (is(item.name, "reasons"))
            life->reasons = reasons_of(value);
        else
            set_number(profile, item.name, (uint32_t)strtoul(value, NULL, 10));
    }
    return lost_s;
}

static void check_answer(const struct tsv *tsv, enum ca_err err, const char *want)
{
    cr_assert_str_eq(ca_err_name(err), want, "%s:%u: %s %s (%s)", tsv->name, tsv->line,
                     ca_err_name(err), refusal.field, refusal.rule);
}

static void check_text(const struct tsv *tsv, const char *got, const char *want)
{
    cr_assert_str_eq(got, want, "%s:%u: %s, not %s", tsv->name, tsv->line, got, want);
}

/* ---- may it be followed upon? */

static void check_admit(struct tsv *tsv)
{
    char **cells = tsv->fields;
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct x509_cert cert = { .not_before_s = civil(cells[4]), .not_after_s = civil(cells[5]) };
    struct rules_successor successor = {
        .operation = operation_of(cells[0]),
        .cause = cause_of(cells[7]),
        .lost_s = civil(cells[8]),
        .old_key_signature =
            is(cells[9], "signed") ? CA_BYTES("signature") : (struct ca_bytes){ 0 },
    };
    struct rules_succession succession = {
        .profile = profile,
        .old = { .cert = &cert,
                 .state = (enum rules_state)PLACE(cells[2], "valid", "revoked", "held"),
                 .is_head = !is(cells[3], "inner"),
                 .is_in_flight = is(cells[3], "flight"),
                 .is_waiting = is(cells[3], "waiting") },
        .successor = &successor,
        .issued_s = civil(cells[6]),
    };

    set(profile, cells[1]);
    refusal = (struct ca_refusal){ "-", "-" };
    check_answer(tsv, rules_life_admit(&succession, &refusal), cells[10]);
    check_text(tsv, refusal.field, cells[11]);
}

Test(life, of_a_certificate_goes_on_where_the_vectors_say_so)
{
    struct tsv tsv = tsv_open("life_admit.tsv");

    while (tsv_next(&tsv, 13))
        check_admit(&tsv);
    cr_assert_geq(tsv.count, 85);
}

Test(life, an_old_keys_signature_is_looked_at_where_it_is_wanted_or_sent)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct rules_successor successor = { .operation = RULES_CHANGE };

    cr_assert(!rules_life_wants_old_key(profile, &successor));
    successor.old_key_signature = CA_BYTES("signature");
    cr_assert(rules_life_wants_old_key(profile, &successor));
    profile->life.wants_old_key_signature = true;
    successor = (struct rules_successor){ .operation = RULES_CHANGE };
    cr_assert(rules_life_wants_old_key(profile, &successor));
    successor.operation = RULES_REPLACE; /* the old key is gone */
    cr_assert(!rules_life_wants_old_key(profile, &successor));
}

/* ---- the new one against the old one */

static void fate_format(const struct rules_fate *fate, int64_t now_s, char text[64])
{
    static const char *const times[] = { "keep", "at_once", "with_new", "acknowledged" };
    char date[32] = "now";

    if (fate->invalidity_s != now_s)
        civil_format(fate->invalidity_s, date);
    snprintf(text, 64, "%s %d%s%s", times[fate->time], (int)fate->reason,
             fate->has_invalidity ? " " : "", fate->has_invalidity ? date : "");
}

static void check_compare(struct tsv *tsv)
{
    char **cells = tsv->fields, fate_text[64];
    struct rules_profile *profile =
        is(cells[0], "enterprise") ? profiles_enterprise_raw(arena) : profiles_tls_raw(arena);
    struct draft_case from = draft_case_of(profile, &issuer, arena);
    struct x509_csr old_csr, csr;
    struct rules_draft old_draft, draft;
    struct x509_cert cert;
    struct rules_fate fate;
    struct rules_successor successor = {
        .operation = operation_of(cells[1]),
        .cause = cause_of(cells[3]),
        .lost_s = set(profile, cells[2]),
    };

    profiles_prepared(profile, arena);
    check_ok(draft_make(&from, cells[5], &old_csr, &old_draft, &refusal));
    check_ok(x509_tbs_parse(old_draft.tbs, &cert, &refusal));
    from.moment.operation = successor.operation;
    from.moment.issued_s = civil(cells[4]);
    from.moment.old_not_after_s = cert.not_after_s;
    from.term = is(cells[8], "-") ? 0 : (uint32_t)strtoul(cells[8], NULL, 10);
    from.key = is(cells[7], "same") ? "p256" : "rsa2048";
    enum ca_err drafted = draft_make(&from, cells[6], &csr, &draft, &refusal);
    cr_assert(drafted == CA_OK, "%s:%u: %s %s %s", tsv->name, tsv->line, ca_err_name(drafted),
              refusal.field, refusal.rule);

    const struct rules_succession succession = {
        .profile = profile,
        .old = { .cert = &cert, .key = &cert.key, .is_head = true },
        .successor = &successor,
        .issued_s = from.moment.issued_s,
    };
    refusal = (struct ca_refusal){ "-", "-" };
    enum ca_err err = rules_life_compare(&succession, &draft, &csr.key, arena, &fate, &refusal);
    check_answer(tsv, err, cells[9]);
    fate_format(&fate, from.moment.issued_s, fate_text);
    check_text(tsv, err == CA_OK ? fate_text : refusal.field, cells[10]);
    cr_assert(err == CA_OK || (fate.time == RULES_FATE_KEEP && fate.reason == 0));
    cr_assert_eq(rules_life_waits(profile, &fate), fate.time == RULES_FATE_ACKNOWLEDGED);
}

Test(life, of_two_certificates_fits_together_where_the_vectors_say_so)
{
    struct tsv tsv = tsv_open("life_compare.tsv");

    while (tsv_next(&tsv, 12)) {
        check_compare(&tsv);
        ca_arena_reset(arena);
        set_issuer();
    }
    cr_assert_geq(tsv.count, 75);
}

Test(life, a_profile_may_want_every_certificate_acknowledged)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);

    cr_assert(!rules_life_waits(profile, NULL));
    profile->life.wants_acknowledgement = true;
    cr_assert(rules_life_waits(profile, NULL));
    cr_assert(rules_life_waits(profile, &(struct rules_fate){ .time = RULES_FATE_KEEP }));
}

/* ---- the dates of a renewal */

static enum ca_err renew_at(struct rules_profile *profile, int64_t issued_s, int64_t old_end_s,
                            struct rules_draft *draft)
{
    struct draft_case from = draft_case_of(profile, &issuer, arena);
    char enterprise[] = "O=Example Ltd;CN=Example;uscc=91350100M000100Y43";
    char tls[] = "dns=a.test.example";
    struct x509_csr csr;

    from.moment.operation = RULES_RENEW;
    from.moment.issued_s = issued_s;
    from.moment.old_not_after_s = old_end_s;
    return draft_make(&from, is(profile->name, "enterprise") ? enterprise : tls, &csr, draft,
                      &refusal);
}

Test(life, a_renewal_beyond_the_issuers_end_is_refused_with_its_dates)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    int64_t end_s = civil("2028-11-22 23:59:59");
    struct rules_draft draft;

    profiles_prepared(profile, arena);
    issuer.not_after_s = end_s;
    check_ok(renew_at(profile, PROFILES_NOW_S, civil("2027-11-22 23:59:59"), &draft));
    issuer.not_after_s--;
    check_err(renew_at(profile, PROFILES_NOW_S, civil("2027-11-22 23:59:59"), &draft),
              CA_ERR_RENEW_ISSUER_END);
    cr_assert_str_eq(refusal.field, "issuer.notAfter");
    cr_assert_null(draft.tbs.data);
    cr_assert(draft.validity.not_after_s == end_s);
    cr_assert(draft.validity.not_before_s == civil("2026-11-22 00:00:00"));
}

Test(life, a_renewal_may_run_from_the_day_of_issue)
{
    struct rules_profile *profile = profiles_tls_raw(arena);
    int64_t term_s = 200LL * 86400;
    struct rules_draft draft;

    profiles_prepared(profile, arena);
    check_ok(renew_at(profile, PROFILES_NOW_S, PROFILES_NOW_S + 1000, &draft));
    cr_assert(draft.validity.not_after_s == PROFILES_NOW_S + term_s - 1);
    profile->life.renews_from_issue = false;
    check_ok(renew_at(profile, PROFILES_NOW_S, PROFILES_NOW_S + 1000, &draft));
    cr_assert(draft.validity.not_after_s == PROFILES_NOW_S + 1000 + term_s);
}

/* ---- revoke, hold, release */

static struct rules_standing standing_of(char *text)
{
    struct rules_standing standing = {
        .not_before_s = civil("2021-11-01 00:00:00"),
        .not_after_s = civil("2022-11-01 23:59:59"),
    };
    char state[16], date[16], time[16], rest[64];
    unsigned reason;

    if (is(text, "valid"))
        return standing;
    cr_assert(sscanf(text, "%15s %u %15s %15s %63[^\n]", state, &reason, date, time, rest) == 5);
    standing.state = (enum rules_state)PLACE(state, "valid", "revoked", "held");
    standing.reason = (enum x509_crl_reason)reason;
    char at[40];
    snprintf(at, sizeof(at), "%s %s", date, time);
    standing.revoked_s = civil(at);
    standing.has_invalidity = !is(rest, "-");
    standing.invalidity_s = civil(rest);
    return standing;
}

static void standing_format(const struct rules_standing *standing, char text[128])
{
    char date[32], invalidity[32] = "-";

    if (standing->state == RULES_STATE_VALID) {
        cr_assert(standing->reason == 0 && standing->revoked_s == 0 && !standing->has_invalidity &&
                  standing->invalidity_s == 0);
        snprintf(text, 128, "valid");
        return;
    }
    civil_format(standing->revoked_s, date);
    if (standing->has_invalidity)
        civil_format(standing->invalidity_s, invalidity);
    snprintf(text, 128, "%s %d %s %s", standing->state == RULES_STATE_HELD ? "held" : "revoked",
             (int)standing->reason, date, invalidity);
}

static void check_act(struct tsv *tsv)
{
    char **cells = tsv->fields, got[128], answer[160];
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct rules_standing before = standing_of(cells[1]), after = before;
    struct rules_act_request request = {
        .act = (enum rules_act)PLACE(cells[2], "revoke", "hold", "release"),
        .reason = (uint32_t)strtoul(cells[3], NULL, 10),
        .invalidity_s = civil(cells[4]),
        .now_s = civil(cells[5]),
    };
    bool is_changed = true;

    set(profile, cells[0]);
    refusal = (struct ca_refusal){ "-", "-" };
    enum ca_err err = rules_life_act(&profile->life, &request, &after, &is_changed, &refusal);
    check_answer(tsv, err, cells[6]);
    if (err == CA_OK) {
        standing_format(&after, got);
        snprintf(answer, sizeof(answer), "%s%s", got, is_changed ? "" : " same");
        check_text(tsv, answer, cells[7]);
        return;
    }
    check_text(tsv, refusal.field, cells[7]);
    cr_assert(!is_changed);
    standing_format(&after, got);
    check_text(tsv, got, cells[1]);
}

Test(life, ends_and_pauses_as_the_vectors_say)
{
    struct tsv tsv = tsv_open("life_act.tsv");

    while (tsv_next(&tsv, 9))
        check_act(&tsv);
    cr_assert_geq(tsv.count, 70);
}

Test(life, certificates_of_a_lost_profile_can_be_revoked_and_nothing_else)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct rules_standing standing = { .not_after_s = 2000 };
    struct rules_act_request request = { .act = RULES_REVOKE, .reason = 1, .now_s = 1000 };
    bool is_changed;

    check_ok(rules_life_act(&RULES_LIFE_PLAIN, &request, &standing, &is_changed, &refusal));
    cr_assert(is_changed && standing.revoked_s == 1000);
    request = (struct rules_act_request){ .act = RULES_HOLD, .now_s = 1000 };
    standing = (struct rules_standing){ .not_after_s = 2000 };
    check_err(rules_life_act(&RULES_LIFE_PLAIN, &request, &standing, &is_changed, &refusal),
              CA_ERR_HOLD);

    struct x509_cert cert = { .not_after_s = 2000 };
    const struct rules_successor successor = { .operation = RULES_RENEW };
    const struct rules_succession succession = {
        profile, { .cert = &cert, .is_head = true }, &successor, 1000
    };
    profile->life = RULES_LIFE_PLAIN;
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    check_err(rules_life_admit(&succession, &refusal), CA_ERR_OPERATION);
}

/* ---- properties */

static struct rules_act_request random_request(uint64_t *seed, int64_t now_s)
{
    struct rules_act_request request = { .now_s = now_s };

    request.act = (enum rules_act)(random_next(seed) % 3);
    request.reason = request.act == RULES_REVOKE ? (uint32_t)(random_next(seed) % 12) : 0;
    if (random_next(seed) % 4 == 0)
        request.invalidity_s = now_s + (int64_t)(random_next(seed) % 5000) - 4000;
    return request;
}

/* What must be so between any two standings, whatever was asked. */
static void check_step(const struct rules_standing *before, const struct rules_standing *after,
                       const struct rules_act_request *request, enum ca_err err, bool is_changed)
{
    bool is_same = before->state == after->state && before->reason == after->reason &&
                   before->revoked_s == after->revoked_s &&
                   before->has_invalidity == after->has_invalidity &&
                   before->invalidity_s == after->invalidity_s;

    cr_assert_eq(is_changed, !is_same);
    cr_assert(err == CA_OK || is_same);
    cr_assert(is_same || request->act == RULES_RELEASE || request->now_s <= before->not_after_s);
    if (before->state == RULES_STATE_REVOKED) {
        cr_assert_eq(after->state, RULES_STATE_REVOKED);
        cr_assert(after->revoked_s == before->revoked_s);
        cr_assert(after->reason == before->reason || after->reason == X509_CRL_KEY_COMPROMISE);
    }
    if (before->state == RULES_STATE_HELD && after->state != RULES_STATE_VALID)
        cr_assert(after->revoked_s == before->revoked_s);
    if (after->state == RULES_STATE_REVOKED)
        cr_assert((RULES_REASONS_DEFAULT & 1U << after->reason) != 0);
    if (after->state != RULES_STATE_VALID)
        cr_assert(after->revoked_s <= request->now_s && after->revoked_s <= after->not_after_s);
    if (after->has_invalidity)
        cr_assert(after->invalidity_s <= request->now_s &&
                  after->invalidity_s >= after->not_before_s);
}

Test(life, no_sequence_of_acts_moves_a_revocation)
{
    struct rules_life life = RULES_LIFE_PLAIN;
    uint64_t seed = 20261122;
    size_t revoked = 0, raised = 0, released = 0;

    for (unsigned run = 0; run < 20000; run++) {
        struct rules_standing standing = { .not_before_s = 10000, .not_after_s = 20000 };
        int64_t now_s = 10000;
        life.allows_hold = run % 4 != 0;
        for (unsigned step = 0; step < 12; step++) {
            const struct rules_standing before = standing;
            now_s += (int64_t)(random_next(&seed) % 1200);
            struct rules_act_request request = random_request(&seed, now_s);
            bool is_changed, again;
            enum ca_err err = rules_life_act(&life, &request, &standing, &is_changed, &refusal);
            check_step(&before, &standing, &request, err, is_changed);
            raised += before.state == RULES_STATE_REVOKED && is_changed;
            revoked += before.state != RULES_STATE_REVOKED && is_changed &&
                       standing.state == RULES_STATE_REVOKED;
            released += before.state == RULES_STATE_HELD && standing.state == RULES_STATE_VALID;
            const struct rules_standing between = standing;
            if (err == CA_OK && request.act != RULES_RELEASE) { /* asked again: as before */
                check_ok(rules_life_act(&life, &request, &standing, &again, &refusal));
                check_step(&between, &standing, &request, CA_OK, again);
                cr_assert(!again);
            }
        }
    }
    cr_assert(revoked > 1000 && raised > 1000 && released > 1000);
}

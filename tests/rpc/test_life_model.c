/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine over a real store against the model, with a clock that moves forward by up to months:
 * after every request the answer, the states and the dates are equal. CERTMILL_LIFE_SEED and
 * CERTMILL_LIFE_STEPS in the environment choose a run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ca/base/time.h"
#include "tests/rpc/life_model.h"
#include "tests/support/check.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"
#include "tests/support/setting.h"

enum {
    STEPS = 2000,
    NAMES = 3,
    KEYS = 2,
    ACTS_MAX = 3,
    ASKED_MAX = 8192,
    ID_LEN = 32,
    YEARS = 9, /* the CAs live for ten */
    NEAR = 30, /* most requests are about one of the latest */
};

/* A request that was answered for good. */
struct asked {
    char id[ID_LEN];
    bool is_act;
    int number; /* of the certificate it made; of the one it is about */
    struct model_act act;
    struct life_acted acted;
};

static struct instance instance;
static struct model model;
static struct asked asked[ASKED_MAX];
static int asked_count;
static char ids[MODEL_THINGS_MAX][ID_LEN];
static struct ca_bytes csrs[NAMES][KEYS];
static uint64_t dice, start_us;
static int step;

/* xorshift64* */
static uint32_t roll(uint32_t below)
{
    return (uint32_t)(random_next(&dice) >> 33) % below;
}

static int64_t now(void)
{
    return (int64_t)(instance.wall_us / 1000000);
}

static void make_id(char id[ID_LEN])
{
    static unsigned count;

    snprintf(id, ID_LEN, "request-%012u", ++count);
}

static int pick(void)
{
    int near = model.count < NEAR || roll(5) == 0 ? model.count : NEAR;

    return model.count - 1 - (int)roll((uint32_t)near);
}

/* ---- comparing */

static void check_number(const struct ca_serial *serial, int number)
{
    static const struct ca_serial none;

    cr_assert(life_serial_equal(serial, number < 0 ? &none : &model.things[number].serial),
              "step %d", step);
}

static void check_thing(int number)
{
    const struct model_thing *thing = &model.things[number];
    struct life_got got = life_get(&instance, &thing->serial);

    cr_assert_str_eq(got.code, "OK");
    cr_assert(got.state == thing->state, "step %d, %d: state %d rather than %d", step, number,
              got.state, thing->state);
    cr_assert(got.reason == thing->reason, "step %d, %d: reason %u rather than %u", step, number,
              got.reason, thing->reason);
    cr_assert(got.revoked_at == thing->revoked_at, "step %d, %d", step, number);
    cr_assert(got.invalidity_date == thing->invalidity, "step %d, %d", step, number);
    cr_assert(got.not_after == thing->not_after, "step %d, %d", step, number);
    check_number(&got.predecessor, thing->predecessor);
    if (thing->is_intent)
        return;
    cr_assert(got.not_before == thing->not_before, "step %d, %d", step, number);
    cr_assert(got.operation == thing->operation && got.delivery == thing->delivery,
              "step %d, %d: delivery %d rather than %d", step, number, got.delivery,
              thing->delivery);
    check_number(&got.successor, model_successor(&model, number));
    check_number(&got.head, model_head(&model, thing->root));
}

static void check_line(int number)
{
    for (int i = model.things[number].root; i < model.count; i++) {
        if (model.things[i].root == model.things[number].root)
            check_thing(i);
    }
}

static void check_code(const char *code, const char *expected, const char *what)
{
    cr_assert_str_eq(code, expected, "step %d, %s: %s rather than %s", step, what, code, expected);
}

/* ---- issuing */

static void fill_item(Certmill__IssueItem *item, const char *id, const struct model_thing *thing)
{
    life_item(item, id, csrs[thing->cn][thing->key], thing->operation,
              thing->predecessor < 0 ? NULL : &model.things[thing->predecessor].serial);
    item->cause = thing->cause;
    item->lost_at = thing->lost_at;
}

static void keep_asked(const char *id, int number)
{
    cr_assert(asked_count < ASKED_MAX);
    snprintf(asked[asked_count].id, ID_LEN, "%s", id);
    asked[asked_count].is_act = false;
    asked[asked_count++].number = number;
}

static struct ca_serial last_intent(void)
{
    struct store_view *view;
    struct store_intent intents[64];
    struct ca_serial serial = { { 0 } };
    uint64_t after = 0;
    size_t count;

    check_ok(store_view_open(instance.store, &view));
    do {
        check_ok(store_find_intents(view, after, intents, 64, &count));
        if (count > 0)
            serial = intents[count - 1].serial;
        after = ca_serial_locator(&serial);
    } while (count == 64);
    store_view_close(view);
    return serial;
}

static struct model_thing roll_thing(void)
{
    static const Certmill__Operation operations[] = { RENEW, RENEW, RENEW, REPLACE, CHANGE };
    struct model_thing new = { .operation = NEW, .predecessor = -1 };

    new.cn = (int)roll(NAMES);
    new.key = (int)roll(KEYS);
    if (model.count == 0 || roll(4) == 0)
        return new;
    new.predecessor = pick();
    if (model.things[new.predecessor].is_intent) {
        new.predecessor = -1;
        return new;
    }
    const struct model_thing *old = &model.things[new.predecessor];
    new.operation = operations[roll(5)];
    if (roll(10) > 0 && new.operation != CHANGE)
        new.cn = old->cn;
    if (new.operation != REPLACE)
        return new;
    new.cause = roll(2) == 0 ? CERTMILL__CAUSE__CAUSE_LOST : CERTMILL__CAUSE__CAUSE_DAMAGED;
    if (new.cause == CERTMILL__CAUSE__CAUSE_LOST && roll(2) == 0)
        new.lost_at = now() + CA_DAY_S - (int64_t)roll(40) * CA_DAY_S;
    return new;
}

static void step_issue(void)
{
    struct model_thing new = roll_thing();
    bool fails = roll(6) == 0;
    char id[ID_LEN];
    Certmill__IssueItem item;

    make_id(id);
    fill_item(&item, id, &new);
    const char *expected = model_admit(&model, &new, now());
    if (roll(10) == 0) {
        item.dry_run = true;
        check_code(life_ask(&instance, &item).code, expected, "dry run");
        return;
    }
    bool is_made = strcmp(expected, "OK") == 0;
    atomic_store(&fault_signatures, is_made && fails);
    struct life_issued issued = life_ask(&instance, &item);
    check_code(issued.code, is_made && fails ? "UNKNOWN" : expected, "issue");
    if (!is_made)
        return;
    int number = model_reserve(&model, &new, now());
    struct model_thing *thing = &model.things[number];
    thing->serial = fails ? last_intent() : issued.serial;
    snprintf(ids[number], ID_LEN, "%s", id);
    if (!fails) {
        cr_assert(issued.not_before == new.not_before &&issued.not_after == new.not_after);
        check_code(model_record(&model, number, now()), "OK", "model");
        keep_asked(id, number);
    }
    check_line(number);
}

/* An intent without a result is asked for again. */
static void step_resume(void)
{
    Certmill__IssueItem item;

    for (int i = model.count - 1; i >= 0; i--) {
        const struct model_thing *thing = &model.things[i];
        if (!thing->is_intent || roll(2) == 0)
            continue;
        fill_item(&item, ids[i], thing);
        struct life_issued issued = life_ask(&instance, &item);
        check_code(issued.code, model_record(&model, i, now()), "resume");
        if (strcmp(issued.code, "OK") == 0) {
            check_number(&issued.serial, i);
            keep_asked(ids[i], i);
        }
        check_line(i);
        return;
    }
}

/* ---- acts */

static void fill_act(Certmill__ActItem *item, const char *id, const struct model_act *act)
{
    instance_act_item(item, id, act->act, ca_serial_bytes(&model.things[act->number].serial));
    item->reason = act->reason;
    item->invalidity_date = act->invalidity;
}

static struct model_act roll_act(int number)
{
    static const Certmill__Act acts[] = { REVOKE,      HOLD,        RELEASE, RELEASE,
                                          ACKNOWLEDGE, ACKNOWLEDGE, ABANDON };
    static const uint32_t reasons[] = { 1, 1, 3, 4, 5, 9, 0, 6 };
    struct model_act act = { .act = acts[roll(7)], .number = number };

    if (act.act == REVOKE)
        act.reason = reasons[roll(8)];
    if (act.act == REVOKE && roll(3) == 0)
        act.invalidity = now() + CA_DAY_S - (int64_t)roll(60) * CA_DAY_S;
    return act;
}

static void check_acted(const struct life_acted *acted, const struct model_act *act,
                        const struct model_thing *before, uint64_t sequence)
{
    const struct model_thing *after = &model.things[act->number];
    /* Abandoning tells the dates of what it revoked itself. */
    bool has_dates = act->act != ABANDON || sequence == 0 || before->state != after->state;

    check_number(&acted->serial, act->number);
    cr_assert(acted->state == after->state && acted->reason == after->reason,
              "step %d: act %d: state %d, reason %u rather than %d, %u", step, act->act,
              acted->state, acted->reason, after->state, after->reason);
    cr_assert(acted->revoked_at == (has_dates ? after->revoked_at : 0), "step %d", step);
    cr_assert(acted->invalidity_date == (has_dates ? after->invalidity : 0), "step %d", step);
    cr_assert(acted->sequence == sequence, "step %d: %" PRIu64 " rather than %" PRIu64, step,
              acted->sequence, sequence);
}

static void step_act(void)
{
    size_t count = 1 + roll(ACTS_MAX);
    Certmill__ActItem items[ACTS_MAX], *pointers[ACTS_MAX];
    char act_ids[ACTS_MAX][ID_LEN];
    struct model_act acts[ACTS_MAX];

    if (model.count == 0)
        return;
    int number = pick();
    for (size_t i = 0; i < count; i++) {
        acts[i] = roll_act(roll(3) == 0 ? pick() : number);
        make_id(act_ids[i]);
        fill_act(&items[i], act_ids[i], &acts[i]);
        pointers[i] = &items[i];
    }
    Certmill__Answer *answer = instance_act(&instance, pointers, count);
    cr_assert(answer->status == NULL && answer->act->n_items == count);
    for (size_t i = 0; i < count; i++) {
        uint64_t sequence;
        struct life_acted acted = life_acted_of(answer->act->items[i]);
        struct model_thing before = model.things[acts[i].number];
        const char *expected = model_act(&model, &acts[i], now(), &sequence);
        check_code(acted.code, expected, "act");
        if (strcmp(expected, "OK") != 0)
            continue;
        check_acted(&acted, &acts[i], &before, sequence);
        if (sequence == 0)
            continue;
        asked[asked_count] =
            (struct asked){ .is_act = true, .number = acts[i].number, .act = acts[i] };
        snprintf(asked[asked_count].id, ID_LEN, "%s", act_ids[i]);
        asked[asked_count++].acted = acted;
    }
    certmill__answer__free_unpacked(answer, NULL);
    for (size_t i = 0; i < count; i++)
        check_line(acts[i].number);
}

/* ---- once more */

static void step_again(void)
{
    if (asked_count == 0)
        return;
    const struct asked *again = &asked[roll((uint32_t)asked_count)];
    bool conflicts = roll(3) == 0;

    if (again->is_act) {
        Certmill__ActItem item;
        fill_act(&item, again->id, &again->act);
        item.reason += conflicts;
        struct life_acted acted = life_act_item(&instance, &item);
        bool is_of_delivery = again->act.act == ACKNOWLEDGE || again->act.act == ABANDON;
        check_code(acted.code,
                   !conflicts       ? "OK"
                   : is_of_delivery ? "REASON"
                                    : "IDEMPOTENCY_CONFLICT",
                   "act again");
        cr_assert(conflicts || life_acted_equal(&acted, &again->acted),
                  "step %d: act %d: state %d, reason %u, since %" PRId64
                  " rather than %d, %u, %" PRId64,
                  step, again->act.act, acted.state, acted.reason, acted.revoked_at,
                  again->acted.state, again->acted.reason, again->acted.revoked_at);
    } else {
        Certmill__IssueItem item;
        fill_item(&item, again->id, &model.things[again->number]);
        item.term = conflicts ? 12 : 0;
        struct life_issued issued = life_ask(&instance, &item);
        check_code(issued.code, conflicts ? "IDEMPOTENCY_CONFLICT" : "OK", "issue again");
        if (!conflicts)
            check_number(&issued.serial, again->number);
    }
    check_line(again->number);
}

static void step_clock(void)
{
    static const uint32_t days[] = { 1, 1, 2, 10, 40, 100 };
    uint64_t span_us = ((uint64_t)roll(days[roll(6)]) * CA_DAY_S + roll(CA_DAY_S)) * 1000000;

    if (instance.wall_us + span_us - start_us > (uint64_t)YEARS * 366 * CA_DAY_S * 1000000)
        return;
    instance.wall_us += span_us;
    instance.monotonic_us += span_us;
}

static void run(const struct rules_life *life)
{
    uint64_t count = setting_number("CERTMILL_LIFE_STEPS", STEPS);

    instance.profiles[0].rules.life = *life;
    instance_start(&instance);
    model.life = *life;
    model.ca_end = instance.cas[0].issuer.not_after_s;
    for (step = 0; (uint64_t)step < count && model.count < MODEL_THINGS_MAX - 1; step++) {
        uint32_t what = roll(100);
        if (what < 35)
            step_issue();
        else if (what < 65)
            step_act();
        else if (what < 72)
            step_resume();
        else if (what < 86)
            step_again();
        else if (what < 93)
            step_clock();
        else {
            instance_stop(&instance);
            instance_start(&instance);
        }
    }
    for (int i = 0; i < model.count; i++)
        check_thing(i);
    check_ok(instance_check(&instance));
    fprintf(stderr, "life model: %d steps, %d things, %" PRIu64 " changes, %d days\n", step,
            model.count, model.sequence, (int)((instance.wall_us - start_us) / 1000000 / CA_DAY_S));
}

static void start(void)
{
    static const char *const names[NAMES] = { "alice", "bob", "carol" };
    struct timespec clock;

    clock_gettime(CLOCK_REALTIME, &clock);
    dice = setting_number("CERTMILL_LIFE_SEED",
                          (uint64_t)clock.tv_nsec << 20 | (uint64_t)clock.tv_sec);
    fprintf(stderr, "life model: CERTMILL_LIFE_SEED=%" PRIu64 "\n", dice);
    instance_make(&instance, CRYPTO_KEY_P256);
    start_us = (uint64_t)clock.tv_sec * 1000000;
    instance.wall_us = start_us;
    instance.monotonic_us = 1000000;
    for (size_t i = 0; i < NAMES; i++) {
        for (size_t key = 0; key < KEYS; key++)
            csrs[i][key] = instance_csr(&instance, CRYPTO_KEY_P256, names[i]);
    }
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(life_model, .init = start, .fini = stop, .timeout = 300);

static struct rules_life plain(void)
{
    return (struct rules_life){
        .allows_renew = true,
        .allows_replace = true,
        .allows_change = true,
        .renew_before_days = 120,
        .renew_after_days = 60,
        .total_months_max = 15,
        .reasons = RULES_REASONS_DEFAULT,
        .allows_hold = true,
    };
}

Test(life_model, old_certificates_live_to_their_end_and_changes_wait)
{
    struct rules_life life = plain();

    life.renew_before_days = 0;
    life.total_months_max = 30;
    life.change_old = RULES_OLD_REVOKE_ACKNOWLEDGED;
    run(&life);
}

Test(life_model, everything_waits_and_old_certificates_end_when_it_is_acknowledged)
{
    struct rules_life life = plain();

    life.wants_acknowledgement = true;
    life.renew_old = life.change_old = RULES_OLD_REVOKE_ACKNOWLEDGED;
    run(&life);
}

Test(life_model, nothing_waits_and_old_certificates_end_with_the_new_one)
{
    struct rules_life life = plain();

    life.renew_before_days = 300;
    life.total_months_max = 20;
    life.renew_old = life.change_old = RULES_OLD_REVOKE;
    run(&life);
}

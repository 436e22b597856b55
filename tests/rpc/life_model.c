/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rpc/life_model.h"

#include <time.h>

enum { DAY = 86400, EAST = 8 * 3600, TERM = 12 };

/* ---- civil days at UTC+8 */

static int64_t day_of(int64_t time_s)
{
    return (time_s + EAST) / DAY;
}

/* The end of the day so many months later, or of that month's last day. */
static int64_t end_after(int64_t time_s, int months)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    time_t local = (time_t)(time_s + EAST);
    struct tm date;

    gmtime_r(&local, &date);
    int month = date.tm_mon + months, year = date.tm_year + 1900 + month / 12;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = days[month % 12] + (month % 12 == 1 && is_leap);
    struct tm end = { .tm_year = year - 1900,
                      .tm_mon = month % 12,
                      .tm_mday = date.tm_mday < last ? date.tm_mday : last,
                      .tm_hour = 23,
                      .tm_min = 59,
                      .tm_sec = 59 };
    return (int64_t)timegm(&end) - EAST;
}

/* ---- lines */

int model_head(const struct model *model, int root)
{
    int head = root;

    for (int i = root; i < model->count; i++) {
        const struct model_thing *thing = &model->things[i];
        if (thing->root == root && !thing->is_intent && thing->delivery != ABANDONED)
            head = i;
    }
    return head;
}

int model_successor(const struct model *model, int number)
{
    for (int i = number + 1; i < model->count; i++) {
        const struct model_thing *thing = &model->things[i];
        if (thing->predecessor == number && !thing->is_intent && thing->delivery != ABANDONED)
            return i;
    }
    return -1;
}

static bool has_open_intent(const struct model *model, int root)
{
    for (int i = root; i < model->count; i++) {
        const struct model_thing *thing = &model->things[i];
        if (thing->root == root && thing->is_intent && thing->state != REVOKED)
            return true;
    }
    return false;
}

/* ---- issuing */

static const char *admit_line(const struct model *model, const struct model_thing *new, int64_t now)
{
    const struct model_thing *old = &model->things[new->predecessor];
    bool renews = new->operation == RENEW;
    int64_t days = day_of(now) - day_of(old->not_after);

    if (old->state == REVOKED)
        return renews ? "RENEW_REVOKED" : "CERT_REVOKED";
    if (old->state == HELD)
        return renews ? "RENEW_HELD" : "CERT_HELD";
    if (model_head(model, old->root) != new->predecessor || old->delivery == ABANDONED)
        return renews ? "RENEW_NOT_HEAD" : "CERT_NOT_HEAD";
    if (has_open_intent(model, old->root) || old->delivery == WAITING)
        return renews ? "RENEW_OPEN_ORDER" : "CERT_BUSY";
    if (!renews && now > old->not_after)
        return "CERT_EXPIRED";
    if (renews && now <= old->not_after && model->life.renew_before_days > 0 &&
        -days > model->life.renew_before_days)
        return "RENEW_TOO_EARLY";
    if (renews && now > old->not_after && days > model->life.renew_after_days)
        return "RENEW_TOO_OLD";
    if (new->lost_at != 0 && (new->lost_at > now || new->lost_at < old->not_before))
        return "FIELD_FORMAT";
    return "OK";
}

const char *model_admit(struct model *model, struct model_thing *new, int64_t now)
{
    bool is_new = new->operation == NEW, renews = new->operation == RENEW;
    const struct model_thing *old = is_new ? NULL : &model->things[new->predecessor];
    const char *code = is_new ? "OK" : admit_line(model, new, now);

    if (strcmp(code, "OK") != 0)
        return code;
    new->not_before = day_of(now) * DAY - EAST;
    new->not_after = is_new    ? end_after(now, TERM)
                     : !renews ? old->not_after
                               : end_after(now <= old->not_after ? old->not_after : now, TERM);
    if (new->not_after > model->ca_end)
        return renews ? "RENEW_ISSUER_END" : "CA_END";
    if (old != NULL && new->operation != CHANGE &&new->cn != old->cn)
        return "CERT_CHANGED";
    if (old != NULL &&
        new->cause == CERTMILL__CAUSE__CAUSE_LOST &&new->cn == old->cn &&new->key == old->key)
        return "RENEW_KEY";
    if (renews && new->not_after > end_after(now, (int)model->life.total_months_max))
        return "RENEW_CAP";
    return "OK";
}

/* Revoked as a consequence: not what is revoked already, or has ended. */
static bool end(struct model *model, int number, uint32_t reason, int64_t now)
{
    struct model_thing *thing = &model->things[number];

    if (thing->state == REVOKED || now > thing->not_after)
        return false;
    if (thing->state == VALID)
        thing->revoked_at = now;
    thing->state = REVOKED;
    thing->reason = reason;
    model->sequence++;
    return true;
}

int model_reserve(struct model *model, const struct model_thing *new, int64_t now)
{
    int number = model->count++;
    struct model_thing *thing = &model->things[number];

    *thing = *new;
    thing->is_intent = true;
    thing->state = CERTMILL__STATE__STATE_INTENT;
    thing->issued = now;
    thing->root = new->predecessor < 0 ? number : model->things[new->predecessor].root;
    if (new->cause == CERTMILL__CAUSE__CAUSE_LOST && end(model, new->predecessor, 1, now))
        model->things[new->predecessor].invalidity = new->lost_at != 0 ? new->lost_at : now;
    return number;
}

const char *model_record(struct model *model, int number, int64_t now)
{
    struct model_thing *new = &model->things[number];
    struct model_thing *old = new->predecessor < 0 ? NULL : &model->things[new->predecessor];
    enum rules_old_fate fate = RULES_OLD_KEEP;
    uint32_t reason = 4;

    if (new->state == REVOKED)
        return "CERT_REVOKED";
    if (new->operation == RENEW &&new->issued <= old->not_after)
        fate = model->life.renew_old;
    if (new->operation == CHANGE)
        fate = model->life.change_old;
    if (new->operation == CHANGE &&new->cn != old->cn)
        reason = 3;
    if (new->cause == CERTMILL__CAUSE__CAUSE_DAMAGED)
        fate = RULES_OLD_REVOKE;
    new->is_intent = false;
    new->state = VALID;
    new->delivery = DELIVERED;
    model->sequence++;
    if (model->life.wants_acknowledgement || fate == RULES_OLD_REVOKE_ACKNOWLEDGED)
        new->delivery = WAITING;
    if (fate == RULES_OLD_REVOKE_ACKNOWLEDGED)
        new->fate_reason = reason;
    if (fate == RULES_OLD_REVOKE)
        end(model, new->predecessor, reason, now);
    return "OK";
}

/* ---- acts */

static const char *act_on_state(struct model *model, const struct model_act *act, int64_t now,
                                uint64_t *sequence_out)
{
    struct model_thing *thing = &model->things[act->number];
    bool revokes = act->act == REVOKE;
    int64_t not_before = thing->is_intent ? 0 : thing->not_before;

    if (!revokes && thing->is_intent)
        return "STATE";
    if (revokes && (act->reason == 0 || act->reason == 6))
        return "REASON";
    if (act->invalidity != 0 && (act->invalidity > now || act->invalidity < not_before))
        return "FIELD_FORMAT";
    if (!revokes && thing->state == REVOKED)
        return "CERT_REVOKED";
    if (act->act == RELEASE && thing->state != HELD)
        return "STATE";
    if ((act->act == HOLD && thing->state == HELD) ||
        (thing->state == REVOKED && (act->reason != 1 || thing->reason == 1)))
        return "OK";
    if (act->act != RELEASE && now > thing->not_after)
        return "CERT_EXPIRED";
    if (thing->state != REVOKED && thing->state != HELD)
        thing->revoked_at = now;
    if (act->act == RELEASE)
        thing->revoked_at = 0;
    if (act->invalidity != 0)
        thing->invalidity = act->invalidity;
    thing->state = revokes ? REVOKED : act->act == HOLD ? HELD : VALID;
    thing->reason = revokes ? act->reason : act->act == HOLD ? 6 : 0;
    *sequence_out = ++model->sequence;
    return "OK";
}

static const char *act_on_delivery(struct model *model, const struct model_act *act, int64_t now,
                                   uint64_t *sequence_out)
{
    struct model_thing *thing = &model->things[act->number];
    bool takes = act->act == ACKNOWLEDGE;

    if (thing->is_intent)
        return "STATE";
    if (thing->delivery == (takes ? ABANDONED : DELIVERED))
        return "STATE";
    if (takes && thing->state != VALID)
        return thing->state == REVOKED ? "CERT_REVOKED" : "CERT_HELD";
    if (thing->delivery != WAITING)
        return "OK";
    if (takes && thing->fate_reason != 0)
        end(model, thing->predecessor, thing->fate_reason, now);
    *sequence_out = model->sequence + 1; /* abandoning: of the revocation, if there is one */
    if (!takes)
        end(model, act->number, 4, now);
    thing->delivery = takes ? DELIVERED : ABANDONED;
    model->sequence++;
    return "OK";
}

const char *model_act(struct model *model, const struct model_act *act, int64_t now,
                      uint64_t *sequence_out)
{
    *sequence_out = 0;
    return act->act == ACKNOWLEDGE || act->act == ABANDON
               ? act_on_delivery(model, act, now, sequence_out)
               : act_on_state(model, act, now, sequence_out);
}

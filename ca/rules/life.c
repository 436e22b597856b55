/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/life.h"

#include "ca/base/time.h"

const struct rules_life RULES_LIFE_PLAIN = {
    .renew_key = RULES_OLD_KEY_MUST_NOT,
    .replace_key = RULES_OLD_KEY_MUST_NOT,
    .change_key = RULES_OLD_KEY_MUST_NOT,
    .reasons = RULES_REASONS_DEFAULT,
};

/* ---- what a new certificate may follow upon */

static bool is_allowed(const struct rules_life *life, enum rules_operation operation)
{
    switch (operation) {
    case RULES_RENEW: return life->allows_renew;
    case RULES_REPLACE: return life->allows_replace;
    case RULES_CHANGE: return life->allows_change;
    case RULES_NEW: break;
    }
    return false;
}

static enum ca_err check_state(const struct rules_old *old, bool renews, struct ca_refusal *refusal)
{
    switch (old->state) {
    case RULES_STATE_VALID: return CA_OK;
    case RULES_STATE_REVOKED:
        return ca_refuse(refusal, renews ? CA_ERR_RENEW_REVOKED : CA_ERR_CERT_REVOKED,
                         "predecessor", "only a valid certificate is followed upon");
    case RULES_STATE_HELD:
        return ca_refuse(refusal, renews ? CA_ERR_RENEW_HELD : CA_ERR_CERT_HELD, "predecessor",
                         "only a valid certificate is followed upon");
    }
    return CA_ERR_INTERNAL;
}

static enum ca_err check_line(const struct rules_old *old, bool renews, struct ca_refusal *refusal)
{
    enum ca_err busy = renews ? CA_ERR_RENEW_OPEN_ORDER : CA_ERR_CERT_BUSY;

    if (!old->is_head)
        return ca_refuse(refusal, renews ? CA_ERR_RENEW_NOT_HEAD : CA_ERR_CERT_NOT_HEAD,
                         "predecessor", "only the last of a line is followed upon");
    if (old->is_in_flight)
        return ca_refuse(refusal, busy, "predecessor", "one operation at a time");
    if (old->is_waiting)
        return ca_refuse(refusal, busy, "predecessor", "to be acknowledged or abandoned first");
    return CA_OK;
}

/* Civil days at UTC+8 since 1970. */
static int64_t civil_day(int64_t time_s)
{
    int64_t local_s = time_s + CA_UTC_PLUS_8_S;

    return local_s / CA_DAY_S - (local_s % CA_DAY_S < 0);
}

/* Is `later` more than so many days after `earlier`? */
static bool is_more_days(const struct rules_profile *profile, int64_t earlier_s, int64_t later_s,
                         uint32_t days)
{
    if (profile->validity == RULES_VALIDITY_CIVIL)
        return civil_day(later_s) - civil_day(earlier_s) > (int64_t)days;
    return later_s - earlier_s > (int64_t)days * CA_DAY_S;
}

static enum ca_err check_window(const struct rules_succession *succession,
                                struct ca_refusal *refusal)
{
    const struct rules_profile *profile = succession->profile;
    const struct rules_life *life = &profile->life;
    int64_t end_s = succession->old.cert->not_after_s, issued_s = succession->issued_s;
    bool has_ended = issued_s > end_s;

    if (!has_ended && life->renew_before_days > 0 &&
        is_more_days(profile, issued_s, end_s, life->renew_before_days))
        return ca_refuse(refusal, CA_ERR_RENEW_TOO_EARLY, "predecessor.notAfter",
                         "profile life.renew.before_days");
    if (has_ended && (life->renew_after_days == 0 ||
                      is_more_days(profile, end_s, issued_s, life->renew_after_days)))
        return ca_refuse(refusal, CA_ERR_RENEW_TOO_OLD, "predecessor.notAfter",
                         "profile life.renew.after_days");
    return CA_OK;
}

static enum ca_err check_time(const struct rules_succession *succession, struct ca_refusal *refusal)
{
    if (succession->successor->operation == RULES_RENEW)
        return check_window(succession, refusal);
    if (succession->issued_s > succession->old.cert->not_after_s)
        return ca_refuse(refusal, CA_ERR_CERT_EXPIRED, "predecessor.notAfter",
                         "the end date is kept");
    return CA_OK;
}

static enum ca_err check_cause(const struct rules_succession *succession,
                               struct ca_refusal *refusal)
{
    const struct rules_successor *successor = succession->successor;
    bool replaces = successor->operation == RULES_REPLACE;

    if (replaces != (successor->cause != RULES_CAUSE_NONE))
        return ca_refuse(refusal, CA_ERR_CAUSE, "cause", "with a replacement, and only with it");
    if (successor->lost_s == 0)
        return CA_OK;
    if (successor->cause != RULES_CAUSE_LOST)
        return ca_refuse(refusal, CA_ERR_CAUSE, "lost_at", "only with what was lost");
    if (successor->lost_s > succession->issued_s ||
        successor->lost_s < succession->old.cert->not_before_s)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "lost_at",
                         "from the old certificate's notBefore until now");
    return CA_OK;
}

bool rules_life_wants_old_key(const struct rules_profile *profile,
                              const struct rules_successor *successor)
{
    bool may_be_wanted =
        successor->operation == RULES_RENEW || successor->operation == RULES_CHANGE;

    return successor->old_key_signature.len > 0 ||
           (may_be_wanted && profile->life.wants_old_key_signature);
}

enum ca_err rules_life_admit(const struct rules_succession *succession, struct ca_refusal *refusal)
{
    const struct rules_successor *successor = succession->successor;
    bool renews = successor->operation == RULES_RENEW;
    enum ca_err err;

    if (!is_allowed(&succession->profile->life, successor->operation))
        return ca_refuse(refusal, CA_ERR_OPERATION, "operation", "profile life");
    if ((err = check_state(&succession->old, renews, refusal)) != CA_OK ||
        (err = check_line(&succession->old, renews, refusal)) != CA_OK ||
        (err = check_time(succession, refusal)) != CA_OK ||
        (err = check_cause(succession, refusal)) != CA_OK)
        return err;
    if (rules_life_wants_old_key(succession->profile, successor) &&
        successor->old_key_signature.len == 0)
        return ca_refuse(refusal, CA_ERR_OLD_KEY_SIG, "old_key_signature",
                         "profile life.old_key_signature");
    return CA_OK;
}

bool rules_life_waits(const struct rules_profile *profile, const struct rules_fate *fate)
{
    return profile->life.wants_acknowledgement ||
           (fate != NULL && fate->time == RULES_FATE_ACKNOWLEDGED);
}

/* ---- revoke, hold, release */

static enum ca_err check_reason(const struct rules_life *life,
                                const struct rules_act_request *request, struct ca_refusal *refusal)
{
    switch (request->act) {
    case RULES_REVOKE:
        if (request->reason >= X509_CRL_REASON_COUNT ||
            (RULES_REASONS_POSSIBLE & life->reasons & 1U << request->reason) == 0)
            return ca_refuse(refusal, CA_ERR_REASON, "reason", "profile life.revoke.reasons");
        return CA_OK;
    case RULES_HOLD:
        if (request->reason != 0 && request->reason != X509_CRL_CERTIFICATE_HOLD)
            return ca_refuse(refusal, CA_ERR_REASON, "reason", "a hold is its own reason");
        return CA_OK;
    case RULES_RELEASE:
        return request->reason == 0
                   ? CA_OK
                   : ca_refuse(refusal, CA_ERR_REASON, "reason", "a release has none");
    }
    return CA_ERR_INTERNAL;
}

static enum ca_err check_invalidity(const struct rules_act_request *request,
                                    const struct rules_standing *standing,
                                    struct ca_refusal *refusal)
{
    if (request->invalidity_s == 0)
        return CA_OK;
    if (request->act != RULES_REVOKE)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "invalidity_date", "only with a revocation");
    if (request->invalidity_s > request->now_s || request->invalidity_s < standing->not_before_s)
        return ca_refuse(refusal, CA_ERR_FIELD_FORMAT, "invalidity_date",
                         "from the certificate's notBefore until now");
    return CA_OK;
}

static enum ca_err refuse_expired(struct ca_refusal *refusal)
{
    return ca_refuse(refusal, CA_ERR_CERT_EXPIRED, "serial", "T > notAfter");
}

static enum ca_err revoke(const struct rules_act_request *request, struct rules_standing *standing,
                          bool *is_changed_out, struct ca_refusal *refusal)
{
    bool is_new = standing->state != RULES_STATE_REVOKED;
    bool rises = !is_new && request->reason == X509_CRL_KEY_COMPROMISE &&
                 standing->reason != X509_CRL_KEY_COMPROMISE;

    if (!is_new && !rises)
        return CA_OK;
    if (request->now_s > standing->not_after_s)
        return refuse_expired(refusal);
    /* What was held or revoked stays so since then. */
    if (standing->state == RULES_STATE_VALID)
        standing->revoked_s = request->now_s;
    standing->state = RULES_STATE_REVOKED;
    standing->reason = (enum x509_crl_reason)request->reason;
    if (request->invalidity_s != 0) {
        standing->has_invalidity = true;
        standing->invalidity_s = request->invalidity_s;
    }
    *is_changed_out = true;
    return CA_OK;
}

static enum ca_err hold(const struct rules_life *life, const struct rules_act_request *request,
                        struct rules_standing *standing, bool *is_changed_out,
                        struct ca_refusal *refusal)
{
    if (!life->allows_hold)
        return ca_refuse(refusal, CA_ERR_HOLD, "act", "profile life.revoke.hold");
    if (standing->state == RULES_STATE_REVOKED)
        return ca_refuse(refusal, CA_ERR_CERT_REVOKED, "serial", "a revocation is for ever");
    if (standing->state == RULES_STATE_HELD)
        return CA_OK;
    if (request->now_s > standing->not_after_s)
        return refuse_expired(refusal);
    standing->state = RULES_STATE_HELD;
    standing->reason = X509_CRL_CERTIFICATE_HOLD;
    standing->revoked_s = request->now_s;
    *is_changed_out = true;
    return CA_OK;
}

static enum ca_err release(struct rules_standing *standing, bool *is_changed_out,
                           struct ca_refusal *refusal)
{
    if (standing->state == RULES_STATE_REVOKED)
        return ca_refuse(refusal, CA_ERR_CERT_REVOKED, "serial", "a revocation is for ever");
    if (standing->state != RULES_STATE_HELD)
        return ca_refuse(refusal, CA_ERR_STATE, "serial", "only a hold is ended");
    standing->state = RULES_STATE_VALID;
    standing->reason = X509_CRL_UNSPECIFIED;
    standing->revoked_s = 0;
    standing->has_invalidity = false;
    standing->invalidity_s = 0;
    *is_changed_out = true;
    return CA_OK;
}

enum ca_err rules_life_act(const struct rules_life *life, const struct rules_act_request *request,
                           struct rules_standing *standing, bool *is_changed_out,
                           struct ca_refusal *refusal)
{
    enum ca_err err;

    *is_changed_out = false;
    if ((err = check_reason(life, request, refusal)) != CA_OK ||
        (err = check_invalidity(request, standing, refusal)) != CA_OK)
        return err;
    switch (request->act) {
    case RULES_REVOKE: return revoke(request, standing, is_changed_out, refusal);
    case RULES_HOLD: return hold(life, request, standing, is_changed_out, refusal);
    case RULES_RELEASE: return release(standing, is_changed_out, refusal);
    }
    return CA_ERR_INTERNAL;
}

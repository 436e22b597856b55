/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: what may become of a certificate. Renewal, replacement, change, revocation, hold.
 *
 * Pure: what is known of the old certificate and the moment are arguments. Everything that a CA may
 * want otherwise is data of the profile (struct rules_life): that of the OLD certificate decides on
 * revocation and hold, that of the NEW one on renewal, replacement and change. docs/LIFE.md.
 *
 * A new certificate: rules_life_admit(), then rules_draft() with the old end in the moment, then
 * rules_life_compare(). Where the draft is refused with RENEW_ISSUER_END or CA_END, or compare
 * answers RENEW_CAP, draft.validity holds the dates that were computed: they go to the caller with
 * the refusal, so that a person sees why.
 */
#pragma once

#include "ca/rules/issue.h"
#include "ca/x509/cert.h"
#include "ca/x509/crl.h"

enum rules_state { RULES_STATE_VALID, RULES_STATE_REVOKED, RULES_STATE_HELD };
enum rules_cause { RULES_CAUSE_NONE, RULES_CAUSE_LOST, RULES_CAUSE_DAMAGED };

/* What is known of the certificate that a new one is to follow upon. */
struct rules_old {
    const struct x509_cert *cert;
    const struct crypto_public_key *key;
    enum rules_state state;
    bool is_head;      /* the last of its line */
    bool is_in_flight; /* another certificate is being made to follow upon it */
    bool is_waiting;   /* it was never acknowledged */
};

/* The old certificate's end of the operation. */
struct rules_successor {
    enum rules_operation operation;
    enum rules_cause cause;            /* with REPLACE */
    int64_t lost_s;                    /* with LOST; 0: now */
    struct ca_bytes old_key_signature; /* over the request; empty: none */
};

/* What the rules are asked about: one certificate that is to follow upon another. */
struct rules_succession {
    const struct rules_profile *profile; /* of the new one */
    struct rules_old old;
    const struct rules_successor *successor;
    int64_t issued_s; /* when the new one is issued: now */
};

/* What happens to the old certificate, and when. */
enum rules_fate_time {
    RULES_FATE_KEEP,         /* it lives to its end */
    RULES_FATE_AT_ONCE,      /* when the new one is reserved: also if that is never signed */
    RULES_FATE_WITH_NEW,     /* in the commit that records the new one */
    RULES_FATE_ACKNOWLEDGED, /* when the new one is acknowledged */
};
struct rules_fate {
    enum rules_fate_time time;
    enum x509_crl_reason reason;
    bool has_invalidity;
    int64_t invalidity_s;
};

/*
 * Before the new certificate is drafted: OPERATION when the profile does not do it, then state,
 * line, window, cause. RENEW_* for a renewal, CERT_* otherwise; CAUSE, FIELD_FORMAT (lost in the
 * future or before the old certificate began), OLD_KEY_SIG when one is wanted and none was sent.
 * Costs nothing but comparisons. Not for RULES_NEW.
 */
CA_MUST_CHECK enum ca_err rules_life_admit(const struct rules_succession *succession,
                                           struct ca_refusal *refusal);

/*
 * After it is drafted: what it says against what the old one said (subject, alternative names,
 * extensions made from values), the key, the longest validity. RENEW_IDENTITY_CHANGED,
 * CERT_CHANGED naming what differs, RENEW_KEY, RENEW_CAP. key: the new one's. arena takes scratch.
 * fate_out tells what becomes of the old one: on an error it stays.
 */
CA_MUST_CHECK enum ca_err rules_life_compare(const struct rules_succession *succession,
                                             const struct rules_draft *draft,
                                             const struct crypto_public_key *key,
                                             struct ca_arena *arena, struct rules_fate *fate_out,
                                             struct ca_refusal *refusal);
/* Does the profile want the old key's signature for this, or was one sent all the same? Then it is
 * to be verified by the old key over the whole request: OLD_KEY_SIG. */
bool rules_life_wants_old_key(const struct rules_profile *profile,
                              const struct rules_successor *successor);
/* Does a new certificate wait for its acknowledgement? fate: NULL for RULES_NEW. */
bool rules_life_waits(const struct rules_profile *profile, const struct rules_fate *fate);

/* ---- revoke, hold, release */

enum rules_act { RULES_REVOKE, RULES_HOLD, RULES_RELEASE };

struct rules_standing {
    enum rules_state state;
    enum x509_crl_reason reason; /* with REVOKED, HELD */
    int64_t revoked_s;
    bool has_invalidity;
    int64_t invalidity_s;
    int64_t not_before_s, not_after_s;
};
struct rules_act_request {
    enum rules_act act;
    uint32_t reason;      /* as the caller sent it */
    int64_t invalidity_s; /* 0: not told */
    int64_t now_s;
};
/*
 * What is so afterwards, in *standing, which says what is so before and is left alone by a refusal.
 * *is_changed_out is false when all of it was so already: the same answer again.
 *
 * Only what is valid or held is revoked, until its end (CERT_EXPIRED). One that is revoked stays
 * so, with its date and reason; until its end the reason may still rise to keyCompromise. A hold is
 * ended at any time, also where the profile no longer allows one.
 *
 * REASON (not one of the profile's, or not for a hold), HOLD (not allowed), STATE (to be released
 * but not held), CERT_EXPIRED, CERT_REVOKED (to be held or released), FIELD_FORMAT (invalidity date
 * in the future, before notBefore, or with something else than a revocation).
 */
CA_MUST_CHECK enum ca_err rules_life_act(const struct rules_life *life,
                                         const struct rules_act_request *request,
                                         struct rules_standing *standing, bool *is_changed_out,
                                         struct ca_refusal *refusal);

/* What holds for certificates whose profile nobody remembers, and where a profile says nothing:
 * they can be revoked, for the reasons 1, 3, 4, 5 and 9, and nothing else. */
extern const struct rules_life RULES_LIFE_PLAIN;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life: what may become of a certificate. Renewal, replacement, change, revocation, hold.
 *
 * Pure: what is known of the old certificate and the moment are arguments. Everything that a CA may
 * want otherwise is data of the profile (struct rules_life): that of the OLD certificate decides on
 * revocation and hold, that of the NEW one on renewal, replacement and change. docs/LIFE.md.
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
 * Before the new certificate is drafted: state, line, window, cause. RENEW_* for a renewal, CERT_*
 * otherwise; OPERATION when the profile does not do it. Costs nothing but comparisons.
 */
CA_MUST_CHECK enum ca_err rules_life_admit(const struct rules_profile *profile,
                                           const struct rules_old *old,
                                           const struct rules_successor *successor,
                                           int64_t issued_s, struct ca_refusal *refusal);

/*
 * After it is drafted: what it says against what the old one said (subject, alternative names,
 * extensions made from values), the key, the longest validity, the issuer's end (RENEW_ISSUER_END
 * rather than CA_END, with the dates in the text). fate_out tells what becomes of the old one.
 */
CA_MUST_CHECK enum ca_err
rules_life_compare(const struct rules_profile *profile, const struct rules_issuer *issuer,
                   const struct rules_old *old, const struct rules_successor *successor,
                   const struct rules_draft *draft, const struct x509_csr *csr, int64_t issued_s,
                   struct ca_arena *arena, struct rules_fate *fate_out, struct ca_refusal *refusal);
/* Does the profile want the old key's signature for this, or was one sent all the same? Then it is
 * to be verified by the old key over the whole request. */
bool rules_life_wants_old_key(const struct rules_profile *profile,
                              const struct rules_successor *successor);

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
 * What is so afterwards, in *standing, which says what is so before. *is_changed_out is false when
 * all of it was so already: the same answer again. REASON, HOLD, STATE, CERT_EXPIRED, CERT_REVOKED,
 * FIELD_FORMAT (invalidity date in the future or before notBefore).
 */
CA_MUST_CHECK enum ca_err rules_life_act(const struct rules_life *life,
                                         const struct rules_act_request *request,
                                         struct rules_standing *standing, bool *is_changed_out,
                                         struct ca_refusal *refusal);

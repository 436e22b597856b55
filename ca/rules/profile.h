/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile: what a certificate may and must contain, as data.
 *
 * Filled in from the configuration (tools/config_profile.c), finished by
 * rules_profile_prepare(), then const while the daemon runs. All texts are borrowed from
 * the configuration and live as long. docs/PROFILES.md says what each setting means.
 */
#pragma once

#include <regex.h>

#include "ca/base/arena.h"
#include "ca/base/limits.h"
#include "ca/crypto/crypto.h"
#include "ca/rules/validity.h"
#include "ca/x509/ext.h"

enum {
    RULES_KEY_ALLOWED_MAX = 8,
    RULES_OID_MAX = 8,
    RULES_TERM_MAX = 8,
    RULES_PROFILE_ID_LEN = 16,
};

/* EITHER: the caller's value when there is one, otherwise the request's. */
enum rules_source { RULES_FROM_REQUEST, RULES_FROM_CALLER, RULES_FROM_EITHER, RULES_FIXED };
enum rules_presence { RULES_REQUIRED, RULES_OPTIONAL };
enum rules_value_check { RULES_CHECK_NONE, RULES_CHECK_USCC, RULES_CHECK_ORG, RULES_CHECK_ID };

/* One attribute of the subject, or one extension made from a value; in the order of the profile. */
struct rules_attribute {
    const char *name; /* "CN"; for an extension any name the caller uses: "uscc" */
    struct ca_bytes oid;
    uint8_t tag; /* string type written */
    enum rules_source source;
    enum rules_presence presence;
    const char *fixed_value;   /* with RULES_FIXED */
    uint16_t len_min, len_max; /* characters */
    const regex_t *pattern;    /* NULL: any; REG_EXTENDED, anchored at both ends */
    enum rules_value_check check;
    bool is_in_subject; /* written into the subject */
    bool is_extension;  /* written as an extension whose value is the string */
    bool is_critical;   /* that extension */
    const char *field;  /* "subject.CN", "extension.uscc": set by rules_profile_prepare() */
};

/* May a key that has a certificate get another one? */
enum rules_key_reuse {
    RULES_KEY_REUSE_ALLOWED,
    RULES_KEY_REUSE_SAME_HOLDER,
    RULES_KEY_REUSE_REFUSED
};

struct rules_key_allowed {
    enum crypto_key_type type;
    uint32_t bits_min, bits_max; /* RSA */
};

struct rules_san_policy {
    bool allows_dns, allows_wildcard, allows_ip, allows_email, allows_uri;
    bool from_request, from_caller; /* where names may come from */
    uint16_t count_min, count_max;
    bool includes_cn; /* the CN must be one of the names (BR 7.1.4.3) */
};

/* May the key of the old certificate be used again? */
enum rules_old_key { RULES_OLD_KEY_MAY, RULES_OLD_KEY_MUST, RULES_OLD_KEY_MUST_NOT };
/* What becomes of the old certificate after a renewal or change. */
enum rules_old_fate { RULES_OLD_KEEP, RULES_OLD_REVOKE, RULES_OLD_REVOKE_ACKNOWLEDGED };

/* What may happen to certificates of a profile after their issue: ca/rules/life.h. Days are counted
 * as the profile's validity counts: civil days at UTC+8, or 86 400 seconds. */
struct rules_life {
    bool allows_renew, allows_replace, allows_change;
    uint32_t renew_before_days; /* so long before its end; 0: at any time */
    uint32_t renew_after_days;  /* so long after it; 0: never after it */
    uint32_t total_months_max;  /* civil, from the day of issue to the new end; 0: no limit */
    bool renews_from_issue; /* a renewal is no longer than a new one: the old end is no matter */
    /* REPLACE is never MUST: a lost key is not used again. */
    enum rules_old_key renew_key, replace_key, change_key;
    enum rules_old_fate renew_old, change_old;
    bool wants_old_key_signature; /* for renewal and change */
    bool wants_acknowledgement;   /* all new certificates wait for one */
    /* What may differ after a renewal: names of attributes, "alt_names"; "*": all. A change may
     * change all. */
    const char *renew_may_differ[CA_ATTRIBUTE_COUNT_MAX];
    size_t renew_may_differ_count;
    /* Attributes of which not both may change, by renewal or change: name and code of the
     * organisation. NULL, both: no such rule. */
    const char *holder_name, *holder_code;
    uint32_t reasons; /* bit n: CRLReason n may be asked for; of RULES_REASONS_POSSIBLE */
    bool allows_hold;
};

enum {
    RULES_REASONS_DEFAULT = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9,
    /* Never 0 (unspecified is no reason), 2 (of CAs), 6 (a hold is no revocation), 7 (unused), 8
     * (of delta lists): RFC 5280, section 5.3.1. */
    RULES_REASONS_POSSIBLE = RULES_REASONS_DEFAULT | 1 << 10,
};

struct rules_profile {
    const char *name;
    uint8_t id[RULES_PROFILE_ID_LEN]; /* digest of its settings */
    struct ca_bytes content;          /* what that is the digest of: tools/config_schema.h */
    struct rules_key_allowed keys[RULES_KEY_ALLOWED_MAX];
    size_t key_count;
    enum rules_key_reuse key_reuse;
    struct rules_attribute attributes[CA_ATTRIBUTE_COUNT_MAX];
    size_t attribute_count;
    bool ignores_request_subject; /* otherwise an attribute the profile does not name is refused */
    /* What certificates of one holder are found by: names of attributes, or "dns" for the first
     * DNS name. None: all attributes of the subject. */
    const char *identity[CA_ATTRIBUTE_COUNT_MAX];
    size_t identity_count;
    struct rules_san_policy san;
    uint32_t key_usage;     /* x509_key_usage bits for keys that sign */
    uint32_t key_usage_rsa; /* added for RSA keys: keyEncipherment */
    bool key_usage_is_critical;
    struct ca_bytes ext_key_usages[RULES_OID_MAX];
    size_t ext_key_usage_count;
    struct x509_policy policies[RULES_OID_MAX];
    size_t policy_count;
    bool has_basic_constraints; /* writes CA=false */
    bool has_freshest_crl;      /* where the issuer has a crl_delta_url */
    enum rules_validity_kind validity;
    uint32_t terms[RULES_TERM_MAX];  /* CIVIL: allowed months, the first is the default */
    size_t term_count;               /* DURATION: allowed seconds */
    bool ignores_request_extensions; /* otherwise one it does not use is refused */
    struct rules_life life;
};

/*
 * Checks that the settings fit each other (CONFIG, with the setting as the field) and sets what
 * is derived from them. Texts it makes live in arena. Once per profile, before its first use.
 */
CA_MUST_CHECK enum ca_err rules_profile_prepare(struct rules_profile *profile,
                                                struct ca_arena *arena, struct ca_refusal *refusal);

/* Is this an extension the engine writes by itself? The others are made from values. */
bool rules_is_own_extension(struct ca_bytes oid);

/* The key usage written for keys of this type. */
uint32_t rules_key_usage(const struct rules_profile *profile, enum crypto_key_type type);

/* A CA as its certificates see it. */
struct rules_issuer {
    const char *name;        /* in the configuration */
    struct ca_bytes subject; /* Name, whole DER */
    const struct crypto_public_key *key;
    uint8_t key_id[20]; /* its subjectKeyIdentifier */
    int64_t not_before_s, not_after_s;
    enum crypto_sig sig;                      /* it signs with */
    struct ca_bytes ocsp_url, ca_issuers_url; /* may be empty */
    struct ca_bytes crl_url;       /* may hold "%s", replaced by the shard's number; may be empty */
    uint32_t crl_shard_count;      /* at least 1 */
    struct ca_bytes crl_delta_url; /* likewise, of its delta lists */
};

/* SPDX-License-Identifier: Apache-2.0 */
/* lint_rules: what the files of lint share; nothing else includes this. */
#pragma once

#include "ca/x509/lint.h"

enum lint_key { LINT_KEY_UNKNOWN, LINT_KEY_RSA, LINT_KEY_EC, LINT_KEY_SM2, LINT_KEY_ED25519 };

enum lint_extension_id {
    LINT_AKI,
    LINT_SKI,
    LINT_KEY_USAGE,
    LINT_POLICIES,
    LINT_SAN,
    LINT_BASIC_CONSTRAINTS,
    LINT_EXT_KEY_USAGE,
    LINT_CRL_POINTS,
    LINT_AIA,
    LINT_FRESHEST_CRL,
    LINT_EXTENSION_COUNT,
};

struct lint_extension {
    bool is_present;
    bool is_critical;
    struct ca_bytes value;
};

/* A TBSCertificate taken apart, without a judgement yet. */
struct lint {
    const struct x509_lint_context *context;
    struct ca_bytes version; /* content of [0], empty if absent */
    struct ca_bytes serial;  /* content */
    struct ca_bytes algorithm, issuer, subject, spki;
    uint8_t not_before_tag, not_after_tag;
    int64_t not_before_s, not_after_s;
    bool has_unique_id;
    enum lint_key key;
    struct ca_bytes key_bits; /* what the BIT STRING holds */
    struct lint_extension extensions[LINT_EXTENSION_COUNT];
    bool has_repeated_extension, has_unknown_critical_extension, has_broken_extension;
    /* From keyUsage and basicConstraints, when they have the right form. */
    uint32_t key_usage; /* enum x509_key_usage */
    bool is_ca, has_path_len;
};

struct lint_rule {
    const char *field;
    const char *rule;
    bool (*holds)(const struct lint *lint);
};

extern const struct lint_rule LINT_EXTENSION_RULES[];
extern const size_t LINT_EXTENSION_RULE_COUNT;

/* Sorts one Extension into lint. False when it has not even the form of one. */
bool lint_take_extension(struct lint *lint, struct der_reader *reader);

/* Names: Name, GeneralNames and URLs. */
bool lint_name_has_good_types(struct ca_bytes name);
bool lint_name_has_good_lengths(struct ca_bytes name);
bool lint_general_names_hold(struct ca_bytes sequence);
/* One that is fetched names http, https, ldap or ldaps, and a host. */
bool lint_is_url(struct ca_bytes url, bool is_fetched);

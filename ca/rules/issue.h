/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue: from a request to the bytes to be signed.
 *
 * Pure: time, serial number and keys are arguments, so the same arguments give the same
 * bytes. Every refusal names the field and the rule.
 */
#pragma once

#include "ca/rules/profile.h"
#include "ca/x509/csr.h"

struct rules_value {
    struct ca_bytes name;  /* "O", "uscc" */
    struct ca_bytes value; /* UTF-8 */
};

enum rules_san_kind { RULES_SAN_DNS, RULES_SAN_IP, RULES_SAN_EMAIL, RULES_SAN_URI };
struct rules_san {
    enum rules_san_kind kind;
    struct ca_bytes value; /* IP: 4 or 16 octets; otherwise text */
};

/* What a caller sends besides the certification request. Borrowed. */
struct rules_request {
    const struct rules_value *values;
    size_t value_count;
    const struct rules_san *sans;
    size_t san_count;
    uint32_t term; /* 0: the profile's default */
};

/* Keys no certificate is made for. Ascending SHA-256 digests of the SubjectPublicKeyInfo. */
struct rules_blocked_keys {
    const uint8_t (*digests)[CA_DIGEST_LEN];
    size_t count;
};

/* Type, size, RSA weaknesses, blocked. Before the signature is verified, as it costs less. */
CA_MUST_CHECK enum ca_err rules_key_check(const struct rules_profile *profile,
                                          const struct x509_csr *csr,
                                          const struct rules_blocked_keys *blocked,
                                          const uint8_t spki_digest[CA_DIGEST_LEN],
                                          struct ca_refusal *refusal);

/* The moment and number of issue; what RENEW and its kin need of the old certificate. */
struct rules_moment {
    enum rules_operation operation;
    int64_t issued_s;
    int64_t old_not_after_s;
    struct ca_serial serial;
};

/* All that a certificate is made of. Borrowed. */
struct rules_order {
    const struct rules_profile *profile;
    const struct rules_issuer *issuer;
    const struct rules_request *request;
    const struct x509_csr *csr;
    struct rules_moment moment;
};

struct rules_draft {
    struct ca_bytes tbs; /* in the arena */
    struct rules_validity validity;
    uint8_t identity[CA_DIGEST_LEN]; /* digest certificates of this holder are found by */
    uint32_t crl_shard;
};

/*
 * Checks subject, alternative names, extensions and term against the profile, builds the
 * TBSCertificate and lints it. arena takes the bytes and scratch. A certificate that would outlive
 * its issuer is refused (CA_END, a renewal RENEW_ISSUER_END), never shortened; the dates it would
 * have had are then in draft_out->validity, and nothing else is. Any other refusal leaves it zero.
 */
CA_MUST_CHECK enum ca_err rules_draft(const struct rules_order *order, struct ca_arena *arena,
                                      struct rules_draft *draft_out, struct ca_refusal *refusal);

/*
 * The identity digest of name=value pairs, in any order: what a search by subject asks for.
 * At most CA_ATTRIBUTE_COUNT_MAX. SHA-256 over the pairs sorted by name, then value, each as
 * length of name (4 octets), length of value (4), name, value.
 */
void rules_identity(const struct rules_value *values, size_t count,
                    uint8_t identity[CA_DIGEST_LEN]);

/* The shard of the CRLs that a certificate with this number belongs to; its distribution point
 * says so for ever, so never change an issuer's crl_shard_count. */
uint32_t rules_crl_shard(const struct rules_issuer *issuer, const struct ca_serial *serial);
/* The distribution point of a shard, byte for byte as in its certificates: in the arena, or
 * crl_url itself; data NULL when the arena is exhausted. */
struct ca_bytes rules_crl_url(const struct rules_issuer *issuer, uint32_t shard,
                              struct ca_arena *arena);
/* Likewise where the delta lists of a shard are; empty where crl_delta_url is. */
struct ca_bytes rules_crl_delta_url(const struct rules_issuer *issuer, uint32_t shard,
                                    struct ca_arena *arena);

/* The certificate of a CA itself, self-signed or for a lower CA: basicConstraints, keyCertSign. */
struct rules_ca_request {
    const struct x509_attribute *subject;
    size_t subject_count;
    const struct crypto_public_key *key;
    const struct rules_issuer *issuer; /* NULL: self-signed */
    enum crypto_sig sig;               /* of the issuer */
    int64_t not_before_s, not_after_s;
    int path_len; /* below 0: none */
    struct ca_serial serial;
};
CA_MUST_CHECK enum ca_err rules_root_draft(const struct rules_ca_request *request,
                                           struct ca_arena *arena, struct ca_bytes *tbs_out,
                                           struct ca_refusal *refusal);

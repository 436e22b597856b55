/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_gate: may this list be published after that one? And what is different?
 *
 * Looks at the bytes that are about to be published, not at what they were made from, so that
 * a fault in making, signing or writing is seen before anybody else sees it. Any list that was
 * made right passes. Pure, and in constant memory: both lists may be mapped files.
 */
#pragma once

#include "ca/crypto/message.h"
#include "ca/x509/crl.h"

/* ---- the difference of two lists */

enum rules_crl_change_kind {
    RULES_CRL_ADDED,
    RULES_CRL_REMOVED,
    RULES_CRL_CHANGED, /* reason, date or invalidity date */
    RULES_CRL_KEPT,
};

struct rules_crl_change {
    enum rules_crl_change_kind kind;
    const struct x509_crl_entry *before; /* NULL: added */
    const struct x509_crl_entry *after;  /* NULL: removed */
};

struct rules_crl_difference {
    uint64_t before, after; /* entries in all */
    uint64_t added, removed, changed;
};

/* A list to be compared. order: where each entry begins within crl->entries, by serial number, for
 * lists that are not sorted; NULL for those that are. */
struct rules_crl_side {
    const struct x509_crl *crl;
    const uint32_t *order;
    size_t order_count;
};

/*
 * Everything that is in either, in the order of serial numbers, for as long as tell answers CA_OK
 * (its other answers end the comparison and are answered); but what is the same octet for octet in
 * both may be counted only, without being told or read. tell may be NULL. CRL_PARSE for an entry
 * that is not strict, CRL_GATE for a list that is not sorted or has a number twice.
 */
typedef enum ca_err rules_crl_tell(void *arg, const struct rules_crl_change *change,
                                   struct ca_refusal *refusal);
CA_MUST_CHECK enum ca_err rules_crl_compare(const struct rules_crl_side *before,
                                            const struct rules_crl_side *after,
                                            rules_crl_tell *tell, void *arg,
                                            struct rules_crl_difference *difference_out,
                                            struct ca_refusal *refusal);

/* ---- the gate */

struct rules_crl_gate {
    const struct x509_crl *previous; /* of this scope, published last; NULL: this is the first */
    struct ca_bytes issuer;          /* subject of the issuer's certificate, whole DER */
    struct ca_bytes key_id;          /* subjectKeyIdentifier of the issuer */
    struct ca_bytes url; /* distribution point in the certificates; empty: the list has none */
    bool only_user_certs;
    struct ca_bytes freshest_url; /* of its delta lists; empty: the list names none */
    bool is_delta;

    /* When the certificate ends: its entry may leave once it was on a list made later than that.
     * False if it is not known; then it may not leave. */
    bool (*find_expiry)(void *arg, struct ca_bytes serial, int64_t *not_after_s_out);
    void *find_expiry_arg;
    rules_crl_tell *tell; /* told of what rules_crl_compare() tells; NULL: nobody */
    void *tell_arg;

    struct crypto *crypto;
    const struct crypto_own_key *key; /* the issuer's */
    /*
     * What was signed, and SHA-256 of the same octets, both taken while the list was written: the
     * latter is compared with the bytes in the list. NULL: the signature is verified over the
     * bytes in the list. (SM3 is several times slower than SHA-256.)
     */
    const struct crypto_digest *signed_digest;
    const struct crypto_digest *sha256;
    /* SHA-256 of list->tbs, where somebody computes it meanwhile; NULL: the gate does. */
    void (*hash_tbs)(void *arg, uint8_t sha256[CA_DIGEST_LEN]);
    void *hash_tbs_arg;
};

/*
 * CRL_GATE with the field and the rule for the first rule broken; SIGNATURE_WRONG; CRL_PARSE;
 * NOMEM. The difference is complete only with CA_OK.
 */
CA_MUST_CHECK enum ca_err rules_crl_gate_check(const struct rules_crl_gate *gate,
                                               const struct x509_crl *list,
                                               struct rules_crl_difference *difference_out,
                                               struct ca_refusal *refusal);

/* The issuer's signature over the bytes of the list, whatever its length: CA_OK,
 * SIGNATURE_WRONG, NOMEM. */
CA_MUST_CHECK enum ca_err rules_crl_verify(struct crypto *crypto, const struct crypto_own_key *key,
                                           const struct x509_crl *list);

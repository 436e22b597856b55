/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl: certificate revocation lists (RFC 5280, section 5), of any length and in constant memory.
 *
 * A list is a head, entries, a tail and a signature. Entries are kept encoded, in the order of
 * their serial numbers; whoever makes a list knows their length in total beforehand, writes
 * the head, copies the entries and writes the tail, hashing all three: docs/CRL.md.
 * Reading borrows from the list, which may be a mapped file: nothing is allocated per entry.
 */
#pragma once

#include "ca/x509/csr.h"

enum {
    X509_CRL_NUMBER_LEN_MAX = 20, /* RFC 5280, section 5.2.3 */
    X509_CRL_SERIAL_LEN_MAX = 20, /* RFC 5280, section 4.1.2.2 */
    X509_CRL_ENTRY_LEN_MAX = 96,  /* of those written here */
    X509_CRL_PARTS_LEN_MAX = 8192,
};
#define X509_CRL_LEN_MAX UINT32_MAX /* lengths of four octets; split the list (shards) before */

/* CRLReason (RFC 5280, section 5.3.1). */
enum x509_crl_reason {
    X509_CRL_UNSPECIFIED = 0, /* never written: the extension is left out */
    X509_CRL_KEY_COMPROMISE = 1,
    X509_CRL_CA_COMPROMISE = 2,
    X509_CRL_AFFILIATION_CHANGED = 3,
    X509_CRL_SUPERSEDED = 4,
    X509_CRL_CESSATION_OF_OPERATION = 5,
    X509_CRL_CERTIFICATE_HOLD = 6,
    X509_CRL_REMOVE_FROM_CRL = 8, /* in delta lists only */
    X509_CRL_PRIVILEGE_WITHDRAWN = 9,
    X509_CRL_AA_COMPROMISE = 10,
    X509_CRL_REASON_COUNT
};
/* "keyCompromise"; NULL for a number that is no reason. */
const char *x509_crl_reason_name(uint32_t reason);
bool x509_crl_reason_by_name(const char *name, enum x509_crl_reason *reason_out);

/* What was read from or goes into one revokedCertificates entry. */
struct x509_crl_entry {
    struct ca_bytes serial; /* content octets of the INTEGER */
    int64_t revoked_s;
    enum x509_crl_reason reason;
    bool has_invalidity;
    int64_t invalidity_s;

    /* Only from reading. */
    struct ca_bytes whole;
    bool has_reason;           /* with UNSPECIFIED: written although it should not be */
    bool has_critical;         /* one of the known extensions is marked critical */
    bool has_unknown;          /* an extension that is not known */
    bool has_unknown_critical; /* and must not be passed over; so is certificateIssuer */
};

/*
 * revokedCertificate ::= SEQUENCE { serial, date, extensions OPTIONAL }
 * FIELD_FORMAT, and nothing written, for a serial number that is not positive and at most 20
 * octets, or no reason. Whether the reason is allowed is the profile's matter.
 */
CA_MUST_CHECK enum ca_err x509_crl_entry_write(struct der_writer *writer,
                                               const struct x509_crl_entry *entry);
/* Order of entries: that of the numbers. Content octets of positive INTEGERs. */
int x509_crl_serial_compare(struct ca_bytes a, struct ca_bytes b);

/* ---- making */

struct x509_crl_form {
    enum crypto_sig sig;
    struct ca_bytes issuer;      /* Name, whole DER, as in the issuer's certificate */
    struct ca_bytes key_id;      /* of the issuer's key */
    struct ca_bytes number;      /* positive, big endian, below 2^159 */
    struct ca_bytes base_number; /* of the list a delta list builds on; empty: a complete list */
    int64_t this_update_s;
    int64_t next_update_s;
    struct ca_bytes url;          /* byte for byte that of the certificates; empty: none written */
    bool only_user_certs;         /* in issuingDistributionPoint */
    struct ca_bytes freshest_url; /* of the delta lists on this complete one; empty: none written */
    uint64_t entries_len;         /* octets of all entries together */
};

/* Everything around the entries, but for what only the signature tells. Do not copy. */
struct x509_crl_parts {
    struct ca_bytes head; /* from the header of TBSCertList to the first entry */
    struct ca_bytes tail; /* the extensions */
    uint64_t tbs_len;
    uint8_t memory[X509_CRL_PARTS_LEN_MAX];
};
/* FIELD_FORMAT, FIELD_REQUIRED or FIELD_LENGTH with the field named. */
CA_MUST_CHECK enum ca_err x509_crl_parts_build(const struct x509_crl_form *form,
                                               struct x509_crl_parts *parts_out,
                                               struct ca_refusal *refusal);

/*
 * The header in front of TBSCertList: its content includes the signature, whose length differs
 * from one ECDSA or SM2 signature to the next. Returns its length.
 */
enum { X509_CRL_HEADER_LEN_MAX = 6 };
size_t x509_crl_header_write(uint64_t tbs_len, enum crypto_sig sig, size_t signature_len,
                             uint8_t header[X509_CRL_HEADER_LEN_MAX]);
/* Is the header as long for every signature from len_min to len_max octets? */
bool x509_crl_header_is_fixed(uint64_t tbs_len, enum crypto_sig sig, size_t len_min,
                              size_t len_max);
/* What follows TBSCertList. */
void x509_crl_signature_write(struct der_writer *writer, enum crypto_sig sig,
                              struct ca_bytes signature);

/* ---- reading */

/* issuingDistributionPoint */
struct x509_crl_idp {
    bool is_present, is_critical;
    bool only_user_certs, only_ca_certs, only_attribute_certs, only_some_reasons, is_indirect;
    struct ca_bytes url; /* the first URI in fullName, if any */
};

/* freshestCRL */
struct x509_crl_freshest {
    bool is_present, is_critical;
    struct ca_bytes url; /* the first URI, if any */
};

struct x509_crl {
    struct ca_bytes whole;
    struct ca_bytes tbs;
    enum crypto_sig sig;
    struct ca_bytes issuer; /* Name, whole DER */
    int64_t this_update_s;
    int64_t next_update_s;
    bool has_next_update;
    bool has_entries; /* revokedCertificates is there: it must not be when there is none */
    struct ca_bytes entries;
    struct x509_extension extensions[CA_EXTENSION_COUNT_MAX];
    size_t extension_count;
    bool has_unknown_critical;
    struct ca_bytes key_id;      /* empty: no authorityKeyIdentifier, or without keyIdentifier */
    struct ca_bytes number;      /* big endian without sign octet; empty: there is none */
    struct ca_bytes base_number; /* not empty: a delta list */
    bool is_number_critical, is_base_critical;
    struct x509_crl_idp idp;
    struct x509_crl_freshest freshest;
    struct ca_bytes signature;
};
/*
 * Strict DER and grammar of everything but the entries, which the cursor below reads. Version 2,
 * algorithms of ours only, inside as outside. CRL_PARSE for the form. The signature is not
 * verified, rules are not checked.
 */
CA_MUST_CHECK enum ca_err x509_crl_parse(struct ca_bytes der, struct x509_crl *crl_out,
                                         struct ca_refusal *refusal);
const struct x509_extension *x509_crl_extension(const struct x509_crl *crl, struct ca_bytes oid);

struct x509_crl_cursor {
    const uint8_t *at;
    const uint8_t *end;
};
struct x509_crl_cursor x509_crl_entries(const struct x509_crl *crl);
static inline bool x509_crl_at_end(const struct x509_crl_cursor *cursor)
{
    return cursor->at == cursor->end;
}
/* CRL_PARSE for an entry that is not strict; the cursor stays before it. */
CA_MUST_CHECK enum ca_err x509_crl_next(struct x509_crl_cursor *cursor,
                                        struct x509_crl_entry *entry_out,
                                        struct ca_refusal *refusal);

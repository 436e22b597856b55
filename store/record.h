/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: the bytes of every stored record (docs/STORAGE.md has the tables).
 *
 * Little endian, a version octet first, a seal over table, key and content last. encode writes
 * exactly the length that the _len function or constant tells. decode takes bytes from anywhere,
 * lends what it finds from `value`, and answers STORAGE_CORRUPT for everything that encode would
 * not have written.
 */
#pragma once

#include "store/store.h"

enum store_table {
    STORE_TABLE_META,
    STORE_TABLE_CERTIFICATES,
    STORE_TABLE_INTENTS,
    STORE_TABLE_AUDIT,
    STORE_TABLE_CHANGES,
    STORE_TABLE_REVOKED,  /* what the next complete CRL of a scope lists */
    STORE_TABLE_RETIRED,  /* the same records, once a list no longer needs them */
    STORE_TABLE_SCOPES,   /* totals and latest lists */
    STORE_TABLE_CRLS,     /* every list that was published */
    STORE_TABLE_LINEAGES, /* certificates that follow upon each other */
    STORE_TABLE_STATUS,   /* changes of status, scope by scope */
    STORE_TABLE_PROFILES, /* every profile that was ever configured */
    STORE_TABLE_HEADS,    /* of the audit log, signed */
    STORE_TABLE_COUNT
};

enum {
    STORE_RECORD_VERSION = 1,
    STORE_ID_LEN = 16,
    STORE_CHAIN_LEN = 32,
    STORE_SEQUENCE_LEN = 8, /* key of audit and changes: big endian, so that keys sort by number */
    STORE_AUDIT_OBJECT_LEN_MAX = 64,
    STORE_INTENT_LEN = 1 + 4 * STORE_DIGEST_LEN + 32 + 8 + 4 + 8 + 8 + STORE_DIGEST_LEN,
    STORE_CERTIFICATE_LEN_MIN =
        1 + 6 * STORE_DIGEST_LEN + 8 + 8 + 8 + 8 + 1 + 1 + 1 + 4 + STORE_DIGEST_LEN,
    STORE_CERTIFICATE_RECORD_MAX = STORE_CERTIFICATE_LEN_MIN + CA_CERTIFICATE_LEN_MAX,
    STORE_AUDIT_LEN_MIN = 1 + 1 + 8 + 2 * STORE_DIGEST_LEN + 1 + 1 + STORE_CHAIN_LEN,
    STORE_AUDIT_LEN_MAX = STORE_AUDIT_LEN_MIN + STORE_ACTOR_LEN_MAX + STORE_AUDIT_OBJECT_LEN_MAX,
    STORE_CHANGE_LEN_MIN = 1 + 1 + 8 + CA_SERIAL_LEN + 1 + 1 + 1 + STORE_DIGEST_LEN,
    STORE_CHANGE_ADDED_LEN = STORE_CHANGE_LEN_MIN + 3 * STORE_DIGEST_LEN,
    STORE_CHANGE_STATUS_LEN = STORE_CHANGE_LEN_MIN + 2 * STORE_DIGEST_LEN,
    STORE_CHANGE_DELIVERY_LEN = STORE_CHANGE_STATUS_LEN + 1,
    STORE_HEAD_LEN = 1 + 8 + 8 + STORE_CHAIN_LEN + 8 + STORE_DIGEST_LEN,
    STORE_PROFILE_LEN_MIN = 1 + 8 + 4 + 1 + 1 + STORE_DIGEST_LEN,
    STORE_PROFILE_LEN_MAX = STORE_PROFILE_LEN_MIN + CA_NAME_LEN_MAX + CA_PROFILE_LEN_MAX,
    STORE_SIGNED_HEAD_LEN = 1 + 8 + STORE_CHAIN_LEN + 4 + 64 + STORE_DIGEST_LEN,
    STORE_IDENTITY_LEN = 1 + 8 + 1 + STORE_ID_LEN + STORE_DIGEST_LEN,
};

/* What look-ups go by, in the order of the sections of a run. */
enum store_section {
    STORE_SECTION_IDENTITY,
    STORE_SECTION_KEY,
    STORE_SECTION_REQUEST,
    STORE_SECTION_COUNT
};
_Static_assert((int)STORE_BY_IDENTITY == (int)STORE_SECTION_IDENTITY &&
                   (int)STORE_BY_KEY == (int)STORE_SECTION_KEY,
               "an index is a section");

enum store_change_kind {
    STORE_CHANGE_ADDED = 1, /* a certificate: says how it is looked up */
    STORE_CHANGE_STATUS,    /* revoked, held, released */
    STORE_CHANGE_DELIVERY,  /* acknowledged or abandoned; the states are the same */
};

/* A change as stored. */
struct store_change_record {
    struct store_change change;
    enum store_change_kind kind;
    struct store_digest digests[STORE_SECTION_COUNT]; /* of ADDED */
    struct store_digest request, body;                /* of the others; zeros: none */
    enum store_delivery delivery;                     /* of DELIVERY */
};

/* meta "head": the ends of the appended tables, and the latest time. */
struct store_head {
    uint64_t change_sequence, audit_sequence;
    uint8_t audit_head[STORE_CHAIN_LEN];
    uint64_t clock_us;
};

/* meta "store": which store this is. */
struct store_identity {
    uint64_t schema;
    uint8_t instance;
    uint8_t id[STORE_ID_LEN];
};

void store_record_sequence_key(uint64_t sequence, uint8_t key[STORE_SEQUENCE_LEN]);
/* Writes the record's digest into the last STORE_DIGEST_LEN octets of value. */
void store_record_seal(enum store_table table, struct ca_bytes key, uint8_t *value, size_t len);

/* As encode does, but for the seal: its octets are not touched. */
void store_record_fill_intent(const struct store_intent *intent, uint8_t value[STORE_INTENT_LEN]);
void store_record_fill_certificate(const struct store_certificate *certificate, uint8_t *value);
void store_record_fill_change(const struct store_change_record *record, uint8_t *value);

void store_record_encode_intent(const struct store_intent *intent, uint8_t value[STORE_INTENT_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_intent(struct ca_bytes key, struct ca_bytes value,
                                                     struct store_intent *intent_out);

size_t store_record_certificate_len(const struct store_certificate *certificate);
void store_record_encode_certificate(const struct store_certificate *certificate, uint8_t *value);
CA_MUST_CHECK enum ca_err
store_record_decode_certificate(struct ca_bytes key, struct ca_bytes value,
                                struct store_certificate *certificate_out);

size_t store_record_change_len(const struct store_change_record *record);
void store_record_encode_change(const struct store_change_record *record, uint8_t *value);
CA_MUST_CHECK enum ca_err store_record_decode_change(struct ca_bytes key, struct ca_bytes value,
                                                     struct store_change_record *record_out);

/* The key is the identity. */
size_t store_record_profile_len(const struct store_profile *profile);
void store_record_encode_profile(const struct store_profile *profile, uint8_t *value);
CA_MUST_CHECK enum ca_err store_record_decode_profile(struct ca_bytes key, struct ca_bytes value,
                                                      struct store_profile *profile_out);

/* The key is the sequence number; the log is not said: it is this store's. */
void store_record_encode_signed_head(const struct keys_signed_head *head,
                                     uint8_t value[STORE_SIGNED_HEAD_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_signed_head(struct ca_bytes key,
                                                          struct ca_bytes value,
                                                          struct keys_signed_head *head_out);

/*
 * An audit record has no digest of its own: it ends with the chain digest, SHA-256 over the one
 * before, the key and the rest of the record. The first one follows upon the genesis.
 */
void store_record_genesis(const struct store_identity *identity, uint8_t chain[STORE_CHAIN_LEN]);
size_t store_record_audit_len(const struct store_audit *audit);
/* chain: in, of the record before; out, of this one. */
void store_record_encode_audit(uint64_t sequence, const struct store_audit *audit,
                               uint8_t chain[STORE_CHAIN_LEN], uint8_t *value);
CA_MUST_CHECK enum ca_err store_record_decode_audit(struct ca_bytes key, struct ca_bytes value,
                                                    const uint8_t previous[STORE_CHAIN_LEN],
                                                    struct store_audit_entry *entry_out);

void store_record_encode_head(const struct store_head *head, uint8_t value[STORE_HEAD_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_head(struct ca_bytes value,
                                                   struct store_head *head_out);
void store_record_encode_identity(const struct store_identity *identity,
                                  uint8_t value[STORE_IDENTITY_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_identity(struct ca_bytes value,
                                                       struct store_identity *identity_out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head: a head of the audit log, as it is signed and handed out.
 *
 * A head says: up to this record the log of this store is what this digest was computed from.
 * What is signed (Ed25519) is a text of four lines, of which the first is found in nothing else
 * that is ever signed; docs/PROTOCOL.md, "Signed heads". For keeping, text and signature make a
 * signed note (C2SP signed-note). An audit key signs heads and nothing else, and none that
 * contradicts one it signed before.
 */
#pragma once

#include <pthread.h>

#include "ca/keys/keys.h"

enum {
    KEYS_HEAD_LOG_LEN = 16, /* the number of the store */
    KEYS_HEAD_KEY_ID_LEN = 4,
    KEYS_HEAD_SIGNATURE_LEN = 64,
    KEYS_HEAD_TEXT_MAX = 17 + 2 * KEYS_HEAD_LOG_LEN + 1 + 20 + 1 + 44 + 1 + 20 + 1,
    KEYS_NOTE_MAX = KEYS_HEAD_TEXT_MAX + 1 + 4 + 17 + 2 * KEYS_HEAD_LOG_LEN + 1 + 92 + 1,
};

struct keys_head {
    uint8_t log[KEYS_HEAD_LOG_LEN];
    uint64_t sequence; /* of the last record, 1 to INT64_MAX */
    uint8_t chain[CA_DIGEST_LEN];
    uint64_t time_us; /* when it was signed; up to INT64_MAX */
};

struct keys_signed_head {
    struct keys_head head;
    uint8_t key_id[KEYS_HEAD_KEY_ID_LEN]; /* which key: a hint, not a proof */
    uint8_t signature[KEYS_HEAD_SIGNATURE_LEN];
};

/* The octets that are signed, and how many. */
size_t keys_head_text(const struct keys_head *head, char text[KEYS_HEAD_TEXT_MAX + 1]);
/* FIELD_FORMAT for everything that keys_head_text() does not write. */
CA_MUST_CHECK enum ca_err keys_head_parse(struct ca_bytes text, struct keys_head *head_out);

/* Of the Ed25519 key as the signer of this log's heads. */
void keys_head_key_id(const uint8_t log[KEYS_HEAD_LOG_LEN], const struct crypto_public_key *key,
                      uint8_t id_out[KEYS_HEAD_KEY_ID_LEN]);

/* With a ticket, where the signer asks for one: the record is on disk. As keys_sign(); DENIED for
 * a head that does not go with those signed before. */
CA_MUST_CHECK enum ca_err keys_head_sign(struct keys_signer *signer, struct crypto *crypto,
                                         const struct keys_head *head,
                                         struct keys_signed_head *signed_out);
/* SIGNATURE_WRONG; KEY_TYPE for a key of another kind. */
CA_MUST_CHECK enum ca_err keys_head_verify(struct crypto *crypto,
                                           const struct crypto_public_key *key,
                                           const struct keys_signed_head *head);

/* Writes text, empty line and signature line; how many octets. */
size_t keys_note_write(const struct keys_signed_head *head, char note[KEYS_NOTE_MAX + 1]);
/* Takes the first of several notes, which empty lines may part, off text. NOT_FOUND: there is no
 * more. FIELD_FORMAT for what keys_note_write() does not write. */
CA_MUST_CHECK enum ca_err keys_note_next(struct ca_bytes *text, struct keys_signed_head *head_out);

/*
 * What an audit key signed last; whoever holds the key holds this beside it. Any thread.
 */
struct keys_head_guard {
    pthread_mutex_t lock;
    bool has_last;
    struct keys_head last;
};
void keys_head_guard_init(struct keys_head_guard *guard);
void keys_head_guard_wipe(struct keys_head_guard *guard);
/*
 * May this be signed? DENIED unless the message is a head and nothing else, of the same log as the
 * last one, with a higher sequence number, or the same one and the same digest.
 */
CA_MUST_CHECK enum ca_err keys_head_guard_admit(struct keys_head_guard *guard,
                                                struct ca_bytes message);

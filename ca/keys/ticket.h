/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket: leave to have one thing signed, given once its intent is on disk.
 *
 * The writer makes tickets after the commit that holds the intent; a signer process signs nothing
 * without one. A ticket says kind, key, the number of certificate, list or audit record, and digest
 * of the content, under a MAC (SipHash-2-4 of 128 bits, keyed afresh at every start): it fits one
 * content of one key, and no other. Asking twice with the same ticket gives a signature of the same
 * content again.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"

enum keys_ticket_kind {
    KEYS_TICKET_NONE, /* for signers that ask for none */
    KEYS_TICKET_CERTIFICATE,
    KEYS_TICKET_CRL,
    KEYS_TICKET_HEAD, /* of the audit log: ca/keys/head.h */
};

enum {
    KEYS_TICKET_KEY_LEN = 16,
    KEYS_TICKET_MAC_LEN = 16,
    KEYS_TICKET_NUMBER_MAX = 20,
    KEYS_TICKET_DIGEST_MAX = 64,
};

/* What a ticket speaks of. */
struct keys_intent {
    enum keys_ticket_kind kind;
    struct ca_bytes
        number; /* of certificate, list or record, up to KEYS_TICKET_NUMBER_MAX octets */
    struct ca_bytes digest; /* SHA-256 of what is to be signed; of a list, what is signed */
};

struct keys_ticket {
    uint8_t kind;
    uint8_t number_len;
    uint8_t number[KEYS_TICKET_NUMBER_MAX];
    uint8_t mac[KEYS_TICKET_MAC_LEN];
};

/* secret: KEYS_TICKET_KEY_LEN octets. key: which of a process's keys. */
void keys_ticket_stamp(const uint8_t *secret, uint32_t key, const struct keys_intent *intent,
                       struct keys_ticket *ticket_out);
/* Was it made for this key and this digest? Constant time but for lengths. */
bool keys_ticket_fits(const uint8_t *secret, uint32_t key, const struct keys_ticket *ticket,
                      struct ca_bytes digest);

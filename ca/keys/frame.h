/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: what the daemon and its signer process say to each other; private to this folder.
 *
 * One frame is asked, one is answered, on a stream socket; a lane is one such socket. Numbers are
 * big endian. What is read here comes from a process that is not trusted: lengths are checked
 * before anything is believed.
 *
 *   request  len 4, version 1, form 1, signature kind 1, place 1, key 2, count 2
 *            then count tickets: kind 1, number length 1, number 20, MAC 16, message length 4
 *            then the messages, or the one digest
 *   answer   len 4, code 2, count 2, signatures 8, refused 8, repeated 8 (of this key, so far)
 *            then count signatures: length 2, octets
 *
 * len counts what follows the fixed part. It follows on the socket (place 0), or stands at the
 * beginning of the lane's shared memory (place 1): a batch then costs no copies by the kernel.
 */
#pragma once

#include "ca/crypto/message.h"
#include "ca/keys/ticket.h"

enum {
    KEYS_FRAME_VERSION = 1,
    KEYS_FRAME_ITEMS_MAX = 256,
    KEYS_FRAME_REQUEST_LEN = 12,
    KEYS_FRAME_TICKET_LEN = 42,
    KEYS_FRAME_ANSWER_LEN = 32,
    KEYS_FRAME_AREA_SIZE = 256 << 10, /* shared memory of a lane; what is longer is sent */
    KEYS_FRAME_LEN_MAX = 256 << 20,   /* a list that Ed25519 signs is sent whole */
};

enum keys_frame_form { KEYS_FRAME_MESSAGES = 1, KEYS_FRAME_DIGEST = 2 };

struct keys_frame_request {
    uint32_t len;
    enum keys_frame_form form;
    enum crypto_sig sig;
    bool is_shared;
    uint16_t key;
    uint16_t count;
    struct keys_ticket tickets[KEYS_FRAME_ITEMS_MAX];
    struct ca_bytes messages[KEYS_FRAME_ITEMS_MAX]; /* in the body that was read; a digest: one */
};

struct keys_frame_answer {
    uint32_t len;
    enum ca_err err;
    uint16_t count;
    uint64_t signatures, refused, repeated;
};

/* Fixed part and tickets; the messages follow them on the way. size is enough for both. */
enum {
    KEYS_FRAME_HEAD_MAX = KEYS_FRAME_REQUEST_LEN + KEYS_FRAME_ITEMS_MAX * KEYS_FRAME_TICKET_LEN
};
/* TOO_MANY_ITEMS, FIELD_LENGTH: more than a frame can hold. */
CA_MUST_CHECK enum ca_err keys_frame_request_write(const struct keys_frame_request *request,
                                                   uint8_t head[KEYS_FRAME_HEAD_MAX],
                                                   size_t *len_out);
/* MESSAGE_MALFORMED: nothing that follows can be understood. */
CA_MUST_CHECK enum ca_err keys_frame_request_read(const uint8_t octets[KEYS_FRAME_REQUEST_LEN],
                                                  struct keys_frame_request *request_out);
/* Tickets and messages, which stay in the body. MESSAGE_MALFORMED. */
CA_MUST_CHECK enum ca_err keys_frame_body_read(struct ca_bytes body,
                                               struct keys_frame_request *request);

void keys_frame_answer_write(const struct keys_frame_answer *answer,
                             uint8_t octets[KEYS_FRAME_ANSWER_LEN]);
CA_MUST_CHECK enum ca_err keys_frame_answer_read(const uint8_t octets[KEYS_FRAME_ANSWER_LEN],
                                                 struct keys_frame_answer *answer_out);
enum { KEYS_FRAME_SIGNATURES_MAX = KEYS_FRAME_ITEMS_MAX * (2 + CA_SIGNATURE_LEN_MAX) };
/* How many octets it wrote. */
size_t keys_frame_signatures_write(const struct crypto_signature *signatures, size_t count,
                                   uint8_t octets[KEYS_FRAME_SIGNATURES_MAX]);
/* MESSAGE_MALFORMED unless there are exactly count. */
CA_MUST_CHECK enum ca_err keys_frame_signatures_read(struct ca_bytes octets, size_t count,
                                                     struct crypto_signature *signatures);

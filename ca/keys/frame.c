/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/frame.h"

#include <assert.h>

/* ---- requests */

static void ticket_write(const struct keys_ticket *ticket, size_t message_len, uint8_t *at)
{
    at[0] = ticket->kind;
    at[1] = ticket->number_len;
    memcpy(at + 2, ticket->number, KEYS_TICKET_NUMBER_MAX);
    memcpy(at + 2 + KEYS_TICKET_NUMBER_MAX, ticket->mac, KEYS_TICKET_MAC_LEN);
    ca_bytes_put_number(at + KEYS_FRAME_TICKET_LEN - 4, message_len, 4);
}

enum ca_err keys_frame_request_write(const struct keys_frame_request *request,
                                     uint8_t head[KEYS_FRAME_HEAD_MAX], size_t *len_out)
{
    size_t len = (size_t)request->count * KEYS_FRAME_TICKET_LEN;
    uint8_t *at = head + KEYS_FRAME_REQUEST_LEN;

    *len_out = 0;
    if (request->count > KEYS_FRAME_ITEMS_MAX)
        return CA_ERR_TOO_MANY_ITEMS;
    *len_out = KEYS_FRAME_REQUEST_LEN + len;
    for (size_t i = 0; i < request->count; i++) {
        if (request->messages[i].len > KEYS_FRAME_LEN_MAX - len)
            return CA_ERR_FIELD_LENGTH;
        len += request->messages[i].len;
        ticket_write(&request->tickets[i], request->messages[i].len, at);
        at += KEYS_FRAME_TICKET_LEN;
    }
    ca_bytes_put_number(head, len, 4);
    head[4] = KEYS_FRAME_VERSION;
    head[5] = (uint8_t)request->form;
    head[6] = (uint8_t)request->sig;
    head[7] = request->is_shared;
    ca_bytes_put_number(head + 8, request->key, 2);
    ca_bytes_put_number(head + 10, request->count, 2);
    return CA_OK;
}

enum ca_err keys_frame_request_read(const uint8_t octets[KEYS_FRAME_REQUEST_LEN],
                                    struct keys_frame_request *request_out)
{
    uint64_t len = ca_bytes_get_number(octets, 4), count = ca_bytes_get_number(octets + 10, 2);
    uint8_t form = octets[5], sig = octets[6];

    if (len > KEYS_FRAME_LEN_MAX || octets[4] != KEYS_FRAME_VERSION || octets[7] > 1 ||
        (form != KEYS_FRAME_MESSAGES && form != KEYS_FRAME_DIGEST) || sig == CRYPTO_SIG_NONE ||
        sig > CRYPTO_SIG_SM2_SM3 || (octets[7] == 1 && len > KEYS_FRAME_AREA_SIZE) || count == 0 ||
        count > KEYS_FRAME_ITEMS_MAX || (form == KEYS_FRAME_DIGEST && count != 1) ||
        len < count * KEYS_FRAME_TICKET_LEN)
        return CA_ERR_MESSAGE_MALFORMED;
    request_out->len = (uint32_t)len;
    request_out->form = (enum keys_frame_form)form;
    request_out->sig = (enum crypto_sig)sig;
    request_out->is_shared = octets[7] == 1;
    request_out->key = (uint16_t)ca_bytes_get_number(octets + 8, 2);
    request_out->count = (uint16_t)count;
    return CA_OK;
}

enum ca_err keys_frame_body_read(struct ca_bytes body, struct keys_frame_request *request)
{
    size_t tickets_len = (size_t)request->count * KEYS_FRAME_TICKET_LEN;
    const uint8_t *at = body.data, *message = body.data + tickets_len;
    size_t left = body.len - tickets_len;

    assert(body.len == request->len && body.len >= tickets_len);
    for (size_t i = 0; i < request->count; i++, at += KEYS_FRAME_TICKET_LEN) {
        struct keys_ticket *ticket = &request->tickets[i];
        uint64_t len = ca_bytes_get_number(at + KEYS_FRAME_TICKET_LEN - 4, 4);
        if (len > left || at[1] > KEYS_TICKET_NUMBER_MAX)
            return CA_ERR_MESSAGE_MALFORMED;
        ticket->kind = at[0];
        ticket->number_len = at[1];
        memcpy(ticket->number, at + 2, KEYS_TICKET_NUMBER_MAX);
        memcpy(ticket->mac, at + 2 + KEYS_TICKET_NUMBER_MAX, KEYS_TICKET_MAC_LEN);
        request->messages[i] = ca_bytes_of(message, (size_t)len);
        message += len;
        left -= (size_t)len;
    }
    if (left != 0 ||
        (request->form == KEYS_FRAME_DIGEST &&
         (request->messages[0].len == 0 || request->messages[0].len > CRYPTO_DIGEST_LEN_MAX)))
        return CA_ERR_MESSAGE_MALFORMED;
    return CA_OK;
}

/* ---- answers */

void keys_frame_answer_write(const struct keys_frame_answer *answer,
                             uint8_t octets[KEYS_FRAME_ANSWER_LEN])
{
    ca_bytes_put_number(octets, answer->len, 4);
    ca_bytes_put_number(octets + 4, answer->err, 2);
    ca_bytes_put_number(octets + 6, answer->count, 2);
    ca_bytes_put_number(octets + 8, answer->signatures, 8);
    ca_bytes_put_number(octets + 16, answer->refused, 8);
    ca_bytes_put_number(octets + 24, answer->repeated, 8);
}

enum ca_err keys_frame_answer_read(const uint8_t octets[KEYS_FRAME_ANSWER_LEN],
                                   struct keys_frame_answer *answer_out)
{
    uint64_t len = ca_bytes_get_number(octets, 4), err = ca_bytes_get_number(octets + 4, 2),
             count = ca_bytes_get_number(octets + 6, 2);

    *answer_out = (struct keys_frame_answer){ 0 };
    if (len > KEYS_FRAME_SIGNATURES_MAX || err >= CA_ERR_COUNT || count > KEYS_FRAME_ITEMS_MAX)
        return CA_ERR_MESSAGE_MALFORMED;
    *answer_out = (struct keys_frame_answer){
        .len = (uint32_t)len,
        .err = (enum ca_err)err,
        .count = (uint16_t)count,
        .signatures = ca_bytes_get_number(octets + 8, 8),
        .refused = ca_bytes_get_number(octets + 16, 8),
        .repeated = ca_bytes_get_number(octets + 24, 8),
    };
    return CA_OK;
}

size_t keys_frame_signatures_write(const struct crypto_signature *signatures, size_t count,
                                   uint8_t octets[KEYS_FRAME_SIGNATURES_MAX])
{
    uint8_t *at = octets;

    for (size_t i = 0; i < count; i++) {
        ca_bytes_put_number(at, signatures[i].len, 2);
        memcpy(at + 2, signatures[i].bytes, signatures[i].len);
        at += 2 + signatures[i].len;
    }
    return (size_t)(at - octets);
}

enum ca_err keys_frame_signatures_read(struct ca_bytes octets, size_t count,
                                       struct crypto_signature *signatures)
{
    const uint8_t *at = octets.data;
    size_t left = octets.len;

    for (size_t i = 0; i < count; i++) {
        uint64_t len = left < 2 ? 0 : ca_bytes_get_number(at, 2);
        if (len == 0 || len > CA_SIGNATURE_LEN_MAX || len > left - 2)
            return CA_ERR_MESSAGE_MALFORMED;
        signatures[i].len = (size_t)len;
        memcpy(signatures[i].bytes, at + 2, (size_t)len);
        at += 2 + len;
        left -= 2 + (size_t)len;
    }
    return left == 0 ? CA_OK : CA_ERR_MESSAGE_MALFORMED;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_signer: what arrives at the signer process, and what arrives from it.
 *
 * The first octet chooses: a request (fixed part, tickets, messages), or an answer with its
 * signatures. A request that can be read is written again, to the same octets. Nobody who does not
 * know the tickets' secret gets one that fits.
 */
#include <assert.h>
#include <stdlib.h>

#include "ca/keys/frame.h"

static void check_request(struct ca_bytes bytes)
{
    static const uint8_t secret[KEYS_TICKET_KEY_LEN] = "not to be known";
    static struct keys_frame_request request;
    static uint8_t head[KEYS_FRAME_HEAD_MAX];
    uint8_t digest[CA_DIGEST_LEN] = { 0 };
    size_t len;

    if (bytes.len < KEYS_FRAME_REQUEST_LEN ||
        keys_frame_request_read(bytes.data, &request) != CA_OK)
        return;
    struct ca_bytes body =
        ca_bytes_of(bytes.data + KEYS_FRAME_REQUEST_LEN, bytes.len - KEYS_FRAME_REQUEST_LEN);
    if (body.len < request.len)
        return;
    body.len = request.len;
    if (keys_frame_body_read(body, &request) != CA_OK)
        return;
    for (size_t i = 0; i < request.count; i++) {
        assert(request.messages[i].len <= body.len);
        assert(!keys_ticket_fits(secret, request.key, &request.tickets[i],
                                 ca_bytes_of(digest, sizeof(digest))));
    }
    if (keys_frame_request_write(&request, head, &len) != CA_OK ||
        !ca_bytes_equal(ca_bytes_of(head, len), ca_bytes_of(bytes.data, len)))
        abort();
}

static void check_answer(struct ca_bytes bytes)
{
    static struct crypto_signature signatures[KEYS_FRAME_ITEMS_MAX];
    static uint8_t octets[KEYS_FRAME_SIGNATURES_MAX];
    struct keys_frame_answer answer;
    uint8_t fixed[KEYS_FRAME_ANSWER_LEN];

    if (bytes.len < KEYS_FRAME_ANSWER_LEN || keys_frame_answer_read(bytes.data, &answer) != CA_OK)
        return;
    keys_frame_answer_write(&answer, fixed);
    assert(
        ca_bytes_equal(ca_bytes_of(fixed, sizeof(fixed)), ca_bytes_of(bytes.data, sizeof(fixed))));
    struct ca_bytes rest =
        ca_bytes_of(bytes.data + KEYS_FRAME_ANSWER_LEN, bytes.len - KEYS_FRAME_ANSWER_LEN);
    if (rest.len < answer.len)
        return;
    rest.len = answer.len;
    if (keys_frame_signatures_read(rest, answer.count, signatures) != CA_OK)
        return;
    size_t len = keys_frame_signatures_write(signatures, answer.count, octets);
    if (!ca_bytes_equal(ca_bytes_of(octets, len), rest))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'q')
        check_request(ca_bytes_of(data + 1, size - 1));
    else
        check_answer(ca_bytes_of(data + 1, size - 1));
    return 0;
}

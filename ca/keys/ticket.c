/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/ticket.h"

#include <assert.h>
#include <sodium.h>

/* Everything has its own place, padded with zeros: no two intents have the same octets. */
enum {
    AT_KIND = 0,
    AT_NUMBER_LEN = 1,
    AT_DIGEST_LEN = 2,
    AT_KEY = 3,
    AT_NUMBER = 7,
    AT_DIGEST = AT_NUMBER + KEYS_TICKET_NUMBER_MAX,
    OCTETS = AT_DIGEST + KEYS_TICKET_DIGEST_MAX,
};

_Static_assert(KEYS_TICKET_MAC_LEN == crypto_shorthash_siphashx24_BYTES, "SipHash of 128 bits");
_Static_assert(KEYS_TICKET_KEY_LEN == crypto_shorthash_siphashx24_KEYBYTES, "its key");

static void mac(const uint8_t *secret, uint32_t key, const struct keys_ticket *ticket,
                struct ca_bytes digest, uint8_t mac_out[KEYS_TICKET_MAC_LEN])
{
    uint8_t octets[OCTETS] = { 0 };

    octets[AT_KIND] = ticket->kind;
    octets[AT_NUMBER_LEN] = ticket->number_len;
    octets[AT_DIGEST_LEN] = (uint8_t)digest.len;
    ca_bytes_put_number(octets + AT_KEY, key, 4);
    memcpy(octets + AT_NUMBER, ticket->number, ticket->number_len);
    memcpy(octets + AT_DIGEST, digest.data, digest.len);
    crypto_shorthash_siphashx24(mac_out, octets, sizeof(octets), secret);
}

void keys_ticket_stamp(const uint8_t *secret, uint32_t key, const struct keys_intent *intent,
                       struct keys_ticket *ticket_out)
{
    assert(intent->number.len > 0 && intent->number.len <= KEYS_TICKET_NUMBER_MAX);
    assert(intent->digest.len > 0 && intent->digest.len <= KEYS_TICKET_DIGEST_MAX);
    *ticket_out = (struct keys_ticket){ .kind = (uint8_t)intent->kind,
                                        .number_len = (uint8_t)intent->number.len };
    memcpy(ticket_out->number, intent->number.data, intent->number.len);
    mac(secret, key, ticket_out, intent->digest, ticket_out->mac);
}

bool keys_ticket_fits(const uint8_t *secret, uint32_t key, const struct keys_ticket *ticket,
                      struct ca_bytes digest)
{
    uint8_t want[KEYS_TICKET_MAC_LEN];

    if (ticket->kind == KEYS_TICKET_NONE || ticket->kind > KEYS_TICKET_HEAD ||
        ticket->number_len == 0 || ticket->number_len > KEYS_TICKET_NUMBER_MAX || digest.len == 0 ||
        digest.len > KEYS_TICKET_DIGEST_MAX)
        return false;
    mac(secret, key, ticket, digest, want);
    return sodium_memcmp(want, ticket->mac, sizeof(want)) == 0;
}

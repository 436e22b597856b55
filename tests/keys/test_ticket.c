/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/ticket.h"

#include "tests/support/check.h"

enum { KEY = 0x01020304 };

static const uint8_t secret[KEYS_TICKET_KEY_LEN] = { 7, 5, 3 };
static const uint8_t number[KEYS_TICKET_NUMBER_MAX] = { 0x11, 0x22, 0x33 };
static const uint8_t digest[KEYS_TICKET_DIGEST_MAX] = { 0xaa, 0xbb, 0xcc };

static struct keys_ticket stamped(enum keys_ticket_kind kind, size_t number_len, size_t digest_len)
{
    const struct keys_intent intent = {
        .kind = kind,
        .number = ca_bytes_of(number, number_len),
        .digest = ca_bytes_of(digest, digest_len),
    };
    struct keys_ticket ticket;

    keys_ticket_stamp(secret, KEY, &intent, &ticket);
    return ticket;
}

static bool fits(const struct keys_ticket *ticket, size_t digest_len)
{
    return keys_ticket_fits(secret, KEY, ticket, ca_bytes_of(digest, digest_len));
}

TestSuite(ticket, .timeout = 10);

Test(ticket, a_ticket_fits_its_intent_at_every_length)
{
    for (size_t number_len = 1; number_len <= KEYS_TICKET_NUMBER_MAX; number_len++) {
        for (size_t digest_len = 1; digest_len <= KEYS_TICKET_DIGEST_MAX; digest_len++) {
            struct keys_ticket ticket = stamped(KEYS_TICKET_CRL, number_len, digest_len);
            cr_assert(fits(&ticket, digest_len));
        }
    }
}

Test(ticket, every_bit_of_a_ticket_counts)
{
    struct keys_ticket ticket = stamped(KEYS_TICKET_CERTIFICATE, KEYS_TICKET_NUMBER_MAX, 32);
    uint8_t *octets = (uint8_t *)&ticket;

    for (size_t bit = 0; bit < 8 * sizeof(ticket); bit++) {
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(fits(&ticket, 32), "bit %zu", bit);
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert(fits(&ticket, 32));
    ticket.kind = KEYS_TICKET_CRL; /* two bits away, and possible */
    cr_assert_not(fits(&ticket, 32));
}

Test(ticket, every_bit_of_secret_key_and_digest_counts)
{
    struct keys_ticket ticket = stamped(KEYS_TICKET_CERTIFICATE, 20, 32);
    uint8_t other[KEYS_TICKET_DIGEST_MAX];

    for (size_t bit = 0; bit < 8 * sizeof(secret); bit++) {
        memcpy(other, secret, sizeof(secret));
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(keys_ticket_fits(other, KEY, &ticket, ca_bytes_of(digest, 32)));
    }
    for (unsigned bit = 0; bit < 32; bit++)
        cr_assert_not(keys_ticket_fits(secret, KEY ^ 1U << bit, &ticket, ca_bytes_of(digest, 32)));
    for (size_t bit = 0; bit < 8 * 32; bit++) {
        memcpy(other, digest, sizeof(digest));
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(keys_ticket_fits(secret, KEY, &ticket, ca_bytes_of(other, 32)));
    }
}

/* Zeros behind number and digest are padding, too. */
Test(ticket, a_number_or_digest_of_another_length_is_another_one)
{
    struct keys_ticket ticket = stamped(KEYS_TICKET_CERTIFICATE, 4, 32);

    cr_assert(fits(&ticket, 32));
    cr_assert_not(fits(&ticket, 31));
    cr_assert_not(fits(&ticket, 33));
    ticket.number_len = 5;
    cr_assert_not(fits(&ticket, 32));
    ticket.number_len = 3;
    cr_assert_not(fits(&ticket, 32));
}

/* Whatever the code over it: made here as who knows the secret could. */
Test(ticket, what_no_intent_can_be_fits_nothing)
{
    struct keys_ticket ticket = stamped(KEYS_TICKET_NONE, 20, 32);

    cr_assert_not(fits(&ticket, 32));
    ticket = stamped((enum keys_ticket_kind)(KEYS_TICKET_HEAD + 1), 20, 32);
    cr_assert_not(fits(&ticket, 32));
    ticket = stamped(KEYS_TICKET_CRL, 20, 32);
    ticket.number_len = KEYS_TICKET_NUMBER_MAX + 1;
    cr_assert_not(fits(&ticket, 32));
    ticket.number_len = UINT8_MAX;
    cr_assert_not(fits(&ticket, 32));
    ticket.number_len = 0;
    cr_assert_not(fits(&ticket, 32));
    ticket.number_len = 20;
    cr_assert_not(keys_ticket_fits(secret, KEY, &ticket, (struct ca_bytes){ 0 }));
    cr_assert(fits(&ticket, 32));
}

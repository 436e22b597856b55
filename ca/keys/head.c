/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/head.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "ca/base/text.h"
#include "ca/crypto/digest.h"

#define ORIGIN     "certmill-audit-1/"
#define NOTE_START "\xe2\x80\x94 " /* an em dash: C2SP signed-note, signature lines */

enum {
    ORIGIN_LEN = sizeof(ORIGIN) - 1,
    NAME_LEN = ORIGIN_LEN + 2 * KEYS_HEAD_LOG_LEN,
    NOTE_ED25519 = 1,
    PROOF_LEN = KEYS_HEAD_KEY_ID_LEN + KEYS_HEAD_SIGNATURE_LEN,
    LINE_MAX_LEN = 160,
    BASE64 = sodium_base64_VARIANT_ORIGINAL,
};
_Static_assert(sodium_base64_ENCODED_LEN(CA_DIGEST_LEN, BASE64) == 44 + 1, "a line of the text");
_Static_assert(sodium_base64_ENCODED_LEN(PROOF_LEN, BASE64) == 92 + 1, "the end of a note");
_Static_assert(ORIGIN_LEN == 17, "lengths of text and note count it");

/* ---- the text */

static void name_write(const uint8_t log[KEYS_HEAD_LOG_LEN], char name[NAME_LEN + 1])
{
    memcpy(name, ORIGIN, ORIGIN_LEN);
    ca_text_hex(ca_bytes_of(log, KEYS_HEAD_LOG_LEN), name + ORIGIN_LEN);
}

size_t keys_head_text(const struct keys_head *head, char text[KEYS_HEAD_TEXT_MAX + 1])
{
    char name[NAME_LEN + 1], chain[44 + 1];

    name_write(head->log, name);
    sodium_bin2base64(chain, sizeof(chain), head->chain, CA_DIGEST_LEN, BASE64);
    int len = snprintf(text, KEYS_HEAD_TEXT_MAX + 1, "%s\n%" PRIu64 "\n%s\n%" PRIu64 "\n", name,
                       head->sequence, chain, head->time_us);
    assert(len > 0 && len <= KEYS_HEAD_TEXT_MAX);
    return (size_t)len;
}

/* Takes a line off text, without its newline. False: there is none, or it is too long. */
static bool take_line(struct ca_bytes *text, char line[LINE_MAX_LEN + 1])
{
    const uint8_t *end = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    size_t len = end == NULL ? 0 : (size_t)(end - text->data);

    if (end == NULL || len > LINE_MAX_LEN)
        return false;
    memcpy(line, text->data, len);
    line[len] = '\0';
    *text = ca_bytes_of(end + 1, text->len - len - 1);
    return true;
}

static bool read_base64(const char *line, uint8_t *octets, size_t size)
{
    size_t len;

    return sodium_base642bin(octets, size, line, strlen(line), NULL, &len, NULL, BASE64) == 0 &&
           len == size;
}

/* Takes the four lines off text. What they say need not be said in the one way there is. */
static bool take_head(struct ca_bytes *text, struct keys_head *head)
{
    char line[LINE_MAX_LEN + 1];
    size_t len;

    return take_line(text, line) && strncmp(line, ORIGIN, ORIGIN_LEN) == 0 &&
           ca_text_unhex(line + ORIGIN_LEN, head->log, sizeof(head->log), &len) &&
           len == sizeof(head->log) && take_line(text, line) &&
           ca_text_to_number(line, 1, INT64_MAX, &head->sequence) && take_line(text, line) &&
           read_base64(line, head->chain, sizeof(head->chain)) && take_line(text, line) &&
           ca_text_to_number(line, 0, INT64_MAX, &head->time_us);
}

enum ca_err keys_head_parse(struct ca_bytes text, struct keys_head *head_out)
{
    struct ca_bytes rest = text;
    char again[KEYS_HEAD_TEXT_MAX + 1];

    if (text.len <= KEYS_HEAD_TEXT_MAX && take_head(&rest, head_out) &&
        ca_bytes_equal(ca_bytes_of(again, keys_head_text(head_out, again)), text))
        return CA_OK;
    *head_out = (struct keys_head){ 0 };
    return CA_ERR_FIELD_FORMAT;
}

/* ---- the signature */

void keys_head_key_id(const uint8_t log[KEYS_HEAD_LOG_LEN], const struct crypto_public_key *key,
                      uint8_t id_out[KEYS_HEAD_KEY_ID_LEN])
{
    static const uint8_t kind[] = { '\n', NOTE_ED25519 };
    uint8_t digest[CA_DIGEST_LEN];
    char name[NAME_LEN + 1];

    name_write(log, name);
    const struct ca_bytes parts[] = { ca_bytes_of(name, NAME_LEN), ca_bytes_of(kind, sizeof(kind)),
                                      key->point };
    crypto_sha256(parts, 3, digest);
    memcpy(id_out, digest, KEYS_HEAD_KEY_ID_LEN);
}

enum ca_err keys_head_sign(struct keys_signer *signer, struct crypto *crypto,
                           const struct keys_head *head, struct keys_signed_head *signed_out)
{
    char text[KEYS_HEAD_TEXT_MAX + 1];
    struct ca_bytes message = ca_bytes_of(text, keys_head_text(head, text));
    uint8_t digest[CA_DIGEST_LEN], number[8];
    struct crypto_signature signature;
    struct keys_ticket ticket;

    memset(signed_out, 0, sizeof(*signed_out));
    crypto_sha256(&message, 1, digest);
    ca_bytes_put_number(number, head->sequence, sizeof(number));
    const struct keys_intent intent = { KEYS_TICKET_HEAD, ca_bytes_of(number, sizeof(number)),
                                        ca_bytes_of(digest, sizeof(digest)) };
    keys_ticket_make(signer, &intent, &ticket);
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ED25519, .messages = &message, .count = 1, .tickets = &ticket
    };
    enum ca_err err = keys_sign(signer, crypto, &order, &signature);
    if (err != CA_OK)
        return err;
    assert(signature.len == KEYS_HEAD_SIGNATURE_LEN);
    signed_out->head = *head;
    keys_head_key_id(head->log, keys_signer_public(signer), signed_out->key_id);
    memcpy(signed_out->signature, signature.bytes, KEYS_HEAD_SIGNATURE_LEN);
    return CA_OK;
}

enum ca_err keys_head_verify(struct crypto *crypto, const struct crypto_public_key *key,
                             const struct keys_signed_head *head)
{
    char text[KEYS_HEAD_TEXT_MAX + 1];
    struct crypto_verification job = {
        .sig = CRYPTO_SIG_ED25519,
        .key = key,
        .message = ca_bytes_of(text, keys_head_text(&head->head, text)),
        .signature = ca_bytes_of(head->signature, KEYS_HEAD_SIGNATURE_LEN),
    };

    if (key->type != CRYPTO_KEY_ED25519)
        return CA_ERR_KEY_TYPE;
    crypto_verify_many(crypto, &job, 1);
    return job.result == CA_OK || job.result == CA_ERR_NOMEM ? job.result : CA_ERR_SIGNATURE_WRONG;
}

/* ---- notes */

size_t keys_note_write(const struct keys_signed_head *head, char note[KEYS_NOTE_MAX + 1])
{
    size_t len = keys_head_text(&head->head, note);
    char name[NAME_LEN + 1], proof[92 + 1];
    uint8_t octets[PROOF_LEN];

    name_write(head->head.log, name);
    memcpy(octets, head->key_id, KEYS_HEAD_KEY_ID_LEN);
    memcpy(octets + KEYS_HEAD_KEY_ID_LEN, head->signature, KEYS_HEAD_SIGNATURE_LEN);
    sodium_bin2base64(proof, sizeof(proof), octets, sizeof(octets), BASE64);
    int rest =
        snprintf(note + len, KEYS_NOTE_MAX + 1 - len, "\n" NOTE_START "%s %s\n", name, proof);
    assert(rest > 0 && len + (size_t)rest <= KEYS_NOTE_MAX);
    return len + (size_t)rest;
}

static bool take_note(struct ca_bytes *text, struct keys_signed_head *head)
{
    enum { AT_PROOF = sizeof(NOTE_START) - 1 + NAME_LEN + 1 };
    char line[LINE_MAX_LEN + 1];
    uint8_t octets[PROOF_LEN];

    if (!take_head(text, &head->head) || !take_line(text, line) || line[0] != '\0' ||
        !take_line(text, line) || strlen(line) <= AT_PROOF ||
        !read_base64(line + AT_PROOF, octets, sizeof(octets)))
        return false;
    memcpy(head->key_id, octets, KEYS_HEAD_KEY_ID_LEN);
    memcpy(head->signature, octets + KEYS_HEAD_KEY_ID_LEN, KEYS_HEAD_SIGNATURE_LEN);
    return true;
}

enum ca_err keys_note_next(struct ca_bytes *text, struct keys_signed_head *head_out)
{
    char again[KEYS_NOTE_MAX + 1];

    memset(head_out, 0, sizeof(*head_out));
    while (text->len > 0 && text->data[0] == '\n')
        *text = ca_bytes_of(text->data + 1, text->len - 1);
    if (text->len == 0)
        return CA_ERR_NOT_FOUND;
    struct ca_bytes rest = *text;
    if (take_note(&rest, head_out) &&
        ca_bytes_equal(ca_bytes_of(again, keys_note_write(head_out, again)),
                       ca_bytes_of(text->data, text->len - rest.len))) {
        *text = rest;
        return CA_OK;
    }
    memset(head_out, 0, sizeof(*head_out));
    return CA_ERR_FIELD_FORMAT;
}

/* ---- the guard */

void keys_head_guard_init(struct keys_head_guard *guard)
{
    *guard = (struct keys_head_guard){ .has_last = false };
    pthread_mutex_init(&guard->lock, NULL);
}

void keys_head_guard_wipe(struct keys_head_guard *guard)
{
    pthread_mutex_destroy(&guard->lock);
}

static bool goes_with(const struct keys_head *last, const struct keys_head *next)
{
    if (!ca_bytes_equal(ca_bytes_of(last->log, sizeof(last->log)),
                        ca_bytes_of(next->log, sizeof(next->log))))
        return false;
    if (next->sequence != last->sequence)
        return next->sequence > last->sequence;
    return ca_bytes_equal(ca_bytes_of(last->chain, sizeof(last->chain)),
                          ca_bytes_of(next->chain, sizeof(next->chain)));
}

enum ca_err keys_head_guard_admit(struct keys_head_guard *guard, struct ca_bytes message)
{
    struct keys_head head;
    enum ca_err err = CA_ERR_DENIED;

    if (keys_head_parse(message, &head) != CA_OK)
        return err;
    pthread_mutex_lock(&guard->lock);
    if (!guard->has_last || goes_with(&guard->last, &head)) {
        guard->last = head;
        guard->has_last = true;
        err = CA_OK;
    }
    pthread_mutex_unlock(&guard->lock);
    return err;
}

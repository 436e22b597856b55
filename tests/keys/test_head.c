/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of the audit log: their octets, their notes, and a key that signs nothing else. */
#include "ca/keys/head.h"

#include <stdio.h>

#include "tests/support/check.h"

/* Made by Python's cryptography: the key 00 01 ... 1f, the digest SHA-256 of "chain". */
#define NAME "certmill-audit-1/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define TEXT NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n"
#define PROOF                                        \
    "aL9CB4Q1w4nxHb5Wn9plNKcWJwW+8NmzNy267MJbowqL/i" \
    "GxcUIZx7VzW8rPCEm71uVqt1W7lOUVyAKdETd6sl0BfAo="
#define NOTE TEXT "\n\xe2\x80\x94 " NAME " " PROOF "\n"

static const struct keys_head HEAD = {
    .log = { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad,
             0xae, 0xaf },
    .sequence = 1234,
    .chain = { 0x94, 0x14, 0x88, 0x6b, 0x1e, 0xbf, 0x02, 0x5d, 0xb0, 0x67, 0xa4,
               0xcb, 0xd1, 0x3a, 0x09, 0x03, 0xfb, 0xd9, 0x73, 0x3a, 0x53, 0x72,
               0xbb, 0xa1, 0xb5, 0x8b, 0xd7, 0x2c, 0x16, 0x99, 0xb7, 0x98 },
    .time_us = 1795400000123456,
};

static struct crypto *crypto;
static struct keys_signer *signer;

static struct crypto_private_key *known_key(void)
{
    uint8_t der[48] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                        0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
    struct crypto_private_key *key;

    for (uint8_t i = 0; i < 32; i++)
        der[16 + i] = i;
    check_ok(crypto_private_key_parse(ca_bytes_of(der, sizeof(der)), &key));
    return key;
}

static void start(void)
{
    const struct keys_signer_options options = { .signs_heads = true };

    check_ok(keys_harden_process());
    check_ok(crypto_open(&crypto));
    check_ok(keys_signer_open_soft(known_key(), &options, &signer));
}

static void stop(void)
{
    keys_signer_close(signer);
    crypto_close(crypto);
}

TestSuite(head, .init = start, .fini = stop, .timeout = 60);

static enum ca_err sign(const struct keys_head *head, struct keys_signed_head *signed_out)
{
    return keys_head_sign(signer, crypto, head, signed_out);
}

static bool key_id_equal(const struct keys_signed_head *head, const uint8_t *id)
{
    return ca_bytes_equal(ca_bytes_of(head->key_id, KEYS_HEAD_KEY_ID_LEN),
                          ca_bytes_of(id, KEYS_HEAD_KEY_ID_LEN));
}

/* ---- octets */

Test(head, text_signature_and_note_are_those_that_others_make)
{
    struct keys_signed_head made;
    char note[KEYS_NOTE_MAX + 1];

    check_ok(sign(&HEAD, &made));
    size_t len = keys_note_write(&made, note);
    check_bytes(ca_bytes_of(note, len), CA_BYTES(NOTE));
    len = keys_head_text(&HEAD, note);
    check_bytes(ca_bytes_of(note, len), CA_BYTES(TEXT));
}

Test(head, what_was_written_is_read_to_the_same)
{
    static const struct keys_head longest = { .sequence = INT64_MAX, .time_us = INT64_MAX };
    static const struct keys_head shortest = { .sequence = 1 };
    const struct keys_head *heads[] = { &HEAD, &longest, &shortest };
    char text[KEYS_HEAD_TEXT_MAX + 1];
    struct keys_head again;

    for (size_t i = 0; i < 3; i++) {
        size_t len = keys_head_text(heads[i], text);
        check_ok(keys_head_parse(ca_bytes_of(text, len), &again));
        check_bytes(ca_bytes_of(&again, sizeof(again)), ca_bytes_of(heads[i], sizeof(again)));
    }
}

Test(head, what_is_not_written_so_is_no_head)
{
    static const char *const texts[] = {
        "",
        "\n",
        NAME,
        NAME "\n1234\n",
        TEXT "\n",
        TEXT TEXT,
        "x" TEXT,
        NAME "\n01234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
        NAME "\n0\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
        NAME "\n-1\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
        NAME "\n9223372036854775808\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1\n",
        NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g\n1795400000123456\n",
        NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5h=\n1795400000123456\n",
        NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZ\n1795400000123456\n",
        NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456",
        NAME "\n1234\nlBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\r\n",
        "certmill-audit-2/a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\n1234\n"
        "lBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
        "certmill-audit-1/A0A1a2a3a4a5a6a7a8a9aaabacadaeaf\n1234\n"
        "lBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
        "certmill-audit-1/a0a1a2a3a4a5a6a7a8a9aaabacadae\n1234\n"
        "lBSIax6/Al2wZ6TL0ToJA/vZczpTcruhtYvXLBaZt5g=\n1795400000123456\n",
    };
    struct keys_head head;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        enum ca_err err = keys_head_parse(ca_bytes_of_text(texts[i]), &head);
        cr_assert_eq(err, CA_ERR_FIELD_FORMAT, "%zu: %s", i, ca_err_name(err));
        cr_assert_eq(head.sequence, 0);
    }
    check_err(keys_head_parse(ca_bytes_of(TEXT, sizeof(TEXT)), &head), CA_ERR_FIELD_FORMAT);
}

Test(head, every_octet_of_a_text_and_its_signature_matters)
{
    const struct crypto_public_key *key = keys_signer_public(signer);
    struct keys_signed_head made, other;
    char note[] = NOTE;
    size_t wrong = 0;

    check_ok(sign(&HEAD, &made));
    check_ok(keys_head_verify(crypto, key, &made));
    for (size_t i = 0; i < sizeof(note) - 1; i++) {
        struct ca_bytes text = ca_bytes_of(note, sizeof(note) - 1);
        note[i] ^= 1;
        /* of the key's number a signature knows nothing */
        if (keys_note_next(&text, &other) == CA_OK && key_id_equal(&other, made.key_id)) {
            check_err(keys_head_verify(crypto, key, &other), CA_ERR_SIGNATURE_WRONG);
            wrong++;
        }
        note[i] ^= 1;
    }
    cr_assert_gt(wrong, 100, "only %zu could be read", wrong);
}

Test(head, another_key_does_not_verify_it)
{
    struct crypto_private_key *other;
    struct keys_signed_head made;
    uint8_t id[KEYS_HEAD_KEY_ID_LEN];

    check_ok(sign(&HEAD, &made));
    check_ok(crypto_private_key_generate(CRYPTO_KEY_ED25519, 0, &other));
    check_err(keys_head_verify(crypto, crypto_private_key_public(other), &made),
              CA_ERR_SIGNATURE_WRONG);
    keys_head_key_id(HEAD.log, crypto_private_key_public(other), id);
    cr_assert_not(key_id_equal(&made, id));
    crypto_private_key_free(other);
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &other));
    check_err(keys_head_verify(crypto, crypto_private_key_public(other), &made), CA_ERR_KEY_TYPE);
    crypto_private_key_free(other);
}

/* ---- notes */

Test(head, notes_are_read_one_after_the_other)
{
    struct ca_bytes text = CA_BYTES("\n" NOTE "\n\n" NOTE NOTE "\n");
    struct keys_signed_head head;

    for (int i = 0; i < 3; i++) {
        check_ok(keys_note_next(&text, &head));
        cr_assert_eq(head.head.sequence, 1234);
    }
    check_err(keys_note_next(&text, &head), CA_ERR_NOT_FOUND);
    cr_assert_eq(head.head.sequence, 0);
}

Test(head, what_is_no_note_is_left_where_it_is)
{
    static const char *const texts[] = {
        TEXT,
        TEXT "\n",
        TEXT "\n\xe2\x80\x94 " NAME " " PROOF,
        TEXT "\xe2\x80\x94 " NAME " " PROOF "\n",
        TEXT "\n- " NAME " " PROOF "\n",
        TEXT "\n\xe2\x80\x94 certmill-audit-1/00a1a2a3a4a5a6a7a8a9aaabacadaeaf " PROOF "\n",
        TEXT "\n\xe2\x80\x94 " NAME "  " PROOF "\n",
        TEXT "\n\xe2\x80\x94 " NAME " " PROOF "=\n",
        TEXT "\n\xe2\x80\x94 " NAME "\n",
        TEXT "\n\xe2\x80\x94 " NAME " \n",
        "# a remark\n" NOTE,
    };
    struct keys_signed_head head;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct ca_bytes text = ca_bytes_of_text(texts[i]);
        enum ca_err err = keys_note_next(&text, &head);
        cr_assert_eq(err, CA_ERR_FIELD_FORMAT, "%zu: %s", i, ca_err_name(err));
        cr_assert_eq(text.len, strlen(texts[i]));
        cr_assert_eq(head.head.sequence, 0);
    }
}

/* ---- what an audit key does not sign */

Test(head, an_audit_key_signs_nothing_but_heads)
{
    static const struct ca_bytes others[] = {
        { (const uint8_t *)"0\x03\x02\x01\x05", 5 }, /* as a certificate begins */
        { (const uint8_t *)"", 0 },
        { (const uint8_t *)TEXT "\n", sizeof(TEXT) },
        { (const uint8_t *)TEXT, sizeof(TEXT) - 2 },
    };
    const struct ca_bytes two[] = { CA_BYTES(TEXT), CA_BYTES(TEXT) };
    struct crypto_digest digest = { .len = 64 };
    struct crypto_signature signatures[2];

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        check_err(keys_sign_many(signer, crypto, CRYPTO_SIG_ED25519, &others[i], 1, signatures),
                  CA_ERR_DENIED);
    check_err(keys_sign_many(signer, crypto, CRYPTO_SIG_ED25519, two, 2, signatures),
              CA_ERR_DENIED);
    check_err(keys_sign_digest(signer, crypto, CRYPTO_SIG_ED25519, &digest, signatures),
              CA_ERR_DENIED);
    check_ok(keys_sign_many(signer, crypto, CRYPTO_SIG_ED25519, two, 1, signatures));
}

Test(head, an_audit_key_signs_no_head_that_contradicts_one_before)
{
    struct keys_head head = HEAD;
    struct keys_signed_head made;

    check_ok(sign(&head, &made));
    head.time_us++; /* the same once more */
    check_ok(sign(&head, &made));
    head.sequence--;
    check_err(sign(&head, &made), CA_ERR_DENIED);
    cr_assert_eq(made.head.sequence, 0);
    head = HEAD;
    head.chain[31] ^= 1;
    check_err(sign(&head, &made), CA_ERR_DENIED);
    head.sequence++;
    check_ok(sign(&head, &made));
    head.sequence++;
    head.log[0] ^= 1;
    check_err(sign(&head, &made), CA_ERR_DENIED);
    check_err(sign(&HEAD, &made), CA_ERR_DENIED);
}

Test(head, an_audit_key_is_ed25519)
{
    const struct keys_signer_options options = { .signs_heads = true };
    struct crypto_private_key *key;
    struct keys_signer *other;

    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &key));
    check_err(keys_signer_open_soft(key, &options, &other), CA_ERR_CONFIG);
    cr_assert_null(other);
}

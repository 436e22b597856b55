/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/crl_gate.h"

#include "ca/crypto/digest.h"
#include "tests/support/check.h"
#include "tests/support/issuer.h"

enum { LIST_LEN_MAX = 1 << 16 };

/* A list made as wanted, wrong ones included, and signed. */
struct made {
    uint8_t memory[LIST_LEN_MAX];
    struct x509_crl crl;
};

static struct issuer issuer, stranger;
static struct entries entries;
static struct made before, after;
static struct x509_crl_form form;
static struct rules_crl_gate gate;
static struct rules_crl_difference difference;
static struct ca_refusal refusal;
static const uint8_t numbers[] = { 1, 2, 3, 4, 5, 6 };
static int64_t expiry_s;

static void open_issuer(void)
{
    check_ok(keys_harden_process());
    issuer_open(&issuer, CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    issuer_open(&stranger, CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    form = issuer_form(&issuer, &numbers[1]);
    gate = (struct rules_crl_gate){
        .issuer = issuer.name,
        .key_id = form.key_id,
        .crypto = issuer.crypto,
        .key = issuer.own,
    };
}

static void close_issuer(void)
{
    entries_free(&entries);
    issuer_close(&stranger);
    issuer_close(&issuer);
}

TestSuite(crl_gate, .init = open_issuer, .fini = close_issuer, .timeout = 30);

static void add(uint8_t serial, enum x509_crl_reason reason, int64_t revoked_s)
{
    const struct x509_crl_entry entry = { .serial = ca_bytes_of(&serial, 1),
                                          .reason = reason,
                                          .revoked_s = revoked_s };
    entries_add(&entries, &entry);
}

static void build_by(struct made *made, struct issuer *signer)
{
    struct x509_crl_parts parts;
    struct crypto_signature signature;
    struct der_writer writer;
    struct ca_bytes tbs;

    form.entries_len = entries.len;
    check_ok(x509_crl_parts_build(&form, &parts, &refusal));
    der_writer_init(&writer, made->memory, LIST_LEN_MAX);
    der_write_raw(&writer, parts.tail);
    der_write_raw(&writer, ca_bytes_of(entries.memory, entries.len));
    der_write_raw(&writer, parts.head);
    tbs = der_writer_bytes(&writer);
    check_ok(keys_sign_many(signer->signer, signer->crypto, signer->sig, &tbs, 1, &signature));

    static uint8_t copy[LIST_LEN_MAX];
    memcpy(copy, tbs.data, tbs.len);
    der_writer_init(&writer, made->memory, LIST_LEN_MAX);
    x509_crl_signature_write(&writer, form.sig, ca_bytes_of(signature.bytes, signature.len));
    der_write_raw(&writer, ca_bytes_of(copy, tbs.len));
    uint8_t header[X509_CRL_HEADER_LEN_MAX];
    size_t len = x509_crl_header_write(parts.tbs_len, form.sig, signature.len, header);
    der_write_raw(&writer, ca_bytes_of(header, len));
    check_ok(x509_crl_parse(der_writer_bytes(&writer), &made->crl, &refusal));
    entries.len = 0;
}

static void build(struct made *made)
{
    build_by(made, &issuer);
}

/* The list before: numbers 1 (superseded), 3 (hold), 5 (keyCompromise), number 1. */
static void build_before(void)
{
    form.number = ca_bytes_of(&numbers[0], 1);
    add(1, X509_CRL_SUPERSEDED, ISSUER_TIME_S + 1);
    add(3, X509_CRL_CERTIFICATE_HOLD, ISSUER_TIME_S + 2);
    add(5, X509_CRL_KEY_COMPROMISE, ISSUER_TIME_S + 3);
    build(&before);
    gate.previous = &before.crl;
    form.number = ca_bytes_of(&numbers[1], 1);
    form.this_update_s += 3600;
}

static bool find_expiry(void *arg, struct ca_bytes serial, int64_t *not_after_s_out)
{
    (void)arg;
    *not_after_s_out = expiry_s;
    return serial.data[0] == 1;
}

static enum ca_err pass(void)
{
    return rules_crl_gate_check(&gate, &after.crl, &difference, &refusal);
}

static void check_refused(const char *field)
{
    check_err(pass(), CA_ERR_CRL_GATE);
    cr_assert(strcmp(refusal.field, field) == 0, "%s, not %s", refusal.field, field);
}

Test(crl_gate, a_first_list_passes_with_entries_and_without)
{
    build(&after);
    check_ok(pass());
    add(1, X509_CRL_UNSPECIFIED, ISSUER_TIME_S);
    build(&after);
    check_ok(pass());
    cr_assert(difference.added == 1 && difference.after == 1 && difference.before == 0);
}

Test(crl_gate, additions_releases_and_upgrades_pass_and_are_counted)
{
    build_before();
    add(1, X509_CRL_KEY_COMPROMISE, ISSUER_TIME_S + 1);
    add(2, X509_CRL_SUPERSEDED, ISSUER_TIME_S + 9);
    add(5, X509_CRL_KEY_COMPROMISE, ISSUER_TIME_S + 3);
    add(7, X509_CRL_UNSPECIFIED, ISSUER_TIME_S + 9);
    build(&after);
    check_ok(pass());
    cr_assert(difference.added == 2 && difference.removed == 1 && difference.changed == 1);
    cr_assert(difference.before == 3 && difference.after == 4);
}

Test(crl_gate, delta_lists_are_named_by_the_address_they_should_be_and_by_complete_lists)
{
    gate.freshest_url = CA_BYTES("http://crl.example/d.crl");
    build(&after);
    check_refused("crl.freshest_crl");
    form.freshest_url = CA_BYTES("http://crl.example/D.crl");
    build(&after);
    check_refused("crl.freshest_crl");
    form.freshest_url = gate.freshest_url;
    build(&after);
    check_ok(pass());
    after.crl.freshest.is_critical = true;
    check_refused("crl.freshest_crl");
    gate.freshest_url.len = 0;
    after.crl.freshest.is_critical = false;
    check_refused("crl.freshest_crl");
}

/* Four lists around a certificate's end: it leaves the one after that made beyond its end. */
Test(crl_gate, an_entry_leaves_only_after_a_list_made_beyond_its_certificates_end)
{
    build_before();
    add(3, X509_CRL_CERTIFICATE_HOLD, ISSUER_TIME_S + 2);
    add(5, X509_CRL_KEY_COMPROMISE, ISSUER_TIME_S + 3);
    build(&after);
    check_refused("crl.entries");
    gate.find_expiry = find_expiry;
    expiry_s = before.crl.this_update_s;
    check_refused("crl.entries");
    expiry_s = before.crl.this_update_s - 1;
    check_ok(pass());
    cr_assert(difference.removed == 1);
}

Test(crl_gate, a_number_that_does_not_grow_is_refused)
{
    build_before();
    form.number = ca_bytes_of(&numbers[0], 1);
    build(&after);
    check_refused("crl.number");
}

Test(crl_gate, a_time_that_goes_back_is_refused)
{
    build_before();
    form.this_update_s -= 3601;
    build(&after);
    check_refused("crl.this_update");
}

Test(crl_gate, entries_out_of_order_or_twice_are_refused)
{
    add(2, X509_CRL_UNSPECIFIED, ISSUER_TIME_S);
    add(1, X509_CRL_UNSPECIFIED, ISSUER_TIME_S);
    build(&after);
    check_refused("crl.entries");
    add(2, X509_CRL_UNSPECIFIED, ISSUER_TIME_S);
    add(2, X509_CRL_UNSPECIFIED, ISSUER_TIME_S);
    build(&after);
    check_refused("crl.entry.serial");
}

Test(crl_gate, a_changed_date_and_a_changed_reason_are_refused)
{
    build_before();
    add(1, X509_CRL_SUPERSEDED, ISSUER_TIME_S + 2);
    build(&after);
    check_refused("crl.entry.date");
    add(1, X509_CRL_AFFILIATION_CHANGED, ISSUER_TIME_S + 1);
    build(&after);
    check_refused("crl.entry.reason");
}

Test(crl_gate, remove_from_crl_passes_in_delta_lists_only)
{
    add(1, X509_CRL_REMOVE_FROM_CRL, ISSUER_TIME_S);
    build(&after);
    check_refused("crl.entry.reason");
    form.base_number = ca_bytes_of(&numbers[0], 1);
    add(1, X509_CRL_REMOVE_FROM_CRL, ISSUER_TIME_S);
    build(&after);
    check_refused("crl.base_number");
    gate.is_delta = true;
    check_ok(pass());
}

/* What this program does not write: as read from somewhere else. */
Test(crl_gate, a_base_is_critical_and_below_its_list)
{
    form.base_number = ca_bytes_of(&numbers[0], 1);
    gate.is_delta = true;
    build(&after);
    check_ok(pass());
    after.crl.base_number = after.crl.number;
    check_refused("crl.base_number");
    after.crl.base_number = CA_BYTES("\x01\x00");
    check_refused("crl.base_number");
    after.crl.base_number = ca_bytes_of(&numbers[0], 1);
    after.crl.is_base_critical = false;
    check_refused("crl.base_number");
}

Test(crl_gate, another_issuer_key_or_distribution_point_is_refused)
{
    build(&after);
    gate.issuer = CA_BYTES("\x30\x00");
    check_refused("crl.issuer");
    gate.issuer = issuer.name;
    gate.key_id = CA_BYTES("12345678901234567890");
    check_refused("crl.authority_key_id");
    gate.key_id = form.key_id;
    gate.url = CA_BYTES("http://crl.example/1");
    check_refused("crl.issuing_distribution_point");
    form.url = CA_BYTES("http://crl.example/2");
    build(&after);
    check_refused("crl.issuing_distribution_point");
    gate.url = form.url;
    check_ok(pass());
    gate.only_user_certs = true;
    check_refused("crl.issuing_distribution_point");
}

Test(crl_gate, a_signature_of_another_key_and_every_flipped_bit_are_refused)
{
    build_by(&after, &stranger);
    check_err(pass(), CA_ERR_SIGNATURE_WRONG);
    add(1, X509_CRL_SUPERSEDED, ISSUER_TIME_S);
    build(&after);
    check_ok(pass());

    struct ca_bytes good = after.crl.whole;
    static uint8_t bad[LIST_LEN_MAX];
    for (size_t bit = 0; bit < 8 * good.len; bit++) {
        memcpy(bad, good.data, good.len);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (x509_crl_parse(ca_bytes_of(bad, good.len), &after.crl, &refusal) == CA_OK)
            cr_assert(pass() != CA_OK, "bit %zu", bit);
    }
}

/* Digests taken on the way stand for the bytes: then the bytes must be the ones hashed. */
Test(crl_gate, bytes_other_than_those_hashed_are_refused)
{
    struct crypto_message message;
    struct crypto_digest digest;

    build(&after);
    crypto_message_init_sha256(&message);
    crypto_message_update(&message, after.crl.tbs);
    crypto_message_final(&message, &digest);
    gate.signed_digest = gate.sha256 = &digest;
    check_ok(pass());
    digest.bytes[0] ^= 1;
    check_err(pass(), CA_ERR_SIGNATURE_WRONG);
}

static void hash_of_another(void *arg, uint8_t sha256[CA_DIGEST_LEN])
{
    memcpy(sha256, arg, CA_DIGEST_LEN);
    sha256[CA_DIGEST_LEN - 1] ^= 1;
}

static void hash_of_it(void *arg, uint8_t sha256[CA_DIGEST_LEN])
{
    memcpy(sha256, arg, CA_DIGEST_LEN);
}

/* Or somebody else hashes the bytes. */
Test(crl_gate, bytes_hashed_by_somebody_else_must_be_the_ones_signed)
{
    struct crypto_digest digest = { .len = CA_DIGEST_LEN };

    build(&after);
    crypto_sha256(&after.crl.tbs, 1, digest.bytes);
    gate.signed_digest = gate.sha256 = &digest;
    gate.hash_tbs_arg = digest.bytes;
    gate.hash_tbs = hash_of_it;
    check_ok(pass());
    gate.hash_tbs = hash_of_another;
    check_err(pass(), CA_ERR_SIGNATURE_WRONG);
}

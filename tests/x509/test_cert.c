/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "ca/keys/secret.h"
#include "ca/x509/ext.h"
#include "ca/x509/lint.h"
#include "tests/support/check.h"

enum { NOT_BEFORE_S = 1761955200, NOT_AFTER_S = 1793491199 };

static struct ca_arena *arena;
static struct ca_refusal refusal;
static struct x509_cert cert;

static void make_arena(void)
{
    check_ok(keys_harden_process()); /* memory for the keys */
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
}

static void free_arena(void)
{
    ca_arena_free(arena);
}

TestSuite(cert, .init = make_arena, .fini = free_arena, .timeout = 60);

static void open_writer(struct der_writer *writer)
{
    uint8_t *buffer = ca_arena_alloc_raw(arena, CA_CERTIFICATE_LEN_MAX);

    cr_assert(buffer != NULL);
    der_writer_init(writer, buffer, CA_CERTIFICATE_LEN_MAX);
}

static struct ca_bytes name_of(const char *cn)
{
    const struct x509_attribute attributes[] = {
        { x509_attribute_type_by_name("C")->oid, DER_PRINTABLE_STRING, CA_BYTES("CN") },
        { x509_attribute_type_by_name("O")->oid, DER_UTF8_STRING, CA_BYTES("Example Works") },
        { x509_attribute_type_by_name("CN")->oid, DER_UTF8_STRING, ca_bytes_of_text(cn) },
    };
    struct der_writer writer;

    open_writer(&writer);
    x509_name_write(&writer, attributes, sizeof(attributes) / sizeof(attributes[0]));
    return der_writer_bytes(&writer);
}

static struct ca_bytes spki_of(const struct crypto_public_key *key)
{
    struct der_writer writer;

    open_writer(&writer);
    x509_spki_write(&writer, key);
    return der_writer_bytes(&writer);
}

static struct ca_bytes oid_of(const char *dotted)
{
    struct ca_bytes oid;

    check_ok(x509_oid_parse(dotted, arena, &oid));
    return oid;
}

/* Every extension there is a writer for, the last one first. */
static struct ca_bytes extensions_of(const struct crypto_public_key *key, const uint8_t issuer[20])
{
    const struct x509_policy policies[] = {
        { oid_of("2.23.140.1.2.2"), { 0 } },
        { oid_of("1.2.156.10260.9.1"), CA_BYTES("https://ca.example.org/cps") },
    };
    const struct ca_bytes purposes[] = { oid_of("1.3.6.1.5.5.7.3.1"), oid_of("1.3.6.1.5.5.7.3.2") };
    struct der_writer writer;
    uint8_t id[20];

    open_writer(&writer);
    x509_ext_write(&writer, oid_of("1.2.156.10260.4.1.4"), false, CA_BYTES("\x0c\x01x"));
    x509_ext_write_policies(&writer, policies, 2);
    x509_ext_write_crl_distribution_point(&writer, CA_BYTES("http://ca.example.org/7.crl"));
    x509_ext_write_authority_info_access(&writer, CA_BYTES("http://ocsp.example.org"),
                                         CA_BYTES("http://ca.example.org/ca.cer"));
    x509_ext_write_alt_names(&writer, CA_BYTES("\x82\x0fwww.example.org\x87\x04\xc0\x00\x02\x07"),
                             false);
    x509_ext_write_authority_key_id(&writer, ca_bytes_of(issuer, 20));
    x509_key_id(key, id);
    x509_ext_write_subject_key_id(&writer, id);
    x509_ext_write_ext_key_usage(&writer, purposes, 2, false);
    x509_ext_write_key_usage(&writer, X509_KU_DIGITAL_SIGNATURE, true);
    x509_ext_write_basic_constraints(&writer, false, -1, true);
    return der_writer_bytes(&writer);
}

static struct ca_bytes tbs_of(const struct crypto_public_key *key, enum crypto_sig sig,
                              const uint8_t issuer_id[20])
{
    const struct x509_tbs tbs = {
        .serial =
            CA_BYTES("\x01\x06\x42\x00\x00\x00\x00\x01\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
        .sig = sig,
        .issuer = name_of("Example CA"),
        .not_before_s = NOT_BEFORE_S,
        .not_after_s = NOT_AFTER_S,
        .subject = name_of("www.example.org"),
        .spki = spki_of(key),
        .extensions = extensions_of(key, issuer_id),
    };
    struct der_writer writer;

    open_writer(&writer);
    x509_tbs_write(&writer, &tbs);
    return der_writer_bytes(&writer);
}

/* A signed certificate of a key of this kind, issued by itself under another name. */
static struct ca_bytes issue(enum crypto_key_type type, enum crypto_sig sig)
{
    struct crypto_private_key *key;
    struct crypto *crypto;
    struct crypto_signature signature;
    struct der_writer writer;
    uint8_t id[20];

    check_ok(crypto_open(&crypto));
    check_ok(crypto_private_key_generate(type, type == CRYPTO_KEY_RSA ? 2048 : 0, &key));
    x509_key_id(crypto_private_key_public(key), id);
    struct ca_bytes tbs = tbs_of(crypto_private_key_public(key), sig, id);
    const struct x509_lint_context context = {
        .issuer_name = name_of("Example CA"),
        .issuer_key_id = ca_bytes_of(id, 20),
        .issuer_not_after_s = NOT_AFTER_S,
        .sig = sig,
    };
    enum ca_err err = x509_lint(tbs, &context, &refusal);
    cr_assert(err == CA_OK, "%s: %s", refusal.field, refusal.rule);

    check_ok(crypto_sign_many(crypto, key, sig, &tbs, 1, &signature));
    open_writer(&writer);
    x509_signed_write(&writer, tbs, sig, ca_bytes_of(signature.bytes, signature.len));
    crypto_private_key_free(key);
    crypto_close(crypto);
    return der_writer_bytes(&writer);
}

static const struct {
    enum crypto_key_type type;
    enum crypto_sig sig;
} kinds[] = {
    { CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256 }, { CRYPTO_KEY_P384, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_RSA, CRYPTO_SIG_RSA_SHA256 },    { CRYPTO_KEY_RSA, CRYPTO_SIG_PSS_SHA256 },
    { CRYPTO_KEY_ED25519, CRYPTO_SIG_ED25519 },   { CRYPTO_KEY_SM2, CRYPTO_SIG_SM2_SM3 },
};

Test(cert, what_was_written_is_read_back)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct ca_bytes der = issue(kinds[i].type, kinds[i].sig);
        enum ca_err err = x509_cert_parse(der, &cert, &refusal);
        cr_assert(err == CA_OK, "%s: %s", refusal.field, refusal.rule);
        cr_assert(cert.sig == kinds[i].sig && cert.key.type == kinds[i].type);
        cr_assert(cert.not_before_s == NOT_BEFORE_S && cert.not_after_s == NOT_AFTER_S);
        cr_assert(cert.serial.len == 18 && cert.extension_count == 10);
        check_bytes(cert.subject.whole, name_of("www.example.org"));
        check_bytes(cert.whole, der);
        const struct x509_extension *usage = x509_cert_extension(&cert, X509_OID_KEY_USAGE);
        cr_assert(usage != NULL && usage->is_critical);
        check_bytes(usage->value, CA_BYTES("\x03\x02\x07\x80"));

        struct x509_cert again;
        check_ok(x509_tbs_parse(cert.tbs, &again, &refusal));
        cr_assert(again.extension_count == 10 && again.whole.data == NULL);
        ca_arena_reset(arena);
    }
}

/* OpenSSL takes no identity for the standard one. */
static void set_sm2_identity(X509 *x509)
{
    ASN1_OCTET_STRING *identity = ASN1_OCTET_STRING_new();

    cr_assert(identity != NULL);
    cr_assert(ASN1_OCTET_STRING_set(identity, (const uint8_t *)"1234567812345678", 16) == 1);
    X509_set0_distinguishing_id(x509, identity);
}

Test(cert, openssl_reads_every_field_of_what_was_written)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct ca_bytes der = issue(kinds[i].type, kinds[i].sig);
        const uint8_t *at = der.data;
        X509 *x509 = d2i_X509(NULL, &at, (long)der.len);
        cr_assert(x509 != NULL && at == der.data + der.len);
        cr_assert(X509_get_version(x509) == 2 && X509_get_ext_count(x509) == 10);
        cr_assert((X509_get_extension_flags(x509) & EXFLAG_INVALID) == 0);
        cr_assert(X509_get_key_usage(x509) == KU_DIGITAL_SIGNATURE);
        cr_assert(X509_get_extended_key_usage(x509) == (XKU_SSL_SERVER | XKU_SSL_CLIENT));
        cr_assert(X509_check_host(x509, "www.example.org", 0, 0, NULL) == 1);
        cr_assert(X509_check_ip_asc(x509, "192.0.2.7", 0) == 1);
        cr_assert(X509_get0_subject_key_id(x509)->length == 20);
        cr_assert(X509_get0_authority_key_id(x509)->length == 20);
        cr_assert(ASN1_TIME_cmp_time_t(X509_get0_notAfter(x509), NOT_AFTER_S) == 0);
        cr_assert(ASN1_TIME_cmp_time_t(X509_get0_notBefore(x509), NOT_BEFORE_S) == 0);
        STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(x509);
        cr_assert(sk_OPENSSL_STRING_num(urls) == 1);
        cr_assert_str_eq(sk_OPENSSL_STRING_value(urls, 0), "http://ocsp.example.org");
        X509_email_free(urls);
        if (kinds[i].type == CRYPTO_KEY_SM2)
            set_sm2_identity(x509);
        cr_assert(X509_verify(x509, X509_get0_pubkey(x509)) == 1);
        X509_free(x509);
        ca_arena_reset(arena);
    }
}

Test(cert, every_shortened_certificate_is_refused)
{
    struct ca_bytes der = issue(CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);

    for (size_t len = 0; len < der.len; len++) {
        check_err(x509_cert_parse(ca_bytes_of(der.data, len), &cert, &refusal), CA_ERR_CERT_PARSE);
        cr_assert(cert.whole.data == NULL && cert.extension_count == 0);
    }
}

Test(cert, an_algorithm_outside_other_than_inside_is_refused)
{
    struct ca_bytes der = issue(CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    struct der_writer writer;

    check_ok(x509_cert_parse(der, &cert, &refusal));
    open_writer(&writer);
    x509_signed_write(&writer, cert.tbs, CRYPTO_SIG_ECDSA_SHA384, cert.signature);
    check_err(x509_cert_parse(der_writer_bytes(&writer), &cert, &refusal), CA_ERR_CSR_ALGORITHM);
    cr_assert(cert.tbs.data == NULL);
}

Test(cert, a_tbs_that_does_not_fit_is_answered_by_nothing)
{
    struct ca_bytes der = issue(CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256);
    uint8_t buffer[64];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_signed_write(&writer, der, CRYPTO_SIG_ECDSA_SHA256, der);
    cr_assert(der_writer_bytes(&writer).data == NULL && der_writer_bytes(&writer).len == 0);
}

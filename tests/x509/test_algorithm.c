/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "ca/x509/algorithm.h"
#include "ca/x509/csr.h"
#include "tests/support/rows.h"

TestSuite(algorithm, .timeout = 30);

Test(algorithm, every_algorithm_is_read_back_from_its_own_encoding)
{
    for (enum crypto_sig sig = CRYPTO_SIG_ECDSA_SHA256; sig <= CRYPTO_SIG_SM2_SM3; sig++) {
        enum crypto_sig got;
        check_ok(der_check(x509_algorithm_of(sig)));
        check_ok(x509_algorithm_parse(x509_algorithm_of(sig), &got));
        cr_assert(got == sig);
    }
}

Test(algorithm, openssl_knows_every_algorithm_by_its_encoding)
{
    static const struct {
        enum crypto_sig sig;
        int nid;
    } cases[] = {
        { CRYPTO_SIG_ECDSA_SHA256, NID_ecdsa_with_SHA256 },
        { CRYPTO_SIG_ECDSA_SHA384, NID_ecdsa_with_SHA384 },
        { CRYPTO_SIG_ECDSA_SHA512, NID_ecdsa_with_SHA512 },
        { CRYPTO_SIG_RSA_SHA256, NID_sha256WithRSAEncryption },
        { CRYPTO_SIG_RSA_SHA384, NID_sha384WithRSAEncryption },
        { CRYPTO_SIG_RSA_SHA512, NID_sha512WithRSAEncryption },
        { CRYPTO_SIG_PSS_SHA256, NID_rsassaPss },
        { CRYPTO_SIG_PSS_SHA384, NID_rsassaPss },
        { CRYPTO_SIG_PSS_SHA512, NID_rsassaPss },
        { CRYPTO_SIG_ED25519, NID_ED25519 },
        { CRYPTO_SIG_SM2_SM3, NID_SM2_with_SM3 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ca_bytes der = x509_algorithm_of(cases[i].sig);
        const uint8_t *at = der.data;
        const ASN1_OBJECT *object;
        X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)der.len);
        cr_assert(algorithm != NULL);
        X509_ALGOR_get0(&object, NULL, NULL, algorithm);
        cr_assert(OBJ_obj2nid(object) == cases[i].nid);
        X509_ALGOR_free(algorithm);
    }
}

/* RFC 4055, section 2.1: parameters of the hashes may be NULL or absent. */
Test(algorithm, pss_without_nulls_and_sm2_with_one_are_the_same_algorithms)
{
    enum crypto_sig sig;

    check_ok(x509_algorithm_parse(
        CA_BYTES("\x30\x3d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x30"
                 "\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
                 "\xa1\x1a\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
                 "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\xa2\x03\x02\x01\x20"),
        &sig));
    cr_assert(sig == CRYPTO_SIG_PSS_SHA256);
    check_ok(x509_algorithm_parse(
        CA_BYTES("\x30\x0c\x06\x08\x2a\x81\x1c\xcf\x55\x01\x83\x75\x05\x00"), &sig));
    cr_assert(sig == CRYPTO_SIG_SM2_SM3);
}

Test(algorithm, what_is_no_algorithm_is_told_from_one_not_taken)
{
    enum crypto_sig sig = CRYPTO_SIG_ED25519;

    check_err(x509_algorithm_parse(CA_BYTES("\x30\x03\x06\x01\x2a"), &sig), CA_ERR_CSR_ALGORITHM);
    cr_assert(sig == CRYPTO_SIG_NONE);
    check_err(x509_algorithm_parse(CA_BYTES("\x30\x00"), &sig), CA_ERR_CSR_PARSE);
    check_err(x509_algorithm_parse(CA_BYTES(""), &sig), CA_ERR_CSR_PARSE);
    check_err(x509_algorithm_parse(CA_BYTES("\x30\x05\x06\x03\x2b\x65\x70\x00"), &sig),
              CA_ERR_CSR_PARSE);
}

Test(algorithm, keys_are_written_and_named_as_openssl_does)
{
    struct rows rows;
    static uint8_t buffer[CA_CSR_LEN_MAX];
    static struct x509_csr csr;
    struct ca_refusal refusal;

    rows_open(&rows, "good_csrs.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[4]);
        struct der_writer writer;
        uint8_t id[20], want[20];
        check_ok(x509_csr_parse(der, &csr, &refusal));
        der_writer_init(&writer, buffer, sizeof(buffer));
        x509_spki_write(&writer, &csr.key);
        check_bytes(der_writer_bytes(&writer), csr.spki);

        const uint8_t *at = csr.spki.data;
        X509_PUBKEY *key = d2i_X509_PUBKEY(NULL, &at, (long)csr.spki.len);
        const uint8_t *bits;
        int len;
        cr_assert(key != NULL && X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, key) == 1);
        cr_assert(EVP_Digest(bits, (size_t)len, want, NULL, EVP_sha1(), NULL) == 1);
        x509_key_id(&csr.key, id);
        check_bytes(ca_bytes_of(id, 20), ca_bytes_of(want, 20));
        X509_PUBKEY_free(key);
        rows_free(der);
    }
    rows_close(&rows);
}

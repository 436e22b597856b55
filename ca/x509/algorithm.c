/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/algorithm.h"

#include <assert.h>

#include "ca/crypto/digest.h"

/* clang-format off */
#define ECDSA(last) "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last
#define RSA_PKCS1(last) "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00"
#define SHA2(last) "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" last "\x05\x00"
/*
 * RFC 4055, section 3.1:
 * RSASSA-PSS-params ::= SEQUENCE {
 *     hashAlgorithm [0], maskGenAlgorithm [1], saltLength [2] INTEGER, trailerField [3] DEFAULT 1 }
 */
#define OID_PSS "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define OID_MGF1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define PSS(hash, salt_len) \
    "\x30\x41\x06\x09" OID_PSS "\x30\x34\xa0\x0f" SHA2(hash) \
    "\xa1\x1c\x30\x1a\x06\x09" OID_MGF1 SHA2(hash) "\xa2\x03\x02\x01" salt_len
#define SM2_WITH_SM3 "\x06\x08\x2a\x81\x1c\xcf\x55\x01\x83\x75"

static const struct ca_bytes sig_algorithms[] = {
    [CRYPTO_SIG_ECDSA_SHA256] = CA_BYTES(ECDSA("\x02")),
    [CRYPTO_SIG_ECDSA_SHA384] = CA_BYTES(ECDSA("\x03")),
    [CRYPTO_SIG_ECDSA_SHA512] = CA_BYTES(ECDSA("\x04")),
    [CRYPTO_SIG_RSA_SHA256]   = CA_BYTES(RSA_PKCS1("\x0b")),
    [CRYPTO_SIG_RSA_SHA384]   = CA_BYTES(RSA_PKCS1("\x0c")),
    [CRYPTO_SIG_RSA_SHA512]   = CA_BYTES(RSA_PKCS1("\x0d")),
    [CRYPTO_SIG_PSS_SHA256]   = CA_BYTES(PSS("\x01", "\x20")),
    [CRYPTO_SIG_PSS_SHA384]   = CA_BYTES(PSS("\x02", "\x30")),
    [CRYPTO_SIG_PSS_SHA512]   = CA_BYTES(PSS("\x03", "\x40")),
    [CRYPTO_SIG_ED25519]      = CA_BYTES("\x30\x05\x06\x03\x2b\x65\x70"),
    [CRYPTO_SIG_SM2_SM3]      = CA_BYTES("\x30\x0a" SM2_WITH_SM3),
};

#define RSA_KEY RSA_PKCS1("\x01")
#define EC_KEY(len, curve) "\x30" len "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06" curve
static const struct key_algorithm {
    enum crypto_key_type type;
    uint32_t bits; /* 0: the key tells */
    struct ca_bytes whole;
} key_algorithms[] = {
    { CRYPTO_KEY_P256,    256, CA_BYTES(EC_KEY("\x13", "\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")) },
    { CRYPTO_KEY_P384,    384, CA_BYTES(EC_KEY("\x10", "\x05\x2b\x81\x04\x00\x22")) },
    { CRYPTO_KEY_SM2,     256, CA_BYTES(EC_KEY("\x13", "\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d")) },
    { CRYPTO_KEY_ED25519, 256, CA_BYTES("\x30\x05\x06\x03\x2b\x65\x70") },
    { CRYPTO_KEY_RSA,     0,   CA_BYTES(RSA_KEY) },
};
/* clang-format on */
static const size_t sig_count = sizeof(sig_algorithms) / sizeof(sig_algorithms[0]);
static const size_t key_count = sizeof(key_algorithms) / sizeof(key_algorithms[0]);

struct ca_bytes x509_algorithm_of(enum crypto_sig sig)
{
    assert(sig > CRYPTO_SIG_NONE && sig < sig_count);
    return sig_algorithms[sig];
}

/* SEQUENCE { OID, parameters OPTIONAL }: parameters_out reads what follows the OID. */
static enum ca_err open_algorithm(struct der_reader *reader, struct der_value *oid_out,
                                  struct der_reader *parameters_out)
{
    enum ca_err err = der_read_into(reader, DER_SEQUENCE, parameters_out);

    if (err != CA_OK)
        return err;
    return der_read(parameters_out, DER_OID, oid_out);
}

/* The SHA-2 hash of an AlgorithmIdentifier whose parameters are NULL or absent (RFC 4055, 2.1). */
static bool read_pss_hash(struct der_reader *reader, struct ca_bytes *oid_out)
{
    struct der_value oid, null;
    struct der_reader parameters;

    if (open_algorithm(reader, &oid, &parameters) != CA_OK)
        return false;
    *oid_out = oid.content;
    if (der_reader_at_end(&parameters))
        return true;
    return der_read(&parameters, DER_NULL, &null) == CA_OK && null.content.len == 0 &&
           der_reader_at_end(&parameters);
}

static bool read_pss(struct der_reader *reader, struct ca_bytes *hash_out, uint32_t *salt_len_out)
{
    struct der_reader params, field, mask;
    struct der_value mgf;
    struct ca_bytes mask_hash;

    if (der_read_into(reader, DER_SEQUENCE, &params) != CA_OK || !der_reader_at_end(reader))
        return false;
    if (der_read_into(&params, DER_CONTEXT_CONSTRUCTED(0), &field) != CA_OK ||
        !read_pss_hash(&field, hash_out) || !der_reader_at_end(&field))
        return false;
    if (der_read_into(&params, DER_CONTEXT_CONSTRUCTED(1), &field) != CA_OK ||
        open_algorithm(&field, &mgf, &mask) != CA_OK || !der_reader_at_end(&field) ||
        !ca_bytes_equal(mgf.content, CA_BYTES(OID_MGF1)) || !read_pss_hash(&mask, &mask_hash) ||
        !der_reader_at_end(&mask) || !ca_bytes_equal(mask_hash, *hash_out))
        return false;
    return der_read_into(&params, DER_CONTEXT_CONSTRUCTED(2), &field) == CA_OK &&
           der_read_small(&field, salt_len_out) == CA_OK && der_reader_at_end(&field) &&
           der_reader_at_end(&params);
}

/* PSS may be encoded in four ways, as each hash may carry NULL or nothing. */
static enum crypto_sig pss_of(struct der_reader parameters)
{
    static const struct {
        struct ca_bytes hash;
        uint32_t salt_len;
        enum crypto_sig sig;
    } kinds[] = {
        { CA_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), 32, CRYPTO_SIG_PSS_SHA256 },
        { CA_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), 48, CRYPTO_SIG_PSS_SHA384 },
        { CA_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), 64, CRYPTO_SIG_PSS_SHA512 },
    };
    struct ca_bytes hash;
    uint32_t salt_len;

    if (!read_pss(&parameters, &hash, &salt_len))
        return CRYPTO_SIG_NONE;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (ca_bytes_equal(hash, kinds[i].hash) && salt_len == kinds[i].salt_len)
            return kinds[i].sig;
    }
    return CRYPTO_SIG_NONE;
}

enum ca_err x509_algorithm_parse(struct ca_bytes whole, enum crypto_sig *sig_out)
{
    struct der_reader reader = der_reader_of(whole), parameters;
    struct der_value oid;

    *sig_out = CRYPTO_SIG_NONE;
    for (enum crypto_sig sig = CRYPTO_SIG_NONE + 1; sig < sig_count; sig++) {
        if (ca_bytes_equal(whole, sig_algorithms[sig])) {
            *sig_out = sig;
            return CA_OK;
        }
    }
    if (open_algorithm(&reader, &oid, &parameters) != CA_OK || !der_reader_at_end(&reader))
        return CA_ERR_CSR_PARSE;
    if (ca_bytes_equal(oid.content, CA_BYTES(OID_PSS)))
        *sig_out = pss_of(parameters);
    else if (ca_bytes_equal(whole, CA_BYTES("\x30\x0c" SM2_WITH_SM3 "\x05\x00")))
        *sig_out = CRYPTO_SIG_SM2_SM3;
    return *sig_out == CRYPTO_SIG_NONE ? CA_ERR_CSR_ALGORITHM : CA_OK;
}

static const struct key_algorithm *key_algorithm_of_encoding(struct ca_bytes whole)
{
    for (size_t i = 0; i < key_count; i++) {
        if (ca_bytes_equal(whole, key_algorithms[i].whole))
            return &key_algorithms[i];
    }
    return NULL;
}

static const struct key_algorithm *key_algorithm_of_type(enum crypto_key_type type)
{
    for (size_t i = 0; i < key_count; i++) {
        if (key_algorithms[i].type == type)
            return &key_algorithms[i];
    }
    return NULL;
}

/* RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
static enum ca_err parse_rsa(struct ca_bytes encoding, struct crypto_public_key *key)
{
    struct der_reader reader = der_reader_of(encoding), numbers;

    if (der_read_into(&reader, DER_SEQUENCE, &numbers) != CA_OK || !der_reader_at_end(&reader) ||
        der_read_positive(&numbers, &key->modulus) != CA_OK ||
        der_read_positive(&numbers, &key->exponent) != CA_OK || !der_reader_at_end(&numbers))
        return CA_ERR_CSR_PARSE;
    key->bits = (uint32_t)(key->modulus.len * 8);
    for (uint8_t top = key->modulus.data[0]; top < 0x80; top = (uint8_t)(top << 1))
        key->bits--;
    return CA_OK;
}

/* An uncompressed point (RFC 5480, section 2.2; GM/T 0009, section 7.1) or 32 octets (RFC 8410). */
static enum ca_err parse_point(struct ca_bytes encoding, struct crypto_public_key *key)
{
    bool has_form_octet = key->type != CRYPTO_KEY_ED25519;
    size_t len = has_form_octet ? 1 + 2 * key->bits / 8 : 32;

    if (encoding.len != len || (has_form_octet && encoding.data[0] != 0x04))
        return CA_ERR_CSR_POINT;
    key->point = encoding;
    return CA_OK;
}

enum ca_err x509_spki_parse(struct ca_bytes spki, struct crypto_public_key *key_out)
{
    struct crypto_public_key key = { 0 };
    struct der_reader reader = der_reader_of(spki), inner, parameters;
    struct der_value algorithm, oid;
    struct ca_bytes encoding;

    *key_out = key;
    if (spki.len > CA_CSR_LEN_MAX || der_read_into(&reader, DER_SEQUENCE, &inner) != CA_OK ||
        !der_reader_at_end(&reader) || der_read(&inner, DER_SEQUENCE, &algorithm) != CA_OK)
        return CA_ERR_CSR_PARSE;
    const struct key_algorithm *kind = key_algorithm_of_encoding(algorithm.whole);
    if (kind == NULL) {
        reader = der_reader_of(algorithm.whole);
        enum ca_err err = open_algorithm(&reader, &oid, &parameters);
        return err == CA_OK ? CA_ERR_KEY_TYPE : err;
    }
    if (der_read_bit_octets(&inner, &encoding) != CA_OK || !der_reader_at_end(&inner))
        return CA_ERR_CSR_PARSE;
    key.type = kind->type;
    key.bits = kind->bits;
    enum ca_err err =
        key.type == CRYPTO_KEY_RSA ? parse_rsa(encoding, &key) : parse_point(encoding, &key);
    if (err == CA_OK)
        *key_out = key;
    return err;
}

static void write_rsa(struct der_writer *writer, const struct crypto_public_key *key)
{
    size_t mark = der_writer_mark(writer);

    der_write_unsigned(writer, key->exponent);
    der_write_unsigned(writer, key->modulus);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_spki_write(struct der_writer *writer, const struct crypto_public_key *key)
{
    const struct key_algorithm *kind = key_algorithm_of_type(key->type);
    size_t mark = der_writer_mark(writer);

    assert(kind != NULL);
    if (key->type == CRYPTO_KEY_RSA) {
        write_rsa(writer, key);
        der_write_octet(writer, 0); /* no unused bits */
        der_write_header(writer, DER_BIT_STRING, mark);
    } else {
        der_write_bit_octets(writer, key->point);
    }
    der_write_raw(writer, kind->whole);
    der_write_header(writer, DER_SEQUENCE, mark);
}

void x509_key_id(const struct crypto_public_key *key, uint8_t id[20])
{
    uint8_t buffer[CA_CSR_LEN_MAX + 16];
    struct der_writer writer;

    if (key->type != CRYPTO_KEY_RSA) {
        crypto_sha1_key_id(key->point, id);
        return;
    }
    der_writer_init(&writer, buffer, sizeof(buffer));
    write_rsa(&writer, key);
    assert(!writer.is_spoiled); /* no key larger than a request comes this way */
    crypto_sha1_key_id(der_writer_bytes(&writer), id);
}

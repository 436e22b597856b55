/* SPDX-License-Identifier: Apache-2.0 */
/* issuer: a CA made on the spot, with a certificate of its own, and CRL entries for it. */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "ca/keys/keys.h"
#include "ca/x509/crl.h"
#include "ca/x509/ext.h"

struct issuer {
    struct crypto *crypto;
    struct keys_signer *signer;
    struct crypto_own_key *own;
    enum crypto_sig sig;
    uint8_t key_id[20];
    uint8_t memory[4096];
    struct ca_bytes name; /* Name, whole DER */
    struct ca_bytes cert; /* self-signed */
};

enum { ISSUER_TIME_S = 1767225600 /* 2026-01-01 */ };

#define issuer_must(expr)                                                 \
    do {                                                                  \
        enum ca_err issuer_err_ = (expr);                                 \
        if (issuer_err_ != CA_OK) {                                       \
            fprintf(stderr, "%s: %s\n", #expr, ca_err_text(issuer_err_)); \
            abort();                                                      \
        }                                                                 \
    } while (0)

static inline struct ca_bytes issuer_keep(struct issuer *issuer, size_t *used,
                                          struct ca_bytes bytes)
{
    assert(bytes.data != NULL && *used + bytes.len <= sizeof(issuer->memory));
    memcpy(issuer->memory + *used, bytes.data, bytes.len);
    struct ca_bytes kept = ca_bytes_of(issuer->memory + *used, bytes.len);
    *used += bytes.len;
    return kept;
}

static inline void issuer_certify(struct issuer *issuer, size_t *used)
{
    const struct crypto_public_key *key = keys_signer_public(issuer->signer);
    uint8_t buffers[3][2048];
    struct der_writer spki, extensions, writer;
    struct crypto_signature signature;
    static const uint8_t serial[] = { 0x11, 0x22, 0x33 };

    der_writer_init(&spki, buffers[0], sizeof(buffers[0]));
    x509_spki_write(&spki, key);
    der_writer_init(&extensions, buffers[1], sizeof(buffers[1]));
    x509_ext_write_key_usage(&extensions, X509_KU_KEY_CERT_SIGN | X509_KU_CRL_SIGN, true);
    x509_ext_write_basic_constraints(&extensions, true, 0, true);
    x509_ext_write_subject_key_id(&extensions, issuer->key_id);

    const struct x509_tbs tbs = {
        .serial = ca_bytes_of(serial, sizeof(serial)),
        .sig = issuer->sig,
        .issuer = issuer->name,
        .not_before_s = ISSUER_TIME_S,
        .not_after_s = ISSUER_TIME_S + 3650LL * 86400,
        .subject = issuer->name,
        .spki = der_writer_bytes(&spki),
        .extensions = der_writer_bytes(&extensions),
    };
    der_writer_init(&writer, buffers[2], sizeof(buffers[2]));
    x509_tbs_write(&writer, &tbs);
    struct ca_bytes message = der_writer_bytes(&writer);
    issuer_must(
        keys_sign_many(issuer->signer, issuer->crypto, issuer->sig, &message, 1, &signature));

    uint8_t whole[3072];
    der_writer_init(&writer, whole, sizeof(whole));
    x509_signed_write(&writer, message, issuer->sig, ca_bytes_of(signature.bytes, signature.len));
    issuer->cert = issuer_keep(issuer, used, der_writer_bytes(&writer));
}

/* Frees nothing on failure: there is none in tests. keys_harden_process() comes first. */
static inline void issuer_open(struct issuer *issuer, enum crypto_key_type type,
                               enum crypto_sig sig)
{
    const struct x509_attribute name[] = {
        { x509_attribute_type_by_name("C")->oid, DER_PRINTABLE_STRING, CA_BYTES("CN") },
        { x509_attribute_type_by_name("CN")->oid, DER_UTF8_STRING, CA_BYTES("CRL Test CA") },
    };
    const struct keys_signer_options options = { 0 };
    struct crypto_private_key *key;
    uint8_t buffer[256];
    struct der_writer writer;
    size_t used = 0;

    memset(issuer, 0, sizeof(*issuer));
    issuer->sig = sig;
    issuer_must(crypto_open(&issuer->crypto));
    issuer_must(crypto_private_key_generate(type, 2048, &key));
    issuer_must(keys_signer_open_soft(key, &options, &issuer->signer));
    issuer_must(crypto_own_key_new(keys_signer_public(issuer->signer), &issuer->own));
    x509_key_id(keys_signer_public(issuer->signer), issuer->key_id);
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_name_write(&writer, name, sizeof(name) / sizeof(name[0]));
    issuer->name = issuer_keep(issuer, &used, der_writer_bytes(&writer));
    issuer_certify(issuer, &used);
}

static inline void issuer_close(struct issuer *issuer)
{
    crypto_own_key_free(issuer->own);
    keys_signer_close(issuer->signer);
    crypto_close(issuer->crypto);
}

/* A list form of this issuer, number given by one octet. */
static inline struct x509_crl_form issuer_form(const struct issuer *issuer, const uint8_t *number)
{
    return (struct x509_crl_form){
        .sig = issuer->sig,
        .issuer = issuer->name,
        .key_id = ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)),
        .number = ca_bytes_of(number, 1),
        .this_update_s = ISSUER_TIME_S + 86400,
        .next_update_s = ISSUER_TIME_S + 8 * 86400,
    };
}

/* ---- entries */

struct entries {
    uint8_t *memory;
    size_t len;
    size_t size;
    size_t at; /* read so far, as a source */
    size_t chunk;
};

static inline void entries_add(struct entries *entries, const struct x509_crl_entry *entry)
{
    uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    issuer_must(x509_crl_entry_write(&writer, entry));
    struct ca_bytes bytes = der_writer_bytes(&writer);
    assert(bytes.data != NULL);
    if (entries->len + bytes.len > entries->size) {
        entries->size = 2 * entries->size + 4096;
        entries->memory = realloc(entries->memory, entries->size);
        assert(entries->memory != NULL);
    }
    memcpy(entries->memory + entries->len, bytes.data, bytes.len);
    entries->len += bytes.len;
}

/* Serial numbers of serial_len octets that count up from 1 in their last four, some random-looking
 * octets between; every reason in turn. */
static inline void entries_fill(struct entries *entries, uint32_t first, uint32_t count,
                                size_t serial_len)
{
    static const enum x509_crl_reason reasons[] = {
        X509_CRL_UNSPECIFIED, X509_CRL_KEY_COMPROMISE,         X509_CRL_AFFILIATION_CHANGED,
        X509_CRL_SUPERSEDED,  X509_CRL_CESSATION_OF_OPERATION, X509_CRL_PRIVILEGE_WITHDRAWN,
    };

    for (uint32_t i = first; i < first + count; i++) {
        uint8_t serial[20] = { 0x01 };
        for (int b = 0; b < 4; b++)
            serial[1 + b] = (uint8_t)(i >> (24 - 8 * b));
        for (size_t b = 5; b < serial_len; b++)
            serial[b] = (uint8_t)((i * 2654435761u) >> (b % 24));
        const struct x509_crl_entry entry = {
            .serial = ca_bytes_of(serial, serial_len),
            .revoked_s = ISSUER_TIME_S + i % 86400,
            .reason = reasons[i % 6],
            .has_invalidity = i % 7 == 1,
            .invalidity_s = ISSUER_TIME_S - i % 1000,
        };
        entries_add(entries, &entry);
    }
}

static inline void entries_free(struct entries *entries)
{
    free(entries->memory);
    *entries = (struct entries){ 0 };
}

static inline enum ca_err entries_next(void *arg, struct ca_bytes *chunk_out)
{
    struct entries *entries = arg;
    size_t chunk = entries->chunk == 0 ? 100000 : entries->chunk;
    size_t left = entries->len - entries->at;

    *chunk_out = ca_bytes_of(entries->memory + entries->at, left < chunk ? left : chunk);
    entries->at += chunk_out->len;
    return CA_OK;
}

static inline enum ca_err entries_rewind(void *arg)
{
    ((struct entries *)arg)->at = 0;
    return CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl_key: keys and signatures by OpenSSL alone, to compare certmill with and to be its
 * customers. One thread per key. Dies instead of failing.
 */
#pragma once

#include <openssl/evp.h>

#include "bench/bench.h"
#include "ca/base/bytes.h"

enum bench_key_type {
    BENCH_KEY_P256,
    BENCH_KEY_RSA2048,
    BENCH_KEY_ED25519,
    BENCH_KEY_SM2,
    BENCH_KEY_TYPE_COUNT
};

enum { BENCH_SIGNATURE_LEN_MAX = 512 };

/* SM2's signer identity, the one requests and certificates use. */
#define BENCH_SM2_ID "1234567812345678"

const char *bench_key_name(enum bench_key_type type); /* "p256" */
enum bench_key_type bench_key_type_of(const char *name);
EVP_PKEY *bench_key_generate(enum bench_key_type type);
const EVP_MD *bench_key_digest(enum bench_key_type type); /* NULL for Ed25519 */

/*
 * One key with contexts that are made once and used for every signature: the fastest way
 * through OpenSSL 3.0's ordinary interface. Messages are hashed here.
 */
struct bench_signer;
struct bench_signer *bench_signer_new(enum bench_key_type type, EVP_PKEY *key);
void bench_signer_free(struct bench_signer *signer);
size_t bench_signer_sign(struct bench_signer *signer, struct ca_bytes message,
                         uint8_t signature[BENCH_SIGNATURE_LEN_MAX]);
void bench_signer_verify(struct bench_signer *signer, struct ca_bytes message,
                         struct ca_bytes signature);

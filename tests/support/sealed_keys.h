/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed_keys: keys of every kind for a signer process, and content for them to sign.
 *
 * The keys are made by a process that ends: the test itself never holds one, as the daemon does
 * not. crypto_sign_many() is wrapped (-Wl,--wrap), so that the signer can be made to fail where it
 * signs; what the processes have in common is in shared memory.
 */
#pragma once

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/keys/keys.h"
#include "tests/support/check.h"

/* A sanitizer makes calls of its own: there is no filter beside it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = true };
#else
enum { IS_SANITIZED = false };
#endif

enum { BATCH = 70, TBS_LEN_MAX = 96 };

/* clang-format off */
static const struct kind {
    enum crypto_key_type type;
    enum crypto_sig sig;
} kinds[] = {
    { CRYPTO_KEY_P256, CRYPTO_SIG_ECDSA_SHA256 },
    { CRYPTO_KEY_P384, CRYPTO_SIG_ECDSA_SHA384 },
    { CRYPTO_KEY_RSA, CRYPTO_SIG_PSS_SHA256 },
    { CRYPTO_KEY_ED25519, CRYPTO_SIG_ED25519 },
    { CRYPTO_KEY_SM2, CRYPTO_SIG_SM2_SM3 },
};
/* clang-format on */
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]), P256 = 0, P384 = 1, RSA = 2, ED25519 = 3 };

/* What the test and the processes it forks have in common. */
enum fault { FAULT_NONE, FAULT_BIT, FAULT_OPEN, FAULT_SOCKET, FAULT_FORK, FAULT_HANG };
struct shared {
    atomic_int fault;
    uint8_t pkcs8[KIND_COUNT][CRYPTO_PKCS8_LEN_MAX];
    size_t pkcs8_len[KIND_COUNT];
    uint8_t public[KIND_COUNT][1024]; /* point, or modulus and exponent */
    size_t point_len[KIND_COUNT], modulus_len[KIND_COUNT], exponent_len[KIND_COUNT];
    atomic_int unsealed;
    atomic_int unseal_err;
};
static struct shared *shared;

static struct crypto *crypto;
static struct crypto_public_key publics[KIND_COUNT];
static uint8_t tbs[BATCH][TBS_LEN_MAX];
static struct ca_bytes messages[BATCH];
static uint8_t serials[BATCH][CA_SERIAL_LEN];

enum ca_err __real_crypto_sign_many(struct crypto *with, const struct crypto_private_key *key,
                                    enum crypto_sig sig, const struct ca_bytes *texts, size_t count,
                                    struct crypto_signature *made);
enum ca_err __wrap_crypto_sign_many(struct crypto *with, const struct crypto_private_key *key,
                                    enum crypto_sig sig, const struct ca_bytes *texts, size_t count,
                                    struct crypto_signature *made);
enum ca_err __wrap_crypto_sign_many(struct crypto *with, const struct crypto_private_key *key,
                                    enum crypto_sig sig, const struct ca_bytes *texts, size_t count,
                                    struct crypto_signature *made)
{
    enum ca_err err = __real_crypto_sign_many(with, key, sig, texts, count, made);

    switch ((enum fault)atomic_load(&shared->fault)) {
    case FAULT_NONE: break;
    case FAULT_BIT: made[count - 1].bytes[10] ^= 1; break;
    case FAULT_OPEN: (void)open("/dev/null", O_RDONLY); break;
    case FAULT_SOCKET: (void)socket(AF_INET, SOCK_STREAM, 0); break;
    case FAULT_FORK: (void)fork(); break;
    case FAULT_HANG:
        for (char nothing;;)
            (void)recv(-1, &nothing, 1, 0); /* a call it may make, and which ends nothing */
    }
    return err;
}

/* ---- keys, made by a process that ends: this one never holds one */

static void make_keys(void)
{
    if (keys_harden_process() != CA_OK)
        _exit(1);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct crypto_private_key *key;
        if (crypto_private_key_generate(kinds[i].type, 2048, &key) != CA_OK ||
            crypto_private_key_encode(key, shared->pkcs8[i], CRYPTO_PKCS8_LEN_MAX,
                                      &shared->pkcs8_len[i]) != CA_OK)
            _exit(2);
        const struct crypto_public_key *public = crypto_private_key_public(key);
        uint8_t *at = shared->public[i];
        shared->point_len[i] = public->point.len;
        shared->modulus_len[i] = public->modulus.len;
        shared->exponent_len[i] = public->exponent.len;
        if (public->point.len > 0)
            memcpy(at, public->point.data, public->point.len);
        if (public->modulus.len > 0) {
            memcpy(at, public->modulus.data, public->modulus.len);
            memcpy(at + public->modulus.len, public->exponent.data, public->exponent.len);
        }
        crypto_private_key_free(key);
    }
    _exit(0);
}

static void read_publics(void)
{
    static const uint32_t bits[KIND_COUNT] = { 256, 384, 2048, 256, 256 };

    for (size_t i = 0; i < KIND_COUNT; i++) {
        const uint8_t *at = shared->public[i];
        publics[i] = (struct crypto_public_key){ .type = kinds[i].type, .bits = bits[i] };
        publics[i].point = ca_bytes_of(at, shared->point_len[i]);
        publics[i].modulus = ca_bytes_of(at, shared->modulus_len[i]);
        publics[i].exponent = ca_bytes_of(at + shared->modulus_len[i], shared->exponent_len[i]);
    }
}

/* As much of a certificate as a signer looks at. */
static struct ca_bytes make_tbs(uint8_t *at, const uint8_t serial[CA_SERIAL_LEN], uint8_t content)
{
    static const uint8_t version[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
    size_t len = 2;

    memcpy(at + len, version, sizeof(version));
    len += sizeof(version);
    at[len++] = 0x02;
    at[len++] = CA_SERIAL_LEN;
    memcpy(at + len, serial, CA_SERIAL_LEN);
    len += CA_SERIAL_LEN;
    at[len++] = 0x04;
    at[len++] = 1;
    at[len++] = content;
    at[0] = 0x30;
    at[1] = (uint8_t)(len - 2);
    return ca_bytes_of(at, len);
}

static void open_all(void)
{
    int status;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(shared != MAP_FAILED);
    pid_t maker = fork();
    if (maker == 0)
        make_keys();
    cr_assert(waitpid(maker, &status, 0) == maker && status == 0);
    read_publics();
    check_ok(crypto_open(&crypto));
    for (size_t i = 0; i < BATCH; i++) {
        memset(serials[i], (int)(i + 1), CA_SERIAL_LEN);
        messages[i] = make_tbs(tbs[i], serials[i], (uint8_t)i);
    }
}

static void close_all(void)
{
    crypto_close(crypto);
}

static enum ca_err unseal(void *arg, struct crypto_private_key **keys)
{
    (void)arg;
    atomic_fetch_add(&shared->unsealed, 1);
    if (atomic_load(&shared->unseal_err) != 0)
        return (enum ca_err)atomic_load(&shared->unseal_err);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        enum ca_err err =
            crypto_private_key_parse(ca_bytes_of(shared->pkcs8[i], shared->pkcs8_len[i]), &keys[i]);
        if (err != CA_OK)
            return err;
    }
    return CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed key files. The layout is a table in docs/SECURITY.md; change both. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/keys/keys.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_KDF = 9,
    AT_CIPHER = 10,
    AT_ZERO = 11,
    AT_PASSES = 12,
    AT_MEMORY = 16,
    AT_SALT = 24,
    AT_NONCE = 40,
    HEADER_LEN = 64,
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    FILE_LEN_MAX = HEADER_LEN + CRYPTO_PKCS8_LEN_MAX + TAG_LEN,
    VERSION = 1,
    KDF_ARGON2ID = 1,
    CIPHER_XCHACHA20_POLY1305 = 1,
};
_Static_assert(AT_SALT + crypto_pwhash_argon2id_SALTBYTES == AT_NONCE, "salt fits");
_Static_assert(AT_NONCE + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == HEADER_LEN, "nonce fits");

static const char magic[AT_VERSION] = { 'c', 'm', 's', 'e', 'a', 'l', 'e', 'd' };

/* Below the least somebody has weakened the file; above the most it only eats our memory. */
struct limits {
    uint32_t passes_min, passes_max;
    uint64_t memory_min, memory_max; /* bytes */
};

static const struct limits limits = {
    .passes_min = KEYS_SEALED_PASSES_MIN,
    .passes_max = 16,
    .memory_min = KEYS_SEALED_MEMORY_MIN,
    .memory_max = UINT64_C(4) << 30,
};

static void put_number(uint8_t *at, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
}

static uint64_t get_number(const uint8_t *at, size_t len)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++)
        number = number << 8 | at[i];
    return number;
}

static bool is_within(const struct limits *within, uint64_t passes, uint64_t memory)
{
    return passes >= within->passes_min && passes <= within->passes_max &&
           memory >= within->memory_min && memory <= within->memory_max;
}

/* The key that the header's parameters and salt make of the passphrase. */
static enum ca_err derive_key(const uint8_t header[HEADER_LEN],
                              const struct keys_secret *passphrase, struct keys_secret *key_out)
{
    enum ca_err err = keys_secret_new(KEY_LEN, key_out);

    if (err != CA_OK)
        return err;
    if (crypto_pwhash_argon2id(key_out->data, KEY_LEN, (const char *)passphrase->data,
                               passphrase->len, header + AT_SALT, get_number(header + AT_PASSES, 4),
                               (size_t)get_number(header + AT_MEMORY, 8),
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
        keys_secret_wipe(key_out);
        return CA_ERR_NOMEM; /* all else about the parameters was checked before */
    }
    return CA_OK;
}

/* ---- seal */

static enum ca_err header_fill(const struct keys_sealed_options *options,
                               uint8_t header[HEADER_LEN])
{
    enum ca_err err;

    memcpy(header + AT_MAGIC, magic, sizeof(magic));
    header[AT_VERSION] = VERSION;
    header[AT_KDF] = KDF_ARGON2ID;
    header[AT_CIPHER] = CIPHER_XCHACHA20_POLY1305;
    header[AT_ZERO] = 0;
    put_number(header + AT_PASSES, options->passes, 4);
    put_number(header + AT_MEMORY, options->memory, 8);
    if ((err = crypto_random(header + AT_SALT, AT_NONCE - AT_SALT)) != CA_OK)
        return err;
    return crypto_random(header + AT_NONCE, HEADER_LEN - AT_NONCE);
}

static enum ca_err seal(const struct crypto_private_key *key, const struct keys_secret *passphrase,
                        const struct limits *within, const struct keys_sealed_options *options,
                        uint8_t sealed[FILE_LEN_MAX], size_t *len_out)
{
    struct keys_secret der = { 0 };
    struct keys_secret file_key = { 0 };
    unsigned long long body_len;
    size_t der_len;
    enum ca_err err;

    *len_out = 0;
    if (passphrase->len == 0 || passphrase->len > KEYS_PASSPHRASE_LEN_MAX)
        return CA_ERR_FIELD_LENGTH;
    if (!is_within(within, options->passes, options->memory))
        return CA_ERR_CONFIG;
    if ((err = header_fill(options, sealed)) != CA_OK ||
        (err = keys_secret_new(CRYPTO_PKCS8_LEN_MAX, &der)) != CA_OK ||
        (err = crypto_private_key_encode(key, der.data, der.len, &der_len)) != CA_OK ||
        (err = derive_key(sealed, passphrase, &file_key)) != CA_OK)
        goto out;
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + HEADER_LEN, &body_len, der.data,
                                                     der_len, sealed, HEADER_LEN, NULL,
                                                     sealed + AT_NONCE, file_key.data);
    *len_out = HEADER_LEN + (size_t)body_len;
out:
    keys_secret_wipe(&file_key);
    keys_secret_wipe(&der);
    return err;
}

/* ---- open */

static bool header_is_known(const uint8_t header[HEADER_LEN], const struct limits *within)
{
    return ca_bytes_equal(ca_bytes_of(header, sizeof(magic)), ca_bytes_of(magic, sizeof(magic))) &&
           header[AT_VERSION] == VERSION && header[AT_KDF] == KDF_ARGON2ID &&
           header[AT_CIPHER] == CIPHER_XCHACHA20_POLY1305 && header[AT_ZERO] == 0 &&
           is_within(within, get_number(header + AT_PASSES, 4), get_number(header + AT_MEMORY, 8));
}

/* One answer for everything that is wrong with file or passphrase. */
static enum ca_err unseal(struct ca_bytes sealed, const struct keys_secret *passphrase,
                          const struct limits *within, struct crypto_private_key **key_out)
{
    struct keys_secret der = { 0 };
    struct keys_secret file_key = { 0 };
    unsigned long long der_len;
    enum ca_err err;

    *key_out = NULL;
    if (sealed.len <= HEADER_LEN + TAG_LEN || sealed.len > FILE_LEN_MAX ||
        !header_is_known(sealed.data, within) || passphrase->len == 0)
        return CA_ERR_PASSPHRASE;
    if ((err = keys_secret_new(sealed.len - HEADER_LEN - TAG_LEN, &der)) != CA_OK ||
        (err = derive_key(sealed.data, passphrase, &file_key)) != CA_OK)
        goto out;
    err = CA_ERR_PASSPHRASE;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            der.data, &der_len, NULL, sealed.data + HEADER_LEN, sealed.len - HEADER_LEN,
            sealed.data, HEADER_LEN, sealed.data + AT_NONCE, file_key.data) != 0)
        goto out;
    err = crypto_private_key_parse(ca_bytes_of(der.data, (size_t)der_len), key_out);
out:
    keys_secret_wipe(&file_key);
    keys_secret_wipe(&der);
    return err;
}

/* ---- files */

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        len -= (size_t)put;
    }
    return true;
}

static enum ca_err from_errno(void)
{
    switch (errno) {
    case EEXIST: return CA_ERR_EXISTS;
    case ENOENT: return CA_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT: return CA_ERR_STORAGE_FULL;
    default: return CA_ERR_STORAGE;
    }
}

static enum ca_err sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = slash == NULL ? 0 : (int)(slash - path + 1);

    (void)snprintf(folder, sizeof(folder), "%.*s.", len, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return CA_ERR_STORAGE;
    enum ca_err err = fsync(fd) == 0 ? CA_OK : CA_ERR_STORAGE;
    (void)close(fd);
    return err;
}

/* Whole and durable, or not there: written beside, synced, moved into a free place. */
static enum ca_err file_create(const char *path, const uint8_t *bytes, size_t len)
{
    char beside[PATH_MAX];
    enum ca_err err = CA_OK;

    if (snprintf(beside, sizeof(beside),
                 "%s.XX"
                 "XX"
                 "XX",
                 path) >= (int)sizeof(beside))
        return CA_ERR_FIELD_LENGTH;
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || !write_all(fd, bytes, len) || fsync(fd) != 0)
        err = from_errno();
    if (close(fd) != 0 && err == CA_OK)
        err = from_errno();
    if (err == CA_OK && renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        err = from_errno();
    if (err != CA_OK) {
        (void)unlink(beside);
        return err;
    }
    return sync_folder_of(path);
}

static enum ca_err file_read(int fd, uint8_t *bytes, size_t size, size_t *len_out)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return CA_ERR_STORAGE;
    if (!S_ISREG(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != 0) ||
        (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return CA_ERR_DENIED;
    for (*len_out = 0; *len_out < size;) {
        ssize_t got = read(fd, bytes + *len_out, size - *len_out);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CA_ERR_STORAGE;
        if (got == 0)
            break;
        *len_out += (size_t)got;
    }
    return CA_OK;
}

enum ca_err keys_sealed_save_with(const char *path, const struct crypto_private_key *key,
                                  const struct keys_secret *passphrase,
                                  const struct keys_sealed_options *options)
{
    uint8_t sealed[FILE_LEN_MAX];
    struct stat status;
    size_t len;
    enum ca_err err;

    /* Asked again, and for good, when the file moves into its place. */
    if (lstat(path, &status) == 0)
        return CA_ERR_EXISTS;
    if ((err = seal(key, passphrase, &limits, options, sealed, &len)) != CA_OK)
        return err;
    return file_create(path, sealed, len);
}

enum ca_err keys_sealed_save(const char *path, const struct crypto_private_key *key,
                             const struct keys_secret *passphrase)
{
    const struct keys_sealed_options moderate = { .passes = KEYS_SEALED_PASSES,
                                                  .memory = KEYS_SEALED_MEMORY };

    return keys_sealed_save_with(path, key, passphrase, &moderate);
}

enum ca_err keys_sealed_load(const char *path, const struct keys_secret *passphrase,
                             struct crypto_private_key **key_out)
{
    uint8_t sealed[FILE_LEN_MAX + 1]; /* one more, to see that there is more */
    size_t len;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    *key_out = NULL;
    if (fd < 0)
        return from_errno();
    enum ca_err err = file_read(fd, sealed, sizeof(sealed), &len);
    (void)close(fd);
    if (err != CA_OK)
        return err;
    return unseal(ca_bytes_of(sealed, len), passphrase, &limits, key_out);
}

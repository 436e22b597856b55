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
    AT_SALT_2 = 64, /* of the second half, where the passphrase is divided */
    HEADER_LEN_MAX = 80,
    KEY_LEN = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    FILE_LEN_MAX = HEADER_LEN_MAX + CRYPTO_PKCS8_LEN_MAX + TAG_LEN,
    VERSION = 1,
    KDF_ARGON2ID = 1,
    KDF_ARGON2ID_DIVIDED = 2, /* one of each half, XORed */
    CIPHER_XCHACHA20_POLY1305 = 1,
};
_Static_assert(AT_SALT + crypto_pwhash_argon2id_SALTBYTES == AT_NONCE, "salt fits");
_Static_assert(AT_NONCE + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == HEADER_LEN, "nonce fits");
_Static_assert(AT_SALT_2 + crypto_pwhash_argon2id_SALTBYTES == HEADER_LEN_MAX, "salt fits");

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

static bool is_within(const struct limits *within, uint64_t passes, uint64_t memory)
{
    return passes >= within->passes_min && passes <= within->passes_max &&
           memory >= within->memory_min && memory <= within->memory_max;
}

static size_t header_len(const uint8_t *header)
{
    return header[AT_KDF] == KDF_ARGON2ID_DIVIDED ? HEADER_LEN_MAX : HEADER_LEN;
}

/* The passphrase, or its halves: a NUL stands between them. How many; 0 if there is none, one is
 * empty, or one is too long. */
static size_t halves_of(const struct keys_secret *passphrase, struct ca_bytes halves[2])
{
    size_t first_len = 0;

    while (first_len < passphrase->len && passphrase->data[first_len] != 0)
        first_len++;
    halves[0] = ca_bytes_of(passphrase->data, first_len);
    if (first_len == 0 || first_len > KEYS_PASSPHRASE_LEN_MAX)
        return 0;
    if (first_len == passphrase->len)
        return 1;
    halves[1] = ca_bytes_of(passphrase->data + first_len + 1, passphrase->len - first_len - 1);
    return halves[1].len == 0 || halves[1].len > KEYS_PASSPHRASE_LEN_MAX ? 0 : 2;
}

static enum ca_err derive_half(const uint8_t *header, size_t at_salt, struct ca_bytes half,
                               struct keys_secret *key_out)
{
    enum ca_err err = keys_secret_new(KEY_LEN, key_out);

    if (err != CA_OK)
        return err;
    if (crypto_pwhash_argon2id(key_out->data, KEY_LEN, (const char *)half.data, half.len,
                               header + at_salt, ca_bytes_get_number(header + AT_PASSES, 4),
                               (size_t)ca_bytes_get_number(header + AT_MEMORY, 8),
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
        keys_secret_wipe(key_out);
        return CA_ERR_NOMEM; /* all else about the parameters was checked before */
    }
    return CA_OK;
}

/*
 * The key that the header's parameters and salts make of the passphrase. Of two halves each has a
 * salt of its own: without the other, either is 32 octets that say nothing, and they are not to be
 * exchanged.
 */
static enum ca_err derive_key(const uint8_t *header, const struct ca_bytes halves[2],
                              struct keys_secret *key_out)
{
    struct keys_secret second = { 0 };
    enum ca_err err = derive_half(header, AT_SALT, halves[0], key_out);

    if (err != CA_OK || header[AT_KDF] != KDF_ARGON2ID_DIVIDED)
        return err;
    if ((err = derive_half(header, AT_SALT_2, halves[1], &second)) != CA_OK) {
        keys_secret_wipe(key_out);
        return err;
    }
    for (size_t i = 0; i < KEY_LEN; i++)
        key_out->data[i] ^= second.data[i];
    keys_secret_wipe(&second);
    return CA_OK;
}

/* ---- several files of one passphrase */

void keys_sealed_memo_wipe(struct keys_sealed_memo *memo)
{
    keys_secret_wipe(&memo->file_key);
    *memo = (struct keys_sealed_memo){ 0 };
}

/* Everything that Argon2id is given beside the passphrase; up to the salt, which comes behind. */
static bool memo_has_same(const struct keys_sealed_memo *memo, const uint8_t *header, size_t len)
{
    return memo != NULL && memo->file_key.len > 0 &&
           ca_bytes_equal(ca_bytes_of(memo->header, len), ca_bytes_of(header, len));
}

static bool memo_fits(const struct keys_sealed_memo *memo, const uint8_t *header)
{
    if (!memo_has_same(memo, header, AT_NONCE))
        return false;
    return header[AT_KDF] != KDF_ARGON2ID_DIVIDED ||
           ca_bytes_equal(ca_bytes_of(memo->header + AT_SALT_2, HEADER_LEN_MAX - AT_SALT_2),
                          ca_bytes_of(header + AT_SALT_2, HEADER_LEN_MAX - AT_SALT_2));
}

static enum ca_err secret_copy(const struct keys_secret *from, struct keys_secret *copy_out)
{
    enum ca_err err = keys_secret_new(from->len, copy_out);

    if (err == CA_OK)
        memcpy(copy_out->data, from->data, from->len);
    return err;
}

/* memo may be NULL. */
static enum ca_err derive_or_recall(struct keys_sealed_memo *memo, const uint8_t *header,
                                    const struct ca_bytes halves[2], struct keys_secret *key_out)
{
    if (memo_fits(memo, header))
        return secret_copy(&memo->file_key, key_out);
    enum ca_err err = derive_key(header, halves, key_out);
    if (err != CA_OK || memo == NULL)
        return err;
    keys_sealed_memo_wipe(memo);
    memcpy(memo->header, header, header_len(header));
    if ((err = secret_copy(key_out, &memo->file_key)) != CA_OK)
        keys_secret_wipe(key_out);
    return err;
}

/* ---- seal */

static enum ca_err header_fill(const struct keys_sealed_options *options, bool is_divided,
                               uint8_t header[HEADER_LEN_MAX])
{
    memcpy(header + AT_MAGIC, magic, sizeof(magic));
    header[AT_VERSION] = VERSION;
    header[AT_KDF] = is_divided ? KDF_ARGON2ID_DIVIDED : KDF_ARGON2ID;
    header[AT_CIPHER] = CIPHER_XCHACHA20_POLY1305;
    header[AT_ZERO] = 0;
    ca_bytes_put_number(header + AT_PASSES, options->passes, 4);
    ca_bytes_put_number(header + AT_MEMORY, options->memory, 8);
    return crypto_random(header + AT_SALT, header_len(header) - AT_SALT);
}

/* A salt that has served is taken again; the nonce, of 24 octets, is another each time. */
static void take_salts(const struct keys_sealed_memo *memo, uint8_t header[HEADER_LEN_MAX])
{
    if (!memo_has_same(memo, header, AT_SALT))
        return;
    memcpy(header + AT_SALT, memo->header + AT_SALT, AT_NONCE - AT_SALT);
    memcpy(header + AT_SALT_2, memo->header + AT_SALT_2, HEADER_LEN_MAX - AT_SALT_2);
}

static enum ca_err seal_with(struct keys_sealed_memo *memo, const struct crypto_private_key *key,
                             const struct keys_secret *passphrase, const struct limits *within,
                             const struct keys_sealed_options *options,
                             uint8_t sealed[FILE_LEN_MAX], size_t *len_out)
{
    struct ca_bytes halves[2];
    struct keys_secret der = { 0 };
    struct keys_secret file_key = { 0 };
    unsigned long long body_len;
    size_t der_len, half_count = halves_of(passphrase, halves);
    enum ca_err err;

    *len_out = 0;
    if (half_count == 0)
        return CA_ERR_FIELD_LENGTH;
    if (half_count == 2 && halves[0].len == halves[1].len &&
        sodium_memcmp(halves[0].data, halves[1].data, halves[0].len) == 0)
        return CA_ERR_FIELD_FORMAT; /* who knows one knows both */
    if (!is_within(within, options->passes, options->memory))
        return CA_ERR_CONFIG;
    if ((err = header_fill(options, half_count == 2, sealed)) != CA_OK ||
        (err = keys_secret_new(CRYPTO_PKCS8_LEN_MAX, &der)) != CA_OK ||
        (err = crypto_private_key_encode(key, der.data, der.len, &der_len)) != CA_OK)
        goto out;
    take_salts(memo, sealed);
    if ((err = derive_or_recall(memo, sealed, halves, &file_key)) != CA_OK)
        goto out;
    size_t head = header_len(sealed);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + head, &body_len, der.data, der_len,
                                                     sealed, head, NULL, sealed + AT_NONCE,
                                                     file_key.data);
    *len_out = head + (size_t)body_len;
out:
    keys_secret_wipe(&file_key);
    keys_secret_wipe(&der);
    return err;
}

static enum ca_err seal(const struct crypto_private_key *key, const struct keys_secret *passphrase,
                        const struct limits *within, const struct keys_sealed_options *options,
                        uint8_t sealed[FILE_LEN_MAX], size_t *len_out)
{
    return seal_with(NULL, key, passphrase, within, options, sealed, len_out);
}

/* ---- open */

static bool header_is_known(struct ca_bytes sealed, const struct limits *within)
{
    const uint8_t *header = sealed.data;

    return sealed.len >= HEADER_LEN_MAX &&
           ca_bytes_equal(ca_bytes_of(header, sizeof(magic)), ca_bytes_of(magic, sizeof(magic))) &&
           header[AT_VERSION] == VERSION &&
           (header[AT_KDF] == KDF_ARGON2ID || header[AT_KDF] == KDF_ARGON2ID_DIVIDED) &&
           header[AT_CIPHER] == CIPHER_XCHACHA20_POLY1305 && header[AT_ZERO] == 0 &&
           is_within(within, ca_bytes_get_number(header + AT_PASSES, 4),
                     ca_bytes_get_number(header + AT_MEMORY, 8));
}

/* One answer for everything that is wrong with file or passphrase. */
static enum ca_err unseal_with(struct keys_sealed_memo *memo, struct ca_bytes sealed,
                               const struct keys_secret *passphrase, const struct limits *within,
                               struct crypto_private_key **key_out)
{
    struct ca_bytes halves[2];
    struct keys_secret der = { 0 };
    struct keys_secret file_key = { 0 };
    unsigned long long der_len;
    enum ca_err err;

    *key_out = NULL;
    if (sealed.len > FILE_LEN_MAX || !header_is_known(sealed, within))
        return CA_ERR_PASSPHRASE;
    size_t head = header_len(sealed.data);
    if (sealed.len <= head + TAG_LEN ||
        halves_of(passphrase, halves) != (head == HEADER_LEN_MAX ? 2 : 1))
        return CA_ERR_PASSPHRASE;
    if ((err = keys_secret_new(sealed.len - head - TAG_LEN, &der)) != CA_OK ||
        (err = derive_or_recall(memo, sealed.data, halves, &file_key)) != CA_OK)
        goto out;
    err = CA_ERR_PASSPHRASE;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(der.data, &der_len, NULL, sealed.data + head,
                                                   sealed.len - head, sealed.data, head,
                                                   sealed.data + AT_NONCE, file_key.data) != 0)
        goto out;
    err = crypto_private_key_parse(ca_bytes_of(der.data, (size_t)der_len), key_out);
out:
    keys_secret_wipe(&file_key);
    keys_secret_wipe(&der);
    return err;
}

static enum ca_err unseal(struct ca_bytes sealed, const struct keys_secret *passphrase,
                          const struct limits *within, struct crypto_private_key **key_out)
{
    return unseal_with(NULL, sealed, passphrase, within, key_out);
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

/* Written beside its place, and synced; the name it has there. */
static enum ca_err file_write_beside(const char *path, struct ca_bytes bytes, char beside[PATH_MAX])
{
    enum ca_err err = CA_OK;

    if (snprintf(beside, PATH_MAX,
                 "%s.XX"
                 "XX"
                 "XX",
                 path) >= PATH_MAX)
        return CA_ERR_FIELD_LENGTH;
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return from_errno();
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || !write_all(fd, bytes.data, bytes.len) ||
        fsync(fd) != 0)
        err = from_errno();
    if (close(fd) != 0 && err == CA_OK)
        err = from_errno();
    if (err != CA_OK)
        (void)unlink(beside);
    return err;
}

/* Whole and durable, or not there: moved into a free place. */
static enum ca_err file_create(const char *path, struct ca_bytes bytes)
{
    char beside[PATH_MAX];
    enum ca_err err = file_write_beside(path, bytes, beside);

    if (err != CA_OK)
        return err;
    if (renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) != 0) {
        err = from_errno();
        (void)unlink(beside);
        return err;
    }
    return sync_folder_of(path);
}

static enum ca_err read_open_file(int fd, uint8_t *bytes, size_t size, size_t *len_out)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return CA_ERR_STORAGE;
    if (!S_ISREG(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != 0) ||
        (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return CA_ERR_DENIED;
    while (*len_out < size) {
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

/* One octet more than a file may have, to see that there is more. */
struct sealed_file {
    uint8_t bytes[FILE_LEN_MAX + 1];
    size_t len;
};

static enum ca_err file_read(const char *path, struct sealed_file *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    file->len = 0;
    if (fd < 0)
        return from_errno();
    enum ca_err err = read_open_file(fd, file->bytes, sizeof(file->bytes), &file->len);
    (void)close(fd);
    return err;
}

enum ca_err keys_sealed_save_next(struct keys_sealed_memo *memo, const char *path,
                                  const struct crypto_private_key *key,
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
    if ((err = seal_with(memo, key, passphrase, &limits, options, sealed, &len)) != CA_OK)
        return err;
    return file_create(path, ca_bytes_of(sealed, len));
}

enum ca_err keys_sealed_save_with(const char *path, const struct crypto_private_key *key,
                                  const struct keys_secret *passphrase,
                                  const struct keys_sealed_options *options)
{
    return keys_sealed_save_next(NULL, path, key, passphrase, options);
}

enum ca_err keys_sealed_save(const char *path, const struct crypto_private_key *key,
                             const struct keys_secret *passphrase)
{
    const struct keys_sealed_options moderate = { .passes = KEYS_SEALED_PASSES,
                                                  .memory = KEYS_SEALED_MEMORY };

    return keys_sealed_save_with(path, key, passphrase, &moderate);
}

enum ca_err keys_sealed_load_next(struct keys_sealed_memo *memo, const char *path,
                                  const struct keys_secret *passphrase,
                                  struct crypto_private_key **key_out)
{
    struct sealed_file file;
    enum ca_err err = file_read(path, &file);

    *key_out = NULL;
    if (err != CA_OK)
        return err;
    return unseal_with(memo, ca_bytes_of(file.bytes, file.len), passphrase, &limits, key_out);
}

enum ca_err keys_sealed_load(const char *path, const struct keys_secret *passphrase,
                             struct crypto_private_key **key_out)
{
    struct sealed_file file;
    enum ca_err err = file_read(path, &file);

    *key_out = NULL;
    if (err != CA_OK)
        return err;
    return unseal(ca_bytes_of(file.bytes, file.len), passphrase, &limits, key_out);
}

enum ca_err keys_sealed_inspect(const char *path, struct keys_sealed_info *info_out)
{
    struct sealed_file file;
    enum ca_err err = file_read(path, &file);

    *info_out = (struct keys_sealed_info){ 0 };
    if (err != CA_OK)
        return err;
    if (!header_is_known(ca_bytes_of(file.bytes, file.len), &limits))
        return CA_ERR_PASSPHRASE;
    info_out->options.passes = (uint32_t)ca_bytes_get_number(file.bytes + AT_PASSES, 4);
    info_out->options.memory = ca_bytes_get_number(file.bytes + AT_MEMORY, 8);
    info_out->is_divided = file.bytes[AT_KDF] == KDF_ARGON2ID_DIVIDED;
    return CA_OK;
}

/* ---- another passphrase */

/* All of both keys, in constant time. */
static enum ca_err compare_keys(const struct crypto_private_key *a,
                                const struct crypto_private_key *b)
{
    struct keys_secret one = { 0 }, other = { 0 };
    size_t one_len, other_len;
    enum ca_err err;

    if ((err = keys_secret_new(CRYPTO_PKCS8_LEN_MAX, &one)) != CA_OK ||
        (err = keys_secret_new(CRYPTO_PKCS8_LEN_MAX, &other)) != CA_OK ||
        (err = crypto_private_key_encode(a, one.data, one.len, &one_len)) != CA_OK ||
        (err = crypto_private_key_encode(b, other.data, other.len, &other_len)) != CA_OK)
        goto out;
    if (one_len != other_len || sodium_memcmp(one.data, other.data, one_len) != 0)
        err = CA_ERR_STORAGE_CORRUPT;
out:
    keys_secret_wipe(&one);
    keys_secret_wipe(&other);
    return err;
}

/* What was written is read back, opened, and is the same key. */
static enum ca_err check_written(const char *beside, const struct keys_secret *passphrase,
                                 const struct crypto_private_key *key)
{
    struct crypto_private_key *again;
    enum ca_err err = keys_sealed_load(beside, passphrase, &again);

    if (err != CA_OK)
        return err;
    err = compare_keys(key, again);
    crypto_private_key_free(again);
    return err;
}

enum ca_err keys_sealed_rewrap(const char *path, const struct keys_secret *passphrase,
                               const struct keys_secret *new_passphrase,
                               const struct keys_sealed_options *options)
{
    struct crypto_private_key *key = NULL;
    char beside[PATH_MAX];
    uint8_t sealed[FILE_LEN_MAX];
    size_t len;
    enum ca_err err;

    if ((err = keys_sealed_load(path, passphrase, &key)) != CA_OK)
        return err;
    if ((err = seal(key, new_passphrase, &limits, options, sealed, &len)) != CA_OK ||
        (err = file_write_beside(path, ca_bytes_of(sealed, len), beside)) != CA_OK)
        goto out;
    if ((err = check_written(beside, new_passphrase, key)) == CA_OK && rename(beside, path) != 0)
        err = from_errno();
    if (err != CA_OK)
        (void)unlink(beside);
    else
        err = sync_folder_of(path);
out:
    crypto_private_key_free(key);
    return err;
}

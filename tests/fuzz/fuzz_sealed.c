/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sealed: the bytes of a sealed key file, and of the PKCS#8 inside it.
 *
 * The first octet chooses: a whole file (under Argon2id at its least, for speed), or a plain
 * PKCS#8 structure, which is then sealed and must come back. The files of the corpus are
 * sealed with the passphrase "fuzz", or with the halves "fuzz" and "half".
 */
#include <assert.h>

#include "ca/keys/sealed.c"

static const struct limits quick = {
    .passes_min = 1, .passes_max = 2, .memory_min = 8192, .memory_max = 16384
};

static void check_file(struct ca_bytes bytes, const struct keys_secret *passphrase)
{
    struct crypto_private_key *key;
    enum ca_err err = unseal(bytes, passphrase, &quick, &key);

    assert((err == CA_OK) == (key != NULL));
    crypto_private_key_free(key);
}

static void check_key(struct ca_bytes bytes, const struct keys_secret *passphrase)
{
    const struct keys_sealed_options options = { .passes = 1, .memory = 8192 };
    uint8_t sealed[FILE_LEN_MAX];
    struct crypto_private_key *key, *again;
    size_t len;

    if (crypto_private_key_parse(bytes, &key) != CA_OK) {
        assert(key == NULL);
        return;
    }
    if (seal(key, passphrase, &quick, &options, sealed, &len) != CA_OK ||
        unseal(ca_bytes_of(sealed, len), passphrase, &quick, &again) != CA_OK)
        abort();
    crypto_private_key_free(again);
    crypto_private_key_free(key);
}

static struct keys_secret secret_of(struct ca_bytes octets)
{
    struct keys_secret secret;

    if (keys_secret_new(octets.len, &secret) != CA_OK)
        abort();
    memcpy(secret.data, octets.data, octets.len);
    return secret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ca_bytes passphrases[] = { CA_BYTES("fuzz"), CA_BYTES("fuzz\0half") };

    if (size == 0)
        return 0;
    if (keys_harden_process() != CA_OK)
        abort();
    for (size_t i = 0; i < 2; i++) {
        struct keys_secret passphrase = secret_of(passphrases[i]);
        if (data[0] == 'f')
            check_file(ca_bytes_of(data + 1, size - 1), &passphrase);
        else
            check_key(ca_bytes_of(data + 1, size - 1), &passphrase);
        keys_secret_wipe(&passphrase);
    }
    return 0;
}

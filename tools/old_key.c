/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/old_key.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ca/crypto/crypto.h"
#include "ca/keys/secret.h"
#include "ca/x509/csr.h"
#include "tools/command.h"
#include "tools/locked_memory.h"
#include "tools/pem.h"

enum { FILE_LEN_MAX = 8192 }; /* RSA-4096 takes 3300 octets */

static bool read_all(int fd, struct keys_secret *text, size_t *len_out)
{
    ssize_t got = 1;

    *len_out = 0;
    while (got > 0 && *len_out < text->len) {
        got = read(fd, text->data + *len_out, text->len - *len_out);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            *len_out += (size_t)got;
    }
    return got == 0; /* to its end: a longer file is no key */
}

static enum ca_err parse_key(struct ca_bytes text, struct keys_secret *der,
                             struct crypto_private_key **key_out)
{
    struct pem_block block;
    enum ca_err err = pem_next_into(&text, der->data, der->len, &block);

    if (err == CA_OK && strcmp(block.label, "PRIVATE KEY") != 0)
        err = CA_ERR_FIELD_FORMAT;
    return err == CA_OK ? crypto_private_key_parse(block.der, key_out) : err;
}

static bool load(const char *path, struct crypto_private_key **key_out)
{
    struct keys_secret text = { 0 }, der = { 0 };
    enum ca_err err;
    size_t len = 0;

    *key_out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        command_wrong("%s: %s", path, strerror(errno));
        return false;
    }
    if ((err = keys_secret_new(FILE_LEN_MAX, &text)) == CA_OK &&
        (err = keys_secret_new(FILE_LEN_MAX, &der)) == CA_OK)
        err = read_all(fd, &text, &len) ? parse_key(ca_bytes_of(text.data, len), &der, key_out)
                                        : CA_ERR_FIELD_LENGTH;
    close(fd);
    keys_secret_wipe(&text);
    keys_secret_wipe(&der);
    if (err == CA_ERR_NOMEM)
        command_failed("no locked memory for a key (ulimit -l)");
    else if (err != CA_OK)
        command_wrong("%s: no unencrypted private key in PEM (PKCS#8)", path);
    return err == CA_OK;
}

static enum ca_err sign(const struct crypto_private_key *key, struct ca_bytes csr_der,
                        struct ca_arena *arena, struct ca_bytes *signature_out)
{
    enum crypto_key_type type = crypto_private_key_public(key)->type;
    struct ca_refusal refusal = { "", "" };
    struct crypto_signature signature;
    struct crypto *crypto;
    struct x509_csr csr;
    enum ca_err err;

    if ((err = x509_csr_parse(csr_der, &csr, &refusal)) != CA_OK ||
        (err = crypto_open(&crypto)) != CA_OK)
        return err;
    enum crypto_sig sig = crypto_sig_fits(csr.sig, type) ? csr.sig : crypto_sig_usual(type);
    err = crypto_sign_many(crypto, key, sig, &csr_der, 1, &signature);
    crypto_close(crypto);
    if (err != CA_OK)
        return err;
    *signature_out = ca_arena_copy(arena, ca_bytes_of(signature.bytes, signature.len));
    return signature_out->data == NULL ? CA_ERR_NOMEM : CA_OK;
}

bool old_key_sign(const char *path, struct ca_bytes csr, struct ca_arena *arena,
                  struct ca_bytes *signature_out)
{
    struct crypto_private_key *key;
    enum ca_err err;

    *signature_out = (struct ca_bytes){ 0 };
    if (locked_memory_harden("certmill") != CA_OK || !load(path, &key))
        return false;
    if ((err = sign(key, csr, arena, signature_out)) != CA_OK)
        command_failed("%s: %s", path, ca_err_text(err));
    crypto_private_key_free(key);
    return err == CA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/audit_key.h"

#include <stdlib.h>

#include "ca/x509/algorithm.h"
#include "tools/file.h"
#include "tools/pem.h"

enum { SPKI_LEN_MAX = 1024 };

enum ca_err audit_key_parse(struct ca_bytes text, struct ca_arena *arena,
                            struct crypto_public_key *key_out)
{
    struct pem_block block, more;
    enum ca_err err;

    *key_out = (struct crypto_public_key){ 0 };
    if ((err = pem_next(&text, arena, &block)) != CA_OK)
        return err == CA_ERR_NOMEM ? err : CA_ERR_FIELD_FORMAT;
    if (strcmp(block.label, "PUBLIC KEY") != 0 || pem_next(&text, arena, &more) != CA_ERR_NOT_FOUND)
        return CA_ERR_FIELD_FORMAT;
    err = x509_spki_parse(block.der, key_out);
    if (err == CA_OK && key_out->type != CRYPTO_KEY_ED25519)
        err = CA_ERR_KEY_TYPE;
    if (err != CA_OK)
        *key_out = (struct crypto_public_key){ 0 };
    return err == CA_OK || err == CA_ERR_KEY_TYPE ? err : CA_ERR_FIELD_FORMAT;
}

enum ca_err audit_key_save(const char *path, const struct crypto_public_key *key)
{
    uint8_t buffer[SPKI_LEN_MAX];
    struct der_writer writer;
    char *text = NULL;
    size_t len = 0;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_spki_write(&writer, key);
    struct ca_bytes spki = der_writer_bytes(&writer);
    if (spki.data == NULL)
        return CA_ERR_FIELD_LENGTH;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return CA_ERR_NOMEM;
    pem_write(to, "PUBLIC KEY", spki);
    enum ca_err err = fclose(to) == 0 ? CA_OK : CA_ERR_NOMEM;
    if (err == CA_OK)
        err = file_save(path, ca_bytes_of(text, len), 0644, false);
    free(text);
    return err;
}

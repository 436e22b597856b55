/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unseal_key: what is in a sealed key file, for tests that search for it elsewhere.
 *
 *     unseal_key KEY-FILE PASSPHRASE-FILE [PASSPHRASE-FILE]    writes PKCS#8 to standard output
 */
#include <stdio.h>
#include <stdlib.h>

#include "ca/keys/keys.h"

static enum ca_err read_passphrase(int count, char **files, struct keys_secret *passphrase_out)
{
    struct keys_secret halves[2] = { { 0 }, { 0 } };
    enum ca_err err;

    for (int i = 0; i < count; i++) {
        if ((err = keys_secret_read_file(files[i], &halves[i])) != CA_OK)
            return err;
    }
    if (count == 1) {
        *passphrase_out = halves[0];
        return CA_OK;
    }
    err = keys_secret_join(&halves[0], &halves[1], passphrase_out);
    keys_secret_wipe(&halves[0]);
    keys_secret_wipe(&halves[1]);
    return err;
}

int main(int argc, char **argv)
{
    struct keys_secret passphrase = { 0 };
    struct crypto_private_key *key = NULL;
    uint8_t der[CRYPTO_PKCS8_LEN_MAX];
    size_t len = 0;

    bool is_open = argc >= 3 && argc <= 4 && keys_harden_process() == CA_OK &&
                   read_passphrase(argc - 2, argv + 2, &passphrase) == CA_OK &&
                   keys_sealed_load(argv[1], &passphrase, &key) == CA_OK &&
                   crypto_private_key_encode(key, der, sizeof(der), &len) == CA_OK;
    if (!is_open)
        fprintf(stderr, "unseal_key: cannot\n");
    keys_secret_wipe(&passphrase);
    crypto_private_key_free(key);
    return is_open && fwrite(der, 1, len, stdout) == len ? EXIT_SUCCESS : EXIT_FAILURE;
}

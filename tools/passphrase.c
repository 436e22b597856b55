/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/passphrase.h"

#include <stdio.h>

enum { PASSPHRASE_LEN_MIN = 8 };

enum ca_err passphrase_read(const struct passphrase_source *source, bool is_new,
                            struct keys_secret *passphrase_out)
{
    enum ca_err err;

    if (source->file != NULL)
        err = keys_secret_read_file(source->file, passphrase_out);
    else if (source->fd >= 0)
        err = keys_secret_read_fd(source->fd, passphrase_out);
    else
        err = keys_secret_prompt(
            is_new ? "New passphrase of the CA keys: " : "Passphrase of the CA keys: ", is_new,
            passphrase_out);
    if (err != CA_OK) {
        fprintf(stderr, "passphrase: %s%s%s\n", source->file == NULL ? "" : source->file,
                source->file == NULL ? "" : ": ",
                err == CA_ERR_FIELD_LENGTH ? "empty, or too long"
                : err == CA_ERR_DENIED     ? "the file must be yours and closed to all others"
                                           : ca_err_text(err));
        return err;
    }
    if (is_new && passphrase_out->len < PASSPHRASE_LEN_MIN) {
        fprintf(stderr, "passphrase: at least %d characters\n", PASSPHRASE_LEN_MIN);
        keys_secret_wipe(passphrase_out);
        return CA_ERR_FIELD_LENGTH;
    }
    return CA_OK;
}

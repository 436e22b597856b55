/* SPDX-License-Identifier: Apache-2.0 */
/* passphrase: from a file, a descriptor or the terminal; never from an argument. */
#pragma once

#include "ca/keys/secret.h"

struct passphrase_source {
    const char *file; /* NULL: not from a file */
    int fd;           /* below 0: not from a descriptor */
};

/* is_new: it is being chosen; the terminal asks twice. Says on standard error what went wrong. */
CA_MUST_CHECK enum ca_err passphrase_read(const struct passphrase_source *source, bool is_new,
                                          struct keys_secret *passphrase_out);

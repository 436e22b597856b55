/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passphrase: from files, descriptors or the terminal; never from an argument. One, or under dual
 * control two halves, each from a source of its own and in their order.
 */
#pragma once

#include "ca/keys/secret.h"

enum { PASSPHRASE_HALVES = 2 };

/* Zeros: the terminal is asked for one. */
struct passphrase_source {
    struct {
        const char *file; /* NULL: from the descriptor */
        int fd;
    } halves[PASSPHRASE_HALVES];
    size_t count;
    bool is_divided; /* two halves, also from the terminal */
    const char *custodians[PASSPHRASE_HALVES];
    size_t custodian_count;
};

/* False, after a word on standard error, for more than two, or what is no descriptor. */
bool passphrase_add_file(struct passphrase_source *source, const char *path);
bool passphrase_add_fd(struct passphrase_source *source, const char *number);
bool passphrase_add_custodian(struct passphrase_source *source, const char *name);

/*
 * is_new: it is being chosen; the terminal asks twice. Says on standard error what went wrong. Two
 * halves come out joined (keys_secret_join()).
 */
CA_MUST_CHECK enum ca_err passphrase_read(const struct passphrase_source *source, bool is_new,
                                          struct keys_secret *passphrase_out);
/* Of this sealed file: the terminal is asked for two halves where the file needs them. */
CA_MUST_CHECK enum ca_err passphrase_read_for(const struct passphrase_source *source,
                                              const char *key_path,
                                              struct keys_secret *passphrase_out);

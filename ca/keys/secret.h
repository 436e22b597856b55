/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret: bytes that must not leak. Guard pages, locked into memory (checked: a secret
 * that cannot be locked is not made), left out of core dumps, wiped when freed. Each
 * costs several pages: few, long-lived ones. Nothing prints a secret.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"

struct keys_secret {
    uint8_t *data;
    size_t len;
};

enum { KEYS_PASSPHRASE_LEN_MAX = 1024 };

/* Zero is no length. NOMEM when it cannot be locked. */
CA_MUST_CHECK enum ca_err keys_secret_new(size_t len, struct keys_secret *secret_out);
void keys_secret_wipe(struct keys_secret *secret); /* an empty one is fine */

/*
 * The first line read from a descriptor, without its newline: a passphrase. FIELD_LENGTH if empty
 * or above KEYS_PASSPHRASE_LEN_MAX, FIELD_FORMAT if it contains a NUL. What follows stays unread.
 */
CA_MUST_CHECK enum ca_err keys_secret_read_fd(int fd, struct keys_secret *secret_out);
/* As above from a file, which must belong to this user (or root) and be closed to all others
 * (DENIED). */
CA_MUST_CHECK enum ca_err keys_secret_read_file(const char *path, struct keys_secret *secret_out);
/* Asks on the controlling terminal, without echo; twice if it must be confirmed (PASSPHRASE if
 * the two differ). NOT_FOUND without a terminal. */
CA_MUST_CHECK enum ca_err keys_secret_prompt(const char *prompt, bool is_confirmed,
                                             struct keys_secret *secret_out);

/*
 * Two halves of a divided passphrase as one secret, which everything takes that takes a
 * passphrase: a NUL stands between them, and neither holds one. FIELD_LENGTH if one is empty.
 */
CA_MUST_CHECK enum ca_err keys_secret_join(const struct keys_secret *first,
                                           const struct keys_secret *second,
                                           struct keys_secret *joined_out);
/* In constant time, but for the lengths. */
bool keys_secret_equal(const struct keys_secret *a, const struct keys_secret *b);

/* No core dumps, no ptrace by the same user, OpenSSL's secure heap, locked: before any secret
 * exists, once per process; a second call does no harm. KEY_UNUSABLE if one of them is not to be
 * had. */
CA_MUST_CHECK enum ca_err keys_harden_process(void);

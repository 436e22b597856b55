/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pem: the textual form of certificates, requests and public keys (RFC 7468).
 *
 * Nothing here is wiped: a private key is decoded into memory of the caller's.
 */
#pragma once

#include <stdio.h>

#include "ca/base/arena.h"

enum { PEM_LABEL_LEN_MAX = 63 };

struct pem_block {
    char label[PEM_LABEL_LEN_MAX + 1]; /* "CERTIFICATE" */
    struct ca_bytes der;               /* in the arena */
};

/*
 * The first block in text; text then starts behind it. Lines outside of blocks are skipped.
 * NOT_FOUND when there is no more; FIELD_FORMAT for a block that is not well-formed.
 */
CA_MUST_CHECK enum ca_err pem_next(struct ca_bytes *text, struct ca_arena *arena,
                                   struct pem_block *block_out);

/* The same into memory of the caller's, of size octets (three quarters of the text are enough):
 * FIELD_LENGTH when the block does not fit. */
CA_MUST_CHECK enum ca_err pem_next_into(struct ca_bytes *text, uint8_t *data, size_t size,
                                        struct pem_block *block_out);

void pem_write(FILE *to, const char *label, struct ca_bytes der);
/* Base64 in one line, without the newline. */
void pem_write_base64(FILE *to, struct ca_bytes bytes);

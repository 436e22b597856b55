/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_output: a CRL on its way to a file or to standard output, as DER or PEM.
 *
 * Files appear whole or not at all (store/publish.h). Standard output, and what is no regular
 * file, gets nothing before everything is there: until then it waits in a temporary file.
 */
#pragma once

#include <limits.h>
#include <stdio.h>

#include "ca/crypto/message.h"
#include "store/publish.h"

enum { CRL_OUTPUT_LINES_LEN = 512 * 48 }; /* octets of so many lines of PEM */

struct crl_output {
    bool is_pem;
    char path[PATH_MAX]; /* "-": standard output */
    struct store_publish *publish;
    FILE *spool;
    struct crypto_message digest;        /* of the DER */
    uint64_t len;                        /* of the DER */
    uint8_t lines[CRL_OUTPUT_LINES_LEN]; /* with PEM: not written yet */
    size_t lines_len;
};

/* Says on standard error what went wrong, as the others do. Abort it in any case. */
CA_MUST_CHECK enum ca_err crl_output_begin(struct crl_output *output, const char *path,
                                           bool is_pem);
CA_MUST_CHECK enum ca_err crl_output_append(struct crl_output *output, struct ca_bytes bytes);
/* Empty again. */
CA_MUST_CHECK enum ca_err crl_output_restart(struct crl_output *output);
/* STORAGE_CORRUPT, said, when the DER is not the one with this SHA-256. */
CA_MUST_CHECK enum ca_err crl_output_commit(struct crl_output *output, struct ca_bytes sha256);
void crl_output_abort(struct crl_output *output);

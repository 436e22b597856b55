/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_input: a CRL from a file, DER or PEM.
 *
 * DER is mapped and takes no memory however long it is; PEM is decoded into memory.
 */
#pragma once

#include "ca/base/arena.h"
#include "ca/rules/crl_gate.h"

struct crl_input {
    const char *path;
    struct x509_crl crl;
    struct ca_bytes mapped;
    struct ca_arena *arena; /* of PEM */
    uint32_t *order;        /* for lists that are not sorted */
    size_t order_count;
};

/* Says on standard error what is wrong; NOT_FOUND: with the file, not with what is in it. Close it
 * in any case. */
CA_MUST_CHECK enum ca_err crl_input_open(const char *path, struct crl_input *input);
/* What a command ends with then: a file that cannot be read is the fault of who asked. */
int crl_input_exit(enum ca_err err);
void crl_input_close(struct crl_input *input);

/*
 * To be compared: lists that are not sorted get an index of four octets an entry, by serial
 * number. CRL_PARSE (said) for an entry that cannot be read, NOMEM.
 */
CA_MUST_CHECK enum ca_err crl_input_side(struct crl_input *input, struct rules_crl_side *side_out);

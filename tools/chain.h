/* SPDX-License-Identifier: Apache-2.0 */
/* chain: a CA's own certificate and those above it, up to a root. */
#pragma once

#include "ca/x509/cert.h"
#include "rpc/server.h"

enum { CHAIN_FILE_LEN_MAX = 1 << 20 };

struct chain {
    struct x509_cert certs[RPC_CHAIN_MAX]; /* its own first, each signed by the next */
    size_t count;
};

/*
 * All certificates of a PEM text, borrowed from the arena. refusal->field says which one is
 * meant ("certificate 2"), in the arena too. NOT_FOUND when there is none.
 */
CA_MUST_CHECK enum ca_err chain_parse(struct ca_bytes text, struct ca_arena *arena,
                                      struct chain *chain_out, struct ca_refusal *refusal);

/*
 * RFC 5280, section 6.1, for CA certificates: names link, signatures verify, every one is a CA
 * that may sign certificates, path lengths hold, nothing critical is unknown, and the last one is
 * self-signed. The first may sign CRLs, too, and no certificate is there twice.
 */
CA_MUST_CHECK enum ca_err chain_check(const struct chain *chain, struct crypto *crypto,
                                      struct ca_arena *arena, struct ca_refusal *refusal);
/* Every certificate is valid at the time. */
CA_MUST_CHECK enum ca_err chain_check_dates(const struct chain *chain, int64_t now_s,
                                            struct ca_arena *arena, struct ca_refusal *refusal);

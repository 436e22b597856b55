/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint: the rules every certificate must keep, checked on the exact bytes to be signed.
 *
 * Works from the bytes alone, sharing no code with the builder beyond the DER reader, so
 * that a fault in one is seen by the other. Rules of RFC 5280 (serial, times, names, string
 * types, extensions, duplicates, criticality), RFC 8410, key usage against key type.
 * Costs a few microseconds.
 */
#pragma once

#include "ca/x509/cert.h"

/* What the certificate's surroundings say. */
struct x509_lint_context {
    struct ca_bytes issuer_name;   /* Name, whole DER: must be byte-identical */
    struct ca_bytes issuer_key_id; /* authorityKeyIdentifier must carry it; empty: none asked */
    int64_t issuer_not_after_s;
    enum crypto_sig sig;
    bool is_ca; /* a CA certificate is wanted, otherwise an end entity's */
};

/* LINT, with the field and the rule, for the first rule broken. */
CA_MUST_CHECK enum ca_err x509_lint(struct ca_bytes tbs, const struct x509_lint_context *context,
                                    struct ca_refusal *refusal);

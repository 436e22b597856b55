/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_file: a CRL of any length from ready-encoded entries to a published file.
 *
 * Head, entries and tail are hashed while they are written, the digest is signed, the header is
 * filled in, and the finished bytes go through the gate (ca/rules/crl_gate.h) before the file
 * gets its name. Memory does not depend on the number of entries. docs/CRL.md.
 */
#pragma once

#include "ca/keys/keys.h"
#include "ca/rules/crl_gate.h"
#include "store/publish.h"

/* Where the entries come from, in ascending order of serial numbers. */
struct store_crl_source {
    void *arg;
    /* The next octets, cut anywhere; lent until the next call. Empty: no more. Of a long list
     * another thread asks for them. */
    enum ca_err (*next)(void *arg, struct ca_bytes *chunk_out);
    /* From the start, the same octets again: once in a million lists they are read twice. */
    enum ca_err (*rewind)(void *arg);
    /* Neither will be called again: what the entries come from is free. May be NULL. */
    void (*done)(void *arg);
};

struct store_crl_job {
    const struct x509_crl_form *form; /* entries_len is what the source gives in total */
    struct store_crl_source source;
    struct keys_signer *signer;
    struct crypto *crypto;
    /* crypto, signed_digest, sha256, hash_tbs, issuer, key_id, url, only_user_certs, freshest_url
     * and is_delta are filled in from the job; the caller sets previous, key, and the other
     * functions. */
    struct rules_crl_gate gate;
};

struct store_crl_made {
    uint64_t len;
    uint8_t tbs_sha256[32]; /* of TBSCertList */
    uint8_t sha256[32];     /* of the file */
    struct rules_crl_difference difference;
    bool is_from_reserve; /* the disk is full */
};

/*
 * Everything or nothing: on an error the file that was there is untouched (but see
 * store_publish_commit()), nothing is left behind, and refusal tells what the gate or the form
 * complained about. STORAGE_CORRUPT when the source gives another length than announced.
 */
CA_MUST_CHECK enum ca_err store_crl_write(const char *path, const struct store_crl_job *job,
                                          const struct store_publish_options *options,
                                          struct store_crl_made *made_out,
                                          struct ca_refusal *refusal);

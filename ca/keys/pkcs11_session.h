/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs11_session: one session with a token, from the module to a signature; private to this
 * folder.
 *
 * A session belongs to one thread at a time. Errors: BUSY when it is lost and a new one may do
 * better (the device, the login or a handle is gone), KEY_UNUSABLE and the others when it would
 * not. After any error the session is to be dropped.
 */
#pragma once

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "ca/keys/keys.h"

/* Where the key is; const once it is open. */
struct pkcs11_place {
    CK_FUNCTION_LIST *module;
    P11KitUri *uri;
    char *pin_file;
    struct crypto_own_key *own; /* what the token's public key must be */
};

struct pkcs11_session {
    CK_SESSION_HANDLE handle;
    CK_OBJECT_HANDLE key;
    bool is_open;
};

/* The module is initialised, and stays so until the process ends: other signers use it too, and a
 * call that hangs in it can not be taken back. */
CA_MUST_CHECK enum ca_err pkcs11_place_open(struct pkcs11_place *place,
                                            const struct keys_pkcs11_options *options,
                                            const struct crypto_public_key *public,
                                            struct ca_refusal *refusal);
void pkcs11_place_close(struct pkcs11_place *place);

/* Token, login, key, and its public key compared: one thread of the process at a time. */
CA_MUST_CHECK enum ca_err pkcs11_session_open(struct pkcs11_session *session,
                                              const struct pkcs11_place *place,
                                              struct ca_refusal *refusal);
void pkcs11_session_drop(struct pkcs11_session *session, const struct pkcs11_place *place);
/* Is it still there, and logged in? */
CA_MUST_CHECK enum ca_err pkcs11_session_check(struct pkcs11_session *session,
                                               const struct pkcs11_place *place);

enum { PKCS11_INPUT_LEN_MAX = 96 }; /* DigestInfo with SHA-512 */
struct pkcs11_input {
    uint8_t bytes[PKCS11_INPUT_LEN_MAX];
    size_t len;
    struct ca_bytes message; /* Ed25519: signed whole */
};
/* What the token is given for a digest. KEY_UNUSABLE if the digest does not fit. */
CA_MUST_CHECK enum ca_err pkcs11_input_set(struct pkcs11_input *input,
                                           const struct crypto_public_key *public,
                                           enum crypto_sig sig, const struct crypto_digest *digest);
/* SIGNATURE_WRONG for an answer of another length than the key's. */
CA_MUST_CHECK enum ca_err pkcs11_session_sign(struct pkcs11_session *session,
                                              const struct pkcs11_place *place, enum crypto_sig sig,
                                              const struct pkcs11_input *input,
                                              struct crypto_signature *signature);

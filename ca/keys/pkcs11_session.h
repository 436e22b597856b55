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
    struct crypto_own_key *own; /* what the token's public key must be; NULL: any */
};

struct pkcs11_session {
    CK_SESSION_HANDLE handle;
    CK_OBJECT_HANDLE key;
    bool is_open;
};

/* Every answer of a module passes through here, so no CKR_ leaves this folder. What is not known to
 * last is taken for a session that is lost. */
enum ca_err pkcs11_error(CK_RV rv);

/* The module is initialised, and stays so until the process ends: other signers use it too, and a
 * call that hangs in it can not be taken back. Without a public key, any is good. */
CA_MUST_CHECK enum ca_err pkcs11_place_open(struct pkcs11_place *place,
                                            const struct keys_pkcs11_options *options,
                                            const struct crypto_public_key *public,
                                            struct ca_refusal *refusal);
void pkcs11_place_close(struct pkcs11_place *place);
/* Does the URI say which key, and not the token alone? */
bool pkcs11_place_names_key(const struct pkcs11_place *place);
/* Label and id, where the URI has them; how many. */
CK_ULONG pkcs11_place_names(const struct pkcs11_place *place, CK_ATTRIBUTE attributes[2]);

/* Token and login alone, for what is done with a token besides signing; flags as C_OpenSession has
 * them. */
CA_MUST_CHECK enum ca_err pkcs11_session_login(struct pkcs11_session *session,
                                               const struct pkcs11_place *place, CK_FLAGS flags,
                                               struct ca_refusal *refusal);
/* Both halves of the URI's key, where there is exactly one; the private one is session->key. */
CA_MUST_CHECK enum ca_err pkcs11_session_find(struct pkcs11_session *session,
                                              const struct pkcs11_place *place,
                                              CK_OBJECT_HANDLE *public_out,
                                              struct ca_refusal *refusal);
/* The public one that belongs to session->key: NOT_FOUND, or KEY_UNUSABLE if there are several. */
CA_MUST_CHECK enum ca_err pkcs11_session_find_public(struct pkcs11_session *session,
                                                     const struct pkcs11_place *place,
                                                     CK_OBJECT_HANDLE *object_out);
enum { PKCS11_VALUE_LEN_MAX = 1024 };
/* Empty where the object has none, or does not tell it. */
CA_MUST_CHECK enum ca_err pkcs11_session_read(const struct pkcs11_session *session,
                                              const struct pkcs11_place *place,
                                              CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                                              uint8_t buffer[PKCS11_VALUE_LEN_MAX],
                                              struct ca_bytes *value_out);
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

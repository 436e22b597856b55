/* SPDX-License-Identifier: Apache-2.0 */
/* audit_key: the public half of the key that signs heads of the audit log, as auditors have it. */
#pragma once

#include "ca/base/arena.h"
#include "ca/crypto/crypto.h"

enum { AUDIT_KEY_FILE_LEN_MAX = 64 << 10 };

/* From PEM; it lives in the arena. FIELD_FORMAT unless there is exactly one PUBLIC KEY, KEY_TYPE
 * unless that is Ed25519. */
CA_MUST_CHECK enum ca_err audit_key_parse(struct ca_bytes text, struct ca_arena *arena,
                                          struct crypto_public_key *key_out);
/* A public key of any type, as PEM in a new file; EXISTS when there is one. */
CA_MUST_CHECK enum ca_err audit_key_save(const char *path, const struct crypto_public_key *key);

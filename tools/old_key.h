/* SPDX-License-Identifier: Apache-2.0 */
/* old_key: a renewal's proof that the holder asks: the old key signs the request. */
#pragma once

#include "ca/base/arena.h"
#include "ca/base/bytes.h"

/*
 * Signs the whole request (DER) with the unencrypted PKCS#8 key in a PEM file: with the request's
 * own signature algorithm where the key fits it, otherwise with the key's usual one. The key stays
 * in locked memory. False after saying what is wrong; the signature is in the arena.
 */
bool old_key_sign(const char *path, struct ca_bytes csr, struct ca_arena *arena,
                  struct ca_bytes *signature_out);

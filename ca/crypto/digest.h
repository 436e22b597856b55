/* SPDX-License-Identifier: Apache-2.0 */
/* digest: hashes of what is in memory. Any thread; no state is kept. */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/limits.h"

/* SHA-256 over the concatenation of the parts. */
void crypto_sha256(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN]);
/* Of two messages, which may overlap: in little more than the time of the longer one if the
 * processor has what crypto_sha256_has_pair() looks for, otherwise one after the other. */
void crypto_sha256_two(const struct ca_bytes messages[2], uint8_t (*digests_out)[CA_DIGEST_LEN]);
bool crypto_sha256_has_pair(void); /* asks the processor, which takes microseconds in a guest */

/*
 * Messages whose padding stands behind them: short ones cost little more than their blocks. Two
 * go side by side, the next beside what is left of the longer; has_pair is what the question
 * above was answered with. pad needs room for CRYPTO_SHA256_PADDING_MAX octets behind `len`, and
 * tells how many there are with it.
 */
enum { CRYPTO_SHA256_PADDING_MAX = 72 };
size_t crypto_sha256_pad(uint8_t *message, size_t len);
void crypto_sha256_padded(bool has_pair, const struct ca_bytes *messages, size_t count,
                          uint8_t (*digests_out)[CA_DIGEST_LEN]);

void crypto_sm3(const struct ca_bytes *parts, size_t count, uint8_t digest[CA_DIGEST_LEN]);
/* SHA-1 is used for nothing but the key identifier of RFC 5280, section 4.2.1.2, method 1. */
void crypto_sha1_key_id(struct ca_bytes bytes, uint8_t digest[20]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what OpenSSL allocates while it handles secrets.
 *
 * It keeps copies of an RSA key's factors on the ordinary heap, which may be swapped and dumped.
 * Between begin and end everything that this thread lets OpenSSL allocate comes from its secure
 * heap instead, and goes back there whenever it is freed.
 */
#pragma once

#include <stdbool.h>

/* False without a secure heap, or where another allocator came first. */
bool crypto_memory_is_ready(void);

void crypto_memory_begin(void);
void crypto_memory_end(void);

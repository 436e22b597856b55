/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory with one lifetime. Everything about a call lives in its arena and
 * ends with ca_arena_reset() or ca_arena_free(). Owned by one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"

struct ca_arena;

/* Takes memory in blocks of block_size, or more for one large piece; never above size_max. */
CA_MUST_CHECK enum ca_err ca_arena_new(size_t block_size, size_t size_max,
                                       struct ca_arena **arena_out);
void ca_arena_free(struct ca_arena *arena);

/* Zeroed memory aligned for any type; NULL when the arena is exhausted. */
void *ca_arena_alloc(struct ca_arena *arena, size_t size);
/* As above, for memory that is overwritten at once. */
void *ca_arena_alloc_raw(struct ca_arena *arena, size_t size);
/* A copy with a NUL behind it; data is NULL when the arena is exhausted. */
struct ca_bytes ca_arena_copy(struct ca_arena *arena, struct ca_bytes bytes);

/* Octets lent, and those that blocks before the newest had left. */
size_t ca_arena_used(const struct ca_arena *arena);

/* There was no memory since the last reset, although the arena was not exhausted. */
bool ca_arena_is_starved(const struct ca_arena *arena);

/* Ends everything lent. Keeps the first block, so that a reused arena asks for no memory. */
void ca_arena_reset(struct ca_arena *arena);

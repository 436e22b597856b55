/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

struct block {
    struct block *older;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t memory[];
};

struct ca_arena {
    struct block *newest;
    size_t block_size;
    size_t size_max;
    size_t size; /* of all blocks */
    bool is_starved;
};

static struct block *block_add(struct ca_arena *arena, size_t size)
{
    if (size < arena->block_size)
        size = arena->block_size;
    if (size > arena->size_max - arena->size)
        return NULL;
    struct block *block = malloc(sizeof(*block) + size);
    if (block == NULL) {
        arena->is_starved = true;
        return NULL;
    }
    block->older = arena->newest;
    block->size = size;
    block->used = 0;
    arena->newest = block;
    arena->size += size;
    return block;
}

enum ca_err ca_arena_new(size_t block_size, size_t size_max, struct ca_arena **arena_out)
{
    *arena_out = NULL;
    assert(block_size > 0 && block_size <= size_max);

    struct ca_arena *arena = calloc(1, sizeof(*arena));
    if (arena == NULL)
        return CA_ERR_NOMEM;
    arena->block_size = block_size;
    arena->size_max = size_max;
    if (block_add(arena, block_size) == NULL) {
        free(arena);
        return CA_ERR_NOMEM;
    }
    *arena_out = arena;
    return CA_OK;
}

void ca_arena_free(struct ca_arena *arena)
{
    if (arena == NULL)
        return;
    for (struct block *block = arena->newest; block != NULL;) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
    free(arena);
}

void *ca_arena_alloc_raw(struct ca_arena *arena, size_t size)
{
    if (size > arena->size_max)
        return NULL;
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    struct block *block = arena->newest;
    if (size > block->size - block->used && (block = block_add(arena, size)) == NULL)
        return NULL;
    void *memory = block->memory + block->used;
    block->used += size;
    return memory;
}

void *ca_arena_alloc(struct ca_arena *arena, size_t size)
{
    void *memory = ca_arena_alloc_raw(arena, size);

    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

struct ca_bytes ca_arena_copy(struct ca_arena *arena, struct ca_bytes bytes)
{
    uint8_t *copy = ca_arena_alloc_raw(arena, bytes.len + 1);

    if (copy == NULL)
        return (struct ca_bytes){ 0 };
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = 0;
    return ca_bytes_of(copy, bytes.len);
}

size_t ca_arena_used(const struct ca_arena *arena)
{
    return arena->size - (arena->newest->size - arena->newest->used);
}

bool ca_arena_is_starved(const struct ca_arena *arena)
{
    return arena->is_starved;
}

void ca_arena_reset(struct ca_arena *arena)
{
    arena->is_starved = false;
    while (arena->newest->older != NULL) {
        struct block *older = arena->newest->older;
        arena->size -= arena->newest->size;
        free(arena->newest);
        arena->newest = older;
    }
    arena->newest->used = 0;
}

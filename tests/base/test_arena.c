/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/arena.h"
#include "tests/support/check.h"

TestSuite(arena, .timeout = 10);

Test(arena, lends_zeroed_memory_that_does_not_overlap)
{
    struct ca_arena *arena;
    uint8_t *pieces[100];

    check_ok(ca_arena_new(64, 1 << 20, &arena));
    for (int i = 0; i < 100; i++) {
        pieces[i] = ca_arena_alloc(arena, 33);
        cr_assert(pieces[i] != NULL);
        for (int j = 0; j < 33; j++)
            cr_assert(pieces[i][j] == 0);
        memset(pieces[i], i, 33);
    }
    for (int i = 0; i < 100; i++)
        cr_assert(pieces[i][0] == i && pieces[i][32] == i);
    ca_arena_free(arena);
}

Test(arena, an_exhausted_one_says_so_and_is_usable_after_a_reset)
{
    struct ca_arena *arena;

    check_ok(ca_arena_new(1024, 4096, &arena));
    cr_assert(ca_arena_alloc(arena, 5000) == NULL);
    cr_assert(ca_arena_alloc(arena, SIZE_MAX) == NULL);
    while (ca_arena_alloc(arena, 100) != NULL)
        ;
    ca_arena_reset(arena);
    cr_assert(ca_arena_alloc(arena, 3000) != NULL);
    ca_arena_free(arena);
}

Test(arena, a_copy_ends_with_a_nul)
{
    struct ca_arena *arena;

    check_ok(ca_arena_new(1024, 4096, &arena));
    struct ca_bytes copy = ca_arena_copy(arena, CA_BYTES("abc"));
    check_bytes(copy, CA_BYTES("abc"));
    cr_assert(copy.data[3] == 0);
    ca_arena_free(arena);
}

Test(arena, tells_what_is_in_use)
{
    struct ca_arena *arena;

    check_ok(ca_arena_new(64, 1 << 20, &arena));
    cr_assert(ca_arena_used(arena) == 0);
    cr_assert(ca_arena_alloc(arena, 16) != NULL && ca_arena_used(arena) == 16);
    cr_assert(ca_arena_alloc(arena, 1000) != NULL);
    cr_assert(ca_arena_used(arena) == 64 + 1008); /* aligned; the first block's rest is lost */
    ca_arena_reset(arena);
    cr_assert(ca_arena_used(arena) == 0);
    ca_arena_free(arena);
}

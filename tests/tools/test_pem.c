/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/support/check.h"
#include "tools/pem.h"

static struct ca_arena *arena;

static void open_arena(void)
{
    check_ok(ca_arena_new(4096, 1 << 20, &arena));
}

static void close_arena(void)
{
    ca_arena_free(arena);
}

TestSuite(pem, .init = open_arena, .fini = close_arena, .timeout = 10);

Test(pem, every_length_comes_back_as_it_was)
{
    uint8_t octets[200];

    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 37 + 5);
    for (size_t len = 0; len <= sizeof(octets); len++) {
        char *text;
        size_t text_len;
        struct pem_block block;
        FILE *to = open_memstream(&text, &text_len);
        pem_write(to, "SOME THING", ca_bytes_of(octets, len));
        fclose(to);
        struct ca_bytes rest = ca_bytes_of(text, text_len);
        check_ok(pem_next(&rest, arena, &block));
        cr_assert_str_eq(block.label, "SOME THING");
        check_bytes(block.der, ca_bytes_of(octets, len));
        check_err(pem_next(&rest, arena, &block), CA_ERR_NOT_FOUND);
        free(text);
        ca_arena_reset(arena);
    }
}

Test(pem, text_around_blocks_and_line_ends_of_either_kind_are_skipped)
{
    struct ca_bytes text =
        CA_BYTES("subject=x\n-----BEGIN A-----\r\nZm9v\r\nYmFy\r\n-----END A-----\r\n"
                 "more\n-----BEGIN B-----\nZg==\n-----END B-----");
    struct pem_block block;

    check_ok(pem_next(&text, arena, &block));
    check_bytes(block.der, CA_BYTES("foobar"));
    check_ok(pem_next(&text, arena, &block));
    cr_assert_str_eq(block.label, "B");
    check_bytes(block.der, CA_BYTES("f"));
}

Test(pem, what_is_not_well_formed_is_refused)
{
    static const char *const wrong[] = {
        "-----BEGIN A-----\nZm9v\n",
        "-----BEGIN A-----\nZm9v\n-----END B-----\n",
        "-----BEGIN A-----\nZm9\n-----END A-----\n",
        "-----BEGIN A-----\nZm9=v\n-----END A-----\n",
        "-----BEGIN A-----\nZg==Zg==\n-----END A-----\n",
        "-----BEGIN A-----\nZg==\nZg==\n-----END A-----\n",
        "-----BEGIN A-----\nZh==\n-----END A-----\n",
        "-----BEGIN A-----\nZ===\n-----END A-----\n",
        "-----BEGIN A-----\nZm 9v\n-----END A-----\n",
        "-----BEGIN A-----\nHeader: x\n\nZm9v\n-----END A-----\n",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ca_bytes text = ca_bytes_of_text(wrong[i]);
        struct pem_block block;
        cr_assert(pem_next(&text, arena, &block) == CA_ERR_FIELD_FORMAT, "%s", wrong[i]);
    }
}

Test(pem, a_block_is_decoded_into_memory_of_the_callers_or_not_at_all)
{
    static const char text[] = "-----BEGIN A-----\nZm9v\nYmFy\n-----END A-----\n";
    uint8_t data[16] = { 0 };
    struct pem_block block;
    struct ca_bytes rest;

    for (size_t size = 0; size <= 9; size++) {
        rest = ca_bytes_of_text(text);
        data[size] = 0xee;
        enum ca_err err = pem_next_into(&rest, data, size, &block);
        cr_assert_eq(data[size], 0xee, "%zu", size);
        cr_assert(err == (size < 9 ? CA_ERR_FIELD_LENGTH : CA_OK), "%zu", size);
    }
    check_bytes(block.der, CA_BYTES("foobar"));
    cr_assert_eq(block.der.data, data);
    check_err(pem_next_into(&rest, data, sizeof(data), &block), CA_ERR_NOT_FOUND);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_head: what is to be signed as a head of the audit log, and files of kept heads.
 *
 * What can be read is written again, to the same octets.
 */
#include <assert.h>
#include <stdlib.h>

#include "ca/keys/head.h"

static void check_text(struct ca_bytes text)
{
    char again[KEYS_HEAD_TEXT_MAX + 1];
    struct keys_head_guard guard;
    struct keys_head head;

    keys_head_guard_init(&guard);
    enum ca_err err = keys_head_parse(text, &head);
    if (err == CA_OK && !ca_bytes_equal(ca_bytes_of(again, keys_head_text(&head, again)), text))
        abort();
    assert(keys_head_guard_admit(&guard, text) == (err == CA_OK ? CA_OK : CA_ERR_DENIED));
    keys_head_guard_wipe(&guard);
}

static void check_notes(struct ca_bytes text)
{
    char again[KEYS_NOTE_MAX + 1];
    struct keys_signed_head head;
    const uint8_t *end = text.data + text.len;

    while (keys_note_next(&text, &head) == CA_OK) {
        size_t len = keys_note_write(&head, again);
        assert(text.data + text.len == end);
        if (!ca_bytes_equal(ca_bytes_of(again, len), ca_bytes_of(text.data - len, len)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text(ca_bytes_of(data, size));
    check_notes(ca_bytes_of(data, size));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: one sorted, immutable file of look-up entries (docs/STORAGE.md has the bytes).
 *
 * A run covers a range of change sequences and has three sections, one per kind of digest, each
 * with every certificate that was added in that range. It is mapped, not read: opening looks at the
 * header only, and every block that a look-up or walk touches is checked when it is touched.
 * Damage is STORAGE_CORRUPT, never a wrong answer. Any thread may look up.
 */
#pragma once

#include "store/record.h"

struct store_run;
struct store_run_writer;

/* A digest as two big-endian numbers, and the certificate: sorted by these, in this order. */
struct store_run_entry {
    uint64_t high, low;
    uint64_t locator;
};

/* Change sequences above from, up to and including to. */
struct store_run_range {
    uint64_t from, to;
};

enum {
    STORE_RUN_NAME_LEN = 16 + 1 + 16 + 4, /* from-to.run in hexadecimal */
    STORE_RUN_ENTRIES_MAX = 1 << 30,
};

static inline int store_run_entry_compare(const struct store_run_entry *a,
                                          const struct store_run_entry *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return (a->locator > b->locator) - (a->locator < b->locator);
}

struct store_run_entry store_run_entry_make(const struct store_digest *digest, uint64_t locator);

void store_run_name(struct store_run_range range, char name[STORE_RUN_NAME_LEN + 1]);
bool store_run_name_parse(const char *name, struct store_run_range *range_out);

/*
 * Writing: entry_count entries of each section, section after section, in order; then finish,
 * which makes the file appear under its name, synced. STORAGE_FULL when the disk is. Exactly one
 * of finish or abort ends a writer.
 */
CA_MUST_CHECK enum ca_err store_run_writer_open(int dir_fd, const uint8_t id[STORE_ID_LEN],
                                                struct store_run_range range, size_t entry_count,
                                                struct store_run_writer **writer_out);
CA_MUST_CHECK enum ca_err store_run_writer_put(struct store_run_writer *writer,
                                               const struct store_run_entry *entry);
CA_MUST_CHECK enum ca_err store_run_writer_finish(struct store_run_writer *writer);
void store_run_writer_abort(struct store_run_writer *writer);

/* NOT_FOUND; STORAGE_CORRUPT when header, size, range or id are not what they must be. */
CA_MUST_CHECK enum ca_err store_run_open(int dir_fd, struct store_run_range range,
                                         const uint8_t id[STORE_ID_LEN],
                                         struct store_run **run_out);
void store_run_close(struct store_run *run);
/* The same over bytes in memory, which are lent until the run is closed. */
CA_MUST_CHECK enum ca_err store_run_open_bytes(struct ca_bytes bytes, struct store_run_range range,
                                               const uint8_t id[STORE_ID_LEN],
                                               struct store_run **run_out);

struct store_run_range store_run_range(const struct store_run *run);
size_t store_run_entry_count(const struct store_run *run);

/* Locators of the digest of `from`, from.locator and above, ascending, at most count_max. */
CA_MUST_CHECK enum ca_err store_run_find(const struct store_run *run, enum store_section section,
                                         const struct store_run_entry *from, uint64_t *locators_out,
                                         size_t count_max, size_t *count_out);

/* One section from its beginning to its end: NOT_FOUND behind the last entry. */
struct store_run_walk {
    const struct store_run *run;
    enum store_section section;
    size_t position;
};
CA_MUST_CHECK enum ca_err store_run_walk_next(struct store_run_walk *walk,
                                              struct store_run_entry *entry_out);
/* Every octet of the file: also what no walk looks at. */
CA_MUST_CHECK enum ca_err store_run_check(const struct store_run *run);

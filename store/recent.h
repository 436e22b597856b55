/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recent: look-up entries of the latest certificates, in memory, until they become a run.
 *
 * One thread puts; any thread finds, without locks. Of a fixed size, made at once.
 */
#pragma once

#include "store/run.h"

struct store_recent;

/* What one change adds to look-ups. */
struct store_recent_row {
    uint64_t sequence;
    uint64_t locator;
    struct store_digest digests[STORE_SECTION_COUNT];
};

/* from: the change sequence that the table before it ends with. */
CA_MUST_CHECK enum ca_err store_recent_new(size_t capacity, uint64_t from,
                                           struct store_recent **recent_out);
void store_recent_free(struct store_recent *recent);

/* Rows that may still be put. */
size_t store_recent_room(const struct store_recent *recent);
size_t store_recent_count(const struct store_recent *recent);
/* The writer's, or anyone's once nothing is put any more. */
struct store_run_range store_recent_range(const struct store_recent *recent);

/* A row that is put soon: fetches what it will be linked to. */
void store_recent_expect(const struct store_recent *recent, const struct store_recent_row *row);
/* Not without room. */
void store_recent_put(struct store_recent *recent, const struct store_recent_row *row);
/*
 * The rows put last, so many, are found no more, and changes end at `to` again. Needs no memory;
 * the room of the rows is not used again, since whoever looks just now may be at one of them.
 */
void store_recent_take_back(struct store_recent *recent, size_t count, uint64_t to);
/* Changes up to `to` were looked at, and those not put add nothing. */
void store_recent_extend(struct store_recent *recent, uint64_t to);

/* As store_run_find(). */
size_t store_recent_find(const struct store_recent *recent, enum store_section section,
                         const struct store_run_entry *from, uint64_t *locators_out,
                         size_t count_max);

/* The entries of one section, sorted, once nothing is put any more: room for all of them. */
CA_MUST_CHECK enum ca_err store_recent_sort(const struct store_recent *recent,
                                            enum store_section section,
                                            struct store_run_entry *entries);

/* Puts locator into an ascending list of the count_max lowest, without doubles. */
void store_locators_put(uint64_t *locators, size_t *count, size_t count_max, uint64_t locator);

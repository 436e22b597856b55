/* SPDX-License-Identifier: Apache-2.0 */
#include "store/recent.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A row is complete before a head leads to it, and what finds read of it never changes after. */
struct row {
    struct store_run_entry entries[STORE_SECTION_COUNT];
    uint32_t next[STORE_SECTION_COUNT]; /* number of a row plus one; 0 ends the chain */
    bool is_taken_back;                 /* the writer's: no head leads to it any more */
};

struct store_recent {
    size_t capacity;
    size_t count;      /* of rows used */
    size_t gone_count; /* of those, taken back */
    struct store_run_range range;
    uint32_t mask;
    struct row *rows;
    _Atomic uint32_t *heads[STORE_SECTION_COUNT];
};

enum ca_err store_recent_new(size_t capacity, uint64_t from, struct store_recent **recent_out)
{
    struct store_recent *recent = calloc(1, sizeof(*recent));
    size_t head_count = 64;

    *recent_out = NULL;
    assert(capacity > 0 && capacity <= STORE_RUN_ENTRIES_MAX);
    if (recent == NULL)
        return CA_ERR_NOMEM;
    while (head_count < capacity)
        head_count *= 2;
    recent->capacity = capacity;
    recent->range = (struct store_run_range){ from, from };
    recent->mask = (uint32_t)(head_count - 1);
    recent->rows = malloc(capacity * sizeof(*recent->rows));
    bool is_complete = recent->rows != NULL;
    for (int i = 0; i < STORE_SECTION_COUNT; i++) {
        recent->heads[i] = calloc(head_count, sizeof(*recent->heads[i]));
        is_complete = is_complete && recent->heads[i] != NULL;
    }
    if (!is_complete) {
        store_recent_free(recent);
        return CA_ERR_NOMEM;
    }
    *recent_out = recent;
    return CA_OK;
}

void store_recent_free(struct store_recent *recent)
{
    if (recent == NULL)
        return;
    for (int i = 0; i < STORE_SECTION_COUNT; i++)
        free(recent->heads[i]);
    free(recent->rows);
    free(recent);
}

size_t store_recent_room(const struct store_recent *recent)
{
    return recent->capacity - recent->count;
}

size_t store_recent_count(const struct store_recent *recent)
{
    return recent->count - recent->gone_count;
}

struct store_run_range store_recent_range(const struct store_recent *recent)
{
    return recent->range;
}

static _Atomic uint32_t *recent_head(const struct store_recent *recent, enum store_section section,
                                     const struct store_run_entry *entry)
{
    uint64_t hash = (entry->high ^ entry->low) * 0x9e3779b97f4a7c15u;

    return &recent->heads[section][(uint32_t)(hash >> 32) & recent->mask];
}

void store_recent_expect(const struct store_recent *recent, const struct store_recent_row *row)
{
    for (int i = 0; i < STORE_SECTION_COUNT; i++) {
        struct store_run_entry entry = store_run_entry_make(&row->digests[i], row->locator);
        __builtin_prefetch(recent_head(recent, (enum store_section)i, &entry), 1);
    }
}

void store_recent_put(struct store_recent *recent, const struct store_recent_row *put)
{
    struct row *row = &recent->rows[recent->count];

    assert(recent->count < recent->capacity && put->sequence > recent->range.to);
    recent->count++;
    recent->range.to = put->sequence;
    row->is_taken_back = false;
    for (int i = 0; i < STORE_SECTION_COUNT; i++) {
        row->entries[i] = store_run_entry_make(&put->digests[i], put->locator);
        _Atomic uint32_t *head = recent_head(recent, (enum store_section)i, &row->entries[i]);
        row->next[i] = atomic_load_explicit(head, memory_order_relaxed);
        atomic_store_explicit(head, (uint32_t)recent->count, memory_order_release);
    }
}

void store_recent_take_back(struct store_recent *recent, size_t count, uint64_t to)
{
    assert(count <= recent->count && to <= recent->range.to);
    for (size_t number = recent->count; number > recent->count - count; number--) {
        struct row *row = &recent->rows[number - 1];
        for (int i = 0; i < STORE_SECTION_COUNT; i++) {
            _Atomic uint32_t *head = recent_head(recent, (enum store_section)i, &row->entries[i]);
            atomic_store_explicit(head, row->next[i], memory_order_release);
        }
        row->is_taken_back = true;
    }
    recent->gone_count += count;
    recent->range.to = to;
}

void store_recent_extend(struct store_recent *recent, uint64_t to)
{
    if (to > recent->range.to)
        recent->range.to = to;
}

void store_locators_put(uint64_t *locators, size_t *count, size_t count_max, uint64_t locator)
{
    size_t at = *count;

    while (at > 0 && locators[at - 1] > locator)
        at--;
    if (at == count_max || (at > 0 && locators[at - 1] == locator))
        return;
    if (*count < count_max)
        (*count)++;
    for (size_t i = *count - 1; i > at; i--)
        locators[i] = locators[i - 1];
    locators[at] = locator;
}

size_t store_recent_find(const struct store_recent *recent, enum store_section section,
                         const struct store_run_entry *from, uint64_t *locators_out,
                         size_t count_max)
{
    _Atomic uint32_t *head = recent_head(recent, section, from);
    uint32_t number = atomic_load_explicit(head, memory_order_acquire);
    size_t count = 0;

    while (number != 0) {
        const struct row *row = &recent->rows[number - 1];
        const struct store_run_entry *entry = &row->entries[section];
        if (entry->high == from->high && entry->low == from->low && entry->locator >= from->locator)
            store_locators_put(locators_out, &count, count_max, entry->locator);
        number = row->next[section];
    }
    return count;
}

static int compare_entries(const void *a, const void *b)
{
    return store_run_entry_compare(a, b);
}

/* Digests are uniform: one pass deals them out by their first bits, then piles are small. */
enum { PILE_BITS = 12, PILES = 1 << PILE_BITS };

enum ca_err store_recent_sort(const struct store_recent *recent, enum store_section section,
                              struct store_run_entry *entries)
{
    size_t *ends = calloc(PILES + 1, sizeof(*ends));

    if (ends == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < recent->count; i++)
        if (!recent->rows[i].is_taken_back)
            ends[(recent->rows[i].entries[section].high >> (64 - PILE_BITS)) + 1]++;
    for (size_t i = 0; i < PILES; i++)
        ends[i + 1] += ends[i];
    /* ends[i] is where pile i starts, and, when all are dealt, where it ends. */
    for (size_t i = 0; i < recent->count; i++) {
        const struct store_run_entry *entry = &recent->rows[i].entries[section];
        if (!recent->rows[i].is_taken_back)
            entries[ends[entry->high >> (64 - PILE_BITS)]++] = *entry;
    }
    for (size_t i = 0; i < PILES; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        if (ends[i] - start > 1)
            qsort(entries + start, ends[i] - start, sizeof(*entries), compare_entries);
    }
    free(ends);
    return CA_OK;
}

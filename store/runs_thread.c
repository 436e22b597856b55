/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/runs_parts.h"

enum {
    YIELD_ENTRIES = 32768, /* merged between two looks at what is more urgent */
    LEVELS = 8,
    CROWD = 64, /* parts: merged more eagerly above */
};

static size_t set_position(const struct store_runs_set *set, const struct runs_part *part)
{
    size_t at = 0;

    while (set->parts[at] != part)
        at++;
    return at;
}

/* ---- tables become files */

/* Writes a table, and opens what was written. */
static enum ca_err recent_to_run(struct store_runs *runs, const struct store_recent *recent,
                                 struct runs_part **part_out)
{
    struct store_run_range range = store_recent_range(recent);
    size_t count = store_recent_count(recent);
    struct store_run_entry *entries = malloc((count + 1) * sizeof(*entries));
    struct store_run_writer *writer = NULL;
    struct store_run *run = NULL;
    enum ca_err err = CA_ERR_NOMEM;

    *part_out = NULL;
    if (entries == NULL)
        goto out;
    err = store_run_writer_open(runs->dir_fd, runs->options.id, range, count, &writer);
    for (int s = 0; err == CA_OK && s < STORE_SECTION_COUNT; s++) {
        err = store_recent_sort(recent, (enum store_section)s, entries);
        for (size_t i = 0; err == CA_OK && i < count; i++)
            err = store_run_writer_put(writer, &entries[i]);
    }
    if (err != CA_OK)
        goto out;
    err = store_run_writer_finish(writer);
    writer = NULL;
    if (err == CA_OK)
        err = store_run_open(runs->dir_fd, range, runs->options.id, &run);
    if (err == CA_OK)
        err = runs_part_new(NULL, run, part_out);
out:
    store_run_writer_abort(writer);
    free(entries);
    return err;
}

/* What is short is waited out; anything else is the end of writing. Under the lock. */
static void runs_note(struct store_runs *runs, enum ca_err err, bool *blocked)
{
    if (err == CA_ERR_STORAGE_FULL || err == CA_ERR_NOMEM)
        *blocked = true;
    else if (err != CA_OK && err != CA_ERR_STOPPING && runs->failure == CA_OK)
        runs->failure = err;
}

static bool runs_may_write(const struct store_runs *runs)
{
    return runs->failure == CA_OK && (!runs->is_blocked || runs->is_retrying);
}

/* After a try to write what is due. Under the lock. */
static void runs_note_written(struct store_runs *runs, enum ca_err err)
{
    if (err == CA_OK)
        runs->is_blocked = false;
    runs->is_retrying = false;
    runs_note(runs, err, &runs->is_blocked);
}

/* Under the lock, which is let go of for the writing. False when there was nothing to write. */
static bool runs_write_due(struct store_runs *runs)
{
    size_t waiting;
    struct runs_part *due = runs_find_due(runs->set, &waiting), *written = NULL;

    if (due == NULL || !runs_may_write(runs))
        return false;
    pthread_mutex_unlock(&runs->lock); /* nobody else takes parts out: due stays */
    enum ca_err err = recent_to_run(runs, due->recent, &written);
    pthread_mutex_lock(&runs->lock);
    if (err == CA_OK)
        err = runs_install(runs, set_position(runs->set, due), 1, &written, 1);
    runs_note_written(runs, err);
    pthread_cond_broadcast(&runs->room);
    return err == CA_OK;
}

/* ---- merging */

static int level_of(const struct store_runs *runs, size_t entry_count)
{
    int level = 0;

    for (size_t size = runs->options.run_entries; size < entry_count; size *= RUNS_FANOUT)
        level++;
    return level;
}

/* Is it worth to merge these? What comes out should be of a higher level, or each entry would be
 * written again and again. */
static bool group_is_ripe(const struct store_runs *runs, struct runs_part *const *parts, int level,
                          bool is_crowded)
{
    size_t total = 0, size = runs->options.run_entries;

    for (int i = 0; i < RUNS_FANOUT; i++) {
        struct store_run *run = parts[i]->run;
        if (run == NULL || atomic_load(&parts[i]->is_damaged) ||
            level_of(runs, store_run_entry_count(run)) > level)
            return false;
        total += store_run_entry_count(run);
    }
    for (int i = 0; i <= level; i++)
        size *= RUNS_FANOUT;
    return total <= STORE_RUN_ENTRIES_MAX && (level == 0 || is_crowded || total >= size / 2);
}

/* Under the lock: neighbours to merge, the lowest level first. */
static bool set_find_merge(const struct store_runs *runs, size_t *at_out)
{
    const struct store_runs_set *set = runs->set;
    bool is_crowded = set->count > CROWD;

    for (int level = 0; level < LEVELS; level++)
        for (*at_out = 0; *at_out + RUNS_FANOUT <= set->count; (*at_out)++)
            if (group_is_ripe(runs, set->parts + *at_out, level, is_crowded))
                return true;
    return false;
}

/* What cannot wait for the end of a merge. */
static enum ca_err runs_yield(struct store_runs *runs)
{
    pthread_mutex_lock(&runs->lock);
    while (!runs->is_stopping && runs_write_due(runs))
        ;
    enum ca_err err = runs->is_stopping ? CA_ERR_STOPPING : runs->failure;
    pthread_mutex_unlock(&runs->lock);
    return err;
}

/* The next entry of input i; one behind all others when it has no more. */
static enum ca_err merge_advance(struct runs_part *part, struct store_run_walk *walk,
                                 struct store_run_entry *entry_out)
{
    enum ca_err err = store_run_walk_next(walk, entry_out);

    if (err == CA_ERR_NOT_FOUND) {
        *entry_out = (struct store_run_entry){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
        err = CA_OK;
    } else if (err == CA_ERR_STORAGE_CORRUPT) {
        atomic_store(&part->is_damaged, true);
    }
    return err;
}

static enum ca_err merge_section(struct store_runs *runs, struct runs_part **parts,
                                 enum store_section section, size_t total,
                                 struct store_run_writer *writer)
{
    struct store_run_walk walks[RUNS_FANOUT];
    struct store_run_entry heads[RUNS_FANOUT];
    enum ca_err err = CA_OK;

    for (int i = 0; i < RUNS_FANOUT && err == CA_OK; i++) {
        walks[i] = (struct store_run_walk){ parts[i]->run, section, 0 };
        err = merge_advance(parts[i], &walks[i], &heads[i]);
    }
    for (size_t n = 0; n < total && err == CA_OK; n++) {
        int lowest = 0;
        for (int i = 1; i < RUNS_FANOUT; i++)
            if (store_run_entry_compare(&heads[i], &heads[lowest]) < 0)
                lowest = i;
        if (n % YIELD_ENTRIES == 0 && (err = runs_yield(runs)) != CA_OK)
            break;
        if ((err = store_run_writer_put(writer, &heads[lowest])) == CA_OK)
            err = merge_advance(parts[lowest], &walks[lowest], &heads[lowest]);
    }
    return err;
}

static enum ca_err merge_write(struct store_runs *runs, struct runs_part **parts,
                               struct runs_part **part_out)
{
    struct store_run_range range = { runs_part_range(parts[0]).from,
                                     runs_part_range(parts[RUNS_FANOUT - 1]).to };
    struct store_run_writer *writer = NULL;
    struct store_run *run = NULL;
    size_t total = 0;

    *part_out = NULL;
    for (int i = 0; i < RUNS_FANOUT; i++)
        total += store_run_entry_count(parts[i]->run);
    enum ca_err err = store_run_writer_open(runs->dir_fd, runs->options.id, range, total, &writer);
    for (int s = 0; s < STORE_SECTION_COUNT && err == CA_OK; s++)
        err = merge_section(runs, parts, (enum store_section)s, total, writer);
    if (err != CA_OK) {
        store_run_writer_abort(writer);
        return err;
    }
    if ((err = store_run_writer_finish(writer)) != CA_OK)
        return err;
    if ((err = store_run_open(runs->dir_fd, range, runs->options.id, &run)) != CA_OK)
        return err;
    return runs_part_new(NULL, run, part_out);
}

/* Under the lock, which is let go of for the merging. */
static bool runs_merge(struct store_runs *runs)
{
    struct runs_part *parts[RUNS_FANOUT], *merged = NULL;
    struct store_run_range ranges[RUNS_FANOUT];
    size_t at;

    if (runs->is_merge_blocked || runs->failure != CA_OK || !set_find_merge(runs, &at))
        return false;
    for (int i = 0; i < RUNS_FANOUT; i++) {
        parts[i] = runs->set->parts[at + (size_t)i];
        ranges[i] = runs_part_range(parts[i]);
    }
    pthread_mutex_unlock(&runs->lock);
    enum ca_err err = merge_write(runs, parts, &merged);
    pthread_mutex_lock(&runs->lock);
    if (err == CA_OK)
        err = runs_install(runs, at, RUNS_FANOUT, &merged, 1);
    for (int i = 0; i < RUNS_FANOUT && err == CA_OK; i++)
        runs_remove_file(runs, ranges[i]);
    if (err == CA_ERR_STORAGE_CORRUPT)
        return true; /* one of them was marked, and will be made again */
    runs_note(runs, err, &runs->is_merge_blocked);
    return err == CA_OK;
}

/* ---- making again what was lost */

/* One table with changes above from: until it is full, or there are no more. */
static enum ca_err runs_read_table(struct store_runs *runs, struct store_run_range range,
                                   struct store_recent *recent)
{
    struct store_recent_row *rows = malloc(RUNS_ROWS_AT_ONCE * sizeof(*rows));
    size_t capacity = runs->options.run_entries;
    uint64_t scanned = range.from;
    size_t count = 0;
    enum ca_err err = rows == NULL ? CA_ERR_NOMEM : CA_OK;

    while (err == CA_OK && scanned < range.to && store_recent_count(recent) < capacity) {
        size_t room = capacity - store_recent_count(recent);
        size_t count_max = room < RUNS_ROWS_AT_ONCE ? room : RUNS_ROWS_AT_ONCE;
        err = runs->options.source.read(runs->options.source.arg, scanned, range.to, rows,
                                        count_max, &count, &scanned);
        for (size_t i = 0; err == CA_OK && i < count; i++)
            store_recent_put(recent, &rows[i]);
        if (err == CA_OK)
            store_recent_extend(recent, scanned);
    }
    free(rows);
    return err;
}

enum ca_err runs_rebuild(struct store_runs *runs, struct store_run_range range,
                         struct runs_part_list *list)
{
    enum ca_err err = CA_OK;

    while (err == CA_OK && range.from < range.to) {
        struct store_recent *recent = NULL;
        struct runs_part *part = NULL;
        if ((err = store_recent_new(runs->options.run_entries, range.from, &recent)) != CA_OK)
            break;
        err = runs_read_table(runs, range, recent);
        range.from = store_recent_range(recent).to;
        if (err == CA_OK && runs->options.is_read_only) {
            err = runs_part_new(recent, NULL, &part);
            recent = NULL;
        } else if (err == CA_OK) {
            err = recent_to_run(runs, recent, &part);
        }
        store_recent_free(recent);
        if (err == CA_OK)
            err = runs_part_list_add(list, part);
    }
    return err;
}

/* Under the lock, which is let go of for the work. */
static bool runs_repair(struct store_runs *runs)
{
    struct runs_part_list list = { NULL, 0 };
    struct runs_part *damaged = NULL;

    for (size_t i = 0; i < runs->set->count && damaged == NULL; i++) {
        struct runs_part *part = runs->set->parts[i];
        if (atomic_load(&part->is_damaged) && !part->is_hopeless)
            damaged = part;
    }
    if (damaged == NULL || !runs_may_write(runs))
        return false;
    pthread_mutex_unlock(&runs->lock);
    struct store_run_range range = runs_part_range(damaged);
    runs_remove_file(runs, range);
    enum ca_err err = runs_rebuild(runs, range, &list);
    pthread_mutex_lock(&runs->lock);
    if (err == CA_OK) {
        err = runs_install(runs, set_position(runs->set, damaged), 1, list.parts, list.count);
        list.count = 0;
    }
    runs_part_list_drop(&list);
    damaged->is_hopeless = err == CA_ERR_STORAGE_CORRUPT;
    if (err != CA_ERR_STORAGE_CORRUPT)
        runs_note_written(runs, err);
    return err == CA_OK;
}

/* ---- the thread */

void *runs_thread_main(void *arg)
{
    struct store_runs *runs = arg;

    pthread_mutex_lock(&runs->lock);
    while (!runs->is_stopping) {
        if (runs_write_due(runs) || runs_repair(runs) || runs_merge(runs))
            continue;
        if (runs->is_stopping)
            break;
        if (runs->is_retrying) /* what did not fit is not wanted any more */
            runs->is_blocked = runs->is_retrying = false;
        runs->is_resting = true;
        pthread_cond_broadcast(&runs->rest);
        pthread_cond_broadcast(&runs->room);
        pthread_cond_wait(&runs->work, &runs->lock);
    }
    runs->is_blocked = false;
    while (runs_write_due(runs))
        ;
    pthread_mutex_unlock(&runs->lock);
    return NULL;
}

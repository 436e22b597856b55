/* SPDX-License-Identifier: Apache-2.0 */
#include "store/runs.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/runs_parts.h"

enum {
    LISTINGS_MAX = 8,
    ROWS_AHEAD = 8, /* of the one that is put: heads are anywhere in memory, and known before */
};

/* ---- parts and sets */

enum ca_err runs_part_new(struct store_recent *recent, struct store_run *run,
                          struct runs_part **part_out)
{
    struct runs_part *part = calloc(1, sizeof(*part));

    *part_out = part;
    if (part == NULL) {
        store_recent_free(recent);
        store_run_close(run);
        return CA_ERR_NOMEM;
    }
    part->refs = 1;
    part->recent = recent;
    part->run = run;
    return CA_OK;
}

void runs_part_drop(struct runs_part *part)
{
    if (part == NULL || atomic_fetch_sub(&part->refs, 1) != 1)
        return;
    store_recent_free(part->recent);
    store_run_close(part->run);
    free(part);
}

struct store_run_range runs_part_range(const struct runs_part *part)
{
    return part->run != NULL ? store_run_range(part->run) : store_recent_range(part->recent);
}

static void set_drop(struct store_runs_set *set)
{
    if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        runs_part_drop(set->parts[i]);
    free(set);
}

enum ca_err runs_install(struct store_runs *runs, size_t at, size_t removed_count,
                         struct runs_part **added, size_t added_count)
{
    struct store_runs_set *old = runs->set;
    size_t old_count = old == NULL ? 0 : old->count;
    size_t count = old_count - removed_count + added_count;
    struct store_runs_set *set = calloc(1, sizeof(*set) + count * sizeof(set->parts[0]));
    size_t n = 0;

    if (set == NULL) {
        for (size_t i = 0; i < added_count; i++)
            runs_part_drop(added[i]);
        return CA_ERR_NOMEM;
    }
    set->refs = 1;
    set->count = count;
    for (size_t i = 0; i < at; i++)
        set->parts[n++] = old->parts[i];
    for (size_t i = at + removed_count; i < old_count; i++)
        set->parts[added_count + n++] = old->parts[i];
    for (size_t i = 0; i < at; i++)
        atomic_fetch_add(&set->parts[i]->refs, 1);
    for (size_t i = at + added_count; i < count; i++)
        atomic_fetch_add(&set->parts[i]->refs, 1);
    for (size_t i = 0; i < added_count; i++)
        set->parts[at + i] = added[i];
    runs->set = set;
    set_drop(old);
    return CA_OK;
}

struct store_runs_set *store_runs_take(struct store_runs *runs)
{
    pthread_mutex_lock(&runs->lock);
    struct store_runs_set *set = runs->set;
    atomic_fetch_add(&set->refs, 1);
    pthread_mutex_unlock(&runs->lock);
    return set;
}

void store_runs_drop(struct store_runs *runs, struct store_runs_set *set)
{
    (void)runs;
    set_drop(set);
}

enum ca_err runs_part_list_add(struct runs_part_list *list, struct runs_part *part)
{
    struct runs_part **parts = realloc(list->parts, (list->count + 1) * sizeof(*parts));

    if (parts == NULL) {
        runs_part_drop(part);
        return CA_ERR_NOMEM;
    }
    list->parts = parts;
    list->parts[list->count++] = part;
    return CA_OK;
}

void runs_part_list_drop(struct runs_part_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        runs_part_drop(list->parts[i]);
    free(list->parts);
}

void runs_remove_file(struct store_runs *runs, struct store_run_range range)
{
    char name[STORE_RUN_NAME_LEN + 1];

    store_run_name(range, name);
    unlinkat(runs->dir_fd, name, 0);
}

struct runs_part *runs_find_due(const struct store_runs_set *set, size_t *waiting_out)
{
    struct runs_part *oldest = NULL;

    *waiting_out = 0;
    for (size_t i = set->count; i-- > 0 && set->parts[i]->run == NULL;) {
        if (!set->parts[i]->is_due)
            continue;
        oldest = set->parts[i];
        (*waiting_out)++;
    }
    return oldest;
}

/* ---- state */

void runs_wake(struct store_runs *runs)
{
    runs->is_resting = false;
    pthread_cond_signal(&runs->work);
}

void store_runs_rest(struct store_runs *runs)
{
    pthread_mutex_lock(&runs->lock);
    while (runs->has_thread && !runs->is_resting)
        pthread_cond_wait(&runs->rest, &runs->lock);
    pthread_mutex_unlock(&runs->lock);
}

bool store_runs_is_full(struct store_runs *runs)
{
    pthread_mutex_lock(&runs->lock);
    bool is_blocked = runs->is_blocked;
    pthread_mutex_unlock(&runs->lock);
    return is_blocked;
}

void store_runs_retry(struct store_runs *runs)
{
    pthread_mutex_lock(&runs->lock);
    if (runs->is_blocked && !runs->is_retrying) {
        runs->is_retrying = true;
        runs_wake(runs);
    }
    pthread_mutex_unlock(&runs->lock);
}

size_t store_runs_count(struct store_runs *runs)
{
    size_t count = 0;

    pthread_mutex_lock(&runs->lock);
    for (size_t i = 0; i < runs->set->count; i++)
        count += runs->set->parts[i]->run != NULL;
    pthread_mutex_unlock(&runs->lock);
    return count;
}

/* ---- the writer */

/* A new active table at the end of the set, in the place of one that covers nothing. */
static enum ca_err runs_rotate(struct store_runs *runs, size_t capacity, uint64_t from)
{
    bool is_replaced =
        runs->active != NULL && store_recent_range(runs->active->recent).from == from;
    struct store_recent *recent = NULL;
    struct runs_part *part = NULL;
    enum ca_err err;

    if ((err = store_recent_new(capacity, from, &recent)) != CA_OK)
        return err;
    if ((err = runs_part_new(recent, NULL, &part)) != CA_OK)
        return err;
    pthread_mutex_lock(&runs->lock);
    size_t count = runs->set == NULL ? 0 : runs->set->count;
    err = runs_install(runs, count - is_replaced, is_replaced, &part, 1);
    pthread_mutex_unlock(&runs->lock);
    if (err == CA_OK)
        runs->active = part;
    return err;
}

enum ca_err store_runs_put(struct store_runs *runs, const struct store_recent_row *rows,
                           size_t count)
{
    uint64_t to = store_recent_range(runs->active->recent).to;
    size_t capacity = runs->options.run_entries;
    enum ca_err err;

    /* All into one table: taking them back must not need memory. */
    if (capacity < count)
        capacity = count;
    if (store_recent_room(runs->active->recent) < count &&
        (err = runs_rotate(runs, capacity, to)) != CA_OK)
        return err;
    runs->put_after = to;
    runs->put_count = count;
    for (size_t i = 0; i < count; i++) {
        if (i + ROWS_AHEAD < count)
            store_recent_expect(runs->active->recent, &rows[i + ROWS_AHEAD]);
        store_recent_put(runs->active->recent, &rows[i]);
    }
    return CA_OK;
}

void store_runs_take_back(struct store_runs *runs)
{
    store_recent_take_back(runs->active->recent, runs->put_count, runs->put_after);
    runs->put_count = 0;
}

enum ca_err store_runs_settle(struct store_runs *runs, uint64_t to)
{
    struct store_recent *active = runs->active->recent;
    size_t due_count = 0;

    store_recent_extend(active, to);
    struct store_run_range range = store_recent_range(active);
    bool is_wide = range.to - range.from >= RUNS_WIDTH_FACTOR * (uint64_t)runs->options.run_entries;
    /* Without memory it goes on, and the next commit tries again. */
    if (is_wide && runs_rotate(runs, runs->options.run_entries, range.to) != CA_OK)
        return CA_OK;
    if (runs->options.is_read_only)
        return CA_OK;

    pthread_mutex_lock(&runs->lock);
    size_t last = runs->set->count - 1;
    for (size_t i = last; i-- > 0 && runs->set->parts[i]->run == NULL;)
        if (!runs->set->parts[i]->is_due) {
            runs->set->parts[i]->is_due = true;
            due_count++;
        }
    if (due_count > 0) {
        runs->is_merge_blocked = false;
        runs_wake(runs);
    }
    size_t waiting;
    while (runs_find_due(runs->set, &waiting) != NULL && waiting > RUNS_WAITING_MAX &&
           runs->has_thread && !runs->is_blocked && runs->failure == CA_OK)
        pthread_cond_wait(&runs->room, &runs->lock);
    enum ca_err err = runs->failure;
    pthread_mutex_unlock(&runs->lock);
    return err;
}

/* Rows of changes above what the active table has, into it and its successors. */
static enum ca_err runs_read_tail(struct store_runs *runs, uint64_t last_sequence)
{
    struct store_recent_row *rows = malloc(RUNS_ROWS_AT_ONCE * sizeof(*rows));
    uint64_t scanned = store_recent_range(runs->active->recent).to;
    size_t count = 0;
    enum ca_err err = rows == NULL ? CA_ERR_NOMEM : CA_OK;

    while (err == CA_OK && scanned < last_sequence) {
        err = runs->options.source.read(runs->options.source.arg, scanned, last_sequence, rows,
                                        RUNS_ROWS_AT_ONCE, &count, &scanned);
        if (err == CA_OK)
            err = store_runs_put(runs, rows, count);
        if (err == CA_OK)
            err = store_runs_settle(runs, scanned);
    }
    free(rows);
    return err;
}

enum ca_err store_runs_catch_up(struct store_runs *runs, uint64_t last_sequence)
{
    assert(runs->options.is_read_only);
    pthread_mutex_lock(&runs->catch_up_lock);
    enum ca_err err = runs_read_tail(runs, last_sequence);
    pthread_mutex_unlock(&runs->catch_up_lock);
    return err;
}

/* ---- opening */

struct range_list {
    struct store_run_range *ranges;
    size_t count;
};

/* The longest first of those that start at the same change. */
static int compare_ranges(const void *a, const void *b)
{
    const struct store_run_range *left = a, *right = b;

    if (left->from != right->from)
        return left->from < right->from ? -1 : 1;
    return (left->to < right->to) - (left->to > right->to);
}

static enum ca_err runs_list(struct store_runs *runs, struct range_list *list)
{
    int fd = openat(runs->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    enum ca_err err = CA_OK;
    struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return CA_ERR_STORAGE;
    }
    list->count = 0;
    while (err == CA_OK && (entry = readdir(directory)) != NULL) {
        struct store_run_range range;
        if (!store_run_name_parse(entry->d_name, &range)) {
            size_t len = strlen(entry->d_name);
            if (!runs->options.is_read_only && len > 4 &&
                strcmp(entry->d_name + len - 4, ".tmp") == 0)
                unlinkat(runs->dir_fd, entry->d_name, 0); /* of a write that was cut off */
            continue;
        }
        struct store_run_range *ranges = realloc(list->ranges, (list->count + 1) * sizeof(*ranges));
        if (ranges == NULL) {
            err = CA_ERR_NOMEM;
            continue;
        }
        list->ranges = ranges;
        list->ranges[list->count++] = range;
    }
    closedir(directory);
    if (list->count > 0)
        qsort(list->ranges, list->count, sizeof(*list->ranges), compare_ranges);
    return err;
}

/* Opens the file if it continues where `covered` ends or later; else, or if damaged, it goes. */
static enum ca_err runs_open_part(struct store_runs *runs, struct store_run_range range,
                                  uint64_t covered, struct runs_part **part_out)
{
    struct store_run *run = NULL;
    bool is_ahead = !runs->options.is_read_only && range.to > runs->options.last_sequence;
    enum ca_err err = CA_ERR_STORAGE_CORRUPT;

    *part_out = NULL;
    if (range.from >= covered && !is_ahead)
        err = store_run_open(runs->dir_fd, range, runs->options.id, &run);
    if (err == CA_OK)
        return runs_part_new(NULL, run, part_out);
    if (err != CA_ERR_STORAGE_CORRUPT)
        return err;
    if (!runs->options.is_read_only)
        runs_remove_file(runs, range);
    return CA_OK;
}

/* Parts from change 0 on without gaps; covered_out is where they end. */
static enum ca_err runs_open_parts(struct store_runs *runs, const struct range_list *ranges,
                                   struct runs_part_list *parts, uint64_t *covered_out)
{
    enum ca_err err = CA_OK;

    *covered_out = 0;
    for (size_t i = 0; i < ranges->count && err == CA_OK; i++) {
        struct store_run_range range = ranges->ranges[i];
        struct runs_part *part = NULL;
        err = runs_open_part(runs, range, *covered_out, &part);
        if (part == NULL)
            continue;
        if (range.from > *covered_out) {
            struct store_run_range gap = { *covered_out, range.from };
            err = runs_rebuild(runs, gap, parts);
        }
        if (err == CA_OK)
            err = runs_part_list_add(parts, part);
        else
            runs_part_drop(part);
        *covered_out = range.to;
    }
    return err;
}

static enum ca_err runs_load(struct store_runs *runs)
{
    struct range_list ranges = { NULL, 0 };
    struct runs_part_list parts = { NULL, 0 };
    uint64_t covered = 0, last = runs->options.last_sequence;
    /* Of the tail, this much is kept in memory; more means that files were lost. */
    uint64_t tail = 2 * RUNS_WAITING_MAX * (uint64_t)runs->options.run_entries;
    enum ca_err err = CA_ERR_NOT_FOUND;

    /* A daemon that merges while we read only may take a file away between listing and opening. */
    for (int i = 0; i < LISTINGS_MAX && err == CA_ERR_NOT_FOUND; i++) {
        runs_part_list_drop(&parts);
        parts = (struct runs_part_list){ NULL, 0 };
        if ((err = runs_list(runs, &ranges)) == CA_OK)
            err = runs_open_parts(runs, &ranges, &parts, &covered);
    }
    if (err == CA_OK && covered + tail < last) {
        struct store_run_range lost = { covered, last };
        err = runs_rebuild(runs, lost, &parts);
        covered = last;
    }
    if (err == CA_OK) {
        err = runs_install(runs, 0, 0, parts.parts, parts.count);
        parts.count = 0;
    }
    if (err == CA_OK)
        err = runs_rotate(runs, runs->options.run_entries, covered);
    if (err == CA_OK)
        err = runs_read_tail(runs, last);
    runs_part_list_drop(&parts);
    free(ranges.ranges);
    return err == CA_ERR_NOT_FOUND ? CA_ERR_STORAGE : err;
}

enum ca_err store_runs_open(const struct store_runs_options *options, struct store_runs **runs_out)
{
    struct store_runs *runs = calloc(1, sizeof(*runs));
    enum ca_err err;

    *runs_out = NULL;
    if (runs == NULL)
        return CA_ERR_NOMEM;
    runs->options = *options;
    if (runs->options.run_entries == 0)
        runs->options.run_entries = STORE_RUNS_ENTRIES_DEFAULT;
    assert(runs->options.run_entries <= STORE_RUNS_ENTRIES_MAX);
    pthread_mutex_init(&runs->lock, NULL);
    pthread_mutex_init(&runs->catch_up_lock, NULL);
    pthread_cond_init(&runs->work, NULL);
    pthread_cond_init(&runs->room, NULL);
    pthread_cond_init(&runs->rest, NULL);
    runs->dir_fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = runs->dir_fd < 0 ? CA_ERR_STORAGE : runs_load(runs);
    if (err == CA_OK && !options->is_read_only) {
        if (pthread_create(&runs->thread, NULL, runs_thread_main, runs) == 0)
            runs->has_thread = true;
        else
            err = CA_ERR_NOMEM;
    }
    if (err != CA_OK) {
        store_runs_close(runs);
        return err;
    }
    *runs_out = runs;
    return CA_OK;
}

void store_runs_close(struct store_runs *runs)
{
    if (runs == NULL)
        return;
    if (runs->has_thread) {
        pthread_mutex_lock(&runs->lock);
        runs->is_stopping = true;
        runs_wake(runs);
        pthread_mutex_unlock(&runs->lock);
        pthread_join(runs->thread, NULL);
    }
    set_drop(runs->set);
    if (runs->dir_fd >= 0)
        close(runs->dir_fd);
    pthread_cond_destroy(&runs->rest);
    pthread_cond_destroy(&runs->room);
    pthread_cond_destroy(&runs->work);
    pthread_mutex_destroy(&runs->catch_up_lock);
    pthread_mutex_destroy(&runs->lock);
    free(runs);
}

/* ---- finding */

enum ca_err store_runs_find(struct store_runs *runs, struct store_runs_set *set,
                            enum store_section section, const struct store_digest *digest,
                            uint64_t after, uint64_t *locators_out, size_t count_max,
                            size_t *count_out)
{
    struct store_run_entry from = store_run_entry_make(digest, after + 1);
    uint64_t found[STORE_RUNS_FIND_MAX];
    size_t found_count;

    *count_out = 0;
    assert(count_max <= STORE_RUNS_FIND_MAX);
    if (after == UINT64_MAX)
        return CA_OK;
    for (size_t i = 0; i < set->count; i++) {
        struct runs_part *part = set->parts[i];
        enum ca_err err = CA_OK;
        if (part->run == NULL)
            found_count = store_recent_find(part->recent, section, &from, found, count_max);
        else
            err = store_run_find(part->run, section, &from, found, count_max, &found_count);
        if (err != CA_OK) {
            pthread_mutex_lock(&runs->lock);
            atomic_store(&part->is_damaged, true);
            runs_wake(runs);
            pthread_mutex_unlock(&runs->lock);
            *count_out = 0;
            return err;
        }
        for (size_t k = 0; k < found_count; k++)
            store_locators_put(locators_out, count_out, count_max, found[k]);
    }
    return CA_OK;
}

enum ca_err store_runs_check(struct store_runs *runs, struct store_runs_set *set)
{
    enum ca_err err = CA_OK;

    (void)runs;
    for (size_t i = 0; i < set->count && err == CA_OK; i++)
        if (set->parts[i]->run != NULL)
            err = store_run_check(set->parts[i]->run);
    return err;
}

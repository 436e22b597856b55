/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/file.h"
#include "store/tables.h"

enum {
    RETRY_BATCHES = 16, /* asking a full disk again costs a little */
    READER_BATCHES = 256,
    AHEAD_LEN = 256 * 1024,
    AHEAD_LEFT = 64 * 1024,   /* so little written ahead: more is due */
    SMALL_GROWTH = 32 * 1024, /* of one commit; larger ones gain less than writing twice costs */
};

uint64_t store_space_used(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat status;

    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &status);
    return ((uint64_t)info.me_last_pgno + 1) * status.ms_psize;
}

/* A process that died while it looked keeps what it saw in use: pages that were replaced since are
 * not used again, and the file grows with every commit. */
static void drop_dead_readers(struct store *store)
{
    int dead;

    if (store->begun_count++ % READER_BATCHES == 0)
        mdb_reader_check(store->env, &dead);
}

/*
 * Space is asked for when half a step is left, and intents are refused when an eighth is: what is
 * in flight then, and what never is refused, finds room that was taken from the disk before. A
 * commit therefore does not meet a full disk.
 */
void store_space_check(struct store *store)
{
    const struct store_options *options = &store->options;
    uint64_t used = store_space_used(store);
    uint64_t wanted = used + options->reserve_size + options->grow_size;
    bool was_full = atomic_load(&store->is_full);
    int fd;

    drop_dead_readers(store);
    if (was_full && store->full_count++ % RETRY_BATCHES != 0)
        return;
    if (was_full)
        store_runs_retry(store->runs);
    if (wanted > options->map_size)
        wanted = options->map_size;
    if (store->allocated < wanted &&
        store->allocated < used + options->reserve_size + options->grow_size / 2 &&
        mdb_env_get_fd(store->env, &fd) == 0 &&
        store_file_allocate(fd, store->allocated, wanted - store->allocated) == CA_OK)
        store->allocated = wanted;
    bool is_full = store->allocated < used + options->reserve_size + options->grow_size / 8 ||
                   store_runs_is_full(store->runs);
    if (is_full && !was_full)
        store->full_count = 1;
    atomic_store(&store->is_full, is_full);
}

/* ---- blocks written ahead */

/*
 * Space that was only allocated is marked as unwritten, and the first write into it changes that
 * mark: fdatasync() then also waits for the file system's own records.
 */
void store_space_open(struct store *store, const char *path)
{
    char *file = NULL;

    store->ahead_fd = -1;
    if (asprintf(&file, "%s/data.mdb", path) < 0)
        return;
    store->ahead_fd = open(file, O_WRONLY | O_DIRECT | O_CLOEXEC);
    free(file);
}

void store_space_close(struct store *store)
{
    if (store->ahead_fd >= 0)
        close(store->ahead_fd);
    store->ahead_fd = -1;
}

/* No batch is open, so no page past those in use is anybody's. */
void store_smooth(struct store *store)
{
    static const _Alignas(4096) uint8_t zeros[AHEAD_LEN];
    uint64_t used = store_space_used(store);
    uint64_t growth = used - store->used;

    assert(store->batch.txn == NULL);
    store->used = used;
    if (store->ahead_fd < 0 || growth > SMALL_GROWTH || used + AHEAD_LEFT <= store->written)
        return;
    if (store->written < used)
        store->written = used;
    if (store->written + AHEAD_LEN > store->allocated)
        return;
    if (store_file_write(store->ahead_fd, zeros, AHEAD_LEN, store->written) == CA_OK)
        store->written += AHEAD_LEN;
    else
        store_space_close(store); /* the file system does not do it */
}

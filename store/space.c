/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file.h"
#include "store/tables.h"

enum { RETRY_BATCHES = 16 }; /* asking a full disk again costs a little */

uint64_t store_space_used(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat status;

    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &status);
    return ((uint64_t)info.me_last_pgno + 1) * status.ms_psize;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer, several readers, the thread of the index: for ThreadSanitizer, under which Criterion
 * does not run. So this is a plain program; an assertion ends it.
 */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/store.h"

enum { READERS = 3, TOTAL = 6000, BATCH = 40 };

static struct store *store;
static atomic_ullong committed; /* numbers below are there */
static atomic_bool is_done;

/* By all ways, and what is told stays true for a view. */
static void read_one(struct store_view *view, uint64_t n, bool must_be)
{
    struct store_certificate found[10];
    struct ca_serial serial = test_serial(n);
    struct store_digest request = test_digest('r', n), identity = test_digest('s', n / 10);
    size_t count;

    enum ca_err by_serial = store_find_serial(view, &serial, &found[0]);
    assert(by_serial == CA_OK || (!must_be && by_serial == CA_ERR_NOT_FOUND));
    assert(by_serial != CA_OK || test_is_certificate(&found[0], n));
    assert(store_find_request(view, &request, &found[0]) == by_serial);
    assert(store_find_digest(view, STORE_BY_IDENTITY, &identity, 0, found, 10, &count) == CA_OK);
    assert(by_serial != CA_OK || count >= 1);
    for (size_t i = 1; i < count; i++)
        assert(ca_serial_locator(&found[i - 1].serial) < ca_serial_locator(&found[i].serial));
}

/* Every third is revoked in the commit that brings it. */
static void read_status(struct store_view *view, uint64_t n, bool must_be)
{
    struct store_scope scope = test_scope(n);
    struct ca_serial serial = test_serial(n);
    struct store_digest request = test_digest('q', n), body;
    struct store_change change;
    struct store_status status;

    enum ca_err err = store_find_status(view, &scope, &serial, &status);
    assert(err == CA_OK ? n % 3 == 0 : err == CA_ERR_NOT_FOUND && (!must_be || n % 3 != 0));
    assert(store_find_request_change(view, &request, &change, &body) == err);
}

static void read_list(struct store_view *view, uint64_t k, uint64_t since)
{
    struct store_scope scope = test_scope(k);
    struct store_entries *entries;
    struct ca_bytes chunk;

    assert((since == 0 ? store_entries_open(view, &scope, &entries)
                       : store_entries_open_since(view, &scope, since, &entries)) == CA_OK);
    do
        assert(store_entries_next(entries, &chunk) == CA_OK);
    while (chunk.len > 0);
    store_entries_close(entries);
}

static void *reader(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct store_view *view;
    struct store_info info;

    assert(store_view_open(store, &view) == CA_OK);
    while (!atomic_load(&is_done)) {
        uint64_t there = atomic_load(&committed);
        assert(store_view_renew(view) == CA_OK);
        for (int i = 0; i < 30; i++) {
            uint64_t n = 1 + test_random(&seed) % TOTAL;
            read_one(view, n, n < there);
            read_status(view, n, n < there);
        }
        read_list(view, seed % 10, 0);
        read_list(view, seed % 10, there);
        store_info(store, &info);
        assert(info.certificate_count + 1 >= there && !info.is_latched);
        if (test_random(&seed) % 4 == 0)
            store_view_rest(view);
    }
    store_view_close(view);
    return NULL;
}

static void write_all(void)
{
    struct store_batch *batch;

    for (uint64_t start = 1; start <= TOTAL; start += BATCH) {
        enum ca_err err = store_begin(store, &batch);
        for (uint64_t n = start; n < start + BATCH && err == CA_OK; n++)
            if ((err = test_put_intent(batch, n)) == CA_OK)
                err = test_put_certificate(batch, n);
        for (uint64_t n = start; n < start + BATCH && err == CA_OK; n++)
            if (n % 3 == 0)
                err = test_put_status(batch, n, STORE_STATE_VALID, STORE_STATE_REVOKED, n, n);
        assert(err == CA_OK);
        assert(store_commit(batch) == CA_OK);
        atomic_store(&committed, start + BATCH);
    }
}

int main(void)
{
    pthread_t threads[READERS];
    struct store_damage damage;
    struct store_view *view;

    snprintf(test_dir, sizeof(test_dir), "/tmp/certmill-store-XXXXXX");
    assert(mkdtemp(test_dir) != NULL);
    snprintf(test_path, sizeof(test_path), "%s/store", test_dir);
    assert(store_create(test_path, TEST_INSTANCE) == CA_OK);
    assert(store_open(test_path, &test_options, &store) == CA_OK);
    atomic_store(&committed, 1);
    for (uintptr_t i = 0; i < READERS; i++)
        assert(pthread_create(&threads[i], NULL, reader, (void *)(i + 1)) == 0);
    write_all();
    atomic_store(&is_done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    store_rest(store);
    assert(store_view_open(store, &view) == CA_OK);
    for (uint64_t n = 1; n <= TOTAL; n++)
        read_one(view, n, true);
    for (uint64_t n = 1; n <= TOTAL; n++)
        read_status(view, n, true);
    assert(store_check(view, &damage) == CA_OK);
    store_view_close(view);
    store_close(store);
    test_dir_remove();
    return EXIT_SUCCESS;
}

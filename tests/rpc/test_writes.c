/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads write through the pipeline. */
#include <sched.h>
#include <stdatomic.h>

#include "tests/support/faults.h"
#include "tests/support/pipeline.h"

/* Closing, where no more may be written: what is answered then. */
static bool is_join_watched;
static enum ca_err write_while_stopping;

int __real_pthread_join(pthread_t thread, void **result_out);
int __wrap_pthread_join(pthread_t thread, void **result_out);
int __wrap_pthread_join(pthread_t thread, void **result_out)
{
    if (is_join_watched)
        write_while_stopping = rpc_pipeline_write(instance.pipeline, put_audit, NULL);
    is_join_watched = false;
    return __real_pthread_join(thread, result_out);
}

TestSuite(writes, .init = start, .fini = stop, .timeout = 60);

enum { WRITERS = 8, WRITES = 20 };

static enum ca_err refuse(void *arg, struct store_batch *batch)
{
    (void)batch;
    return *(const enum ca_err *)arg;
}

/* Holds the writer, so that what begins meanwhile goes into one commit. */
static atomic_bool is_held, is_released;

static enum ca_err put_and_hold(void *arg, struct store_batch *batch)
{
    atomic_store(&is_held, true);
    while (!atomic_load(&is_released))
        sched_yield();
    return put_audit(arg, batch);
}

struct writing {
    pthread_t thread;
    enum ca_err (*put)(void *arg, struct store_batch *batch);
    enum ca_err refusal, err;
    int count;
};

static void *write_many(void *arg)
{
    struct writing *writing = arg;

    for (int i = 0; i < writing->count; i++) {
        uint64_t before = info().audit_sequence;
        writing->err = rpc_pipeline_write(instance.pipeline, writing->put, &writing->refusal);
        if (writing->err == CA_OK)
            cr_assert(info().audit_sequence > before, "answered before it was on disk");
    }
    return NULL;
}

static void write_begin(struct writing *writing,
                        enum ca_err (*put)(void *arg, struct store_batch *batch),
                        enum ca_err refusal, int count)
{
    *writing = (struct writing){ .put = put, .refusal = refusal, .count = count };
    cr_assert(pthread_create(&writing->thread, NULL, write_many, writing) == 0);
}

static enum ca_err write_end(struct writing *writing)
{
    cr_assert(pthread_join(writing->thread, NULL) == 0);
    return writing->err;
}

static void hold_writer(struct writing *writing)
{
    write_begin(writing, put_and_hold, CA_OK, 1);
    while (!atomic_load(&is_held))
        sched_yield();
}

static void wait_for_writes(size_t count)
{
    size_t begun;

    do {
        sched_yield();
        pthread_mutex_lock(&instance.pipeline->lock);
        begun = instance.pipeline->writes;
        pthread_mutex_unlock(&instance.pipeline->lock);
    } while (begun < count);
}

Test(writes, what_other_threads_write_is_on_disk_when_they_go_on)
{
    struct writing writings[WRITERS];
    uint64_t before = info().audit_sequence;

    for (size_t i = 0; i < WRITERS; i++)
        write_begin(&writings[i], put_audit, CA_OK, WRITES);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
    for (size_t i = 0; i < WRITERS; i++)
        check_ok(write_end(&writings[i]));
    instance_stop(&instance);
    instance_start(&instance);
    cr_assert(info().audit_sequence == before + WRITERS * WRITES + 1);
}

Test(writes, a_write_that_is_refused_ends_alone)
{
    struct writing first, good, refused, also_good;
    uint64_t before = info().audit_sequence;

    hold_writer(&first);
    write_begin(&good, put_audit, CA_OK, 1);
    wait_for_writes(2);
    write_begin(&refused, refuse, CA_ERR_EXISTS, 1);
    wait_for_writes(3);
    write_begin(&also_good, put_audit, CA_OK, 1);
    wait_for_writes(4);
    atomic_store(&is_released, true);
    check_ok(write_end(&first));
    check_ok(write_end(&good));
    cr_assert(write_end(&refused) == CA_ERR_EXISTS);
    check_ok(write_end(&also_good));
    cr_assert(info().audit_sequence == before + 3);
    cr_assert(atomic_load(&instance.pipeline->engine.counters.commits) == 2);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
}

/* Two writes in one commit, which does not come about; the third begins after that. */
static void fail_two(enum ca_err (*put)(void *arg, struct store_batch *batch), enum ca_err err)
{
    struct writing first, good, bad;

    hold_writer(&first);
    write_begin(&good, put_audit, CA_OK, 1);
    wait_for_writes(2);
    write_begin(&bad, put, err, 1);
    wait_for_writes(3);
    atomic_store(&is_released, true);
    check_ok(write_end(&first));
    cr_assert(write_end(&good) == err);
    cr_assert(write_end(&bad) == err);
}

static void fail_writes(enum ca_err (*put)(void *arg, struct store_batch *batch), enum ca_err err)
{
    struct writing late;
    uint64_t before = info().audit_sequence;

    fail_two(put, err);
    write_begin(&late, put_audit, CA_OK, 1);
    cr_assert(write_end(&late) == CA_ERR_STORAGE);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "STORAGE");

    instance_stop(&instance);
    instance_start(&instance);
    cr_assert(info().audit_sequence == before + 1);
    write_begin(&late, put_audit, CA_OK, 1);
    check_ok(write_end(&late));
}

Test(writes, writes_of_a_commit_that_fails_have_failed)
{
    atomic_store(&fault_commit, 2); /* the second one */
    fail_writes(put_audit, CA_ERR_STORAGE);
}

Test(writes, a_write_that_the_store_cannot_take_ends_the_commit)
{
    fail_writes(refuse, CA_ERR_STORAGE);
}

/* Nothing was written, and the next one is. */
static void run_out_of_memory(enum ca_err (*put)(void *arg, struct store_batch *batch))
{
    struct writing late;
    uint64_t before = info().audit_sequence;

    fail_two(put, CA_ERR_NOMEM);
    cr_assert(info().audit_sequence == before + 1);
    write_begin(&late, put_audit, CA_OK, 1);
    check_ok(write_end(&late));
    cr_assert(info().audit_sequence == before + 2);
    check_one(ID, instance_csr(&instance, CRYPTO_KEY_P256, "alice"), "OK");
}

Test(writes, a_write_without_memory_ends_this_commit_only)
{
    run_out_of_memory(refuse);
}

Test(writes, writes_of_a_commit_without_memory_may_be_tried_again)
{
    fault_commit_err = CA_ERR_NOMEM;
    atomic_store(&fault_commit, 2);
    run_out_of_memory(put_audit);
}

Test(writes, a_drained_one_still_writes_until_it_is_closed)
{
    struct writing first, second;
    uint64_t before = info().audit_sequence;

    rpc_pipeline_drain(instance.pipeline);
    write_begin(&first, put_audit, CA_OK, WRITES);
    write_begin(&second, put_audit, CA_OK, WRITES);
    check_ok(write_end(&first));
    check_ok(write_end(&second));
    cr_assert(info().audit_sequence == before + 2 * WRITES);

    is_join_watched = true;
    instance_stop(&instance);
    cr_assert(write_while_stopping == CA_ERR_STOPPING);
}

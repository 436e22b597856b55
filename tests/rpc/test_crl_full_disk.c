/* SPDX-License-Identifier: Apache-2.0 */
/* Lists on a full disk: made from their reserves, told by alarms, until there is room again. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "tests/support/crl_keeper.h"

/* The disk is full but for what files give back when they get shorter. */
static atomic_bool is_full;
static atomic_llong room;

static long long blocks_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? (long long)status.st_blocks * 512 : 0;
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    long long before = blocks_of(fd);

    if (atomic_load(&is_full) && at + len - before > atomic_load(&room)) {
        errno = ENOSPC;
        return -1;
    }
    int result = (int)syscall(SYS_fallocate, fd, mode, at, len);
    atomic_fetch_sub(&room, blocks_of(fd) - before);
    return result;
}

int ftruncate(int fd, off_t len)
{
    long long before = blocks_of(fd);
    int result = (int)syscall(SYS_ftruncate, fd, len);

    atomic_fetch_add(&room, before - blocks_of(fd));
    return result;
}

int fstatvfs(int fd, struct statvfs *status)
{
    long long left = atomic_load(&room);

    (void)fd;
    *status = (struct statvfs){ .f_frsize = 512, .f_bavail = 1 << 22 };
    if (atomic_load(&is_full))
        status->f_bavail = left < 0 ? 0 : (fsblkcnt_t)(left / 512);
    return 0;
}

static void fill_disk(void)
{
    atomic_store(&room, 0);
    atomic_store(&is_full, true);
}

static void start_empty(void)
{
    atomic_store(&is_full, false);
    start();
}

TestSuite(crl_full_disk, .init = start_empty, .fini = stop, .timeout = 300);

/* The keeper looks at reserves, here at all of them, each time it has nothing else to do. */
static void look_around(void)
{
    rpc_crl_keeper_rest(keeper);
}

static void reserve_of(size_t ca, uint32_t shard, enum rpc_crl_kind kind, char *path)
{
    char published[RPC_CRL_PATH_SIZE];

    path_of(ca, shard, kind, published);
    char *name = strrchr(published, '/');
    *name++ = '\0';
    cr_assert(snprintf(path, RPC_CRL_PATH_SIZE, "%s/.%s.reserve", published, name) > 0);
}

static bool has_reserve(size_t ca, uint32_t shard, enum rpc_crl_kind kind)
{
    char path[RPC_CRL_PATH_SIZE];
    struct stat status;

    reserve_of(ca, shard, kind, path);
    return stat(path, &status) == 0 && status.st_blocks > 0;
}

static void drop_reserve(size_t ca, uint32_t shard, enum rpc_crl_kind kind)
{
    char path[RPC_CRL_PATH_SIZE];

    reserve_of(ca, shard, kind, path);
    cr_assert(unlink(path) == 0);
}

static bool has_any_alarm(void)
{
    return has_alarm("CRL_STORAGE_FULL:root") || has_alarm("CRL_RESERVE:root") ||
           has_alarm("CRL_OVERDUE:root");
}

Test(crl_full_disk, every_list_of_every_ca_has_its_reserve_from_the_first_start_on)
{
    instance.cas[0].crl.delta_s = HOUR_S;
    instance.cas[0].crl.delta_validity_s = 2 * HOUR_S;
    instance.cas[1].issuer.crl_shard_count = SHARDS;
    open_keeper();
    cr_assert(has_reserve(0, 0, RPC_CRL_FULL) && has_reserve(0, 0, RPC_CRL_DELTA));
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        cr_assert(has_reserve(1, shard, RPC_CRL_FULL) && !has_reserve(1, shard, RPC_CRL_DELTA));
    cr_assert(!has_any_alarm());
}

Test(crl_full_disk, lists_with_more_and_more_revoked_are_made_and_told_of)
{
    instance.cas[0].crl.delta_s = HOUR_S;
    instance.cas[0].crl.delta_validity_s = 2 * HOUR_S;
    open_keeper();
    fill_disk();
    look_around();
    cr_assert(has_alarm("CRL_STORAGE_FULL:root") && !has_alarm("CRL_RESERVE:root"));
    uint64_t number = number_on_list();
    for (uint64_t n = 1; n <= 20; n++) {
        revoke_one(0, n, START_S + 100 * DAY_S);
        uint64_t next = must_make("root", 0, CERTMILL__CRL_KIND__CRL_DELTA);
        cr_assert(next > number);
        read_list(0, 0, RPC_CRL_DELTA);
        cr_assert(number_on_list() == next && reason_on_list(n) == X509_CRL_SUPERSEDED);
        number = must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
        cr_assert(number > next);
        read_list(0, 0, RPC_CRL_FULL);
        cr_assert(number_on_list() == number && reason_on_list(n) == X509_CRL_SUPERSEDED);
        cr_assert(reason_on_list(1) == X509_CRL_SUPERSEDED);
    }
    look_around();
    cr_assert(has_reserve(0, 0, RPC_CRL_FULL) && !has_alarm("CRL_RESERVE:root"));

    atomic_store(&is_full, false);
    look_around();
    cr_assert(!has_any_alarm());
    cr_assert(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL) > number);
}

Test(crl_full_disk, lists_that_are_due_go_on_by_themselves)
{
    open_keeper();
    fill_disk();
    for (int day = 0; day < 5; day++) {
        revoke_one(0, (uint64_t)day + 1, START_S + 100 * DAY_S);
        pass(DAY_S);
        read_list(0, 0, RPC_CRL_FULL);
        cr_assert(list.next_update_s > now_s() + HOUR_S);
        cr_assert(reason_on_list((uint64_t)day + 1) == X509_CRL_SUPERSEDED);
        cr_assert(!has_alarm("CRL_OVERDUE:root") && !has_alarm("CRL_OVERDUE:second"));
    }
}

Test(crl_full_disk, a_reserve_that_is_gone_is_an_alarm_until_there_is_room_for_it)
{
    open_keeper();
    fill_disk();
    drop_reserve(0, 0, RPC_CRL_FULL);
    look_around();
    cr_assert(has_alarm("CRL_RESERVE:root") && !has_alarm("CRL_RESERVE:second"));
    cr_assert(has_alarm("CRL_STORAGE_FULL:second"));
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "STORAGE_FULL", NULL);
    must_make("second", 0, CERTMILL__CRL_KIND__CRL_FULL);

    atomic_store(&is_full, false);
    look_around();
    cr_assert(has_reserve(0, 0, RPC_CRL_FULL) && !has_any_alarm());
    pass(DAY_S);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(list.next_update_s > now_s());
}

enum { MANY = 3000 };

static enum ca_err put_many(void *arg, struct store_batch *batch)
{
    enum ca_err err = CA_OK;

    (void)arg;
    for (uint64_t n = 1; n <= MANY && err == CA_OK; n++) {
        struct store_status_change change =
            change_of(0, n, STORE_STATE_VALID, STORE_STATE_REVOKED, START_S + 100 * DAY_S);
        err = put_change(&change, batch);
    }
    return err;
}

/* The list before has one entry: the reserve grows with what is revoked, not with lists. */
Test(crl_full_disk, room_is_kept_for_what_was_revoked_since_the_last_list)
{
    open_keeper();
    check_ok(write_one(NULL, put_many, NULL));
    look_around();
    fill_disk();
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(reason_on_list(MANY) == X509_CRL_SUPERSEDED);
}

Test(crl_full_disk, a_keeper_that_starts_on_a_full_disk_finds_the_reserves)
{
    open_keeper();
    close_keeper();
    fill_disk();
    atomic_fetch_add(&now_us, (int64_t)2 * DAY_S * 1000000);
    open_keeper();
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(list.next_update_s > now_s() && number_on_list() == 2);
    cr_assert(has_alarm("CRL_STORAGE_FULL:root"));
}

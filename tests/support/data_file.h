/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_file: what somebody else does to the data of a store, which is closed unless said
 * otherwise.
 */
#pragma once

#include <criterion/criterion.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/base/bytes.h"

struct data_file {
    MDB_env *env;
    MDB_txn *txn;
};

static inline struct data_file data_file_open(const char *folder)
{
    struct data_file file;

    cr_assert_eq(mdb_env_create(&file.env), 0);
    cr_assert(mdb_env_set_maxdbs(file.env, 32) == 0 && mdb_env_set_mapsize(file.env, 1 << 30) == 0);
    cr_assert_eq(mdb_env_open(file.env, folder, 0, 0600), 0);
    cr_assert_eq(mdb_txn_begin(file.env, NULL, 0, &file.txn), 0);
    return file;
}

static inline MDB_dbi data_file_table(const struct data_file *file, const char *name)
{
    MDB_dbi table;

    cr_assert_eq(mdb_dbi_open(file->txn, name, 0, &table), 0);
    return table;
}

/* What was done is kept. */
static inline void data_file_close(struct data_file *file)
{
    cr_assert_eq(mdb_txn_commit(file->txn), 0);
    mdb_env_close(file->env);
}

static inline void data_file_flip(const char *folder, const char *name, struct ca_bytes key)
{
    struct data_file file = data_file_open(folder);
    MDB_val key_val = { key.len, (void *)(uintptr_t)key.data }, value;
    MDB_dbi table = data_file_table(&file, name);

    cr_assert_eq(mdb_get(file.txn, table, &key_val, &value), 0);
    uint8_t *copy = malloc(value.mv_size);
    cr_assert_not_null(copy);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[value.mv_size - 1] ^= 1;
    value.mv_data = copy;
    cr_assert_eq(mdb_put(file.txn, table, &key_val, &value, 0), 0);
    free(copy);
    data_file_close(&file);
}

static inline void data_file_del(const char *folder, const char *name, struct ca_bytes key)
{
    struct data_file file = data_file_open(folder);
    MDB_val key_val = { key.len, (void *)(uintptr_t)key.data };

    cr_assert_eq(mdb_del(file.txn, data_file_table(&file, name), &key_val, NULL), 0);
    data_file_close(&file);
}

/* By another process, so that the store may be open here. */
static inline void data_file_outside(void (*change)(const char *, const char *, struct ca_bytes),
                                     const char *folder, const char *name, struct ca_bytes key)
{
    int status = -1;
    pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        change(folder, name, key);
        _exit(0);
    }
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
}

/* The last octet of a record becomes another: its seal is broken. The store may be open. */
static inline void data_file_damage(const char *folder, const char *name, struct ca_bytes key)
{
    data_file_outside(data_file_flip, folder, name, key);
}

/* A record is no longer there. The store may be open. */
static inline void data_file_lose(const char *folder, const char *name, struct ca_bytes key)
{
    data_file_outside(data_file_del, folder, name, key);
}

/* The data is that of a version that did not have the table. */
static inline void data_file_drop(const char *folder, const char *name)
{
    struct data_file file = data_file_open(folder);

    cr_assert_eq(mdb_drop(file.txn, data_file_table(&file, name), 1), 0);
    data_file_close(&file);
}

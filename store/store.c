/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "store/file.h"
#include "store/octets.h"
#include "store/tables.h"

static const char *const table_names[STORE_TABLE_COUNT] = {
    [STORE_TABLE_META] = "meta",       [STORE_TABLE_CERTIFICATES] = "certificates",
    [STORE_TABLE_INTENTS] = "intents", [STORE_TABLE_AUDIT] = "audit",
    [STORE_TABLE_CHANGES] = "changes", [STORE_TABLE_REVOKED] = "revoked",
    [STORE_TABLE_RETIRED] = "retired", [STORE_TABLE_SCOPES] = "scopes",
    [STORE_TABLE_CRLS] = "crls",       [STORE_TABLE_LINEAGES] = "lineages",
    [STORE_TABLE_STATUS] = "status",   [STORE_TABLE_PROFILES] = "profiles",
    [STORE_TABLE_HEADS] = "heads",
};

static const struct store_options defaults = {
    .map_size = (size_t)1 << 40,
    .grow_size = (size_t)64 << 20,
    .reserve_size = (size_t)64 << 20,
    .run_entries = STORE_RUNS_ENTRIES_DEFAULT,
};

#define MKDTEMP_SUFFIX \
    "XX"               \
    "XX"               \
    "XX" /* six, which mkdtemp() replaces */

enum { CREATE_MAP_SIZE = 1 << 20 };

enum ca_err store_from_lmdb(int rc)
{
    switch (rc) {
    case MDB_SUCCESS: return CA_OK;
    case MDB_NOTFOUND: return CA_ERR_NOT_FOUND;
    case MDB_KEYEXIST: return CA_ERR_EXISTS;
    case MDB_READERS_FULL: return CA_ERR_BUSY;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE: return CA_ERR_STORAGE_CORRUPT;
    case ENOMEM: return CA_ERR_NOMEM;
    default: return CA_ERR_STORAGE;
    }
}

enum ca_err store_latch(struct store *store)
{
    atomic_store(&store->is_latched, true);
    return CA_ERR_STORAGE;
}

/* ---- create */

static enum ca_err create_records(MDB_txn *txn, uint8_t instance)
{
    struct store_identity identity = { .schema = STORE_SCHEMA, .instance = instance };
    uint8_t identity_bytes[STORE_IDENTITY_LEN], head_bytes[STORE_HEAD_LEN];
    struct store_head head = { .change_sequence = 0 };
    MDB_val identity_key = store_val(CA_BYTES("store")), head_key = store_val(CA_BYTES("head"));
    MDB_dbi tables[STORE_TABLE_COUNT];

    if (getrandom(identity.id, sizeof(identity.id), 0) != (ssize_t)sizeof(identity.id))
        return CA_ERR_RANDOM;
    store_record_genesis(&identity, head.audit_head);
    store_record_encode_identity(&identity, identity_bytes);
    store_record_encode_head(&head, head_bytes);
    MDB_val identity_value = { sizeof(identity_bytes), identity_bytes };
    MDB_val head_value = { sizeof(head_bytes), head_bytes };

    int rc = 0;
    for (int i = 0; i < STORE_TABLE_COUNT && rc == 0; i++)
        rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &tables[i]);
    if (rc == 0)
        rc = mdb_put(txn, tables[STORE_TABLE_META], &identity_key, &identity_value, 0);
    if (rc == 0)
        rc = mdb_put(txn, tables[STORE_TABLE_META], &head_key, &head_value, 0);
    return rc == 0 ? CA_OK : CA_ERR_STORAGE;
}

static enum ca_err create_data(const char *path, uint8_t instance)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    enum ca_err err = CA_ERR_STORAGE;

    if (mdb_env_create(&env) != 0)
        return CA_ERR_NOMEM;
    if (mdb_env_set_maxdbs(env, STORE_TABLES_MAX) != 0 ||
        mdb_env_set_mapsize(env, CREATE_MAP_SIZE) != 0 || mdb_env_open(env, path, 0, 0600) != 0 ||
        mdb_txn_begin(env, NULL, 0, &txn) != 0)
        goto out;
    if ((err = create_records(txn, instance)) != CA_OK)
        goto out;
    err = mdb_txn_commit(txn) == 0 && mdb_env_sync(env, 1) == 0 ? CA_OK : CA_ERR_STORAGE;
    txn = NULL;
out:
    if (txn != NULL)
        mdb_txn_abort(txn);
    mdb_env_close(env);
    return err;
}

/* Everything inside the new directory, synced. */
static enum ca_err create_inside(const char *path, uint8_t instance)
{
    enum ca_err err = create_data(path, instance);

    if (err != CA_OK)
        return err;
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return CA_ERR_STORAGE;
    int lock_fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock_fd < 0 || mkdirat(dir_fd, "runs", 0700) != 0 || fsync(dir_fd) != 0)
        err = CA_ERR_STORAGE;
    if (lock_fd >= 0)
        close(lock_fd);
    close(dir_fd);
    return err;
}

/* Under its name, unless that is taken; then the name is made to last. */
static enum ca_err create_publish(const char *temporary, const char *path)
{
    char *copy = strdup(path);
    enum ca_err err = CA_OK;

    if (copy == NULL)
        return CA_ERR_NOMEM;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        err = errno == EEXIST ? CA_ERR_EXISTS : store_file_error(errno);
    else
        err = store_file_sync_directory(dirname(copy));
    free(copy);
    return err;
}

enum ca_err store_create(const char *path, uint8_t instance)
{
    char *temporary = NULL;
    struct stat status;
    enum ca_err err;

    assert(instance >= 1 && instance <= 127);
    if (lstat(path, &status) == 0)
        return CA_ERR_EXISTS;
    if (asprintf(&temporary, "%s.new-" MKDTEMP_SUFFIX, path) < 0)
        return CA_ERR_NOMEM;
    if (mkdtemp(temporary) == NULL) {
        err = errno == ENOENT ? CA_ERR_NOT_FOUND : store_file_error(errno);
        free(temporary);
        return err;
    }
    err = create_inside(temporary, instance);
    if (err == CA_OK)
        err = create_publish(temporary, path);
    if (err != CA_OK)
        store_file_remove_tree(temporary);
    free(temporary);
    return err;
}

/* ---- open */

/* One daemon per store: LMDB itself would let a second one in. */
static enum ca_err open_lock(struct store *store, int dir_fd)
{
    store->lock_fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0)
        return CA_ERR_STORAGE;
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? CA_ERR_IN_USE : CA_ERR_STORAGE;
    return CA_OK;
}

static enum ca_err open_place(struct store *store, const char *path)
{
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ca_err err;

    if (dir_fd < 0)
        return errno == ENOENT ? CA_ERR_NOT_FOUND : CA_ERR_STORAGE;
    err = store_file_check_local(dir_fd);
    if (err == CA_OK && !store->options.is_read_only)
        err = open_lock(store, dir_fd);
    close(dir_fd);
    if (err == CA_OK)
        err = store_datafile_check(path);
    return err;
}

static enum ca_err open_env(struct store *store, const char *path)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    int dead;

    if (store->options.is_read_only)
        flags |= MDB_RDONLY;
    if (mdb_env_create(&store->env) != 0)
        return CA_ERR_NOMEM;
    if (mdb_env_set_maxdbs(store->env, STORE_TABLES_MAX) != 0 ||
        mdb_env_set_maxreaders(store->env, STORE_READERS_MAX) != 0 ||
        mdb_env_set_mapsize(store->env, store->options.map_size) != 0)
        return CA_ERR_STORAGE;
    enum ca_err err = store_from_lmdb(mdb_env_open(store->env, path, flags, 0600));
    if (err == CA_OK)
        mdb_reader_check(store->env, &dead);
    return err;
}

/* Stores of earlier versions have no such table. */
static bool is_late(int table)
{
    return table == STORE_TABLE_PROFILES || table == STORE_TABLE_HEADS;
}

/* It is made where there is none, unless nothing may be written. */
static enum ca_err open_late_table(struct store *store, enum store_table table)
{
    unsigned begin_flags = MDB_RDONLY, open_flags = 0;
    MDB_txn *txn = NULL;
    int rc = MDB_NOTFOUND;

    for (int i = 0; i < 2 && rc == MDB_NOTFOUND; i++) {
        if ((rc = mdb_txn_begin(store->env, NULL, begin_flags, &txn)) != 0)
            break;
        rc = mdb_dbi_open(txn, table_names[table], open_flags, &store->tables[table]);
        if (rc == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
        if (rc == MDB_NOTFOUND && store->options.is_read_only) {
            store->lacks[table] = true;
            return CA_OK;
        }
        begin_flags = 0;
        open_flags = MDB_CREATE;
    }
    return store_from_lmdb(rc);
}

static enum ca_err open_late_tables(struct store *store)
{
    enum ca_err err = CA_OK;

    for (int i = 0; i < STORE_TABLE_COUNT && err == CA_OK; i++) {
        if (is_late(i))
            err = open_late_table(store, (enum store_table)i);
    }
    return err;
}

/* The tables' handles, which outlive the transaction. */
static enum ca_err open_tables(struct store *store)
{
    MDB_txn *txn = NULL;

    enum ca_err err = store_from_lmdb(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    if (err != CA_OK)
        return err;
    for (int i = 0; i < STORE_TABLE_COUNT && err == CA_OK; i++) {
        if (is_late(i))
            continue;
        err = store_from_lmdb(mdb_dbi_open(txn, table_names[i], 0, &store->tables[i]));
    }
    if (err == CA_OK) {
        err = store_from_lmdb(mdb_txn_commit(txn));
    } else {
        mdb_txn_abort(txn);
        if (err == CA_ERR_NOT_FOUND) /* a table that every store has */
            err = CA_ERR_STORAGE_CORRUPT;
    }
    return err;
}

/* The last key of a table; empty when the table is. */
static enum ca_err last_record(MDB_txn *txn, MDB_dbi table, struct ca_bytes *key_out,
                               struct ca_bytes *value_out)
{
    MDB_cursor *cursor = NULL;
    MDB_val key = { 0, NULL }, value = { 0, NULL };

    enum ca_err err = store_from_lmdb(mdb_cursor_open(txn, table, &cursor));
    if (err != CA_OK)
        return err;
    err = store_from_lmdb(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
    mdb_cursor_close(cursor);
    *key_out = store_bytes(key);
    *value_out = store_bytes(value);
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

/* Does a table end where the head says? */
static enum ca_err check_end(MDB_txn *txn, MDB_dbi table, uint64_t sequence,
                             struct ca_bytes *value_out)
{
    struct ca_bytes key;
    uint64_t last = 0;

    enum ca_err err = last_record(txn, table, &key, value_out);
    if (err != CA_OK)
        return err;
    if (key.len == STORE_SEQUENCE_LEN)
        last = octets_load_be64(key.data);
    else if (key.len != 0)
        return CA_ERR_STORAGE_CORRUPT;
    return last == sequence ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err load_meta(struct store *store, MDB_txn *txn)
{
    MDB_val key = store_val(CA_BYTES("store")), value;
    enum ca_err err;

    if (mdb_get(txn, store->tables[STORE_TABLE_META], &key, &value) != 0 ||
        store_record_decode_identity(store_bytes(value), &store->identity) != CA_OK ||
        store->identity.schema != STORE_SCHEMA)
        return CA_ERR_STORAGE_CORRUPT;
    key = store_val(CA_BYTES("head"));
    if (mdb_get(txn, store->tables[STORE_TABLE_META], &key, &value) != 0 ||
        store_record_decode_head(store_bytes(value), &store->head) != CA_OK)
        return CA_ERR_STORAGE_CORRUPT;

    struct ca_bytes last;
    if ((err = check_end(txn, store->tables[STORE_TABLE_CHANGES], store->head.change_sequence,
                         &last)) != CA_OK)
        return err;
    if ((err = check_end(txn, store->tables[STORE_TABLE_AUDIT], store->head.audit_sequence,
                         &last)) != CA_OK)
        return err;
    if (last.len == 0)
        return CA_OK;
    if (last.len < STORE_AUDIT_LEN_MIN || last.len > STORE_AUDIT_LEN_MAX ||
        !ca_bytes_equal(ca_bytes_of(last.data + last.len - STORE_CHAIN_LEN, STORE_CHAIN_LEN),
                        ca_bytes_of(store->head.audit_head, STORE_CHAIN_LEN)))
        return CA_ERR_STORAGE_CORRUPT;
    return CA_OK;
}

static enum ca_err load_serials(struct store *store, MDB_txn *txn)
{
    static const enum store_table tables[] = { STORE_TABLE_INTENTS, STORE_TABLE_CERTIFICATES };
    MDB_stat status;

    for (int i = 0; i < 2; i++) {
        struct ca_bytes key, value;
        enum ca_err err = last_record(txn, store->tables[tables[i]], &key, &value);
        if (err != CA_OK)
            return err;
        if (key.len != 0 && key.len != CA_SERIAL_LEN)
            return CA_ERR_STORAGE_CORRUPT;
        if (key.len != 0 && octets_load_be64(key.data) > store->high_locator)
            store->high_locator = octets_load_be64(key.data);
    }
    if (mdb_stat(txn, store->tables[STORE_TABLE_CERTIFICATES], &status) != 0)
        return CA_ERR_STORAGE;
    store->certificate_count = status.ms_entries;
    if (mdb_stat(txn, store->tables[STORE_TABLE_INTENTS], &status) != 0)
        return CA_ERR_STORAGE;
    store->intent_count = status.ms_entries;
    return CA_OK;
}

static enum ca_err open_load(struct store *store)
{
    MDB_txn *txn = NULL;

    enum ca_err err = store_from_lmdb(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    if (err != CA_OK)
        return err;
    err = load_meta(store, txn);
    if (err == CA_OK)
        err = load_serials(store, txn);
    mdb_txn_abort(txn);
    return err;
}

static enum ca_err open_runs(struct store *store, const char *path)
{
    struct store_runs_options options = {
        .run_entries = store->options.run_entries,
        .is_read_only = store->options.is_read_only,
        .last_sequence = store->head.change_sequence,
        .source = { store_changes_read, store },
    };
    char *runs_path = NULL;
    enum ca_err err;

    memcpy(options.id, store->identity.id, STORE_ID_LEN);
    if (asprintf(&runs_path, "%s/runs", path) < 0)
        return CA_ERR_NOMEM;
    options.path = runs_path;
    if (!options.is_read_only && mkdir(runs_path, 0700) != 0 && errno != EEXIST)
        err = store_file_error(errno);
    else
        err = store_runs_open(&options, &store->runs);
    free(runs_path);
    return err;
}

static void options_fill(struct store_options *options)
{
    if (options->map_size == 0)
        options->map_size = defaults.map_size;
    if (options->grow_size == 0)
        options->grow_size = defaults.grow_size;
    if (options->reserve_size == 0)
        options->reserve_size = defaults.reserve_size;
    if (options->run_entries == 0)
        options->run_entries = defaults.run_entries;
}

enum ca_err store_open(const char *path, const struct store_options *options,
                       struct store **store_out)
{
    struct store *store = calloc(1, sizeof(*store));
    enum ca_err err;

    *store_out = NULL;
    if (store == NULL)
        return CA_ERR_NOMEM;
    if (options != NULL)
        store->options = *options;
    options_fill(&store->options);
    store->lock_fd = store->ahead_fd = -1;
    store->has_pair = crypto_sha256_has_pair();
    pthread_mutex_init(&store->info_lock, NULL);
    if ((err = open_place(store, path)) != CA_OK)
        goto out;
    if ((err = open_env(store, path)) != CA_OK)
        goto out;
    if ((err = open_tables(store)) != CA_OK)
        goto out;
    if ((err = open_load(store)) != CA_OK)
        goto out;
    if ((err = open_late_tables(store)) != CA_OK)
        goto out;
    if ((err = open_runs(store, path)) != CA_OK)
        goto out;
    if (!store->options.is_read_only) {
        store_space_open(store, path);
        store_space_check(store);
    }
    *store_out = store;
    store = NULL;
out:
    store_close(store);
    return err;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_abort(&store->batch);
    store_runs_close(store->runs);
    store_space_close(store);
    if (store->env != NULL)
        mdb_env_close(store->env);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->batch.rows);
    free(store->batch.scopes);
    pthread_mutex_destroy(&store->info_lock);
    free(store);
}

/* ---- looking at the whole */

/* Another process may have gone on. */
static void info_refresh(struct store *store)
{
    MDB_txn *txn = NULL;

    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    pthread_mutex_lock(&store->info_lock);
    if (load_meta(store, txn) == CA_OK && load_serials(store, txn) != CA_OK)
        atomic_store(&store->is_latched, true);
    pthread_mutex_unlock(&store->info_lock);
    mdb_txn_abort(txn);
}

void store_info(struct store *store, struct store_info *info_out)
{
    int fd = -1;

    if (store->options.is_read_only)
        info_refresh(store);
    memset(info_out, 0, sizeof(*info_out));
    info_out->instance = store->identity.instance;
    memcpy(info_out->id, store->identity.id, STORE_ID_LEN);
    info_out->schema = store->identity.schema;
    pthread_mutex_lock(&store->info_lock);
    info_out->certificate_count = store->certificate_count;
    info_out->intent_count = store->intent_count;
    info_out->change_sequence = store->head.change_sequence;
    info_out->audit_sequence = store->head.audit_sequence;
    memcpy(info_out->audit_head, store->head.audit_head, STORE_CHAIN_LEN);
    info_out->clock_us = store->head.clock_us;
    pthread_mutex_unlock(&store->info_lock);
    info_out->bytes_used = store_space_used(store);
    if (mdb_env_get_fd(store->env, &fd) == 0)
        info_out->bytes_free = store_file_free(fd);
    info_out->is_full = atomic_load(&store->is_full);
    info_out->is_latched = atomic_load(&store->is_latched);
    info_out->run_count = store_runs_count(store->runs);
}

void store_check_readers(struct store *store)
{
    int dead;

    mdb_reader_check(store->env, &dead);
}

void store_rest(struct store *store)
{
    store_runs_rest(store->runs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_commit: how long does the disk take for one bare durable LMDB commit? A few records
 * appended and flushed, nothing else: what every durable answer has to wait for.
 */
#include <getopt.h>
#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"

enum { RECORDS = 8, RECORD_LEN = 1000, COMMITS_MAX = 100000, WARM_UP = 20, PATH_MAX_LEN = 512 };

static void must(int rc, const char *what)
{
    if (rc != MDB_SUCCESS)
        bench_die("%s: %s", what, mdb_strerror(rc));
}

static void commit_once(MDB_env *env, MDB_dbi dbi, uint64_t *next)
{
    uint8_t record[RECORD_LEN];
    MDB_txn *txn;

    memset(record, (int)(*next & 0xff), sizeof(record));
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    for (int i = 0; i < RECORDS; i++) {
        uint64_t number = (*next)++;
        MDB_val key = { sizeof(number), &number }, value = { sizeof(record), record };

        must(mdb_put(txn, dbi, &key, &value, MDB_APPEND), "put");
    }
    must(mdb_txn_commit(txn), "commit");
}

static void measure(const char *folder, size_t commits)
{
    static double taken_ms[COMMITS_MAX];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t next = 0;

    must(mdb_env_create(&env), "create");
    must(mdb_env_set_mapsize(env, (size_t)4 << 30), "map size");
    must(mdb_env_open(env, folder, 0, 0600), "open");
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), "table");
    must(mdb_txn_commit(txn), "commit");

    for (size_t i = 0; i < WARM_UP; i++)
        commit_once(env, dbi, &next);
    for (size_t i = 0; i < commits; i++) {
        uint64_t start_ns = bench_now_ns();

        commit_once(env, dbi, &next);
        taken_ms[i] = (double)(bench_now_ns() - start_ns) / 1e6;
    }
    mdb_env_close(env);
    bench_figure("commit.bare.", "ms", bench_median(taken_ms, commits), "ms");
    bench_figure("commit.bare.", "p99_ms", taken_ms[commits * 99 / 100], "ms");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "count", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    size_t commits = 500;
    char folder[PATH_MAX_LEN], file[PATH_MAX_LEN + 16];
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'n')
            return 2;
        commits = bench_number("--count", optarg, COMMITS_MAX);
    }
    if (optind + 1 != argc || commits == 0)
        bench_die("usage: bench_commit [--count N] FOLDER (on the disk to be measured)");
    snprintf(folder, sizeof(folder), "%s/bench-commit-%ld", argv[optind], (long)getpid());
    if (mkdir(folder, 0700) != 0)
        bench_die("%s: no folder can be made there", argv[optind]);
    measure(folder, commits);
    snprintf(file, sizeof(file), "%s/data.mdb", folder);
    unlink(file);
    snprintf(file, sizeof(file), "%s/lock.mdb", folder);
    unlink(file);
    rmdir(folder);
    return EXIT_SUCCESS;
}

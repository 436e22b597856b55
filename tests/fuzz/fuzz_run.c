/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_run: any bytes as a file of the index. The last 16 octets are a change: xored into the file
 * that a writer made (eight at the place they name), because noise seldom has right sums.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/run.h"

enum { ENTRIES = 100 };

static const uint8_t id[STORE_ID_LEN] = { 7 };
static const struct store_run_range range = { 0, ENTRIES };

static struct store_run_entry entry_of(uint64_t i)
{
    return (struct store_run_entry){ i << 57, i * 77, i + 1 };
}

/* Finds and walks; an entry that is found is one that was put. */
static void use(struct ca_bytes bytes, bool is_ours)
{
    uint64_t found[4];
    struct store_run *run;
    struct store_run_entry entry;
    size_t count;

    if (store_run_open_bytes(bytes, range, id, &run) != CA_OK)
        return;
    for (int section = 0; section < STORE_SECTION_COUNT; section++) {
        struct store_run_walk walk = { run, (enum store_section)section, 0 };
        while (store_run_walk_next(&walk, &entry) == CA_OK)
            ;
        for (uint64_t i = 0; i < ENTRIES; i++) {
            struct store_run_entry from = entry_of(i);
            enum ca_err err =
                store_run_find(run, (enum store_section)section, &from, found, 4, &count);
            assert(!is_ours || err == CA_ERR_STORAGE_CORRUPT ||
                   (err == CA_OK && count == 1 && found[0] == from.locator));
        }
    }
    (void)!store_run_check(run);
    store_run_close(run);
}

/* Made once: a file with entries, read back. */
static struct ca_bytes sample(void)
{
    static uint8_t *bytes;
    static size_t len;
    char path[] = "/tmp/certmill-fuzz-XXXXXX", name[STORE_RUN_NAME_LEN + 1];
    struct store_run_writer *writer;
    struct stat status;

    if (bytes != NULL)
        return ca_bytes_of(bytes, len);
    assert(mkdtemp(path) != NULL);
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY);
    enum ca_err err = store_run_writer_open(dir_fd, id, range, ENTRIES, &writer);
    for (uint64_t i = 0; err == CA_OK && i < 3 * ENTRIES; i++) {
        struct store_run_entry entry = entry_of(i % ENTRIES);
        err = store_run_writer_put(writer, &entry);
    }
    assert(err == CA_OK);
    err = store_run_writer_finish(writer);
    assert(err == CA_OK);
    store_run_name(range, name);
    int fd = openat(dir_fd, name, O_RDONLY);
    assert(fd >= 0 && fstat(fd, &status) == 0);
    len = (size_t)status.st_size;
    bytes = malloc(len);
    ssize_t got = read(fd, bytes, len);
    assert(got == status.st_size);
    close(fd);
    unlinkat(dir_fd, name, 0);
    close(dir_fd);
    rmdir(path);
    return ca_bytes_of(bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ca_bytes file = sample();
    uint64_t at = 0;

    use(ca_bytes_of(data, size), false);
    if (size < 16)
        return 0;
    uint8_t *bytes = malloc(file.len);
    memcpy(bytes, file.data, file.len);
    for (int i = 0; i < 8; i++)
        at = at << 8 | data[size - 16 + (size_t)i];
    for (size_t i = 0; i < 8; i++)
        bytes[(at + i) % file.len] ^= data[size - 8 + i];
    use(ca_bytes_of(bytes, file.len), true);
    free(bytes);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/octets.h"

enum {
    HEADER_LEN = 512,
    BLOCK_LEN = 64, /* of the filter: one line of the processor's cache */
    BLOCK_BITS_LEN = 56,
    BLOCK_BITS = 8 * BLOCK_BITS_LEN,
    BLOCK_SUM_AT = 4,
    BLOCK_BITS_AT = 8,
    ENTRY_BITS = 10, /* of filter per entry: one in a hundred absent digests passes */
    PROBES = 6,
    LEAF_LEN = 512,
    ENTRY_LEN = 24,
    LEAF_ENTRIES = 21,
    LEAF_SUM_AT = LEAF_ENTRIES * ENTRY_LEN,
    BUFFER_LEN = 64 * 1024,  /* of the writer, for filter and leaves each */
    AHEAD_LEN = 1024 * 1024, /* of a walk: asked for while as much is gone through */
    PAGE_LEN = 4096,
    RUN_VERSION = 1,
};
_Static_assert(LEAF_SUM_AT + 8 == LEAF_LEN, "a leaf ends with its sum");
_Static_assert(BLOCK_BITS_AT + BLOCK_BITS_LEN == BLOCK_LEN, "a block ends with its bits");

static const uint8_t magic[8] = { 'c', 'm', 'r', 'u', 'n', 0x0d, 0x0a, 0x00 };

/* Where things are: all of it follows from the number of entries. */
struct layout {
    uint64_t entry_count;
    uint64_t block_count; /* without the last one, which only tells where entries end */
    uint64_t leaf_count;
    uint64_t section_len;
    uint64_t leaves_at; /* within a section */
    uint64_t size;
};

static struct layout layout_of(uint64_t entry_count)
{
    struct layout layout = { .entry_count = entry_count };

    layout.block_count = entry_count * ENTRY_BITS / BLOCK_BITS + 1;
    layout.leaf_count = (entry_count + LEAF_ENTRIES - 1) / LEAF_ENTRIES;
    uint64_t filter_len = (layout.block_count + 1) * BLOCK_LEN;
    layout.leaves_at = (filter_len + LEAF_LEN - 1) / LEAF_LEN * LEAF_LEN;
    layout.section_len = layout.leaves_at + layout.leaf_count * LEAF_LEN;
    layout.size = HEADER_LEN + STORE_SECTION_COUNT * layout.section_len;
    return layout;
}

static uint64_t block_at(const struct layout *layout, enum store_section section, uint64_t block)
{
    return HEADER_LEN + section * layout->section_len + block * BLOCK_LEN;
}

static uint64_t leaf_at(const struct layout *layout, enum store_section section, uint64_t leaf)
{
    return HEADER_LEN + section * layout->section_len + layout->leaves_at + leaf * LEAF_LEN;
}

/* Digests are uniform, so the high half tells the block, and blocks come in order of digests. */
static uint64_t block_of(const struct layout *layout, uint64_t high)
{
    return (uint64_t)(((unsigned __int128)high * layout->block_count) >> 64);
}

/*
 * Against accidents, not against people: every step is a bijection of the state for a given word
 * and of the word for a given state, so one changed word always changes the sum.
 */
static uint64_t sum_words(const uint8_t *bytes, size_t len, uint64_t seed)
{
    uint64_t sum = seed;

    assert(len % 8 == 0);
    for (size_t i = 0; i < len; i += 8) {
        sum = (sum ^ octets_load_le64(bytes + i)) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    return sum;
}

/* A block at another place, or of another file, has another sum. */
static uint64_t place_seed(uint64_t file_seed, uint64_t at)
{
    return (file_seed ^ at) * 0xd6e8feb86659fd93u;
}

static uint64_t file_seed(const uint8_t id[STORE_ID_LEN], struct store_run_range range)
{
    uint8_t words[STORE_ID_LEN + 16];

    memcpy(words, id, STORE_ID_LEN);
    octets_store_le64(words + STORE_ID_LEN, range.from);
    octets_store_le64(words + STORE_ID_LEN + 8, range.to);
    return sum_words(words, sizeof(words), RUN_VERSION);
}

static uint32_t block_sum(const uint8_t *block, uint64_t seed)
{
    uint64_t start = octets_load_le32(block);
    uint64_t sum = sum_words(block + BLOCK_BITS_AT, BLOCK_BITS_LEN, seed ^ start);

    return (uint32_t)(sum * 0xd6e8feb86659fd93u >> 32);
}

static uint64_t leaf_sum(const uint8_t *leaf, uint64_t seed)
{
    return sum_words(leaf, LEAF_SUM_AT, seed);
}

/* Which bits of its block an entry sets: bit by bit, 0 to BLOCK_BITS - 1. */
static uint64_t probe_hash(const struct store_run_entry *entry)
{
    uint64_t hash = (entry->low ^ entry->high >> 7) * 0x9e3779b97f4a7c15u;

    return hash ^ hash >> 32;
}

static uint32_t probe_bit(uint64_t hash, int probe)
{
    return (uint32_t)((hash >> (10 * probe) & 0x3ff) * BLOCK_BITS >> 10);
}

struct store_run_entry store_run_entry_make(const struct store_digest *digest, uint64_t locator)
{
    return (struct store_run_entry){ octets_load_be64(digest->bytes),
                                     octets_load_be64(digest->bytes + 8), locator };
}

/* ---- names */

void store_run_name(struct store_run_range range, char name[STORE_RUN_NAME_LEN + 1])
{
    snprintf(name, STORE_RUN_NAME_LEN + 1, "%016llx-%016llx.run", (unsigned long long)range.from,
             (unsigned long long)range.to);
}

bool store_run_name_parse(const char *name, struct store_run_range *range_out)
{
    char again[STORE_RUN_NAME_LEN + 1];
    char *end = NULL;

    *range_out = (struct store_run_range){ 0, 0 };
    if (strlen(name) != STORE_RUN_NAME_LEN || name[16] != '-')
        return false;
    range_out->from = strtoull(name, &end, 16);
    range_out->to = strtoull(name + 17, &end, 16);
    store_run_name(*range_out, again);
    return range_out->from < range_out->to && strcmp(again, name) == 0;
}

/* ---- writing */

/* Bytes on their way to one place of the file after the other. */
struct stream {
    uint8_t buffer[BUFFER_LEN];
    size_t len;
    uint64_t at; /* of the buffer's first octet */
};

struct store_run_writer {
    int dir_fd, fd;
    char name[STORE_RUN_NAME_LEN + 1];
    char temporary[STORE_RUN_NAME_LEN + 5];
    struct layout layout;
    uint64_t seed;
    enum store_section section;
    uint64_t position; /* entries of this section so far */
    uint64_t block;    /* the one being filled */
    uint8_t block_bytes[BLOCK_LEN];
    uint8_t leaf_bytes[LEAF_LEN];
    struct stream filter, leaves;
};

static enum ca_err stream_flush(struct stream *stream, int fd)
{
    enum ca_err err = store_file_write(fd, stream->buffer, stream->len, stream->at);

    stream->at += stream->len;
    stream->len = 0;
    return err;
}

static enum ca_err stream_put(struct stream *stream, int fd, const uint8_t *bytes, size_t len)
{
    memcpy(stream->buffer + stream->len, bytes, len);
    stream->len += len;
    if (stream->len + LEAF_LEN <= BUFFER_LEN)
        return CA_OK;
    return stream_flush(stream, fd);
}

static void writer_start_block(struct store_run_writer *writer)
{
    memset(writer->block_bytes, 0, BLOCK_LEN);
    octets_store_le32(writer->block_bytes, (uint32_t)writer->position);
}

static void writer_start_section(struct store_run_writer *writer)
{
    writer->position = 0;
    writer->block = 0;
    writer->filter.at = block_at(&writer->layout, writer->section, 0);
    writer->leaves.at = leaf_at(&writer->layout, writer->section, 0);
    writer_start_block(writer);
}

static enum ca_err writer_end_block(struct store_run_writer *writer)
{
    uint64_t at = block_at(&writer->layout, writer->section, writer->block);
    uint32_t sum = block_sum(writer->block_bytes, place_seed(writer->seed, at));

    octets_store_le32(writer->block_bytes + BLOCK_SUM_AT, sum);
    writer->block++;
    return stream_put(&writer->filter, writer->fd, writer->block_bytes, BLOCK_LEN);
}

static enum ca_err writer_end_leaf(struct store_run_writer *writer)
{
    uint64_t leaf = (writer->position - 1) / LEAF_ENTRIES;
    uint64_t at = leaf_at(&writer->layout, writer->section, leaf);
    uint64_t sum = leaf_sum(writer->leaf_bytes, place_seed(writer->seed, at));

    octets_store_le64(writer->leaf_bytes + LEAF_SUM_AT, sum);
    enum ca_err err = stream_put(&writer->leaves, writer->fd, writer->leaf_bytes, LEAF_LEN);
    memset(writer->leaf_bytes, 0, LEAF_LEN);
    return err;
}

/* The blocks that are left, and one more that tells where the entries end. */
static enum ca_err writer_end_section(struct store_run_writer *writer)
{
    enum ca_err err;

    while (writer->block <= writer->layout.block_count) {
        if ((err = writer_end_block(writer)) != CA_OK)
            return err;
        writer_start_block(writer);
    }
    if (writer->position % LEAF_ENTRIES != 0 && (err = writer_end_leaf(writer)) != CA_OK)
        return err;
    if ((err = stream_flush(&writer->filter, writer->fd)) != CA_OK)
        return err;
    if ((err = stream_flush(&writer->leaves, writer->fd)) != CA_OK)
        return err;
    writer->section++;
    if (writer->section < STORE_SECTION_COUNT)
        writer_start_section(writer);
    return CA_OK;
}

enum ca_err store_run_writer_open(int dir_fd, const uint8_t id[STORE_ID_LEN],
                                  struct store_run_range range, size_t entry_count,
                                  struct store_run_writer **writer_out)
{
    struct store_run_writer *writer = calloc(1, sizeof(*writer));
    uint8_t header[HEADER_LEN] = { 0 };
    struct octets_writer octets = { header, HEADER_LEN - 8 };
    enum ca_err err;

    *writer_out = NULL;
    assert(entry_count <= STORE_RUN_ENTRIES_MAX && range.from < range.to);
    if (writer == NULL)
        return CA_ERR_NOMEM;
    writer->dir_fd = dir_fd;
    writer->layout = layout_of(entry_count);
    writer->seed = file_seed(id, range);
    store_run_name(range, writer->name);
    snprintf(writer->temporary, sizeof(writer->temporary), "%s.tmp", writer->name);
    octets_put(&octets, magic, sizeof(magic));
    octets_put_u64(&octets, RUN_VERSION);
    octets_put(&octets, id, STORE_ID_LEN);
    octets_put_u64(&octets, range.from);
    octets_put_u64(&octets, range.to);
    octets_put_u64(&octets, entry_count);
    octets_store_le64(header + HEADER_LEN - 8, leaf_sum(header, place_seed(writer->seed, 0)));

    writer->fd = openat(dir_fd, writer->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    err = writer->fd < 0 ? store_file_error(errno) : CA_OK;
    if (err == CA_OK)
        err = store_file_allocate(writer->fd, 0, writer->layout.size);
    if (err == CA_OK)
        err = store_file_write(writer->fd, header, HEADER_LEN, 0);
    if (err != CA_OK) {
        store_run_writer_abort(writer);
        return err;
    }
    writer_start_section(writer);
    *writer_out = writer;
    return CA_OK;
}

enum ca_err store_run_writer_put(struct store_run_writer *writer,
                                 const struct store_run_entry *entry)
{
    enum ca_err err;

    while (writer->position == writer->layout.entry_count)
        if ((err = writer_end_section(writer)) != CA_OK)
            return err;
    assert(writer->section < STORE_SECTION_COUNT);
    while (writer->block < block_of(&writer->layout, entry->high)) {
        if ((err = writer_end_block(writer)) != CA_OK)
            return err;
        writer_start_block(writer);
    }
    uint64_t hash = probe_hash(entry);
    for (int i = 0; i < PROBES; i++) {
        uint32_t bit = probe_bit(hash, i);
        writer->block_bytes[BLOCK_BITS_AT + bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    uint8_t *bytes = writer->leaf_bytes + writer->position % LEAF_ENTRIES * ENTRY_LEN;
    octets_store_be64(bytes, entry->high);
    octets_store_be64(bytes + 8, entry->low);
    octets_store_be64(bytes + 16, entry->locator);
    writer->position++;
    return writer->position % LEAF_ENTRIES == 0 ? writer_end_leaf(writer) : CA_OK;
}

enum ca_err store_run_writer_finish(struct store_run_writer *writer)
{
    enum ca_err err = CA_OK;

    while (err == CA_OK && writer->section < STORE_SECTION_COUNT) {
        assert(writer->position == writer->layout.entry_count);
        err = writer_end_section(writer);
    }
    if (err == CA_OK && fsync(writer->fd) != 0)
        err = store_file_error(errno);
    if (err == CA_OK &&
        renameat(writer->dir_fd, writer->temporary, writer->dir_fd, writer->name) != 0)
        err = store_file_error(errno);
    if (err == CA_OK && fsync(writer->dir_fd) != 0)
        err = store_file_error(errno);
    if (err != CA_OK) {
        store_run_writer_abort(writer);
        return err;
    }
    close(writer->fd);
    free(writer);
    return CA_OK;
}

void store_run_writer_abort(struct store_run_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->fd >= 0) {
        unlinkat(writer->dir_fd, writer->temporary, 0);
        close(writer->fd);
    }
    free(writer);
}

/* ---- reading */

struct store_run {
    const uint8_t *bytes;
    struct store_run_range range;
    struct layout layout;
    uint64_t seed;
    bool is_mapped;
};

static enum ca_err run_read_header(struct store_run *run, struct ca_bytes bytes,
                                   const uint8_t id[STORE_ID_LEN])
{
    struct octets_reader reader = { bytes.data, bytes.len, false };

    if (bytes.len < HEADER_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    run->seed = file_seed(id, run->range);
    if (octets_load_le64(bytes.data + HEADER_LEN - 8) !=
        leaf_sum(bytes.data, place_seed(run->seed, 0)))
        return CA_ERR_STORAGE_CORRUPT;
    struct ca_bytes found_magic = octets_get(&reader, sizeof(magic));
    uint64_t version = octets_get_u64(&reader);
    struct ca_bytes found_id = octets_get(&reader, STORE_ID_LEN);
    uint64_t from = octets_get_u64(&reader);
    uint64_t to = octets_get_u64(&reader);
    uint64_t entry_count = octets_get_u64(&reader);
    if (!ca_bytes_equal(found_magic, ca_bytes_of(magic, sizeof(magic))) || version != RUN_VERSION ||
        !ca_bytes_equal(found_id, ca_bytes_of(id, STORE_ID_LEN)) || from != run->range.from ||
        to != run->range.to || entry_count > STORE_RUN_ENTRIES_MAX)
        return CA_ERR_STORAGE_CORRUPT;
    run->layout = layout_of(entry_count);
    return run->layout.size == bytes.len ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

enum ca_err store_run_open_bytes(struct ca_bytes bytes, struct store_run_range range,
                                 const uint8_t id[STORE_ID_LEN], struct store_run **run_out)
{
    struct store_run *run = calloc(1, sizeof(*run));

    *run_out = NULL;
    if (run == NULL)
        return CA_ERR_NOMEM;
    run->bytes = bytes.data;
    run->range = range;
    enum ca_err err = run_read_header(run, bytes, id);
    if (err != CA_OK) {
        free(run);
        return err;
    }
    *run_out = run;
    return CA_OK;
}

enum ca_err store_run_open(int dir_fd, struct store_run_range range, const uint8_t id[STORE_ID_LEN],
                           struct store_run **run_out)
{
    char name[STORE_RUN_NAME_LEN + 1];
    struct stat status;

    *run_out = NULL;
    store_run_name(range, name);
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? CA_ERR_NOT_FOUND : store_file_error(errno);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < HEADER_LEN) {
        close(fd);
        return CA_ERR_STORAGE_CORRUPT;
    }
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return CA_ERR_NOMEM;
    madvise(bytes, size, MADV_RANDOM);
    enum ca_err err = store_run_open_bytes(ca_bytes_of(bytes, size), range, id, run_out);
    if (err != CA_OK)
        munmap(bytes, size);
    else
        (*run_out)->is_mapped = true;
    return err;
}

void store_run_close(struct store_run *run)
{
    if (run == NULL)
        return;
    if (run->is_mapped) /* the cast takes back the const that only reading is promised with */
        munmap((void *)(uintptr_t)run->bytes, run->layout.size);
    free(run);
}

struct store_run_range store_run_range(const struct store_run *run)
{
    return run->range;
}

size_t store_run_entry_count(const struct store_run *run)
{
    return run->layout.entry_count;
}

/* A checked block of the filter, or NULL. */
static const uint8_t *run_block(const struct store_run *run, enum store_section section,
                                uint64_t number)
{
    uint64_t at = block_at(&run->layout, section, number);
    const uint8_t *block = run->bytes + at;

    if (octets_load_le32(block + BLOCK_SUM_AT) != block_sum(block, place_seed(run->seed, at)))
        return NULL;
    return block;
}

/* A checked leaf, or NULL. */
static const uint8_t *run_leaf(const struct store_run *run, enum store_section section,
                               uint64_t number)
{
    uint64_t at = leaf_at(&run->layout, section, number);
    const uint8_t *leaf = run->bytes + at;

    if (octets_load_le64(leaf + LEAF_SUM_AT) != leaf_sum(leaf, place_seed(run->seed, at)))
        return NULL;
    return leaf;
}

static struct store_run_entry leaf_entry(const uint8_t *leaf, uint64_t position)
{
    const uint8_t *bytes = leaf + position % LEAF_ENTRIES * ENTRY_LEN;

    return (struct store_run_entry){ octets_load_be64(bytes), octets_load_be64(bytes + 8),
                                     octets_load_be64(bytes + 16) };
}

/* Entries of one section; remembers the leaf that was checked last. */
struct finder {
    const struct store_run *run;
    enum store_section section;
    const uint8_t *leaf;
    uint64_t leaf_number;
};

static enum ca_err finder_entry(struct finder *finder, uint64_t position,
                                struct store_run_entry *entry_out)
{
    uint64_t number = position / LEAF_ENTRIES;

    if (finder->leaf == NULL || finder->leaf_number != number) {
        finder->leaf = run_leaf(finder->run, finder->section, number);
        finder->leaf_number = number;
        if (finder->leaf == NULL)
            return CA_ERR_STORAGE_CORRUPT;
    }
    *entry_out = leaf_entry(finder->leaf, position);
    return CA_OK;
}

/* Entries that may have the digest: [start, end); empty when the filter knows better. */
static enum ca_err run_candidates(const struct store_run *run, enum store_section section,
                                  const struct store_run_entry *from, uint64_t *start_out,
                                  uint64_t *end_out)
{
    uint64_t number = block_of(&run->layout, from->high);
    const uint8_t *block = run_block(run, section, number);

    *start_out = *end_out = 0;
    if (block == NULL)
        return CA_ERR_STORAGE_CORRUPT;
    uint64_t hash = probe_hash(from);
    for (int i = 0; i < PROBES; i++) {
        uint32_t bit = probe_bit(hash, i);
        if ((block[BLOCK_BITS_AT + bit / 8] >> bit % 8 & 1) == 0)
            return CA_OK;
    }
    const uint8_t *next = run_block(run, section, number + 1);
    if (next == NULL)
        return CA_ERR_STORAGE_CORRUPT;
    uint64_t start = octets_load_le32(block), end = octets_load_le32(next);
    if (start > end || end > run->layout.entry_count)
        return CA_ERR_STORAGE_CORRUPT;
    *start_out = start;
    *end_out = end;
    return CA_OK;
}

enum ca_err store_run_find(const struct store_run *run, enum store_section section,
                           const struct store_run_entry *from, uint64_t *locators_out,
                           size_t count_max, size_t *count_out)
{
    struct finder finder = { run, section, NULL, 0 };
    struct store_run_entry entry;
    uint64_t low, high, end;
    enum ca_err err;

    *count_out = 0;
    if ((err = run_candidates(run, section, from, &low, &end)) != CA_OK)
        return err;
    for (high = end; low < high;) { /* the first entry that is not below `from` */
        uint64_t middle = low + (high - low) / 2;
        if ((err = finder_entry(&finder, middle, &entry)) != CA_OK)
            return err;
        if (store_run_entry_compare(&entry, from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && *count_out < count_max; low++) {
        if ((err = finder_entry(&finder, low, &entry)) != CA_OK)
            break;
        if (entry.high != from->high || entry.low != from->low)
            break;
        locators_out[(*count_out)++] = entry.locator;
    }
    if (err != CA_OK)
        *count_out = 0;
    return err;
}

/* The mapping is for look-ups, which come from anywhere, so a walk asks for what is next itself. */
static void run_expect(const struct store_run *run, uint64_t at)
{
    uint64_t start = at / PAGE_LEN * PAGE_LEN, end = start + 2 * (uint64_t)AHEAD_LEN;

    if (end > run->layout.size)
        end = run->layout.size;
    if (run->is_mapped)
        madvise((void *)(uintptr_t)(run->bytes + start), end - start, MADV_WILLNEED);
}

enum ca_err store_run_walk_next(struct store_run_walk *walk, struct store_run_entry *entry_out)
{
    const struct store_run *run = walk->run;

    if (walk->position >= run->layout.entry_count)
        return CA_ERR_NOT_FOUND;
    uint64_t leaf = walk->position / LEAF_ENTRIES;
    if (walk->position % (LEAF_ENTRIES * (AHEAD_LEN / LEAF_LEN)) == 0)
        run_expect(run, leaf_at(&run->layout, walk->section, leaf));
    if (walk->position % LEAF_ENTRIES == 0 && run_leaf(run, walk->section, leaf) == NULL)
        return CA_ERR_STORAGE_CORRUPT;
    *entry_out =
        leaf_entry(run->bytes + leaf_at(&run->layout, walk->section, leaf), walk->position);
    walk->position++;
    return CA_OK;
}

/* The filter must let every entry pass, and tell where it is. */
static enum ca_err run_check_section(const struct store_run *run, enum store_section section)
{
    struct store_run_walk walk = { run, section, 0 };
    struct store_run_entry entry, last = { 0, 0, 0 };
    uint64_t start, end;
    enum ca_err err;

    for (uint64_t i = 0; i <= run->layout.block_count; i++)
        if (run_block(run, section, i) == NULL)
            return CA_ERR_STORAGE_CORRUPT;
    while ((err = store_run_walk_next(&walk, &entry)) == CA_OK) {
        if (walk.position > 1 && store_run_entry_compare(&last, &entry) >= 0)
            return CA_ERR_STORAGE_CORRUPT;
        if ((err = run_candidates(run, section, &entry, &start, &end)) != CA_OK)
            return err;
        if (walk.position - 1 < start || walk.position - 1 >= end)
            return CA_ERR_STORAGE_CORRUPT;
        last = entry;
    }
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

enum ca_err store_run_check(const struct store_run *run)
{
    enum ca_err err = CA_OK;

    for (int i = 0; err == CA_OK && i < STORE_SECTION_COUNT; i++)
        err = run_check_section(run, (enum store_section)i);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: a file that appears whole or not at all, however large, however the process ends.
 *
 * What is appended goes to a file without a name (or, where the file system has none, under a
 * name of its own), through four registered buffers of io_uring, several writes in flight;
 * where io_uring is not allowed, by pwrite; the disk begins with it meanwhile. The front stays in
 * memory until the end, so that a header can be filled in late. commit syncs the file, gives it its
 * name in one step, replacing what was there, and syncs the folder. One thread at a time.
 *
 * Where there is a reserve (store/reserve.h) what was there becomes the next one; and a full disk
 * is no reason not to publish, as the file is written into the reserve then.
 */
#pragma once

#include <sys/types.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"

struct store_publish;

enum { STORE_PUBLISH_BUFFER_LEN = 1 << 20 };

struct store_publish_options {
    mode_t mode;      /* of the new file, less the umask; 0: 0644 */
    uint64_t len;     /* expected, so that a full disk shows at once; 0: unknown */
    bool is_plain;    /* pwrite even if io_uring is allowed */
    bool is_named;    /* a temporary name even if there are files without one */
    bool has_reserve; /* needs len */
    /* With a reserve: where commit leaves a descriptor of the one before, whose room is let go when
     * the caller closes it, which takes its time; -1: there is none. NULL: at once. */
    int *retired_out;
};

/* STORAGE, STORAGE_FULL, NOT_FOUND (no such folder), DENIED, NOMEM. */
CA_MUST_CHECK enum ca_err store_publish_begin(const char *path,
                                              const struct store_publish_options *options,
                                              struct store_publish **publish_out);
/* Is io_uring at work? */
bool store_publish_is_ring(const struct store_publish *publish);
/* Is the disk full, and the reserve what is written into? */
bool store_publish_is_reserve(const struct store_publish *publish);

/* Copies the octets in. A failed write may show at any later call; then only abort is left. */
CA_MUST_CHECK enum ca_err store_publish_append(struct store_publish *publish,
                                               struct ca_bytes bytes);
/* Overwrites octets within the first STORE_PUBLISH_BUFFER_LEN ones appended before. */
void store_publish_patch(struct store_publish *publish, uint64_t at, struct ca_bytes bytes);
/* Starts the file again, empty. */
CA_MUST_CHECK enum ca_err store_publish_restart(struct store_publish *publish);
uint64_t store_publish_len(const struct store_publish *publish);

/*
 * All that was appended, as it is in the file: a mapping, so it takes no memory of ours. Lent until
 * the next call of append, patch, restart, map, commit or abort.
 */
CA_MUST_CHECK enum ca_err store_publish_map(struct store_publish *publish,
                                            struct ca_bytes *bytes_out);

/*
 * Either ends it, and frees it. On an error of commit the old file is still there, except that
 * with STORAGE after a failed sync of the folder it is not known which of the two.
 */
CA_MUST_CHECK enum ca_err store_publish_commit(struct store_publish *publish);
void store_publish_abort(struct store_publish *publish); /* NULL is fine */

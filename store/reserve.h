/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve: room on the disk for the next version of a published file, taken before it is needed.
 *
 * Beside FOLDER/NAME lies FOLDER/.NAME.reserve: a file with blocks of its own, allocated beyond
 * what is in it. When the disk is full, store/publish.h writes the next version into it and lets
 * the two change names: the version before is the reserve then. So the room never leaves the
 * folder, and nobody else can take it meanwhile. Without locks: one process keeps a folder.
 */
#pragma once

#include <stdbool.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"

/* Octets that are kept for a file that may come to be len octets long: with head-room. */
uint64_t store_reserve_size(uint64_t len);

/* The reserve's name for that of a file; NULL: no memory. Freed by the caller. */
char *store_reserve_name(const char *name);

/*
 * Sees to it that the reserve of the file is there, and large enough for len octets; makes it, or
 * makes it larger by head-room, where it is not. STORAGE_FULL: it is missing, or smaller.
 * has_room_out: there would be as much without it, too. Where the file system does not allocate,
 * there is nothing to be kept, and that is CA_OK.
 */
CA_MUST_CHECK enum ca_err store_reserve_keep(const char *path, uint64_t len, bool *has_room_out);

/*
 * The reserve called name in a folder, opened for writing len octets from the start.
 * STORAGE_FULL: it is not there, too small, or is still read by somebody who opened it as the
 * version before.
 */
CA_MUST_CHECK enum ca_err store_reserve_open(int folder, const char *name, uint64_t len,
                                             int *fd_out);

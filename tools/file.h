/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: whole files, in and out.
 *
 * Nothing secret goes through here. On a failure errno says why.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"

/* Reads a regular file of at most size_max octets, or standard input for "-". A NUL is put behind.
 * The caller frees data_out. NOT_FOUND, FIELD_LENGTH (too large), STORAGE, NOMEM. */
CA_MUST_CHECK enum ca_err file_load(const char *path, size_t size_max, uint8_t **data_out,
                                    size_t *len_out);

/* Complete and on disk, or not there: written beside, synced, renamed; the folder synced.
 * With `replaces`, takes the place of a file of that name; otherwise EXISTS. What is no regular
 * file (a device, a pipe, /dev/stdout) is written into instead of replaced. */
CA_MUST_CHECK enum ca_err file_save(const char *path, struct ca_bytes bytes, mode_t mode,
                                    bool replaces);

/* A device, a pipe, a socket: what stands for something else and must stay. */
bool file_is_special(const char *path);

/* Makes the entries of a folder durable. */
CA_MUST_CHECK enum ca_err file_sync_folder(const char *path);

/* What a person reads of an error that has to do with a file: NOT_FOUND is one that is not there,
 * DENIED a secret one that others may read. */
const char *file_err_text(enum ca_err err);
/* The same of store_open(). */
const char *file_store_err_text(enum ca_err err);

/* Deletes a folder with everything in it, as far as that goes. */
void file_drop_tree(const char *path);

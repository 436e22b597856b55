/* SPDX-License-Identifier: Apache-2.0 */
/* file: the few things we ask of the file system, whole or with our error. */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"

/* STORAGE_FULL: no space, quota, file size limit; NOMEM: also file descriptors; else STORAGE. */
enum ca_err store_file_error(int number);
/* Likewise of a path: NOT_FOUND and DENIED, too. */
enum ca_err store_file_path_error(int number);
CA_MUST_CHECK enum ca_err store_file_write(int fd, const uint8_t *bytes, size_t len, uint64_t at);
/* Space on disk for the range, and the file at least that long. CA_OK where it is not supported. */
CA_MUST_CHECK enum ca_err store_file_allocate(int fd, uint64_t at, uint64_t len);
/* Blocks for the first len octets of a file, which stays as long as it is; what it has counts. */
CA_MUST_CHECK enum ca_err store_file_allocate_within(int fd, uint64_t len);
/* The folder of a path, opened ("." of one without a slash), and the name in it. */
CA_MUST_CHECK enum ca_err store_file_open_folder(const char *path, int *fd_out);
const char *store_file_name(const char *path);
CA_MUST_CHECK enum ca_err store_file_sync_directory(const char *path);
/* Octets that may still be written to the file system. */
uint64_t store_file_free(int fd);
/* Network file systems keep neither locks nor mapped pages in order: CONFIG. */
CA_MUST_CHECK enum ca_err store_file_check_local(int fd);
/* A directory of plain files and one level of such directories; errors leave the rest. */
void store_file_remove_tree(const char *path);

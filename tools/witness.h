/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness: signed heads of an audit log, kept in a file by who has seen them.
 *
 * The file holds signed notes (ca/keys/head.h) one behind the other, ascending: of one log, and
 * only appended to. Its place is where nobody who can write to the log can write. Says on standard
 * error what goes wrong.
 */
#pragma once

#include "ca/keys/head.h"
#include "rpc/certmill.pb-c.h"

/* False: it is none. */
bool witness_read(const Certmill__SignedHead *message, struct keys_signed_head *head_out);

/*
 * Appends what is above all that is there, and makes it last; the file is made if there is none.
 * What contradicts what is there, or was signed after that and is of a record before, is said and
 * not kept: the log was rolled back or replaced. Signatures are not looked at. Several processes
 * may do it at once.
 */
void witness_keep(const char *path, const struct keys_signed_head *head);

/* All of a file. The caller frees heads_out. FIELD_FORMAT with the number of the first note that
 * is none, or of another log, or not above the one before; NOT_FOUND, STORAGE and the like. */
CA_MUST_CHECK enum ca_err witness_load(const char *path, struct keys_signed_head **heads_out,
                                       size_t *count_out);

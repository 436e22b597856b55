/* SPDX-License-Identifier: Apache-2.0 */
/* locked_memory: room for secrets that cannot be swapped, of which an ordinary user has a limit. */
#pragma once

#include "ca/base/err.h"

/*
 * Raises the limit as far as this user may, and tries: KEY_UNUSABLE, after a word on standard error
 * that says how much is needed and what the limit is. Before any secret exists.
 */
CA_MUST_CHECK enum ca_err locked_memory_check(const char *program);
/* That, and keys_harden_process(); says what went wrong. */
CA_MUST_CHECK enum ca_err locked_memory_harden(const char *program);

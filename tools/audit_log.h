/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_log: the audit log page by page, from a running daemon or from what a stopped one left
 * behind. Says on standard error what went wrong.
 */
#pragma once

#include "ca/keys/head.h"
#include "tools/audit_chain.h"
#include "tools/command.h"

enum { AUDIT_PAGE_MAX = 1000 };

struct audit_log;

/* config_path NULL: asks the daemon that line tells; otherwise reads the data that the
 * configuration names. */
CA_MUST_CHECK enum ca_err audit_log_open(const struct command_line *line, const char *config_path,
                                         struct audit_log **log_out);
void audit_log_close(struct audit_log *log);
/* Up to limit records behind `since`, ascending; lent until the next call. */
CA_MUST_CHECK enum ca_err audit_log_read(struct audit_log *log, uint64_t since, size_t limit,
                                         struct audit_page *page_out);

/* The newest that was signed; NOT_FOUND: none was. */
CA_MUST_CHECK enum ca_err audit_log_head(struct audit_log *log, struct keys_signed_head *head_out);

/* "issued"; "?" for what is not known here. */
const char *audit_kind_name(enum store_audit_kind kind);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signers: from the configuration to keys that sign: a process for soft keys, sessions for tokens.
 *
 * Says on standard error what went wrong, and in the log what becomes of the signer process.
 */
#pragma once

#include "ca/keys/process.h"
#include "tools/config.h"
#include "tools/passphrase.h"

struct signers;

/*
 * First thing after the configuration: forks, if there are soft keys and they are to have a process
 * of their own. The passphrase's descriptor is closed here then: it is the other process's.
 * config is borrowed until the end; its CAs get their signers.
 */
CA_MUST_CHECK enum ca_err signers_fork(struct config *config,
                                       const struct passphrase_source *source,
                                       const struct keys_user *user, struct signers **signers_out);
/*
 * After the daemon has become what it will be: the signer process unseals meanwhile, unless it has
 * to ask for the passphrase.
 */
CA_MUST_CHECK enum ca_err signers_begin(struct signers *signers);
/* Unseals and logs in; asks for the passphrase only where a key is sealed with it. */
CA_MUST_CHECK enum ca_err signers_open(struct signers *signers);
void signers_close(struct signers *signers);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: giving up what a process may do, for good.
 *
 * Called before there are threads: capabilities belong to threads, and later ones inherit. Every
 * step is checked after it was taken; KEY_UNUSABLE if one did not hold, and then the process is
 * to end. docs/SECURITY.md lists what is left.
 */
#pragma once

#include <sys/types.h>

#include "ca/base/err.h"

/* Whom to become; a NULL name stays who it is. */
struct keys_user {
    const char *name; /* for the groups it belongs to */
    uid_t uid;
    gid_t gid;
};

/*
 * Another user, if one is named, with no way back; no capabilities; nothing executed from now on
 * gains rights; no dumps. DENIED if this process may not become that user.
 */
CA_MUST_CHECK enum ca_err keys_confine_rights(const struct keys_user *user);

/* The daemon's system calls: all but those it has no business with; these end the process. */
CA_MUST_CHECK enum ca_err keys_confine_daemon(void);
/*
 * The signer's: memory, waiting, randomness and messages over sockets that are open; anything else
 * ends the process. No file or connection can be opened any more, and no thread started.
 */
CA_MUST_CHECK enum ca_err keys_confine_signer(void);

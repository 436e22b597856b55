/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: soft keys in a process of their own, and signers that ask it.
 *
 *   daemon  ── lanes ──  signer      asks with tickets; holds neither key nor passphrase
 *     └─ words ─ keeper ──┘          starts it, and again when it died, if that is allowed
 *
 * A call takes one lane and waits on it; there are as many lanes as threads that sign. When the
 * signer ends, what was asked is UNKNOWN and what is asked next is BUSY, or KEY_UNUSABLE if nobody
 * will start it again.
 */
#pragma once

#include "ca/keys/keeper.h"
#include "ca/keys/keys.h"

enum keys_process_event {
    KEYS_PROCESS_STARTED, /* number: its process id */
    KEYS_PROCESS_ENDED,   /* number: as waitpid() says */
    KEYS_PROCESS_REFUSED, /* number: enum ca_err; it could not be started again */
    KEYS_PROCESS_GONE,    /* it will not be started again */
};

struct keys_process_options {
    struct keys_keeper_setup keeper; /* its signer's areas are made here */
    uint32_t timeout_ms;             /* for one batch, after which it is taken for dead; 0: 60 s */
    uint32_t pause_ms;               /* before the first new start, doubled after each; 0: 1 s */
    /* Any thread; may be NULL. */
    void (*tell)(void *arg, enum keys_process_event event, int number);
    void *arg;
};

struct keys_process;

/*
 * Forks the keeper: before there are threads, secrets (KEY_UNUSABLE) or open files it should not
 * see. What options borrows is used in the other processes as it is now.
 */
CA_MUST_CHECK enum ca_err keys_process_fork(const struct keys_process_options *options,
                                            struct keys_process **process_out);
/* Forks the signer, which unseals while its caller does something else. Need not be called. */
CA_MUST_CHECK enum ca_err keys_process_begin(struct keys_process *process);
/* Forks the signer if that was not done, and waits until it has unsealed. Its reason if it could
 * not. */
CA_MUST_CHECK enum ca_err keys_process_start(struct keys_process *process);
/* After its signers. Both processes end. */
void keys_process_close(struct keys_process *process);

/* Is all of the signer's memory locked, or only its secrets? */
bool keys_process_is_locked(const struct keys_process *process);

/* key: which of those that unsealing opened. CONFIG for an unchecked RSA key. */
CA_MUST_CHECK enum ca_err keys_signer_open_process(struct keys_process *process, size_t key,
                                                   const struct crypto_public_key *public,
                                                   const struct keys_signer_options *options,
                                                   struct keys_signer **signer_out);

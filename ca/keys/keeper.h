/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: the process between the daemon and its signer; private to this folder.
 *
 * Forked before the daemon has threads, files or the rights of another user, it stays as small as
 * it was then, so that a signer can be started again from it. It holds no key. Words go over a
 * socket of whole messages: one octet, and four of a number. It ends with the daemon, and the
 * signer with it.
 */
#pragma once

#include "ca/keys/signer_main.h"

enum keys_keeper_word {
    KEYS_KEEPER_START = 1, /* and the tickets' secret: a signer, after the last one has ended */
    KEYS_KEEPER_STOP,      /* the signer is killed */
    KEYS_KEEPER_STARTED,   /* with its process id, and the lanes as descriptors */
    KEYS_KEEPER_FAILED,    /* with errno: there is none */
    KEYS_KEEPER_ENDED,     /* with what waitpid() said */
};
enum {
    KEYS_KEEPER_LEN = 5,
    KEYS_KEEPER_LEN_MAX = KEYS_KEEPER_LEN + KEYS_TICKET_KEY_LEN,
    KEYS_KEEPER_FDS_MAX = 4,
};

struct keys_keeper_setup {
    struct keys_signer_setup signer;
    bool may_restart;             /* otherwise its rights go with the first start */
    int fds[KEYS_KEEPER_FDS_MAX]; /* that unsealing reads from; below 0: none */
};

void keys_keeper_word_write(uint8_t octets[KEYS_KEEPER_LEN], enum keys_keeper_word word,
                            uint32_t number);
uint32_t keys_keeper_number(const uint8_t octets[KEYS_KEEPER_LEN]);

/* Never returns. control: its end of the socket; daemon: the parent, whose end is its own. */
_Noreturn void keys_keeper_main(const struct keys_keeper_setup *setup, int control, pid_t daemon);

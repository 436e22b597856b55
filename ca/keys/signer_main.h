/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer_main: the process that holds soft keys and does nothing but sign; private to this folder.
 *
 * It unseals, gives up everything but its sockets (confine.h), and then answers: one thread for
 * each lane (frame.h). It signs what carries a ticket, after it has hashed the content itself and
 * found the ticket's number in it. CA keys sign certificates and lists, an audit key heads that go
 * with those before (head.h). It ends when the other end of a lane closes, when its
 * parent ends, and when what arrives is no frame: nobody who speaks otherwise is its daemon.
 */
#pragma once

#include "ca/crypto/crypto.h"
#include "ca/keys/confine.h"
#include "ca/keys/ticket.h"

enum { KEYS_PROCESS_KEYS_MAX = 65, KEYS_PROCESS_LANES_MAX = 64 };

struct keys_signer_setup {
    /*
     * Opens key_count keys; in the signer, with the rights the daemon was started with. Says on
     * standard error what went wrong.
     */
    enum ca_err (*unseal)(void *arg, struct crypto_private_key **keys);
    void *arg;
    size_t key_count;
    bool
        signs_heads[KEYS_PROCESS_KEYS_MAX]; /* the audit log's, and nothing else; others never do */
    size_t lane_count;
    const struct crypto *crypto; /* from before the fork: its tables serve every lane; or NULL */
    uint8_t *areas;           /* KEYS_FRAME_AREA_SIZE of shared memory for each lane; NULL: none */
    struct keys_user user;    /* whom it becomes after that */
    crypto_random_fn *random; /* NULL: the system's; another for tests */
    void *random_arg;
};

/* The first answer on lanes[0] tells that it is ready (count 1: its memory is locked), or why not.
 * ticket_secret is copied. */
_Noreturn void keys_signer_main(const struct keys_signer_setup *setup,
                                const uint8_t ticket_secret[KEYS_TICKET_KEY_LEN], const int *lanes);

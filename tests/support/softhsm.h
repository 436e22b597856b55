/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softhsm: a SoftHSM token in a temporary directory, with keys, and the faulty module in front of
 * it. One for each process: modules are.
 */
#pragma once

#include "ca/keys/keys.h"
#include "tests/support/faultp11.h"

#define SOFTHSM_PIN   "pin-of-the-tests-4711"
#define SOFTHSM_TOKEN "certmill test"
#define SOFTHSM_URI   "pkcs11:token=certmill%20test;object="

struct softhsm {
    char dir[64];
    char pin_file[96];
    struct faultp11 *faults;
};

void softhsm_make(struct softhsm *softhsm);
void softhsm_unmake(struct softhsm *softhsm);

/* A pair with this label and id. The public key, as it stands in a certificate, is written into
 * memory, of 1024 octets. */
struct crypto_public_key softhsm_generate(const char *label, uint8_t id, enum crypto_key_type type,
                                          uint8_t *memory);
/* Both halves get other names: SOFTHSM_URI with the label finds another key from now on. */
void softhsm_rename(const char *label, const char *new_label);
/* Every session of this process is gone, and the login with them. */
void softhsm_close_sessions(void);

/* All rules off, the hung released. */
void softhsm_heal(struct softhsm *softhsm);
void softhsm_fail(struct softhsm *softhsm, size_t rule, enum faultp11_call call, int fault,
                  int times);

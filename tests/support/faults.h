/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults: signatures and commits that fail on demand. The linker sends an engine's calls of
 * keys_sign() and store_commit() through here (--wrap).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_int fault_signatures;  /* the next so many fail, */
extern int fault_signature_err;      /* so; KEY_UNUSABLE unless set */
extern atomic_int fault_commit;      /* which commit from now on fails; 0: none */
extern int fault_commit_err;         /* so; STORAGE unless set. NOMEM is never on disk */
extern bool fault_commit_is_on_disk; /* it is reported as failed all the same */
/* Once, in a thread that is about to sign. */
extern void (*fault_while_signing)(void);

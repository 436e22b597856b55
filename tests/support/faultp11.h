/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faultp11: a PKCS#11 module around SoftHSM that fails on demand and counts signatures.
 *
 * FAULTP11 in the environment names a file of struct faultp11, shared with whoever maps it: the
 * test in the same process, or one that watches a daemon. Rules are looked at in order.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The calls that the signer makes. */
#define FAULTP11_CALLS(X)  \
    X(C_Initialize)        \
    X(C_GetSlotList)       \
    X(C_GetTokenInfo)      \
    X(C_OpenSession)       \
    X(C_CloseSession)      \
    X(C_GetSessionInfo)    \
    X(C_Login)             \
    X(C_FindObjectsInit)   \
    X(C_FindObjects)       \
    X(C_FindObjectsFinal)  \
    X(C_GetAttributeValue) \
    X(C_SignInit)          \
    X(C_Sign)

/* Those that make a key. */
#define FAULTP11_MAKER_CALLS(X) \
    X(C_GetMechanismInfo)       \
    X(C_GenerateKeyPair)        \
    X(C_DestroyObject)

enum faultp11_call {
#define X(name) FAULTP11_##name,
    FAULTP11_CALLS(X) FAULTP11_CALL_COUNT,
    FAULTP11_MAKER_CALLS(X)
#undef X
        FAULTP11_ANY, /* every call: the device is gone */
};

/* Besides the codes of PKCS#11. */
enum faultp11_fault {
    FAULTP11_NONE = 0,
    FAULTP11_SLOW = -1, /* takes a fifth of a second longer */
    FAULTP11_HUNG = -2, /* until release is set */
    FAULTP11_FLIP = -3, /* C_Sign: one bit of the signature is another */
};

enum { FAULTP11_RULES = 2, FAULTP11_FOR_EVER = 1 << 30 };

struct faultp11_rule {
    atomic_int call;  /* enum faultp11_call */
    atomic_int fault; /* enum faultp11_fault, or what the call answers */
    atomic_int times; /* how often still */
    atomic_int fired;
};

/* The octets given to C_Sign, before anything becomes of them: 32 for a SHA-256 digest. */
enum { FAULTP11_INPUTS = 8192, FAULTP11_INPUT_LEN = 32 };

struct faultp11 {
    struct faultp11_rule rules[FAULTP11_RULES];
    atomic_int release;
    atomic_int hanging;      /* calls that wait for it */
    atomic_uint bit;         /* flipped next, counted up */
    atomic_ulong signatures; /* the token made */
    atomic_size_t input_count;
    uint8_t inputs[FAULTP11_INPUTS][FAULTP11_INPUT_LEN];
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faultp11.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_MS = 200 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static struct faultp11 *control;

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* The fault of this call, or none. */
static int strike(enum faultp11_call call)
{
    for (size_t i = 0; i < FAULTP11_RULES; i++) {
        struct faultp11_rule *rule = &control->rules[i];
        int fault = atomic_load(&rule->fault);
        int wanted = atomic_load(&rule->call);
        if (fault == FAULTP11_NONE || (wanted != (int)call && wanted != FAULTP11_ANY))
            continue;
        if (atomic_fetch_sub(&rule->times, 1) <= 0) {
            atomic_store(&rule->times, 0);
            continue;
        }
        atomic_fetch_add(&rule->fired, 1);
        if (fault == FAULTP11_SLOW)
            sleep_ms(SLOW_MS);
        if (fault == FAULTP11_HUNG) {
            atomic_fetch_add(&control->hanging, 1);
            while (atomic_load(&control->release) == 0)
                sleep_ms(1);
            atomic_fetch_sub(&control->hanging, 1);
        }
        return fault;
    }
    return FAULTP11_NONE;
}

#define WRAP(name, parameters, arguments)                       \
    static CK_RV wrap_##name parameters                         \
    {                                                           \
        int fault = strike(FAULTP11_##name);                    \
        return fault > 0 ? (CK_RV)fault : real->name arguments; \
    }

WRAP(C_Initialize, (void *init), (init))
WRAP(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR count),
     (present, slots, count))
WRAP(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info), (slot, info))
WRAP(C_OpenSession,
     (CK_SLOT_ID slot, CK_FLAGS flags, void *arg, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR session),
     (slot, flags, arg, notify, session))
WRAP(C_CloseSession, (CK_SESSION_HANDLE session), (session))
WRAP(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO_PTR info), (session, info))
WRAP(C_Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE_PTR pin, CK_ULONG len),
     (session, user, pin, len))
WRAP(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR template, CK_ULONG count),
     (session, template, count))
WRAP(C_FindObjects,
     (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR objects, CK_ULONG max, CK_ULONG_PTR count),
     (session, objects, max, count))
WRAP(C_FindObjectsFinal, (CK_SESSION_HANDLE session), (session))
WRAP(C_GetAttributeValue,
     (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR template,
      CK_ULONG count),
     (session, object, template, count))
WRAP(C_SignInit, (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key),
     (session, mechanism, key))

WRAP(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info),
     (slot, type, info))
WRAP(C_GenerateKeyPair,
     (CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR public,
      CK_ULONG public_count, CK_ATTRIBUTE_PTR private, CK_ULONG private_count,
      CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key),
     (session, mechanism, public, public_count, private, private_count, public_key, private_key))
WRAP(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object))

static void keep_input(const CK_BYTE *message, CK_ULONG len)
{
    size_t index = atomic_fetch_add(&control->input_count, 1);

    for (size_t i = 0; index < FAULTP11_INPUTS && i < len && i < FAULTP11_INPUT_LEN; i++)
        control->inputs[index][i] = message[i];
}

static CK_RV wrap_C_Sign(CK_SESSION_HANDLE session, CK_BYTE_PTR message, CK_ULONG message_len,
                         CK_BYTE_PTR signature, CK_ULONG_PTR len)
{
    keep_input(message, message_len);
    int fault = strike(FAULTP11_C_Sign);

    if (fault > 0)
        return (CK_RV)fault;
    CK_RV rv = real->C_Sign(session, message, message_len, signature, len);
    if (rv != CKR_OK)
        return rv;
    atomic_fetch_add(&control->signatures, 1);
    if (fault == FAULTP11_FLIP) {
        unsigned bit = atomic_fetch_add(&control->bit, 1) % (unsigned)(8 * *len);
        signature[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
    }
    return CKR_OK;
}

static void start(void)
{
    const char *path = getenv("FAULTP11");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void *library = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get_list = NULL;

    if (file >= 0)
        close(file);
    if (map == MAP_FAILED || library == NULL)
        return;
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
    if (get_list == NULL || get_list(&real) != CKR_OK)
        return;
    control = map;
    list = *real;
#define X(name) list.name = wrap_##name;
    FAULTP11_CALLS(X)
    FAULTP11_MAKER_CALLS(X)
#undef X
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list_out)
{
    pthread_once(&once, start);
    *list_out = &list;
    return control == NULL ? CKR_GENERAL_ERROR : CKR_OK;
}

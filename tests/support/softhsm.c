/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/softhsm.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/folder.h"

static CK_FUNCTION_LIST *module;
static CK_SLOT_ID slot;

#define must(call)                                                        \
    do {                                                                  \
        CK_RV rv_ = (call);                                               \
        cr_assert(rv_ == CKR_OK, "%s: 0x%lx", #call, (unsigned long)rv_); \
    } while (0)

static void write_file(const char *dir, const char *name, const char *text, char *path)
{
    snprintf(path, 96, "%s/%s", dir, name);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
}

static void load_module(void)
{
    CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
    CK_C_GetFunctionList get_list;
    void *library = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);

    cr_assert(library != NULL, "%s: apt-get install softhsm2", SOFTHSM);
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
    must(get_list(&module));
    must(module->C_Initialize(&arguments));
}

static CK_SESSION_HANDLE open_session(void)
{
    CK_SESSION_HANDLE session;

    must(module->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    CK_RV rv = module->C_Login(session, CKU_USER, (CK_BYTE_PTR)(uintptr_t)SOFTHSM_PIN,
                               strlen(SOFTHSM_PIN));
    cr_assert(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
    return session;
}

static void make_token(void)
{
    static const char so_pin[] = "so-pin-of-the-tests";
    CK_BYTE label[32];
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CK_SESSION_HANDLE session;

    memset(label, ' ', sizeof(label));
    memcpy(label, SOFTHSM_TOKEN, strlen(SOFTHSM_TOKEN));
    must(module->C_GetSlotList(CK_TRUE, slots, &count));
    slot = slots[count - 1];
    must(module->C_InitToken(slot, (CK_BYTE_PTR)(uintptr_t)so_pin, strlen(so_pin), label));
    must(module->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    must(module->C_Login(session, CKU_SO, (CK_BYTE_PTR)(uintptr_t)so_pin, strlen(so_pin)));
    must(module->C_InitPIN(session, (CK_BYTE_PTR)(uintptr_t)SOFTHSM_PIN, strlen(SOFTHSM_PIN)));
    must(module->C_Logout(session));
    must(module->C_CloseSession(session));
}

void softhsm_make(struct softhsm *softhsm)
{
    char path[96], text[160];

    check_ok(keys_harden_process());
    folder_make("hsm", softhsm->dir, sizeof(softhsm->dir));
    snprintf(path, sizeof(path), "%s/tokens", softhsm->dir);
    cr_assert(mkdir(path, 0700) == 0);
    snprintf(text, sizeof(text), "directories.tokendir = %s\nobjectstore.backend = file\n", path);
    write_file(softhsm->dir, "softhsm2.conf", text, path);
    setenv("SOFTHSM2_CONF", path, 1);
    write_file(softhsm->dir, "pin", SOFTHSM_PIN "\n", softhsm->pin_file);
    write_file(softhsm->dir, "faults", "", path);
    cr_assert(truncate(path, sizeof(struct faultp11)) == 0);
    setenv("FAULTP11", path, 1);
    int file = open(path, O_RDWR | O_CLOEXEC);
    softhsm->faults =
        mmap(NULL, sizeof(struct faultp11), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(softhsm->faults != MAP_FAILED);
    close(file);
    load_module();
    make_token();
}

void softhsm_unmake(struct softhsm *softhsm)
{
    folder_drop(softhsm->dir);
}

/* ---- keys */

static CK_ULONG public_template(enum crypto_key_type type, CK_ATTRIBUTE *attributes)
{
    static const uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    static const uint8_t p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
    static const uint8_t ed25519[] = "\x13\x0c"
                                     "edwards25519";
    static const uint8_t exponent[] = { 1, 0, 1 };
    static CK_ULONG bits = 2048;

    switch (type) {
    case CRYPTO_KEY_RSA:
        attributes[0] = (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof(bits) };
        attributes[1] = (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, (void *)(uintptr_t)exponent, 3 };
        return 2;
    case CRYPTO_KEY_P384:
        attributes[0] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)(uintptr_t)p384, sizeof(p384) };
        return 1;
    case CRYPTO_KEY_ED25519:
        attributes[0] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)(uintptr_t)ed25519, 14 };
        return 1;
    default:
        attributes[0] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof(p256) };
        return 1;
    }
}

static struct crypto_public_key read_public(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                            enum crypto_key_type type, uint8_t *memory)
{
    struct crypto_public_key key = { .type = type };
    CK_ATTRIBUTE point = { CKA_EC_POINT, memory, 512 };
    CK_ATTRIBUTE numbers[] = { { CKA_MODULUS, memory, 512 },
                               { CKA_PUBLIC_EXPONENT, memory + 512, 16 } };

    if (type == CRYPTO_KEY_RSA) {
        must(module->C_GetAttributeValue(session, object, numbers, 2));
        key.modulus = ca_bytes_of(memory, numbers[0].ulValueLen);
        key.exponent = ca_bytes_of(memory + 512, numbers[1].ulValueLen);
        key.bits = 2048;
        return key;
    }
    must(module->C_GetAttributeValue(session, object, &point, 1));
    key.point = ca_bytes_of(memory + 2, point.ulValueLen - 2); /* out of its OCTET STRING */
    key.bits = type == CRYPTO_KEY_P384 ? 384 : 256;
    return key;
}

struct crypto_public_key softhsm_generate(const char *label, uint8_t id, enum crypto_key_type type,
                                          uint8_t *memory)
{
    CK_MECHANISM mechanism = { type == CRYPTO_KEY_RSA       ? CKM_RSA_PKCS_KEY_PAIR_GEN
                               : type == CRYPTO_KEY_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN
                                                            : CKM_EC_KEY_PAIR_GEN,
                               NULL, 0 };
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE private[] = {
        { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 },
        { CKA_SIGN, &yes, 1 },  { CKA_SENSITIVE, &yes, 1 },
        { CKA_ID, &id, 1 },     { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_ATTRIBUTE public[6] = {
        { CKA_TOKEN, &yes, 1 },
        { CKA_VERIFY, &yes, 1 },
        { CKA_ID, &id, 1 },
        { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_ULONG count = 4 + public_template(type, public + 4);
    CK_OBJECT_HANDLE objects[2];
    CK_SESSION_HANDLE session = open_session();

    must(module->C_GenerateKeyPair(session, &mechanism, public, count, private, 6, &objects[0],
                                   &objects[1]));
    struct crypto_public_key key = read_public(session, objects[0], type, memory);
    must(module->C_CloseSession(session));
    return key;
}

void softhsm_rename(const char *label, const char *new_label)
{
    CK_ATTRIBUTE old = { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) };
    CK_ATTRIBUTE new = { CKA_LABEL, (void *)(uintptr_t)new_label, strlen(new_label) };
    CK_SESSION_HANDLE session = open_session();
    CK_OBJECT_HANDLE objects[4];
    CK_ULONG count;

    must(module->C_FindObjectsInit(session, &old, 1));
    must(module->C_FindObjects(session, objects, 4, &count));
    must(module->C_FindObjectsFinal(session));
    cr_assert(count == 2);
    for (CK_ULONG i = 0; i < count; i++)
        must(module->C_SetAttributeValue(session, objects[i], &new, 1));
    must(module->C_CloseSession(session));
}

void softhsm_close_sessions(void)
{
    must(module->C_CloseAllSessions(slot));
}

/* ---- faults */

void softhsm_heal(struct softhsm *softhsm)
{
    for (size_t i = 0; i < FAULTP11_RULES; i++)
        atomic_store(&softhsm->faults->rules[i].fault, FAULTP11_NONE);
    atomic_store(&softhsm->faults->release, 1);
}

void softhsm_fail(struct softhsm *softhsm, size_t rule, enum faultp11_call call, int fault,
                  int times)
{
    struct faultp11_rule *at = &softhsm->faults->rules[rule];

    atomic_store(&softhsm->faults->release, 0);
    atomic_store(&at->fired, 0);
    atomic_store(&at->call, (int)call);
    atomic_store(&at->times, times);
    atomic_store(&at->fault, fault);
}

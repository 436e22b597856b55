/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance: the folder of a certmill instance.
 *
 *     certmill.conf      configuration
 *     profiles/          what certificates may contain
 *     keys/NAME.key      a CA's key, sealed
 *     keys/audit.key     the audit log's, sealed
 *     audit.pem          its public half
 *     ca/NAME.pem        its certificate, then those above it
 *     ca/NAME.csr        its request, when an outer root signs it
 *     data/              the store
 *     crl/               published CRLs
 */
#pragma once

#include "ca/base/arena.h"
#include "ca/crypto/crypto.h"
#include "ca/keys/secret.h"
#include "ca/x509/name.h"
#include "rpc/server.h"

struct instance_ca {
    char name[CA_NAME_LEN_MAX + 1];
    enum crypto_key_type type; /* of a key that is to be made */
    uint32_t rsa_bits;
    const char *key; /* one that is there: URI in a token, or a sealed file; NULL: it is made */
};

struct instance_plan {
    const char *path; /* not there yet, or an empty folder */
    struct instance_ca cas[RPC_CA_MAX];
    size_t ca_count;
    /* Of every CA; "CN" with the CA's name is put behind where it has none. */
    struct x509_attribute subject[CA_ATTRIBUTE_COUNT_MAX];
    size_t subject_count;
    bool is_request; /* for an outer root to sign, instead of self-signed roots */
    uint32_t years;  /* validity of a self-signed root */
    uint8_t instance;
    uint64_t now_us;
    const struct keys_secret *passphrase; /* empty where every key is in a token */
    bool has_audit_key;                   /* one is made, under that passphrase */
    const char *module, *pin_file;        /* of the tokens; absolute paths */
};

/* EXISTS, and a word on standard error, when there is something already. */
CA_MUST_CHECK enum ca_err instance_check_absent(const char *path);
/* Makes the folder, complete or not at all. Says on standard error what it does and what failed. */
CA_MUST_CHECK enum ca_err instance_create(const struct instance_plan *plan);

/* "p256", "p384", "rsa:2048" to "rsa:4096", "ed25519", "sm2". */
bool instance_type_parse(const char *word, enum crypto_key_type *type_out, uint32_t *rsa_bits_out);
bool instance_key_is_in_token(const struct instance_ca *ca);
/* "NAME=TYPE[:BITS]": p256, p384, rsa:2048 to rsa:4096, ed25519, sm2. */
bool instance_ca_parse(const char *text, struct instance_ca *ca_out);
/* "NAME=URI" or "NAME=FILE", of a key that is there; borrows from text. */
bool instance_ca_key_parse(const char *text, struct instance_ca *ca_out);
/* "C=CN,O=Example,CN=Example Root"; a backslash in front of a comma or backslash. Texts in arena.
 */
bool instance_subject_parse(const char *text, struct ca_arena *arena, struct instance_plan *plan);
bool instance_name_is_good(const char *name);

/* The profiles every new instance gets; made from tools/profiles by the build. */
struct instance_profile {
    const char *name;
    const unsigned char *text;
    size_t len;
};
extern const struct instance_profile INSTANCE_PROFILES[];
extern const size_t INSTANCE_PROFILE_COUNT;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: everything certmilld is told, checked.
 *
 * One file of settings (libconfig's syntax) and the files it names: profiles, certificates,
 * blocked keys. Paths are relative to the folder of the configuration file, so that an
 * instance can be moved. The tables in config.c and config_profile.c say what there is; parsing,
 * the reference and the first configuration come from them.
 */
#pragma once

#include <stdio.h>

#include "rpc/server.h"

struct config_pattern;

/* Where a CA's key is: in a sealed file, or (path NULL) in a token. */
struct config_key {
    const char *path;
    struct keys_pkcs11_options token;
};

struct config {
    struct ca_arena *arena; /* everything below lives here, but: */
    struct crypto *crypto;  /* rpc.crypto; it verifies the chains before */
    const char *data_path;
    const char *user, *group; /* "": as it was started */
    struct store_options store;
    bool has_signer_process; /* for sealed keys */
    bool is_signer_restarted;
    bool is_self_checked;       /* signatures are verified before they are used */
    struct rpc_config rpc;      /* its clock is the system's */
    struct rpc_ca *cas;         /* rpc.cas; the signers are NULL until someone unseals the keys */
    struct config_key *keys;    /* one for each CA */
    struct rpc_audit audit;     /* rpc.audit, where there is a key: */
    const char *audit_key_path; /* NULL: none */
    struct crypto_public_key audit_key;
    struct config_pattern *patterns;
};

/*
 * CONFIG after one line on talk: "file:line: message". On CA_OK the caller frees config_out;
 * what is in it stays until then.
 */
CA_MUST_CHECK enum ca_err config_load(const char *path, FILE *talk, struct config **config_out);
void config_free(struct config *config);

/* The reference of all settings in Markdown: docs/CONFIG.md. */
void config_print_reference(FILE *to);

/* A new instance's configuration: what init knows filled in, everything else as a comment. */
struct config_first_ca {
    const char *name;
    const char *key;               /* URI of a key in a token; NULL: keys/NAME.key */
    const char *module, *pin_file; /* of a token */
};
/* keys/NAME.key and NAME.pem: no CA has this name. */
#define CONFIG_AUDIT_NAME "audit"
struct config_first {
    const struct config_first_ca *cas;
    size_t ca_count;
    const char *const *profiles;
    size_t profile_count;
    bool has_audit_key;
};
void config_write_first(const struct config_first *first, FILE *to);

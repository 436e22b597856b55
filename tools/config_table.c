/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config_table.h"

#include "rpc/server.h"
#include "tools/config.h"

#define ITEM(type, member) .offset = offsetof(struct type, member)
#define LIST(items)        (items), sizeof(items) / sizeof((items)[0])

enum { COMMENT_LEN_MAX = 84 };

static const char *const IPC_MODES[] = { "0600", "0660", NULL };
const uint32_t CONFIG_IPC_MODE_OF[] = { 0600, 0660 };
static const char *const RESTARTS[] = { "never", "source", NULL };
static const char *const SIGNATURES[] = { "ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512",
                                          "rsa-sha256",   "rsa-sha384",   "rsa-sha512",
                                          "pss-sha256",   "pss-sha384",   "pss-sha512",
                                          "ed25519",      "sm2-sm3",      NULL };
const enum crypto_sig CONFIG_SIGNATURE_OF[] = {
    CRYPTO_SIG_ECDSA_SHA256, CRYPTO_SIG_ECDSA_SHA384, CRYPTO_SIG_ECDSA_SHA512,
    CRYPTO_SIG_RSA_SHA256,   CRYPTO_SIG_RSA_SHA384,   CRYPTO_SIG_RSA_SHA512,
    CRYPTO_SIG_PSS_SHA256,   CRYPTO_SIG_PSS_SHA384,   CRYPTO_SIG_PSS_SHA512,
    CRYPTO_SIG_ED25519,      CRYPTO_SIG_SM2_SM3,
};

/* clang-format off */
static const struct config_item STORE_ITEMS[] = {
    { "map_gib", CONFIG_KIND_NUMBER, 1, 16384, "256",
      "address space for the data file in GiB: the size it can grow to",
      ITEM(config_store_settings, map_gib) },
    { "reserve_mib", CONFIG_KIND_NUMBER, 1, 1048576, "64",
      "room in MiB kept for revocation: issuing stops before it is touched",
      ITEM(config_store_settings, reserve_mib) },
    { "run_entries", CONFIG_KIND_NUMBER, 1024, 16777216, "65536",
      "index entries kept in memory before they become a sorted run on disk",
      ITEM(config_store_settings, run_entries) },
};
static const struct config_section STORE_SECTION = {
    LIST(STORE_ITEMS), sizeof(struct config_store_settings),
    offsetof(struct config_store_settings, line)
};

static const struct config_item LIMIT_ITEMS[] = {
    { "message_size", CONFIG_KIND_NUMBER, 4096, 64 << 20, "1048576",
      "octets of one message; a larger one closes its connection",
      ITEM(config_limit_settings, message_size) },
    { "queue_items", CONFIG_KIND_NUMBER, 1, 1 << 20, "4096",
      "items waiting before new ones are answered BUSY; those of one uid have three quarters of"
      " any such room",
      ITEM(config_limit_settings, queue_items) },
    { "caller_items", CONFIG_KIND_NUMBER, 1, 1 << 20, "2048",
      "items of one connection before it is answered BUSY",
      ITEM(config_limit_settings, caller_items) },
    { "act_items", CONFIG_KIND_NUMBER, 1, 1 << 20, "4096",
      "revocations and their kin waiting, beside those, before new ones are answered BUSY",
      ITEM(config_limit_settings, act_items) },
    { "queue_octets", CONFIG_KIND_NUMBER, 65536, 1ull << 40, "67108864",
      "octets of requests waiting, once they are decoded, and as many of revocations and their kin,"
      " before new ones are answered BUSY",
      ITEM(config_limit_settings, queue_octets) },
    { "caller_octets", CONFIG_KIND_NUMBER, 65536, 1ull << 40, "33554432",
      "the same of one connection", ITEM(config_limit_settings, caller_octets) },
    { "unread_octets", CONFIG_KIND_NUMBER, 65536, 1ull << 40, "33554432",
      "octets of answers that connections of one uid do not read, before more are dropped, and four"
      " times what one connection may leave unread",
      ITEM(config_limit_settings, unread_octets) },
    { "connections", CONFIG_KIND_NUMBER, 1, 65536, "512",
      "open at a time; those without a uid may have half, root and the daemon's own uid come on"
      " top",
      ITEM(config_limit_settings, connections) },
    { "uid_connections", CONFIG_KIND_NUMBER, 1, 65536, "128",
      "of one uid over ipc; uids that may not ask count as one",
      ITEM(config_limit_settings, uid_connections) },
    { "batch_items", CONFIG_KIND_NUMBER, 1, RPC_BATCH_MAX, "64",
      "items prepared and signed together", ITEM(config_limit_settings, batch_items) },
    { "workers", CONFIG_KIND_NUMBER, 0, RPC_WORKERS_MAX, "0",
      "threads that check and sign; 0: one for each processor, 64 at most",
      ITEM(config_limit_settings, workers) },
};
static const struct config_section LIMIT_SECTION = {
    LIST(LIMIT_ITEMS), sizeof(struct config_limit_settings),
    offsetof(struct config_limit_settings, line)
};

static const struct config_item SIGNER_ITEMS[] = {
    { "process", CONFIG_KIND_FLAG, 0, 0, "true",
      "sealed keys are in a process of their own that does nothing but sign; false: in the daemon",
      ITEM(config_signer_settings, process) },
    { "restart", CONFIG_KIND_CHOICE, 0, 0, "never",
      "when that process ends: never, or source: it is started again, and reads the passphrase from"
      " the file or descriptor again", ITEM(config_signer_settings, restart),
      .choices = RESTARTS },
};
static const struct config_section SIGNER_SECTION = {
    LIST(SIGNER_ITEMS), sizeof(struct config_signer_settings),
    offsetof(struct config_signer_settings, line)
};

static const struct config_item AUDIT_ITEMS[] = {
    { "key", CONFIG_KIND_TEXT, 1, 1024, "",
      "file with the sealed Ed25519 key that signs heads of the audit log, and nothing else; its"
      " passphrase is that of the CA keys; none: heads are not signed",
      ITEM(config_audit_settings, key) },
    { "public_key", CONFIG_KIND_TEXT, 1, 1024, "",
      "PEM file with its public half, which auditors have as well",
      ITEM(config_audit_settings, public_key) },
    { "interval_ms", CONFIG_KIND_NUMBER, 100, 3600000, "1000",
      "a head is signed at most so often, and only when something was recorded since the last",
      ITEM(config_audit_settings, interval_ms) },
};
static const struct config_section AUDIT_SECTION = {
    LIST(AUDIT_ITEMS), sizeof(struct config_audit_settings),
    offsetof(struct config_audit_settings, line)
};

static const struct config_item CA_ITEMS[] = {
    { "name", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, NULL, "what callers and profiles name it by",
      ITEM(config_ca_settings, name) },
    { "key", CONFIG_KIND_TEXT, 1, 1024, NULL,
      "file with its sealed key, or pkcs11:token=NAME;object=NAME (RFC 7512): docs/HSM.md",
      ITEM(config_ca_settings, key) },
    { "certificate", CONFIG_KIND_TEXT, 1, 1024, NULL,
      "PEM file with its certificate, then those above it up to the root",
      ITEM(config_ca_settings, certificate) },
    { "signature", CONFIG_KIND_CHOICE, 0, 0, "",
      "how it signs; none: what is usual for its key", ITEM(config_ca_settings, signature),
      .choices = SIGNATURES },
    { "crl_url", CONFIG_KIND_TEXT, 1, 512, "",
      "where its CRL will be found; %s becomes the number of the shard",
      ITEM(config_ca_settings, crl_url) },
    { "crl_shards", CONFIG_KIND_NUMBER, 1, 65536, "1",
      "certificates are spread over so many CRLs", ITEM(config_ca_settings, crl_shards) },
    { "crl_validity_minutes", CONFIG_KIND_NUMBER, 2, 527040, "5760",
      "a CRL's nextUpdate lies so long behind its thisUpdate",
      ITEM(config_ca_settings, crl_validity) },
    { "crl_overlap_minutes", CONFIG_KIND_NUMBER, 1, 527040, "1440",
      "a CRL is made anew at the latest so long before the nextUpdate of the one before, and there"
      " is an alarm when half of that has passed without one",
      ITEM(config_ca_settings, crl_overlap) },
    { "crl_interval_minutes", CONFIG_KIND_NUMBER, 0, 527040, "60",
      "a CRL is made anew so long after the one before; 0: only because of its nextUpdate",
      ITEM(config_ca_settings, crl_interval) },
    { "crl_delta_minutes", CONFIG_KIND_NUMBER, 0, 527040, "0",
      "a delta CRL is made so long after the one before; 0: none are made",
      ITEM(config_ca_settings, crl_delta) },
    { "crl_delta_validity_minutes", CONFIG_KIND_NUMBER, 0, 527040, "0",
      "as crl_validity_minutes, for delta CRLs; 0: twice crl_delta_minutes",
      ITEM(config_ca_settings, crl_delta_validity) },
    { "ocsp_url", CONFIG_KIND_TEXT, 1, 512, "", "its OCSP responder, for the certificates",
      ITEM(config_ca_settings, ocsp_url) },
    { "ca_issuers_url", CONFIG_KIND_TEXT, 1, 512, "",
      "where its own certificate can be fetched, for the certificates",
      ITEM(config_ca_settings, ca_issuers_url) },
    { "module", CONFIG_KIND_TEXT, 1, 1024, "",
      "for a key in a token: absolute path of its PKCS#11 module",
      ITEM(config_ca_settings, module) },
    { "pin_file", CONFIG_KIND_TEXT, 1, 1024, "",
      "for a key in a token: file with the PIN, readable by its owner alone",
      ITEM(config_ca_settings, pin_file) },
    { "sessions", CONFIG_KIND_NUMBER, 1, KEYS_SESSIONS_MAX, "4",
      "for a key in a token: signatures made at the same time",
      ITEM(config_ca_settings, sessions) },
    { "timeout_ms", CONFIG_KIND_NUMBER, 100, 600000, "10000",
      "for a key in a token: how long the signatures of a batch may take",
      ITEM(config_ca_settings, timeout_ms) },
};
static const struct config_section CA_SECTION = {
    LIST(CA_ITEMS), sizeof(struct config_ca_settings),
    offsetof(struct config_ca_settings, line)
};

static const struct config_item PROFILE_ENTRY_ITEMS[] = {
    { "file", CONFIG_KIND_TEXT, 1, 1024, NULL, "the profile's file: docs/PROFILES.md",
      ITEM(config_profile_entry, file) },
    { "ca", CONFIG_KIND_TEXT, 1, CA_NAME_LEN_MAX, NULL,
      "name of the CA that issues unless the caller names another",
      ITEM(config_profile_entry, ca) },
};
static const struct config_section PROFILE_ENTRY_SECTION = {
    LIST(PROFILE_ENTRY_ITEMS), sizeof(struct config_profile_entry),
    offsetof(struct config_profile_entry, line)
};

static const struct config_item ITEMS[] = {
    { "listen", CONFIG_KIND_TEXTS, 1, CONFIG_LISTEN_MAX, NULL,
      "where requests are taken: ipc://PATH; on loopback also tcp://HOST:PORT, tls+tcp://HOST:PORT"
      " and ws://HOST:PORT/PATH", ITEM(config_settings, listen) },
    { "tls_file", CONFIG_KIND_TEXT, 1, 1024, "",
      "PEM file with certificate and key, for tls+tcp", ITEM(config_settings, tls_file) },
    { "ipc_mode", CONFIG_KIND_CHOICE, 0, 0, "0600", "file mode of ipc sockets",
      ITEM(config_settings, ipc_mode), .choices = IPC_MODES },
    { "ipc_uids", CONFIG_KIND_NUMBERS, 0, CONFIG_UID_MAX, "",
      "numbers of the users who may ask over ipc, besides root and the daemon's own",
      ITEM(config_settings, ipc_uids) },
    { "user", CONFIG_KIND_TEXT, 1, 32, "",
      "started by root, the daemon becomes this user; the data folder must be that user's",
      ITEM(config_settings, user) },
    { "group", CONFIG_KIND_TEXT, 1, 32, "", "and this group; none: the user's own",
      ITEM(config_settings, group) },
    { "data", CONFIG_KIND_TEXT, 1, 1024, "data", "folder of the stored certificates",
      ITEM(config_settings, data) },
    { "crl_path", CONFIG_KIND_TEXT, 1, 1024, "crl",
      "folder of the published CRLs, as NAME.crl, or NAME-SHARD.crl where there are several shards;"
      " nobody else writes there", ITEM(config_settings, crl_path) },
    { "store", CONFIG_KIND_GROUP, 0, 0, "", "sizes of the store", ITEM(config_settings, store),
      .section = &STORE_SECTION },
    { "limits", CONFIG_KIND_GROUP, 0, 0, "", "sizes of messages, queues and batches",
      ITEM(config_settings, limits), .section = &LIMIT_SECTION },
    { "signer", CONFIG_KIND_GROUP, 0, 0, "", "where sealed keys are used",
      ITEM(config_settings, signer), .section = &SIGNER_SECTION },
    { "audit", CONFIG_KIND_GROUP, 0, 0, "", "who signs the heads of the audit log",
      ITEM(config_settings, audit), .section = &AUDIT_SECTION },
    { "clock_tolerance_ms", CONFIG_KIND_NUMBER, 0, 3600000, "2000",
      "how far the clock may go back or jump before issuing stops",
      ITEM(config_settings, clock_tolerance_ms) },
    { "self_check", CONFIG_KIND_FLAG, 0, 0, "true",
      "verify every signature before it is used; can be switched off for elliptic-curve keys only",
      ITEM(config_settings, self_check) },
    { "blocked_keys", CONFIG_KIND_TEXT, 1, 1024, "",
      "file of keys that get no certificate: one SHA-256 of a SubjectPublicKeyInfo in hexadecimal"
      " on a line", ITEM(config_settings, blocked_keys) },
    { "cas", CONFIG_KIND_GROUPS, 1, RPC_CA_MAX, NULL, "the CAs of this instance",
      ITEM(config_settings, cas), .section = &CA_SECTION },
    { "profiles", CONFIG_KIND_GROUPS, 1, RPC_PROFILE_MAX, NULL, "the profiles callers can ask for",
      ITEM(config_settings, profiles), .section = &PROFILE_ENTRY_SECTION },
};
const struct config_section CONFIG_SECTION = {
    LIST(ITEMS), sizeof(struct config_settings), offsetof(struct config_settings, line)
};
/* clang-format on */

/* ---- for people */

void config_print_reference(FILE *to)
{
    fputs(
        "# Configuration\n\n"
        "All settings of `certmill.conf`, as `certmilld --help-config` prints them. The syntax is\n"
        "libconfig's: `name = value;`, comments with `#`. Paths are relative to the folder of the\n"
        "file. A setting that is not listed here, is given twice, or has a value out of its "
        "bounds\n"
        "stops the daemon with file and line. Profiles are in PROFILES.md.\n",
        to);
    config_schema_print(&CONFIG_SECTION, "Settings", to);
}

/* The help of an item as comment lines of at most 96 columns. */
static void write_comment(const struct config_item *item, const char *indent, FILE *to)
{
    const char *rest = item->help;

    while (*rest != '\0') {
        size_t len = strlen(rest);
        if (len > COMMENT_LEN_MAX) {
            len = COMMENT_LEN_MAX;
            while (len > 1 && rest[len] != ' ')
                len--;
        }
        fprintf(to, "%s# %.*s\n", indent, (int)len, rest);
        rest += len;
        rest += strspn(rest, " ");
    }
}

/* A setting left at its default: a comment that shows it. */
static void write_default(const struct config_item *item, const char *indent, FILE *to)
{
    bool is_list = item->kind == CONFIG_KIND_TEXTS || item->kind == CONFIG_KIND_NUMBERS;
    bool is_bare = item->kind == CONFIG_KIND_NUMBER || item->kind == CONFIG_KIND_FLAG;

    if (is_list)
        fprintf(to, "%s# %s = [ ];\n", indent, item->name);
    else
        fprintf(to, is_bare ? "%s# %s = %s;\n" : "%s# %s = \"%s\";\n", indent, item->name,
                item->fallback);
}

/* A text that comes from outside, as libconfig reads it back. */
static void write_text(const char *name, const char *text, FILE *to)
{
    fprintf(to, "        %s = \"", name);
    for (; *text != '\0'; text++)
        fprintf(to, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputs("\";\n", to);
}

/* What is known of a key in a token; NULL: nothing. */
static const char *known_of(const struct config_first_ca *ca, const char *name)
{
    return strcmp(name, "module") == 0     ? ca->module
           : strcmp(name, "pin_file") == 0 ? ca->pin_file
                                           : NULL;
}

static void write_cas(const struct config_first_ca *cas, size_t count, FILE *to)
{
    fputs("cas = (\n", to);
    for (size_t i = 0; i < count; i++) {
        fprintf(to, "    {\n        name = \"%s\";\n", cas[i].name);
        if (cas[i].key != NULL)
            write_text("key", cas[i].key, to);
        else
            fprintf(to, "        key = \"keys/%s.key\";\n", cas[i].name);
        fprintf(to, "        certificate = \"ca/%s.pem\";\n", cas[i].name);
        for (size_t k = 0; k < CA_SECTION.count; k++) {
            const char *known = known_of(&cas[i], CA_ITEMS[k].name);
            if (CA_ITEMS[k].fallback == NULL)
                continue;
            write_comment(&CA_ITEMS[k], "        ", to);
            if (known != NULL)
                write_text(CA_ITEMS[k].name, known, to);
            else
                write_default(&CA_ITEMS[k], "        ", to);
        }
        fprintf(to, "    }%s\n", i + 1 < count ? "," : "");
    }
    fputs(");\n", to);
}

static void write_profiles(const char *const *profiles, size_t count, const char *ca, FILE *to)
{
    fputs("profiles = (\n", to);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "    { file = \"profiles/%s.conf\"; ca = \"%s\"; }%s\n", profiles[i], ca,
                i + 1 < count ? "," : "");
    fputs(");\n", to);
}

static void write_group(const struct config_item *group, FILE *to)
{
    fprintf(to, "%s = {\n", group->name);
    for (size_t i = 0; i < group->section->count; i++) {
        write_comment(&group->section->items[i], "    ", to);
        write_default(&group->section->items[i], "    ", to);
    }
    fputs("};\n", to);
}

static void write_audit(FILE *to)
{
    fputs("audit = {\n", to);
    for (size_t i = 0; i < AUDIT_SECTION.count; i++) {
        write_comment(&AUDIT_ITEMS[i], "    ", to);
        if (strcmp(AUDIT_ITEMS[i].name, "key") == 0)
            fputs("    key = \"keys/" CONFIG_AUDIT_NAME ".key\";\n", to);
        else if (strcmp(AUDIT_ITEMS[i].name, "public_key") == 0)
            fputs("    public_key = \"" CONFIG_AUDIT_NAME ".pem\";\n", to);
        else
            write_default(&AUDIT_ITEMS[i], "    ", to);
    }
    fputs("};\n", to);
}

void config_write_first(const struct config_first *first, FILE *to)
{
    fputs("# Configuration of this certmill instance. Settings behind a # are at their default.\n"
          "# After a change: certmilld --config certmill.conf --check, then restart the daemon.\n",
          to);
    for (size_t i = 0; i < CONFIG_SECTION.count; i++) {
        const struct config_item *item = &ITEMS[i];
        fputc('\n', to);
        write_comment(item, "", to);
        if (strcmp(item->name, "listen") == 0)
            fputs("listen = [ \"ipc://certmill.sock\" ];\n", to);
        else if (strcmp(item->name, "cas") == 0)
            write_cas(first->cas, first->ca_count, to);
        else if (strcmp(item->name, "profiles") == 0)
            write_profiles(first->profiles, first->profile_count, first->cas[0].name, to);
        else if (strcmp(item->name, "audit") == 0 && first->has_audit_key)
            write_audit(to);
        else if (item->kind == CONFIG_KIND_GROUP)
            write_group(item, to);
        else
            write_default(item, "", to);
    }
}

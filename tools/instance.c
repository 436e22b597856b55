/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/instance.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ca/base/text.h"
#include "ca/base/time.h"
#include "ca/keys/token.h"
#include "ca/rules/issue.h"
#include "tools/audit_key.h"
#include "tools/config.h"
#include "tools/file.h"
#include "tools/pem.h"

enum {
    INSTANCE_DER_LEN_MAX = 8192,
    INSTANCE_ARENA_SIZE_MAX = 1 << 20,
    INSTANCE_TOKEN_TIMEOUT_MS = 60000,
};

/* ---- what is asked for */

bool instance_name_is_good(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= CA_NAME_LEN_MAX && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

bool instance_type_parse(const char *word, enum crypto_key_type *type_out, uint32_t *rsa_bits_out)
{
    static const struct {
        const char *word;
        enum crypto_key_type type;
        uint32_t rsa_bits;
    } types[] = {
        { "p256", CRYPTO_KEY_P256, 0 },       { "p384", CRYPTO_KEY_P384, 0 },
        { "ed25519", CRYPTO_KEY_ED25519, 0 }, { "sm2", CRYPTO_KEY_SM2, 0 },
        { "rsa", CRYPTO_KEY_RSA, 3072 },      { "rsa:2048", CRYPTO_KEY_RSA, 2048 },
        { "rsa:3072", CRYPTO_KEY_RSA, 3072 }, { "rsa:4096", CRYPTO_KEY_RSA, 4096 },
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].word, word) == 0) {
            *type_out = types[i].type;
            *rsa_bits_out = types[i].rsa_bits;
            return true;
        }
    }
    return false;
}

/* The name in front of "=", and what is behind it; NULL if there is no good name. */
static const char *take_name(const char *text, struct instance_ca *ca)
{
    const char *equals = strchr(text, '=');

    *ca = (struct instance_ca){ 0 };
    if (equals == NULL || (size_t)(equals - text) > CA_NAME_LEN_MAX)
        return NULL;
    snprintf(ca->name, sizeof(ca->name), "%.*s", (int)(equals - text), text);
    return instance_name_is_good(ca->name) ? equals + 1 : NULL;
}

bool instance_ca_parse(const char *text, struct instance_ca *ca_out)
{
    const char *word = take_name(text, ca_out);

    return word != NULL && instance_type_parse(word, &ca_out->type, &ca_out->rsa_bits);
}

bool instance_ca_key_parse(const char *text, struct instance_ca *ca_out)
{
    ca_out->key = take_name(text, ca_out);
    return ca_out->key != NULL && ca_out->key[0] != '\0';
}

bool instance_key_is_in_token(const struct instance_ca *ca)
{
    return ca->key != NULL && strncmp(ca->key, "pkcs11:", 7) == 0;
}

static bool attribute_make(const char *name, struct ca_bytes value,
                           struct x509_attribute *attribute_out)
{
    const struct x509_attribute_type *type = x509_attribute_type_by_name(name);

    if (type == NULL || value.len == 0 || !ca_text_is_utf8(value) ||
        ca_text_utf8_count(value) > type->upper_bound)
        return false;
    if (type->default_tag == DER_PRINTABLE_STRING && !ca_text_is_printable_string(value))
        return false;
    if (type->default_tag == DER_IA5_STRING && !ca_text_is_visible_ascii(value))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < 0x20 || value.data[i] == 0x7f)
            return false;
    }
    *attribute_out = (struct x509_attribute){ type->oid, type->default_tag, value };
    return true;
}

bool instance_subject_parse(const char *text, struct ca_arena *arena, struct instance_plan *plan)
{
    plan->subject_count = 0;
    while (*text != '\0') {
        char name[CA_NAME_LEN_MAX + 1], value[CA_ATTRIBUTE_LEN_MAX + 1];
        size_t name_len = strcspn(text, "="), len = 0;
        if (text[name_len] == '\0' || name_len > CA_NAME_LEN_MAX ||
            plan->subject_count == CA_ATTRIBUTE_COUNT_MAX - 1) /* room for a CN */
            return false;
        snprintf(name, sizeof(name), "%.*s", (int)name_len, text);
        for (text += name_len + 1; *text != '\0' && *text != ','; text++) {
            if (*text == '\\' && (text[1] == ',' || text[1] == '\\'))
                text++;
            if (len == CA_ATTRIBUTE_LEN_MAX)
                return false;
            value[len++] = *text;
        }
        if (*text == ',' && *++text == '\0')
            return false;
        struct ca_bytes kept = ca_arena_copy(arena, ca_bytes_of(value, len));
        if (kept.data == NULL || !attribute_make(name, kept, &plan->subject[plan->subject_count++]))
            return false;
    }
    return true;
}

/* ---- making it */

struct workshop {
    const struct instance_plan *plan;
    const char *path; /* of the folder that becomes the instance */
    struct crypto *crypto;
    struct ca_arena *arena;
    struct keys_sealed_memo *memo; /* of the keys that are sealed */
};

static enum ca_err fail(const char *what, enum ca_err err)
{
    fprintf(stderr, "certmill: init: %s: %s\n", what, ca_err_text(err));
    return err;
}

static enum ca_err fail_errno(const char *what)
{
    fprintf(stderr, "certmill: init: %s: %s\n", what, strerror(errno));
    return errno == EEXIST || errno == ENOTEMPTY ? CA_ERR_EXISTS : CA_ERR_STORAGE;
}

/* PATH/format... */
__attribute__((format(printf, 3, 4))) static void
place(const struct workshop *workshop, char path[PATH_MAX], const char *format, ...)
{
    va_list args;
    int len = snprintf(path, PATH_MAX, "%s/", workshop->path);

    va_start(args, format);
    vsnprintf(path + len, PATH_MAX - (size_t)len, format, args);
    va_end(args);
}

static enum ca_err save_pem(const char *path, const char *label, struct ca_bytes der)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (to == NULL)
        return CA_ERR_NOMEM;
    pem_write(to, label, der);
    if (fclose(to) != 0) {
        free(text);
        return CA_ERR_NOMEM;
    }
    enum ca_err err = file_save(path, ca_bytes_of(text, len), 0644, false);
    free(text);
    return err;
}

/* The subject of one CA: the common part, and its own name as CN where that has none. */
static size_t fill_subject(const struct instance_plan *plan, const struct instance_ca *ca,
                           struct x509_attribute subject[CA_ATTRIBUTE_COUNT_MAX])
{
    const struct x509_attribute_type *cn = x509_attribute_type_by_name("CN");
    bool has_cn = false;

    for (size_t i = 0; i < plan->subject_count; i++) {
        subject[i] = plan->subject[i];
        has_cn = has_cn || ca_bytes_equal(subject[i].oid, cn->oid);
    }
    if (has_cn)
        return plan->subject_count;
    subject[plan->subject_count] =
        (struct x509_attribute){ cn->oid, cn->default_tag, ca_bytes_of_text(ca->name) };
    return plan->subject_count + 1;
}

static enum ca_err build_root(const struct workshop *workshop, const struct instance_ca *ca,
                              const struct crypto_public_key *key, struct ca_bytes *tbs_out)
{
    const struct instance_plan *plan = workshop->plan;
    struct x509_attribute subject[CA_ATTRIBUTE_COUNT_MAX];
    struct ca_refusal refusal = { "", "" };
    uint8_t random[CA_SERIAL_RANDOM_LEN];
    int64_t now_s = (int64_t)(plan->now_us / 1000000);
    enum ca_err err;

    if ((err = crypto_random(random, sizeof(random))) != CA_OK)
        return err;
    struct ca_civil end = ca_civil_add_months(ca_civil_from_unix(now_s, 0), 12 * plan->years);
    struct rules_ca_request request = {
        .subject = subject,
        .subject_count = fill_subject(plan, ca, subject),
        .key = key,
        .sig = crypto_sig_usual(key->type),
        .not_before_s = now_s,
        .not_after_s = ca_civil_to_unix(end, 0) - 1,
        .path_len = 0, /* it signs end entities itself */
        .serial = ca_serial_make(plan->instance, plan->now_us, random),
    };
    err = rules_root_draft(&request, workshop->arena, tbs_out, &refusal);
    if (err != CA_OK)
        fprintf(stderr, "certmill: init: %s: %s (%s)\n", refusal.field, ca_err_text(err),
                refusal.rule);
    return err;
}

/* CertificationRequestInfo that asks to become a CA. */
static enum ca_err build_request(const struct workshop *workshop, const struct instance_ca *ca,
                                 const struct crypto_public_key *key, struct ca_bytes *info_out)
{
    static const uint8_t is_ca[] = { 0x30, 0x03, 0x01, 0x01, 0xff }; /* SEQUENCE { TRUE } */
    static const uint8_t signs[] = { 0x03, 0x02, 0x01, 0x06 };       /* keyCertSign, cRLSign */
    struct x509_extension extensions[] = {
        { X509_OID_BASIC_CONSTRAINTS, true, ca_bytes_of(is_ca, sizeof(is_ca)) },
        { X509_OID_KEY_USAGE, true, ca_bytes_of(signs, sizeof(signs)) },
    };
    struct x509_attribute subject[CA_ATTRIBUTE_COUNT_MAX];
    size_t count = fill_subject(workshop->plan, ca, subject);
    uint8_t *buffer = ca_arena_alloc(workshop->arena, INSTANCE_DER_LEN_MAX);
    struct der_writer writer;

    if (buffer == NULL)
        return CA_ERR_NOMEM;
    der_writer_init(&writer, buffer, INSTANCE_DER_LEN_MAX);
    x509_csr_info_write(&writer, subject, count, key, extensions, 2);
    *info_out = der_writer_bytes(&writer);
    return info_out->data == NULL ? CA_ERR_FIELD_LENGTH : CA_OK;
}

/* The certificate or request of a CA whose key the signer has. */
static enum ca_err make_paper(const struct workshop *workshop, const struct instance_ca *ca,
                              struct keys_signer *signer)
{
    const struct crypto_public_key *key = keys_signer_public(signer);
    enum crypto_sig sig = crypto_sig_usual(key->type);
    bool is_request = workshop->plan->is_request;
    uint8_t buffer[INSTANCE_DER_LEN_MAX];
    struct crypto_signature signature;
    struct der_writer writer;
    struct ca_bytes message;
    char path[PATH_MAX];
    enum ca_err err;

    err = is_request ? build_request(workshop, ca, key, &message)
                     : build_root(workshop, ca, key, &message);
    if (err != CA_OK)
        return err;
    err = keys_sign_many(signer, workshop->crypto, sig, &message, 1, &signature);
    if (err != CA_OK)
        return err;
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_signed_write(&writer, message, sig, ca_bytes_of(signature.bytes, signature.len));
    struct ca_bytes der = der_writer_bytes(&writer);
    if (der.data == NULL)
        return CA_ERR_FIELD_LENGTH;
    place(workshop, path, "ca/%s.%s", ca->name, is_request ? "csr" : "pem");
    return save_pem(path, is_request ? "CERTIFICATE REQUEST" : "CERTIFICATE", der);
}

/* A key of the CA's own: made, or taken from a sealed file, whose parameters it keeps. */
static enum ca_err obtain_key(const struct workshop *workshop, const struct instance_ca *ca,
                              struct keys_sealed_options *options,
                              struct crypto_private_key **key_out)
{
    struct keys_sealed_info info;
    enum ca_err err;

    if (ca->key == NULL)
        return crypto_private_key_generate(ca->type, ca->rsa_bits, key_out);
    *key_out = NULL;
    if ((err = keys_sealed_inspect(ca->key, &info)) != CA_OK)
        return err;
    *options = info.options;
    return keys_sealed_load_next(workshop->memo, ca->key, workshop->plan->passphrase, key_out);
}

static enum ca_err open_file(const struct workshop *workshop, const struct instance_ca *ca,
                             struct keys_signer **signer_out)
{
    static const struct keys_signer_options checked = { .is_unchecked = false };
    struct keys_sealed_options options = { KEYS_SEALED_PASSES, KEYS_SEALED_MEMORY };
    struct crypto_private_key *key;
    char path[PATH_MAX];

    *signer_out = NULL;
    enum ca_err err = obtain_key(workshop, ca, &options, &key);
    if (err != CA_OK)
        return err;
    place(workshop, path, "keys/%s.key", ca->name);
    err = keys_sealed_save_next(workshop->memo, path, key, workshop->plan->passphrase, &options);
    if (err == CA_OK)
        return keys_signer_open_soft(key, &checked, signer_out); /* takes the key over */
    crypto_private_key_free(key);
    return err;
}

static enum ca_err open_token(const struct workshop *workshop, const struct instance_ca *ca,
                              struct keys_signer **signer_out)
{
    const struct keys_pkcs11_options options = {
        .module = workshop->plan->module,
        .uri = ca->key,
        .pin_file = workshop->plan->pin_file,
        .sessions = 1,
        .timeout_ms = INSTANCE_TOKEN_TIMEOUT_MS,
    };
    struct keys_token_key key;
    struct ca_refusal refusal;

    *signer_out = NULL;
    enum ca_err err = keys_token_find(&options, &key, &refusal);
    if (err == CA_OK)
        err = keys_signer_open_pkcs11(&options, &key.public, &refusal, signer_out);
    if (err != CA_OK)
        fprintf(stderr, "certmill: init: %s: %s: %s\n", ca->key, refusal.field, refusal.rule);
    return err;
}

static enum ca_err make_ca(const struct workshop *workshop, const struct instance_ca *ca)
{
    struct keys_signer *signer;
    enum ca_err err = instance_key_is_in_token(ca) ? open_token(workshop, ca, &signer)
                                                   : open_file(workshop, ca, &signer);

    if (err == CA_OK)
        err = make_paper(workshop, ca, signer);
    keys_signer_close(signer);
    return err == CA_OK ? CA_OK : fail(ca->name, err);
}

/* Another key than any CA's: who has that one cannot write the log anew. */
static enum ca_err make_audit_key(const struct workshop *workshop)
{
    static const struct keys_sealed_options usual = { KEYS_SEALED_PASSES, KEYS_SEALED_MEMORY };
    struct crypto_private_key *key;
    char path[PATH_MAX];
    enum ca_err err = crypto_private_key_generate(CRYPTO_KEY_ED25519, 0, &key);

    if (err != CA_OK)
        return fail(CONFIG_AUDIT_NAME, err);
    place(workshop, path, "keys/" CONFIG_AUDIT_NAME ".key");
    err = keys_sealed_save_next(workshop->memo, path, key, workshop->plan->passphrase, &usual);
    if (err == CA_OK) {
        place(workshop, path, CONFIG_AUDIT_NAME ".pem");
        err = audit_key_save(path, crypto_private_key_public(key));
    }
    crypto_private_key_free(key);
    return err == CA_OK ? CA_OK : fail(path, err);
}

static enum ca_err make_profiles(const struct workshop *workshop)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < INSTANCE_PROFILE_COUNT; i++) {
        const struct instance_profile *profile = &INSTANCE_PROFILES[i];
        place(workshop, path, "profiles/%s.conf", profile->name);
        enum ca_err err = file_save(path, ca_bytes_of(profile->text, profile->len), 0644, false);
        if (err != CA_OK)
            return fail_errno(path);
    }
    return CA_OK;
}

static enum ca_err make_config(const struct workshop *workshop)
{
    const struct instance_plan *plan = workshop->plan;
    struct config_first_ca cas[RPC_CA_MAX];
    const char *profiles[RPC_PROFILE_MAX];
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;

    for (size_t i = 0; i < plan->ca_count; i++) {
        cas[i] = (struct config_first_ca){ .name = plan->cas[i].name };
        if (!instance_key_is_in_token(&plan->cas[i]))
            continue;
        cas[i].key = plan->cas[i].key;
        cas[i].module = plan->module;
        cas[i].pin_file = plan->pin_file;
    }
    for (size_t i = 0; i < INSTANCE_PROFILE_COUNT; i++)
        profiles[i] = INSTANCE_PROFILES[i].name;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL)
        return fail_errno("certmill.conf");
    const struct config_first first = { cas, plan->ca_count, profiles, INSTANCE_PROFILE_COUNT,
                                        plan->has_audit_key };
    config_write_first(&first, to);
    enum ca_err err = fclose(to) == 0 ? CA_OK : CA_ERR_NOMEM;
    place(workshop, path, "certmill.conf");
    if (err == CA_OK)
        err = file_save(path, ca_bytes_of(text, len), 0644, false);
    free(text);
    if (err != CA_OK)
        return fail_errno(path);
    if (plan->is_request)
        return CA_OK; /* it becomes usable with the outer root's answer */

    struct config *config; /* what was made must be good for the daemon */
    err = config_load(path, stderr, &config);
    config_free(config);
    return err;
}

static enum ca_err make_folders(const struct workshop *workshop)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = { { "ca", 0755 }, { "crl", 0755 }, { "keys", 0700 }, { "profiles", 0755 } };
    char path[PATH_MAX];

    if (chmod(workshop->path, 0755) != 0)
        return fail_errno(workshop->path);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        place(workshop, path, "%s", folders[i].name);
        if (mkdir(path, folders[i].mode) != 0)
            return fail_errno(path);
    }
    return CA_OK;
}

static enum ca_err make_all(const struct workshop *workshop)
{
    const struct instance_plan *plan = workshop->plan;
    char path[PATH_MAX];
    enum ca_err err;

    if ((err = make_folders(workshop)) != CA_OK || (err = make_profiles(workshop)) != CA_OK)
        return err;
    for (size_t i = 0; i < plan->ca_count; i++) {
        if ((err = make_ca(workshop, &plan->cas[i])) != CA_OK)
            return err;
    }
    if (plan->has_audit_key && (err = make_audit_key(workshop)) != CA_OK)
        return err;
    place(workshop, path, "data");
    if ((err = store_create(path, plan->instance)) != CA_OK)
        return fail("data", err);
    if ((err = make_config(workshop)) != CA_OK)
        return err;
    return file_sync_folder(workshop->path) == CA_OK ? CA_OK : fail_errno(workshop->path);
}

static enum ca_err make_in(struct workshop *workshop)
{
    struct keys_sealed_memo memo = { 0 };
    enum ca_err err;

    workshop->memo = &memo;
    if ((err = crypto_open(&workshop->crypto)) != CA_OK ||
        (err = ca_arena_new(1 << 16, INSTANCE_ARENA_SIZE_MAX, &workshop->arena)) != CA_OK)
        err = fail("start", err);
    else
        err = make_all(workshop);
    keys_sealed_memo_wipe(&memo);
    crypto_close(workshop->crypto);
    ca_arena_free(workshop->arena);
    return err;
}

enum ca_err instance_check_absent(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;

    if (folder == NULL && errno == ENOENT)
        return CA_OK;
    if (folder == NULL)
        return fail_errno(path);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    if (count <= 2) /* nothing but itself and the one above */
        return CA_OK;
    errno = EEXIST;
    return fail_errno(path);
}

/* The path without slashes at its end. */
static bool trim_path(const char *from, char path[PATH_MAX])
{
    size_t len = strlen(from);

    while (len > 1 && from[len - 1] == '/')
        len--;
    if (len == 0 || len + CA_NAME_LEN_MAX + 64 >= PATH_MAX)
        return false;
    snprintf(path, PATH_MAX, "%.*s", (int)len, from);
    return true;
}

enum ca_err instance_create(const struct instance_plan *plan)
{
    char path[PATH_MAX], beside[PATH_MAX + 8];
    enum ca_err err;

    if (!trim_path(plan->path, path)) {
        errno = ENAMETOOLONG;
        return fail_errno(plan->path);
    }
    if ((err = instance_check_absent(path)) != CA_OK)
        return err;
    snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
    if (mkdtemp(beside) == NULL)
        return fail_errno(beside);

    struct workshop workshop = { .plan = plan, .path = beside };
    err = make_in(&workshop);
    if (err == CA_OK && rename(beside, path) != 0)
        err = fail_errno(path);
    if (err != CA_OK) {
        file_drop_tree(beside);
        return err;
    }
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    return file_sync_folder(slash == NULL ? "." : path) == CA_OK ? CA_OK : fail_errno(path);
}

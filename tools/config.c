/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ca/base/text.h"
#include "ca/crypto/digest.h"
#include "tools/audit_key.h"
#include "tools/config_build.h"
#include "tools/config_profile.h"
#include "tools/file.h"

enum {
    CONFIG_FILE_LEN_MAX = 1 << 20,
    CONFIG_BLOCKED_LEN_MAX = 256 << 20, /* four million keys */
    CONFIG_ARENA_SIZE_MAX = 64 << 20,
};

/* ---- building */

static const char *join(struct ca_arena *arena, const char *first, const char *second)
{
    size_t size = strlen(first) + strlen(second) + 1;
    char *text = ca_arena_alloc(arena, size);

    if (text != NULL)
        snprintf(text, size, "%s%s", first, second);
    return text;
}

const char *config_resolve(const struct config_builder *builder, const char *path)
{
    return join(builder->config->arena, path[0] == '/' ? "" : builder->folder, path);
}

enum ca_err config_load_named(const struct config_builder *builder, const struct config_text *name,
                              size_t size_max, const char **path_out, struct ca_bytes *bytes_out)
{
    uint8_t *data;
    size_t len;

    *bytes_out = ca_bytes_of(NULL, 0);
    *path_out = config_resolve(builder, name->text);
    if (*path_out == NULL)
        return CA_ERR_NOMEM;
    enum ca_err err = file_load(*path_out, size_max, &data, &len);
    if (err == CA_ERR_FIELD_LENGTH)
        return config_complain(builder->source, name->line, "%s: too large", name->text);
    if (err == CA_ERR_NOT_FOUND || err == CA_ERR_STORAGE)
        return config_complain(builder->source, name->line, "%s: %s", name->text, strerror(errno));
    if (err != CA_OK)
        return err;
    *bytes_out = ca_arena_copy(builder->config->arena, ca_bytes_of(data, len));
    free(data);
    return bytes_out->data == NULL ? CA_ERR_NOMEM : CA_OK;
}

/* ---- listening */

/* HOST:PORT[/PATH] with a host that never leaves this machine. */
static bool is_loopback(const char *address)
{
    static const char *const hosts[] = { "127.0.0.1:", "localhost:", "[::1]:" };
    char port[8] = { 0 };
    uint64_t number;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i]);
        if (strncmp(address, hosts[i], len) != 0)
            continue;
        size_t digits = strcspn(address + len, "/");
        if (digits >= sizeof(port))
            return false;
        for (size_t k = 0; k < digits; k++)
            port[k] = address[len + k];
        return ca_text_to_number(port, 1, 65535, &number);
    }
    return false;
}

/* address: what stands behind the scheme, here and below. */
static enum ca_err build_ipc(const struct config_builder *builder,
                             const struct config_text *setting, const char *address,
                             struct rpc_listen *listen)
{
    const char *path = address[0] == '\0' ? NULL : config_resolve(builder, address);

    if (path == NULL)
        return config_complain(builder->source, setting->line, "\"%s\" names no path",
                               setting->text);
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return config_complain(builder->source, setting->line, "path of the socket is too long: %s",
                               path);
    listen->url = join(builder->config->arena, "ipc://", path);
    return listen->url == NULL ? CA_ERR_NOMEM : CA_OK;
}

static enum ca_err build_network(const struct config_builder *builder,
                                 const struct config_text *setting, const char *address,
                                 struct rpc_listen *listen)
{
    if (!is_loopback(address))
        return config_complain(builder->source, setting->line,
                               "\"%s\" is not a port on loopback: 127.0.0.1, [::1], localhost",
                               setting->text);
    listen->url = setting->text;
    return CA_OK;
}

static enum ca_err build_tls(const struct config_builder *builder,
                             const struct config_text *setting, const char *address,
                             struct rpc_listen *listen)
{
    const char *file = builder->settings.tls_file.text;
    enum ca_err err = build_network(builder, setting, address, listen);

    if (err != CA_OK)
        return err;
    if (file[0] == '\0')
        return config_complain(builder->source, setting->line, "tls+tcp needs \"tls_file\"");
    listen->tls_cert_file = config_resolve(builder, file);
    return listen->tls_cert_file == NULL ? CA_ERR_NOMEM : CA_OK;
}

static enum ca_err build_listen(const struct config_builder *builder,
                                const struct config_text *setting, struct rpc_listen *listen)
{
    static const struct {
        const char *scheme;
        enum ca_err (*build)(const struct config_builder *builder,
                             const struct config_text *setting, const char *address,
                             struct rpc_listen *listen);
    } kinds[] = {
        { "ipc://", build_ipc },
        { "tcp://", build_network },
        { "tls+tcp://", build_tls },
        { "ws://", build_network },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].scheme);
        if (strncmp(setting->text, kinds[i].scheme, len) == 0)
            return kinds[i].build(builder, setting, setting->text + len, listen);
    }
    return config_complain(builder->source, setting->line,
                           "\"%s\" begins with none of ipc://, tcp://, tls+tcp://, ws://",
                           setting->text);
}

static enum ca_err build_listens(const struct config_builder *builder)
{
    const struct config_texts *texts = &builder->settings.listen;
    struct rpc_config *rpc = &builder->config->rpc;
    struct rpc_listen *listens =
        ca_arena_alloc(builder->config->arena, texts->count * sizeof(*listens));

    if (listens == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < texts->count; i++) {
        enum ca_err err = build_listen(builder, &texts->items[i], &listens[i]);
        if (err != CA_OK)
            return err;
        for (size_t before = 0; before < i; before++) {
            if (strcmp(listens[before].url, listens[i].url) == 0)
                return config_complain(builder->source, texts->items[i].line,
                                       "\"%s\" is there twice", texts->items[i].text);
        }
    }
    rpc->listens = listens;
    rpc->listen_count = texts->count;
    return CA_OK;
}

/* ---- profiles */

static enum ca_err build_profile(const struct config_builder *builder,
                                 const struct config_profile_entry *entry,
                                 struct rpc_profile *profile)
{
    struct config *config = builder->config;
    struct ca_bytes text;
    const char *path;
    enum ca_err err;

    if ((err = config_load_named(builder, &entry->file, CONFIG_FILE_LEN_MAX, &path, &text)) !=
        CA_OK)
        return err;
    struct config_source source = { path, text, config->arena, builder->source->talk };
    if ((err = config_profile_parse(&source, &profile->rules, &config->patterns)) != CA_OK)
        return err;
    for (profile->ca = 0; profile->ca < config->rpc.ca_count; profile->ca++) {
        if (strcmp(config->cas[profile->ca].issuer.name, entry->ca.text) == 0)
            return CA_OK;
    }
    return config_complain(builder->source, entry->ca.line, "there is no CA \"%s\"",
                           entry->ca.text);
}

static enum ca_err build_profiles(const struct config_builder *builder)
{
    const struct config_profile_entry *entries = builder->settings.profiles.items;
    size_t count = builder->settings.profiles.count;
    struct rpc_profile *profiles =
        ca_arena_alloc(builder->config->arena, count * sizeof(*profiles));

    if (profiles == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        enum ca_err err = build_profile(builder, &entries[i], &profiles[i]);
        if (err != CA_OK)
            return err;
        for (size_t before = 0; before < i; before++) {
            if (strcmp(profiles[before].rules.name, profiles[i].rules.name) == 0)
                return config_complain(builder->source, entries[i].file.line,
                                       "profile \"%s\" is there twice", profiles[i].rules.name);
        }
    }
    builder->config->rpc.profiles = profiles;
    builder->config->rpc.profile_count = count;
    return CA_OK;
}

/* ---- the audit log's key */

static enum ca_err check_audit_key(const struct config_builder *builder,
                                   const struct config_text *setting)
{
    const struct config *config = builder->config;

    for (size_t i = 0; i < config->rpc.ca_count; i++) {
        if (crypto_public_key_equal(config->cas[i].issuer.key, &config->audit_key))
            return config_complain(builder->source, setting->line,
                                   "\"%s\" is the key of CA \"%s\": it has to be another",
                                   setting->text, config->cas[i].issuer.name);
    }
    return CA_OK;
}

static enum ca_err build_audit(const struct config_builder *builder)
{
    const struct config_audit_settings *settings = &builder->settings.audit;
    struct config *config = builder->config;
    struct ca_bytes text;
    const char *path;
    enum ca_err err;

    if (settings->key.line == 0 && settings->public_key.line == 0)
        return CA_OK;
    if (settings->key.line == 0 || settings->public_key.line == 0)
        return config_complain(builder->source, settings->line,
                               "\"key\" and \"public_key\" go together");
    if (strncmp(settings->key.text, "pkcs11:", 7) == 0)
        return config_complain(builder->source, settings->key.line,
                               "the audit log's key is in a sealed file, not in a token");
    if ((err = config_load_named(builder, &settings->public_key, AUDIT_KEY_FILE_LEN_MAX, &path,
                                 &text)) != CA_OK)
        return err;
    err = audit_key_parse(text, config->arena, &config->audit_key);
    if (err == CA_ERR_NOMEM)
        return err;
    if (err != CA_OK)
        return config_complain(builder->source, settings->public_key.line,
                               "%s: not one public key of type ed25519 in PEM",
                               settings->public_key.text);
    if ((err = check_audit_key(builder, &settings->public_key)) != CA_OK)
        return err;
    config->audit_key_path = config_resolve(builder, settings->key.text);
    config->audit.interval_ms = (uint32_t)settings->interval_ms.value;
    config->rpc.audit = &config->audit;
    return config->audit_key_path == NULL ? CA_ERR_NOMEM : CA_OK;
}

/* ---- blocked keys */

static int compare_digests(const void *a, const void *b)
{
    return ca_bytes_compare(ca_bytes_of(a, CA_DIGEST_LEN), ca_bytes_of(b, CA_DIGEST_LEN));
}

/* Lines of 64 hexadecimal digits; empty ones and those that begin with # are skipped. */
static enum ca_err parse_blocked(const struct config_source *source, char *text,
                                 uint8_t (*digests)[CA_DIGEST_LEN], size_t *count_out)
{
    unsigned line = 0;
    size_t len;

    *count_out = 0;
    for (char *next, *at = text; at != NULL && *at != '\0'; at = next) {
        line++;
        next = strchr(at, '\n');
        if (next != NULL)
            *next++ = '\0';
        at[strcspn(at, "\r")] = '\0';
        if (*at == '\0' || *at == '#')
            continue;
        if (strlen(at) != 2 * CA_DIGEST_LEN ||
            !ca_text_unhex(at, digests[*count_out], CA_DIGEST_LEN, &len))
            return config_complain(source, line, "not a SHA-256 in hexadecimal");
        (*count_out)++;
    }
    return CA_OK;
}

static enum ca_err build_blocked(const struct config_builder *builder)
{
    const struct config_text *name = &builder->settings.blocked_keys;
    struct config *config = builder->config;
    uint8_t *data;
    size_t len;

    if (name->line == 0)
        return CA_OK;
    struct config_source source = {
        config_resolve(builder, name->text), { 0 }, config->arena, builder->source->talk
    };
    if (source.path == NULL)
        return CA_ERR_NOMEM;
    enum ca_err err = file_load(source.path, CONFIG_BLOCKED_LEN_MAX, &data, &len);
    if (err == CA_ERR_NOMEM)
        return err;
    if (err != CA_OK)
        return config_complain(builder->source, name->line, "%s: %s", name->text, strerror(errno));
    uint8_t(*digests)[CA_DIGEST_LEN] = malloc(len / (2 * CA_DIGEST_LEN) * CA_DIGEST_LEN + 1);
    err = CA_ERR_NOMEM;
    if (digests != NULL && strlen((char *)data) != len)
        err = config_complain(&source, 1, "the file holds a NUL octet");
    else if (digests != NULL)
        err = parse_blocked(&source, (char *)data, digests, &config->rpc.blocked.count);
    free(data);
    if (digests != NULL)
        qsort(digests, config->rpc.blocked.count, CA_DIGEST_LEN, compare_digests);
    config->rpc.blocked.digests = (const uint8_t(*)[CA_DIGEST_LEN])digests;
    return err;
}

/* ---- places */

/* data, tls_file, the audit log's key; beside them a key or module for each CA */
enum { PLACES_OF_ALL = 3 };

static void add_place(const struct config_builder *builder, struct config_place place)
{
    struct config *config = builder->config;

    config->places[config->place_count++] = place;
}

static enum ca_err build_places(const struct config_builder *builder)
{
    const struct config_settings *settings = &builder->settings;
    const struct config_ca_settings *cas = settings->cas.items;
    struct config *config = builder->config;
    size_t count = PLACES_OF_ALL + settings->cas.count;

    config->places = ca_arena_alloc(config->arena, count * sizeof(*config->places));
    if (config->places == NULL)
        return CA_ERR_NOMEM;
    add_place(builder, (struct config_place){ config->data_path, settings->data.line, true,
                                              S_IWGRP | S_IWOTH });
    for (size_t i = 0; i < config->rpc.listen_count; i++) {
        const char *tls_file = config->rpc.listens[i].tls_cert_file;
        if (tls_file == NULL)
            continue;
        add_place(builder, (struct config_place){ tls_file, settings->tls_file.line, false,
                                                  S_IWGRP | S_IROTH | S_IWOTH });
        break;
    }
    for (size_t i = 0; i < settings->cas.count; i++) {
        if (config->keys[i].path != NULL)
            add_place(builder,
                      (struct config_place){ config->keys[i].path, cas[i].key.line, false, 0 });
        else
            add_place(builder, (struct config_place){ config->keys[i].token.module,
                                                      cas[i].module.line, false, 0 });
    }
    if (config->audit_key_path != NULL)
        add_place(builder, (struct config_place){ config->audit_key_path, settings->audit.key.line,
                                                  false, 0 });
    config->user_line = settings->user.line;
    config->group_line = settings->group.line;
    return CA_OK;
}

/* ---- all of it */

static enum ca_err build_numbers(const struct config_builder *builder)
{
    const struct config_settings *settings = &builder->settings;
    const struct config_numbers *uids = &settings->ipc_uids;
    struct config *config = builder->config;
    uint32_t *ipc_uids = ca_arena_alloc(config->arena, (uids->count + 1) * sizeof(*ipc_uids));

    config->data_path = config_resolve(builder, settings->data.text);
    config->rpc.crl_path = config_resolve(builder, settings->crl_path.text);
    if (ipc_uids == NULL || config->data_path == NULL || config->rpc.crl_path == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < uids->count; i++)
        ipc_uids[i] = (uint32_t)uids->items[i].value;
    config->rpc.ipc_uids = ipc_uids;
    config->rpc.ipc_uid_count = uids->count;
    config->rpc.ipc_mode = CONFIG_IPC_MODE_OF[settings->ipc_mode.index];
    config->rpc.clock_tolerance_us = settings->clock_tolerance_ms.value * 1000;
    config->rpc.limits = (struct rpc_limits){
        .message_size_max = settings->limits.message_size.value,
        .queue_items_max = settings->limits.queue_items.value,
        .caller_items_max = settings->limits.caller_items.value,
        .act_items_max = settings->limits.act_items.value,
        .queue_octets_max = settings->limits.queue_octets.value,
        .caller_octets_max = settings->limits.caller_octets.value,
        .unread_octets_max = settings->limits.unread_octets.value,
        .connections_max = settings->limits.connections.value,
        .uid_connections_max = settings->limits.uid_connections.value,
        .batch_items_max = settings->limits.batch_items.value,
        .worker_count = settings->limits.workers.value,
    };
    config->store = (struct store_options){
        .map_size = settings->store.map_gib.value << 30,
        .reserve_size = settings->store.reserve_mib.value << 20,
        .run_entries = settings->store.run_entries.value,
    };
    if (config->store.reserve_size >= config->store.map_size)
        return config_complain(builder->source, settings->store.line,
                               "\"reserve_mib\" leaves no room for certificates");
    config->is_self_checked = settings->self_check.value;
    config->has_signer_process = settings->signer.process.value;
    config->is_signer_restarted = settings->signer.restart.index == CONFIG_RESTART_SOURCE;
    config->user = settings->user.text;
    config->group = settings->group.text;
    if (config->group[0] != '\0' && config->user[0] == '\0')
        return config_complain(builder->source, settings->group.line, "\"group\" without \"user\"");
    return CA_OK;
}

/* What all settings say together: the main file's, and the identity of every profile. */
static enum ca_err build_digest(const struct config_builder *builder)
{
    struct config *config = builder->config;
    struct rpc_config *rpc = &config->rpc;
    struct ca_bytes content;
    enum ca_err err =
        config_schema_content(&CONFIG_SECTION, &builder->settings, config->arena, &content);

    if (err != CA_OK)
        return err;
    bool is_content = config_schema_digest(content, rpc->digest);
    assert(is_content);
    for (size_t i = 0; i < rpc->profile_count; i++) {
        struct ca_bytes parts[] = {
            ca_bytes_of(rpc->digest, sizeof(rpc->digest)),
            ca_bytes_of(rpc->profiles[i].rules.id, RULES_PROFILE_ID_LEN),
        };
        crypto_sha256(parts, 2, rpc->digest);
    }
    return CA_OK;
}

static enum ca_err build(struct config_builder *builder)
{
    enum ca_err err;

    if ((err = config_schema_parse(builder->source, &CONFIG_SECTION, &builder->settings)) !=
            CA_OK ||
        (err = build_numbers(builder)) != CA_OK || (err = build_listens(builder)) != CA_OK ||
        (err = config_build_cas(builder)) != CA_OK || (err = build_audit(builder)) != CA_OK ||
        (err = build_profiles(builder)) != CA_OK || (err = build_blocked(builder)) != CA_OK ||
        (err = build_places(builder)) != CA_OK)
        return err;
    return build_digest(builder);
}

static enum ca_err load(struct config *config, const char *path, FILE *talk)
{
    uint8_t *data;
    size_t len;

    enum ca_err err = file_load(path, CONFIG_FILE_LEN_MAX, &data, &len);
    if (err != CA_OK) {
        fprintf(talk, "%s: %s\n", path,
                err == CA_ERR_STORAGE || err == CA_ERR_NOT_FOUND ? strerror(errno)
                                                                 : ca_err_text(err));
        return CA_ERR_CONFIG;
    }
    const char *slash = strrchr(path, '/');
    struct ca_bytes folder = ca_bytes_of(path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
    struct config_source source = { path, ca_bytes_of(data, len), config->arena, talk };
    struct config_builder builder = { .config = config, .source = &source };
    builder.folder = (const char *)ca_arena_copy(config->arena, folder).data;
    config->path = join(config->arena, path, "");
    err = builder.folder == NULL || config->path == NULL ? CA_ERR_NOMEM : build(&builder);
    free(data);
    return err;
}

enum ca_err config_load(const char *path, FILE *talk, struct config **config_out)
{
    enum ca_err err = CA_ERR_NOMEM;

    *config_out = NULL;
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL || ca_arena_new(1 << 16, CONFIG_ARENA_SIZE_MAX, &config->arena) != CA_OK)
        goto out;
    if ((err = crypto_open(&config->crypto)) != CA_OK)
        goto out;
    config->rpc.crypto = config->crypto;
    if ((err = load(config, path, talk)) != CA_OK)
        goto out;
    *config_out = config;
    config = NULL;
out:
    if (err != CA_OK && err != CA_ERR_CONFIG)
        fprintf(talk, "%s: %s\n", path, ca_err_text(err));
    config_free(config);
    return err;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    crypto_close(config->crypto);
    config_patterns_free(config->patterns);
    free((void *)(uintptr_t)config->rpc.blocked.digests);
    ca_arena_free(config->arena);
    free(config);
}

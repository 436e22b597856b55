/* SPDX-License-Identifier: Apache-2.0 */
/* crl export: published lists, from a running daemon or from what a stopped one left behind. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "tools/config.h"
#include "tools/crl_output.h"
#include "tools/crl_target.h"
#include "tools/file.h"
#include "tools/progress.h"

enum {
    ARENA_MAX = 64 << 20,
    TRIES = 50, /* a list may be replaced while it is fetched */
    PAUSE_MS = 100,
    READ_LEN = 1 << 20,
    SPKI_LEN_MAX = 1024,
};

enum export_option {
    EXPORT_PEM = CRL_CHOICE_OPTION_COUNT,
    EXPORT_OUT,
    EXPORT_CONFIG,
};

static const struct command_option OPTIONS[] = {
    CRL_CHOICE_OPTIONS,
    [EXPORT_PEM] = { "pem", NULL, "as PEM instead of DER, NAME.crl.pem", 0 },
    [EXPORT_OUT] = { "out", "PATH", "file, folder, or - for standard output (default: .)", 'o' },
    [EXPORT_CONFIG] = { "config", "FILE", "no daemon: what is in the folders this file names", 0 },
};

struct export
{
    struct crl_choice choice;
    bool is_pem;
    const char *out, *config_path;

    struct ca_arena *arena;
    struct rpc_client *client; /* of a running daemon, or */
    struct config *config;
    struct store_view *view;
    struct crl_targets targets;
    struct crl_output output;
    struct progress progress;
    struct store_crl written; /* number, entries and digest of the list that is done */
    bool is_json;
    struct json json;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct export *export = arg;

    switch (option) {
    case EXPORT_PEM: export->is_pem = true; return true;
    case EXPORT_OUT: export->out = value; return true;
    case EXPORT_CONFIG: export->config_path = value; return true;
    default: return crl_choice_take(&export->choice, option, value);
    }
}

/* ---- where to */

static bool is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The name of the file, and its path; .crl.pem for PEM, as NAME.pem is the CA's certificate. */
static enum ca_err place(const struct export *export, const struct crl_target *target,
                         char name[RPC_CRL_PATH_SIZE], char path[PATH_MAX])
{
    const struct rules_issuer issuer = crl_target_issuer(target);
    enum ca_err err = rpc_crl_path(NULL, &issuer, target->shard, export->choice.kind, name);
    size_t len = strlen(name);
    int path_len;

    if (err != CA_OK)
        return err;
    if (export->is_pem &&
        snprintf(name + len, RPC_CRL_PATH_SIZE - len, ".pem") >= (int)(RPC_CRL_PATH_SIZE - len))
        return CA_ERR_CONFIG;
    if (export->out == NULL)
        path_len = snprintf(path, PATH_MAX, "%s", name);
    else if (is_folder(export->out))
        path_len = snprintf(path, PATH_MAX, "%s/%s", export->out, name);
    else
        path_len = snprintf(path, PATH_MAX, "%s", export->out);
    return path_len > 0 && path_len < PATH_MAX ? CA_OK : CA_ERR_CONFIG;
}

/* ---- from a daemon */

struct fetching {
    uint64_t number; /* 0: not begun */
    uint64_t offset, size, entries;
    uint8_t sha256[CA_DIGEST_LEN];
    unsigned tries;
};

/* The list was replaced: another one, from its beginning. */
static enum ca_err start_again(struct export *export, struct fetching *fetching)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

    nanosleep(&pause, NULL);
    *fetching = (struct fetching){ .tries = fetching->tries + 1 };
    return crl_output_restart(&export->output);
}

static enum ca_err take_part(struct export *export, struct fetching *fetching,
                             const Certmill__CrlGetAnswer *part)
{
    const Certmill__CrlInfo *info = part->info;

    if (info == NULL || info->sha256.len != CA_DIGEST_LEN ||
        part->data.len > info->size - fetching->offset ||
        (part->data.len == 0 && fetching->offset < info->size)) {
        command_failed("%s", ca_err_text(CA_ERR_MESSAGE_MALFORMED));
        return CA_ERR_MESSAGE_MALFORMED;
    }
    fetching->number = info->number;
    fetching->size = info->size;
    fetching->entries = info->entries;
    fetching->offset += part->data.len;
    memcpy(fetching->sha256, info->sha256.data, CA_DIGEST_LEN);
    export->progress.total = info->size;
    progress_at(&export->progress, fetching->offset);
    return crl_output_append(&export->output, command_bytes(part->data));
}

static enum ca_err take_answer(struct export *export, struct fetching *fetching,
                               const Certmill__Answer *answer)
{
    if (answer->method_case != CERTMILL__ANSWER__METHOD_CRL_GET) {
        command_failed("%s", ca_err_text(CA_ERR_MESSAGE_MALFORMED));
        return CA_ERR_MESSAGE_MALFORMED;
    }
    const Certmill__Status *status = answer->crl_get->status;
    if (status == NULL)
        return take_part(export, fetching, answer->crl_get);
    bool is_replaced = strcmp(status->code, ca_err_name(CA_ERR_CRL_UNKNOWN)) == 0 &&
                       strcmp(status->field, "number") == 0;
    if (is_replaced && fetching->tries < TRIES)
        return start_again(export, fetching);
    command_print_status(export->progress.what, status);
    return CA_ERR_CRL_UNKNOWN;
}

static enum ca_err fetch(struct export *export, const struct crl_target *target,
                         struct fetching *fetching)
{
    Certmill__CrlScope scope;
    Certmill__CrlGetRequest method = CERTMILL__CRL_GET_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    certmill__crl_scope__init(&scope);
    scope.ca = (char *)(uintptr_t)target->ca;
    scope.shard = target->shard;
    method.scope = &scope;
    method.kind = export->choice.kind == RPC_CRL_DELTA ? CERTMILL__CRL_KIND__CRL_DELTA
                                                       : CERTMILL__CRL_KIND__CRL_FULL;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_GET;
    request.crl_get = &method;
    do {
        method.number = fetching->number;
        method.offset = fetching->offset;
        enum ca_err err = command_ask(export->client, &request, &answer);
        if (err != CA_OK)
            return err;
        err = take_answer(export, fetching, answer);
        certmill__answer__free_unpacked(answer, NULL);
        if (err != CA_OK)
            return err;
    } while (fetching->number == 0 || fetching->offset < fetching->size);
    return CA_OK;
}

static enum ca_err from_daemon(struct export *export, const struct crl_target *target)
{
    struct fetching fetching = { 0 };
    enum ca_err err = fetch(export, target, &fetching);

    if (err != CA_OK)
        return err;
    export->written = (struct store_crl){ .number = fetching.number,
                                          .entry_count = fetching.entries,
                                          .len = fetching.size };
    memcpy(export->written.sha256, fetching.sha256, CA_DIGEST_LEN);
    return crl_output_commit(&export->output, ca_bytes_of(fetching.sha256, CA_DIGEST_LEN));
}

/* ---- from files */

static struct store_scope scope_of(const struct export *export, const struct crl_target *target)
{
    struct store_scope scope = { .shard = target->shard };
    uint8_t buffer[SPKI_LEN_MAX], digest[CA_DIGEST_LEN];
    struct der_writer writer;

    for (size_t i = 0; i < export->config->rpc.ca_count; i++) {
        const struct rules_issuer *issuer = &export->config->cas[i].issuer;
        if (strcmp(issuer->name, target->ca) != 0)
            continue;
        der_writer_init(&writer, buffer, sizeof(buffer));
        x509_spki_write(&writer, issuer->key);
        struct ca_bytes spki = der_writer_bytes(&writer);
        crypto_sha256(&spki, 1, digest);
        memcpy(scope.issuer.bytes, digest, STORE_DIGEST_LEN);
    }
    return scope;
}

static enum ca_err copy_file(struct export *export, const char *path, uint64_t len)
{
    uint8_t *buffer = malloc(READ_LEN);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum ca_err err = buffer == NULL ? CA_ERR_NOMEM : fd < 0 ? CA_ERR_STORAGE : CA_OK;
    uint64_t done = 0;
    ssize_t got = 1;

    if (err != CA_OK)
        command_failed("%s: %s", path, strerror(errno));
    export->progress.total = len;
    while (err == CA_OK && (got = read(fd, buffer, READ_LEN)) > 0) {
        err = crl_output_append(&export->output, ca_bytes_of(buffer, (size_t)got));
        progress_at(&export->progress, done += (uint64_t)got);
    }
    if (err == CA_OK && got < 0) {
        command_failed("%s: %s", path, strerror(errno));
        err = CA_ERR_STORAGE;
    }
    if (fd >= 0)
        close(fd);
    free(buffer);
    return err;
}

static enum ca_err from_files(struct export *export, const struct crl_target *target)
{
    const struct store_scope scope = scope_of(export, target);
    const struct rules_issuer issuer = crl_target_issuer(target);
    struct store_scope_info info;
    char path[RPC_CRL_PATH_SIZE];
    enum ca_err err = store_find_scope(export->view, &scope, &info);

    if (err == CA_OK)
        err = rpc_crl_path(export->config->rpc.crl_path, &issuer, target->shard,
                           export->choice.kind, path);
    const struct store_crl *record =
        export->choice.kind == RPC_CRL_DELTA ? &info.delta : &info.full;
    if (err == CA_OK && record->number == 0)
        err = CA_ERR_CRL_UNKNOWN;
    if (err != CA_OK) {
        command_failed("%s: %s: %s", export->progress.what, ca_err_name(err), ca_err_text(err));
        return err;
    }
    if ((err = copy_file(export, path, record->len)) != CA_OK)
        return err;
    export->written = *record;
    return crl_output_commit(&export->output, ca_bytes_of(record->sha256, sizeof(record->sha256)));
}

/* ---- all chosen */

static bool is_to_stdout(const struct export *export)
{
    return export->out != NULL && strcmp(export->out, "-") == 0;
}

/* Nothing beside a list that goes to standard output itself. */
static void tell(struct export *export, const struct crl_target *target, const char *path)
{
    const struct store_crl *written = &export->written;
    struct json *json = &export->json;

    if (is_to_stdout(export))
        return;
    if (!export->is_json) {
        printf("exported %s: number %" PRIu64 ", %" PRIu64 " %s\n", path, written->number,
               written->entry_count, written->entry_count == 1 ? "entry" : "entries");
        return;
    }
    json_object(json, NULL);
    json_text(json, "path", path);
    json_text(json, "ca", target->ca);
    json_number(json, "shard", target->shard);
    json_text(json, "kind", export->choice.kind == RPC_CRL_DELTA ? "delta" : "full");
    json_number(json, "number", written->number);
    json_number(json, "entries", written->entry_count);
    json_number(json, "size", written->len);
    json_hex(json, "sha256", ca_bytes_of(written->sha256, CA_DIGEST_LEN));
    json_end(json);
}

static enum ca_err export_one(struct export *export, const struct crl_target *target)
{
    char name[RPC_CRL_PATH_SIZE], path[PATH_MAX];
    enum ca_err err = place(export, target, name, path);

    if (err != CA_OK) {
        command_failed("%s: the path is too long", target->ca);
        return err;
    }
    progress_begin(&export->progress, name, 0);
    if ((err = crl_output_begin(&export->output, path, export->is_pem)) == CA_OK)
        err = export->config == NULL ? from_daemon(export, target) : from_files(export, target);
    progress_end(&export->progress);
    crl_output_abort(&export->output);
    if (err == CA_OK)
        tell(export, target, path);
    return err;
}

static int export_all(struct export *export)
{
    size_t failures = 0;

    if (export->targets.count > 1 && export->out != NULL && !is_folder(export->out))
        return command_wrong("several lists go to a folder: --out");
    json_init(&export->json, stdout);
    if (export->is_json)
        json_array(&export->json, NULL);
    for (size_t i = 0; i < export->targets.count; i++)
        failures += export_one(export, &export->targets.items[i]) != CA_OK;
    if (export->is_json)
        json_end(&export->json);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_connected(struct export *export, const struct command_line *line)
{
    int exit_code = EXIT_FAILURE;

    if (command_connect(line, &export->client) == CA_OK &&
        crl_targets_ask(export->client, &export->choice, export->arena, &export->targets,
                        &exit_code))
        exit_code = export_all(export);
    rpc_client_close(export->client);
    return exit_code;
}

static int run_alone(struct export *export)
{
    struct store_options options;
    struct store *store = NULL;
    int exit_code = EXIT_FAILURE;
    enum ca_err err = config_load(export->config_path, stderr, &export->config);

    if (err != CA_OK)
        return EXIT_FAILURE;
    options = export->config->store;
    options.is_read_only = true;
    if ((err = store_open(export->config->data_path, &options, &store)) != CA_OK ||
        (err = store_view_open(store, &export->view)) != CA_OK)
        command_failed("%s: %s", export->config->data_path, file_store_err_text(err));
    else if (crl_targets_configured(export->config, &export->choice, export->arena,
                                    &export->targets, &exit_code))
        exit_code = export_all(export);
    store_view_close(export->view);
    store_close(store);
    config_free(export->config);
    return exit_code;
}

int cmd_crl_export(int argc, char **argv)
{
    static const char about[] =
        "\nWrites published CRLs, under the names they are published by unless PATH is a file's,\n"
        "and tells of each. Each is compared with what was recorded when it was made.\n";
    struct command_line line = { .usage = "crl export [OPTION...]",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
                                 .asks_daemon = true };
    struct export *export = calloc(1, sizeof(*export));
    int exit_code = EXIT_FAILURE;

    if (export == NULL || ca_arena_new(1 << 16, ARENA_MAX, &export->arena) != CA_OK) {
        free(export);
        return command_failed("out of memory");
    }
    if (command_line_parse(&line, argc, argv, take, export, &exit_code)) {
        export->is_json = line.is_json;
        if (line.argc > 0)
            exit_code = command_wrong("crl export takes options only");
        else if (export->config_path != NULL && (line.url != NULL || line.dir != NULL))
            exit_code = command_wrong("--config asks no daemon: no --url, no --dir");
        else if (export->is_json && is_to_stdout(export))
            exit_code = command_wrong("--json tells of files: not with --out -");
        else
            exit_code =
                export->config_path == NULL ? run_connected(export, &line) : run_alone(export);
    }
    ca_arena_free(export->arena);
    free(export);
    return exit_code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ca/keys/token.h"
#include "tools/cmd_key.h"
#include "tools/config.h"
#include "tools/file.h"
#include "tools/key_tool.h"
#include "tools/locked_memory.h"

enum list_option { LIST_CHECK = KEY_OPTION_COUNT };

static const struct command_option OPTIONS[] = {
    KEY_OPTIONS,
    [LIST_CHECK] = { "check", NULL, "of an instance: open each key, compare with its certificate" },
};

struct list {
    struct key_access access;
    bool is_check;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct list *list = arg;

    if (option < KEY_OPTION_COUNT)
        return key_access_take(&list->access, option, value);
    list->is_check = true;
    return true;
}

static void print_public(const struct crypto_public_key *key)
{
    char type[KEY_TYPE_TEXT_LEN], digest[2 * CA_DIGEST_LEN + 1];

    if (key->type == CRYPTO_KEY_NONE) {
        printf("\tunknown\tno public key");
        return;
    }
    key_type_text(key, type);
    key_digest_text(key, digest);
    printf("\t%s\tsha256=%s", type, digest);
}

/* The header of a sealed file; false, after a word, if there is none that can be read. */
static bool print_sealed(const char *path)
{
    struct keys_sealed_info info;
    enum ca_err err = keys_sealed_inspect(path, &info);

    if (err != CA_OK) {
        command_failed("%s: %s", path,
                       err == CA_ERR_PASSPHRASE ? "not a sealed key" : file_err_text(err));
        printf("\tunreadable");
        return false;
    }
    printf("\t%s, Argon2id: %" PRIu32 " passes, %" PRIu64 " MiB",
           info.is_divided ? "dual control" : "one passphrase", info.options.passes,
           info.options.memory >> 20);
    return true;
}

/* ---- a token */

static void print_token_key(void *arg, const struct keys_token_key *key)
{
    size_t *count = arg;

    printf("%s", key->uri);
    print_public(&key->public);
    printf("\t%s, %s\n", key->is_sensitive ? "sensitive" : "NOT sensitive",
           key->is_extractable ? "EXTRACTABLE" : "never leaves");
    (*count)++;
}

static int list_token(const struct list *list, const char *uri)
{
    const struct keys_pkcs11_options options = key_token_options(&list->access, uri);
    struct ca_refusal refusal;
    size_t count = 0;

    enum ca_err err = keys_token_list(&options, print_token_key, &count, &refusal);
    if (err != CA_OK)
        return command_failed("%s: %s: %s (%s)", uri, refusal.field, refusal.rule,
                              ca_err_text(err));
    if (count == 0)
        return command_failed("%s: no private key", uri);
    return EXIT_SUCCESS;
}

/* ---- an instance */

static const char fitting[] = "fits its certificate";

/* Opens the key, and compares it with the certificate's. */
static const char *check(const struct config *config, size_t index,
                         const struct keys_secret *passphrase)
{
    const struct config_key *key = &config->keys[index];
    const struct key_access access = { .module = key->token.module,
                                       .pin_file = key->token.pin_file };
    struct keys_signer *signer;

    enum ca_err err = key_open(&access, key->path == NULL ? key->token.uri : key->path, passphrase,
                               config->cas[index].issuer.key, &signer);
    if (err == CA_ERR_KEY_UNUSABLE)
        return "DOES NOT FIT";
    if (err != CA_OK)
        return "not opened";
    keys_signer_close(signer);
    return fitting;
}

static bool print_ca(const struct config *config, size_t index, const struct list *list,
                     const struct keys_secret *passphrase)
{
    const struct config_key *key = &config->keys[index];
    bool is_good = true;

    printf("%s", config->cas[index].issuer.name);
    print_public(config->cas[index].issuer.key);
    printf("\t%s", key->path == NULL ? key->token.uri : key->path);
    if (key->path != NULL)
        is_good = print_sealed(key->path);
    else
        printf("\tin a token, module %s", key->token.module);
    const char *verdict = !list->is_check ? "not checked"
                          : is_good       ? check(config, index, passphrase)
                                          : "not opened";
    printf("\t%s\n", verdict);
    return is_good && (!list->is_check || verdict == fitting);
}

static enum ca_err read_passphrase(const struct config *config, const struct list *list,
                                   struct keys_secret *passphrase)
{
    *passphrase = (struct keys_secret){ 0 };
    for (size_t i = 0; list->is_check && i < config->rpc.ca_count; i++) {
        if (config->keys[i].path != NULL)
            return passphrase_read_for(&list->access.source, config->keys[i].path, passphrase);
    }
    return CA_OK;
}

static int list_instance(const struct list *list, const char *folder)
{
    struct keys_secret passphrase;
    struct config *config;
    char path[PATH_MAX];
    bool is_good = true;

    snprintf(path, sizeof(path), "%s/certmill.conf", folder);
    if (config_load(path, stderr, &config) != CA_OK)
        return EXIT_FAILURE;
    if (read_passphrase(config, list, &passphrase) != CA_OK) {
        config_free(config);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < config->rpc.ca_count; i++)
        is_good = print_ca(config, i, list, &passphrase) && is_good;
    keys_secret_wipe(&passphrase);
    config_free(config);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- each place */

static int list_place(const struct list *list, const char *place)
{
    struct stat status;

    if (key_place_is_token(place))
        return list_token(list, place);
    if (stat(place, &status) == 0 && S_ISDIR(status.st_mode))
        return list_instance(list, place);
    printf("%s", place);
    bool is_good = print_sealed(place);
    printf("\n");
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_key_list(int argc, char **argv)
{
    static const char about[] =
        "\nOne line for each key. DIR, an instance: its CAs, with type, SHA-256 of the public key "
        "in\n"
        "the certificate, where the key is, and with --check whether it is that key. FILE: how a\n"
        "sealed key is sealed. URI (pkcs11:token=NAME): the private keys of a token.\n";
    struct command_line line = { .usage = "key list [OPTION...] DIR|FILE|URI...",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };
    struct list list = { .is_check = false };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &list, &exit_code))
        return exit_code;
    if (line.argc == 0)
        return command_wrong("key list takes an instance, sealed files or the URI of a token");
    for (int i = 0; i < line.argc; i++) {
        if (!key_access_check(&list.access, line.argv[i]))
            return EXIT_USAGE;
    }
    if (locked_memory_harden("certmill") != CA_OK)
        return EXIT_FAILURE;
    exit_code = EXIT_SUCCESS;
    for (int i = 0; i < line.argc; i++) {
        if (list_place(&list, line.argv[i]) != EXIT_SUCCESS)
            exit_code = EXIT_FAILURE;
    }
    return exit_code;
}

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

enum list_option { LIST_CHECK = KEY_OPTION_COUNT, LIST_JSON };

static const struct command_option OPTIONS[] = {
    KEY_OPTIONS,
    [LIST_CHECK] = { "check", NULL, "of an instance: open each key, compare with its certificate" },
    [LIST_JSON] = { "json", NULL, "as JSON" },
};

struct list {
    struct key_access access;
    bool is_check, is_json;
    struct json json;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct list *list = arg;

    if (option < KEY_OPTION_COUNT)
        return key_access_take(&list->access, option, value);
    if (option == LIST_JSON)
        list->is_json = true;
    else
        list->is_check = true;
    return true;
}

/* ---- what is told of a key */

enum verdict { NOT_CHECKED, FITS, OTHER_KEY, NOT_OPENED };

struct finding {
    const char *ca, *place;                /* ca NULL: of no instance */
    const struct crypto_public_key *key;   /* NULL: not told */
    const struct keys_sealed_info *sealed; /* NULL: no sealed file, or */
    bool is_unreadable;
    const char *module;                    /* of a token, which an instance uses */
    const struct keys_token_key *in_token; /* or which was asked itself */
    enum verdict verdict;                  /* with ca */
};

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

static void print_line(const struct finding *finding)
{
    static const char *const verdicts[] = { [NOT_CHECKED] = "not checked",
                                            [FITS] = "fits its certificate",
                                            [OTHER_KEY] = "DOES NOT FIT",
                                            [NOT_OPENED] = "not opened" };

    printf("%s", finding->ca != NULL ? finding->ca : finding->place);
    if (finding->key != NULL)
        print_public(finding->key);
    if (finding->ca != NULL)
        printf("\t%s", finding->place);
    if (finding->is_unreadable)
        printf("\tunreadable");
    if (finding->sealed != NULL)
        printf("\t%s, Argon2id: %" PRIu32 " passes, %" PRIu64 " MiB",
               finding->sealed->is_divided ? "dual control" : "one passphrase",
               finding->sealed->options.passes, finding->sealed->options.memory >> 20);
    if (finding->module != NULL)
        printf("\tin a token, module %s", finding->module);
    if (finding->in_token != NULL)
        printf("\t%s, %s", finding->in_token->is_sensitive ? "sensitive" : "NOT sensitive",
               finding->in_token->is_extractable ? "EXTRACTABLE" : "never leaves");
    if (finding->ca != NULL)
        printf("\t%s", verdicts[finding->verdict]);
    printf("\n");
}

static void print_json(struct json *json, const struct finding *finding)
{
    json_object(json, NULL);
    if (finding->ca != NULL)
        json_text(json, "ca", finding->ca);
    json_text(json, "place", finding->place);
    if (finding->key != NULL)
        key_json(json, finding->key);
    if (finding->is_unreadable)
        json_flag(json, "readable", false);
    if (finding->sealed != NULL) {
        json_flag(json, "dual_control", finding->sealed->is_divided);
        json_number(json, "passes", finding->sealed->options.passes);
        json_number(json, "memory_mib", finding->sealed->options.memory >> 20);
    }
    if (finding->module != NULL)
        json_text(json, "module", finding->module);
    if (finding->in_token != NULL) {
        json_flag(json, "sensitive", finding->in_token->is_sensitive);
        json_flag(json, "extractable", finding->in_token->is_extractable);
    }
    if (finding->verdict == FITS || finding->verdict == OTHER_KEY)
        json_flag(json, "fits", finding->verdict == FITS);
    if (finding->verdict == NOT_OPENED)
        json_flag(json, "opened", false);
    json_end(json);
}

static void print_finding(struct list *list, const struct finding *finding)
{
    if (list->is_json)
        print_json(&list->json, finding);
    else
        print_line(finding);
}

/* The header of a sealed file, for the finding; false, after a word, if none can be read. */
static bool read_sealed(struct finding *finding, struct keys_sealed_info *info)
{
    enum ca_err err = keys_sealed_inspect(finding->place, info);

    finding->is_unreadable = err != CA_OK;
    finding->sealed = err == CA_OK ? info : NULL;
    if (err != CA_OK)
        command_failed("%s: %s", finding->place,
                       err == CA_ERR_PASSPHRASE ? "not a sealed key" : file_err_text(err));
    return err == CA_OK;
}

/* ---- a token */

struct token_keys {
    struct list *list;
    size_t count;
};

static void print_token_key(void *arg, const struct keys_token_key *key)
{
    struct token_keys *keys = arg;
    const struct finding finding = { .place = key->uri, .key = &key->public, .in_token = key };

    print_finding(keys->list, &finding);
    keys->count++;
}

static int list_token(struct list *list, const char *uri)
{
    const struct keys_pkcs11_options options = key_token_options(&list->access, uri);
    struct token_keys keys = { .list = list };
    struct ca_refusal refusal;

    enum ca_err err = keys_token_list(&options, print_token_key, &keys, &refusal);
    if (err != CA_OK)
        return command_failed("%s: %s: %s (%s)", uri, refusal.field, refusal.rule,
                              ca_err_text(err));
    if (keys.count == 0)
        return command_failed("%s: no private key", uri);
    return EXIT_SUCCESS;
}

/* ---- an instance */

/* Opens the key, and compares it with the certificate's. */
static enum verdict check(const struct config *config, size_t index,
                          const struct keys_secret *passphrase)
{
    const struct config_key *key = &config->keys[index];
    const struct key_access access = { .module = key->token.module,
                                       .pin_file = key->token.pin_file };
    struct keys_signer *signer;

    enum ca_err err = key_open(&access, key->path == NULL ? key->token.uri : key->path, passphrase,
                               config->cas[index].issuer.key, &signer);
    if (err != CA_OK)
        return err == CA_ERR_KEY_UNUSABLE ? OTHER_KEY : NOT_OPENED;
    keys_signer_close(signer);
    return FITS;
}

static bool print_ca(const struct config *config, size_t index, struct list *list,
                     const struct keys_secret *passphrase)
{
    const struct config_key *key = &config->keys[index];
    struct keys_sealed_info sealed;
    struct finding finding = { .ca = config->cas[index].issuer.name,
                               .place = key->path == NULL ? key->token.uri : key->path,
                               .key = config->cas[index].issuer.key,
                               .module = key->path == NULL ? key->token.module : NULL };
    bool is_good = key->path == NULL || read_sealed(&finding, &sealed);

    if (list->is_check)
        finding.verdict = is_good ? check(config, index, passphrase) : NOT_OPENED;
    print_finding(list, &finding);
    return is_good && (!list->is_check || finding.verdict == FITS);
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

static int list_instance(struct list *list, const char *folder)
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

static int list_place(struct list *list, const char *place)
{
    struct finding finding = { .place = place };
    struct keys_sealed_info sealed;
    struct stat status;

    if (key_place_is_token(place))
        return list_token(list, place);
    if (stat(place, &status) == 0 && S_ISDIR(status.st_mode))
        return list_instance(list, place);
    bool is_good = read_sealed(&finding, &sealed);
    print_finding(list, &finding);
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
    json_init(&list.json, stdout);
    if (list.is_json)
        json_array(&list.json, NULL);
    for (int i = 0; i < line.argc; i++) {
        if (list_place(&list, line.argv[i]) != EXIT_SUCCESS)
            exit_code = EXIT_FAILURE;
    }
    if (list.is_json)
        json_end(&list.json);
    return exit_code;
}

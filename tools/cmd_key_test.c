/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ca/base/text.h"
#include "tools/chain.h"
#include "tools/cmd_key.h"
#include "tools/config.h"
#include "tools/file.h"
#include "tools/key_tool.h"
#include "tools/locked_memory.h"

enum { COUNT_DEFAULT = 10, COUNT_MAX = 1000000 };
enum test_option { TEST_CERTIFICATE = KEY_OPTION_COUNT, TEST_COUNT, TEST_JSON };

static const struct command_option OPTIONS[] = {
    KEY_OPTIONS,
    [TEST_CERTIFICATE] = { "certificate", "FILE", "whose key it must be (PEM); not for DIR" },
    [TEST_COUNT] = { "count", "N", "so many signatures (10)" },
    [TEST_JSON] = { "json", NULL, "as JSON" },
};

struct trial {
    struct key_access access;
    const char *certificate;
    uint64_t count;
    double *taken_us;
    struct keys_secret passphrase;
    bool is_json;
    struct json json;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct trial *trial = arg;

    if (option < KEY_OPTION_COUNT)
        return key_access_take(&trial->access, option, value);
    switch ((enum test_option)option) {
    case TEST_COUNT: return command_number("count", value, 1, COUNT_MAX, &trial->count);
    case TEST_CERTIFICATE: trial->certificate = value; break;
    case TEST_JSON: trial->is_json = true; break;
    }
    return true;
}

static int compare_times(const void *a, const void *b)
{
    const double *first = a, *second = b;

    return (*first > *second) - (*first < *second);
}

/* Asked for once, by the first key that needs it. */
static bool has_passphrase(struct trial *trial, const char *place)
{
    return key_place_is_token(place) || trial->passphrase.data != NULL ||
           passphrase_read_for(&trial->access.source, place, &trial->passphrase) == CA_OK;
}

/* ---- what is told of a key: which one, and what came of it */

struct tried {
    const char *ca, *place;                   /* ca NULL: of no instance */
    const struct crypto_public_key *expected; /* NULL: what the key itself says it is */
};

/* taken_us is sorted. */
static void print_line(const struct trial *trial, const struct tried *tried,
                       const struct crypto_public_key *key)
{
    char type[KEY_TYPE_TEXT_LEN];

    key_type_text(key, type);
    printf("%s\t%s\t%s\t%zu signature%s verified\tus each: min %.0f, median %.0f, max %.0f\n",
           tried->ca != NULL ? tried->ca : tried->place, type,
           tried->expected != NULL ? "fits its certificate" : "no certificate",
           (size_t)trial->count, ca_text_plural(trial->count), trial->taken_us[0],
           trial->taken_us[trial->count / 2], trial->taken_us[trial->count - 1]);
}

/* key NULL: it could not be opened. */
static void print_json(struct trial *trial, const struct tried *tried,
                       const struct crypto_public_key *key, bool has_signed)
{
    struct json *json = &trial->json;

    json_object(json, NULL);
    if (tried->ca != NULL)
        json_text(json, "ca", tried->ca);
    json_text(json, "place", tried->place);
    json_flag(json, "opened", key != NULL);
    if (key != NULL) {
        key_json(json, key);
        if (tried->expected != NULL)
            json_flag(json, "fits", true);
        json_flag(json, "signs", has_signed);
    }
    if (has_signed) {
        json_number(json, "signatures", trial->count);
        json_number(json, "min_us", (uint64_t)trial->taken_us[0]);
        json_number(json, "median_us", (uint64_t)trial->taken_us[trial->count / 2]);
        json_number(json, "max_us", (uint64_t)trial->taken_us[trial->count - 1]);
    }
    json_end(json);
}

static int try_key(struct trial *trial, const struct key_access *access, const struct tried *tried)
{
    struct keys_signer *signer;

    if (key_open(access, tried->place, &trial->passphrase, tried->expected, &signer) != CA_OK) {
        if (trial->is_json)
            print_json(trial, tried, NULL, false);
        return EXIT_FAILURE;
    }
    const struct crypto_public_key *key =
        tried->expected != NULL ? tried->expected : keys_signer_public(signer);
    enum ca_err err = key_try(signer, key, trial->count, trial->taken_us);
    if (err == CA_OK)
        qsort(trial->taken_us, trial->count, sizeof(*trial->taken_us), compare_times);
    else
        command_failed("%s: %s", tried->ca != NULL ? tried->ca : tried->place, ca_err_text(err));
    if (trial->is_json)
        print_json(trial, tried, key, err == CA_OK);
    else if (err == CA_OK)
        print_line(trial, tried, key);
    keys_signer_close(signer);
    return err == CA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- an instance */

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc == 0;
}

static int try_cas(struct trial *trial, const struct config *config, int argc, char **argv)
{
    int exit_code = EXIT_SUCCESS, found = 0;

    for (size_t i = 0; i < config->rpc.ca_count; i++) {
        const struct config_key *key = &config->keys[i];
        const struct rules_issuer *issuer = &config->cas[i].issuer;
        const struct key_access access = { .source = trial->access.source,
                                           .module = key->token.module,
                                           .pin_file = key->token.pin_file };
        if (!is_wanted(issuer->name, argc, argv))
            continue;
        const struct tried tried = { issuer->name, key->path == NULL ? key->token.uri : key->path,
                                     issuer->key };
        found++;
        if (!has_passphrase(trial, tried.place))
            return EXIT_FAILURE;
        if (try_key(trial, &access, &tried) != EXIT_SUCCESS)
            exit_code = EXIT_FAILURE;
    }
    return found < argc ? command_failed("there is no such CA") : exit_code;
}

static int try_instance(struct trial *trial, int argc, char **argv)
{
    struct config *config;
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/certmill.conf", argv[0]);
    if (config_load(path, stderr, &config) != CA_OK)
        return EXIT_FAILURE;
    int exit_code = try_cas(trial, config, argc - 1, argv + 1);
    config_free(config);
    return exit_code;
}

/* ---- one key */

static int try_with_certificate(struct trial *trial, const char *place, struct ca_arena *arena)
{
    struct ca_refusal refusal = { "", "" };
    struct chain chain;
    uint8_t *data;
    size_t len;

    enum ca_err err = file_load(trial->certificate, CHAIN_FILE_LEN_MAX, &data, &len);
    if (err != CA_OK)
        return command_failed("%s: %s", trial->certificate, strerror(errno));
    err = chain_parse(ca_bytes_of(data, len), arena, &chain, &refusal);
    free(data);
    if (err != CA_OK)
        return command_failed("%s: %s: %s", trial->certificate, refusal.field, refusal.rule);
    const struct tried tried = { NULL, place, &chain.certs[0].key };
    return try_key(trial, &trial->access, &tried);
}

static int try_place(struct trial *trial, const char *place)
{
    const struct tried itself = { NULL, place, NULL };
    struct ca_arena *arena;

    if (!has_passphrase(trial, place))
        return EXIT_FAILURE;
    if (trial->certificate == NULL)
        return try_key(trial, &trial->access, &itself);
    if (ca_arena_new(1 << 16, 16 << 20, &arena) != CA_OK)
        return command_failed("out of memory");
    int exit_code = try_with_certificate(trial, place, arena);
    ca_arena_free(arena);
    return exit_code;
}

static int run(struct trial *trial, int argc, char **argv)
{
    struct stat status;

    if (locked_memory_harden("certmill") != CA_OK)
        return EXIT_FAILURE;
    bool is_instance = stat(argv[0], &status) == 0 && S_ISDIR(status.st_mode);
    if (!is_instance && argc > 1)
        return command_wrong("names of CAs are for an instance");
    if ((trial->taken_us = calloc(trial->count, sizeof(*trial->taken_us))) == NULL)
        return command_failed("out of memory");
    json_init(&trial->json, stdout);
    if (trial->is_json)
        json_array(&trial->json, NULL);
    int exit_code = is_instance ? try_instance(trial, argc, argv) : try_place(trial, argv[0]);
    if (trial->is_json)
        json_end(&trial->json);
    keys_secret_wipe(&trial->passphrase);
    free(trial->taken_us);
    return exit_code;
}

int cmd_key_test(int argc, char **argv)
{
    static const char about[] =
        "\nOpens keys, lets each sign random challenges, verifies them with the key in the\n"
        "certificate, and tells how long a signature takes. DIR: an instance, all of its CAs or\n"
        "those named. A challenge begins with the text \"certmill key test\"; a certificate or "
        "CRL\n"
        "begins with the octet 0x30, so no such signature can ever serve for one.\n";
    struct command_line line = { .usage = "key test [OPTION...] DIR [CA...] | FILE | URI",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };
    struct trial trial = { .count = COUNT_DEFAULT };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &trial, &exit_code))
        return exit_code;
    if (line.argc == 0)
        return command_wrong("key test takes an instance, a sealed file or the URI of a key");
    if (!key_access_check(&trial.access, line.argv[0]))
        return EXIT_USAGE;
    return run(&trial, line.argc, line.argv);
}

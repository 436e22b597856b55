/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "tools/command.h"
#include "tools/config.h"
#include "tools/instance.h"
#include "tools/locked_memory.h"
#include "tools/passphrase.h"

enum { YEARS_DEFAULT = 10, YEARS_MAX = 30 };

enum init_option {
    INIT_CA,
    INIT_SUBJECT,
    INIT_ROOT,
    INIT_REQUEST,
    INIT_YEARS,
    INIT_INSTANCE,
    INIT_PASSPHRASE_FILE,
    INIT_PASSPHRASE_FD,
    INIT_DUAL,
    INIT_CUSTODIAN,
    INIT_KEY,
    INIT_MODULE,
    INIT_PIN_FILE,
};

static const struct command_option OPTIONS[] = {
    [INIT_CA] = { "ca", "NAME=TYPE", "a CA to make; may be given several times (main=p256)" },
    [INIT_SUBJECT] = { "subject", "C=CN,O=...", "of every CA; CN is its name unless given" },
    [INIT_ROOT] = { "root", NULL, "CAs are self-signed roots (this is the default)" },
    [INIT_REQUEST] = { "request", NULL, "make requests for an outer root instead" },
    [INIT_YEARS] = { "years", "N", "validity of a root (10)" },
    [INIT_INSTANCE] = { "instance", "N", "first octet of serial numbers, 1 to 127 (random)" },
    [INIT_PASSPHRASE_FILE] = { "passphrase-file", "FILE", "file with the passphrase, or a half" },
    [INIT_PASSPHRASE_FD] = { "passphrase-fd", "N", "descriptor to read it from" },
    [INIT_DUAL] = { "dual", NULL, "dual control: a passphrase of two halves" },
    [INIT_CUSTODIAN] = { "custodian", "NAME", "who is asked for a half; given twice" },
    [INIT_KEY] = { "key", "NAME=URI|FILE", "a CA whose key is there: see certmill key new" },
    [INIT_MODULE] = { "module", "FILE", "for keys in a token: its PKCS#11 module" },
    [INIT_PIN_FILE] = { "pin-file", "FILE", "for keys in a token: file with the PIN" },
};

struct init {
    struct instance_plan plan;
    struct passphrase_source source;
    struct ca_arena *arena;
    bool is_root;
};

static bool add_ca(struct instance_plan *plan, const struct instance_ca *ca)
{
    if (plan->ca_count == RPC_CA_MAX) {
        command_wrong("too many CAs");
        return false;
    }
    if (strcmp(ca->name, CONFIG_AUDIT_NAME) == 0) {
        command_wrong("no CA is called " CONFIG_AUDIT_NAME ": the audit log's key has that name");
        return false;
    }
    for (size_t i = 0; i < plan->ca_count; i++) {
        if (strcmp(plan->cas[i].name, ca->name) == 0) {
            command_wrong("CA %s is there twice", ca->name);
            return false;
        }
    }
    plan->cas[plan->ca_count++] = *ca;
    return true;
}

static bool take_ca(struct instance_plan *plan, const char *value)
{
    struct instance_ca ca;

    if (instance_ca_parse(value, &ca))
        return add_ca(plan, &ca);
    command_wrong("--ca takes NAME=TYPE: a name of small letters, digits and dashes, and one "
                  "of p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519, sm2");
    return false;
}

static bool take_key(struct instance_plan *plan, const char *value)
{
    struct instance_ca ca;

    if (instance_ca_key_parse(value, &ca))
        return add_ca(plan, &ca);
    command_wrong("--key takes NAME=WHERE: a name of small letters, digits and dashes, and the "
                  "URI of a key in a token or a sealed key file");
    return false;
}

/* Absolute: what is written into a configuration is relative to that. */
static bool take_path(const char *option, const char *value, const char **path_out)
{
    if (*path_out != NULL) {
        command_wrong("--%s is there twice", option);
        return false;
    }
    if ((*path_out = realpath(value, NULL)) != NULL)
        return true;
    command_wrong("--%s: %s: %s", option, value, strerror(errno));
    return false;
}

static bool take(void *arg, size_t option, const char *value)
{
    struct init *init = arg;
    uint64_t number;

    switch ((enum init_option)option) {
    case INIT_CA: return take_ca(&init->plan, value);
    case INIT_SUBJECT:
        if (instance_subject_parse(value, init->arena, &init->plan))
            return true;
        command_wrong("--subject takes known attributes: \"C=CN,O=Example,CN=Example Root\"");
        return false;
    case INIT_ROOT: init->is_root = true; return true;
    case INIT_REQUEST: init->plan.is_request = true; return true;
    case INIT_YEARS:
        if (!command_number("years", value, 1, YEARS_MAX, &number))
            return false;
        init->plan.years = (uint32_t)number;
        return true;
    case INIT_INSTANCE:
        if (!command_number("instance", value, 1, 127, &number))
            return false;
        init->plan.instance = (uint8_t)number;
        return true;
    case INIT_PASSPHRASE_FILE: return passphrase_add_file(&init->source, value);
    case INIT_PASSPHRASE_FD: return passphrase_add_fd(&init->source, value);
    case INIT_DUAL: init->source.is_divided = true; return true;
    case INIT_CUSTODIAN: return passphrase_add_custodian(&init->source, value);
    case INIT_KEY: return take_key(&init->plan, value);
    case INIT_MODULE: return take_path("module", value, &init->plan.module);
    case INIT_PIN_FILE: return take_path("pin-file", value, &init->plan.pin_file);
    }
    return false;
}

/* What was not said: the CA, the instance's number, the time. */
static enum ca_err complete_plan(struct instance_plan *plan)
{
    struct timespec now;
    uint8_t random;
    enum ca_err err;

    if (plan->ca_count == 0)
        plan->cas[plan->ca_count++] = (struct instance_ca){ "main", CRYPTO_KEY_P256, 0, NULL };
    while (plan->instance == 0) {
        if ((err = crypto_random(&random, 1)) != CA_OK)
            return err;
        plan->instance = random & 0x7f;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    plan->now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return CA_OK;
}

static bool has_cn(const struct instance_plan *plan)
{
    const struct x509_attribute_type *cn = x509_attribute_type_by_name("CN");

    for (size_t i = 0; i < plan->subject_count; i++) {
        if (ca_bytes_equal(plan->subject[i].oid, cn->oid))
            return true;
    }
    return false;
}

static void print_next(const struct instance_plan *plan)
{
    if (plan->is_request) {
        printf("made %s\nrequests for the outer root:\n", plan->path);
        for (size_t i = 0; i < plan->ca_count; i++)
            printf("  %s/ca/%s.csr\n", plan->path, plan->cas[i].name);
        printf("with its answer: certmill ca import %s NAME CHAIN.pem\n", plan->path);
        return;
    }
    printf("made %s\nstart it: certmilld --config %s/certmill.conf\n", plan->path, plan->path);
}

/* A word about what does not go together; false if there is something. */
static bool check_plan(const struct init *init)
{
    const struct instance_plan *plan = &init->plan;
    bool has_token = false;

    for (size_t i = 0; i < plan->ca_count; i++)
        has_token = has_token || instance_key_is_in_token(&plan->cas[i]);
    if (init->is_root && plan->is_request)
        command_wrong("--root and --request exclude each other");
    else if (init->source.is_divided && init->source.count == 1)
        command_wrong("--dual takes two sources of a passphrase, or none");
    else if (plan->ca_count > 1 && has_cn(plan))
        command_wrong("with several CAs leave CN out of --subject: each gets its name");
    else if (has_token && (plan->module == NULL || plan->pin_file == NULL))
        command_wrong("a key in a token needs --module and --pin-file");
    else
        return true;
    return false;
}

/*
 * None where all keys are in tokens and none was named, and then no audit key either; an old one
 * where all of them are there already.
 */
static enum ca_err read_passphrase(struct init *init, struct keys_secret *passphrase)
{
    const char *sealed = NULL;
    bool is_new = false;

    *passphrase = (struct keys_secret){ 0 };
    for (size_t i = 0; i < init->plan.ca_count; i++) {
        const struct instance_ca *ca = &init->plan.cas[i];
        is_new = is_new || ca->key == NULL;
        if (ca->key != NULL && !instance_key_is_in_token(ca))
            sealed = ca->key;
    }
    is_new = is_new || (sealed == NULL && init->source.count > 0);
    init->plan.has_audit_key = is_new || sealed != NULL;
    if (is_new)
        return passphrase_read(&init->source, true, passphrase);
    return sealed == NULL ? CA_OK : passphrase_read_for(&init->source, sealed, passphrase);
}

static int create(struct init *init)
{
    struct instance_plan *plan = &init->plan;
    struct keys_secret passphrase;

    if (!check_plan(init))
        return EXIT_USAGE;
    if (instance_check_absent(plan->path) != CA_OK)
        return EXIT_FAILURE;
    if (locked_memory_harden("certmill") != CA_OK)
        return EXIT_FAILURE;
    enum ca_err err = complete_plan(plan);
    if (err != CA_OK)
        return command_failed("%s", ca_err_text(err));
    if (read_passphrase(init, &passphrase) != CA_OK)
        return EXIT_FAILURE;
    plan->passphrase = &passphrase;
    umask(022);
    err = instance_create(plan);
    keys_secret_wipe(&passphrase);
    if (err != CA_OK)
        return EXIT_FAILURE;
    print_next(plan);
    return EXIT_SUCCESS;
}

int cmd_init(int argc, char **argv)
{
    static const char about[] =
        "\nMakes the folder DIR of a new instance, complete or not at all: configuration,\n"
        "profiles, sealed CA keys, CA certificates, a sealed key that signs heads of the audit "
        "log\n"
        "(none where all keys are in tokens and no passphrase is named) and an empty store.\n"
        "TYPE of a CA: p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519, sm2.\n"
        "Without a file or descriptor the passphrase is asked for. Under dual control (--dual) it "
        "has\n"
        "two halves; --passphrase-file or --passphrase-fd given twice say where they come from.\n"
        "A sealed key that is there (--key) is copied, under the same passphrase.\n";
    struct command_line line = { .usage = "init [OPTION...] DIR",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };
    struct init *init = calloc(1, sizeof(*init));
    int exit_code = EXIT_FAILURE;

    if (init == NULL || ca_arena_new(4096, 1 << 20, &init->arena) != CA_OK) {
        free(init);
        return command_failed("out of memory");
    }
    init->plan.years = YEARS_DEFAULT;
    if (command_line_parse(&line, argc, argv, take, init, &exit_code)) {
        if (line.argc == 1) {
            init->plan.path = line.argv[0];
            exit_code = create(init);
        } else {
            exit_code = command_wrong("init takes one folder");
        }
    }
    ca_arena_free(init->arena);
    free((void *)(uintptr_t)init->plan.module);
    free((void *)(uintptr_t)init->plan.pin_file);
    free(init);
    return exit_code;
}

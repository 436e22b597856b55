/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "tools/command.h"
#include "tools/instance.h"
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
};

static const struct command_option OPTIONS[] = {
    [INIT_CA] = { "ca", "NAME=TYPE", "a CA to make; may be given several times (main=p256)" },
    [INIT_SUBJECT] = { "subject", "C=CN,O=...", "of every CA; CN is its name unless given" },
    [INIT_ROOT] = { "root", NULL, "CAs are self-signed roots (this is the default)" },
    [INIT_REQUEST] = { "request", NULL, "make requests for an outer root instead" },
    [INIT_YEARS] = { "years", "N", "validity of a root (10)" },
    [INIT_INSTANCE] = { "instance", "N", "first octet of serial numbers, 1 to 127 (random)" },
    [INIT_PASSPHRASE_FILE] = { "passphrase-file", "FILE", "file with the passphrase" },
    [INIT_PASSPHRASE_FD] = { "passphrase-fd", "N", "descriptor to read the passphrase from" },
};

struct init {
    struct instance_plan plan;
    struct passphrase_source source;
    struct ca_arena *arena;
    bool is_root;
};

static bool take_ca(struct instance_plan *plan, const char *value)
{
    if (plan->ca_count == RPC_CA_MAX) {
        command_wrong("too many CAs");
        return false;
    }
    struct instance_ca *ca = &plan->cas[plan->ca_count];
    if (!instance_ca_parse(value, ca)) {
        command_wrong("--ca takes NAME=TYPE: a name of small letters, digits and dashes, and one "
                      "of p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519, sm2");
        return false;
    }
    for (size_t i = 0; i < plan->ca_count; i++) {
        if (strcmp(plan->cas[i].name, ca->name) == 0) {
            command_wrong("CA %s is there twice", ca->name);
            return false;
        }
    }
    plan->ca_count++;
    return true;
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
    case INIT_PASSPHRASE_FILE: init->source.file = value; return true;
    case INIT_PASSPHRASE_FD:
        if (!command_number("passphrase-fd", value, 0, 1 << 20, &number))
            return false;
        init->source.fd = (int)number;
        return true;
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
        plan->cas[plan->ca_count++] = (struct instance_ca){ "main", CRYPTO_KEY_P256, 0 };
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

static int create(struct init *init)
{
    struct instance_plan *plan = &init->plan;
    struct keys_secret passphrase = { 0 };

    if (init->is_root && plan->is_request)
        return command_wrong("--root and --request exclude each other");
    if (init->source.file != NULL && init->source.fd >= 0)
        return command_wrong("--passphrase-file and --passphrase-fd exclude each other");
    if (plan->ca_count > 1 && has_cn(plan))
        return command_wrong("with several CAs leave CN out of --subject: each gets its name");
    if (instance_check_absent(plan->path) != CA_OK)
        return EXIT_FAILURE;
    if (keys_harden_process() != CA_OK)
        return command_failed("memory for keys cannot be protected");
    enum ca_err err = complete_plan(plan);
    if (err != CA_OK)
        return command_failed("%s", ca_err_text(err));
    if (passphrase_read(&init->source, true, &passphrase) != CA_OK)
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
        "profiles, sealed CA keys, CA certificates and an empty store.\n"
        "TYPE of a CA: p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519, sm2.\n"
        "Without a file or descriptor the passphrase is asked for.\n";
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
    init->source.fd = -1;
    if (command_line_parse(&line, argc, argv, take, init, &exit_code)) {
        if (line.argc == 1) {
            init->plan.path = line.argv[0];
            exit_code = create(init);
        } else {
            exit_code = command_wrong("init takes one folder");
        }
    }
    ca_arena_free(init->arena);
    free(init);
    return exit_code;
}

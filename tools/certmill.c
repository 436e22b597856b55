/* SPDX-License-Identifier: Apache-2.0 */
/* certmill: make an instance, and ask a running one, from the command line. */
#include <stdlib.h>

#include "tools/command.h"

/* clang-format off */
static const struct command COMMANDS[] = {
    { "init",   "DIR",                   "make an instance: configuration, keys, CAs", cmd_init },
    { "ca",     "[list|show|import]",    "show CAs, or bring an outer root's answer",  cmd_ca },
    { "key",    "new|list|test|rewrap",  "keys of CAs, in sealed files and tokens",    cmd_key },
    { "crl",    "show|verify|diff",      "look into CRL files, check, compare",       cmd_crl },
    { "issue",  "--profile NAME CSR...", "certificates for requests",                  cmd_issue },
    { "get",    "SERIAL...",             "certificates by serial number",              cmd_get },
    { "find",   "OPTION...",             "certificates by holder, key or time",        cmd_find },
    { "stats",  "",                      "counters of the daemon",                     cmd_stats },
    { "health", "",                      "is the daemon well? exit code 1: no",        cmd_health },
};
/* clang-format on */
static const size_t COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]);

static void usage(FILE *to)
{
    fprintf(to, "usage: certmill COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-7s %-22s %s\n", COMMANDS[i].name, COMMANDS[i].args, COMMANDS[i].help);
    fprintf(to, "\n  certmill COMMAND --help   the options of a command\n"
                "  certmill --version\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "help") == 0 && argc > 2) {
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
        name = argv[1];
        argc = 3;
    }
    if (strcmp(name, "--version") == 0) {
        printf("certmill %s\n", CERTMILL_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(COMMANDS[i].name, name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    }
    if (name[0] != '\0')
        fprintf(stderr, "certmill: no such command: %s\n", name);
    usage(stderr);
    return EXIT_USAGE;
}

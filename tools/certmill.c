/* SPDX-License-Identifier: Apache-2.0 */
/* certmill: make an instance, and ask a running one, from the command line. */
#include <errno.h>
#include <stdlib.h>

#include "tools/command.h"

/* clang-format off */
static const struct command COMMANDS[] = {
    { "init",    "DIR",                   "make configuration, keys and CAs",     cmd_init },
    { "ca",      "[list|show|import]",    "show CAs, import a root's answer",     cmd_ca },
    { "key",     "new|list|test|rewrap",  "keys of CAs, in files and tokens",     cmd_key },
    { "crl",     "COMMAND...",            "make, list, export, check, compare CRLs", cmd_crl },
    { "issue",   "--profile NAME CSR...", "certificates for requests",            cmd_issue },
    { "renew",   "--predecessor SERIAL",  "one that goes on from an old one",     cmd_renew },
    { "replace", "--predecessor SERIAL",  "one for a lost or damaged token",      cmd_replace },
    { "change",  "--predecessor SERIAL",  "one with other information",           cmd_change },
    { "revoke",  "--reason NAME SERIAL",  "end certificates for ever",            cmd_revoke },
    { "hold",    "SERIAL...",             "end certificates for now",             cmd_hold },
    { "release", "SERIAL...",             "end the hold of certificates",         cmd_release },
    { "ack",     "SERIAL...",             "their holders have them",              cmd_ack },
    { "abandon", "SERIAL...",             "their holders never will",             cmd_abandon },
    { "get",     "SERIAL...",             "certificates by serial number",        cmd_get },
    { "find",    "OPTION...",             "certificates by holder, key or time",  cmd_find },
    { "changes", "[--since N]",           "changes of state in order",            cmd_changes },
    { "audit",   "[head|verify]",             "what was done by whom; is it whole?",  cmd_audit },
    { "profiles", "[ID...]",              "what profiles say, and said",          cmd_profiles },
    { "stats",   "",                      "counters of the daemon",               cmd_stats },
    { "health",  "",                      "is the daemon well? exit code 1: no",  cmd_health },
};
/* clang-format on */
static const size_t COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]);

static void usage(FILE *to)
{
    fprintf(to, "usage: certmill COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %-22s %s\n", COMMANDS[i].name, COMMANDS[i].args, COMMANDS[i].help);
    fprintf(to, "\n  certmill COMMAND --help   the options of a command\n"
                "  certmill --version\n");
}

/* What was written last may not have arrived. A command that failed has said why. */
static int finish(int exit_code)
{
    bool is_written = fflush(stdout) == 0 && ferror(stdout) == 0;

    if (exit_code == EXIT_SUCCESS && !is_written)
        return command_failed("standard output: %s", strerror(errno));
    return exit_code;
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
            return finish(COMMANDS[i].run(argc - 1, argv + 1));
    }
    if (name[0] == '-')
        fprintf(stderr, "certmill: %s: the command comes first, its options after it\n", name);
    else if (name[0] != '\0')
        fprintf(stderr, "certmill: no such command: %s\n", name);
    usage(stderr);
    return EXIT_USAGE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cmd_key.h"

#include <stdlib.h>

#include "tools/command.h"

int cmd_key(int argc, char **argv)
{
    static const struct command commands[] = {
        { "new", "", "make a key: in a sealed file, or in a token", cmd_key_new },
        { "list", "", "keys of an instance, of files, or of a token", cmd_key_list },
        { "test", "", "does it sign, and what its certificate verifies?", cmd_key_test },
        { "rewrap", "", "another passphrase for sealed files", cmd_key_rewrap },
    };
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") != 0)
        return command_wrong("key takes new, list, test or rewrap");
    printf("usage: certmill key new | list | test | rewrap\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].help);
    printf("\n  certmill key COMMAND --help   the options of each\n");
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "tools/cmd_key.h"
#include "tools/file.h"
#include "tools/key_tool.h"
#include "tools/locked_memory.h"

enum rewrap_option {
    REWRAP_NEW_FILE = KEY_OPTION_COUNT,
    REWRAP_NEW_FD,
    REWRAP_NEW_DUAL,
    REWRAP_NEW_CUSTODIAN,
    REWRAP_KEEP,
    REWRAP_PASSES,
    REWRAP_MEMORY,
};

static const struct command_option OPTIONS[] = {
    KEY_OPTIONS,
    [REWRAP_NEW_FILE] = { "new-passphrase-file", "FILE", "file with the new one, or a half" },
    [REWRAP_NEW_FD] = { "new-passphrase-fd", "N", "descriptor to read the new one from" },
    [REWRAP_NEW_DUAL] = { "new-dual", NULL, "dual control from now on: two new halves" },
    [REWRAP_NEW_CUSTODIAN] = { "new-custodian", "NAME", "who is asked for a half; given twice" },
    [REWRAP_KEEP] = { "keep-passphrase", NULL, "the same passphrase, other parameters" },
    [REWRAP_PASSES] = { "passes", "N", "of Argon2id (3)" },
    [REWRAP_MEMORY] = { "memory-mib", "N", "of Argon2id (256)" },
};

struct rewrap {
    struct key_access access;
    struct passphrase_source new_source;
    bool keeps;
    struct keys_sealed_options options;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct rewrap *rewrap = arg;

    if (option < KEY_OPTION_COUNT)
        return key_access_take(&rewrap->access, option, value);
    switch ((enum rewrap_option)option) {
    case REWRAP_NEW_FILE: return passphrase_add_file(&rewrap->new_source, value);
    case REWRAP_NEW_FD: return passphrase_add_fd(&rewrap->new_source, value);
    case REWRAP_NEW_DUAL: rewrap->new_source.is_divided = true; return true;
    case REWRAP_NEW_CUSTODIAN: return passphrase_add_custodian(&rewrap->new_source, value);
    case REWRAP_KEEP: rewrap->keeps = true; return true;
    case REWRAP_PASSES: return key_take_passes(value, &rewrap->options);
    case REWRAP_MEMORY: return key_take_memory(value, &rewrap->options);
    }
    return false;
}

/* Each file on its own: those done before a failure stay done, and are named. */
static int rewrap_all(const struct rewrap *rewrap, const struct keys_secret *passphrase,
                      const struct keys_secret *new_passphrase, int count, char **paths)
{
    for (int i = 0; i < count; i++) {
        enum ca_err err =
            keys_sealed_rewrap(paths[i], passphrase, new_passphrase, &rewrap->options);
        if (err != CA_OK)
            return command_failed("%s: %s", paths[i], file_err_text(err));
        printf("rewrapped %s: %" PRIu32 " passes, %" PRIu64 " MiB\n", paths[i],
               rewrap->options.passes, rewrap->options.memory >> 20);
    }
    return EXIT_SUCCESS;
}

static int run(const struct rewrap *rewrap, int count, char **paths)
{
    struct keys_secret old = { 0 }, new = { 0 };
    int exit_code = EXIT_FAILURE;

    signal(SIGXFSZ, SIG_IGN); /* a full file is an error of the write, not the end */
    if (locked_memory_harden("certmill") != CA_OK)
        return EXIT_FAILURE;
    if (passphrase_read_for(&rewrap->access.source, paths[0], &old) == CA_OK &&
        (rewrap->keeps || passphrase_read(&rewrap->new_source, true, &new) == CA_OK))
        exit_code = rewrap_all(rewrap, &old, rewrap->keeps ? &old : &new, count, paths);
    keys_secret_wipe(&old);
    keys_secret_wipe(&new);
    return exit_code;
}

static bool check(const struct rewrap *rewrap, int count, char **paths)
{
    for (int i = 0; i < count; i++) {
        if (key_place_is_token(paths[i])) {
            command_wrong("%s: a key in a token is not sealed here; its PIN is changed with the "
                          "token's own tools",
                          paths[i]);
            return false;
        }
        if (!key_access_check(&rewrap->access, paths[i]))
            return false;
    }
    if (rewrap->keeps && (rewrap->new_source.count > 0 || rewrap->new_source.is_divided))
        command_wrong("--keep-passphrase and a new one exclude each other");
    else if (rewrap->new_source.is_divided && rewrap->new_source.count == 1)
        command_wrong("--new-dual takes two sources of a passphrase, or none");
    else
        return true;
    return false;
}

int cmd_key_rewrap(int argc, char **argv)
{
    static const char about[] =
        "\nSeals keys again, all under one new passphrase, of two halves (--new-dual, or two new\n"
        "sources) or of one. Each new file is written, synced, read back and compared before it\n"
        "takes the place of the old. Old copies, in backups too, keep their old passphrase.\n";
    struct command_line line = { .usage = "key rewrap [OPTION...] FILE...",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };
    struct rewrap rewrap = { .options = { KEYS_SEALED_PASSES, KEYS_SEALED_MEMORY } };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &rewrap, &exit_code))
        return exit_code;
    if (line.argc == 0)
        return command_wrong("key rewrap takes sealed key files");
    if (!check(&rewrap, line.argc, line.argv))
        return EXIT_USAGE;
    return run(&rewrap, line.argc, line.argv);
}

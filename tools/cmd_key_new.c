/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ca/keys/token.h"
#include "tools/audit_key.h"
#include "tools/cmd_key.h"
#include "tools/instance.h"
#include "tools/key_tool.h"
#include "tools/locked_memory.h"

enum new_option { NEW_TYPE = KEY_OPTION_COUNT, NEW_PASSES, NEW_MEMORY, NEW_PUBLIC };

static const struct command_option OPTIONS[] = {
    KEY_OPTIONS,
    [NEW_TYPE] = { "type", "TYPE", "p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519, sm2" },
    [NEW_PASSES] = { "passes", "N", "of Argon2id, for a sealed file (3)" },
    [NEW_MEMORY] = { "memory-mib", "N", "of Argon2id, for a sealed file (256)" },
    [NEW_PUBLIC] = { "public", "FILE", "write its public half there too, in PEM" },
};

struct new_key {
    struct key_access access;
    enum crypto_key_type type;
    uint32_t rsa_bits;
    struct keys_sealed_options sealed;
    const char *public_path; /* NULL: it is not written */
};

static bool take(void *arg, size_t option, const char *value)
{
    struct new_key *new_key = arg;

    if (option < KEY_OPTION_COUNT)
        return key_access_take(&new_key->access, option, value);
    switch ((enum new_option)option) {
    case NEW_TYPE:
        if (instance_type_parse(value, &new_key->type, &new_key->rsa_bits))
            return true;
        command_wrong("--type takes p256, p384, rsa:2048, rsa:3072, rsa:4096, ed25519 or sm2");
        return false;
    case NEW_PASSES: return key_take_passes(value, &new_key->sealed);
    case NEW_MEMORY: return key_take_memory(value, &new_key->sealed);
    case NEW_PUBLIC: new_key->public_path = value; return true;
    }
    return false;
}

static void print_key(const char *place, const struct crypto_public_key *key)
{
    char type[KEY_TYPE_TEXT_LEN], digest[2 * CA_DIGEST_LEN + 1];

    key_type_text(key, type);
    key_digest_text(key, digest);
    printf("key\t%s\ntype\t%s\nsha256\t%s\n", place, type, digest);
}

/* Before a passphrase is asked for, and two custodians come for nothing. */
static int make_file(const struct new_key *new_key, const char *path)
{
    const char *public_path = new_key->public_path, *at = path;
    struct keys_secret passphrase;
    struct crypto_private_key *key;

    if (access(path, F_OK) == 0)
        return command_failed("%s: %s", path, strerror(EEXIST));
    if (public_path != NULL && access(public_path, F_OK) == 0)
        return command_failed("%s: %s", public_path, strerror(EEXIST));
    if (passphrase_read(&new_key->access.source, true, &passphrase) != CA_OK)
        return EXIT_FAILURE;
    enum ca_err err = crypto_private_key_generate(new_key->type, new_key->rsa_bits, &key);
    if (err == CA_OK)
        err = keys_sealed_save_with(path, key, &passphrase, &new_key->sealed);
    if (err == CA_OK && public_path != NULL) {
        at = public_path;
        err = audit_key_save(public_path, crypto_private_key_public(key));
    }
    if (err == CA_OK)
        print_key(path, crypto_private_key_public(key));
    else
        command_failed("%s: %s", at, ca_err_text(err));
    crypto_private_key_free(key);
    keys_secret_wipe(&passphrase);
    return err == CA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A key that does not sign is said so here, not when a CA is made with it. */
static int make_in_token(const struct new_key *new_key, const char *uri)
{
    const struct keys_pkcs11_options options = key_token_options(&new_key->access, uri);
    struct keys_token_key key;
    struct keys_signer *signer;
    struct ca_refusal refusal;
    double taken_us;

    enum ca_err err =
        keys_token_generate(&options, new_key->type, new_key->rsa_bits, &key, &refusal);
    if (err != CA_OK)
        return command_failed("%s: %s: %s (%s)", uri, refusal.field, refusal.rule,
                              ca_err_text(err));
    print_key(key.uri, &key.public);
    if (key_open(&new_key->access, key.uri, NULL, &key.public, &signer) != CA_OK)
        return EXIT_FAILURE;
    err = key_try(signer, &key.public, 1, &taken_us);
    keys_signer_close(signer);
    if (err != CA_OK)
        return command_failed("%s: made, but does not sign: %s", key.uri, ca_err_text(err));
    return EXIT_SUCCESS;
}

int cmd_key_new(int argc, char **argv)
{
    static const char about[] =
        "\nMakes a key for a CA, for certmill init --key: in a new sealed FILE, or in the token "
        "of\n"
        "a URI that names it: pkcs11:token=NAME;object=NAME (RFC 7512; ;id=%01 if it matters). It\n"
        "signs and does nothing else, and never leaves the token. Prints where it is, its type\n"
        "and the SHA-256 of its SubjectPublicKeyInfo. The audit log of an instance that has no "
        "key\n"
        "for it gets one so: --type ed25519 --public audit.pem, and what docs/CONFIG.md has as "
        "audit.\n";
    struct command_line line = { .usage = "key new --type TYPE [OPTION...] FILE|URI",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };
    struct new_key new_key = { .sealed = { KEYS_SEALED_PASSES, KEYS_SEALED_MEMORY } };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &new_key, &exit_code))
        return exit_code;
    if (line.argc != 1)
        return command_wrong("key new takes one file, or the URI of a key in a token");
    if (new_key.type == CRYPTO_KEY_NONE)
        return command_wrong("key new needs --type");
    if (new_key.public_path != NULL && key_place_is_token(line.argv[0]))
        return command_wrong("--public is for a key in a file: a token has its public half");
    if (!key_access_check(&new_key.access, line.argv[0]))
        return EXIT_USAGE;
    if (locked_memory_harden("certmill") != CA_OK)
        return EXIT_FAILURE;
    return key_place_is_token(line.argv[0]) ? make_in_token(&new_key, line.argv[0])
                                            : make_file(&new_key, line.argv[0]);
}

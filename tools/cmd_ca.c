/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "ca/x509/cert.h"
#include "tools/command.h"
#include "tools/pem.h"

/* ---- one CA */

/* Subject and dates of a certificate, as texts; false if it cannot be read. */
static bool read_cert(struct ca_bytes der, struct ca_arena *arena, const char **subject_out,
                      int64_t *not_after_s_out)
{
    struct ca_refusal refusal = { "", "" };
    struct x509_cert cert;

    if (x509_cert_parse(der, &cert, &refusal) != CA_OK)
        return false;
    *not_after_s_out = cert.not_after_s;
    *subject_out = (const char *)x509_name_format(&cert.subject, arena).data;
    return *subject_out != NULL;
}

static void print_line(const Certmill__CaInfo *ca, const char *subject, int64_t not_after_s)
{
    char until[COMMAND_TIME_LEN + 1];

    command_format_time(not_after_s, until);
    printf("%s\t%s\tuntil %s\t%s\n", ca->name, ca->key_type, until, subject);
}

static void print_json(struct json *json, const Certmill__CaInfo *ca, const char *subject,
                       int64_t not_after_s)
{
    char until[COMMAND_TIME_LEN + 1];

    json_object(json, NULL);
    json_text(json, "name", ca->name);
    if (ca->status != NULL) {
        command_json_status(json, ca->status);
        json_end(json);
        return;
    }
    command_format_time(not_after_s, until);
    json_text(json, "key_type", ca->key_type);
    json_text(json, "subject", subject);
    json_text(json, "not_after", until);
    json_array(json, "profiles");
    for (size_t i = 0; i < ca->n_profiles; i++)
        json_text(json, NULL, ca->profiles[i]);
    json_end(json);
    json_array(json, "chain");
    for (size_t i = 0; i < ca->n_chain; i++)
        command_json_pem(json, NULL, command_bytes(ca->chain[i]));
    json_end(json);
    json_end(json);
}

static void print_chain(const Certmill__CaInfo *ca)
{
    for (size_t i = 0; i < ca->n_chain; i++)
        pem_write(stdout, "CERTIFICATE", command_bytes(ca->chain[i]));
}

/* False for a CA that is not there. */
static bool print_ca(const Certmill__CaInfo *ca, bool is_show, struct json *json,
                     struct ca_arena *arena)
{
    const char *subject = "?";
    int64_t not_after_s = 0;

    if (ca->status != NULL)
        command_print_status(ca->name, ca->status);
    else if (ca->n_chain > 0)
        (void)read_cert(command_bytes(ca->chain[0]), arena, &subject, &not_after_s);
    if (json != NULL)
        print_json(json, ca, subject, not_after_s);
    else if (ca->status == NULL && is_show)
        print_chain(ca);
    else if (ca->status == NULL)
        print_line(ca, subject, not_after_s);
    return ca->status == NULL;
}

/* ---- asking */

static int print_all(const Certmill__CaAnswer *cas, bool is_show, bool is_json)
{
    struct ca_arena *arena;
    int exit_code = EXIT_SUCCESS;
    struct json json;

    if (ca_arena_new(1 << 16, 1 << 24, &arena) != CA_OK)
        return command_failed("out of memory");
    json_init(&json, stdout);
    if (is_json)
        json_array(&json, NULL);
    for (size_t i = 0; i < cas->n_items; i++) {
        if (!print_ca(cas->items[i], is_show, is_json ? &json : NULL, arena))
            exit_code = EXIT_FAILURE;
    }
    if (is_json)
        json_end(&json);
    ca_arena_free(arena);
    return exit_code;
}

static int ask(const struct command_line *line, char **names, size_t count, bool is_show)
{
    Certmill__CaRequest method = CERTMILL__CA_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;
    struct rpc_client *client;
    int exit_code = EXIT_FAILURE;

    method.n_names = count;
    method.names = names;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CA;
    request.ca = &method;
    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    if (command_ask(client, &request, &answer) == CA_OK) {
        exit_code = answer->method_case == CERTMILL__ANSWER__METHOD_CA
                        ? print_all(answer->ca, is_show, line->is_json)
                        : command_failed("%s", ca_err_text(CA_ERR_MESSAGE_MALFORMED));
        certmill__answer__free_unpacked(answer, NULL);
    }
    rpc_client_close(client);
    return exit_code;
}

int cmd_ca(int argc, char **argv)
{
    static const char about[] =
        "\n  ca list                     one line for each CA of the instance (also: ca)\n"
        "  ca show [NAME...]           certificates up to the root, as PEM\n"
        "  ca import DIR NAME CHAIN    bring the answer of an outer root; see ca import --help\n";
    struct command_line line = { .usage = "ca [list | show [NAME...] | import DIR NAME CHAIN]",
                                 .about = about,
                                 .asks_daemon = true };
    int exit_code = EXIT_FAILURE;

    if (argc > 1 && strcmp(argv[1], "import") == 0)
        return cmd_ca_import(argc - 1, argv + 1);
    if (!command_line_parse(&line, argc, argv, NULL, NULL, &exit_code))
        return exit_code;
    if (line.argc == 0 || (line.argc == 1 && strcmp(line.argv[0], "list") == 0))
        return ask(&line, NULL, 0, false);
    if (strcmp(line.argv[0], "show") == 0)
        return ask(&line, line.argv + 1, (size_t)line.argc - 1, true);
    return command_wrong("ca takes list, show or import");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* get and find: certificates that are there. */
#include <errno.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/x509/cert.h"
#include "tools/command.h"
#include "tools/file.h"
#include "tools/pem.h"

enum {
    QUERY_GET_BATCH = 64,
    QUERY_FIND_LIMIT = 1000,
    QUERY_CURSOR_LEN_MAX = 256,
    QUERY_ARENA_MAX = 1 << 26,
};

/* ---- output */

struct output {
    struct json json;
    struct ca_arena *arena; /* reset for every certificate */
    bool is_json;
    bool is_pem; /* otherwise a line each */
    size_t count, refused;
};

static const char *state_text(Certmill__State state)
{
    switch (state) {
    case CERTMILL__STATE__STATE_INTENT: return "intent";
    case CERTMILL__STATE__STATE_VALID: return "valid";
    default: return "none";
    }
}

static const char *subject_text(struct ca_bytes der, struct ca_arena *arena)
{
    struct ca_refusal refusal = { "", "" };
    struct x509_cert cert;

    if (der.len == 0 || x509_cert_parse(der, &cert, &refusal) != CA_OK)
        return "";
    struct ca_bytes text = x509_name_format(&cert.subject, arena);
    return text.data == NULL ? "" : (const char *)text.data;
}

static void print_json(struct output *output, const Certmill__Certificate *certificate)
{
    char time[COMMAND_TIME_LEN + 1];
    struct json *json = &output->json;

    json_object(json, NULL);
    json_hex(json, "serial", command_bytes(certificate->serial));
    if (certificate->status != NULL) {
        command_json_status(json, certificate->status);
        json_end(json);
        return;
    }
    json_text(json, "state", state_text(certificate->state));
    json_text(json, "ca", certificate->ca);
    json_text(json, "profile", certificate->profile);
    json_signed(json, "issued_us", certificate->issued_us);
    if (certificate->certificate.len > 0) {
        struct ca_bytes der = command_bytes(certificate->certificate);
        command_format_time(certificate->not_before, time);
        json_text(json, "not_before", time);
        command_format_time(certificate->not_after, time);
        json_text(json, "not_after", time);
        json_text(json, "subject", subject_text(der, output->arena));
        command_json_pem(json, "certificate", der);
    }
    json_end(json);
}

static void print_line(struct output *output, const Certmill__Certificate *certificate)
{
    char serial[2 * CA_SERIAL_LEN + 1] = "", issued[COMMAND_TIME_LEN + 1],
                                    until[COMMAND_TIME_LEN + 1] = "-";

    if (certificate->serial.len <= CA_SERIAL_LEN)
        ca_text_hex(command_bytes(certificate->serial), serial);
    command_format_time(certificate->issued_us / 1000000, issued);
    if (certificate->certificate.len > 0)
        command_format_time(certificate->not_after, until);
    printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", serial, state_text(certificate->state), issued, until,
           certificate->ca, certificate->profile,
           subject_text(command_bytes(certificate->certificate), output->arena));
}

static void print_certificate(struct output *output, const Certmill__Certificate *certificate)
{
    char serial[2 * CA_SERIAL_LEN + 1] = "";

    output->count++;
    if (certificate->serial.len <= CA_SERIAL_LEN)
        ca_text_hex(command_bytes(certificate->serial), serial);
    if (certificate->status != NULL) {
        output->refused++;
        command_print_status(serial, certificate->status);
    }
    if (output->is_json)
        print_json(output, certificate);
    else if (certificate->status != NULL)
        (void)0;
    else if (!output->is_pem)
        print_line(output, certificate);
    else if (certificate->certificate.len > 0)
        pem_write(stdout, "CERTIFICATE", command_bytes(certificate->certificate));
    else
        fprintf(stderr, "certmill: %s: recorded before signing, its result is not known\n", serial);
    ca_arena_reset(output->arena);
}

static bool output_open(struct output *output, bool is_json, bool is_pem)
{
    *output = (struct output){ .is_json = is_json, .is_pem = is_pem };
    if (ca_arena_new(1 << 16, QUERY_ARENA_MAX, &output->arena) != CA_OK) {
        command_failed("out of memory");
        return false;
    }
    json_init(&output->json, stdout);
    if (is_json)
        json_array(&output->json, NULL);
    return true;
}

static void output_close(struct output *output)
{
    if (output->is_json)
        json_end(&output->json);
    ca_arena_free(output->arena);
}

/* ---- get */

static enum ca_err get_some(struct rpc_client *client, struct ca_serial *serials, size_t count,
                            struct output *output)
{
    ProtobufCBinaryData data[QUERY_GET_BATCH];
    Certmill__GetRequest method = CERTMILL__GET_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    for (size_t i = 0; i < count; i++)
        data[i] = command_lend(ca_serial_bytes(&serials[i]));
    method.n_serials = count;
    method.serials = data;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_GET;
    request.get = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    if (answer->method_case == CERTMILL__ANSWER__METHOD_GET) {
        for (size_t i = 0; i < answer->get->n_items; i++)
            print_certificate(output, answer->get->items[i]);
    } else {
        err = CA_ERR_MESSAGE_MALFORMED;
        command_failed("%s", ca_err_text(err));
    }
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static int get_all(const struct command_line *line, struct ca_serial *serials, size_t count)
{
    struct rpc_client *client;
    struct output output;
    enum ca_err err = CA_OK;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    if (!output_open(&output, line->is_json, true)) {
        rpc_client_close(client);
        return EXIT_FAILURE;
    }
    for (size_t first = 0; first < count && err == CA_OK; first += QUERY_GET_BATCH) {
        size_t left = count - first;
        err = get_some(client, serials + first, left < QUERY_GET_BATCH ? left : QUERY_GET_BATCH,
                       &output);
    }
    output_close(&output);
    rpc_client_close(client);
    return err != CA_OK || output.refused > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_get(int argc, char **argv)
{
    static const char about[] = "\nWrites certificates as PEM. Serial numbers are hexadecimal.\n";
    struct command_line line = { .usage = "get [OPTION...] SERIAL...",
                                 .about = about,
                                 .asks_daemon = true };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, NULL, NULL, &exit_code))
        return exit_code;
    if (line.argc == 0)
        return command_wrong("which certificate? Give serial numbers");
    struct ca_serial *serials = calloc((size_t)line.argc, sizeof(*serials));
    if (serials == NULL)
        return command_failed("out of memory");
    exit_code = EXIT_SUCCESS;
    for (int i = 0; i < line.argc && exit_code == EXIT_SUCCESS; i++) {
        if (ca_serial_parse(line.argv[i], &serials[i]) != CA_OK)
            exit_code = command_wrong("%s is not a serial number of this service", line.argv[i]);
    }
    if (exit_code == EXIT_SUCCESS)
        exit_code = get_all(&line, serials, (size_t)line.argc);
    free(serials);
    return exit_code;
}

/* ---- find */

enum find_option {
    FIND_IDENTITY,
    FIND_KEY,
    FIND_FROM,
    FIND_UNTIL,
    FIND_INTENTS,
    FIND_PEM,
    FIND_MAX
};

static const struct command_option FIND_OPTIONS[] = {
    [FIND_IDENTITY] = { "identity", "NAME=VALUE", "by holder; repeat for every part" },
    [FIND_KEY] = { "key", "FILE", "by key: a public key, request or certificate" },
    [FIND_FROM] = { "from", "TIME", "issued at or after: 2026-11-22 or 2026-11-22T08:00:00Z" },
    [FIND_UNTIL] = { "until", "TIME", "issued before" },
    [FIND_INTENTS] = { "intents", NULL, "recorded before signing, without a result" },
    [FIND_PEM] = { "pem", NULL, "write the certificates instead of a line for each" },
    [FIND_MAX] = { "max", "N", "stop after so many" },
};

struct find {
    Certmill__Value values[CA_ATTRIBUTE_COUNT_MAX];
    Certmill__Value *value_list[CA_ATTRIBUTE_COUNT_MAX];
    Certmill__Identity identity;
    Certmill__TimeRange range;
    const char *key_path;
    struct ca_bytes key;
    bool has_range, is_intents, is_pem;
    uint64_t max;
    struct ca_arena *arena;
};

static bool take_identity(struct find *find, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t count = find->identity.n_values;

    if (equals == NULL || equals == text || count == CA_ATTRIBUTE_COUNT_MAX) {
        command_wrong("--identity takes NAME=VALUE");
        return false;
    }
    struct ca_bytes name = ca_bytes_of(text, (size_t)(equals - text));
    certmill__value__init(&find->values[count]);
    find->values[count].name = (char *)(uintptr_t)ca_arena_copy(find->arena, name).data;
    find->values[count].value = command_lend(ca_bytes_of_text(equals + 1));
    find->value_list[count] = &find->values[count];
    find->identity.values = find->value_list;
    find->identity.n_values = count + 1;
    return find->values[count].name != NULL;
}

static bool take_time(const char *option, const char *text, int64_t *time_s_out)
{
    if (command_parse_time(text, time_s_out))
        return true;
    command_wrong("--%s takes a time in UTC: 2026-11-22, 2026-11-22T08:00:00Z or seconds", option);
    return false;
}

static bool take(void *arg, size_t option, const char *value)
{
    struct find *find = arg;

    switch ((enum find_option)option) {
    case FIND_IDENTITY: return take_identity(find, value);
    case FIND_KEY: find->key_path = value; return true;
    case FIND_FROM: find->has_range = true; return take_time("from", value, &find->range.from);
    case FIND_UNTIL: find->has_range = true; return take_time("until", value, &find->range.until);
    case FIND_INTENTS: find->is_intents = true; return true;
    case FIND_PEM: find->is_pem = true; return true;
    case FIND_MAX: return command_number("max", value, 1, UINT64_MAX, &find->max);
    }
    return false;
}

/* The SubjectPublicKeyInfo in a PEM file that holds or contains one. */
static bool load_key(struct find *find)
{
    struct ca_refusal refusal = { "", "" };
    struct pem_block block;
    struct x509_cert *cert = ca_arena_alloc(find->arena, sizeof(*cert));
    struct x509_csr *csr = ca_arena_alloc(find->arena, sizeof(*csr));
    uint8_t *data;
    size_t len;

    if (cert == NULL || csr == NULL)
        return false;
    if (file_load(find->key_path, 1 << 20, &data, &len) != CA_OK) {
        command_wrong("%s: %s", find->key_path, strerror(errno));
        return false;
    }
    struct ca_bytes text = ca_bytes_of(data, len);
    enum ca_err err = pem_next(&text, find->arena, &block);
    free(data);
    if (err == CA_OK && strcmp(block.label, "PUBLIC KEY") == 0)
        find->key = block.der;
    else if (err == CA_OK && strcmp(block.label, "CERTIFICATE") == 0 &&
             x509_cert_parse(block.der, cert, &refusal) == CA_OK)
        find->key = cert->spki;
    else if (err == CA_OK && strcmp(block.label, "CERTIFICATE REQUEST") == 0 &&
             x509_csr_parse(block.der, csr, &refusal) == CA_OK)
        find->key = csr->spki;
    if (find->key.len == 0)
        command_wrong("%s: no public key, request or certificate in PEM", find->key_path);
    return find->key.len > 0;
}

/* Exactly one way to look. */
static bool fill_query(struct find *find, Certmill__FindQuery *query)
{
    int ways = (find->identity.n_values > 0) + (find->key_path != NULL) + find->has_range +
               find->is_intents;

    if (ways != 1) {
        command_wrong("find takes one of --identity, --key, --from and --until, --intents");
        return false;
    }
    if (find->identity.n_values > 0) {
        query->by_case = CERTMILL__FIND_QUERY__BY_IDENTITY;
        query->identity = &find->identity;
    } else if (find->key_path != NULL) {
        if (!load_key(find))
            return false;
        query->by_case = CERTMILL__FIND_QUERY__BY_KEY;
        query->key = command_lend(find->key);
    } else if (find->has_range) {
        query->by_case = CERTMILL__FIND_QUERY__BY_TIME;
        query->time = &find->range;
    } else {
        query->by_case = CERTMILL__FIND_QUERY__BY_INTENTS;
        query->intents = true;
    }
    return true;
}

/* One page; the cursor moves on, to empty at the end. */
static enum ca_err find_page(struct rpc_client *client, Certmill__FindQuery *query,
                             uint8_t cursor[QUERY_CURSOR_LEN_MAX], struct output *output)
{
    Certmill__FindQuery *list[] = { query };
    Certmill__FindRequest method = CERTMILL__FIND_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    method.n_queries = 1;
    method.queries = list;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_FIND;
    request.find = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    if (answer->method_case != CERTMILL__ANSWER__METHOD_FIND || answer->find->n_items != 1 ||
        answer->find->items[0]->cursor.len > QUERY_CURSOR_LEN_MAX) {
        err = CA_ERR_MESSAGE_MALFORMED;
        command_failed("%s", ca_err_text(err));
    } else if (answer->find->items[0]->status != NULL) {
        err = CA_ERR_DENIED;
        command_print_status("find", answer->find->items[0]->status);
    } else {
        const Certmill__FindResult *result = answer->find->items[0];
        for (size_t i = 0; i < result->n_certificates; i++)
            print_certificate(output, result->certificates[i]);
        for (size_t i = 0; i < result->cursor.len; i++)
            cursor[i] = result->cursor.data[i];
        query->cursor = command_lend(ca_bytes_of(cursor, result->cursor.len));
    }
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static int find_all(const struct command_line *line, struct find *find, Certmill__FindQuery *query)
{
    struct rpc_client *client;
    struct output output;
    uint8_t cursor[QUERY_CURSOR_LEN_MAX];
    enum ca_err err = CA_OK;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    if (!output_open(&output, line->is_json, find->is_pem)) {
        rpc_client_close(client);
        return EXIT_FAILURE;
    }
    while (err == CA_OK && output.count < find->max) {
        uint64_t left = find->max - output.count;
        query->limit = left < QUERY_FIND_LIMIT ? (uint32_t)left : QUERY_FIND_LIMIT;
        err = find_page(client, query, cursor, &output);
        if (query->cursor.len == 0)
            break;
    }
    output_close(&output);
    rpc_client_close(client);
    return err != CA_OK || output.refused > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_find(int argc, char **argv)
{
    static const char about[] =
        "\nWrites a line for each certificate, oldest first, with tabs between serial number,\n"
        "state, time of issue, end of validity, CA, profile and subject.\n";
    struct command_line line = { .usage = "find [OPTION...]",
                                 .about = about,
                                 .options = FIND_OPTIONS,
                                 .option_count = sizeof(FIND_OPTIONS) / sizeof(FIND_OPTIONS[0]),
                                 .asks_daemon = true };
    Certmill__FindQuery query = CERTMILL__FIND_QUERY__INIT;
    struct find *find = calloc(1, sizeof(*find));
    int exit_code = EXIT_FAILURE;

    if (find == NULL || ca_arena_new(1 << 16, QUERY_ARENA_MAX, &find->arena) != CA_OK) {
        free(find);
        return command_failed("out of memory");
    }
    certmill__identity__init(&find->identity);
    certmill__time_range__init(&find->range);
    find->max = UINT64_MAX;
    if (command_line_parse(&line, argc, argv, take, find, &exit_code)) {
        if (line.argc > 0)
            exit_code = command_wrong("find takes options only");
        else
            exit_code = fill_query(find, &query) ? find_all(&line, find, &query) : EXIT_USAGE;
    }
    ca_arena_free(find->arena);
    free(find);
    return exit_code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* get and find: certificates that are there. */
#include <errno.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/rules/profile.h"
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

enum output_form { OUTPUT_PEM, OUTPUT_LINES, OUTPUT_STATUS };

struct output {
    struct json json;
    struct ca_arena *arena; /* reset for every certificate */
    bool is_json;
    enum output_form form;
    size_t count, refused;
};

static const char *subject_text(struct ca_bytes der, struct ca_arena *arena)
{
    struct ca_refusal refusal = { "", "" };
    struct x509_cert cert;

    if (der.len == 0 || x509_cert_parse(der, &cert, &refusal) != CA_OK)
        return "";
    struct ca_bytes text = x509_name_format(&cert.subject, arena);
    return text.data == NULL ? "" : (const char *)text.data;
}

static const char *operation_name(Certmill__Operation operation)
{
    switch (operation) {
    case CERTMILL__OPERATION__OPERATION_NEW: return "new";
    case CERTMILL__OPERATION__OPERATION_RENEW: return "renew";
    case CERTMILL__OPERATION__OPERATION_REPLACE: return "replace";
    case CERTMILL__OPERATION__OPERATION_CHANGE: return "change";
    default: return "?";
    }
}

static const char *delivery_name(Certmill__Delivery delivery)
{
    switch (delivery) {
    case CERTMILL__DELIVERY__DELIVERY_DONE: return "done";
    case CERTMILL__DELIVERY__DELIVERY_WAITING: return "waiting";
    case CERTMILL__DELIVERY__DELIVERY_ABANDONED: return "abandoned";
    default: return "?";
    }
}

static bool has_ended(const Certmill__Certificate *certificate)
{
    return certificate->state == CERTMILL__STATE__STATE_REVOKED ||
           certificate->state == CERTMILL__STATE__STATE_HELD;
}

static void print_json_life(struct json *json, const Certmill__Certificate *certificate)
{
    const struct {
        const char *name;
        ProtobufCBinaryData serial;
    } others[] = { { "predecessor", certificate->predecessor },
                   { "successor", certificate->successor },
                   { "head", certificate->head } };

    if (has_ended(certificate)) {
        json_text(json, "reason", command_reason_name(certificate->reason));
        command_json_time(json, "revoked_at", certificate->revoked_at);
        command_json_time(json, "invalidity_date", certificate->invalidity_date);
    }
    json_text(json, "operation", operation_name(certificate->operation));
    json_text(json, "delivery", delivery_name(certificate->delivery));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i].serial.len > 0)
            json_hex(json, others[i].name, command_bytes(others[i].serial));
    }
}

static void print_json(struct output *output, const Certmill__Certificate *certificate)
{
    struct json *json = &output->json;

    json_object(json, NULL);
    json_hex(json, "serial", command_bytes(certificate->serial));
    if (certificate->status != NULL) {
        command_json_status(json, certificate->status);
        json_end(json);
        return;
    }
    json_text(json, "state", command_state_name(certificate->state));
    json_text(json, "ca", certificate->ca);
    json_text(json, "profile", certificate->profile);
    json_hex(json, "profile_id", command_bytes(certificate->profile_id));
    json_signed(json, "issued_us", certificate->issued_us);
    print_json_life(json, certificate);
    if (certificate->certificate.len > 0) {
        struct ca_bytes der = command_bytes(certificate->certificate);
        command_json_time(json, "not_before", certificate->not_before);
        command_json_time(json, "not_after", certificate->not_after);
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
    bool ended = has_ended(certificate);
    printf("%s\t%s%s%s\t%s\t%s\t%s\t%s\t%s\n", serial, command_state_name(certificate->state),
           ended ? ":" : "", ended ? command_reason_name(certificate->reason) : "", issued, until,
           certificate->ca, certificate->profile,
           subject_text(command_bytes(certificate->certificate), output->arena));
}

static void print_time(const char *name, int64_t time_s)
{
    char text[COMMAND_TIME_LEN + 1];

    if (time_s == 0)
        return;
    command_format_time(time_s, text);
    printf("%s: %s\n", name, text);
}

static void print_serial(const char *name, ProtobufCBinaryData serial)
{
    char text[2 * CA_SERIAL_LEN + 1];

    if (serial.len == 0 || serial.len > CA_SERIAL_LEN)
        return;
    ca_text_hex(command_bytes(serial), text);
    printf("%s: %s\n", name, text);
}

/* All that is known but the certificate itself: a line for each thing, an empty one behind. */
static void print_status(struct output *output, const Certmill__Certificate *certificate)
{
    print_serial("serial", certificate->serial);
    printf("state: %s\n", command_state_name(certificate->state));
    if (has_ended(certificate)) {
        printf("reason: %s\n", command_reason_name(certificate->reason));
        print_time("revoked at", certificate->revoked_at);
        print_time("invalid since", certificate->invalidity_date);
    }
    print_time("issued at", certificate->issued_us / 1000000);
    print_time("not before", certificate->not_before);
    print_time("not after", certificate->not_after);
    printf("ca: %s\nprofile: %s\n", certificate->ca, certificate->profile);
    if (certificate->profile_id.len == RULES_PROFILE_ID_LEN) {
        char id[2 * RULES_PROFILE_ID_LEN + 1];
        ca_text_hex(command_bytes(certificate->profile_id), id);
        printf("profile id: %s\n", id);
    }
    if (certificate->certificate.len > 0)
        printf("subject: %s\n",
               subject_text(command_bytes(certificate->certificate), output->arena));
    printf("operation: %s\ndelivery: %s\n", operation_name(certificate->operation),
           delivery_name(certificate->delivery));
    print_serial("predecessor", certificate->predecessor);
    print_serial("successor", certificate->successor);
    print_serial("head", certificate->head);
    printf("\n");
}

static void print_found(struct output *output, const Certmill__Certificate *certificate,
                        const char *serial)
{
    if (output->form == OUTPUT_LINES)
        print_line(output, certificate);
    else if (output->form == OUTPUT_STATUS)
        print_status(output, certificate);
    else if (certificate->certificate.len > 0)
        pem_write(stdout, "CERTIFICATE", command_bytes(certificate->certificate));
    else
        fprintf(stderr, "certmill: %s: recorded before signing, its result is not known\n", serial);
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
    else if (certificate->status == NULL)
        print_found(output, certificate, serial);
    ca_arena_reset(output->arena);
}

static bool output_open(struct output *output, bool is_json, enum output_form form)
{
    *output = (struct output){ .is_json = is_json, .form = form };
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

static int get_all(const struct command_line *line, struct ca_serial *serials, bool is_status)
{
    size_t count = (size_t)line->argc;
    struct rpc_client *client;
    struct output output;
    enum ca_err err = CA_OK;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    if (!output_open(&output, line->is_json, is_status ? OUTPUT_STATUS : OUTPUT_PEM)) {
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

static const struct command_option GET_OPTIONS[] = {
    { .name = "status", .help = "what is known of them, instead of the certificates" },
};

static bool take_status(void *is_status, size_t option, const char *value)
{
    (void)option;
    (void)value;
    *(bool *)is_status = true;
    return true;
}

int cmd_get(int argc, char **argv)
{
    static const char about[] = "\nWrites certificates as PEM. Serial numbers are hexadecimal.\n";
    struct command_line line = { .usage = "get [OPTION...] SERIAL...",
                                 .about = about,
                                 .options = GET_OPTIONS,
                                 .option_count = sizeof(GET_OPTIONS) / sizeof(GET_OPTIONS[0]),
                                 .asks_daemon = true };
    bool is_status = false;
    struct ca_serial *serials;
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take_status, &is_status, &exit_code))
        return exit_code;
    if (!command_serials(&line, &serials))
        return EXIT_USAGE;
    exit_code = get_all(&line, serials, is_status);
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
    [FIND_IDENTITY] = { "identity", "NAME=VALUE", "by holder; all that its profile counts" },
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
    size_t count = find->identity.n_values;

    if (count == CA_ATTRIBUTE_COUNT_MAX) {
        command_wrong("--identity may be given %d times", CA_ATTRIBUTE_COUNT_MAX);
        return false;
    }
    find->value_list[count] = &find->values[count];
    find->identity.values = find->value_list;
    find->identity.n_values = count + 1;
    return command_value("identity", text, find->arena, &find->values[count]);
}

static bool take(void *arg, size_t option, const char *value)
{
    struct find *find = arg;

    switch ((enum find_option)option) {
    case FIND_IDENTITY: return take_identity(find, value);
    case FIND_KEY: find->key_path = value; return true;
    case FIND_FROM: find->has_range = true; return command_time("from", value, &find->range.from);
    case FIND_UNTIL:
        find->has_range = true;
        return command_time("until", value, &find->range.until);
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
    if (!output_open(&output, line->is_json, find->is_pem ? OUTPUT_PEM : OUTPUT_LINES)) {
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
        "state (and reason), time of issue, end of validity, CA, profile and subject.\n";
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ca/base/text.h"
#include "ca/base/time.h"
#include "ca/crypto/crypto.h"
#include "ca/x509/crl.h"
#include "tools/pem.h"
#include "tools/witness.h"

enum {
    OPTION_MAX = 48,
    OPTION_HELP = 1000, /* what getopt answers; OPTION_FIRST and up: index into the table */
    OPTION_FIRST,
    TRY_MAX = 20,
    WAIT_MIN_MS = 50,
    WAIT_MAX_MS = 5000,
    RANDOM_ID_LEN = 16,
};

/* ---- talk */

static void say(const char *format, va_list args)
{
    fputs("certmill: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int command_wrong(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    return EXIT_USAGE;
}

int command_failed(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    return EXIT_FAILURE;
}

bool command_number(const char *option, const char *value, uint64_t min, uint64_t max,
                    uint64_t *number_out)
{
    if (ca_text_to_number(value, min, max, number_out))
        return true;
    command_wrong("--%s takes a number from %" PRIu64 " to %" PRIu64, option, min, max);
    return false;
}

/* ---- options */

enum common_option {
    COMMON_URL,
    COMMON_DIR,
    COMMON_TIMEOUT,
    COMMON_TLS_CA,
    COMMON_WITNESS,
    COMMON_JSON,
};

static const struct command_option COMMON_OPTIONS[] = {
    [COMMON_URL] = { "url", "URL", "where the daemon listens (default: CERTMILL_URL)" },
    [COMMON_DIR] = { "dir", "DIR", "or the instance whose socket it is (without both: .)" },
    [COMMON_TIMEOUT] = { "timeout", "SECONDS", "how long to wait for one answer (default: 30)" },
    [COMMON_TLS_CA] = { "tls-ca", "FILE", "whom to trust with tls+tcp://" },
    [COMMON_WITNESS] = { "witness", "FILE",
                         "keep signed heads of the audit log (CERTMILL_WITNESS)" },
    [COMMON_JSON] = { "json", NULL, "answer in JSON" },
};
static const size_t COMMON_COUNT = sizeof(COMMON_OPTIONS) / sizeof(COMMON_OPTIONS[0]);

static void print_options(const struct command_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s--%s%s%s", options[i].letter == '\0' ? "" : "-",
                 options[i].letter == '\0' ? "" : (char[]){ options[i].letter, ',', ' ', 0 },
                 options[i].name, options[i].value == NULL ? "" : " ",
                 options[i].value == NULL ? "" : options[i].value);
        printf("  %-24s %s\n", left, options[i].help);
    }
}

static void print_help(const struct command_line *line)
{
    printf("usage: certmill %s\n", line->usage);
    if (line->about != NULL)
        printf("%s", line->about);
    if (line->option_count > 0 || line->asks_daemon)
        printf("\noptions:\n");
    print_options(line->options, line->option_count);
    if (line->asks_daemon)
        print_options(COMMON_OPTIONS, COMMON_COUNT);
}

static bool take_common(struct command_line *line, size_t option, const char *value)
{
    uint64_t seconds;

    switch ((enum common_option)option) {
    case COMMON_URL: line->url = value; break;
    case COMMON_DIR: line->dir = value; break;
    case COMMON_TLS_CA: line->tls_ca = value; break;
    case COMMON_WITNESS: line->witness = value; break;
    case COMMON_JSON: line->is_json = true; break;
    case COMMON_TIMEOUT:
        if (!command_number("timeout", value, 1, 3600, &seconds))
            return false;
        line->timeout_ms = (uint32_t)seconds * 1000;
        break;
    }
    return true;
}

static const struct command_option *option_at(const struct command_line *line, size_t index)
{
    return index < line->option_count ? &line->options[index]
                                      : &COMMON_OPTIONS[index - line->option_count];
}

/* The table as getopt wants it. */
static void fill_options(const struct command_line *line, struct option options[OPTION_MAX + 2],
                         char letters[2 * OPTION_MAX + 2])
{
    size_t count = line->option_count + (line->asks_daemon ? COMMON_COUNT : 0);

    assert(count <= OPTION_MAX);
    *letters++ = ':';
    for (size_t i = 0; i < count; i++) {
        const struct command_option *from = option_at(line, i);
        options[i] =
            (struct option){ from->name, from->value == NULL ? no_argument : required_argument,
                             NULL, OPTION_FIRST + (int)i };
        if (from->letter != '\0') {
            *letters++ = from->letter;
            *letters++ = ':';
        }
    }
    *letters = '\0';
    options[count] = (struct option){ "help", no_argument, NULL, OPTION_HELP };
    options[count + 1] = (struct option){ 0 };
}

static size_t option_index(const struct command_line *line, int opt)
{
    if (opt >= OPTION_FIRST)
        return (size_t)(opt - OPTION_FIRST);
    for (size_t i = 0; i < line->option_count; i++) {
        if (line->options[i].letter == opt)
            return i;
    }
    return 0;
}

bool command_line_parse(struct command_line *line, int argc, char **argv,
                        bool (*take)(void *arg, size_t option, const char *value), void *arg,
                        int *exit_out)
{
    struct option options[OPTION_MAX + 2];
    char letters[2 * OPTION_MAX + 2];

    fill_options(line, options, letters);
    optind = 0;
    opterr = 0;
    for (int opt; (opt = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        bool is_taken = false;
        if (opt == OPTION_HELP) {
            print_help(line);
            *exit_out = EXIT_SUCCESS;
            return false;
        }
        size_t index = option_index(line, opt);
        if (opt == ':')
            command_wrong("%s takes a value", argv[optind - 1]);
        else if (opt == '?')
            command_wrong("unknown option %s", argv[optind - 1]);
        else if (index < line->option_count)
            is_taken = take(arg, index, optarg);
        else
            is_taken = take_common(line, index - line->option_count, optarg);
        if (!is_taken) {
            fprintf(stderr, "usage: certmill %s\n", line->usage);
            *exit_out = EXIT_USAGE;
            return false;
        }
    }
    line->argc = argc - optind;
    line->argv = argv + optind;
    return true;
}

/* ---- asking the daemon */

/* A socket that is not there is said at once: the client would wait for a daemon to come. */
static bool ipc_is_there(const char *path)
{
    if (access(path, R_OK | W_OK) == 0)
        return true;
    command_failed("%s: %s%s", path, strerror(errno),
                   errno == ENOENT ? ": is the daemon running?" : "");
    return false;
}

static void keep_head(void *path, const Certmill__SignedHead *message)
{
    struct keys_signed_head head;

    if (witness_read(message, &head))
        witness_keep(path, &head);
}

static void set_witness(const struct command_line *line, struct rpc_client_options *options)
{
    const char *path = line->witness == NULL ? getenv("CERTMILL_WITNESS") : line->witness;

    if (path == NULL || path[0] == '\0')
        return;
    options->on_head = keep_head;
    options->arg = (void *)(uintptr_t)path;
}

enum ca_err command_connect(const struct command_line *line, struct rpc_client **client_out)
{
    struct rpc_client_options options = { .timeout_ms = line->timeout_ms,
                                          .tls_ca_file = line->tls_ca };
    const char *url = line->url;
    char path[PATH_MAX], built[PATH_MAX + 32];

    *client_out = NULL;
    if (url == NULL && line->dir == NULL)
        url = getenv("CERTMILL_URL");
    if (url == NULL) {
        const char *dir = line->dir == NULL ? "." : line->dir;
        if (realpath(dir, path) == NULL) {
            command_failed("%s: no such folder", dir);
            return CA_ERR_TRANSPORT;
        }
        snprintf(built, sizeof(built), "ipc://%s/certmill.sock", path);
        url = built;
    }
    if (strncmp(url, "ipc://", 6) == 0 && !ipc_is_there(url + 6))
        return CA_ERR_TRANSPORT;
    set_witness(line, &options);
    enum ca_err err = rpc_client_open(url, &options, client_out);
    if (err != CA_OK)
        command_failed("%s: %s", url, ca_err_text(err));
    return err;
}

enum ca_err command_ask(struct rpc_client *client, const Certmill__Request *request,
                        Certmill__Answer **answer_out)
{
    enum ca_err err = rpc_client_ask(client, request, answer_out);

    if (err != CA_OK) {
        command_failed("%s%s", ca_err_text(err),
                       err == CA_ERR_TIMEOUT || err == CA_ERR_TRANSPORT
                           ? " (is the daemon running? --url or --dir says where)"
                           : "");
        return err;
    }
    if ((*answer_out)->status == NULL)
        return CA_OK;
    command_print_status("request", (*answer_out)->status);
    certmill__answer__free_unpacked(*answer_out, NULL);
    *answer_out = NULL;
    return CA_ERR_DENIED;
}

/* ---- asking until there is an answer */

bool command_may_ask_again(const Certmill__Status *status)
{
    return status != NULL &&
           (strcmp(status->code, "BUSY") == 0 || strcmp(status->code, "STOPPING") == 0 ||
            strcmp(status->code, "UNKNOWN") == 0);
}

enum ca_err command_ask_once(struct rpc_client *client, const Certmill__Request *request,
                             Certmill__Answer **answer_out, uint32_t *retry_ms_out)
{
    enum ca_err err = rpc_client_ask(client, request, answer_out);

    *retry_ms_out = 0;
    if (err != CA_OK || (*answer_out)->status == NULL)
        return err;
    if (command_may_ask_again((*answer_out)->status)) {
        *retry_ms_out = (*answer_out)->status->retry_after_ms;
    } else {
        command_print_status("request", (*answer_out)->status);
        err = CA_ERR_DENIED;
    }
    certmill__answer__free_unpacked(*answer_out, NULL);
    *answer_out = NULL;
    return err;
}

static void wait_ms(uint32_t wait_ms)
{
    wait_ms = wait_ms < WAIT_MIN_MS ? WAIT_MIN_MS : wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : wait_ms;
    struct timespec pause = { wait_ms / 1000, (long)(wait_ms % 1000) * 1000000 };
    nanosleep(&pause, NULL);
}

enum ca_err command_ask_all(enum ca_err (*once)(void *arg, size_t *open_count,
                                                uint32_t *retry_ms_out),
                            void *arg, size_t open_count)
{
    enum ca_err err = CA_OK;
    uint32_t retry_ms;

    for (size_t tries = 0; tries < TRY_MAX && open_count > 0; tries++) {
        err = once(arg, &open_count, &retry_ms);
        if (err == CA_ERR_TIMEOUT && tries < 2)
            continue; /* the same request ids: asking twice is safe */
        if (err != CA_OK)
            break;
        if (open_count > 0)
            wait_ms(retry_ms);
    }
    return err;
}

int command_tell(const struct command_tally *tally, enum ca_err err)
{
    if (err != CA_OK)
        command_failed("%s", ca_err_text(err));
    if (tally->unanswered > 0 && tally->base_id[0] != '\0')
        fprintf(stderr,
                "%zu without an answer; to ask again without risk, the same command with: "
                "--request-id %s\n",
                tally->unanswered, tally->base_id);
    if (tally->count > 1 && tally->refused > 0)
        fprintf(stderr, "%zu of %zu refused\n", tally->refused, tally->count);
    return err != CA_OK || tally->unanswered + tally->refused > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

enum ca_err command_make_id(const char *given, char id[CA_REQUEST_ID_LEN_MAX + 1])
{
    uint8_t random[RANDOM_ID_LEN];
    enum ca_err err;

    if (given != NULL) {
        int len = snprintf(id, CA_REQUEST_ID_LEN_MAX + 1, "%s", given);
        return len > CA_REQUEST_ID_LEN_MAX ? CA_ERR_REQUEST_ID : CA_OK;
    }
    if ((err = crypto_random(random, sizeof(random))) == CA_OK)
        ca_text_hex(ca_bytes_of(random, sizeof(random)), id);
    return err;
}

enum ca_err command_number_id(const char *base, size_t index, size_t count,
                              char id[CA_REQUEST_ID_LEN_MAX + 1])
{
    int len = count == 1 ? snprintf(id, CA_REQUEST_ID_LEN_MAX + 1, "%s", base)
                         : snprintf(id, CA_REQUEST_ID_LEN_MAX + 1, "%s.%zu", base, index + 1);

    return len > CA_REQUEST_ID_LEN_MAX ? CA_ERR_REQUEST_ID : CA_OK;
}

/* ---- words */

const char *command_state_name(Certmill__State state)
{
    switch (state) {
    case CERTMILL__STATE__STATE_INTENT: return "intent";
    case CERTMILL__STATE__STATE_VALID: return "valid";
    case CERTMILL__STATE__STATE_REVOKED: return "revoked";
    case CERTMILL__STATE__STATE_HELD: return "held";
    default: return "none";
    }
}

const char *command_reason_name(uint32_t reason)
{
    const char *name = x509_crl_reason_name(reason);

    return name == NULL ? "?" : name;
}

void command_print_status(const char *what, const Certmill__Status *status)
{
    bool has_field = status->field[0] != '\0', has_rule = status->rule[0] != '\0';

    fprintf(stderr, "certmill: %s: %s: %s%s%s%s%s%s\n", what, status->code, status->text,
            has_field || has_rule ? " (" : "", status->field, has_field && has_rule ? ", " : "",
            status->rule, has_field || has_rule ? ")" : "");
}

void command_json_status(struct json *json, const Certmill__Status *status)
{
    if (status == NULL)
        return;
    json_object(json, "status");
    json_text(json, "code", status->code);
    json_text(json, "field", status->field);
    json_text(json, "rule", status->rule);
    json_text(json, "text", status->text);
    json_end(json);
}

void command_json_pem(struct json *json, const char *name, struct ca_bytes der)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (to == NULL)
        return json_text(json, name, "");
    pem_write(to, "CERTIFICATE", der);
    fclose(to);
    json_bytes_text(json, name, ca_bytes_of(text, len));
    free(text);
}

/* ---- times */

void command_format_time(int64_t time_s, char text[COMMAND_TIME_LEN + 1])
{
    struct ca_civil civil = ca_civil_from_unix(time_s, 0);

    snprintf(text, COMMAND_TIME_LEN + 1, "%04d-%02u-%02uT%02u:%02u:%02uZ", civil.year, civil.month,
             civil.day, civil.hour, civil.minute, civil.second);
}

void command_json_time(struct json *json, const char *name, int64_t time_s)
{
    char text[COMMAND_TIME_LEN + 1];

    if (time_s == 0)
        return;
    command_format_time(time_s, text);
    json_text(json, name, text);
}

/* Digits of a fixed width; false if there are others. */
static bool take_digits(const char **at, size_t width, uint32_t *number_out)
{
    uint32_t number = 0;

    for (size_t i = 0; i < width; i++) {
        char c = **at;
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + (uint32_t)(c - '0');
        (*at)++;
    }
    *number_out = number;
    return true;
}

bool command_parse_time(const char *text, int64_t *time_s_out)
{
    static const char separators[] = "--T::";
    static const size_t widths[] = { 4, 2, 2, 2, 2, 2 };
    uint32_t parts[6] = { 0 };
    uint64_t seconds;

    if (ca_text_to_number(text, 0, 253402300799, &seconds)) {
        *time_s_out = (int64_t)seconds;
        return true;
    }
    for (size_t i = 0; i < 6; i++) {
        if (!take_digits(&text, widths[i], &parts[i]))
            return false;
        if (i == 2 && *text == '\0')
            break;
        if (i == 5 ? strcmp(text, "Z") != 0 : *text++ != separators[i])
            return false;
    }
    struct ca_civil civil = { (int32_t)parts[0], (uint8_t)parts[1], (uint8_t)parts[2],
                              (uint8_t)parts[3], (uint8_t)parts[4], (uint8_t)parts[5] };
    if (!ca_civil_is_valid(civil))
        return false;
    *time_s_out = ca_civil_to_unix(civil, 0);
    return true;
}

bool command_time(const char *option, const char *text, int64_t *time_s_out)
{
    if (command_parse_time(text, time_s_out))
        return true;
    command_wrong("--%s takes a time in UTC: 2026-11-22, 2026-11-22T08:00:00Z or seconds", option);
    return false;
}

bool command_serials(const struct command_line *line, struct ca_serial **serials_out)
{
    struct ca_serial *serials;

    *serials_out = NULL;
    if (line->argc == 0) {
        command_wrong("which certificate? Give serial numbers");
        return false;
    }
    serials = calloc((size_t)line->argc, sizeof(*serials));
    if (serials == NULL) {
        command_failed("out of memory");
        return false;
    }
    for (int i = 0; i < line->argc; i++) {
        if (ca_serial_parse(line->argv[i], &serials[i]) != CA_OK) {
            command_wrong("%s is not a serial number of this service", line->argv[i]);
            free(serials);
            return false;
        }
    }
    *serials_out = serials;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* changes: every change of a certificate's state, in order. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "ca/base/text.h"
#include "tools/command.h"

enum { CHANGES_LIMIT = 1000, CHANGES_PAUSE_S = 1 };

enum changes_option { CHANGES_SINCE, CHANGES_MAX, CHANGES_FOLLOW };

static const struct command_option OPTIONS[] = {
    [CHANGES_SINCE] = { "since", "N", "only those after this sequence number" },
    [CHANGES_MAX] = { "max", "N", "stop after so many" },
    [CHANGES_FOLLOW] = { "follow", NULL, "go on as they happen; with --json an object a line" },
};

struct changes {
    uint64_t since, max, count;
    bool follows, is_json, is_at_end;
    struct json json;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct changes *changes = arg;

    switch ((enum changes_option)option) {
    case CHANGES_SINCE: return command_number("since", value, 0, INT64_MAX, &changes->since);
    case CHANGES_MAX: return command_number("max", value, 1, UINT64_MAX, &changes->max);
    case CHANGES_FOLLOW: changes->follows = true; return true;
    }
    return false;
}

static const char *reason_text(const Certmill__Change *change)
{
    return change->reason == 0 ? "-" : command_reason_name(change->reason);
}

static void print_json(struct changes *changes, const Certmill__Change *change)
{
    struct json *json = &changes->json;

    json_object(json, NULL);
    json_number(json, "sequence", change->sequence);
    json_signed(json, "time_us", change->time_us);
    json_hex(json, "serial", command_bytes(change->serial));
    json_text(json, "old_state", command_state_name(change->old_state));
    json_text(json, "new_state", command_state_name(change->new_state));
    if (change->reason != 0)
        json_text(json, "reason", command_reason_name(change->reason));
    json_end(json);
}

static void print_line(const Certmill__Change *change)
{
    char serial[2 * CA_SERIAL_LEN + 1] = "", time[COMMAND_TIME_LEN + 1];

    if (change->serial.len <= CA_SERIAL_LEN)
        ca_text_hex(command_bytes(change->serial), serial);
    command_format_time(change->time_us / 1000000, time);
    printf("%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\n", change->sequence, time, serial,
           command_state_name(change->old_state), command_state_name(change->new_state),
           reason_text(change));
}

static enum ca_err print_answer(struct changes *changes, const Certmill__ChangesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_changes; i++) {
        const Certmill__Change *change = answer->changes[i];
        if (change->sequence <= changes->since) /* or we would never come to an end */
            return CA_ERR_MESSAGE_MALFORMED;
        changes->since = change->sequence;
        changes->count++;
        if (changes->is_json)
            print_json(changes, change);
        else
            print_line(change);
    }
    changes->is_at_end = answer->n_changes == 0 || changes->since >= answer->last;
    return CA_OK;
}

static enum ca_err ask_page(struct rpc_client *client, struct changes *changes)
{
    Certmill__ChangesRequest method = CERTMILL__CHANGES_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    uint64_t left = changes->max - changes->count;
    Certmill__Answer *answer;

    method.since = changes->since;
    method.limit = left < CHANGES_LIMIT ? (uint32_t)left : CHANGES_LIMIT;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CHANGES;
    request.changes = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    err = answer->method_case == CERTMILL__ANSWER__METHOD_CHANGES
              ? print_answer(changes, answer->changes)
              : CA_ERR_MESSAGE_MALFORMED;
    if (err != CA_OK)
        command_failed("%s", ca_err_text(err));
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

/* To the end, or until somebody stops it. */
static enum ca_err ask_all(struct rpc_client *client, struct changes *changes)
{
    const struct timespec pause = { .tv_sec = CHANGES_PAUSE_S };
    enum ca_err err = CA_OK;

    while (err == CA_OK && changes->count < changes->max) {
        if ((err = ask_page(client, changes)) != CA_OK || !changes->is_at_end)
            continue;
        if (!changes->follows)
            break;
        if (fflush(stdout) != 0) /* who reads has gone, as certmill.c tells */
            break;
        nanosleep(&pause, NULL);
    }
    return err;
}

static int run(const struct command_line *line, struct changes *changes)
{
    struct rpc_client *client;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    changes->is_json = line->is_json;
    json_init(&changes->json, stdout);
    changes->json.is_one_line = changes->follows;
    if (line->is_json && !changes->follows)
        json_array(&changes->json, NULL);
    enum ca_err err = ask_all(client, changes);
    if (line->is_json && !changes->follows)
        json_end(&changes->json);
    rpc_client_close(client);
    return err == CA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_changes(int argc, char **argv)
{
    static const char about[] =
        "\nWrites a line for each change of a state, oldest first, with tabs between sequence\n"
        "number, time, serial number, old state, new state and reason. Whoever keeps the last\n"
        "sequence number seen misses none: --since goes on behind it.\n";
    struct command_line line = { .usage = "changes [OPTION...]",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
                                 .asks_daemon = true };
    struct changes changes = { .max = UINT64_MAX };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &changes, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("changes takes options only");
    return run(&line, &changes);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* changes: every change of a certificate's state, in order. */
#include <inttypes.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tools/feed.h"

static const struct command_option OPTIONS[] = { FEED_OPTIONS };

static bool take(void *arg, size_t option, const char *value)
{
    return feed_take(arg, (enum feed_option)option, value);
}

static const char *reason_text(const Certmill__Change *change)
{
    return change->reason == 0 ? "-" : command_reason_name(change->reason);
}

static void print_json(struct json *json, const Certmill__Change *change)
{
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

static enum ca_err print_answer(struct feed *feed, const Certmill__ChangesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_changes; i++) {
        const Certmill__Change *change = answer->changes[i];
        if (change->sequence <= feed->since) /* or we would never come to an end */
            return CA_ERR_MESSAGE_MALFORMED;
        feed->since = change->sequence;
        feed->count++;
        if (feed->is_json)
            print_json(&feed->json, change);
        else
            print_line(change);
    }
    feed->is_at_end = answer->n_changes == 0 || feed->since >= answer->last;
    return CA_OK;
}

static enum ca_err print_page(void *client, struct feed *feed)
{
    Certmill__ChangesRequest method = CERTMILL__CHANGES_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    method.since = feed->since;
    method.limit = (uint32_t)feed_page(feed);
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CHANGES;
    request.changes = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    err = answer->method_case == CERTMILL__ANSWER__METHOD_CHANGES
              ? print_answer(feed, answer->changes)
              : CA_ERR_MESSAGE_MALFORMED;
    if (err != CA_OK)
        command_failed("%s", ca_err_text(err));
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static int run(const struct command_line *line, struct feed *feed)
{
    struct rpc_client *client;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    enum ca_err err = feed_run(feed, line->is_json, print_page, client);
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
    struct feed feed = { .max = UINT64_MAX };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &feed, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("changes takes options only");
    return run(&line, &feed);
}

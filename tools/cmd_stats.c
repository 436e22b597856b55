/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/command.h"

static void print_counters(const Certmill__StatsAnswer *stats, bool is_json)
{
    struct json json;

    json_init(&json, stdout);
    if (is_json)
        json_object(&json, NULL);
    for (size_t i = 0; i < stats->n_counters; i++) {
        const Certmill__Counter *counter = stats->counters[i];
        if (is_json)
            json_number(&json, counter->name, counter->value);
        else
            printf("%s\t%" PRIu64 "\n", counter->name, counter->value);
    }
    if (is_json)
        json_end(&json);
}

/* Not well unless it takes requests and signs, and nothing wakes anybody. */
static int print_health(const Certmill__HealthAnswer *health, bool is_json)
{
    struct json json;

    if (!is_json) {
        printf("ready\t%s\nissuing\t%s\nversion\t%s\n", health->ready ? "yes" : "no",
               health->issuing ? "yes" : "no", health->version);
        for (size_t i = 0; i < health->n_alarms; i++)
            printf("alarm\t%s\n", health->alarms[i]);
    } else {
        json_init(&json, stdout);
        json_object(&json, NULL);
        json_flag(&json, "ready", health->ready);
        json_flag(&json, "issuing", health->issuing);
        json_array(&json, "alarms");
        for (size_t i = 0; i < health->n_alarms; i++)
            json_text(&json, NULL, health->alarms[i]);
        json_end(&json);
        json_text(&json, "version", health->version);
        json_end(&json);
    }
    return health->ready && health->issuing && health->n_alarms == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_answer(const Certmill__Answer *answer, bool is_json)
{
    switch (answer->method_case) {
    case CERTMILL__ANSWER__METHOD_STATS:
        print_counters(answer->stats, is_json);
        return EXIT_SUCCESS;
    case CERTMILL__ANSWER__METHOD_HEALTH: return print_health(answer->health, is_json);
    default: return command_failed("%s", ca_err_text(CA_ERR_MESSAGE_MALFORMED));
    }
}

static int ask(const struct command_line *line, const Certmill__Request *request)
{
    struct rpc_client *client;
    Certmill__Answer *answer;
    int exit_code = EXIT_FAILURE;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    if (command_ask(client, request, &answer) == CA_OK) {
        exit_code = print_answer(answer, line->is_json);
        certmill__answer__free_unpacked(answer, NULL);
    }
    rpc_client_close(client);
    return exit_code;
}

static int run(const char *usage, int argc, char **argv, const Certmill__Request *request)
{
    struct command_line line = { .usage = usage, .asks_daemon = true };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, NULL, NULL, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("%s takes no arguments", argv[0]);
    return ask(&line, request);
}

int cmd_stats(int argc, char **argv)
{
    Certmill__StatsRequest method = CERTMILL__STATS_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_STATS;
    request.stats = &method;
    return run("stats [OPTION...]", argc, argv, &request);
}

int cmd_health(int argc, char **argv)
{
    Certmill__HealthRequest method = CERTMILL__HEALTH_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_HEALTH;
    request.health = &method;
    return run("health [OPTION...]", argc, argv, &request);
}

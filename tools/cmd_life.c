/* SPDX-License-Identifier: Apache-2.0 */
/* revoke, hold, release, ack and abandon: what becomes of certificates. */
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/x509/crl.h"
#include "tools/command.h"

enum { LIFE_BATCH_MAX = 64 };

enum life_option {
    LIFE_REQUEST_ID,
    LIFE_OPTION_COUNT, /* what follows is of revoke */
    LIFE_REASON = LIFE_OPTION_COUNT,
    LIFE_INVALIDITY_DATE,
    LIFE_REVOKE_OPTION_COUNT
};

static const struct command_option OPTIONS[] = {
    [LIFE_REQUEST_ID] = { "request-id", "ID", "16 to 64 characters; the same ID: same answer" },
    [LIFE_REASON] = { "reason", "NAME", "such as keyCompromise; must be given" },
    [LIFE_INVALIDITY_DATE] = { "invalidity-date", "TIME", "since when not to trust the key" },
};

/* One certificate on its way to another state. */
struct task {
    struct ca_serial serial;
    char request_id[CA_REQUEST_ID_LEN_MAX + 1];
    Certmill__ActResult *result; /* NULL: not answered, or to be asked again */
};

struct life {
    Certmill__Act act;
    const char *request_id;
    uint32_t reason;
    int64_t invalidity_s;

    struct rpc_client *client;
    struct task *tasks;
    struct task *open[LIFE_BATCH_MAX]; /* of the batch: not answered for good */
    struct command_tally tally;
    struct json json;
    bool is_json;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct life *life = arg;
    enum x509_crl_reason reason;

    switch ((enum life_option)option) {
    case LIFE_REQUEST_ID: life->request_id = value; return true;
    case LIFE_REASON:
        if (!x509_crl_reason_by_name(value, &reason)) {
            command_wrong("--reason takes a name of RFC 5280, such as superseded");
            return false;
        }
        life->reason = (uint32_t)reason;
        return true;
    case LIFE_INVALIDITY_DATE: return command_time("invalidity-date", value, &life->invalidity_s);
    case LIFE_REVOKE_OPTION_COUNT: break;
    }
    return false;
}

/* ---- asking */

static void fill_item(const struct life *life, const struct task *task, Certmill__ActItem *item)
{
    certmill__act_item__init(item);
    item->request_id = (char *)(uintptr_t)task->request_id;
    item->act = life->act;
    item->serial = command_lend(ca_serial_bytes(&task->serial));
    item->reason = life->reason;
    item->invalidity_date = life->invalidity_s;
}

/* Takes the results over from the answer. Those to be asked again are left out. */
static uint32_t keep_results(struct life *life, size_t *open_count, Certmill__ActAnswer *answer)
{
    uint32_t retry_ms = 0;
    size_t left = 0;

    for (size_t i = 0; i < *open_count; i++) {
        struct task *task = life->open[i];
        certmill__act_result__free_unpacked(task->result, NULL);
        task->result = answer->items[i];
        answer->items[i] = NULL; /* ours now */
        if (!command_may_ask_again(task->result->status))
            continue;
        if (task->result->status->retry_after_ms > retry_ms)
            retry_ms = task->result->status->retry_after_ms;
        life->open[left++] = task;
    }
    *open_count = left;
    return retry_ms;
}

static enum ca_err ask_once(void *arg, size_t *open_count, uint32_t *retry_ms_out)
{
    struct life *life = arg;
    Certmill__ActItem items[LIFE_BATCH_MAX], *list[LIFE_BATCH_MAX];
    Certmill__ActRequest method = CERTMILL__ACT_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    for (size_t i = 0; i < *open_count; i++) {
        fill_item(life, life->open[i], &items[i]);
        list[i] = &items[i];
    }
    method.n_items = *open_count;
    method.items = list;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &method;
    enum ca_err err = command_ask_once(life->client, &request, &answer, retry_ms_out);
    if (err != CA_OK || answer == NULL)
        return err;
    if (answer->method_case != CERTMILL__ANSWER__METHOD_ACT || answer->act->n_items != *open_count)
        err = CA_ERR_MESSAGE_MALFORMED;
    else
        *retry_ms_out = keep_results(life, open_count, answer->act);
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

/* ---- telling */

static void print_json(struct life *life, const struct task *task)
{
    const Certmill__ActResult *result = task->result;
    struct json *json = &life->json;

    json_object(json, NULL);
    json_hex(json, "serial", ca_serial_bytes(&task->serial));
    json_text(json, "request_id", task->request_id);
    if (result != NULL && result->status != NULL) {
        command_json_status(json, result->status);
    } else if (result != NULL) {
        json_text(json, "state", command_state_name(result->state));
        if (result->revoked_at != 0)
            json_text(json, "reason", command_reason_name(result->reason));
        command_json_time(json, "revoked_at", result->revoked_at);
        command_json_time(json, "invalidity_date", result->invalidity_date);
        json_flag(json, "changed", result->sequence != 0);
        json_number(json, "sequence", result->sequence);
    }
    json_end(json);
}

static void print_line(const char *serial, const Certmill__ActResult *result)
{
    char at[COMMAND_TIME_LEN + 1] = "-", since[COMMAND_TIME_LEN + 1] = "-";

    if (result->revoked_at != 0)
        command_format_time(result->revoked_at, at);
    if (result->invalidity_date != 0)
        command_format_time(result->invalidity_date, since);
    printf("%s\t%s\t%s\t%s\t%s\t%s\n", serial, command_state_name(result->state),
           result->revoked_at == 0 ? "-" : command_reason_name(result->reason), at, since,
           result->sequence == 0 ? "unchanged" : "changed");
}

static void print_task(struct life *life, struct task *task)
{
    const Certmill__ActResult *result = task->result;
    bool is_open = result == NULL || command_may_ask_again(result->status);
    char serial[2 * CA_SERIAL_LEN + 1];

    ca_text_hex(ca_serial_bytes(&task->serial), serial);
    life->tally.unanswered += is_open;
    life->tally.refused += !is_open && result->status != NULL;
    if (result != NULL && result->status != NULL)
        command_print_status(serial, result->status);
    if (life->is_json)
        print_json(life, task);
    else if (result != NULL && result->status == NULL)
        print_line(serial, result);
    certmill__act_result__free_unpacked(task->result, NULL);
    task->result = NULL;
}

static enum ca_err ask_all(struct life *life)
{
    enum ca_err err = CA_OK;

    for (size_t first = 0, count; first < life->tally.count && err == CA_OK; first += count) {
        size_t left = life->tally.count - first;
        count = left < LIFE_BATCH_MAX ? left : LIFE_BATCH_MAX;
        for (size_t i = 0; i < count; i++)
            life->open[i] = &life->tasks[first + i];
        err = command_ask_all(ask_once, life, count);
        for (size_t i = 0; i < count; i++)
            print_task(life, &life->tasks[first + i]);
        if (err != CA_OK)
            life->tally.unanswered += left - count;
    }
    return err;
}

static int ask_and_report(struct life *life, const struct command_line *line)
{
    if (command_connect(line, &life->client) != CA_OK)
        return EXIT_FAILURE;
    life->is_json = line->is_json;
    json_init(&life->json, stdout);
    if (life->is_json)
        json_array(&life->json, NULL);
    enum ca_err err = ask_all(life);
    if (life->is_json)
        json_end(&life->json);
    rpc_client_close(life->client);
    return command_tell(&life->tally, err);
}

static int run_tasks(struct life *life, const struct command_line *line,
                     const struct ca_serial *serials)
{
    enum ca_err err = command_make_id(life->request_id, life->tally.base_id);

    life->tally.count = (size_t)line->argc;
    life->tasks = calloc(life->tally.count, sizeof(*life->tasks));
    if (life->tasks == NULL)
        return command_failed("out of memory");
    for (size_t i = 0; i < life->tally.count && err == CA_OK; i++) {
        life->tasks[i].serial = serials[i];
        err =
            command_number_id(life->tally.base_id, i, life->tally.count, life->tasks[i].request_id);
    }
    int exit_code =
        err == CA_OK ? ask_and_report(life, line) : command_wrong("%s", ca_err_text(err));
    free(life->tasks);
    return exit_code;
}

static int run_command(struct command_line *line, Certmill__Act act, int argc, char **argv)
{
    struct life life = { .act = act };
    struct ca_serial *serials;
    int exit_code = EXIT_FAILURE;

    line->options = OPTIONS;
    line->option_count =
        act == CERTMILL__ACT__ACT_REVOKE ? LIFE_REVOKE_OPTION_COUNT : LIFE_OPTION_COUNT;
    line->asks_daemon = true;
    if (!command_line_parse(line, argc, argv, take, &life, &exit_code))
        return exit_code;
    if (!command_serials(line, &serials))
        return EXIT_USAGE;
    exit_code = act == CERTMILL__ACT__ACT_REVOKE && life.reason == X509_CRL_UNSPECIFIED
                    ? command_wrong("--reason must be given, and say something")
                    : run_tasks(&life, line, serials);
    free(serials);
    return exit_code;
}

#define WRITES                                                                                     \
    "\nWrites a line for each: serial number, state, reason, date, invalidity date, and whether\n" \
    "anything was changed.\n"

int cmd_revoke(int argc, char **argv)
{
    static const char about[] =
        "\nRevokes certificates, and intents without a result. One that is revoked stays so since\n"
        "its first date; its reason only moves to keyCompromise." WRITES;
    struct command_line line = { .usage = "revoke --reason NAME [OPTION...] SERIAL...",
                                 .about = about };

    return run_command(&line, CERTMILL__ACT__ACT_REVOKE, argc, argv);
}

int cmd_hold(int argc, char **argv)
{
    static const char about[] =
        "\nPuts certificates on hold, where their profile allows it." WRITES;
    struct command_line line = { .usage = "hold [OPTION...] SERIAL...", .about = about };

    return run_command(&line, CERTMILL__ACT__ACT_HOLD, argc, argv);
}

int cmd_release(int argc, char **argv)
{
    static const char about[] = "\nEnds the hold of certificates." WRITES;
    struct command_line line = { .usage = "release [OPTION...] SERIAL...", .about = about };

    return run_command(&line, CERTMILL__ACT__ACT_RELEASE, argc, argv);
}

int cmd_ack(int argc, char **argv)
{
    static const char about[] =
        "\nAcknowledges certificates: their holders have them. What was to become of the ones\n"
        "before happens now." WRITES;
    struct command_line line = { .usage = "ack [OPTION...] SERIAL...", .about = about };

    return run_command(&line, CERTMILL__ACT__ACT_ACKNOWLEDGE, argc, argv);
}

int cmd_abandon(int argc, char **argv)
{
    static const char about[] =
        "\nGives up certificates that wait to be acknowledged: they are revoked, and the ones\n"
        "before stay." WRITES;
    struct command_line line = { .usage = "abandon [OPTION...] SERIAL...", .about = about };

    return run_command(&line, CERTMILL__ACT__ACT_ABANDON, argc, argv);
}

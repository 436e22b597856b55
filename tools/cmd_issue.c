/* SPDX-License-Identifier: Apache-2.0 */
/* issue, renew, replace and change: certificates for requests. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ca/der/reader.h"
#include "tools/command.h"
#include "tools/file.h"
#include "tools/old_key.h"
#include "tools/pem.h"

enum {
    ISSUE_BATCH_MAX = 64,               /* requests in one message */
    ISSUE_BATCH_OCTETS_MAX = 512 << 10, /* half of what a daemon takes by default */
    ISSUE_PROGRESS_MIN = 2 * ISSUE_BATCH_MAX,
};

enum issue_option {
    ISSUE_PROFILE,
    ISSUE_CA,
    ISSUE_VALUE,
    ISSUE_DNS,
    ISSUE_IP,
    ISSUE_EMAIL,
    ISSUE_URI,
    ISSUE_TERM,
    ISSUE_REQUEST_ID,
    ISSUE_DRY_RUN,
    ISSUE_OUT,
    ISSUE_OPTION_COUNT, /* what follows is of those that name a predecessor */
    ISSUE_PREDECESSOR = ISSUE_OPTION_COUNT,
    ISSUE_OLD_KEY,
    ISSUE_OLD_KEY_SIGNATURE,
    ISSUE_SUCCESSOR_OPTION_COUNT, /* and of replace */
    ISSUE_CAUSE = ISSUE_SUCCESSOR_OPTION_COUNT,
    ISSUE_LOST_AT,
    ISSUE_REPLACE_OPTION_COUNT
};

static const struct command_option OPTIONS[] = {
    [ISSUE_PROFILE] = { "profile", "NAME", "what kind of certificate; must be given" },
    [ISSUE_CA] = { "ca", "NAME", "who issues (default: the profile's CA)" },
    [ISSUE_VALUE] = { "value", "NAME=VALUE", "a value the profile takes from the caller" },
    [ISSUE_DNS] = { "dns", "NAME", "an alternative name; each of these may be repeated" },
    [ISSUE_IP] = { "ip", "ADDRESS", "an IPv4 or IPv6 address" },
    [ISSUE_EMAIL] = { "email", "ADDRESS", "an e-mail address" },
    [ISSUE_URI] = { "uri", "URI", "a URI" },
    [ISSUE_TERM] = { "term", "N", "months, or seconds where the profile counts so" },
    [ISSUE_REQUEST_ID] = { "request-id", "ID", "16 to 64 characters; the same ID: same answer" },
    [ISSUE_DRY_RUN] = { "dry-run", NULL, "check only: sign nothing, keep nothing" },
    [ISSUE_OUT] = { "out", "FILE", "write certificates there, not to standard output", 'o' },
    [ISSUE_PREDECESSOR] = { "predecessor", "SERIAL", "the old certificate; must be given" },
    [ISSUE_OLD_KEY] = { "old-key", "FILE", "sign the request with its key (PKCS#8, PEM)" },
    [ISSUE_OLD_KEY_SIGNATURE] = { "old-key-signature", "FILE", "or send this signature by it" },
    [ISSUE_CAUSE] = { "cause", "lost|damaged", "what became of the old one; must be given" },
    [ISSUE_LOST_AT] = { "lost-at", "TIME", "since when (default: now)" },
};

/* One request on its way to a certificate. */
struct task {
    const char *path;
    struct ca_bytes csr; /* DER */
    char request_id[CA_REQUEST_ID_LEN_MAX + 1];
    Certmill__IssueResult *result; /* NULL: not answered, or to be asked again */
};

struct issue {
    Certmill__Operation operation;
    const char *profile, *ca, *request_id, *out;
    uint32_t term;
    bool has_predecessor;
    struct ca_serial predecessor;
    Certmill__Cause cause;
    int64_t lost_at_s;
    const char *old_key_path, *old_key_signature_path;
    struct ca_bytes old_key_signature;
    bool is_dry_run;
    Certmill__Value values[CA_ATTRIBUTE_COUNT_MAX];
    Certmill__Value *value_list[CA_ATTRIBUTE_COUNT_MAX];
    size_t value_count;
    Certmill__AltName names[CA_SAN_COUNT_MAX];
    Certmill__AltName *name_list[CA_SAN_COUNT_MAX];
    size_t name_count;
    struct ca_arena *arena;

    struct rpc_client *client;
    struct task *tasks;
    struct task *open[ISSUE_BATCH_MAX]; /* of the batch: not answered for good */
    struct command_tally tally;
    FILE *to; /* the data */
    struct json json;
    bool is_json;
};

/* ---- what is asked for */

static bool take_value(struct issue *issue, const char *text)
{
    Certmill__Value *value = &issue->values[issue->value_count];

    if (issue->value_count == CA_ATTRIBUTE_COUNT_MAX) {
        command_wrong("--value may be given %d times", CA_ATTRIBUTE_COUNT_MAX);
        return false;
    }
    issue->value_list[issue->value_count++] = value;
    return command_value("value", text, issue->arena, value);
}

static bool take_ip(struct issue *issue, const char *text, ProtobufCBinaryData *data_out)
{
    uint8_t address[16];
    size_t len = inet_pton(AF_INET, text, address) == 1    ? 4
                 : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                           : 0;

    if (len == 0) {
        command_wrong("--ip takes an address: %s", text);
        return false;
    }
    *data_out = command_lend(ca_arena_copy(issue->arena, ca_bytes_of(address, len)));
    return data_out->data != NULL;
}

static bool take_name(struct issue *issue, enum issue_option option, const char *text)
{
    if (issue->name_count == CA_SAN_COUNT_MAX) {
        command_wrong("at most %d alternative names", CA_SAN_COUNT_MAX);
        return false;
    }
    Certmill__AltName *name = &issue->names[issue->name_count];
    ProtobufCBinaryData data = command_lend(ca_bytes_of_text(text));
    certmill__alt_name__init(name);
    switch (option) {
    case ISSUE_DNS:
        name->name_case = CERTMILL__ALT_NAME__NAME_DNS;
        name->dns = data;
        break;
    case ISSUE_IP:
        name->name_case = CERTMILL__ALT_NAME__NAME_IP;
        if (!take_ip(issue, text, &name->ip))
            return false;
        break;
    case ISSUE_EMAIL:
        name->name_case = CERTMILL__ALT_NAME__NAME_EMAIL;
        name->email = data;
        break;
    default:
        name->name_case = CERTMILL__ALT_NAME__NAME_URI;
        name->uri = data;
        break;
    }
    issue->name_list[issue->name_count++] = name;
    return true;
}

static bool take_predecessor(struct issue *issue, const char *text)
{
    issue->has_predecessor = ca_serial_parse(text, &issue->predecessor) == CA_OK;
    if (!issue->has_predecessor)
        command_wrong("%s is not a serial number of this service", text);
    return issue->has_predecessor;
}

static bool take_cause(struct issue *issue, const char *text)
{
    issue->cause = strcmp(text, "lost") == 0      ? CERTMILL__CAUSE__CAUSE_LOST
                   : strcmp(text, "damaged") == 0 ? CERTMILL__CAUSE__CAUSE_DAMAGED
                                                  : CERTMILL__CAUSE__CAUSE_NONE;
    if (issue->cause == CERTMILL__CAUSE__CAUSE_NONE)
        command_wrong("--cause takes lost or damaged");
    return issue->cause != CERTMILL__CAUSE__CAUSE_NONE;
}

static bool take(void *arg, size_t option, const char *value)
{
    struct issue *issue = arg;
    uint64_t number;

    switch ((enum issue_option)option) {
    case ISSUE_PROFILE: issue->profile = value; return true;
    case ISSUE_CA: issue->ca = value; return true;
    case ISSUE_VALUE: return take_value(issue, value);
    case ISSUE_DNS:
    case ISSUE_IP:
    case ISSUE_EMAIL:
    case ISSUE_URI: return take_name(issue, (enum issue_option)option, value);
    case ISSUE_TERM:
        if (!command_number("term", value, 1, UINT32_MAX, &number))
            return false;
        issue->term = (uint32_t)number;
        return true;
    case ISSUE_REQUEST_ID: issue->request_id = value; return true;
    case ISSUE_DRY_RUN: issue->is_dry_run = true; return true;
    case ISSUE_OUT: issue->out = value; return true;
    case ISSUE_PREDECESSOR: return take_predecessor(issue, value);
    case ISSUE_OLD_KEY: issue->old_key_path = value; return true;
    case ISSUE_OLD_KEY_SIGNATURE: issue->old_key_signature_path = value; return true;
    case ISSUE_CAUSE: return take_cause(issue, value);
    case ISSUE_LOST_AT: return command_time("lost-at", value, &issue->lost_at_s);
    case ISSUE_REPLACE_OPTION_COUNT: break;
    }
    return false;
}

static bool is_request(const struct pem_block *block)
{
    return strcmp(block->label, "CERTIFICATE REQUEST") == 0 ||
           strcmp(block->label, "NEW CERTIFICATE REQUEST") == 0;
}

/* PEM or DER; what is wrong with the request itself is for the CA to say. */
static enum ca_err load_csr(struct issue *issue, struct task *task)
{
    struct pem_block block;
    uint8_t *data;
    size_t len;

    enum ca_err err = file_load(task->path, 4 * CA_CSR_LEN_MAX, &data, &len);
    if (err != CA_OK) {
        command_wrong("%s: %s", task->path,
                      err == CA_ERR_FIELD_LENGTH ? "too large for a request" : strerror(errno));
        return err;
    }
    struct ca_bytes text = ca_bytes_of(data, len);
    err = CA_OK;
    if (len > 0 && data[0] == DER_SEQUENCE) {
        task->csr = ca_arena_copy(issue->arena, text);
    } else if (pem_next(&text, issue->arena, &block) == CA_OK && is_request(&block)) {
        task->csr = block.der;
        if (pem_next(&text, issue->arena, &block) == CA_OK && is_request(&block)) {
            command_wrong("%s: more than one certification request", task->path);
            err = CA_ERR_CSR_PARSE;
        }
    } else {
        command_wrong("%s: no certification request, neither PEM nor DER", task->path);
        err = CA_ERR_CSR_PARSE;
    }
    free(data);
    return err == CA_OK && task->csr.data == NULL ? CA_ERR_NOMEM : err;
}

/* The signature over the request by the key of the old certificate. */
static bool load_old_key_signature(struct issue *issue)
{
    uint8_t *data;
    size_t len;

    if (issue->old_key_path != NULL)
        return old_key_sign(issue->old_key_path, issue->tasks[0].csr, issue->arena,
                            &issue->old_key_signature);
    if (issue->old_key_signature_path == NULL)
        return true;
    enum ca_err err = file_load(issue->old_key_signature_path, CA_SIGNATURE_LEN_MAX, &data, &len);
    if (err != CA_OK) {
        command_wrong("%s: %s", issue->old_key_signature_path,
                      err == CA_ERR_FIELD_LENGTH ? "too large for a signature" : strerror(errno));
        return false;
    }
    issue->old_key_signature = ca_arena_copy(issue->arena, ca_bytes_of(data, len));
    free(data);
    if (len == 0)
        command_wrong("%s: is empty", issue->old_key_signature_path);
    return len > 0 && issue->old_key_signature.data != NULL;
}

static enum ca_err fill_ids(struct issue *issue)
{
    enum ca_err err = command_make_id(issue->request_id, issue->tally.base_id);

    for (size_t i = 0; i < issue->tally.count && err == CA_OK; i++)
        err = command_number_id(issue->tally.base_id, i, issue->tally.count,
                                issue->tasks[i].request_id);
    if (issue->is_dry_run)
        issue->tally.base_id[0] = '\0'; /* nothing will be kept under it */
    return err;
}

/* ---- asking */

/* Takes the results over from the answer. Those to be asked again are left out. */
static uint32_t keep_results(struct task **open, size_t *open_count, Certmill__IssueAnswer *answer)
{
    uint32_t retry_ms = 0;
    size_t left = 0;

    for (size_t i = 0; i < *open_count; i++) {
        struct task *task = open[i];
        certmill__issue_result__free_unpacked(task->result, NULL);
        task->result = answer->items[i];
        answer->items[i] = NULL; /* ours now */
        if (!command_may_ask_again(task->result->status))
            continue;
        if (task->result->status->retry_after_ms > retry_ms)
            retry_ms = task->result->status->retry_after_ms;
        open[left++] = task;
    }
    *open_count = left;
    return retry_ms;
}

static void fill_item(const struct issue *issue, const struct task *task, Certmill__IssueItem *item)
{
    certmill__issue_item__init(item);
    item->request_id = (char *)(uintptr_t)task->request_id;
    if (issue->ca != NULL)
        item->ca = (char *)(uintptr_t)issue->ca;
    item->profile = (char *)(uintptr_t)issue->profile;
    item->csr = command_lend(task->csr);
    item->n_values = issue->value_count;
    item->values = (Certmill__Value **)(uintptr_t)issue->value_list;
    item->n_alt_names = issue->name_count;
    item->alt_names = (Certmill__AltName **)(uintptr_t)issue->name_list;
    item->term = issue->term;
    item->dry_run = issue->is_dry_run;
    item->operation = issue->operation;
    if (issue->has_predecessor)
        item->predecessor = command_lend(ca_serial_bytes(&issue->predecessor));
    item->cause = issue->cause;
    item->lost_at = issue->lost_at_s;
    item->old_key_signature = command_lend(issue->old_key_signature);
}

/* Asks once for those still open; the time to wait before asking again in *retry_ms_out. */
static enum ca_err ask_once(void *arg, size_t *open_count, uint32_t *retry_ms_out)
{
    struct issue *issue = arg;
    Certmill__IssueItem items[ISSUE_BATCH_MAX], *list[ISSUE_BATCH_MAX];
    Certmill__IssueRequest method = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    for (size_t i = 0; i < *open_count; i++) {
        fill_item(issue, issue->open[i], &items[i]);
        list[i] = &items[i];
    }
    method.n_items = *open_count;
    method.items = list;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &method;
    enum ca_err err = command_ask_once(issue->client, &request, &answer, retry_ms_out);
    if (err != CA_OK || answer == NULL)
        return err;
    if (answer->method_case != CERTMILL__ANSWER__METHOD_ISSUE ||
        answer->issue->n_items != *open_count)
        err = CA_ERR_MESSAGE_MALFORMED;
    else
        *retry_ms_out = keep_results(issue->open, open_count, answer->issue);
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

/* Until every one of the batch is answered for good, or patience is at its end. */
static enum ca_err ask_batch(struct issue *issue, size_t first, size_t count)
{
    assert(count <= ISSUE_BATCH_MAX);
    for (size_t i = 0; i < count; i++)
        issue->open[i] = &issue->tasks[first + i];
    return command_ask_all(ask_once, issue, count);
}

/* ---- telling */

/* A refusal that is about dates tells them. */
static void print_refusal(const struct task *task)
{
    char from[COMMAND_TIME_LEN + 1], until[COMMAND_TIME_LEN + 1];

    command_print_status(task->path, task->result->status);
    if (task->result->not_after == 0)
        return;
    command_format_time(task->result->not_before, from);
    command_format_time(task->result->not_after, until);
    fprintf(stderr, "certmill: %s: it would be valid from %s until %s\n", task->path, from, until);
}

static void print_dry(struct issue *issue, const struct task *task)
{
    char from[COMMAND_TIME_LEN + 1], until[COMMAND_TIME_LEN + 1];

    command_format_time(task->result->not_before, from);
    command_format_time(task->result->not_after, until);
    fprintf(issue->to, "%s: would be valid from %s until %s, %zu octets to sign\n", task->path,
            from, until, task->result->tbs.len);
}

static void print_result(struct issue *issue, const struct task *task)
{
    if (issue->is_dry_run)
        print_dry(issue, task);
    else
        pem_write(issue->to, "CERTIFICATE", command_bytes(task->result->certificate));
}

static void print_json(struct issue *issue, const struct task *task)
{
    const Certmill__IssueResult *result = task->result;

    json_object(&issue->json, NULL);
    json_text(&issue->json, "file", task->path);
    json_text(&issue->json, "request_id", task->request_id);
    if (result == NULL) {
        json_end(&issue->json);
        return;
    }
    command_json_status(&issue->json, result->status);
    if (result->status == NULL)
        json_hex(&issue->json, "serial", command_bytes(result->serial));
    command_json_time(&issue->json, "not_before", result->not_before);
    command_json_time(&issue->json, "not_after", result->not_after);
    if (result->status == NULL && issue->is_dry_run)
        json_base64(&issue->json, "tbs", command_bytes(result->tbs));
    else if (result->status == NULL)
        command_json_pem(&issue->json, "certificate", command_bytes(result->certificate));
    json_end(&issue->json);
}

static void print_task(struct issue *issue, struct task *task)
{
    const Certmill__IssueResult *result = task->result;
    bool is_open = result == NULL || command_may_ask_again(result->status);

    issue->tally.unanswered += is_open;
    issue->tally.refused += !is_open && result->status != NULL;
    if (result != NULL && result->status != NULL)
        print_refusal(task);
    if (issue->is_json)
        print_json(issue, task);
    else if (result != NULL && result->status == NULL)
        print_result(issue, task);
    certmill__issue_result__free_unpacked(task->result, NULL);
    task->result = NULL;
}

static void show_progress(const struct issue *issue, size_t done)
{
    if (issue->tally.count < ISSUE_PROGRESS_MIN || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%zu of %zu%s", done, issue->tally.count,
            done == issue->tally.count ? "\n" : "");
}

static size_t batch_size(const struct issue *issue, size_t first)
{
    size_t octets = 0, count = 0;

    while (first + count < issue->tally.count && count < ISSUE_BATCH_MAX) {
        octets += issue->tasks[first + count].csr.len;
        if (count > 0 && octets > ISSUE_BATCH_OCTETS_MAX)
            break;
        count++;
    }
    return count;
}

static enum ca_err ask_all(struct issue *issue)
{
    enum ca_err err = CA_OK;

    for (size_t first = 0, count; first < issue->tally.count && err == CA_OK; first += count) {
        count = batch_size(issue, first);
        err = ask_batch(issue, first, count);
        for (size_t i = 0; i < count; i++)
            print_task(issue, &issue->tasks[first + i]);
        if (err != CA_OK)
            issue->tally.unanswered += issue->tally.count - first - count;
        show_progress(issue, first + count);
    }
    return err;
}

static int say_unwritten(const struct issue *issue, const char *where, const char *why)
{
    command_failed("%s: %s", where, why);
    if (issue->tally.base_id[0] != '\0')
        fprintf(stderr,
                "what was issued is kept; to write it, the same command with: "
                "--request-id %s\n",
                issue->tally.base_id);
    return EXIT_FAILURE;
}

static int ask_and_report(struct issue *issue)
{
    char *text = NULL;
    size_t len = 0;

    issue->to = issue->out == NULL ? stdout : open_memstream(&text, &len);
    if (issue->to == NULL)
        return command_failed("out of memory");
    json_init(&issue->json, issue->to);
    if (issue->is_json)
        json_array(&issue->json, NULL);
    int exit_code = command_tell(&issue->tally, ask_all(issue));
    if (issue->is_json)
        json_end(&issue->json);
    if (issue->out == NULL) {
        const char *why = command_unwritten();
        return why == NULL ? exit_code : say_unwritten(issue, "standard output", why);
    }
    if (fclose(issue->to) != 0)
        exit_code = command_failed("out of memory");
    else if (len > 0 && file_save(issue->out, ca_bytes_of(text, len), 0644, true) != CA_OK)
        exit_code = say_unwritten(issue, issue->out, strerror(errno));
    free(text);
    return exit_code;
}

/* Is all there that only a successor needs? */
static bool check_successor(const struct issue *issue, const struct command_line *line)
{
    const char *missing = !issue->has_predecessor ? "--predecessor must be given"
                          : issue->operation == CERTMILL__OPERATION__OPERATION_REPLACE &&
                                  issue->cause == CERTMILL__CAUSE__CAUSE_NONE
                              ? "--cause must be given: lost or damaged"
                          : issue->lost_at_s != 0 && issue->cause != CERTMILL__CAUSE__CAUSE_LOST
                              ? "--lost-at goes with --cause lost"
                          : issue->old_key_path != NULL && issue->old_key_signature_path != NULL
                              ? "--old-key or --old-key-signature, not both"
                          : line->argc > 1 ? "one request for one predecessor"
                                           : NULL;

    if (missing != NULL)
        command_wrong("%s", missing);
    return missing == NULL;
}

static int run(struct issue *issue, const struct command_line *line)
{
    if (issue->profile == NULL)
        return command_wrong("--profile must be given");
    if (line->argc == 0)
        return command_wrong("which request? Give a file, or - for standard input");
    if (issue->operation != CERTMILL__OPERATION__OPERATION_NEW && !check_successor(issue, line))
        return EXIT_USAGE;
    issue->is_json = line->is_json;
    issue->tally.count = (size_t)line->argc;
    issue->tasks = ca_arena_alloc(issue->arena, issue->tally.count * sizeof(*issue->tasks));
    if (issue->tasks == NULL)
        return command_failed("out of memory");
    for (size_t i = 0; i < issue->tally.count; i++) {
        issue->tasks[i].path = line->argv[i];
        if (load_csr(issue, &issue->tasks[i]) != CA_OK)
            return EXIT_USAGE;
    }
    if (!load_old_key_signature(issue))
        return EXIT_USAGE;
    enum ca_err err = fill_ids(issue);
    if (err != CA_OK)
        return command_wrong("%s", ca_err_text(err));
    if (command_connect(line, &issue->client) != CA_OK)
        return EXIT_FAILURE;
    return ask_and_report(issue);
}

static int run_command(struct command_line *line, Certmill__Operation operation, int argc,
                       char **argv)
{
    struct issue *issue = calloc(1, sizeof(*issue));
    int exit_code = EXIT_FAILURE;

    if (issue == NULL || ca_arena_new(1 << 16, (size_t)1 << 30, &issue->arena) != CA_OK) {
        free(issue);
        return command_failed("out of memory");
    }
    issue->operation = operation;
    line->options = OPTIONS;
    line->asks_daemon = true;
    if (command_line_parse(line, argc, argv, take, issue, &exit_code))
        exit_code = run(issue, line);
    rpc_client_close(issue->client);
    ca_arena_free(issue->arena);
    free(issue);
    return exit_code;
}

int cmd_issue(int argc, char **argv)
{
    static const char about[] =
        "\nHas certificates made for certification requests (PKCS#10, PEM or DER; - reads\n"
        "standard input) and writes them as PEM, in the order of the files. All requests get\n"
        "the same values and names. Asking again with the same request id gives the same\n"
        "certificate: busy daemons and lost answers are asked again by themselves.\n";
    struct command_line line = { .usage = "issue --profile NAME [OPTION...] CSR...",
                                 .about = about,
                                 .option_count = ISSUE_OPTION_COUNT };

    return run_command(&line, CERTMILL__OPERATION__OPERATION_NEW, argc, argv);
}

int cmd_renew(int argc, char **argv)
{
    static const char about[] =
        "\nLike issue, for the certificate that is to follow upon an old one: its life goes on\n"
        "from the old end, or from today if that has passed. What becomes of the old one is\n"
        "said by the profile.\n";
    struct command_line line = {
        .usage = "renew --profile NAME --predecessor SERIAL [OPTION...] CSR",
        .about = about,
        .option_count = ISSUE_SUCCESSOR_OPTION_COUNT,
    };

    return run_command(&line, CERTMILL__OPERATION__OPERATION_RENEW, argc, argv);
}

int cmd_replace(int argc, char **argv)
{
    static const char about[] =
        "\nLike issue, for a certificate whose token was lost or damaged: the same information,\n"
        "the same end. The old one is revoked: when it was lost, at once (keyCompromise).\n";
    struct command_line line = {
        .usage = "replace --profile NAME --predecessor SERIAL --cause CAUSE [OPTION...] CSR",
        .about = about,
        .option_count = ISSUE_REPLACE_OPTION_COUNT,
    };

    return run_command(&line, CERTMILL__OPERATION__OPERATION_REPLACE, argc, argv);
}

int cmd_change(int argc, char **argv)
{
    static const char about[] =
        "\nLike issue, for other information until the end of an old certificate. What becomes of\n"
        "the old one is said by the profile: usually it is revoked when the new one is\n"
        "acknowledged (certmill ack).\n";
    struct command_line line = {
        .usage = "change --profile NAME --predecessor SERIAL [OPTION...] CSR",
        .about = about,
        .option_count = ISSUE_SUCCESSOR_OPTION_COUNT,
    };

    return run_command(&line, CERTMILL__OPERATION__OPERATION_CHANGE, argc, argv);
}

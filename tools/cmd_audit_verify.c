/* SPDX-License-Identifier: Apache-2.0 */
/* audit verify: is the audit log whole, and does it still contain what somebody has kept? */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/audit_log.h"
#include "tools/progress.h"

enum verify_option { VERIFY_HEAD, VERIFY_SINCE, VERIFY_CONFIG };

static const struct command_option OPTIONS[] = {
    [VERIFY_HEAD] = { "head", "N:DIGEST", "a head of before, which must still be in the log" },
    [VERIFY_SINCE] = { "since", "N", "check only those after this sequence number" },
    [VERIFY_CONFIG] = { "config", "FILE", "no daemon: what is in the data this file names" },
};

struct verification {
    struct store_audit_head kept;
    bool has_kept;
    uint64_t since;
    const char *config_path;
    struct audit_chain chain;
    char problem[AUDIT_VERDICT_TEXT_LEN + 1]; /* empty: none */
};

static bool take(void *arg, size_t option, const char *value)
{
    struct verification *v = arg;

    switch ((enum verify_option)option) {
    case VERIFY_SINCE: return command_number("since", value, 0, INT64_MAX, &v->since);
    case VERIFY_CONFIG: v->config_path = value; return true;
    case VERIFY_HEAD:
        v->has_kept = audit_place_parse(value, &v->kept);
        if (!v->has_kept)
            command_wrong("--head takes a number, a colon and 64 hexadecimal digits");
        return v->has_kept;
    }
    return false;
}

/* ---- what is found */

static void print_place(const char *name, const struct store_audit_head *place)
{
    char text[AUDIT_PLACE_TEXT_LEN + 1];

    audit_place_format(place, text);
    printf("%s\t%s\n", name, text);
}

static void json_place(struct json *json, const char *name, const struct store_audit_head *place)
{
    char text[AUDIT_PLACE_TEXT_LEN + 1];

    audit_place_format(place, text);
    json_text(json, name, text);
}

static void print_json(const struct verification *v, uint64_t count)
{
    bool is_good = v->problem[0] == '\0';
    struct json json;

    json_init(&json, stdout);
    json_object(&json, NULL);
    json_flag(&json, "good", is_good);
    if (!is_good)
        json_text(&json, "problem", v->problem);
    json_number(&json, "records", count);
    if (v->chain.is_begun)
        json_place(&json, "before", &v->chain.before);
    if (is_good)
        json_place(&json, "head", &v->chain.at);
    json_end(&json);
}

static int report(const struct verification *v, bool is_json)
{
    bool is_good = v->problem[0] == '\0';
    uint64_t count = v->chain.is_begun ? v->chain.at.sequence - v->chain.before.sequence : 0;

    if (is_json) {
        print_json(v, count);
    } else if (is_good) {
        printf("records\t%" PRIu64 "\n", count);
        print_place("before", &v->chain.before);
        print_place("head", &v->chain.at);
    }
    return is_good ? EXIT_SUCCESS : command_failed("%s", v->problem);
}

/* ---- the check */

static void check_log(struct verification *v, struct audit_log *log)
{
    struct audit_chain *chain = &v->chain;
    enum audit_verdict verdict = AUDIT_HOLDS;
    struct progress progress;
    struct audit_page page;

    audit_chain_init(chain, v->since, v->has_kept ? &v->kept : NULL);
    progress_begin(&progress, "audit log", 0);
    while (verdict == AUDIT_HOLDS && !audit_chain_is_done(chain)) {
        if (audit_log_read(log, chain->at.sequence, AUDIT_PAGE_MAX, &page) != CA_OK) {
            snprintf(v->problem, sizeof(v->problem),
                     "record %" PRIu64 " and those behind it were not read",
                     chain->at.sequence + 1);
            break;
        }
        verdict = audit_chain_check(chain, &page);
        progress.total = chain->end.sequence - chain->before.sequence;
        progress_at(&progress, chain->at.sequence - chain->before.sequence);
    }
    progress_end(&progress);
    if (verdict != AUDIT_HOLDS)
        audit_chain_text(chain, verdict, v->problem);
}

static int run(const struct command_line *line, struct verification *v)
{
    struct audit_log *log;

    if (audit_log_open(line, v->config_path, &log) != CA_OK)
        return EXIT_FAILURE;
    check_log(v, log);
    audit_log_close(log);
    return report(v, line->is_json);
}

int cmd_audit_verify(int argc, char **argv)
{
    static const char about[] =
        "\nComputes the chain of digests from the records, up to the head. Exit code 0: it holds;\n"
        "1: it does not, or could not be read. Keep the head that is told where nobody who can\n"
        "write to the log can: a log that was rewritten as a whole, or cut off, shows only\n"
        "against a head of before. With --head N:DIGEST --since N only what is new is checked.\n";
    struct command_line line = { .usage = "audit verify [OPTION...]",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
                                 .asks_daemon = true };
    struct verification v = { .since = 0 };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &v, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("audit verify takes options only");
    if (v.config_path != NULL && (line.url != NULL || line.dir != NULL))
        return command_wrong("--config asks no daemon: no --url, no --dir");
    if (v.has_kept && v.kept.sequence < v.since)
        return command_wrong("--head is of a record before --since, and would not be checked");
    return run(&line, &v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* crl diff: what one list has that the other has not. */

#include "tools/cmd_crl.h"

static const struct command_option OPTIONS[] = {
    { "json", NULL, "as JSON", 0 },
    { "count", NULL, "numbers only", 0 },
};
enum { OPTION_JSON, OPTION_COUNT_ONLY, OPTION_COUNT };

struct output {
    bool is_json, counts_only;
    struct json json;
};

static bool take_option(void *arg, size_t option, const char *value)
{
    struct output *output = arg;

    (void)value;
    if (option == OPTION_JSON)
        output->is_json = true;
    else
        output->counts_only = true;
    return true;
}

static void print_entry(const struct x509_crl_entry *entry)
{
    char time[COMMAND_TIME_LEN + 1];

    command_format_time(entry->revoked_s, time);
    printf(" %s %s", time, crl_reason_text(entry));
    if (entry->has_invalidity) {
        command_format_time(entry->invalidity_s, time);
        printf(" invalid from %s", time);
    }
}

static void json_entry(struct json *json, const char *name, const struct x509_crl_entry *entry)
{
    char time[COMMAND_TIME_LEN + 1];

    json_object(json, name);
    command_format_time(entry->revoked_s, time);
    json_text(json, "revoked", time);
    json_text(json, "reason", crl_reason_text(entry));
    if (entry->has_invalidity) {
        command_format_time(entry->invalidity_s, time);
        json_text(json, "invalid_from", time);
    }
    json_end(json);
}

static void json_change(struct json *json, const struct rules_crl_change *change,
                        struct ca_bytes serial)
{
    static const char *const kinds[] = { [RULES_CRL_ADDED] = "added",
                                         [RULES_CRL_REMOVED] = "removed",
                                         [RULES_CRL_CHANGED] = "changed" };

    json_object(json, NULL);
    json_hex(json, "serial", serial);
    json_text(json, "change", kinds[change->kind]);
    if (change->before != NULL)
        json_entry(json, "before", change->before);
    if (change->after != NULL)
        json_entry(json, "after", change->after);
    json_end(json);
}

static enum ca_err print_change(void *arg, const struct rules_crl_change *change,
                                struct ca_refusal *refusal)
{
    static const char signs[] = {
        [RULES_CRL_ADDED] = '+', [RULES_CRL_REMOVED] = '-', [RULES_CRL_CHANGED] = '~'
    };
    struct output *output = arg;
    char hex[CRL_HEX_LEN_MAX + 1];

    (void)refusal;
    if (change->kind == RULES_CRL_KEPT || output->counts_only)
        return CA_OK;
    struct ca_bytes serial = change->after != NULL ? change->after->serial : change->before->serial;
    if (output->is_json) {
        json_change(&output->json, change, serial);
        return CA_OK;
    }
    crl_hex(serial, hex);
    printf("%c %s", signs[change->kind], hex);
    print_entry(change->before != NULL ? change->before : change->after);
    if (change->kind == RULES_CRL_CHANGED) {
        printf(" ->");
        print_entry(change->after);
    }
    putchar('\n');
    return CA_OK;
}

static void json_counts(struct json *json, const struct rules_crl_difference *difference)
{
    json_number(json, "before", difference->before);
    json_number(json, "after", difference->after);
    json_number(json, "added", difference->added);
    json_number(json, "removed", difference->removed);
    json_number(json, "changed", difference->changed);
}

static enum ca_err compare(struct output *output, struct crl_input *before, struct crl_input *after)
{
    struct rules_crl_side sides[2];
    struct rules_crl_difference difference;
    struct ca_refusal refusal;
    enum ca_err err;

    if ((err = crl_input_side(before, &sides[0])) != CA_OK ||
        (err = crl_input_side(after, &sides[1])) != CA_OK)
        return err;
    if (output->is_json) {
        json_init(&output->json, stdout);
        json_object(&output->json, NULL);
        json_hex(&output->json, "number_before", before->crl.number);
        json_hex(&output->json, "number_after", after->crl.number);
        json_array(&output->json, "changes");
    }
    err = rules_crl_compare(&sides[0], &sides[1], print_change, output, &difference, &refusal);
    if (output->is_json) {
        json_end(&output->json);
        json_counts(&output->json, &difference);
        json_flag(&output->json, "complete", err == CA_OK);
        json_end(&output->json);
    }
    if (err != CA_OK)
        command_failed("%s (%s, %s)", ca_err_text(err), refusal.field, refusal.rule);
    else if (!output->is_json)
        printf("%llu added, %llu removed, %llu changed; %llu before, %llu after\n",
               (unsigned long long)difference.added, (unsigned long long)difference.removed,
               (unsigned long long)difference.changed, (unsigned long long)difference.before,
               (unsigned long long)difference.after);
    return err;
}

int cmd_crl_diff(int argc, char **argv)
{
    struct output output = { 0 };
    struct command_line line = {
        .usage = "crl diff [--json] [--count] OLD NEW",
        .about = "Lines begin with + (new), - (gone) or ~ (changed), by serial number.\n",
        .options = OPTIONS,
        .option_count = OPTION_COUNT,
    };
    struct crl_input before = { 0 }, after = { 0 };
    int exit_code;

    if (!command_line_parse(&line, argc, argv, take_option, &output, &exit_code))
        return exit_code;
    if (line.argc != 2)
        return command_wrong("usage: certmill %s", line.usage);
    enum ca_err err = crl_input_open(line.argv[0], &before);
    if (err == CA_OK)
        err = crl_input_open(line.argv[1], &after);
    if (err == CA_OK)
        err = compare(&output, &before, &after);
    crl_input_close(&before);
    crl_input_close(&after);
    return crl_input_exit(err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* crl show: a person's view of a list. */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ca/base/time.h"
#include "ca/x509/name.h"
#include "tools/cmd_crl.h"

enum {
    FIRST_YEAR = 1950, /* of UTCTime */
    MONTH_COUNT = 12 * 200,
    MONTHS_SHOWN = 36,
    BAR_WIDTH_MIN = 10,
    BAR_WIDTH_MAX = 60,
    BAR_COLUMN = 42, /* what stands before the bars */
};

struct tally {
    uint64_t count;
    uint64_t reasons[X509_CRL_REASON_COUNT];
    uint64_t months[MONTH_COUNT];
    uint64_t invalidity_count;
};

static enum ca_err tally_entries(const struct crl_input *input, struct tally *tally)
{
    struct x509_crl_cursor cursor = x509_crl_entries(&input->crl);
    struct x509_crl_entry entry;
    struct ca_refusal refusal;

    for (; !x509_crl_at_end(&cursor); tally->count++) {
        enum ca_err err = x509_crl_next(&cursor, &entry, &refusal);
        if (err != CA_OK) {
            command_failed("%s: entry %llu: %s (%s, %s)", input->path,
                           (unsigned long long)tally->count + 1, ca_err_text(err), refusal.field,
                           refusal.rule);
            return err;
        }
        struct ca_civil date = ca_civil_from_unix(entry.revoked_s, 0);
        int32_t month = (date.year - FIRST_YEAR) * 12 + date.month - 1;
        tally->months[month < 0 ? 0 : month >= MONTH_COUNT ? MONTH_COUNT - 1 : month]++;
        tally->reasons[entry.reason]++;
        tally->invalidity_count += entry.has_invalidity;
    }
    return CA_OK;
}

/* ---- bars */

struct bars {
    int width; /* 0: none */
    bool is_unicode;
};

static struct bars bars_of_terminal(void)
{
    struct bars bars = { 0 };
    struct winsize size;
    const char *names[] = { getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG") };

    if (!isatty(STDOUT_FILENO))
        return bars;
    bars.width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
                     ? size.ws_col - BAR_COLUMN
                     : BAR_WIDTH_MIN;
    if (bars.width < BAR_WIDTH_MIN)
        bars.width = BAR_WIDTH_MIN;
    if (bars.width > BAR_WIDTH_MAX)
        bars.width = BAR_WIDTH_MAX;
    for (size_t i = 0; i < 3; i++) {
        if (names[i] == NULL || names[i][0] == '\0')
            continue;
        bars.is_unicode = strstr(names[i], "UTF-8") != NULL || strstr(names[i], "utf8") != NULL;
        break;
    }
    return bars;
}

/* Eighths of a column where there are block characters, otherwise whole ones. */
static void print_bar(const struct bars *bars, uint64_t value, uint64_t max)
{
    static const char *const blocks[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
    uint64_t eighths = max == 0 ? 0 : (value * (uint64_t)bars->width * 8 + max - 1) / max;

    for (; eighths >= 8; eighths -= 8)
        fputs(bars->is_unicode ? blocks[8] : "#", stdout);
    if (eighths > 0)
        fputs(bars->is_unicode ? blocks[eighths] : "#", stdout);
}

static void print_row(const struct bars *bars, const char *name, uint64_t value, uint64_t max,
                      uint64_t total)
{
    char count[CRL_COUNT_LEN];

    crl_count(value, count);
    printf("  %-20s %11s %5.1f %%", name, count, 100.0 * (double)value / (double)total);
    if (bars->width > 0) {
        putchar(' ');
        print_bar(bars, value, max);
    }
    putchar('\n');
}

static void print_reasons(const struct tally *tally, const struct bars *bars)
{
    uint64_t max = 0;

    for (uint32_t i = 0; i < X509_CRL_REASON_COUNT; i++)
        max = tally->reasons[i] > max ? tally->reasons[i] : max;
    printf("\nby reason\n");
    for (uint32_t i = 0; i < X509_CRL_REASON_COUNT; i++) {
        if (tally->reasons[i] > 0)
            print_row(bars, i == 0 ? "none given" : x509_crl_reason_name(i), tally->reasons[i], max,
                      tally->count);
    }
}

static void month_name(size_t month, char name[16])
{
    snprintf(name, 16, "%04u-%02u", (unsigned int)(FIRST_YEAR + month / 12) % 10000,
             (unsigned int)(month % 12 + 1));
}

/* The last 36 months up to the newest entry; what is older stands in one row. */
static void print_months(const struct tally *tally, const struct bars *bars)
{
    size_t first = 0, last = MONTH_COUNT - 1;
    uint64_t max = 0, older = 0;
    char name[16];

    while (tally->months[first] == 0)
        first++;
    while (tally->months[last] == 0)
        last--;
    size_t from = last - first >= MONTHS_SHOWN ? last - MONTHS_SHOWN + 1 : first;
    for (size_t i = first; i < from; i++)
        older += tally->months[i];
    for (size_t i = from; i <= last; i++)
        max = tally->months[i] > max ? tally->months[i] : max;
    max = older > max ? older : max;
    printf("\nby month of revocation\n");
    if (older > 0)
        print_row(bars, "before", older, max, tally->count);
    for (size_t i = from; i <= last; i++) {
        month_name(i, name);
        print_row(bars, name, tally->months[i], max, tally->count);
    }
}

/* ---- the head */

static void print_when(const char *label, int64_t time_s, int64_t now_s)
{
    char text[COMMAND_TIME_LEN + 1];
    int64_t away_s = time_s - now_s;
    int64_t hours = (away_s < 0 ? -away_s : away_s) / 3600;

    command_format_time(time_s, text);
    printf("%-12s %s (", label, text);
    if (hours < 48)
        printf("%lld h", (long long)hours);
    else
        printf("%lld days", (long long)hours / 24);
    printf("%s)\n", away_s < 0 ? " ago" : " from now");
}

static const char *name_text(const struct x509_crl *crl, struct ca_arena *arena)
{
    struct x509_name name;

    if (x509_name_parse(crl->issuer, &name) != CA_OK)
        return "(a name of an unusual form)";
    struct ca_bytes text = x509_name_format(&name, arena);
    return text.data == NULL ? "" : (const char *)text.data;
}

static void print_point(const struct x509_crl_idp *idp)
{
    if (!idp->is_present)
        return;
    printf("%-12s %.*s%s%s%s%s%s%s\n", "point", (int)idp->url.len,
           idp->url.data == NULL ? "" : (const char *)idp->url.data,
           idp->is_critical ? "" : " (not critical)",
           idp->only_user_certs ? " (user certificates)" : "",
           idp->only_ca_certs ? " (CA certificates)" : "",
           idp->only_attribute_certs ? " (attribute certificates)" : "",
           idp->only_some_reasons ? " (some reasons)" : "", idp->is_indirect ? " (indirect)" : "");
}

static void print_head(const struct crl_input *input, const struct tally *tally, int64_t now_s,
                       struct ca_arena *arena)
{
    const struct x509_crl *crl = &input->crl;
    char hex[CRL_HEX_LEN_MAX + 1], base[CRL_HEX_LEN_MAX + 1];
    char size[CRL_COUNT_LEN], count[CRL_COUNT_LEN];

    crl_hex(crl->number, hex);
    crl_hex(crl->base_number, base);
    crl_count(crl->whole.len, size);
    crl_count(tally->count, count);
    printf("%-12s %s\n", "issuer", name_text(crl, arena));
    if (crl->base_number.len > 0)
        printf("%-12s delta, on the list with number 0x%s\n", "kind", base);
    else
        printf("%-12s complete\n", "kind");
    printf("%-12s %s%s\n", "number", crl->number.len == 0 ? "none" : "0x", hex);
    print_when("this update", crl->this_update_s, now_s);
    if (crl->has_next_update)
        print_when("next update", crl->next_update_s, now_s);
    else
        printf("%-12s none\n", "next update");
    printf("%-12s %s\n", "signature", crl_sig_name(crl->sig));
    print_point(&crl->idp);
    if (crl->freshest.is_present)
        printf("%-12s %.*s%s\n", "deltas at", (int)crl->freshest.url.len,
               crl->freshest.url.data == NULL ? "" : (const char *)crl->freshest.url.data,
               crl->freshest.is_critical ? " (critical)" : "");
    printf("%-12s %s octets, %s %s\n", "size", size, count,
           tally->count == 1 ? "entry" : "entries");
}

/* ---- JSON */

static void json_point(struct json *json, const struct x509_crl_idp *idp)
{
    json_object(json, "distribution_point");
    json_bytes_text(json, "url", idp->url);
    json_flag(json, "critical", idp->is_critical);
    json_flag(json, "only_user_certs", idp->only_user_certs);
    json_flag(json, "only_ca_certs", idp->only_ca_certs);
    json_end(json);
}

static void print_json(const struct crl_input *input, const struct tally *tally,
                       struct ca_arena *arena)
{
    const struct x509_crl *crl = &input->crl;
    char text[COMMAND_TIME_LEN + 1], name[16];
    struct json json;

    json_init(&json, stdout);
    json_object(&json, NULL);
    json_text(&json, "issuer", name_text(crl, arena));
    json_hex(&json, "number", crl->number);
    if (crl->base_number.len > 0)
        json_hex(&json, "base_number", crl->base_number);
    command_format_time(crl->this_update_s, text);
    json_text(&json, "this_update", text);
    if (crl->has_next_update) {
        command_format_time(crl->next_update_s, text);
        json_text(&json, "next_update", text);
    }
    json_text(&json, "signature", crl_sig_name(crl->sig));
    json_hex(&json, "authority_key_id", crl->key_id);
    if (crl->idp.is_present)
        json_point(&json, &crl->idp);
    if (crl->freshest.is_present) {
        json_object(&json, "freshest_crl");
        json_bytes_text(&json, "url", crl->freshest.url);
        json_flag(&json, "critical", crl->freshest.is_critical);
        json_end(&json);
    }
    json_number(&json, "size", crl->whole.len);
    json_number(&json, "entries", tally->count);
    json_object(&json, "reasons");
    for (uint32_t i = 0; i < X509_CRL_REASON_COUNT; i++) {
        if (tally->reasons[i] > 0)
            json_number(&json, x509_crl_reason_name(i), tally->reasons[i]);
    }
    json_end(&json);
    json_object(&json, "months");
    for (size_t i = 0; i < MONTH_COUNT; i++) {
        month_name(i, name);
        if (tally->months[i] > 0)
            json_number(&json, name, tally->months[i]);
    }
    json_end(&json);
    json_number(&json, "invalidity_dates", tally->invalidity_count);
    json_end(&json);
}

/* ---- the command */

static const struct command_option OPTIONS[] = {
    { "json", NULL, "as JSON", 0 },
};

static bool take_option(void *arg, size_t option, const char *value)
{
    (void)option;
    (void)value;
    *(bool *)arg = true;
    return true;
}

int cmd_crl_show(int argc, char **argv)
{
    bool is_json = false;
    struct command_line line = { .usage = "crl show [--json] FILE",
                                 .options = OPTIONS,
                                 .option_count = 1 };
    struct crl_input input = { 0 };
    struct ca_arena *arena = NULL;
    struct tally *tally = NULL;
    int exit_code;

    if (!command_line_parse(&line, argc, argv, take_option, &is_json, &exit_code))
        return exit_code;
    if (line.argc != 1)
        return command_wrong("usage: certmill %s", line.usage);
    exit_code = EXIT_FAILURE;
    if ((tally = calloc(1, sizeof(*tally))) == NULL ||
        ca_arena_new(1 << 16, 1 << 20, &arena) != CA_OK) {
        command_failed("%s", ca_err_text(CA_ERR_NOMEM));
        goto out;
    }
    enum ca_err err = crl_input_open(line.argv[0], &input);
    if (err == CA_OK)
        err = tally_entries(&input, tally);
    exit_code = crl_input_exit(err);
    if (err != CA_OK)
        goto out;
    if (is_json) {
        print_json(&input, tally, arena);
    } else {
        struct bars bars = bars_of_terminal();
        print_head(&input, tally, (int64_t)time(NULL), arena);
        if (tally->count > 0) {
            print_reasons(tally, &bars);
            print_months(tally, &bars);
        }
    }
out:
    crl_input_close(&input);
    ca_arena_free(arena);
    free(tally);
    return exit_code;
}

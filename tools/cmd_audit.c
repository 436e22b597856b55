/* SPDX-License-Identifier: Apache-2.0 */
/* audit: what was done, by whom, in order. */
#include <inttypes.h>
#include <stdlib.h>

#include "ca/base/text.h"
#include "tools/audit_log.h"
#include "tools/feed.h"

enum {
    TEXT_LEN = 2 * UINT8_MAX, /* of what a record can hold, in hexadecimal */
    CRL_OBJECT_LEN = STORE_DIGEST_LEN + 4 + 8,
};

enum audit_option { AUDIT_CONFIG = FEED_OPTION_COUNT };

static const struct command_option OPTIONS[] = {
    FEED_OPTIONS,
    [AUDIT_CONFIG] = { "config", "FILE", "no daemon: what is in the data this file names" },
};

struct listing {
    struct feed feed;
    const char *config_path;
};

static bool take(void *arg, size_t option, const char *value)
{
    struct listing *listing = arg;

    if (option != AUDIT_CONFIG)
        return feed_take(&listing->feed, (enum feed_option)option, value);
    listing->config_path = value;
    return true;
}

/* ---- a record */

/* Of the list that a record of this kind is about. */
struct crl_object {
    struct ca_bytes issuer;
    uint64_t shard, number;
};

static bool read_crl(const struct store_audit *audit, struct crl_object *crl)
{
    const uint8_t *at = audit->object.data;

    if (audit->kind != STORE_AUDIT_CRL || audit->object.len != CRL_OBJECT_LEN)
        return false;
    crl->issuer = ca_bytes_of(at, STORE_DIGEST_LEN);
    crl->shard = ca_bytes_get_number(at + STORE_DIGEST_LEN, 4);
    crl->number = ca_bytes_get_number(at + STORE_DIGEST_LEN + 4, 8);
    return true;
}

/* Text as it is if a terminal can have it. */
static void text_of(struct ca_bytes bytes, char text[TEXT_LEN + 1])
{
    if (ca_text_is_visible_ascii(bytes))
        snprintf(text, TEXT_LEN + 1, "%.*s", (int)bytes.len, (const char *)bytes.data);
    else
        ca_text_hex(bytes, text);
}

static void object_text(const struct store_audit *audit, char text[TEXT_LEN + 1])
{
    char issuer[2 * STORE_DIGEST_LEN + 1];
    struct crl_object crl;

    if (read_crl(audit, &crl)) {
        ca_text_hex(crl.issuer, issuer);
        snprintf(text, TEXT_LEN + 1, "%s/%" PRIu64 "/%" PRIu64, issuer, crl.shard, crl.number);
    } else if (audit->object.len == 0) {
        snprintf(text, TEXT_LEN + 1, "-");
    } else if (audit->kind == STORE_AUDIT_REFUSED) {
        text_of(audit->object, text);
    } else {
        ca_text_hex(audit->object, text);
    }
}

static void print_line(const struct store_audit_entry *entry)
{
    char time[COMMAND_TIME_LEN + 1], actor[TEXT_LEN + 1], object[TEXT_LEN + 1];
    char chain[2 * CA_DIGEST_LEN + 1];

    command_format_time((int64_t)(entry->audit.time_us / 1000000), time);
    text_of(entry->audit.actor, actor);
    object_text(&entry->audit, object);
    ca_text_hex(ca_bytes_of(entry->chain, CA_DIGEST_LEN), chain);
    printf("%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\n", entry->sequence, time,
           audit_kind_name(entry->audit.kind), actor, object, chain);
}

static void print_json(struct json *json, const struct store_audit_entry *entry)
{
    const struct store_audit *audit = &entry->audit;
    struct crl_object crl;

    json_object(json, NULL);
    json_number(json, "sequence", entry->sequence);
    json_number(json, "time_us", audit->time_us);
    json_text(json, "kind", audit_kind_name(audit->kind));
    json_number(json, "kind_number", (uint64_t)audit->kind);
    json_bytes_text(json, "actor", audit->actor);
    json_hex(json, "object", audit->object);
    if (audit->kind == STORE_AUDIT_REFUSED)
        json_bytes_text(json, "request_id", audit->object);
    if (read_crl(audit, &crl)) {
        json_hex(json, "issuer", crl.issuer);
        json_number(json, "shard", crl.shard);
        json_number(json, "number", crl.number);
    }
    json_hex(json, "request", ca_bytes_of(audit->request.bytes, STORE_DIGEST_LEN));
    json_hex(json, "body", ca_bytes_of(audit->body.bytes, STORE_DIGEST_LEN));
    json_hex(json, "chain", ca_bytes_of(entry->chain, CA_DIGEST_LEN));
    json_end(json);
}

/* ---- all of them */

static enum ca_err print_page(void *log, struct feed *feed)
{
    struct audit_page page;
    enum ca_err err = audit_log_read(log, feed->since, feed_page(feed), &page);

    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < page.count; i++) {
        if (feed->is_json)
            print_json(&feed->json, &page.entries[i]);
        else
            print_line(&page.entries[i]);
        feed->since = page.entries[i].sequence;
    }
    feed->count += page.count;
    feed->is_at_end = page.count == 0 || feed->since >= page.last.sequence;
    return CA_OK;
}

static int run(const struct command_line *line, struct listing *listing)
{
    struct audit_log *log;

    if (audit_log_open(line, listing->config_path, &log) != CA_OK)
        return EXIT_FAILURE;
    enum ca_err err = feed_run(&listing->feed, line->is_json, print_page, log);
    audit_log_close(log);
    if (err != CA_OK)
        return command_failed("record %" PRIu64 " and those behind it were not read",
                              listing->feed.since + 1);
    return EXIT_SUCCESS;
}

int cmd_audit(int argc, char **argv)
{
    static const char about[] =
        "\n  audit              what was done, oldest first; a line has tabs between sequence\n"
        "                     number, time, kind, actor, object and chain digest\n"
        "  audit head         the newest head that is signed, for keeping\n"
        "  audit verify       is the log whole? see audit verify --help\n"
        "\nObjects are serial numbers; of crl records issuer/shard/number; of refused ones the\n"
        "request id that was used before; of started ones the digest of the configuration; of\n"
        "profile ones its identity. Without an object there is a hyphen.\n";
    struct command_line line = { .usage = "audit [OPTION...] | audit head|verify [OPTION...]",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
                                 .asks_daemon = true };
    struct listing listing = { .feed.max = UINT64_MAX };
    int exit_code = EXIT_FAILURE;

    if (argc > 1 && strcmp(argv[1], "head") == 0)
        return cmd_audit_head(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return cmd_audit_verify(argc - 1, argv + 1);
    if (!command_line_parse(&line, argc, argv, take, &listing, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("audit takes options, or head, or verify");
    if (listing.config_path != NULL &&
        (line.url != NULL || line.dir != NULL || listing.feed.follows))
        return command_wrong("--config asks no daemon: no --url, no --dir, no --follow");
    return run(&line, &listing);
}

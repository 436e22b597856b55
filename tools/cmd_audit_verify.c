/* SPDX-License-Identifier: Apache-2.0 */
/* audit verify: is the audit log whole, and does it still contain what somebody has kept? */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "tools/audit_key.h"
#include "tools/audit_log.h"
#include "tools/file.h"
#include "tools/progress.h"
#include "tools/witness.h"

enum { KEYS_MAX = 16, ARENA_SIZE = 1 << 20 };

enum verify_option { VERIFY_HEAD, VERIFY_HEADS, VERIFY_KEY, VERIFY_SINCE, VERIFY_CONFIG };

static const struct command_option OPTIONS[] = {
    [VERIFY_HEAD] = { "head", "N:DIGEST", "a head of before, which must still be in the log" },
    [VERIFY_HEADS] = { "heads", "FILE", "the same of all heads in a file of --witness" },
    [VERIFY_KEY] = { "audit-key", "FILE", "PEM: who signed the heads; several for keys of before" },
    [VERIFY_SINCE] = { "since", "N", "check only those after this sequence number" },
    [VERIFY_CONFIG] = { "config", "FILE", "no daemon: what is in the data this file names" },
};

struct verification {
    struct store_audit_head head; /* of --head */
    bool has_head;
    const char *heads_path;
    const char *key_paths[KEYS_MAX];
    size_t key_count;
    uint64_t since;
    const char *config_path;

    struct ca_arena *arena;
    struct crypto *crypto;
    struct crypto_public_key keys[KEYS_MAX];
    struct store_audit_head *kept; /* all that were kept, ascending */
    size_t kept_count;
    uint8_t log[KEYS_HEAD_LOG_LEN]; /* which one the kept heads are of; with has_log */
    bool has_log;
    uint64_t signed_count; /* heads that the log itself has */
    struct audit_chain chain;
    char problem[AUDIT_VERDICT_TEXT_LEN + 1]; /* empty: none */
};

static bool take_key(struct verification *v, const char *path)
{
    if (v->key_count == KEYS_MAX) {
        command_wrong("too many keys");
        return false;
    }
    v->key_paths[v->key_count++] = path;
    return true;
}

static bool take(void *arg, size_t option, const char *value)
{
    struct verification *v = arg;

    switch ((enum verify_option)option) {
    case VERIFY_SINCE: return command_number("since", value, 0, INT64_MAX, &v->since);
    case VERIFY_CONFIG: v->config_path = value; return true;
    case VERIFY_HEADS: v->heads_path = value; return true;
    case VERIFY_KEY: return take_key(v, value);
    case VERIFY_HEAD:
        v->has_head = audit_place_parse(value, &v->head);
        if (!v->has_head)
            command_wrong("--head takes a number, a colon and 64 hexadecimal digits");
        return v->has_head;
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
    json_number(&json, "kept_heads", v->chain.kept_met);
    json_number(&json, "signed_heads", v->signed_count);
    json_flag(&json, "signatures_checked", v->key_count > 0);
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
        printf("kept heads\t%zu\n", v->chain.kept_met);
        printf("signed heads\t%" PRIu64 "%s\n", v->signed_count,
               v->key_count > 0 ? "" : ", signatures not checked: no --audit-key");
    }
    return is_good ? EXIT_SUCCESS : command_failed("%s", v->problem);
}

/* ---- signatures */

__attribute__((format(printf, 2, 3))) static bool blame(struct verification *v, const char *format,
                                                        ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(v->problem, sizeof(v->problem), format, args);
    va_end(args);
    return false;
}

/* By one of the keys, if any were named. False after naming the problem. */
static bool check_signature(struct verification *v, const struct keys_signed_head *head,
                            const char *whose)
{
    uint8_t id[KEYS_HEAD_KEY_ID_LEN];

    for (size_t i = 0; i < v->key_count; i++) {
        keys_head_key_id(head->head.log, &v->keys[i], id);
        if (!ca_bytes_equal(ca_bytes_of(id, sizeof(id)),
                            ca_bytes_of(head->key_id, sizeof(head->key_id))))
            continue;
        if (keys_head_verify(v->crypto, &v->keys[i], head) == CA_OK)
            return true;
        return blame(v, "the signature of the %s head of record %" PRIu64 " is wrong", whose,
                     head->head.sequence);
    }
    return v->key_count == 0 ||
           blame(v, "the %s head of record %" PRIu64 " was signed by a key that was not named",
                 whose, head->head.sequence);
}

static enum ca_err load_key(struct verification *v, size_t index)
{
    const char *path = v->key_paths[index];
    uint8_t *text;
    size_t len;
    enum ca_err err = file_load(path, AUDIT_KEY_FILE_LEN_MAX, &text, &len);

    if (err != CA_OK) {
        command_failed("%s: %s", path, file_err_text(err));
        return err;
    }
    err = audit_key_parse(ca_bytes_of(text, len), v->arena, &v->keys[index]);
    free(text);
    if (err != CA_OK)
        command_failed("%s: not one public key of type ed25519 in PEM", path);
    return err;
}

/* ---- what was kept */

static int compare_places(const void *a, const void *b)
{
    uint64_t one = ((const struct store_audit_head *)a)->sequence;
    uint64_t other = ((const struct store_audit_head *)b)->sequence;

    return (one > other) - (one < other);
}

/* Those before --since are not compared; their signatures are checked. */
static bool take_kept(struct verification *v, const struct keys_signed_head *heads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!check_signature(v, &heads[i], "kept"))
            return false;
        if (heads[i].head.sequence < v->since)
            continue;
        struct store_audit_head *kept = &v->kept[v->kept_count++];
        kept->sequence = heads[i].head.sequence;
        memcpy(kept->chain, heads[i].head.chain, CA_DIGEST_LEN);
    }
    if (count > 0) {
        memcpy(v->log, heads[0].head.log, KEYS_HEAD_LOG_LEN);
        v->has_log = true;
    }
    return true;
}

static enum ca_err load_kept(struct verification *v)
{
    struct keys_signed_head *heads = NULL;
    size_t count = 0;
    enum ca_err err = CA_OK;

    if (v->heads_path != NULL && (err = witness_load(v->heads_path, &heads, &count)) != CA_OK)
        return err;
    v->kept = calloc(count + 1, sizeof(*v->kept));
    if (v->kept == NULL) {
        free(heads);
        command_failed("out of memory");
        return CA_ERR_NOMEM;
    }
    if (take_kept(v, heads, count) && v->has_head)
        v->kept[v->kept_count++] = v->head;
    qsort(v->kept, v->kept_count, sizeof(*v->kept), compare_places);
    free(heads);
    return CA_OK;
}

static enum ca_err prepare(struct verification *v)
{
    enum ca_err err = ca_arena_new(4096, ARENA_SIZE, &v->arena);

    if (err == CA_OK)
        err = crypto_open(&v->crypto);
    if (err != CA_OK)
        command_failed("%s", ca_err_text(err));
    for (size_t i = 0; i < v->key_count && err == CA_OK; i++)
        err = load_key(v, i);
    return err == CA_OK ? load_kept(v) : err;
}

/* ---- the check */

/* The page's records hold: are the heads that the log has of them the same? */
static bool check_signed(struct verification *v, const struct audit_page *page)
{
    for (size_t i = 0; i < page->head_count; i++) {
        const struct keys_signed_head *head = &page->heads[i];
        uint64_t sequence = head->head.sequence;
        if (sequence > v->chain.at.sequence)
            break; /* came meanwhile */
        const struct store_audit_entry *entry =
            &page->entries[sequence - page->entries[0].sequence];
        if (v->has_log && !ca_bytes_equal(ca_bytes_of(v->log, KEYS_HEAD_LOG_LEN),
                                          ca_bytes_of(head->head.log, KEYS_HEAD_LOG_LEN)))
            return blame(v, "the heads that were kept are of another log");
        if (!ca_bytes_equal(ca_bytes_of(entry->chain, CA_DIGEST_LEN),
                            ca_bytes_of(head->head.chain, CA_DIGEST_LEN)))
            return blame(v, "the signed head of record %" PRIu64 " is of another record", sequence);
        if (!check_signature(v, head, "signed"))
            return false;
        v->signed_count++;
    }
    return true;
}

/* Of data that nobody writes to while they are looked at: is there a head of a record that is not?
 */
static void check_last(struct verification *v, struct audit_log *log)
{
    struct keys_signed_head last;
    enum ca_err err = audit_log_head(log, &last);

    if (err != CA_OK && err != CA_ERR_NOT_FOUND)
        blame(v, "the newest signed head was not read: %s", ca_err_text(err));
    else if (err == CA_OK && last.head.sequence > v->chain.at.sequence)
        blame(v, "a head of record %" PRIu64 " was signed, which is not there: the end was cut off",
              last.head.sequence);
}

static void check_log(struct verification *v, struct audit_log *log)
{
    struct audit_chain *chain = &v->chain;
    enum audit_verdict verdict = AUDIT_HOLDS;
    struct progress progress;
    struct audit_page page;

    audit_chain_init(chain, v->since, v->kept, v->kept_count);
    progress_begin(&progress, "audit log", 0);
    while (verdict == AUDIT_HOLDS && !audit_chain_is_done(chain)) {
        if (audit_log_read(log, chain->at.sequence, AUDIT_PAGE_MAX, &page) != CA_OK) {
            blame(v, "record %" PRIu64 " and those behind it were not read",
                  chain->at.sequence + 1);
            break;
        }
        verdict = audit_chain_check(chain, &page);
        if (verdict == AUDIT_HOLDS && !check_signed(v, &page))
            break;
        progress.total = chain->end.sequence - chain->before.sequence;
        progress_at(&progress, chain->at.sequence - chain->before.sequence);
    }
    progress_end(&progress);
    if (verdict != AUDIT_HOLDS)
        audit_chain_text(chain, verdict, v->problem);
    else if (v->problem[0] == '\0' && v->config_path != NULL)
        check_last(v, log);
}

static int run(const struct command_line *line, struct verification *v)
{
    struct audit_log *log;

    if (prepare(v) != CA_OK)
        return EXIT_FAILURE;
    if (v->problem[0] == '\0') { /* what was kept is what was signed */
        if (audit_log_open(line, v->config_path, &log) != CA_OK)
            return EXIT_FAILURE;
        check_log(v, log);
        audit_log_close(log);
    }
    return report(v, line->is_json);
}

int cmd_audit_verify(int argc, char **argv)
{
    static const char about[] =
        "\nComputes the chain of digests from the records, up to the head, and compares the heads\n"
        "that were signed meanwhile. Exit code 0: it holds; 1: it does not, or could not be read.\n"
        "Keep heads where nobody who can write to the log can, with --witness or audit head: a "
        "log\n"
        "that was rewritten as a whole, or cut off, shows only against a head of before. With\n"
        "--since N only what is new is checked. --audit-key is whose signatures kept heads and\n"
        "those in the log must have: a copy of your own, not the one beside the log.\n";
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
    if (v.has_head && v.head.sequence < v.since)
        return command_wrong("--head is of a record before --since, and would not be checked");
    exit_code = run(&line, &v);
    free(v.kept);
    crypto_close(v.crypto);
    ca_arena_free(v.arena);
    return exit_code;
}

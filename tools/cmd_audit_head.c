/* SPDX-License-Identifier: Apache-2.0 */
/* audit head: the newest signed head, as whoever keeps it has it. */
#include <stdlib.h>

#include "tools/audit_log.h"

enum head_option { HEAD_CONFIG };

static const struct command_option OPTIONS[] = {
    [HEAD_CONFIG] = { "config", "FILE", "no daemon: what is in the data this file names" },
};

static bool take(void *config_path, size_t option, const char *value)
{
    (void)option;
    *(const char **)config_path = value;
    return true;
}

static void print_json(const struct keys_signed_head *head)
{
    struct json json;

    json_init(&json, stdout);
    json_object(&json, NULL);
    json_hex(&json, "log", ca_bytes_of(head->head.log, KEYS_HEAD_LOG_LEN));
    json_number(&json, "sequence", head->head.sequence);
    json_hex(&json, "chain", ca_bytes_of(head->head.chain, CA_DIGEST_LEN));
    json_number(&json, "time_us", head->head.time_us);
    json_hex(&json, "key_id", ca_bytes_of(head->key_id, KEYS_HEAD_KEY_ID_LEN));
    json_hex(&json, "signature", ca_bytes_of(head->signature, KEYS_HEAD_SIGNATURE_LEN));
    json_end(&json);
}

static int run(const struct command_line *line, const char *config_path)
{
    struct keys_signed_head head;
    char note[KEYS_NOTE_MAX + 1];
    struct audit_log *log;

    if (audit_log_open(line, config_path, &log) != CA_OK)
        return EXIT_FAILURE;
    enum ca_err err = audit_log_head(log, &head);
    audit_log_close(log);
    if (err == CA_ERR_NOT_FOUND)
        return command_failed("no head of this audit log is signed");
    if (err != CA_OK)
        return command_failed("the head was not read: %s", ca_err_text(err));
    if (line->is_json)
        print_json(&head);
    else
        fwrite(note, 1, keys_note_write(&head, note), stdout);
    return EXIT_SUCCESS;
}

int cmd_audit_head(int argc, char **argv)
{
    static const char about[] =
        "\nPrints a signed note: four lines, an empty one, and the signature of the four. Kept "
        "where\n"
        "nobody who can write to the log can, it shows later whether the log is still that one:\n"
        "audit verify --heads. With --witness FILE, or CERTMILL_WITNESS, every command keeps the\n"
        "newest head it sees.\n";
    struct command_line line = { .usage = "audit head [OPTION...]",
                                 .about = about,
                                 .options = OPTIONS,
                                 .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
                                 .asks_daemon = true };
    const char *config_path = NULL;
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take, &config_path, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("audit head takes options only");
    if (config_path != NULL && (line.url != NULL || line.dir != NULL))
        return command_wrong("--config asks no daemon: no --url, no --dir");
    return run(&line, config_path);
}

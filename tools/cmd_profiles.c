/* SPDX-License-Identifier: Apache-2.0 */
/* profiles: all that were ever configured, and what each of them said. */
#include <stdlib.h>

#include "ca/base/text.h"
#include "ca/rules/profile.h"
#include "tools/command.h"
#include "tools/config_content.h"
#include "tools/config_profile.h"

enum { WANTED_MAX = 64, ID_TEXT_LEN = 2 * RULES_PROFILE_ID_LEN };

struct wanted {
    uint8_t id[RULES_PROFILE_ID_LEN];
    bool is_found;
};

struct profiles {
    struct wanted wanted[WANTED_MAX]; /* none: all, without what they said */
    size_t wanted_count;
    struct json json;
    bool is_json, is_end;
    size_t wrong; /* told on standard error */
    uint8_t after[RULES_PROFILE_ID_LEN];
    size_t after_len;
};

/* ---- output */

/* Whoever made the record, and whoever answers: the identity is the digest of the content. */
static bool is_true_to_itself(const Certmill__Profile *profile)
{
    uint8_t digest[CA_DIGEST_LEN];

    return config_schema_digest(command_bytes(profile->content), digest) &&
           ca_bytes_equal(command_bytes(profile->id), ca_bytes_of(digest, RULES_PROFILE_ID_LEN));
}

static void print_json(struct json *json, const Certmill__Profile *profile)
{
    struct ca_bytes content = command_bytes(profile->content), piece;

    json_object(json, NULL);
    json_hex(json, "id", command_bytes(profile->id));
    if (profile->status != NULL) {
        command_json_status(json, profile->status);
        json_end(json);
        return;
    }
    json_text(json, "name", profile->name);
    json_signed(json, "introduced_us", profile->introduced_us);
    json_flag(json, "configured", profile->is_configured);
    json_array(json, "content");
    while (config_content_next(&content, &piece))
        json_bytes_text(json, NULL, piece);
    json_end(json);
    json_end(json);
}

static void print_line(const Certmill__Profile *profile, const char *id)
{
    char time[COMMAND_TIME_LEN + 1];

    command_format_time(profile->introduced_us / 1000000, time);
    printf("%s\t%s\t%s\t%s\n", id, time, profile->is_configured ? "configured" : "former",
           profile->name);
}

/* As its file would be. */
static bool print_settings(const Certmill__Profile *profile, const char *id)
{
    char time[COMMAND_TIME_LEN + 1], *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    bool is_good = to != NULL && config_profile_write(command_bytes(profile->content), to);
    is_good = (to == NULL || fclose(to) == 0) && is_good;
    if (is_good) {
        command_format_time(profile->introduced_us / 1000000, time);
        printf("# %s, introduced %s%s\n%s\n", id, time,
               profile->is_configured ? "" : ", no longer configured", text);
    } else {
        command_failed("%s: settings of another version; --json writes them all the same", id);
    }
    free(text);
    return is_good;
}

static bool is_wanted(struct profiles *profiles, struct ca_bytes id)
{
    for (size_t i = 0; i < profiles->wanted_count; i++) {
        struct wanted *wanted = &profiles->wanted[i];
        if (ca_bytes_equal(ca_bytes_of(wanted->id, sizeof(wanted->id)), id))
            return wanted->is_found = true;
    }
    return profiles->wanted_count == 0;
}

static void print_profile(struct profiles *profiles, const Certmill__Profile *profile)
{
    char id[ID_TEXT_LEN + 1];

    if (!is_wanted(profiles, command_bytes(profile->id)))
        return;
    ca_text_hex(command_bytes(profile->id), id);
    if (profile->status != NULL) {
        command_print_status(id, profile->status);
        profiles->wrong++;
    } else if (!is_true_to_itself(profile)) {
        command_failed("%s: is not the digest of what is told of it", id);
        profiles->wrong++;
    }
    if (profiles->is_json)
        print_json(&profiles->json, profile);
    else if (profile->status != NULL)
        return;
    else if (profiles->wanted_count == 0)
        print_line(profile, id);
    else if (!print_settings(profile, id))
        profiles->wrong++;
}

/* ---- asking */

static enum ca_err print_answer(struct profiles *profiles, const Certmill__ProfilesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_profiles; i++) {
        struct ca_bytes id = command_bytes(answer->profiles[i]->id);
        /* ascending, or we would never come to an end */
        if (id.len != RULES_PROFILE_ID_LEN ||
            ca_bytes_compare(id, ca_bytes_of(profiles->after, profiles->after_len)) <= 0)
            return CA_ERR_MESSAGE_MALFORMED;
        print_profile(profiles, answer->profiles[i]);
        for (size_t k = 0; k < id.len; k++)
            profiles->after[k] = id.data[k];
        profiles->after_len = id.len;
    }
    profiles->is_end = answer->is_end || answer->n_profiles == 0;
    return CA_OK;
}

static enum ca_err ask_page(struct rpc_client *client, struct profiles *profiles)
{
    Certmill__ProfilesRequest method = CERTMILL__PROFILES_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    method.after = command_lend(ca_bytes_of(profiles->after, profiles->after_len));
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_PROFILES;
    request.profiles = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    err = answer->method_case == CERTMILL__ANSWER__METHOD_PROFILES
              ? print_answer(profiles, answer->profiles)
              : CA_ERR_MESSAGE_MALFORMED;
    if (err != CA_OK)
        command_failed("%s", ca_err_text(err));
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static int run(const struct command_line *line, struct profiles *profiles)
{
    struct rpc_client *client;
    enum ca_err err = CA_OK;

    if (command_connect(line, &client) != CA_OK)
        return EXIT_FAILURE;
    profiles->is_json = line->is_json;
    json_init(&profiles->json, stdout);
    if (line->is_json)
        json_array(&profiles->json, NULL);
    while (err == CA_OK && !profiles->is_end)
        err = ask_page(client, profiles);
    if (line->is_json)
        json_end(&profiles->json);
    rpc_client_close(client);
    for (size_t i = 0; err == CA_OK && i < profiles->wanted_count; i++) {
        if (profiles->wanted[i].is_found)
            continue;
        command_failed("%s: no such profile", line->argv[i]);
        profiles->wrong++;
    }
    return err == CA_OK && profiles->wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_profiles(int argc, char **argv)
{
    static const char about[] =
        "\nWrites a line for each profile that was ever configured, with tabs between identity,\n"
        "time of its introduction, configured or former, and name. With identities, what those\n"
        "said, as settings. get --status tells the identity of a certificate's profile.\n";
    struct command_line line = { .usage = "profiles [OPTION...] [ID...]",
                                 .about = about,
                                 .asks_daemon = true };
    struct profiles profiles = { .after_len = 0 };
    int exit_code = EXIT_FAILURE;
    size_t len;

    if (!command_line_parse(&line, argc, argv, NULL, NULL, &exit_code))
        return exit_code;
    if (line.argc > WANTED_MAX)
        return command_wrong("at most %d profiles", WANTED_MAX);
    for (int i = 0; i < line.argc; i++) {
        struct wanted *wanted = &profiles.wanted[profiles.wanted_count++];
        if (!ca_text_unhex(line.argv[i], wanted->id, sizeof(wanted->id), &len) ||
            len != sizeof(wanted->id))
            return command_wrong("%s: not an identity: 32 hexadecimal digits", line.argv[i]);
    }
    return run(&line, &profiles);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* crl make, crl list: lists of a running daemon, made now; and which there are. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/crl_target.h"
#include "tools/progress.h"

enum {
    ARENA_MAX = 64 << 20,
    MAKE_TIMEOUT_MS = 600000,
    PAGE = 1000,
    CRL_NAME_LEN = CA_NAME_LEN_MAX + 21
};

static struct command_line command(const char *usage, const char *about,
                                   const struct command_option *options, size_t count)
{
    return (struct command_line){ .usage = usage,
                                  .about = about,
                                  .options = options,
                                  .option_count = count,
                                  .asks_daemon = true };
}

/* ---- what is said of a list */

struct listing {
    bool is_json;
    struct json json;
    uint64_t count, refused;
};

static void listing_begin(struct listing *listing, bool is_json)
{
    *listing = (struct listing){ .is_json = is_json };
    json_init(&listing->json, stdout);
    if (is_json)
        json_array(&listing->json, NULL);
}

static void listing_end(struct listing *listing)
{
    if (listing->is_json)
        json_end(&listing->json);
}

static const char *kind_text(const Certmill__CrlInfo *info)
{
    return info->kind == CERTMILL__CRL_KIND__CRL_DELTA ? "delta" : "full";
}

static void print_json(struct json *json, const Certmill__CrlInfo *info, const char *ca,
                       uint32_t shard)
{
    char text[COMMAND_TIME_LEN + 1];

    json_object(json, NULL);
    command_json_status(json, info->status);
    json_text(json, "ca", ca);
    json_number(json, "shard", shard);
    if (info->number > 0) {
        json_text(json, "kind", kind_text(info));
        json_number(json, "number", info->number);
        if (info->base_number > 0)
            json_number(json, "base_number", info->base_number);
        command_format_time(info->this_update, text);
        json_text(json, "this_update", text);
        command_format_time(info->next_update, text);
        json_text(json, "next_update", text);
        json_number(json, "entries", info->entries);
        json_number(json, "size", info->size);
        json_hex(json, "sha256", command_bytes(info->sha256));
        json_flag(json, "current", info->is_current);
    }
    json_end(json);
}

static void print_row(struct listing *listing, const Certmill__CrlInfo *info, const char *ca,
                      uint32_t shard)
{
    char from[COMMAND_TIME_LEN + 1], until[COMMAND_TIME_LEN + 1];

    if (listing->count == 1)
        printf("%-16s %6s %-5s %8s %12s %14s  %-20s  %-20s\n", "CA", "shard", "kind", "number",
               "entries", "octets", "this update", "next update");
    command_format_time(info->this_update, from);
    command_format_time(info->next_update, until);
    printf("%-16s %6" PRIu32 " %-5s %8" PRIu64 " %12" PRIu64 " %14" PRIu64 "  %s  %s%s\n", ca,
           shard, kind_text(info), info->number, info->entries, info->size, from, until,
           info->is_current ? "" : "  replaced");
}

/* "root", or "root 12" where the number is known. */
static const char *crl_name(const Certmill__CrlInfo *info, const char *ca,
                            char name[CRL_NAME_LEN + 1])
{
    if (info->number == 0)
        return ca;
    snprintf(name, CRL_NAME_LEN + 1, "%s %" PRIu64, ca, info->number);
    return name;
}

static void print_info(struct listing *listing, const Certmill__CrlInfo *info, const char *ca,
                       uint32_t shard)
{
    char what[CRL_NAME_LEN + 1];

    listing->refused += info->status != NULL;
    listing->count += info->status == NULL;
    if (listing->is_json)
        print_json(&listing->json, info, ca, shard);
    else if (info->status != NULL)
        command_print_status(crl_name(info, ca, what), info->status);
    else
        print_row(listing, info, ca, shard);
}

/* ---- make */

static bool take_choice(void *arg, size_t option, const char *value)
{
    return crl_choice_take(arg, option, value);
}

static enum ca_err make_one(struct rpc_client *client, const struct crl_target *target,
                            enum rpc_crl_kind kind, struct listing *listing)
{
    Certmill__CrlScope scope;
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlMakeRequest method = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    certmill__crl_scope__init(&scope);
    scope.ca = (char *)(uintptr_t)target->ca;
    scope.shard = target->shard;
    item.scope = &scope;
    item.kind =
        kind == RPC_CRL_DELTA ? CERTMILL__CRL_KIND__CRL_DELTA : CERTMILL__CRL_KIND__CRL_FULL;
    method.n_items = 1;
    method.items = items;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    if (answer->method_case == CERTMILL__ANSWER__METHOD_CRL_MAKE &&
        answer->crl_make->n_items == 1) {
        print_info(listing, answer->crl_make->items[0], target->ca, target->shard);
    } else {
        err = CA_ERR_MESSAGE_MALFORMED;
        command_failed("%s", ca_err_text(err));
    }
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static int make_all(struct rpc_client *client, const struct crl_choice *choice,
                    const struct crl_targets *targets, bool is_json)
{
    struct listing listing;
    struct progress progress;
    enum ca_err err = CA_OK;

    listing_begin(&listing, is_json);
    progress_begin(&progress, "lists", targets->count);
    for (size_t i = 0; i < targets->count && err == CA_OK; i++) {
        progress_end(&progress); /* the row comes there */
        err = make_one(client, &targets->items[i], choice->kind, &listing);
        progress_at(&progress, i + 1);
    }
    progress_end(&progress);
    listing_end(&listing);
    return err == CA_OK && listing.refused == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int make_chosen(struct command_line *line, const struct crl_choice *choice)
{
    struct rpc_client *client = NULL;
    struct ca_arena *arena = NULL;
    struct crl_targets targets;
    int exit_code = EXIT_FAILURE;

    if (line->timeout_ms == 0)
        line->timeout_ms = MAKE_TIMEOUT_MS;
    if (ca_arena_new(1 << 16, ARENA_MAX, &arena) != CA_OK)
        command_failed("out of memory");
    else if (command_connect(line, &client) == CA_OK &&
             crl_targets_ask(client, choice, arena, &targets, &exit_code))
        exit_code = make_all(client, choice, &targets, line->is_json);
    rpc_client_close(client);
    ca_arena_free(arena);
    return exit_code;
}

int cmd_crl_make(int argc, char **argv)
{
    static const char about[] =
        "\nMakes CRLs now, and tells of them once they are published. A delta list that cannot\n"
        "be made, or would not be short, is made as a complete one.\n";
    static const struct command_option options[] = { CRL_CHOICE_OPTIONS };
    struct command_line line =
        command("crl make [OPTION...]", about, options, CRL_CHOICE_OPTION_COUNT);
    struct crl_choice choice = { 0 };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take_choice, &choice, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("crl make takes options only");
    return make_chosen(&line, &choice);
}

/* ---- list */

/* One page; *after moves on, *is_last_out when there are no more. */
static enum ca_err list_page(struct rpc_client *client, const struct crl_choice *choice,
                             uint64_t *after, bool *is_last_out, struct listing *listing)
{
    Certmill__CrlScope scope;
    Certmill__CrlListRequest method = CERTMILL__CRL_LIST_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    certmill__crl_scope__init(&scope);
    if (choice->ca != NULL) {
        scope.ca = (char *)(uintptr_t)choice->ca;
        scope.shard = (uint32_t)choice->shard;
        method.scope = &scope;
    }
    method.after = *after;
    method.limit = PAGE;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_LIST;
    request.crl_list = &method;
    enum ca_err err = command_ask(client, &request, &answer);
    if (err != CA_OK)
        return err;
    const Certmill__CrlListAnswer *list =
        answer->method_case == CERTMILL__ANSWER__METHOD_CRL_LIST ? answer->crl_list : NULL;
    if (list == NULL || list->status != NULL) {
        err = list == NULL ? CA_ERR_MESSAGE_MALFORMED : CA_ERR_DENIED;
        if (list == NULL)
            command_failed("%s", ca_err_text(err));
        else
            command_print_status("crl list", list->status);
    } else {
        for (size_t i = 0; i < list->n_items; i++) {
            const Certmill__CrlInfo *info = list->items[i];
            print_info(listing, info, info->scope == NULL ? "" : info->scope->ca,
                       info->scope == NULL ? 0 : info->scope->shard);
            *after = choice->ca == NULL ? *after + 1 : info->number;
        }
        *is_last_out = list->n_items < PAGE;
    }
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

static bool take_list(void *arg, size_t option, const char *value)
{
    struct crl_choice *choice = arg;

    if (option == CRL_OPTION_CA)
        choice->ca = value;
    return option == CRL_OPTION_CA || crl_choice_take(choice, CRL_OPTION_SHARD, value);
}

int cmd_crl_list(int argc, char **argv)
{
    static const char about[] =
        "\nThe lists that are published; with --ca, all that ever were, oldest first.\n";
    static const struct command_option options[] = {
        [CRL_OPTION_CA] = { "ca", "NAME", "every list of this CA", 0 },
        [CRL_OPTION_SHARD] = { "shard", "N", "with --ca: of this shard of it (default: 0)", 0 },
    };
    struct command_line line = command("crl list [OPTION...]", about, options, 2);
    struct crl_choice choice = { 0 };
    struct rpc_client *client;
    struct listing listing;
    uint64_t after = 0;
    bool is_last = false;
    enum ca_err err = CA_OK;
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, take_list, &choice, &exit_code))
        return exit_code;
    if (line.argc > 0)
        return command_wrong("crl list takes options only");
    if (choice.has_shard && choice.ca == NULL)
        return command_wrong("--shard needs --ca");
    if (command_connect(&line, &client) != CA_OK)
        return EXIT_FAILURE;
    listing_begin(&listing, line.is_json);
    while (err == CA_OK && !is_last)
        err = list_page(client, &choice, &after, &is_last, &listing);
    listing_end(&listing);
    rpc_client_close(client);
    return err == CA_OK && listing.refused == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

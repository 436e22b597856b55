/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/audit_log.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tools/config.h"
#include "tools/witness.h"

struct audit_log {
    struct rpc_client *client; /* of a running daemon, or */
    struct config *config;
    struct store *store;
    struct store_view *view;
    Certmill__Answer *answer; /* what the page was lent from */
    struct store_audit_entry entries[AUDIT_PAGE_MAX];
    struct keys_signed_head heads[AUDIT_PAGE_MAX];
};

const char *audit_kind_name(enum store_audit_kind kind)
{
    switch (kind) {
    case STORE_AUDIT_ISSUED: return "issued";
    case STORE_AUDIT_REFUSED: return "refused";
    case STORE_AUDIT_STARTED: return "started";
    case STORE_AUDIT_STOPPED: return "stopped";
    case STORE_AUDIT_REVOKED: return "revoked";
    case STORE_AUDIT_HELD: return "held";
    case STORE_AUDIT_RELEASED: return "released";
    case STORE_AUDIT_ACKNOWLEDGED: return "acknowledged";
    case STORE_AUDIT_ABANDONED: return "abandoned";
    case STORE_AUDIT_CRL: return "crl";
    case STORE_AUDIT_PROFILE: return "profile";
    }
    return "?";
}

/* ---- open and close */

static enum ca_err open_files(struct audit_log *log, const char *config_path)
{
    enum ca_err err = config_load(config_path, stderr, &log->config);

    if (err != CA_OK)
        return err;
    struct store_options options = log->config->store;
    options.is_read_only = true;
    if ((err = store_open(log->config->data_path, &options, &log->store)) != CA_OK ||
        (err = store_view_open(log->store, &log->view)) != CA_OK)
        command_failed("%s: %s", log->config->data_path, ca_err_text(err));
    return err;
}

enum ca_err audit_log_open(const struct command_line *line, const char *config_path,
                           struct audit_log **log_out)
{
    struct audit_log *log = calloc(1, sizeof(*log));
    enum ca_err err;

    *log_out = NULL;
    if (log == NULL) {
        command_failed("out of memory");
        return CA_ERR_NOMEM;
    }
    err = config_path == NULL ? command_connect(line, &log->client) : open_files(log, config_path);
    if (err == CA_OK)
        *log_out = log;
    else
        audit_log_close(log);
    return err;
}

void audit_log_close(struct audit_log *log)
{
    if (log == NULL)
        return;
    if (log->answer != NULL)
        certmill__answer__free_unpacked(log->answer, NULL);
    rpc_client_close(log->client);
    store_view_close(log->view);
    store_close(log->store);
    config_free(log->config);
    free(log);
}

/* ---- from a daemon */

static bool take_digest(ProtobufCBinaryData data, struct store_digest *digest)
{
    if (data.len != STORE_DIGEST_LEN)
        return false;
    memcpy(digest->bytes, data.data, STORE_DIGEST_LEN);
    return true;
}

static bool take_chain(ProtobufCBinaryData data, uint8_t chain[CA_DIGEST_LEN])
{
    if (data.len != CA_DIGEST_LEN)
        return false;
    memcpy(chain, data.data, CA_DIGEST_LEN);
    return true;
}

/* What has the form of a record, be it true or not. */
static bool take_record(const Certmill__AuditRecord *record, struct store_audit_entry *entry)
{
    struct store_audit *audit = &entry->audit;

    if (record->kind < 0 || record->kind > UINT8_MAX || record->actor.len > UINT8_MAX ||
        record->object.len > UINT8_MAX)
        return false;
    entry->sequence = record->sequence;
    audit->kind = (enum store_audit_kind)record->kind;
    audit->time_us = (uint64_t)record->time_us;
    audit->actor = command_bytes(record->actor);
    audit->object = command_bytes(record->object);
    return take_digest(record->request, &audit->request) &&
           take_digest(record->body, &audit->body) && take_chain(record->chain, entry->chain);
}

/* Of the page's records, and no more than these. */
static bool take_heads(struct audit_log *log, const Certmill__AuditAnswer *answer,
                       struct audit_page *page)
{
    uint64_t last = page->before.sequence;

    if (answer->n_heads > page->count)
        return false;
    for (size_t i = 0; i < answer->n_heads; i++) {
        struct keys_signed_head *head = &log->heads[i];
        if (!witness_read(answer->heads[i], head) || head->head.sequence <= last ||
            head->head.sequence > log->entries[page->count - 1].sequence)
            return false;
        last = head->head.sequence;
    }
    page->head_count = answer->n_heads;
    return true;
}

static enum ca_err take_answer(struct audit_log *log, uint64_t since, size_t limit,
                               struct audit_page *page)
{
    const Certmill__AuditAnswer *answer = log->answer->audit;
    uint64_t last = since;

    if (log->answer->method_case != CERTMILL__ANSWER__METHOD_AUDIT || answer->n_records > limit ||
        !take_chain(answer->head, page->last.chain))
        return CA_ERR_MESSAGE_MALFORMED;
    page->last.sequence = answer->last;
    page->before.sequence = since;
    page->has_before = answer->before.len > 0;
    if (page->has_before && !take_chain(answer->before, page->before.chain))
        return CA_ERR_MESSAGE_MALFORMED;
    for (size_t i = 0; i < answer->n_records; i++) {
        /* ascending, or we would never come to an end */
        if (!take_record(answer->records[i], &log->entries[i]) || log->entries[i].sequence <= last)
            return CA_ERR_MESSAGE_MALFORMED;
        last = log->entries[i].sequence;
    }
    page->count = answer->n_records;
    return take_heads(log, answer, page) ? CA_OK : CA_ERR_MESSAGE_MALFORMED;
}

static enum ca_err ask_page(struct audit_log *log, uint64_t since, size_t limit,
                            struct audit_page *page)
{
    Certmill__AuditRequest method = CERTMILL__AUDIT_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    if (log->answer != NULL)
        certmill__answer__free_unpacked(log->answer, NULL);
    log->answer = NULL;
    method.since = since;
    method.limit = (uint32_t)limit;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_AUDIT;
    request.audit = &method;
    enum ca_err err = command_ask(log->client, &request, &log->answer);
    if (err != CA_OK)
        return err;
    if ((err = take_answer(log, since, limit, page)) != CA_OK)
        command_failed("%s", ca_err_text(err));
    return err;
}

/* ---- from files */

static enum ca_err find_page(struct audit_log *log, uint64_t since, size_t limit,
                             struct audit_page *page)
{
    enum ca_err err = store_view_audit_head(log->view, &page->last);

    if (err == CA_OK) {
        err = store_find_audit_head(log->view, since, &page->before);
        page->has_before = err == CA_OK;
    }
    if (err == CA_OK || err == CA_ERR_NOT_FOUND) /* behind the end there is nothing */
        err = store_find_audit(log->view, since, log->entries, limit, &page->count);
    if (err == CA_OK && page->count > 0)
        err = store_find_signed_heads(log->view, since, log->entries[page->count - 1].sequence,
                                      log->heads, page->count, &page->head_count);
    if (err != CA_OK)
        command_failed("%s: %s: %s", log->config->data_path, ca_err_name(err), ca_err_text(err));
    return err;
}

enum ca_err audit_log_read(struct audit_log *log, uint64_t since, size_t limit,
                           struct audit_page *page_out)
{
    *page_out = (struct audit_page){ .entries = log->entries, .heads = log->heads };
    limit = limit < AUDIT_PAGE_MAX ? limit : AUDIT_PAGE_MAX;
    enum ca_err err = log->client != NULL ? ask_page(log, since, limit, page_out)
                                          : find_page(log, since, limit, page_out);
    if (err != CA_OK)
        *page_out = (struct audit_page){ 0 };
    return err;
}

/* Any answer brings it. */
static enum ca_err ask_head(struct audit_log *log, struct keys_signed_head *head_out)
{
    Certmill__HealthRequest method = CERTMILL__HEALTH_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;

    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_HEALTH;
    request.health = &method;
    enum ca_err err = command_ask(log->client, &request, &answer);
    if (err != CA_OK)
        return err;
    if (answer->head == NULL)
        err = CA_ERR_NOT_FOUND;
    else if (!witness_read(answer->head, head_out))
        err = CA_ERR_MESSAGE_MALFORMED;
    certmill__answer__free_unpacked(answer, NULL);
    return err;
}

enum ca_err audit_log_head(struct audit_log *log, struct keys_signed_head *head_out)
{
    memset(head_out, 0, sizeof(*head_out));
    return log->client != NULL ? ask_head(log, head_out)
                               : store_find_last_signed_head(log->view, head_out);
}

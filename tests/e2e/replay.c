/* SPDX-License-Identifier: Apache-2.0 */
/* replay: the same request again and again, from many connections and across a restart. */
#include <pthread.h>

#include "tests/support/check.h"
#include "tests/support/daemon.h"

enum { CONNECTIONS = 10, TIMES = 10, PATIENCE_MS = 60000, IDS = 4 };

static struct daemon service;
static const char *const ids[IDS] = { "replay-0000000000", "replay-0000000001", "replay-0000000002",
                                      "replay-0000000003" };

static void start(void)
{
    daemon_make(&service);
    daemon_start(&service);
}

static void stop(void)
{
    daemon_stop(&service);
    daemon_unmake(&service);
}

TestSuite(replay, .init = start, .fini = stop, .timeout = 600);

/* All ids in one message, each of them twice; returns when all are certificates. */
static Certmill__Answer *ask(struct rpc_client *client)
{
    struct daemon_item items[2 * IDS];
    Certmill__IssueItem *pointers[2 * IDS];

    for (size_t i = 0; i < 2 * IDS; i++) {
        daemon_item(&service, &items[i], ids[i / 2], i / 2);
        pointers[i] = &items[i].item;
    }
    for (;;) {
        Certmill__Answer *answer = daemon_issue(client, pointers, 2 * IDS);
        bool is_done = true;
        for (size_t i = 0; i < 2 * IDS; i++) {
            const Certmill__Status *status = answer->issue->items[i]->status;
            if (status == NULL)
                continue;
            cr_assert(strcmp(status->code, "UNKNOWN") == 0, "%s", status->code);
            is_done = false;
        }
        if (is_done)
            return answer;
        certmill__answer__free_unpacked(answer, NULL);
    }
}

static void check_same(const Certmill__Answer *a, const Certmill__Answer *b)
{
    for (size_t i = 0; i < 2 * IDS; i++) {
        const Certmill__IssueResult *one = a->issue->items[i], *other = b->issue->items[i];
        check_bytes(ca_bytes_of(one->certificate.data, one->certificate.len),
                    ca_bytes_of(other->certificate.data, other->certificate.len));
        check_bytes(ca_bytes_of(one->serial.data, one->serial.len),
                    ca_bytes_of(other->serial.data, other->serial.len));
        cr_assert(one->not_before == other->not_before && one->not_after == other->not_after);
    }
}

static void *asker_run(void *answer_out)
{
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);
    Certmill__Answer *first = ask(client);

    for (unsigned i = 1; i < TIMES; i++) {
        Certmill__Answer *answer = ask(client);
        check_same(answer, first);
        certmill__answer__free_unpacked(answer, NULL);
    }
    rpc_client_close(client);
    *(Certmill__Answer **)answer_out = first;
    return NULL;
}

static Certmill__Answer *ask_from_everywhere(void)
{
    Certmill__Answer *answers[CONNECTIONS];
    pthread_t threads[CONNECTIONS];

    for (size_t i = 0; i < CONNECTIONS; i++)
        cr_assert(pthread_create(&threads[i], NULL, asker_run, &answers[i]) == 0);
    for (size_t i = 0; i < CONNECTIONS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 1; i < CONNECTIONS; i++) {
        check_same(answers[i], answers[0]);
        certmill__answer__free_unpacked(answers[i], NULL);
    }
    return answers[0];
}

static uint64_t counter(const char *name)
{
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);
    uint64_t value = daemon_counter(client, name);

    rpc_client_close(client);
    return value;
}

Test(replay, one_request_asked_a_hundred_times_at_once_and_after_a_crash_is_one_certificate)
{
    Certmill__Answer *before = ask_from_everywhere();
    cr_assert_eq(counter("store.certificates"), IDS);
    daemon_kill(&service);
    daemon_start(&service);
    Certmill__Answer *after = ask_from_everywhere();

    check_same(after, before);
    cr_assert_eq(counter("store.certificates"), IDS);
    cr_assert_eq(counter("store.intents"), 0);
    certmill__answer__free_unpacked(before, NULL);
    certmill__answer__free_unpacked(after, NULL);
}

static void check_conflict(struct rpc_client *client, struct daemon_item *item)
{
    Certmill__IssueItem *pointer = &item->item;

    daemon_make_crl(client); /* the first one after the start is audited, too */
    uint64_t audits = daemon_counter(client, "store.audit");

    Certmill__Answer *answer = daemon_issue(client, &pointer, 1);
    const Certmill__IssueResult *result = answer->issue->items[0];
    cr_assert(result->status != NULL && result->certificate.len == 0 && result->serial.len == 0);
    cr_assert_str_eq(result->status->code, "IDEMPOTENCY_CONFLICT");
    cr_assert_str_eq(result->status->field, "request_id");
    cr_assert_eq(daemon_counter(client, "store.audit"), audits + 1);
    cr_assert_eq(daemon_counter(client, "store.certificates"), 1);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(replay, another_body_under_a_used_request_id_is_refused_and_audited)
{
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);
    struct daemon_item item, other;
    Certmill__IssueItem *pointer = &item.item;
    Certmill__IssueItem changed;
    struct store_info info;

    daemon_item(&service, &item, ids[0], 0);
    certmill__answer__free_unpacked(daemon_issue(client, &pointer, 1), NULL);

    daemon_item(&service, &other, ids[0], 1); /* another key and name */
    check_conflict(client, &other);
    changed = item.item;
    item.item.term = 90; /* another term */
    check_conflict(client, &item);
    item.item = changed;
    item.item.ca = service.names[0] + strlen(service.names[0]); /* said or not: not the same */
    item.item.n_alt_names = 0;
    check_conflict(client, &item);
    daemon_kill(&service);
    daemon_start(&service);
    check_conflict(client, &other);

    rpc_client_close(client);
    daemon_stop(&service);
    daemon_check_store(&service, &info);
    cr_assert_eq(info.certificate_count, 1);
    cr_assert_eq(info.intent_count, 0);
    daemon_start(&service);
}

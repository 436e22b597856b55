/* SPDX-License-Identifier: Apache-2.0 */
/* Finding over RPC: pages and their cursors, what nobody has, what is asked wrong. */
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/instance.h"

enum { CERTS = 6 };

static struct instance instance;
static uint8_t serials[CERTS][CA_SERIAL_LEN];

/* Six certificates of one holder, in order. */
static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
    for (size_t i = 0; i < CERTS; i++) {
        Certmill__IssueItem item, *items[] = { &item };
        char id[32];
        snprintf(id, sizeof(id), "request-to-find-%zu", i);
        instance_item(&item, id, instance_csr(&instance, CRYPTO_KEY_P256, "holder"));
        Certmill__Answer *answer = instance_issue(&instance, items, 1);
        const Certmill__IssueResult *result = answer->issue->items[0];
        cr_assert(result->status == NULL && result->serial.len == CA_SERIAL_LEN);
        memcpy(serials[i], result->serial.data, CA_SERIAL_LEN);
        certmill__answer__free_unpacked(answer, NULL);
    }
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(find, .init = start, .fini = stop, .timeout = 60);

static Certmill__Answer *find_all(Certmill__FindQuery **queries, size_t count)
{
    Certmill__FindRequest find = CERTMILL__FIND_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    find.n_queries = count;
    find.queries = queries;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_FIND;
    request.find = &find;
    Certmill__Answer *answer = instance_ask(&instance, &request);
    cr_assert(answer->find != NULL && answer->find->n_items == count);
    return answer;
}

/* By holder, time or key; for key the SubjectPublicKeyInfo of nobody. */
static void query_of(Certmill__FindQuery *query, Certmill__FindQuery__ByCase by)
{
    static Certmill__Value value;
    static Certmill__Value *values[] = { &value };
    static Certmill__Identity identity;
    static Certmill__TimeRange time;

    certmill__find_query__init(query);
    certmill__value__init(&value);
    certmill__identity__init(&identity);
    certmill__time_range__init(&time);
    value.name = rpc_text("CN");
    value.value = rpc_binary(CA_BYTES("holder"));
    identity.n_values = 1;
    identity.values = values;
    query->by_case = by;
    if (by == CERTMILL__FIND_QUERY__BY_IDENTITY)
        query->identity = &identity;
    else if (by == CERTMILL__FIND_QUERY__BY_TIME)
        query->time = &time;
    else if (by == CERTMILL__FIND_QUERY__BY_KEY)
        query->key = rpc_binary(CA_BYTES("no key at all"));
}

/* Reads pages of so many until there are no more; all are found once, in order. */
static void check_pages(Certmill__FindQuery__ByCase by, uint32_t limit)
{
    Certmill__FindQuery query, *queries[] = { &query };
    uint8_t cursor[64];
    size_t found = 0, pages = 0;

    query_of(&query, by);
    query.limit = limit;
    do {
        Certmill__Answer *answer = find_all(queries, 1);
        const Certmill__FindResult *page = answer->find->items[0];
        cr_assert(page->status == NULL && page->n_certificates <= limit && ++pages <= CERTS + 1);
        for (size_t i = 0; i < page->n_certificates; i++, found++) {
            cr_assert(found < CERTS);
            check_bytes(rpc_bytes(page->certificates[i]->serial),
                        ca_bytes_of(serials[found], CA_SERIAL_LEN));
        }
        cr_assert(page->cursor.len <= sizeof(cursor));
        cr_assert(page->cursor.len == 0 || page->n_certificates == limit);
        if (page->cursor.len > 0)
            memcpy(cursor, page->cursor.data, page->cursor.len);
        query.cursor = rpc_binary(ca_bytes_of(cursor, page->cursor.len));
        certmill__answer__free_unpacked(answer, NULL);
    } while (query.cursor.len > 0);
    cr_assert_eq(found, CERTS);
}

Test(find, pages_of_any_length_have_all_in_order_and_end)
{
    for (uint32_t limit = 1; limit <= CERTS + 1; limit++) {
        check_pages(CERTMILL__FIND_QUERY__BY_IDENTITY, limit);
        check_pages(CERTMILL__FIND_QUERY__BY_TIME, limit);
    }
}

Test(find, a_cursor_at_the_end_finds_nothing_and_has_no_next)
{
    static const uint8_t last[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    Certmill__FindQuery query, *queries[] = { &query };
    const Certmill__FindQuery__ByCase ways[] = { CERTMILL__FIND_QUERY__BY_IDENTITY,
                                                 CERTMILL__FIND_QUERY__BY_TIME,
                                                 CERTMILL__FIND_QUERY__BY_KEY };

    for (size_t way = 0; way < 3; way++) {
        for (size_t i = 0; i < 2; i++) {
            query_of(&query, ways[way]);
            query.cursor = rpc_binary(i == 0 ? ca_bytes_of(serials[CERTS - 1], 8)
                                             : ca_bytes_of(last, sizeof(last)));
            Certmill__Answer *answer = find_all(queries, 1);
            cr_assert(answer->find->items[0]->status == NULL);
            cr_assert_eq(answer->find->items[0]->n_certificates, 0);
            cr_assert_eq(answer->find->items[0]->cursor.len, 0);
            certmill__answer__free_unpacked(answer, NULL);
        }
    }
}

Test(find, all_queries_of_a_message_share_what_an_answer_holds)
{
    Certmill__FindQuery query[2], *queries[] = { &query[0], &query[1] };

    query_of(&query[0], CERTMILL__FIND_QUERY__BY_TIME);
    query_of(&query[1], CERTMILL__FIND_QUERY__BY_TIME);
    query[0].limit = query[1].limit = RPC_FIND_LIMIT_MAX;
    Certmill__Answer *answer = find_all(queries, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert(answer->find->items[i]->status == NULL);
        cr_assert_eq(answer->find->items[i]->n_certificates, CERTS);
        cr_assert_eq(answer->find->items[i]->cursor.len, 0);
    }
    certmill__answer__free_unpacked(answer, NULL);
}

static void check_refused(Certmill__FindQuery *query, const char *code, const char *field)
{
    Certmill__FindQuery *queries[] = { query };
    Certmill__Answer *answer = find_all(queries, 1);
    const Certmill__Status *status = answer->find->items[0]->status;

    cr_assert(status != NULL, "%s was not refused", field);
    cr_assert_str_eq(status->code, code);
    cr_assert_str_eq(status->field, field);
    cr_assert_eq(answer->find->items[0]->n_certificates, 0);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(find, what_is_asked_wrong_is_refused)
{
    Certmill__FindQuery query;

    for (size_t len = 1; len <= 17; len++) {
        query_of(&query, CERTMILL__FIND_QUERY__BY_TIME);
        query.cursor = rpc_binary(ca_bytes_of(serials[0], len));
        if (len != 8)
            check_refused(&query, "CURSOR", "cursor");
    }
    query_of(&query, CERTMILL__FIND_QUERY__BY_TIME);
    query.limit = RPC_FIND_LIMIT_MAX + 1;
    check_refused(&query, "FIELD_FORMAT", "limit");
    query_of(&query, CERTMILL__FIND_QUERY__BY__NOT_SET);
    check_refused(&query, "FIELD_REQUIRED", "by");
    query_of(&query, CERTMILL__FIND_QUERY__BY_TIME);
    query.time->from = -1;
    check_refused(&query, "FIELD_FORMAT", "time");
    query_of(&query, CERTMILL__FIND_QUERY__BY_TIME);
    query.time->until = INT64_MAX;
    check_refused(&query, "FIELD_FORMAT", "time");
    query_of(&query, CERTMILL__FIND_QUERY__BY_IDENTITY);
    query.identity->n_values = 0;
    check_refused(&query, "FIELD_REQUIRED", "identity");
}

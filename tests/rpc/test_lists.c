/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of damaged records in lists, and of those around them. */
#include <stdio.h>

#include "store/record_status.h"
#include "tests/support/check.h"
#include "tests/support/data_file.h"
#include "tests/support/life.h"

enum { COUNT = 5, DAMAGED = 2 };

static struct instance instance;
static struct ca_serial serials[COUNT];

static void start(void)
{
    char id[32], name[32];

    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "lists-request-%03d", i);
        snprintf(name, sizeof(name), "holder %d", i);
        struct life_issued issued = life_new(&instance, id, name);
        cr_assert_str_eq(issued.code, "OK");
        serials[i] = issued.serial;
    }
}

static void stop(void)
{
    instance_stop(&instance);
    instance_unmake(&instance);
}

TestSuite(lists, .init = start, .fini = stop, .timeout = 60);

static void damage(const char *table, struct ca_bytes key)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    data_file_damage(path, table, key);
}

static Certmill__Answer *find(Certmill__FindQuery *query)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__FindRequest method = CERTMILL__FIND_REQUEST__INIT;

    method.n_queries = 1;
    method.queries = &query;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_FIND;
    request.find = &method;
    Certmill__Answer *answer = instance_ask(&instance, &request);
    cr_assert(answer->status == NULL && answer->find->n_items == 1);
    cr_assert_null(answer->find->items[0]->status);
    return answer;
}

/* All are listed by pages of `limit`, and of DAMAGED only what its name is. */
static void check_listed(Certmill__FindQuery *query, uint32_t limit, Certmill__State state)
{
    uint8_t cursor[64];
    size_t seen = 0;

    query->limit = limit;
    query->cursor = rpc_binary(ca_bytes_of(cursor, 0));
    do {
        Certmill__Answer *answer = find(query);
        const Certmill__FindResult *page = answer->find->items[0];
        for (size_t i = 0; i < page->n_certificates; i++, seen++) {
            const Certmill__Certificate *found = page->certificates[i];
            check_bytes(rpc_bytes(found->serial), ca_serial_bytes(&serials[seen]));
            cr_assert_eq(found->status != NULL, seen == DAMAGED);
            cr_assert_eq(found->state, seen == DAMAGED ? CERTMILL__STATE__STATE_NONE : state);
            cr_assert_eq(found->certificate.len > 0, seen != DAMAGED);
            if (found->status != NULL)
                cr_assert_str_eq(found->status->code, "STORAGE_CORRUPT");
        }
        cr_assert_leq(page->cursor.len, sizeof(cursor));
        query->cursor = rpc_binary(ca_bytes_of(cursor, page->cursor.len));
        for (size_t i = 0; i < page->cursor.len; i++)
            cursor[i] = page->cursor.data[i];
        certmill__answer__free_unpacked(answer, NULL);
    } while (query->cursor.len > 0);
    cr_assert_eq(seen, COUNT);
}

static void check_listed_by_time(Certmill__State state)
{
    Certmill__FindQuery query = CERTMILL__FIND_QUERY__INIT;
    Certmill__TimeRange range = CERTMILL__TIME_RANGE__INIT;

    query.by_case = CERTMILL__FIND_QUERY__BY_TIME;
    query.time = &range;
    for (uint32_t limit = 1; limit <= COUNT + 1; limit++)
        check_listed(&query, limit, state);
}

Test(lists, a_damaged_certificate_is_told_in_its_place)
{
    damage("certificates", ca_serial_bytes(&serials[DAMAGED]));
    check_listed_by_time(VALID);
}

static void hold_all(void)
{
    char id[32];

    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "lists-hold-000%03d", i);
        cr_assert_str_eq(life_act(&instance, id, HOLD, &serials[i], 0).code, "OK");
    }
}

Test(lists, a_certificate_whose_state_is_damaged_is_told_in_its_place)
{
    struct store_certificate record;
    struct store_view *view;
    uint8_t key[STORE_SERIAL_KEY_LEN];

    hold_all();
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_serial(view, &serials[DAMAGED], &record));
    store_view_close(view);
    const struct store_scope scope = { record.issuer, record.crl_shard };
    store_record_serial_key(&scope, &serials[DAMAGED], key);
    damage("revoked", ca_bytes_of(key, sizeof(key)));
    check_listed_by_time(HELD);
}

Test(lists, a_key_whose_certificate_is_damaged_is_not_certified_again)
{
    struct life_issued issued;
    Certmill__IssueItem item;
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "twice");

    instance_stop(&instance);
    instance.profiles[0].rules.key_reuse = RULES_KEY_REUSE_SAME_HOLDER;
    instance_start(&instance);
    instance_item(&item, "lists-key-request-1", csr);
    issued = life_ask(&instance, &item);
    cr_assert_str_eq(issued.code, "OK");
    damage("certificates", ca_serial_bytes(&issued.serial));
    instance_item(&item, "lists-key-request-2", csr);
    cr_assert_str_eq(life_ask(&instance, &item).code, "STORAGE_CORRUPT");
}

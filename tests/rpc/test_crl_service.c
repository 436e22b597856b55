/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "store/record_status.h"
#include "tests/support/check.h"
#include "tests/support/data_file.h"
#include "tests/support/instance.h"

enum { DAY_S = 86400, ENTRIES = 30000, FILE_MAX = 8 << 20 };

static struct instance instance;
static char folder[80];
static uint8_t fetched[FILE_MAX], published[FILE_MAX];

static void make_instance(void)
{
    static const struct rpc_crl_schedule schedule = { 7 * DAY_S, DAY_S, 0, 0, 0 };

    instance_make(&instance, CRYPTO_KEY_P256);
    snprintf(folder, sizeof(folder), "%s/crl", instance.dir);
    instance.config.crl_path = folder;
    for (size_t i = 0; i < INSTANCE_CAS; i++)
        instance.cas[i].crl = schedule;
    instance.cas[1].issuer.crl_shard_count = 3;
}

static void start(void)
{
    make_instance();
    cr_assert(mkdir(folder, 0755) == 0);
    instance_start(&instance);
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(crl_service, .init = start, .fini = stop, .timeout = 120);

/* ---- asking */

static Certmill__CrlScope scope_of(const char *ca, uint32_t shard)
{
    Certmill__CrlScope scope;

    certmill__crl_scope__init(&scope);
    scope.ca = rpc_text(ca);
    scope.shard = shard;
    return scope;
}

static Certmill__Answer *ask(int method, void *body)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    request.version = RPC_VERSION;
    request.method_case = method;
    request.crl_make = body; /* one of a union of pointers */
    return instance_ask(&instance, &request);
}

static struct asker *make_begin(Certmill__CrlScope *scope)
{
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlMakeRequest make = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    item.scope = scope;
    make.n_items = 1;
    make.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &make;
    return instance_ask_begin(&instance, &request);
}

static uint64_t make(const char *ca, uint32_t shard)
{
    Certmill__CrlScope scope = scope_of(ca, shard);
    Certmill__Answer *answer = instance_ask_end(make_begin(&scope));

    cr_assert(answer->crl_make != NULL && answer->crl_make->items[0]->status == NULL);
    uint64_t number = answer->crl_make->items[0]->number;
    certmill__answer__free_unpacked(answer, NULL);
    return number;
}

static Certmill__Answer *get(const char *ca, uint64_t number, uint64_t offset)
{
    Certmill__CrlScope scope = scope_of(ca, 0);
    Certmill__CrlGetRequest method = CERTMILL__CRL_GET_REQUEST__INIT;

    method.scope = &scope;
    method.number = number;
    method.offset = offset;
    Certmill__Answer *answer = ask(CERTMILL__REQUEST__METHOD_CRL_GET, &method);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_CRL_GET);
    return answer;
}

static void check_not_got(const char *ca, uint64_t number, uint64_t offset, const char *code,
                          const char *field)
{
    Certmill__Answer *answer = get(ca, number, offset);

    cr_assert(answer->crl_get->status != NULL && answer->crl_get->data.len == 0);
    cr_assert_str_eq(answer->crl_get->status->code, code);
    cr_assert_str_eq(answer->crl_get->status->field, field);
    certmill__answer__free_unpacked(answer, NULL);
}

static Certmill__Answer *list(Certmill__CrlScope *scope, uint64_t after, uint32_t limit)
{
    Certmill__CrlListRequest method = CERTMILL__CRL_LIST_REQUEST__INIT;

    method.scope = scope;
    method.after = after;
    method.limit = limit;
    Certmill__Answer *answer = ask(CERTMILL__REQUEST__METHOD_CRL_LIST, &method);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_CRL_LIST);
    return answer;
}

static size_t load(const char *name, uint8_t *bytes)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *from = fopen(path, "rb");
    cr_assert(from != NULL, "%s", path);
    size_t len = fread(bytes, 1, FILE_MAX, from);
    fclose(from);
    return len;
}

/* Made beside, so that it is not the inode of the one it replaces. */
static void save(const char *name, struct ca_bytes bytes)
{
    char path[160], beside[176];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *to = fopen(beside, "wb");
    cr_assert(to != NULL && fwrite(bytes.data, 1, bytes.len, to) == bytes.len && fclose(to) == 0);
    cr_assert(rename(beside, path) == 0);
}

/* ---- entries */

static struct store_digest issuer_of(size_t ca)
{
    uint8_t buffer[512], digest[CA_DIGEST_LEN];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_spki_write(&writer, instance.cas[ca].issuer.key);
    struct ca_bytes spki = der_writer_bytes(&writer);
    crypto_sha256(&spki, 1, digest);
    return rpc_store_digest(digest);
}

static enum ca_err put_many(void *arg, struct store_batch *batch)
{
    struct store_status_change change = {
        .scope = { issuer_of(0), 0 },
        .old_state = STORE_STATE_VALID,
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = X509_CRL_SUPERSEDED,
                    .revoked_s = 1700000000,
                    .not_after_s = 4000000000 },
    };
    enum ca_err err = CA_OK;

    (void)arg;
    for (uint64_t n = 0; n < ENTRIES && err == CA_OK; n++) {
        uint8_t random[CA_SERIAL_RANDOM_LEN] = { (uint8_t)n };
        change.serial = ca_serial_make(7, 1000000 + n, random);
        const struct store_audit audit = { .kind = STORE_AUDIT_REVOKED,
                                           .time_us = 1700000000000000,
                                           .actor = CA_BYTES("test"),
                                           .object = ca_serial_bytes(&change.serial) };
        err = store_put_status(batch, &change, &audit);
    }
    return err;
}

/* ---- get */

Test(crl_service, the_parts_of_a_list_are_the_published_file)
{
    uint64_t offset = 0, size = 1, parts = 0;
    uint8_t digest[CA_DIGEST_LEN];

    check_ok(rpc_pipeline_write(instance.pipeline, put_many, NULL));
    uint64_t number = make("root", 0);
    size_t len = load("root.crl", published);
    crypto_sha256(&(struct ca_bytes){ published, len }, 1, digest);
    for (; offset < size; parts++) {
        Certmill__Answer *answer = get("root", offset == 0 ? 0 : number, offset);
        const Certmill__CrlGetAnswer *part = answer->crl_get;
        cr_assert(part->status == NULL && part->info->number == number && part->data.len > 0);
        cr_assert(part->info->entries == ENTRIES && part->info->is_current);
        check_bytes(ca_bytes_of(part->info->sha256.data, part->info->sha256.len),
                    ca_bytes_of(digest, CA_DIGEST_LEN));
        size = part->info->size;
        cr_assert(offset + part->data.len <= size);
        memcpy(fetched + offset, part->data.data, part->data.len);
        offset += part->data.len;
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert(parts > 2);
    check_bytes(ca_bytes_of(fetched, offset), ca_bytes_of(published, len));
    Certmill__Answer *answer = get("root", number, offset);
    cr_assert(answer->crl_get->status == NULL && answer->crl_get->data.len == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(crl_service, a_list_that_was_replaced_is_not_mixed_with_its_successor)
{
    uint64_t number = make("root", 0);

    make("root", 0);
    check_not_got("root", number, 0, "CRL_UNKNOWN", "number");
    check_not_got("root", number + 2, 0, "CRL_UNKNOWN", "number");
    check_not_got("root", number + 1, 1 << 20, "FIELD_FORMAT", "offset");
    check_not_got("nobody", 0, 0, "CA_UNKNOWN", "scope");
}

Test(crl_service, another_file_in_its_place_is_not_passed_on)
{
    make("root", 0);
    size_t len = load("root.crl", published);
    save("root.crl", ca_bytes_of(published, len)); /* the same octets, from somewhere else */
    check_not_got("root", 0, 0, "CRL_UNKNOWN", "number");
    make("root", 0);
    Certmill__Answer *answer = get("root", 0, 0);
    cr_assert(answer->crl_get->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
}

/* ---- list */

Test(crl_service, current_lists_come_page_by_page)
{
    size_t seen = 0, current = 0;

    make("root", 0);
    for (uint32_t shard = 0; shard < 3; shard++)
        make("second", shard);
    for (size_t count = 1; count == 1; seen += count) {
        Certmill__Answer *answer = list(NULL, seen, 1);
        count = answer->crl_list->n_items;
        current += count == 1 && answer->crl_list->items[0]->is_current;
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert(seen == 4 && current == 4);
}

Test(crl_service, the_lists_of_a_scope_come_in_order_and_the_last_is_current)
{
    Certmill__CrlScope scope = scope_of("second", 1);
    uint64_t last = 0;

    for (int i = 0; i < 4; i++)
        last = make("second", 1);
    Certmill__Answer *answer = list(&scope, last - 2, 0);
    cr_assert_eq(answer->crl_list->n_items, 2);
    cr_assert(answer->crl_list->items[0]->number == last - 1 &&
              !answer->crl_list->items[0]->is_current);
    cr_assert(answer->crl_list->items[1]->number == last && answer->crl_list->items[1]->is_current);
    cr_assert_str_eq(answer->crl_list->items[1]->scope->ca, "second");
    cr_assert_eq(answer->crl_list->items[1]->scope->shard, 1);
    certmill__answer__free_unpacked(answer, NULL);
}

static void check_not_listed(Certmill__CrlScope *scope, uint32_t limit, const char *code)
{
    Certmill__Answer *answer = list(scope, 0, limit);

    cr_assert(answer->crl_list->status != NULL && answer->crl_list->n_items == 0);
    cr_assert_str_eq(answer->crl_list->status->code, code);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(crl_service, a_damaged_record_is_told_in_its_place)
{
    const struct store_scope damaged = { issuer_of(0), 0 };
    Certmill__CrlScope scope = scope_of("root", 0);
    uint8_t key[STORE_NUMBER_KEY_LEN];
    char path[96];

    for (int i = 0; i < 3; i++)
        make("root", 0);
    Certmill__Answer *answer = list(&scope, 0, 0);
    size_t count = answer->crl_list->n_items;
    uint64_t number = answer->crl_list->items[count - 2]->number;
    certmill__answer__free_unpacked(answer, NULL);
    store_record_number_key(&damaged, number, key);
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    data_file_damage(path, "crls", ca_bytes_of(key, sizeof(key)));
    answer = list(&scope, 0, 0);
    cr_assert(answer->crl_list->status == NULL && answer->crl_list->n_items == count);
    for (size_t i = 0; i < count; i++) {
        const Certmill__CrlInfo *info = answer->crl_list->items[i];
        bool is_damaged = i == count - 2;
        cr_assert(is_damaged ? info->number == number && info->size == 0 : info->size > 0);
        cr_assert_eq(info->status != NULL, is_damaged);
        cr_assert(!is_damaged || strcmp(info->status->code, "STORAGE_CORRUPT") == 0);
        cr_assert_eq(info->is_current, i == count - 1);
    }
    certmill__answer__free_unpacked(answer, NULL);
}

Test(crl_service, what_is_no_scope_is_refused)
{
    Certmill__CrlScope nobody = scope_of("nobody", 0), shard = scope_of("second", 3);

    check_not_listed(&nobody, 0, "CA_UNKNOWN");
    check_not_listed(&shard, 0, "CRL_UNKNOWN");
    check_not_listed(NULL, RPC_FIND_LIMIT_MAX + 1, "FIELD_FORMAT");
}

/* ---- without lists, and without a folder for them */

Test(crl_service, where_no_lists_are_made_there_are_none)
{
    Certmill__CrlScope scope = scope_of("root", 0);

    instance_stop(&instance);
    instance.config.crl_path = NULL;
    instance_start(&instance);
    check_not_listed(NULL, 0, "CRL_UNKNOWN");
    check_not_got("root", 0, 0, "CRL_UNKNOWN", "scope");
    Certmill__Answer *answer = instance_ask_end(make_begin(&scope));
    cr_assert_str_eq(answer->status->code, "CRL_UNKNOWN");
    certmill__answer__free_unpacked(answer, NULL);
}

Test(crl_service, lists_that_cannot_be_made_are_an_alarm_and_certificates_are_issued_all_the_same)
{
    Certmill__HealthRequest health = CERTMILL__HEALTH_REQUEST__INIT;
    Certmill__CrlScope scope = scope_of("root", 0);
    Certmill__IssueItem item, *items[] = { &item };

    instance_unmake(&instance);
    make_instance(); /* without the folder */
    instance_start(&instance);
    Certmill__Answer *answer = instance_ask_end(make_begin(&scope));
    cr_assert_str_eq(answer->crl_make->items[0]->status->code, "NOT_FOUND");
    certmill__answer__free_unpacked(answer, NULL);

    answer = ask(CERTMILL__REQUEST__METHOD_HEALTH, &health);
    cr_assert(answer->health->issuing && answer->health->n_alarms == 2);
    cr_assert_str_eq(answer->health->alarms[0], "CRL_OVERDUE:root");
    cr_assert_str_eq(answer->health->alarms[1], "CRL_OVERDUE:second:0");
    certmill__answer__free_unpacked(answer, NULL);

    instance_item(&item, "request-0000000001", instance_csr(&instance, CRYPTO_KEY_P256, "one"));
    answer = instance_issue(&instance, items, 1);
    cr_assert(answer->issue->items[0]->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
}

/* ---- stopping */

Test(crl_service, orders_that_wait_while_it_stops_are_answered)
{
    enum { COUNT = 40 };
    Certmill__CrlScope scope = scope_of("root", 0);
    struct asker *askers[COUNT];
    size_t made = 0, stopped = 0;

    for (size_t i = 0; i < COUNT; i++)
        askers[i] = make_begin(&scope);
    rpc_pipeline_drain(instance.pipeline);
    for (size_t i = 0; i < COUNT; i++) {
        Certmill__Answer *answer = instance_ask_end(askers[i]);
        const Certmill__Status *status =
            answer->status != NULL ? answer->status : answer->crl_make->items[0]->status;
        made += status == NULL;
        stopped += status != NULL && strcmp(status->code, "STOPPING") == 0;
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert_eq(made + stopped, COUNT);
}

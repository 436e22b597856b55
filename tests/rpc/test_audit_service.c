/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/audit_service.h"

#include <stdio.h>

#include "ca/crypto/digest.h"
#include "tests/support/check.h"
#include "tests/support/data_file.h"
#include "tests/support/life.h"

enum { CHAINED_MAX = 256, LEN_AT_ACTOR = 1 + 1 + 8 + 16 + 16 };

static struct instance instance;

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
}

static void stop(void)
{
    instance_stop(&instance);
    instance_unmake(&instance);
}

TestSuite(audit_service, .init = start, .fini = stop, .timeout = 60);

static Certmill__Answer *ask(uint64_t since, uint32_t limit)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__AuditRequest audit = CERTMILL__AUDIT_REQUEST__INIT;

    audit.since = since;
    audit.limit = limit;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_AUDIT;
    request.audit = &audit;
    return instance_ask(&instance, &request);
}

static void check_refused(uint64_t since, uint32_t limit, const char *code)
{
    Certmill__Answer *answer = ask(since, limit);

    cr_assert(answer->status != NULL && answer->audit == NULL);
    cr_assert_str_eq(answer->status->code, code);
    certmill__answer__free_unpacked(answer, NULL);
}

static size_t put(uint8_t *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return len;
}

/* The digest of a record as docs/PROTOCOL.md says it is made. */
static void chain(const Certmill__AuditRecord *record, const uint8_t before[32], uint8_t next[32])
{
    uint8_t octets[CHAINED_MAX];
    size_t len = put(octets, before, 32);

    for (int shift = 56; shift >= 0; shift -= 8)
        octets[len++] = (uint8_t)(record->sequence >> shift);
    octets[len++] = 1;
    octets[len++] = (uint8_t)record->kind;
    for (int shift = 0; shift < 64; shift += 8)
        octets[len++] = (uint8_t)((uint64_t)record->time_us >> shift);
    len += put(octets + len, record->request.data, 16);
    len += put(octets + len, record->body.data, 16);
    octets[len++] = (uint8_t)record->actor.len;
    len += put(octets + len, record->actor.data, record->actor.len);
    octets[len++] = (uint8_t)record->object.len;
    len += put(octets + len, record->object.data, record->object.len);
    const struct ca_bytes whole = ca_bytes_of(octets, len);
    crypto_sha256(&whole, 1, next);
}

/* A certificate that is held, and a request id that is used for another one. */
static struct ca_serial do_something(void)
{
    struct life_issued issued = life_new(&instance, "audit-request-01", "alice");

    cr_assert_str_eq(issued.code, "OK");
    cr_assert_str_eq(life_act(&instance, "audit-act-hold-01", HOLD, &issued.serial, 0).code, "OK");
    cr_assert_str_eq(life_new(&instance, "audit-request-01", "bob").code, "IDEMPOTENCY_CONFLICT");
    return issued.serial;
}

Test(audit_service, what_was_done_is_told_in_order)
{
    static const uint8_t zeros[16];
    struct ca_serial serial = do_something();
    Certmill__Answer *answer = ask(0, 0);
    const Certmill__AuditAnswer *audit = answer->audit;

    cr_assert(answer->status == NULL && audit->n_records == 4 && audit->last == 4);
    Certmill__AuditRecord **records = audit->records;
    cr_assert_eq(records[0]->kind, CERTMILL__AUDIT_KIND__AUDIT_PROFILE);
    check_bytes(rpc_bytes(records[0]->actor), CA_BYTES("certmilld"));
    check_bytes(rpc_bytes(records[0]->request), ca_bytes_of(zeros, sizeof(zeros)));
    cr_assert_eq(records[1]->kind, CERTMILL__AUDIT_KIND__AUDIT_ISSUED);
    check_bytes(rpc_bytes(records[1]->object), ca_serial_bytes(&serial));
    cr_assert_eq(records[1]->time_us, (int64_t)ca_serial_time_us(&serial));
    cr_assert_eq(records[2]->kind, CERTMILL__AUDIT_KIND__AUDIT_HELD);
    check_bytes(rpc_bytes(records[2]->object), ca_serial_bytes(&serial));
    check_bytes(rpc_bytes(records[2]->actor), rpc_bytes(records[1]->actor));
    cr_assert_eq(records[3]->kind, CERTMILL__AUDIT_KIND__AUDIT_REFUSED);
    check_bytes(rpc_bytes(records[3]->object), CA_BYTES("audit-request-01"));
    check_bytes(rpc_bytes(records[3]->request), rpc_bytes(records[1]->request));
    cr_assert(!ca_bytes_equal(rpc_bytes(records[3]->body), rpc_bytes(records[1]->body)));
    for (uint64_t i = 0; i < 4; i++)
        cr_assert_eq(records[i]->sequence, i + 1);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(audit_service, whoever_keeps_the_digest_of_one_can_check_the_next)
{
    uint8_t told[32], next[32];

    do_something();
    for (uint64_t since = 0; since < 4; since++) {
        Certmill__Answer *answer = ask(since, 1);
        const Certmill__AuditAnswer *audit = answer->audit;
        cr_assert(audit->n_records == 1 && audit->records[0]->sequence == since + 1);
        cr_assert(audit->last == 4 && audit->head.len == 32 && audit->before.len == 32);
        if (since > 0)
            check_bytes(rpc_bytes(audit->before), ca_bytes_of(told, 32));
        chain(audit->records[0], audit->before.data, next);
        check_bytes(rpc_bytes(audit->records[0]->chain), ca_bytes_of(next, 32));
        memcpy(told, next, 32);
        if (since == 3)
            check_bytes(rpc_bytes(audit->head), ca_bytes_of(told, 32));
        certmill__answer__free_unpacked(answer, NULL);
    }
}

Test(audit_service, at_the_end_the_head_is_what_comes_before)
{
    do_something();
    Certmill__Answer *answer = ask(4, 1000);
    cr_assert(answer->status == NULL && answer->audit->n_records == 0 && answer->audit->last == 4);
    check_bytes(rpc_bytes(answer->audit->before), rpc_bytes(answer->audit->head));
    certmill__answer__free_unpacked(answer, NULL);
    static const uint64_t beyond[] = { 5, INT64_MAX, UINT64_MAX };
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        answer = ask(beyond[i], 1000);
        cr_assert(answer->status == NULL && answer->audit->n_records == 0);
        cr_assert(answer->audit->before.len == 0 && answer->audit->last == 4);
        certmill__answer__free_unpacked(answer, NULL);
    }
}

Test(audit_service, a_limit_is_kept_and_has_one)
{
    do_something();
    for (uint32_t limit = 1; limit <= 5; limit++) {
        Certmill__Answer *answer = ask(1, limit);
        cr_assert_eq(answer->audit->n_records, limit < 3 ? limit : 3);
        certmill__answer__free_unpacked(answer, NULL);
    }
    check_refused(0, 1001, "FIELD_FORMAT");
    check_refused(0, UINT32_MAX, "FIELD_FORMAT");
}

/* One octet of a record in the data file; SIZE_MAX: it is taken away. */
static void alter(uint8_t sequence, size_t at)
{
    uint8_t key[8] = { [7] = sequence }, copy[CHAINED_MAX];
    MDB_val key_val = { sizeof(key), key }, value;
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    struct data_file file = data_file_open(path);
    MDB_dbi table = data_file_table(&file, "audit");
    cr_assert_eq(mdb_get(file.txn, table, &key_val, &value), 0);
    cr_assert_leq(value.mv_size, sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    value.mv_data = copy;
    if (at == SIZE_MAX) {
        cr_assert_eq(mdb_del(file.txn, table, &key_val, NULL), 0);
    } else {
        copy[at] ^= 1;
        cr_assert_eq(mdb_put(file.txn, table, &key_val, &value, 0), 0);
    }
    data_file_close(&file);
}

Test(audit_service, an_altered_record_is_not_told_and_those_around_it_are)
{
    do_something();
    instance_stop(&instance);
    alter(3, LEN_AT_ACTOR + 1);
    instance_start(&instance);
    Certmill__Answer *answer = ask(0, 1000);
    cr_assert(answer->status == NULL && answer->audit->n_records == 2);
    certmill__answer__free_unpacked(answer, NULL);
    check_refused(2, 1000, "STORAGE_CORRUPT");
    answer = ask(3, 1000);
    cr_assert(answer->audit->n_records == 1 && answer->audit->records[0]->sequence == 4);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(audit_service, a_record_that_is_gone_is_no_end)
{
    do_something();
    instance_stop(&instance);
    alter(3, SIZE_MAX);
    instance_start(&instance);
    Certmill__Answer *answer = ask(0, 1000);
    cr_assert(answer->audit->n_records == 2 && answer->audit->last == 4);
    certmill__answer__free_unpacked(answer, NULL);
    check_refused(2, 1000, "STORAGE_CORRUPT");
    check_refused(3, 1000, "STORAGE_CORRUPT");
}

Test(audit_service, the_last_record_that_is_gone_is_no_end)
{
    const uint8_t key[8] = { [7] = 4 };
    char path[96];

    do_something();
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    data_file_lose(path, "audit", ca_bytes_of(key, sizeof(key)));
    Certmill__Answer *answer = ask(0, 1000);
    cr_assert(answer->audit->n_records == 3 && answer->audit->last == 4);
    certmill__answer__free_unpacked(answer, NULL);
    check_refused(3, 1000, "STORAGE_CORRUPT");
    check_refused(4, 1000, "STORAGE_CORRUPT");
    answer = ask(5, 1000);
    cr_assert(answer->status == NULL && answer->audit->n_records == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

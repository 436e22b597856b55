/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of the audit log in a running engine: signed, stored, told. */
#include "rpc/heads.h"

#include <stdio.h>

#include "ca/keys/head.h"
#include "rpc/pipeline_parts.h"
#include "store/record.h"
#include "tests/support/check.h"
#include "tests/support/data_file.h"
#include "tests/support/life.h"

enum { OFTEN_MS = 10, NEVER_MS = 3600000 };

static struct instance instance;
static struct rpc_audit audit;
static struct crypto_private_key *spare; /* the same key, for another signer of it */
static uint8_t log_id[KEYS_HEAD_LOG_LEN];

static struct keys_signer *signer_of(struct crypto_private_key *key)
{
    struct keys_signer *signer;

    check_ok(
        keys_signer_open_soft(key, &(struct keys_signer_options){ .signs_heads = true }, &signer));
    return signer;
}

static struct crypto_private_key *copy_key(const struct crypto_private_key *key)
{
    uint8_t octets[CRYPTO_PKCS8_LEN_MAX];
    struct crypto_private_key *copy;
    size_t len;

    check_ok(crypto_private_key_encode(key, octets, sizeof(octets), &len));
    check_ok(crypto_private_key_parse(ca_bytes_of(octets, len), &copy));
    return copy;
}

static void start_with(uint32_t interval_ms)
{
    struct store_info info;

    audit.interval_ms = interval_ms;
    instance.config.audit = &audit;
    instance_start(&instance);
    store_info(instance.store, &info);
    memcpy(log_id, info.id, sizeof(log_id));
}

static void make(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    check_ok(crypto_private_key_generate(CRYPTO_KEY_ED25519, 0, &spare));
    audit.signer = signer_of(copy_key(spare));
}

static void unmake(void)
{
    if (instance.pipeline != NULL)
        instance_stop(&instance);
    keys_signer_close(audit.signer);
    crypto_private_key_free(spare);
    instance_unmake(&instance);
}

TestSuite(heads, .init = make, .fini = unmake, .timeout = 60);

static void restart(uint32_t interval_ms)
{
    instance_stop(&instance);
    start_with(interval_ms);
}

/* ---- asking */

static Certmill__Answer *ask_health(void)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__HealthRequest health = CERTMILL__HEALTH_REQUEST__INIT;

    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_HEALTH;
    request.health = &health;
    return instance_ask(&instance, &request);
}

static Certmill__Answer *ask_audit(uint64_t since)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__AuditRequest method = CERTMILL__AUDIT_REQUEST__INIT;

    method.since = since;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_AUDIT;
    request.audit = &method;
    return instance_ask(&instance, &request);
}

static uint64_t newest_record(void)
{
    struct store_info info;

    store_info(instance.store, &info);
    return info.audit_sequence;
}

static void issue_one(const char *id)
{
    Certmill__IssueItem item, *items[] = { &item };

    instance_item(&item, id, instance_csr(&instance, CRYPTO_KEY_P256, id));
    Certmill__Answer *answer = instance_issue(&instance, items, 1);
    cr_assert(answer->issue != NULL && answer->issue->items[0]->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
}

/* The message as it was signed; it must be whole, of a record on disk, and right. */
static uint64_t check_head(const Certmill__SignedHead *message)
{
    struct keys_signed_head head = { 0 };
    struct store_audit_head place;

    cr_assert(message->log.len == KEYS_HEAD_LOG_LEN && message->chain.len == CA_DIGEST_LEN &&
              message->key_id.len == KEYS_HEAD_KEY_ID_LEN &&
              message->signature.len == KEYS_HEAD_SIGNATURE_LEN);
    memcpy(head.head.log, message->log.data, KEYS_HEAD_LOG_LEN);
    memcpy(head.head.chain, message->chain.data, CA_DIGEST_LEN);
    memcpy(head.signature, message->signature.data, KEYS_HEAD_SIGNATURE_LEN);
    head.head.sequence = message->sequence;
    head.head.time_us = (uint64_t)message->time_us;
    check_bytes(rpc_bytes(message->log), ca_bytes_of(log_id, sizeof(log_id)));
    check_ok(keys_head_verify(instance.crypto, keys_signer_public(audit.signer), &head));
    struct store_view *view;
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_audit_head(view, head.head.sequence, &place));
    check_bytes(ca_bytes_of(place.chain, CA_DIGEST_LEN), rpc_bytes(message->chain));
    store_view_close(view);
    return message->sequence;
}

/* Of which record it is; 0: no head was told. */
static uint64_t told(void)
{
    Certmill__Answer *answer = ask_health();
    uint64_t sequence = answer->head == NULL ? 0 : check_head(answer->head);

    certmill__answer__free_unpacked(answer, NULL);
    return sequence;
}

static bool has_alarm(void)
{
    Certmill__Answer *answer = ask_health();
    bool is_there = false;

    cr_assert(answer->health->issuing, "it is the alarm of something else");
    for (size_t i = 0; i < answer->health->n_alarms; i++)
        is_there = is_there || strcmp(answer->health->alarms[i], "AUDIT_HEAD") == 0;
    certmill__answer__free_unpacked(answer, NULL);
    return is_there;
}

/* ---- what is told */

Test(heads, the_thread_signs_what_was_recorded_and_every_answer_brings_it)
{
    start_with(OFTEN_MS);
    issue_one("an-id-of-16-octets");
    while (told() < newest_record())
        continue;
    Certmill__Answer *answer = ask_audit(0);
    cr_assert(answer->audit != NULL && answer->head != NULL && answer->audit->n_heads > 0);
    check_head(answer->head);
    for (size_t i = 0; i < answer->audit->n_heads; i++) {
        uint64_t sequence = check_head(answer->audit->heads[i]);
        cr_assert(i == 0 || sequence > answer->audit->heads[i - 1]->sequence);
    }
    cr_assert_eq(answer->audit->heads[answer->audit->n_heads - 1]->sequence, answer->audit->last);
    certmill__answer__free_unpacked(answer, NULL);
    cr_assert_not(has_alarm());
    check_ok(instance_check(&instance));
}

Test(heads, a_refusal_brings_it_as_well)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;

    start_with(NEVER_MS);
    rpc_pipeline_sign_head(instance.pipeline);
    request.version = RPC_VERSION;
    Certmill__Answer *answer = instance_ask(&instance, &request);
    cr_assert_str_eq(answer->status->code, "METHOD_UNKNOWN");
    cr_assert_eq(check_head(answer->head), newest_record());
    certmill__answer__free_unpacked(answer, NULL);
}

Test(heads, one_is_signed_when_there_is_something_new_and_not_otherwise)
{
    uint64_t sequence, count;

    start_with(NEVER_MS);
    cr_assert_eq(told(), 0);
    rpc_pipeline_sign_head(instance.pipeline);
    uint64_t first = told();
    cr_assert_eq(first, newest_record());
    rpc_pipeline_sign_head(instance.pipeline);
    rpc_heads_count(instance.pipeline->engine.heads, &sequence, &count);
    cr_assert(sequence == first && count == 1);
    cr_assert_eq(newest_record(), first, "a head is no record");
    issue_one("an-id-of-16-octets");
    cr_assert_eq(told(), first, "the next one is not due");
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert_eq(told(), first + 1);
}

Test(heads, the_last_one_is_told_after_a_restart_before_another_is_signed)
{
    start_with(NEVER_MS);
    issue_one("an-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    uint64_t before = told();
    cr_assert(before > 0);
    restart(NEVER_MS);
    cr_assert_eq(told(), before);
}

Test(heads, an_answer_is_the_same_but_for_the_head)
{
    Certmill__IssueItem item, *items[] = { &item };
    uint8_t one[8192], other[8192];

    start_with(NEVER_MS);
    instance_item(&item, "an-id-of-16-octets", instance_csr(&instance, CRYPTO_KEY_P256, "name"));
    Certmill__Answer *first = instance_issue(&instance, items, 1);
    rpc_pipeline_sign_head(instance.pipeline);
    Certmill__Answer *again = instance_issue(&instance, items, 1);
    cr_assert(first->head == NULL && again->head != NULL);
    size_t len = certmill__issue_answer__pack(first->issue, one);
    cr_assert(len < sizeof(one));
    check_bytes(ca_bytes_of(other, certmill__issue_answer__pack(again->issue, other)),
                ca_bytes_of(one, len));
    certmill__answer__free_unpacked(first, NULL);
    certmill__answer__free_unpacked(again, NULL);
}

Test(heads, without_a_key_there_are_none_and_no_alarm)
{
    instance_start(&instance);
    issue_one("an-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert_eq(told(), 0);
    cr_assert_not(has_alarm());
}

/* ---- trouble */

Test(heads, where_none_can_be_signed_there_is_an_alarm_and_issuing_goes_on)
{
    struct keys_head far = { .sequence = 1000000 };
    struct keys_signed_head made;

    start_with(NEVER_MS);
    rpc_pipeline_sign_head(instance.pipeline);
    uint64_t before = told();
    memcpy(far.log, log_id, sizeof(log_id));
    check_ok(keys_head_sign(audit.signer, instance.crypto, &far, &made)); /* none below any more */
    issue_one("an-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert(has_alarm());
    cr_assert_eq(told(), before);
    issue_one("another-id-of-16-octets");
    instance_stop(&instance);
    keys_signer_close(audit.signer);
    audit.signer = signer_of(copy_key(spare));
    start_with(OFTEN_MS);
    while (told() < newest_record())
        continue;
    cr_assert_not(has_alarm());
}

/* What is stored is as somebody else left it: nothing may be signed that goes against it. */
static void alter_stored(size_t at)
{
    uint8_t key_octets[STORE_SEQUENCE_LEN], octets[STORE_SIGNED_HEAD_LEN];
    struct data_file file;
    MDB_cursor *cursor;
    MDB_val key, value;
    char path[96];

    instance_stop(&instance);
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    file = data_file_open(path);
    cr_assert_eq(mdb_cursor_open(file.txn, data_file_table(&file, "heads"), &cursor), 0);
    cr_assert_eq(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    cr_assert(key.mv_size == sizeof(key_octets) && value.mv_size == sizeof(octets));
    memcpy(key_octets, key.mv_data, sizeof(key_octets));
    memcpy(octets, value.mv_data, sizeof(octets));
    octets[at] ^= 1;
    store_record_seal(STORE_TABLE_HEADS, ca_bytes_of(key_octets, sizeof(key_octets)), octets,
                      sizeof(octets));
    value.mv_data = octets;
    cr_assert_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    data_file_close(&file);
}

static void check_barred(void)
{
    start_with(OFTEN_MS);
    issue_one("an-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert(has_alarm());
    cr_assert_eq(told(), 0);
}

Test(heads, a_stored_one_of_another_chain_bars_those_to_come)
{
    start_with(NEVER_MS);
    rpc_pipeline_sign_head(instance.pipeline);
    alter_stored(1 + 8 + 5);
    check_barred();
}

Test(heads, a_stored_one_with_a_wrong_signature_bars_those_to_come)
{
    start_with(NEVER_MS);
    rpc_pipeline_sign_head(instance.pipeline);
    alter_stored(1 + 8 + 32 + 4 + 10);
    check_barred();
}

/* The last record is taken away, and the end of the log moved to the one before: all but the signed
 * head agrees. */
static void cut_log(void)
{
    uint8_t key_octets[STORE_SEQUENCE_LEN], octets[STORE_HEAD_LEN];
    MDB_val head_key = { 4, (void *)(uintptr_t) "head" }, value;
    MDB_val key = { sizeof(key_octets), key_octets };
    struct store_head head;
    char path[96];

    instance_stop(&instance);
    snprintf(path, sizeof(path), "%s/data", instance.dir);
    struct data_file file = data_file_open(path);
    MDB_dbi meta = data_file_table(&file, "meta"), log = data_file_table(&file, "audit");
    cr_assert_eq(mdb_get(file.txn, meta, &head_key, &value), 0);
    check_ok(store_record_decode_head(ca_bytes_of(value.mv_data, value.mv_size), &head));
    store_record_sequence_key(head.audit_sequence--, key_octets);
    cr_assert_eq(mdb_del(file.txn, log, &key, NULL), 0);
    store_record_sequence_key(head.audit_sequence, key_octets);
    cr_assert_eq(mdb_get(file.txn, log, &key, &value), 0);
    memcpy(head.audit_head, (uint8_t *)value.mv_data + value.mv_size - STORE_CHAIN_LEN,
           STORE_CHAIN_LEN);
    store_record_encode_head(&head, octets);
    value = (MDB_val){ sizeof(octets), octets };
    cr_assert_eq(mdb_put(file.txn, meta, &head_key, &value, 0), 0);
    data_file_close(&file);
}

Test(heads, a_log_that_was_cut_off_below_its_head_gets_no_other)
{
    start_with(NEVER_MS);
    issue_one("another-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    cut_log();
    start_with(NEVER_MS);
    check_err(instance_check(&instance), CA_ERR_STORAGE_CORRUPT);
    cr_assert(has_alarm());
    issue_one("an-id-of-16-octets"); /* the record that is there now is another */
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert(has_alarm());
    cr_assert_eq(told(), 0);
}

Test(heads, a_stored_one_by_a_key_of_before_is_told_and_followed)
{
    struct crypto_private_key *next;

    start_with(NEVER_MS);
    rpc_pipeline_sign_head(instance.pipeline);
    uint64_t before = told();
    instance_stop(&instance);
    keys_signer_close(audit.signer);
    check_ok(crypto_private_key_generate(CRYPTO_KEY_ED25519, 0, &next));
    audit.signer = signer_of(next);
    start_with(NEVER_MS);
    issue_one("an-id-of-16-octets");
    rpc_pipeline_sign_head(instance.pipeline);
    cr_assert_gt(told(), before);
    cr_assert_not(has_alarm());
}

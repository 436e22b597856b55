/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/life.h"

#include <stdio.h>

#include "tests/support/check.h"

static void take_status(const Certmill__Status *status, char *code, char *field)
{
    snprintf(code, LIFE_CODE_LEN, "%s", status == NULL ? "OK" : status->code);
    if (field != NULL)
        snprintf(field, LIFE_CODE_LEN, "%s", status == NULL ? "" : status->field);
}

static struct ca_serial take_serial(ProtobufCBinaryData data)
{
    struct ca_serial serial = { { 0 } };

    cr_assert(data.len == 0 || data.len == CA_SERIAL_LEN);
    if (data.len > 0)
        memcpy(serial.bytes, data.data, CA_SERIAL_LEN);
    return serial;
}

bool life_serial_equal(const struct ca_serial *a, const struct ca_serial *b)
{
    return ca_bytes_equal(ca_serial_bytes(a), ca_serial_bytes(b));
}

/* ---- issuing */

struct life_issued life_ask(struct instance *instance, Certmill__IssueItem *item)
{
    Certmill__Answer *answer = instance_issue(instance, &item, 1);
    struct life_issued issued = { 0 };

    if (answer->status != NULL) {
        take_status(answer->status, issued.code, issued.field);
        certmill__answer__free_unpacked(answer, NULL);
        return issued;
    }
    const Certmill__IssueResult *result = answer->issue->items[0];
    take_status(result->status, issued.code, issued.field);
    issued.serial = take_serial(result->serial);
    issued.not_before = result->not_before;
    issued.not_after = result->not_after;
    issued.certificate = ca_arena_copy(instance->arena, rpc_bytes(result->certificate));
    certmill__answer__free_unpacked(answer, NULL);
    return issued;
}

void life_item(Certmill__IssueItem *item, const char *id, struct ca_bytes csr,
               Certmill__Operation operation, const struct ca_serial *old)
{
    instance_item(item, id, csr);
    item->operation = operation;
    if (old != NULL)
        item->predecessor = rpc_binary(ca_serial_bytes(old));
    if (operation == REPLACE)
        item->cause = CERTMILL__CAUSE__CAUSE_DAMAGED;
}

struct life_issued life_follow(struct instance *instance, const char *id, const char *cn,
                               Certmill__Operation operation, const struct ca_serial *old)
{
    Certmill__IssueItem item;

    life_item(&item, id, instance_csr(instance, CRYPTO_KEY_P256, cn), operation, old);
    return life_ask(instance, &item);
}

struct life_issued life_new(struct instance *instance, const char *id, const char *cn)
{
    return life_follow(instance, id, cn, NEW, NULL);
}

/* ---- acts */

struct life_acted life_acted_of(const Certmill__ActResult *result)
{
    struct life_acted acted = { 0 };

    take_status(result->status, acted.code, acted.field);
    acted.serial = take_serial(result->serial);
    acted.state = result->state;
    acted.reason = result->reason;
    acted.revoked_at = result->revoked_at;
    acted.invalidity_date = result->invalidity_date;
    acted.sequence = result->sequence;
    return acted;
}

struct life_acted life_act_item(struct instance *instance, Certmill__ActItem *item)
{
    Certmill__Answer *answer = instance_act(instance, &item, 1);
    struct life_acted acted = { 0 };

    if (answer->status != NULL)
        take_status(answer->status, acted.code, acted.field);
    else
        acted = life_acted_of(answer->act->items[0]);
    certmill__answer__free_unpacked(answer, NULL);
    return acted;
}

struct life_acted life_act(struct instance *instance, const char *id, Certmill__Act act,
                           const struct ca_serial *serial, uint32_t reason)
{
    Certmill__ActItem item;

    instance_act_item(&item, id, act, ca_serial_bytes(serial));
    item.reason = reason;
    return life_act_item(instance, &item);
}

bool life_acted_equal(const struct life_acted *a, const struct life_acted *b)
{
    return strcmp(a->code, b->code) == 0 && life_serial_equal(&a->serial, &b->serial) &&
           a->state == b->state && a->reason == b->reason && a->revoked_at == b->revoked_at &&
           a->invalidity_date == b->invalidity_date && a->sequence == b->sequence;
}

/* ---- looking */

struct life_got life_get(struct instance *instance, const struct ca_serial *serial)
{
    Certmill__Answer *answer = instance_get(instance, ca_serial_bytes(serial));
    struct life_got got = { 0 };

    cr_assert(answer->status == NULL && answer->get->n_items == 1);
    const Certmill__Certificate *item = answer->get->items[0];
    take_status(item->status, got.code, NULL);
    got.state = item->state;
    got.reason = item->reason;
    got.revoked_at = item->revoked_at;
    got.invalidity_date = item->invalidity_date;
    got.not_before = item->not_before;
    got.not_after = item->not_after;
    got.operation = item->operation;
    got.delivery = item->delivery;
    got.predecessor = take_serial(item->predecessor);
    got.successor = take_serial(item->successor);
    got.head = take_serial(item->head);
    certmill__answer__free_unpacked(answer, NULL);
    return got;
}

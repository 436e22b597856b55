/* SPDX-License-Identifier: Apache-2.0 */
/* life: what may become of a certificate, asked of an instance and answered as plain values. */
#pragma once

#include "tests/support/instance.h"

/* clang-format off */
#define REVOKE      CERTMILL__ACT__ACT_REVOKE
#define HOLD        CERTMILL__ACT__ACT_HOLD
#define RELEASE     CERTMILL__ACT__ACT_RELEASE
#define ACKNOWLEDGE CERTMILL__ACT__ACT_ACKNOWLEDGE
#define ABANDON     CERTMILL__ACT__ACT_ABANDON
#define VALID       CERTMILL__STATE__STATE_VALID
#define REVOKED     CERTMILL__STATE__STATE_REVOKED
#define HELD        CERTMILL__STATE__STATE_HELD
#define NEW         CERTMILL__OPERATION__OPERATION_NEW
#define RENEW       CERTMILL__OPERATION__OPERATION_RENEW
#define REPLACE     CERTMILL__OPERATION__OPERATION_REPLACE
#define CHANGE      CERTMILL__OPERATION__OPERATION_CHANGE
#define DELIVERED   CERTMILL__DELIVERY__DELIVERY_DONE
#define WAITING     CERTMILL__DELIVERY__DELIVERY_WAITING
#define ABANDONED   CERTMILL__DELIVERY__DELIVERY_ABANDONED
/* clang-format on */

enum { LIFE_CODE_LEN = 40 };

struct life_issued {
    char code[LIFE_CODE_LEN]; /* "OK" */
    char field[LIFE_CODE_LEN];
    struct ca_serial serial;
    int64_t not_before, not_after;
    struct ca_bytes certificate; /* the instance's memory; empty with dry_run */
};
struct life_issued life_ask(struct instance *instance, Certmill__IssueItem *item);
/* A new certificate, or one that follows upon `old`, of a new key. */
struct life_issued life_new(struct instance *instance, const char *id, const char *cn);
struct life_issued life_follow(struct instance *instance, const char *id, const char *cn,
                               Certmill__Operation operation, const struct ca_serial *old);
/* Fills in such an item without asking; csr is borrowed. */
void life_item(Certmill__IssueItem *item, const char *id, struct ca_bytes csr,
               Certmill__Operation operation, const struct ca_serial *old);

struct life_acted {
    char code[LIFE_CODE_LEN];
    char field[LIFE_CODE_LEN];
    struct ca_serial serial;
    Certmill__State state;
    uint32_t reason;
    int64_t revoked_at, invalidity_date;
    uint64_t sequence;
};
struct life_acted life_act(struct instance *instance, const char *id, Certmill__Act act,
                           const struct ca_serial *serial, uint32_t reason);
struct life_acted life_act_item(struct instance *instance, Certmill__ActItem *item);
struct life_acted life_acted_of(const Certmill__ActResult *result);
bool life_acted_equal(const struct life_acted *a, const struct life_acted *b);

struct life_got {
    char code[LIFE_CODE_LEN];
    Certmill__State state;
    uint32_t reason;
    int64_t revoked_at, invalidity_date, not_before, not_after;
    Certmill__Operation operation;
    Certmill__Delivery delivery;
    struct ca_serial predecessor, successor, head; /* zeros: none */
};
struct life_got life_get(struct instance *instance, const struct ca_serial *serial);

bool life_serial_equal(const struct ca_serial *a, const struct ca_serial *b);

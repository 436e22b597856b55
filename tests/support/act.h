/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act: an instance of a test's own, and acts on what it issued, which must come out as expected.
 */
#pragma once

#include "rpc/act.h"

#include "tests/support/check.h"
#include "tests/support/life.h"

static struct instance instance;

static inline void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
}

static inline void stop(void)
{
    if (instance.store != NULL)
        check_ok(instance_check(&instance));
    instance_unmake(&instance);
}

static const char ID[] = "request-0000000001";
static const char ACT_ID[] = "act-request-0000000001";

static inline void restart(void)
{
    instance_stop(&instance);
    instance_start(&instance);
}

static inline struct ca_serial issue(const char *id, const char *cn)
{
    struct life_issued issued = life_new(&instance, id, cn);

    cr_assert_str_eq(issued.code, "OK");
    return issued.serial;
}

static inline struct store_info info(void)
{
    struct store_info now;

    store_info(instance.store, &now);
    return now;
}

static inline struct life_acted check_act(const char *id, Certmill__Act act,
                                          const struct ca_serial *serial, uint32_t reason,
                                          const char *code)
{
    struct life_acted acted = life_act(&instance, id, act, serial, reason);

    cr_assert_str_eq(acted.code, code, "%s: %s rather than %s", id, acted.code, code);
    return acted;
}

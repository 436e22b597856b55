/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/session.h"

#include <stdio.h>
#include <unistd.h>

#include "rpc/certmill.pb-c.h"
#include "tests/support/check.h"

enum { ISSUE = CERTMILL__REQUEST__METHOD_ISSUE };

/* Uids that are neither root nor whoever runs the tests. */
static uint32_t listed[2], stranger;
static struct rpc_config config;
static struct rpc_session session;

static void choose_uids(void)
{
    uint32_t own = (uint32_t)getuid();

    listed[0] = own + 1001;
    listed[1] = own + 1002;
    stranger = own + 1003;
    config = (struct rpc_config){ .ipc_uids = listed, .ipc_uid_count = 2 };
}

TestSuite(session, .init = choose_uids, .timeout = 10);

static void check_operator(uint64_t uid)
{
    rpc_session_init(&session, &config, true, uid);
    cr_assert(session.is_operator && session.is_allowed && session.owner == uid);
    check_ok(rpc_session_check(&session, ISSUE));
}

Test(session, root_and_the_daemons_own_uid_are_operators)
{
    config.ipc_uid_count = 0;
    check_operator(0);
    check_operator(getuid());
}

Test(session, who_is_listed_may_ask_and_is_no_operator)
{
    for (int i = 0; i < 2; i++) {
        rpc_session_init(&session, &config, true, listed[i]);
        cr_assert(session.is_allowed && !session.is_operator && session.owner == listed[i]);
        check_ok(rpc_session_check(&session, ISSUE));
    }
    char actor[RPC_ACTOR_LEN_MAX];
    snprintf(actor, sizeof(actor), "uid:%u", (unsigned)listed[1]);
    cr_assert_str_eq(session.actor, actor);
}

/* A uid that is a listed one but for what 32 bits do not hold. */
Test(session, strangers_may_ask_nothing_and_share_one_part_of_every_room)
{
    const uint64_t strangers[] = { stranger, ((uint64_t)1 << 32) + listed[0], UINT32_MAX };

    for (int i = 0; i < 3; i++) {
        rpc_session_init(&session, &config, true, strangers[i]);
        cr_assert(!session.is_allowed && !session.is_operator);
        cr_assert(session.owner == RPC_OWNER_STRANGERS);
        for (int method = 1; method < 64; method++)
            check_err(rpc_session_check(&session, method), CA_ERR_DENIED);
    }
}

Test(session, over_loopback_everybody_may_ask_and_is_no_operator)
{
    rpc_session_init(&session, &config, false, 0);
    cr_assert(session.is_allowed && !session.is_operator && session.owner == RPC_OWNER_LOOPBACK);
    cr_assert_str_eq(session.actor, "loopback");
    check_ok(rpc_session_check(&session, ISSUE));
}

Test(session, no_method_is_unknown_to_anybody)
{
    for (uint64_t uid = 0; uid <= stranger; uid += stranger) {
        rpc_session_init(&session, &config, true, uid);
        check_err(rpc_session_check(&session, CERTMILL__REQUEST__METHOD__NOT_SET),
                  CA_ERR_METHOD_UNKNOWN);
    }
}

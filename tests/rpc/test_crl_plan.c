/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_plan.h"

#include "tests/support/check.h"

/* A list of a day, overlap of an hour, every six hours; delta lists every ten minutes for twenty.
 */
static const struct rpc_crl_schedule schedule = { 86400, 3600, 21600, 600, 1200 };
static const struct rpc_crl_schedule rare = { 86400, 3600, 0, 0, 0 };

static struct store_crl list_at(int64_t this_update_s, const struct rpc_crl_schedule *of,
                                enum rpc_crl_kind kind)
{
    return (struct store_crl){ .number = 7,
                               .this_update_s = this_update_s,
                               .next_update_s = rpc_crl_next_update_s(of, kind, this_update_s) };
}

Test(crl_plan, a_list_that_was_never_made_is_due_at_once)
{
    const struct store_crl none = { 0 };

    cr_assert_eq(rpc_crl_due_s(&schedule, RPC_CRL_FULL, &none), RPC_CRL_AT_ONCE);
    cr_assert_eq(rpc_crl_due_s(&schedule, RPC_CRL_DELTA, &none), RPC_CRL_AT_ONCE);
    cr_assert_eq(rpc_crl_overdue_s(&schedule, RPC_CRL_FULL, &none), RPC_CRL_AT_ONCE);
}

Test(crl_plan, the_interval_or_the_overlap_decides_whichever_comes_first)
{
    const struct rpc_crl_schedule late = { 86400, 3600, 86400, 0, 0 };
    struct store_crl list = list_at(1000000, &schedule, RPC_CRL_FULL);

    cr_assert_eq(list.next_update_s, 1086400);
    cr_assert_eq(rpc_crl_due_s(&schedule, RPC_CRL_FULL, &list), 1021600);
    cr_assert_eq(rpc_crl_due_s(&rare, RPC_CRL_FULL, &list), 1082800);
    cr_assert_eq(rpc_crl_due_s(&late, RPC_CRL_FULL, &list), 1082800);
}

Test(crl_plan, the_overlap_counts_from_the_end_the_list_has_not_from_what_the_settings_say_now)
{
    struct store_crl list = list_at(1000000, &rare, RPC_CRL_FULL);
    const struct rpc_crl_schedule longer = { 864000, 3600, 0, 0, 0 };

    cr_assert_eq(rpc_crl_due_s(&longer, RPC_CRL_FULL, &list), 1082800);
}

Test(crl_plan, an_alarm_comes_when_half_of_the_overlap_has_passed)
{
    struct store_crl list = list_at(1000000, &schedule, RPC_CRL_FULL);
    struct store_crl delta = list_at(1000000, &schedule, RPC_CRL_DELTA);

    cr_assert_eq(rpc_crl_overdue_s(&schedule, RPC_CRL_FULL, &list), 1084600);
    cr_assert_eq(delta.next_update_s, 1001200);
    cr_assert_eq(rpc_crl_overdue_s(&schedule, RPC_CRL_DELTA, &delta), 1000900);
}

Test(crl_plan, delta_lists_that_are_switched_off_are_never_due)
{
    struct store_crl old = list_at(1000000, &rare, RPC_CRL_DELTA);

    cr_assert_eq(rpc_crl_due_s(&rare, RPC_CRL_DELTA, &old), RPC_CRL_NEVER);
    cr_assert_eq(rpc_crl_overdue_s(&rare, RPC_CRL_DELTA, &old), RPC_CRL_NEVER);
    /* One ordered all the same lasts as long as a complete list. */
    cr_assert_eq(old.next_update_s, 1086400);
}

Test(crl_plan, files_are_named_after_ca_shard_and_kind)
{
    static const struct {
        uint32_t shards, shard;
        enum rpc_crl_kind kind;
        const char *path;
    } rows[] = {
        { 1, 0, RPC_CRL_FULL, "crl/main.crl" },
        { 1, 0, RPC_CRL_DELTA, "crl/main-delta.crl" },
        { 2, 0, RPC_CRL_FULL, "crl/main-0.crl" },
        { 65536, 65535, RPC_CRL_FULL, "crl/main-65535.crl" },
        { 65536, 65535, RPC_CRL_DELTA, "crl/main-65535-delta.crl" },
    };
    char path[RPC_CRL_PATH_SIZE], folder[RPC_CRL_PATH_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct rules_issuer issuer = { .name = "main", .crl_shard_count = rows[i].shards };
        check_ok(rpc_crl_path("crl", &issuer, rows[i].shard, rows[i].kind, path));
        cr_assert_str_eq(path, rows[i].path);
        check_ok(rpc_crl_path(NULL, &issuer, rows[i].shard, rows[i].kind, path));
        cr_assert_str_eq(path, rows[i].path + strlen("crl/"));
    }
    const struct rules_issuer issuer = { .name = "main", .crl_shard_count = 1 };
    memset(folder, 'x', sizeof(folder));
    folder[sizeof(folder) - 1] = '\0';
    check_err(rpc_crl_path(folder, &issuer, 0, RPC_CRL_FULL, path), CA_ERR_CONFIG);
}

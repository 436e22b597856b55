/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/claims.h"
#include "tests/support/check.h"

static struct rpc_claims *claims;

static void make(void)
{
    check_ok(rpc_claims_new(&claims));
}

static void unmake(void)
{
    rpc_claims_free(claims);
}

TestSuite(claims, .init = make, .fini = unmake, .timeout = 10);

/* Digests that all fall into one bucket. */
static struct store_digest digest_of(uint32_t n)
{
    struct store_digest digest = { { 7, 7 } };

    memcpy(digest.bytes + 4, &n, sizeof(n));
    return digest;
}

static struct rpc_claim find(uint32_t n)
{
    struct store_digest digest = digest_of(n);
    const struct store_digest *pointer = &digest;
    struct rpc_claim claim;

    rpc_claims_find(claims, &pointer, 1, &claim);
    return claim;
}

static void put(uint32_t n, enum rpc_claim_state state)
{
    struct store_digest digest = digest_of(n);
    struct ca_serial serial = { { 1, (uint8_t)n } };

    check_ok(rpc_claims_put(claims, &digest, state, &serial));
}

Test(claims, what_was_never_claimed_is_not_found)
{
    put(1, RPC_CLAIM_PENDING);

    cr_assert(find(2).state == RPC_CLAIM_NONE);
}

Test(claims, a_pending_claim_remembers_its_serial)
{
    put(1, RPC_CLAIM_PENDING);
    put(2, RPC_CLAIM_PENDING);

    cr_assert(find(1).state == RPC_CLAIM_PENDING && find(1).serial.bytes[1] == 1);
    cr_assert(find(2).state == RPC_CLAIM_PENDING && find(2).serial.bytes[1] == 2);
}

Test(claims, a_recorded_claim_is_kept_for_some_commits_and_then_forgotten)
{
    put(1, RPC_CLAIM_PENDING);
    put(2, RPC_CLAIM_PENDING);
    put(1, RPC_CLAIM_RECORDED);

    for (int i = 0; i < RPC_CLAIMS_KEPT_COMMITS; i++)
        rpc_claims_tick(claims);
    cr_assert(find(1).state == RPC_CLAIM_RECORDED);
    rpc_claims_tick(claims);
    cr_assert(find(1).state == RPC_CLAIM_NONE);
    cr_assert(find(2).state == RPC_CLAIM_PENDING);
}

Test(claims, a_recorded_claim_does_not_become_an_orphan)
{
    put(1, RPC_CLAIM_PENDING);
    put(1, RPC_CLAIM_RECORDED);
    put(1, RPC_CLAIM_ORPHAN);

    cr_assert(find(1).state == RPC_CLAIM_RECORDED);
    cr_assert(rpc_claims_orphan_count(claims) == 0);
}

Test(claims, an_orphan_is_kept_until_it_is_resumed_or_forgotten)
{
    put(1, RPC_CLAIM_ORPHAN);
    put(2, RPC_CLAIM_ORPHAN);
    for (int i = 0; i < 10 * RPC_CLAIMS_KEPT_COMMITS; i++)
        rpc_claims_tick(claims);
    cr_assert(rpc_claims_orphan_count(claims) == 2);

    put(1, RPC_CLAIM_PENDING);
    cr_assert(rpc_claims_orphan_count(claims) == 1);
    put(2, RPC_CLAIM_NONE);
    cr_assert(rpc_claims_orphan_count(claims) == 0);
    cr_assert(find(1).state == RPC_CLAIM_PENDING);
    cr_assert(find(2).state == RPC_CLAIM_NONE);
}

Test(claims, forgetting_one_of_a_bucket_leaves_the_others)
{
    for (uint32_t n = 0; n < 100; n++)
        put(n, RPC_CLAIM_PENDING);
    for (uint32_t n = 0; n < 100; n += 2)
        put(n, RPC_CLAIM_NONE);

    for (uint32_t n = 0; n < 100; n++)
        cr_assert(find(n).state == (n % 2 == 0 ? RPC_CLAIM_NONE : RPC_CLAIM_PENDING));
}

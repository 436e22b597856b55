/* SPDX-License-Identifier: Apache-2.0 */
/* Revoking when issuing has stopped. */
#include <inttypes.h>
#include <stdatomic.h>

#include "tests/support/act.h"
#include "tests/support/faults.h"

TestSuite(act_stopped, .init = start, .fini = stop, .timeout = 60);

Test(act_stopped, revoking_goes_on_while_the_clock_is_distrusted)
{
    instance_stop(&instance);
    instance.wall_us = 1893456000000000; /* 2030 */
    instance.monotonic_us = 1000000;
    instance_start(&instance);
    struct ca_serial serial = issue(ID, "alice");
    instance.wall_us -= 3600000000;

    cr_assert_str_eq(life_new(&instance, "request-0000000002", "bob").code, "CLOCK");
    struct life_acted acted = check_act(ACT_ID, REVOKE, &serial, 1, "OK");
    cr_assert(acted.revoked_at == 1893456000, "%" PRId64, acted.revoked_at);
    restart();
    struct life_acted again = check_act(ACT_ID, REVOKE, &serial, 1, "OK");
    cr_assert(life_acted_equal(&acted, &again));
}

Test(act_stopped, revoking_goes_on_while_keys_are_unusable)
{
    struct ca_serial serial = issue(ID, "alice");

    atomic_store(&fault_signatures, 1000);
    cr_assert_str_eq(life_new(&instance, "request-0000000002", "bob").code, "UNKNOWN");
    check_act(ACT_ID, REVOKE, &serial, 1, "OK");
    atomic_store(&fault_signatures, 0);
}

Test(act_stopped, revoking_goes_on_while_the_disk_is_full)
{
    struct ca_serial serial = issue(ID, "alice");

    instance_stop(&instance);
    instance.store_options.reserve_size = (size_t)1 << 60;
    instance_start(&instance);
    cr_assert(info().is_full);
    cr_assert_str_eq(life_new(&instance, "request-0000000002", "bob").code, "STORAGE_FULL");
    check_act(ACT_ID, REVOKE, &serial, 1, "OK");
    cr_assert(life_get(&instance, &serial).state == REVOKED);
}

static struct ca_serial revoked_while_busy;

static void revoke_while_busy(void)
{
    cr_assert_str_eq(life_new(&instance, "request-0000000003", "carol").code, "BUSY");
    check_act(ACT_ID, REVOKE, &revoked_while_busy, 1, "OK");
}

Test(act_stopped, revoking_goes_on_while_the_queues_are_full)
{
    revoked_while_busy = issue(ID, "alice");
    instance_stop(&instance);
    instance.config.limits.queue_items_max = 1;
    instance_start(&instance);

    fault_while_signing = revoke_while_busy; /* the only place in the queue is that item's */
    issue("request-0000000002", "bob");
    cr_assert(fault_while_signing == NULL);
    cr_assert(life_get(&instance, &revoked_while_busy).state == REVOKED);
}

Test(act_stopped, more_than_its_own_queue_holds_is_busy)
{
    struct ca_serial serial = issue(ID, "alice");
    Certmill__ActItem items[3], *pointers[3] = { &items[0], &items[1], &items[2] };

    instance_stop(&instance);
    instance.config.limits.act_items_max = 2;
    instance_start(&instance);
    for (size_t i = 0; i < 3; i++)
        instance_act_item(&items[i], ACT_ID, HOLD, ca_serial_bytes(&serial));
    Certmill__Answer *answer = instance_act(&instance, pointers, 3);
    cr_assert_str_eq(answer->status->code, "BUSY");
    certmill__answer__free_unpacked(answer, NULL);
    check_act(ACT_ID, HOLD, &serial, 0, "OK");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Acts of many at once. */
#include <pthread.h>
#include <stdio.h>

#include "tests/support/act.h"

TestSuite(act_history, .init = start, .fini = stop, .timeout = 60);

Test(act_history, one_request_asked_by_many_at_once_is_done_once)
{
    enum { ASKERS = 16 };
    struct ca_serial serial = issue(ID, "alice");
    struct asker *askers[ASKERS];
    Certmill__ActItem item, *pointer = &item;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;
    uint64_t before = info().change_sequence;

    instance_act_item(&item, ACT_ID, HOLD, ca_serial_bytes(&serial));
    act.n_items = 1;
    act.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &act;
    for (size_t i = 0; i < ASKERS; i++)
        askers[i] = instance_ask_begin(&instance, &request);
    for (size_t i = 0; i < ASKERS; i++) {
        Certmill__Answer *answer = instance_ask_end(askers[i]);
        struct life_acted acted = life_acted_of(answer->act->items[0]);
        cr_assert(strcmp(acted.code, "OK") == 0 || strcmp(acted.code, "UNKNOWN") == 0);
        cr_assert(strcmp(acted.code, "OK") != 0 || acted.sequence == before + 1);
        certmill__answer__free_unpacked(answer, NULL);
    }
    cr_assert(check_act(ACT_ID, HOLD, &serial, 0, "OK").sequence == before + 1);
    cr_assert(info().change_sequence == before + 1);
}

enum { ACTORS = 8, ACTS_EACH = 40, CERTIFICATES = 4 };

struct actor {
    pthread_t thread;
    uint32_t dice;
    char name;
    struct life_acted acted[ACTS_EACH];
    Certmill__Act acts[ACTS_EACH];
};

static struct ca_serial shared[CERTIFICATES];

static void *act_often(void *arg)
{
    static const Certmill__Act acts[] = { HOLD, RELEASE, HOLD, RELEASE, HOLD, RELEASE, REVOKE };
    struct actor *actor = arg;
    char id[32];

    for (int i = 0; i < ACTS_EACH; i++) {
        actor->dice = actor->dice * 1664525 + 1013904223;
        uint32_t roll = actor->dice >> 16;
        actor->acts[i] = acts[roll % (i < ACTS_EACH / 2 ? 6 : 7)];
        snprintf(id, sizeof(id), "act-of-%c-000000000%02d", actor->name, i);
        actor->acted[i] = life_act(&instance, id, actor->acts[i], &shared[roll / 7 % CERTIFICATES],
                                   actor->acts[i] == REVOKE ? 4 : 0);
    }
    return NULL;
}

static enum store_state state_after(Certmill__Act act)
{
    return act == HOLD      ? STORE_STATE_HELD
           : act == RELEASE ? STORE_STATE_VALID
                            : STORE_STATE_REVOKED;
}

/* Every change begins where the one before it ended, and every answer tells one of them. */
Test(act_history, what_many_do_at_once_is_one_history)
{
    static struct actor actors[ACTORS];
    static struct store_change changes[CERTIFICATES + ACTORS * ACTS_EACH];
    enum store_state states[CERTIFICATES] = { STORE_STATE_NONE };
    struct store_view *view;
    size_t count, told = 0;

    for (int i = 0; i < CERTIFICATES; i++) {
        char id[32];
        snprintf(id, sizeof(id), "request-000000%04d", i);
        shared[i] = issue(id, "alice");
    }
    for (int i = 0; i < ACTORS; i++) {
        actors[i].dice = (uint32_t)i;
        actors[i].name = (char)('a' + i);
        cr_assert(pthread_create(&actors[i].thread, NULL, act_often, &actors[i]) == 0);
    }
    for (int i = 0; i < ACTORS; i++)
        cr_assert(pthread_join(actors[i].thread, NULL) == 0);

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_changes(view, 0, changes, CERTIFICATES + ACTORS * ACTS_EACH, &count));
    store_view_close(view);
    for (size_t i = 0; i < count; i++) {
        size_t which = 0;
        while (!life_serial_equal(&shared[which], &changes[i].serial))
            which++;
        cr_assert(changes[i].sequence == i + 1 && changes[i].old_state == states[which]);
        states[which] = changes[i].new_state;
    }
    for (int i = 0; i < CERTIFICATES; i++)
        cr_assert(life_get(&instance, &shared[i]).state == rpc_state(states[i]));
    for (int i = 0; i < ACTORS; i++) {
        for (int k = 0; k < ACTS_EACH; k++) {
            const struct life_acted *acted = &actors[i].acted[k];
            if (acted->sequence == 0)
                continue;
            const struct store_change *change = &changes[acted->sequence - 1];
            cr_assert(life_serial_equal(&change->serial, &acted->serial));
            cr_assert(change->new_state == state_after(actors[i].acts[k]));
            told++;
        }
    }
    cr_assert(told + CERTIFICATES == count, "%zu changes, %zu told", count, told);
}

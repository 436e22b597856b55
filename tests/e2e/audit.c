/* SPDX-License-Identifier: Apache-2.0 */
/* audit: when the daemon served, and by which configuration, is in its audit log. */
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/daemon.h"

enum { ENTRIES_MAX = 64, NOTES_MAX = 16 };

TestSuite(audit, .timeout = 120);

static struct daemon service;

static const char another[] = "name = \"another\";\n"
                              "keys = ( { type = \"p256\"; } );\n"
                              "attributes = ( { name = \"CN\"; } );\n"
                              "key_usage = [ \"digitalSignature\" ];\n"
                              "validity = { days = [ 1 ]; };\n";

struct notes {
    enum store_audit_kind kinds[NOTES_MAX];
    uint8_t digests[NOTES_MAX][32]; /* of starts */
    size_t count;
};

/* Those about the daemon itself, which does not run. */
static struct notes read_notes(void)
{
    const struct store_options options = { .map_size = (size_t)64 << 30, .is_read_only = true };
    static struct store_audit_entry entries[ENTRIES_MAX];
    struct notes notes = { .count = 0 };
    struct store_view *view;
    struct store *store;
    size_t count;
    char path[96];

    snprintf(path, sizeof(path), "%s/instance/data", service.dir);
    check_ok(store_open(path, &options, &store));
    check_ok(store_view_open(store, &view));
    check_ok(store_find_audit(view, 0, entries, ENTRIES_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        const struct store_audit *audit = &entries[i].audit;
        if (audit->kind != STORE_AUDIT_STARTED && audit->kind != STORE_AUDIT_STOPPED)
            continue;
        cr_assert(ca_bytes_equal(audit->actor, CA_BYTES("certmilld")));
        cr_assert_eq(audit->object.len, audit->kind == STORE_AUDIT_STARTED ? 32 : 0);
        cr_assert_lt(notes.count, NOTES_MAX);
        if (audit->object.len > 0)
            memcpy(notes.digests[notes.count], audit->object.data, audit->object.len);
        notes.kinds[notes.count++] = audit->kind;
    }
    store_view_close(view);
    store_close(store);
    return notes;
}

Test(audit, starts_and_stops_are_recorded_with_the_configuration)
{
    static const enum store_audit_kind wanted[] = {
        STORE_AUDIT_STARTED, STORE_AUDIT_STOPPED, /* killed: */ STORE_AUDIT_STARTED,
        STORE_AUDIT_STARTED, STORE_AUDIT_STOPPED,
    };

    daemon_make(&service);
    daemon_start(&service);
    daemon_stop(&service);
    daemon_start(&service);
    daemon_kill(&service);
    daemon_add_profile(&service, "another", another);
    daemon_start(&service);
    daemon_stop(&service);

    struct notes notes = read_notes();
    cr_assert_eq(notes.count, sizeof(wanted) / sizeof(wanted[0]));
    cr_assert_arr_eq(notes.kinds, wanted, sizeof(wanted));
    cr_assert_arr_eq(notes.digests[0], notes.digests[2], 32);
    cr_assert_arr_neq(notes.digests[0], notes.digests[3], 32);
    daemon_unmake(&service);
}

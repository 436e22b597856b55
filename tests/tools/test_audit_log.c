/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/audit_log.h"

#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/daemon.h"

enum { PATIENCE_MS = 60000 };

static struct daemon service;
static struct rpc_client *client;
static struct audit_log *files; /* what the service's configuration names, beside it */

static void start(void)
{
    const struct command_line line = { .usage = "" };
    char path[128];

    daemon_make(&service);
    daemon_start(&service);
    client = daemon_connect(&service, PATIENCE_MS);
    snprintf(path, sizeof(path), "%s/instance/certmill.conf", service.dir);
    check_ok(audit_log_open(&line, path, &files));
}

static void stop(void)
{
    audit_log_close(files);
    rpc_client_close(client);
    daemon_stop(&service);
    daemon_unmake(&service);
}

TestSuite(audit_log, .init = start, .fini = stop, .timeout = 120);

/* One more certificate, and one more record. */
static void issue(size_t n)
{
    struct daemon_item item;
    Certmill__IssueItem *items[] = { &item.item };
    char id[32];

    snprintf(id, sizeof(id), "audit-log-request-%zu", n);
    daemon_item(&service, &item, id, n % DAEMON_CSRS);
    Certmill__Answer *answer = daemon_issue(client, items, 1);
    cr_assert_null(answer->issue->items[0]->status);
    certmill__answer__free_unpacked(answer, NULL);
}

Test(audit_log, a_log_that_grows_is_read_without_holding_on_to_what_it_was)
{
    struct audit_chain chain;
    struct audit_page page;
    uint64_t last = 0;
    size_t n = 0;

    issue(n++);
    audit_chain_init(&chain, 0, NULL, 0);
    while (!audit_chain_is_done(&chain)) {
        check_ok(audit_log_read(files, chain.at.sequence, 1, &page));
        cr_assert(page.last.sequence > last, "the view of %d", (int)last);
        last = page.last.sequence;
        cr_assert_eq(audit_chain_check(&chain, &page), AUDIT_HOLDS);
        if (!audit_chain_is_done(&chain))
            issue(n++);
    }
    cr_assert(n > 1 && chain.end.sequence < last);
}

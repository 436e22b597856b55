/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline: an instance of a test's own, and what is asked of it item by item.
 */
#pragma once

#include "rpc/pipeline_parts.h"

#include "tests/support/check.h"
#include "tests/support/instance.h"

static struct instance instance;

static inline void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
}

static inline void stop(void)
{
    instance_unmake(&instance);
}

static const char ID[] = "request-0000000001";

static inline Certmill__IssueResult *only_result(const Certmill__Answer *answer)
{
    cr_assert(answer->status == NULL, "refused: %s", answer->status->code);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_ISSUE);
    cr_assert(answer->issue->n_items == 1);
    return answer->issue->items[0];
}

static const char *code_of(const Certmill__IssueResult *result)
{
    return result->status == NULL ? "OK" : result->status->code;
}

static inline Certmill__Answer *issue_one(const char *id, struct ca_bytes csr)
{
    Certmill__IssueItem item, *pointer = &item;

    instance_item(&item, id, csr);
    return instance_issue(&instance, &pointer, 1);
}

static inline void check_one(const char *id, struct ca_bytes csr, const char *code)
{
    Certmill__Answer *answer = issue_one(id, csr);

    cr_assert_str_eq(code_of(only_result(answer)), code);
    certmill__answer__free_unpacked(answer, NULL);
}

static inline struct ca_bytes bytes_of(ProtobufCBinaryData data)
{
    return ca_bytes_of(data.data, data.len);
}

static inline struct store_info info(void)
{
    struct store_info now;

    store_info(instance.store, &now);
    return now;
}

static inline enum ca_err put_audit(void *arg, struct store_batch *batch)
{
    struct store_audit audit = {
        .kind = STORE_AUDIT_STARTED,
        .time_us = 1700000000000000,
        .actor = CA_BYTES("test"),
        .object = CA_BYTES("write"),
    };

    (void)arg;
    return store_put_audit(batch, &audit);
}

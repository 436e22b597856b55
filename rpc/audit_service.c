/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/audit_service.h"

#include "ca/keys/head.h"
#include "rpc/heads.h"

/* Kinds travel by their number, which is part of what is hashed. */
#define SAME(kind)                                                                     \
    _Static_assert((int)STORE_AUDIT_##kind == (int)CERTMILL__AUDIT_KIND__AUDIT_##kind, \
                   "a kind has one number")
SAME(ISSUED);
SAME(REFUSED);
SAME(STARTED);
SAME(STOPPED);
SAME(REVOKED);
SAME(HELD);
SAME(RELEASED);
SAME(ACKNOWLEDGED);
SAME(ABANDONED);
SAME(CRL);
SAME(PROFILE);
#undef SAME
_Static_assert((int)STORE_AUDIT_LAST == (int)CERTMILL__AUDIT_KIND__AUDIT_PROFILE,
               "and none is left out");

static ProtobufCBinaryData digest_bytes(const struct store_digest *digest)
{
    return rpc_binary(ca_bytes_of(digest->bytes, STORE_DIGEST_LEN));
}

static ProtobufCBinaryData chain_bytes(const uint8_t chain[CA_DIGEST_LEN])
{
    return rpc_binary(ca_bytes_of(chain, CA_DIGEST_LEN));
}

/* Lends from the entry, and from the view. */
static void record_fill(const struct store_audit_entry *entry, Certmill__AuditRecord *out)
{
    certmill__audit_record__init(out);
    out->sequence = entry->sequence;
    out->time_us = (int64_t)entry->audit.time_us;
    out->kind = (Certmill__AuditKind)entry->audit.kind;
    out->actor = rpc_binary(entry->audit.actor);
    out->object = rpc_binary(entry->audit.object);
    out->request = digest_bytes(&entry->audit.request);
    out->body = digest_bytes(&entry->audit.body);
    out->chain = chain_bytes(entry->chain);
}

/* Where the chain is before and after. */
struct ends {
    struct store_audit_head before, last;
};

static enum ca_err ends_fill(struct store_view *view, uint64_t since, struct ends *ends,
                             Certmill__AuditAnswer *answer)
{
    enum ca_err err = store_view_audit_head(view, &ends->last);

    if (err != CA_OK)
        return err;
    answer->last = ends->last.sequence;
    answer->head = chain_bytes(ends->last.chain);
    err = store_find_audit_head(view, since, &ends->before);
    if (err == CA_OK)
        answer->before = chain_bytes(ends->before.chain);
    return err == CA_ERR_NOT_FOUND ? CA_OK : err; /* nothing there, so nothing behind */
}

/* Those of the records told. False: no memory. */
static bool heads_fill(struct rpc_worker *worker, struct rpc_call *call, uint64_t until,
                       Certmill__AuditAnswer *answer)
{
    size_t room = answer->n_records, count = 0;
    struct keys_signed_head *heads = rpc_call_alloc(call, room * sizeof(*heads));
    Certmill__SignedHead *items;
    void **pointers;

    items = rpc_call_alloc_messages(call, room, sizeof(*items), &pointers);
    if (heads == NULL || items == NULL)
        return false;
    /* Records are told without them where one is damaged: certmill audit verify --config says so.
     */
    if (store_find_signed_heads(worker->view, call->request->audit->since, until, heads, room,
                                &count) != CA_OK)
        return true;
    for (size_t i = 0; i < count; i++)
        rpc_head_fill(&heads[i], &items[i]);
    answer->n_heads = count;
    answer->heads = (Certmill__SignedHead **)pointers;
    return true;
}

bool rpc_audit_list(struct rpc_worker *worker, struct rpc_call *call)
{
    const Certmill__AuditRequest *asked = call->request->audit;
    size_t limit = asked->limit == 0 ? RPC_FIND_LIMIT_DEFAULT : asked->limit;
    Certmill__AuditAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    struct ends *ends = rpc_call_alloc(call, sizeof(*ends));
    struct store_audit_entry *entries;
    size_t count = 0;
    void **pointers;

    if (limit > RPC_FIND_LIMIT_MAX) {
        rpc_call_refuse(call, CA_ERR_FIELD_FORMAT);
        return true;
    }
    entries = rpc_call_alloc(call, limit * sizeof(*entries));
    Certmill__AuditRecord *items = rpc_call_alloc_messages(call, limit, sizeof(*items), &pointers);
    if (answer == NULL || ends == NULL || entries == NULL || items == NULL)
        return false;
    certmill__audit_answer__init(answer);
    enum ca_err err = ends_fill(worker->view, asked->since, ends, answer);
    if (err == CA_OK)
        err = store_find_audit(worker->view, asked->since, entries, limit, &count);
    if (err != CA_OK) {
        rpc_call_refuse(call, err);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        record_fill(&entries[i], &items[i]);
    answer->n_records = count;
    answer->records = (Certmill__AuditRecord **)pointers;
    if (count > 0 && !heads_fill(worker, call, entries[count - 1].sequence, answer))
        return false;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_AUDIT;
    call->answer.audit = answer;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_message: any bytes as a message. What decodes can be packed and decodes to the same again;
 * what does not is refused with an answer that can be read. No input needs more than its share of
 * memory.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/call.h"

/* An answer packs to the size it said, and is an Answer. */
static void check_answer(const struct rpc_call *call)
{
    size_t size = rpc_call_answer_size(call);
    uint8_t *packed = malloc(size + 1);

    assert(packed != NULL);
    packed[size] = 0xa5;
    rpc_call_answer_pack(call, packed);
    assert(packed[size] == 0xa5);
    Certmill__Answer *answer = certmill__answer__unpack(NULL, size, packed);
    assert(answer != NULL);
    assert(call->answer.status == NULL ||
           strcmp(answer->status->code, call->answer.status->code) == 0);
    certmill__answer__free_unpacked(answer, NULL);
    free(packed);
}

static void refuse(struct rpc_call *call, enum ca_err err)
{
    rpc_call_refuse(call, err);
    assert(call->request == NULL && call->answer.status != NULL);
    check_answer(call);
}

/* One status for each item, as issuing answers them; BUSY when there is no memory for it. */
static void answer_items(struct rpc_call *call)
{
    static const struct ca_refusal refusal = { "csr", "RFC 2986 4" };
    Certmill__IssueAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    Certmill__IssueResult **pointers = rpc_call_alloc(call, call->item_count * sizeof(*pointers));

    if (answer == NULL || pointers == NULL) {
        refuse(call, CA_ERR_BUSY);
        return;
    }
    certmill__issue_answer__init(answer);
    for (size_t i = 0; i < call->item_count; i++) {
        pointers[i] = rpc_call_alloc(call, sizeof(*pointers[i]));
        if (pointers[i] == NULL) {
            refuse(call, CA_ERR_BUSY);
            return;
        }
        certmill__issue_result__init(pointers[i]);
        pointers[i]->status = rpc_call_status(call, CA_ERR_CSR_PARSE, &refusal);
        pointers[i]->certificate = call->request->issue->items[i]->csr;
    }
    answer->n_items = call->item_count;
    answer->items = pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_ISSUE;
    call->answer.issue = answer;
    check_answer(call);
}

/* Packed bytes of the request; freed by the caller. */
static uint8_t *pack(const struct rpc_call *call, size_t *size_out)
{
    size_t size = certmill__request__get_packed_size(call->request);
    uint8_t *packed = malloc(size + 1);

    assert(packed != NULL);
    *size_out = certmill__request__pack(call->request, packed);
    assert(*size_out == size);
    return packed;
}

static void check_decoded(struct rpc_call *call)
{
    struct rpc_call *again;
    size_t size, size_again;

    assert(call->request->version == RPC_VERSION);
    assert(call->item_count <= RPC_ITEMS_MAX);
    assert(call->weight >= 1 && call->weight <= RPC_ITEMS_MAX);
    assert(call->is_act == (call->request->method_case == CERTMILL__REQUEST__METHOD_ACT));
    uint8_t *packed = pack(call, &size);
    enum ca_err err = rpc_call_new(&again);
    assert(err == CA_OK);
    /* The canonical form is no longer than what came, fits, and is a fixed point. */
    err = rpc_call_decode(again, ca_bytes_of(packed, size));
    assert(err == CA_OK && again->item_count == call->item_count);
    uint8_t *packed_again = pack(again, &size_again);
    assert(ca_bytes_equal(ca_bytes_of(packed_again, size_again), ca_bytes_of(packed, size)));
    free(packed_again);
    free(packed);
    rpc_call_free(again);
    if (call->request->method_case == CERTMILL__REQUEST__METHOD_ISSUE)
        answer_items(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rpc_call *call;
    enum ca_err err = rpc_call_new(&call);

    assert(err == CA_OK);
    for (int i = 0; i < 2; i++) { /* a call is used again */
        err = rpc_call_decode(call, ca_bytes_of(data, len));
        if (err == CA_OK) {
            check_decoded(call);
        } else {
            assert(call->request == NULL && ca_err_blame(err) != CA_BLAME_US);
            refuse(call, err);
        }
        rpc_call_reset(call);
    }
    rpc_call_free(call);
    return 0;
}

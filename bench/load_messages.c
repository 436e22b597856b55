/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_messages.h"

#include <string.h>
#include <sys/random.h>

#include "rpc/certmill.pb-c.h"

enum { USCC_LEN = 18, ORG_AT = 8, ORG_LEN = 8, REQUEST_ID_LEN = 32 };

/* One message under construction; items point into it. */
struct draft {
    Certmill__IssueItem *items;
    Certmill__IssueItem **item_list;
    Certmill__ActItem *acts;
    Certmill__ActItem **act_list;
    Certmill__Value *values;      /* value_count for each item */
    Certmill__Value **value_list; /* likewise */
    char (*request_ids)[REQUEST_ID_LEN + 1];
    char (*codes)[USCC_LEN + 1];
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        bench_die("out of memory");
    return memory;
}

/*
 * Some enterprise's code: 91, a division, an organisation code made of the number, and both
 * check characters (GB 11714-1997 and GB 32100-2015).
 */
static void code_make(uint64_t number, char code[USCC_LEN + 1])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    static const uint32_t org_weights[ORG_LEN] = { 3, 7, 9, 10, 5, 8, 4, 2 };
    uint32_t org_sum = 0, sum = 0, weight = 1;

    snprintf(code, USCC_LEN + 1, "91350100000000000");
    for (int i = ORG_LEN - 1; i >= 0; i--, number /= 31)
        code[ORG_AT + i] = alphabet[number % 31];
    for (int i = 0; i < ORG_LEN; i++) {
        char c = code[ORG_AT + i];

        org_sum += org_weights[i] * (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
    }
    code[ORG_AT + ORG_LEN] = "0123456789X0"[11 - org_sum % 11];
    for (int i = 0; i < USCC_LEN - 1; i++, weight = weight * 3 % 31)
        sum += weight * (uint32_t)(strchr(alphabet, code[i]) - alphabet);
    code[USCC_LEN - 1] = alphabet[(31 - sum % 31) % 31];
    code[USCC_LEN] = '\0';
}

struct ca_bytes bench_plan_csr(const struct bench_plan *plan, uint64_t number)
{
    if (plan->kind == BENCH_RENEW)
        number = plan->known->items[number].csr + 1;
    return plan->csrs->csrs[number % plan->csrs->count];
}

static ProtobufCBinaryData serial_of(const struct bench_known *known)
{
    return (ProtobufCBinaryData){ CA_SERIAL_LEN, (uint8_t *)(uintptr_t)known->serial.bytes };
}

static void act_fill(const struct bench_plan *plan, struct draft *draft, size_t i, uint64_t number)
{
    enum { SUPERSEDED = 4 };
    Certmill__ActItem *act = &draft->acts[i];

    certmill__act_item__init(act);
    act->request_id = draft->request_ids[i];
    act->act = CERTMILL__ACT__ACT_REVOKE;
    act->serial = serial_of(&plan->known->items[number]);
    act->reason = SUPERSEDED;
    draft->act_list[i] = act;
}

static void item_fill(const struct bench_plan *plan, struct draft *draft, size_t i, uint64_t run,
                      uint64_t number)
{
    struct ca_bytes csr = bench_plan_csr(plan, number);
    Certmill__IssueItem *item = &draft->items[i];

    certmill__issue_item__init(item);
    code_make(plan->kind == BENCH_RENEW ? plan->known->items[number].code : run + number,
              draft->codes[i]);
    if (plan->kind == BENCH_RENEW) {
        item->operation = CERTMILL__OPERATION__OPERATION_RENEW;
        item->predecessor = serial_of(&plan->known->items[number]);
    }
    item->request_id = draft->request_ids[i];
    item->profile = (char *)(uintptr_t)plan->profile;
    item->ca = (char *)(uintptr_t)plan->ca;
    item->csr = (ProtobufCBinaryData){ csr.len, (uint8_t *)(uintptr_t)csr.data };
    item->n_values = plan->value_count;
    item->values = draft->value_list + i * plan->value_count;
    for (size_t v = 0; v < plan->value_count; v++) {
        Certmill__Value *value = &draft->values[i * plan->value_count + v];
        const char *text = plan->values[v].value;

        if (strcmp(text, "%uscc") == 0)
            text = draft->codes[i];
        certmill__value__init(value);
        value->name = (char *)(uintptr_t)plan->values[v].name;
        value->value = (ProtobufCBinaryData){ strlen(text), (uint8_t *)(uintptr_t)text };
        item->values[v] = value;
    }
    draft->item_list[i] = item;
}

static void message_pack(const struct bench_plan *plan, struct draft *draft,
                         struct bench_messages *messages, size_t *size)
{
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    size_t start = messages->starts[messages->count];

    request.version = 1;
    if (plan->kind == BENCH_REVOKE) {
        act.n_items = plan->items_per_message;
        act.items = draft->act_list;
        request.method_case = CERTMILL__REQUEST__METHOD_ACT;
        request.act = &act;
    } else {
        issue.n_items = plan->items_per_message;
        issue.items = draft->item_list;
        request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
        request.issue = &issue;
    }
    size_t len = certmill__request__get_packed_size(&request);
    if (*size - start < len) {
        *size = (start + len) * 3 / 2;
        messages->bytes = realloc(messages->bytes, *size);
        if (messages->bytes == NULL)
            bench_die("not enough memory for the messages: fewer requests, please");
    }
    certmill__request__pack(&request, messages->bytes + start);
    messages->starts[++messages->count] = start + len;
}

static void draft_init(const struct bench_plan *plan, struct draft *draft)
{
    size_t items = plan->items_per_message, values = items * plan->value_count + 1;

    *draft = (struct draft){
        .items = allocate(items, sizeof(*draft->items)),
        .item_list = allocate(items, sizeof(*draft->item_list)),
        .acts = allocate(items, sizeof(*draft->acts)),
        .act_list = allocate(items, sizeof(*draft->act_list)),
        .values = allocate(values, sizeof(*draft->values)),
        .value_list = allocate(values, sizeof(*draft->value_list)),
        .request_ids = allocate(items, sizeof(*draft->request_ids)),
        .codes = allocate(items, sizeof(*draft->codes)),
    };
}

static void draft_wipe(struct draft *draft)
{
    free(draft->items);
    free(draft->item_list);
    free(draft->acts);
    free(draft->act_list);
    free(draft->values);
    free(draft->value_list);
    free(draft->request_ids);
    free(draft->codes);
}

void bench_messages_pack(const struct bench_plan *plan, struct bench_messages *messages_out)
{
    size_t items = plan->items_per_message, size = 0;
    struct bench_messages messages = {
        .starts = allocate(plan->message_count + 1, sizeof(*messages.starts)),
    };
    struct draft draft;
    uint64_t run;

    draft_init(plan, &draft);
    if (getrandom(&run, sizeof(run), 0) != sizeof(run))
        bench_die("no random numbers");
    run >>= 25; /* leaves the codes of a run without a repetition */
    for (size_t m = 0; m < plan->message_count; m++) {
        for (size_t i = 0; i < items; i++) {
            uint64_t number = m * items + i;
            snprintf(draft.request_ids[i], sizeof(draft.request_ids[i]), "%016llx%016llx",
                     (unsigned long long)run, (unsigned long long)number);
            if (plan->kind == BENCH_REVOKE)
                act_fill(plan, &draft, i, number);
            else
                item_fill(plan, &draft, i, run, number);
        }
        message_pack(plan, &draft, &messages, &size);
    }
    draft_wipe(&draft);
    messages.run = run;
    *messages_out = messages;
}

void bench_messages_free(struct bench_messages *messages)
{
    free(messages->bytes);
    free(messages->starts);
    *messages = (struct bench_messages){ 0 };
}

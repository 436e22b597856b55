/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/audit_chain.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "ca/base/text.h"
#include "ca/crypto/digest.h"

enum { NUMBER_LEN = 8, RECORD_VERSION = 1 };

static bool chain_equal(const uint8_t a[CA_DIGEST_LEN], const uint8_t b[CA_DIGEST_LEN])
{
    return ca_bytes_equal(ca_bytes_of(a, CA_DIGEST_LEN), ca_bytes_of(b, CA_DIGEST_LEN));
}

/* The digest that a record has behind the one before. */
static void entry_chain(const struct store_audit_entry *entry, const uint8_t before[CA_DIGEST_LEN],
                        uint8_t chain[CA_DIGEST_LEN])
{
    const struct store_audit *audit = &entry->audit;
    uint8_t sequence[NUMBER_LEN], time[NUMBER_LEN];

    assert(audit->actor.len <= UINT8_MAX && audit->object.len <= UINT8_MAX);
    ca_bytes_put_number(sequence, entry->sequence, NUMBER_LEN);
    for (int i = 0; i < NUMBER_LEN; i++) /* little endian */
        time[i] = (uint8_t)(audit->time_us >> (8 * i));
    const uint8_t head[] = { RECORD_VERSION, (uint8_t)audit->kind };
    const uint8_t actor_len = (uint8_t)audit->actor.len, object_len = (uint8_t)audit->object.len;
    const struct ca_bytes parts[] = {
        ca_bytes_of(before, CA_DIGEST_LEN),
        ca_bytes_of(sequence, NUMBER_LEN),
        ca_bytes_of(head, sizeof(head)),
        ca_bytes_of(time, NUMBER_LEN),
        ca_bytes_of(audit->request.bytes, STORE_DIGEST_LEN),
        ca_bytes_of(audit->body.bytes, STORE_DIGEST_LEN),
        ca_bytes_of(&actor_len, 1),
        audit->actor,
        ca_bytes_of(&object_len, 1),
        audit->object,
    };
    crypto_sha256(parts, sizeof(parts) / sizeof(parts[0]), chain);
}

void audit_chain_init(struct audit_chain *chain, uint64_t since,
                      const struct store_audit_head *kept, size_t count)
{
    assert(count == 0 || kept[0].sequence >= since);
    *chain = (struct audit_chain){ .kept = kept, .kept_count = count, .at.sequence = since };
}

static enum audit_verdict compare_kept(struct audit_chain *chain)
{
    for (; chain->kept_met < chain->kept_count; chain->kept_met++) {
        const struct store_audit_head *kept = &chain->kept[chain->kept_met];
        if (kept->sequence != chain->at.sequence)
            break;
        if (!chain_equal(chain->at.chain, kept->chain))
            return AUDIT_REPLACED;
    }
    return AUDIT_HOLDS;
}

static enum audit_verdict begin(struct audit_chain *chain, const struct audit_page *page)
{
    chain->end = page->last;
    if (chain->kept_count > 0 && chain->kept[chain->kept_count - 1].sequence > chain->end.sequence)
        return AUDIT_CUT;
    if (!page->has_before || chain->at.sequence > chain->end.sequence)
        return AUDIT_SHORT;
    memcpy(chain->at.chain, page->before.chain, CA_DIGEST_LEN);
    chain->before = chain->at;
    chain->is_begun = true;
    return compare_kept(chain);
}

static enum audit_verdict check_entry(struct audit_chain *chain,
                                      const struct store_audit_entry *entry)
{
    uint8_t next[CA_DIGEST_LEN];

    if (entry->sequence != chain->at.sequence + 1)
        return AUDIT_LOST;
    entry_chain(entry, chain->at.chain, next);
    if (!chain_equal(next, entry->chain))
        return AUDIT_ALTERED;
    memcpy(chain->at.chain, next, CA_DIGEST_LEN);
    chain->at.sequence++;
    return compare_kept(chain);
}

enum audit_verdict audit_chain_check(struct audit_chain *chain, const struct audit_page *page)
{
    enum audit_verdict verdict = AUDIT_HOLDS;

    if (!chain->is_begun)
        verdict = begin(chain, page);
    else if (!page->has_before || !chain_equal(page->before.chain, chain->at.chain))
        verdict = AUDIT_PARTED;
    for (size_t i = 0; verdict == AUDIT_HOLDS && i < page->count && !audit_chain_is_done(chain);
         i++)
        verdict = check_entry(chain, &page->entries[i]);
    if (verdict != AUDIT_HOLDS)
        return verdict;
    if (audit_chain_is_done(chain))
        return chain_equal(chain->at.chain, chain->end.chain) ? AUDIT_HOLDS : AUDIT_HEADLESS;
    return page->count == 0 ? AUDIT_LOST : AUDIT_HOLDS;
}

bool audit_chain_is_done(const struct audit_chain *chain)
{
    return chain->is_begun && chain->at.sequence == chain->end.sequence;
}

void audit_chain_text(const struct audit_chain *chain, enum audit_verdict verdict,
                      char text[AUDIT_VERDICT_TEXT_LEN + 1])
{
    static const struct {
        const char *before, *after;
        bool is_of_next;
    } words[] = {
        [AUDIT_HOLDS] = { "record ", " and those before it hold", false },
        [AUDIT_SHORT] = { "there is no record ", ": the log ends before it", true },
        [AUDIT_CUT] = { "there is no record ", ", of which a digest was kept: the end was cut off",
                        false },
        [AUDIT_LOST] = { "record ", " is missing", true },
        [AUDIT_PARTED] = { "record ", " continues another record than the one before it", true },
        [AUDIT_ALTERED] = { "record ", " is not what was chained: it was altered or moved", true },
        [AUDIT_REPLACED] = { "record ",
                             " is not the one whose digest was kept: it, or one before "
                             "it, was replaced",
                             false },
        [AUDIT_HEADLESS] = { "record ", " is the last one, but the head is another digest", false },
    };
    uint64_t number =
        verdict == AUDIT_CUT ? chain->kept[chain->kept_count - 1].sequence : chain->at.sequence;

    snprintf(text, AUDIT_VERDICT_TEXT_LEN + 1, "%s%" PRIu64 "%s", words[verdict].before,
             number + words[verdict].is_of_next, words[verdict].after);
}

void audit_place_format(const struct store_audit_head *place, char text[AUDIT_PLACE_TEXT_LEN + 1])
{
    char hex[2 * CA_DIGEST_LEN + 1];

    ca_text_hex(ca_bytes_of(place->chain, CA_DIGEST_LEN), hex);
    snprintf(text, AUDIT_PLACE_TEXT_LEN + 1, "%" PRIu64 ":%s", place->sequence, hex);
}

bool audit_place_parse(const char *text, struct store_audit_head *place_out)
{
    const char *colon = strchr(text, ':');
    char number[24];
    size_t len;

    *place_out = (struct store_audit_head){ 0 };
    if (colon == NULL || (size_t)(colon - text) >= sizeof(number))
        return false;
    snprintf(number, sizeof(number), "%.*s", (int)(colon - text), text);
    return ca_text_to_number(number, 0, INT64_MAX, &place_out->sequence) &&
           ca_text_unhex(colon + 1, place_out->chain, CA_DIGEST_LEN, &len) && len == CA_DIGEST_LEN;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/audit_chain.h"

#include "ca/base/text.h"
#include "tests/support/check.h"

enum { SINCE = 6, COUNT = 3, LAST = SINCE + COUNT, LONG_LEN = 64 };

static const char *const digests[COUNT] = {
    /* by Python's hashlib, from the fields below and the octets 0 to 31 before them */
    "b1dc32cc7e3635a0cf8c43964e32b31869eafda9c35ecccaf353e5d21ecbe607",
    "f49316fd2784873d31dd568785e7fd5bc6d994eefd603d804340d67d8905301c",
    "a551bf24a5f94332107bfd66b09eda1fe7084e9949334ccfaae1bf7b6c80278c",
};

static struct store_audit_entry entries[COUNT];
static uint8_t actor[LONG_LEN], object[LONG_LEN], serial[CA_SERIAL_LEN];
static struct audit_page page;
static struct audit_chain chain;

static void unhex(const char *text, uint8_t digest[CA_DIGEST_LEN])
{
    size_t len;

    cr_assert(ca_text_unhex(text, digest, CA_DIGEST_LEN, &len) && len == CA_DIGEST_LEN);
}

static void fill(struct store_digest *digest, int octet)
{
    memset(digest->bytes, octet, sizeof(digest->bytes));
}

/* Records 7 to 9 of a log that ends there. */
static void make_page(void)
{
    memset(actor, 'a', sizeof(actor));
    memset(object, 'r', sizeof(object));
    for (size_t i = 0; i < sizeof(serial); i++)
        serial[i] = (uint8_t)i;
    entries[0].audit = (struct store_audit){ .kind = STORE_AUDIT_ISSUED,
                                             .time_us = 0x0102030405060708,
                                             .actor = CA_BYTES("uid:1000"),
                                             .object = ca_bytes_of(serial, sizeof(serial)) };
    fill(&entries[0].audit.request, 0x11);
    fill(&entries[0].audit.body, 0x22);
    entries[1].audit = (struct store_audit){ .kind = STORE_AUDIT_STOPPED,
                                             .time_us = 1,
                                             .actor = CA_BYTES("certmilld") };
    entries[2].audit = (struct store_audit){ .kind = STORE_AUDIT_REFUSED,
                                             .time_us = (UINT64_C(1) << 56) - 1,
                                             .actor = ca_bytes_of(actor, LONG_LEN),
                                             .object = ca_bytes_of(object, LONG_LEN) };
    fill(&entries[2].audit.request, 0x33);
    fill(&entries[2].audit.body, 0x44);
    for (size_t i = 0; i < COUNT; i++) {
        entries[i].sequence = SINCE + 1 + i;
        unhex(digests[i], entries[i].chain);
    }
    page = (struct audit_page){ .entries = entries, .count = COUNT, .has_before = true };
    page.before.sequence = SINCE;
    for (size_t i = 0; i < CA_DIGEST_LEN; i++)
        page.before.chain[i] = (uint8_t)i;
    page.last.sequence = LAST;
    unhex(digests[COUNT - 1], page.last.chain);
    audit_chain_init(&chain, SINCE, NULL, 0);
}

TestSuite(audit_chain, .init = make_page, .timeout = 10);

/* The digest of record number `sequence`, as somebody has kept it. */
static struct store_audit_head kept_of(uint64_t sequence)
{
    struct store_audit_head kept = page.before;

    if (sequence > SINCE)
        unhex(digests[sequence - SINCE - 1], kept.chain);
    kept.sequence = sequence;
    return kept;
}

static void check_verdict(enum audit_verdict want, uint64_t holds_to, const char *word)
{
    char text[AUDIT_VERDICT_TEXT_LEN + 1];
    enum audit_verdict verdict = audit_chain_check(&chain, &page);

    audit_chain_text(&chain, verdict, text);
    cr_assert_eq(verdict, want, "%d: %s", (int)verdict, text);
    cr_assert_eq(chain.at.sequence, holds_to, "%s", text);
    cr_assert(strstr(text, word) != NULL, "%s", text);
}

Test(audit_chain, a_whole_log_holds_to_its_head)
{
    check_verdict(AUDIT_HOLDS, LAST, "record 9 and those before it hold");
    cr_assert(audit_chain_is_done(&chain));
    check_bytes(ca_bytes_of(chain.at.chain, 32), ca_bytes_of(page.last.chain, 32));
    check_bytes(ca_bytes_of(chain.before.chain, 32), ca_bytes_of(page.before.chain, 32));
    cr_assert_eq(chain.before.sequence, SINCE);
}

Test(audit_chain, pages_follow_upon_each_other)
{
    page.count = 1;
    for (uint64_t sequence = SINCE + 1; sequence <= LAST; sequence++) {
        cr_assert(!audit_chain_is_done(&chain));
        check_verdict(AUDIT_HOLDS, sequence, "hold");
        page.before = kept_of(sequence);
        page.entries++;
    }
    cr_assert(audit_chain_is_done(&chain));
}

Test(audit_chain, what_was_written_meanwhile_is_left_for_the_next_time)
{
    page.last = kept_of(SINCE + 2);
    entries[2].chain[0] ^= 1;
    check_verdict(AUDIT_HOLDS, SINCE + 2, "hold");
    cr_assert(audit_chain_is_done(&chain));
}

Test(audit_chain, a_log_without_anything_new_holds)
{
    struct store_audit_head kept = kept_of(LAST);

    page = (struct audit_page){ .entries = entries, .has_before = true, .before = kept };
    page.last = kept;
    audit_chain_init(&chain, LAST, &kept, 1);
    check_verdict(AUDIT_HOLDS, LAST, "hold");
    page.before.chain[0] ^= 1; /* with the head as it was */
    audit_chain_init(&chain, LAST, NULL, 0);
    check_verdict(AUDIT_HEADLESS, LAST, "the head is another");
}

/* Each field of record 8 but its own digest: then the record is what is wrong. */
static const struct ca_bytes other = { (const uint8_t *)"certmillD", 9 };
static void alter_kind(struct store_audit *audit)
{
    audit->kind = STORE_AUDIT_STARTED;
}
static void alter_time(struct store_audit *audit)
{
    audit->time_us ^= UINT64_C(1) << 63;
}
static void alter_actor(struct store_audit *audit)
{
    audit->actor = other;
}
static void alter_object(struct store_audit *audit)
{
    audit->object = other;
}
static void alter_border(struct store_audit *audit) /* the same octets, cut elsewhere */
{
    audit->object = ca_bytes_of(audit->actor.data + 8, 1);
    audit->actor.len = 8;
}
static void alter_request(struct store_audit *audit)
{
    audit->request.bytes[15] ^= 1;
}
static void alter_body(struct store_audit *audit)
{
    audit->body.bytes[0] ^= 1;
}

Test(audit_chain, any_field_that_is_altered_shows_at_its_record)
{
    static void (*const alter[])(struct store_audit *) = {
        alter_kind, alter_time, alter_actor, alter_object, alter_border, alter_request, alter_body,
    };

    for (size_t i = 0; i < sizeof(alter) / sizeof(alter[0]); i++) {
        make_page();
        alter[i](&entries[1].audit);
        check_verdict(AUDIT_ALTERED, SINCE + 1, "record 8 is not what was chained");
    }
    make_page();
    entries[1].chain[31] ^= 1;
    check_verdict(AUDIT_ALTERED, SINCE + 1, "record 8 is not");
    make_page();
    page.before.chain[0] ^= 1;
    check_verdict(AUDIT_ALTERED, SINCE, "record 7 is not");
}

Test(audit_chain, records_that_are_lost_added_or_moved_show)
{
    page.entries++; /* the first is missing */
    page.count--;
    check_verdict(AUDIT_LOST, SINCE, "record 7 is missing");
    make_page();
    entries[1] = entries[2]; /* the second */
    page.count = 2;
    check_verdict(AUDIT_LOST, SINCE + 1, "record 8 is missing");
    make_page();
    page.count = 2; /* the last, which the head has */
    check_verdict(AUDIT_HOLDS, SINCE + 2, "hold");
    page.before = kept_of(SINCE + 2);
    page.count = 0;
    check_verdict(AUDIT_LOST, SINCE + 2, "record 9 is missing");
    make_page();
    struct store_audit first = entries[0].audit; /* two in each other's place */
    entries[0].audit = entries[1].audit;
    entries[1].audit = first;
    check_verdict(AUDIT_ALTERED, SINCE, "record 7 is not");
    make_page();
    entries[1] = entries[0]; /* the same twice */
    check_verdict(AUDIT_LOST, SINCE + 1, "record 8 is missing");
}

Test(audit_chain, pages_of_two_logs_do_not_make_one)
{
    page.count = 1;
    check_verdict(AUDIT_HOLDS, SINCE + 1, "hold");
    page.entries++;
    page.before = kept_of(SINCE + 1);
    page.before.chain[5] ^= 1;
    check_verdict(AUDIT_PARTED, SINCE + 1, "record 8 continues another");
    page.before.chain[5] ^= 1;
    page.has_before = false;
    check_verdict(AUDIT_PARTED, SINCE + 1, "record 8 continues another");
}

Test(audit_chain, a_head_that_no_record_has_shows)
{
    page.last.chain[0] ^= 1;
    check_verdict(AUDIT_HEADLESS, LAST, "record 9 is the last one, but the head");
}

Test(audit_chain, a_kept_head_is_found_again_wherever_it_is)
{
    for (uint64_t sequence = SINCE; sequence <= LAST; sequence++) {
        struct store_audit_head kept = kept_of(sequence);
        make_page();
        audit_chain_init(&chain, SINCE, &kept, 1);
        check_verdict(AUDIT_HOLDS, LAST, "hold");
        make_page();
        kept.chain[sequence] ^= 0x80;
        audit_chain_init(&chain, SINCE, &kept, 1);
        check_verdict(AUDIT_REPLACED, sequence, "whose digest was kept");
    }
}

Test(audit_chain, a_log_that_ends_too_early_shows)
{
    struct store_audit_head kept = kept_of(LAST);

    page.last = kept_of(SINCE + 2); /* a log that was cut off is whole in itself */
    page.count = 2;
    audit_chain_init(&chain, SINCE, &kept, 1);
    check_verdict(AUDIT_CUT, SINCE, "no record 9, of which a digest was kept");
    make_page();
    page.has_before = false;
    page.count = 0;
    page.last = kept_of(SINCE);
    audit_chain_init(&chain, SINCE + 3, NULL, 0);
    check_verdict(AUDIT_SHORT, SINCE + 3, "no record 10: the log ends before it");
    make_page();
    page.has_before = false; /* whatever else it says */
    check_verdict(AUDIT_SHORT, SINCE, "no record 7");
    make_page();
    page.last = kept_of(SINCE - 1); /* what comes before is told all the same */
    check_verdict(AUDIT_SHORT, SINCE, "no record 7");
}

Test(audit_chain, a_place_is_written_as_it_is_read)
{
    char text[AUDIT_PLACE_TEXT_LEN + 1];
    struct store_audit_head place = page.last, again;

    audit_place_format(&place, text);
    cr_assert_str_eq(text, "9:a551bf24a5f94332107bfd66b09eda1fe7084e9949334ccfaae1bf7b6c80278c");
    cr_assert(audit_place_parse(text, &again) && again.sequence == LAST);
    check_bytes(ca_bytes_of(again.chain, 32), ca_bytes_of(place.chain, 32));
    place.sequence = INT64_MAX;
    audit_place_format(&place, text);
    cr_assert(audit_place_parse(text, &again) && again.sequence == INT64_MAX);
}

#define HEX64 "a551bf24a5f94332107bfd66b09eda1fe7084e9949334ccfaae1bf7b6c80278c"

Test(audit_chain, what_is_no_place_is_refused)
{
    static const char *const wrong[] = {
        "",
        ":",
        "9",
        "9:",
        ":" HEX64,
        HEX64,
        "9" HEX64,
        "9:" HEX64 "0",
        "9:" HEX64 "00",
        "9:" HEX64 " ",
        "-9:" HEX64,
        "x:" HEX64,
        " 9:" HEX64,
        "9 :" HEX64,
        "9::" HEX64,
        "9:a551bf",
        "9223372036854775808:" HEX64,
        "99999999999999999999999999:" HEX64,
    };
    struct store_audit_head place;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert(!audit_place_parse(wrong[i], &place), "%s", wrong[i]);
}

Test(audit_chain, each_of_several_that_were_kept_is_compared)
{
    struct store_audit_head kept[COUNT + 2];

    for (size_t i = 0; i <= COUNT; i++)
        kept[i] = kept_of(SINCE + i);
    kept[COUNT + 1] = kept_of(LAST); /* twice, from two who kept it */
    audit_chain_init(&chain, SINCE, kept, COUNT + 2);
    check_verdict(AUDIT_HOLDS, LAST, "hold");
    cr_assert_eq(chain.kept_met, COUNT + 2);
    for (size_t i = 0; i < COUNT + 2; i++) {
        kept[i].chain[31] ^= 1;
        audit_chain_init(&chain, SINCE, kept, COUNT + 2);
        check_verdict(AUDIT_REPLACED, kept[i].sequence, "kept");
        kept[i].chain[31] ^= 1;
    }
    kept[COUNT + 1].sequence++;
    audit_chain_init(&chain, SINCE, kept, COUNT + 2);
    check_verdict(AUDIT_CUT, SINCE, "record 10, of which a digest was kept");
}

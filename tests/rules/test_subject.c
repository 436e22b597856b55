/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/subject.h"

#include "tests/support/draft.h"

static struct ca_arena *arena;
static struct rules_profile *profile;
static struct ca_refusal refusal;
static regex_t pattern;

static const struct rules_value USCC = { CA_BYTES("uscc"), CA_BYTES("91350100M000100Y43") };

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
    profile = profiles_enterprise_raw(arena);
    profiles_prepared(profile, arena);
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(subject, .init = set_up, .fini = tear_down);

static enum ca_err decode(uint8_t tag, const char *text, size_t len, struct ca_bytes *utf8)
{
    return rules_string_decode(tag, ca_bytes_of(text, len), arena, utf8);
}

Test(subject, bmp_strings_become_utf8_of_one_two_and_three_octets)
{
    struct ca_bytes utf8;

    check_ok(decode(DER_BMP_STRING, "\x00z\x00\x7f\x00\x80\x07\xff\x08\x00\xff\xfd", 12, &utf8));
    check_bytes(utf8, CA_BYTES("z\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd"));
    check_ok(decode(DER_BMP_STRING, "", 0, &utf8));
    cr_assert_eq(utf8.len, 0);
}

Test(subject, strings_outside_their_character_set_are_refused)
{
    struct ca_bytes utf8;

    check_ok(decode(DER_PRINTABLE_STRING, "a'()+,-./:=?", 12, &utf8));
    check_err(decode(DER_PRINTABLE_STRING, "a@b", 3, &utf8), CA_ERR_FIELD_FORMAT);
    check_ok(decode(DER_IA5_STRING, "a@b", 3, &utf8));
    check_err(decode(DER_IA5_STRING, "\x80", 1, &utf8), CA_ERR_FIELD_FORMAT);
    check_err(decode(DER_TELETEX_STRING, "\xe4", 1, &utf8), CA_ERR_FIELD_FORMAT);
    check_err(decode(DER_BMP_STRING, "a", 1, &utf8), CA_ERR_FIELD_FORMAT);
    check_err(decode(DER_OCTET_STRING, "a", 1, &utf8), CA_ERR_FIELD_FORMAT);
}

static enum ca_err take(const struct rules_request *request, char *subject,
                        struct rules_subject *taken)
{
    struct x509_csr csr;
    const struct rules_order order = { .profile = profile, .request = request, .csr = &csr };

    draft_load_csr("p256", &csr);
    csr.extension_count = 0;
    draft_subject(subject, &csr, arena);
    return rules_subject_take(&order, arena, taken, &refusal);
}

Test(subject, what_an_ignoring_profile_does_not_use_may_be_anything)
{
    const struct rules_value values[] = { USCC, { CA_BYTES("O"), CA_BYTES("Example") } };
    const struct rules_request request = { .values = values, .value_count = 2 };
    struct rules_subject taken;
    char subject[] = "C=US;O:0x04=\\xff;O=twice;1.2.3.4=x;CN=Example";
    char again[] = "C=US;O=Other;CN=Example;CN=Example";

    profile->ignores_request_subject = true;
    check_ok(take(&request, subject, &taken));
    check_bytes(taken.values[0], CA_BYTES("CN"));
    check_bytes(taken.values[3], CA_BYTES("Example"));
    check_err(take(&request, again, &taken), CA_ERR_FIELD_REPEATED);
    cr_assert_str_eq(refusal.field, "subject.CN");
}

Test(subject, values_are_taken_in_the_order_of_the_profile)
{
    const struct rules_request request = { .values = &USCC, .value_count = 1 };
    struct rules_subject taken;
    char subject[] = "CN=Example;O=Example Ltd";

    check_ok(take(&request, subject, &taken));
    check_bytes(taken.values[3], CA_BYTES("Example Ltd"));
    check_bytes(taken.values[5], CA_BYTES("Example"));
    check_bytes(taken.values[6], USCC.value);
    cr_assert_null(taken.values[1].data);
    cr_assert(!rules_subject_is_empty(profile, &taken));
}

Test(subject, a_subject_of_extensions_only_is_empty)
{
    struct rules_subject taken = { 0 };

    taken.values[6] = USCC.value;
    cr_assert(rules_subject_is_empty(profile, &taken));
}

Test(subject, a_pattern_sees_the_value_and_nothing_behind_it)
{
    struct rules_profile *person = profiles_person_raw(arena, &pattern);

    profiles_prepared(person, arena);
    check_ok(rules_value_check(&person->attributes[1], ca_bytes_of("AB1234zzzz", 6), &refusal));
    check_err(rules_value_check(&person->attributes[1], CA_BYTES("AB123"), &refusal),
              CA_ERR_FIELD_FORMAT);
    cr_assert_str_eq(refusal.rule, "profile pattern");
    regfree(&pattern);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/identity.h"

#include "tests/support/check.h"
#include "tests/support/tsv.h"

struct number_kind {
    const char *name;
    enum ca_err (*check)(struct ca_bytes number);
    enum ca_err wrong;
    const char *check_characters;
};

static const struct number_kind kinds[] = {
    { "uscc", rules_uscc_check, CA_ERR_USCC_CHECK, "0123456789ABCDEFGHJKLMNPQRTUWXY" },
    { "org", rules_org_check, CA_ERR_ORG_CHECK, "0123456789X" },
    { "id", rules_id_check, CA_ERR_ID_CHECK, "0123456789X" },
};

static const struct number_kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    cr_assert_fail("kind %s", name);
    return NULL;
}

/* The one check character that is taken in place of the last one. */
static char only_check_of(const struct number_kind *kind, const char *number)
{
    char text[32];
    char found = '-';
    size_t len = strlen(number);

    memcpy(text, number, len);
    for (const char *c = kind->check_characters; *c != '\0'; c++) {
        text[len - 1] = *c;
        if (kind->check(ca_bytes_of(text, len)) == CA_OK) {
            cr_assert_eq(found, '-', "%s: two check characters", number);
            found = *c;
        }
    }
    return found;
}

Test(identity, numbers_of_the_vectors_are_judged_as_written)
{
    struct tsv tsv = tsv_open("identifiers.tsv");

    while (tsv_next(&tsv, 5)) {
        const struct number_kind *kind = kind_of(tsv.fields[0]);
        const char *number = tsv.fields[1];

        /* A check character outside the alphabet is a matter of form. */
        bool has_form = strchr(kind->check_characters, number[strlen(number) - 1]) != NULL;
        enum ca_err wrong = has_form ? kind->wrong : CA_ERR_FIELD_FORMAT;

        check_err(kind->check(ca_bytes_of_text(number)),
                  strcmp(tsv.fields[2], "yes") == 0 ? CA_OK : wrong);
        cr_assert_eq(only_check_of(kind, number), tsv.fields[3][0], "%s", number);
    }
    cr_assert_geq(tsv.count, 18);
}

Test(identity, a_number_of_another_form_is_refused_before_its_check_character)
{
    struct tsv tsv = tsv_open("identifier_forms.tsv");

    while (tsv_next(&tsv, 3)) {
        const struct number_kind *kind = kind_of(tsv.fields[0]);

        cr_assert_eq(kind->check(ca_bytes_of_text(tsv.fields[1])), CA_ERR_FIELD_FORMAT,
                     "line %u: %s", tsv.line, tsv.fields[2]);
    }
    cr_assert(tsv.count > 0);
}

Test(identity, a_nul_is_no_character_of_any_number)
{
    check_err(rules_uscc_check(ca_bytes_of("91350100M000100\0"
                                           "43",
                                           18)),
              CA_ERR_FIELD_FORMAT);
    check_err(rules_org_check(ca_bytes_of("0002180\0"
                                          "2",
                                          9)),
              CA_ERR_FIELD_FORMAT);
    check_err(rules_id_check(ca_bytes_of("1101051949123100\0X", 18)), CA_ERR_FIELD_FORMAT);
}

Test(identity, the_code_of_an_organisation_is_inside_its_credit_code)
{
    check_ok(rules_org_check(CA_BYTES("M000100Y4")));
    check_ok(rules_org_check(CA_BYTES("71526726X")));
}

Test(identity, a_citizen_number_may_end_in_a_small_x)
{
    check_ok(rules_id_check(CA_BYTES("11010519491231002x")));
}

Test(identity, one_wrong_character_is_always_noticed)
{
    static const char right[] = "91350100M000100Y43";
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    char text[sizeof(right)];

    for (size_t at = 0; at < sizeof(right) - 1; at++) {
        for (const char *c = alphabet; *c != '\0'; c++) {
            memcpy(text, right, sizeof(right));
            text[at] = *c;
            cr_assert_eq(rules_uscc_check(ca_bytes_of_text(text)) == CA_OK, *c == right[at]);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/crl_lint.h"

#include "ca/base/time.h"
#include "ca/x509/ext.h"
#include "tests/support/check.h"

/* A list that keeps every rule, at every edge at once; a test then goes one step further. */
#define NOW_S  INT64_C(1795000000)
#define NAME   CA_BYTES("\x30\x00")
#define KEY_ID "\x01\x02\x03\x04"

static struct x509_crl crl;
static struct x509_cert issuer;
static struct x509_crl_lint_context context;
static uint8_t memory[2048];
static struct der_writer writer;

static void make_good(void)
{
    crl = (struct x509_crl){
        .issuer = NAME,
        .this_update_s = NOW_S,
        .next_update_s = NOW_S + 10 * CA_DAY_S,
        .has_next_update = true,
        .key_id = CA_BYTES(KEY_ID),
        .number = CA_BYTES("\x01\x00"),
    };
    issuer = (struct x509_cert){
        .subject = { .whole = NAME },
        .extensions = { { .oid = X509_OID_KEY_USAGE, .value = CA_BYTES("\x03\x02\x01\x02") },
                        { .oid = X509_OID_SKI, .value = CA_BYTES("\x04\x04" KEY_ID) } },
        .extension_count = 2,
    };
    context = (struct x509_crl_lint_context){ .issuer = &issuer, .now_s = NOW_S };
    der_writer_init(&writer, memory, sizeof(memory));
}

TestSuite(crl_lint, .init = make_good, .timeout = 10);

/* From the last entry to the first. */
static void add(struct x509_crl_entry entry)
{
    check_ok(x509_crl_entry_write(&writer, &entry));
    crl.entries = der_writer_bytes(&writer);
    crl.has_entries = true;
}

/* Broken so often, and no other rule at all. */
static void check_broken(enum x509_crl_rule rule, uint64_t count)
{
    struct x509_crl_report report;
    struct ca_refusal refusal;

    check_ok(x509_crl_lint(&crl, &context, &report, &refusal));
    for (int i = 0; i < X509_CRL_RULE_COUNT; i++)
        cr_assert_eq(report.counts[i], i == (int)rule ? count : 0, "%s: %d",
                     x509_crl_rule_name((enum x509_crl_rule)i), (int)report.counts[i]);
}

static void check_good(void)
{
    check_broken(X509_CRL_RULE_COUNT, 0);
}

Test(crl_lint, a_list_is_in_time_from_its_first_second_to_its_last)
{
    check_good();
    context.now_s = NOW_S - 1;
    check_broken(X509_CRL_RULE_NOT_YET, 1);
    context.now_s = crl.next_update_s;
    check_good();
    context.now_s = crl.next_update_s + 1;
    check_broken(X509_CRL_RULE_EXPIRED, 1);
}

Test(crl_lint, the_next_update_is_there_and_later_but_not_by_more_than_ten_days)
{
    crl.next_update_s++;
    check_broken(X509_CRL_RULE_NEXT_UPDATE_FAR, 1);
    crl.next_update_s = NOW_S + 1;
    check_good();
    crl.next_update_s = NOW_S;
    check_broken(X509_CRL_RULE_NEXT_UPDATE_ORDER, 1);
    crl.has_next_update = false;
    check_broken(X509_CRL_RULE_NEXT_UPDATE_MISSING, 1);
}

Test(crl_lint, the_issuer_is_the_one_named_and_may_sign_lists)
{
    issuer.extensions[0].value = CA_BYTES("\x03\x02\x01\x06");
    check_good();
    issuer.extensions[0].value = CA_BYTES("\x03\x02\x02\x04"); /* keyCertSign alone */
    check_broken(X509_CRL_RULE_ISSUER_USAGE, 1);
    issuer.extensions[0].value = CA_BYTES("\x03\x02\x00\x01"); /* encipherOnly */
    check_broken(X509_CRL_RULE_ISSUER_USAGE, 1);
    issuer.extensions[0].value = CA_BYTES("\x03\x01\x00");
    check_broken(X509_CRL_RULE_ISSUER_USAGE, 1);
    issuer.extensions[0].oid = X509_OID_AIA; /* every usage is allowed */
    check_good();
    issuer.subject.whole = CA_BYTES("\x30\x01\x00");
    check_broken(X509_CRL_RULE_ISSUER_OTHER, 1);
    context.issuer = NULL;
    check_good();
}

Test(crl_lint, the_key_identifier_is_that_of_the_issuer)
{
    crl.key_id = CA_BYTES("\x01\x02\x03\x05");
    check_broken(X509_CRL_RULE_KEY_ID_OTHER, 1);
    issuer.extension_count = 1;
    check_good();
    crl.key_id.len = 0;
    check_broken(X509_CRL_RULE_KEY_ID_MISSING, 1);
}

Test(crl_lint, numbers_are_there_and_a_base_is_below)
{
    crl.is_number_critical = true;
    check_broken(X509_CRL_RULE_NUMBER_CRITICAL, 1);
    crl.is_number_critical = false;
    crl.base_number = CA_BYTES("\xff");
    check_broken(X509_CRL_RULE_BASE_CRITICAL, 1);
    crl.is_base_critical = true;
    check_good();
    crl.base_number = crl.number;
    check_broken(X509_CRL_RULE_BASE_ORDER, 1);
    crl.base_number = CA_BYTES("\x01\x01");
    check_broken(X509_CRL_RULE_BASE_ORDER, 1);
    crl.base_number.len = crl.number.len = 0;
    check_broken(X509_CRL_RULE_NUMBER_MISSING, 1);
}

Test(crl_lint, delta_lists_are_named_by_complete_ones_and_not_critically)
{
    crl.freshest = (struct x509_crl_freshest){ .is_present = true, .url = CA_BYTES("http://a") };
    check_good();
    crl.freshest.is_critical = true;
    check_broken(X509_CRL_RULE_FRESHEST_CRITICAL, 1);
    crl.freshest.is_critical = false;
    crl.base_number = CA_BYTES("\xff");
    crl.is_base_critical = true;
    check_broken(X509_CRL_RULE_FRESHEST_DELTA, 1);
}

Test(crl_lint, a_distribution_point_is_critical_says_something_and_is_the_expected_one)
{
    context.url = CA_BYTES("http://a");
    check_broken(X509_CRL_RULE_POINT_OTHER, 1);
    crl.idp = (struct x509_crl_idp){ .is_present = true, .url = CA_BYTES("http://a") };
    check_broken(X509_CRL_RULE_POINT_CRITICAL, 1);
    crl.idp.is_critical = true;
    check_good();
    crl.idp.url = CA_BYTES("http://A");
    check_broken(X509_CRL_RULE_POINT_OTHER, 1);
    context.url.len = 0;
    crl.idp.is_indirect = true;
    check_broken(X509_CRL_RULE_POINT_INDIRECT, 1);
    crl.idp = (struct x509_crl_idp){ .is_present = true, .is_critical = true };
    check_broken(X509_CRL_RULE_POINT_EMPTY, 1);
    crl.idp.only_user_certs = true;
    check_good();
}

Test(crl_lint, what_is_critical_is_known_and_an_empty_list_is_left_out)
{
    crl.has_unknown_critical = true;
    check_broken(X509_CRL_RULE_CRITICAL_UNKNOWN, 1);
    crl.has_unknown_critical = false;
    crl.has_entries = true;
    check_broken(X509_CRL_RULE_EMPTY_LIST, 1);
}

Test(crl_lint, entries_lie_in_the_past_of_the_list_and_invalidity_in_theirs)
{
    struct x509_crl_entry entry = { .serial = CA_BYTES("\x05"),
                                    .revoked_s = NOW_S,
                                    .reason = X509_CRL_SUPERSEDED,
                                    .has_invalidity = true,
                                    .invalidity_s = NOW_S };

    add(entry);
    check_good();
    entry.serial = CA_BYTES("\x04");
    entry.revoked_s++;
    add(entry);
    check_broken(X509_CRL_RULE_ENTRY_FUTURE, 1);
    make_good();
    entry.revoked_s = NOW_S - 1;
    add(entry);
    check_broken(X509_CRL_RULE_ENTRY_INVALIDITY, 1);
}

Test(crl_lint, entries_ascend_without_repetition)
{
    struct x509_crl_entry entry = { .serial = CA_BYTES("\x00\x80"), .revoked_s = NOW_S };

    add(entry);
    entry.serial = CA_BYTES("\x7f");
    add(entry);
    check_good();
    add(entry);
    check_broken(X509_CRL_RULE_ENTRY_TWICE, 1);
    make_good();
    add(entry);
    entry.serial = CA_BYTES("\x00\x80");
    add(entry);
    check_broken(X509_CRL_RULE_ENTRY_ORDER, 1);
}

Test(crl_lint, reasons_fit_the_list)
{
    static const struct {
        enum x509_crl_reason reason;
        enum x509_crl_rule rule;
    } cases[] = { { X509_CRL_CERTIFICATE_HOLD, X509_CRL_RULE_REASON_HOLD },
                  { X509_CRL_CA_COMPROMISE, X509_CRL_RULE_REASON_AUTHORITY },
                  { X509_CRL_AA_COMPROMISE, X509_CRL_RULE_REASON_AUTHORITY },
                  { X509_CRL_REMOVE_FROM_CRL, X509_CRL_RULE_REASON_REMOVE },
                  { X509_CRL_KEY_COMPROMISE, X509_CRL_RULE_COUNT } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_good();
        add((struct x509_crl_entry){ CA_BYTES("\x09"), NOW_S, .reason = cases[i].reason });
        check_broken(cases[i].rule, 1);
    }
    make_good();
    add((struct x509_crl_entry){ CA_BYTES("\x09"), NOW_S, .reason = X509_CRL_REMOVE_FROM_CRL });
    crl.base_number = CA_BYTES("\x01");
    crl.is_base_critical = true;
    check_good();
}

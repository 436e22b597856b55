/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/crl_lint.h"

#include <assert.h>

#include "ca/base/time.h"
#include "ca/x509/ext.h"

enum { NEXT_UPDATE_MAX_S = 10 * CA_DAY_S };

static const struct rule {
    const char *name, *text, *source;
    enum x509_crl_severity severity;
} rules[X509_CRL_RULE_COUNT] = {
#define X(name, severity, text, source) { #name, text, source, X509_CRL_##severity },
    X509_CRL_RULES(X)
#undef X
};

const char *x509_crl_rule_name(enum x509_crl_rule rule)
{
    assert(rule < X509_CRL_RULE_COUNT);
    return rules[rule].name;
}

const char *x509_crl_rule_text(enum x509_crl_rule rule)
{
    assert(rule < X509_CRL_RULE_COUNT);
    return rules[rule].text;
}

const char *x509_crl_rule_source(enum x509_crl_rule rule)
{
    assert(rule < X509_CRL_RULE_COUNT);
    return rules[rule].source;
}

enum x509_crl_severity x509_crl_rule_severity(enum x509_crl_rule rule)
{
    assert(rule < X509_CRL_RULE_COUNT);
    return rules[rule].severity;
}

static void look(struct x509_crl_report *report, enum x509_crl_rule rule, bool is_broken)
{
    report->counts[rule] += is_broken;
}

/* KeyUsage ::= BIT STRING; cRLSign is bit 6. Without the extension every usage is allowed. */
static bool may_sign_lists(const struct x509_cert *cert)
{
    const struct x509_extension *usage = x509_cert_extension(cert, X509_OID_KEY_USAGE);

    return usage == NULL || (usage->value.len >= 4 && usage->value.data[0] == DER_BIT_STRING &&
                             (usage->value.data[3] & 0x80 >> 6) != 0);
}

static struct ca_bytes subject_key_id(const struct x509_cert *cert)
{
    const struct x509_extension *extension = x509_cert_extension(cert, X509_OID_SKI);
    struct der_value id = { 0 };

    if (extension == NULL)
        return id.content;
    struct der_reader reader = der_reader_of(extension->value);
    return der_read(&reader, DER_OCTET_STRING, &id) == CA_OK ? id.content : (struct ca_bytes){ 0 };
}

static void lint_issuer(const struct x509_crl *crl, const struct x509_cert *issuer,
                        struct x509_crl_report *report)
{
    struct ca_bytes id = subject_key_id(issuer);

    look(report, X509_CRL_RULE_ISSUER_OTHER, !ca_bytes_equal(crl->issuer, issuer->subject.whole));
    look(report, X509_CRL_RULE_ISSUER_USAGE, !may_sign_lists(issuer));
    look(report, X509_CRL_RULE_KEY_ID_OTHER,
         crl->key_id.len > 0 && id.len > 0 && !ca_bytes_equal(crl->key_id, id));
}

static void lint_times(const struct x509_crl *crl, int64_t now_s, struct x509_crl_report *report)
{
    look(report, X509_CRL_RULE_NOT_YET, crl->this_update_s > now_s);
    look(report, X509_CRL_RULE_NEXT_UPDATE_MISSING, !crl->has_next_update);
    if (!crl->has_next_update)
        return;
    look(report, X509_CRL_RULE_NEXT_UPDATE_ORDER, crl->next_update_s <= crl->this_update_s);
    look(report, X509_CRL_RULE_NEXT_UPDATE_FAR,
         crl->next_update_s - crl->this_update_s > NEXT_UPDATE_MAX_S);
    look(report, X509_CRL_RULE_EXPIRED, crl->next_update_s < now_s);
}

static void lint_extensions(const struct x509_crl *crl, struct ca_bytes url,
                            struct x509_crl_report *report)
{
    const struct x509_crl_idp *idp = &crl->idp;

    look(report, X509_CRL_RULE_KEY_ID_MISSING, crl->key_id.len == 0);
    look(report, X509_CRL_RULE_NUMBER_MISSING, crl->number.len == 0);
    look(report, X509_CRL_RULE_NUMBER_CRITICAL, crl->is_number_critical);
    look(report, X509_CRL_RULE_CRITICAL_UNKNOWN, crl->has_unknown_critical);
    look(report, X509_CRL_RULE_EMPTY_LIST, crl->has_entries && crl->entries.len == 0);
    if (crl->base_number.len > 0) {
        look(report, X509_CRL_RULE_BASE_CRITICAL, !crl->is_base_critical);
        look(report, X509_CRL_RULE_BASE_ORDER,
             ca_bytes_compare_numbers(crl->base_number, crl->number) >= 0);
    }
    look(report, X509_CRL_RULE_FRESHEST_CRITICAL, crl->freshest.is_critical);
    look(report, X509_CRL_RULE_FRESHEST_DELTA,
         crl->freshest.is_present && crl->base_number.len > 0);
    look(report, X509_CRL_RULE_POINT_OTHER, url.len > 0 && !ca_bytes_equal(url, idp->url));
    if (!idp->is_present)
        return;
    look(report, X509_CRL_RULE_POINT_CRITICAL, !idp->is_critical);
    look(report, X509_CRL_RULE_POINT_INDIRECT, idp->is_indirect);
    look(report, X509_CRL_RULE_POINT_EMPTY,
         idp->url.len == 0 && !idp->only_user_certs && !idp->only_ca_certs &&
             !idp->only_attribute_certs && !idp->only_some_reasons && !idp->is_indirect);
}

static void look_entry(struct x509_crl_report *report, enum x509_crl_rule rule, bool is_broken,
                       const struct x509_crl_entry *entry)
{
    if (is_broken && report->counts[rule]++ == 0)
        report->serials[rule] = entry->serial;
}

static void lint_entry(const struct x509_crl *crl, const struct x509_crl_entry *entry,
                       struct x509_crl_report *report)
{
    bool is_delta = crl->base_number.len > 0;

    look_entry(report, X509_CRL_RULE_ENTRY_CRITICAL_UNKNOWN, entry->has_unknown_critical, entry);
    look_entry(report, X509_CRL_RULE_ENTRY_UNKNOWN, entry->has_unknown, entry);
    look_entry(report, X509_CRL_RULE_ENTRY_CRITICAL, entry->has_critical, entry);
    look_entry(report, X509_CRL_RULE_ENTRY_FUTURE, entry->revoked_s > crl->this_update_s, entry);
    look_entry(report, X509_CRL_RULE_ENTRY_INVALIDITY,
               entry->has_invalidity && entry->invalidity_s > entry->revoked_s, entry);
    look_entry(report, X509_CRL_RULE_REASON_UNSPECIFIED,
               entry->has_reason && entry->reason == X509_CRL_UNSPECIFIED, entry);
    look_entry(report, X509_CRL_RULE_REASON_REMOVE,
               entry->reason == X509_CRL_REMOVE_FROM_CRL && !is_delta, entry);
    look_entry(report, X509_CRL_RULE_REASON_HOLD, entry->reason == X509_CRL_CERTIFICATE_HOLD,
               entry);
    look_entry(report, X509_CRL_RULE_REASON_AUTHORITY,
               entry->reason == X509_CRL_CA_COMPROMISE || entry->reason == X509_CRL_AA_COMPROMISE,
               entry);
}

static enum ca_err lint_entries(const struct x509_crl *crl, struct x509_crl_report *report,
                                struct ca_refusal *refusal)
{
    struct x509_crl_cursor cursor = x509_crl_entries(crl);
    struct x509_crl_entry entry;
    struct ca_bytes last = { 0 };
    enum ca_err err;

    for (; !x509_crl_at_end(&cursor); report->entry_count++) {
        if ((err = x509_crl_next(&cursor, &entry, refusal)) != CA_OK)
            return err;
        int order = last.len == 0 ? -1 : x509_crl_serial_compare(last, entry.serial);
        look_entry(report, X509_CRL_RULE_ENTRY_TWICE, order == 0, &entry);
        look_entry(report, X509_CRL_RULE_ENTRY_ORDER, order > 0, &entry);
        lint_entry(crl, &entry, report);
        last = entry.serial;
    }
    return CA_OK;
}

enum ca_err x509_crl_lint(const struct x509_crl *crl, const struct x509_crl_lint_context *context,
                          struct x509_crl_report *report_out, struct ca_refusal *refusal)
{
    *report_out = (struct x509_crl_report){ 0 };
    if (context->issuer != NULL)
        lint_issuer(crl, context->issuer, report_out);
    lint_times(crl, context->now_s, report_out);
    lint_extensions(crl, context->url, report_out);

    enum ca_err err = lint_entries(crl, report_out, refusal);
    report_out->is_sorted = report_out->counts[X509_CRL_RULE_ENTRY_ORDER] == 0;
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* crl verify: may this list be relied on? Signature, rules, and the list before it. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ca/base/text.h"
#include "ca/x509/crl_lint.h"
#include "tools/cmd_crl.h"
#include "tools/file.h"
#include "tools/pem.h"

static const struct command_option OPTIONS[] = {
    { "issuer", "CERT", "the issuer's certificate, PEM or DER (required)", 0 },
    { "previous", "FILE", "the list before: numbers, times and entries must follow from it", 0 },
    { "url", "URL", "distribution point in the certificates, to be compared octet by octet", 0 },
    { "at", "TIME", "judge times as of then, instead of now", 0 },
    { "json", NULL, "as JSON", 0 },
};
enum { OPTION_ISSUER, OPTION_PREVIOUS, OPTION_URL, OPTION_AT, OPTION_JSON, OPTION_COUNT };

enum { CERT_FILE_LEN_MAX = 1 << 18 };

struct verification {
    const char *issuer_path, *previous_path, *url;
    int64_t now_s;
    bool is_json;

    struct ca_arena *arena;
    uint8_t *cert_file;
    struct x509_cert issuer;
    struct crl_input list, previous;
    struct json json;
    uint64_t errors, warnings;
    uint64_t dates_changed, reasons_changed;
};

static bool take_option(void *arg, size_t option, const char *value)
{
    struct verification *v = arg;

    switch (option) {
    case OPTION_ISSUER: v->issuer_path = value; break;
    case OPTION_PREVIOUS: v->previous_path = value; break;
    case OPTION_URL: v->url = value; break;
    case OPTION_JSON: v->is_json = true; break;
    case OPTION_AT:
        if (!command_parse_time(value, &v->now_s)) {
            command_wrong("at: %s is no time", value);
            return false;
        }
        break;
    }
    return true;
}

/* ---- findings */

static const char *severity_text(enum x509_crl_severity severity)
{
    switch (severity) {
    case X509_CRL_ERROR: return "error";
    case X509_CRL_WARNING: return "warning";
    default: return "note";
    }
}

struct finding {
    enum x509_crl_severity severity;
    const char *name, *text, *source;
    uint64_t count;
    struct ca_bytes serial; /* of the first entry concerned, if entries are */
};

static void report(struct verification *v, const struct finding *finding)
{
    char hex[CRL_HEX_LEN_MAX + 1];

    v->errors += finding->severity == X509_CRL_ERROR;
    v->warnings += finding->severity == X509_CRL_WARNING;
    if (v->is_json) {
        json_object(&v->json, NULL);
        json_text(&v->json, "severity", severity_text(finding->severity));
        json_text(&v->json, "rule", finding->name);
        json_text(&v->json, "text", finding->text);
        json_text(&v->json, "source", finding->source);
        json_number(&v->json, "count", finding->count);
        if (finding->serial.len > 0)
            json_hex(&v->json, "serial", finding->serial);
        json_end(&v->json);
        return;
    }
    printf("%-8s %-22s %s (%s)", severity_text(finding->severity), finding->name, finding->text,
           finding->source);
    if (finding->serial.len > 0) {
        crl_hex(finding->serial, hex);
        printf(", %llu times, first with serial number %s", (unsigned long long)finding->count,
               hex);
    }
    putchar('\n');
}

static void report_simple(struct verification *v, enum x509_crl_severity severity, const char *name,
                          const char *text, const char *source)
{
    const struct finding finding = { severity, name, text, source, 1, { 0 } };

    report(v, &finding);
}

/* ---- the checks */

static enum ca_err load_issuer(struct verification *v)
{
    struct ca_refusal refusal = { "", "" };
    struct pem_block block;
    size_t len;
    enum ca_err err = file_load(v->issuer_path, CERT_FILE_LEN_MAX, &v->cert_file, &len);

    if (err != CA_OK) {
        command_failed("%s: %s", v->issuer_path, strerror(errno));
        return CA_ERR_NOT_FOUND;
    }
    struct ca_bytes text = ca_bytes_of(v->cert_file, len), der = text;
    if (len > 0 && text.data[0] != DER_SEQUENCE) {
        if ((err = pem_next(&text, v->arena, &block)) != CA_OK) {
            command_failed("%s: no DER, and no PEM block", v->issuer_path);
            return err;
        }
        der = block.der;
    }
    if ((err = x509_cert_parse(der, &v->issuer, &refusal)) != CA_OK)
        command_failed("%s: %s (%s, %s)", v->issuer_path, ca_err_text(err), refusal.field,
                       refusal.rule);
    return err;
}

static enum ca_err check_signature(struct verification *v)
{
    struct crypto *crypto = NULL;
    struct crypto_own_key *key = NULL;
    enum ca_err err;

    if ((err = crypto_open(&crypto)) == CA_OK &&
        (err = crypto_own_key_new(&v->issuer.key, &key)) == CA_OK)
        err = rules_crl_verify(crypto, key, &v->list.crl);
    crypto_own_key_free(key);
    crypto_close(crypto);
    if (err == CA_ERR_NOMEM)
        return err;
    if (err != CA_OK)
        report_simple(v, X509_CRL_ERROR, "SIGNATURE",
                      "signature does not verify with the issuer's key", "RFC 5280 6.3.3 (g)");
    return CA_OK;
}

static enum ca_err check_rules(struct verification *v)
{
    const struct x509_crl_lint_context context = {
        .issuer = &v->issuer,
        .url = v->url == NULL ? (struct ca_bytes){ 0 } : ca_bytes_of_text(v->url),
        .now_s = v->now_s,
    };
    struct x509_crl_report result;
    struct ca_refusal refusal;
    enum ca_err err = x509_crl_lint(&v->list.crl, &context, &result, &refusal);

    for (uint32_t i = 0; i < X509_CRL_RULE_COUNT; i++) {
        const enum x509_crl_rule rule = (enum x509_crl_rule)i;
        const struct finding finding = { x509_crl_rule_severity(rule), x509_crl_rule_name(rule),
                                         x509_crl_rule_text(rule),     x509_crl_rule_source(rule),
                                         result.counts[rule],          result.serials[rule] };
        if (result.counts[rule] > 0)
            report(v, &finding);
    }
    if (err == CA_ERR_CRL_PARSE)
        report_simple(v, X509_CRL_ERROR, "ENTRY_FORM", refusal.field, refusal.rule);
    return err == CA_ERR_CRL_PARSE ? CA_OK : err;
}

static enum ca_err on_change(void *arg, const struct rules_crl_change *change,
                             struct ca_refusal *refusal)
{
    struct verification *v = arg;

    (void)refusal;
    if (change->kind == RULES_CRL_CHANGED && change->before->reason != X509_CRL_CERTIFICATE_HOLD) {
        v->dates_changed += change->before->revoked_s != change->after->revoked_s;
        v->reasons_changed += change->before->reason != change->after->reason &&
                              change->after->reason != X509_CRL_KEY_COMPROMISE;
    }
    return CA_OK;
}

static void check_order(struct verification *v)
{
    const struct x509_crl *before = &v->previous.crl, *after = &v->list.crl;
    int order = before->number.len != after->number.len
                    ? (before->number.len < after->number.len ? -1 : 1)
                    : ca_bytes_compare(before->number, after->number);

    if (!ca_bytes_equal(before->issuer, after->issuer))
        report_simple(v, X509_CRL_ERROR, "PREVIOUS_ISSUER", "the list before has another issuer",
                      "none");
    if (order >= 0)
        report_simple(v, X509_CRL_ERROR, "PREVIOUS_NUMBER", "the number did not grow",
                      "RFC 5280 5.2.3");
    if (after->this_update_s < before->this_update_s)
        report_simple(v, X509_CRL_ERROR, "PREVIOUS_TIME", "thisUpdate went back",
                      "RFC 5280 5.1.2.4");
}

static enum ca_err check_previous(struct verification *v)
{
    struct rules_crl_side before, after;
    struct rules_crl_difference difference;
    struct ca_refusal refusal;
    char text[160];
    enum ca_err err;

    check_order(v);
    if ((err = crl_input_side(&v->previous, &before)) != CA_OK ||
        (err = crl_input_side(&v->list, &after)) != CA_OK)
        return err;
    err = rules_crl_compare(&before, &after, on_change, v, &difference, &refusal);
    if (err != CA_OK) {
        report_simple(v, X509_CRL_ERROR, "PREVIOUS_COMPARE", refusal.rule, refusal.field);
        return CA_OK;
    }
    if (v->dates_changed > 0)
        report_simple(v, X509_CRL_WARNING, "PREVIOUS_DATES", "revocation dates changed",
                      "BR 7.2.2");
    if (v->reasons_changed > 0)
        report_simple(v, X509_CRL_WARNING, "PREVIOUS_REASONS",
                      "reasons changed to others than keyCompromise", "BR 7.2.2");
    snprintf(text, sizeof(text), "%llu added, %llu removed, %llu changed",
             (unsigned long long)difference.added, (unsigned long long)difference.removed,
             (unsigned long long)difference.changed);
    report_simple(v, X509_CRL_NOTE, "PREVIOUS_CHANGES", text,
                  "RFC 5280 3.3: entries leave after their certificates' ends");
    return CA_OK;
}

/* ---- the command */

static enum ca_err check_all(struct verification *v)
{
    enum ca_err err;

    if ((err = check_signature(v)) != CA_OK || (err = check_rules(v)) != CA_OK)
        return err;
    return v->previous_path == NULL ? CA_OK : check_previous(v);
}

static enum ca_err load_all(struct verification *v)
{
    enum ca_err err;

    if ((err = load_issuer(v)) == CA_OK)
        err = crl_input_open(v->list.path, &v->list);
    if (err == CA_OK && v->previous_path != NULL)
        err = crl_input_open(v->previous_path, &v->previous);
    return err;
}

static int verify(struct verification *v)
{
    enum ca_err err = load_all(v);

    if (err != CA_OK)
        return crl_input_exit(err);
    if (v->is_json) {
        json_init(&v->json, stdout);
        json_object(&v->json, NULL);
        json_array(&v->json, "findings");
    }
    err = check_all(v);
    if (v->is_json) {
        json_end(&v->json);
        json_flag(&v->json, "good", err == CA_OK && v->errors == 0);
        json_end(&v->json);
    }
    if (err != CA_OK)
        return command_failed("%s: %s", v->list.path, ca_err_text(err));
    if (!v->is_json)
        printf("%s: %s, %llu error%s, %llu warning%s\n", v->list.path,
               v->errors == 0 ? "good" : "not to be relied on", (unsigned long long)v->errors,
               ca_text_plural(v->errors), (unsigned long long)v->warnings,
               ca_text_plural(v->warnings));
    return v->errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_crl_verify(int argc, char **argv)
{
    struct verification v = { .now_s = (int64_t)time(NULL) };
    struct command_line line = {
        .usage = "crl verify FILE --issuer CERT [OPTION...]",
        .about = "Exit code 0: the list can be relied on; 1: it cannot; 2: wrong usage, or a\n"
                 "file that is not there.\n",
        .options = OPTIONS,
        .option_count = OPTION_COUNT,
    };
    int exit_code;

    if (!command_line_parse(&line, argc, argv, take_option, &v, &exit_code))
        return exit_code;
    if (line.argc != 1 || v.issuer_path == NULL)
        return command_wrong("usage: certmill %s", line.usage);
    if (ca_arena_new(1 << 16, 1 << 20, &v.arena) != CA_OK)
        return command_failed("%s", ca_err_text(CA_ERR_NOMEM));
    v.list.path = line.argv[0];
    exit_code = verify(&v);
    crl_input_close(&v.list);
    crl_input_close(&v.previous);
    ca_arena_free(v.arena);
    free(v.cert_file);
    return exit_code;
}

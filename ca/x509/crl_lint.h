/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_lint: the rules a list must keep, for lists of anybody's making.
 *
 * Everything that is wrong is counted, not just the first. Rules of RFC 5280, and of the CA/B
 * Forum's Baseline Requirements as warnings. The signature is not verified here.
 */
#pragma once

#include "ca/x509/cert.h"
#include "ca/x509/crl.h"

/* An error makes the list unfit for use; a warning breaks a rule that relying parties live with; a
 * note is worth knowing. */
enum x509_crl_severity { X509_CRL_NOTE, X509_CRL_WARNING, X509_CRL_ERROR };

/* clang-format off */
/* name, severity, what is wrong, where it stands */
#define X509_CRL_RULES(X) \
    X(ISSUER_OTHER, ERROR, "issuer is not, byte for byte, the subject of the certificate", \
      "RFC 5280 6.3.3 (f), BR 7.2") \
    X(ISSUER_USAGE, ERROR, "key usage of the certificate has no cRLSign", \
      "RFC 5280 6.3.3 (f)") \
    X(KEY_ID_MISSING, ERROR, "no authorityKeyIdentifier with a key identifier", \
      "RFC 5280 5.2.1") \
    X(KEY_ID_OTHER, ERROR, "authorityKeyIdentifier is not the certificate's subjectKeyIdentifier", \
      "RFC 5280 5.2.1") \
    X(NUMBER_MISSING, ERROR, "no cRLNumber", \
      "RFC 5280 5.2.3") \
    X(NUMBER_CRITICAL, ERROR, "cRLNumber is critical", \
      "RFC 5280 5.2.3") \
    X(NEXT_UPDATE_MISSING, ERROR, "no nextUpdate", \
      "RFC 5280 5.1.2.5") \
    X(NEXT_UPDATE_ORDER, ERROR, "nextUpdate is not after thisUpdate", \
      "RFC 5280 5.1.2.5") \
    X(NEXT_UPDATE_FAR, WARNING, "nextUpdate is more than 10 days after thisUpdate", \
      "BR 7.2") \
    X(EXPIRED, ERROR, "nextUpdate is over", \
      "RFC 5280 6.3.3 (a)") \
    X(NOT_YET, ERROR, "thisUpdate is to come", \
      "RFC 5280 5.1.2.4") \
    X(EMPTY_LIST, ERROR, "revokedCertificates is there and empty", \
      "RFC 5280 5.1.2.6") \
    X(CRITICAL_UNKNOWN, ERROR, "an unknown extension is critical", \
      "RFC 5280 5.2") \
    X(BASE_CRITICAL, ERROR, "deltaCRLIndicator is not critical", \
      "RFC 5280 5.2.4") \
    X(BASE_ORDER, ERROR, "base number is not below the number", \
      "RFC 5280 5.2.4") \
    X(POINT_CRITICAL, ERROR, "issuingDistributionPoint is not critical", \
      "RFC 5280 5.2.5") \
    X(POINT_EMPTY, ERROR, "issuingDistributionPoint is empty", \
      "RFC 5280 5.2.5") \
    X(POINT_OTHER, ERROR, "distribution point is not, byte for byte, the one expected", \
      "RFC 5280 6.3.3 (b), BR 7.2.2") \
    X(POINT_INDIRECT, ERROR, "indirect lists are not supported", \
      "RFC 5280 5.2.5") \
    X(FRESHEST_CRITICAL, ERROR, "freshestCRL is critical", \
      "RFC 5280 5.2.6") \
    X(FRESHEST_DELTA, ERROR, "freshestCRL in a delta list", \
      "RFC 5280 5.2.6") \
    X(ENTRY_TWICE, ERROR, "a serial number is there twice", \
      "RFC 5280 5.1.2.6") \
    X(ENTRY_ORDER, NOTE, "serial numbers are not ascending", \
      "none") \
    X(ENTRY_CRITICAL_UNKNOWN, ERROR, "an unknown extension of an entry is critical", \
      "RFC 5280 5.3") \
    X(ENTRY_UNKNOWN, NOTE, "an extension of an entry is unknown", \
      "RFC 5280 5.3") \
    X(ENTRY_CRITICAL, WARNING, "reasonCode or invalidityDate is critical", \
      "RFC 5280 5.3.1, 5.3.2") \
    X(ENTRY_FUTURE, WARNING, "revocation date is after thisUpdate", \
      "none") \
    X(ENTRY_INVALIDITY, WARNING, "invalidityDate is after the revocation date", \
      "RFC 5280 5.3.2") \
    X(REASON_UNSPECIFIED, WARNING, "reason unspecified is written", \
      "RFC 5280 5.3.1, BR 7.2.2") \
    X(REASON_REMOVE, ERROR, "removeFromCRL in a complete list", \
      "RFC 5280 5.3.1") \
    X(REASON_HOLD, WARNING, "reason certificateHold", \
      "BR 7.2.2") \
    X(REASON_AUTHORITY, WARNING, "reason of an authority's certificate", \
      "BR 7.2.2")
/* clang-format on */

enum x509_crl_rule {
#define X(name, severity, text, source) X509_CRL_RULE_##name,
    X509_CRL_RULES(X)
#undef X
        X509_CRL_RULE_COUNT
};

const char *x509_crl_rule_name(enum x509_crl_rule rule); /* "ISSUER_OTHER" */
const char *x509_crl_rule_text(enum x509_crl_rule rule);
const char *x509_crl_rule_source(enum x509_crl_rule rule); /* "RFC 5280 5.2.3" */
enum x509_crl_severity x509_crl_rule_severity(enum x509_crl_rule rule);

/* What the list's surroundings say. */
struct x509_crl_lint_context {
    const struct x509_cert *issuer; /* NULL: not known, its rules are left out */
    struct ca_bytes url; /* in the certificates' distribution point; empty: not compared */
    int64_t now_s;
};

struct x509_crl_report {
    uint64_t counts[X509_CRL_RULE_COUNT];         /* how often a rule is broken */
    struct ca_bytes serials[X509_CRL_RULE_COUNT]; /* of the first entry that does, if entries do */
    uint64_t entry_count;
    bool is_sorted; /* if not, ENTRY_TWICE tells of neighbours only */
};

/* CRL_PARSE when an entry cannot be read: entry_count tells how many could. */
CA_MUST_CHECK enum ca_err x509_crl_lint(const struct x509_crl *crl,
                                        const struct x509_crl_lint_context *context,
                                        struct x509_crl_report *report_out,
                                        struct ca_refusal *refusal);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bad_requests: every bad certification request there is, sent to a running daemon. Each is
 * refused with its code, and leaves nothing behind; what a profile may allow gives a certificate
 * that openssl accepts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/x509/cert.h"
#include "ca/x509/ext.h"
#include "tests/support/check.h"
#include "tests/support/daemon.h"
#include "tests/support/rows.h"

enum { ROWS_MAX = 512, AT_ONCE = 50, PATIENCE_MS = 60000 };

/* Takes what can be taken: keys of all types, names of all types, any subject. */
static const char OPEN_PROFILE[] =
    "name = \"open\";\n"
    "keys = ( { type = \"p256\"; }, { type = \"p384\"; }, { type = \"rsa\"; }, { type = \"sm2\"; "
    "},\n { type = \"ed25519\"; } );\n"
    "attributes = ( { name = \"C\"; }, { name = \"ST\"; }, { name = \"L\"; }, { name = \"O\"; },\n"
    " { name = \"OU\"; }, { name = \"CN\"; }, { name = \"emailAddress\"; } );\n"
    "ignore_request_extensions = true;\n"
    "subject_alt_names = { dns = true; ip = true; email = true; uri = true; wildcard = true; };\n"
    "key_usage = [ \"digitalSignature\" ];\n"
    "validity = { days = [ 90 ]; };\n";

struct case_ {
    char *name, *kept_code;
    const char *code; /* NULL: any */
    struct ca_bytes csr;
    bool may_pass;
};

static struct daemon service;
static struct rpc_client *client;
static struct case_ cases[ROWS_MAX];
static size_t case_count;

static void start(void)
{
    daemon_make(&service);
    daemon_add_profile(&service, "open", OPEN_PROFILE);
    daemon_start(&service);
    client = daemon_connect(&service, PATIENCE_MS);
}

static void stop(void)
{
    for (size_t i = 0; i < case_count; i++) {
        free(cases[i].name);
        free(cases[i].kept_code);
        rows_free(cases[i].csr);
    }
    rpc_client_close(client);
    daemon_stop(&service);
    daemon_unmake(&service);
}

TestSuite(bad_requests, .init = start, .fini = stop, .timeout = 600);

/* Reads name, code and DER from the columns told. */
static void load(const char *file, int code, int der)
{
    struct rows rows;

    rows_open(&rows, file);
    for (case_count = 0; rows_next(&rows); case_count++) {
        cr_assert(case_count < ROWS_MAX);
        cases[case_count] = (struct case_){
            .name = strdup(rows.fields[0]),
            .kept_code = strdup(code < 0 ? "-" : rows.fields[code]),
            .csr = rows_unhex(rows.fields[der]),
            .may_pass = code < 0 || strcmp(rows.fields[code], "-") == 0,
        };
        cases[case_count].code = cases[case_count].kept_code;
    }
    rows_close(&rows);
    cr_assert(case_count > 0);
}

/* ---- what may pass */

static void check_own(const struct case_ *one, struct ca_bytes certificate)
{
    struct ca_refusal refusal = { 0 };
    struct x509_cert cert;

    enum ca_err err = x509_cert_parse(certificate, &cert, &refusal);
    cr_assert(err == CA_OK, "%s: %s", one->name, ca_err_text(err));
    cr_assert(x509_cert_extension(&cert, X509_OID_BASIC_CONSTRAINTS) == NULL, "%s", one->name);
    const struct x509_extension *usage = x509_cert_extension(&cert, X509_OID_KEY_USAGE);
    cr_assert(usage != NULL, "%s", one->name);
    check_bytes(usage->value, CA_BYTES("\x03\x02\x07\x80")); /* digitalSignature alone */
}

static void check_openssl(const struct case_ *one, struct ca_bytes certificate)
{
    char ca[128], path[128];

    snprintf(path, sizeof(path), "%s/certificate.der", service.dir);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fwrite(certificate.data, certificate.len, 1, file) == 1);
    fclose(file);
    snprintf(ca, sizeof(ca), "%s/instance/ca/main.pem", service.dir);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("openssl", "openssl", "verify", "-x509_strict", "-CAfile", ca, path, NULL);
        _exit(127);
    }
    int status = -1;
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    cr_assert(status == 0, "%s: openssl verify ended with %d", one->name, status);
}

static bool check_result(const struct case_ *one, const Certmill__IssueResult *result)
{
    if (result->status == NULL) {
        struct ca_bytes der = ca_bytes_of(result->certificate.data, result->certificate.len);
        cr_assert(one->may_pass, "%s was not refused", one->name);
        check_own(one, der);
        check_openssl(one, der);
        return true;
    }
    cr_assert(result->certificate.len == 0 && result->serial.len == 0 && result->tbs.len == 0);
    cr_assert(result->status->field[0] != '\0' && result->status->rule[0] != '\0',
              "%s: %s names no field or rule", one->name, result->status->code);
    enum ca_err err = CA_OK;
    while (err < CA_ERR_COUNT && strcmp(ca_err_name(err), result->status->code) != 0)
        err++;
    cr_assert(err < CA_ERR_COUNT && ca_err_blame(err) == CA_BLAME_CALLER, "%s: %s", one->name,
              result->status->code);
    if (!one->may_pass && one->code != NULL)
        cr_assert_str_eq(result->status->code, one->code, "%s: %s, not %s", one->name,
                         result->status->code, one->code);
    return false;
}

/* ---- all of them */

/* Asks for every case, in lists; returns how many became certificates. */
static size_t ask_all(const char *profile, bool is_dry_run)
{
    static char ids[AT_ONCE][40];
    static unsigned run;
    struct daemon_item items[AT_ONCE];
    Certmill__IssueItem *pointers[AT_ONCE];
    size_t passed = 0;

    run++;
    for (size_t first = 0; first < case_count; first += AT_ONCE) {
        size_t count = case_count - first < AT_ONCE ? case_count - first : AT_ONCE;
        for (size_t i = 0; i < count; i++) {
            struct case_ *one = &cases[first + i];
            snprintf(ids[i], sizeof(ids[i]), "bad-request-%03u-%06zu", run, first + i);
            daemon_item(&service, &items[i], ids[i], 0);
            items[i].item.csr =
                (ProtobufCBinaryData){ one->csr.len, (uint8_t *)(uintptr_t)one->csr.data };
            items[i].item.profile = (char *)(uintptr_t)profile;
            items[i].item.n_alt_names = 0;
            items[i].item.dry_run = is_dry_run;
            pointers[i] = &items[i].item;
        }
        Certmill__Answer *answer = daemon_issue(client, pointers, count);
        for (size_t i = 0; i < count; i++) {
            const Certmill__IssueResult *result = answer->issue->items[i];
            passed += is_dry_run ? result->status == NULL : check_result(&cases[first + i], result);
        }
        certmill__answer__free_unpacked(answer, NULL);
    }
    return passed;
}

static void check_left_nothing(size_t passed, const uint64_t before[3])
{
    cr_assert_eq(daemon_counter(client, "store.certificates"), before[0] + passed);
    cr_assert_eq(daemon_counter(client, "store.audit"), before[1] + passed);
    cr_assert_eq(daemon_counter(client, "store.intents"), 0);
    cr_assert_eq(daemon_counter(client, "store.changes"), before[2] + passed);
}

static void count_before(uint64_t before[3])
{
    daemon_make_crl(client); /* the first one after the start is audited, too */
    before[0] = daemon_counter(client, "store.certificates");
    before[1] = daemon_counter(client, "store.audit");
    before[2] = daemon_counter(client, "store.changes");
}

Test(bad_requests, each_is_refused_with_its_code_and_leaves_nothing)
{
    uint64_t before[3];
    struct store_info info;

    load("bad_csrs.tsv", 2, 3);
    count_before(before);
    size_t passed = ask_all("open", false);
    check_left_nothing(passed, before);

    size_t dry = ask_all("open", true);
    cr_assert_eq(dry, passed);
    check_left_nothing(passed, before);
    daemon_stop(&service);
    daemon_check_store(&service, &info);
    cr_assert_eq(info.certificate_count, passed);
    daemon_start(&service);
}

Test(bad_requests, none_gets_past_the_profiles_that_ship)
{
    static const char *const profiles[] = { "enterprise", "tls-server", "no-such-profile", "" };
    uint64_t before[3];

    load("bad_csrs.tsv", 2, 3);
    for (size_t i = 0; i < case_count; i++)
        cases[i].code = NULL; /* there may be more than one thing wrong */
    count_before(before);
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
        cr_assert_eq(ask_all(profiles[i], false), 0, "%s", profiles[i]);
    check_left_nothing(0, before);
}

Test(bad_requests, good_ones_beside_them_become_certificates)
{
    uint64_t before[3];

    load("good_csrs.tsv", -1, 4);
    count_before(before);
    size_t passed = ask_all("open", false);
    cr_assert(passed > 0);
    check_left_nothing(passed, before);
}

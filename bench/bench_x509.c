/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_x509: what do reading a request, writing the to-be-signed bytes and linting them cost?
 *
 * CPU time of one thread, best of several rounds. x509.<step>.<key>.ns is per request or
 * certificate. The certificate is a TLS server's with every usual extension; x509.openssl_parse is
 * d2i_X509_REQ with its key decoded, for comparison within the same run.
 */
#include <openssl/x509.h>

#include "bench/bench.h"
#include "ca/x509/ext.h"
#include "ca/x509/lint.h"

enum { ROUNDS = 7, ROUND_NS = 50000000, FIELD_DER = 4 };

static const uint8_t issuer_key_id[20];
#define CA_NAME                                            \
    "\x30\x15\x31\x13\x30\x11\x06\x03\x55\x04\x03\x0c\x0a" \
    "Example CA"
#define SAN_NAMES                     \
    "\x82\x0fwww.example.org\x82\x0b" \
    "example.org"

struct subject {
    char name[64];
    struct ca_bytes der;
    struct x509_csr csr;
    struct x509_cert cert;
    uint8_t extension_buffer[2048], buffer[4096];
    struct ca_bytes tbs;
};

static void bench(const char *step, void (*once)(struct subject *subject), struct subject *subject)
{
    double best_ns = 1e12;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID), taken_ns;
        size_t count = 0;
        do {
            for (int i = 0; i < 64; i++)
                once(subject);
            count += 64;
            taken_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns;
        } while (taken_ns < ROUND_NS);
        if ((double)taken_ns / (double)count < best_ns)
            best_ns = (double)taken_ns / (double)count;
    }
    printf("x509.%s.%s.ns\t%.0f\tns\n", step, subject->name, best_ns);
}

static void must(bool is_fine, const struct subject *subject, const char *what)
{
    if (!is_fine)
        bench_die("%s of %s failed", what, subject->name);
}

static void check_der(struct subject *subject)
{
    must(der_check(subject->der) == CA_OK, subject, "DER check");
}

static void parse_csr(struct subject *subject)
{
    struct ca_refusal refusal;

    must(x509_csr_parse(subject->der, &subject->csr, &refusal) == CA_OK, subject, "parsing");
}

static void parse_csr_openssl(struct subject *subject)
{
    const uint8_t *at = subject->der.data;
    X509_REQ *req = d2i_X509_REQ(NULL, &at, (long)subject->der.len);

    must(req != NULL && X509_REQ_get0_pubkey(req) != NULL, subject, "parsing by openssl");
    X509_REQ_free(req);
}

static struct ca_bytes write_extensions(struct subject *subject)
{
    static const struct x509_policy policy = { { (const uint8_t *)"\x67\x81\x0c\x01\x02\x02", 6 },
                                               { (const uint8_t *)"https://ca.example.org/cps",
                                                 26 } };
    const struct ca_bytes purpose = CA_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x01");
    struct der_writer writer;
    uint8_t id[20];

    der_writer_init(&writer, subject->extension_buffer, sizeof(subject->extension_buffer));
    x509_ext_write_policies(&writer, &policy, 1);
    x509_ext_write_crl_distribution_point(&writer, CA_BYTES("http://ca.example.org/1.crl"));
    x509_ext_write_authority_info_access(&writer, CA_BYTES("http://ocsp.example.org"),
                                         CA_BYTES("http://ca.example.org/ca.cer"));
    x509_ext_write_alt_names(&writer, CA_BYTES(SAN_NAMES), false);
    x509_ext_write_authority_key_id(&writer, ca_bytes_of(issuer_key_id, sizeof(issuer_key_id)));
    x509_key_id(&subject->csr.key, id);
    x509_ext_write_subject_key_id(&writer, id);
    x509_ext_write_ext_key_usage(&writer, &purpose, 1, false);
    x509_ext_write_key_usage(&writer, X509_KU_DIGITAL_SIGNATURE, true);
    x509_ext_write_basic_constraints(&writer, false, -1, true);
    return der_writer_bytes(&writer);
}

static void write_tbs(struct subject *subject)
{
    struct x509_tbs tbs = {
        .serial =
            CA_BYTES("\x01\x06\x42\x00\x00\x00\x00\x01\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"),
        .sig = CRYPTO_SIG_ECDSA_SHA256,
        .issuer = CA_BYTES(CA_NAME),
        .not_before_s = 1761955200,
        .not_after_s = 1793491199,
        .subject = subject->csr.subject.whole,
        .spki = subject->csr.spki,
        .extensions = write_extensions(subject),
    };
    struct der_writer writer;

    der_writer_init(&writer, subject->buffer, sizeof(subject->buffer));
    x509_tbs_write(&writer, &tbs);
    subject->tbs = der_writer_bytes(&writer);
}

static void lint_tbs(struct subject *subject)
{
    const struct x509_lint_context context = {
        .issuer_name = CA_BYTES(CA_NAME),
        .issuer_key_id = ca_bytes_of(issuer_key_id, sizeof(issuer_key_id)),
        .issuer_not_after_s = 1793491199,
        .sig = CRYPTO_SIG_ECDSA_SHA256,
    };
    struct ca_refusal refusal = { 0 };

    must(x509_lint(subject->tbs, &context, &refusal) == CA_OK, subject, "lint");
}

static void parse_tbs(struct subject *subject)
{
    struct ca_refusal refusal;

    must(x509_tbs_parse(subject->tbs, &subject->cert, &refusal) == CA_OK, subject, "reading back");
}

static void bench_all(struct subject *subject)
{
    bench("der_check", check_der, subject);
    bench("csr_parse", parse_csr, subject);
    bench("openssl_parse", parse_csr_openssl, subject);
    bench("tbs_write", write_tbs, subject);
    bench("lint", lint_tbs, subject);
    bench("tbs_parse", parse_tbs, subject);
}

/* One line of the vectors: name, key, bits, extensions, DER. */
static void bench_line(char *line)
{
    static const char *const wanted[] = { "p256", "p256_full", "rsa2048", "ed25519", "sm2" };
    static struct subject subject;
    static uint8_t der[CA_CSR_LEN_MAX];
    char *fields[FIELD_DER + 1] = { NULL };
    size_t len;

    for (size_t i = 0; i <= FIELD_DER; i++)
        fields[i] = strsep(&line, "\t\n");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (fields[FIELD_DER] == NULL || strcmp(wanted[i], fields[0]) != 0)
            continue;
        snprintf(subject.name, sizeof(subject.name), "%s", fields[0]);
        must(ca_text_unhex(fields[FIELD_DER], der, sizeof(der), &len), &subject, "hexadecimal");
        subject.der = ca_bytes_of(der, len);
        bench_all(&subject);
    }
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(argc > 1 ? argv[1] : "tests/vectors/good_csrs.tsv", "r");

    if (file == NULL) {
        fprintf(stderr, "usage: bench_x509 [good_csrs.tsv]\n");
        return EXIT_FAILURE;
    }
    while (getline(&line, &size, file) > 0)
        bench_line(line);
    free(line);
    fclose(file);
    return EXIT_SUCCESS;
}

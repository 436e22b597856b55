/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/crl.h"

#include "tests/support/issuer.h"
#include "tests/support/rows.h"

static struct ca_refusal refusal;

/* The lists of make_crls.py, in its order, as forms of ours. */
static const char NAME[] = "\x30\x18\x31\x16\x30\x14\x06\x03\x55\x04\x03\x0c\x0d"
                           "CRL Golden CA";
static const uint8_t key_id[20] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
                                    10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
#define POINT_URL CA_BYTES("http://crl.example/a.crl")

struct golden {
    const char *name;
    struct ca_bytes number, base;
    int64_t this_s, next_s;
    struct ca_bytes url, deltas;
    bool is_user;
    struct x509_crl_entry entries[5];
    size_t count;
};

#define SERIAL(text)    .serial = CA_BYTES(text)
#define AT(offset)      .revoked_s = ISSUER_TIME_S + (offset)
#define INVALID(offset) .has_invalidity = true, .invalidity_s = ISSUER_TIME_S + (offset)
#define ZEROS_18        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* clang-format off */
static const struct golden golden[] = {
    { .name = "empty", .number = CA_BYTES("\x01"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 604800 },
    { .name = "reasons", .number = CA_BYTES("\x7f"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 1, .count = 5,
      .entries = {
          { SERIAL("\x01"), AT(-5) },
          { SERIAL("\x7f"), AT(-4), .reason = X509_CRL_KEY_COMPROMISE },
          { SERIAL("\x00\x80"), AT(-3), .reason = X509_CRL_SUPERSEDED, INVALID(-90000) },
          { SERIAL("\x7f" ZEROS_18), AT(-2), .reason = X509_CRL_CERTIFICATE_HOLD },
          { SERIAL("\x7f\x00" ZEROS_18), AT(-1), INVALID(-10) } } },
    { .name = "point", .number = CA_BYTES("\x80"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 60, .url = POINT_URL, .count = 1,
      .entries = { { SERIAL("\x01\x2c"), AT(0) } } },
    { .name = "point_user", .number = CA_BYTES("\x01\x00" ZEROS_18), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 60, .url = POINT_URL, .is_user = true },
    { .name = "user", .number = CA_BYTES("\x00\x01\x00\x00"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 60, .is_user = true },
    { .name = "delta", .number = CA_BYTES("\x01\x00"), .base = CA_BYTES("\xff"),
      .this_s = ISSUER_TIME_S, .next_s = ISSUER_TIME_S + 60, .count = 1,
      .url = CA_BYTES("http://crl.example/d.crl"),
      .entries = { { SERIAL("\x05"), AT(0), .reason = X509_CRL_REMOVE_FROM_CRL } } },
    { .name = "deltas", .number = CA_BYTES("\x04"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 60, .url = POINT_URL,
      .deltas = CA_BYTES("http://crl.example/a-delta.crl") },
    { .name = "deltas_alone", .number = CA_BYTES("\x05"), .this_s = ISSUER_TIME_S,
      .next_s = ISSUER_TIME_S + 60, .count = 1, .deltas = CA_BYTES("http://crl.example/d/0.crl"),
      .entries = { { SERIAL("\x05"), AT(0) } } },
    { .name = "years", .number = CA_BYTES("\x03"), .this_s = 2524607999, .next_s = 2524608000,
      .count = 1,
      .entries = { { SERIAL("\x09"), .revoked_s = 2524608000, .has_invalidity = true,
                     .invalidity_s = 2524608000 } } },
};
/* clang-format on */
static const size_t golden_count = sizeof(golden) / sizeof(golden[0]);

TestSuite(crl, .timeout = 30);

static struct x509_crl_form form_of(const struct golden *from, uint64_t entries_len)
{
    return (struct x509_crl_form){
        .sig = CRYPTO_SIG_ECDSA_SHA256,
        .issuer = CA_BYTES(NAME),
        .key_id = ca_bytes_of(key_id, sizeof(key_id)),
        .number = from->number,
        .base_number = from->base,
        .this_update_s = from->this_s,
        .next_update_s = from->next_s,
        .url = from->url,
        .only_user_certs = from->is_user,
        .freshest_url = from->deltas,
        .entries_len = entries_len,
    };
}

static void check_golden(const struct golden *from, struct ca_bytes want)
{
    struct entries entries = { 0 };
    struct x509_crl_parts parts;
    uint8_t whole[2048];
    struct der_writer writer;

    for (size_t i = 0; i < from->count; i++)
        entries_add(&entries, &from->entries[i]);
    const struct x509_crl_form form = form_of(from, entries.len);
    check_ok(x509_crl_parts_build(&form, &parts, &refusal));
    der_writer_init(&writer, whole, sizeof(whole));
    der_write_raw(&writer, parts.tail);
    der_write_raw(&writer, ca_bytes_of(entries.memory, entries.len));
    der_write_raw(&writer, parts.head);
    cr_assert(parts.tbs_len == want.len, "%s: %zu, not %zu octets", from->name,
              (size_t)parts.tbs_len, want.len);
    check_bytes(der_writer_bytes(&writer), want);
    entries_free(&entries);
}

Test(crl, lists_are_byte_for_byte_those_of_another_encoder)
{
    struct rows rows;
    size_t at = 0;

    rows_open(&rows, "crl_tbs.tsv");
    for (; rows_next(&rows); at++) {
        struct ca_bytes want = rows_unhex(rows.fields[1]);
        cr_assert(at < golden_count && strcmp(golden[at].name, rows.fields[0]) == 0);
        check_golden(&golden[at], want);
        rows_free(want);
    }
    cr_assert(at == golden_count);
    rows_close(&rows);
}

/* "" for a list that can be read to its end. */
static const char *refused_field(struct ca_bytes der)
{
    struct x509_crl crl;
    struct x509_crl_entry entry;

    if (x509_crl_parse(der, &crl, &refusal) != CA_OK)
        return refusal.field;
    struct x509_crl_cursor cursor = x509_crl_entries(&crl);
    while (!x509_crl_at_end(&cursor)) {
        if (x509_crl_next(&cursor, &entry, &refusal) != CA_OK)
            return refusal.field;
    }
    return "-";
}

Test(crl, what_is_not_strict_is_refused_with_the_field)
{
    struct rows rows;
    size_t count = 0;

    rows_open(&rows, "crl_bad.tsv");
    for (; rows_next(&rows); count++) {
        struct ca_bytes der = rows_unhex(rows.fields[2]);
        const char *field = refused_field(der);
        cr_assert(strcmp(field, rows.fields[0]) == 0, "%s: %s, not %s", rows.fields[1], field,
                  rows.fields[0]);
        rows_free(der);
    }
    cr_assert(count > 30);
    rows_close(&rows);
}

Test(crl, what_was_written_is_read_again)
{
    struct ca_refusal why;

    for (size_t g = 0; g < golden_count; g++) {
        for (size_t i = 0; i < golden[g].count; i++) {
            const struct x509_crl_entry *want = &golden[g].entries[i];
            struct entries entries = { 0 };
            struct x509_crl_entry got;
            entries_add(&entries, want);
            struct x509_crl_cursor cursor = { entries.memory, entries.memory + entries.len };
            check_ok(x509_crl_next(&cursor, &got, &why));
            cr_assert(x509_crl_at_end(&cursor));
            check_bytes(got.serial, want->serial);
            cr_assert(got.revoked_s == want->revoked_s && got.reason == want->reason);
            cr_assert(got.has_invalidity == want->has_invalidity &&
                      got.invalidity_s == want->invalidity_s);
            entries_free(&entries);
        }
    }
}

/* The list of that name in a vector file, whose signature nobody looks at. */
static struct ca_bytes bad_list(struct rows *rows, const char *name)
{
    rows_open(rows, "crl_bad.tsv");
    while (rows_next(rows)) {
        if (strcmp(rows->fields[1], name) == 0)
            return rows_unhex(rows->fields[2]);
    }
    cr_assert_fail("%s", name);
    return (struct ca_bytes){ 0 };
}

Test(crl, delta_lists_at_a_relative_name_have_no_address)
{
    struct rows rows;
    struct x509_crl crl;
    struct ca_bytes der = bad_list(&rows, "delta lists of a relative name");

    check_ok(x509_crl_parse(der, &crl, &refusal));
    cr_assert(crl.freshest.is_present && !crl.freshest.is_critical && crl.freshest.url.len == 0);
    rows_free(der);
    rows_close(&rows);
}

/* The short way through dates and the long one agree: every day of the century and its border. */
Test(crl, every_day_from_1950_to_2060_is_read_as_written)
{
    struct ca_refusal why;

    for (int64_t time_s = -631152000; time_s < 2840140800; time_s += 86400 + 61) {
        const struct x509_crl_entry want = { .serial = CA_BYTES("\x01"), .revoked_s = time_s };
        uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
        struct der_writer writer;
        struct x509_crl_entry got;
        der_writer_init(&writer, buffer, sizeof(buffer));
        check_ok(x509_crl_entry_write(&writer, &want));
        struct ca_bytes bytes = der_writer_bytes(&writer);
        struct x509_crl_cursor cursor = { bytes.data, bytes.data + bytes.len };
        check_ok(x509_crl_next(&cursor, &got, &why));
        cr_assert(got.revoked_s == time_s);
    }
}

/* TBSCertList: version, algorithm, issuer, two times, entries. */
static void check_head(uint32_t entries_len)
{
    struct x509_crl_form form = form_of(&golden[0], entries_len);
    struct x509_crl_parts parts;
    struct der_value value;
    struct der_reader reader;

    check_ok(x509_crl_parts_build(&form, &parts, &refusal));
    uint8_t *all = calloc(1, parts.tbs_len);
    cr_assert(all != NULL && parts.head.len + entries_len + parts.tail.len == parts.tbs_len);
    memcpy(all, parts.head.data, parts.head.len);
    memcpy(all + parts.head.len + entries_len, parts.tail.data, parts.tail.len);
    struct der_reader whole = der_reader_of(ca_bytes_of(all, parts.tbs_len));
    check_ok(der_read_into(&whole, DER_SEQUENCE, &reader));
    cr_assert(der_reader_at_end(&whole));
    for (int i = 0; i < 6; i++)
        check_ok(der_read_any(&reader, &value));
    cr_assert_eq(value.content.len, entries_len);
    check_ok(der_read(&reader, DER_CONTEXT_CONSTRUCTED(0), &value));
    cr_assert(der_reader_at_end(&reader));
    free(all);
}

Test(crl, lengths_of_lists_are_right_around_every_further_octet)
{
    static const uint32_t edges[] = { 0x80, 0x100, 0x10000, 0x1000000 };

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        for (uint32_t below = i < 3 ? 127 : 2; below > 0; below--)
            check_head(edges[i] - below);
        check_head(edges[i]);
        check_head(edges[i] + 1);
    }
}

Test(crl, entries_and_forms_that_cannot_be_are_not_written)
{
    static const struct ca_bytes serials[] = { CA_BYTES(""), CA_BYTES("\x00"), CA_BYTES("\x80"),
                                               CA_BYTES("\x00\x7f"),
                                               CA_BYTES("\x01\x00\x00" ZEROS_18) };
    struct x509_crl_parts parts;
    uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
        const struct x509_crl_entry entry = { .serial = serials[i] };
        check_err(x509_crl_entry_write(&writer, &entry), CA_ERR_FIELD_FORMAT);
    }
    const struct x509_crl_entry entry = { .serial = CA_BYTES("\x01"),
                                          .reason = (enum x509_crl_reason)7 };
    check_err(x509_crl_entry_write(&writer, &entry), CA_ERR_FIELD_FORMAT);
    cr_assert(der_writer_mark(&writer) == 0);

    struct x509_crl_form form = form_of(&golden[0], 0);
    form.number = CA_BYTES("\x80\x00" ZEROS_18); /* 2^159 */
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_FORMAT);
    form = form_of(&golden[0], 0);
    form.base_number = form.number;
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_FORMAT);
    form = form_of(&golden[0], 0);
    form.next_update_s = form.this_update_s;
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_FORMAT);
    form = form_of(&golden[0], 0);
    form.freshest_url = CA_BYTES("http://crl.example/\x7f");
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_FORMAT);
    form = form_of(&golden[0], 0);
    form.number = CA_BYTES("\x02"); /* a delta list points to no others */
    form.base_number = CA_BYTES("\x01");
    check_ok(x509_crl_parts_build(&form, &parts, &refusal));
    form.freshest_url = POINT_URL;
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_FORMAT);
    cr_assert_str_eq(refusal.field, "crl.freshest_url");
    form = form_of(&golden[0], UINT32_MAX);
    check_err(x509_crl_parts_build(&form, &parts, &refusal), CA_ERR_FIELD_LENGTH);
}

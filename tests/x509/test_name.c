/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/x509/name.h"
#include "tests/support/rows.h"

static struct ca_arena *arena;
static struct x509_name name;

static void make_arena(void)
{
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
}

static void free_arena(void)
{
    ca_arena_free(arena);
}

TestSuite(name, .init = make_arena, .fini = free_arena, .timeout = 30);

/* name.tsv: RFC 4514 text, or the code it is refused with, and the DER. */
Test(name, names_are_shown_as_rfc_4514_says_or_refused)
{
    struct rows rows;

    rows_open(&rows, "name.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[1]);
        enum ca_err err = x509_name_parse(der, &name);
        if (err != CA_OK) {
            cr_expect(strcmp(ca_err_name(err), rows.fields[0]) == 0, "%s: %s", rows.fields[0],
                      ca_err_name(err));
            cr_expect(name.whole.data == NULL && name.count == 0);
        } else {
            struct ca_bytes text = x509_name_format(&name, arena);
            cr_assert(text.data != NULL && text.data[text.len] == '\0');
            cr_expect(strcmp((const char *)text.data, rows.fields[0]) == 0, "%s, not %s",
                      (const char *)text.data, rows.fields[0]);
        }
        rows_free(der);
    }
    rows_close(&rows);
}

Test(name, a_name_read_and_written_is_the_same)
{
    struct rows rows;
    static uint8_t buffer[4096];

    rows_open(&rows, "name.tsv");
    while (rows_next(&rows)) {
        struct ca_bytes der = rows_unhex(rows.fields[1]);
        struct der_writer writer;
        if (x509_name_parse(der, &name) == CA_OK) {
            der_writer_init(&writer, buffer, sizeof(buffer));
            x509_name_write(&writer, name.attributes, name.count);
            check_bytes(der_writer_bytes(&writer), der);
        }
        rows_free(der);
    }
    rows_close(&rows);
}

Test(name, types_are_found_by_name_and_by_oid)
{
    static const struct {
        const char *name;
        struct ca_bytes oid;
        uint8_t tag;
        uint16_t upper_bound;
    } cases[] = {
        { "CN", CA_BYTES("\x55\x04\x03"), DER_UTF8_STRING, 64 },
        { "C", CA_BYTES("\x55\x04\x06"), DER_PRINTABLE_STRING, 2 },
        { "serialNumber", CA_BYTES("\x55\x04\x05"), DER_PRINTABLE_STRING, 64 },
        { "name", CA_BYTES("\x55\x04\x29"), DER_UTF8_STRING, 32768 },
        { "DC", CA_BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), DER_IA5_STRING, 63 },
        { "emailAddress", CA_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), DER_IA5_STRING, 255 },
        { "jurisdictionC", CA_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03"),
          DER_PRINTABLE_STRING, 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct x509_attribute_type *type = x509_attribute_type_by_name(cases[i].name);
        cr_assert(type != NULL && type == x509_attribute_type_by_oid(cases[i].oid));
        cr_assert(type->default_tag == cases[i].tag && type->upper_bound == cases[i].upper_bound);
    }
    cr_assert(x509_attribute_type_by_name("cn") == NULL);
    cr_assert(x509_attribute_type_by_name("") == NULL);
    cr_assert(x509_attribute_type_by_oid(CA_BYTES("\x55\x04")) == NULL);
}

Test(name, an_exhausted_arena_is_told_by_no_text)
{
    struct ca_arena *small;

    check_ok(x509_name_parse(CA_BYTES("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
                                      "a"),
                             &name));
    check_ok(ca_arena_new(64, 64, &small));
    while (ca_arena_alloc(small, 1) != NULL)
        continue;
    cr_assert(x509_name_format(&name, small).data == NULL);
    ca_arena_free(small);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_der: what der_check() accepts can be walked, and written again gives the same octets. */
#include <assert.h>

#include "ca/base/limits.h"
#include "ca/der/writer.h"

enum { INPUT_LEN_MAX = 1 << 16, CONSTRUCTED = 0x20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_same(const struct der_writer *writer, struct ca_bytes whole)
{
    assert(ca_bytes_equal(der_writer_bytes(writer), whole));
}

/* Types that are understood are also written from what was understood. */
static void check_meaning(const struct der_value *value)
{
    static uint8_t buffer[INPUT_LEN_MAX + 16];
    struct der_reader reader = der_reader_of(value->whole);
    struct der_writer writer;
    struct ca_bytes octets;
    int64_t time_s;
    uint32_t number;

    der_writer_init(&writer, buffer, sizeof(buffer));
    if (der_read_small(&reader, &number) == CA_OK) {
        der_write_small(&writer, number);
    } else if (der_read_positive(&reader, &octets) == CA_OK) {
        der_write_unsigned(&writer, octets);
    } else if (der_read_bit_octets(&reader, &octets) == CA_OK) {
        der_write_bit_octets(&writer, octets);
    } else if (der_read_time(&reader, &time_s) == CA_OK) {
        if (value->tag == DER_UTC_TIME)
            der_write_time(&writer, time_s);
        else
            der_write_generalized_time(&writer, time_s);
    } else {
        return;
    }
    assert(der_read_end(&reader) == CA_OK);
    check_same(&writer, value->whole);
}

static void check_form(const struct der_value *value)
{
    static uint8_t buffer[INPUT_LEN_MAX + 16];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    der_write_value(&writer, value->tag, value->content);
    check_same(&writer, value->whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct der_reader levels[CA_DER_DEPTH_MAX + 1];
    size_t depth = 0;
    struct der_value value;

    if (len > INPUT_LEN_MAX || der_check(ca_bytes_of(data, len)) != CA_OK)
        return 0;
    levels[0] = der_reader_of(ca_bytes_of(data, len));
    for (;;) {
        if (der_reader_at_end(&levels[depth])) {
            if (depth-- == 0)
                return 0;
            continue;
        }
        enum ca_err err = der_read_any(&levels[depth], &value);
        assert(err == CA_OK);
        check_form(&value);
        check_meaning(&value);
        if ((value.tag & CONSTRUCTED) != 0) {
            assert(depth < CA_DER_DEPTH_MAX);
            levels[++depth] = der_reader_of(value.content);
        }
    }
}

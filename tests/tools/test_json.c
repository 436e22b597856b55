/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/support/check.h"
#include "tools/json.h"

TestSuite(json, .timeout = 10);

static char *text;
static size_t len;

static struct json json_start(void)
{
    struct json json;

    json_init(&json, open_memstream(&text, &len));
    return json;
}

static void check_written(struct json *json, const char *want)
{
    fclose(json->to);
    cr_assert_str_eq(text, want);
    free(text);
}

Test(json, nothing_inside_is_still_a_value)
{
    struct json json = json_start();

    json_array(&json, NULL);
    json_end(&json);
    check_written(&json, "[]\n");
}

Test(json, elements_of_the_first_level_get_a_line_each)
{
    struct json json = json_start();

    json_array(&json, NULL);
    for (int i = 0; i < 2; i++) {
        json_object(&json, NULL);
        json_number(&json, "n", UINT64_MAX);
        json_signed(&json, "s", INT64_MIN);
        json_flag(&json, "f", i == 0);
        json_end(&json);
    }
    json_end(&json);
    check_written(&json,
                  "[\n"
                  "{\"n\": 18446744073709551615, \"s\": -9223372036854775808, \"f\": true},\n"
                  "{\"n\": 18446744073709551615, \"s\": -9223372036854775808, \"f\": false}\n"
                  "]\n");
}

Test(json, what_would_end_or_break_a_text_is_escaped)
{
    struct json json = json_start();

    json_object(&json, NULL);
    json_text(&json, "a\"b", "\" \\ \n \t \x01 \x7f \xe5\x8d\x95");
    json_bytes_text(&json, "nul", CA_BYTES("a\0b"));
    json_end(&json);
    check_written(&json, "{\n\"a\\\"b\": \"\\\" \\\\ \\n \\u0009 \\u0001 \\u007f \xe5\x8d\x95\",\n"
                         "\"nul\": \"a\\u0000b\"\n}\n");
}

Test(json, octets_that_are_not_utf8_become_replacement_characters)
{
    struct json json = json_start();

    json_array(&json, NULL);
    json_bytes_text(&json, NULL, CA_BYTES("a\xff\xc3(b\xe5\x8d"));
    json_bytes_text(&json, NULL, CA_BYTES("\xed\xa0\x80"));
    json_end(&json);
    check_written(&json, "[\n\"a\\ufffd\\ufffd(b\\ufffd\",\n\"\\ufffd\"\n]\n");
}

Test(json, octets_are_written_in_hexadecimal_and_base64)
{
    struct json json = json_start();

    json_object(&json, NULL);
    json_hex(&json, "h", CA_BYTES("\x01\xff"));
    json_base64(&json, "b0", CA_BYTES(""));
    json_base64(&json, "b1", CA_BYTES("f"));
    json_base64(&json, "b2", CA_BYTES("fo"));
    json_base64(&json, "b3", CA_BYTES("foo"));
    json_end(&json);
    check_written(&json,
                  "{\n\"h\": \"01ff\",\n\"b0\": \"\",\n\"b1\": \"Zg==\",\n\"b2\": \"Zm8=\",\n"
                  "\"b3\": \"Zm9v\"\n}\n");
}

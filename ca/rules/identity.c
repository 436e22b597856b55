/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/identity.h"

#include "ca/base/time.h"

enum { USCC_LEN = 18, ORG_LEN = 9, ID_LEN = 18 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool are_digits(struct ca_bytes text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (!is_digit(text.data[i]))
            return false;
    }
    return true;
}

/* The value of a character of GB 32100, which leaves out I, O, S, V and Z; below 0 for others. */
static int uscc_value(uint8_t c)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    const char *found = c == '\0' ? NULL : strchr(alphabet, c);

    return found == NULL ? -1 : (int)(found - alphabet);
}

enum ca_err rules_uscc_check(struct ca_bytes code)
{
    int weight = 1;
    int sum = 0;

    if (code.len != USCC_LEN || !are_digits(code, 2, 8))
        return CA_ERR_FIELD_FORMAT;
    for (size_t i = 0; i < USCC_LEN; i++) {
        int value = uscc_value(code.data[i]);
        if (value < 0)
            return CA_ERR_FIELD_FORMAT;
        sum += i < USCC_LEN - 1 ? value * weight : value; /* the check character has weight 1 */
        weight = weight * 3 % 31;
    }
    return sum % 31 == 0 ? CA_OK : CA_ERR_USCC_CHECK;
}

enum ca_err rules_org_check(struct ca_bytes code)
{
    static const uint8_t weights[ORG_LEN - 1] = { 3, 7, 9, 10, 5, 8, 4, 2 };
    int sum = 0;

    if (code.len != ORG_LEN)
        return CA_ERR_FIELD_FORMAT;
    for (size_t i = 0; i < ORG_LEN - 1; i++) {
        uint8_t c = code.data[i];
        if (!is_digit(c) && (c < 'A' || c > 'Z'))
            return CA_ERR_FIELD_FORMAT;
        sum += (is_digit(c) ? c - '0' : c - 'A' + 10) * weights[i];
    }
    uint8_t last = code.data[ORG_LEN - 1];
    if (!is_digit(last) && last != 'X')
        return CA_ERR_FIELD_FORMAT;
    return "0X987654321"[sum % 11] == last ? CA_OK : CA_ERR_ORG_CHECK;
}

static unsigned number_of(struct ca_bytes text, size_t from, size_t to)
{
    unsigned number = 0;

    for (size_t i = from; i < to; i++)
        number = number * 10 + (unsigned)(text.data[i] - '0');
    return number;
}

enum ca_err rules_id_check(struct ca_bytes number)
{
    static const uint8_t weights[ID_LEN - 1] = {
        7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2
    };
    unsigned sum = 0;

    if (number.len != ID_LEN || !are_digits(number, 0, ID_LEN - 1))
        return CA_ERR_FIELD_FORMAT;
    uint8_t last = number.data[ID_LEN - 1] == 'x' ? 'X' : number.data[ID_LEN - 1];
    if (!is_digit(last) && last != 'X')
        return CA_ERR_FIELD_FORMAT;

    struct ca_civil birth = {
        .year = (int32_t)number_of(number, 6, 10),
        .month = (uint8_t)number_of(number, 10, 12),
        .day = (uint8_t)number_of(number, 12, 14),
    };
    if (birth.year < 1800 || !ca_civil_is_valid(birth))
        return CA_ERR_ID_CHECK;
    for (size_t i = 0; i < ID_LEN - 1; i++)
        sum += (unsigned)(number.data[i] - '0') * weights[i];
    return "10X98765432"[sum % 11] == last ? CA_OK : CA_ERR_ID_CHECK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject: the values that go into a certificate's subject and value extensions.
 *
 * Inside ca/rules: rules_draft() is the door.
 */
#pragma once

#include "ca/rules/issue.h"

/* One value for each attribute of the profile, in its order: UTF-8, in the form it is written
 * in. data is NULL where there is none. */
struct rules_subject {
    struct ca_bytes values[CA_ATTRIBUTE_COUNT_MAX];
};

/*
 * Takes each value from where the profile says and checks it. What the request's subject asks
 * for beyond that, or otherwise, is refused unless the profile ignores it. Values are borrowed
 * from the order or live in arena.
 */
CA_MUST_CHECK enum ca_err rules_subject_take(const struct rules_order *order,
                                             struct ca_arena *arena,
                                             struct rules_subject *subject_out,
                                             struct ca_refusal *refusal);

/* Form, length, pattern and check characters of one value. */
CA_MUST_CHECK enum ca_err rules_value_check(const struct rules_attribute *attribute,
                                            struct ca_bytes value, struct ca_refusal *refusal);

/* A character string of a request as UTF-8: BMPString is converted into arena, others are lent.
 * FIELD_FORMAT for other tags and for characters the type does not have. */
CA_MUST_CHECK enum ca_err rules_string_decode(uint8_t tag, struct ca_bytes content,
                                              struct ca_arena *arena, struct ca_bytes *utf8_out);

/* Is there no attribute in the subject? The alternative names are critical then. */
bool rules_subject_is_empty(const struct rules_profile *profile,
                            const struct rules_subject *subject);
/* The subject, as RDNSequence of one attribute each. */
void rules_subject_write(struct der_writer *writer, const struct rules_profile *profile,
                         const struct rules_subject *subject);
/* The value extensions. */
void rules_subject_write_extensions(struct der_writer *writer, const struct rules_profile *profile,
                                    const struct rules_subject *subject);

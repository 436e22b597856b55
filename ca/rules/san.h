/* SPDX-License-Identifier: Apache-2.0 */
/*
 * san: subject alternative names (RFC 5280, section 4.2.1.6), checked and made uniform.
 *
 * Inside ca/rules: rules_draft() is the door. The exact forms are in docs/PROFILES.md.
 */
#pragma once

#include "ca/rules/issue.h"

struct rules_names {
    struct rules_san *names; /* in the arena; no two alike, host names in lower case */
    size_t count;
};

/* All names of request and caller that the profile takes. SAN_TYPE, SAN_FORMAT, SAN_COUNT. */
CA_MUST_CHECK enum ca_err rules_names_take(const struct rules_order *order, struct ca_arena *arena,
                                           struct rules_names *names_out,
                                           struct ca_refusal *refusal);

/* Does the profile write names that a request asks for? */
bool rules_names_are_from_request(const struct rules_profile *profile);

/* Is the text one of the DNS names, or an IP address in the form of RFC 5952? */
bool rules_names_include(const struct rules_names *names, struct ca_bytes text);

/* The concatenated GeneralName values, in the arena; SAN_COUNT when no certificate could hold
 * them all. */
CA_MUST_CHECK enum ca_err rules_names_encode(const struct rules_names *names,
                                             struct ca_arena *arena, struct ca_bytes *der_out,
                                             struct ca_refusal *refusal);

/* Form of one host name in lower case: letters, digits, hyphens, two labels or more. */
bool rules_host_is_valid(struct ca_bytes host, bool allows_wildcard);

/* The text with A to Z folded, in arena if anything changes; data NULL when arena is exhausted. */
struct ca_bytes rules_text_fold(struct ca_bytes text, struct ca_arena *arena);

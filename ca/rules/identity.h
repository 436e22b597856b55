/* SPDX-License-Identifier: Apache-2.0 */
/* identity: the check characters of Chinese identity numbers. Pure. */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"

/* Unified social credit code, GB 32100-2015: 18 characters. FIELD_FORMAT or USCC_CHECK. */
CA_MUST_CHECK enum ca_err rules_uscc_check(struct ca_bytes code);
/* Organisation code, GB 11714-1997: 9 characters without hyphen. FIELD_FORMAT or ORG_CHECK. */
CA_MUST_CHECK enum ca_err rules_org_check(struct ca_bytes code);
/* Citizen identity number, GB 11643-1999: 18 characters, a real date. FIELD_FORMAT or ID_CHECK. */
CA_MUST_CHECK enum ca_err rules_id_check(struct ca_bytes number);

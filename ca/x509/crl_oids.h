/* SPDX-License-Identifier: Apache-2.0 */
/* crl_oids: extensions of lists and their entries (RFC 5280, sections 5.2 and 5.3). */
#pragma once

#include "ca/x509/crl.h"

#define OID_CRL_NUMBER                 CA_BYTES("\x55\x1d\x14")
#define OID_REASON_CODE                CA_BYTES("\x55\x1d\x15")
#define OID_INVALIDITY_DATE            CA_BYTES("\x55\x1d\x18")
#define OID_DELTA_CRL_INDICATOR        CA_BYTES("\x55\x1d\x1b")
#define OID_ISSUING_DISTRIBUTION_POINT CA_BYTES("\x55\x1d\x1c")
#define OID_CERTIFICATE_ISSUER         CA_BYTES("\x55\x1d\x1d")

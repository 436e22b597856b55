/* SPDX-License-Identifier: Apache-2.0 */
/* limits: the largest size, count and depth of everything that input can influence. */
#pragma once

enum {
    CA_SERIAL_LEN = 18,             /* instance 1, time 7, random 10: ca/base/serial.h */
    CA_DIGEST_LEN = 32,             /* SHA-256, SM3 */
    CA_CSR_LEN_MAX = 16384,         /* RSA-4096 with 100 names needs about 6 KiB */
    CA_TBS_LEN_MAX = 16384,         /* what we sign; larger is refused before it is built */
    CA_CERTIFICATE_LEN_MAX = 17408, /* a TBS of the longest kind, an RSA-4096 signature */
    CA_DER_DEPTH_MAX = 32,          /* real requests stay below 12 */
    CA_OID_LEN_MAX = 64,            /* content octets of an OBJECT IDENTIFIER */
    CA_SAN_COUNT_MAX = 256,         /* alternative names in one certificate */
    CA_ATTRIBUTE_COUNT_MAX = 32,    /* attributes in a subject, or given by the caller */
    CA_ATTRIBUTE_LEN_MAX = 1024,    /* octets of one attribute value */
    CA_EXTENSION_COUNT_MAX = 32,    /* extensions in a request or certificate */
    CA_REQUEST_ID_LEN_MIN = 16,     /* visible characters: docs/PROTOCOL.md */
    CA_REQUEST_ID_LEN_MAX = 64,
    CA_NAME_LEN_MAX = 64,         /* name of a CA or profile in the configuration */
    CA_PROFILE_LEN_MAX = 1 << 17, /* what a profile says: config_schema_content() */
    CA_RSA_BITS_MIN = 2048,
    CA_RSA_BITS_MAX = 4096,
    CA_SIGNATURE_LEN_MAX = 512, /* RSA-4096 */
};

_Static_assert(CA_CERTIFICATE_LEN_MAX >= CA_TBS_LEN_MAX + CA_SIGNATURE_LEN_MAX + 64,
               "a signed TBS fits into a certificate");

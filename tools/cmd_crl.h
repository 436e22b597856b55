/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_crl: the commands on CRLs, and what they share. */
#pragma once

#include "tools/command.h"
#include "tools/crl_input.h"

int cmd_crl_show(int argc, char **argv);
int cmd_crl_verify(int argc, char **argv);
int cmd_crl_diff(int argc, char **argv);
int cmd_crl_export(int argc, char **argv);
int cmd_crl_make(int argc, char **argv);
int cmd_crl_list(int argc, char **argv);

/* "ecdsa-with-SHA256" */
const char *crl_sig_name(enum crypto_sig sig);
/* "keyCompromise"; "unspecified" for none. */
const char *crl_reason_text(const struct x509_crl_entry *entry);
/* Lower-case hexadecimal of at most X509_CRL_NUMBER_LEN_MAX octets. */
enum { CRL_HEX_LEN_MAX = 2 * X509_CRL_NUMBER_LEN_MAX };
void crl_hex(struct ca_bytes number, char text[CRL_HEX_LEN_MAX + 1]);
/* "1,234,567" */
enum { CRL_COUNT_LEN = 32 };
void crl_count(uint64_t count, char text[CRL_COUNT_LEN]);

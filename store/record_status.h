/* SPDX-License-Identifier: Apache-2.0 */
/* record_status: records of revocation, lines and CRLs. The rules are those of record.h. */
#pragma once

#include "ca/x509/crl.h"
#include "store/record.h"

enum {
    STORE_SCOPE_KEY_LEN = STORE_DIGEST_LEN + 4,
    STORE_SERIAL_KEY_LEN = STORE_SCOPE_KEY_LEN + CA_SERIAL_LEN, /* revoked, retired */
    STORE_NUMBER_KEY_LEN = STORE_SCOPE_KEY_LEN + 8,             /* crls, status */
    STORE_LINE_KEY_LEN = 8,
    STORE_KEY_LEN_MAX = STORE_SERIAL_KEY_LEN,
    STORE_SUM_LEN = 8,
    STORE_LISTED_LEN_MIN = 1 + 8 + 8 + STORE_SUM_LEN,
    STORE_LISTED_LEN_MAX = STORE_LISTED_LEN_MIN + X509_CRL_ENTRY_LEN_MAX,
    STORE_CRL_BODY_LEN = 7 * 8 + 32,
    STORE_SCOPE_LEN = 1 + 3 * 8 + 2 * STORE_CRL_BODY_LEN + STORE_DIGEST_LEN,
    STORE_CRL_LEN = 1 + STORE_CRL_BODY_LEN + STORE_DIGEST_LEN,
    STORE_MEMBER_LEN = CA_SERIAL_LEN + 3,
    STORE_LINE_LEN_MIN = 1 + 1 + STORE_DIGEST_LEN,
    STORE_LINE_LEN_MAX = STORE_LINE_LEN_MIN + STORE_LINE_MAX * STORE_MEMBER_LEN,
    STORE_STATUS_ROW_LEN = 1 + CA_SERIAL_LEN + 1 + 1 + 8 + STORE_DIGEST_LEN,
};

/* Keys. What belongs to a scope stands together, by serial number or number. */
void store_record_scope_key(const struct store_scope *scope, uint8_t key[STORE_SCOPE_KEY_LEN]);
void store_record_serial_key(const struct store_scope *scope, const struct ca_serial *serial,
                             uint8_t key[STORE_SERIAL_KEY_LEN]);
void store_record_number_key(const struct store_scope *scope, uint64_t number,
                             uint8_t key[STORE_NUMBER_KEY_LEN]);
CA_MUST_CHECK enum ca_err store_record_parse_scope(struct ca_bytes key,
                                                   struct store_scope *scope_out);

/*
 * revoked, retired: an entry as lists have it, and what it does not say. It has no seal but a sum
 * of 8 octets, since a list reads millions of them: docs/STORAGE.md.
 */
struct store_listed {
    struct store_scope scope;
    struct ca_serial serial;
    struct store_status status;
    struct ca_bytes entry; /* encode does not look at it */
};
/* FIELD_FORMAT when no entry can say this. */
CA_MUST_CHECK enum ca_err store_record_encode_listed(enum store_table table,
                                                     const struct store_listed *listed,
                                                     uint8_t value[STORE_LISTED_LEN_MAX],
                                                     size_t *len_out);
CA_MUST_CHECK enum ca_err store_record_decode_listed(enum store_table table, struct ca_bytes key,
                                                     struct ca_bytes value,
                                                     struct store_listed *listed_out);
/* Only the sum, the entry's octets, and not_after_s and sequence of the status. */
CA_MUST_CHECK enum ca_err store_record_open_listed(enum store_table table, struct ca_bytes key,
                                                   struct ca_bytes value,
                                                   struct store_listed *listed_out);
/* As store_record_seal(), for these two tables. */
void store_record_sum_listed(enum store_table table, struct ca_bytes key, uint8_t *value,
                             size_t len);

void store_record_encode_scope(const struct store_scope *scope, const struct store_scope_info *info,
                               uint8_t value[STORE_SCOPE_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_scope(struct ca_bytes key, struct ca_bytes value,
                                                    struct store_scope_info *info_out);

void store_record_encode_crl(const struct store_scope *scope, const struct store_crl *crl,
                             uint8_t value[STORE_CRL_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_crl(struct ca_bytes key, struct ca_bytes value,
                                                  struct store_crl *crl_out);

/* The key is the locator of the first member, as a sequence key. */
size_t store_record_line_len(const struct store_line *line);
void store_record_encode_line(const struct store_line *line, uint8_t *value);
CA_MUST_CHECK enum ca_err store_record_decode_line(struct ca_bytes key, struct ca_bytes value,
                                                   struct store_line *line_out);

/* status: one change of status; its sequence is that of its record in changes. */
struct store_status_row {
    uint64_t sequence;
    struct ca_serial serial;
    enum store_state old_state, new_state;
    uint64_t time_us;
};
void store_record_encode_status(const struct store_scope *scope, const struct store_status_row *row,
                                uint8_t value[STORE_STATUS_ROW_LEN]);
CA_MUST_CHECK enum ca_err store_record_decode_status(struct ca_bytes key, struct ca_bytes value,
                                                     struct store_status_row *row_out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: DER in one pass, from the last octet to the first.
 *
 * Writing backwards, every length is known when it is written: write the content,
 * then wrap it from a mark. So the code reads in the reverse order of the grammar:
 *
 *     size_t mark = der_writer_mark(&w);
 *     der_write_small(&w, 0);               -- the last element
 *     der_write_oid(&w, oid);               -- the first element
 *     der_write_header(&w, DER_SEQUENCE, mark);
 *
 * When the buffer is too small the writer is spoiled, further writes do nothing,
 * and der_writer_bytes() answers nothing: check once, at the end.
 */
#pragma once

#include "ca/base/bytes.h"
#include "ca/base/err.h"
#include "ca/der/reader.h"

struct der_writer {
    uint8_t *start;
    uint8_t *at; /* what is written begins here and ends at end */
    uint8_t *end;
    bool is_spoiled;
};

void der_writer_init(struct der_writer *writer, uint8_t *buffer, size_t size);
/* What has been written so far, at the tail of the buffer; data NULL if it did not fit. */
struct ca_bytes der_writer_bytes(const struct der_writer *writer);

/* A place to wrap from: the number of octets written so far. */
size_t der_writer_mark(const struct der_writer *writer);
/* Puts tag and length in front of everything written since the mark. */
void der_write_header(struct der_writer *writer, uint8_t tag, size_t mark);

void der_write_raw(struct der_writer *writer, struct ca_bytes bytes);
void der_write_octet(struct der_writer *writer, uint8_t octet);
/* A primitive with the given content. */
void der_write_value(struct der_writer *writer, uint8_t tag, struct ca_bytes content);
void der_write_oid(struct der_writer *writer, struct ca_bytes content);
void der_write_null(struct der_writer *writer);
void der_write_boolean(struct der_writer *writer, bool value);
void der_write_small(struct der_writer *writer, uint64_t value);
/* INTEGER from unsigned big-endian octets: leading zeros dropped, a sign octet added if needed. */
void der_write_unsigned(struct der_writer *writer, struct ca_bytes octets);
/* BIT STRING of whole octets. */
void der_write_bit_octets(struct der_writer *writer, struct ca_bytes octets);
/* BIT STRING of named bits, bit 0 first, trailing zero bits removed (X.690, section 11.2.2). */
void der_write_named_bits(struct der_writer *writer, uint32_t bits);
/* UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280, section 4.1.2.5). */
void der_write_time(struct der_writer *writer, int64_t time_s);
/* Always GeneralizedTime. */
void der_write_generalized_time(struct der_writer *writer, int64_t time_s);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl_reader: the entries of a long list, read ahead by a thread while others are hashed.
 *
 * Private to crl_file.c. The source's next is called by that thread alone, until close.
 */
#pragma once

#include "store/crl_file.h"

struct store_crl_reader;

CA_MUST_CHECK enum ca_err store_crl_reader_open(const struct store_crl_source *source,
                                                struct store_crl_reader **reader_out);
/* As the source's next. */
CA_MUST_CHECK enum ca_err store_crl_reader_next(struct store_crl_reader *reader,
                                                struct ca_bytes *chunk_out);
void store_crl_reader_close(struct store_crl_reader *reader); /* also before the end */

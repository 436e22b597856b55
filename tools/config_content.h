/* SPDX-License-Identifier: Apache-2.0 */
/* config_content: what settings said (config_schema_content()), taken apart again. */
#pragma once

#include "tools/config_schema.h"

/* The first piece, taken off the content. False at its end, and for what is no content. */
bool config_content_next(struct ca_bytes *content, struct ca_bytes *piece_out);

/* Writes settings of the section that say the same. False: not in the words of these tables, as of
 * another version, or no content; what was written until then is of no use. */
bool config_content_write(const struct config_section *section, struct ca_bytes content, FILE *to);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_build: from settings that were read to what the daemon works with; between config.c and
 * config_cas.c.
 *
 * What is built lies in the configuration's arena. CONFIG: something is wrong, and was told with
 * file and line. NOMEM.
 */
#pragma once

#include "tools/config.h"
#include "tools/config_table.h"

struct config_builder {
    struct config *config;
    const struct config_source *source; /* the main file */
    struct config_settings settings;
    const char *folder; /* of the main file, with its slash; "" for the working folder */
};

/* Below the main file's folder, unless it is absolute. NULL: no memory. */
const char *config_resolve(const struct config_builder *builder, const char *path);
/* A file the configuration names. A message points at the line that names it. */
CA_MUST_CHECK enum ca_err config_load_named(const struct config_builder *builder,
                                            const struct config_text *name, size_t size_max,
                                            const char **path_out, struct ca_bytes *bytes_out);

/* The CAs with their chains, lists and keys. */
CA_MUST_CHECK enum ca_err config_build_cas(const struct config_builder *builder);

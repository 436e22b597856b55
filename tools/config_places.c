/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "tools/config.h"
#include "tools/config_schema.h"

static enum ca_err check_place(const struct config_source *source, const struct config_place *place)
{
    struct stat status;

    if (stat(place->path, &status) != 0)
        return errno == EACCES
                   ? CA_OK
                   : config_complain(source, place->line, "%s: %s", place->path, strerror(errno));
    if ((status.st_mode & place->closed) != 0)
        return config_complain(source, place->line, "%s: others may %s it", place->path,
                               place->is_folder ? "write to" : "read or write");
    if (S_ISDIR(status.st_mode) != place->is_folder)
        return config_complain(source, place->line, "%s: %s", place->path,
                               strerror(place->is_folder ? ENOTDIR : EISDIR));
    return CA_OK;
}

enum ca_err config_check_places(const struct config *config, FILE *talk)
{
    const struct config_source source = { config->path, { 0 }, config->arena, talk };

    for (size_t i = 0; i < config->place_count; i++) {
        enum ca_err err = check_place(&source, &config->places[i]);
        if (err != CA_OK)
            return err;
    }
    if (config->user[0] != '\0' && getpwnam(config->user) == NULL)
        return config_complain(&source, config->user_line, "there is no user \"%s\"", config->user);
    if (config->group[0] != '\0' && getgrnam(config->group) == NULL)
        return config_complain(&source, config->group_line, "there is no group \"%s\"",
                               config->group);
    return CA_OK;
}

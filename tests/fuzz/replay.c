/* SPDX-License-Identifier: Apache-2.0 */
/* replay: feed saved inputs, files or folders of files, to a fuzz target with any compiler. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t replayed;

static int replay_file(const char *path, const struct stat *st, int kind)
{
    (void)st;
    if (kind != FTW_F)
        return 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    static uint8_t input[1 << 21];
    size_t len = fread(input, 1, sizeof(input), file);
    fclose(file);
    /* An exact heap copy, so that reading one byte too many is seen by the sanitizer. */
    uint8_t *exact = malloc(len + (len == 0));
    if (exact == NULL)
        return 1;
    for (size_t i = 0; i < len; i++)
        exact[i] = input[i];
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    replayed++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (ftw(argv[i], replay_file, 16) != 0)
            return EXIT_FAILURE;
    }
    if (replayed == 0) {
        fprintf(stderr, "replay: no input found\n");
        return EXIT_FAILURE;
    }
    printf("%zu inputs replayed\n", replayed);
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/csr_file.h"

#include <sys/stat.h>

static size_t read_whole(const char *path, uint8_t **bytes_out)
{
    FILE *file = fopen(path, "rb");
    struct stat status;

    if (file == NULL || fstat(fileno(file), &status) != 0)
        bench_die("%s cannot be opened", path);
    size_t len = (size_t)status.st_size;
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL || fread(bytes, 1, len, file) != len)
        bench_die("%s cannot be read", path);
    fclose(file);
    *bytes_out = bytes;
    return len;
}

/* The request at `at`, whose end is where the next one starts. */
static struct ca_bytes request_at(const uint8_t *bytes, size_t len, size_t at)
{
    size_t csr_len = 0;

    if (len - at < 4)
        bench_die("file of requests ends within a length");
    for (size_t i = 0; i < 4; i++)
        csr_len = csr_len << 8 | bytes[at + i];
    if (len - at - 4 < csr_len)
        bench_die("file of requests ends within a request");
    return ca_bytes_of(bytes + at + 4, csr_len);
}

void bench_csrs_load(const char *path, size_t count_max, struct bench_csrs *csrs_out)
{
    struct bench_csrs csrs = { 0 };
    size_t len = read_whole(path, &csrs.bytes), size = 0;

    for (size_t at = 0; at < len && csrs.count < count_max; csrs.count++) {
        if (csrs.count == size) {
            size = size * 2 + 1024;
            csrs.csrs = realloc(csrs.csrs, size * sizeof(*csrs.csrs));
            if (csrs.csrs == NULL)
                bench_die("out of memory");
        }
        csrs.csrs[csrs.count] = request_at(csrs.bytes, len, at);
        at += 4 + csrs.csrs[csrs.count].len;
    }
    if (csrs.count == 0)
        bench_die("%s holds no request", path);
    *csrs_out = csrs;
}

void bench_csrs_free(struct bench_csrs *csrs)
{
    free(csrs->csrs);
    free(csrs->bytes);
    *csrs = (struct bench_csrs){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/err.h"

#include <assert.h>

struct err_row {
    const char *name;
    const char *text;
    enum ca_blame blame;
};

static const struct err_row rows[CA_ERR_COUNT] = { { "OK", "success", CA_BLAME_NOBODY },
#define X(name, blame, text) { #name, text, CA_BLAME_##blame },
                                                   CA_ERRORS(X)
#undef X
};

const char *ca_err_name(enum ca_err err)
{
    assert(err < CA_ERR_COUNT);
    return rows[err].name;
}

const char *ca_err_text(enum ca_err err)
{
    assert(err < CA_ERR_COUNT);
    return rows[err].text;
}

enum ca_blame ca_err_blame(enum ca_err err)
{
    assert(err < CA_ERR_COUNT);
    return rows[err].blame;
}

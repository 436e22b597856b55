/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faults.h"

#include <stddef.h>

#include "ca/keys/keys.h"
#include "store/store.h"

atomic_int fault_signatures, fault_commit;
int fault_signature_err = CA_ERR_KEY_UNUSABLE;
int fault_commit_err = CA_ERR_STORAGE;
bool fault_commit_is_on_disk;
void (*fault_while_signing)(void);

enum ca_err __real_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures);
enum ca_err __wrap_keys_sign(struct keys_signer *signer, struct crypto *crypto,
                             const struct keys_order *order, struct crypto_signature *signatures)
{
    void (*then)(void) = fault_while_signing;

    fault_while_signing = NULL;
    if (then != NULL)
        then();
    if (atomic_load(&fault_signatures) == 0)
        return __real_keys_sign(signer, crypto, order, signatures);
    atomic_fetch_sub(&fault_signatures, 1);
    return (enum ca_err)fault_signature_err;
}

enum ca_err __real_store_commit(struct store_batch *batch);
enum ca_err __wrap_store_commit(struct store_batch *batch);
enum ca_err __wrap_store_commit(struct store_batch *batch)
{
    if (atomic_load(&fault_commit) == 0 || atomic_fetch_sub(&fault_commit, 1) > 1)
        return __real_store_commit(batch);
    if (fault_commit_is_on_disk)
        return __real_store_commit(batch) == CA_OK ? CA_ERR_STORAGE : CA_ERR_INTERNAL;
    store_abort(batch);
    return (enum ca_err)fault_commit_err;
}

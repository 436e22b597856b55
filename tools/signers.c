/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/signers.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/log.h"
#include "tools/file.h"

enum { FALLBACK_LANES = 4 };

struct signers {
    struct config *config;
    struct passphrase_source source;
    off_t starts[PASSPHRASE_HALVES]; /* of descriptors that can be read again; else below 0 */
    size_t soft[RPC_CA_MAX];         /* the CAs whose keys are sealed files */
    size_t soft_count;
    size_t key_count;             /* those, and the audit log's behind them if there is one */
    struct keys_process *process; /* NULL: they are in this one */
};

/* ---- soft keys */

/* Of all that are unsealed: the audit log's is behind the CAs'. */
static bool is_audit(const struct signers *signers, size_t index)
{
    return index == signers->soft_count;
}

static const char *path_of(const struct signers *signers, size_t index)
{
    return is_audit(signers, index) ? signers->config->audit_key_path
                                    : signers->config->keys[signers->soft[index]].path;
}

static enum ca_err unseal_one(const struct signers *signers, size_t index,
                              const struct keys_secret *passphrase, struct keys_sealed_memo *memo,
                              struct crypto_private_key **key_out)
{
    const struct config *config = signers->config;
    const char *path = path_of(signers, index);
    const struct rules_issuer *issuer =
        is_audit(signers, index) ? NULL : &config->cas[signers->soft[index]].issuer;
    const struct crypto_public_key *want = issuer == NULL ? &config->audit_key : issuer->key;
    enum ca_err err = keys_sealed_load_next(memo, path, passphrase, key_out);

    if (err != CA_OK) {
        fprintf(stderr, "certmilld: %s: %s\n", path, file_err_text(err));
        return err;
    }
    if (crypto_public_key_equal(crypto_private_key_public(*key_out), want))
        return CA_OK;
    fprintf(stderr, "certmilld: %s: not the key of the %s%s\n", path,
            issuer == NULL ? "audit log's public_key" : "certificate of CA ",
            issuer == NULL ? "" : issuer->name);
    crypto_private_key_free(*key_out);
    *key_out = NULL;
    return CA_ERR_KEY_UNUSABLE;
}

static bool is_fd(const struct passphrase_source *source, size_t half)
{
    return half < source->count && source->halves[half].file == NULL;
}

/* Both halves may come from one descriptor, line by line. */
static bool repeats_fd(const struct passphrase_source *source, size_t half)
{
    return half > 0 && is_fd(source, half - 1) &&
           source->halves[half - 1].fd == source->halves[half].fd;
}

static bool rewind_sources(const struct signers *signers)
{
    const struct passphrase_source *source = &signers->source;

    for (size_t i = 0; i < source->count; i++) {
        if (signers->starts[i] >= 0 && !repeats_fd(source, i) &&
            lseek(source->halves[i].fd, signers->starts[i], SEEK_SET) < 0)
            return false;
    }
    return true;
}

static bool can_be_read_again(const struct signers *signers)
{
    for (size_t i = 0; i < signers->source.count; i++) {
        if (is_fd(&signers->source, i) && signers->starts[i] < 0)
            return false;
    }
    return signers->source.count > 0;
}

/* In the signer process, or in this one. */
static enum ca_err unseal(void *arg, struct crypto_private_key **keys)
{
    const struct signers *signers = arg;
    struct keys_secret passphrase = { 0 };
    struct keys_sealed_memo memo = { 0 };

    if (!rewind_sources(signers))
        return CA_ERR_STORAGE;
    enum ca_err err = passphrase_read_for(&signers->source, path_of(signers, 0), &passphrase);
    for (size_t i = 0; i < signers->key_count && err == CA_OK; i++)
        err = unseal_one(signers, i, &passphrase, &memo, &keys[i]);
    keys_sealed_memo_wipe(&memo);
    keys_secret_wipe(&passphrase);
    return err;
}

static struct keys_signer_options options_of(const struct signers *signers, size_t index)
{
    const struct config *config = signers->config;

    if (is_audit(signers, index))
        return (struct keys_signer_options){ .signs_heads = true };
    bool is_rsa = config->cas[signers->soft[index]].issuer.key->type == CRYPTO_KEY_RSA;
    return (struct keys_signer_options){ .is_unchecked = !config->is_self_checked && !is_rsa };
}

/* Where its signer belongs. */
static struct keys_signer **place_of(const struct signers *signers, size_t index)
{
    return is_audit(signers, index) ? &signers->config->audit.signer
                                    : &signers->config->cas[signers->soft[index]].signer;
}

/* Keys in the daemon itself: signer.process is off. */
static enum ca_err open_here(struct signers *signers)
{
    struct crypto_private_key *keys[KEYS_PROCESS_KEYS_MAX] = { NULL };
    enum ca_err err = unseal(signers, keys);

    for (size_t i = 0; i < signers->key_count; i++) {
        struct keys_signer_options options = options_of(signers, i);
        if (err == CA_OK)
            err = keys_signer_open_soft(keys[i], &options, place_of(signers, i));
        else
            crypto_private_key_free(keys[i]);
    }
    if (err == CA_OK)
        log_warn("CA keys are in this process", "setting=signer.process");
    return err;
}

static void say_no_process(enum ca_err err)
{
    fprintf(stderr, "certmilld: the signer process did not start: %s\n", ca_err_text(err));
}

static enum ca_err open_there(struct signers *signers)
{
    enum ca_err err = keys_process_start(signers->process);

    if (err == CA_OK && !keys_process_is_locked(signers->process))
        log_warn("signer's stack may be swapped: raise the limit of locked memory",
                 "limit=RLIMIT_MEMLOCK");
    for (size_t i = 0; i < signers->key_count && err == CA_OK; i++) {
        const struct config *config = signers->config;
        struct keys_signer_options options = options_of(signers, i);
        const struct crypto_public_key *public =
            is_audit(signers, i) ? &config->audit_key : config->cas[signers->soft[i]].issuer.key;
        err = keys_signer_open_process(signers->process, i, public, &options, place_of(signers, i));
    }
    if (err != CA_OK)
        say_no_process(err);
    return err;
}

/* ---- tokens */

static enum ca_err open_token(const struct config *config, size_t ca)
{
    const struct keys_pkcs11_options *token = &config->keys[ca].token;
    struct ca_refusal refusal;

    enum ca_err err = keys_signer_open_pkcs11(token, config->cas[ca].issuer.key, &refusal,
                                              &config->cas[ca].signer);
    if (err != CA_OK)
        fprintf(stderr, "certmilld: CA %s: %s: %s (%s)\n", config->cas[ca].issuer.name,
                refusal.field, refusal.rule, ca_err_text(err));
    return err;
}

/* ---- the process */

static void tell(void *arg, enum keys_process_event event, int number)
{
    (void)arg;
    switch (event) {
    case KEYS_PROCESS_STARTED: log_info("signer started", "pid=%d", number); break;
    case KEYS_PROCESS_ENDED:
        log_error("signer ended, issuing stopped", "%s=%d", WIFSIGNALED(number) ? "signal" : "exit",
                  WIFSIGNALED(number) ? WTERMSIG(number) : WEXITSTATUS(number));
        break;
    case KEYS_PROCESS_REFUSED:
        log_error("signer could not be started again", "code=%s", ca_err_name((enum ca_err)number));
        break;
    case KEYS_PROCESS_GONE:
        log_error("signer is not started again: restart certmilld", "setting=signer.restart");
        break;
    }
}

static size_t lane_count(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = config->rpc.limits.worker_count;

    if (count == 0)
        count = processors > 0 ? (size_t)processors : FALLBACK_LANES;
    count++; /* for lists */
    return count < KEYS_PROCESS_LANES_MAX ? count : KEYS_PROCESS_LANES_MAX;
}

/* The operator's consent is the configuration, and a source that needs nobody to type. */
static bool may_restart(const struct signers *signers)
{
    if (!signers->config->is_signer_restarted)
        return false;
    if (can_be_read_again(signers))
        return true;
    log_warn("passphrase cannot be read again: signer will not be restarted",
             "setting=signer.restart");
    return false;
}

static enum ca_err fork_process(struct signers *signers, const struct keys_user *user)
{
    const struct passphrase_source *source = &signers->source;
    int fds[PASSPHRASE_HALVES] = { -1, -1 };

    for (size_t i = 0; i < source->count; i++) {
        if (is_fd(source, i) && !repeats_fd(source, i))
            fds[i] = source->halves[i].fd;
    }
    struct keys_process_options options = {
        .keeper = {
            .signer = {
                .unseal = unseal,
                .arg = signers,
                .key_count = signers->key_count,
                .lane_count = lane_count(signers->config),
                .crypto = signers->config->crypto,
                .user = *user,
            },
            .may_restart = may_restart(signers),
            .fds = { fds[0], fds[1], -1, -1 },
        },
        .tell = tell,
    };
    if (signers->key_count > signers->soft_count)
        options.keeper.signer.signs_heads[signers->soft_count] = true;
    enum ca_err err = keys_process_fork(&options, &signers->process);

    if (err != CA_OK)
        fprintf(stderr, "certmilld: no process for the CA keys: %s\n", ca_err_text(err));
    for (size_t i = 0; i < PASSPHRASE_HALVES; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    return err;
}

/* ---- open and close */

enum ca_err signers_fork(struct config *config, const struct passphrase_source *source,
                         const struct keys_user *user, struct signers **signers_out)
{
    struct signers *signers = calloc(1, sizeof(*signers));
    enum ca_err err = CA_OK;

    *signers_out = signers;
    if (signers == NULL)
        return CA_ERR_NOMEM;
    signers->config = config;
    signers->source = *source;
    for (size_t i = 0; i < PASSPHRASE_HALVES; i++)
        signers->starts[i] = is_fd(source, i) ? lseek(source->halves[i].fd, 0, SEEK_CUR) : -1;
    for (size_t i = 0; i < config->rpc.ca_count; i++) {
        if (config->keys[i].path != NULL)
            signers->soft[signers->soft_count++] = i;
    }
    signers->key_count = signers->soft_count + (config->rpc.audit != NULL);
    if (signers->key_count > 0 && config->has_signer_process)
        err = fork_process(signers, user);
    return err;
}

enum ca_err signers_begin(struct signers *signers)
{
    /* Who asks at the terminal is not to be ended before it is answered. */
    if (signers->process == NULL || signers->source.count == 0)
        return CA_OK;
    enum ca_err err = keys_process_begin(signers->process);
    if (err != CA_OK)
        say_no_process(err);
    return err;
}

enum ca_err signers_open(struct signers *signers)
{
    const struct config *config = signers->config;
    enum ca_err err = CA_OK;

    if (signers->key_count > 0)
        err = signers->process != NULL ? open_there(signers) : open_here(signers);
    for (size_t i = 0; i < config->rpc.ca_count && err == CA_OK; i++) {
        if (config->keys[i].path == NULL)
            err = open_token(config, i);
    }
    return err;
}

void signers_close(struct signers *signers)
{
    if (signers == NULL)
        return;
    for (size_t i = 0; i < signers->config->rpc.ca_count; i++) {
        keys_signer_close(signers->config->cas[i].signer);
        signers->config->cas[i].signer = NULL;
    }
    keys_signer_close(signers->config->audit.signer);
    signers->config->audit.signer = NULL;
    keys_process_close(signers->process);
    free(signers);
}

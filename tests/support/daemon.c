/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/x509/csr.h"
#include "rpc/call.h"
#include "tests/support/check.h"
#include "tests/support/folder.h"

enum { PASSPHRASE_MODE = 0600, CONFIG_SIZE_MAX = 16384, ARENA_MAX = 64 << 20 };

/* ---- processes */

/* ready_fd, unless below 0, is the child's descriptor 9. */
static pid_t run(const struct daemon *daemon, const char *const *arguments, int ready_fd)
{
    char path[128];
    union {
        const char *const *constant;
        char *const *plain;
    } both = { .constant = arguments };

    snprintf(path, sizeof(path), "%s/log", daemon->dir);
    fflush(NULL);
    pid_t test = getpid(), pid = fork();
    cr_assert(pid >= 0);
    if (pid > 0)
        return pid;
    /* A test that fails leaves nobody behind. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != test)
        _exit(127);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, PASSPHRASE_MODE);
    if (log >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0 &&
        (ready_fd < 0 || dup2(ready_fd, 9) >= 0))
        execv(arguments[0], both.plain);
    _exit(127);
}

static int wait_end(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0)
        cr_assert(errno == EINTR);
    return status;
}

static void print_log(const struct daemon *daemon)
{
    char path[128], line[1024];

    snprintf(path, sizeof(path), "%s/log", daemon->dir);
    FILE *log = fopen(path, "r");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        fputs(line, stderr);
    if (log != NULL)
        fclose(log);
}

/* ---- an instance */

static void make_csr(struct daemon *daemon, struct crypto *crypto, size_t index)
{
    char *name = daemon->names[index];
    struct x509_attribute subject = { x509_attribute_type_by_name("CN")->oid,
                                      DER_UTF8_STRING,
                                      { 0 } };
    uint8_t info[CA_CSR_LEN_MAX], whole[CA_CSR_LEN_MAX];
    struct crypto_private_key *key;
    struct crypto_signature signature;
    struct der_writer writer;

    snprintf(name, sizeof(daemon->names[index]), "host%zu.example.org", index);
    subject.value = ca_bytes_of_text(name);
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &key));
    der_writer_init(&writer, info, sizeof(info));
    x509_csr_info_write(&writer, &subject, 1, crypto_private_key_public(key), NULL, 0);
    struct ca_bytes tbs = der_writer_bytes(&writer);
    check_ok(crypto_sign_many(crypto, key, CRYPTO_SIG_ECDSA_SHA256, &tbs, 1, &signature));
    der_writer_init(&writer, whole, sizeof(whole));
    x509_signed_write(&writer, tbs, CRYPTO_SIG_ECDSA_SHA256,
                      ca_bytes_of(signature.bytes, signature.len));
    daemon->csrs[index] = ca_arena_copy(daemon->arena, der_writer_bytes(&writer));
    crypto_private_key_free(key);
}

static void write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, PASSPHRASE_MODE);

    cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len && close(fd) == 0, "%s", path);
}

void daemon_make(struct daemon *daemon)
{
    struct crypto *crypto;
    char passphrase[96], instance[96];

    memset(daemon, 0, sizeof(*daemon));
    folder_make("e2e", daemon->dir, sizeof(daemon->dir));
    snprintf(passphrase, sizeof(passphrase), "%s/passphrase", daemon->dir);
    snprintf(instance, sizeof(instance), "%s/instance", daemon->dir);
    snprintf(daemon->url, sizeof(daemon->url), "ipc://%s/certmill.sock", instance);
    write_file(passphrase, "a passphrase of tests\n", strlen("a passphrase of tests\n"));

    check_ok(keys_harden_process()); /* private keys go nowhere else */
    check_ok(ca_arena_new(1 << 16, ARENA_MAX, &daemon->arena));
    check_ok(crypto_open(&crypto));
    for (size_t i = 0; i < DAEMON_CSRS; i++)
        make_csr(daemon, crypto, i);
    crypto_close(crypto);

    const char *const init[] = { PROGRAMS_DIR "/certmill",
                                 "init",
                                 "--passphrase-file",
                                 passphrase,
                                 "--subject",
                                 "C=CN,O=Example",
                                 instance,
                                 NULL };
    int status = wait_end(run(daemon, init, -1));
    if (status != 0)
        print_log(daemon);
    cr_assert(status == 0, "certmill init: wait status %d", status);
}

void daemon_add_profile(const struct daemon *daemon, const char *name, const char *text)
{
    static const char list[] = "profiles = (\n";
    char path[160], config[CONFIG_SIZE_MAX], changed[CONFIG_SIZE_MAX];

    snprintf(path, sizeof(path), "%s/instance/profiles/%s.conf", daemon->dir, name);
    write_file(path, text, strlen(text));
    snprintf(path, sizeof(path), "%s/instance/certmill.conf", daemon->dir);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL);
    config[fread(config, 1, sizeof(config) - 1, file)] = '\0';
    fclose(file);
    char *rest = strstr(config, list);
    cr_assert(rest != NULL);
    *rest = '\0';
    int len = snprintf(changed, sizeof(changed),
                       "%s%s    { file = \"profiles/%s.conf\"; ca = \"main\"; },\n%s", config, list,
                       name, rest + strlen(list));
    cr_assert(len > 0 && (size_t)len < sizeof(changed));
    write_file(path, changed, (size_t)len);
}

void daemon_unmake(struct daemon *daemon)
{
    if (daemon->pid != 0)
        daemon_kill(daemon);
    ca_arena_free(daemon->arena);
    folder_drop(daemon->dir);
}

/* ---- life */

void daemon_spawn(struct daemon *daemon)
{
    char config[96], passphrase[96];
    int ends[2];

    snprintf(config, sizeof(config), "%s/instance/certmill.conf", daemon->dir);
    snprintf(passphrase, sizeof(passphrase), "%s/passphrase", daemon->dir);
    const char *const start[] = { PROGRAMS_DIR "/certmilld",
                                  "--config",
                                  config,
                                  "--passphrase-file",
                                  passphrase,
                                  "--ready-fd",
                                  "9",
                                  NULL };
    cr_assert(pipe2(ends, O_CLOEXEC) == 0);
    int high = fcntl(ends[1], F_DUPFD_CLOEXEC, 10); /* not 9 itself: dup2() would change nothing */
    cr_assert(high >= 0);
    daemon->pid = run(daemon, start, high);
    close(high);
    close(ends[1]);
    daemon->ready_fd = ends[0];
}

void daemon_wait_ready(struct daemon *daemon)
{
    char line;
    ssize_t got = read(daemon->ready_fd, &line, 1);

    close(daemon->ready_fd);
    daemon->ready_fd = -1;
    if (got != 1)
        print_log(daemon);
    cr_assert(got == 1, "certmilld did not get ready");
}

static void forget(struct daemon *daemon)
{
    if (daemon->ready_fd > 0)
        close(daemon->ready_fd);
    daemon->ready_fd = -1;
    daemon->pid = 0;
}

void daemon_kill(struct daemon *daemon)
{
    kill(daemon->pid, SIGKILL);
    int status = wait_end(daemon->pid);
    forget(daemon);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        print_log(daemon);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
              "certmilld was gone already: wait status %d", status);
}

void daemon_stop(struct daemon *daemon)
{
    kill(daemon->pid, SIGTERM);
    int status = wait_end(daemon->pid);
    forget(daemon);
    if (status != 0)
        print_log(daemon);
    cr_assert(status == 0, "certmilld ended with wait status %d", status);
}

void daemon_check_store(const struct daemon *daemon, struct store_info *info_out)
{
    struct store_options options = { .map_size = (size_t)64 << 30, .is_read_only = true };
    struct store_damage damage = { 0 };
    struct store *store;
    struct store_view *view;
    char path[96];

    snprintf(path, sizeof(path), "%s/instance/data", daemon->dir);
    check_ok(store_open(path, &options, &store));
    check_ok(store_view_open(store, &view));
    enum ca_err err = store_check(view, &damage);
    cr_assert(err == CA_OK, "%s: %s %s", ca_err_text(err), damage.table, damage.key);
    store_info(store, info_out);
    store_view_close(view);
    store_close(store);
}

/* ---- asking */

void daemon_item(const struct daemon *daemon, struct daemon_item *item, const char *request_id,
                 size_t csr)
{
    certmill__alt_name__init(&item->name);
    item->name.name_case = CERTMILL__ALT_NAME__NAME_DNS;
    item->name.dns = rpc_binary(ca_bytes_of_text(daemon->names[csr]));
    item->names[0] = &item->name;
    certmill__issue_item__init(&item->item);
    item->item.request_id = rpc_text(request_id);
    item->item.profile = rpc_text("tls-server");
    item->item.csr = rpc_binary(daemon->csrs[csr]);
    item->item.n_alt_names = 1;
    item->item.alt_names = item->names;
}

struct rpc_client *daemon_connect(const struct daemon *daemon, uint32_t timeout_ms)
{
    struct rpc_client_options options = { .timeout_ms = timeout_ms };
    struct rpc_client *client;

    check_ok(rpc_client_open(daemon->url, &options, &client));
    return client;
}

Certmill__Answer *daemon_ask(struct rpc_client *client, Certmill__Request *request)
{
    Certmill__Answer *answer;

    request->version = RPC_VERSION;
    check_ok(rpc_client_ask(client, request, &answer));
    return answer;
}

Certmill__Answer *daemon_issue(struct rpc_client *client, Certmill__IssueItem **items, size_t count)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;

    issue.n_items = count;
    issue.items = items;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_ISSUE, "%s", answer->status->code);
    cr_assert(answer->issue->n_items == count);
    return answer;
}

Certmill__Answer *daemon_get(struct rpc_client *client, ProtobufCBinaryData *serials, size_t count)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__GetRequest get = CERTMILL__GET_REQUEST__INIT;

    get.n_serials = count;
    get.serials = serials;
    request.method_case = CERTMILL__REQUEST__METHOD_GET;
    request.get = &get;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_GET);
    cr_assert(answer->get->n_items == count);
    return answer;
}

void daemon_make_crl(struct rpc_client *client)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__CrlMakeRequest make = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlScope scope;

    certmill__crl_scope__init(&scope);
    scope.ca = rpc_text("main");
    item.scope = &scope;
    make.n_items = 1;
    make.items = items;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &make;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_CRL_MAKE);
    cr_assert(answer->crl_make->items[0]->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
}

uint64_t daemon_counter(struct rpc_client *client, const char *name)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__StatsRequest stats = CERTMILL__STATS_REQUEST__INIT;
    uint64_t value = 0;

    request.method_case = CERTMILL__REQUEST__METHOD_STATS;
    request.stats = &stats;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->method_case == CERTMILL__ANSWER__METHOD_STATS);
    for (size_t i = 0; i < answer->stats->n_counters; i++) {
        if (strcmp(answer->stats->counters[i]->name, name) == 0)
            value = answer->stats->counters[i]->value;
    }
    certmill__answer__free_unpacked(answer, NULL);
    return value;
}

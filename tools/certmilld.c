/* SPDX-License-Identifier: Apache-2.0 */
/* certmilld: the daemon. Configuration, keys and store in; a server until SIGTERM. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/base/text.h"
#include "ca/keys/confine.h"
#include "rpc/log.h"
#include "rpc/server.h"
#include "tools/config.h"
#include "tools/file.h"
#include "tools/locked_memory.h"
#include "tools/signers.h"

enum {
    EXIT_USAGE = 2,     /* the command line or the configuration is wrong */
    OPEN_FILES = 65536, /* one for each connection */
    STOP_MAX_S = 5,     /* after everything is answered */
};

enum option_id {
    OPTION_CONFIG = 1,
    OPTION_CHECK,
    OPTION_PASSPHRASE_FILE,
    OPTION_PASSPHRASE_FD,
    OPTION_READY_FD,
    OPTION_HELP_CONFIG,
    OPTION_HELP,
    OPTION_VERSION,
};

struct arguments {
    const char *config_path;
    bool is_check;
    struct passphrase_source passphrase;
    int ready_fd; /* below 0: none */
};

struct daemon {
    struct config *config;
    struct store *store;
    struct signers *signers;
    struct rpc_server *server;
    sigset_t stop_signals;
};

/* ---- command line */

static void usage(FILE *to)
{
    fputs("usage: certmilld --config FILE [OPTION...]\n\n"
          "  --config FILE            certmill.conf of the instance\n"
          "  --check                  check configuration and the files it names, then exit\n"
          "  --passphrase-file FILE   file with the passphrase of the CA keys\n"
          "  --passphrase-fd N        descriptor to read the passphrase from\n"
          "                           (two of these options: the halves, in their order)\n"
          "  --ready-fd N             write a newline there and close it when ready\n"
          "  --help-config            the reference of all settings\n"
          "  --help\n"
          "  --version\n\n"
          "Without a file or descriptor the passphrase is asked for on the terminal.\n"
          "SIGTERM or SIGINT: finish what is in the engine, answer it, exit 0.\n",
          to);
}

static bool parse_fd(const char *text, int *fd_out)
{
    uint64_t number;

    if (!ca_text_to_number(text, 0, 1 << 20, &number)) {
        fprintf(stderr, "certmilld: not a descriptor: %s\n", text);
        return false;
    }
    *fd_out = (int)number;
    return true;
}

/* False when the program is to end with *exit_out. */
static bool parse_arguments(int argc, char **argv, struct arguments *arguments, int *exit_out)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "check", no_argument, NULL, OPTION_CHECK },
        { "passphrase-file", required_argument, NULL, OPTION_PASSPHRASE_FILE },
        { "passphrase-fd", required_argument, NULL, OPTION_PASSPHRASE_FD },
        { "ready-fd", required_argument, NULL, OPTION_READY_FD },
        { "help-config", no_argument, NULL, OPTION_HELP_CONFIG },
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        { 0 },
    };
    bool is_good = true;

    *arguments = (struct arguments){ .ready_fd = -1 };
    *exit_out = EXIT_SUCCESS;
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch ((enum option_id)opt) {
        case OPTION_CONFIG: arguments->config_path = optarg; break;
        case OPTION_CHECK: arguments->is_check = true; break;
        case OPTION_PASSPHRASE_FILE:
            is_good = is_good && passphrase_add_file(&arguments->passphrase, optarg);
            break;
        case OPTION_PASSPHRASE_FD:
            is_good = is_good && passphrase_add_fd(&arguments->passphrase, optarg);
            break;
        case OPTION_READY_FD: is_good = is_good && parse_fd(optarg, &arguments->ready_fd); break;
        case OPTION_HELP_CONFIG: config_print_reference(stdout); return false;
        case OPTION_HELP: usage(stdout); return false;
        case OPTION_VERSION: printf("certmilld %s\n", CERTMILL_VERSION); return false;
        default: is_good = false; break;
        }
    }
    if (is_good && optind == argc && arguments->config_path != NULL)
        return true;
    if (is_good && optind < argc)
        fprintf(stderr, "certmilld: takes options only, not '%s'\n", argv[optind]);
    usage(stderr);
    *exit_out = EXIT_USAGE;
    return false;
}

/* ---- start */

/* Signals are waited for by the main thread: blocked before the server starts its own. */
static void prepare_process(struct daemon *daemon)
{
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full file is an error of the write, not the end */
    sigemptyset(&daemon->stop_signals);
    sigaddset(&daemon->stop_signals, SIGTERM);
    sigaddset(&daemon->stop_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &daemon->stop_signals, NULL);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < OPEN_FILES) {
        files.rlim_cur = files.rlim_max < OPEN_FILES ? files.rlim_max : OPEN_FILES;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            log_warn("few open files", "limit=%" PRIu64, (uint64_t)files.rlim_cur);
    }
}

/* Whom to become. CONFIG when there is no such user or group. */
static enum ca_err find_user(const struct config *config, struct keys_user *user_out)
{
    const struct passwd *user;
    const struct group *group;

    *user_out = (struct keys_user){ .uid = geteuid() };
    if (config->user[0] == '\0')
        return CA_OK;
    if ((user = getpwnam(config->user)) == NULL)
        return CA_ERR_CONFIG; /* it was there when the configuration was checked */
    user_out->uid = user->pw_uid;
    user_out->gid = user->pw_gid;
    if (config->group[0] != '\0') {
        if ((group = getgrnam(config->group)) == NULL)
            return CA_ERR_CONFIG;
        user_out->gid = group->gr_gid;
    }
    /* A service manager may have done it already. */
    if (geteuid() != user_out->uid || getegid() != user_out->gid)
        user_out->name = config->user;
    return CA_OK;
}

/* Before there are threads, files of the store or listeners: all of them come after. */
static enum ca_err confine(const struct keys_user *user)
{
    enum ca_err err = keys_confine_rights(user);

    if (err == CA_OK)
        err = keys_confine_daemon();
    if (err == CA_ERR_DENIED)
        fprintf(stderr, "certmilld: may not become user \"%s\"\n", user->name);
    else if (err != CA_OK)
        fputs("certmilld: rights cannot be given up\n", stderr);
    else if (user->uid == 0)
        log_warn("running as root, without its rights", "setting=user");
    umask(S_IWGRP | S_IWOTH);
    return err;
}

static enum ca_err open_store(struct daemon *daemon)
{
    const char *path = daemon->config->data_path;
    enum ca_err err = store_open(path, &daemon->config->store, &daemon->store);

    if (err == CA_ERR_IN_USE)
        fprintf(stderr, "certmilld: %s is in use by another certmilld\n", path);
    else if (err != CA_OK)
        fprintf(stderr, "certmilld: %s: %s\n", path, file_store_err_text(err));
    return err;
}

/* Instances made before there were CRLs have none. */
static enum ca_err make_crl_folder(const struct config *config)
{
    if (mkdir(config->rpc.crl_path, 0755) == 0 || errno == EEXIST)
        return CA_OK;
    fprintf(stderr, "certmilld: %s: %s\n", config->rpc.crl_path, strerror(errno));
    return CA_ERR_CONFIG;
}

static enum ca_err start(struct daemon *daemon, const struct arguments *arguments)
{
    struct keys_user user;
    enum ca_err err;

    if ((err = find_user(daemon->config, &user)) != CA_OK ||
        (err = locked_memory_check("certmilld")) != CA_OK)
        return err;
    /* The other processes are what this one is now: nothing secret, open or shared yet. */
    err = signers_fork(daemon->config, &arguments->passphrase, &user, &daemon->signers);
    if (err == CA_OK && (err = keys_harden_process()) != CA_OK)
        fputs("certmilld: memory for keys cannot be protected\n", stderr);
    if (err != CA_OK)
        return err;
    prepare_process(daemon);
    if ((err = confine(&user)) != CA_OK || (err = signers_begin(daemon->signers)) != CA_OK ||
        (err = make_crl_folder(daemon->config)) != CA_OK || (err = open_store(daemon)) != CA_OK ||
        (err = signers_open(daemon->signers)) != CA_OK)
        return err;
    err = rpc_server_open(&daemon->config->rpc, daemon->store, &daemon->server);
    if (err != CA_OK)
        fprintf(stderr, "certmilld: cannot serve: %s\n", ca_err_text(err));
    return err;
}

/* ---- run and stop */

static void say_ready(const struct daemon *daemon, int ready_fd)
{
    const struct rpc_config *rpc = &daemon->config->rpc;
    struct store_info info;

    store_info(daemon->store, &info);
    fprintf(stderr, "certmilld ready: %s", rpc->listens[0].url);
    for (size_t i = 1; i < rpc->listen_count; i++)
        fprintf(stderr, " %s", rpc->listens[i].url);
    fprintf(stderr, ", %zu CA%s, %zu profile%s, %" PRIu64 " certificate%s\n", rpc->ca_count,
            ca_text_plural(rpc->ca_count), rpc->profile_count, ca_text_plural(rpc->profile_count),
            info.certificate_count, ca_text_plural(info.certificate_count));
    if (ready_fd < 0)
        return;
    if (write(ready_fd, "\n", 1) != 1)
        log_warn("nobody waits for readiness", "fd=%d error=%s", ready_fd, strerror(errno));
    close(ready_fd);
}

static void leave(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_SUCCESS);
}

static void serve(struct daemon *daemon)
{
    int signal_number;

    while (sigwait(&daemon->stop_signals, &signal_number) != 0)
        continue;
    log_info("stopping", "signal=%s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    rpc_server_drain(daemon->server);
    /*
     * All that was taken is on disk and answered. nng 1.5 waits for ever for a peer that never
     * finishes its greeting: the rest of the way out has its time, too.
     */
    signal(SIGALRM, leave);
    alarm(STOP_MAX_S);
}

static void stop(struct daemon *daemon)
{
    rpc_server_close(daemon->server);
    signers_close(daemon->signers);
    store_close(daemon->store);
    config_free(daemon->config);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct daemon daemon = { 0 };
    int exit_code;

    if (!parse_arguments(argc, argv, &arguments, &exit_code))
        return exit_code;
    if (config_load(arguments.config_path, stderr, &daemon.config) != CA_OK)
        return EXIT_USAGE;
    if (config_check_places(daemon.config, stderr) != CA_OK) {
        config_free(daemon.config);
        return EXIT_USAGE;
    }
    if (arguments.is_check) {
        printf("%s: good\n", arguments.config_path);
        config_free(daemon.config);
        return EXIT_SUCCESS;
    }
    enum ca_err err = start(&daemon, &arguments);
    if (err == CA_OK) {
        say_ready(&daemon, arguments.ready_fd);
        serve(&daemon);
    }
    stop(&daemon);
    return err == CA_OK ? EXIT_SUCCESS : err == CA_ERR_CONFIG ? EXIT_USAGE : EXIT_FAILURE;
}

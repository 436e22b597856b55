/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct keeper {
    const struct keys_keeper_setup *setup;
    int control;
    pid_t signer; /* 0: none */
    int life;     /* readable when the signer has ended */
};

void keys_keeper_word_write(uint8_t octets[KEYS_KEEPER_LEN], enum keys_keeper_word word,
                            uint32_t number)
{
    octets[0] = (uint8_t)word;
    ca_bytes_put_number(octets + 1, number, KEYS_KEEPER_LEN - 1);
}

uint32_t keys_keeper_number(const uint8_t octets[KEYS_KEEPER_LEN])
{
    return (uint32_t)ca_bytes_get_number(octets + 1, KEYS_KEEPER_LEN - 1);
}

/* ---- what a child of ours leaves behind */

static bool is_kept(const struct keeper *keeper, int fd)
{
    for (size_t i = 0; i < KEYS_KEEPER_FDS_MAX; i++) {
        if (keeper->setup->fds[i] == fd)
            return true;
    }
    return fd == keeper->control;
}

static void close_others(const struct keeper *keeper)
{
    int highest = keeper->control;

    for (size_t i = 0; i < KEYS_KEEPER_FDS_MAX; i++) {
        if (keeper->setup->fds[i] > highest)
            highest = keeper->setup->fds[i];
    }
    for (int fd = STDERR_FILENO + 1; fd < highest; fd++) {
        if (!is_kept(keeper, fd))
            (void)close(fd);
    }
    (void)close_range((unsigned)highest + 1, ~0U, 0);
}

/* It ends with its parent, and by nothing a terminal or a service manager sends to all. */
static void belong_to(pid_t parent, const char *name)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2 };

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)prctl(PR_SET_NAME, name);
    if (prctl(PR_SET_PDEATHSIG, (long)SIGKILL) != 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
}

/* ---- a signer */

static void tell(const struct keeper *keeper, enum keys_keeper_word word, uint32_t number)
{
    uint8_t octets[KEYS_KEEPER_LEN];

    keys_keeper_word_write(octets, word, number);
    if (send(keeper->control, octets, sizeof(octets), MSG_NOSIGNAL) != (ssize_t)sizeof(octets))
        _exit(EXIT_SUCCESS); /* the signer gets the same signal from that */
}

/* With the daemon's ends of the lanes. */
static void tell_started(const struct keeper *keeper, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char octets[CMSG_SPACE(sizeof(int) * KEYS_PROCESS_LANES_MAX)];
    } control = { 0 };
    uint8_t octets[KEYS_KEEPER_LEN];
    struct iovec part = { octets, sizeof(octets) };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.octets,
                              .msg_controllen = CMSG_SPACE(sizeof(int) * count) };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    keys_keeper_word_write(octets, KEYS_KEEPER_STARTED, (uint32_t)keeper->signer);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    if (sendmsg(keeper->control, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(octets))
        _exit(EXIT_SUCCESS);
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

/* Pairs of ends: ours for the daemon, theirs for the signer. */
static bool make_lanes(int *ours, int *theirs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            close_all(ours, i);
            close_all(theirs, i);
            return false;
        }
        ours[i] = ends[0];
        theirs[i] = ends[1];
    }
    return true;
}

static _Noreturn void be_signer(const struct keeper *keeper, const uint8_t *secret,
                                const int *lanes, pid_t parent)
{
    (void)close(keeper->control);
    belong_to(parent, "certmill-signer");
    keys_signer_main(&keeper->setup->signer, secret, lanes);
}

static bool fork_signer(struct keeper *keeper, const uint8_t *secret, int *ours)
{
    size_t count = keeper->setup->signer.lane_count;
    int theirs[KEYS_PROCESS_LANES_MAX], life[2];
    pid_t self = getpid();

    if (pipe(life) != 0)
        return false;
    if (!make_lanes(ours, theirs, count)) {
        close_all(life, 2);
        return false;
    }
    keeper->signer = fork();
    if (keeper->signer == 0) {
        close_all(ours, count);
        (void)close(life[0]);
        be_signer(keeper, secret, theirs, self);
    }
    close_all(theirs, count);
    (void)close(life[1]);
    keeper->life = life[0];
    if (keeper->signer > 0)
        return true;
    keeper->signer = 0;
    close_all(ours, count);
    (void)close(life[0]);
    return false;
}

static void stop(struct keeper *keeper)
{
    if (keeper->signer > 0)
        (void)kill(keeper->signer, SIGKILL);
}

static void reap(struct keeper *keeper)
{
    int status = 0;

    while (waitpid(keeper->signer, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(keeper->life);
    keeper->signer = 0;
    tell(keeper, KEYS_KEEPER_ENDED, (uint32_t)status);
}

/* The rights with which it could unseal again go when it is not to. */
static void resign(struct keeper *keeper)
{
    for (size_t i = 0; i < KEYS_KEEPER_FDS_MAX; i++) {
        if (keeper->setup->fds[i] >= 0)
            (void)close(keeper->setup->fds[i]);
    }
    if (keys_confine_rights(&keeper->setup->signer.user) != CA_OK)
        _exit(EXIT_FAILURE);
}

static void start(struct keeper *keeper, const uint8_t *secret, bool *has_started)
{
    int ours[KEYS_PROCESS_LANES_MAX];

    if (keeper->signer > 0) {
        stop(keeper);
        reap(keeper);
    }
    if (*has_started && !keeper->setup->may_restart) {
        tell(keeper, KEYS_KEEPER_FAILED, EPERM);
        return;
    }
    *has_started = true;
    if (!fork_signer(keeper, secret, ours)) {
        tell(keeper, KEYS_KEEPER_FAILED, (uint32_t)errno);
        return;
    }
    tell_started(keeper, ours, keeper->setup->signer.lane_count);
    close_all(ours, keeper->setup->signer.lane_count);
    if (!keeper->setup->may_restart)
        resign(keeper);
}

static void obey(struct keeper *keeper, bool *has_started)
{
    uint8_t octets[KEYS_KEEPER_LEN_MAX];
    ssize_t got = recv(keeper->control, octets, sizeof(octets), 0);

    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0)
        _exit(EXIT_SUCCESS);
    if (octets[0] == KEYS_KEEPER_START && got == KEYS_KEEPER_LEN_MAX)
        start(keeper, octets + KEYS_KEEPER_LEN, has_started);
    else if (octets[0] == KEYS_KEEPER_STOP)
        stop(keeper);
    sodium_memzero(octets, sizeof(octets));
}

_Noreturn void keys_keeper_main(const struct keys_keeper_setup *setup, int control, pid_t daemon)
{
    struct keeper keeper = { .setup = setup, .control = control };
    bool has_started = false;

    belong_to(daemon, "certmill-keeper");
    close_others(&keeper);
    for (;;) {
        struct pollfd waiting[2] = { { control, POLLIN, 0 }, { keeper.life, POLLIN, 0 } };
        if (poll(waiting, keeper.signer > 0 ? 2 : 1, -1) < 0)
            continue;
        if (keeper.signer > 0 && waiting[1].revents != 0)
            reap(&keeper);
        if (waiting[0].revents != 0)
            obey(&keeper, &has_started);
    }
}

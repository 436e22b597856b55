/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/process.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ca/keys/frame.h"
#include "ca/keys/kind.h"

enum {
    TIMEOUT_MS = 60000,
    PAUSE_MS = 1000,
    PAUSE_MS_MAX = 60000,
    GOOD_LIFE_MS = 60000, /* who lived so long is started again without delay */
};

enum state { DOWN, UP, GONE };

struct lane {
    int fd;
    bool is_busy;
    uint8_t *area; /* shared with the signer */
    uint8_t head[KEYS_FRAME_HEAD_MAX];
    uint8_t answer[KEYS_FRAME_ANSWER_LEN + KEYS_FRAME_SIGNATURES_MAX];
    struct keys_frame_request request;
};

struct keys_process {
    struct keys_process_options options;
    pid_t keeper;
    int control;
    struct keys_secret secret; /* of the tickets */
    pthread_t watcher;
    bool has_watcher;
    pid_t begun; /* the signer that is not ready yet; 0: none. Nobody else's while state is DOWN */
    bool is_locked;

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    enum state state;
    bool is_closing;
    struct lane *lanes; /* lane_count; descriptors while state is UP, or a lane is busy */
    size_t lane_count, busy_count;
    struct keys_signer_counts past[KEYS_PROCESS_KEYS_MAX]; /* of signers that have ended */
    struct keys_signer_counts now[KEYS_PROCESS_KEYS_MAX];
};

/* A signer's view of it. */
struct client {
    struct keys_process *process;
    uint16_t key;
};

static void tell(const struct keys_process *process, enum keys_process_event event, int number)
{
    if (process->options.tell != NULL)
        process->options.tell(process->options.arg, event, number);
}

/* ---- lanes */

static enum ca_err state_error(const struct keys_process *process)
{
    switch (process->state) {
    case UP: return CA_OK;
    case DOWN: return process->options.keeper.may_restart ? CA_ERR_BUSY : CA_ERR_KEY_UNUSABLE;
    case GONE: break;
    }
    return CA_ERR_KEY_UNUSABLE;
}

static struct lane *free_lane(struct keys_process *process)
{
    for (size_t i = 0; i < process->lane_count; i++) {
        if (!process->lanes[i].is_busy)
            return &process->lanes[i];
    }
    return NULL;
}

static enum ca_err lane_take(struct keys_process *process, struct lane **lane_out)
{
    pthread_mutex_lock(&process->lock);
    while (process->state == UP && (*lane_out = free_lane(process)) == NULL)
        pthread_cond_wait(&process->changed, &process->lock);
    enum ca_err err = state_error(process);
    if (err == CA_OK) {
        (*lane_out)->is_busy = true;
        process->busy_count++;
    }
    pthread_mutex_unlock(&process->lock);
    return err;
}

static void say(const struct keys_process *process, enum keys_keeper_word word)
{
    uint8_t octets[KEYS_KEEPER_LEN];

    keys_keeper_word_write(octets, word, 0);
    (void)send(process->control, octets, sizeof(octets), MSG_NOSIGNAL);
}

/* A signer that does not answer, or not to the point, is ended: nothing it says is believed. */
static void lane_give(struct keys_process *process, struct lane *lane, bool is_broken)
{
    pthread_mutex_lock(&process->lock);
    lane->is_busy = false;
    process->busy_count--;
    if (is_broken && process->state == UP) {
        process->state = DOWN;
        say(process, KEYS_KEEPER_STOP);
    }
    pthread_cond_broadcast(&process->changed);
    pthread_mutex_unlock(&process->lock);
}

/* ---- asking */

static bool send_parts(int fd, struct iovec *parts, size_t count)
{
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };

    while (message.msg_iovlen > 0) {
        ssize_t put = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        for (; message.msg_iovlen > 0 && (size_t)put >= message.msg_iov->iov_len;
             message.msg_iov++, message.msg_iovlen--)
            put -= (ssize_t)message.msg_iov->iov_len;
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + put;
            message.msg_iov->iov_len -= (size_t)put;
        }
    }
    return true;
}

/* Tickets and messages, where they fit into the shared memory. */
static void fill_area(const struct lane *lane, size_t head_len)
{
    const struct keys_frame_request *request = &lane->request;
    uint8_t *at = lane->area;

    memcpy(at, lane->head + KEYS_FRAME_REQUEST_LEN, head_len - KEYS_FRAME_REQUEST_LEN);
    at += head_len - KEYS_FRAME_REQUEST_LEN;
    for (size_t i = 0; i < request->count; i++) {
        memcpy(at, request->messages[i].data, request->messages[i].len);
        at += request->messages[i].len;
    }
}

static bool fits_area(const struct keys_frame_request *request)
{
    size_t len = (size_t)request->count * KEYS_FRAME_TICKET_LEN;

    for (size_t i = 0; i < request->count && len <= KEYS_FRAME_AREA_SIZE; i++)
        len += request->messages[i].len;
    return len <= KEYS_FRAME_AREA_SIZE;
}

static bool send_request(struct lane *lane)
{
    struct keys_frame_request *request = &lane->request;
    struct iovec parts[1 + KEYS_FRAME_ITEMS_MAX];
    size_t len;

    request->is_shared = fits_area(request);
    if (keys_frame_request_write(request, lane->head, &len) != CA_OK)
        return false;
    if (request->is_shared) {
        fill_area(lane, len);
        parts[0] = (struct iovec){ lane->head, KEYS_FRAME_REQUEST_LEN };
        return send_parts(lane->fd, parts, 1);
    }
    parts[0] = (struct iovec){ lane->head, len };
    for (size_t i = 0; i < request->count; i++)
        parts[1 + i] = (struct iovec){ (uint8_t *)(uintptr_t)request->messages[i].data,
                                       request->messages[i].len };
    return send_parts(lane->fd, parts, 1 + (size_t)request->count);
}

static bool receive_answer(struct lane *lane, struct keys_frame_answer *answer)
{
    size_t got = 0, want = KEYS_FRAME_ANSWER_LEN;

    while (got < want) {
        ssize_t some = recv(lane->fd, lane->answer + got, sizeof(lane->answer) - got, 0);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return false;
        got += (size_t)some;
        if (want > KEYS_FRAME_ANSWER_LEN || got < want)
            continue;
        if (keys_frame_answer_read(lane->answer, answer) != CA_OK)
            return false;
        want += answer->len;
    }
    return got == want;
}

static void take_counts(struct keys_process *process, uint16_t key,
                        const struct keys_frame_answer *answer)
{
    struct keys_signer_counts *now = &process->now[key];

    pthread_mutex_lock(&process->lock);
    if (answer->signatures > now->signatures)
        now->signatures = answer->signatures;
    if (answer->refused > now->refused)
        now->refused = answer->refused;
    if (answer->repeated > now->repeated)
        now->repeated = answer->repeated;
    pthread_mutex_unlock(&process->lock);
}

/* CA_OK, the signer's own answer, or UNKNOWN: the lane is of no use any more. */
static enum ca_err ask(struct keys_process *process, struct lane *lane,
                       struct crypto_signature *signatures)
{
    const struct keys_frame_request *request = &lane->request;
    struct keys_frame_answer answer;

    if (!send_request(lane) || !receive_answer(lane, &answer))
        return CA_ERR_UNKNOWN;
    take_counts(process, request->key, &answer);
    if (answer.err != CA_OK)
        return answer.err == CA_ERR_UNKNOWN ? CA_ERR_INTERNAL : answer.err;
    if (answer.count != request->count ||
        keys_frame_signatures_read(ca_bytes_of(lane->answer + KEYS_FRAME_ANSWER_LEN, answer.len),
                                   request->count, signatures) != CA_OK)
        return CA_ERR_UNKNOWN;
    return CA_OK;
}

static enum ca_err ask_some(const struct client *client, const struct keys_order *order,
                            size_t first, size_t count, struct crypto_signature *signatures)
{
    struct keys_process *process = client->process;
    struct lane *lane;
    enum ca_err err = lane_take(process, &lane);

    if (err != CA_OK)
        return err;
    struct keys_frame_request *request = &lane->request;
    request->form = order->digest == NULL ? KEYS_FRAME_MESSAGES : KEYS_FRAME_DIGEST;
    request->sig = order->sig;
    request->key = client->key;
    request->count = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        request->messages[i] = order->digest == NULL
                                   ? order->messages[first + i]
                                   : ca_bytes_of(order->digest->bytes, order->digest->len);
        request->tickets[i] =
            order->tickets == NULL ? (struct keys_ticket){ 0 } : order->tickets[first + i];
    }
    err = ask(process, lane, signatures);
    lane_give(process, lane, err == CA_ERR_UNKNOWN);
    return err;
}

/* As many as a frame holds, which is never fewer than one certificate. */
static size_t frame_count(const struct keys_order *order, size_t first)
{
    size_t count = 0, len = 0;

    while (first + count < order->count && count < KEYS_FRAME_ITEMS_MAX) {
        len += KEYS_FRAME_TICKET_LEN + order->messages[first + count].len;
        if (len > KEYS_FRAME_LEN_MAX)
            break;
        count++;
    }
    return count;
}

static enum ca_err client_sign_many(void *key, struct crypto *crypto,
                                    const struct keys_order *order,
                                    struct crypto_signature *signatures)
{
    enum ca_err err = CA_OK;

    (void)crypto;
    for (size_t count, first = 0; first < order->count && err == CA_OK; first += count) {
        if ((count = frame_count(order, first)) == 0)
            return CA_ERR_FIELD_LENGTH;
        err = ask_some(key, order, first, count, signatures + first);
    }
    return err;
}

static enum ca_err client_sign_digest(void *key, struct crypto *crypto,
                                      const struct keys_order *order,
                                      struct crypto_signature *signature)
{
    (void)crypto;
    if (order->sig == CRYPTO_SIG_ED25519)
        return CA_ERR_KEY_TYPE;
    return ask_some(key, order, 0, 1, signature);
}

static void client_ticket(void *key, const struct keys_intent *intent,
                          struct keys_ticket *ticket_out)
{
    const struct client *client = key;

    keys_ticket_stamp(client->process->secret.data, client->key, intent, ticket_out);
}

static enum ca_err client_state(void *key)
{
    struct keys_process *process = ((struct client *)key)->process;

    pthread_mutex_lock(&process->lock);
    enum ca_err err = state_error(process);
    pthread_mutex_unlock(&process->lock);
    return err;
}

static void client_count(void *key, struct keys_signer_counts *counts_out)
{
    const struct client *client = key;
    struct keys_process *process = client->process;

    pthread_mutex_lock(&process->lock);
    const struct keys_signer_counts *past = &process->past[client->key];
    const struct keys_signer_counts *now = &process->now[client->key];
    counts_out->signatures = past->signatures + now->signatures;
    counts_out->refused = past->refused + now->refused;
    counts_out->repeated = past->repeated + now->repeated;
    pthread_mutex_unlock(&process->lock);
}

static void client_close(void *key)
{
    free(key);
}

static const struct keys_kind in_process = {
    .sign_many = client_sign_many,
    .sign_digest = client_sign_digest,
    .close = client_close,
    .ticket = client_ticket,
    .state = client_state,
    .count = client_count,
};

enum ca_err keys_signer_open_process(struct keys_process *process, size_t key,
                                     const struct crypto_public_key *public,
                                     const struct keys_signer_options *options,
                                     struct keys_signer **signer_out)
{
    struct client *client = calloc(1, sizeof(*client));

    assert(key < process->options.keeper.signer.key_count);
    *signer_out = NULL;
    if (client == NULL)
        return CA_ERR_NOMEM;
    client->process = process;
    client->key = (uint16_t)key;
    return keys_signer_new(&in_process, client, public, options->is_unchecked, signer_out);
}

/* ---- a signer's life */

/* What the keeper says next, and the descriptors that come with it. False: there is no keeper. */
static bool hear(const struct keys_process *process, uint8_t octets[KEYS_KEEPER_LEN], int *fds,
                 size_t *fd_count)
{
    union {
        struct cmsghdr header;
        char octets[CMSG_SPACE(sizeof(int) * KEYS_PROCESS_LANES_MAX)];
    } control;
    struct iovec part = { octets, KEYS_KEEPER_LEN };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.octets,
                              .msg_controllen = sizeof(control) };
    ssize_t got;

    *fd_count = 0;
    do
        got = recvmsg(process->control, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != KEYS_KEEPER_LEN)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
        *fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(header), *fd_count * sizeof(int));
    }
    return true;
}

static void set_timeout(const struct keys_process *process, int fd)
{
    uint32_t ms = process->options.timeout_ms == 0 ? TIMEOUT_MS : process->options.timeout_ms;
    const struct timeval time = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

    /* Without it a signer that hangs would hold its thread: no reason not to go on. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

/* It has unsealed and given up its rights, or tells why not. */
static enum ca_err await_ready(struct keys_process *process)
{
    struct keys_frame_answer ready;

    if (!receive_answer(&process->lanes[0], &ready))
        return CA_ERR_KEY_UNUSABLE;
    process->is_locked = ready.count != 0;
    return ready.err;
}

/* state is DOWN and no lane busy: nobody else looks at the lanes. */
static enum ca_err begin(struct keys_process *process)
{
    uint8_t octets[KEYS_KEEPER_LEN_MAX];
    int fds[KEYS_PROCESS_LANES_MAX];
    size_t count;

    keys_keeper_word_write(octets, KEYS_KEEPER_START, 0);
    memcpy(octets + KEYS_KEEPER_LEN, process->secret.data, KEYS_TICKET_KEY_LEN);
    ssize_t put = send(process->control, octets, sizeof(octets), MSG_NOSIGNAL);
    OPENSSL_cleanse(octets, sizeof(octets));
    if (put != (ssize_t)sizeof(octets) || !hear(process, octets, fds, &count) ||
        octets[0] != KEYS_KEEPER_STARTED || count != process->lane_count)
        return CA_ERR_KEY_UNUSABLE;
    process->begun = (pid_t)keys_keeper_number(octets);
    for (size_t i = 0; i < count; i++)
        process->lanes[i].fd = fds[i];
    return CA_OK;
}

/* Likewise. Behind it a signer that has begun will be heard to end, even if it could not unseal. */
static enum ca_err finish(struct keys_process *process)
{
    int pid = process->begun;
    enum ca_err err = await_ready(process);

    process->begun = 0;
    if (err != CA_OK)
        return err;
    for (size_t i = 0; i < process->lane_count; i++)
        set_timeout(process, process->lanes[i].fd);
    pthread_mutex_lock(&process->lock);
    process->state = UP;
    pthread_cond_broadcast(&process->changed);
    pthread_mutex_unlock(&process->lock);
    tell(process, KEYS_PROCESS_STARTED, pid);
    return CA_OK;
}

static void add_counts(struct keys_signer_counts *to, const struct keys_signer_counts *counts)
{
    to->signatures += counts->signatures;
    to->refused += counts->refused;
    to->repeated += counts->repeated;
}

/* Whoever waits on a lane gets its end; then the lanes are closed. */
static void clear(struct keys_process *process, enum state state)
{
    pthread_mutex_lock(&process->lock);
    process->state = state;
    pthread_cond_broadcast(&process->changed);
    while (process->busy_count > 0)
        pthread_cond_wait(&process->changed, &process->lock);
    for (size_t i = 0; i < process->lane_count; i++) {
        if (process->lanes[i].fd >= 0)
            (void)close(process->lanes[i].fd);
        process->lanes[i].fd = -1;
    }
    for (size_t i = 0; i < KEYS_PROCESS_KEYS_MAX; i++) {
        add_counts(&process->past[i], &process->now[i]);
        process->now[i] = (struct keys_signer_counts){ 0 };
    }
    pthread_mutex_unlock(&process->lock);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* False when the process is being closed meanwhile. */
static bool pause_ms(const struct keys_process *process, uint32_t ms)
{
    struct pollfd control = { process->control, POLLIN, 0 };

    return poll(&control, 1, (int)ms) == 0;
}

/* After a signer's end: another one, later each time that it does not last. */
static bool start_again(struct keys_process *process, uint32_t *pause, uint64_t started_ms)
{
    uint32_t first = process->options.pause_ms == 0 ? PAUSE_MS : process->options.pause_ms;
    bool is_born = false;

    if (now_ms() - started_ms >= GOOD_LIFE_MS || *pause == 0)
        *pause = first;
    while (!is_born) {
        if (!pause_ms(process, *pause))
            return false;
        *pause = *pause >= PAUSE_MS_MAX / 2 ? PAUSE_MS_MAX : *pause * 2;
        enum ca_err err = begin(process);
        is_born = err == CA_OK;
        if (is_born)
            err = finish(process);
        if (err != CA_OK)
            tell(process, KEYS_PROCESS_REFUSED, (int)err);
    }
    return true;
}

static void *watch(void *arg)
{
    struct keys_process *process = arg;
    uint8_t octets[KEYS_KEEPER_LEN];
    int fds[KEYS_PROCESS_LANES_MAX];
    uint64_t started_ms = now_ms();
    uint32_t pause = 0;
    size_t count;

    while (hear(process, octets, fds, &count)) {
        if (octets[0] != KEYS_KEEPER_ENDED)
            continue;
        clear(process, process->options.keeper.may_restart ? DOWN : GONE);
        tell(process, KEYS_PROCESS_ENDED, (int)keys_keeper_number(octets));
        if (!process->options.keeper.may_restart)
            tell(process, KEYS_PROCESS_GONE, 0);
        else if (start_again(process, &pause, started_ms))
            started_ms = now_ms();
    }
    clear(process, GONE);
    pthread_mutex_lock(&process->lock);
    bool is_closing = process->is_closing;
    pthread_mutex_unlock(&process->lock);
    if (!is_closing)
        tell(process, KEYS_PROCESS_GONE, 0); /* with its keeper */
    return NULL;
}

/* ---- open and close */

static enum ca_err process_new(const struct keys_process_options *options,
                               struct keys_process **process_out)
{
    struct keys_process *process = calloc(1, sizeof(*process));

    *process_out = process;
    if (process == NULL)
        return CA_ERR_NOMEM;
    process->options = *options;
    process->options.keeper.signer.areas = NULL;
    process->control = -1;
    process->lane_count = options->keeper.signer.lane_count;
    pthread_mutex_init(&process->lock, NULL);
    pthread_cond_init(&process->changed, NULL);
    process->lanes = calloc(process->lane_count, sizeof(*process->lanes));
    if (process->lanes == NULL)
        return CA_ERR_NOMEM;
    /* Before the fork: keeper and every signer inherit it. */
    size_t size = process->lane_count * KEYS_FRAME_AREA_SIZE;
    uint8_t *areas = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (areas == MAP_FAILED)
        return CA_ERR_NOMEM;
    process->options.keeper.signer.areas = areas;
    for (size_t i = 0; i < process->lane_count; i++) {
        process->lanes[i].fd = -1;
        process->lanes[i].area = areas + i * KEYS_FRAME_AREA_SIZE;
    }
    return CA_OK;
}

static enum ca_err fork_keeper(struct keys_process *process)
{
    pid_t self = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return CA_ERR_NOMEM;
    process->keeper = fork();
    if (process->keeper == 0) {
        (void)close(ends[0]);
        keys_keeper_main(&process->options.keeper, ends[1], self);
    }
    (void)close(ends[1]);
    process->control = ends[0];
    return process->keeper < 0 ? CA_ERR_NOMEM : CA_OK;
}

enum ca_err keys_process_fork(const struct keys_process_options *options,
                              struct keys_process **process_out)
{
    const struct keys_signer_setup *signer = &options->keeper.signer;
    struct keys_process *process = NULL;
    enum ca_err err = CA_ERR_KEY_UNUSABLE;

    *process_out = NULL;
    assert(signer->key_count > 0 && signer->key_count <= KEYS_PROCESS_KEYS_MAX);
    assert(signer->lane_count > 0 && signer->lane_count <= KEYS_PROCESS_LANES_MAX);
    /* Locks on memory do not survive a fork: what is secret is made behind it. */
    if (CRYPTO_secure_malloc_initialized() != 0)
        goto out;
    if ((err = process_new(options, &process)) != CA_OK || (err = fork_keeper(process)) != CA_OK ||
        (err = keys_secret_new(KEYS_TICKET_KEY_LEN, &process->secret)) != CA_OK ||
        (err = crypto_random(process->secret.data, KEYS_TICKET_KEY_LEN)) != CA_OK)
        goto out;
    *process_out = process;
    process = NULL;
out:
    keys_process_close(process);
    return err;
}

enum ca_err keys_process_begin(struct keys_process *process)
{
    return begin(process);
}

enum ca_err keys_process_start(struct keys_process *process)
{
    enum ca_err err = process->begun == 0 ? begin(process) : CA_OK;

    if (err == CA_OK)
        err = finish(process);
    if (err == CA_OK && pthread_create(&process->watcher, NULL, watch, process) != 0)
        return CA_ERR_NOMEM;
    process->has_watcher = err == CA_OK;
    return err;
}

void keys_process_close(struct keys_process *process)
{
    if (process == NULL)
        return;
    pthread_mutex_lock(&process->lock);
    process->is_closing = true;
    pthread_mutex_unlock(&process->lock);
    if (process->control >= 0)
        (void)shutdown(process->control, SHUT_RDWR);
    if (process->has_watcher)
        pthread_join(process->watcher, NULL);
    else
        clear(process, GONE);
    if (process->control >= 0)
        (void)close(process->control);
    while (process->keeper > 0 && waitpid(process->keeper, NULL, 0) < 0 && errno == EINTR)
        continue;
    keys_secret_wipe(&process->secret);
    pthread_cond_destroy(&process->changed);
    pthread_mutex_destroy(&process->lock);
    if (process->options.keeper.signer.areas != NULL)
        (void)munmap(process->options.keeper.signer.areas,
                     process->lane_count * KEYS_FRAME_AREA_SIZE);
    free(process->lanes);
    free(process);
}

bool keys_process_is_locked(const struct keys_process *process)
{
    return process->is_locked;
}

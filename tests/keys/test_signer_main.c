/* SPDX-License-Identifier: Apache-2.0 */
/* The signer process, spoken to by somebody who is not its daemon. */
#include "ca/keys/signer_main.h"

#include <stdio.h>
#include <stdlib.h>

#include "ca/crypto/digest.h"
#include "ca/keys/frame.h"
#include "tests/support/sealed_keys.h"

TestSuite(signer_main, .init = open_all, .fini = close_all, .timeout = 120);

static const uint8_t SECRET[KEYS_TICKET_KEY_LEN] = { 1, 2, 3 };

/* A signer without keeper or client; its end of a lane. */
static int raw_signer(pid_t *pid_out)
{
    struct keys_signer_setup setup = { .unseal = unseal, .key_count = KIND_COUNT, .lane_count = 1 };
    uint8_t ready[KEYS_FRAME_ANSWER_LEN];
    int ends[2];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    *pid_out = fork();
    if (*pid_out == 0) {
        close(ends[0]);
        keys_signer_main(&setup, SECRET, &ends[1]);
    }
    close(ends[1]);
    cr_assert(recv(ends[0], ready, sizeof(ready), MSG_WAITALL) == (ssize_t)sizeof(ready));
    cr_assert(ready[4] == 0 && ready[5] == CA_OK);
    cr_assert(geteuid() != 0 || ready[7] == 1, "its memory is not locked");
    return ends[0];
}

static void check_ended(pid_t pid, int lane, int code)
{
    uint8_t octets[64];
    int status;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == code, "wait status %d", status);
    cr_assert(recv(lane, octets, sizeof(octets), 0) <= 0, "it answered");
    close(lane);
}

/* A good request for messages[0], of one ticket. */
static size_t raw_request(uint8_t *octets)
{
    static struct keys_frame_request request;
    uint8_t digest[CA_DIGEST_LEN];
    const struct keys_intent intent = { KEYS_TICKET_CERTIFICATE,
                                        { serials[0], CA_SERIAL_LEN },
                                        { digest, CA_DIGEST_LEN } };
    size_t len;

    request = (struct keys_frame_request){
        .form = KEYS_FRAME_MESSAGES, .sig = CRYPTO_SIG_ECDSA_SHA256, .key = P256, .count = 1
    };
    crypto_sha256(&messages[0], 1, digest);
    keys_ticket_stamp(SECRET, P256, &intent, &request.tickets[0]);
    request.messages[0] = messages[0];
    check_ok(keys_frame_request_write(&request, octets, &len));
    memcpy(octets + len, messages[0].data, messages[0].len);
    return len + messages[0].len;
}

static enum ca_err raw_answer(int lane)
{
    static uint8_t octets[KEYS_FRAME_ANSWER_LEN + KEYS_FRAME_SIGNATURES_MAX];
    struct keys_frame_answer answer;

    cr_assert(recv(lane, octets, KEYS_FRAME_ANSWER_LEN, MSG_WAITALL) == KEYS_FRAME_ANSWER_LEN);
    check_ok(keys_frame_answer_read(octets, &answer));
    cr_assert(answer.len == 0 ||
              recv(lane, octets, answer.len, MSG_WAITALL) == (ssize_t)answer.len);
    return answer.err;
}

Test(signer_main, a_request_may_come_octet_by_octet)
{
    uint8_t octets[KEYS_FRAME_HEAD_MAX];
    size_t len = raw_request(octets);
    pid_t pid;
    int lane = raw_signer(&pid);

    for (size_t i = 0; i < len; i++)
        cr_assert(send(lane, &octets[i], 1, MSG_NOSIGNAL) == 1);
    check_ok(raw_answer(lane));
    close(lane);
    check_ended(pid, -1, EXIT_SUCCESS);
}

Test(signer_main, what_is_no_frame_ends_the_signer_without_an_answer)
{
    static const struct {
        size_t at;
        uint8_t octet;
    } changes[] = {
        { 0, 0x7f },    { 4, 9 },          { 5, 0 },       { 5, 3 },  { 6, 0 },
        { 6, 99 },      { 7, 1 },          { 7, 2 },       { 10, 2 }, { 11, 0 },
        { 12 + 1, 21 }, { 12 + 38, 0xff }, { 12 + 41, 1 },
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t octets[KEYS_FRAME_HEAD_MAX];
        size_t len = raw_request(octets);
        pid_t pid;
        int lane = raw_signer(&pid);
        octets[changes[i].at] = changes[i].octet;
        cr_assert(send(lane, octets, len, MSG_NOSIGNAL) == (ssize_t)len);
        check_ended(pid, lane, EXIT_FAILURE);
    }
}

Test(signer_main, a_second_question_before_the_answer_ends_the_signer)
{
    uint8_t octets[2 * KEYS_FRAME_HEAD_MAX];
    size_t len = raw_request(octets);
    pid_t pid;
    int lane = raw_signer(&pid);

    memcpy(octets + len, octets, len);
    cr_assert(send(lane, octets, 2 * len, MSG_NOSIGNAL) == (ssize_t)(2 * len));
    check_ended(pid, lane, EXIT_FAILURE);
}

Test(signer_main, random_octets_get_no_signature)
{
    uint64_t random = 88172645463325252;
    uint8_t octets[512];

    for (int round = 0; round < 40; round++) {
        pid_t pid;
        int lane = raw_signer(&pid);
        for (size_t i = 0; i < sizeof(octets); i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            octets[i] = (uint8_t)random;
        }
        cr_assert(send(lane, octets, sizeof(octets), MSG_NOSIGNAL) > 0);
        check_ended(pid, lane, EXIT_FAILURE);
    }
}

Test(signer_main, a_key_that_is_not_there_is_unusable)
{
    uint8_t octets[KEYS_FRAME_HEAD_MAX];
    size_t len = raw_request(octets);
    pid_t pid;
    int lane = raw_signer(&pid);

    octets[9] = KIND_COUNT;
    cr_assert(send(lane, octets, len, MSG_NOSIGNAL) == (ssize_t)len);
    check_err(raw_answer(lane), CA_ERR_KEY_UNUSABLE);
    close(lane);
    check_ended(pid, -1, EXIT_SUCCESS);
}

/* What root sees of it: no rights, no dumps, a filter, locked memory, only its sockets. */
Test(signer_main, the_signer_has_nothing_but_its_sockets)
{
    char name[64], line[256];
    unsigned found = 0;
    pid_t pid;
    int lane = raw_signer(&pid);

    if (IS_SANITIZED)
        cr_skip("no filter beside a sanitizer");
    snprintf(name, sizeof(name), "/proc/%d/status", pid);
    FILE *status = fopen(name, "r");
    cr_assert_not_null(status);
    while (fgets(line, sizeof(line), status) != NULL) {
        found += strcmp(line, "CapEff:\t0000000000000000\n") == 0;
        found += strcmp(line, "NoNewPrivs:\t1\n") == 0;
        found += strcmp(line, "Seccomp:\t2\n") == 0;
        found += strncmp(line, "VmLck:", 6) == 0 && strtoul(line + 6, NULL, 10) > 1024;
    }
    fclose(status);
    cr_assert_eq(found, 4);
    snprintf(name, sizeof(name), "/proc/%d/limits", pid);
    FILE *limits = fopen(name, "r");
    cr_assert_not_null(limits);
    while (fgets(line, sizeof(line), limits) != NULL) {
        unsigned long soft, hard;
        if (sscanf(line, "Max open files %lu %lu", &soft, &hard) == 2 ||
            sscanf(line, "Max core file size %lu %lu", &soft, &hard) == 2) {
            cr_assert(soft == 0 && hard == 0, "%s", line);
            found++;
        }
    }
    fclose(limits);
    cr_assert_eq(found, 6);
    close(lane);
    check_ended(pid, -1, EXIT_SUCCESS);
}

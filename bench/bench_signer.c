/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_signer: what does it cost that soft keys are in a process of their own?
 *
 * Batches of 64 certificates of 700 octets, P-256, verified as always: signed in this process, and
 * in the signer process with tickets. CPU time of both processes per signature, in turns; the
 * median of the rounds.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/bench.h"
#include "ca/crypto/digest.h"
#include "ca/keys/process.h"

enum { BATCH = 64, TBS_LEN = 700, ROUNDS = 15, BATCHES = 200, SERIAL_LEN = 18, HEAD_LEN = 29 };

/* What the signer tells this process: its public key. */
struct told {
    uint8_t point[65];
};

static struct told *told;
static clockid_t signer_clock;
static uint8_t tbs[BATCH][TBS_LEN];
static struct ca_bytes messages[BATCH];
static struct keys_ticket tickets[BATCH];
static struct crypto_signature signatures[BATCH];

static enum ca_err make_key(void *arg, struct crypto_private_key **keys)
{
    (void)arg;
    enum ca_err err = crypto_private_key_generate(CRYPTO_KEY_P256, 0, &keys[0]);
    if (err == CA_OK)
        memcpy(told->point, crypto_private_key_public(keys[0])->point.data, sizeof(told->point));
    return err;
}

static void hear_pid(void *arg, enum keys_process_event event, int number)
{
    (void)arg;
    if (event == KEYS_PROCESS_STARTED && clock_getcpuclockid(number, &signer_clock) != 0)
        bench_must_ok(CA_ERR_INTERNAL, "clock");
}

/* SEQUENCE, version, serial number: what a signer looks at; then anything. */
static void make_messages(void)
{
    static const uint8_t head[] = {
        0x30, 0x82, (TBS_LEN - 4) >> 8, (TBS_LEN - 4) & 0xff, 0xa0, 0x03, 0x02, 0x01,
        0x02, 0x02, SERIAL_LEN
    };

    for (size_t i = 0; i < BATCH; i++) {
        memcpy(tbs[i], head, sizeof(head));
        memset(tbs[i] + sizeof(head), (int)(i + 1), SERIAL_LEN);
        messages[i] = ca_bytes_of(tbs[i], TBS_LEN);
    }
}

/* As the writer does, once for each. */
static void make_tickets(const struct keys_signer *signer)
{
    for (size_t i = 0; i < BATCH; i++) {
        uint8_t digest[CA_DIGEST_LEN];
        const struct keys_intent intent = { KEYS_TICKET_CERTIFICATE,
                                            { tbs[i] + HEAD_LEN - SERIAL_LEN, SERIAL_LEN },
                                            { digest, CA_DIGEST_LEN } };
        crypto_sha256(&messages[i], 1, digest);
        keys_ticket_make(signer, &intent, &tickets[i]);
    }
}

static uint64_t cpu_ns(void)
{
    return bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) + bench_clock_ns(signer_clock);
}

/* Per signature. */
static double round_us(struct keys_signer *signer, struct crypto *crypto)
{
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ECDSA_SHA256, .messages = messages, .count = BATCH, .tickets = tickets
    };
    uint64_t start_ns = cpu_ns();

    for (int i = 0; i < BATCHES; i++)
        bench_must_ok(keys_sign(signer, crypto, &order, signatures), "sign");
    return (double)(cpu_ns() - start_ns) / 1000.0 / BATCHES / BATCH;
}

int main(void)
{
    const struct keys_process_options options = {
        .keeper = { .signer = { .unseal = make_key, .key_count = 1, .lane_count = 1 },
                    .fds = { -1, -1, -1, -1 } },
        .tell = hear_pid,
    };
    const struct keys_signer_options checked = { .is_unchecked = false };
    double inside_us[ROUNDS], process_us[ROUNDS];
    struct crypto_private_key *key;
    struct keys_signer *inside, *there;
    struct keys_process *process;
    struct crypto *crypto;

    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        bench_must_ok(CA_ERR_NOMEM, "memory");
    bench_must_ok(keys_process_fork(&options, &process), "fork");
    bench_must_ok(keys_process_start(process), "start");
    const struct crypto_public_key public = {
        .type = CRYPTO_KEY_P256, .bits = 256, .point = ca_bytes_of(told->point, sizeof(told->point))
    };
    bench_must_ok(keys_signer_open_process(process, 0, &public, &checked, &there), "signer");
    bench_must_ok(keys_harden_process(), "hardening");
    bench_must_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &key), "key");
    bench_must_ok(keys_signer_open_soft(key, &checked, &inside), "signer");
    bench_must_ok(crypto_open(&crypto), "crypto");
    make_messages();
    make_tickets(there);
    for (int i = 0; i < ROUNDS; i++) {
        inside_us[i] = round_us(inside, crypto);
        process_us[i] = round_us(there, crypto);
    }
    double inside_median = bench_median(inside_us, ROUNDS),
           process_median = bench_median(process_us, ROUNDS);
    bench_figure("signer.p256.", "inside_us", inside_median, "us");
    bench_figure("signer.p256.", "process_us", process_median, "us");
    bench_figure("signer.p256.", "process_adds_us", process_median - inside_median, "us");
    crypto_close(crypto);
    keys_signer_close(inside);
    keys_signer_close(there);
    keys_process_close(process);
    return EXIT_SUCCESS;
}

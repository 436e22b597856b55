/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer: the signer process is killed, and the daemon, in turn, under load. What was acknowledged
 * is there; what was not becomes exactly one certificate; nothing was signed that was not intended;
 * and in the daemon's memory there is neither key nor passphrase.
 *
 * A few rounds in the ordinary run; CERTMILL_CRASH_ROUNDS by hand.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ca/keys/keys.h"
#include "tests/support/check.h"
#include "tests/support/daemon.h"

enum {
    ROUNDS_DEFAULT = 6,
    CLIENTS = 3,
    ITEMS = 8,
    ASKS_MAX = 1 << 14, /* of one client */
    ENOUGH = 400,       /* acknowledged between two deaths */
    TIMEOUT_MS = 5000,
    RETRY_US = 20000,
    MAPS_LINE_MAX = 512,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = true };
#else
enum { IS_SANITIZED = false };
#endif

TestSuite(signer, .timeout = 3600);
TestSuite(privileged, .timeout = 3600);

static struct daemon service;
static atomic_size_t acknowledged, unanswered;
static atomic_bool is_over;

struct asker {
    pthread_t thread;
    unsigned number;
    size_t asked; /* request ids are numbered: below this, all are done or were given up once */
    uint8_t serials[ASKS_MAX][CA_SERIAL_LEN];
    struct ca_bytes certificates[ASKS_MAX];
};
static struct asker askers[CLIENTS];

/* ---- who is who */

/* The only child of a process, 0 if there is none. */
static pid_t child_of(pid_t pid)
{
    char name[64];
    int child = 0;

    snprintf(name, sizeof(name), "/proc/%d/task/%d/children", pid, pid);
    FILE *children = fopen(name, "r");
    if (children == NULL || fscanf(children, "%d", &child) != 1)
        child = 0;
    if (children != NULL)
        fclose(children);
    return child;
}

static pid_t signer_of(pid_t daemon)
{
    return child_of(child_of(daemon));
}

static void set(const char *name, const char *value)
{
    char command[512];

    snprintf(command, sizeof(command), "sed -i 's|# %s = .*|%s = %s;|' %s/instance/certmill.conf",
             name, name, value, service.dir);
    FILE *pipe = popen(command, "r");
    cr_assert(pipe != NULL && pclose(pipe) == 0);
}

static void make(const char *restart)
{
    daemon_make(&service);
    set("restart", restart);
    daemon_start(&service);
}

/* ---- asking */

static void request_id(const struct asker *asker, size_t index, char id[40])
{
    snprintf(id, 40, "signer-%02u-%012zu", asker->number, index);
}

static void keep(struct asker *asker, size_t index, const Certmill__IssueResult *result)
{
    struct ca_bytes got = ca_bytes_of(result->certificate.data, result->certificate.len);

    cr_assert(result->serial.len == CA_SERIAL_LEN);
    if (asker->certificates[index].data != NULL) {
        check_bytes(got, asker->certificates[index]);
        return;
    }
    uint8_t *copy = malloc(got.len);
    cr_assert(copy != NULL);
    memcpy(copy, got.data, got.len);
    memcpy(asker->serials[index], result->serial.data, CA_SERIAL_LEN);
    asker->certificates[index] = ca_bytes_of(copy, got.len);
    atomic_fetch_add(&acknowledged, 1);
}

static bool is_later(const char *code)
{
    return strcmp(code, "UNKNOWN") == 0 || strcmp(code, "BUSY") == 0;
}

/* Items first to first + count of an asker; false when there was no answer at all. */
static bool ask(struct rpc_client *client, struct asker *asker, size_t first, size_t count)
{
    struct daemon_item items[ITEMS];
    Certmill__IssueItem *pointers[ITEMS];
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__Answer *answer;
    char ids[ITEMS][40];

    for (size_t i = 0; i < count; i++) {
        request_id(asker, first + i, ids[i]);
        daemon_item(&service, &items[i], ids[i], (first + i) % DAEMON_CSRS);
        pointers[i] = &items[i].item;
    }
    issue.n_items = count;
    issue.items = pointers;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    if (rpc_client_ask(client, &request, &answer) != CA_OK)
        return false;
    for (size_t i = 0; i < count && answer->issue != NULL; i++) {
        const Certmill__IssueResult *result = answer->issue->items[i];
        if (result->status == NULL)
            keep(asker, first + i, result);
        else
            cr_assert(is_later(result->status->code), "%s: %s", ids[i], result->status->code);
    }
    certmill__answer__free_unpacked(answer, NULL);
    return true;
}

static void pause_us(long us)
{
    const struct timespec time = { us / 1000000, us % 1000000 * 1000 };

    nanosleep(&time, NULL);
}

static void *asker_run(void *arg)
{
    struct asker *asker = arg;
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);

    while (!atomic_load(&is_over) && asker->asked + ITEMS <= ASKS_MAX) {
        asker->asked += ITEMS;
        if (!ask(client, asker, asker->asked - ITEMS, ITEMS))
            break;
        if (asker->certificates[asker->asked - 1].data == NULL)
            pause_us(RETRY_US); /* as long as there is no signer */
    }
    rpc_client_close(client);
    return NULL;
}

static void load_begin(void)
{
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < CLIENTS; i++) {
        askers[i].number = i;
        cr_assert(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]) == 0);
    }
}

static void load_end(void)
{
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(askers[i].thread, NULL);
}

static void await_acknowledged(size_t more)
{
    for (size_t enough = atomic_load(&acknowledged) + more; atomic_load(&acknowledged) < enough;)
        pause_us(500);
}

/* What was asked and not told, until it is. */
static void ask_again(void)
{
    struct rpc_client *client = daemon_connect(&service, 60000);

    for (unsigned n = 0; n < CLIENTS; n++) {
        for (size_t i = 0; i < askers[n].asked; i++) {
            if (askers[n].certificates[i].data == NULL)
                atomic_fetch_add(&unanswered, 1);
            while (askers[n].certificates[i].data == NULL) {
                cr_assert(ask(client, &askers[n], i, 1));
                pause_us(1000);
            }
        }
    }
    rpc_client_close(client);
}

/* ---- judging */

static int by_octets(const void *a, const void *b)
{
    return ca_bytes_compare(ca_bytes_of(a, CA_SERIAL_LEN), ca_bytes_of(b, CA_SERIAL_LEN));
}

static size_t check_serials(void)
{
    size_t count = 0, size = 0;

    for (unsigned n = 0; n < CLIENTS; n++)
        size += askers[n].asked;
    uint8_t(*all)[CA_SERIAL_LEN] = malloc(size * CA_SERIAL_LEN);
    cr_assert(all != NULL);
    for (unsigned n = 0; n < CLIENTS; n++) {
        memcpy(all[count], askers[n].serials, askers[n].asked * CA_SERIAL_LEN);
        count += askers[n].asked;
    }
    qsort(all, count, CA_SERIAL_LEN, by_octets);
    for (size_t i = 1; i < count; i++)
        cr_assert(by_octets(all[i - 1], all[i]) < 0, "a serial number twice");
    free(all);
    return count;
}

static void check_stored(void)
{
    struct rpc_client *client = daemon_connect(&service, 60000);

    for (unsigned n = 0; n < CLIENTS; n++) {
        for (size_t i = 0; i < askers[n].asked; i++) {
            ProtobufCBinaryData serial = { CA_SERIAL_LEN, askers[n].serials[i] };
            Certmill__Answer *answer = daemon_get(client, &serial, 1);
            const Certmill__Certificate *got = answer->get->items[0];
            cr_assert(got->status == NULL, "a certificate is lost");
            check_bytes(ca_bytes_of(got->certificate.data, got->certificate.len),
                        askers[n].certificates[i]);
            certmill__answer__free_unpacked(answer, NULL);
        }
    }
    rpc_client_close(client);
}

/*
 * Every signature has its intent, and becomes a certificate; but for those that a dying signer had
 * counted on one lane and not told on the other, at most what was asked at that moment.
 */
static void check_counts(unsigned deaths)
{
    struct rpc_client *client = daemon_connect(&service, 60000);
    uint64_t signatures = daemon_counter(client, "signer.signatures");
    uint64_t issued = daemon_counter(client, "issued");
    uint64_t repeated = daemon_counter(client, "signer.repeated");

    cr_assert(daemon_counter(client, "signer.refused") == 0);
    cr_assert(signatures >= issued && signatures <= issued + repeated + deaths * CLIENTS * ITEMS,
              "%" PRIu64 " signatures, %" PRIu64 " certificates", signatures, issued);
    cr_assert(daemon_counter(client, "store.intents") == 0);
    rpc_client_close(client);
}

static void await_signer(pid_t before)
{
    pid_t now;

    while ((now = signer_of(service.pid)) == 0 || now == before)
        pause_us(1000);
}

Test(signer, killed_under_load_it_loses_nothing_and_neither_does_the_daemon)
{
    const char *wish = getenv("CERTMILL_CRASH_ROUNDS");
    unsigned rounds = wish == NULL ? ROUNDS_DEFAULT : (unsigned)strtoul(wish, NULL, 10);
    struct store_info info;

    make("\"source\"");
    for (unsigned round = 0; round < rounds; round++) {
        pid_t signer = signer_of(service.pid);
        cr_assert(signer > 0);
        load_begin();
        await_acknowledged(ENOUGH);
        if (round % 2 == 0) {
            kill(signer, SIGKILL);
            await_signer(signer);
            await_acknowledged(ENOUGH); /* by the next one */
            load_end();
        } else {
            daemon_kill(&service);
            load_end();
            daemon_start(&service);
        }
        ask_again();
        check_counts(round % 2 == 0);
    }
    check_stored();
    size_t count = check_serials();
    daemon_stop(&service);
    daemon_check_store(&service, &info);
    cr_assert(info.intent_count == 0 && info.certificate_count == count);
    fprintf(stderr, "signer: %zu certificates, %zu not answered at first, %u deaths\n", count,
            atomic_load(&unanswered), rounds);
    daemon_unmake(&service);
}

/* ---- a signer that stays away */

static bool health_says(const char *alarm, bool *is_issuing)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__HealthRequest health = CERTMILL__HEALTH_REQUEST__INIT;
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    bool is_said = false;

    request.method_case = CERTMILL__REQUEST__METHOD_HEALTH;
    request.health = &health;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->health != NULL && answer->health->ready);
    *is_issuing = answer->health->issuing;
    for (size_t i = 0; i < answer->health->n_alarms; i++)
        is_said = is_said || strcmp(answer->health->alarms[i], alarm) == 0;
    certmill__answer__free_unpacked(answer, NULL);
    rpc_client_close(client);
    return is_said;
}

/* Asks for one; refused with this code, or there ("OK"). No intent is left. */
static void ask_one(const char *id, const char *code, uint8_t serial_out[CA_SERIAL_LEN])
{
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    struct daemon_item item;
    Certmill__IssueItem *pointer = &item.item;

    daemon_item(&service, &item, id, 0);
    Certmill__Answer *answer = daemon_issue(client, &pointer, 1);
    const Certmill__IssueResult *result = answer->issue->items[0];
    cr_assert_str_eq(result->status == NULL ? "OK" : result->status->code, code);
    if (serial_out != NULL) {
        cr_assert(result->serial.len == CA_SERIAL_LEN);
        memcpy(serial_out, result->serial.data, CA_SERIAL_LEN);
    }
    certmill__answer__free_unpacked(answer, NULL);
    cr_assert(daemon_counter(client, "store.intents") == 0);
    rpc_client_close(client);
}

static void check_refused(const char *id, const char *code)
{
    ask_one(id, code, NULL);
}

static void revoke_one(uint8_t serial[CA_SERIAL_LEN])
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;
    Certmill__ActItem item, *pointer = &item;
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    char id[] = "signer-revoke-000001";

    certmill__act_item__init(&item);
    item.request_id = id;
    item.act = CERTMILL__ACT__ACT_REVOKE;
    item.reason = 1; /* keyCompromise: the urgent one */
    item.serial = (ProtobufCBinaryData){ CA_SERIAL_LEN, serial };
    act.n_items = 1;
    act.items = &pointer;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &act;
    Certmill__Answer *answer = daemon_ask(client, &request);
    cr_assert(answer->act != NULL && answer->act->n_items == 1);
    const Certmill__ActResult *result = answer->act->items[0];
    cr_assert(result->status == NULL, "%s", result->status->code);
    cr_assert(result->state == CERTMILL__STATE__STATE_REVOKED && result->sequence > 0);
    certmill__answer__free_unpacked(answer, NULL);
    rpc_client_close(client);
}

static void check_is_revoked(uint8_t serial[CA_SERIAL_LEN])
{
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    ProtobufCBinaryData asked = { CA_SERIAL_LEN, serial };
    Certmill__Answer *answer = daemon_get(client, &asked, 1);
    const Certmill__Certificate *got = answer->get->items[0];

    cr_assert(got->status == NULL && got->state == CERTMILL__STATE__STATE_REVOKED);
    cr_assert(got->reason == 1);
    certmill__answer__free_unpacked(answer, NULL);
    rpc_client_close(client);
}

Test(signer, without_consent_issuing_stops_clearly_and_the_rest_goes_on)
{
    uint8_t serial[CA_SERIAL_LEN];
    struct store_info info;
    bool is_issuing;

    make("\"never\"");
    cr_assert(!health_says("SIGNER", &is_issuing) && is_issuing);
    ask_one("signer-before-000001", "OK", serial);
    kill(signer_of(service.pid), SIGKILL);
    while (!health_says("SIGNER", &is_issuing))
        pause_us(1000);
    cr_assert(!is_issuing);
    check_refused("signer-after-0000001", "KEY_UNUSABLE"); /* and no intent is left */
    check_refused("signer-before-000001", "OK");           /* what is there is there */
    revoke_one(serial);
    check_refused("signer-after-0000001", "KEY_UNUSABLE");
    daemon_kill(&service); /* as soon as it was acknowledged */
    daemon_check_store(&service, &info);
    cr_assert(info.certificate_count == 1 && info.intent_count == 0);
    daemon_start(&service);
    check_is_revoked(serial);
    check_refused("signer-after-0000001", "OK");
    daemon_stop(&service);
    daemon_unmake(&service);
}

Test(signer, a_revocation_asked_for_at_the_moment_it_dies_succeeds)
{
    uint8_t serial[CA_SERIAL_LEN];

    make("\"source\"");
    ask_one("signer-before-000001", "OK", serial);
    load_begin();
    await_acknowledged(ENOUGH);
    kill(signer_of(service.pid), SIGKILL); /* issuing has its hands full of signatures */
    revoke_one(serial);
    load_end();
    daemon_kill(&service);
    daemon_start(&service);
    check_is_revoked(serial);
    daemon_stop(&service);
    daemon_unmake(&service);
}

/* ---- what is in whose memory */

struct needle {
    const char *what;
    struct ca_bytes octets;
};

static bool contains(const uint8_t *at, size_t len, struct ca_bytes octets)
{
    return len >= octets.len && memmem(at, len, octets.data, octets.len) != NULL;
}

/* Every mapping that can be read, whole: how often the octets are there. */
static unsigned count_in_memory(pid_t pid, struct ca_bytes octets)
{
    enum { PIECE = 1 << 20 };
    char name[64], line[MAPS_LINE_MAX];
    unsigned count = 0;
    uint8_t *piece = malloc(PIECE + octets.len);

    snprintf(name, sizeof(name), "/proc/%d/mem", pid);
    int memory = open(name, O_RDONLY | O_CLOEXEC);
    snprintf(name, sizeof(name), "/proc/%d/maps", pid);
    FILE *maps = fopen(name, "r");
    cr_assert(piece != NULL && memory >= 0 && maps != NULL, "%s", name);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[0] != 'r' ||
            strstr(line, "/data.mdb") != NULL || strstr(line, "[v") != NULL)
            continue;
        for (unsigned long at = start; at < end; at += PIECE) {
            size_t want = end - at < PIECE + octets.len ? end - at : PIECE + octets.len;
            ssize_t got = pread(memory, piece, want, (off_t)at);
            count += got > 0 && contains(piece, (size_t)got, octets);
        }
    }
    fclose(maps);
    close(memory);
    free(piece);
    return count;
}

/* The scalar of the CA's key: what follows the version in ECPrivateKey (RFC 5915). */
static struct ca_bytes scalar_of_key(uint8_t *pkcs8, size_t size)
{
    static const uint8_t head[] = { 0x02, 0x01, 0x01, 0x04, 0x20 };
    char path[160];
    struct keys_secret passphrase;
    struct crypto_private_key *key;
    size_t len;

    snprintf(path, sizeof(path), "%s/passphrase", service.dir);
    check_ok(keys_secret_read_file(path, &passphrase));
    snprintf(path, sizeof(path), "%s/instance/keys/root.key", service.dir);
    if (access(path, R_OK) != 0)
        snprintf(path, sizeof(path), "%s/instance/keys/main.key", service.dir);
    check_ok(keys_sealed_load(path, &passphrase, &key));
    check_ok(crypto_private_key_encode(key, pkcs8, size, &len));
    uint8_t *at = memmem(pkcs8, len, head, sizeof(head));
    cr_assert(at != NULL);
    crypto_private_key_free(key);
    keys_secret_wipe(&passphrase);
    return ca_bytes_of(at + sizeof(head), 32);
}

static uint64_t limb(const uint8_t *at)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

Test(privileged, neither_key_nor_passphrase_is_in_the_daemons_memory)
{
    uint8_t pkcs8[CRYPTO_PKCS8_LEN_MAX];

    if (geteuid() != 0 || IS_SANITIZED)
        cr_skip("only root can look, and not at a sanitizer's terabytes");
    make("\"source\"");
    check_refused("signer-memory-000001", "OK");
    struct ca_bytes scalar = scalar_of_key(pkcs8, sizeof(pkcs8));
    uint64_t last = limb(scalar.data + 24); /* as arithmetic has it, last octet first */
    const struct needle needles[] = {
        { "scalar", scalar },
        { "half of it", ca_bytes_of(scalar.data, 16) },
        { "limb", ca_bytes_of(&last, sizeof(last)) },
        { "passphrase", CA_BYTES("a passphrase of tests") },
    };
    pid_t keeper = child_of(service.pid), signer = child_of(keeper);

    for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++) {
        cr_assert(count_in_memory(service.pid, needles[i].octets) == 0, "%s in the daemon",
                  needles[i].what);
        cr_assert(count_in_memory(keeper, needles[i].octets) == 0, "%s in the keeper",
                  needles[i].what);
    }
    /* The search finds what is there. */
    cr_assert(count_in_memory(signer, needles[0].octets) +
                  count_in_memory(signer, needles[2].octets) >
              0);
    cr_assert(count_in_memory(signer, needles[3].octets) == 0, "passphrase in the signer");
    daemon_stop(&service);
    daemon_unmake(&service);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: what certmill's commands share: options, the connection, how refusals are said.
 *
 * Standard output is data, standard error is talk. Exit codes: 0 done, 1 the CA said no or
 * could not, 2 the question was wrong.
 */
#pragma once

#include <stdio.h>

#include "ca/base/limits.h"
#include "ca/base/serial.h"
#include "rpc/client.h"
#include "tools/json.h"

enum { EXIT_USAGE = 2 };

struct command {
    const char *name;
    const char *args;
    const char *help;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* ---- options: described by a table from which the help is printed */

struct command_option {
    const char *name;
    const char *value; /* NULL: it takes none */
    const char *help;
    char letter; /* short form, of one that takes a value; 0: none */
};

struct command_line {
    const char *usage; /* "issue --profile NAME [OPTION...] FILE..." */
    const char *about; /* further lines of the help, or NULL */
    const struct command_option *options;
    size_t option_count;
    bool asks_daemon; /* takes --url, --dir, --timeout, --tls-ca, --witness and --json too */

    /* Filled in. */
    const char *url;
    const char *dir;
    const char *tls_ca;
    const char *witness; /* file where signed heads are kept; NULL: nowhere */
    uint32_t timeout_ms;
    bool is_json;
    int argc; /* what is left: the arguments */
    char **argv;
};

/*
 * take is called for every option with its index in the table; false: the value is wrong, and take
 * has said so. False when the command is to end with *exit_out: help was asked for, or the
 * usage was wrong.
 */
bool command_line_parse(struct command_line *line, int argc, char **argv,
                        bool (*take)(void *arg, size_t option, const char *value), void *arg,
                        int *exit_out);

/* "certmill: message"; answers EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int command_wrong(const char *format, ...);
/* "certmill: message"; answers EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int command_failed(const char *format, ...);
/* A decimal number within bounds, or a complaint about the option. */
bool command_number(const char *option, const char *value, uint64_t min, uint64_t max,
                    uint64_t *number_out);

/* ---- asking the daemon */

/* --url, else the socket of the instance in --dir, else CERTMILL_URL, else the socket of the
 * instance in the current folder. Signed heads of its audit log are kept where line says, which is
 * to stay until the client is closed. Says what went wrong. */
CA_MUST_CHECK enum ca_err command_connect(const struct command_line *line,
                                          struct rpc_client **client_out);
/* rpc_client_ask(), with a refusal of the whole message and transport trouble said. */
CA_MUST_CHECK enum ca_err command_ask(struct rpc_client *client, const Certmill__Request *request,
                                      Certmill__Answer **answer_out);

/*
 * Requests that may be asked twice, as they have an identifier. once asks for what is still open
 * and says how much is left, and how long to wait: it is called until nothing is, and its
 * patience has an end. Answers what once answered last; TIMEOUT is tried again.
 */
CA_MUST_CHECK enum ca_err command_ask_all(enum ca_err (*once)(void *arg, size_t *open_count,
                                                              uint32_t *retry_ms_out),
                                          void *arg, size_t open_count);
/* For once: CA_OK without an answer where the daemon says to come again. */
CA_MUST_CHECK enum ca_err command_ask_once(struct rpc_client *client,
                                           const Certmill__Request *request,
                                           Certmill__Answer **answer_out, uint32_t *retry_ms_out);
bool command_may_ask_again(const Certmill__Status *status);

/* What became of such requests. */
struct command_tally {
    size_t count, refused, unanswered;
    char base_id[CA_REQUEST_ID_LEN_MAX + 1]; /* brings the same answers; empty: nothing was kept */
};
/* Says what went wrong, and how to ask again; answers the exit code. */
int command_tell(const struct command_tally *tally, enum ca_err err);
/* The identifier of a command, random unless given; that of one of its requests has a number behind
 * it where there are several. REQUEST_ID when it gets too long. */
CA_MUST_CHECK enum ca_err command_make_id(const char *given, char id[CA_REQUEST_ID_LEN_MAX + 1]);
CA_MUST_CHECK enum ca_err command_number_id(const char *base, size_t index, size_t count,
                                            char id[CA_REQUEST_ID_LEN_MAX + 1]);

/* "revoked"; "keyCompromise", "unspecified" for 0. */
const char *command_state_name(Certmill__State state);
const char *command_reason_name(uint32_t reason);

/* "certmill: what: CODE: text (field, rule)" on standard error. */
void command_print_status(const char *what, const Certmill__Status *status);
/* As a member "status" of the current object; nothing for NULL. */
void command_json_status(struct json *json, const Certmill__Status *status);
/* A certificate as a text of PEM lines. */
void command_json_pem(struct json *json, const char *name, struct ca_bytes der);
/* Times in JSON and tables: "2026-11-22T14:52:30Z". */
enum { COMMAND_TIME_LEN = 32 };
void command_format_time(int64_t time_s, char text[COMMAND_TIME_LEN + 1]);
/* Nothing for 0. */
void command_json_time(struct json *json, const char *name, int64_t time_s);
/* Seconds since 1970, or YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ, all in UTC. */
bool command_parse_time(const char *text, int64_t *time_s_out);
/* Or a complaint about the option. */
bool command_time(const char *option, const char *text, int64_t *time_s_out);
/* As many serial numbers as there are arguments, or a complaint; the caller frees them. */
bool command_serials(const struct command_line *line, struct ca_serial **serials_out);

static inline struct ca_bytes command_bytes(ProtobufCBinaryData data)
{
    return ca_bytes_of(data.data, data.len);
}
/* Lent to a message that only reads it. */
static inline ProtobufCBinaryData command_lend(struct ca_bytes bytes)
{
    return (ProtobufCBinaryData){ bytes.len, (uint8_t *)(uintptr_t)bytes.data };
}

/* ---- the commands, one file each */

int cmd_init(int argc, char **argv);
int cmd_ca(int argc, char **argv);
int cmd_ca_import(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_crl(int argc, char **argv);
int cmd_issue(int argc, char **argv);
int cmd_renew(int argc, char **argv);
int cmd_replace(int argc, char **argv);
int cmd_change(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_hold(int argc, char **argv);
int cmd_release(int argc, char **argv);
int cmd_ack(int argc, char **argv);
int cmd_abandon(int argc, char **argv);
int cmd_changes(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_audit_head(int argc, char **argv);
int cmd_audit_verify(int argc, char **argv);
int cmd_profiles(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_find(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_health(int argc, char **argv);

/* SPDX-License-Identifier: Apache-2.0 */
/* config_table: what can be set in certmill.conf, as tables; private to tools/config*.c. */
#pragma once

#include "ca/crypto/crypto.h"
#include "tools/config_schema.h"

enum { CONFIG_LISTEN_MAX = 16, CONFIG_UID_MAX = 64 };

struct config_store_settings {
    unsigned line;
    struct config_number map_gib, reserve_mib, run_entries;
};
struct config_limit_settings {
    unsigned line;
    struct config_number message_size, queue_items, caller_items, act_items, batch_items, workers;
    struct config_number queue_octets, caller_octets, unread_octets, connections, uid_connections;
};
struct config_signer_settings {
    unsigned line;
    struct config_flag process;
    struct config_choice restart;
};
struct config_audit_settings {
    unsigned line;
    struct config_text key, public_key;
    struct config_number interval_ms;
};
struct config_ca_settings {
    unsigned line;
    struct config_text name, key, certificate, crl_url, ocsp_url, ca_issuers_url;
    struct config_text module, pin_file;
    struct config_choice signature;
    struct config_number crl_shards, sessions, timeout_ms;
    struct config_number crl_validity, crl_overlap, crl_interval, crl_delta, crl_delta_validity;
};
struct config_profile_entry {
    unsigned line;
    struct config_text file, ca;
};
struct config_settings {
    unsigned line;
    struct config_texts listen;
    struct config_text tls_file, data, crl_path, blocked_keys, user, group;
    struct config_choice ipc_mode;
    struct config_numbers ipc_uids;
    struct config_number clock_tolerance_ms;
    struct config_flag self_check;
    struct config_store_settings store;
    struct config_limit_settings limits;
    struct config_signer_settings signer;
    struct config_audit_settings audit;
    struct config_groups cas, profiles;
};

extern const struct config_section CONFIG_SECTION; /* struct config_settings */

/* By the index of a choice. */
extern const uint32_t CONFIG_IPC_MODE_OF[];
enum { CONFIG_RESTART_NEVER, CONFIG_RESTART_SOURCE };
extern const enum crypto_sig CONFIG_SIGNATURE_OF[];

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "rpc/pipeline_parts.h"

enum { REMOTE_SHARE = 4 }; /* all remote CAs together hold this part of queue_items_max */

void rpc_remotes_find(struct rpc_pipeline *pipeline, const struct rpc_config *config)
{
    for (size_t i = 0; i < config->ca_count; i++) {
        const struct rpc_ca *ca = &config->cas[i];
        if (!keys_signer_is_remote(ca->signer))
            continue;
        struct rpc_remote *remote = &pipeline->remotes[pipeline->remote_count++];
        remote->ca = ca;
        pthread_cond_init(&remote->work, NULL);
    }
}

struct rpc_remote *rpc_remote_find(struct rpc_pipeline *pipeline, const struct rpc_ca *ca)
{
    for (size_t i = 0; i < pipeline->remote_count; i++) {
        if (pipeline->remotes[i].ca == ca)
            return &pipeline->remotes[i];
    }
    return NULL;
}

bool rpc_remote_admit(struct rpc_pipeline *pipeline, struct rpc_group *group)
{
    struct rpc_remote *remote = rpc_remote_find(pipeline, group->ca);
    enum ca_err err = keys_signer_state(group->ca->signer);

    if (remote != NULL) {
        size_t items_max =
            pipeline->limits.queue_items_max / (REMOTE_SHARE * pipeline->remote_count);
        pthread_mutex_lock(&pipeline->lock);
        if (err == CA_OK && remote->items > 0 && remote->items + group->count > items_max)
            err = CA_ERR_BUSY;
        remote->items += group->count; /* until it ends, however it does */
        pthread_mutex_unlock(&pipeline->lock);
    }
    if (err != CA_OK)
        rpc_issue_refuse(group, err);
    return err == CA_OK;
}

void rpc_remote_leave(struct rpc_pipeline *pipeline, const struct rpc_group *group)
{
    struct rpc_remote *remote = rpc_remote_find(pipeline, group->ca);

    if (remote == NULL)
        return;
    pthread_mutex_lock(&pipeline->lock);
    remote->items -= group->count;
    pthread_mutex_unlock(&pipeline->lock);
}

void *rpc_remote_run(void *arg)
{
    struct rpc_start *start = arg;
    struct rpc_pipeline *pipeline = start->pipeline;
    struct rpc_worker *worker = start->worker;
    struct rpc_remote *remote = start->remote;
    struct rpc_group *group;

    free(start);
    pthread_mutex_lock(&pipeline->lock);
    for (;;) {
        if ((group = rpc_queue_pop(&remote->reserved)) != NULL) {
            pthread_mutex_unlock(&pipeline->lock);
            rpc_pipeline_sign(pipeline, worker, group);
            pthread_mutex_lock(&pipeline->lock);
            rpc_pipeline_wake(pipeline);
        } else if (pipeline->is_stopping) {
            break;
        } else {
            pthread_cond_wait(&remote->work, &pipeline->lock);
        }
    }
    pthread_mutex_unlock(&pipeline->lock);
    return NULL;
}

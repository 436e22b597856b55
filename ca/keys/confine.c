/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- user and capabilities */

enum { LOCKED_MEMORY_MIN = 64 << 20 };

/* Locked memory is limited for everybody who is not root: the room is asked for before. */
static void raise_locked_memory(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return;
    if (limit.rlim_max < LOCKED_MEMORY_MIN)
        limit.rlim_max = LOCKED_MEMORY_MIN;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        return;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* who locks memory checks it, and says so */
    }
}

static enum ca_err become(const struct keys_user *user)
{
    uid_t real, effective, saved;
    gid_t groups[3];

    if (initgroups(user->name, user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0)
        return CA_ERR_DENIED;
    if (getresuid(&real, &effective, &saved) != 0 ||
        getresgid(&groups[0], &groups[1], &groups[2]) != 0)
        return CA_ERR_KEY_UNUSABLE;
    bool has_changed = real == user->uid && effective == user->uid && saved == user->uid &&
                       groups[0] == user->gid && groups[1] == user->gid && groups[2] == user->gid;
    bool can_return = user->uid != 0 && setresuid(0, 0, 0) == 0;
    return has_changed && !can_return ? CA_OK : CA_ERR_KEY_UNUSABLE;
}

/* What programs started later could get back; root alone may empty this set. */
static void empty_bounding_set(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability);
}

static enum ca_err drop_capabilities(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
#ifdef __SANITIZE_ADDRESS__
    /* LeakSanitizer looks at its own process from outside when it ends. */
    if (geteuid() == 0)
        sets[0].effective = sets[0].permitted = 1U << CAP_SYS_PTRACE;
#endif
    if (syscall(SYS_capset, &header, sets) != 0 || syscall(SYS_capget, &header, sets) != 0)
        return CA_ERR_KEY_UNUSABLE;
#ifndef __SANITIZE_ADDRESS__
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        if ((sets[i].effective | sets[i].permitted | sets[i].inheritable) != 0)
            return CA_ERR_KEY_UNUSABLE;
    }
#endif
    return CA_OK;
}

enum ca_err keys_confine_rights(const struct keys_user *user)
{
    int parents_end = 0;
    enum ca_err err;

    if (prctl(PR_GET_PDEATHSIG, &parents_end) != 0)
        return CA_ERR_KEY_UNUSABLE;
    raise_locked_memory();
    empty_bounding_set();
    if (user->name != NULL && (err = become(user)) != CA_OK)
        return err;
    if ((err = drop_capabilities()) != CA_OK)
        return err;
    /* Another user makes a process dumpable again, and independent of its parent. */
    if (prctl(PR_SET_PDEATHSIG, (long)parents_end) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0 || prctl(PR_SET_DUMPABLE, 0L) != 0 ||
        prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) != 1 || prctl(PR_GET_DUMPABLE) != 0)
        return CA_ERR_KEY_UNUSABLE;
    return CA_OK;
}

/* ---- system calls */

static bool add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (seccomp_rule_add(filter, action, calls[i], 0) != 0)
            return false;
    }
    return true;
}

#define ADD_ALL(filter, action, calls) \
    add_all((filter), (action), (calls), sizeof(calls) / sizeof((calls)[0]))

/* clang-format off */
/* Other programs, other processes' memory, the machine, other names for the same files. */
static const int FORBIDDEN[] = {
    SCMP_SYS(execve), SCMP_SYS(execveat),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    SCMP_SYS(bpf), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(syslog),
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(swapon),
    SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(fanotify_init),
    SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
    SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(personality),
    SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(vhangup), SCMP_SYS(lookup_dcookie),
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
    SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid),
    SCMP_SYS(setgroups), SCMP_SYS(capset),
#ifndef __SANITIZE_ADDRESS__
    SCMP_SYS(ptrace), /* LeakSanitizer looks at its own process from outside */
#endif
};
/* clang-format on */

/* No memory that is written and then run. A plug-in's code is mapped without being writable. */
static bool forbid_written_code(scmp_filter_ctx filter)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    const scmp_datum_t both = PROT_WRITE | PROT_EXEC;

    return seccomp_rule_add(filter, refuse, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, both, both)) == 0 &&
           seccomp_rule_add(filter, refuse, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)) == 0 &&
           seccomp_rule_add(filter, refuse, SCMP_SYS(pkey_mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)) == 0;
}

/* clone3() hides its flags from filters: without it, threads are started with clone(). */
static bool forbid_namespaces(scmp_filter_ctx filter)
{
    static const uint32_t flags[] = { CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                      CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i])) != 0)
            return false;
    }
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

/* Local and internet sockets, and the one with which the resolver asks for the addresses. */
static bool forbid_families(scmp_filter_ctx filter)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EAFNOSUPPORT);

    for (unsigned family = 0; family <= AF_NETLINK; family++) {
        if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
            continue;
        if (seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_EQ, family, 0)) != 0)
            return false;
    }
    return seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1,
                            SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0)) == 0;
}

/* Typing for others, at the terminal it was started from. */
static bool forbid_typing(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI)) == 0;
}

static enum ca_err load(scmp_filter_ctx filter, bool is_complete)
{
    enum ca_err err = CA_ERR_KEY_UNUSABLE;

    /* Another architecture's calls have other numbers: there is no reason for one. */
    if (is_complete &&
        seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 && seccomp_load(filter) == 0)
        err = CA_OK;
    seccomp_release(filter);
    return err;
}

enum ca_err keys_confine_daemon(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (filter == NULL)
        return CA_ERR_NOMEM;
    return load(filter, ADD_ALL(filter, SCMP_ACT_KILL_PROCESS, FORBIDDEN) &&
                            forbid_written_code(filter) && forbid_namespaces(filter) &&
                            forbid_families(filter) && forbid_typing(filter));
}

/* ---- the signer's */

/* clang-format off */
static const int ALLOWED[] = {
    SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(read),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex), SCMP_SYS(sched_yield),
    SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
    SCMP_SYS(exit), SCMP_SYS(exit_group),
};
/* clang-format on */

/* Memory, but no code; of descriptors to write to, standard error: an assertion has last words. */
static bool allow_some(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                            SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1,
                            SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO, 0)) == 0;
}

enum ca_err keys_confine_signer(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);

    if (filter == NULL)
        return CA_ERR_NOMEM;
    return load(filter, ADD_ALL(filter, SCMP_ACT_ALLOW, ALLOWED) && allow_some(filter));
}

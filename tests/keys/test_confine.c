/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

/* A sanitizer's own calls are not those of the program. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = true };
#else
enum { IS_SANITIZED = false };
#endif

enum { NOBODY = 65534, CALLS_END = 462, HARMLESS_EXIT = 7 };

TestSuite(confine, .timeout = 120);
TestSuite(privileged, .timeout = 120);

static const struct keys_user nobody = { "nobody", NOBODY, NOBODY };
static const struct keys_user as_it_is = { NULL, 0, 0 };

/* The function in a process of its own: its answer, or minus the signal that ended it. */
static int in_child(int (*run)(long), long argument)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run(argument));
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- user and capabilities */

static unsigned long long status_field(const char *field)
{
    char line[256];
    unsigned long long value = 99;
    FILE *status = fopen("/proc/self/status", "r");

    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtoull(line + strlen(field), NULL, 16);
    }
    if (status != NULL)
        fclose(status);
    return value;
}

static bool has_rights(void)
{
    static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapAmb:" };
    unsigned long long left = 0;

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        left |= status_field(sets[i]);
#ifdef __SANITIZE_ADDRESS__
    left &= ~(1ULL << CAP_SYS_PTRACE);
#endif
    return left != 0 || status_field("NoNewPrivs:") != 1 || prctl(PR_GET_DUMPABLE) != 0;
}

static int become_nobody(long unused)
{
    gid_t groups[8];

    (void)unused;
    int kept = open("/proc/self/status", O_RDONLY);
    if (kept < 0 || keys_confine_rights(&nobody) != CA_OK)
        return 1;
    if (getuid() != NOBODY || geteuid() != NOBODY || getgid() != NOBODY || getegid() != NOBODY)
        return 2;
    int count = getgroups(8, groups);
    for (int i = 0; i < count; i++) {
        if (groups[i] != NOBODY)
            return 3;
    }
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0 || setgroups(0, NULL) == 0)
        return 4;
    if (open("/etc/shadow", O_RDONLY) >= 0)
        return 5;
    return has_rights() || status_field("CapBnd:") != 0 ? 6 : 0;
}

Test(privileged, root_becomes_another_user_for_good)
{
    if (geteuid() != 0)
        cr_skip("only root can");
    cr_assert_eq(in_child(become_nobody, 0), 0);
}

static int stay(long unused)
{
    uid_t before = geteuid();

    (void)unused;
    return keys_confine_rights(&as_it_is) != CA_OK || geteuid() != before || has_rights();
}

Test(confine, without_a_user_only_the_rights_go)
{
    cr_assert_eq(in_child(stay, 0), 0);
}

/* Root's files that only root's rights open. */
static int read_without_rights(long unused)
{
    char name[] = "/tmp/certmill-confine-XXXXXX";
    int fd = mkstemp(name);

    (void)unused;
    if (fd < 0 || fchown(fd, NOBODY, NOBODY) != 0 || fchmod(fd, 0400) != 0)
        return 1;
    bool could_before = open(name, O_RDONLY) >= 0;
    if (keys_confine_rights(&as_it_is) != CA_OK)
        return 2;
    bool can_now = open(name, O_RDONLY) >= 0;
    unlink(name);
    return could_before && !can_now ? 0 : 3;
}

Test(privileged, root_without_capabilities_is_held_to_file_modes)
{
    if (geteuid() != 0)
        cr_skip("only root can");
    cr_assert_eq(in_child(read_without_rights, 0), 0);
}

static int become_root(long unused)
{
    const struct keys_user root = { "root", 0, 0 };

    (void)unused;
    if (geteuid() == 0 && keys_confine_rights(&nobody) != CA_OK)
        return 100;
    return (int)keys_confine_rights(&root);
}

Test(confine, who_is_not_root_becomes_nobody_else)
{
    cr_assert_eq(in_child(become_root, 0), CA_ERR_DENIED);
}

/* ---- the daemon's system calls */

static int daemon_calls(long number)
{
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_daemon() != CA_OK)
        return 1;
    syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return HARMLESS_EXIT;
}

Test(confine, a_daemon_that_runs_programs_or_touches_the_machine_ends)
{
    static const long calls[] = {
        SYS_execve,
        SYS_execveat,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_bpf,
        SYS_userfaultfd,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_perf_event_open,
        SYS_setns,
        SYS_unshare,
        SYS_reboot,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_adjtimex,
        SYS_mknodat,
        SYS_pidfd_getfd,
        SYS_open_by_handle_at,
        SYS_personality,
        SYS_setuid,
        SYS_setresuid,
        SYS_setgroups,
        SYS_capset,
        SYS_swapon,
        SYS_iopl,
        SYS_syslog,
        SYS_move_mount,
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        cr_assert_eq(in_child(daemon_calls, calls[i]), -SIGSYS, "call %ld", calls[i]);
    if (!IS_SANITIZED)
        cr_assert_eq(in_child(daemon_calls, SYS_ptrace), -SIGSYS);
}

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int daemon_work(long unused)
{
    int sockets[2], has_run = 0;
    pthread_t id;

    (void)unused;
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_daemon() != CA_OK)
        return 1;
    if (pthread_create(&id, NULL, thread, &has_run) != 0 || pthread_join(id, NULL) != 0 ||
        has_run != 1)
        return 2;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 || socket(AF_INET, SOCK_STREAM, 0) < 0)
        return 3;
    if (open("/proc/self/status", O_RDONLY) < 0)
        return 4;
    /* Where the machine has io_uring, the store uses it: bad arguments, but no end. */
    if (syscall(SYS_io_uring_setup, 0L, NULL) == 0)
        return 5;
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? 6 : 0; /* a plug-in's pages */
}

Test(confine, what_a_daemon_does_it_still_can)
{
    cr_assert_eq(in_child(daemon_work, 0), 0);
}

static int daemon_refused(long unused)
{
    char letter = 'x';

    (void)unused;
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_daemon() != CA_OK)
        return 1;
    if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT)
        return 2;
    if (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0 || errno != EAFNOSUPPORT)
        return 3;
    if (mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED ||
        errno != EPERM)
        return 4;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED || mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM)
        return 5;
    return ioctl(0, TIOCSTI, &letter) == 0 || errno != EPERM ? 6 : 0;
}

Test(confine, other_networks_and_written_code_are_refused)
{
    cr_assert_eq(in_child(daemon_refused, 0), 0);
}

static int daemon_namespace(long flag)
{
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_daemon() != CA_OK)
        return 1;
    syscall(SYS_clone, flag | SIGCHLD, NULL, NULL, NULL, NULL);
    return HARMLESS_EXIT;
}

Test(confine, no_namespace_is_made)
{
    static const long flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        cr_assert_eq(in_child(daemon_namespace, flags[i]), -SIGSYS);
}

/* ---- the signer's system calls */

static int signer_call(long number)
{
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_signer() != CA_OK)
        return 1;
    syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return HARMLESS_EXIT;
}

static bool is_signers(long number)
{
    static const long allowed[] = {
        SYS_recvmsg,
        SYS_recvfrom,
        SYS_sendmsg,
        SYS_sendto,
        SYS_read,
        SYS_poll,
        SYS_ppoll,
        SYS_futex,
        SYS_sched_yield,
        SYS_getrandom,
        SYS_clock_gettime,
        SYS_gettimeofday,
        SYS_time,
        SYS_getpid,
        SYS_gettid,
        SYS_sched_getaffinity,
        SYS_brk,
        SYS_munmap,
        SYS_mremap,
        SYS_madvise,
        SYS_mlock,
        SYS_mlock2,
        SYS_munlock,
        SYS_rt_sigreturn,
        SYS_rt_sigprocmask,
        SYS_restart_syscall,
        SYS_exit,
        SYS_exit_group,
    };

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (allowed[i] == number)
            return true;
    }
    return false;
}

/* Every number there is, with arguments that fit no rule: open, socket, fork, io_uring, all. */
Test(confine, a_signer_that_makes_any_other_call_ends)
{
    unsigned ended = 0;

    if (IS_SANITIZED)
        cr_skip("the sanitizer makes calls of its own");
    for (long number = 0; number < CALLS_END; number++) {
        /* The two of the kernel's own probes are under no filter, and end who makes them. */
        if (is_signers(number) || number == 335 || number == 336)
            continue;
        cr_assert_eq(in_child(signer_call, number), -SIGSYS, "call %ld", number);
        ended++;
    }
    cr_assert_gt(ended, 400);
    cr_assert_eq(in_child(signer_call, SYS_getpid), HARMLESS_EXIT);
}

static int signer_code(long unused)
{
    (void)unused;
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_signer() != CA_OK)
        return 1;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED || mprotect(data, 4096, PROT_READ) != 0)
        return 2;
    mprotect(data, 4096, PROT_READ | PROT_EXEC);
    return HARMLESS_EXIT;
}

static int signer_writes(long fd)
{
    if (keys_confine_rights(&as_it_is) != CA_OK || keys_confine_signer() != CA_OK)
        return 1;
    return write((int)fd, "", 0) == 0 ? HARMLESS_EXIT : 2;
}

Test(confine, a_signer_makes_no_code_and_writes_nowhere_but_to_the_log)
{
    if (IS_SANITIZED)
        cr_skip("the sanitizer makes calls of its own");
    cr_assert_eq(in_child(signer_code, 0), -SIGSYS);
    cr_assert_eq(in_child(signer_writes, 1), -SIGSYS);
    cr_assert_eq(in_child(signer_writes, 2), HARMLESS_EXIT);
}

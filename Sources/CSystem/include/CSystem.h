#pragma once
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>

/// Sends `signal` to the calling process when its parent dies. Returns 0, or -1 with errno set.
///
/// "Parent" is the thread that forked: when that thread ends, the signal comes too. Use `trainyard_spawn`, which forks
/// on a thread that lives as long as the process.
static inline int trainyard_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }

/// What a child process gets.
struct trainyard_spawn_request {
    /// The executable's path; PATH is not searched.
    const char *path;
    /// NULL-terminated; `argv[0]` included.
    char *const *argv;
    /// NULL-terminated `NAME=value` entries: the whole environment.
    char *const *envp;
    /// The child's working directory; NULL: the parent's.
    const char *directory;
    /// Become the child's 0, 1 and 2; -1: /dev/null. The child inherits no other descriptor.
    int standard_input, standard_output, standard_error;
};

/// Starts a process in a process group of its own, with default signal handling and nothing blocked, that is killed
/// when this process dies. May be called from any thread. Returns 0 and the process id, or the errno of what failed,
/// a failed execve included. The caller reaps the child by waitpid.
int trainyard_spawn(const struct trainyard_spawn_request *request, pid_t *pid);

/// Whether a child has ended, without reaping it: 1 and its exit code and signal (one of them 0), 0 while it runs, -1
/// with errno set. While it is not reaped, its process id and group id cannot be taken by another process.
static inline int trainyard_peek_exit(pid_t pid, int *code, int *number) {
    siginfo_t info;
    info.si_pid = 0;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return -1;
    if (info.si_pid == 0) return 0;
    *code = info.si_code == CLD_EXITED ? info.si_status : 0;
    *number = info.si_code == CLD_EXITED ? 0 : info.si_status;
    return 1;
}

/// The columns of the terminal at `descriptor`; 0 when it is none or does not say.
static inline int trainyard_terminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/// Whether this CPU can run the kernels: AVX2 and FMA on amd64, always on others.
static inline int trainyard_cpu_has_kernel_features(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}

/// Whether this CPU has the AVX-512 that the wide kernels need: F, BW, DQ and VL, with the operating system's support.
static inline int trainyard_cpu_has_avx512(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

/// Tells the processor that this is a spinning wait.
static inline void trainyard_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// How many processors the calling thread may run on; at least 1.
int trainyard_affinity_count(void);

/// From now on SIGINT, SIGTERM and SIGHUP are counted instead of ending the process; one that was ignored when the
/// process started (a job in the background, nohup) stays ignored. Returns 0, or -1 with errno set.
///
/// A blocked signal that somebody waits for would not do: the main thread of an asynchronous Swift program waits in
/// `sigsuspend` with nothing blocked, and dies there of the signal's default.
int trainyard_count_interrupts(void);

/// How many of them came since.
int trainyard_interrupt_count(void);

/// Blocks the calling thread until the next of them comes, or returns at once for one that came since the last call, and
/// returns its number. One thread of a process may wait.
int trainyard_wait_for_interrupt(void);

#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The parent-death signal is tied to the thread that forks, and the threads of Swift's pool come and go: all children
// are forked by one thread that never ends. Requests are handed to it one at a time.
static pthread_mutex_t serial = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const struct trainyard_spawn_request *pending;
static int finished;
static int result;
static pid_t child;
static int has_thread;

// Ends the child with the errno on the pipe. Only async-signal-safe calls between fork and execve.
static void fail(int report) {
    int code = errno;
    ssize_t written = write(report, &code, sizeof code);
    (void)written;
    _exit(127);
}

static void replace(const struct trainyard_spawn_request *request, pid_t parent, int report, int null) {
    if (setpgid(0, 0) != 0) fail(report);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(report);
    if (getppid() != parent) _exit(127);
    int sources[3] = {request->standard_input, request->standard_output, request->standard_error};
    // Moves the sources above 2 first, so that no dup2 overwrites one that is still needed.
    for (int target = 0; target < 3; target++) {
        int source = sources[target] < 0 ? null : sources[target];
        sources[target] = fcntl(source, F_DUPFD_CLOEXEC, 3);
        if (sources[target] < 0) fail(report);
    }
    for (int target = 0; target < 3; target++) {
        if (dup2(sources[target], target) < 0) fail(report);
    }
    int kept = fcntl(report, F_DUPFD_CLOEXEC, 3);
    if (kept < 0) fail(report);
    if (kept != 3) {
        if (dup3(kept, 3, O_CLOEXEC) < 0) fail(report);
        kept = 3;
    }
    syscall(SYS_close_range, 4u, ~0u, 0u);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (request->directory && chdir(request->directory) != 0) fail(kept);
    execve(request->path, request->argv, request->envp);
    fail(kept);
}

static int start(const struct trainyard_spawn_request *request, pid_t *pid) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return errno;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        int code = errno;
        close(report[0]);
        close(report[1]);
        return code;
    }
    pid_t parent = getpid();
    pid_t forked = fork();
    if (forked == 0) replace(request, parent, report[1], null);
    int code = forked < 0 ? errno : 0;
    close(report[1]);
    close(null);
    if (forked > 0) {
        ssize_t count;
        int reported = 0;
        do count = read(report[0], &reported, sizeof reported);
        while (count < 0 && errno == EINTR);
        if (count == sizeof reported) {
            code = reported;
            while (waitpid(forked, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(report[0]);
    *pid = forked;
    return code;
}

static void *serve(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!pending) pthread_cond_wait(&changed, &lock);
        result = start(pending, &child);
        pending = NULL;
        finished = 1;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static int ensure_thread(void) {
    if (has_thread) return 0;
    pthread_t thread;
    int code = pthread_create(&thread, NULL, serve, NULL);
    if (code != 0) return code;
    pthread_detach(thread);
    has_thread = 1;
    return 0;
}

int trainyard_spawn(const struct trainyard_spawn_request *request, pid_t *pid) {
    pthread_mutex_lock(&serial);
    pthread_mutex_lock(&lock);
    int code = ensure_thread();
    if (code == 0) {
        finished = 0;
        pending = request;
        pthread_cond_broadcast(&changed);
        while (!finished) pthread_cond_wait(&changed, &lock);
        code = result;
        *pid = child;
    }
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&serial);
    return code;
}

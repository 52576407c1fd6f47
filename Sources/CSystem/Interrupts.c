#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_int count;
static int queue[2] = {-1, -1};

// Only async-signal-safe calls. A full pipe loses the number, never the count.
static void note(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    ssize_t written = write(queue[1], &byte, 1);
    (void)written;
    errno = saved;
}

int trainyard_count_interrupts(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    if (queue[0] >= 0) return 0;
    if (pipe2(queue, O_CLOEXEC) != 0 || fcntl(queue[1], F_SETFL, O_NONBLOCK) != 0) return -1;
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        struct sigaction old;
        if (sigaction(numbers[index], NULL, &old) != 0) return -1;
        if (old.sa_handler == SIG_IGN) continue;
        struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        if (sigaction(numbers[index], &action, NULL) != 0) return -1;
    }
    return 0;
}

int trainyard_interrupt_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

int trainyard_wait_for_interrupt(void) {
    unsigned char byte = 0;
    while (read(queue[0], &byte, 1) != 1) {
        if (errno != EINTR) pause();
    }
    return byte;
}

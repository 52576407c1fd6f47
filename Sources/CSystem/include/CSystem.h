#pragma once
#include <signal.h>
#include <sys/prctl.h>

/// Sends `signal` to the calling process when its parent dies. Returns 0, or -1 with errno set.
static inline int trainyard_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }

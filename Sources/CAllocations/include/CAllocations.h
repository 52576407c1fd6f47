#pragma once

/// How often memory has been allocated (malloc, calloc, realloc of any thread) since the program started; always 0
/// where the C library is not glibc. Linking this target puts a counter in front of the C library's functions.
unsigned long trainyard_allocation_count(void);

/* Loaded before libc: the wall clock is off by as many seconds as the file says that CLOCK_SHIFT names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long shift_s(void) {
    long shift = 0;
    FILE *file = fopen(getenv("CLOCK_SHIFT"), "r");
    if (file) {
        if (fscanf(file, "%ld", &shift) != 1) shift = 0;
        fclose(file);
    }
    return shift;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += shift_s();
    return status;
}

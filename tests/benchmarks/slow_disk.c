/* Preloaded into the benchmark's own PostgreSQL. While the file that SLOW_DISK names is there, each flush of the log takes
   a millisecond longer, as on a disk in a network. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int file) {
    const char *slow = getenv("SLOW_DISK");
    if (slow && access(slow, F_OK) == 0) {
        struct timespec left = {.tv_nsec = 1000000};
        while (nanosleep(&left, &left) != 0) {
        }
    }
    return (int)syscall(SYS_fdatasync, file);
}

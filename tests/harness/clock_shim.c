/* Preloaded into the server: its clock of the day differs from the machine's, by CLOCK_SHIM_SECONDS
 * for good, or as the file CLOCK_SHIM_FILE says at every moment: seconds to add, then the second at
 * which it stands still, or 0; both int64 in the machine's byte order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *moved(void)
{
    static volatile const int64_t *shared;
    static int looked;
    const char *path = getenv("CLOCK_SHIM_FILE");
    if (!looked && path) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        void *map = file < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0)
            close(file);
        if (map != MAP_FAILED)
            shared = map;
    }
    looked = 1;
    return shared;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*real)(clockid_t, struct timespec *);
    const char *seconds = getenv("CLOCK_SHIM_SECONDS");
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result != 0 || clock != CLOCK_REALTIME)
        return result;
    if (seconds)
        time->tv_sec += atol(seconds);
    volatile const int64_t *at = moved();
    if (at && at[1]) {
        time->tv_sec = at[1];
        time->tv_nsec = 0;
    } else if (at) {
        time->tv_sec += at[0];
    }
    return result;
}

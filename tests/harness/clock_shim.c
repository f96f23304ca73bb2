/* Preloaded into the server: its clock of the day differs by CLOCK_SHIM_SECONDS, so that what was
 * given out for a quarter of an hour is over by the next start. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static int (*real)(clockid_t, struct timespec *);
    const char *seconds = getenv("CLOCK_SHIM_SECONDS");
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && seconds)
        time->tv_sec += atol(seconds);
    return result;
}

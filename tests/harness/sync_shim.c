/* Preloaded into the server: makes the n-th sync of an event log file fail with EIO, once, and
 * counts the syncs of that file afterwards. A second sync of a file whose sync failed would lie
 * (rule R2), so the count must stay 0.
 *
 * SYNC_SHIM_FAIL   which sync of a log file fails, from 1
 * SYNC_SHIM_MATCH  part of the file's path
 * SYNC_SHIM_REPORT file that gets a byte: F for the failure, R for each later sync of that file
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static int failed;
static dev_t failed_device;
static ino_t failed_inode;

static void report(char mark)
{
    const char *path = getenv("SYNC_SHIM_REPORT");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0) {
        if (write(file, &mark, 1) != 1)
            abort();
        close(file);
    }
}

static int is_log_file(int file)
{
    const char *match = getenv("SYNC_SHIM_MATCH");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    struct stat status;
    if (!match || length < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    path[length] = 0;
    return strstr(path, match) != NULL;
}

/* 1 if this sync must fail. */
static int strikes(int file)
{
    const char *wanted = getenv("SYNC_SHIM_FAIL");
    struct stat status;
    int strike = 0;
    if (!wanted || !is_log_file(file) || fstat(file, &status) != 0)
        return 0;
    pthread_mutex_lock(&lock);
    count++;
    if (failed && status.st_dev == failed_device && status.st_ino == failed_inode) {
        report('R');
    } else if (!failed && count == atol(wanted)) {
        failed = 1;
        failed_device = status.st_dev;
        failed_inode = status.st_ino;
        report('F');
        strike = 1;
    }
    pthread_mutex_unlock(&lock);
    return strike;
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (strikes(file)) {
        errno = EIO;
        return -1;
    }
    return real(file);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (strikes(file)) {
        errno = EIO;
        return -1;
    }
    return real(file);
}

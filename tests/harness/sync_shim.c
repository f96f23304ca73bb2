/* Preloaded into the server: watches the syncs of event log files and can make one fail.
 *
 * With SYNC_SHIM_FAIL the n-th sync of a log file fails with EIO, once, and the syncs of that file
 * afterwards are noted. A second sync of a file whose sync failed would lie (rule R2), so there
 * must be none. Without it nothing fails, and the trace shows the order of creations and syncs.
 *
 * SYNC_SHIM_FAIL   which sync of a log file fails, from 1
 * SYNC_SHIM_MATCH  part of the file's path
 * SYNC_SHIM_REPORT file that gets a line: "F" for the failure, "R" for each later sync of that file
 * SYNC_SHIM_TRACE  file that gets a line for each creation (C), sync of a file (S) and of a
 *                  directory (D), with the path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
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

static int (*real_open)(const char *, int, ...);

/* One write for each line, so that lines of threads do not mix. */
static void note(const char *variable, char mark, const char *path)
{
    char line[4200];
    const char *target = getenv(variable);
    int length = snprintf(line, sizeof line, path ? "%c %s\n" : "%c\n", mark, path);
    if (!target)
        return;
    if (!real_open)
        real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    int file = real_open(target, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) {
        if (write(file, line, length) != length)
            abort();
        close(file);
    }
}

/* 1 and the path if the file is one of those that are watched, or the directory that holds them. */
static int watched(int file, char *path, size_t size, int *is_directory)
{
    const char *match = getenv("SYNC_SHIM_MATCH");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, size - 1);
    struct stat status;
    if (!match || length < 0 || fstat(file, &status) != 0)
        return 0;
    path[length] = 0;
    *is_directory = S_ISDIR(status.st_mode);
    if (!*is_directory)
        return S_ISREG(status.st_mode) && strstr(path, match) != NULL;
    /* The match up to its last slash is how the directory's path ends. */
    const char *slash = strrchr(match, '/');
    ssize_t end = slash ? slash - match : 0;
    return end > 0 && length >= end && strncmp(path + length - end, match, end) == 0;
}

/* 1 if this sync must fail. */
static int strikes(int file)
{
    char path[4096];
    const char *wanted = getenv("SYNC_SHIM_FAIL");
    struct stat status;
    int strike = 0, is_directory = 0;
    if (!watched(file, path, sizeof path, &is_directory) || fstat(file, &status) != 0)
        return 0;
    if (is_directory || !wanted)
        return 0;
    pthread_mutex_lock(&lock);
    count++;
    if (failed && status.st_dev == failed_device && status.st_ino == failed_inode) {
        note("SYNC_SHIM_REPORT", 'R', NULL);
    } else if (!failed && count == atol(wanted)) {
        failed = 1;
        failed_device = status.st_dev;
        failed_inode = status.st_ino;
        note("SYNC_SHIM_REPORT", 'F', NULL);
        strike = 1;
    }
    pthread_mutex_unlock(&lock);
    return strike;
}

static int sync_with(int file, int (*real)(int))
{
    char path[4096];
    int is_directory = 0;
    if (strikes(file)) {
        errno = EIO;
        return -1;
    }
    int result = real(file);
    if (result == 0 && watched(file, path, sizeof path, &is_directory))
        note("SYNC_SHIM_TRACE", is_directory ? 'D' : 'S', path);
    return result;
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return sync_with(file, real);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return sync_with(file, real);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (!real_open)
        real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    const char *match = getenv("SYNC_SHIM_MATCH");
    int file = real_open(path, flags, mode);
    if (file >= 0 && (flags & O_EXCL) && match && strstr(path, match))
        note("SYNC_SHIM_TRACE", 'C', path);
    return file;
}

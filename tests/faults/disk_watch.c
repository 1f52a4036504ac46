/* Breaks off what a process does to the files beneath the folder DISK_ROOT, and notes all of it.
 *
 * Loaded by LD_PRELOAD. `disk_order(number, after, times)` lets `after` more operations pass; then `times` of them fail
 * with the error `number`, or, where `number` is 0, the process is killed in the middle of the next. With -1 nothing is
 * broken off. The first write that fails for want of room writes half of its bytes, and says so, as a disk does.
 * Operations are opening to write, writing, cutting, syncing, renaming, deleting and making folders. `disk_count()`
 * says how many there were since the last order. Into the file DISK_LOG goes a line for each, followed by the bytes
 * that were written, so that a test can tell what a power cut may have lost.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = dlsym(RTLD_NEXT, #name)

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int order = -1, journal = -1;
static int short_written;
static long left, failing, count;

void disk_order(int number, long after, long times) {
    pthread_mutex_lock(&mutex);
    order = number, left = after, failing = times, count = 0, short_written = 0;
    pthread_mutex_unlock(&mutex);
}

long disk_count(void) { return count; }

void disk_log(const char *path) {
    journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int watched(const char *path) {
    const char *root = getenv("DISK_ROOT");
    return root && !strncmp(path, root, strlen(root));
}

static const char *name_of(int file, char *path) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, 4095);
    path[length > 0 ? length : 0] = 0;
    return path;
}

static void put(const void *data, size_t size) {
    if (journal >= 0 && syscall(SYS_write, journal, data, size) != (ssize_t)size) abort();
}

static void note(const char *what, const char *path, long long at, size_t size, const void *data) {
    char line[4300];
    if (journal < 0) return;
    put(line, snprintf(line, sizeof line, "%s %lld %zu %s\n", what, at, data ? size : 0, path));
    if (data) put(data, size);
}

/* Whether an operation fails; `*number` is set then. */
static int broken(void) {
    count++;
    if (order < 0 || left-- > 0) return 0;
    if (order == 0) kill(getpid(), SIGKILL);
    if (failing-- <= 0) return 0;
    errno = order;
    return 1;
}

/* The same for what needs no room on a disk. */
static int broken_but_full(void) {
    if (order != ENOSPC && order != EDQUOT) return broken();
    count++;
    return 0;
}

/* How many bytes of the next write are written: all, or, of the first that finds no room, half. */
static size_t room(size_t size) {
    if ((order != ENOSPC && order != EDQUOT) || left > 0 || failing <= 0 || short_written || size < 2) return size;
    short_written = 1;
    return size / 2;
}

/* Whether a write fails; when the process is to be killed, half of it is done. */
static int broken_write(int file, const void *data, size_t size, long long at) {
    if (order == 0 && left <= 0) {
        size_t half = size / 2;
        if (at >= 0) syscall(SYS_pwrite64, file, data, half, at);
        else syscall(SYS_write, file, data, half);
    }
    return broken();
}

#define LOCKED(path, what, call) \
    if (!watched(path)) return call; \
    pthread_mutex_lock(&mutex); \
    ssize_t done = what ? -1 : call; \
    int saved = 0; \
    saved = errno

#define FREE() \
    pthread_mutex_unlock(&mutex); \
    errno = saved; \
    return done

ssize_t write(int file, const void *data, size_t size) {
    NEXT(write);
    char path[4096];
    if (!watched(name_of(file, path))) return next(file, data, size);
    pthread_mutex_lock(&mutex);
    off_t at = fcntl(file, F_GETFL) & O_APPEND ? lseek(file, 0, SEEK_END) : lseek(file, 0, SEEK_CUR);
    size_t given = room(size);
    ssize_t done = given == size && broken_write(file, data, size, -1) ? -1 : next(file, data, given);
    int saved = errno;
    if (done > 0) note("write", path, at, done, data);
    FREE();
}

static ssize_t placed(ssize_t (*next)(int, const void *, size_t, off_t), int file, const void *data, size_t size, off_t at) {
    char path[4096];
    if (!watched(name_of(file, path))) return next(file, data, size, at);
    pthread_mutex_lock(&mutex);
    size_t given = room(size);
    ssize_t done = given == size && broken_write(file, data, size, at) ? -1 : next(file, data, given, at);
    int saved = errno;
    if (done > 0) note("write", path, at, done, data);
    FREE();
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    NEXT(pwrite);
    return placed(next, file, data, size, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off_t at) {
    NEXT(pwrite64);
    return placed(next, file, data, size, at);
}

#define SYNC(name) \
    int name(int file) { \
        NEXT(name); \
        char path[4096]; \
        LOCKED(name_of(file, path), broken_but_full(), next(file)); \
        if (!done) note("sync", path, 0, 0, 0); \
        FREE(); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define CUT(name) \
    int name(int file, off_t size) { \
        NEXT(name); \
        char path[4096]; \
        LOCKED(name_of(file, path), broken(), next(file, size)); \
        if (!done) note("cut", path, size, 0, 0); \
        FREE(); \
    }
CUT(ftruncate)
CUT(ftruncate64)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (!(flags & (O_CREAT | O_TRUNC))) return next(path, flags, mode); \
        int is_new = access(path, F_OK); \
        LOCKED(path, broken(), next(path, flags, mode)); \
        if (done >= 0 && (is_new || flags & O_TRUNC)) note(is_new ? "new" : "cut", path, 0, 0, 0); \
        FREE(); \
    }
OPEN(open)
OPEN(open64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        NEXT(name); \
        if (!strpbrk(mode, "wa+") || !watched(path)) return next(path, mode); \
        pthread_mutex_lock(&mutex); \
        FILE *file = broken() ? NULL : next(path, mode); \
        int saved = errno; \
        pthread_mutex_unlock(&mutex); \
        errno = saved; \
        return file; \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* The C library writes for these by itself, past `write`. */
size_t fwrite(const void *data, size_t size, size_t number, FILE *stream) {
    NEXT(fwrite);
    char path[4096];
    if (!watched(name_of(fileno(stream), path))) return next(data, size, number, stream);
    pthread_mutex_lock(&mutex);
    size_t done = broken() ? 0 : next(data, size, number, stream);
    int saved = errno;
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return done;
}

#define COPY(name, parameters, arguments, target) \
    ssize_t name parameters { \
        NEXT(name); \
        char path[4096]; \
        LOCKED(name_of(target, path), broken(), next arguments); \
        FREE(); \
    }
COPY(sendfile, (int to, int from, off_t *at, size_t size), (to, from, at, size), to)
COPY(sendfile64, (int to, int from, off64_t *at, size_t size), (to, from, at, size), to)
COPY(writev, (int to, const struct iovec *parts, int number), (to, parts, number), to)

int link(const char *from, const char *to) {
    NEXT(link);
    LOCKED(to, broken(), next(from, to));
    FREE();
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    LOCKED(to, broken_but_full(), next(from, to));
    if (!done) note("rename", from, 0, strlen(to), to);
    FREE();
}

int unlink(const char *path) {
    NEXT(unlink);
    LOCKED(path, broken_but_full(), next(path));
    if (!done) note("unlink", path, 0, 0, 0);
    FREE();
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    LOCKED(path, broken(), next(path, mode));
    if (!done) note("mkdir", path, 0, 0, 0);
    FREE();
}

/* Notes in the file WATCH_LOG whom a process and its children look up, connect to or send to, outside of this machine,
 * and refuses it, so that a test that fails has not sent anything either.
 *
 * Loaded by LD_PRELOAD, so that native libraries are seen as well as Python. A datagram socket that is only connected
 * sends nothing (programs learn their own address that way), so that is not noted; what is sent through it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = dlsym(RTLD_NEXT, #name)

static void note(const char *what, const char *whom) {
    const char *path = getenv("WATCH_LOG");
    int saved = errno, log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    char line[400];
    int length = snprintf(line, sizeof line, "%s %.200s (%s)\n", what, whom, program_invocation_short_name);
    if (log >= 0 && write(log, line, length) != length) abort();
    if (log >= 0) close(log);
    errno = saved;
}

static int outside(const struct sockaddr *address, char *text) {
    if (address && address->sa_family == AF_INET) {
        const struct in_addr *v4 = &((const struct sockaddr_in *)address)->sin_addr;
        inet_ntop(AF_INET, v4, text, INET6_ADDRSTRLEN);
        return v4->s_addr && ntohl(v4->s_addr) >> 24 != 127;
    }
    if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        inet_ntop(AF_INET6, v6, text, INET6_ADDRSTRLEN);
        if (IN6_IS_ADDR_V4MAPPED(v6)) return v6->s6_addr[12] != 127;
        return !IN6_IS_ADDR_LOOPBACK(v6) && !IN6_IS_ADDR_UNSPECIFIED(v6);
    }
    return 0;
}

static int looks_up(const char *name) {
    struct in6_addr ignored;
    if (!name || !*name || !strcmp(name, "localhost") || inet_pton(AF_INET, name, &ignored) == 1 ||
        inet_pton(AF_INET6, name, &ignored) == 1)
        return 0;
    note("looks up", name);
    return 1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    NEXT(getaddrinfo);
    return looks_up(name) ? EAI_NONAME : next(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name) {
    NEXT(gethostbyname);
    return looks_up(name) ? NULL : next(name);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    NEXT(connect);
    char text[INET6_ADDRSTRLEN];
    int type = 0;
    socklen_t size = sizeof type;
    getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
    if (type == SOCK_DGRAM || !outside(address, text)) return next(socket, address, length);
    note("connects to", text);
    errno = ENETUNREACH;
    return -1;
}

static int sends_out(int socket, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_storage peer;
    int type = 0;
    socklen_t size = sizeof type, length = sizeof peer;
    getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
    if (type != SOCK_DGRAM) return 0; /* a stream has been noted when it was connected */
    if (!address && !getpeername(socket, (struct sockaddr *)&peer, &length)) address = (const struct sockaddr *)&peer;
    if (!outside(address, text)) return 0;
    note("sends to", text);
    errno = ENETUNREACH;
    return 1;
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    NEXT(sendto);
    return sends_out(socket, to) ? -1 : next(socket, data, size, flags, to, length);
}

ssize_t send(int socket, const void *data, size_t size, int flags) {
    NEXT(send);
    return sends_out(socket, NULL) ? -1 : next(socket, data, size, flags);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    return sends_out(socket, message->msg_name) ? -1 : next(socket, message, flags);
}

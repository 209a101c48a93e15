/*
 * What the kernel allows where no program is started, and what stands behind a redirect: one loop around epoll, or
 * around accept, where that is all there is to do.
 *
 * loops WHAT ADDRESS PORT [BYTES], until it is ended by a signal; prints "Started working" when ready. WHAT is
 *   refuse   accept and close, and no more
 *   say      say a line of BYTES (6) and close: a daytime service
 *   echo     give back what comes, until the client ends
 *   pour     send without end: a chargen service
 *   keep     read and forget, until the client ends
 *   reflect  give back each datagram
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536
#define AT_ONCE 64

static char piece[PIECE];
static int epoll;

/* Give back what has come; whether the connection has ended. Echo keeps nothing: a client reads what it wrote. */
static bool answer(int fd, bool back)
{
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0)
            return errno != EAGAIN && errno != EINTR;
        if (got == 0)
            return true;
        for (ssize_t done = 0, now; back && done < got; done += now)
            if ((now = send(fd, piece + done, (size_t)(got - done), MSG_NOSIGNAL)) < 0)
                return true;
    }
}

/* Whether the connection has ended. */
static bool pour(int fd)
{
    while (send(fd, piece, sizeof piece, MSG_NOSIGNAL) > 0)
        ;
    return errno != EAGAIN && errno != EINTR;
}

static void reflect(int fd)
{
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got;

    while ((got = recvfrom(fd, piece, sizeof piece, 0, (struct sockaddr *)&from, &length)) >= 0)
        sendto(fd, piece, (size_t)got, 0, (struct sockaddr *)&from, length);
}

static void watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll_ctl");
}

/* Accept and close. */
static void refuse(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        else if (errno != ECONNABORTED && errno != EINTR)
            err(1, "accept");
    }
}

/* Accept all that wait. */
static void welcome(int listener, char what, size_t bytes)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN)
                return;
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            err(1, "accept");
        }
        if (what == 's') {
            send(fd, piece, bytes, MSG_NOSIGNAL);
            close(fd);
        } else
            watch(fd, what == 'p' ? EPOLLOUT : EPOLLIN);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        errx(2, "usage: loops refuse|say|echo|pour|keep|reflect ADDRESS PORT [BYTES]");
    bool datagrams = !strcmp(argv[1], "reflect"), refuses = !strcmp(argv[1], "refuse");
    char what = argv[1][0];
    size_t bytes = argc > 4 ? (size_t)atol(argv[4]) : 6;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    struct rlimit files;
    int yes = 1, listener = socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | (refuses ? 0 : SOCK_NONBLOCK) | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = inet_addr(argv[2]);
    memset(piece, 'x', sizeof piece);
    if (bytes < sizeof piece)
        piece[bytes - 1] = '\n';
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        bind(listener, (struct sockaddr *)&at, sizeof at) || (!datagrams && listen(listener, 4096)))
        err(1, "port %s", argv[3]);
    if (getrlimit(RLIMIT_NOFILE, &files) || (files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files)))
        err(1, "descriptors");
    puts("Started working");
    fflush(stdout);
    if (refuses)
        refuse(listener);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    watch(listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[AT_ONCE];
        int ready = epoll_wait(epoll, events, AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener && datagrams)
                reflect(fd);
            else if (fd == listener)
                welcome(fd, what, bytes);
            else if (what == 'p' ? pour(fd) : answer(fd, what == 'e'))
                close(fd);
        }
    }
}

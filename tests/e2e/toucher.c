/*
 * Offers connections at a rate that no answer slows down, each from another source.
 *
 * toucher FIRST COUNT PORT RATE: from 127.0.0.0 + FIRST and the COUNT - 1 addresses after it to 127.0.0.1 PORT, RATE a
 * second. Whoever is hung up on is answered. At most `MOST` wait at once; beyond that, who has waited longest gives up.
 *
 * Standard output is a file, whose first line is kept current: connections offered, those of them answered, and seconds
 * since the first.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 8192
#define EVENTS 256
#define TELL 0.02 /* seconds between two looks at what was done */

struct waiting {
    int fd; /* -1: nobody */
    uint64_t serial;
};

static struct waiting clients[MOST];
static int epoll;
static uint64_t offered, answered;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void let_go(struct waiting *client)
{
    close(client->fd);
    client->fd = -1;
}

static void offer(uint32_t source, uint16_t port)
{
    struct waiting *client = &clients[offered % MOST];
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(127u << 24 | source)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = offered};
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int one = 1;

    if (client->fd >= 0)
        let_go(client);
    client->serial = offered++;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        err(1, "socket");
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&from, sizeof from))
        err(1, "bind %s", inet_ntoa(from.sin_addr));
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        let_go(client); /* nobody listens while the daemon is down */
        return;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event))
        err(1, "epoll_ctl");
}

static void hear(uint64_t serial)
{
    struct waiting *client = &clients[serial % MOST];
    int wrong = 0;
    socklen_t length = sizeof wrong;
    if (client->fd < 0 || client->serial != serial)
        return; /* gave up a moment ago */
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &wrong, &length);
    answered += wrong == 0 || wrong == ECONNRESET;
    let_go(client);
}

static void tell(double seconds)
{
    char line[80];
    int length = snprintf(line, sizeof line, "%10lu %10lu %10.3f\n", offered, answered, seconds);
    if (pwrite(1, line, (size_t)length, 0) != length)
        err(1, "standard output");
}

int main(int argc, char **argv)
{
    struct rlimit files = {MOST + 64, MOST + 64};
    if (argc != 5)
        errx(2, "usage: toucher FIRST COUNT PORT RATE");
    uint32_t first = (uint32_t)atol(argv[1]);
    uint64_t count = (uint64_t)atol(argv[2]);
    uint16_t port = (uint16_t)atoi(argv[3]);
    double rate = atof(argv[4]);
    if (setrlimit(RLIMIT_NOFILE, &files))
        err(1, "descriptors for %d clients", MOST);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");
    for (int i = 0; i < MOST; i++)
        clients[i].fd = -1;

    double began = now(), told = began;
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 1);
        for (int i = 0; i < ready; i++)
            hear(events[i].data.u64);
        double time = now();
        for (uint64_t due = (uint64_t)((time - began) * rate); offered < due && offered < count;)
            offer(first + (uint32_t)offered, port);
        if (time - told > TELL) {
            tell(time - began);
            told = time;
        }
    }
}

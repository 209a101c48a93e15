/*
 * Clients in a closed loop: each connects, reads to the end, closes, and begins again.
 *
 * load [-c CLIENTS] [-n CONNECTIONS | -t SECONDS] [-e BYTES] [-s SOURCE [-d]] PORT
 *   -c  clients at once (1)
 *   -n  end after so many connections
 *   -t  begin no connection after so many seconds (1)
 *   -e  a connection that does not end after exactly so many bytes is a failure (0)
 *   -s  connect from this address
 *   -d  each connection from a distinct address: SOURCE and those after it, without those that end in 0 or 255
 *
 * The server is at 127.0.0.1. One line of JSON on standard output: connections that went as expected, those of them
 * that were reset, failures, seconds from the first connect to the last end, median and 99th percentile of the time
 * from connect to end in microseconds, and the first error.
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
#include <time.h>
#include <unistd.h>

#define MOST_CLIENTS 4096
#define MOST_FAILURES 1000 /* then it is not a measurement any more */
#define PATIENCE 10000     /* milliseconds without any event after which those under way have failed */

struct client {
    int fd;
    long bytes;
    uint64_t began;
};

static struct client clients[MOST_CLIENTS];
static int epoll, under_way;
static long expected, begun, ended, resets, failures;
static struct sockaddr_in server = {.sin_family = AF_INET};
static uint32_t source; /* host byte order; 0: whatever the kernel chooses */
static bool distinct;
static uint32_t *times; /* microseconds; grows */
static size_t room;
static uint64_t last_end;
static const char *first_error = "";

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint32_t next_source(void)
{
    uint32_t given = source;
    if (distinct)
        do
            source++;
        while ((source & 255) == 0 || (source & 255) == 255);
    return given;
}

static void begin(struct client *client)
{
    int one = 1;
    /* Closing resets: the server has ended the connection by then, and neither side keeps it in TIME_WAIT. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        err(1, "socket");
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (source) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(next_source())};
        setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(client->fd, (struct sockaddr *)&from, sizeof from))
            err(1, "bind %s", inet_ntoa(from.sin_addr));
    }
    client->bytes = 0;
    client->began = now();
    begun++;
    under_way++;
    if (connect(client->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
        err(1, "connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event))
        err(1, "epoll_ctl");
}

static void failed(const char *why)
{
    if (!failures++)
        first_error = why;
}

static void end(struct client *client, int error)
{
    close(client->fd);
    under_way--;
    if ((error && error != ECONNRESET) || (error == ECONNRESET && expected)) {
        failed(strerror(error));
        return;
    }
    if (client->bytes != expected) {
        failed("another number of bytes than expected");
        return;
    }
    last_end = now();
    resets += error == ECONNRESET;
    if ((size_t)ended == room) {
        room = room ? 2 * room : 65536;
        times = realloc(times, room * sizeof *times);
        if (!times)
            err(1, "memory");
    }
    times[ended++] = (uint32_t)((last_end - client->began) / 1000);
}

/* Read what has come; whether the connection has ended. */
static bool progress(struct client *client)
{
    char buffer[4096];
    for (;;) {
        ssize_t got = read(client->fd, buffer, sizeof buffer);
        if (got > 0) {
            client->bytes += got;
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        end(client, got < 0 ? errno : 0);
        return true;
    }
}

static int ascending(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    int option, count = 1;
    long most = 0;
    double seconds = 1;
    while ((option = getopt(argc, argv, "c:n:t:e:s:d")) != -1)
        switch (option) {
        case 'c': count = atoi(optarg); break;
        case 'n': most = atol(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'e': expected = atol(optarg); break;
        case 's': source = ntohl(inet_addr(optarg)); break;
        case 'd': distinct = true; break;
        default: return 2;
        }
    if (optind + 1 != argc || count < 1 || count > MOST_CLIENTS || (distinct && !source))
        errx(2, "usage: load [-c CLIENTS] [-n CONNECTIONS | -t SECONDS] [-e BYTES] [-s SOURCE [-d]] PORT");
    server.sin_port = htons((uint16_t)atoi(argv[optind]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct rlimit files = {MOST_CLIENTS + 64, MOST_CLIENTS + 64};
    if (count > 900 && setrlimit(RLIMIT_NOFILE, &files))
        err(1, "descriptors for %d clients", count);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        err(1, "epoll_create1");

    uint64_t start = now(), stop = most ? UINT64_MAX : start + (uint64_t)(seconds * 1e9);
    if (!most)
        most = INT64_MAX;
    last_end = start;
    for (int i = 0; i < count && begun < most; i++)
        begin(&clients[i]);
    while (under_way) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, PATIENCE);
        if (ready < 0 && errno != EINTR)
            err(1, "epoll_wait");
        if (ready == 0) {
            failed("no answer");
            failures += under_way - 1;
            break;
        }
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (progress(client) && begun < most && failures < MOST_FAILURES && now() < stop)
                begin(client);
        }
    }

    qsort(times, (size_t)ended, sizeof *times, ascending);
    printf("{\"connections\": %ld, \"resets\": %ld, \"failures\": %ld, \"seconds\": %.6f, "
           "\"p50_us\": %u, \"p99_us\": %u, \"first_error\": \"%s\"}\n",
           ended, resets, failures, (double)(last_end - start) / 1e9, ended ? times[ended / 2] : 0,
           ended ? times[ended - 1 - ended / 100] : 0, first_error);
    return 0;
}

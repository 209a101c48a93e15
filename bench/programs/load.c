/*
 * Clients in a closed loop: each connects, exchanges what is expected, closes, and begins again.
 *
 * load [-c CLIENTS] [-n CONNECTIONS | -t SECONDS] TARGET...
 *   -c  clients at once (1)
 *   -n  end after so many connections
 *   -t  begin no connection after so many seconds (1)
 *
 * A target is a list of words, with commas between them; of several, each gets its share of the connections.
 *   at=ADDRESS:PORT  the server
 *   from=SOURCE      connect from this address
 *   distinct         each connection from another address: SOURCE and those after it, none that ends in 0 or 255
 *   share=N          its part of the connections (1)
 *   expect=BYTES     the server ends after exactly so many (0)
 *   say=BYTES        send so many; the same have to come back; then end, and see the server end
 *   enough=BYTES     hang up after at least so many
 *   datagram         over UDP: with say= the same datagram has to come back
 *   tftp=NAME        over UDP: ask for a file, which has to have the bytes of expect= (fewer than 512; RFC 1350)
 *
 * What is lost over UDP is sent again after a fifth of a second in which nothing came.
 *
 * One line of JSON on standard output: connections that went as expected, those of them that were reset, failures,
 * datagrams that were sent again, seconds from the first connect to the last end, median and 99th percentile of the time from connect to end in
 * microseconds, the first error, and the connections of each target.
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
#define MOST_TARGETS 8
#define MOST_SAID 4096
#define MOST_FAILURES 1000 /* then it is not a measurement any more */
#define PATIENCE 10000     /* milliseconds without any event after which those under way have failed */
#define AGAIN 200          /* milliseconds after which datagrams are sent again */

struct target {
    struct sockaddr_in server;
    uint32_t source; /* host byte order; 0: whatever the kernel chooses */
    bool distinct, datagram;
    long share, expected, say, enough;
    const char *tftp;
    long begun, ended;
};

struct client {
    int fd;
    struct target *target;
    bool said;
    long bytes;
    uint64_t began;
};

static struct target targets[MOST_TARGETS];
static int target_count;
static long shares;
static struct client clients[MOST_CLIENTS];
static int epoll, under_way;
static long begun, ended, resets, failures, resent;
static bool datagrams;
static char words[MOST_SAID];
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

static uint32_t next_source(struct target *target)
{
    uint32_t given = target->source;
    if (target->distinct)
        do
            target->source++;
        while ((target->source & 255) == 0 || (target->source & 255) == 255);
    return given;
}

/* The target that is furthest behind its share. */
static struct target *next_target(void)
{
    struct target *chosen = &targets[0];
    double most = -1e18;
    for (int i = 0; i < target_count; i++) {
        double behind = (double)targets[i].share * (double)(begun + 1) / (double)shares - (double)targets[i].begun;
        if (behind > most) {
            most = behind;
            chosen = &targets[i];
        }
    }
    return chosen;
}

static void failed(const char *why)
{
    if (!failures++)
        first_error = why;
}

static void ask(struct client *client)
{
    const struct target *target = client->target;
    if (target->tftp) {
        char request[256];
        int length = snprintf(request, sizeof request, "%c%c%s%coctet", 0, 1, target->tftp, 0) + 1;
        if (sendto(client->fd, request, (size_t)length, 0, (const struct sockaddr *)&target->server,
                   sizeof target->server) != length)
            err(1, "sendto");
    } else if (send(client->fd, words, (size_t)target->say, MSG_NOSIGNAL) != target->say && errno != ECONNRESET &&
               errno != EPIPE && errno != ECONNREFUSED)
        err(1, "send");
    client->said = true;
}

static void begin(struct client *client)
{
    int one = 1;
    /* Closing resets: the server has ended the connection by then, and neither side keeps it in TIME_WAIT. */
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct target *target = next_target();

    client->target = target;
    client->fd = socket(AF_INET, (target->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        err(1, "socket");
    if (!target->datagram)
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (target->source) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(next_source(target))};
        if (!target->tftp)
            setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(client->fd, (struct sockaddr *)&from, sizeof from))
            err(1, "bind %s", inet_ntoa(from.sin_addr));
    }
    client->bytes = 0;
    client->said = false;
    client->began = now();
    begun++;
    target->begun++;
    under_way++;
    if (!target->tftp && connect(client->fd, (struct sockaddr *)&target->server, sizeof target->server) &&
        errno != EINPROGRESS)
        err(1, "connect");
    if (target->datagram)
        ask(client);
    uint32_t events = EPOLLIN | EPOLLRDHUP | (target->say && !target->datagram ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event))
        err(1, "epoll_ctl");
}

static void end(struct client *client, int error)
{
    struct target *target = client->target;
    close(client->fd);
    client->fd = -1;
    under_way--;
    if ((error && error != ECONNRESET) || (error == ECONNRESET && (target->expected || target->say || target->enough))) {
        failed(strerror(error));
        return;
    }
    if (target->enough ? client->bytes < target->enough : client->bytes != (target->say ? target->say : target->expected)) {
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
    target->ended++;
}

/* The one datagram that answers. */
static void answered(struct client *client)
{
    char buffer[MOST_SAID];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(client->fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
    int error = got < 0 ? errno : 0;

    if (got >= 0 && client->target->tftp) {
        if (got < 4 || memcmp(buffer, "\0\3\0\1", 4))
            error = EPROTO;
        else
            sendto(client->fd, "\0\4\0\1", 4, 0, (struct sockaddr *)&from, length);
        got -= 4;
    } else if (got >= 0 && memcmp(buffer, words, (size_t)got))
        error = EPROTO;
    client->bytes = got;
    end(client, error);
}

/* Whatever is not answered. */
static void ask_again(int count)
{
    for (int i = 0; i < count; i++)
        if (clients[i].fd >= 0 && clients[i].target && clients[i].target->datagram) {
            ask(&clients[i]);
            resent++;
        }
}

/* Read what has come; whether the connection has ended. */
static bool progress(struct client *client)
{
    char buffer[65536];
    const struct target *target = client->target;

    if (target->datagram) {
        answered(client);
        return true;
    }
    if (target->say && !client->said) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
        ask(client);
        epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
    }
    for (;;) {
        ssize_t got = read(client->fd, buffer, sizeof buffer);
        if (got > 0) {
            client->bytes += got;
            if (target->enough && client->bytes >= target->enough) {
                end(client, 0);
                return true;
            }
            if (target->say && client->bytes == target->say)
                shutdown(client->fd, SHUT_WR);
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        end(client, got < 0 ? errno : 0);
        return true;
    }
}

static void add_target(char *text)
{
    enum { AT, FROM, DISTINCT, SHARE, EXPECT, SAY, ENOUGH, DATAGRAM, TFTP };
    char *const names[] = {"at", "from", "distinct", "share", "expect", "say", "enough", "datagram", "tftp", NULL};
    struct target *target = &targets[target_count++];
    char *value, *port;

    *target = (struct target){.share = 1, .server.sin_family = AF_INET};
    while (*text)
        switch (getsubopt(&text, names, &value)) {
        case AT:
            if (!value || !(port = strchr(value, ':')))
                errx(2, "at=ADDRESS:PORT");
            *port++ = 0;
            target->server.sin_addr.s_addr = inet_addr(value);
            target->server.sin_port = htons((uint16_t)atoi(port));
            break;
        case FROM: target->source = value ? ntohl(inet_addr(value)) : 0; break;
        case DISTINCT: target->distinct = true; break;
        case SHARE: target->share = value ? atol(value) : 1; break;
        case EXPECT: target->expected = value ? atol(value) : 0; break;
        case SAY: target->say = value ? atol(value) : 1; break;
        case ENOUGH: target->enough = value ? atol(value) : 1; break;
        case DATAGRAM: target->datagram = true; break;
        case TFTP:
            target->tftp = value;
            target->datagram = true;
            break;
        default: errx(2, "no such word in a target: %s", value);
        }
    datagrams |= target->datagram;
    if (!target->server.sin_port || target->say > MOST_SAID || (target->distinct && !target->source))
        errx(2, "a target needs at=, distinct needs from=, and say= is at most %d", MOST_SAID);
    shares += target->share;
}

static int ascending(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void tell(uint64_t start)
{
    qsort(times, (size_t)ended, sizeof *times, ascending);
    printf("{\"connections\": %ld, \"resets\": %ld, \"failures\": %ld, \"resent\": %ld, \"seconds\": %.6f, "
           "\"p50_us\": %u, \"p99_us\": %u, \"first_error\": \"%s\", \"targets\": [",
           ended, resets, failures, resent, (double)(last_end - start) / 1e9, ended ? times[ended / 2] : 0,
           ended ? times[ended - 1 - ended / 100] : 0, first_error);
    for (int i = 0; i < target_count; i++)
        printf("%s%ld", i ? ", " : "", targets[i].ended);
    puts("]}");
}

int main(int argc, char **argv)
{
    int option, count = 1;
    long most = 0;
    double seconds = 1;
    while ((option = getopt(argc, argv, "c:n:t:")) != -1)
        switch (option) {
        case 'c': count = atoi(optarg); break;
        case 'n': most = atol(optarg); break;
        case 't': seconds = atof(optarg); break;
        default: return 2;
        }
    if (optind == argc || argc - optind > MOST_TARGETS || count < 1 || count > MOST_CLIENTS)
        errx(2, "usage: load [-c CLIENTS] [-n CONNECTIONS | -t SECONDS] TARGET...");
    while (optind < argc)
        add_target(argv[optind++]);
    for (int i = 0; i < MOST_SAID; i++)
        words[i] = (char)('a' + i % 26);
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
    int silence = 0; /* milliseconds */
    for (int i = 0; i < count && begun < most; i++)
        begin(&clients[i]);
    while (under_way) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, datagrams ? AGAIN : PATIENCE);
        if (ready < 0 && errno != EINTR)
            err(1, "epoll_wait");
        silence = ready ? 0 : silence + (datagrams ? AGAIN : PATIENCE);
        if (ready == 0 && silence < PATIENCE)
            ask_again(count);
        if (silence >= PATIENCE) {
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
    tell(start);
    return 0;
}

/*
 * Clients of every kind at once, each in a closed loop, from many sources.
 *
 * clients -n CONVERSATIONS DOOR...
 * DOOR is NAME:KIND:PORT:CLIENTS:BYTES:NET[:TEXT]; at 127.0.0.1 PORT, so many CLIENTS at once, from a thousand addresses
 * of 127.NET.0.0/16 (from 127.NET.0.1 alone where NAME ends with "!"). KIND is
 *   read   read to the end
 *   send   send TEXT and CR LF, end that side, read to the end
 *   abort  send TEXT and CR LF and reset the connection; one conversation in 25
 *   dgram  send a datagram, wait for the same to come back, send it again after each second without
 * BYTES must come, neither more nor less (0: the end of the connection, with or without a reset).
 *
 * One line of JSON on standard output: for each door, how many conversations went as expected, how many did not, the
 * first error, and how many datagrams were sent again.
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

#define MOST_DOORS 32
#define PATIENCE 30.0 /* seconds for one conversation */
#define AGAIN 1.0     /* seconds after which a datagram is sent again */
#define LOOK 0.2      /* seconds between two looks at the clock */
#define RARE 25

enum kind { READ, SEND, ABORT, DGRAM };

struct door {
    const char *name, *text;
    enum kind kind;
    int port, clients, net;
    long bytes, begun, good, bad, again;
    bool alone;
    char first[96];
};

struct client {
    struct door *door;
    int fd;
    long bytes;
    double began, sent;
    uint32_t serial;
    bool told;
};

static struct door doors[MOST_DOORS];
static int door_count, client_count, epoll, under_way;
static struct client *clients;
static long most, begun;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void finish(struct client *client, const char *wrong)
{
    struct door *door = client->door;
    close(client->fd);
    client->fd = -1;
    under_way--;
    if (!wrong)
        door->good++;
    else if (!door->bad++)
        snprintf(door->first, sizeof door->first, "%s after %ld bytes", wrong, client->bytes);
}

static void say(struct client *client)
{
    client->sent = now();
    if (send(client->fd, &client->serial, sizeof client->serial, MSG_DONTWAIT) < 0 && errno != EAGAIN &&
        errno != ECONNREFUSED)
        err(1, "send");
}

static void begin(struct client *client)
{
    struct door *door = client->door;
    int one = 1, type = door->kind == DGRAM ? SOCK_DGRAM : SOCK_STREAM;
    uint32_t place = door->alone ? 0 : (uint32_t)(door->begun % 1000);
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)door->port)};
    from.sin_addr.s_addr = htonl(127u << 24 | (uint32_t)door->net << 16 | (place / 250) << 8 | (1 + place % 250));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    client->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        err(1, "socket");
    if (door->kind == READ || door->kind == ABORT) { /* neither side keeps it in TIME_WAIT */
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&from, sizeof from))
        err(1, "bind %s", inet_ntoa(from.sin_addr));
    client->bytes = 0;
    client->told = false;
    client->began = now();
    client->serial = (uint32_t)begun++;
    door->begun++;
    under_way++;
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        err(1, "connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
    if (door->kind == SEND || door->kind == ABORT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event))
        err(1, "epoll_ctl");
    if (door->kind == DGRAM)
        say(client);
}

/* Those who give up wait for nobody, and would be nearly all: each such door has one conversation in `RARE`. */
static bool may_begin(const struct door *door)
{
    return door->kind != ABORT || door->begun < begun / RARE;
}

/* Say what is to be said, once the connection stands; the words fit into any socket. */
static void talk(struct client *client)
{
    char words[256];
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
    int length = snprintf(words, sizeof words, "%s\r\n", client->door->text);
    if (send(client->fd, words, (size_t)length, MSG_NOSIGNAL) != length) {
        finish(client, strerror(errno));
        return;
    }
    client->told = true;
    if (client->door->kind == ABORT) {
        finish(client, NULL);
        return;
    }
    shutdown(client->fd, SHUT_WR);
    epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static void hear(struct client *client)
{
    struct door *door = client->door;
    char buffer[65536];
    for (;;) {
        ssize_t got = recv(client->fd, buffer, sizeof buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (door->kind == DGRAM) {
            if (got < 0 && errno == ECONNREFUSED)
                continue; /* of a datagram sent before; it will be sent again */
            if (got == sizeof client->serial && !memcmp(buffer, &client->serial, sizeof client->serial))
                finish(client, NULL);
            else
                finish(client, got < 0 ? strerror(errno) : "another answer");
            return;
        }
        if (got > 0) {
            client->bytes += got;
            continue;
        }
        if (got < 0 && !(errno == ECONNRESET && door->bytes == 0))
            finish(client, strerror(errno));
        else
            finish(client, client->bytes == door->bytes ? NULL : "the end");
        return;
    }
}

static void look_at_the_clock(double time)
{
    for (int i = 0; i < client_count; i++) {
        struct client *client = &clients[i];
        if (client->fd < 0)
            continue;
        if (time - client->began > PATIENCE)
            finish(client, "no end");
        else if (client->door->kind == DGRAM && time - client->sent > AGAIN) {
            client->door->again++;
            say(client);
        }
    }
}

static void add_door(char *words)
{
    static const char *const kinds[] = {"read", "send", "abort", "dgram"};
    struct door *door = &doors[door_count++];
    char *fields[7] = {0};
    int count = 0;
    if (door_count > MOST_DOORS)
        errx(2, "at most %d doors", MOST_DOORS);
    for (char *field = strtok(words, ":"); field && count < 7; field = strtok(NULL, ":"))
        fields[count++] = field;
    if (count < 6)
        errx(2, "a door is NAME:KIND:PORT:CLIENTS:BYTES:NET[:TEXT]");
    door->name = fields[0];
    door->alone = door->name[strlen(door->name) - 1] == '!';
    while (door->kind < 4 && strcmp(fields[1], kinds[door->kind]))
        door->kind++;
    if (door->kind == 4)
        errx(2, "%s is none of read, send, abort, dgram", fields[1]);
    door->port = atoi(fields[2]);
    door->clients = atoi(fields[3]);
    door->bytes = atol(fields[4]);
    door->net = atoi(fields[5]);
    door->text = fields[6] ? fields[6] : "";
    client_count += door->clients;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "n:")) != -1)
        most = option == 'n' ? atol(optarg) : 0;
    for (int i = optind; i < argc; i++)
        add_door(argv[i]);
    if (most < 1 || !door_count)
        errx(2, "usage: clients -n CONVERSATIONS DOOR...");
    struct rlimit files = {(rlim_t)client_count + 64, (rlim_t)client_count + 64};
    if (client_count > 900 && setrlimit(RLIMIT_NOFILE, &files))
        err(1, "descriptors for %d clients", client_count);
    clients = calloc((size_t)client_count, sizeof *clients);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll < 0)
        err(1, "start");

    struct client *client = clients;
    for (int i = 0; i < door_count; i++)
        for (int j = 0; j < doors[i].clients; j++, client++) {
            client->door = &doors[i];
            client->fd = -1;
            if (begun < most && may_begin(client->door))
                begin(client);
        }
    double looked = now();
    while (under_way) {
        struct epoll_event events[128];
        int ready = epoll_wait(epoll, events, 128, (int)(LOOK * 1000));
        for (int i = 0; i < ready; i++) {
            client = events[i].data.ptr;
            if (!client->told && (events[i].events & EPOLLOUT) && !(events[i].events & (EPOLLERR | EPOLLHUP)))
                talk(client);
            else if (client->fd >= 0)
                hear(client);
        }
        double time = now();
        if (time - looked > LOOK) {
            look_at_the_clock(time);
            looked = time;
        }
        for (int i = 0; i < client_count && begun < most; i++)
            if (clients[i].fd < 0 && may_begin(clients[i].door))
                begin(&clients[i]);
    }
    printf("{");
    for (int i = 0; i < door_count; i++)
        printf("%s\"%s\": {\"good\": %ld, \"bad\": %ld, \"again\": %ld, \"first\": \"%s\"}", i ? ", " : "", doors[i].name,
               doors[i].good, doors[i].bad, doors[i].again, doors[i].first);
    printf("}\n");
    return 0;
}

/*
 * Clients that read as much as comes.
 *
 * drain CLIENTS SECONDS ADDRESS PORT SOURCE: prints bytes and seconds. A connection that ends is an error.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define PATIENCE 10000 /* milliseconds */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static char buffer[1 << 18];
    struct pollfd clients[MOST];

    if (argc != 6 || atoi(argv[1]) < 1 || atoi(argv[1]) > MOST)
        errx(2, "usage: drain CLIENTS SECONDS ADDRESS PORT SOURCE");
    int count = atoi(argv[1]);
    double seconds = atof(argv[2]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[4]))};
    struct sockaddr_in from = {.sin_family = AF_INET};
    long long bytes = 0;

    to.sin_addr.s_addr = inet_addr(argv[3]);
    from.sin_addr.s_addr = inet_addr(argv[5]);
    for (int i = 0; i < count; i++) {
        clients[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
        if (clients[i].fd < 0 || bind(clients[i].fd, (struct sockaddr *)&from, sizeof from) ||
            connect(clients[i].fd, (struct sockaddr *)&to, sizeof to))
            err(1, "client %d", i);
    }
    double begun = now(), ended = begun;
    while (ended < begun + seconds) {
        int ready = poll(clients, (nfds_t)count, PATIENCE);
        if (ready <= 0)
            errx(1, "nothing comes");
        for (int i = 0; i < count; i++)
            if (clients[i].revents) {
                ssize_t got = read(clients[i].fd, buffer, sizeof buffer);
                if (got <= 0)
                    errx(1, "client %d: the server has ended it", i);
                bytes += got;
            }
        ended = now();
    }
    printf("%lld %.6f\n", bytes, ended - begun);
    return 0;
}

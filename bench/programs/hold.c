/*
 * Connections that are held open: each is made, served (one byte there and back), and then left alone.
 *
 * hold COUNT ADDRESS PORT SOURCE: prints "held" when all are, and closes them at the end of standard input.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define AT_ONCE 32 /* as many as any queue of those who listen has room for */

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "usage: hold COUNT ADDRESS PORT SOURCE");
    long count = atol(argv[1]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct rlimit files;
    struct timeval patience = {.tv_sec = 20};
    int one = 1;
    char byte = 'x';

    to.sin_addr.s_addr = inet_addr(argv[2]);
    from.sin_addr.s_addr = inet_addr(argv[4]);
    if (getrlimit(RLIMIT_NOFILE, &files) || (files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files)))
        err(1, "descriptors");
    for (long done = 0; done < count;) {
        int fds[AT_ONCE], begun = 0;
        for (; begun < AT_ONCE && done + begun < count; begun++) {
            int fd = fds[begun] = socket(AF_INET, SOCK_STREAM, 0);
            if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) ||
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
                bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to) ||
                write(fd, &byte, 1) != 1)
                err(1, "connection %ld", done + begun);
        }
        for (int i = 0; i < begun; i++, done++)
            if (read(fds[i], &byte, 1) != 1)
                err(1, "connection %ld was not served", done);
    }
    puts("held");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

/*
 * What refusing costs without the kernel's help: accept and close, and no more.
 *
 * refuse PORT: does so at 127.0.0.1:PORT until it is ended by a signal. Prints "Started working" when ready.
 */

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

    if (argc != 2)
        errx(2, "usage: refuse PORT");
    at.sin_port = htons((uint16_t)atoi(argv[1]));
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024))
        err(1, "port %s", argv[1]);
    puts("Started working");
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0)
            close(connection);
    }
}

/* The servers of the soak: `answer hello` says so on a connection; `answer dgram` returns one datagram to its sender. */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char data[2048];
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t size;

    if (argc > 1 && !strcmp(argv[1], "dgram")) {
        size = recvfrom(0, data, sizeof data, 0, (struct sockaddr *)&from, &length);
        return size < 0 || sendto(0, data, (size_t)size, 0, (struct sockaddr *)&from, length) != size;
    }
    return write(1, "hello\n", 6) != 6;
}

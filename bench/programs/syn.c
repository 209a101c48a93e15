/*
 * A flood of SYNs from addresses that nobody has: what a banned scanner sends, as fast as one CPU can.
 *
 * syn COUNT SOURCES PORT: COUNT of them to 127.0.0.1:PORT, in turn from SOURCES addresses beginning with 127.64.0.1.
 * Prints the seconds that it took. The kernel has dealt with each when the system call that sends it returns.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define AT_ONCE 256

struct packet {
    struct iphdr ip;
    struct tcphdr tcp;
};

static uint32_t sum(const void *data, size_t bytes, uint32_t total)
{
    const uint16_t *word = data;
    for (; bytes > 1; bytes -= 2)
        total += *word++;
    return total;
}

static uint16_t folded(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

static void fill(struct packet *packet, uint32_t source, uint16_t port, uint32_t number)
{
    uint32_t pseudo[3] = {htonl(source), htonl(INADDR_LOOPBACK), htonl(IPPROTO_TCP << 16 | sizeof packet->tcp)};

    memset(packet, 0, sizeof *packet);
    packet->ip.version = 4;
    packet->ip.ihl = 5;
    packet->ip.tot_len = htons(sizeof *packet);
    packet->ip.ttl = 64;
    packet->ip.protocol = IPPROTO_TCP;
    packet->ip.saddr = pseudo[0];
    packet->ip.daddr = pseudo[1];
    packet->tcp.source = htons((uint16_t)(10000 + number % 50000));
    packet->tcp.dest = htons(port);
    packet->tcp.seq = htonl(number);
    packet->tcp.doff = 5;
    packet->tcp.syn = 1;
    packet->tcp.window = htons(65535);
    packet->tcp.check = folded(sum(&packet->tcp, sizeof packet->tcp, sum(pseudo, sizeof pseudo, 0)));
}

int main(int argc, char **argv)
{
    static struct packet packets[AT_ONCE];
    static struct iovec parts[AT_ONCE];
    static struct mmsghdr messages[AT_ONCE];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timespec begun, ended;

    if (argc != 4)
        errx(2, "usage: syn COUNT SOURCES PORT");
    long count = atol(argv[1]), sources = atol(argv[2]);
    uint16_t port = (uint16_t)atoi(argv[3]);
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (raw < 0)
        err(1, "socket");
    for (int i = 0; i < AT_ONCE; i++) {
        parts[i] = (struct iovec){&packets[i], sizeof packets[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (long sent = 0; sent < count;) {
        int batch = count - sent < AT_ONCE ? (int)(count - sent) : AT_ONCE;
        for (int i = 0; i < batch; i++)
            fill(&packets[i], 0x7f400001u + (uint32_t)((sent + i) % sources), port, (uint32_t)(sent + i));
        for (int done = 0, now; done < batch; done += now)
            if ((now = sendmmsg(raw, messages + done, (unsigned)(batch - done), 0)) < 0)
                err(1, "sendmmsg");
        sent += batch;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.6f\n", (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
    return 0;
}

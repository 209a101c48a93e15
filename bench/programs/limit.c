/*
 * What the kernel allows: accept, vfork, become the user, exec, and no more. No super-server does less, and none that
 * changes user should do it like this: a process of that user can stop the child and with it the parent.
 *
 * limit ADDRESS PORT UID GID CPU DATA STACK NICE PROGRAM [ARGUMENT...]: serves until it is ended by a signal. CPU, DATA
 * and STACK are limits of the server in seconds and bytes, NICE is its nice value; all 0: it keeps ours. Prints "Started
 * working" when ready.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, which shares our memory until its exec: system calls only, since glibc's setuid is for whole processes. */
static void serve(int connection, uid_t uid, gid_t gid, const rlim_t limits[3], int nicer, char *const argv[],
                  char *const environment[])
{
    static const __rlimit_resource_t kinds[] = {RLIMIT_CPU, RLIMIT_DATA, RLIMIT_STACK};

    setsid();
    for (int i = 0; i < 3; i++) {
        struct rlimit limit = {limits[i], limits[i]};
        if (limits[i] && setrlimit(kinds[i], &limit))
            _exit(1);
    }
    if (nicer && setpriority(PRIO_PROCESS, 0, nicer))
        _exit(1);
    for (int target = 0; target < 3; target++)
        if (dup2(connection, target) < 0)
            _exit(1);
    if (uid && (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, gid, gid, gid) ||
                syscall(SYS_setresuid, uid, uid, uid)))
        _exit(1);
    execve(argv[0], argv, environment);
    _exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 10)
        errx(2, "usage: limit ADDRESS PORT UID GID CPU DATA STACK NICE PROGRAM [ARGUMENT...]");
    uid_t uid = (uid_t)atoi(argv[3]);
    gid_t gid = (gid_t)atoi(argv[4]);
    rlim_t limits[] = {(rlim_t)atol(argv[5]), (rlim_t)atol(argv[6]), (rlim_t)atol(argv[7])};
    int nicer = atoi(argv[8]);
    char *environment[] = {NULL};

    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    where.sin_addr.s_addr = inet_addr(argv[1]);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(listener, (struct sockaddr *)&where, sizeof where) || listen(listener, 4096))
        err(1, "port %s", argv[2]);
    puts("Started working");
    fflush(stdout);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            err(1, "accept");
        }
        pid_t child = vfork();
        if (child == 0)
            serve(connection, uid, gid, limits, nicer, argv + 9, environment);
        if (child < 0)
            warn("vfork");
        close(connection);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

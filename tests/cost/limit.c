/*
 * What the kernel allows: accept, vfork, become the user, exec, and no more.
 *
 * limit PORT ID PROGRAM: does so at 127.0.0.1:PORT, as user and group ID, until it is ended. Prints a line when ready.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, which shares our memory until its exec: system calls only. */
static void serve(int connection, long id, char *const argv[])
{
	char *environment[] = {NULL};

	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(connection, fd);
	if (syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, id, id, id) == 0 &&
	    syscall(SYS_setresuid, id, id, id) == 0)
		execve(argv[0], argv, environment);
	_exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
	long id;

	if (argc != 4)
		errx(2, "usage: limit PORT ID PROGRAM");
	id = atol(argv[2]);
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
	    bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024))
		err(1, "port %s", argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (connection < 0)
			err(1, "accept");
		if (vfork() == 0)
			serve(connection, id, argv + 3);
		close(connection);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

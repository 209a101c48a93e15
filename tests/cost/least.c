/*
 * The least that a spawner can do for an order, for comparison: take it off the socket on descriptor 3 with its
 * descriptor, make a process, answer, close. No recipe, no bounds, nothing for the process to do.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned char stack[16384];

static int begun(void *nothing)
{
	(void)nothing;
	return 0;
}

int main(void)
{
	static unsigned char message[16400];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec all = {message, sizeof message};
	struct { uint32_t kind, step; uint64_t order; int32_t value, detail; } reply = {1, 0, 0, 0, 0};

	for (;;) {
		struct msghdr header = {.msg_iov = &all, .msg_iovlen = 1, .msg_control = &control};
		int connection, ended = 0;

		header.msg_controllen = CMSG_LEN(sizeof(int));
		if (recvmsg(3, &header, MSG_CMSG_CLOEXEC) <= 0)
			return 0;
		if (CMSG_FIRSTHDR(&header) == NULL)
			continue; /* a recipe */
		memcpy(&connection, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof connection);
		memcpy(&reply.order, message + 8, sizeof reply.order);
		reply.value = clone(begun, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL, NULL, NULL, &ended);
		send(3, &reply, sizeof reply, MSG_NOSIGNAL);
		close(connection);
	}
}

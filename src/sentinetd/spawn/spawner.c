/*
 * sentinetd-spawner: makes the server processes on the guard's behalf.
 *
 * The guard talks on descriptor 3, a SOCK_SEQPACKET socket: it teaches recipes (what a service's servers are: program,
 * arguments, environment, limits, user) and then orders launches: a recipe's number and the descriptor to serve. A server
 * is cloned with CLONE_PARENT, so it is the guard's child: the guard gets SIGCHLD and reaps it.
 *
 * Why a process of its own: it stays small, so a fork costs the same however many bans the guard holds; and nobody here
 * ever waits for a child, so a process of the server's user that stops it between setuid and exec stops nothing else (with
 * vfork it would freeze the daemon). birth.c has the new process's side.
 *
 * The guard starts it with all signals blocked, and so they stay: a Ctrl-C or a TERM to the whole group is the guard's to
 * answer. The end of the socket, and nothing else, ends this program.
 *
 * Messages are described in recipes.h; numbers are in the machine's own byte order. A message that is not of its form is
 * dropped with a line on standard error; a launch is always answered, one that failed with its descriptor: the guard has
 * let go of it, and may try again.
 *
 * cc -O2 -Wall -Wextra -Wpedantic -static-pie -o sentinetd-spawner spawner.c birth.c label.c recipes.c
 */
#define _GNU_SOURCE
#include "birth.h"
#include "recipes.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The guard may read much later what we say. */
static uint64_t boottime(void)
{
	struct timespec now = {0, 0};

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

union rights {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* *connection*, unless it is -1, goes along with the reply. */
static void tell(uint32_t kind, uint64_t order, int value, int connection)
{
	struct reply reply = {kind, 0, order, value, 0, kind == LAUNCHED ? boottime() : 0};
	struct iovec all = {&reply, sizeof reply};
	union rights rights = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct msghdr header = {.msg_iov = &all, .msg_iovlen = 1};

	if (connection >= 0) {
		memcpy(CMSG_DATA(&rights.head), &connection, sizeof connection);
		header.msg_control = &rights;
		header.msg_controllen = sizeof rights;
	}
	while (sendmsg(GUARD, &header, MSG_NOSIGNAL) < 0)
		if (errno == ETOOMANYREFS) /* too many under way: the client is lost, the guard is not (unix(7)) */
			header.msg_controllen = 0;
		else if (errno != EINTR)
			exit(0); /* the guard has gone */
}

/* errno of a launch that cannot be tried, 0 once it was; then *connection* is closed: whoever hears of the server finds
 * nothing of its client here. *truncated*: the descriptor did not fit into our table. */
static int launch(const struct message *message, size_t length, int *connection, int truncated)
{
	const struct recipe *recipe = find(message->number);
	int pid;

	if (length > MAX_HOST || memchr(message->payload, '\0', length) != NULL)
		return EBADMSG;
	if (*connection < 0)
		return truncated ? EMFILE : EBADMSG;
	if (recipe == NULL)
		return ENOENT;
	pid = give_birth(recipe, message->value, *connection, message->payload, length);
	if (pid < 0)
		return errno;
	close(*connection);
	*connection = -1;
	tell(LAUNCHED, message->value, pid, -1);
	return 0;
}

/* One message and the descriptor that came with it (or -1). Its length; 0 at the end of the socket. */
static size_t receive(struct message *message, int *connection, int *flags)
{
	union rights rights;
	struct iovec all = {message, sizeof *message};
	struct msghdr header = {.msg_iov = &all, .msg_iovlen = 1, .msg_control = &rights};
	struct cmsghdr *first;
	ssize_t size;

	header.msg_controllen = CMSG_LEN(sizeof(int)); /* not CMSG_SPACE: two descriptors would fit into that */
	while ((size = recvmsg(GUARD, &header, MSG_CMSG_CLOEXEC)) < 0)
		if (errno != EINTR) {
			if (errno == ECONNRESET)
				return 0;
			err(1, "descriptor 3");
		}
	*connection = -1;
	*flags = header.msg_flags;
	first = CMSG_FIRSTHDR(&header);
	if (first != NULL && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS &&
	    first->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(connection, CMSG_DATA(first), sizeof(int));
	return (size_t)size;
}

static void obey(const struct message *message, size_t size, int *connection, int flags)
{
	int error;

	if (size < HEADER || flags & MSG_TRUNC) {
		warnx("a message of %zu bytes is not of its form, dropped", size);
		return;
	}
	switch (message->kind) {
	case TEACH:
	case MORE:
		learn(message, size - HEADER);
		discard_retired(in_use);
		break;
	case FORGET:
		forget(message->number);
		discard_retired(in_use);
		break;
	case LAUNCH:
		if ((error = launch(message, size - HEADER, connection, flags & MSG_CTRUNC)) != 0)
			tell(LAUNCH_FAILED, message->value, error, *connection);
		break;
	default:
		warnx("a message of unknown kind %u, dropped", message->kind);
	}
}

/* What servers inherit: default signals, "/" as directory, no descriptor beyond 3, none of the guard's capabilities. */
static void prepare(void)
{
	static const long standard[16]; /* zeros: SIG_DFL in the kernel's struct sigaction of any machine */
	int type = 0;
	socklen_t length = sizeof type;

	if (getsockopt(GUARD, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
		errx(1, "sentinetd starts this program; it is of no use otherwise");
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			err(1, "descriptor %d", fd);
	if (fcntl(GUARD, F_SETFD, FD_CLOEXEC) < 0)
		err(1, "descriptor 3");
	for (int number = 1; number < NSIG; number++) /* past the C library: its posix_spawn leaves 32 and 33 ignored */
		if (syscall(SYS_rt_sigaction, number, standard, NULL, (NSIG - 1) / 8) < 0 && number != SIGKILL && number != SIGSTOP)
			err(1, "rt_sigaction");
	if (syscall(SYS_close_range, GUARD + 1, ~0U, 0) < 0) {
		if (errno != ENOSYS)
			err(1, "close_range");
		for (int fd = GUARD + 1; fd < sysconf(_SC_OPEN_MAX); fd++) /* before Linux 5.9 */
			close(fd);
	}
	if (chdir("/") < 0)
		err(1, "/");
	if (prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0) /* no server's user may trace a child that is not yet a server */
		err(1, "PR_SET_DUMPABLE");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) < 0 && errno != EINVAL)
		err(1, "PR_CAP_AMBIENT");
	prepare_births();
}

int main(int argc, char **argv)
{
	static struct message message;
	int connection, flags;
	size_t size;

	if (argc != 2 || strcmp(argv[1], PROTOCOL) != 0)
		errx(1, "built for protocol " PROTOCOL ", asked for %s; build it anew", argc == 2 ? argv[1] : "none");
	prepare();
	while ((size = receive(&message, &connection, &flags)) > 0) {
		obey(&message, size, &connection, flags);
		if (connection >= 0)
			close(connection);
	}
	return 0;
}

/*
 * A new process shares our memory until it execs: to copy even a small process, and to drop the copy again, would cost a
 * third of what becoming a server costs. It runs on a stack of its own, and nobody waits for it, so one that is stopped on
 * the way, or slow, stops nobody else. What keeps that safe:
 *
 * - Until the kernel says that the process has left (CLONE_CHILD_CLEARTID), its place and its recipe stay as they are.
 * - It touches nothing but its place: no allocation, no errno, hence system calls of our own.
 * - Nobody may trace it, not even its new user: our memory is not dumpable, and no change of user makes it so. Where the
 *   administrator has set fs.suid_dumpable to 1 one would, and memory is not shared (proc_sys_fs(5)).
 *
 * Where one of these cannot be had, and when all places are taken, the process gets a copy of our memory.
 */
#define _GNU_SOURCE
#include "birth.h"
#include "call.h"
#include "label.h"
#include "recipes.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETUP_STATUS = 126, EXEC_STATUS = 127 };   /* exit: a server that never began */
enum { PLACES = 64, STACK = 16384 };

#define HOST "REMOTE_HOST="

struct place {
	int taken;                                /* 0 as soon as its process has left our memory */
	int connection;
	uint64_t order;
	const struct recipe *recipe;
	char **envp;
	size_t room;                              /* pointers that envp has room for */
	char host[sizeof HOST + MAX_HOST];
	_Alignas(16) unsigned char stack[STACK];
};

static struct place places[PLACES], apart;        /* apart: for processes with memory of their own */
static int may_share;

/* ------------------------------------------------------------------------------------------------ the server's side */

static void complain(uint64_t order, uint32_t step, long error, int detail)
{
	struct reply reply = {SETUP_FAILED, step, order, (int32_t)-error, detail, 0};

	/* Without an answer the server goes on: the guard may have gone. */
	while (call(SYS_sendto, GUARD, (long)&reply, sizeof reply, MSG_NOSIGNAL, 0, 0) == -EINTR)
		;
}

static _Noreturn void fail_at(uint64_t order, uint32_t step, long error, int detail)
{
	complain(order, step, error, detail);
	for (;;)
		call(SYS_exit_group, step == EXEC ? EXEC_STATUS : SETUP_STATUS, 0, 0, 0, 0, 0);
}

static _Noreturn void fail(uint64_t order, uint32_t step, long error)
{
	fail_at(order, step, error, 0);
}

static long set_limit(const struct limit *limit)
{
	struct { uint64_t soft, hard; } both = {limit->value, limit->value}; /* the kernel's rlimit64: ~0 is infinity */

	return call(SYS_prlimit64, 0, limit->resource, (long)&both, 0, 0, 0);
}

static long add_nice(int by)
{
	long now = call(SYS_getpriority, PRIO_PROCESS, 0, 0, 0, 0, 0); /* the kernel's: 20 - nice */

	if (now < 0)
		return now;
	now = call(SYS_setpriority, PRIO_PROCESS, 0, 20 - now + by, 0, 0, 0);
	return now == -EACCES ? -EPERM : now; /* as nice(2) says it */
}

/*
 * In the new process: become the server. Limits and nice come before the change of user, which would forbid to raise them;
 * their failure is told and borne. The label comes before both: it opens files, which a limit may forbid, and the server's
 * path may be open to us alone. Every descriptor but 0, 1 and 2 is closed by exec. The change of user is the last step:
 * from then on that user's other processes may send this one signals.
 */
static int become_server(void *given)
{
	const struct place *place = given;
	const struct recipe *recipe = place->recipe;
	const struct head *head = &recipe->head;
	const uint64_t none = 0; /* the kernel's sigset_t */
	uint64_t order = place->order;
	long error;
	int part;

	if ((error = call(SYS_setsid, 0, 0, 0, 0, 0, 0)) < 0)
		fail(order, SETSID, error);
	for (int fd = 0; fd <= 2; fd++)
		if ((error = call(SYS_dup3, place->connection, fd, 0, 0, 0, 0)) < 0)
			fail(order, DUP, error);
	if (head->flags & LABELED && (error = label_server(recipe->server, 0, &part)) < 0)
		fail_at(order, LABEL, error, part);
	for (uint32_t i = 0; i < head->limits; i++)
		if ((error = set_limit(&recipe->limits[i])) < 0)
			complain(order, LIMIT, error, (int)recipe->limits[i].resource);
	if (head->nice != 0 && (error = add_nice(head->nice)) < 0)
		complain(order, NICE, error, 0);
	if (head->flags & HAS_UMASK)
		call(SYS_umask, (long)head->umask, 0, 0, 0, 0, 0); /* cannot fail */
	if ((error = call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0, 0)) < 0)
		fail(order, EXEC, error);
	if (head->flags & HAS_GID && (error = call(SYS_setresgid, head->gid, head->gid, head->gid, 0, 0, 0)) < 0)
		fail(order, SETGID, error);
	if (head->flags & HAS_GROUPS && (error = call(SYS_setgroups, head->groups, (long)recipe->groups, 0, 0, 0, 0)) < 0)
		fail(order, SETGROUPS, error);
	if (head->flags & HAS_UID && (error = call(SYS_setresuid, head->uid, head->uid, head->uid, 0, 0, 0)) < 0)
		fail(order, SETUID, error);
	fail(order, EXEC, call(SYS_execve, (long)recipe->server, (long)recipe->argv, (long)place->envp, 0, 0, 0));
}

/* ------------------------------------------------------------------------------------------------ our side */

static int is_free(const struct place *place)
{
	return __atomic_load_n(&place->taken, __ATOMIC_ACQUIRE) == 0;
}

int in_use(const struct recipe *recipe)
{
	for (size_t i = 0; i < PLACES; i++)
		if (places[i].recipe == recipe && !is_free(&places[i]))
			return 1;
	return 0;
}

void prepare_births(void)
{
	char set = '1';
	int file = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);

	if (file >= 0) {
		if (read(file, &set, 1) != 1)
			set = '1';
		close(file);
	}
	may_share = SHARES && set != '1';
}

/* A place that no process has; the one for a copy of our memory if there is none. */
static struct place *find_place(void)
{
	if (may_share && prctl(PR_GET_DUMPABLE, 0L, 0L, 0L, 0L) == 1)
		may_share = 0; /* somebody has set fs.suid_dumpable meanwhile */
	for (size_t i = 0; may_share && i < PLACES; i++)
		if (is_free(&places[i]))
			return &places[i];
	return &apart;
}

int give_birth(const struct recipe *recipe, uint64_t order, int connection, const void *host, size_t length)
{
	struct place *place = find_place();
	int flags = CLONE_PARENT | SIGCHLD, pid;
	uint32_t variables = recipe->head.variables;

	if (place->room < variables + (size_t)2) {
		char **larger = reallocarray(place->envp, variables + (size_t)2, sizeof *larger);
		if (larger == NULL)
			return -1;
		place->envp = larger;
		place->room = variables + (size_t)2;
	}
	memcpy(place->envp, recipe->envp, variables * sizeof *place->envp);
	memcpy(place->host, HOST, strlen(HOST));
	memcpy(place->host + strlen(HOST), host, length);
	place->host[strlen(HOST) + length] = '\0';
	place->envp[variables] = length > 0 ? place->host : NULL;
	place->envp[variables + 1] = NULL;
	place->recipe = recipe;
	place->order = order;
	place->connection = connection;
	if (place != &apart) {
		flags |= CLONE_VM | CLONE_CHILD_CLEARTID;
		place->taken = 1;
	}
	pid = clone(become_server, place->stack + STACK, flags, place, NULL, NULL, &place->taken);
	if (pid < 0)
		place->taken = 0;
	return pid;
}

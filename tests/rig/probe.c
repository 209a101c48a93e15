/* A server that prints the world it was started in, one "key value" a line, and ends.
 *
 * On a connection it writes there; on a listening socket it accepts one connection first; on a datagram socket it
 * takes one datagram and answers its sender. With arguments that begin with "do=" it does something else:
 *   do=cat      copies what it reads to where it came from, until the client ends
 *   do=word=W   writes W and a newline
 *   do=exit=N   ends with status N;   do=kill=N  ends by signal N
 *   do=hold     says "ready" and stays until the client hangs up
 *   do=sulk     never touches its socket and ends at once
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
static char text[60000];
static size_t used;

static void say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	used += vsnprintf(text + used, sizeof text - used, format, args);
	va_end(args);
}

static void say_address(const char *key, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage at;
	socklen_t length = sizeof at;
	char word[INET6_ADDRSTRLEN] = "?";
	if (get(0, (struct sockaddr *)&at, &length) < 0) {
		say("%s none\n", key);
		return;
	}
	if (at.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&at)->sin_addr, word, sizeof word);
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&at)->sin6_addr, word, sizeof word);
	say("%s %s\n", key, word);
}

static void say_limit(const char *key, int which)
{
	struct rlimit limit;
	getrlimit(which, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		say("rlimit.%s infinity", key);
	else
		say("rlimit.%s %llu", key, (unsigned long long)limit.rlim_cur);
	if (limit.rlim_max == RLIM_INFINITY)
		say(" infinity\n");
	else
		say(" %llu\n", (unsigned long long)limit.rlim_max);
}

static void say_option(const char *key, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;
	getsockopt(0, level, name, &value, &length);
	say("%s %d\n", key, value);
}

static void say_signals(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[512];
	while (status && fgets(line, sizeof line, status))
		if (!strncmp(line, "SigBlk:", 7) || !strncmp(line, "SigIgn:", 7) || !strncmp(line, "SigCgt:", 7))
			say("%.6s %s", line, line + 8);
	if (status)
		fclose(status);
}

static void say_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int own = dirfd(dir), open_ones[1024], count = 0;
	while ((entry = readdir(dir)) && count < 1024)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != own)
			open_ones[count++] = atoi(entry->d_name);
	closedir(dir);
	say("fds");
	for (int want = 0; want < 65536; want++)
		for (int i = 0; i < count; i++)
			if (open_ones[i] == want)
				say(" %d", want);
	say("\n");
}

static void world(int argc, char **argv)
{
	gid_t groups[256];
	struct stat first, other;
	int count, zero = 0;
	for (int i = 0; i < argc; i++)
		say("argv.%d %s\n", i, argv[i]);
	for (char **one = environ; *one; one++)
		say("env.%s\n", *one);
	say("uid %d %d\ngid %d %d\n", getuid(), geteuid(), getgid(), getegid());
	count = getgroups(256, groups);
	say("groups");
	for (int i = 0; i < count; i++)
		say(" %d", groups[i]);
	say("\n");
	mode_t mask = umask(0);
	umask(mask);
	say("umask %03o\n", mask);
	say("nice %d\n", getpriority(PRIO_PROCESS, 0));
	say_limit("as", RLIMIT_AS);
	say_limit("cpu", RLIMIT_CPU);
	say_limit("data", RLIMIT_DATA);
	say_limit("files", RLIMIT_NOFILE);
	say_limit("rss", RLIMIT_RSS);
	say_limit("stack", RLIMIT_STACK);
	say_limit("core", RLIMIT_CORE);
	say_limit("nproc", RLIMIT_NPROC);
	say("leads.session %d\nleads.group %d\n", getsid(0) == getpid(), getpgrp() == getpid());
	int tty = open("/dev/tty", O_RDWR);
	say("tty %s\n", tty < 0 ? "none" : "some");
	if (tty >= 0)
		close(tty);
	char where[4096];
	say("cwd %s\n", getcwd(where, sizeof where) ? where : "?");
	fstat(0, &first);
	for (int fd = 1; fd < 3; fd++)
		zero += !fstat(fd, &other) && other.st_ino == first.st_ino && S_ISSOCK(other.st_mode);
	say("same.socket %d\n", zero == 2);
	say("blocking %d\n", !(fcntl(0, F_GETFL) & O_NONBLOCK));
	say_descriptors();
	say_signals();
	say_option("family", SOL_SOCKET, SO_DOMAIN);
	say_option("listening", SOL_SOCKET, SO_ACCEPTCONN);
	say_option("keepalive", SOL_SOCKET, SO_KEEPALIVE);
	say_option("nodelay", IPPROTO_TCP, TCP_NODELAY);
	say_option("v6only", IPPROTO_IPV6, IPV6_V6ONLY);
	say_address("here", getsockname);
	say_address("there", getpeername);
}

static void deed(const char *what, const char *data, size_t length)
{
	char block[4096];
	ssize_t got;
	if (!strncmp(what, "word=", 5))
		say("%s\n", what + 5);
	else if (!strncmp(what, "exit=", 5))
		exit(atoi(what + 5));
	else if (!strncmp(what, "kill=", 5))
		raise(atoi(what + 5));
	else if (!strcmp(what, "cat")) {
		if (length)
			used = length, memcpy(text, data, length);
		else
			while ((got = read(0, block, sizeof block)) > 0)
				if (write(1, block, got) != got)
					exit(1);
	} else if (!strcmp(what, "hold")) {
		if (write(1, "ready\n", 6) != 6)
			exit(1);
		while (read(0, block, sizeof block) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	int type = 0, listening = 0;
	socklen_t length = sizeof type;
	char datagram[60000];
	ssize_t size = 0;
	struct sockaddr_storage from;
	socklen_t from_length = sizeof from;
	const char *what = NULL;
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "do=", 3))
			what = argv[i] + 3;
	if (what && !strcmp(what, "sulk"))
		return 0;
	getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &length);
	length = sizeof listening;
	getsockopt(0, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
	if (!what)
		world(argc, argv);
	if (type == SOCK_DGRAM)
		size = recvfrom(0, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &from_length);
	if (listening) {
		int one = accept(0, NULL, NULL);
		dup2(one, 0);
		dup2(one, 1);
		dup2(one, 2);
		close(one);
	}
	if (what)
		deed(what, datagram, size > 0 ? size : 0);
	if (type == SOCK_DGRAM)
		return sendto(0, text, used, 0, (struct sockaddr *)&from, from_length) < 0;
	for (size_t sent = 0; sent < used;) {
		ssize_t more = write(1, text + sent, used - sent);
		if (more <= 0)
			return 1;
		sent += more;
	}
	shutdown(1, SHUT_WR);
	while (read(0, datagram, sizeof datagram) > 0)
		;  /* so that bytes the client sent do not turn the end into a reset */
	return 0;
}

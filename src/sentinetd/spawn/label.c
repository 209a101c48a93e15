/*
 * SELinux without its library, which allocates: this runs in a process that shares the spawner's memory. What the library's
 * getcon(3), getpeercon(3), getfilecon(3), security_compute_create(3) and setexeccon(3) do are reads and writes of the
 * files below; their form is that of the kernel's security/selinux/selinuxfs.c.
 */
#define _GNU_SOURCE
#include "label.h"

#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define CURRENT "/proc/self/attr/current"
#define AT_NEXT_EXEC "/proc/self/attr/exec"
#define CREATE "/sys/fs/selinux/create"
#define PROCESS_CLASS "/sys/fs/selinux/class/process/index"

enum { MAX_INDEX = 8 }; /* bytes of a class's number, 16 bits, with its end */

/* How many bytes of *context* are user, role and type; 0 if it is none. A space would end it in a question to the kernel. */
static size_t identity(const char *context)
{
	size_t begun = 0, end = 0;
	int parts = 0;

	for (size_t at = 0;; at++) {
		unsigned char byte = (unsigned char)context[at];
		if ((byte == ':' || byte == '\0') && parts < 3) {
			if (at == begun)
				return 0;
			begun = at + 1;
			end = at;
			parts++;
		}
		if (byte == '\0')
			break;
		if (byte <= ' ' || byte > '~')
			return 0;
	}
	return parts == 3 && strcmp(context + end, ":") != 0 ? end : 0;
}

long take_range(char *own, size_t room, const char *peer)
{
	size_t ours = identity(own), theirs = identity(peer), length;

	if (ours == 0 || theirs == 0)
		return -EBADMSG;
	if (peer[theirs] == '\0')
		return -ENODATA;
	length = strlen(peer + theirs);
	if (length >= room - ours)
		return -ENAMETOOLONG;
	memcpy(own + ours, peer + theirs, length + 1);
	return (long)(ours + length);
}

/* End what the kernel gave, *length* of *room* bytes, with a zero byte of which there may be one already. Its length. */
static long terminate(char *text, long length, size_t room)
{
	if (length < 0)
		return length;
	if ((size_t)length > room)
		return -ENAMETOOLONG;
	if (length > 0 && text[length - 1] == '\0')
		length--;
	if ((size_t)length >= room)
		return -ENAMETOOLONG;
	text[length] = '\0';
	return memchr(text, '\0', (size_t)length) == NULL ? length : -EBADMSG;
}

static long open_file(const char *path, int how)
{
	return call(SYS_openat, AT_FDCWD, (long)path, how | O_CLOEXEC, 0, 0, 0);
}

static void close_file(long file)
{
	call(SYS_close, file, 0, 0, 0, 0, 0);
}

/* Such files give all that they have at once. */
static long read_text(long file, char *text, size_t room)
{
	return terminate(text, call(SYS_read, file, (long)text, (long)room, 0, 0, 0), room);
}

static long read_file(const char *path, char *text, size_t room)
{
	long file = open_file(path, O_RDONLY), length;

	if (file < 0)
		return file;
	length = read_text(file, text, room);
	close_file(file);
	return length;
}

/* Such files take all or nothing, at once. */
static long write_text(long file, const char *text, size_t length)
{
	long written = call(SYS_write, file, (long)text, (long)length, 0, 0, 0);

	return written < 0 ? written : (size_t)written == length ? 0 : -EIO;
}

static long peer_context(int connection, char *text, size_t room)
{
	socklen_t length = (socklen_t)room;
	long error = call(SYS_getsockopt, connection, SOL_SOCKET, SO_PEERSEC, (long)text, (long)&length, 0);

	return terminate(text, error < 0 ? error : (long)length, room);
}

static long file_context(const char *path, char *text, size_t room)
{
	return terminate(text, call(SYS_getxattr, (long)path, (long)"security.selinux", (long)text, (long)room, 0, 0), room);
}

/* Ask policy what *question*, "source target class", creates. */
static long compute(const char *question, size_t length, char *answer, size_t room)
{
	long file = open_file(CREATE, O_RDWR), result;

	if (file < 0)
		return file;
	if ((result = write_text(file, question, length)) == 0)
		result = read_text(file, answer, room);
	close_file(file);
	return result;
}

static long write_file(const char *path, const char *text, size_t length)
{
	long file = open_file(path, O_WRONLY), result;

	if (file < 0)
		return file;
	result = write_text(file, text, length);
	close_file(file);
	return result;
}

long label_server(const char *server, int connection, int *part)
{
	char question[MAX_CONTEXT], context[MAX_CONTEXT];
	long length, more;

	*part = OWN_CONTEXT;
	if ((length = read_file(CURRENT, question, sizeof question)) < 0)
		return length;
	*part = PEER_CONTEXT;
	if ((more = peer_context(connection, context, sizeof context)) < 0)
		return more;
	if ((length = take_range(question, sizeof question, context)) < 0)
		return length;
	*part = PROGRAM_CONTEXT;
	question[length++] = ' '; /* where the zero byte was */
	if ((more = file_context(server, question + length, sizeof question - (size_t)length)) < 0)
		return more;
	if (identity(question + length) == 0)
		return -EBADMSG;
	length += more;
	*part = COMPUTE;
	if (sizeof question - (size_t)length < 1 + MAX_INDEX)
		return -ENAMETOOLONG;
	question[length++] = ' ';
	if ((more = read_file(PROCESS_CLASS, question + length, MAX_INDEX)) < 0)
		return more;
	length += more;
	if ((more = compute(question, (size_t)length, context, sizeof context)) < 0)
		return more;
	*part = AT_EXEC;
	return write_file(AT_NEXT_EXEC, context, (size_t)more);
}

/* The SELinux context of a server with the flag LABELED: the daemon's own, at the sensitivity of its client. */
#include <stddef.h>

enum { MAX_CONTEXT = 4096 };                                                 /* bytes: a page, as the kernel has it */
enum { OWN_CONTEXT = 1, PEER_CONTEXT, PROGRAM_CONTEXT, COMPUTE, AT_EXEC };   /* protocol.Part */

/*
 * Let the next exec of this process, that of *server*, give the context which policy gives a process of our user, role and
 * type and the range of the peer of *connection*. 0, or -errno with *part* saying what failed: then nothing may be run.
 */
long label_server(const char *server, int connection, int *part);

/*
 * Give *own*, a context in an array of *room* bytes, the range of *peer* in place of its own. Its new length; or
 * -EBADMSG if one of them is no context, -ENODATA if *peer* has no range, -ENAMETOOLONG; then *own* is as it was.
 */
long take_range(char *own, size_t room, const char *peer);

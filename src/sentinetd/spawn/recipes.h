/*
 * Recipes: what the servers of a service are. The guard teaches them in pieces; this keeps them by number.
 *
 * The form of a message and of a recipe is set down here and, for the guard, in protocol.py and recipe.py.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL "4" /* protocol.VERSION: given as the only argument, so that a stale build is found out at once */

enum { TEACH = 1, MORE = 2, FORGET = 3, LAUNCH = 4 }; /* kinds of messages */
enum { PIECE = 16384 };                               /* bytes of payload in one message */

struct message {
	uint32_t kind, number;
	uint64_t value;         /* TEACH: bytes of the whole recipe; MORE: offset; LAUNCH: the order */
	unsigned char payload[PIECE];
};
#define HEADER offsetof(struct message, payload)

enum { HAS_UID = 1, HAS_GID = 2, HAS_GROUPS = 4, HAS_UMASK = 8, LABELED = 16 };
enum { MAX_LIMITS = 16 };

struct head {               /* how a recipe begins; then its limits, groups and strings */
	uint32_t flags, uid, gid, umask;
	int32_t nice;
	uint32_t limits, groups, arguments, variables, zero;
};

struct limit {
	uint64_t value;         /* UINT64_MAX: infinity */
	uint32_t resource, zero;
};

struct recipe {
	uint32_t number;
	struct head head;
	struct limit limits[MAX_LIMITS];
	gid_t *groups;
	char **argv, **envp;
	char *server;           /* begins the block of strings that argv and envp point into */
	struct recipe *next;    /* among the retired */
};

/* TEACH begins a recipe and ends an unfinished or an older one; MORE continues it where it stands. */
void learn(const struct message *message, size_t length);

/* No server is made by it any more; it stays as it is until `discard_retired`. */
void forget(uint32_t number);

/* Free the memory of recipes that were forgotten or taught again and that are not *in_use*. */
void discard_retired(int (*in_use)(const struct recipe *recipe));

/* The recipe of that number; NULL if there is none. */
const struct recipe *find(uint32_t number);

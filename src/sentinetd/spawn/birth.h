/* The birth of a server: from an order to the program that it runs. */
#include <stddef.h>
#include <stdint.h>

struct recipe;

enum { GUARD = 3 };                                                        /* descriptor */
enum { LAUNCHED = 1, LAUNCH_FAILED = 2, SETUP_FAILED = 3 };                /* kinds of replies */
enum { DUP = 1, LIMIT, NICE, SETGID, SETGROUPS, SETUID, SETSID, EXEC, LABEL }; /* protocol.Step */
enum { MAX_HOST = 255 };                                                   /* bytes of REMOTE_HOST's value */

struct reply {
	uint32_t kind, step;
	uint64_t order;
	int32_t value, detail;  /* pid or errno; LIMIT: which RLIMIT_, LABEL: which part of it */
	uint64_t at;            /* LAUNCHED: when, in nanoseconds of CLOCK_BOOTTIME */
};

/* Once, before the first birth. */
void prepare_births(void);

/*
 * The process id of a new server by *recipe*, a child of our parent, with *connection* as its 0, 1 and 2. REMOTE_HOST is
 * the *length* bytes at *host*, none of them zero; not given if there are none. -1 and errno if there can be no process.
 */
int give_birth(const struct recipe *recipe, uint64_t order, int connection, const void *host, size_t length);

/* Whether a process is still being made by *recipe*. */
int in_use(const struct recipe *recipe);

/*
 * Stands in for clone(2) while instructions are counted: no process is made, and it has left at once. Valgrind cannot run
 * one that shares memory and is no thread.
 */
#include <sys/types.h>

int __wrap_clone(int (*begin)(void *), void *stack, int flags, void *given, pid_t *parent, void *tls, pid_t *left);

int __wrap_clone(int (*begin)(void *), void *stack, int flags, void *given, pid_t *parent, void *tls, pid_t *left)
{
	(void)begin, (void)stack, (void)flags, (void)given, (void)parent, (void)tls;
	*left = 0;
	return 4711;
}

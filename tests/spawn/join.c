/* join OWN PEER ROOM: what take_range makes of them, or the name of its error. Everything stands in exactly its own bytes. */
#include "label.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	size_t room = argc == 4 ? (size_t)strtoul(argv[3], NULL, 10) : 0;
	char *own, *peer;
	long length;

	if (argc != 4 || strlen(argv[1]) >= room || (own = malloc(room)) == NULL || (peer = strdup(argv[2])) == NULL)
		return 2;
	memset(own, 'x', room); /* no zero byte beyond the context's own */
	strcpy(own, argv[1]);
	length = take_range(own, room, peer);
	if (length < 0 && strcmp(own, argv[1]) != 0)
		return 3;
	if (length >= 0 && strlen(own) != (size_t)length)
		return 4;
	puts(length >= 0                ? own
	     : length == -EBADMSG      ? "EBADMSG"
	     : length == -ENODATA      ? "ENODATA"
	     : length == -ENAMETOOLONG ? "ENAMETOOLONG"
	                               : "another error");
	free(own);
	free(peer);
	return 0;
}

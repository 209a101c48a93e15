/* Recipes are bound-checked here, once; whoever launches one may trust it. */
#define _GNU_SOURCE
#include "recipes.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_RECIPE = 1 << 20,   /* bytes */
	MAX_RECIPES = 1 << 16,
	MAX_GROUPS = 65536,     /* NGROUPS_MAX */
};

static struct recipe **known;  /* in order of their numbers */
static size_t count, room;
static struct recipe *retired; /* a process may still be made by them */

static struct {                /* the recipe that is being taught; one at a time */
	uint32_t number;
	unsigned char *bytes;      /* NULL: none */
	size_t size, filled;
} lesson;

/* Where *number* stands in the table, or would. */
static size_t place(uint32_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (known[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct recipe *find(uint32_t number)
{
	size_t at = place(number);

	return at < count && known[at]->number == number ? known[at] : NULL;
}

static void discard(struct recipe *recipe)
{
	free(recipe->groups);
	free(recipe->argv);
	free(recipe->envp);
	free(recipe->server);
	free(recipe);
}

void forget(uint32_t number)
{
	size_t at = place(number);

	if (at < count && known[at]->number == number) {
		known[at]->next = retired;
		retired = known[at];
		memmove(&known[at], &known[at + 1], (--count - at) * sizeof *known);
	}
}

void discard_retired(int (*in_use)(const struct recipe *recipe))
{
	struct recipe **at = &retired, *recipe;

	while ((recipe = *at) != NULL)
		if (in_use(recipe)) {
			at = &recipe->next;
		} else {
			*at = recipe->next;
			discard(recipe);
		}
}

/* The recipe that *bytes* spell; NULL if they spell none (EBADMSG) or memory is short (ENOMEM). */
static struct recipe *understand(uint32_t number, const unsigned char *bytes, size_t size)
{
	struct recipe *recipe = calloc(1, sizeof *recipe);
	struct head *head;
	size_t fixed, length, strings = 0;
	int error = ENOMEM;

	if (recipe == NULL)
		return NULL;
	head = &recipe->head;
	recipe->number = number;
	if (size < sizeof *head)
		goto malformed;
	memcpy(head, bytes, sizeof *head);
	if (head->uid == UINT32_MAX || head->gid == UINT32_MAX) /* to setresuid: leave it as it is */
		goto malformed;
	if (head->limits > MAX_LIMITS || head->groups > MAX_GROUPS || head->arguments < 1 || head->arguments > size ||
	    head->variables > size || head->nice < -40 || head->nice > 40 || head->umask > 0777)
		goto malformed;
	fixed = sizeof *head + head->limits * sizeof(struct limit) + head->groups * sizeof(uint32_t);
	if (size <= fixed || bytes[size - 1] != '\0')
		goto malformed;
	length = size - fixed;
	for (size_t i = fixed; i < size; i++)
		strings += bytes[i] == '\0';
	if (strings != (size_t)1 + head->arguments + head->variables)
		goto malformed;

	memcpy(recipe->limits, bytes + sizeof *head, head->limits * sizeof(struct limit));
	for (uint32_t i = 0; i < head->limits; i++)
		if (recipe->limits[i].resource >= MAX_LIMITS ||
		    (recipe->limits[i].value > INT64_MAX && recipe->limits[i].value != UINT64_MAX))
			goto malformed;
	recipe->groups = calloc(head->groups + (size_t)1, sizeof *recipe->groups);
	recipe->argv = calloc(head->arguments + (size_t)1, sizeof *recipe->argv);
	recipe->envp = calloc(head->variables + (size_t)1, sizeof *recipe->envp);
	recipe->server = malloc(length);
	if (recipe->groups == NULL || recipe->argv == NULL || recipe->envp == NULL || recipe->server == NULL)
		goto failed;
	for (uint32_t i = 0; i < head->groups; i++) {
		uint32_t group;
		memcpy(&group, bytes + fixed - (head->groups - i) * sizeof group, sizeof group);
		if (group == UINT32_MAX)
			goto malformed;
		recipe->groups[i] = group;
	}
	memcpy(recipe->server, bytes + fixed, length);
	for (char *next = recipe->server, **at = recipe->argv; at != NULL;) {
		next += strlen(next) + 1; /* the strings were counted: there is one for every place */
		*at++ = next;
		if (at == recipe->argv + head->arguments)
			at = recipe->envp;
		if (at == recipe->envp + head->variables)
			at = NULL;
	}
	return recipe;
malformed:
	error = EBADMSG;
failed:
	discard(recipe);
	errno = error;
	return NULL;
}

static void keep(struct recipe *recipe)
{
	size_t at;

	forget(recipe->number);
	if (count == room) {
		size_t wanted = room ? 2 * room : 64;
		struct recipe **larger = count < MAX_RECIPES ? reallocarray(known, wanted, sizeof *known) : NULL;
		if (larger == NULL) {
			warnx("no room for recipe %u, dropped", recipe->number);
			discard(recipe);
			return;
		}
		known = larger;
		room = wanted;
	}
	at = place(recipe->number);
	memmove(&known[at + 1], &known[at], (count++ - at) * sizeof *known);
	known[at] = recipe;
}

static void end_lesson(void)
{
	free(lesson.bytes);
	lesson.bytes = NULL;
}

void learn(const struct message *message, size_t length)
{
	struct recipe *recipe;

	if (message->kind == TEACH) {
		end_lesson();
		forget(message->number);
		if (message->value == 0 || message->value > MAX_RECIPE) {
			warnx("recipe %u has a length out of bounds, dropped", message->number);
			return;
		}
		lesson.number = message->number;
		lesson.size = (size_t)message->value;
		lesson.filled = 0;
		if ((lesson.bytes = malloc(lesson.size)) == NULL) {
			warn("recipe %u, dropped", message->number);
			return;
		}
	} else if (lesson.bytes == NULL || lesson.number != message->number || lesson.filled != message->value) {
		warnx("a piece of recipe %u is out of place, dropped", message->number);
		end_lesson();
		return;
	}
	if (length > lesson.size - lesson.filled) {
		warnx("recipe %u is longer than announced, dropped", message->number);
		end_lesson();
		return;
	}
	memcpy(lesson.bytes + lesson.filled, message->payload, length);
	lesson.filled += length;
	if (lesson.filled < lesson.size)
		return;
	if ((recipe = understand(lesson.number, lesson.bytes, lesson.size)) == NULL)
		warn("recipe %u, dropped", lesson.number);
	else
		keep(recipe);
	end_lesson();
}

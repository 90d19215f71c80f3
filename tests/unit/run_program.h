/* One of our programs as a user runs it, in a directory of the test's own. */
#ifndef TEST_RUN_PROGRAM_H
#define TEST_RUN_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What it said, and its exit status. */
extern struct ran {
	int exit;
	char out[1u << 18], err[1u << 14];
} ran;

/* Fixtures of a test: the directory, new each time. */
void make_dir(void);
void remove_dir(void);
/* The path of a file in it; good for three more calls. */
const char *in_dir(const char *leaf);
void put_file(const char *leaf, const void *p, size_t len);
void read_back(const char *leaf, char *text, size_t size);

/* Where it is built, as "smf/smfdump"; good until the next call. */
const char *program(const char *built);
/*
 * In the directory, with input (NULL: none) from there and output to .out and .err, which are empty
 * before if fresh.  line has its options, with a blank between them.
 */
pid_t start_program(const char *built, const char *line, const char *input, bool fresh);
/* Waits for its end, by itself, and fills ran. */
void end_program(pid_t pid);

#endif

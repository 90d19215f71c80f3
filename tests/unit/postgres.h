/* PostgreSQL servers of a test's own, as Debian has it, started and ended in every way. */
#ifndef TEST_POSTGRES_H
#define TEST_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postgres {
	char dir[96];  /* its socket, its log, and below it the data */
	unsigned port; /* on 127.0.0.1, too */
	pid_t pid;     /* 0: it does not run */
};

/* Once a program: a cluster from which the others are copied. */
void postgres_template(void);
void postgres_template_remove(void);

/* Makes one in dir/name, which the program can leave behind for rm -rf; starts it. */
void postgres_new(struct postgres *p, const char *dir, const char *name);
/* A streaming standby of another. */
void postgres_standby(struct postgres *p, const struct postgres *of, const char *dir,
		      const char *name);
/* Lines for postgresql.conf; they hold from the next start. */
void postgres_configure(const struct postgres *p, const char *lines);
/* The whole of pg_hba.conf. */
void postgres_hba(const struct postgres *p, const char *lines);
/* Waits until it answers. */
void postgres_start(struct postgres *p);
void postgres_kill(struct postgres *p); /* -9, all of its processes */
void postgres_freeze(const struct postgres *p, bool frozen);
void postgres_promote(const struct postgres *p);

/* Of one connection; the first column of the first row as a number, -1: none, or an error. */
long long postgres_ask(const struct postgres *p, const char *sql);
/* The same, which must do. */
void postgres_do(const struct postgres *p, const char *sql);

/* Runs a program to its end, as postgres' user when this is root. */
int postgres_run(const char *const *argv);

#endif

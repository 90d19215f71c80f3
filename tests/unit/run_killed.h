/* A process that is killed at the n-th system call by which it changes something, for any n. */
#ifndef RUN_KILLED_H
#define RUN_KILLED_H

/*
 * Runs fn in a process of its own, which dies before its kill_at-th change.  1: it did; 0: it came
 * to its end before; -1: tracing is not allowed here,
 * which fails unless CSIPSEC_TEST_UNTRACED is in the environment.
 */
int run_killed(void (*fn)(void), unsigned kill_at);
/* The same without a kill: no handle of sqlite is carried through a fork. */
void run_to_the_end(void (*fn)(void));

#endif

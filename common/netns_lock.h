/*
 * One daemon of a kind in a network namespace.  What a daemon keeps in the kernel has one name or
 * one owner there, so two stacks in one namespace would put theirs in each other's place, and
 * neither could tell.
 */
#ifndef CS_NETNS_LOCK_H
#define CS_NETNS_LOCK_H

#include "common/err.h"

/*
 * For the namespace of this process, until *lock is closed; $CSIPSEC_RUNDIR must exist.  CS_EEXIST:
 * the program serves another stack here, which the text names.
 */
int cs_netns_lock(const char *program, const char *stack, int *lock, struct cs_err *err);

#endif

/*
 * Where a stack's files are: $CSIPSEC_RUNDIR, $CSIPSEC_STATEDIR and $CSIPSEC_CONFDIR with the
 * defaults /run/csipsec, /var/lib/csipsec and /etc/csipsec, which alone count in a setuid program.
 */
#ifndef CS_PATHS_H
#define CS_PATHS_H

#include "common/err.h"

#define CS_STACK_DEFAULT "TCPIP"
#define CS_STACK_MAX     24
#define CS_PATH_MAX      256

/* Letters, digits, '_', '-', '@', '#', '$', '.', not starting with '.' or '-'; at most 24. */
int cs_stack_check(const char *stack, struct cs_err *err);
/*
 * z/OS does not tell capital letters from small ones in a stack name, directories do: where base
 * has no directory of that name but one that differs only in case, stack changes to that.
 * CS_EINVAL when there are several.
 */
int cs_stack_find(const char *base, char stack[static CS_STACK_MAX + 1], struct cs_err *err);
/*
 * "$CSIPSEC_RUNDIR/STACK/leaf"; stack NULL is the directory of all stacks, leaf NULL that of one.
 * Fails only when too long.
 */
int cs_run_path(const char *stack, const char *leaf, char path[static CS_PATH_MAX],
		struct cs_err *err);
int cs_state_path(const char *stack, const char *leaf, char path[static CS_PATH_MAX],
		  struct cs_err *err);
int cs_conf_path(const char *leaf, char path[static CS_PATH_MAX], struct cs_err *err);
/* Makes a directory and its parents with mode for the last one; an existing one is left as it is.
 */
int cs_make_dir(const char *path, unsigned mode, struct cs_err *err);

#endif

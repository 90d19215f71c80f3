/*
 * What the command lines of all daemons have in common.
 */
#ifndef CS_OPTIONS_H
#define CS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/daemon.h"

/* Tells the user what is wrong, value (NULL: none) behind it, and where to look. */
enum cs_exit cs_usage(const char *program, const char *what, const char *value);
/*
 * The signal that "-k stop" or "-r refresh" asks for; option is the letter. 0: another word, and
 * the user has been told.
 */
int cs_order(const char *program, int option, const char *word);
/*
 * The name of a file, good in any directory: a daemon's is "/". Links stay in it, because they may
 * lead elsewhere later. CS_EINVAL when it is too long.
 */
int cs_absolute(const char *file, char *path, size_t size, struct cs_err *err);
/* A decimal number from least to most and nothing else; false leaves *n. */
bool cs_number(const char *text, unsigned least, unsigned most, unsigned *n);

#endif

/* Policy files made at random from the grammar's rows. */
#ifndef POLICY_RANDOM_H
#define POLICY_RANDOM_H

/*
 * A policy file, the same for the same seed; what the compiler refuses in it is made anew until it
 * takes all, so it mostly compiles.  The caller frees it.
 */
char *random_policy(unsigned seed);

#endif
